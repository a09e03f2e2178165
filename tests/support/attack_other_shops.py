"""Two plain ASGI shops: one with holes of the rarer shapes, and one without any, which looks much the same."""

from __future__ import annotations

import html
import json
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jinja2

from asgi_guard.engine.types import ASGIApp, Receive, Scope, Send

ROUTES = (
    ("GET", "/sorted", {"by": "query"}),
    ("GET", "/quietly", {"by": "query"}),
    ("POST", "/found", {"filter.name": "json"}),
    ("POST", "/comments", {"text": "form"}),
    ("GET", "/comments", {}),
    ("POST", "/session", {"user": "json", "password": "json"}),
    ("GET", "/go", {"to": "query"}),
    ("GET", "/greeting", {"name": "query"}),
    ("GET", "/files/{name}", {}),
)

OTHER_HOLES = {
    ("GET /sorted", "by", "sqli"),
    ("GET /quietly", "by", "sqli"),
    ("POST /found", "filter.name", "sqli"),
    ("POST /comments", "text", "xss"),
    ("POST /session", "user", "nosql"),
    ("POST /session", "password", "nosql"),
    ("GET /go", "to", "redirect"),
    ("GET /greeting", "name", "template"),
    ("GET /files/{name}", "name", "traversal"),
}
"""Where the holes are: the route, the parameter and the class."""

_USERS = ({"user": "ann", "password": "correct horse"}, {"user": "bob", "password": "battery"})
_OPERATORS: dict[str, Any] = {
    "$ne": lambda is_, said: is_ != said,
    "$eq": lambda is_, said: is_ == said,
    "$gt": lambda is_, said: is_ > said,
    "$lt": lambda is_, said: is_ < said,
    "$in": lambda is_, said: is_ in said,
    "$nin": lambda is_, said: is_ not in said,
}


class _Shop:
    def __init__(self, *, is_open: bool) -> None:
        self._is_open = is_open
        self._comments: list[str] = []
        self._rows = sqlite3.connect(":memory:", check_same_thread=False)
        self._rows.executescript(
            "create table items(id text, name text); insert into items values ('1', '1'), ('2', 'table'), ('3', 'lamp')"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError("only HTTP")
        body = b""
        while (message := await receive()).get("more_body") or message.get("body"):
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        status, kind, text = self._answered(scope, body.decode())
        headers = [(b"content-type", kind.encode())]
        if status == 302:
            headers, text = [(b"location", text.encode("utf-8"))], ""
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text.encode()})

    def _answered(self, scope: Scope, body: str) -> tuple[int, str, str]:
        path: str = scope["path"]
        asked = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        if path.startswith("/files/"):
            return self._file(path.removeprefix("/files/"))
        does = {
            ("GET", "/sorted"): lambda: self._sorted(asked.get("by", "1"), is_quiet=False),
            ("GET", "/quietly"): lambda: self._sorted(asked.get("by", "1"), is_quiet=True),
            ("POST", "/found"): lambda: self._found(json.loads(body)),
            ("POST", "/comments"): lambda: self._comment(parse_qs(body).get("text", [""])[0]),
            ("GET", "/comments"): lambda: (
                200,
                "text/html",
                "".join(f"<p>{self._shown(one)}" for one in self._comments),
            ),
            ("POST", "/session"): lambda: self._session(json.loads(body)),
            ("GET", "/go"): lambda: self._go(asked.get("to", "/")),
            ("GET", "/greeting"): lambda: self._greeting(asked.get("name", "you")),
        }.get((scope["method"], path))
        return (404, "text/plain", "") if does is None else does()

    def _shown(self, text: str) -> str:
        return text if self._is_open else html.escape(text)

    def _comment(self, text: str) -> tuple[int, str, str]:
        self._comments = [*self._comments[-100:], text]
        return 201, "application/json", "{}"

    def _sorted(self, by: str, *, is_quiet: bool) -> tuple[int, str, str]:
        column = by if self._is_open else by if by in {"id", "name"} else "1"
        try:
            rows = self._rows.execute(f"select * from items order by {column}").fetchall()
        except sqlite3.Error:
            return (200, "application/json", "[]") if is_quiet else (500, "text/plain", "sorry")
        return 200, "application/json", json.dumps(rows)

    def _found(self, asked: Any) -> tuple[int, str, str]:
        name = str(asked["filter"]["name"])
        query, values = ("select * from items where name = ?", (name,))
        if self._is_open:
            query, values = f"select * from items where name = '{name}'", ()
        try:
            return 200, "application/json", json.dumps(self._rows.execute(query, values).fetchall())
        except sqlite3.Error:
            return 200, "application/json", "[]"

    def _session(self, asked: Any) -> tuple[int, str, str]:
        for user in _USERS:
            if all(self._is_like(is_, asked.get(name)) for name, is_ in user.items()):
                return 200, "application/json", '{"signed_in": true}'
        return 401, "application/json", '{"signed_in": false}'

    def _is_like(self, is_: str, said: Any) -> bool:
        if not self._is_open or not isinstance(said, dict):
            return is_ == said
        return all(name in _OPERATORS and _OPERATORS[name](is_, value) for name, value in said.items())

    def _go(self, to: str) -> tuple[int, str, str]:
        is_ours = to.startswith("/") and (self._is_open or not to.startswith(("//", "/\\")))
        return 302, "", to.replace("\r", "").replace("\n", "") if is_ours else "/"

    def _greeting(self, name: str) -> tuple[int, str, str]:
        if not self._is_open:
            return 200, "text/html", jinja2.Environment(autoescape=True).from_string("Hi {{ name }}").render(name=name)
        try:
            return 200, "text/html", jinja2.Environment(autoescape=True).from_string(f"Hi {html.escape(name)}").render()
        except jinja2.TemplateError:
            return 200, "text/html", "Hi"

    def _file(self, name: str) -> tuple[int, str, str]:
        folder = Path("/srv/shop")
        if not self._is_open and ".." in name:
            return 404, "text/plain", ""
        try:
            return 200, "text/plain", (folder / name.lstrip("" if self._is_open else "/")).read_text()[:2_000]
        except (OSError, ValueError):
            return 404, "text/plain", ""


def with_other_holes() -> ASGIApp:
    """Make the shop that has them."""
    return _Shop(is_open=True)


def without_other_holes() -> ASGIApp:
    """Make the shop that has none."""
    return _Shop(is_open=False)
