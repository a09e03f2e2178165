"""Whole stacks: what a service puts around itself today, all of it, and what it puts around itself with us.

The application is the same for all: a GET, a POST of JSON, an upload, a stream and a WebSocket of Starlette. Today's
assembly is Starlette's CORS, hosts and body limit, secure, slowapi and asgi-correlation-id, and to be observed
OpenTelemetry's middleware and prometheus-fastapi-instrumentator. Ours is `Guard`.

Rule 1: each sends the same headers, as far as it can, and is set up as its documentation shows.
Rule 2: a stack is imported when it is built, so that nobody's memory holds what others need.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import peers_stacks
from peers_stacks import MAX_BODY_BYTES, SECURITY_HEADERS, SENT
from scenarios import HOSTS, ORIGINS, PLENTY, App
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

REDIS = os.environ.get("WHOLE_REDIS", "")
"""The server that those ask which share what they count: `redis://127.0.0.1:6379/0`."""

PARTS = 5


async def _item(request: Request) -> JSONResponse:
    return JSONResponse({"ok": True})


async def _posted(request: Request) -> JSONResponse:
    return JSONResponse({"fields": len(await request.json())})


async def _upload(request: Request) -> JSONResponse:
    return JSONResponse({"bytes": len(await request.body())})


async def _stream(request: Request) -> StreamingResponse:
    async def parts():
        for number in range(PARTS):
            yield b"part %d\n" % number

    return StreamingResponse(parts(), media_type="text/plain")


async def _broken(request: Request) -> JSONResponse:
    raise LookupError("a secret that nobody is to read")


async def _echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        return


def application(*middleware: Middleware) -> Starlette:
    """Make the application, with middlewares of Starlette's kind around it, outermost first."""
    routes = [
        Route("/api/items/{number:int}", _item),
        Route("/api/items", _posted, methods=["POST"]),
        Route("/api/files", _upload, methods=["POST"]),
        Route("/api/stream", _stream),
        Route("/api/broken", _broken),
        WebSocketRoute("/api/echo", _echo),
    ]
    return Starlette(routes=routes, middleware=middleware)


def bare(rate: str = PLENTY) -> App:
    """Protect nothing."""
    return application()


def headers_alone(rate: str = PLENTY) -> App:
    """Protect nothing, and send the headers that the others send, ready made."""
    app = application()

    async def wrapped(scope, receive, send):
        async def adding(message):
            if message["type"] == "http.response.start":
                message["headers"].extend(SENT)
            await send(message)

        await app(scope, receive, adding if scope["type"] == "http" else send)

    return wrapped


def ours(rate: str = PLENTY, *, shares: bool = False, observes: bool = False) -> App:
    """Protect, and detect attacks; count in Redis where it is shared; measure, and make spans, where it is observed."""
    from asgi_guard import Guard, RateLimit, RedisStore, RequestLimits, Telemetry

    store = RedisStore(REDIS) if shares else None
    return Guard(
        application(),
        trusted_host=HOSTS,
        cors=ORIGINS,
        security_headers="strict",
        request_limits=RequestLimits(max_body_bytes=MAX_BODY_BYTES),
        rate_limit=RateLimit(rate, headers=False, **({} if store is None else {"store": store})),
        telemetry=Telemetry(tracer_provider=_traced()) if observes else False,
        endpoints=observes,
        monitor=observes,
    )


def today(rate: str = PLENTY, *, shares: bool = False, observes: bool = False) -> App:
    """Protect with the package that is recommended for each, all of them pure ASGI; nobody detects attacks."""
    from asgi_correlation_id import CorrelationIdMiddleware
    from secure import Secure
    from secure.headers import CustomHeader
    from secure.middleware import SecureASGIMiddleware
    from slowapi import Limiter, _rate_limit_exceeded_handler
    from slowapi.errors import RateLimitExceeded
    from slowapi.middleware import SlowAPIASGIMiddleware
    from slowapi.util import get_remote_address
    from starlette.middleware.body_limit import RequestBodyLimitMiddleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    headers = Secure(custom=[CustomHeader(*pair) for pair in SECURITY_HEADERS.items()])
    app = application(
        Middleware(CorrelationIdMiddleware),
        Middleware(CORSMiddleware, allow_origins=ORIGINS),
        Middleware(SecureASGIMiddleware, secure=headers),
        Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS),
        Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY_BYTES),
        Middleware(SlowAPIASGIMiddleware),
    )
    uri = {"storage_uri": REDIS} if shares else {}
    app.state.limiter = Limiter(key_func=get_remote_address, default_limits=[rate], **uri)
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
    return _observed(app) if observes else app


def _observed(app: Starlette) -> App:
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from prometheus_client import CollectorRegistry
    from prometheus_fastapi_instrumentator import Instrumentator

    Instrumentator(registry=CollectorRegistry()).instrument(app)
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    # Without its spans of single messages, which few want and which cost as much again.
    return OpenTelemetryMiddleware(
        app, tracer_provider=_traced(), meter_provider=meters, exclude_spans=["receive", "send"]
    )


def _traced() -> Any:
    """Make a tracer provider that samples everything, and whose exporter does nothing."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    return provider


def of_a_peer(make: Callable[..., App], rate: str = PLENTY) -> App:
    """Put a stack of `peers_stacks` around this application."""
    theirs, peers_stacks.application = peers_stacks.application, application
    try:
        return make(rate)
    finally:
        peers_stacks.application = theirs


BARE, HEADERS = "bare", "headers alone"
OURS, OURS_REDIS, OURS_ALL = "asgi-guard", "asgi-guard, Redis", "asgi-guard, Redis and spans"
TODAY, TODAY_OBSERVED = "today", "today, observed"
TODAY_REDIS, TODAY_ALL = "today, Redis", "today, Redis and observed"
NAIVE, QUIET, GUARD = "naive", "fastapi-guard, no detection", "fastapi-guard"

STACKS: Mapping[str, Callable[..., App]] = MappingProxyType(
    {
        BARE: bare,
        HEADERS: headers_alone,
        OURS: ours,
        "asgi-guard, observed": partial(ours, observes=True),
        OURS_REDIS: partial(ours, shares=True),
        OURS_ALL: partial(ours, shares=True, observes=True),
        TODAY: today,
        TODAY_OBSERVED: partial(today, observes=True),
        TODAY_REDIS: partial(today, shares=True),
        TODAY_ALL: partial(today, shares=True, observes=True),
        NAIVE: partial(of_a_peer, peers_stacks.naive),
        QUIET: partial(of_a_peer, peers_stacks.STACKS["fastapi-guard, pure ASGI, no detection"]),
        GUARD: partial(of_a_peer, peers_stacks.STACKS["fastapi-guard"]),
    }
)
"""All of them, by the names that the results give them; each takes the rate."""

SLOW = frozenset({GUARD})
"""Whoever takes so long for one request that a handful of them is a batch."""

PACKAGES = (
    *peers_stacks.PACKAGES,
    "redis",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-asgi",
    "prometheus-fastapi-instrumentator",
)
"""What is measured beside us, or measured on."""
