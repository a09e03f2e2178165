"""The application of the demo: a small shop in plain ASGI that knows nothing of the guard, with faults that shops have.

It trusts every request, reads every body to its end, fails with a secret in the message of its exception, and once
fails in the middle of a response.
Must never be run but by the demo.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from asgi_guard.engine.types import Header, Receive, Scope, Send

PLANTED: Final = "postgres://shop:hunter2@10.0.0.7/orders"
"""The secret that the failing endpoints put into the message of their exception."""

PARTS: Final = tuple(b"part %d of 5\n" % number for number in range(1, 6))
PAUSE_SECONDS: Final = 0.05
"""What `/stream` sends, and how long it waits before each further part."""

_KEPT_ITEMS: Final = 100


class LedgerError(Exception):
    """What the failing endpoints raise."""


class Shop:
    """The application; its items live as long as it does, the last 100 of them."""

    def __init__(self) -> None:
        self._items: deque[dict[str, Any]] = deque([{"id": 1, "name": "lamp"}], maxlen=_KEPT_ITEMS)
        self._routes: dict[tuple[str, str], Callable[[Scope, Receive, Send], Awaitable[None]]] = {
            ("GET", "/items"): self._list_items,
            ("POST", "/items"): self._add_item,
            ("GET", "/stream"): _stream,
            ("POST", "/upload"): _upload,
            ("GET", "/boom"): _boom,
            ("GET", "/late"): _late,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope (ASGI 3)."""
        if scope["type"] == "websocket":
            await (_echo(receive, send) if scope["path"] == "/ws" else send({"type": "websocket.close"}))
            return
        route = self._routes.get((scope["method"], scope["path"]))
        if route is None:
            await _answer(send, 404, {"error": "there is nothing here"})
        else:
            await route(scope, receive, send)

    async def _list_items(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await _answer(send, 200, {"items": list(self._items)})

    async def _add_item(self, _scope: Scope, receive: Receive, send: Send) -> None:
        body = b"".join([chunk async for chunk in _chunks(receive)])
        try:
            name = str(json.loads(body)["name"])[:80]
        except (ValueError, KeyError, TypeError):
            await _answer(send, 422, {"error": 'send {"name": "..."}'})
            return
        item = {"id": self._items[-1]["id"] + 1, "name": name}
        self._items.append(item)
        await _answer(send, 201, item)


async def _stream(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _start(send, 200, b"text/plain")
    for number, part in enumerate(PARTS):
        if number:
            await asyncio.sleep(PAUSE_SECONDS)
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})


async def _upload(scope: Scope, receive: Receive, send: Send) -> None:
    """Report how much came in, and by which headers its length was told."""
    received = 0
    async for chunk in _chunks(receive):
        received += len(chunk)
    lengths = [name.decode() for name, _ in scope["headers"] if name in {b"content-length", b"transfer-encoding"}]
    await _answer(send, 200, {"received": received, "told_by": sorted(lengths)})


async def _boom(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise LedgerError(f"cannot reach {PLANTED}")


async def _late(_scope: Scope, _receive: Receive, send: Send) -> None:
    await _start(send, 200, b"application/json")
    raise LedgerError(f"lost {PLANTED} in the middle of a response")


async def _echo(receive: Receive, send: Send) -> None:
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        else:
            await send({"type": "websocket.send", "text": message.get("text") or ""})


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)  # neither the last chunk nor a disconnect says that there is more
        yield message.get("body", b"")


async def _answer(send: Send, status: int, content: Any) -> None:
    body = json.dumps(content).encode()
    await _start(send, status, b"application/json", (b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.body", "body": body})


async def _start(send: Send, status: int, content_type: bytes, *more: Header) -> None:
    headers = [(b"content-type", content_type), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
