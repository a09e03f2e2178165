"""Application: what the servers serve while they are asked: each path behaves in its own way, as applications do.

It runs in a process of its own, which `entry` loads, and tells by `/seen` what it has noticed. Where nothing around it
refuses, it refuses itself, without reading a byte more than it must: the same rules tell what a server makes of an
early answer, whoever gives it.
Must never use a library of either event loop: on one server there is no task that such a library would know.
"""

# ruff: noqa: ARG001  an application takes scope, receive and send, used or not
from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any, Final

from asgi_guard.engine.types import Message, Receive, Scope, Send

WRAP: Final = "CONFORMANCE_WRAP"
"""The variable that names what to wrap the application in: `module:attribute`."""

REFUSES: Final = "CONFORMANCE_REFUSES"
"""The variable that is set where that refuses what is to be refused."""

REFUSED_HOST: Final = "refused.example"
"""Requests and handshakes for this host are refused."""

LIMIT_BYTES: Final = 1_000_000
"""Bodies of more are refused."""

CHUNK: Final = b"0123456789abcdef" * 4_096
DOWNLOAD_CHUNKS: Final = 128
ENDLESS_CHUNKS: Final = 1_024

_START: Final[Message] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain"), (b"content-length", b"5")],
}
_BODY: Final[Message] = {"type": "http.response.body", "body": b"hello"}

Behaviour = Callable[[Scope, Receive, Send, list[Any]], Awaitable[None]]

_seen: dict[str, list[Any]] = {}
_lifespan: list[str] = []
_refuses_itself: bool = not os.environ.get(REFUSES)


async def serve(scope: Scope, receive: Receive, send: Send) -> None:
    """Be the application."""
    if scope["type"] == "lifespan":
        await _live(scope, receive, send)
        return
    notes = _seen.setdefault(scope["query_string"].decode("latin-1"), [])
    table = _PATHS if scope["type"] == "http" else _HANDSHAKES
    if _refuses_itself and any(value == REFUSED_HOST.encode() for name, value in scope["headers"] if name == b"host"):
        await (_refuse if scope["type"] == "http" else _deny)(scope, receive, send, notes)
        return
    notes.append("called")
    behaviour = table.get(scope["path"], next(iter(table.values())))
    await behaviour(scope, receive, send, notes)


async def _live(scope: Scope, receive: Receive, send: Send) -> None:
    for phase in ("startup", "shutdown"):
        _lifespan.append((await receive())["type"])
        scope.get("state", {})["conformance"] = "kept"
        await send({"type": f"lifespan.{phase}.complete"})


# Requests -------------------------------------------------------------------------------------------------------------


async def _hello(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    for message in (_START, _BODY):  # the very same objects for each request
        await send(message)


async def _scope(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]]
    state = scope.get("state", {}).get("conformance")
    await _tell(send, {"headers": headers, "method": scope["method"], "lifespan": _lifespan, "state": state})


async def _tell_seen(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await _tell(send, _seen.get(scope["query_string"].decode("latin-1").removeprefix("of="), []))


async def _nothing_in_the_start(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send(_BODY)


async def _lines(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    twice = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"vary", b"Accept"), (b"x-app", b"1"), (b"x-app", b"2")]
    await send({**_START, "headers": [*_START["headers"], *twice]})
    await send(_BODY)


async def _echo(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await send({**_START, "headers": [(b"content-type", b"application/octet-stream")]})
    more = True
    while more:
        message = await receive()
        notes.append(message["type"])
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": more})


async def _upload(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    digest, size, more = sha256(), 0, True
    while more:
        message = await receive()
        notes.append([message["type"], message.get("more_body", False)])
        digest.update(message.get("body", b""))
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
        if _refuses_itself and size > LIMIT_BYTES:
            await _answer(send, 413, b"too large")
            return
    await _tell(send, {"size": size, "digest": digest.hexdigest()})


async def _declared(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    length = next((int(value) for name, value in scope["headers"] if name == b"content-length"), 0)
    if _refuses_itself and length > LIMIT_BYTES:
        await _answer(send, 413, b"too large")
    else:
        await _upload(scope, receive, send, notes)


async def _stream(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await send({**_START, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    await _pause(0.4)
    await send({"type": "http.response.body", "body": b"second"})


async def _download(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await send({**_START, "headers": [(b"content-type", b"application/octet-stream")]})
    for left in range(DOWNLOAD_CHUNKS, 0, -1):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": left > 1})


async def _endless(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await send({**_START, "headers": [(b"content-type", b"application/octet-stream")]})
    for left in range(ENDLESS_CHUNKS, 0, -1):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": left > 1})
        notes[:] = [ENDLESS_CHUNKS - left]


async def _no_content(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def _not_modified(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", b'"1"')]})
    await send({"type": "http.response.body"})


async def _early(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    raise LookupError("a secret of the application")


async def _late(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await send(_START)
    raise LookupError("a secret of the application")


async def _broken(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await send({**_START, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"part", "more_body": True})
    await _pause(0.1)
    raise LookupError("a secret of the application")


async def _after_the_end(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await _hello(scope, receive, send, notes)
    raise LookupError("a secret of the application")


async def _silent(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    pass


async def _background(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await _hello(scope, receive, send, notes)
    await _pause(0.4)
    notes.append("worked")


async def _wait(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await send({**_START, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    while (message := await receive())["type"] == "http.request":
        pass
    notes.append(message["type"])


async def _afterwards(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await _hello(scope, receive, send, notes)
    while (message := await receive())["type"] == "http.request":
        pass
    notes.append(message["type"])


async def _too_long(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await send(_START)
    await send({"type": "http.response.body", "body": b"hello, and more than was promised"})


async def _twice(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    for message in (_START, _START, _BODY):
        await send(message)


async def _split(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await send({**_START, "headers": [*_START["headers"], (b"x-value", b"1\r\nx-injected: 1")]})
    await send(_BODY)


async def _refuse(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await _answer(send, 421, b"refused")


_PATHS: Final[Mapping[str, Behaviour]] = {
    "/hello": _hello,
    "/scope": _scope,
    "/seen": _tell_seen,
    "/no-headers": _nothing_in_the_start,
    "/lines": _lines,
    "/echo": _echo,
    "/upload": _upload,
    "/declared": _declared,
    "/stream": _stream,
    "/download": _download,
    "/endless": _endless,
    "/no-content": _no_content,
    "/not-modified": _not_modified,
    "/early": _early,
    "/late": _late,
    "/broken": _broken,
    "/after-the-end": _after_the_end,
    "/silent": _silent,
    "/background": _background,
    "/wait": _wait,
    "/afterwards": _afterwards,
    "/too-long": _too_long,
    "/twice": _twice,
    "/split": _split,
}


# Handshakes -----------------------------------------------------------------------------------------------------------


async def _chat(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await receive()
    subprotocol = next(iter(scope.get("subprotocols") or ()), None)
    await send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": [(b"x-app", b"1")]})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") == "close":
            await send({"type": "websocket.close", "code": 4001, "reason": "enough"})
        elif message.get("text") == "fail":
            raise LookupError("a secret of the application")
        elif message.get("text") is not None:
            await send({"type": "websocket.send", "text": message["text"]})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
    notes.append(message["type"])


async def _close(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await receive()
    await send({"type": "websocket.close", "code": 1008})


async def _deny(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await receive()
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "websocket.http.response.start", "status": 421, "headers": [(b"content-length", b"7")]})
    await send({"type": "websocket.http.response.body", "body": b"refused"})


async def _fail(scope: Scope, receive: Receive, send: Send, notes: list[Any]) -> None:
    await receive()
    raise LookupError("a secret of the application")


_HANDSHAKES: Final[Mapping[str, Behaviour]] = {"/chat": _chat, "/close": _close, "/deny": _deny, "/fail": _fail}


# Helpers --------------------------------------------------------------------------------------------------------------


async def _tell(send: Send, told: object) -> None:
    await _answer(send, 200, json.dumps(told).encode(), b"application/json")


async def _answer(send: Send, status: int, body: bytes, kind: bytes = b"text/plain") -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _pause(seconds: float) -> None:
    trio = sys.modules.get("trio")
    on_trio = trio is not None and trio.lowlevel.in_trio_run()
    loop: Any = trio if on_trio else sys.modules["asyncio"]
    await loop.sleep(seconds)
