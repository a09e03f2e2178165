"""Windows: what a closed circuit remembers of its calls, and when that is too much.

| window        | remembers                                    | trips where                                          |
|---------------|----------------------------------------------|------------------------------------------------------|
| None          | the failures since the last success          | there are `failure_threshold` of them                |
| `CountWindow` | the last calls, a bit each                   | so many failed and they are `failure_rate` of all,   |
| `TimeWindow`  | the calls of the last seconds, in ten slices | or so many were slow and they are `slow_call_rate`   |

Pure: time is an argument, in nanoseconds. A success that was quick never trips a circuit. What is kept has a bound that
does not depend on the number of calls.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from asgi_guard.settings import Problems

MAX_CALLS: Final = 1_000
MAX_WINDOW_SECONDS: Final = 86_400.0
_SLICES: Final = 10
_SECOND: Final = 1_000_000_000


class Window(Protocol):
    """What a circuit asks of its memory.

    Attributes:
        is_calm: one more quick success would change nothing.
        calm_until_ns: before this time it would only be one more of `quick`, which may be added to without a lock; 0
            where that is not so.
        quick: successes that are not recorded yet. Two threads at the same moment may lose one.
    """

    is_calm: bool
    calm_until_ns: int
    quick: int

    def record(self, *, failed: bool, slow: bool, now_ns: int) -> bool:
        """Remember a call; tell whether the circuit trips."""
        ...

    def clear(self) -> None:
        """Forget all calls."""
        ...

    def totals(self, now_ns: int) -> tuple[int, int, int]:
        """Return the calls that it remembers, the failures and the slow ones among them."""
        ...


@dataclass(frozen=True, slots=True)
class CountWindow:
    """Judge by the last calls.

    Attributes:
        calls: how many, 1 to 1,000.

    Raises:
        ConfigError: a field is wrong.
    """

    calls: int = 100

    def __post_init__(self) -> None:
        problems = Problems("CountWindow")
        problems.integer("calls", self.calls, minimum=1, maximum=MAX_CALLS)
        problems.raise_if_any()

    def make(self, trips: Trips) -> Window:
        """Make the memory of one circuit."""
        return LastCalls(self.calls, trips)


@dataclass(frozen=True, slots=True)
class TimeWindow:
    """Judge by the calls of the last seconds, exact to a tenth of them.

    Attributes:
        seconds: how many, 0.01 to 86,400.

    Raises:
        ConfigError: a field is wrong.
    """

    seconds: float = 60.0

    def __post_init__(self) -> None:
        problems = Problems("TimeWindow")
        problems.number("seconds", self.seconds, minimum=0.01, maximum=MAX_WINDOW_SECONDS)
        problems.raise_if_any()

    def make(self, trips: Trips) -> Window:
        """Make the memory of one circuit."""
        return LastSeconds(self.seconds, trips)


Trips = Callable[[int, int, int], bool]
"""Tells from calls, failures and slow calls whether the circuit trips."""


class Streak:
    """The failures since the last success."""

    __slots__ = ("calm_until_ns", "failures", "is_calm", "quick", "threshold")

    def __init__(self, threshold: int) -> None:
        self.threshold: int = threshold
        self.failures: int = 0
        self.is_calm: bool = True
        self.calm_until_ns: int = 0
        self.quick: int = 0

    def record(self, *, failed: bool, slow: bool, now_ns: int) -> bool:  # noqa: ARG002
        """Remember a call; tell whether the circuit trips."""
        self.failures = self.failures + 1 if failed else 0
        self.is_calm = not failed
        return self.failures >= self.threshold

    def clear(self) -> None:
        """Forget all calls."""
        self.failures = 0
        self.is_calm = True

    def totals(self, now_ns: int) -> tuple[int, int, int]:  # noqa: ARG002
        """Return the failures, which are all that it remembers."""
        return self.failures, self.failures, 0


class LastCalls:
    """The last calls: of two whole numbers, each has a bit for every call, the latest at the low end."""

    __slots__ = ("_failed", "_mask", "_seen", "_size", "_slow", "_trips", "calm_until_ns", "is_calm", "quick")

    def __init__(self, size: int, trips: Trips) -> None:
        self._size = size
        self._mask = (1 << size) - 1
        self._trips = trips
        self.is_calm: bool = False
        self.calm_until_ns: int = 0
        self.quick: int = 0
        self._seen = self._failed = self._slow = 0

    def record(self, *, failed: bool, slow: bool, now_ns: int) -> bool:  # noqa: ARG002
        """Remember a call; tell whether the circuit trips."""
        self._failed = (self._failed << 1 | failed) & self._mask
        self._slow = (self._slow << 1 | slow) & self._mask
        if self._seen < self._size:
            self._seen += 1
        self.is_calm = not self._failed and not self._slow and self._seen == self._size
        return (failed or slow) and self._trips(self._seen, self._failed.bit_count(), self._slow.bit_count())

    def clear(self) -> None:
        """Forget all calls."""
        self._seen = self._failed = self._slow = 0
        self.is_calm = False

    def totals(self, now_ns: int) -> tuple[int, int, int]:  # noqa: ARG002
        """Return the calls that it remembers, the failures and the slow ones among them."""
        return self._seen, self._failed.bit_count(), self._slow.bit_count()


class LastSeconds:
    """The calls of the last seconds: a count for each tenth of the window, of those in which there were calls."""

    __slots__ = (
        "_failures",
        "_seen",
        "_slice_ns",
        "_slices",
        "_slow",
        "_trips",
        "calm_until_ns",
        "is_calm",
        "quick",
    )

    def __init__(self, seconds: float, trips: Trips) -> None:
        self._slice_ns = round(seconds * _SECOND / _SLICES)
        self._trips = trips
        self._slices: deque[list[int]] = deque()  # number, calls, failures, slow calls
        self._seen = self._failures = self._slow = 0
        self.is_calm: bool = False
        self.calm_until_ns: int = 0
        self.quick: int = 0

    def record(self, *, failed: bool, slow: bool, now_ns: int) -> bool:
        """Remember a call; tell whether the circuit trips."""
        number = now_ns // self._slice_ns
        slices = self._slices
        if slices:  # else somebody added to it in the very moment in which all was forgotten
            slices[-1][1] += self.quick
            self._seen += self.quick
        self.quick = 0
        if not slices or slices[-1][0] < number:
            self._let_go_before(number - _SLICES + 1)
            slices.append([number, 0, 0, 0])
            self.calm_until_ns = (number + 1) * self._slice_ns
        latest = slices[-1]
        latest[1] += 1
        self._seen += 1
        if not failed and not slow:
            return False
        latest[2] += failed
        latest[3] += slow
        self._failures += failed
        self._slow += slow
        return self._trips(self._seen, self._failures, self._slow)

    def clear(self) -> None:
        """Forget all calls."""
        self._slices.clear()
        self.calm_until_ns = self.quick = 0
        self._seen = self._failures = self._slow = 0

    def totals(self, now_ns: int) -> tuple[int, int, int]:
        """Return the calls that it remembers, the failures and the slow ones among them."""
        first = now_ns // self._slice_ns - _SLICES + 1
        kept = [counts for number, *counts in tuple(self._slices) if number >= first]
        calls, failures, slow = map(sum, zip((self.quick if kept else 0, 0, 0), *kept, strict=True))
        return calls, failures, slow

    def _let_go_before(self, number: int) -> None:
        while self._slices and self._slices[0][0] < number:
            _, seen, failures, slow = self._slices.popleft()
            self._seen -= seen
            self._failures -= failures
            self._slow -= slow
