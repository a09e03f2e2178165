"""Alerts under any course of a signal: never a flap, never on one request; and windows that are what they say."""

from __future__ import annotations

import math
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.testing import ManualClock
from asgi_guard.watch.alert_events import AlertCleared, AlertFired
from asgi_guard.watch.alerts import Alert, Alerts, Reading
from asgi_guard.watch.slo import SLO, Budget

VALUES = st.one_of(st.none(), st.sampled_from([0.0, 4.4, 4.5, 4.6, 5.0, 5.1, 100.0, math.nan, math.inf]))
COURSES = st.lists(st.tuples(st.sampled_from([1, 1, 1, 5, 60]), VALUES, st.integers(0, 40)), max_size=150)
RULES = st.builds(
    Alert,
    st.just("a"),
    st.sampled_from(["error_rate", "response_time", "orders"]),
    above=st.just(5.0),
    window_seconds=st.sampled_from([1, 10, 60]),
    minimum_events=st.sampled_from([1, 10, 30]),
    hold_seconds=st.sampled_from([0, 3, 60]),
    clear_ratio=st.sampled_from([0.5, 0.9, 1]),
    cooldown_seconds=st.sampled_from([0, 10, 300]),
)


def reading_of(value: float | None, events: int, _: Alert) -> Reading:
    """Read the signal off."""
    return Reading(value, events)


@given(rule=RULES, course=COURSES)
def test_an_alert_never_flaps(rule: Alert, course) -> None:
    """It fires and clears by turns, at most once in a cool-down, after its hold, and on what is over its threshold."""
    clock = ManualClock()
    alerts = Alerts([rule], clock=clock)
    told = []
    over_for = -1.0  # seconds that it has been over without a pause; nothing yet is less than none
    for seconds, value, events in course:
        clock.advance(seconds)
        now = clock.monotonic_ns() / 1e9
        is_over = value is not None and 5 < value < math.inf and events >= rule.minimum_events
        over_for = (0.0 if over_for < 0 else over_for + seconds) if is_over else -1.0
        for event in alerts.evaluate(now, partial(reading_of, value, events)):
            told.append((now, type(event)))
            if isinstance(event, AlertFired):
                assert is_over
                assert over_for >= rule.hold_seconds
        state = alerts.states(now)[0]
        assert state["value"] is None or math.isfinite(state["value"])
        assert (state["state"] == "firing") == bool(told and told[-1][1] is AlertFired)

    assert [kind for _, kind in told] == [AlertFired, AlertCleared] * (len(told) // 2) + [AlertFired] * (len(told) % 2)
    cleared = [now for now, kind in told if kind is AlertCleared]
    fired = [now for now, kind in told if kind is AlertFired]
    assert all(again - end >= rule.cooldown_seconds for end, again in zip(cleared, fired[1:], strict=False))
    if rule.cooldown_seconds and course:
        total = sum(seconds for seconds, *_ in course)
        assert len(fired) <= 1 + total / rule.cooldown_seconds


@given(good=st.integers(0, 500), seconds=st.floats(0, 3_600), minimum=st.integers(1, 50), signal=st.booleans())
def test_one_request_alone_is_no_alert(good: int, seconds: float, minimum: int, signal: bool) -> None:
    """However bad it is, and however few others there are, it neither fails nor is slow enough."""
    if signal:
        alert, value = Alert("a", "error_rate", above=0.01, minimum_events=minimum), 100 / (good + 1)
    else:
        rank = math.ceil(0.95 * (good + 1))  # the nearest rank is that of the slow one, or of one before it
        alert = Alert("a", "response_time", above=0.01, minimum_events=minimum)
        value = 60.0 if rank == good + 1 else 0.001
    alerts = Alerts([alert])

    assert [alerts.evaluate(now, lambda _: Reading(value, good + 1)) for now in (0.0, seconds)] == [[], []]


STEPS = st.lists(
    st.tuples(
        st.one_of(st.just(5), st.integers(1, 20), st.integers(1, 4_000)),  # seconds
        st.integers(0, 200),  # requests
        st.integers(0, 200),  # of them bad
    ),
    min_size=1,
    max_size=200,
)


@given(steps=STEPS, start=st.integers(0, 100_000), anew=st.sets(st.integers(0, 199), max_size=3))
def test_a_window_is_as_long_as_it_says(steps, start: int, anew: set[int]) -> None:
    """A budget sees what a list of all that ever happened does, to within a step at the window's far end."""
    budget = Budget(SLO("shop", minimum_events=1))
    now, total, bad = start, 1_000, 500
    budget.observe(now, total, bad)
    log: list[tuple[int, int, int]] = []  # when somebody looked, and what was new
    for index, (seconds, requests, failed) in enumerate(steps):
        failed = min(failed, requests)  # noqa: PLW2901
        if index in anew and requests < total:
            total = bad = 0
        now, total, bad = now + seconds, total + requests, bad + failed
        budget.observe(now, total, bad)
        log.append((now, requests, failed))

    for tier in budget.tiers:
        for ring, seconds in (tier.long, tier.short):
            step = ring._step
            _, seen, seen_bad = budget._burnt(now, ring, seconds)
            least = [entry for entry in log if entry[0] >= now - seconds]
            most = [entry for entry in log if entry[0] > now - seconds - step]
            assert sum(entry[1] for entry in least) <= seen <= sum(entry[1] for entry in most)
            assert sum(entry[2] for entry in least) <= seen_bad <= sum(entry[2] for entry in most)
