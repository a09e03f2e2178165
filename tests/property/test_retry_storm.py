"""Retries in an outage: three tiers that each try again must not become the outage themselves."""

from __future__ import annotations

import pytest

from asgi_guard.resilience import retry_on_failure

CALLS = 3_000


def outage(budget: float | None) -> float:
    """Let the bottom of three tiers fail always; return how many calls reach it for each at the top."""
    reached = 0

    def bottom() -> None:
        nonlocal reached
        reached += 1
        raise ConnectionError

    tier = bottom
    for _ in range(3):
        tier = retry_on_failure(3, base=0, budget=budget)(tier)
    for _ in range(CALLS):
        with pytest.raises(ConnectionError):
            tier()
    return reached / CALLS


def test_three_tiers_amplify_the_load_of_an_outage_by_at_most_four_tenths() -> None:
    """Without budgets it is 64 times."""
    assert outage(0.1) <= 1.4


@pytest.mark.long
def test_without_budgets_the_same_tiers_are_a_storm() -> None:
    """So the simulation is one."""
    assert outage(None) == 64


@pytest.mark.parametrize("failing_one_in", [20])
def test_a_budget_costs_next_to_nothing_on_an_ordinary_day(failing_one_in) -> None:
    """Where one call in twenty fails, a retry makes good for practically all of them."""
    numbers = iter(range(10**9))

    @retry_on_failure(3, base=0)
    def flaky() -> None:
        if next(numbers) * 7919 % 10_007 % failing_one_in == 0:
            raise ConnectionError

    failures = 0
    for _ in range(10_000):
        try:
            flaky()
        except ConnectionError:
            failures += 1
    assert failures == 0
