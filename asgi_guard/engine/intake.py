"""Intake: the way in, from the server to the application, past the layers that observe or look into the body.

Without a layer that looks into this body there is one stage. With some, stages stand inside one another, as the layers
would: each `body` hook reads through the stages outside it, and what it read is handed on, the same messages in the
same order. A request that declares no body, and has none, is not looked into. Once a layer has answered, everything
inside it is told `http.disconnect` (which every framework understands, where an exception out of `receive` becomes a
400 or a 500 in most).
Must never take a disconnect for the end of a body, and never call the server's `receive` before it is asked to.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from asgi_guard.engine.life import new_event
from asgi_guard.engine.replies import POLICY_VIOLATION, disconnect
from asgi_guard.engine.types import Message, Receive

if TYPE_CHECKING:
    from asgi_guard.engine.exchange import Exchange
    from asgi_guard.engine.layer import Layer


_DISCONNECTS = frozenset({"http.disconnect", "websocket.disconnect"})


async def taken(exchange: Exchange, source: Receive | None, first: int, last: int) -> Message:
    """Return the next message as it looks from inside `last`.

    Args:
        exchange: whose message.
        source: the next stage further out; None for whoever stands outside: the server, or an outer exchange.
        first: the outermost position whose layer sees the message here.
        last: the innermost.
    """
    message: Message | None = None
    if exchange.cut < first:
        if source is not None:
            message = await source()
        else:
            try:
                message = await exchange.outside()
            except Exception as exc:
                exchange.foreign = exc
                raise
            if message["type"] in _DISCONNECTS:
                exchange.is_gone = True
    if message is None or exchange.cut >= first:  # answered before, or while this was waiting
        message = disconnect(exchange.kind, POLICY_VIOLATION)
        first = exchange.cut + 1
    for position, hook in exchange.plan.inbounds:
        if first <= position <= last:
            try:
                reply = hook(exchange, message)
            except Exception as exc:
                exchange.fail_at(position, exc)
                raise
            if reply is not None:
                await exchange.refuse(position, reply)
                message = disconnect(exchange.kind, reply.websocket_code)
    return message


def stages(exchange: Exchange) -> Receive:
    """Stack up the stages that this request needs: one for each layer that looks into this body, and the last."""
    plan = exchange.plan
    source: Receive | None = None
    first = 0
    if exchange.kind == "http":
        media_type: bytes | None = None
        for position, hook in plan.bodies:
            layer = plan.layers[position]
            if b"*/*" not in layer.body_types:
                if media_type is None:
                    media_type = (exchange.header(b"content-type") or b"").partition(b";")[0].strip().lower()
                if media_type not in layer.body_types:
                    continue
            source = LookAheadStage(partial(taken, exchange, source, first, position), exchange, position, layer, hook)
            first = position + 1
    return partial(taken, exchange, source, first, plan.size - 1)


class LookAheadStage:
    """The stage of one `body` hook: lets it look, then hands the same messages on."""

    __slots__ = (
        "_bytes",
        "_exchange",
        "_given",
        "_hook",
        "_is_looking",
        "_layer",
        "_looked",
        "_messages",
        "_passed_on",
        "_position",
        "_seen",
        "_source",
    )

    def __init__(
        self, source: Receive, exchange: Exchange, position: int, layer: Layer, hook: Callable[..., Awaitable[Any]]
    ) -> None:
        self._source = source
        self._exchange = exchange
        self._position = position
        self._layer = layer
        self._hook: Callable[..., Awaitable[Any]] | None = hook
        self._is_looking = False
        self._looked: Any = None
        self._passed_on: Exception | None = None
        self._messages: list[Message] = []
        self._bytes = self._seen = self._given = 0

    async def __call__(self) -> Message:
        """Return the next message; the first call lets the layer look."""
        while self._hook is not None and self._position not in self._exchange.plan.silent:
            if not self._is_looking:
                await self._look(self._hook)
            else:  # another task of the application reads too: it must not take messages away from the look
                if self._looked is None:
                    self._looked = new_event()
                await self._looked.wait()
        if self._exchange.cut >= self._position:
            return disconnect(self._exchange.kind, POLICY_VIOLATION)
        if self._given < len(self._messages):  # counted, not popped: that would move the rest for each of many chunks
            self._given += 1
            return self._messages[self._given - 1]
        return await self._source()

    async def _look(self, hook: Callable[..., Awaitable[Any]]) -> None:
        exchange = self._exchange
        self._is_looking = True
        self._seen = 0  # a look that was cancelled starts again, so that an application's time-out is no way past it
        try:
            reply = None if await self._is_without_body() else await hook(exchange, self._read)
            self._hook = None
            if reply is not None and self._position not in exchange.cuts:
                await exchange.refuse(self._position, reply)
        except Exception as exc:
            self._hook = None
            if exc is not self._passed_on and exc is not exchange.broken and exc is not exchange.foreign:
                if self._position in exchange.cuts:  # its own `inbound` has spoken: a layer answers, or fails, once
                    return
                exchange.fail_at(self._position, exc)
            raise
        finally:
            self._is_looking = False
            if self._looked is not None:
                self._looked.set()
                self._looked = None

    async def _is_without_body(self) -> bool:
        """Tell whether there is nothing to look at; what is declared is left unread for the hook to decide on."""
        found = self._exchange.found
        if found.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in found:
            return False
        message = await self._read()
        self._seen = 0
        return message is not None and not message.get("body") and not message.get("more_body", False)

    async def _read(self) -> Message | None:
        """Read for the hook: None at the end, on disconnect, and when as much was read as the layer declared."""
        if self._seen == len(self._messages):
            if self._is_read_to_the_end() or self._bytes >= self._layer.body_look_ahead_bytes:
                return None
            try:
                message = await self._source()
            except Exception as exc:
                self._passed_on = exc
                raise
            self._messages.append(message)
            self._bytes += len(message.get("body") or b"") or 1  # or empty chunks would be kept without a bound
        self._seen += 1
        message = self._messages[self._seen - 1]
        return message if message["type"] == "http.request" else None

    def _is_read_to_the_end(self) -> bool:
        return bool(self._messages) and not self._messages[-1].get("more_body", False)
