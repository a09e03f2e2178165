"""Alerts: when one fires, when it clears, and what it takes to do neither."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import product

import pytest

from asgi_guard.errors import ConfigError
from asgi_guard.events import notify
from asgi_guard.testing import ManualClock, capture_events
from asgi_guard.watch import alert_settings
from asgi_guard.watch.alert_events import AlertCleared, AlertEvent, AlertFired
from asgi_guard.watch.alerts import DEFAULT_ALERTS, TABLE, Alert, Alerts, Reading, State, Trigger, alerts_of
from asgi_guard.watch.slo import SLO

NOON = 1_700_000_000.0
NAMES = ["cpu_usage", "memory_usage", "disk_usage", "response_time", "error_rate"]


class Told:
    """One alert on a clock of its own, and what it told: `+12` fired at 12 seconds, `-30` cleared at 30."""

    def __init__(self, alert: Alert) -> None:
        self.clock = ManualClock(NOON)
        self.alerts = Alerts([alert], clock=self.clock)
        self.passed = 0
        self.events: list[AlertEvent] = []
        self.marks: list[str] = []

    def take(self, value: float | None, events: int | None = 100, seconds: int = 1) -> Told:
        """Let seconds pass in which the signal is this."""
        for _ in range(seconds):
            told = self.alerts.evaluate(self.now, lambda _: Reading(value, events))
            self.events += told
            self.marks += [f"{'+' if isinstance(event, AlertFired) else '-'}{self.passed}" for event in told]
            self.clock.advance(1)
            self.passed += 1
        return self

    @property
    def now(self) -> float:
        """What the watch evaluates by."""
        return self.clock.monotonic_ns() / 1e9

    @property
    def state(self) -> str:
        """The state that the summary shows."""
        return self.alerts.states(self.now)[0]["state"]


def told(alert: Alert, course: Iterable[tuple]) -> str:
    """Take readings, each `(value, events, seconds)`, and return what was told."""
    watched = Told(alert)
    for reading in course:
        watched.take(*reading)
    return " ".join(watched.marks)


def problems_of(**fields) -> list[str]:
    """Return what is wrong with the settings of an alert."""
    with pytest.raises(ConfigError) as raised:
        Alert(**{"name": "a", "signal": "cpu_usage", **fields})
    return [f"{problem.id} {problem.field}" for problem in raised.value.problems]


RATE = {"signal": "error_rate", "above": 5.0}
CPU = {"signal": "cpu_usage", "above": 80.0}
STOCK = {"signal": "stock", "below": 9.0}
NONE = (None, 0, 120)

COURSES = {
    "fires at once, and only once": (RATE, [(50, 100, 20)], "+0"),
    "the threshold itself is not over it": (RATE, [(5.0, 100, 20)], ""),
    "nine events are too few": (RATE, [(100, 9, 60)], ""),
    "ten are enough": (RATE, [(100, 9, 5), (100, 10, 5)], "+5"),
    "a signal that is no count of events waits for none": (CPU, [(81, None, 3)], "+0"),
    "holds for three seconds": ({**RATE, "hold_seconds": 3}, [(50, 100, 9)], "+3"),
    "a pause begins the hold anew": ({**RATE, "hold_seconds": 3}, [(50, 100, 3), (4, 100, 1), (50, 100, 9)], "+7"),
    "so does silence": ({**RATE, "hold_seconds": 3}, [(50, 100, 3), (None, 0, 1), (50, 100, 9)], "+7"),
    "clears at nine tenths": (RATE, [(50, 100, 1), (4.51, 100, 9), (4.5, 100, 1)], "+0 -10"),
    "clears where it is told to": ({**RATE, "clear_ratio": 0.5}, [(6, 100, 1), (2.6, 100, 9), (2.5, 100, 1)], "+0 -10"),
    "with a ratio of one it clears at the threshold": (
        {**CPU, "clear_ratio": 1},
        [(81, None, 2), (80, None, 1)],
        "+0 -2",
    ),
    "does not fire within the cool-down": (RATE, [(50, 100, 1), (0, 100, 1), (50, 100, 299)], "+0 -1"),
    "fires after it if it is still over": (RATE, [(50, 100, 1), (0, 100, 1), (50, 100, 301)], "+0 -1 +301"),
    "without a cool-down it fires again": (
        {**RATE, "cooldown_seconds": 0},
        [(50, 100, 1), (0, 100, 1), (50, 100, 1)],
        "+0 -1 +2",
    ),
    "the hold may pass within the cool-down": (
        {**RATE, "cooldown_seconds": 10, "hold_seconds": 5},
        [(50, 100, 6), (0, 100, 1), (50, 100, 30)],
        "+5 -6 +16",
    ),
    "silence for two windows clears": ({**RATE, "window_seconds": 10}, [(50, 100, 5), NONE], "+0 -24"),
    "too few events for two windows do as well": (
        {**RATE, "window_seconds": 10},
        [(50, 100, 5), (100, 3, 60)],
        "+0 -24",
    ),
    "silence for less does not": ({**RATE, "window_seconds": 10}, [(50, 100, 5), (None, 0, 19), (50, 100, 9)], "+0"),
    "what is not a number never fires": (CPU, [(math.nan, None, 60), (math.inf, None, 60), (None, None, 60)], ""),
    "what is under a bound fires, and clears above it": (STOCK, [(8, 50, 2), (9.9, 50, 9), (10, 50, 1)], "+0 -11"),
    "a bound from below is not under itself": (STOCK, [(9, 50, 60)], ""),
    "a bound below zero has its room on the right side": (
        {"signal": "frost", "below": -10},
        [(-11, None, 1), (-9.5, None, 5), (-8, None, 1)],
        "+0 -6",
    ),
    "a bound of zero is cleared at zero": (
        {"signal": "dead_letters", "above": 0},
        [(1, None, 2), (0, None, 1)],
        "+0 -2",
    ),
    "a percentage clears at a hundred at the latest": (
        {"signal": "cpu_usage", "below": 95},
        [(90, None, 2), (99, None, 1), (100, None, 1)],
        "+0 -3",
    ),
    "one error among ten is no alert": (RATE, [(10, 10, 60)], ""),
    "two are": (RATE, [(20, 10, 60)], "+0"),
    "one slow request among nineteen is no alert": ({"signal": "response_time", "above": 5}, [(60, 19, 60)], ""),
    "the 95th percentile of twenty is that of two": ({"signal": "response_time", "above": 5}, [(60, 20, 60)], "+0"),
    "no error at all, among thousands, clears at once": (RATE, [(50, 100, 1), (0, 5000, 1)], "+0 -1"),
}


@pytest.mark.parametrize(("fields", "course", "expected"), COURSES.values(), ids=COURSES)
def test_an_alert_takes_its_course(fields, course, expected) -> None:
    """What fires when, and clears when, second by second."""
    assert told(Alert("a", **fields), course) == expected


@pytest.mark.parametrize(("state", "trigger"), [*product(State, Trigger)], ids=str)
def test_only_a_trigger_that_was_held_makes_it_fire(state: State, trigger: Trigger) -> None:
    """The table has one way into `firing`, and none out of it but what is well within the threshold, or long silent."""
    after = TABLE.get((state, trigger), state)

    if after is State.FIRING and state is not State.FIRING:
        assert trigger is Trigger.HELD
    if state is State.FIRING and after is not State.FIRING:
        assert trigger in {Trigger.CLEAR, Trigger.FORGOTTEN}


def test_the_states_are_those_of_the_summary() -> None:
    """Each alert says what it is, what it has seen, and since when."""
    watched = Told(Alert("errors", "error_rate", above=5, hold_seconds=2, severity="critical"))
    states = [watched.alerts.states(watched.now)[0]]
    for value in (7.25, 7.25, 7.25, 4.8, 0):
        watched.take(value)
        states += watched.alerts.states(watched.now)

    assert [(state["state"], state["value"], state["since"], state["message"]) for state in states] == [
        ("ok", None, None, "error_rate is not measured"),
        ("pending", 7.25, NOON, "error_rate is 7.25 %, over 5 %"),
        ("pending", 7.25, NOON, "error_rate is 7.25 %, over 5 %"),
        ("firing", 7.25, NOON + 2, "error_rate is 7.25 %, over 5 %"),
        ("firing", 4.8, NOON + 2, "error_rate is 4.8 %, not over 5 %"),
        ("ok", 0, None, "error_rate is 0 %, not over 5 %"),
    ]
    rest = {"name": "errors", "severity": "critical", "threshold": 5, "unit": "%"}
    assert all(state.items() >= rest.items() for state in states)


def test_what_is_told_says_what_where_and_when() -> None:
    """An event holds the alert, the value and the time of day, and goes to listeners as any other."""
    watched = Told(Alert("slow", "response_time", above=5)).take(6.5, seconds=2).take(1)
    heard = capture_events()
    for event in watched.events:
        notify([heard], event)

    fired, cleared = heard
    assert isinstance(fired, AlertFired)
    assert isinstance(cleared, AlertCleared)
    assert fired.facts() == {
        "name": "slow",
        "signal": "response_time",
        "severity": "high",
        "value": 6.5,
        "threshold": 5,
        "unit": "s",
        "message": "response_time is 6.5 s, over 5 s",
        "time": NOON,
    }
    assert (cleared.value, cleared.message, cleared.time) == (1, "response_time is 1 s, not over 5 s", NOON + 2)
    assert (fired.layer, fired.method, fired.path, fired.kind, cleared.kind) == (
        "watch",
        "",
        "",
        "alert.fired",
        "alert.cleared",
    )


def test_an_alert_from_below_says_so() -> None:
    """The message names the side."""
    watched = Told(Alert("stock", "stock", below=9)).take(8).take(12)

    assert [event.message for event in watched.events] == ["stock is 8, under 9", "stock is 12, not under 9"]


def test_an_alert_that_ends_in_silence_says_so() -> None:
    """There is no value to tell."""
    watched = Told(Alert("errors", "error_rate", above=5, window_seconds=1)).take(50).take(None, 0, 3)

    assert [(event.kind, event.value, event.message) for event in watched.events[1:]] == [
        ("alert.cleared", None, "error_rate is not measured")
    ]


def test_the_time_of_day_decides_nothing() -> None:
    """Somebody sets the clock on by a day: the cool-down is as long as it was."""
    watched = Told(Alert("errors", "error_rate", above=5)).take(50).take(0)
    watched.clock.jump(86_400)
    watched.take(50, seconds=100)

    assert watched.marks == ["+0", "-1"]
    assert watched.state == "pending"


def test_alerts_do_not_mix() -> None:
    """Each alert is asked for by itself, and judged by its own reading."""
    alerts = Alerts(DEFAULT_ALERTS)
    asked = []

    def readings(alert: Alert) -> Reading:
        asked.append(alert.signal)
        return Reading(99.0 if alert.signal == "memory_usage" else 0.0, None)

    assert [event.name for event in alerts.evaluate(0.0, readings)] == ["memory_usage"]
    assert asked == NAMES


def test_the_thresholds_of_the_earlier_system_are_understood() -> None:
    """Each is an alert of the name of a default, so that it can take its place."""
    given = {"cpu_usage": 85.0, "memory_usage": 90.0, "response_time": 3.0, "error_rate": 2.0}

    assert {alert.name: alert.above for alert in alerts_of(given)} == given
    assert alerts_of({alert.signal: alert.threshold for alert in DEFAULT_ALERTS}) == DEFAULT_ALERTS


def test_all_that_is_wrong_with_thresholds_is_told_at_once() -> None:
    """A name that nobody knows, with the one that was meant; a text; more than everything; less than nothing."""
    given = {"cpu_usge": 1, "mood": 2, "memory_usage": "90", "disk_usage": 190, "response_time": -1}
    with pytest.raises(ConfigError) as raised:
        alerts_of(given)

    assert [str(problem).partition(" alert_thresholds.")[::2] for problem in raised.value.problems] == [
        ("AG882", "cpu_usge is not the threshold of a signal, not 1. Did you mean 'cpu_usage'?"),
        (
            "AG882",
            f"mood is not the threshold of a signal, not 2. The names are: {', '.join(NAMES)}.",
        ),
        ("AG102", "memory_usage must be a finite number of at least 0, not '90'. Write it without quotes."),
        ("AG881", f"disk_usage {alert_settings._CROSSED}, not 190. {alert_settings._UNCROSSED}"),
        ("AG102", "response_time must be a finite number of at least 0, not -1. Give a number that keeps to this."),
    ]


@pytest.mark.parametrize("given", [None, ["cpu_usage"], 5], ids=str)
def test_thresholds_are_a_mapping(given) -> None:
    """Anything else is one problem with a remedy, not a traceback."""
    with pytest.raises(ConfigError, match="AG882"):
        alerts_of(given)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ["AG880 Alert.above"]),
        ({"above": 1, "below": 2}, ["AG880 Alert.above"]),
        ({"above": 101}, ["AG881 Alert.above"]),
        ({"above": 100}, ["AG881 Alert.above"]),
        ({"below": -1}, ["AG881 Alert.below"]),
        ({"below": 0}, ["AG881 Alert.below"]),
        ({"signal": "error_rat", "above": 1}, ["AG882 Alert.signal"]),
        ({"signal": "response-time", "above": 1}, ["AG882 Alert.signal"]),
        ({"signal": "CPU_USAGE", "above": 1}, ["AG882 Alert.signal"]),
        ({"above": "80"}, ["AG102 Alert.above"]),
        ({"above": math.nan}, ["AG102 Alert.above"]),
        ({"name": "", "signal": 5, "above": 1}, ["AG104 Alert.name", "AG104 Alert.signal"]),
        ({"above": 1, "severity": "urgent"}, ["AG105 Alert.severity"]),
        (
            {
                "above": 1,
                "window_seconds": 0,
                "minimum_events": 0,
                "hold_seconds": -1,
                "clear_ratio": 0,
                "cooldown_seconds": 86_401,
            },
            [
                "AG102 Alert.window_seconds",
                "AG101 Alert.minimum_events",
                "AG102 Alert.hold_seconds",
                "AG102 Alert.clear_ratio",
                "AG102 Alert.cooldown_seconds",
            ],
        ),
    ],
    ids=str,
)
def test_an_alert_that_cannot_work_is_refused(fields, expected) -> None:
    """Every problem at once."""
    assert problems_of(**fields) == expected


@pytest.mark.parametrize(
    ("rules", "slos", "expected"),
    [
        (DEFAULT_ALERTS[0], (), ["AG883 Alerts.rules"]),
        ([5, DEFAULT_ALERTS[0], "cpu"], (), ["AG883 Alerts.rules[0]", "AG883 Alerts.rules[2]"]),
        ([], [DEFAULT_ALERTS[0]], ["AG883 Alerts.slos[0]"]),
        ([DEFAULT_ALERTS[0]] * 201, (), ["AG883 Alerts.rules"]),
        ([DEFAULT_ALERTS[0]] * 2, (), ["AG884 Alerts.rules"]),
        ([Alert("shop 6x", "cpu_usage", above=1)], [SLO("shop")], ["AG884 Alerts.rules"]),
    ],
    ids=["no list", "other things", "no objective", "too many", "twice", "the name of a tier"],
)
def test_alerts_that_cannot_be_told_apart_are_refused(rules, slos, expected) -> None:
    """What is not an alert, and what has the name of another."""
    with pytest.raises(ConfigError) as raised:
        Alerts(rules, slos)

    assert [f"{problem.id} {problem.field}" for problem in raised.value.problems] == expected
