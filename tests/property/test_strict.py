"""The published worst case of `strict`, held against schedules that were made to break it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schedules import START, amounts, most_in_a_window, play, schedules, seconds

from asgi_guard.limiting.counting import EMPTY
from asgi_guard.limiting.rate import Limit
from asgi_guard.limiting.strict import SLOTS, Strict

SECOND = 1_000_000_000


@st.composite
def limits(draw) -> Limit:
    """Draw a limit; small amounts are reached soon, and those next to a power of two are where sums could wrap."""
    return Limit(draw(amounts), draw(seconds))


@given(st.data(), limits())
def test_no_window_ever_holds_more_than_the_amount(data, limit) -> None:
    """Wherever a window is laid, also with both its ends, at most N was admitted in it."""
    _, admitted = play(Strict(limit), data.draw(schedules(limit)))

    assert most_in_a_window(admitted, limit.window_ns) <= limit.amount


@given(st.data(), limits())
def test_a_refunded_hit_has_never_been(data, limit) -> None:
    """At every later moment things stand as if all but this hit had been made."""
    limit = Limit(1_000, limit.seconds)  # ample, so that the same hits are admitted with and without the one
    algorithm = Strict(limit)
    schedule = data.draw(schedules(limit))
    out = data.draw(st.integers(0, len(schedule) - 1))
    state, _ = play(algorithm, schedule)
    without, _ = play(algorithm, schedule[:out] + schedule[out + 1 :])

    state = algorithm.refund(state, *schedule[out])

    now_ns = schedule[-1][0]
    for later_ns in range(now_ns, now_ns + 2 * limit.window_ns, limit.window_ns // SLOTS):
        assert algorithm.look(state, later_ns, 1) == algorithm.look(without, later_ns, 1)


@pytest.mark.parametrize("amount", [1, 7, 100])
@pytest.mark.parametrize("pause_ns", [0, 1, SECOND // 3, SECOND, 7 * SECOND])
def test_a_greedy_client_gets_ten_elevenths_of_the_rate(amount, pause_ns) -> None:
    """Over many windows; it takes all there is, waits until it would be admitted, and a little longer."""
    limit = Limit(amount, 10)
    algorithm = Strict(limit)
    windows = 330
    state, now_ns, total = EMPTY, START, 0
    while now_ns < START + windows * limit.window_ns:
        taken = algorithm.take(state, now_ns, 1)
        if taken is None:
            now_ns += algorithm.look(state, now_ns, 1)[2][0] + pause_ns
        else:
            state, total = taken[0], total + 1

    # A pause delays each round trip of the window by no more than its own length.
    least = windows * limit.window_ns * amount // (limit.window_ns + SECOND + pause_ns)
    assert least <= total <= windows * amount + amount


def test_a_greedy_client_that_spreads_its_hits_gets_ten_elevenths_too() -> None:
    """Polling steadily, twice as fast as the rate."""
    limit = Limit(20, 10)
    windows = 110
    schedule = [(START + tick * SECOND // 4, 1) for tick in range(windows * 40)]

    _, admitted = play(Strict(limit), schedule)

    assert len(admitted) >= windows * limit.amount * SLOTS // (SLOTS + 1)
    assert most_in_a_window(admitted, limit.window_ns) == limit.amount
