"""Reference: the same protections as middlewares that a careful author writes by hand, one around the other.

What they answer is equal to the byte to what `Guard` answers (`cost` sees to that before anything is measured), and
they are fast: everything that can be is computed when they are built. They do less than the guard where doing it would
cost them more: errors are JSON only, a held start is let go after 50 ms only when asked (`lets_go`), the application's
headers are not searched for line breaks, nobody listens to events, nothing can be changed for one request or while it
runs, and WebSockets pass untouched. The counts of the rate limit are kept by the package's own store on both sides:
what differs is the middleware around it. Who asks, from where and for what is judged in `reference_access`, how
much of it in `reference_limits`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from reference_access import CORS, HTTPS, ClientAddress, FetchMetadata, IPFilter, TrustedHost
from reference_answers import answer, error
from reference_limits import Concurrency, Deadlines, RateLimit, RequestLimits
from scenarios import (
    ALLOWED_HEADERS,
    ALLOWED_METHODS,
    HOSTS,
    IDLE_SECONDS,
    MAX_CONCURRENT,
    ORIGINS,
    PLENTY,
    PROXIES,
    TOTAL_SECONDS,
    App,
    networks,
)

from asgi_guard.layers.request_id import new_request_id
from asgi_guard.layers.security_headers import PRESETS

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

    def __init__(self, app: App, preset: str = "auto") -> None:
        self.app = app
        self.secure = {kind: _pairs(table) for kind, table in PRESETS[preset].items()}
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
    """Wrap in the five that stand for `Guard(app)`, in its order."""
    app = RequestLimits(RateLimit(app, rate, clock))
    return RequestIDs(SecurityHeaders(ErrorEnvelope(app, lets_go=lets_go)), factory)


def fully_nested(
    app: App,
    rate: str = PLENTY,
    clock: Callable[[], int] = time.monotonic_ns,
    factory: Callable[[], str] = new_request_id,
    *,
    lets_go: bool = False,
    https: str = "require",
    total_seconds: float = TOTAL_SECONDS,
    idle_seconds: float = IDLE_SECONDS,
    max_concurrent: int = MAX_CONCURRENT,
) -> App:
    """Wrap in all of them, in the order and with the settings of the full guard."""
    app = FetchMetadata(RateLimit(app, rate, clock))
    app = RequestLimits(Concurrency(Deadlines(app, total_seconds, idle_seconds), max_concurrent))
    app = TrustedHost(HTTPS(IPFilter(app, block=networks(1_000)), https), HOSTS)
    app = SecurityHeaders(ErrorEnvelope(app, lets_go=lets_go), "strict")
    app = RequestIDs(CORS(app, ORIGINS, ALLOWED_METHODS, ALLOWED_HEADERS), factory)
    return ClientAddress(app, PROXIES)


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
