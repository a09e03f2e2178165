"""`concurrency` by example: leases that are released, and leases that nobody releases."""

from __future__ import annotations

import pytest

from asgi_guard.limiting.concurrency import Concurrency
from asgi_guard.limiting.counting import EMPTY
from asgi_guard.limiting.rate import Limit

SECOND = 1_000_000_000
START = 1_000 * SECOND + SECOND // 2


def concurrency(amount: int = 2) -> Concurrency:
    """Make the algorithm for leases of ten seconds."""
    return Concurrency(Limit(amount, 10))


def state_after(algorithm, *hits: tuple[int, int]) -> int:
    """Return the state after hits of (time, cost), all of which are admitted."""
    state = EMPTY
    for now_ns, cost in hits:
        state = algorithm.take(state, now_ns, cost)[0]
    return state


def test_a_released_lease_is_free_at_once() -> None:
    """As many as the amount are held, and each release admits one more."""
    algorithm = concurrency()
    state = state_after(algorithm, (START, 1), (START + 3 * SECOND, 1))
    assert algorithm.take(state, START + 4 * SECOND, 1) is None

    state = algorithm.refund(state, START, 1)

    state, remaining, _ = algorithm.take(state, START + 4 * SECOND, 1)
    assert remaining == (0,)


def test_a_lease_that_nobody_releases_is_held_for_its_window_and_a_slot_at_most() -> None:
    """It begins in the middle of a slot of a second, and ends with the eleventh."""
    algorithm = concurrency(amount=1)
    state = state_after(algorithm, (START, 1))

    assert algorithm.take(state, START + 10 * SECOND, 1) is None
    assert algorithm.look(state, START, 1)[2] == (10 * SECOND + SECOND // 2,)
    assert algorithm.take(state, START + 11 * SECOND, 1) is not None


@pytest.mark.parametrize("at_ns", [START - SECOND, START + SECOND, START + 11 * SECOND])
def test_the_release_of_a_lease_that_is_not_held_frees_no_other(at_ns) -> None:
    """It has ended already, or was never taken: the leases of other moments stay."""
    algorithm = concurrency()
    state = state_after(algorithm, (START, 2))

    assert algorithm.refund(state, at_ns, 1) == state
