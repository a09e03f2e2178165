"""Bulkhead: at most so many calls of one kind at a time, so that a slow dependency does not take all there is.

    reports = Bulkhead(10, max_waiting=20, max_wait=0.5)

    @reports
    async def report(year): ...

    async with reports: ...             # or `with`; any number of blocks at a time
    await reports.call(report, 2024)

Whoever is one too many waits in a line of bounded length for a bounded time, first come first served, or is refused.
Works in `async def` and in plain functions, also by turns: a place that a thread leaves goes to whoever is next.
Must never give out more places than there are, and never lose one: not to a cancellation either, that comes in the very
moment in which a place is handed over.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Event as ThreadEvent
from threading import Lock
from typing import Any, Final

from asgi_guard.monitor.names import BULKHEAD_REJECTIONS
from asgi_guard.monitor.tally import count, known
from asgi_guard.resilience.around import Around, AsyncFunction, PlainFunction, is_on_a_loop, refuse_awaitable
from asgi_guard.resilience.errors import BulkheadFullError
from asgi_guard.settings import Problems

MAX_PLACES: Final = 100_000
MAX_WAIT_SECONDS: Final = 3_600.0


class Seat:
    """A place in the line; or, once it is taken, among the calls under way."""

    __slots__ = ("is_left", "is_taken", "wake")

    def __init__(self, *, is_taken: bool = False) -> None:
        self.is_taken: bool = is_taken
        self.is_left: bool = False  # its loop is closed: the place was handed on
        self.wake: Callable[[], object] | None = None


_TAKEN: Final = Seat(is_taken=True)


class Line:
    """The pure core: how many are under way, and who waits. Not safe for threads by itself.

    Args:
        places: how many may be under way.
        max_waiting: how many may wait.
    """

    __slots__ = ("_max_waiting", "_places", "under_way", "waiting")

    def __init__(self, places: int, max_waiting: int) -> None:
        self._places = places
        self._max_waiting = max_waiting
        self.under_way: int = 0
        self.waiting: OrderedDict[Seat, None] = OrderedDict()

    def enter(self) -> Seat | None:
        """Take a place, or stand in line; None where both are full."""
        if self.under_way < self._places:  # then nobody waits: places are handed over
            self.under_way += 1
            return _TAKEN
        if len(self.waiting) >= self._max_waiting:
            return None
        seat = Seat()
        self.waiting[seat] = None
        return seat

    def leave(self, seat: Seat) -> Seat | None:
        """Give up a place, here or there; return who has it now, to be woken."""
        if not seat.is_taken:
            del self.waiting[seat]
            return None
        if self.waiting:
            heir, _ = self.waiting.popitem(last=False)
            heir.is_taken = True
            return heir
        self.under_way -= 1
        return None


class Bulkhead(Around):
    """At most so many calls at a time: a decorator, a context manager and an object.

    Args:
        max_concurrent: how many, 1 to 100,000.
        max_waiting: how many more may wait for a place, 0 to 100,000. A plain function that has to wait blocks its
            thread; on an event loop it is refused instead.
        max_wait: seconds for which each of them may wait, above 0 to 3,600; None is without end.
        name: for errors, at most 128 characters.

    Raises:
        ConfigError: a value is out of its bounds.
    """

    __slots__ = ("_line", "_lock", "_max_wait", "name", "rejected")

    def __init__(
        self, max_concurrent: int, *, max_waiting: int = 0, max_wait: float | None = None, name: str = "bulkhead"
    ) -> None:
        problems = Problems("Bulkhead")
        problems.integer("max_concurrent", max_concurrent, minimum=1, maximum=MAX_PLACES)
        problems.integer("max_waiting", max_waiting, minimum=0, maximum=MAX_PLACES)
        if max_wait is not None:
            problems.number("max_wait", max_wait, minimum=0.001, maximum=MAX_WAIT_SECONDS)
        problems.text("name", name, max_length=128)
        problems.raise_if_any()
        self._line = Line(max_concurrent, max_waiting)
        self._lock = Lock()
        self._max_wait = max_wait
        self.name: str = name
        self.rejected: int = 0  # calls that were not made

    @property
    def under_way(self) -> int:
        """How many calls are under way."""
        return self._line.under_way

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._line.waiting)

    def around_async(self, function: AsyncFunction) -> AsyncFunction:
        """Put the bulkhead around an `async def`."""

        async def bounded(*args: Any, **kwargs: Any) -> Any:
            seat = self._enter()  # as a block does, spelled out: each call pays for it
            try:
                if not seat.is_taken:
                    await self._wait(seat)
                return await function(*args, **kwargs)
            finally:
                self._leave(seat)

        return bounded

    def around_plain(self, function: PlainFunction) -> PlainFunction:
        """Put the bulkhead around a plain function."""

        def bounded(*args: Any, **kwargs: Any) -> Any:
            with self:
                result = function(*args, **kwargs)
                refuse_awaitable(result, function)
                return result

        return bounded

    async def __aenter__(self) -> None:
        seat = self._enter()
        if not seat.is_taken:
            try:
                await self._wait(seat)
            except BaseException:
                self._leave(seat)
                raise

    def __enter__(self) -> None:
        seat = self._enter()
        if not seat.is_taken:
            try:
                self._wait_plain(seat)
            except BaseException:
                self._leave(seat)
                raise

    def __exit__(self, *_: object) -> None:
        self._leave(_TAKEN)  # all places are alike: a block need not remember which it has

    async def __aexit__(self, *_: object) -> None:
        self._leave(_TAKEN)

    def _enter(self) -> Seat:
        with self._lock:
            seat = self._line.enter()
        if seat is None:
            raise self._full()
        return seat

    def _leave(self, seat: Seat) -> None:
        with self._lock:
            heir = None if seat.is_left else self._line.leave(seat)
        while heir is not None and not _wakes(heir):
            with self._lock:
                heir.is_left = True
                heir = self._line.leave(heir)

    def _is_to_wait(self, seat: Seat, wake: Callable[[], object]) -> bool:
        with self._lock:  # a place that was handed over before this line woke nobody
            seat.wake = wake
            return not seat.is_taken

    async def _wait(self, seat: Seat) -> None:
        from anyio import Event, move_on_after
        from anyio.lowlevel import current_token

        woken = Event()
        loop: Any = current_token()
        loop = getattr(loop, "native_token", loop)
        # Whoever leaves may be a thread, where an event of this loop must not be set.
        soon = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
        if self._is_to_wait(seat, lambda: soon(woken.set)):
            with move_on_after(self._max_wait):
                await woken.wait()
        if not seat.is_taken:
            raise self._full()

    def _wait_plain(self, seat: Seat) -> None:
        woken = ThreadEvent()
        if self._is_to_wait(seat, woken.set) and not is_on_a_loop():
            woken.wait(self._max_wait)
        if not seat.is_taken:
            raise self._full()

    def _full(self) -> BulkheadFullError:
        self.rejected += 1
        count(BULKHEAD_REJECTIONS, known(self.name))
        return BulkheadFullError(self.name)


def _wakes(heir: Seat) -> bool:
    """Wake whoever has got a place; tell whether that can be: the loop on which it waits may be closed."""
    try:
        if heir.wake is not None:
            heir.wake()
    except RuntimeError:
        return False
    return True
