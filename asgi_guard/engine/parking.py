"""Parking: an error that the application sends in few words is kept back with its start, until it is clear who answers.

Frameworks answer for an exception before they raise it, and some of their answers say no more than a phrase. So from
status 400 on a body that comes whole is shown to the layers that may answer in its place, and from 500 on it is kept
until the application is through, as its start is: for two periods of the ticker at most.
Must never keep a body that is long, or that comes in many parts: that is a page, or a stream; and never look into one
that is no bytes, or at a status that HTTP has not: what to make of them is the server's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgi_guard.engine.life import Turn
from asgi_guard.engine.types import Message
from asgi_guard.engine.wire import Wire

if TYPE_CHECKING:
    from contextvars import Context

    from asgi_guard.engine.replies import Reply

FIRST_PARKED, LAST_ERROR = 500, 599
MOST_WORDS, MOST_BYTES = 4, 65_536


class Parking(Wire):
    """The part of an exchange that keeps errors back."""

    __slots__ = ()

    if TYPE_CHECKING:  # what the exchange has

        async def answer(self, position: int, reply: Reply) -> None: ...

    async def commit_late(self) -> None:
        """Put a start on the wire that the ticker has seen held for long enough."""
        while self.turn is not None:  # a deadline's answer is on its way, and a slow client takes its time
            await self.turn.wait()
        if self._held is not None:
            async with Turn(self):
                if self._parked is not None:
                    await self.commit_parked()
                    return
                start = self._let_go(self._held)
                if start is not None:
                    await self._pass(start)

    async def _is_taken_away(self, message: Message) -> bool:
        """Keep back, or replace, an error that the application sends in few words; tell whether this is dealt with."""
        parked = self._parked or ()
        words = *parked, message
        if (
            _is_whole(parked)
            or self.status > LAST_ERROR
            or not isinstance(message.get("body", b""), bytes)
            or message["type"] != "http.response.body"
            or len(words) > MOST_WORDS
            or sum(len(word.get("body") or b"") for word in words) > MOST_BYTES
            or not self._can_be_replaced
        ):
            await self.commit_parked()
            return False
        self._parked = words
        if self.status < FIRST_PARKED and _is_whole(words):
            await self.commit_parked()
        return True

    @property
    def _can_be_replaced(self) -> bool:
        outer: Any = self._outer
        return bool(self.plan.replaces) or (outer is not None and outer._can_be_replaced)  # noqa: SLF001

    async def commit_parked(self, exc: Exception | None = None) -> bool:
        """Let go of an error that was kept back, unless a layer answers in its place; tell whether one does.

        One that is not whole, since the application has failed in the middle of it, is dropped.
        """
        held, words, self._parked = self._held, self._parked or (), None
        if held is None or not words or (exc is not None and not _is_whole(words)):
            return False
        if _is_whole(words):
            body: Message = {**words[-1], "body": b"".join(word.get("body") or b"" for word in words)}
            if await self._replaced(held, body, exc, self._ticker.context_of(self)):
                return True
        start = self._let_go(held)
        if start is not None:
            await self._pass(start)
        for word in words:
            if self.plan.outbounds and self.floor < self.plan.size:
                self._observe(word, self.plan.size - 1, self.cut + 1)
            if self.cut < 0:
                await self._pass(word)
        if _is_whole(words):
            self._end("http.response.body")
        return False

    async def _replaced(self, start: Message, body: Message, exc: Exception | None, context: Context | None) -> bool:
        """Let the innermost layer that wants to answer do so, here or further out.

        In the context in which the application has written it: whoever traces inside has left that by now.
        """
        position = self.plan.size
        for position, hook in self.plan.replaces:
            if position <= self.cut:
                break
            try:
                said = (self, start, body, exc)
                reply: Reply | None = hook(*said) if context is None else context.run(hook, *said)
            except Exception as failure:
                self.fail_at(position, failure)
                raise
            if reply is not None:
                await self.answer(position, reply)
                return True
        outer: Any = self._outer
        return outer is not None and outer.cut < 0 and await outer._replaced(start, body, exc, context)  # noqa: SLF001


def _is_whole(words: tuple[Message, ...]) -> bool:
    return bool(words) and not words[-1].get("more_body", False)
