"""Stacks: middlewares for the kit over sockets: guards, and others that each have a fault."""

# ruff: noqa: BLE001, D103  the faults are written as people write them, and their names say what they do
from __future__ import annotations

import asyncio

from asgi_guard import Guard, RequestLimits
from asgi_guard.engine.fuse import Middleware

LIMIT_BYTES = 1_000_000


def guard(app):
    return Guard(
        app,
        rate_limit="1000000/second",
        trusted_host="testserver",
        request_limits=RequestLimits(max_body_bytes=LIMIT_BYTES),
    )


def nested_guard(app):
    for layer in reversed(guard(app).layers):
        app = Middleware(app, layer, fuse=False)
    return app


def on_http(change):
    """Make a middleware that lets everything but requests pass."""

    def wrap(app):
        async def middleware(scope, receive, send):
            await (change if scope["type"] == "http" else call)(app, scope, receive, send)

        return middleware

    return wrap


async def call(app, scope, receive, send):
    await app(scope, receive, send)


@on_http
async def reads_first(app, scope, receive, send):
    messages = []
    while not messages or messages[-1].get("more_body"):
        messages.append(await receive())

    async def replay():
        return messages.pop(0) if messages else await receive()

    await app(scope, replay, send)


@on_http
async def takes_a_disconnect_for_the_end(app, scope, receive, send):
    async def translating():
        message = await receive()
        gone = message["type"] == "http.disconnect"
        return {"type": "http.request", "body": b"", "more_body": False} if gone else message

    await app(scope, translating, send)


@on_http
async def buffers_the_response(app, scope, receive, send):
    messages = []

    async def keep(message):
        messages.append(message)

    await app(scope, receive, keep)
    for message in messages:
        await send(message)


@on_http
async def sends_from_another_task(app, scope, receive, send):
    queue = asyncio.Queue()

    async def forward():
        while (message := await queue.get()) is not None:
            await send(message)

    forwarding = asyncio.create_task(forward())
    await app(scope, receive, queue.put)
    await queue.put(None)
    await forwarding


@on_http
async def ends_broken_responses(app, scope, receive, send):
    try:
        await app(scope, receive, send)
    except Exception:
        await send({"type": "http.response.body"})


@on_http
async def tells_what_went_wrong(app, scope, receive, send):
    try:
        await app(scope, receive, send)
    except Exception as exc:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": str(exc).encode()})


@on_http
async def makes_a_dict_of_headers(app, scope, receive, send):
    async def once(message):
        if "headers" in message:
            message = {**message, "headers": [*dict(message["headers"]).items()]}
        await send(message)

    await app({**scope, "headers": [*dict(scope["headers"]).items()]}, receive, once)


@on_http
async def extends_the_applications_list(app, scope, receive, send):
    async def extend(message):
        if "status" in message:
            message.setdefault("headers", []).append((b"x-guard", b"1"))
        await send(message)

    await app(scope, receive, extend)


def answers_lifespans_itself(app):
    async def middleware(scope, receive, send):
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})

    return middleware


def hides_what_happens_to_websockets(app):
    async def middleware(scope, receive, send):
        try:
            await app(scope, receive, send)
        except Exception:
            if scope["type"] != "websocket":
                raise
            await asyncio.sleep(60)

    return middleware


def refuses_nothing(app):
    return app


def raises_instead_of_refusing(app):
    async def middleware(scope, receive, send):
        size = 0

        async def limited():
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > LIMIT_BYTES:
                raise ValueError("too large")
            return message

        if any(value == b"refused.example" for _, value in scope.get("headers", ())):
            raise PermissionError
        await app(scope, limited, send)

    return middleware
