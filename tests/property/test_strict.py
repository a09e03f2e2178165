"""The published worst case of `strict`, held against schedules that were made to break it."""

from __future__ import annotations

from collections import deque
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.limiting.algorithms import EMPTY, SLOTS, Strict, algorithm_for
from asgi_guard.limiting.rate import Limit

SECOND = 1_000_000_000
START = 10**15

seconds = st.sampled_from([1, 2, 3, 10, 60, 3_600])
amounts = st.one_of(st.integers(1, 12), st.sampled_from([62, 63, 64, 126, 127]))
costs = st.integers(1, 5)


@st.composite
def limits(draw) -> Limit:
    """Draw a limit; small amounts are reached soon, and those next to a power of two are where sums could wrap."""
    return Limit(draw(amounts), draw(seconds))


@st.composite
def schedules(draw, limit: Limit, max_size: int = 150) -> list[tuple[int, int]]:
    """Draw hits as (time, cost), in order: bursts, and steps that land on and beside the edges of slots and windows."""
    slot = limit.window_ns // SLOTS
    edges = [0, 1, slot - 1, slot, slot + 1, limit.window_ns - 1, limit.window_ns, limit.window_ns + slot]
    steps = st.one_of(st.sampled_from(edges), st.integers(0, slot), st.integers(0, 2 * limit.window_ns))
    start = START + draw(st.integers(0, slot))
    times = accumulate(draw(st.lists(steps, max_size=max_size)), initial=start)
    return [(now_ns, draw(costs)) for now_ns in times]


def play(algorithm, schedule) -> tuple[int, list[tuple[int, int]]]:
    """Hit by a schedule; return the state and the hits that were admitted."""
    state, admitted = EMPTY, []
    for now_ns, cost in schedule:
        taken = algorithm.take(state, now_ns, cost)
        if taken is not None:
            state = taken[0]
            admitted.append((now_ns, cost))
    return state, admitted


def most_in_a_window(admitted, window_ns: int) -> int:
    """Return the largest sum of costs in any closed window, with two pointers."""
    most = inside = 0
    window: deque[tuple[int, int]] = deque()
    for now_ns, cost in admitted:
        window.append((now_ns, cost))
        inside += cost
        while window[0][0] < now_ns - window_ns:
            inside -= window.popleft()[1]
        most = max(most, inside)
    return most


@given(st.data(), limits())
def test_no_window_ever_holds_more_than_the_amount(data, limit) -> None:
    """Wherever a window is laid, also with both its ends, at most N was admitted in it."""
    _, admitted = play(Strict(limit), data.draw(schedules(limit)))

    assert most_in_a_window(admitted, limit.window_ns) <= limit.amount


@given(st.data(), limits())
def test_it_also_holds_while_the_clock_steps_back(data, limit) -> None:
    """Time, which stands still meanwhile, is what the windows are laid on; the state stays sound."""
    schedule = data.draw(schedules(limit))
    back = st.integers(0, 3 * limit.window_ns)
    stepping = [(max(now_ns - data.draw(back), 0), cost) for now_ns, cost in schedule]
    algorithm = Strict(limit)
    state, admitted, standing = EMPTY, [], 0
    for now_ns, cost in stepping:
        remaining, reset_ns, (retry_ns,) = algorithm.look(state, now_ns, cost)
        taken = algorithm.take(state, now_ns, cost)
        assert 0 <= remaining[0] <= limit.amount
        assert reset_ns[0] >= 0
        assert (taken is None) == (retry_ns != 0)
        if taken is not None:
            state = taken[0]
            assert algorithm.look(state, now_ns, 0)[:2] == taken[1:]
            standing = max(standing, now_ns)
            admitted.append((standing, cost))

    assert most_in_a_window(admitted, limit.window_ns) <= limit.amount


@given(st.data(), limits(), costs)
def test_a_lone_client_is_admitted_after_its_wait_and_not_a_nanosecond_sooner(data, limit, cost) -> None:
    """The retry time is exact, whatever happened before; None is told only where no time would do."""
    algorithm = Strict(limit)
    state, admitted = play(algorithm, data.draw(schedules(limit)))
    now_ns = admitted[-1][0] if admitted else START

    (retry_ns,) = algorithm.look(state, now_ns, cost)[2]

    if retry_ns is None:
        assert cost > limit.amount
        assert algorithm.take(EMPTY, now_ns, cost) is None
    else:
        assert algorithm.take(state, now_ns + retry_ns, cost) is not None
        assert retry_ns == 0 or algorithm.take(state, now_ns + retry_ns - 1, cost) is None
        assert retry_ns <= algorithm.life_ns


@given(st.data(), limits())
def test_more_comes_back_at_the_reset_and_not_a_nanosecond_sooner(data, limit) -> None:
    """The reset is 0 exactly where nothing is used."""
    algorithm = Strict(limit)
    state, admitted = play(algorithm, data.draw(schedules(limit)))
    now_ns = (admitted[-1][0] if admitted else START) + data.draw(st.integers(0, 2 * limit.window_ns))

    remaining, (reset_ns,), _ = algorithm.look(state, now_ns, 0)

    assert (reset_ns == 0) == (remaining == (limit.amount,))
    if reset_ns:
        assert algorithm.look(state, now_ns + reset_ns - 1, 0)[0] == remaining
        assert algorithm.look(state, now_ns + reset_ns, 0)[0] > remaining


@given(st.data(), limits())
def test_what_a_hit_tells_is_what_a_look_shows(data, limit) -> None:
    """The fast path and the slow one agree at every hit."""
    algorithm = Strict(limit)
    state = EMPTY
    for now_ns, cost in data.draw(schedules(limit)):
        taken = algorithm.take(state, now_ns, cost)
        if taken is not None:
            state, remaining, reset_ns = taken
            assert algorithm.look(state, now_ns, 0) == (remaining, reset_ns, (0,))
        assert state.bit_length() <= algorithm.bits


@given(st.data(), limits())
def test_a_state_counts_as_empty_after_its_life(data, limit) -> None:
    """So a store may drop it then; and some state still counts a slot before."""
    algorithm = Strict(limit)
    state, admitted = play(algorithm, data.draw(schedules(limit)))
    now_ns = (admitted[-1][0] if admitted else START) + algorithm.life_ns

    assert algorithm.look(state, now_ns, limit.amount) == ((limit.amount,), (0,), (0,))


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


@given(st.data(), st.lists(limits(), min_size=2, max_size=4))
def test_several_limits_admit_what_each_of_them_would(data, several) -> None:
    """All or nothing: the joint algorithm does what separate ones do that are asked first and charged together."""
    joint = algorithm_for(several, "strict")
    parts = [Strict(limit) for limit in several]
    state, states = EMPTY, [EMPTY] * len(parts)
    for now_ns, cost in data.draw(schedules(several[0])):
        looks = [part.look(own, now_ns, cost) for part, own in zip(parts, states, strict=True)]
        assert joint.look(state, now_ns, cost) == tuple(sum(column, ()) for column in zip(*looks, strict=True))
        taken = joint.take(state, now_ns, cost)
        assert (taken is not None) == all(look[2] == (0,) for look in looks)
        if taken is not None:
            state = taken[0]
            states = [part.take(own, now_ns, cost)[0] for part, own in zip(parts, states, strict=True)]
