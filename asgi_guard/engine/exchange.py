"""Exchange: one request or handshake, and the `send` that the application is given.

A fused stack has to behave as the same layers nested one inside the other would. Three facts keep it so:

* `floor`: the outermost position that the response start has passed; `plan.size` while there is none, 0 once it is on
  the wire. The layer at position p may still answer while p < floor.
* `cuts`: the positions that answered, or failed, before the application was through. What the application sends still
  passes the layers inside a cut, as it would in real nesting, and ends there. `cut` is the innermost of them.
* `answered_at` and `broken_at`: the outermost of either kind; the outer of the two decides what becomes of the call.

Must never mutate the scope, the messages or the header lists that it was handed, never run a `head` twice, and never
swallow a `BaseException`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from asgi_guard.engine import headers as header_list
from asgi_guard.engine import replies
from asgi_guard.engine.intake import Intake
from asgi_guard.engine.life import Deadline, Turn, ticker
from asgi_guard.engine.request import Request
from asgi_guard.engine.types import Headers, Message, Receive, Scope, Send
from asgi_guard.errors.exceptions import NoResponseError
from asgi_guard.errors.recognise import steps_back
from asgi_guard.events import RequestAllowed, RequestRefused, RequestWouldBeRefused, notify

if TYPE_CHECKING:
    from asgi_guard.engine.layer import Layer
    from asgi_guard.engine.plan import Plan
    from asgi_guard.engine.replies import Reply

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


class Exchange(Request):
    """One request on its way through a plan; calling it is the application's `send`."""

    __slots__ = (
        "foreign",
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
        self._outer: Exchange | None = None
        if type(send) is Exchange:  # nested for real: what layers share goes on to the inner exchange
            self._outer = send
            self.request_id = send.request_id
            self._client = send.client

    # What layers may ask and do ---------------------------------------------------------------------------------------

    def cell(self, layer: Layer) -> Any:
        """Return what a layer keeps for this request; None before it has put anything into `cells`."""
        return self.cells.get(layer)

    @property
    def is_complete(self) -> bool:
        """Tell whether the last message of the application's response has passed."""
        return self.over_at < self.plan.size

    @property
    def _is_cut_off(self) -> bool:
        """Tell whether nothing that the application sends can reach the wire any more."""
        return self.cut >= 0 or (self._outer is not None and self._outer._is_cut_off)  # noqa: SLF001

    @property
    def _is_deserted(self) -> bool:
        """Tell whether nobody waits for an answer any more."""
        return self.is_gone or self.cut >= 0 or (self._outer is not None and self._outer._is_deserted)  # noqa: SLF001

    @property
    def _is_accepted(self) -> bool:
        return self.kind == "websocket" and self.status == SWITCHING_PROTOCOLS

    @property
    def has_rescuer(self) -> bool:
        """Tell whether any layer, here or further out, could turn an exception into a reply."""
        return bool(self.plan.rescues) or (self._outer is not None and self._outer.has_rescuer)

    def set_deadline(self, layer: Layer, seconds: float, reply: Reply) -> Deadline:
        """Answer with `reply` in the application's place when it takes longer than `seconds`.

        The ticker answers, to its period; no cancellation is needed. Afterwards the application is cancelled where the
        server's tasks allow that.
        """
        deadline = Deadline(self, self.plan.positions[layer], seconds, reply)
        if self.deadlines is None:
            self.deadlines = []
        self.deadlines.append(deadline)
        ticker().watch(deadline)
        return deadline

    def would_refuse(self, layer: Layer, reply: Reply) -> None:
        """Tell the layer's listeners of a refusal that shadow mode did not carry out."""
        if layer.listeners:
            notify(layer.listeners, RequestWouldBeRefused(**self._about(layer), **_refusal(reply)))

    # The way in -------------------------------------------------------------------------------------------------------

    async def receive(self) -> Message:
        """Give the application its next message, once the layers have seen it."""
        if self._intake is None:
            self._intake = Intake.of(self)
        return await self._intake()

    async def receive_outside(self) -> Message:
        """Take the next message from whoever stands outside: the server, or an outer exchange."""
        try:
            message = await self.outside()
        except Exception as exc:
            self.foreign = exc
            raise
        if message["type"] in {"http.disconnect", "websocket.disconnect"}:
            self.is_gone = True
        return message

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
                _guarded(hook, self)

    # Answers in the application's place -------------------------------------------------------------------------------

    async def refuse(self, position: int, reply: Reply) -> None:
        """Let the layer at `position` answer instead of the application, and tell its listeners."""
        layer = self.plan.layers[position]
        if layer.listeners:
            notify(layer.listeners, RequestRefused(**self._about(layer), **_refusal(reply)))
        await self._answer(position, reply)

    async def expire(self, position: int, reply: Reply) -> None:
        """Answer from the ticker: the application took too long."""
        while self.turn is not None:
            await self.turn.wait()
        if position >= min(self.answered_at, self.over_at):
            return
        self.is_expired = True
        async with Turn(self):
            await self.refuse(position, reply)

    async def commit_late(self) -> None:
        """Put a start on the wire that the ticker has seen held for long enough."""
        if self._held is not None:
            async with Turn(self):
                await self._commit()

    async def _answer(self, position: int, reply: Reply) -> None:
        bottom = max((cut for cut in self.cuts if cut < position), default=-1) + 1
        has_started = self.floor <= position
        self._note_cut(position)
        self.answered_at = min(self.answered_at, position)
        if position <= self.plan.hold:
            self._held = None
        try:
            if self.kind == "websocket" and (has_started or not replies.can_deny(self)):
                await self._close(reply, position, bottom, has_started=has_started)
            elif not has_started:
                await self._respond(reply, position, bottom)
        except OSError as exc:
            if exc is not self.foreign:
                raise
            logger.debug("the client left before it could be answered", exc_info=exc)

    async def _close(self, reply: Reply, position: int, bottom: int, *, has_started: bool) -> None:
        """Close a WebSocket: with the reply's code once it is accepted, as a bare denial before."""
        message = replies.close(reply.websocket_code if has_started else replies.POLICY_VIOLATION)
        if has_started:
            if not self._is_accepted or position >= self.over_at:
                return
            self._observe(message, position, bottom)
        if not bottom:
            await self._pass(message)
        self._complete(position, bottom)

    async def _respond(self, reply: Reply, position: int, bottom: int) -> None:
        """Send a whole response out from `position`. Like the application's, its start is held where starts are."""
        try:
            headers, body = replies.head_and_body(self, reply)
        except Exception as exc:
            self.fail_at(position, exc)
            raise
        self.status = reply.status
        end = replies.end(self, body)
        top = position
        if self.kind == "http" and bottom <= self.plan.hold < position:
            top = self.plan.hold
            self._edit(headers, position, top + 1)
            self.reply_floor = top + 1
            self._observe(end, position, top + 1)
        self._edit(headers, top, bottom)
        self.reply_floor = bottom
        if not bottom:
            await self._pass(replies.start(self, reply.status, headers))
        self._observe(end, top, bottom)
        if not bottom:
            await self._pass(end)
        self._complete(position, bottom)

    # How a call ends --------------------------------------------------------------------------------------------------

    def fail_at(self, position: int, exc: Exception) -> None:
        """Note that a hook failed: nothing gets past its layer any more, and only layers outside it may rescue."""
        self._note_cut(position)
        if position < self.broken_at:
            self.broken, self.broken_at = exc, position

    def _note_cut(self, position: int) -> None:
        self.cuts = (*self.cuts, position)
        self.cut = max(self.cuts)

    async def settle(self) -> None:
        """Look at what a call that returned has left behind."""
        if self.turn is not None:
            await self.turn.wait()
        if self.broken is not None and self.broken_at <= self.answered_at:
            raise self.broken
        is_silent = self._held is not None or self.floor == self.over_at == self.plan.size
        if is_silent and not self._is_deserted:
            await self._rescue(NoResponseError("the application returned without a response"), self.plan.size)

    async def fail(self, exc: Exception, origin: int) -> None:
        """Decide what becomes of an exception that ended the call.

        Args:
            exc: what was raised.
            origin: the position whose hook raised it; `plan.size` for the application.

        Raises:
            Exception: `exc`, when bytes have left, when it came from outside, or when nobody has an answer.
        """
        if self.turn is not None:
            await self.turn.wait()
        if self.broken is not None and self.broken_at <= self.answered_at:
            exc, origin = self.broken, self.broken_at
        elif self.answered_at < origin:
            logger.debug("the application failed after it was answered for", exc_info=exc)
            return
        if exc is self.foreign or (self._outer is not None and self._outer._is_cut_off):  # noqa: SLF001
            raise exc
        if min(origin, self.plan.size - 1) >= self.over_at:
            if steps_back(self.host_app):
                raise exc
            logger.error("the application failed after its response was complete", exc_info=exc)
            return
        if not await self._rescue(exc, origin):
            raise exc

    async def _rescue(self, exc: Exception, origin: int) -> bool:
        failed = -1
        for position, hook in self.plan.rescues:
            if position >= origin or not self._is_answerable(position):
                continue
            failed = -1
            try:
                reply: Reply | None = hook(self, exc)
            except Exception:
                logger.exception("%s failed to turn %r into a reply", self.plan.layers[position].name, exc)
                failed = position
                continue
            if reply is not None:
                return await self._answer_for(position, reply)
        if failed < 0 or (self._outer is not None and self._outer.has_rescuer):
            return False
        logger.error("answered with a plain 500", exc_info=exc)
        return await self._answer_for(failed, replies.Reply(500, body=b"Internal Server Error", content_type=b"text/plain"))

    async def _answer_for(self, position: int, reply: Reply) -> bool:
        try:
            await self._answer(position, reply)
        except Exception as exc:
            if exc is not self.broken:
                raise
            await self.fail(exc, self.broken_at)
        return True

    def _is_answerable(self, position: int) -> bool:
        """Tell whether no head has got past `position` yet; an accepted WebSocket can always be closed."""
        return position < min(self.floor, self.reply_floor) or self._is_accepted

    def owns_cancellation(self, exc: BaseException) -> bool:
        """Tell whether this is the cancellation that an expired deadline asked for, and take it back if so."""
        return self.is_expired and any(deadline.takes_back(exc) for deadline in self.deadlines or ())

    def finish(self, entered: int) -> None:
        """Release what the first `entered` layers hold, exactly once."""
        if self._held is not None:
            self._held = None
            ticker().release(self)
        for deadline in self.deadlines or ():
            deadline.cancel()
        for position, hook in self.plan.finishes:
            if position < entered:
                _guarded(hook, self)
        if self._restores is not None:
            self.restore_state()

    # Events -----------------------------------------------------------------------------------------------------------

    def tell_allowed(self) -> None:
        """Tell the listeners of every deciding layer that the request may go on."""
        for layer in self.plan.listened:
            notify(layer.listeners, RequestAllowed(**self._about(layer)))

    def _about(self, layer: Layer) -> dict[str, Any]:
        return {
            "layer": layer.name,
            "scope_type": self.kind,
            "method": self.method,
            "path": self.path[:256],
            "client": self.client,
            "request_id": self.request_id,
        }


def _guarded(hook: Callable[[Exchange], None], exchange: Exchange) -> None:
    """Run a hook whose failure must not keep the others from theirs."""
    try:
        hook(exchange)
    except Exception:
        logger.exception("%r failed", hook)


def _refusal(reply: Reply) -> dict[str, Any]:
    fault = reply.fault
    if fault is None:
        return {"status": reply.status, "code": "", "reason": "", "details": {}}
    return {"status": reply.status, "code": fault.code, "reason": fault.message, "details": fault.details or {}}


def _is_streaming(headers: Headers) -> bool:
    content_type = header_list.get(headers, b"content-type")
    return content_type is not None and content_type.lower().startswith(NEVER_HELD)


def _accept_takes_headers(scope: Scope) -> bool:
    """Tell whether `websocket.accept` may carry headers (ASGI WebSocket spec 2.1)."""
    version = str((scope.get("asgi") or {}).get("spec_version", "2.0"))
    return version >= "2.1"
