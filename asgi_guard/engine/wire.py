"""Wire: the state of one request on its way, and the `send` and `receive` that the application is given.

A fused stack has to behave as the same layers nested one inside the other would. Three facts keep it so:

* `floor`: the outermost position that the response start has passed; `plan.size` while there is none, 0 once it is on
  the wire. The layer at position p may still answer while p < floor.
* `cuts`: the positions that answered, or failed, before the application was through. What the application sends still
  passes the layers inside a cut, as it would in real nesting, and ends there. `cut` is the innermost of them.
* `answered_at` and `broken_at`: the outermost of either kind; the outer of the two decides what becomes of the call.

Must never mutate the scope, the messages or the header lists that it was handed, and never run a `head` twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from asgi_guard.engine import headers as header_list
from asgi_guard.engine.life import Deadline, Turn, ticker
from asgi_guard.engine.request import Request
from asgi_guard.engine.types import Headers, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from asgi_guard.engine.plan import Plan

logger = logging.getLogger("asgi_guard")

SWITCHING_PROTOCOLS = 101

HEADS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
"""The messages with which an application starts its answer."""

ENDS = {
    "http.response.body": "more_body",
    "http.response.pathsend": "",
    "http.response.trailers": "more_trailers",
    "http.response.zerocopysend": "more_body",
    "websocket.close": "",
    "websocket.http.response.body": "more_body",
}
"""The messages that may be the last, and the key that says that they are not."""

NEVER_HELD = (
    b"text/event-stream",
    b"application/grpc",
    b"application/json-seq",
    b"application/jsonl",
    b"application/ndjson",
    b"application/x-ndjson",
    b"multipart/x-mixed-replace",
)
"""Media types whose head a client waits for before there is a body: their start is never held back."""


class Wire(Request):
    """What has passed, and in which direction; calling it is the application's `send`."""

    __slots__ = (
        "_held",
        "_intake",
        "_outer",
        "_promises_trailers",
        "_send",
        "answered_at",
        "broken",
        "broken_at",
        "cut",
        "cuts",
        "deadlines",
        "floor",
        "foreign",
        "is_expired",
        "is_gone",
        "outside",
        "over_at",
        "reply_floor",
        "status",
        "turn",
    )

    def __init__(self, plan: Plan, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(plan, scope)
        self.outside = receive
        self._send = send
        self._intake: Receive | None = None
        self._held: Message | None = None
        self.turn: Turn | None = None
        self.foreign: Exception | None = None
        self._promises_trailers = self.is_gone = self.is_expired = False
        self.broken: Exception | None = None
        self.floor = self.reply_floor = self.over_at = self.answered_at = self.broken_at = plan.size
        self.cuts: tuple[int, ...] = ()
        self.cut = -1
        self.status = 0
        self.deadlines: list[Deadline] | None = None
        self._outer: Wire | None = None
        if isinstance(send, Wire):  # nested for real: what layers share goes on to the inner exchange
            self._outer = send
            self.request_id = send.request_id
            self._client = send.client

    @property
    def _is_cut_off(self) -> bool:
        """Tell whether nothing that the application sends can reach the wire any more."""
        return self.cut >= 0 or (self._outer is not None and self._outer._is_cut_off)  # noqa: SLF001

    @property
    def _is_deserted(self) -> bool:
        """Tell whether nobody waits for an answer any more."""
        return self.is_gone or self.cut >= 0 or (self._outer is not None and self._outer._is_deserted)  # noqa: SLF001

    @property
    def is_accepted(self) -> bool:
        """Tell whether this is a WebSocket whose handshake the application accepts or has accepted."""
        return self.kind == "websocket" and self.status == SWITCHING_PROTOCOLS

    @property
    def has_rescuer(self) -> bool:
        """Tell whether any layer, here or further out, could turn an exception into a reply."""
        return bool(self.plan.rescues) or (self._outer is not None and self._outer.has_rescuer)

    # The way out ------------------------------------------------------------------------------------------------------

    async def __call__(self, message: Message) -> None:
        """Be the application's `send`."""
        if self.turn is not None:
            await self.turn.wait()
        kind = message["type"]
        top = self.plan.size - 1
        if kind in HEADS:
            if self.floor <= top or self._held is not None:
                raise RuntimeError(f"the application sent {kind!r} after it had started its response")
            await self._start(message, kind)
            return
        if self._held is not None:
            hold = self.plan.hold
            self._observe(message, top, max(hold, self.cut) + 1)
            await self._commit()
            top = hold
        if self.floor < self.plan.size:
            self._observe(message, top, self.cut + 1)
        if self.cut < 0:
            await self._pass(message)
        if kind in ENDS and not message.get(ENDS[kind], False):
            self._end(kind)

    async def _start(self, message: Message, kind: str) -> None:
        plan = self.plan
        headers = header_list.fresh(message.get("headers") or ())
        self.status = message.get("status", SWITCHING_PROTOCOLS)
        self._promises_trailers = message.get("trailers", False)
        hold = plan.hold
        if hold > self.cut and kind == "http.response.start" and not _is_streaming(headers):
            self._edit_start(headers, plan.size - 1, hold + 1)
            self._held = {**message, "headers": headers}
            ticker().hold(self)
            return
        bottom = self.cut + 1
        edited = headers if kind != "websocket.accept" or _accept_takes_headers(self.scope) else list(headers)
        self._edit_start(edited, plan.size - 1, bottom)
        if not bottom:
            await self._pass({**message, "headers": headers})

    async def _commit(self) -> None:
        """Put a held start on the wire: now the layers from the holder outwards edit its head."""
        message, self._held = self._held, None
        hold, bottom = self.plan.hold, self.cut + 1
        if message is None or bottom > hold:
            return
        ticker().release(self)
        self._edit_start(message["headers"], hold, bottom)
        if not bottom:
            await self._pass(message)

    async def commit_late(self) -> None:
        """Put a start on the wire that the ticker has seen held for long enough."""
        if self._held is not None:
            async with Turn(self):
                await self._commit()

    async def _pass(self, message: Message) -> None:
        try:
            await self._send(message)
        except Exception as exc:
            self.foreign = exc
            self.is_gone = self.is_gone or isinstance(exc, OSError)
            raise

    def _edit(self, headers: Headers, top: int, bottom: int) -> None:
        """Run the heads of the positions from `top` out to `bottom`."""
        position = top
        try:
            for position, hook in self.plan.heads:
                if bottom <= position <= top:
                    hook(self, headers)
        except Exception as exc:
            self.fail_at(position, exc)
            raise

    def _edit_start(self, headers: Headers, top: int, bottom: int) -> None:
        """Run the heads over the application's own start, and note how far out it got."""
        try:
            self._edit(headers, top, bottom)
        except Exception:
            self.floor = self.cut + 1  # the hook that failed stopped it, and is the innermost cut now
            raise
        self.floor = bottom

    def _observe(self, message: Message, top: int, bottom: int) -> None:
        """Show a message to the outbound hooks of the positions from `top` out to `bottom`."""
        position = top
        try:
            for position, hook in self.plan.outbounds:
                if bottom <= position <= top:
                    hook(self, message)
        except Exception as exc:
            self.fail_at(position, exc)
            raise

    def _end(self, kind: str) -> None:
        awaits_trailers = self._promises_trailers and kind in {"http.response.body", "http.response.zerocopysend"}
        has_started = self.floor < self.plan.size or kind == "websocket.close"
        if has_started and self.over_at == self.plan.size and not awaits_trailers:
            self.over_at = self.cut + 1
            self._complete(self.plan.size - 1, self.cut + 1)

    def _complete(self, top: int, bottom: int) -> None:
        for position, hook in self.plan.completes:
            if bottom <= position <= top:
                guarded(hook, self)

    def fail_at(self, position: int, exc: Exception) -> None:
        """Note that a hook failed: nothing gets past its layer any more, and only layers outside it may rescue."""
        self._note_cut(position)
        if position < self.broken_at:
            self.broken, self.broken_at = exc, position

    def _note_cut(self, position: int) -> None:
        self.cuts = (*self.cuts, position)
        self.cut = max(self.cuts)


def guarded(hook: Callable[[Any], None], wire: Any) -> None:
    """Run a hook whose failure must not keep the others from theirs."""
    try:
        hook(wire)
    except Exception:
        logger.exception("%r failed", hook)


def _is_streaming(headers: Headers) -> bool:
    content_type = header_list.get(headers, b"content-type")
    return content_type is not None and content_type.lower().startswith(NEVER_HELD)


def _accept_takes_headers(scope: Scope) -> bool:
    """Tell whether `websocket.accept` may carry headers (ASGI WebSocket spec 2.1)."""
    version = str((scope.get("asgi") or {}).get("spec_version", "2.0"))
    return version >= "2.1"
