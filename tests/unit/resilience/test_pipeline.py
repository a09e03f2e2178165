"""Pipeline: retry(breaker(timeout(bulkhead(call)))), in this order and no other; and circuits by name."""

from __future__ import annotations

import pytest
from anyio import sleep_forever

from asgi_guard.errors import ConfigError
from asgi_guard.resilience import (
    Bulkhead,
    BulkheadFullError,
    CircuitBreaker,
    CircuitOpenError,
    DeadlineExceededError,
    Retry,
    State,
    circuit_breaker,
    circuit_breakers,
    deadline,
    registry,
    reset_circuit_breakers,
    resilient,
    retry_on_failure,
)

anyio_test = pytest.mark.anyio


def test_the_order_is_fixed() -> None:
    """Whatever the order of the arguments."""
    policies = resilient(bulkhead=3, timeout=2.0, breaker=circuit_breaker(), retry=1).policies

    assert [type(policy) for policy in policies] == [Retry, CircuitBreaker, deadline, Bulkhead]


@anyio_test
async def test_each_attempt_counts_and_an_open_circuit_ends_the_retries() -> None:
    """Three attempts open it; the fourth is not made, and the fifth not waited for."""
    calls = []

    @resilient(retry=retry_on_failure(9, base=0), breaker=circuit_breaker(failure_threshold=3))
    async def fetch() -> None:
        calls.append(1)
        raise ConnectionError

    with pytest.raises(CircuitOpenError):
        await fetch()
    assert len(calls) == 3


@anyio_test
async def test_each_attempt_has_the_timeout_and_to_exceed_it_is_a_failure() -> None:
    """Of the other side."""
    breaker = circuit_breaker(failure_threshold=2)

    with pytest.raises(DeadlineExceededError):
        await resilient(retry=retry_on_failure(1, base=0), breaker=breaker, timeout=0.01).call(sleep_forever)

    assert (breaker.calls.failure, breaker.state) == (2, State.OPEN)


def test_a_full_bulkhead_is_not_the_other_sides_failure() -> None:
    """So it never opens the circuit."""
    breaker, bulkhead = circuit_breaker(failure_threshold=1), Bulkhead(1)
    pipeline = resilient(breaker=breaker, bulkhead=bulkhead)

    with pytest.raises(BulkheadFullError):
        bulkhead.call(lambda: pipeline.call(int))

    assert (breaker.state, breaker.calls.neutral) == (State.CLOSED, 1)


def test_a_plain_function_cannot_have_a_timeout() -> None:
    """All else it can."""
    assert resilient(retry=1, breaker=circuit_breaker(), bulkhead=1)(int)() == 0
    with pytest.raises(ConfigError, match="AG602"):
        resilient(timeout=1)(int)


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({}, ["AG612"]),
        ({"retry": True, "breaker": 5, "bulkhead": "x", "timeout": 0}, ["AG611", "AG611", "AG611", "AG102"]),
    ],
    ids=["nothing", "nonsense"],
)
def test_settings_that_cannot_work_are_refused(options, ids) -> None:
    """All at once."""
    with pytest.raises(ConfigError) as caught:
        resilient(**options)

    assert [problem.id for problem in caught.value.problems] == ids


# circuits by name


def test_to_forget_the_parentheses_is_told() -> None:
    """There is nothing that it could do by default."""
    with pytest.raises(ConfigError, match=r"AG612 resilient must be told what to do\. .+ @resilient\(retry=3\)"):
        resilient(int)
    with pytest.raises(ConfigError, match=r"AG612 resilient takes no function"):
        resilient(int, retry=3)


def test_who_gives_the_same_name_shares_the_circuit() -> None:
    """With the same settings, or none."""
    first = circuit_breaker(name="test: shared", failure_threshold=3)

    assert circuit_breaker(name="test: shared") is circuit_breaker("test: shared") is first
    assert circuit_breaker(name="test: shared", failure_threshold=3) is first
    assert circuit_breakers()["test: shared"] is first
    assert circuit_breaker(failure_threshold=3) is not circuit_breaker(failure_threshold=3)


def test_one_name_has_one_policy() -> None:
    """Else the first import would decide."""
    circuit_breaker(name="test: one policy", failure_threshold=7)

    with pytest.raises(ConfigError, match="AG609") as caught:
        circuit_breaker("test: one policy", failure_threshold=3, recovery_timeout=1.0)

    assert "failure_threshold is 7 there, recovery_timeout is the default there" in str(caught.value)


def test_all_named_circuits_can_be_closed_between_two_tests() -> None:
    """One function, and each is as if it were new."""
    first, second = circuit_breaker("test: reset 1"), circuit_breaker("test: reset 2")
    first.force_open()
    second.disable()

    reset_circuit_breakers()

    assert {breaker.state for breaker in circuit_breakers().values()} == {State.CLOSED}


def test_names_are_bounded(monkeypatch) -> None:
    """A name made of what a request says would grow without end."""
    monkeypatch.setattr(registry, "MAX_NAMES", len(circuit_breakers()))

    with pytest.raises(ConfigError, match="AG610"):
        circuit_breaker(name="test: one too many")
    assert circuit_breaker().state is State.CLOSED
