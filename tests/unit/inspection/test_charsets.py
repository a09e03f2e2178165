"""Charsets: an attack is found, or refused, however its client says that it is written."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest

from asgi_guard import Validation, ValidationMiddleware
from asgi_guard.inspection.charsets import UNKNOWN, charset
from asgi_guard.testing import call

pytestmark = pytest.mark.anyio

ATTACK = "<script>steal(1)</script>"
FORM = "application/x-www-form-urlencoded"


async def app(_scope: Any, receive: Any, send: Any) -> None:
    """Ask for the body, which is when it is looked at."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def utf_7(text: str) -> bytes:
    """Write a text so that none of its characters is itself."""
    return b"+" + b64encode(text.encode("utf-16-be")).rstrip(b"=") + b"-"


def parts(content: bytes, head: bytes = b'name="q"') -> bytes:
    """Return a body with one field."""
    return b"--x\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + content + b"\r\n--x--\r\n"


def spread(text: str) -> bytes:
    """Put what only switches to ASCII in ISO-2022-JP between the characters."""
    return "\x1b(B".join(text).encode()


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json; charset=ibm037", f'{{"q":"{ATTACK}"}}'.encode("cp037"), 400),
        ('application/json; charset="EBCDIC-CP-US"', f'{{"q":"{ATTACK}"}}'.encode("cp037"), 400),
        ("application/json; charset=utf-16", f'{{"q":"{ATTACK}"}}'.encode("utf-16"), 400),
        ("application/json; charset=UTF_7", b'{"q":"' + utf_7(ATTACK) + b'"}', 415),
        ("application/json; charset=hz", b"{}", 415),
        ("application/json; charset=unicode-escape", b"{}", 415),
        ("application/json; charset=utf-8; charset=utf-7", b"{}", 415),
        ("application/json; charset*=utf-8''utf%2D7", b"{}", 415),
        (f"{FORM}; charset=ibm037", b"q=" + quote(ATTACK.encode("cp037")).encode(), 415),
        (f"{FORM}; charset=utf-7", b"q=" + quote(utf_7(ATTACK)).encode(), 415),
        (f"{FORM}; charset=utf-16", b"q=" + quote(ATTACK.encode("utf-16-le")).encode(), 400),
        ("text/plain; charset=cp500", ATTACK.encode("cp500"), 400),
        ("text/plain; charset=ISO-2022-JP", spread(ATTACK), 400),
        ("text/plain; charset = utf-32", ATTACK.encode("utf-32"), 400),
        ("text/plain; charset=punycode", b"x", 415),
        ("application/javascript; charset=cp037", ATTACK.encode("cp037"), 400),
        ("application/xml; charset=cp1140", '<a b="\' or 1=1 -- "/>'.encode("cp1140"), 400),
        ("multipart/form-data; boundary=x; charset=ibm037", parts(ATTACK.encode("cp037")), 415),
        ("multipart/form-data; boundary=x", parts(utf_7(ATTACK), b'name="q"\r\nContent-Type: a/b; charset=utf-7'), 415),
        ("multipart/form-data; boundary=x", parts(b"utf-7", b'name="_charset_"'), 415),
    ],
)
async def test_no_charset_hides_an_attack(content_type: str, body: bytes, status: int) -> None:
    """It is decoded for the look, or refused as an encoding is that cannot be undone."""
    response = await call(ValidationMiddleware(app), method="POST", headers={"Content-Type": content_type}, body=body)
    assert response.status == status


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (f"{FORM}; charset=UTF-8", b"q=a%20b"),
        (f"{FORM}; charset=windows-1251", b"q=" + quote("привет".encode("cp1251")).encode()),
        (f"{FORM}; charset=Shift_JIS", b"q=" + quote("こんにちは".encode("shift_jis")).encode()),
        ("application/json; charset=", b'{"q": "a"}'),
        ("application/json; charset=utf-16", '{"q": "größer"}'.encode("utf-16")),
        ("application/json; charset=ISO-8859-15", '{"q": "größer"}'.encode("iso8859-15")),
        ("text/plain; charset='utf-8'", "größer".encode()),
        ("text/csv; charset=cp037", "name,größe\n".encode("cp037")),
        ("text/plain; charset=gb2312", "你好".encode("gb2312")),
        ("text/plain; charset=iso-2022-jp", "こんにちは".encode("iso2022_jp")),
        ("application/octet-stream; charset=binary", b"\x89PNG"),
        ("multipart/form-data; boundary=x; charset=windows-1252", parts("größer".encode("cp1252"))),
        ("multipart/form-data; boundary=x", parts(b"UTF-8", b'name="_charset_"')),
    ],
)
async def test_an_ordinary_charset_passes(content_type: str, body: bytes) -> None:
    """Old pages, office software and mainframes write such bodies."""
    response = await call(ValidationMiddleware(app), method="POST", headers={"Content-Type": content_type}, body=body)
    assert response.status == 200


async def test_a_charset_that_is_not_undone_is_flagged_where_the_settings_say_so() -> None:
    """As any limit is; what can be read of the body is looked at all the same."""
    guarded = ValidationMiddleware(app, Validation(on_limit="flag"))
    headers = {"Content-Type": "application/json; charset=utf-7"}

    assert (await call(guarded, method="POST", headers=headers, body=b'{"q": "a"}')).status == 200
    assert (await call(guarded, method="POST", headers=headers, body=f'{{"q": "{ATTACK}"}}'.encode())).status == 400


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("utf-8", None),
        ("Latin1", None),
        ("ks_c_5601-1987", None),
        ("UTF 16", "utf_16"),
        ("IBM037", "cp037"),
        ("ucs-2", UNKNOWN),
        ("rot13", UNKNOWN),
        ("../x", UNKNOWN),
    ],
)
def test_a_charset_has_many_names(name: str, codec: str | None) -> None:
    """All that Python knows; whoever is none of them has to be undone by somebody else."""
    assert charset(f'text/plain; charset="{name}"'.encode()) == codec
