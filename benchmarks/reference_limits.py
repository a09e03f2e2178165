"""Reference, limits: how large, how long, how many at once and how often, as middlewares that are written by hand."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from reference_answers import CLOSE, answer, error
from scenarios import App

from asgi_guard import MemoryStore
from asgi_guard.limiting.rate import parse_rate


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
        await answer(scope, send, 413, self.too_large, last=CLOSE)


class Deadlines:
    """Answers for an application that takes too long, and for a client whose body does not go on."""

    TOO_LONG = error("timeout", "RESPONSE_TOO_SLOW", "The response took too long.", severity="medium", retryable=True)
    TOO_SLOW = error("timeout", "BODY_TOO_SLOW", "The request body came too slowly.", retryable=True)

    def __init__(self, app: App, total_seconds: float, idle_seconds: float) -> None:
        self.app = app
        self.total = total_seconds
        self.idle = idle_seconds

    async def __call__(self, scope, receive, send):  # noqa: C901  by hand it is all in one place
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_started = is_over = is_received = False

        async def receive_in_time():
            nonlocal is_over, is_received
            if is_over:
                return {"type": "http.disconnect"}
            if is_received:  # whoever asks now wants to know when the client leaves
                return await receive()
            try:
                async with asyncio.timeout(self.idle):
                    message = await receive()
            except TimeoutError:
                is_over = True
                if not has_started:
                    await answer(scope, send, 408, self.TOO_SLOW, last=CLOSE)
                return {"type": "http.disconnect"}
            is_received = not message.get("more_body", False)
            return message

        async def send_in_time(message):
            nonlocal has_started
            if not is_over:
                has_started = True
                await send(message)

        try:
            async with asyncio.timeout(self.total) as total:
                await self.app(scope, receive_in_time, send_in_time)
        except TimeoutError:
            if has_started or not total.expired():
                raise
            await answer(scope, send, 504, self.TOO_LONG)


class Concurrency:
    """Refuses requests while so many others are served."""

    BUSY = error("system", "TOO_MANY_AT_ONCE", "The service is busy.", severity="medium", retryable=True)

    def __init__(self, app: App, maximum: int) -> None:
        self.app = app
        self.maximum = maximum
        self.running = 0

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if self.running >= self.maximum:
            await answer(scope, send, 503, self.BUSY, ["Try again in 1 s."], first=[(b"retry-after", b"1")])
            return
        self.running += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.running -= 1


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


def _client(scope) -> str | bytes:
    client = scope.get("client")
    host = client[0] if client else "unknown"
    if ":" not in host:
        return host
    host = host.partition("%")[0].lower()
    if host.startswith("::ffff:") and "." in host:
        return host[7:]
    return socket.inet_pton(socket.AF_INET6, host)[:8]
