"""Settings of an alert: which signal is watched, and when it is worth waking somebody.

Must never take a threshold that nothing could cross, nor fire on one request, however bad that is.

| id    | rule that was broken                                                     |
|-------|--------------------------------------------------------------------------|
| AG880 | an alert has one threshold: `above` or `below`                           |
| AG881 | a threshold in percent lies between 0 and 100, or nothing could cross it |
| AG882 | a signal is one that is known, or is not called nearly as one            |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from types import MappingProxyType
from typing import Final, NamedTuple

from asgi_guard.settings import Problems, did_you_mean
from asgi_guard.watch.alert_events import SEVERITIES, Severity

UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cpu_usage": "%",
        "memory_usage": "%",
        "disk_usage": "%",
        "response_time": "s",
        "error_rate": "%",
        "event_loop_lag": "s",
    }
)
"""The signals that the watch measures itself, and their units; any other is the name of a custom metric."""

MAX_SECONDS: Final = 86_400.0
"""A day: the longest hold and the longest cool-down."""

HISTORY_SECONDS: Final = 3_600.0
"""An hour: the longest window, since nothing older is kept."""

_NEARLY: Final = 0.85
"""How much alike two names are that are one, of which the other is written wrongly: 1 is the same."""

_CROSSED: Final = "must be a percentage that can be crossed: from 0, under 100 for `above`, over 0 for `below`"
_UNCROSSED: Final = (
    "80 is 80 %. Name the alerts that you want in Monitor(alerts=...), and leave this one out, to have none."
)

_FEWEST_ERRORS: Final = 1.5  # two, with room for a rate that was rounded
_FEWEST_FOR_P95: Final = 20  # of fewer durations the slowest one alone is the 95th percentile


class Reading(NamedTuple):
    """What a signal is at present.

    Attributes:
        value: in the unit of the signal; None, or what is not finite, where nothing was measured.
        events: how many events of the window it is made of; None for what is no count of events, such as memory.
    """

    value: float | None
    events: int | None


@dataclass(frozen=True, slots=True)
class Alert:
    """When a signal is worth an alert.

    Attributes:
        name: for people and for the states, 1 to 128 characters, each alert its own.
        signal: `cpu_usage`, `memory_usage`, `disk_usage` or `error_rate` (percent), `response_time` (the 95th
            percentile, in seconds), `event_loop_lag` (seconds), or the name of a custom metric, at most 128 characters.
        above: fires where the value is over it.
        below: fires where the value is under it; one of the two is given.
        window_seconds: what the signal is measured over, 1 to 3,600.
        minimum_events: without so many in the window there is no verdict, 1 to 1,000,000; signals that are no counts of
            events, such as memory, have none to wait for. A response time waits for 20 at least, and an error rate for
            two errors: one request alone is no alert.
        hold_seconds: how long it must be beyond the threshold without a pause, 0 to 86,400.
        clear_ratio: how much of the threshold it must come back to, above 0 to 1: `above=5` clears at 4.5 with 0.9, and
            `below=9` at 10.
        cooldown_seconds: after it has cleared it does not fire for so long, 0 to 86,400.
        severity: `low`, `medium`, `high` or `critical`.

    Raises:
        ConfigError: a field is wrong.
    """

    name: str
    signal: str
    _: KW_ONLY
    above: float | None = None
    below: float | None = None
    window_seconds: float = 30
    minimum_events: int = 10
    hold_seconds: float = 0
    clear_ratio: float = 0.9
    cooldown_seconds: float = 300
    severity: Severity = "high"

    def __post_init__(self) -> None:
        problems = Problems("Alert")
        problems.text("name", self.name, max_length=128)
        if problems.text("signal", self.signal, max_length=128):
            _check_signal(problems, self.signal)
        self._check_threshold(problems)
        problems.number("window_seconds", self.window_seconds, minimum=1, maximum=HISTORY_SECONDS)
        problems.integer("minimum_events", self.minimum_events, minimum=1, maximum=1_000_000)
        problems.number("hold_seconds", self.hold_seconds, minimum=0, maximum=MAX_SECONDS)
        problems.number("clear_ratio", self.clear_ratio, minimum=0.01, maximum=1)
        problems.number("cooldown_seconds", self.cooldown_seconds, minimum=0, maximum=MAX_SECONDS)
        problems.choice("severity", self.severity, SEVERITIES)
        problems.raise_if_any()

    def _check_threshold(self, problems: Problems) -> None:
        given = {field: value for field in ("above", "below") if (value := getattr(self, field)) is not None}
        if len(given) != 1:
            rule = "must have one threshold, above= or below="
            remedy = (
                "Make two alerts of it." if given else f"Write Alert({self.name!r}, {self.signal!r}, above=80), say."
            )
            problems.add("AG880", "above", self.above, rule, remedy)
        for field, value in given.items():
            if problems.number(field, value) and self.unit == "%" and not _can_cross(value, is_above=field == "above"):
                problems.add("AG881", field, value, _CROSSED, _UNCROSSED)

    @property
    def threshold(self) -> float:
        """What the value is compared with."""
        return self.below or 0.0 if self.above is None else self.above

    @property
    def unit(self) -> str:
        """`%`, `s`, or nothing where nobody knows it."""
        return UNITS.get(self.signal, "") if isinstance(self.signal, str) else ""

    def is_over(self, value: float) -> bool:
        """Tell whether a value is on the wrong side of the threshold."""
        return value < self.threshold if self.above is None else value > self.threshold

    def is_clear(self, value: float) -> bool:
        """Tell whether a value is so far on the right side that the alert is over."""
        room = abs(self.threshold)  # so that it is also right below zero
        if self.above is None:
            level = self.threshold + room * (1 / self.clear_ratio - 1)
            return value >= (min(level, 100.0) if self.unit == "%" else level)
        return value <= self.threshold - room * (1 - self.clear_ratio)

    def is_of_one(self, value: float, events: int) -> bool:
        """Tell whether one request alone may have made the value what it is."""
        if self.above is None:
            return False
        if self.signal == "error_rate":
            return value * events < 100 * _FEWEST_ERRORS
        return self.signal == "response_time" and events < _FEWEST_FOR_P95


def _can_cross(percent: float, *, is_above: bool) -> bool:
    return 0 <= percent < 100 if is_above else 0 < percent <= 100


def _check_signal(problems: Problems, signal: str) -> None:
    """Refuse what is nearly a signal: it would be watched as a metric of one's own, which nothing ever measures."""
    if signal in UNITS:
        return
    from difflib import get_close_matches  # slow to import, and needed only for metrics of one's own

    close = get_close_matches(signal[:64].lower().replace("-", "_"), UNITS, n=1, cutoff=_NEARLY)
    if close:
        remedy = f"Did you mean {close[0]!r}? Call a metric of your own otherwise, such as 'shop.{signal[:64]}'."
        problems.add("AG882", "signal", signal, "is nearly the name of a signal, and is none", remedy)


DEFAULT_ALERTS: Final = (
    Alert("cpu_usage", "cpu_usage", above=80.0),
    Alert("memory_usage", "memory_usage", above=85.0),
    Alert("disk_usage", "disk_usage", above=90.0),
    Alert("response_time", "response_time", above=5.0),
    Alert("error_rate", "error_rate", above=5.0),
)
"""What is watched where nothing else is said."""


def alerts_of(thresholds: Mapping[str, float]) -> tuple[Alert, ...]:
    """Make alerts of thresholds by name, as `PERFORMANCE_CONFIG["alert_thresholds"]` has them.

    Args:
        thresholds: by the names of `DEFAULT_ALERTS`: percent, or seconds for `response_time`.

    Returns:
        One alert for each of them, of the name of its signal; so it takes the place of a default.

    Raises:
        ConfigError: a name is not known, or a threshold is wrong.
    """
    problems = Problems("alert_thresholds")
    if not isinstance(thresholds, Mapping):
        remedy = 'Write {"cpu_usage": 80.0}, say.'
        problems.add("AG882", "names", thresholds, "must be thresholds by name", remedy)
        problems.raise_if_any()
    known = [alert.signal for alert in DEFAULT_ALERTS]
    for name in thresholds:
        if name not in known:
            remedy = did_you_mean(name, known) or f"The names are: {', '.join(known)}."
            problems.add("AG882", str(name), thresholds[name], "is not the threshold of a signal", remedy)
    for name, value in thresholds.items():
        is_number = name in known and problems.number(name, value, minimum=0)
        if is_number and UNITS[name] == "%" and not _can_cross(value, is_above=True):
            problems.add("AG881", name, value, _CROSSED, _UNCROSSED)
    problems.raise_if_any()
    return tuple([Alert(name, name, above=value) for name, value in thresholds.items()])
