"""The shop in ASGI itself."""

from __future__ import annotations

import json
from typing import Any

from shops import SECRET

Body = list[bytes]


async def read(receive: Any) -> Body:
    """Read the body, as it comes."""
    pieces: Body = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionError("the client has left")
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return pieces


async def answer(send: Any, *pieces: bytes) -> None:
    """Answer with JSON, in these pieces."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


async def echo(receive: Any, send: Any) -> None:
    """Say everything back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


async def prepare(receive: Any, send: Any) -> None:
    """Take part in the lifespan."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Serve every endpoint."""
    match scope["type"], scope.get("path"):
        case "lifespan", _:
            await prepare(receive, send)
        case "websocket", _:
            await echo(receive, send)
        case _, "/json":
            await answer(send, json.dumps({"id": scope.get("state", {}).get("request_id")}).encode())
        case _, "/upload":
            await answer(send, json.dumps({"sizes": [len(piece) for piece in await read(receive)]}).encode())
        case _, "/whole":
            await answer(send, json.dumps(json.loads(b"".join(await read(receive)))).encode())
        case _, "/stream":
            await answer(send, b"0", b"1", b"2")
        case _, "/crash":
            raise RuntimeError(SECRET)
        case _:
            await send({"type": "http.response.start", "status": 404})
            await send({"type": "http.response.body", "body": b"nowhere"})


def make() -> Any:
    """Make the shop."""
    return app
