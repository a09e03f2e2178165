"""Course: one call that is tried again, from its first attempt to its last; and its attempts as blocks.

Must never keep the arguments of a call, nor the exceptions that it raised.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Final

from asgi_guard.clock import Clock
from asgi_guard.resilience.deadline import remaining_seconds

if TYPE_CHECKING:
    from asgi_guard.resilience.retry import Retry

_SECOND: Final = 1_000_000_000


class Course:
    """What is known of one call.

    Args:
        began_ns: when it had failed for the first time; of a block, when it began.
        ends_ns: when its time is over; None where only a deadline further out says so.
    """

    __slots__ = ("_began_ns", "_ends_ns", "retries")

    def __init__(self, began_ns: int, ends_ns: int | None = None) -> None:
        self.retries: int = 0
        self._began_ns = began_ns
        self._ends_ns = ends_ns

    def left(self, clock: Clock) -> float | None:
        """Return the seconds until the nearest deadline; None where there is none."""
        outer = remaining_seconds(clock)
        if self._ends_ns is None:
            return outer
        own = (self._ends_ns - clock.monotonic_ns()) / _SECOND
        return own if outer is None else min(own, outer)

    def note(self, clock: Clock, reason: str) -> str:
        """Write the note for the last exception."""
        seconds = (clock.monotonic_ns() - self._began_ns) / _SECOND
        attempts = "1 attempt" if not self.retries else f"{self.retries + 1} attempts in {seconds:.2f} s"
        return f"asgi_guard: {attempts}, then {reason}"


class Attempts:
    """The attempts of one block, for `for` and `async for`: each is this object, as a context manager.

    Attributes:
        number: of the attempt, from 1.
    """

    __slots__ = ("_blocks", "_course", "_retry", "_wait", "number")

    def __init__(self, retry: Retry, course: Course, *, blocks: bool) -> None:
        self.number: int = 0
        self._retry = retry
        self._course = course
        self._blocks = blocks
        self._wait: float | None = 0.0  # None where there is no further attempt

    def __iter__(self) -> Attempts:
        return self

    def __next__(self) -> Attempts:
        if self._wait is None:
            raise StopIteration
        if self.number:
            self._retry.pause_plain(self._wait)
        return self._begin()

    def __aiter__(self) -> Attempts:
        return self

    async def __anext__(self) -> Attempts:
        if self._wait is None:
            raise StopAsyncIteration
        if self.number:
            await self._retry.pause(self._wait)
        return self._begin()

    def __enter__(self) -> None:
        """Begin the attempt."""

    def __exit__(self, _: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> bool:
        if isinstance(exc, Exception):
            self._wait = self._retry.failed(self._course, exc, blocks=self._blocks)
        elif exc is None:
            self._retry.succeeded(self._course)
        return self._wait is not None

    def _begin(self) -> Attempts:
        self.number += 1
        self._wait = None
        return self
