"""Objectives: how fast a service spends what it may do wrong, and whether that is worth an alert.

Standard: the multi-window, multi-burn-rate alerts of Google's SRE workbook. An objective of 99.9 % leaves a budget of
0.1 %; at a burn rate of 1 it lasts exactly for its month, at 14.4 a fiftieth of it is gone within an hour. Each tier
has a rate, a long window, which says that it matters, and a short one, which says that it still goes on.
Rule 1: both windows must agree, and a budget that has seen too little, or three bad requests at most, says nothing.
Rule 2: only counters are read, which may begin anew at any time, and never single requests. The memory of an objective
is three rings of fixed size, 31 KB in all, whatever the traffic.
Rule 3: time is an argument; what happened while nobody looked counts as having happened when somebody did.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Final, NamedTuple

from asgi_guard.settings import Problems
from asgi_guard.watch.alert_events import Severity
from asgi_guard.watch.alert_settings import HISTORY_SECONDS, Alert, Reading

FEWEST_BAD: Final = 4
"""The bad requests in the short window below which nothing is an alert: a few are what a budget is there for."""

YOUNG_SECONDS: Final = 60
"""For how long an objective has no verdict after somebody began to look."""

MAX_LATENCY_SECONDS: Final = 3_600.0
"""The longest that a request may take and be good."""

_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400

RATES: Final[tuple[tuple[float, int, int, Severity], ...]] = (
    (14.4, _HOUR, 5 * _MINUTE, "critical"),
    (6.0, 6 * _HOUR, 30 * _MINUTE, "high"),
    (1.0, 3 * _DAY, 6 * _HOUR, "low"),
)
"""The tiers: how many times too fast, over which long and which short window in seconds, and how bad that is."""

RINGS: Final = ((5, _HOUR), (_MINUTE, 6 * _HOUR), (5 * _MINUTE, 3 * _DAY))
"""What is remembered: in steps of so many seconds, for so many seconds."""


@dataclass(frozen=True, slots=True)
class SLO:
    """What share of the requests is to go well.

    Attributes:
        name: for people and for the states, 1 to 64 characters.
        objective: the percentage of the requests that are to be good, 1 to 99.9999. Below 93.1 nothing can burn the
            budget 14.4 times too fast, and below 83.4 not 6 times.
        latency_seconds: whatever took longer is bad as well as what failed, 0.001 to 3,600; None is whatever failed.
        routes: the templates that it is about, such as `/orders/{id}`; all where there are none.
        minimum_events: without so many requests in the short window of a tier it has no verdict, 1 to 1,000,000.

    Raises:
        ConfigError: a field is wrong.
    """

    name: str
    _: KW_ONLY
    objective: float = 99.9
    latency_seconds: float | None = None
    routes: Sequence[str] = ()
    minimum_events: int = 100

    def __post_init__(self) -> None:
        problems = Problems("SLO")
        problems.text("name", self.name, max_length=64)
        problems.number("objective", self.objective, minimum=1, maximum=99.9999)
        if self.latency_seconds is not None:
            problems.number("latency_seconds", self.latency_seconds, minimum=0.001, maximum=MAX_LATENCY_SECONDS)
        problems.sequence_of_text("routes", self.routes, ascii_only=False)
        problems.integer("minimum_events", self.minimum_events, minimum=1, maximum=1_000_000)
        problems.raise_if_any()


class Tier(NamedTuple):
    """One of the alerts of an objective.

    Attributes:
        alert: its settings.
        long: the memory that its long window is read from, and the seconds of that window.
        short: those of its short window.
    """

    alert: Alert
    long: tuple[Ring, int]
    short: tuple[Ring, int]


class Ring:
    """What two counters were at the beginning of each step, for a bounded time.

    Args:
        step_seconds: how long a step is.
        span_seconds: how long is remembered.
    """

    __slots__ = ("_bads", "_first", "_last", "_size", "_step", "_totals")

    def __init__(self, step_seconds: int, span_seconds: int) -> None:
        self._step = step_seconds
        self._size = span_seconds // step_seconds + 1
        self._totals = array("q", [0]) * self._size
        self._bads = array("q", [0]) * self._size
        self._first: int | None = None
        self._last = 0

    def turn(self, now: float, total: int, bad: int) -> None:
        """Remember what the counters were last, where that is the beginning of one step or of several."""
        step = int(now // self._step)
        if self._first is None:
            self._first, self._last = step, step - 1
        for missed in range(max(self._last + 1, step - self._size + 1), step + 1):
            place = missed % self._size
            self._totals[place], self._bads[place] = total, bad
        self._last = max(self._last, step)

    def before(self, now: float, seconds: int) -> tuple[int, int]:
        """Return what the counters were so many seconds ago, or as long ago as is remembered."""
        oldest = max(self._first or 0, self._last - self._size + 1)
        step = int(now // self._step) - seconds // self._step
        place = min(max(step, oldest), self._last) % self._size
        return self._totals[place], self._bads[place]


class Budget:
    """What one objective has left, as far as it is known.

    Args:
        slo: the objective.

    Attributes:
        slo: the objective.
        tiers: its alerts.
    """

    __slots__ = ("_bad", "_began", "_counted", "_rings", "_total", "slo", "tiers")

    def __init__(self, slo: SLO) -> None:
        self.slo: SLO = slo
        self._rings = tuple(Ring(step, span) for step, span in RINGS)
        self.tiers: tuple[Tier, ...] = tuple(
            Tier(_alert(slo, rate, short, severity), (self._finest(long), long), (self._finest(short), short))
            for rate, long, short, severity in RATES
        )
        self._counted: tuple[int, int] | None = None
        self._began = math.inf
        self._total = self._bad = 0  # since this began, whatever the counters do

    def _finest(self, seconds: int) -> Ring:
        return next(ring for ring, (_, span) in zip(self._rings, RINGS, strict=True) if seconds <= span)

    def observe(self, now: float, total: int, bad: int) -> None:
        """Read the counters.

        What they show at first happened before anybody looked, and counts for nothing. Where the total is less than it
        was, both have begun anew.

        Args:
            now: seconds on a clock that never goes back.
            total: all requests that the objective is about, ever.
            bad: those of them that failed, or took too long.
        """
        self._began = min(self._began, now)
        for ring in self._rings:
            ring.turn(now, self._total, self._bad)
        was_total, was_bad = self._counted or (total, bad)
        if total < was_total:
            was_total = was_bad = 0
        highest = max(bad, was_bad)  # it is estimated from buckets, and may waver
        self._counted = total, highest
        added = total - was_total
        self._total += added
        self._bad += min(highest - was_bad, added)

    def reading(self, now: float, tier: Tier) -> Reading:
        """Return the burn rate that both windows of a tier agree on, and the requests of the short one.

        A window that is longer than this has seen is judged by what it has seen, but not in the first minute: what
        fails then is a start, and no share of a month.
        """
        (rate, _, _), (short_rate, events, bad) = self._burnt(now, *tier.long), self._burnt(now, *tier.short)
        if rate is None or short_rate is None or now - self._began < YOUNG_SECONDS:
            return Reading(None, events)
        return Reading(min(rate, short_rate) if bad >= FEWEST_BAD else 0.0, events)

    def _burnt(self, now: float, ring: Ring, seconds: int) -> tuple[float | None, int, int]:
        total, bad = ring.before(now, seconds)
        total, bad = self._total - total, self._bad - bad
        return (bad / total * 100 / (100 - self.slo.objective) if total else None), total, bad


def _alert(slo: SLO, rate: float, short_seconds: int, severity: Severity) -> Alert:
    return Alert(
        f"{slo.name} {rate:g}x",
        f"burn rate of {slo.name}",
        above=rate,
        window_seconds=min(short_seconds, HISTORY_SECONDS),
        minimum_events=slo.minimum_events,
        severity=severity,
    )
