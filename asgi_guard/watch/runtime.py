"""Runtime: how long an event loop keeps its callbacks waiting, and how long the garbage collector stops everything.

Must never make an event loop wait longer, and never keep one alive. Must never take a lock in the collector's
callback: it runs in the middle of anything, also of what holds that very lock.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, finalize

from asgi_guard.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from asgi_guard.monitor.cells import Series

MAX_PAUSES: Final = 4_096
"""The pauses that are kept until they are recorded; of more, the newest."""


class LoopLag:
    """Measures, from another thread, how long event loops take to run a callback.

    Args:
        series: of a histogram, in nanoseconds.
        clock: what it is measured by.
    """

    def __init__(self, series: Series, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._series = series
        self._clock = clock
        self._questions: WeakKeyDictionary[Any, _Question] = WeakKeyDictionary()

    def watch(self, loop: Any) -> None:
        """Ask a loop from now on, until it ends.

        Args:
            loop: a running event loop of asyncio, or the token of a run of trio; None changes nothing.
        """
        if loop is not None and loop not in self._questions:
            self._questions[loop] = _Question(self._series, self._clock)

    def probe(self) -> None:
        """Ask each loop to run a callback; one that has not run its last one lags by the age of that at least.

        A loop has one callback at most to run; one that runs no more is forgotten.
        """
        for loop, question in list(self._questions.items()):
            if not question.is_put_to(loop):
                self._questions.pop(loop, None)


class _Question:
    """What one loop is asked."""

    def __init__(self, series: Series, clock: Clock) -> None:
        self._series = series
        self._clock = clock
        self._asked_ns: int | None = None

    def is_put_to(self, loop: Any) -> bool:
        """Ask, or count how long the answer has taken so far; tell whether the loop still runs."""
        if hasattr(loop, "is_running") and not loop.is_running():
            self._asked_ns = None  # it may run again: what it has slept for is no lag
            return False
        asked_ns = self._asked_ns
        if asked_ns is not None:
            self._series.record(self._clock.monotonic_ns() - asked_ns)
            return True
        soon = getattr(loop, "call_soon_threadsafe", None) or loop.run_sync_soon
        self._asked_ns = self._clock.monotonic_ns()
        try:
            soon(self._answer)
        except RuntimeError:  # it has just been closed
            return False
        return True

    def _answer(self) -> None:
        asked_ns, self._asked_ns = self._asked_ns, None
        if asked_ns is not None:
            self._series.record(self._clock.monotonic_ns() - asked_ns)


class GcPauses:
    """Measures for how long the garbage collector stops this process, from `start` to `stop`.

    Args:
        series: of a histogram, in nanoseconds, by generation; other generations are not counted.
        clock: what it is measured by.
    """

    def __init__(self, series: Mapping[int, Series], *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._series = series
        self._stopwatch = _Stopwatch(clock)
        finalize(self, _remove, self._stopwatch).atexit = False

    def start(self) -> None:
        """Begin, if that has not been done; what was not recorded before is forgotten."""
        self._stopwatch.pauses.clear()
        if self._stopwatch not in gc.callbacks:
            gc.callbacks.append(self._stopwatch)

    def stop(self) -> None:
        """End, and record what is left."""
        _remove(self._stopwatch)
        self.record()

    def record(self) -> None:
        """Count the pauses since the last time, from anywhere but a callback of the collector's."""
        pauses = self._stopwatch.pauses
        with suppress(IndexError):  # another thread may take the last one
            while pauses:
                generation, paused_ns = pauses.popleft()
                if generation in self._series:
                    self._series[generation].record(paused_ns)


class _Stopwatch:
    """What the collector calls, before and after; it does not collect in several threads at once."""

    __slots__ = ("_began_ns", "_now", "pauses")

    def __init__(self, clock: Clock) -> None:
        self.pauses: deque[tuple[int, int]] = deque(maxlen=MAX_PAUSES)
        self._now = clock.monotonic_ns
        self._began_ns: int | None = None

    def __call__(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began_ns = self._now()
        elif self._began_ns is not None:  # else it was begun before this was there
            self.pauses.append((info["generation"], self._now() - self._began_ns))
            self._began_ns = None


def _remove(stopwatch: _Stopwatch) -> None:
    if stopwatch in gc.callbacks:
        gc.callbacks.remove(stopwatch)
