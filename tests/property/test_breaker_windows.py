"""The windows against a log: every call with its time, judged anew at each failure."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from asgi_guard.resilience import CountWindow, State, TimeWindow, circuit_breaker
from asgi_guard.testing import ManualClock

SLOW = 2
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 0, 1, 4, 13]), st.sampled_from(["quick", "quick", "failed", "slow", "failed slow"])
    ),
    max_size=60,
)


def remembered(log, window, now) -> list[str]:
    """Return the calls that a window looks at: the last ones, or those of this tenth of it and the nine before."""
    if isinstance(window, CountWindow):
        return [kind for _, kind in log[-window.calls :]]
    tenth = window.seconds / 10
    return [kind for at, kind in log if at // tenth > now // tenth - 10]


@settings(max_examples=500)
@given(
    steps=STEPS,
    window=st.sampled_from([CountWindow(5), CountWindow(20), TimeWindow(10), TimeWindow(60)]),
    threshold=st.integers(1, 5),
    failure_rate=st.sampled_from([0.2, 0.5, 1.0]),
    slow_rate=st.sampled_from([0.2, 0.5, 1.0]),
)
def test_a_window_trips_exactly_where_its_log_says_so(steps, window, threshold, failure_rate, slow_rate) -> None:
    """Whatever was counted without a lock in between."""
    clock, log = ManualClock(), []
    breaker = circuit_breaker(
        failure_threshold=threshold,
        window=window,
        failure_rate=failure_rate,
        slow_call_seconds=SLOW,
        slow_call_rate=slow_rate,
        clock=clock,
    )
    for seconds, kind in steps:
        clock.advance(seconds)
        permit, began_ns = breaker.enter_plain(), clock.monotonic_ns()
        clock.advance(SLOW if "slow" in kind else 0)
        breaker.leave(permit, began_ns, ValueError() if "failed" in kind else None)

        now = clock.monotonic_ns() / 1e9
        log.append((now, kind))
        seen = remembered(log, window, now)
        failures, slow = (sum(word in kind for kind in seen) for word in ("failed", "slow"))
        trips = kind != "quick" and (
            (failures >= threshold and failures >= failure_rate * len(seen))
            or (slow >= threshold and slow >= slow_rate * len(seen))
        )
        assert (breaker.state is State.OPEN) == trips
        if trips:
            return
