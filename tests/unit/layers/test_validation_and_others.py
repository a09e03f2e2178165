"""What other validators get wrong, and this one must not: each test is about a fault that was seen in one."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

import pytest

from asgi_guard import Guard, ValidationMiddleware
from asgi_guard.inspection.engines import has_re2
from asgi_guard.inspection.extract import Value
from asgi_guard.inspection.scan import scanner
from asgi_guard.testing import call, websocket

pytestmark = pytest.mark.anyio

ATTACK = "<script>steal(1)</script>"
ENGINES: Any = [
    pytest.param("re2", marks=pytest.mark.skipif(not has_re2(), reason="google-re2 is not installed")),
    "re",
]


async def cookies(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, and set two cookies."""
    while (await receive()).get("more_body", False):
        pass
    headers = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body"})


PADDINGS = {
    "lorem": "lorem ipsum ",
    "letters": "a",
    "blanks": " ",
    "line breaks": "\n",
    "quotation marks": "'",
    "markup": "<b>",
    "comments": "/**/",
    "percent signs": "%",
}


def bodies(padding: str) -> dict[str, tuple[str, bytes]]:
    """Write 300 KB, and an attack behind it, in every kind of body."""
    padded = (padding * 300_000)[:300_000]
    multipart = "multipart/form-data; boundary=x"
    last = b"--x--\r\n"
    field = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    many = b"".join(field % (b"f%d" % number, padded[:30_000].encode()) for number in range(10))
    xml = padded.replace("<", "&lt;").replace("&", "&amp;")
    return {
        "form": ("application/x-www-form-urlencoded", f"a={quote_plus(padded)}&b={quote_plus(ATTACK)}".encode()),
        "json": ("application/json", json.dumps([padded, ATTACK]).encode()),
        "one value": ("application/json", json.dumps(padded + ATTACK).encode()),
        "text": ("text/plain", (padded + ATTACK).encode()),
        "xml": ("application/xml", f"<a><b>{xml}</b><c><![CDATA[{ATTACK}]]></c></a>".encode()),
        "multipart field": (multipart, field % (b"f", (padded + ATTACK).encode()) + last),
        "multipart fields": (multipart, many + field % (b"b", ATTACK.encode()) + last),
        "preamble": (multipart, padded.encode() + b"\r\n" + field % (b"b", ATTACK.encode()) + last),
    }  # fmt: skip


@pytest.mark.parametrize("padding", PADDINGS)
async def test_300_kilobytes_of_padding_carry_no_attack_past(padding: str) -> None:
    """It is found, or what goes on beyond the bound is refused; it is never let pass unseen."""
    app = ValidationMiddleware(cookies, max_leaves=100_000)

    for kind, (content_type, body) in bodies(PADDINGS[padding]).items():
        chunks = [body[at : at + 65_536] for at in range(0, len(body), 65_536)]
        response = await call(app, "POST", headers={"Content-Type": content_type}, chunks=chunks)
        assert response.status in {400, 413}, kind


async def test_two_cookies_of_the_application_stay_two() -> None:
    """Headers of the response are no dictionary."""
    response = await call(Guard(cookies), "POST", headers={"Content-Type": "application/json"}, body=b'{"a": "b c"}')

    assert response.headers.get_all("set-cookie") == ["a=1", "b=2"]


@pytest.mark.parametrize(
    "referer", ["http://127.0.0.1/", "http://localhost:3000/a?b=c", "http://192.168.0.7:8080/", "http://[::1]/"]
)
@pytest.mark.parametrize("level", [1, 2])
async def test_whoever_comes_from_this_machine_is_no_attacker(referer: str, level: int) -> None:
    """Every developer's browser sends such a Referer, and an Origin."""
    headers = {"Referer": referer, "Origin": referer.rpartition("/")[0], "Host": "127.0.0.1:8000"}

    assert (await call(ValidationMiddleware(cookies, level=level), headers=headers)).status == 200


@pytest.mark.parametrize("level", [1, 2])
async def test_what_browsers_send_by_themselves_passes(level: int) -> None:
    """`sec-ch-ua` is full of quotation marks and semicolons on purpose."""
    headers = {
        "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0",
        "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        "Accept-Language": "en-US,en;q=0.5",
        "sec-ch-ua": '"Chromium";v="142", "Not(A:Brand";v="8", ";Not A Brand";v="99"',
        "sec-ch-ua-platform": '"Linux"',
        "sec-ch-ua-full-version-list": '"Chromium";v="142.0.7444.59", "(Not(A:Brand";v="8.0.0.0"',
        "If-None-Match": 'W/"5e15153d-120f"',
        "Priority": "u=0, i",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "Cookie": "_ga=GA1.1.123456789.1700000000; theme=dark; session=eyJhIjoxfQ.ZUYxMg.c2ln-natur_e",
    }

    assert (await call(ValidationMiddleware(cookies, level=level), headers=headers)).status == 200


async def test_websockets_are_guarded_as_well() -> None:
    """Their handshakes, by path, query and headers."""
    for request in ({"path": "/?q=" + quote_plus(ATTACK)}, {"path": "/", "headers": {"Cookie": f"a={ATTACK}"}}):
        async with websocket(ValidationMiddleware(cookies), **request) as session:
            assert session.denial is not None
            assert session.denial.status == 400


SLOW = (
    "<!--",
    "<script",
    "<",
    "a=",
    " ",
    "../",
    "((((",
    "' or ",
    "${",
    "{{",
    "\\",
    "%25",
    "&#x26;",
    "/*",
    "x\n",
    "sel'||'",
    "on",
)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("piece", SLOW)
async def test_twice_the_text_is_at_most_twice_the_work(engine: Any, piece: str) -> None:
    """Counted in characters that patterns were tried on, in every view and round (CWE-1333, CWE-407)."""
    counted = []
    for size in (16_384, 32_768, 65_536):
        looking = scanner(3, engine)
        before = looking.scanned
        for _ in looking.scan([Value("body", "", (piece * size)[:size] + "!")]):
            pass
        counted.append(looking.scanned - before)

    assert counted[1] <= 2.2 * counted[0]
    assert counted[2] <= 2.2 * counted[1]
    assert counted[2] <= 24 * 65_536
