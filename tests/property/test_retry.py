"""Retries against a plain model, against tenacity, and under cancellation at any await."""

from __future__ import annotations

import random

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from asgi_guard.errors import GuardError
from asgi_guard.resilience import CircuitOpenError, RetryBudget, retry_on_failure
from asgi_guard.resilience.budget import _WHOLE
from asgi_guard.testing import ManualClock


class BusyError(GuardError):
    """An error that may be over soon."""

    retryable = True


ERRORS = {
    "busy": BusyError,
    "busy, once more": lambda: BusyError(max_retries=1),
    "busy, come back": lambda: BusyError(retry_after=3.0),
    "busy, come back late": lambda: BusyError(retry_after=100.0),
    "reset": ConnectionResetError,
    "refused": ConnectionRefusedError,
    "open": CircuitOpenError,
    "bug": ValueError,
}
CALLS = st.lists(st.lists(st.sampled_from(sorted(ERRORS)), max_size=6), min_size=1, max_size=8)


def model(kinds, tokens, *, max_retries, idempotent, deadline) -> tuple[int, list[float], float]:
    """Say how often a function is called that fails in these ways, what is waited, and what is left of the budget."""
    tokens, waited, attempt = min(tokens + 0.1, 100), [], 0
    while attempt < len(kinds):
        kind = kinds[attempt]
        wait = {"busy, come back": 3.0, "busy, come back late": 100.0}.get(kind, min(2.0**attempt, 20))
        refused = (
            kind in {"open", "bug"}
            or (not idempotent and kind != "refused")
            or attempt >= (min(1, max_retries) if kind == "busy, once more" else max_retries)
            or wait > 60
            or (deadline is not None and sum(waited) + wait >= deadline)
        )
        attempt += 1
        if refused or tokens < 1 - 1e-9:
            return attempt, waited, tokens
        tokens -= 1
        waited.append(wait)
    return attempt + 1, waited, tokens


@settings(max_examples=400)
@given(
    calls=CALLS,
    max_retries=st.integers(0, 5),
    idempotent=st.booleans(),
    deadline=st.sampled_from([None, 2.5, 10.5]),
    reserve=st.integers(0, 5),
)
def test_calls_waits_and_budget_are_those_of_the_model(calls, max_retries, idempotent, deadline, reserve) -> None:
    """For each sequence of errors."""
    clock, tokens, waited = ManualClock(), float(reserve), []
    budget = RetryBudget(0.1, reserve=reserve)

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        clock.advance(seconds)

    retry = retry_on_failure(
        max_retries,
        base=1,
        cap=20,
        jitter="none",
        budget=budget,
        idempotent=idempotent,
        deadline=deadline,
        clock=clock,
        sleep=sleep,
    )
    for kinds in calls:
        errors, count = [ERRORS[kind]() for kind in kinds], 0

        def flaky(errors=errors) -> None:
            nonlocal count
            count += 1
            if count <= len(errors):
                raise errors[count - 1]

        waited.clear()
        expected, waits, tokens = model(
            kinds, tokens, max_retries=max_retries, idempotent=idempotent, deadline=deadline
        )
        if expected <= len(errors):
            with pytest.raises(type(errors[expected - 1])) as caught:
                retry.call(flaky)
            assert caught.value is errors[expected - 1]
        else:
            retry.call(flaky)
        assert (count, waited) == (expected, waits)
        assert budget.level / _WHOLE == pytest.approx(tokens)


@given(
    failures=st.integers(0, 8),
    max_retries=st.integers(0, 6),
    base=st.sampled_from([0.05, 0.5, 3.0]),
    cap=st.sampled_from([3.0, 5.0]),
    seed=st.integers(0, 10**6),
)
def test_tenacity_makes_the_same_attempts_after_the_same_delays(failures, max_retries, base, cap, seed) -> None:
    """With full jitter and the same seed."""
    tenacity = pytest.importorskip("tenacity")

    def flaky_and_count():
        count = [0]

        def flaky() -> int:
            count[0] += 1
            if count[0] <= failures:
                raise ConnectionError
            return count[0]

        return flaky, count

    ours, theirs = [], []
    mine, my_count = flaky_and_count()
    other, other_count = flaky_and_count()
    random.seed(seed)
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(max_retries + 1),
        wait=tenacity.wait_random_exponential(multiplier=base, max=cap),
        sleep=theirs.append,
        reraise=True,
    )
    results = [outcome_of(lambda: retrying(other))]
    random.seed(seed)
    retry = retry_on_failure(max_retries, base=base, cap=cap, budget=None, sleep=ours.append)
    results.append(outcome_of(lambda: retry.call(mine)))

    assert results[0] == results[1]
    assert my_count == other_count
    assert ours == pytest.approx(theirs)


def outcome_of(call) -> object:
    """Return what a call returns, or the class of what it raises."""
    try:
        return call()
    except ConnectionError as error:
        return type(error)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(max_examples=300)
@given(errors=st.integers(0, 5), within=st.integers(0, 3), cancelled=st.integers(0, 14), max_retries=st.integers(0, 4))
def test_a_cancellation_at_any_await_ends_it(backend, errors, within, cancelled, max_retries) -> None:
    """In an attempt or in a wait: nothing is called after it."""
    log: list[str] = []

    async def flaky() -> None:
        log.append("call")
        for _ in range(within):
            await checkpoint()
        if log.count("call") <= errors:
            raise ConnectionError

    async def cancel(scope: anyio.CancelScope) -> None:
        for _ in range(cancelled):
            await checkpoint()
        log.append("cancel")
        scope.cancel()

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel, tasks.cancel_scope)
            try:
                await retry_on_failure(max_retries, base=0, budget=None).call(flaky)
            except ConnectionError:
                log.append("failed")
            else:
                log.append("done")
            tasks.cancel_scope.cancel()

    anyio.run(main, backend=backend)

    after_cancel = log[log.index("cancel") + 1 :] if "cancel" in log else []
    assert "call" not in after_cancel or log.index("cancel") == 0  # it may be cancelled before it begins
    assert log.count("call") <= min(errors, max_retries) + 1
