"""What the servers of these tests serve: an application that tells what reached it, bare and behind the guard."""

from __future__ import annotations

import asyncio
import hashlib
import json

from asgi_guard import Guard, RateLimit, RequestLimits

SECRET = "/srv/secrets/ledger.key"
BLOCK = bytes(range(256)) * 256
BLOCKS = 800  # 50 MB in all
TYPES = {"/events": b"text/event-stream", "/lines": b"application/x-ndjson", "/large": b"application/octet-stream"}
gates = {}


async def app(scope, receive, send):
    """Stream, fail, or echo: by the path."""
    if scope["type"] == "lifespan":
        await live(receive, send)
    elif scope["type"] == "websocket":
        await talk(scope, receive, send)
    elif scope["path"] in TYPES:
        await stream(scope, send)
    elif scope["path"] == "/go-on":
        gates[scope["query_string"]].set()
        await answer(send, b"{}")
    elif scope["path"] == "/fails":
        raise LookupError(SECRET)
    elif scope["path"] == "/fails-late":
        await start(send, b"application/json")
        raise LookupError(SECRET)
    else:
        await echo(scope, receive, send)


async def live(receive, send):
    """Start and stop."""
    while (await receive())["type"] == "lifespan.startup":
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


async def talk(scope, receive, send):
    """Tell who the client is, then echo."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": told(scope)})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def stream(scope, send):
    """Send a large download; or a first part, and the second once somebody has asked to go on."""
    path = scope["path"]
    await start(send, TYPES[path], (b"x-accel-buffering", b"no"))  # nginx would hold it back
    if path == "/large":
        for number in range(BLOCKS):
            await part(send, number.to_bytes(4, "big") + BLOCK[4:])
    else:
        gate = gates[scope["query_string"]] = asyncio.Event()
        await part(send, b"data: 1\n\n" if path == "/events" else b'{"row": 1}\n')
        await gate.wait()
        await part(send, b"data: 2\n\n" if path == "/events" else b'{"row": 2}\n')
    await send({"type": "http.response.body"})


async def echo(scope, receive, send):
    """Tell what arrived."""
    digest, size, more = hashlib.sha256(), 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        digest.update(message.get("body", b""))
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = told(scope, size=size, sha256=digest.hexdigest()).encode()
    await answer(send, body, is_head=scope["method"] == "HEAD")


def told(scope, **more):
    """Write what is told of a scope."""
    names = ("http_version", "scheme", "method", "path")
    client = scope["client"] and scope["client"][0]
    return json.dumps({"client": client, **{name: scope.get(name) for name in names}, **more})


async def start(send, content_type, *headers):
    """Send the start of a response."""
    headers = [(b"content-type", content_type), *headers]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def part(send, body):
    """Send a part of a body, not the last."""
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def answer(send, body, *, is_head=False):
    """Send a whole response; to HEAD, all but its body."""
    await start(send, b"application/json", (b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.body", "body": b"" if is_head else body})


guarded = Guard(app)
strict = Guard(
    app,
    trusted_host=["127.0.0.1:*"],
    https=True,
    rate_limit=[
        RateLimit("3/hour", name="pages", paths=["/limited"]),
        RateLimit("1/hour", name="chat", paths=["/once"]),
    ],
    request_limits=RequestLimits(max_body_bytes=40_000),
)
