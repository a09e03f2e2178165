"""What every algorithm promises, held against schedules that were made to break it.

Each has its worst case in any window, and a schedule that reaches it; what it tells a client is exact.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schedules import START, amounts, costs, most_in_a_window, play, schedules, seconds

from asgi_guard.limiting.algorithms import ALGORITHMS, algorithm_for
from asgi_guard.limiting.counting import EMPTY
from asgi_guard.limiting.rate import Limit

SECOND = 1_000_000_000

names = st.sampled_from(sorted(ALGORITHMS))


@st.composite
def limits(draw, name: str) -> Limit:
    """Draw a limit; small amounts are reached soon, and those next to a power of two are where sums could wrap."""
    return Limit(draw(amounts), draw(seconds), burst=draw(st.none() | amounts) if name == "gcra" else None)


@st.composite
def counted(draw) -> tuple:
    """Draw a limit, and the algorithm that counts under it."""
    name = draw(names)
    limit = draw(limits(name))
    return name, limit, algorithm_for([limit], name)


def most_at_once(limit: Limit) -> int:
    """Return what an unused key may hit at once."""
    return limit.amount if limit.burst is None else limit.burst


def worst(name: str, limit: Limit) -> int:
    """Return the published worst case of any window."""
    return {"gcra": limit.amount + most_at_once(limit), "fixed": 2 * limit.amount}.get(name, limit.amount)


# the worst case


@given(st.data(), counted())
def test_no_window_ever_holds_more_than_is_published(data, drawn) -> None:
    """Wherever a window is laid, also with both its ends."""
    name, limit, algorithm = drawn

    _, admitted = play(algorithm, data.draw(schedules(limit)))

    assert most_in_a_window(admitted, limit.window_ns) <= worst(name, limit)


@given(st.data(), counted())
def test_nor_does_it_of_the_hits_that_stay_when_others_are_refunded_or_charged(data, drawn) -> None:
    """Refunds come at any time, also long after, and a charge that goes over takes nothing away."""
    name, limit, algorithm = drawn
    state, admitted = EMPTY, []
    for now_ns, cost in data.draw(schedules(limit)):
        taken = algorithm.take(state, now_ns, cost)
        if taken is not None:
            state = taken[0]
            admitted.append((now_ns, cost))
        elif data.draw(st.booleans()):
            state = algorithm.charge(state, now_ns, cost)
        if admitted and data.draw(st.booleans()):
            state = algorithm.refund(state, *admitted.pop(data.draw(st.integers(0, len(admitted) - 1))))

    assert most_in_a_window(admitted, limit.window_ns) <= worst(name, limit)


@pytest.mark.parametrize("amount", [1, 2, 7, 100])
@pytest.mark.parametrize("burst", [2, 5, None, 250])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_window_may_hold_as_many_as_is_published(name, burst, amount) -> None:
    """The worst case is reached: all that is there at once, and then each hit as soon as it is admitted."""
    limit = Limit(amount, 60, burst=burst if name == "gcra" else None)
    algorithm = algorithm_for([limit], name)
    state, now_ns, admitted = EMPTY, START, []
    while now_ns <= START + limit.window_ns:
        taken = algorithm.take(state, now_ns, 1)
        if taken is None:
            now_ns += algorithm.look(state, now_ns, 1)[2][0]
        else:
            state = taken[0]
            admitted.append((now_ns, 1))

    assert most_in_a_window(admitted, limit.window_ns) == worst(name, limit)


# what it tells


@given(st.data(), counted())
def test_the_worst_case_also_holds_while_the_clock_steps_back(data, drawn) -> None:
    """Time, which stands still meanwhile, is what the windows are laid on; the state stays sound."""
    name, limit, algorithm = drawn
    schedule = data.draw(schedules(limit))
    back = st.integers(0, 3 * limit.window_ns)
    stepping = [(max(now_ns - data.draw(back), 0), cost) for now_ns, cost in schedule]
    state, admitted, standing = EMPTY, [], 0
    for now_ns, cost in stepping:
        remaining, reset_ns, (retry_ns,) = algorithm.look(state, now_ns, cost)
        taken = algorithm.take(state, now_ns, cost)
        assert 0 <= remaining[0] <= most_at_once(limit)
        assert reset_ns[0] >= 0
        assert (taken is None) == (retry_ns != 0)
        if taken is not None:
            state = taken[0]
            assert algorithm.look(state, now_ns, 0)[:2] == taken[1:]
            standing = max(standing, now_ns)
            admitted.append((standing, cost))

    assert most_in_a_window(admitted, limit.window_ns) <= worst(name, limit)


@given(st.data(), counted(), costs)
def test_a_lone_client_is_admitted_after_its_wait_and_not_a_nanosecond_sooner(data, drawn, cost) -> None:
    """The retry time is exact, whatever happened before; None is told only where no time would do."""
    _, limit, algorithm = drawn
    state, admitted = play(algorithm, data.draw(schedules(limit)))
    now_ns = admitted[-1][0] if admitted else START

    (retry_ns,) = algorithm.look(state, now_ns, cost)[2]

    if retry_ns is None:
        assert cost > most_at_once(limit)
        assert algorithm.take(EMPTY, now_ns, cost) is None
    else:
        assert algorithm.take(state, now_ns + retry_ns, cost) is not None
        assert retry_ns == 0 or algorithm.take(state, now_ns + retry_ns - 1, cost) is None
        assert retry_ns <= algorithm.life_ns


@given(st.data(), counted())
def test_more_comes_back_at_the_reset_and_not_a_nanosecond_sooner(data, drawn) -> None:
    """The reset is 0 exactly where nothing is used."""
    _, limit, algorithm = drawn
    state, admitted = play(algorithm, data.draw(schedules(limit)))
    now_ns = (admitted[-1][0] if admitted else START) + data.draw(st.integers(0, 2 * limit.window_ns))

    remaining, (reset_ns,), _ = algorithm.look(state, now_ns, 0)

    assert (reset_ns == 0) == (remaining == (most_at_once(limit),))
    if reset_ns:
        assert algorithm.look(state, now_ns + reset_ns - 1, 0)[0] == remaining
        assert algorithm.look(state, now_ns + reset_ns, 0)[0] > remaining


@given(st.data(), counted())
def test_what_a_hit_tells_is_what_a_look_shows(data, drawn) -> None:
    """The fast path and the slow one agree at every hit."""
    _, limit, algorithm = drawn
    state = EMPTY
    for now_ns, cost in data.draw(schedules(limit)):
        taken = algorithm.take(state, now_ns, cost)
        if taken is not None:
            state, remaining, reset_ns = taken
            assert algorithm.look(state, now_ns, 0) == (remaining, reset_ns, (0,))
        assert state.bit_length() <= algorithm.bits


@given(st.data(), counted())
def test_a_state_counts_as_empty_after_its_life(data, drawn) -> None:
    """So a store may drop it then; and some state still counts a slot before."""
    _, limit, algorithm = drawn
    state, admitted = play(algorithm, data.draw(schedules(limit)))
    now_ns = (admitted[-1][0] if admitted else START) + algorithm.life_ns

    assert algorithm.look(state, now_ns, most_at_once(limit)) == ((most_at_once(limit),), (0,), (0,))


@given(st.data(), names)
def test_several_limits_admit_what_each_of_them_would(data, name) -> None:
    """All or nothing: the joint algorithm does what separate ones do that are asked first and charged together."""
    several = data.draw(st.lists(limits(name), min_size=2, max_size=4))
    joint = algorithm_for(several, name)
    parts = [algorithm_for([limit], name) for limit in several]
    state, states = EMPTY, [EMPTY] * len(parts)
    for now_ns, cost in data.draw(schedules(several[0])):
        looks = [part.look(own, now_ns, cost) for part, own in zip(parts, states, strict=True)]
        assert joint.look(state, now_ns, cost) == tuple(sum(column, ()) for column in zip(*looks, strict=True))
        taken = joint.take(state, now_ns, cost)
        assert (taken is not None) == all(look[2] == (0,) for look in looks)
        if taken is not None:
            state = taken[0]
            states = [part.take(own, now_ns, cost)[0] for part, own in zip(parts, states, strict=True)]


# what is charged and carried


@given(st.data(), counted(), costs)
def test_a_charge_that_fits_is_a_hit_and_one_that_does_not_uses_everything_up(data, drawn, cost) -> None:
    """It never makes more remain than before, now or later, and the state stays within its bits."""
    _, limit, algorithm = drawn
    state, admitted = play(algorithm, data.draw(schedules(limit)))
    now_ns = (admitted[-1][0] if admitted else START) + data.draw(st.integers(0, limit.window_ns))
    taken = algorithm.take(state, now_ns, cost)

    charged = algorithm.charge(state, now_ns, cost)

    if taken is None:
        assert algorithm.look(charged, now_ns, 0)[0] == (0,)
    else:
        assert charged == taken[0]
    assert charged.bit_length() <= algorithm.bits
    for later_ns in range(now_ns, now_ns + algorithm.life_ns, limit.window_ns // 7):
        assert algorithm.look(charged, later_ns, 0)[0] <= algorithm.look(state, later_ns, 0)[0]


@given(st.data(), counted())
def test_a_state_that_is_carried_is_what_the_new_limit_would_have_counted(data, drawn) -> None:
    """While all that was admitted fits under both, the two cannot be told apart; under less, everything is used up."""
    name, limit, algorithm = drawn
    other = Limit(data.draw(amounts), limit.seconds, burst=limit.burst)
    following = algorithm_for([other], name)
    schedule = data.draw(schedules(limit, max_size=20))
    state, admitted = play(algorithm, schedule)
    counted_anew, fitting = play(following, admitted)
    now_ns = schedule[-1][0]

    carried = following.adopt(algorithm, state, now_ns)

    assert carried.bit_length() <= following.bits
    assert 0 <= following.look(carried, now_ns, 0)[0][0] <= most_at_once(other)
    assert following.adopt(following, counted_anew, 0) == counted_anew
    if name != "gcra" and fitting == admitted:  # another rate would have leaked more, or less
        for later_ns in range(now_ns, now_ns + 2 * limit.window_ns, limit.window_ns // 10):
            assert following.look(carried, later_ns, 1) == following.look(counted_anew, later_ns, 1)
