"""Validation: what ordinary clients send passes at level 1, whatever it looks like to a machine."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from asgi_guard import ValidationMiddleware
from asgi_guard.testing import call

pytestmark = pytest.mark.anyio

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
BINARY = bytes(range(256)) * 40
STYLES = """
:root { --ink: #222; --paper: #fff }
main > .card::before { content: "\\201C"; margin: 0 auto !important; background: url('/a.png') }
@media (max-width: 40em) { .card { display: none } }
"""
MARKDOWN = """# Set up
Run `pip install example && example init`, then open http://localhost:8000/docs.

```python
if name == 'admin' or name == "root":
    rows = db.execute("SELECT id, name FROM users WHERE id = ?", [user_id])
```
Don't write `WHERE id = '` + id + `'`: somebody sends ' OR 1=1 one day.
"""
MAIL = (
    "Hi Ann,\n\nit's 5' by 6' -- or 60\" x 72\"; see C:\\Users\\Ann\\plan.docx & call me.\n\n-- \nBob <bob@x.example>"
)
DIFF = "--- a/x.py\n+++ b/x.py\n@@ -1,2 +1,2 @@\n-print('a')\n+print(f'{a!r}')\n context = None\n"
LOG = '203.0.113.7 - - [22/Nov/2026:10:00:00 +0000] "GET /a?b=1&c=%20 HTTP/1.1" 404 12 "-" "Browser/1.0"\n'
CRASH = (
    'Traceback (most recent call last):\n  File "/srv/app/main.py", line 3, in <module>\n    x[0]\nIndexError: list\n'
)


def part(content: bytes, name: str, kind: str) -> bytes:
    """Return a body with one file."""
    head = f'--x\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
    return head.encode() + content + b"\r\n--x--\r\n"


TARGETS = {
    "a search with an apostrophe": "/search?" + urlencode({"q": "rock 'n' roll or jazz & blues; 50% off"}),
    "a search for code": "/search?" + urlencode({"q": "how to select all from a table where a = b"}),
    "a filter of OData": "/items?$filter=" + quote("name eq 'O''Neil' and price lt 20 or stock gt 0") + "&$top=10",
    "a filter in JSON": "/items?where=" + quote('{"price":{"lt":20},"name":"a or b"}'),
    "a filter in brackets": "/items?filter[price][lte]=20&sort=-created,name&include=a.b,c",
    "a place to come back to": "/login?next=" + quote("/orders?id=7&tab=a#b", safe=""),
    "a link to a machine of one's own": "/oauth?redirect_uri=" + quote("http://localhost:3000/callback?a=b", safe=""),
    "a time": "/events?from=2026-11-22T10%3A00%3A00%2B01%3A00&to=now()&tz=Europe/Berlin",
    "a name in other letters": "/search?q=" + quote("größe 你好 Привет ½ “so”"),
    "a name in an old charset": "/search?q=%E9t%E9+%DCber",
    "a range in a path": "/compare/v1.2.3...v1.2.4/src/a..b.txt",
    "a base64 identifier": "/nodes/" + b64encode(b"User:7:orders").decode(),
    "a token": "/verify?t=" + b64encode(b'{"typ":"JWT"}').decode() + "." + b64encode(b'{"sub":"a"}').decode() + ".c2ln",
}


@pytest.mark.parametrize("target", TARGETS.values(), ids=list(TARGETS))
async def test_an_ordinary_address_passes(target: str) -> None:
    """People search for what they like, and programs filter."""
    assert (await call(ValidationMiddleware(app), path=target)).status == 200


BODIES: dict[str, tuple[str, bytes]] = {
    "a comment": (FORM, urlencode({"text": "I'd say: it's 1 of 2 -- or none; isn't it? <3 & so on"}).encode()),
    "a mail": (JSON, json.dumps({"to": "a@x.example", "text": MAIL}).encode()),
    "markdown": (JSON, json.dumps({"body": MARKDOWN}).encode()),
    "a diff": (JSON, json.dumps({"patch": DIFF}).encode()),
    "a line of a log": (JSON, json.dumps({"lines": [LOG] * 3}).encode()),
    "a crash": (JSON, json.dumps({"exception": CRASH, "release": "a@1.2.3"}).encode()),
    "a formula": (JSON, json.dumps({"cell": '=IF(AND(A1>3,B1<>""),SUM(C1:C9)/2,"n/a")'}).encode()),
    "a regular expression": (JSON, json.dumps({"pattern": r"^(?:[a-z]+\d{2,4}|\w+\.(?:png|jpe?g))$"}).encode()),
    "a template of a mail": (
        JSON,
        json.dumps({"template": "Dear {{ name }}, your order {{order.id}} is on."}).encode(),
    ),
    "an address": (JSON, json.dumps({"street": "7 St. John's Rd; flat #3", "town": "L'Aquila"}).encode()),
    "a document of GraphQL": (JSON, json.dumps({"query": "query A($id: ID!) { a(id: $id) { b: name } }"}).encode()),
    "JSON in JSON": (JSON, json.dumps({"state": json.dumps({"theme": "dark", "size": "a > b"})}).encode()),
    "a picture in JSON": (JSON, json.dumps({"avatar": "data:image/png;base64," + b64encode(BINARY).decode()}).encode()),
    "records": ("application/x-ndjson", b'{"a": "b"}\n{"a": "c or d"}\n' * 50),
    "a report of a browser": (
        "application/csp-report",
        json.dumps({"csp-report": {"blocked-uri": "inline", "script-sample": "alert(1)"}}).encode(),
    ),
    "a style sheet": ("text/css", STYLES.encode() * 30),
    "a style sheet of many names": (
        "text/plain",
        ("{ " + "\n".join(f"--a{n}: {n}" for n in range(90)) + " }").encode(),
    ),
    "a style sheet in JSON": (JSON, json.dumps({"": "a {" + " ".join(f"b{n}: c" for n in range(90)) + "}"}).encode()),
    "a configuration": ("application/x-ini", b"[server]\nhost = 127.0.0.1\nname = 'a'\n"),
    "a long configuration": ("application/x-ini", b"[server]\nhost = 127.0.0.1\nname = 'a'\n" * 10_000),
    "YAML": ("application/yaml", ("{ " + ", ".join(f"k{n}: v{n}" for n in range(90)) + " }").encode()),
    "a table": ("text/csv", b"name;price;note\n'Milk';1.20;it's \"fresh\"\n" * 90),
    "a calendar": ("text/calendar", b"BEGIN:VCALENDAR\r\nSUMMARY:Tea; 'A' or B\r\nEND:VCALENDAR\r\n"),
    "a letter": ("application/rtf", rb"{\rtf1\ansi{\fonttbl{\f0 Times;}} It\'27s \b bold\b0\par}"),
    "a feed": ("application/xml", b'<feed xmlns="http://x.example/a"><title>A &amp; B or C</title></feed>'),
    "a picture": ("image/svg+xml", b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0L1 1"/></svg>'),
    "a file that begins like JSON": ("application/x-thing", b"{" + BINARY),
    "a long file that begins like a list": ("application/x-thing", b"[" + BINARY * 60),
    "a file that begins like XML": ("application/x-thing", b"<" + BINARY),
    "a source file": ("multipart/form-data; boundary=x", part(b"' or 1=1 -- <script>", "a.py", "text/x-python")),
    "a photograph": ("multipart/form-data; boundary=x", part(BINARY, "Ann's photo (1).jpg", "image/jpeg")),
    "a charset of an office": ("text/csv; charset=windows-1252", "Größe;5 €\n".encode("cp1252")),
    "a text in UTF-16": ("text/plain; charset=utf-16", "it's größer".encode("utf-16")),
}


@pytest.mark.parametrize(("content_type", "body"), BODIES.values(), ids=list(BODIES))
async def test_an_ordinary_body_passes(content_type: str, body: bytes) -> None:
    """People write what they like, and programs save what they have."""
    headers = {"Content-Type": content_type}
    assert (await call(ValidationMiddleware(app), method="POST", headers=headers, body=body)).status == 200


@pytest.mark.parametrize(
    ("content_type", "encoding", "body"),
    [
        (JSON, "gzip", gzip.compress(b'{"a": "it\'s fine"}', mtime=0)),
        ("application/x-protobuf", "snappy", BINARY),
        ("application/vnd.google.protobuf", "zstd", BINARY),
        ("application/x-msgpack", "br", BINARY),
        ("application/vnd.apache.arrow.stream", "lz4", BINARY),
        ("application/octet-stream", "br", BINARY),
    ],
)
async def test_an_ordinary_encoding_passes(content_type: str, encoding: str, body: bytes) -> None:
    """Agents that measure send what only their servers undo."""
    headers = {"Content-Type": content_type, "Content-Encoding": encoding}
    assert (await call(ValidationMiddleware(app), method="POST", headers=headers, body=body)).status == 200


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"),
        ("User-Agent", "python-requests/2.32 (it's me; +https://x.example/bot)"),
        ("Cookie", f"prefs={quote(json.dumps({'theme': 'dark', 'size': 'a or b'}))}; seen=1; _a=b.c-d|e"),
        ("Cookie", f"state={b64encode(json.dumps({'next': '/a?b=1&c=d', 'name': 'Ann'}).encode()).decode()}"),
        ("Referer", "https://www.example.com/search?q=rock+%27n%27+roll&page=2"),
        ("X-Forwarded-For", "203.0.113.7, 198.51.100.2:443"),
        ("X-Trace", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ],
)
async def test_an_ordinary_header_passes(name: str, line: str) -> None:
    """Browsers keep what a page has told them to."""
    assert (await call(ValidationMiddleware(app), headers={name: line})).status == 200


async def app(_scope: Any, receive: Any, send: Any) -> None:
    """Read the body to its end."""
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"read"})
