"""Deadline: how much time is left for all that is done on somebody's behalf.

    async with deadline(2.0):
        await first()           # both together have two seconds, and what they call knows it
        await second()

It stands in a `ContextVar`, so that retries give up in time and calls to others can say how long they may take; where a
request says so itself, `seconds_from` reads it. A deadline inside another can only be nearer.
Must never lengthen what somebody further out has set, and never believe more of a header than its bound.
"""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.resilience.around import Around, AsyncFunction
from asgi_guard.resilience.errors import DeadlineExceededError
from asgi_guard.settings import Problems

if TYPE_CHECKING:
    from anyio import CancelScope

MAX_SECONDS: Final = 86_400.0

HEADER: Final = "x-request-timeout-ms"
"""The header that says to the next server how long it may take: whole milliseconds."""

_DIGITS: Final = 8  # more than a day in milliseconds, and no number that takes long to read
_SECOND: Final = 1_000_000_000


def remaining_seconds(clock: Clock = SYSTEM_CLOCK) -> float | None:
    """Return the seconds that are left, not less than 0; None where there is no deadline."""
    block = _block.get()
    return None if block is None else max(block.ends_ns - clock.monotonic_ns(), 0) / _SECOND


def header_value(clock: Clock = SYSTEM_CLOCK) -> str | None:
    """Return what to send as `HEADER`, rounded down; None where there is no deadline."""
    left = remaining_seconds(clock)
    return None if left is None else str(int(left * 1_000))


def seconds_from(value: str | bytes | None, *, most: float) -> float:
    """Return the seconds that a header gives, for `deadline`.

    Args:
        value: of the header; what is no whole number of at most eight digits is as if it were not there.
        most: the seconds that are given at most, and where there is no header.
    """
    text = value.decode("latin-1") if isinstance(value, bytes) else value or ""
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        return most
    return min(int(text) / 1_000, most)


class deadline(Around):  # noqa: N801  it is used as a function is
    """Bound the time of a block, or of a function that it decorates.

    With `async with`, and around an `async def`, what is under way at the end is cancelled. A plain `with` cannot do
    that: it only lets those know who ask. One object serves any number of functions and blocks, also at a time.

    Args:
        seconds: how long, 0 to 86,400.
        clock: tells the time to those who ask; what is cancelled is cancelled by the event loop's.

    Raises:
        ConfigError: `seconds` is out of its bounds.
        DeadlineExceededError: the time is over; from an asynchronous block or function.
    """

    __slots__ = ("_clock", "seconds")

    def __init__(self, seconds: float, *, clock: Clock = SYSTEM_CLOCK) -> None:
        problems = Problems("deadline")
        problems.number("seconds", seconds, minimum=0, maximum=MAX_SECONDS)
        problems.raise_if_any()
        self.seconds: float = seconds
        self._clock = clock

    def around_async(self, function: AsyncFunction) -> AsyncFunction:
        """Bound the time of an `async def`; where none is left, it is not called."""

        async def bounded(*args: Any, **kwargs: Any) -> Any:
            if remaining_seconds(self._clock) == 0:
                raise DeadlineExceededError(not_sent=True)
            async with deadline(self.seconds, clock=self._clock):
                return await function(*args, **kwargs)

        return bounded

    def __enter__(self) -> None:
        self._begin()

    def __exit__(self, *_: object) -> None:
        self._end()

    async def __aenter__(self) -> None:
        from anyio import CancelScope, current_time

        block = self._begin()
        block.scope = CancelScope(deadline=current_time() + (block.ends_ns - self._clock.monotonic_ns()) / _SECOND)
        block.scope.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool | None:
        scope: Any = self._end().scope
        swallowed: bool | None = scope.__exit__(kind, exc, tb)
        if scope.cancelled_caught:
            raise DeadlineExceededError
        return swallowed

    def _begin(self) -> _Block:
        outer = _block.get()
        ends_ns = self._clock.monotonic_ns() + round(self.seconds * _SECOND)
        block = _Block(self, ends_ns if outer is None else min(ends_ns, outer.ends_ns), outer)
        _block.set(block)
        return block

    def _end(self) -> _Block:
        block = _block.get()
        if block is None or block.by is not self:
            raise RuntimeError("a deadline is left in another task than it was entered in, or out of order")
        _block.set(block.outer)
        return block


class _Block:
    """One block, of which a deadline may have several at a time: so what belongs to it stands with the task."""

    __slots__ = ("by", "ends_ns", "outer", "scope")

    def __init__(self, by: deadline, ends_ns: int, outer: _Block | None) -> None:
        self.by = by
        self.ends_ns = ends_ns
        self.outer = outer
        self.scope: CancelScope | None = None


_block: Final[ContextVar[_Block | None]] = ContextVar("asgi_guard_deadline", default=None)
