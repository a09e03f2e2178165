"""Exchange: what layers may ask of one request, who answers it, and how the call comes to an end.

The protocol state and the application's `send` are in `wire`, what is known of the request in `request`. Here a layer
answers in the application's place, an exception finds the layer that turns it into a reply, and everything is released.
Must never add a byte to a response that has begun, never let the failure of one hook keep the others from `finish`, and
never swallow a `BaseException` but the cancellation that its own deadline asked for.
"""

from __future__ import annotations

from collections.abc import Awaitable
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

from asgi_guard.engine import override, replies
from asgi_guard.engine.intake import stages, taken
from asgi_guard.engine.life import Deadline, Turn, guarded, has_loop, logger, new_event
from asgi_guard.engine.parking import Parking
from asgi_guard.engine.types import Message
from asgi_guard.errors.exceptions import NoResponseError
from asgi_guard.errors.recognise import steps_back
from asgi_guard.events import RequestAllowed, RequestRefused, RequestWouldBeRefused, notify

if TYPE_CHECKING:
    from asgi_guard.engine.layer import Layer
    from asgi_guard.engine.replies import Reply


FIRST_REFUSAL = 300
"""From which status on an answer in the application's place is a refusal; one that has a fault is in any case."""


class Exchange(Parking):
    """One request on its way through a plan: what layers may ask of it, and how it comes to an end."""

    __slots__ = ()

    # What layers may ask and do ---------------------------------------------------------------------------------------

    def cell(self, layer: Layer) -> Any:
        """Return what a layer keeps for this request; None before it has put anything into `cells`."""
        return self.cells.get(layer)

    @property
    def is_complete(self) -> bool:
        """Tell whether the last message of the application's response has passed."""
        return self.over_at < self.plan.size

    @property
    def innermost(self) -> Exchange:
        """The exchange of the guard furthest in that was called, whose scope the application has."""
        found: Any = self
        while found.inner is not None:
            found = found.inner
        return found  # type: ignore[no-any-return]

    def is_repeated(self, layer: Layer) -> bool:
        """Tell whether another layer of this name stands further out, in this guard or in one around it."""
        if layer in self.plan.repeated:
            return True
        outer: Any = self._outer or self._overridden_outside
        while outer is not None and layer.name not in outer.plan.names:
            outer = outer._outer or outer._overridden_outside  # noqa: SLF001
        return outer is not None

    def set_deadline(self, layer: Layer, seconds: float, reply: Reply) -> Deadline:
        """Answer with `reply` in the application's place when it takes longer than `seconds`; `inf` for never yet.

        The ticker answers, to its period; no cancellation is needed. Afterwards the application is cancelled where the
        server's tasks allow that.
        """
        position = self.plan.positions[layer]
        deadlines = self.deadlines
        if deadlines is None:
            deadline = Deadline(self, position, reply)
            self.deadlines: list[Deadline] | None = [deadline]
        else:
            deadline = Deadline(self, position, reply, deadlines[0])
            deadlines.append(deadline)
        if seconds != inf:
            deadline.move(monotonic() + seconds)
        return deadline

    def would_refuse(self, layer: Layer, reply: Reply) -> None:
        """Tell the layer's listeners of a refusal that shadow mode did not carry out."""
        if layer.listeners:
            notify(layer.listeners, RequestWouldBeRefused(**self.about(layer), **_refusal(reply)))

    def __getitem__(self, name: str) -> Any:
        """Return what is said of the layers of this name for this request: False, or fields of their settings."""
        return (self.overrides or {})[name]

    def __setitem__(self, name: str, said: Any) -> None:
        """Say it, from now on and in the guards around this one too; see `asgi_guard.engine.override`.

        A function that a framework runs in a thread of anyio's may say it as well.

        Raises:
            ConfigError: lists every problem.
            RuntimeError: it is said in a thread that knows nothing of the event loop.
        """
        if not has_loop():
            from anyio import from_thread

            from_thread.run_sync(self.__setitem__, name, said)
            return
        override.say(self, name, said)
        if self._overridden_outside is not None:
            self._overridden_outside[name] = said

    # The way in -------------------------------------------------------------------------------------------------------

    def receive(self) -> Awaitable[Message]:
        """Give the application its next message, once the layers have seen it."""
        if self._intake is not None:
            return self._intake()
        if not self.plan.bodies:
            return taken(self, None, 0, self.plan.size - 1)
        self._intake = stages(self)
        return self._intake()

    # Answers in the application's place -------------------------------------------------------------------------------

    async def refuse(self, position: int, reply: Reply) -> None:
        """Let the layer at `position` answer instead of the application, and tell its listeners."""
        layer = self.plan.layers[position]
        if layer.listeners and (reply.status >= FIRST_REFUSAL or reply.fault is not None):
            notify(layer.listeners, RequestRefused(**self.about(layer), **_refusal(reply)))
        layer.answered(reply)
        await self.answer(position, reply)

    async def expire(self, position: int, reply: Reply) -> None:
        """Answer from the ticker: the application took too long."""
        while self.turn is not None:
            await self.turn.wait()
        if position >= self.over_at:
            return
        if position >= self.answered_at or self._has_replied(position):
            await new_event().wait()  # there is an answer, which perhaps nobody reads: whoever asked bounds this wait
        if self._outer is not None and self._outer._is_cut_off:  # noqa: SLF001  who stands outside has answered
            return
        self.is_expired = True
        async with Turn(self):
            await self.refuse(position, reply)

    async def answer(self, position: int, reply: Reply) -> None:
        """Answer from `position` in the application's place, unless somebody has had the last word already."""
        bottom = max((cut for cut in self.cuts if cut < position), default=-1) + 1
        has_started = self.floor <= position
        has_replied = self._has_replied(position)
        self._note_cut(position)
        self.answered_at: int = min(self.answered_at, position)
        if has_replied or position >= self.over_at:  # somebody has had the last word already
            return
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
        message = (
            replies.close(reply.websocket_code, reply.fault) if has_started else replies.close(replies.POLICY_VIOLATION)
        )
        if self.is_gone:  # servers take a close for a connection that is closed as a fault
            return
        if has_started:
            if not self.is_accepted:
                return
            self._observe(message, position, bottom)
        self.replied = (*self.replied, (bottom, position))
        if not bottom:
            await self._pass(message)
        self._complete(position, bottom)

    def _has_replied(self, position: int) -> bool:
        """Tell whether an answer of the guard's own has passed `position` already."""
        return any(outermost <= position <= innermost for outermost, innermost in self.replied)

    async def _respond(self, reply: Reply, position: int, bottom: int) -> None:
        """Send a whole response out from `position`."""
        try:
            headers, body = replies.head_and_body(self, reply)
        except Exception as exc:
            self.fail_at(position, exc)
            raise
        self.status: int = reply.status
        self.head_size: int = len(headers)
        self._edit(headers, position, bottom)
        self.replied: tuple[tuple[int, int], ...] = (*self.replied, (bottom, position))
        end = replies.end(self, body)
        if not bottom:
            await self._pass(replies.start(self, reply.status, headers))
        self._observe(end, position, bottom)
        if not bottom:
            await self._pass(end)
        self._complete(position, bottom)

    # How a call ends --------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Look at what a call that returned has left behind."""
        if self.turn is not None:
            await self.turn.wait()
        if self.broken is not None and self.broken_at <= self.answered_at:
            await self.fail(self.broken, self.broken_at)
            return
        if self._parked is not None and not self._is_deserted:
            await self._settle_parked(None)
            return
        is_silent = self._held is not None or self.floor == self.over_at == self.plan.size
        if is_silent and not self._is_deserted:
            self.failure = NoResponseError("the application returned without a response")
            await self._rescue(self.failure, self.plan.size)

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
        self.failure: Exception | None = exc
        if exc is self.foreign or (self._outer is not None and self._outer._is_cut_off):  # noqa: SLF001
            raise exc
        if self._parked is not None and origin == self.plan.size and await self._settle_parked(exc):
            return
        if min(origin, self.plan.size - 1) >= self.over_at:
            if steps_back(self.host_app):
                raise exc
            logger.error("%s failed after its response was complete", self.log_name, exc_info=exc)
            return
        if not await self._rescue(exc, origin):
            if self.status and self._outer is None:  # whoever stands outside logs the exception, but not whose it is
                logger.error("%s failed with %s after its response had started", self.log_name, type(exc).__name__)
            raise exc

    async def _settle_parked(self, exc: Exception | None) -> bool:
        """Let go of an error that was kept back until the call was over; tell whether a layer answered in its place."""
        try:
            return await self.commit_parked(exc)
        except Exception as failure:
            if failure is not self.broken:
                raise
            await self.fail(failure, self.broken_at)
            return True

    async def _rescue(self, exc: Exception, origin: int) -> bool:
        failed = -1
        for position, hook in self.plan.rescues:
            if position >= origin or not self._is_answerable(position):
                continue
            failed = -1
            try:
                reply: Reply | None = hook(self, exc)
            except Exception:  # noqa: BLE001  logged; the exception that it was asked about goes on
                logger.exception("%s failed to turn %r into a reply", self.plan.layers[position].name, exc)
                failed = position
                continue
            if reply is not None:
                return await self._answer_for(position, reply)
        if failed < 0 or (self._outer is not None and self._outer.has_rescuer):
            return False
        logger.error("answered with a plain 500", exc_info=exc)
        return await self._answer_for(
            failed, replies.Reply(500, body=b"Internal Server Error", content_type=b"text/plain")
        )

    async def _answer_for(self, position: int, reply: Reply) -> bool:
        try:
            await self.answer(position, reply)
        except Exception as exc:
            if exc is not self.broken:
                raise
            await self.fail(exc, self.broken_at)
        return True

    def _is_answerable(self, position: int) -> bool:
        """Tell whether no head has got past `position` yet; a WebSocket whose accept has can still be closed."""
        has_not_started = position < self.floor or self.is_accepted
        return has_not_started and not self._has_replied(position)

    def owns_cancellation(self, exc: BaseException) -> bool:
        """Tell whether this is the cancellation that an expired deadline asked for, and take it back if so."""
        return self.is_expired and any(deadline.takes_back(exc) for deadline in self.deadlines or ())

    def finish(self, entered: int) -> None:
        """Release what the first `entered` layers hold, exactly once."""
        if self._held is not None:
            self._held = None
            self._ticker.release(self)
        if self.deadlines is not None:
            for deadline in self.deadlines:
                deadline.cancel()
        for position, hook in self.plan.finishes:
            if position < entered:
                guarded(hook, self)
        if self._restores is not None:
            self.restore_state()
        if self.scope is not self._origin:
            self.restore_scope()
        self.forget_inner()
        self.over_at = 0  # nothing that is said afterwards has an effect

    # Events -----------------------------------------------------------------------------------------------------------

    def tell_allowed(self) -> None:
        """Tell the listeners of every deciding layer that the request may go on."""
        for layer in self.plan.listened:
            notify(layer.listeners, RequestAllowed(**self.about(layer)))

    def about(self, layer: Layer) -> dict[str, Any]:
        """Return what every event of a layer tells of this request."""
        return {
            "layer": layer.name,
            "scope_type": self.kind,
            "method": self.method,
            "path": self.path,
            "client": self.client,
            "request_id": self.known_id,
        }


def _refusal(reply: Reply) -> dict[str, Any]:
    fault = reply.fault
    if fault is None:
        return {"status": reply.status, "code": "", "reason": "", "details": {}}
    return {"status": reply.status, "code": fault.code, "reason": fault.message, "details": fault.details or {}}
