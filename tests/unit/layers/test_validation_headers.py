"""Validation: headers of the standards are looked at where applications put them into something."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from asgi_guard import Validation, ValidationMiddleware
from asgi_guard.testing import call

pytestmark = pytest.mark.anyio

OGNL = "%{(#_='multipart/form-data').(@java.lang.Runtime@getRuntime().exec('id'))}"


def basic(credentials: str) -> str:
    """Write credentials as a browser does."""
    return f"Basic {b64encode(credentials.encode()).decode()}"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Authorization", basic("admin' or '1'='1:x")),
        ("Authorization", basic("bob:' or 1=1--")),
        ("Content-Type", OGNL),
        ("Content-Disposition", 'attachment; filename="../../../etc/passwd"'),
        ("Forwarded", "for=1' union select password from users--"),
        ("If-None-Match", "\"a' or '1'='1\""),
        ("Accept", "../../../../../etc/passwd{{"),
        ("Accept-Language", "en' or '1'='1"),
        ("X-Forwarded-Host", "evil' or '1'='1"),
        ("Referer", "https://a.example/../../../../etc/passwd"),
        ("Referer", "https://a.example/%2e%2e/%2e%2e/%2e%2e/etc/passwd"),
    ],
)
async def test_an_attack_in_a_header_of_the_standards_is_refused(name: str, line: str) -> None:
    """Logs, queries, names of files and old frameworks take them for input."""
    assert (await call(ValidationMiddleware(app), headers={name: line})).status == 400


@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Authorization", basic("bob:pa$$w0rd'x")),
        ("Authorization", basic("no colon")),
        ("Authorization", "Basic =not base64="),
        ("Authorization", "Basic abcde"),
        ("Authorization", "Bearer abc.def-ghi_~+/="),
        ("Content-Type", 'multipart/form-data; boundary="----WebKitFormBoundaryabc"'),
        ("Content-Type", "text/plain; charset='utf-8'"),
        ("Content-Disposition", "attachment; filename*=UTF-8''report%20a.pdf"),
        ("Forwarded", 'for="[2001:db8::1]";proto=https'),
        ("If-None-Match", 'W/"2d-5f--gzip"'),
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"),
        ("Referer", "https://a.example/%E4%BD%A0/x%20y/"),
        ("Referer", "https://a.example/a//b/..c"),
    ],
)
async def test_an_ordinary_header_passes(name: str, line: str, level: int) -> None:
    """Whatever a browser, a client or a person with a strange password writes."""
    assert (await call(ValidationMiddleware(app, Validation(level=level)), headers={name: line})).status == 200
