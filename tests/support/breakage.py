"""One application that does what middlewares are known to break, behind four stacks: `/<stack>/<path>?<key>`.

    bare         nothing
    told-nothing `Guard(app)`
    guard        the guard, with a rate for one path
    naive        what tutorials show: classes of `BaseHTTPMiddleware`
    assembled    what people put together from packages, all of them pure ASGI, where they are installed

What cannot be seen on the wire is noted under the key of the request, and is told at `/notes?<key>`.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from asgi_guard import Guard, RateLimit, RequestLimits

AMOUNT = 2
"""How many requests a client may send to `/limited` in a minute, and how many sessions it may open at `/session`."""
MAX_BODY_BYTES = 1_000_000
PATIENCE = 150
"""How often an endpoint asks whether its client has left, every hundredth of a second, before it gives up."""

notes: defaultdict[str, dict[str, Any]] = defaultdict(lambda: {"asked": 0, "arrived": 0})
user: ContextVar[str] = ContextVar("user", default="nobody")


def note(request: Request) -> dict[str, Any]:
    """Return what is noted of a request."""
    return notes[request.url.query]


# what the application does


async def stream(request: Request) -> Response:
    """Answer in five pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(5):
            yield b"piece %d\n" % number

    return StreamingResponse(pieces(), media_type="text/plain")


async def upload(request: Request) -> Response:
    """Note each piece as it comes."""
    async for piece in request.stream():
        note(request)["arrived"] += len(piece)
    return JSONResponse(note(request)["arrived"])


async def sign_in(request: Request) -> Response:
    """Set two cookies."""
    response = JSONResponse({})
    response.set_cookie("session", "1")
    response.set_cookie("theme", "dark")
    return response


async def work_afterwards(request: Request) -> Response:
    """Answer, then work."""

    async def work() -> None:
        await asyncio.sleep(0)
        note(request)["worked"] = True

    return PlainTextResponse("done", background=BackgroundTask(work))


async def wait_for_the_end(request: Request) -> Response:
    """Ask again and again whether the client has left."""
    note(request)["begun"] = True
    for _ in range(PATIENCE):
        if await request.is_disconnected():
            note(request)["left"] = True
            break
        await asyncio.sleep(0.01)
    else:
        note(request)["left"] = False
    return PlainTextResponse("done")


async def stream_for_ever(request: Request) -> Response:
    """Stream until somebody stops it."""

    async def pieces() -> AsyncIterator[bytes]:
        note(request)["begun"] = True
        try:
            while True:
                yield b" " * 1_000
                await asyncio.sleep(0.01)
        finally:
            note(request)["stopped"] = True

    return StreamingResponse(pieces(), media_type="text/plain")


async def set_context(request: Request) -> Response:
    """Leave something in a context variable, for what stands outside."""
    user.set("ada")
    return PlainTextResponse("done")


async def fail_late(request: Request) -> Response:
    """Fail when a part is out."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"the first part"
        raise RuntimeError("the second part is missing")

    return StreamingResponse(pieces(), media_type="text/plain")


async def fail(request: Request) -> Response:
    """Fail at once."""
    raise RuntimeError("nobody handles this")


async def answer(request: Request) -> Response:
    """Answer, as often as the stack lets it."""
    return PlainTextResponse("done")


async def session(websocket: WebSocket) -> None:
    """Accept, and say so."""
    await websocket.accept()
    await websocket.send_text("welcome")
    await websocket.close()


def application(limited: Callable[[Request], Any] = answer, **settings: Any) -> Starlette:
    """Make the application, perhaps with another endpoint at the path that is limited."""
    return Starlette(
        routes=[
            Route("/stream", stream),
            Route("/upload", upload, methods=["POST"]),
            Route("/sign-in", sign_in),
            Route("/work-afterwards", work_afterwards),
            Route("/wait-for-the-end", wait_for_the_end),
            Route("/stream-for-ever", stream_for_ever),
            Route("/set-context", set_context),
            Route("/fail-late", fail_late),
            Route("/fail", fail),
            Route("/limited", limited),
            WebSocketRoute("/session", session),
        ],
        **settings,
    )


# what stands around it


class RequestId(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["X-Request-ID"] = uuid.uuid4().hex
        return response


class SecurityHeaders(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


class BodyLimit(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        length = request.headers.get("content-length")
        if (length and int(length) > MAX_BODY_BYTES) or len(await request.body()) > MAX_BODY_BYTES:
            return JSONResponse({"detail": "too large"}, 413)
        return await call_next(request)


class Logging(BaseHTTPMiddleware):
    """Reads the answers that are JSON, and makes them anew."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response: Any = await call_next(request)
        if response.headers.get("content-type") != "application/json":
            return response
        body = b"".join([piece async for piece in response.body_iterator])
        return Response(body, response.status_code, headers=dict(response.headers))


class RateLimiting(BaseHTTPMiddleware):
    def __init__(self, app: Any) -> None:
        super().__init__(app)
        self.requests: Counter[str] = Counter()

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        host = request.client.host  # type: ignore[union-attr]
        if request.url.path in {"/limited", "/session"}:
            self.requests[host] += 1
            if self.requests[host] > AMOUNT:
                return JSONResponse({"detail": "slow down"}, 429)
        return await call_next(request)


def naive() -> Starlette:
    """Put the classes together as they are told to: the last that is added stands outermost."""
    app = application()
    for middleware in (Logging, BodyLimit, SecurityHeaders, RequestId, RateLimiting):
        app.add_middleware(middleware)
    return app


def assembled() -> Starlette:
    """Put packages together, each as its own page says."""
    from asgi_correlation_id import CorrelationIdMiddleware
    from secure.middleware import SecureASGIMiddleware
    from slowapi import Limiter, _rate_limit_exceeded_handler
    from slowapi.errors import RateLimitExceeded
    from slowapi.middleware import SlowAPIASGIMiddleware
    from slowapi.util import get_remote_address
    from starlette.middleware.body_limit import RequestBodyLimitMiddleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    limiter = Limiter(key_func=get_remote_address, default_limits=["1000/minute"])
    app = application(
        limiter.limit(f"{AMOUNT}/minute")(answer),
        middleware=[
            Middleware(CorrelationIdMiddleware),
            Middleware(CORSMiddleware, allow_origins=["https://shop.example"]),
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY_BYTES),
            Middleware(SecureASGIMiddleware),
            Middleware(SlowAPIASGIMiddleware),
        ],
        exception_handlers={RateLimitExceeded: _rate_limit_exceeded_handler},
    )
    app.state.limiter = limiter
    return app


def guarded() -> Guard:
    """Limit the same path with the guard, and the sessions, which the others cannot."""
    limits = RequestLimits(max_body_bytes=MAX_BODY_BYTES, total_seconds=30, idle_seconds=20, max_concurrent=100)
    return Guard(
        application(),
        request_limits=limits,
        rate_limit=[RateLimit(f"{AMOUNT}/minute", name=path[1:], paths=[path]) for path in ("/limited", "/session")],
        cors=["https://shop.example"],
        trusted_host=["127.0.0.1:*", "localhost"],
    )


STACKS: Mapping[str, Callable[[], Any]] = {
    "bare": application,
    "told-nothing": lambda: Guard(application()),
    "guard": guarded,
    "naive": naive,
    "assembled": assembled,
}
PACKAGES = ("asgi_correlation_id", "secure", "slowapi", "starlette.middleware.body_limit")
APPS = {name: make() for name, make in STACKS.items() if name != "assembled" or all(map(find_spec, PACKAGES))}


# what stands outside of all


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Choose the stack by the first segment of the path, and note what only the outermost can see."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    _, stack, path = scope["path"].split("/", 2)
    key = scope["query_string"].decode()
    if stack == "notes":
        response = JSONResponse(notes[key])
        await response(scope, receive, send)
        return

    async def counted() -> Any:
        notes[key]["asked"] += 1
        return await receive()

    user.set("nobody")
    try:
        await APPS[stack]({**scope, "path": f"/{path}", "raw_path": f"/{path}".encode()}, counted, send)
    finally:
        notes[key]["user"] = user.get()
        notes[key]["over"] = True
