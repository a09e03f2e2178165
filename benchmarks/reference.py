"""Reference: the same protections as five middlewares, as a careful author writes them by hand, one around the other.

What they answer is equal to the byte to what `Guard` answers (`cost` sees to that before anything is measured), and
they are fast: everything that can be is computed when they are built. They do less than the guard where doing it would
cost them more: errors are JSON only, a held start is let go after 50 ms only when asked (`lets_go`), the application's
headers are not searched for line breaks, nobody listens to events, and WebSockets pass untouched. The counts of the
rate limit are kept by the package's own store on both sides: what differs is the middleware around it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from scenarios import PLENTY, App

from asgi_guard import MemoryStore
from asgi_guard.layers.request_id import new_request_id
from asgi_guard.layers.security_headers import PRESETS
from asgi_guard.limiting.rate import parse_rate

logger = logging.getLogger("reference")

INTERNAL = error("system", "INTERNAL_ERROR", "Something went wrong on the server.", severity="high")
STREAMED = (b"text/event-stream", b"application/grpc", b"application/ndjson", b"application/x-ndjson")


class RequestIDs:
    """Gives each request an id."""

    def __init__(self, app: App, factory: Callable[[], str]) -> None:
        self.app = app
        self.factory = factory

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = self.factory()
        pair = (b"x-request-id", request_id.encode())

        async def send_with_id(message):
            if message["type"] == "http.response.start":
                headers = [header for header in message["headers"] if header[0] != b"x-request-id"]
                message = {**message, "headers": [*headers, pair]}
            await send(message)

        state = {**scope.get("state", {}), "request_id": request_id}
        await self.app({**scope, "state": state}, receive, send_with_id)


class SecurityHeaders:
    """Adds what the kind of the response calls for and the application has not set."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.secure = {kind: _pairs(table) for kind, table in PRESETS["auto"].items()}
        self.plain = {
            kind: tuple(pair for pair in pairs if pair[0] != b"strict-transport-security")
            for kind, pairs in self.secure.items()
        }

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        tables = self.secure if scope.get("scheme") == "https" else self.plain

        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                headers = message["headers"]
                present = dict(headers)
                pairs = tables[_kind(present.get(b"content-type", b""))]
                message = {**message, "headers": [*headers, *[pair for pair in pairs if pair[0] not in present]]}
            await send(message)

        await self.app(scope, receive, send_with_headers)


class ErrorEnvelope:
    """Turns what nobody handled into a 500, also between the start of a response and its first byte.

    With `lets_go` a start that was held for 50 ms goes out, as the guard's does: without that a client that waits for
    the head of a slow answer waits for its first byte.
    """

    def __init__(self, app: App, *, lets_go: bool = False) -> None:
        self.app = app
        self.lets_go = lets_go

    async def __call__(self, scope, receive, send):  # noqa: C901  by hand it is all in one place
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        held = None
        has_started = False
        timer = None

        async def let_go():
            nonlocal held, has_started
            if held is not None:
                start, held = held, None
                has_started = True
                await send(start)

        async def send_held(message):
            nonlocal held, has_started, timer
            if message["type"] == "http.response.start" and not _is_streamed(message["headers"]):
                held = message
                if self.lets_go:
                    loop = asyncio.get_running_loop()
                    timer = loop.call_later(0.05, lambda: loop.create_task(let_go()))
                return
            if timer is not None:
                timer.cancel()
                timer = None
            if held is not None:
                start, held = held, None
                has_started = True
                await send(start)
            has_started = True
            await send(message)

        try:
            await self.app(scope, receive, send_held)
        except Exception:
            if has_started:
                raise
            logger.exception("%s %s failed", scope["method"], scope["path"])
            await answer(scope, send, 500, INTERNAL)


class RequestLimits:
    """Refuses a head or a body that is too large."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.max_body, self.max_headers, self.max_bytes, self.max_url = 10 * 1024 * 1024, 100, 32 * 1024, 8 * 1024
        text = "The request body is too large."
        self.too_large = error("validation", "BODY_TOO_LARGE", text, details={"limit": self.max_body})

    async def __call__(self, scope, receive, send):  # noqa: C901  one frame is faster than three
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = scope["headers"]
        if len(scope["raw_path"]) + len(scope["query_string"]) > self.max_url:
            await answer(scope, send, 414, error("validation", "URL_TOO_LONG", "The URL is too long."))
            return
        size = 0
        lengths = []
        chunked = False
        for name, value in headers:
            size += len(name) + len(value)
            if name == b"content-length":
                lengths.append(value)
            elif name == b"transfer-encoding":
                chunked = True
        if len(headers) > self.max_headers or size > self.max_bytes:
            await answer(scope, send, 431, error("validation", "HEADERS_TOO_LARGE", "The headers are too large."))
            return
        if lengths:
            if chunked or len(set(lengths)) > 1 or not lengths[0].isdigit():
                await answer(scope, send, 400, error("validation", "MALFORMED_REQUEST", "The length is malformed."))
                return
            if int(lengths[0]) > self.max_body:
                await self._too_large(scope, send)
                return
        received = 0
        is_cut_off = False

        async def receive_counted():
            nonlocal received, is_cut_off
            if is_cut_off:
                return {"type": "http.disconnect"}
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.max_body:
                is_cut_off = True
                await self._too_large(scope, send)
                return {"type": "http.disconnect"}
            return message

        async def send_unless_cut_off(message):
            if not is_cut_off:
                await send(message)

        await self.app(scope, receive_counted, send_unless_cut_off)

    async def _too_large(self, scope, send):
        await answer(scope, send, 413, self.too_large, last=[(b"connection", b"close")])


class RateLimit:
    """Refuses a client that asks too often, and tells each what it has left."""

    def __init__(self, app: App, rate: str, clock: Callable[[], int]) -> None:
        self.app = app
        limits = parse_rate(rate)
        self.hit = MemoryStore(clock=clock).bucket("default", limits).hit
        policy = ",".join(f'"{one.name}";q={one.amount};w={one.seconds}' for one in limits)
        self.policy = (b"ratelimit-policy", policy.encode())
        self.state = ",".join(f'"{one.name}";r=%d;t=%d' for one in limits).encode()
        self.names = [one.name for one in limits]

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        decision = self.hit(_client(scope))
        counts = []
        for left, wait_ns in zip(decision.remaining, decision.reset_after_ns, strict=True):
            counts += left, -(-wait_ns // 1_000_000_000)
        told = [(b"ratelimit", self.state % tuple(counts)), self.policy]
        if not decision.allowed:
            await self._refuse(scope, send, decision, told)
            return

        async def send_with_counts(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *told]}
            await send(message)

        await self.app(scope, receive, send_with_counts)

    async def _refuse(self, scope, send, decision, told):
        wait = decision.retry_after_seconds
        names = [self.names[position] for position in decision.violated]
        body = error(
            "rate_limit", "RATE_LIMIT_EXCEEDED", "Too many requests.", retryable=True, details={"limits": names}
        )
        suggestions = [f"Try again in {wait} s."]
        await answer(scope, send, 429, body, suggestions, first=[(b"retry-after", b"%d" % wait)], last=told)


class Marks:
    """Adds one header to each response."""

    def __init__(self, app: App, pair: tuple[bytes, bytes]) -> None:
        self.app = app
        self.pair = pair

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_marked(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], self.pair]}
            await send(message)

        await self.app(scope, receive, send_marked)


def nested(
    app: App,
    rate: str = PLENTY,
    clock: Callable[[], int] = time.monotonic_ns,
    factory: Callable[[], str] = new_request_id,
    *,
    lets_go: bool = False,
) -> App:
    """Wrap in all five, in the order of the guard."""
    app = RequestLimits(RateLimit(app, rate, clock))
    return RequestIDs(SecurityHeaders(ErrorEnvelope(app, lets_go=lets_go)), factory)


def marked(app: App, pairs: Iterable[tuple[bytes, bytes]]) -> App:
    """Wrap in a middleware for each pair."""
    for pair in reversed([*pairs]):
        app = Marks(app, pair)
    return app


def _pairs(table):
    return tuple((name.encode(), value.encode()) for name, value in table.items())


def _kind(content_type: bytes) -> str:
    if content_type == b"application/json":
        return "data"
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type in {b"text/html", b"application/xhtml+xml"}:
        return "page"
    return "data" if media_type == b"application/json" or media_type.endswith(b"+json") else "other"


def _is_streamed(headers) -> bool:
    return any(name == b"content-type" and value.startswith(STREAMED) for name, value in headers)


def _client(scope) -> str | bytes:
    client = scope.get("client")
    host = client[0] if client else "unknown"
    if ":" not in host:
        return host
    host = host.partition("%")[0].lower()
    if host.startswith("::ffff:") and "." in host:
        return host[7:]
    return socket.inet_pton(socket.AF_INET6, host)[:8]
