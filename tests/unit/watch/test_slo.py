"""Objectives: when a budget burns too fast for each of its tiers, on a clock that is moved by hand."""

from __future__ import annotations

import sys

import pytest

from asgi_guard.errors import ConfigError
from asgi_guard.testing import ManualClock
from asgi_guard.watch.alert_events import AlertFired
from asgi_guard.watch.alert_settings import Alert, Reading
from asgi_guard.watch.alerts import Alerts
from asgi_guard.watch.slo import RINGS, SLO, Budget

MINUTE, HOUR, DAY = 60, 3_600, 86_400
TICK = 5
PER_TICK = 100  # requests


class Service:
    """Serves 20 requests a second under one objective; what is told of it is in seconds since a fault began."""

    def __init__(self, slo: SLO | None = None) -> None:
        self.clock = ManualClock()
        self.alerts = Alerts([], [slo or SLO("shop")], clock=self.clock)
        self.total = self.bad = self.passed = 0
        self.marks: dict[str, list[str]] = {"14.4x": [], "6x": [], "1x": []}
        self.begin()

    def begin(self) -> Service:
        """Count the seconds from here."""
        self.passed = 0
        return self

    def run(self, seconds: float, percent: float, per_tick: int = PER_TICK, tick: int = TICK) -> Service:
        """Let time pass in which so many percent fail."""
        for _ in range(int(seconds) // tick):
            self.clock.advance(tick)
            self.passed += tick
            self.total += per_tick * tick // TICK
            self.bad += round(per_tick * tick / TICK * percent / 100)
            self.look()
        return self

    def look(self) -> None:
        """Have the counters read, and the alerts evaluated."""
        self.alerts.budgets[0].observe(self.now, self.total, self.bad)
        for event in self.alerts.evaluate(self.now, never):
            sign = "+" if isinstance(event, AlertFired) else "-"
            self.marks[event.name.removeprefix("shop ")].append(f"{sign}{self.passed}")

    @property
    def now(self) -> float:
        """What the watch evaluates by."""
        return self.clock.monotonic_ns() / 1e9

    @property
    def told(self) -> dict[str, str]:
        """When each tier fired and cleared."""
        return {tier: " ".join(marks) for tier, marks in self.marks.items()}

    @property
    def values(self) -> list[float | None]:
        """The burn rate that each tier sees."""
        return [state["value"] for state in self.alerts.states(self.now)]


def never(alert: Alert) -> Reading:
    """Be asked for no signal: objectives have their own."""
    raise AssertionError(alert)


# How long all was well before, in seconds; the fault, in seconds and in percent; and when each tier fires and clears.
# By hand, at 99.9 %: 5 % burn at a rate of 50. In the window of an hour that is a rate of 14.4 after 14.4 / 50 of the
# hour, 1,037 s; in that of five minutes it is under 0.9 * 14.4 again when 26 % of it are left, 222 s after the end.
FAULTS = {
    "ten minutes of 5 %, three days on": (3 * DAY, 600, 5, {"14.4x": "", "6x": "", "1x": ""}),
    "ten minutes of 5 %, an hour on": (HOUR, 600, 5, {"14.4x": "", "6x": "+495 -1960", "1x": "+75 -21860"}),
    "ten minutes of 5 %, at once": (0, 600, 5, {"14.4x": "+60 -830", "6x": "+60 -2215", "1x": "+60 -21860"}),
    "half an hour of 5 %, three days on": (3 * DAY, 1800, 5, {"14.4x": "+1040 -2030", "6x": "", "1x": ""}),
    "ten minutes of 100 %, three days on": (
        3 * DAY,
        600,
        100,
        {"14.4x": "+55 -905", "6x": "+135 -2400", "1x": "+260 -22220"},
    ),
    "two hours of 1 %, three days on": (3 * DAY, 7200, 1, {"14.4x": "", "6x": "", "1x": ""}),
    "two hours of 1 %, an hour on": (HOUR, 7200, 1, {"14.4x": "", "6x": "+5400 -8035", "1x": "+400 -26900"}),
    "three hours of 4 %, three days on": (
        3 * DAY,
        3 * HOUR,
        4,
        {"14.4x": "+1300 -11010", "6x": "+3255 -12365", "1x": "+6490 -31940"},
    ),
}


@pytest.mark.parametrize(("before", "seconds", "percent", "expected"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_by_the_tiers_that_it_is_bad_enough_for(before, seconds, percent, expected) -> None:
    """Faster where it is worse; not at all where the budget bears it; and its end is told as well."""
    service = Service()
    service.look()
    service.run(max(before - HOUR, 0), 0, tick=MINUTE).run(min(before, HOUR), 0).begin()
    service.run(seconds, percent).run(8 * HOUR, 0)

    assert service.told == expected


def test_the_first_minute_is_no_verdict() -> None:
    """A service that starts, and fails meanwhile, has not burnt the budget of a month."""
    service = Service()
    service.look()

    assert service.run(MINUTE - TICK, 100).told == {"14.4x": "", "6x": "", "1x": ""}
    assert service.run(TICK, 100).told == {"14.4x": "+60", "6x": "+60", "1x": "+60"}


def test_too_few_requests_are_no_verdict() -> None:
    """Ninety-nine that all fail say nothing yet; one more does."""
    service = Service()
    service.look()
    service.run(MINUTE, 0, per_tick=0).begin()

    assert service.run(TICK, 100, per_tick=99).told == {"14.4x": "", "6x": "", "1x": ""}
    assert service.run(TICK, 100, per_tick=1).told == {"14.4x": "+10", "6x": "+10", "1x": "+10"}


@pytest.mark.parametrize(("bad", "expected"), [(1, ""), (3, ""), (4, "+5")])
def test_a_few_bad_requests_are_what_a_budget_is_there_for(bad: int, expected: str) -> None:
    """Three in a hundred burn the budget thirty times too fast, and are no alert all the same."""
    service = Service()
    service.look()
    service.run(MINUTE, 0, per_tick=0).begin()
    service.run(TICK, bad)

    assert service.told == {"14.4x": expected, "6x": expected, "1x": expected}


def test_what_was_counted_before_anybody_looked_counts_for_nothing() -> None:
    """The counters outlive the process that looks at them."""
    service = Service()
    service.total, service.bad = 1_000_000, 500_000
    service.look()

    assert service.run(MINUTE, 0).told == {"14.4x": "", "6x": "", "1x": ""}
    assert service.values == [0, 0, 0]


def test_counters_that_begin_anew_go_on_from_there() -> None:
    """What they show afterwards is what has happened since, neither less than nothing nor all of it again."""
    budget = Budget(SLO("shop"))
    for now, total, bad in [(-60, 5_000, 100), (0, 5_000, 100), (5, 6_000, 100), (10, 500, 50), (15, 1_000, 50)]:
        budget.observe(now, total, bad)

    rate, events = budget.reading(15, budget.tiers[0])
    assert (round(rate or 0, 9), events) == (50 / 2_000 * 1_000, 2_000)


def test_a_count_of_bad_requests_that_shrinks_is_no_new_beginning() -> None:
    """It is estimated from buckets, and may waver; the total does not."""
    budget = Budget(SLO("shop"))
    budget.observe(-60, 1_000, 0)
    for now, bad in [(0, 0), (5, 10), (10, 9), (15, 10)]:
        budget.observe(now, 1_000 + 100 * now, bad)

    rate, events = budget.reading(15, budget.tiers[0])
    assert (round(rate or 0, 9), events) == (round(10 / 1_500 * 1_000, 9), 1_500)


def test_there_are_never_more_bad_requests_than_requests() -> None:
    """Counters that are read one after the other may disagree for a moment."""
    budget = Budget(SLO("shop"))
    budget.observe(-60, 0, 0)
    budget.observe(5, 100, 150)

    assert round(budget.reading(5, budget.tiers[0]).value or 0, 9) == 1_000


def test_without_requests_there_is_no_rate() -> None:
    """Nothing divided by nothing is not zero."""
    budget = Budget(SLO("shop"))
    budget.observe(0, 7, 7)

    assert [budget.reading(0, tier) for tier in budget.tiers] == [(None, 0)] * 3


def test_a_gap_counts_when_somebody_looks_again() -> None:
    """The watch stood still for a night: what failed meanwhile is told in the morning, and forgotten in time."""
    service = Service()
    service.look()
    service.run(HOUR, 0)
    service.clock.advance(10 * HOUR)
    service.total, service.bad = service.total + 1_000, service.bad + 1_000
    service.look()

    assert service.told["14.4x"] == "+3600"
    assert service.run(HOUR, 0).told["14.4x"] == "+3600 -3905"


def test_a_clock_that_goes_back_harms_nothing() -> None:
    """Whoever gives the time of day for `now` has a wider window for a while."""
    budget = Budget(SLO("shop"))
    for total, now in enumerate([1_000, 2_000, 1_500, 1_505, 2_005]):
        budget.observe(now, total, 0)

    assert [budget.reading(now, budget.tiers[0]) for now in (1_500, 2_005)] == [(0, 4), (0, 4)]


def test_a_budget_remembers_in_31_kilobytes() -> None:
    """Whatever the traffic: its rings are as large as they will ever be."""
    budget = Budget(SLO("shop"))
    arrays = [ring for part in budget._rings for ring in (part._totals, part._bads)]

    assert sum(map(len, arrays)) == 2 * sum(span // step + 1 for step, span in RINGS)
    assert sum(map(sys.getsizeof, arrays)) < 32_768


def test_each_tier_is_an_alert_of_its_own() -> None:
    """It has a name, a severity and a threshold, and is told in plain words."""
    service = Service(SLO("shop", objective=99))
    service.look()
    service.run(MINUTE, 50)

    assert [(state["name"], state["severity"], state["message"]) for state in service.alerts.states(service.now)] == [
        ("shop 14.4x", "critical", "burn rate of shop is 50, over 14.4"),
        ("shop 6x", "high", "burn rate of shop is 50, over 6"),
        ("shop 1x", "low", "burn rate of shop is 50, over 1"),
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"objective": 100}, ["AG102 SLO.objective"]),
        ({"objective": 0.999}, ["AG102 SLO.objective"]),
        ({"latency_seconds": 0}, ["AG102 SLO.latency_seconds"]),
        ({"routes": "/orders"}, ["AG106 SLO.routes"]),
        (
            {"name": "", "routes": [5], "minimum_events": 0},
            ["AG104 SLO.name", "AG104 SLO.routes[0]", "AG101 SLO.minimum_events"],
        ),
    ],
    ids=str,
)
def test_an_objective_that_cannot_work_is_refused(fields, expected) -> None:
    """Every problem at once; 0.999 is a share where a percentage is wanted."""
    with pytest.raises(ConfigError) as raised:
        SLO(**{"name": "shop", **fields})

    assert [f"{problem.id} {problem.field}" for problem in raised.value.problems] == expected
