"""Scenarios: the applications, requests and stacks that are measured, each made fresh for each request as servers do.

Rule 1: whoever is compared gets the same requests, answers with the same headers, and is warm.
Rule 2: a request is made before the clock starts: its scope, its state, and header bytes whose hash nobody knows yet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from asgi_guard import Guard, Middleware
from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.layer import Layer

App = Callable[..., Awaitable[None]]
Call = tuple[dict[str, Any], Callable[[], Awaitable[dict[str, Any]]]]

PLENTY = "1000000/minute"
"""A rate that no measurement exceeds."""

PAIRS = tuple((b"x-mark-%d" % number, b"on") for number in range(10))

PARTS = ("request_id", "security_headers", "error_envelope", "request_limits", "rate_limit")
"""The parts of the standard stack that are built, outermost first."""

ADDRESSES = tuple(f"198.51.{number // 250}.{number % 250}" for number in range(1_000))

HEADERS = (
    (b"host", b"shop.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"),
    (b"accept", b"application/json, text/plain, */*"),
    (b"accept-language", b"en-US,en;q=0.7,de;q=0.3"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"referer", b"https://shop.example/catalogue/chairs"),
    (b"authorization", b"Bearer 6kq1Zx0vT1m8R2fYw3uN5pQ7sB9dC4aE"),
    (b"cookie", b"session=8f3c1e5a7b9d2046; theme=dark; consent=1"),
    (b"connection", b"keep-alive"),
    (b"sec-fetch-dest", b"empty"),
    (b"sec-fetch-mode", b"cors"),
    (b"sec-fetch-site", b"same-origin"),
)
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"11")],
}
BODY = {"type": "http.response.body", "body": b'{"ok":true}'}
ACCEPT = {"type": "websocket.accept"}


@dataclass(frozen=True)
class Contender:
    """An application, and what makes the request number n for it."""

    app: App
    call: Callable[[int], Call]


# Applications that do nothing: what is left to measure is what stands around them.


async def null(scope, receive, send):
    """Answer a GET with a little JSON."""
    await send(START)
    await send(BODY)


async def reader(scope, receive, send):
    """Read the whole body, then answer."""
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(BODY)


async def failing(scope, receive, send):
    """Raise what nobody handles."""
    raise LookupError("on purpose")


async def chat(scope, receive, send):
    """Accept a WebSocket, and wait for the client to leave."""
    await receive()
    await send(ACCEPT)
    await receive()


# Requests.


def get(number: int, client: str | None = None, *extra: tuple[bytes, bytes]) -> Call:
    """Make a GET with twelve headers, or more."""
    return _scope(number, client, extra), _never


def post(number: int) -> Call:
    """Make a POST whose body comes in three chunks of 1 KB."""
    scope = _scope(number, None, ((b"content-length", b"3072"), (b"content-type", b"application/octet-stream")))
    messages = [{"type": "http.request", "body": bytes(1_024), "more_body": rest > 0} for rest in (2, 1, 0)]
    return {**scope, "method": "POST"}, _from(messages)


def oversized(number: int) -> Call:
    """Make a POST that declares a body of a gigabyte."""
    scope, receive = get(number, None, (b"content-length", b"1073741824"))
    return {**scope, "method": "POST"}, receive


def handshake(number: int) -> Call:
    """Make a WebSocket handshake of a client that leaves at once."""
    scope, _ = get(number)
    own = {"type": "websocket", "scheme": "ws", "subprotocols": [], "extensions": {"websocket.http.response": {}}}
    return {**scope, **own}, _from([{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1001}])


def _scope(number: int, client: str | None, extra: tuple[tuple[bytes, bytes], ...]) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/api/items/42",
        "raw_path": b"/api/items/42",
        "query_string": b"page=2&sort=price",
        "root_path": "",
        "headers": [(copied(name), copied(value)) for name, value in (*HEADERS, *extra)],
        "client": (copied(client or ADDRESSES[number % len(ADDRESSES)]), 51_234),
        "server": ("127.0.0.1", 8_000),
        "state": {},
    }


def copied(text):
    """Return an equal text or bytes object that nobody has seen before."""
    return (text + text[:1])[:-1]


def _from(messages):
    waiting = iter(messages)

    async def receive():
        return next(waiting)

    return receive


async def _never():
    raise AssertionError("nobody has asked for this body")


# Stacks.


def guard(app: App, **settings: Any) -> Guard:
    """Wrap in every part that is built, with a rate that is never exceeded."""
    return Guard(app, **{"rate_limit": PLENTY, **settings})


def one_part(app: App, part: str) -> Guard:
    """Wrap in one part alone."""
    only = {name: name == part for name in PARTS} | ({"rate_limit": PLENTY} if part == "rate_limit" else {})
    return Guard(app, **only)


def unfused(app: App) -> App:
    """Wrap in the layers of `guard`, each a middleware of its own."""
    for layer in reversed(guard(app).layers):
        app = Middleware(app, layer, fuse=False)
    return app


def engine_alone(app: App) -> Middleware:
    """Wrap in a layer that does nothing."""
    return Middleware(app, Layer())


class Marks(Layer):
    """Adds one header to each response."""

    def __init__(self, pair: tuple[bytes, bytes]) -> None:
        self.pair = pair

    def head(self, exchange: Exchange, headers: list[tuple[bytes, bytes]]) -> None:
        headers.append(self.pair)


def marked(app: App, pairs: Iterable[tuple[bytes, bytes]]) -> Middleware:
    """Wrap in a layer for each pair."""
    return Middleware(app, *[Marks(pair) for pair in pairs])
