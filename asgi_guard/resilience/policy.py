"""The settings of a circuit breaker: when it opens, for how long, and what closes it again.

| id    | rule that was broken                                                                    |
|-------|-----------------------------------------------------------------------------------------|
| AG603 | a window is None, a `CountWindow` or a `TimeWindow`                                     |
| AG604 | a rate is of the calls of a window, and so is the number of slow ones: there must be one |
| AG605 | a count window holds at least as many calls as failures that it takes                   |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypedDict

from asgi_guard.resilience.windows import CountWindow, Streak, TimeWindow, Window
from asgi_guard.settings import Problems

MAX_SECONDS: Final = 86_400.0
"""A day: the longest that a circuit stays open by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a circuit opens, for how long, and what closes it again.

    Attributes:
        failure_threshold: the failures that it takes, 1 to 1,000: in a row, or in the window where there is one.
        window: None, a `CountWindow` or a `TimeWindow`.
        failure_rate: with a window, the share of its calls that the failures must be as well, above 0 to 1.
        slow_call_seconds: with a window, a call that takes at least so long is slow, and counts against
            `slow_call_rate`; a probe that is slow has failed. None is off.
        slow_call_rate: the share of the calls that must be slow for the circuit to open, above 0 to 1; and at least
            `failure_threshold` of them.
        recovery_timeout: seconds until an open circuit is probed, 0 to 86,400.
        recovery_growth: what this time is multiplied by each time that the probes fail, 1 to 10.
        max_recovery_timeout: its bound in seconds, `recovery_timeout` to 86,400; None is 600, or `recovery_timeout`
            where that is more.
        half_open_max: how many probes may be under way at a time, 1 to 1,000.
        success_threshold: how many of them must succeed for the circuit to close, 1 to 1,000.
        probe_lease: seconds after which a probe that has not reported makes room for another, above 0 to 86,400.

    Raises:
        ConfigError: a field is wrong.
    """

    failure_threshold: int = 5
    window: CountWindow | TimeWindow | None = None
    failure_rate: float = 0.5
    slow_call_seconds: float | None = None
    slow_call_rate: float = 0.5
    recovery_timeout: float = 60.0
    recovery_growth: float = 1.0
    max_recovery_timeout: float | None = None
    half_open_max: int = 1
    success_threshold: int = 1
    probe_lease: float = 60.0

    def __post_init__(self) -> None:
        problems = Problems("circuit_breaker")
        is_count = problems.integer("failure_threshold", self.failure_threshold, minimum=1, maximum=1_000)
        if self.window is not None and not isinstance(self.window, CountWindow | TimeWindow):
            rule = "must be None, a CountWindow or a TimeWindow"
            problems.add("AG603", "window", self.window, rule, "Write CountWindow(100) or TimeWindow(60).")
        if is_count and isinstance(self.window, CountWindow) and self.window.calls < self.failure_threshold:
            rule = f"must hold at least failure_threshold={self.failure_threshold} calls"
            problems.add("AG605", "window", self.window, rule, "Make it larger: it would never open the circuit.")
        problems.number("failure_rate", self.failure_rate, minimum=0.001, maximum=1)
        problems.number("slow_call_rate", self.slow_call_rate, minimum=0.001, maximum=1)
        if self.slow_call_seconds is not None:
            problems.number("slow_call_seconds", self.slow_call_seconds, minimum=0.000_001, maximum=MAX_SECONDS)
            if self.window is None:
                rule = "needs a window"
                problems.add(
                    "AG604", "slow_call_seconds", self.slow_call_seconds, rule, "Give window=CountWindow(100)."
                )
        is_time = problems.number("recovery_timeout", self.recovery_timeout, minimum=0, maximum=MAX_SECONDS)
        if is_time and self.max_recovery_timeout is not None:
            least = self.recovery_timeout
            problems.number("max_recovery_timeout", self.max_recovery_timeout, minimum=least, maximum=MAX_SECONDS)
        problems.number("recovery_growth", self.recovery_growth, minimum=1, maximum=10)
        problems.integer("half_open_max", self.half_open_max, minimum=1, maximum=1_000)
        problems.integer("success_threshold", self.success_threshold, minimum=1, maximum=1_000)
        problems.number("probe_lease", self.probe_lease, minimum=0.001, maximum=MAX_SECONDS)
        problems.raise_if_any()

    @property
    def longest_open(self) -> float:
        """The seconds beyond which the recovery timeout does not grow."""
        longest = self.max_recovery_timeout
        return max(600.0, self.recovery_timeout) if longest is None else longest

    def make_window(self) -> Window:
        """Make the memory of one circuit."""
        return Streak(self.failure_threshold) if self.window is None else self.window.make(self._trips)

    def _trips(self, calls: int, failures: int, slow: int) -> bool:
        return (failures >= self.failure_threshold and failures >= self.failure_rate * calls) or (
            slow >= self.failure_threshold and slow >= self.slow_call_rate * calls
        )


class BreakerFields(TypedDict, total=False):
    """The fields of `BreakerPolicy`, for keyword arguments."""

    failure_threshold: int
    window: CountWindow | TimeWindow | None
    failure_rate: float
    slow_call_seconds: float | None
    slow_call_rate: float
    recovery_timeout: float
    recovery_growth: float
    max_recovery_timeout: float | None
    half_open_max: int
    success_threshold: int
    probe_lease: float
