"""The shop in ASGI itself."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl
from zlib import crc32

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


def read_form(scope: Any, body: bytes) -> dict[str, Any]:
    """Read a form by hand."""
    kind = dict(scope["headers"])[b"content-type"]
    if not kind.startswith(b"multipart/"):
        return {"note": dict(parse_qsl(body.decode()))["note"], "file": crc32(b"")}
    parts = [part.partition(b"\r\n\r\n") for part in body.split(b"--" + kind.partition(b"boundary=")[2])[1:-1]]
    contents = {head.partition(b'name="')[2].partition(b'"')[0]: content[:-2] for head, _, content in parts}
    return {"note": contents[b"note"].decode(), "file": crc32(contents[b"file"])}


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
        case _, "/form":
            await answer(send, json.dumps(read_form(scope, b"".join(await read(receive)))).encode())
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
