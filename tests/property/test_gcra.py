"""`gcra` against a log: every hit with its time, and the bucket filled anew from them in fractions."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate
from math import ceil

from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.limiting.counting import EMPTY
from asgi_guard.limiting.gcra import Gcra
from asgi_guard.limiting.rate import Limit

SECOND = 1_000_000_000
START = 10**15

limits = st.builds(Limit, st.sampled_from([1, 2, 3, 7, 11, 60]), st.sampled_from([1, 3, 10]), burst=st.integers(1, 12))
steps = st.one_of(st.sampled_from([0, 1, SECOND // 3, SECOND // 7, SECOND]), st.integers(0, 3 * SECOND))
hits = st.lists(st.tuples(steps, st.integers(1, 4)), min_size=1, max_size=40)


def timed(drawn) -> list[tuple[int, int]]:
    """Turn steps into times."""
    times = accumulate((step_ns for step_ns, _ in drawn), initial=START)
    return list(zip(times, (cost for _, cost in drawn), strict=False))


def level(limit: Limit, log, now_ns: int) -> Fraction:
    """Fill the bucket with the hits of a log; return how many are in it at a time."""
    full, before_ns = Fraction(0), 0
    for at_ns, cost in [*log, (now_ns, 0)]:
        full = max(full - Fraction((at_ns - before_ns) * limit.amount, limit.window_ns), Fraction(0)) + cost
        before_ns = at_ns
    return full


def free(limit: Limit, log, now_ns: int) -> int:
    """Return how many fit at a time."""
    return int(limit.burst - level(limit, log, now_ns))


@given(limits, hits)
def test_a_hit_is_admitted_exactly_if_it_fits(limit, drawn) -> None:
    """However the times fall, no rounding ever adds up; remainders and waits are those of the fractions."""
    algorithm = Gcra(limit)
    state, log = EMPTY, []
    for now_ns, cost in timed(drawn):
        used = level(limit, log, now_ns)
        wait = ceil((used + cost - limit.burst) * limit.window_ns / limit.amount)
        (remaining,), (reset_ns,), (retry_ns,) = algorithm.look(state, now_ns, cost)
        assert remaining == free(limit, log, now_ns)
        assert retry_ns == (max(wait, 0) if cost <= limit.burst else None)
        assert reset_ns == ceil((used - limit.burst + remaining + 1) * limit.window_ns / limit.amount if used else 0)

        taken = algorithm.take(state, now_ns, cost)

        assert (taken is not None) == (used + cost <= limit.burst)
        if taken is not None:
            state = taken[0]
            log.append((now_ns, cost))


@given(limits, hits, st.data())
def test_after_a_refund_no_more_fits_than_if_the_hit_had_never_been(limit, drawn, data) -> None:
    """It is the same if the hit was the latest, and the more is kept the longer before the latest it was."""
    algorithm = Gcra(limit)
    state, log = EMPTY, []
    for now_ns, cost in timed(drawn):
        taken = algorithm.take(state, now_ns, cost)
        if taken is not None:
            state = taken[0]
            log.append((now_ns, cost))
    if not log:
        return
    latest_ns = log[-1][0]
    at_ns, cost = log.pop(data.draw(st.integers(0, len(log) - 1)))

    state = algorithm.refund(state, at_ns, cost)

    lost = Fraction((latest_ns - at_ns) * limit.amount, limit.window_ns)
    for later_ns in range(latest_ns, latest_ns + 3 * SECOND, SECOND // 9):
        (remaining,), _, _ = algorithm.look(state, later_ns, 0)
        assert free(limit, log, later_ns) - ceil(lost) <= remaining <= free(limit, log, later_ns)
        if at_ns == latest_ns:
            assert remaining == free(limit, log, later_ns)
