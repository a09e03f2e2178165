"""Scenarios: the applications and requests that are measured; a request is made fresh each time, as servers do.

Rule 1: whoever is compared gets the same requests, answers with the same headers, and is warm.
Rule 2: a request is made before the clock starts: its scope, its state, and header bytes whose hash nobody knows yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

App = Callable[..., Awaitable[None]]
Call = tuple[dict[str, Any], Callable[[], Awaitable[dict[str, Any]]]]

PLENTY = "1000000/minute"
"""A rate that no measurement exceeds."""

REFUSING = "1/day"
"""A rate that the second request exceeds."""

PAIRS = tuple((b"x-mark-%d" % number, b"on") for number in range(10))

# What the full guard, and the full stack by hand, are told.
PROXIES = ("10.0.0.0/8", "fd00::/8")
HOSTS = ("shop.example", "*.shop.example")
ORIGINS = ("https://app.shop.example", "https://admin.shop.example")
ALLOWED_METHODS = ("GET", "PUT", "DELETE")
ALLOWED_HEADERS = ("Authorization", "Content-Type")
TOTAL_SECONDS, IDLE_SECONDS, MAX_CONCURRENT = 30.0, 10.0, 1_000

_NETWORKS = 1 << 21
"""The networks of 16 addresses in 64.0.0.0/6, with as many addresses between each two of them."""

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


async def slow(scope, receive, send):
    """Answer late."""
    await asyncio.sleep(0.25)
    await null(scope, receive, send)


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


def unfinished(number: int) -> Call:
    """Make a POST whose body does not come."""
    scope, _ = post(number)
    return scope, _nothing


def from_one_client(_number: int) -> Call:
    """Make a GET of always the same client."""
    return get(0)


def oversized(number: int) -> Call:
    """Make a POST that declares a body of a gigabyte."""
    scope, receive = get(number, None, (b"content-length", b"1073741824"))
    return {**scope, "method": "POST"}, receive


def proxied(number: int) -> Call:
    """Make a GET that came over TLS to a trusted proxy, which names the client."""
    address = ADDRESSES[number % len(ADDRESSES)].encode()
    scope, receive = get(number, "10.20.30.40", (b"x-forwarded-for", address))
    return {**scope, "scheme": "https"}, receive


def stranger(number: int) -> Call:
    """Make a GET of a client that never asked before, at an address between two blocked networks."""
    place = 16 + (64 << 24) + (number * 2_654_435_761 % _NETWORKS << 5)
    return get(number, ".".join(map(str, place.to_bytes(4, "big"))))


def altered(call: Callable[[int], Call], *headers: tuple[bytes, bytes], **fields: Any) -> Callable[[int], Call]:
    """Make requests like those of another maker, with other headers, and other fields of the scope."""
    names = {name for name, _ in headers}

    def make(number: int) -> Call:
        scope, receive = call(number)
        kept = [pair for pair in scope["headers"] if pair[0] not in names]
        own = [(copied(name), copied(value)) for name, value in headers]
        return {**scope, **fields, "headers": [*kept, *own]}, receive

    return make


def another(number: int) -> Call:
    """Make a GET of another item and another page each time: nothing that was looked at before."""
    path = f"/api/items/{number}"
    page = b"page=%d&sort=price" % (number % 97)
    return altered(get, path=path, raw_path=path.encode(), query_string=page)(number)


ORIGIN = (b"origin", ORIGINS[0].encode())
ASKED = (
    ORIGIN,
    (b"access-control-request-method", b"PUT"),
    (b"access-control-request-headers", b"authorization,content-type"),
)
cross_origin = altered(get, ORIGIN)
"""A GET of another origin's page."""

plain = altered(get, query_string=b"")
"""A GET without parameters."""

search = altered(get, query_string=b"q=red+shoes+size+42&page=2&sort=price")
"""A GET with three."""

preflight = altered(proxied, *ASKED, method="OPTIONS")
"""What a browser asks before that page may PUT."""


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


@cache
def networks(count: int) -> tuple[str, ...]:
    """Choose networks to block; none of them has a client of these scenarios in it."""
    places = [(64 << 24) + (number << 5) for number in Random(5).sample(range(_NETWORKS), count)]
    return tuple(".".join(map(str, place.to_bytes(4, "big"))) + "/28" for place in places)


BLOCKED = networks(1_000)[0].removesuffix("/28")
"""An address that is blocked where 1,000 networks are."""


def copied(text):
    """Return an equal text or bytes object that nobody has seen before."""
    return (text + text[:1])[:-1]


def _from(messages):
    waiting = iter(messages)

    async def receive():
        return next(waiting)

    return receive


async def _nothing():
    await asyncio.sleep(60)


async def _never():
    raise AssertionError("nobody has asked for this body")
