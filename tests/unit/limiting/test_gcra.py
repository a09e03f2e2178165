"""`gcra` by example: a burst at once, then one hit every W/N, to the nanosecond."""

from __future__ import annotations

import pytest

from asgi_guard.limiting.counting import EMPTY
from asgi_guard.limiting.gcra import Gcra
from asgi_guard.limiting.rate import MAX_AMOUNT, MAX_SECONDS, Limit

SECOND = 1_000_000_000


def gcra(amount: int = 10, seconds: int = 10, burst: int | None = None) -> Gcra:
    """Make the algorithm; told nothing, one hit leaks each second."""
    return Gcra(Limit(amount, seconds, burst=burst))


def state_after(algorithm, *hits: tuple[int, int]) -> int:
    """Return the state after hits of (time, cost), all of which are admitted."""
    state = EMPTY
    for now_ns, cost in hits:
        state = algorithm.take(state, now_ns, cost)[0]
    return state


@pytest.mark.parametrize(("burst", "at_once"), [(None, 10), (1, 1), (3, 3), (25, 25)])
def test_the_burst_is_admitted_at_once_and_then_one_at_a_time(burst, at_once) -> None:
    """Left out, it is the amount; it may be less, and it may be more."""
    algorithm = gcra(burst=burst)
    state = EMPTY
    for number in range(at_once):
        state, remaining, reset_ns = algorithm.take(state, 7, 1)
        assert (remaining, reset_ns) == ((at_once - number - 1,), (SECOND,))

    for second in (1, 2, 3):
        assert algorithm.take(state, 7 + second * SECOND - 1, 1) is None
        state = algorithm.take(state, 7 + second * SECOND, 1)[0]


@pytest.mark.parametrize(
    ("cost", "wait_ns"), [(0, 0), (1, 0), (2, SECOND // 2), (5, 7 * SECOND // 2), (10, 17 * SECOND // 2), (11, None)]
)
def test_a_cost_waits_until_it_fits(cost, wait_ns) -> None:
    """Nine of ten were used, and half a second later half a hit has leaked."""
    algorithm = gcra()
    state = state_after(algorithm, (0, 9))

    assert algorithm.look(state, SECOND // 2, cost) == ((1,), (SECOND // 2,), (wait_ns,))


def test_looking_at_an_unused_key_shows_the_whole_burst() -> None:
    """Before the first hit, and after all has leaked, nothing has to come back."""
    algorithm = gcra(burst=3)

    assert algorithm.look(EMPTY, 10**18, 3) == ((3,), (0,), (0,))
    assert algorithm.look(state_after(algorithm, (0, 3)), algorithm.life_ns, 3) == ((3,), (0,), (0,))
    assert algorithm.look(state_after(algorithm, (0, 3)), algorithm.life_ns - 1, 3)[2] == (1,)


@pytest.mark.parametrize(("amount", "seconds"), [(3, 1), (7, 1), (7, 60), (999_999_937, 1), (MAX_AMOUNT, 3)])
def test_nothing_drifts_where_a_hit_takes_no_whole_number_of_nanoseconds(amount, seconds) -> None:
    """The last of N hits leaks out at the end of the window, to the nanosecond, and the first not before its time."""
    algorithm = gcra(amount, seconds)
    state = state_after(algorithm, (5, amount))

    assert algorithm.look(state, 5, 1)[2] == (-(-seconds * SECOND // amount),)
    assert algorithm.look(state, 5, amount)[2] == (seconds * SECOND,)
    assert algorithm.take(state, 5 + seconds * SECOND - 1, amount) is None
    assert algorithm.take(state, 5 + seconds * SECOND, amount) is not None


@pytest.mark.parametrize("amount", [7, 13])
def test_a_greedy_client_gets_the_rate_exactly(amount) -> None:
    """It takes all there is, waits as it is told, and in 300 windows has lost nothing to rounding."""
    algorithm = gcra(amount, 1)
    state, now_ns, total = EMPTY, 10**15, 0
    while now_ns <= 10**15 + 300 * SECOND:
        taken = algorithm.take(state, now_ns, 1)
        if taken is None:
            now_ns += algorithm.look(state, now_ns, 1)[2][0]
        else:
            state, total = taken[0], total + 1

    # Rounding up delays a hit, and not those after it.
    assert total == 301 * amount


@pytest.mark.parametrize("limit", [Limit(MAX_AMOUNT, MAX_SECONDS), Limit(999_999_937, MAX_SECONDS, burst=MAX_AMOUNT)])
def test_a_state_is_one_int_of_bounded_width(limit) -> None:
    """Also the full bucket, at the latest time, with the finest ticks."""
    algorithm = Gcra(limit)

    state = state_after(algorithm, (2**63 - 1, MAX_AMOUNT))

    assert type(state) is int
    assert state.bit_length() <= algorithm.bits <= 150


def test_time_stands_still_while_the_clock_has_stepped_back() -> None:
    """What is counted meanwhile counts at the latest time, and nothing leaks."""
    algorithm = gcra(burst=3)
    state = state_after(algorithm, (50 * SECOND, 1))

    state, remaining, reset_ns = algorithm.take(state, 20 * SECOND, 2)

    assert (remaining, reset_ns) == ((0,), (31 * SECOND,))
    assert algorithm.take(state, 0, 1) is None
    assert algorithm.look(state, 20 * SECOND, 1) == ((0,), (31 * SECOND,), (31 * SECOND,))
    assert algorithm.take(state, 51 * SECOND - 1, 1) is None
    assert algorithm.take(state, 51 * SECOND, 1) is not None


# refund and charge


def test_a_refund_of_the_latest_hit_gives_it_back_whole() -> None:
    """However long the work took: the state is then what it would have been."""
    algorithm = gcra()
    before = state_after(algorithm, (0, 4))
    after = algorithm.refund(state_after(algorithm, (0, 4), (SECOND // 2, 3)), SECOND // 2, 3)

    for now_ns in (SECOND // 2, SECOND, 3 * SECOND, 5 * SECOND):
        assert algorithm.look(after, now_ns, 7) == algorithm.look(before, now_ns, 7)


@pytest.mark.parametrize(
    ("at_ns", "cost", "level"),
    [
        (2 * SECOND, 1, 3),  # the latest hit
        (2 * SECOND, 9, 0),  # never more than is there
        (SECOND, 2, 3),  # two, less the second in which one would have leaked anyway
        (SECOND, 1, 4),  # nothing, for the same reason
        (0, 9, 0),
        (0, 2, 4),
        (3 * SECOND, 4, 4),  # the hit was never counted
        (2 * SECOND, 0, 4),
    ],
)
def test_a_refund_never_gives_back_what_other_hits_need(at_ns, cost, level) -> None:
    """Two each were hit at 0, 1 and 2 s, and two have leaked."""
    algorithm = gcra()
    state = state_after(algorithm, (0, 2), (SECOND, 2), (2 * SECOND, 2))

    assert algorithm.look(algorithm.refund(state, at_ns, cost), 2 * SECOND, 0)[0] == (10 - level,)


def test_hits_and_refunds_without_end_do_not_keep_an_old_hit_alive() -> None:
    """Whoever fails once and then succeeds all day, each success being refunded, is free of the failure in time."""
    algorithm = gcra(burst=2)
    state = state_after(algorithm, (0, 1))
    for tick in range(1, 11):
        now_ns = tick * SECOND // 10
        state = algorithm.refund(algorithm.take(state, now_ns, 1)[0], now_ns, 1)

    assert algorithm.look(state, SECOND, 2) == ((2,), (0,), (0,))


@pytest.mark.parametrize(("cost", "remaining"), [(1, 1), (2, 0), (3, 0), (10**12, 0)])
def test_a_charge_fills_the_bucket_at_most(cost, remaining) -> None:
    """Of a burst of three, one was used; whatever is charged, all has leaked when a full bucket has."""
    algorithm = gcra(burst=3)

    state = algorithm.charge(state_after(algorithm, (0, 1)), 0, cost)

    assert algorithm.look(state, 0, 0)[0] == (remaining,)
    assert algorithm.look(state, algorithm.life_ns, 3)[2] == (0,)
