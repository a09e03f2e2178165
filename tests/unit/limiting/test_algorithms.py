"""The algorithms by name: several limits as one, and what becomes of a state when limits change."""

from __future__ import annotations

import pytest

from asgi_guard.limiting.algorithms import ALGORITHMS, Several, algorithm_for, carrier
from asgi_guard.limiting.counting import EMPTY
from asgi_guard.limiting.rate import MAX_AMOUNT, MAX_SECONDS, Limit

SECOND = 1_000_000_000


def state_after(algorithm, *hits: tuple[int, int]) -> int:
    """Return the state after hits of (time, cost), all of which are admitted."""
    state = EMPTY
    for now_ns, cost in hits:
        state = algorithm.take(state, now_ns, cost)[0]
    return state


# several limits


def test_several_limits_are_one_algorithm_with_a_result_for_each() -> None:
    """A hit counts under all of them."""
    several = algorithm_for([Limit(3, 10), Limit(5, 100)], "strict")

    state, remaining, reset_ns = several.take(EMPTY, 0, 2)

    assert remaining == (1, 3)
    assert reset_ns == (11 * SECOND, 110 * SECOND)
    assert several.look(state, SECOND, 2) == ((1, 3), (10 * SECOND, 109 * SECOND), (10 * SECOND, 0))
    assert several.look(state, SECOND, 4)[2] == (None, 109 * SECOND)
    assert several.life_ns == 110 * SECOND


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize(
    "limits", [[Limit(1, 10), Limit(5, 100)], [Limit(5, 100), Limit(1, 10)]], ids=["first", "last"]
)
def test_what_one_limit_refuses_counts_under_none(name, limits) -> None:
    """There is no state in which the others have counted it."""
    several = algorithm_for(limits, name)
    state = state_after(several, (0, 1))

    assert several.take(state, 0, 1) is None
    assert sorted(several.look(state, 0, 0)[0]) == [0, 4]


def test_a_refund_gives_back_under_each_limit() -> None:
    """One limit has forgotten the hit, the other has not."""
    several = algorithm_for([Limit(3, 10), Limit(5, 100)], "strict")
    state = state_after(several, (0, 2), (50 * SECOND, 1))

    assert several.look(several.refund(state, 0, 2), 50 * SECOND, 0)[0] == (2, 4)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_eight_of_the_widest_limits_do_not_touch_each_other(name) -> None:
    """Each state keeps to its own bits, at the latest time and with everything used."""
    limits = [Limit(MAX_AMOUNT, seconds) for seconds in (1, 2, 60, 61, 3_600, 86_400, MAX_SECONDS - 1, MAX_SECONDS)]
    several = algorithm_for(limits, name)
    last = 2**63 - 1

    state = state_after(several, (last, MAX_AMOUNT - 1), (last, 1))

    assert state.bit_length() <= several.bits
    assert several.look(state, last, 0)[0] == (0,) * 8


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_charge_counts_under_each_limit_as_far_as_it_goes(name) -> None:
    """The one that is used up stays so, and the other counts in full."""
    several = algorithm_for([Limit(1, 10), Limit(5, 100)], name)
    state = several.charge(several.take(EMPTY, 0, 1)[0], 0, 2)

    assert several.look(state, 0, 0)[0] == (0, 2)


# limits that change


def carried(name: str, state: int, previous: list[Limit], following: list[Limit], at_ns: int = SECOND) -> int:
    """Return a state under the limits that follow."""
    carry = carrier(algorithm_for(previous, name), algorithm_for(following, name))
    assert carry is not None
    return carry(state, at_ns)


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize(("amount", "remaining"), [(1, 0), (2, 0), (3, 1), (5, 3), (MAX_AMOUNT, MAX_AMOUNT - 2)])
def test_what_was_used_is_used_under_another_amount(name, amount, remaining) -> None:
    """Of five, two were used."""
    state = algorithm_for([Limit(5, 10)], name).take(EMPTY, SECOND, 2)[0]

    state = carried(name, state, [Limit(5, 10)], [Limit(amount, 10)])

    assert algorithm_for([Limit(amount, 10)], name).look(state, SECOND, 0)[0] == (remaining,)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_limits_are_matched_by_their_windows(name) -> None:
    """Each goes on from its own predecessor, wherever it stands, and the new one starts anew."""
    before, after = [Limit(5, 10), Limit(9, 60)], [Limit(8, 60), Limit(7, 20), Limit(4, 10)]
    state = algorithm_for(before, name).take(EMPTY, SECOND, 3)[0]

    assert algorithm_for(after, name).look(carried(name, state, before, after), SECOND, 0)[0] == (5, 7, 1)
    assert algorithm_for(after[:1], name).look(carried(name, state, before, after[:1]), SECOND, 0)[0] == (5,)


@pytest.mark.parametrize(("changed_after", "remaining"), [(0, 3), (2, 4), (4, 5)])
def test_what_leaks_leaks_by_the_limit_that_held(changed_after, remaining) -> None:
    """Of five in ten seconds, two were used, of which one leaks in two seconds; of what follows, one in ten."""
    before, after = Limit(5, 10), Limit(1, 10, burst=5)
    state = algorithm_for([before], "gcra").take(EMPTY, SECOND, 2)[0]
    at_ns = (1 + changed_after) * SECOND

    state = carried("gcra", state, [before], [after], at_ns)

    assert algorithm_for([after], "gcra").look(state, at_ns, 0)[0] == (remaining,)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_nothing_is_carried_where_nothing_matches(name) -> None:
    """Another window, or another way of counting."""
    limit = algorithm_for([Limit(5, 10)], name)

    assert carrier(algorithm_for([Limit(5, 11)], name), limit) is None
    assert all(carrier(algorithm_for([Limit(5, 10)], other), limit) is None for other in ALGORITHMS if other != name)


# the table of algorithms


def test_an_algorithm_is_chosen_by_name() -> None:
    """One limit needs nothing around it; several are joined."""
    for name, algorithm in ALGORITHMS.items():
        assert type(algorithm_for([Limit(1, 1)], name)) is algorithm
        assert isinstance(algorithm_for([Limit(1, 1), Limit(2, 2)], name), Several)


def test_an_unknown_algorithm_is_refused_with_the_names_of_the_known_ones() -> None:
    """The sentence has all names that could have been meant."""
    with pytest.raises(ValueError, match="'strickt' is not an algorithm") as caught:
        algorithm_for([Limit(1, 1)], "strickt")

    assert all(name in str(caught.value) for name in ALGORITHMS)


def test_an_algorithm_without_limits_is_refused() -> None:
    """Nothing to keep to is a mistake, not a limit that admits everything."""
    with pytest.raises(ValueError, match="at least one limit"):
        algorithm_for([], "strict")


@pytest.mark.parametrize("name", [name for name in ALGORITHMS if name != "gcra"])
def test_a_burst_is_refused_where_it_means_nothing(name) -> None:
    """A setting that would be ignored is a mistake."""
    with pytest.raises(ValueError, match="has a burst, which only 'gcra' knows"):
        algorithm_for([Limit(1, 1), Limit(2, 2, burst=3)], name)
