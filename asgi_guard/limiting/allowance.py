"""Allowance: what one request may take of its size and its time, and what it has taken.

Must never buffer a body, and never run a clock while nobody waits for the body.
"""

from __future__ import annotations

from math import inf
from time import monotonic

from asgi_guard.engine.life import Deadline
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import Message, Receive
from asgi_guard.limiting.patience import Patience


class Allowance:
    """What one request may take, and has taken.

    Where it may not wait for its body for ever, this is its `receive`, under a clock that runs while it waits there.

    Attributes:
        max_body_bytes: how much of a body it may have.
        too_large: the answer to more.
        received: how much of it has come.
        is_received: whether that is all.
        deadline: the end of its time, if it has one.
        terms: what its patience is made of, if it has an end.
        patience: that, once there was need of it.
        clock, receive, waiting: where there are terms, when patience ends, whose messages come, how many wait for them.
    """

    __slots__ = ("clock", "deadline", "is_received", "max_body_bytes", "patience", "receive", "received", "terms",
                 "too_large", "waiting")  # fmt: skip

    clock: Deadline
    receive: Receive
    waiting: int

    def __init__(self, max_body_bytes: int, too_large: Reply) -> None:
        self.max_body_bytes: int = max_body_bytes
        self.too_large: Reply = too_large
        self.received: int = 0
        self.is_received: bool = False
        self.deadline: Deadline | None = None
        self.terms: tuple[float, float | None] | None = None
        self.patience: Patience | None = None

    def renew(self, seconds: float, bytes_per_second: float | None) -> None:
        """Give it other terms, which hold at once for whoever waits already."""
        self.terms, self.patience = (seconds, bytes_per_second), None
        if self.waiting:
            self.begin()

    def begin(self) -> None:
        """Let the clock run."""
        self.patience = self.patience or Patience(*(self.terms or (inf, None)))
        self.clock.move(self.patience.begin(monotonic()))

    async def __call__(self) -> Message:
        if self.is_received:  # whoever asks now wants to know when the client leaves
            return await self.receive()
        if not self.waiting:
            self.begin()
        self.waiting += 1
        size = 0
        try:
            message = await self.receive()
            size = len(message.get("body") or b"")
            self.is_received = not message.get("more_body", False)
        finally:  # also where somebody only looked whether there is something, and did not wait
            self.waiting -= 1
            out_of_patience_at = inf if self.patience is None else self.patience.hear(monotonic(), size)
            self.clock.at = out_of_patience_at if self.waiting and not self.is_received else inf
        return message
