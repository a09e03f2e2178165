"""`strict` by example: what it admits, what it tells, and what its states look like."""

from __future__ import annotations

import pytest

from asgi_guard.limiting.counting import EMPTY
from asgi_guard.limiting.rate import MAX_AMOUNT, Limit
from asgi_guard.limiting.strict import Strict

SECOND = 1_000_000_000
SLOT = SECOND  # a tenth of the window of 10 s that most tests here use
AMOUNTS = [1, 2, 3, 5, 6, 7, 14, 15, 126, 127, 128, 1_000, MAX_AMOUNT - 1, MAX_AMOUNT]  # 2**b - 2 is where b grows


def strict(amount: int = 3, seconds: int = 10) -> Strict:
    """Make the algorithm for a limit whose slots are one second long."""
    return Strict(Limit(amount, seconds))


def state_after(algorithm, *hits: tuple[int, int]) -> int:
    """Return the state after hits of (time, cost), all of which are admitted."""
    state = EMPTY
    for now_ns, cost in hits:
        state = algorithm.take(state, now_ns, cost)[0]
    return state


def test_hits_count_until_the_amount_is_used_up() -> None:
    """Three fit under a limit of three, and each says what is left and when more comes back."""
    algorithm = strict()
    now = 5 * SLOT + 7

    state, remaining, reset_ns = algorithm.take(EMPTY, now, 1)
    assert (remaining, reset_ns) == ((2,), (16 * SLOT - now,))
    state, remaining, reset_ns = algorithm.take(state, now, 2)
    assert (remaining, reset_ns) == ((0,), (16 * SLOT - now,))

    assert algorithm.take(state, now, 1) is None


def test_a_hit_counts_until_its_whole_slot_has_left_the_window() -> None:
    """The slot of a hit at 0.5 s ends at 1 s, and has left a window of 10 s at 11 s."""
    algorithm = strict(amount=1)
    state = state_after(algorithm, (SLOT // 2, 1))

    assert algorithm.take(state, 11 * SLOT - 1, 1) is None
    assert algorithm.take(state, 11 * SLOT, 1) is not None


@pytest.mark.parametrize(
    ("cost", "retry_at"),
    [
        (0, 10 * SLOT),  # at once
        (1, 11 * SLOT),  # when the two of slot 0 have gone
        (2, 11 * SLOT),
        (3, 14 * SLOT),  # when also the one of slot 3 has gone
        (4, 15 * SLOT),
        (6, 20 * SLOT),  # when nothing counts any more
        (7, None),  # never
    ],
)
def test_a_cost_waits_for_as_many_slots_as_it_needs(cost, retry_at) -> None:
    """Of six, two were used in slot 0, one in slot 3, one in slot 4 and two in slot 9."""
    algorithm = strict(amount=6)
    state = state_after(algorithm, (0, 2), (3 * SLOT, 1), (4 * SLOT, 1), (9 * SLOT, 2))

    remaining, reset_ns, retry_ns = algorithm.look(state, 10 * SLOT, cost)

    assert (remaining, reset_ns) == ((0,), (SLOT,))
    assert retry_ns == (None if retry_at is None else retry_at - 10 * SLOT,)


def test_looking_at_an_unused_key_shows_the_whole_amount() -> None:
    """Before the first hit, and after all hits have gone, nothing has to come back."""
    algorithm = strict()

    assert algorithm.look(EMPTY, 10**18, 1) == ((3,), (0,), (0,))
    assert algorithm.look(state_after(algorithm, (0, 3)), algorithm.life_ns, 3) == ((3,), (0,), (0,))


@pytest.mark.parametrize("amount", AMOUNTS)
@pytest.mark.parametrize("cost", [1, 2])
def test_the_amount_is_exact_also_where_the_arithmetic_is_tight(amount, cost) -> None:
    """The sum is a remainder, so amounts just below a power of two are where it could wrap round."""
    algorithm = strict(amount=amount)
    used = max(amount - 1, 1)
    full = state_after(algorithm, (3 * SLOT, used), *([(4 * SLOT, 1)] if amount > 1 else []))

    assert algorithm.take(full, 4 * SLOT, cost) is None
    assert algorithm.take(full, 4 * SLOT, amount) is None
    assert algorithm.look(full, 4 * SLOT, 0)[0] == (0,)
    assert algorithm.look(full, 14 * SLOT, 0)[0] == (used,)
    assert algorithm.take(EMPTY, 4 * SLOT, amount + 1) is None


@pytest.mark.parametrize("amount", AMOUNTS)
def test_a_state_is_one_int_of_bounded_width(amount) -> None:
    """The widest state has the largest number of a slot, and everything used in the oldest slot that counts."""
    algorithm = Strict(Limit(amount, 1))
    last = 2**63 - 1

    state = state_after(algorithm, (last - SECOND, amount))
    state = algorithm.refund(state, last - SECOND, 1)
    state = algorithm.take(state, last, 1)[0]

    assert type(state) is int
    assert state.bit_length() <= algorithm.bits
    assert algorithm.bits <= 370
    assert algorithm.look(state, last, 1)[0] == (0,)


def test_a_pause_of_any_length_costs_the_same() -> None:
    """A shift by the length of the pause would fill the memory with zeros."""
    algorithm = strict()
    state = state_after(algorithm, (0, 3))

    taken = algorithm.take(state, 2**63 - 1, 1)

    assert taken is not None
    assert taken[0].bit_length() <= algorithm.bits


def test_time_stands_still_while_the_clock_has_stepped_back() -> None:
    """What is counted meanwhile counts in the newest slot, and nothing is admitted twice."""
    algorithm = strict()
    state = state_after(algorithm, (50 * SLOT, 1), (20 * SLOT, 1), (0, 1))

    assert algorithm.take(state, 0, 1) is None
    assert algorithm.look(state, 20 * SLOT, 1) == ((0,), (41 * SLOT,), (41 * SLOT,))
    assert algorithm.take(state, 61 * SLOT - 1, 1) is None
    assert algorithm.take(state, 61 * SLOT, 3) is not None


# refund


def test_a_refund_is_taken_from_the_slot_of_the_hit() -> None:
    """The hits of other slots keep their own time."""
    algorithm = strict(amount=6)
    state = state_after(algorithm, (0, 2), (3 * SLOT, 2), (5 * SLOT, 2))

    state = algorithm.refund(state, 3 * SLOT + 1, 2)

    assert algorithm.look(state, 5 * SLOT, 3) == ((2,), (6 * SLOT,), (6 * SLOT,))
    assert algorithm.look(state, 11 * SLOT, 0) == ((4,), (5 * SLOT,), (0,))


@pytest.mark.parametrize(
    ("at_ns", "cost", "remaining"),
    [
        (20 * SLOT, 1, 1),  # the newest slot
        (20 * SLOT, 9, 2),  # never more than what counts there
        (10 * SLOT, 1, 1),  # the oldest slot that still counts
        (15 * SLOT, 1, 0),  # a slot in which nothing was hit
        (9 * SLOT, 1, 0),  # the hit has gone
        (21 * SLOT, 1, 0),  # the hit was never counted
        (20 * SLOT, 0, 0),
    ],
)
def test_a_refund_gives_back_what_still_counts_and_no_more(at_ns, cost, remaining) -> None:
    """Two hits were at slot 20 and one at slot 10."""
    algorithm = strict()
    state = state_after(algorithm, (10 * SLOT, 1), (20 * SLOT, 2))

    assert algorithm.look(algorithm.refund(state, at_ns, cost), 20 * SLOT, 0)[0] == (remaining,)


def test_hits_and_refunds_without_end_do_not_keep_an_old_hit_alive() -> None:
    """Whoever fails once and then succeeds all day, each success being refunded, is free of the failure in time."""
    algorithm = strict(amount=2)
    state = state_after(algorithm, (0, 1))
    for slot in range(1, 11):
        state = algorithm.refund(state_after_one(algorithm, state, slot * SLOT), slot * SLOT, 1)

    assert algorithm.look(state, 11 * SLOT, 2) == ((2,), (0,), (0,))


def state_after_one(algorithm, state: int, now_ns: int) -> int:
    """Return the state after one more hit, which is admitted."""
    return algorithm.take(state, now_ns, 1)[0]


# charge


def test_a_charge_that_goes_over_pushes_out_the_oldest_hits() -> None:
    """What a client has to wait for are its newest hits, and a count above the amount says no more than the amount."""
    algorithm = strict(amount=3)
    state = state_after(algorithm, (0, 2), (4 * SLOT, 1))

    state = algorithm.charge(state, 6 * SLOT, 2)

    assert algorithm.look(state, 6 * SLOT, 1) == ((0,), (9 * SLOT,), (9 * SLOT,))
    assert algorithm.look(state, 15 * SLOT, 1) == ((1,), (2 * SLOT,), (0,))


@pytest.mark.parametrize("cost", [4, 10**12])
def test_a_charge_leaves_no_debt(cost) -> None:
    """Whatever it costs, the amount is used up and no more."""
    algorithm = strict()

    state = algorithm.charge(EMPTY, 0, cost)

    assert algorithm.look(state, 0, 1)[0] == (0,)
    assert algorithm.look(state, 11 * SLOT, 3) == ((3,), (0,), (0,))
    assert state.bit_length() <= algorithm.bits
