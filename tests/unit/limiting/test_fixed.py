"""`fixed` by example: a window begins with a key's first hit, and everything comes back when it ends."""

from __future__ import annotations

import pytest

from asgi_guard.limiting.counting import EMPTY
from asgi_guard.limiting.fixed import Fixed
from asgi_guard.limiting.rate import MAX_AMOUNT, MAX_SECONDS, Limit

SECOND = 1_000_000_000
BEGUN = 123 * SECOND + 4
END = BEGUN + 10 * SECOND


def fixed(amount: int = 3) -> Fixed:
    """Make the algorithm for a window of ten seconds."""
    return Fixed(Limit(amount, 10))


def state_after(algorithm, *hits: tuple[int, int]) -> int:
    """Return the state after hits of (time, cost), all of which are admitted."""
    state = EMPTY
    for now_ns, cost in hits:
        state = algorithm.take(state, now_ns, cost)[0]
    return state


def test_a_window_begins_with_the_first_hit_and_ends_for_all_of_them() -> None:
    """It is not aligned to the clock, and later hits do not lengthen it."""
    algorithm = fixed()

    state, remaining, reset_ns = algorithm.take(EMPTY, BEGUN, 1)
    assert (remaining, reset_ns) == ((2,), (10 * SECOND,))
    state, remaining, reset_ns = algorithm.take(state, END - 1, 2)
    assert (remaining, reset_ns) == ((0,), (1,))

    assert algorithm.take(state, END - 1, 1) is None
    assert algorithm.take(state, END, 3)[1:] == ((0,), (10 * SECOND,))


@pytest.mark.parametrize(
    ("now_ns", "cost", "look"),
    [
        (BEGUN, 0, ((1,), (10 * SECOND,), (0,))),
        (BEGUN, 1, ((1,), (10 * SECOND,), (0,))),
        (BEGUN + SECOND, 2, ((1,), (9 * SECOND,), (9 * SECOND,))),
        (END - 1, 3, ((1,), (1,), (1,))),
        (END - 1, 4, ((1,), (1,), (None,))),
        (END, 3, ((3,), (0,), (0,))),
        (END, 4, ((3,), (0,), (None,))),
        (BEGUN - SECOND, 2, ((1,), (11 * SECOND,), (11 * SECOND,))),  # the clock has stepped back
    ],
)
def test_a_look_says_when_everything_comes_back(now_ns, cost, look) -> None:
    """Two of three were used."""
    algorithm = fixed()

    assert algorithm.look(state_after(algorithm, (BEGUN, 2)), now_ns, cost) == look


@pytest.mark.parametrize("now_ns", [0, 1, 2**63 - 1])
def test_the_first_hit_of_all_begins_a_window(now_ns) -> None:
    """Also at the very first and the very last moment of the clock."""
    algorithm = Fixed(Limit(MAX_AMOUNT, MAX_SECONDS))

    state, remaining, reset_ns = algorithm.take(EMPTY, now_ns, MAX_AMOUNT)

    assert (remaining, reset_ns) == ((0,), (MAX_SECONDS * SECOND,))
    assert state.bit_length() <= algorithm.bits <= 94
    assert algorithm.charge(EMPTY, now_ns, MAX_AMOUNT + 1) == state


@pytest.mark.parametrize(
    ("at_ns", "cost", "remaining"),
    [
        (BEGUN, 1, 1),
        (END - 1, 2, 2),
        (BEGUN - 1, 1, 0),  # the window before
        (END, 1, 0),  # never counted here
        (BEGUN, 0, 0),
    ],
)
def test_a_refund_gives_back_within_the_window_of_the_hit(at_ns, cost, remaining) -> None:
    """All three were used."""
    algorithm = fixed()
    state = state_after(algorithm, (BEGUN, 3))

    assert algorithm.look(algorithm.refund(state, at_ns, cost), BEGUN, 0)[0] == (remaining,)


@pytest.mark.parametrize("cost", [3, 9])
def test_a_window_whose_hits_are_all_refunded_has_never_begun(cost) -> None:
    """The next hit begins one of its own."""
    algorithm = fixed()

    assert algorithm.refund(state_after(algorithm, (BEGUN, 3)), BEGUN, cost) == EMPTY


@pytest.mark.parametrize(("cost", "remaining"), [(1, 1), (2, 0), (9, 0), (10**12, 0)])
def test_a_charge_uses_the_window_up_at_most(cost, remaining) -> None:
    """One of three was used; the window ends when it would have."""
    algorithm = fixed()

    state = algorithm.charge(state_after(algorithm, (BEGUN, 1)), BEGUN + SECOND, cost)

    assert algorithm.look(state, BEGUN + SECOND, 0) == ((remaining,), (9 * SECOND,), (0,))
