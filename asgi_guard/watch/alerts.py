"""Alerts: which measurements are told to somebody, and when; pure, as a table of states.

    alerts = Alerts([*DEFAULT_ALERTS, Alert("orders", "orders_waiting", above=50, hold_seconds=60)], [SLO("shop")])

An alert fires where its signal is beyond the threshold for long enough, and clears where it is well within it again.
Rule 1: no number, no verdict: what is not measured, not finite, or made of too few events neither fires nor clears.
One that fires clears where nothing came for two of its windows, since nobody would ever hear of its end otherwise.
Rule 2: one request alone is no alert, however bad it is and however few there are.
Rule 3: an alert that has cleared does not fire again within its cool-down, with no exception: it is `pending` then, and
fires when the cool-down has passed if it is still over. So nothing is lost, and a signal that swings cannot cry wolf.
Rule 4: time is an argument, and only ever goes on; the time of day stamps what is told, and decides nothing.

Not safe for threads: one evaluates; whoever asks for the states meanwhile sees each alert before or after its change.

| id    | rule that was broken                                       |
|-------|------------------------------------------------------------|
| AG883 | alerts are a list of `Alert`s, objectives a list of `SLO`s |
| AG884 | each alert has a name of its own                           |
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeVar

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.settings import Problems
from asgi_guard.watch.alert_events import AlertCleared, AlertEvent, AlertFired
from asgi_guard.watch.alert_settings import DEFAULT_ALERTS, Alert, Reading, alerts_of
from asgi_guard.watch.slo import SLO, Budget

__all__ = ["DEFAULT_ALERTS", "TABLE", "Alert", "Alerts", "Reading", "State", "Trigger", "alerts_of"]

T = TypeVar("T")

MAX_ALERTS: Final = 200
"""The alerts that there may be, and the objectives."""

_SILENT_WINDOWS: Final = 2


class State(StrEnum):
    """What an alert says."""

    OK = "ok"
    """Nothing."""
    PENDING = "pending"
    """The threshold is crossed, but not for long enough; or the cool-down has not passed."""
    FIRING = "firing"
    """It has told somebody, and will tell them of its end."""


class Trigger(StrEnum):
    """What a reading amounts to."""

    OVER = "over"
    """It is beyond the threshold."""
    HELD = "held"
    """It has been for long enough, and the cool-down has passed."""
    NEAR = "near"
    """It is within the threshold, but not far enough to clear."""
    CLEAR = "clear"
    """It is well within the threshold."""
    SILENT = "silent"
    """Nothing was measured, or too little."""
    FORGOTTEN = "forgotten"
    """So it has been for two windows."""


TABLE: Final[Mapping[tuple[State, Trigger], State]] = MappingProxyType(
    {
        (State.OK, Trigger.OVER): State.PENDING,
        (State.OK, Trigger.HELD): State.FIRING,
        (State.PENDING, Trigger.HELD): State.FIRING,
        (State.PENDING, Trigger.NEAR): State.OK,
        (State.PENDING, Trigger.CLEAR): State.OK,
        (State.PENDING, Trigger.SILENT): State.OK,
        (State.PENDING, Trigger.FORGOTTEN): State.OK,
        (State.FIRING, Trigger.CLEAR): State.OK,
        (State.FIRING, Trigger.FORGOTTEN): State.OK,
    }
)
"""Every transition; a trigger that has no row in a state changes nothing."""


class Watched:
    """One alert, and what has become of it.

    Args:
        rule: its settings.
        clock: tells the time of day.
    """

    __slots__ = ("_clock", "_heard_at", "_over_since", "_quiet_until", "_since", "_value", "rule", "state")

    def __init__(self, rule: Alert, clock: Clock) -> None:
        self.rule: Alert = rule
        self.state: State = State.OK
        self._clock = clock
        self._since = 0.0
        self._value: float | None = None
        self._heard_at: float | None = None
        self._over_since: float | None = None
        self._quiet_until = -math.inf

    def take(self, now: float, reading: Reading) -> AlertEvent | None:
        """Go on with what the signal is now; return what is to be told."""
        value = reading.value
        self._value = value if value is not None and math.isfinite(value) else None
        before = self.state
        self.state = TABLE.get((before, self._trigger(now, reading.events)), before)
        if self.state is before:
            return None
        self._since = now
        if self.state is State.FIRING:
            return self._event(AlertFired)
        if before is State.FIRING:
            self._quiet_until = now + self.rule.cooldown_seconds
            return self._event(AlertCleared)
        return None

    def _trigger(self, now: float, events: int | None) -> Trigger:
        value, rule = self._value, self.rule
        is_over = value is not None and rule.is_over(value)
        if value is None or (
            events is not None and (events < rule.minimum_events or (is_over and rule.is_of_one(value, events)))
        ):
            return self._silence(now)
        self._heard_at = now
        if not is_over:
            self._over_since = None
            return Trigger.CLEAR if rule.is_clear(value) else Trigger.NEAR
        if self._over_since is None:
            self._over_since = now
        is_held = now - self._over_since >= rule.hold_seconds and now >= self._quiet_until
        return Trigger.HELD if is_held else Trigger.OVER

    def _silence(self, now: float) -> Trigger:
        self._over_since = None
        heard_at = self._heard_at
        is_long = heard_at is not None and now - heard_at >= _SILENT_WINDOWS * self.rule.window_seconds
        return Trigger.FORGOTTEN if is_long else Trigger.SILENT

    def _event(self, kind: type[AlertEvent]) -> AlertEvent:
        rule = self.rule
        return kind(
            name=rule.name,
            signal=rule.signal,
            severity=rule.severity,
            value=self._value,
            threshold=rule.threshold,
            unit=rule.unit,
            message=self._message(),
            time=self._clock.time(),
        )

    def _message(self) -> str:
        rule, value = self.rule, self._value
        if value is None:
            return f"{rule.signal} is not measured"
        unit = rule.unit and f" {rule.unit}"
        side = "over" if rule.below is None else "under"
        verdict = side if rule.is_over(value) else f"not {side}"
        return f"{rule.signal} is {value:.4g}{unit}, {verdict} {rule.threshold:.4g}{unit}"

    def quiet_seconds(self, now: float) -> float:
        """Return for how long it does not fire again."""
        return max(self._quiet_until - now, 0.0)

    def keep_quiet(self, now: float, seconds: float) -> None:
        """Do not fire for so long, at most for its cool-down."""
        self._quiet_until = now + min(max(seconds, 0.0), self.rule.cooldown_seconds)

    def resume(self, now: float, since: float) -> None:
        """Go on firing, as another process did since some time of day; whether it still is over is seen next."""
        self.state = State.FIRING
        self._since = now - max(self._clock.time() - since, 0.0)
        self._heard_at = now

    def told(self, now: float) -> dict[str, Any]:
        """Describe it as the summary does; `since` is the time of day at which it left `ok`, or began to fire."""
        rule = self.rule
        return {
            "name": rule.name,
            "state": self.state.value,
            "severity": rule.severity,
            "value": self._value,
            "threshold": rule.threshold,
            "unit": rule.unit,
            "since": None if self.state is State.OK else self._clock.time() - (now - self._since),
            "message": self._message(),
        }


class Alerts:
    """All alerts of one process.

    Args:
        rules: which signals are watched, at most 200.
        slos: which objectives are, at most 200; each is three alerts, named after it and the rate of each tier.
        clock: tells the time of day.

    Attributes:
        budgets: of the objectives, in their order; each is to observe what was counted before an evaluation.

    Raises:
        ConfigError: the lists hold something else, or two alerts have one name.
    """

    __slots__ = ("_clock", "_tiers", "_watched", "budgets")

    def __init__(self, rules: Iterable[Alert], slos: Iterable[SLO] = (), *, clock: Clock = SYSTEM_CLOCK) -> None:
        problems = Problems("Alerts")
        alerts = _list_of(problems, "rules", rules, Alert)
        self.budgets: tuple[Budget, ...] = tuple(map(Budget, _list_of(problems, "slos", slos, SLO)))
        tiers = [(tier, budget) for budget in self.budgets for tier in budget.tiers]
        names: set[str] = set()
        for alert in [*alerts, *[tier.alert for tier, _ in tiers]]:
            if alert.name in names:
                problems.add("AG884", "rules", alert.name, "must have a name each", "Call one of them something else.")
            names.add(alert.name)
        problems.raise_if_any()
        self._clock = clock
        self._watched = [Watched(alert, clock) for alert in alerts]
        self._tiers = [(Watched(tier.alert, clock), tier, budget) for tier, budget in tiers]

    def evaluate(self, now: float, readings: Callable[[Alert], Reading]) -> list[AlertEvent]:
        """Judge every alert, and return what is to be told: `AlertFired` and `AlertCleared`.

        Args:
            now: seconds on a clock that never goes back, the one that the budgets observe by.
            readings: returns what the signal of an alert is, over its window; not asked for objectives.
        """
        events = [watched.take(now, readings(watched.rule)) for watched in self._watched]
        events += [watched.take(now, budget.reading(now, tier)) for watched, tier, budget in self._tiers]
        return [event for event in events if event is not None]

    def states(self, now: float) -> list[dict[str, Any]]:
        """Describe every alert, in the order of the settings, as the summary does.

        Args:
            now: seconds, as for `evaluate`.
        """
        return [watched.told(now) for watched in self._all()]

    def quiet(self, now: float) -> dict[str, float]:
        """Return until which time of day alerts do not fire again, by their names."""
        time = self._clock.time()
        return {
            watched.rule.name: time + seconds for watched in self._all() if (seconds := watched.quiet_seconds(now)) > 0
        }

    def adopt(self, now: float, states: Iterable[Mapping[str, Any]], quiet: Mapping[str, float]) -> None:
        """Go on where another process has stopped: what fires clears one day, and cool-downs last.

        Args:
            now: seconds, as for `evaluate`.
            states: as its `states` were.
            quiet: as its `quiet` was.
        """
        time = self._clock.time()
        known = {state["name"]: state for state in states}
        for watched in self._all():
            name, rule = watched.rule.name, watched.rule
            if name in quiet:
                watched.keep_quiet(now, quiet[name] - time)
            if name not in known or known[name].get("threshold") != rule.threshold:
                continue
            if known[name]["state"] == State.FIRING.value:
                watched.resume(now, known[name].get("since") or time)
            else:
                watched.state = State.OK

    def _all(self) -> list[Watched]:
        return [*self._watched, *[watched for watched, *_ in self._tiers]]


def _list_of(problems: Problems, field: str, given: Iterable[T], kind: type[T]) -> list[T]:
    items = list(given) if isinstance(given, list | tuple) else []
    if not isinstance(given, list | tuple) or len(items) > MAX_ALERTS:
        remedy = f"Put it in brackets: [{kind.__name__}(...)]."
        problems.add("AG883", field, given, f"must be a list of at most {MAX_ALERTS}", remedy)
        return []
    for index, item in enumerate(items):
        if not isinstance(item, kind):
            remedy = f"Write {kind.__name__}(...)."
            problems.add("AG883", f"{field}[{index}]", item, f"must be of type {kind.__name__}", remedy)
    return [item for item in items if isinstance(item, kind)]
