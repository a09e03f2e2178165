"""What circuits, retries and bulkheads count in the aggregate of the process."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.monitor import process, tally
from asgi_guard.monitor.process import aggregate_of_process
from asgi_guard.monitor.tally import MAX_NAMES, OTHER
from asgi_guard.resilience import Bulkhead, BulkheadFullError, CircuitOpenError, retry_on_failure
from asgi_guard.resilience.breaker import CircuitBreaker
from asgi_guard.resilience.policy import BreakerPolicy
from asgi_guard.resilience.windows import CountWindow
from asgi_guard.testing.clock import ManualClock


@pytest.fixture(autouse=True)
def _a_process_of_its_own() -> Iterator[None]:
    """Begin as a process in which nothing has counted."""
    with pytest.MonkeyPatch.context() as patch:
        begin(patch)
        yield
        gc.collect()


def begin(patch: pytest.MonkeyPatch) -> None:
    """Forget what was counted."""
    patch.setattr(process, "_aggregate", None)
    patch.setattr(tally, "_names", set())


def counted() -> dict[str, int]:
    """Return what was counted, but for nothing: the metric without `asgi_guard.`, and the values."""
    return {
        " ".join([point.metric.name.removeprefix("asgi_guard."), *point.values]): int(point.number)
        for point in aggregate_of_process().snapshot()
        if point.number
    }


def fails() -> None:
    """Fail as a dependency does."""
    raise ConnectionError


def works() -> int:
    """Be a call that goes well."""
    return 42


async def works_async() -> int:
    """Be a call that goes well."""
    return 42


def tried(function: Any, *args: Any) -> None:
    """Call a plain function, whatever comes of it."""
    with suppress(ConnectionError, CircuitOpenError, KeyboardInterrupt):
        function(*args)


def test_a_circuit_that_is_never_called_is_not_told() -> None:
    """It costs nothing."""
    CircuitBreaker("payments")(works)
    assert process._aggregate is None


def test_a_circuit_tells_its_calls_its_changes_and_its_state() -> None:
    """From closed to open, where it refuses, to half open and closed again."""
    clock = ManualClock()
    breaker = CircuitBreaker("payments", BreakerPolicy(failure_threshold=2, recovery_timeout=10), clock=clock)
    fail, work = breaker(fails), breaker(works)
    work()
    for _ in range(3):
        tried(fail)
    assert counted() == {
        "circuit_breaker.calls payments success": 1,
        "circuit_breaker.calls payments failure": 2,
        "circuit_breaker.calls payments rejected": 1,
        "circuit_breaker.state payments open": 1,
        "circuit_breaker.transitions payments closed open": 1,
    }
    clock.advance(10)
    work()
    told = counted()
    assert told["circuit_breaker.calls payments success"] == 2
    assert told["circuit_breaker.state payments closed"] == 1
    assert "circuit_breaker.state payments open" not in told
    assert told["circuit_breaker.transitions payments open half_open"] == 1
    assert told["circuit_breaker.transitions payments half_open closed"] == 1


@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async def"])
@pytest.mark.parametrize("form", ["decorated", "block", "call"])
def test_each_way_through_a_circuit_counts_alike(form: str, is_async: bool) -> None:
    """Decorated, as a block, or for one call."""
    breaker = CircuitBreaker("payments")

    async def go_async() -> None:
        if form == "decorated":
            await breaker(works_async)()
        elif form == "call":
            await breaker.call(works_async)
        else:
            async with breaker:
                pass

    def go() -> None:
        if form == "decorated":
            breaker(works)()
        elif form == "call":
            breaker.call(works)
        else:
            with breaker:
                pass

    for _ in range(3):
        if is_async:
            asyncio.run(go_async())
        else:
            go()
    assert breaker.calls.success == 3
    assert counted() == {"circuit_breaker.calls payments success": 3, "circuit_breaker.state payments closed": 1}


@pytest.mark.parametrize(
    ("command", "state"),
    [("force_open", "forced_open"), ("disable", "disabled"), ("metrics_only", "metrics_only")],
    ids=["force_open", "disable", "metrics_only"],
)
def test_what_a_person_says_to_a_circuit_is_told(command: str, state: str) -> None:
    """Also where it was never called."""
    breaker = CircuitBreaker("payments")
    getattr(breaker, command)()
    assert counted() == {
        f"circuit_breaker.state payments {state}": 1,
        f"circuit_breaker.transitions payments closed {state}": 1,
    }


def test_calls_that_are_slow_or_say_nothing_have_words_of_their_own() -> None:
    """So that all results together are all calls."""
    clock = ManualClock()
    breaker = CircuitBreaker("p", BreakerPolicy(window=CountWindow(100), slow_call_seconds=1), clock=clock)
    breaker.call(clock.advance, 2)

    def is_cancelled() -> None:
        raise KeyboardInterrupt

    tried(breaker(is_cancelled))
    told = {key: number for key, number in counted().items() if ".calls" in key}
    assert told == {"circuit_breaker.calls p slow": 1, "circuit_breaker.calls p neutral": 1}


def test_the_name_of_a_circuit_without_one_is_that_of_its_function() -> None:
    """Where it has neither, it counts with all others that have none."""
    CircuitBreaker()(works)()
    with CircuitBreaker():
        pass
    with CircuitBreaker():
        pass
    calls = {key: number for key, number in counted().items() if ".calls" in key}
    assert calls == {"circuit_breaker.calls works success": 1, "circuit_breaker.calls  success": 2}


def test_a_circuit_that_is_gone_is_in_no_state() -> None:
    """While it is there it is one of those of its name."""
    first, second = CircuitBreaker("payments"), CircuitBreaker("payments")
    for breaker in (first, second):
        breaker.call(works)
    assert counted()["circuit_breaker.state payments closed"] == 2
    first.force_open()
    assert counted()["circuit_breaker.state payments closed"] == 1
    del breaker, second
    gc.collect()
    told = counted()
    assert "circuit_breaker.state payments closed" not in told
    assert told["circuit_breaker.state payments forced_open"] == 1


def test_a_circuit_for_each_user_takes_no_series_from_others() -> None:
    """The names of the first are told apart; the rest is one."""
    for user in range(500):
        CircuitBreaker(f"user {user}").call(works)
    gc.collect()
    told = counted()
    assert told[f"circuit_breaker.calls {OTHER} success"] == 500 - MAX_NAMES
    assert len([*aggregate_of_process().snapshot()]) <= 2 * (MAX_NAMES + 1)
    assert not any(".state" in key for key in told)


@given(st.lists(st.sampled_from(["works", "fails", "waits"]), max_size=40), st.integers(1, 3))
def test_what_a_circuit_counts_is_what_was_seen(steps: list[str], threshold: int) -> None:
    """The aggregate says what the callers have seen, and what the circuit says of itself."""
    with pytest.MonkeyPatch.context() as patch:
        begin(patch)
        clock = ManualClock()
        policy = BreakerPolicy(failure_threshold=threshold, recovery_timeout=1)
        breaker = CircuitBreaker("p", policy, clock=clock)
        seen: Counter[str] = Counter()
        for step in steps:
            if step == "waits":
                clock.advance(1)
                continue
            try:
                breaker.call(works if step == "works" else fails)
                seen["success"] += 1
            except ConnectionError:
                seen["failure"] += 1
            except CircuitOpenError:
                seen["rejected"] += 1
        told = counted()
        calls = {key.rpartition(" ")[2]: number for key, number in told.items() if ".calls" in key}
        assert calls == dict(seen)
        assert {name: getattr(breaker.calls, name) for name in seen} == dict(seen)
        changes = sum(number for key, number in told.items() if ".transitions" in key)
        assert changes == breaker.generation
        states = {key: number for key, number in told.items() if ".state" in key}
        assert states == ({f"circuit_breaker.state p {breaker.state}": 1} if seen else {})


def test_a_circuit_under_several_threads_loses_no_count() -> None:
    """Those that fail, those that are refused, and one state at any time."""
    breaker = CircuitBreaker("p", BreakerPolicy(failure_threshold=3, recovery_timeout=0.001))
    seen: list[Counter[str]] = []

    def call_often() -> None:
        own: Counter[str] = Counter()
        for number in range(500):
            try:
                breaker.call(fails if number % 3 else works)
                own["success"] += 1
            except ConnectionError:
                own["failure"] += 1
            except CircuitOpenError:
                own["rejected"] += 1
        seen.append(own)

    threads = [Thread(target=call_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = counted()
    expected = sum(seen, Counter[str]())
    assert {key.rpartition(" ")[2]: number for key, number in told.items() if ".calls" in key} == dict(expected)
    assert {key: number for key, number in told.items() if ".state" in key} == {
        f"circuit_breaker.state p {breaker.state}": 1
    }
    assert sum(number for key, number in told.items() if ".transitions" in key) == breaker.generation


@pytest.mark.parametrize("form", ["async def", "plain", "async for", "for"])
@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        (0, {"success": 1}),
        (2, {"retried": 2, "recovered": 1}),
        (9, {"retried": 3, "given_up": 1}),
    ],
    ids=["at once", "in the end", "never"],
)
def test_each_attempt_is_counted_by_what_came_of_it(form: str, errors: int, expected: dict[str, int]) -> None:
    """All of them together are how often the other side was asked."""
    retry = retry_on_failure(3, base=0.001, cap=0.001, name="fetch", budget=None)
    left = [errors]

    def once() -> int:
        left[0] -= 1
        if left[0] >= 0:
            raise ConnectionError
        return 42

    async def once_async() -> int:
        return once()

    async def blocks() -> None:
        async for attempt in retry:
            with attempt:
                once()

    def plain_blocks() -> None:
        for attempt in retry:
            with attempt:
                once()

    ways: dict[str, Any] = {
        "async def": lambda: asyncio.run(retry(once_async)()),
        "plain": retry(once),
        "async for": lambda: asyncio.run(blocks()),
        "for": plain_blocks,
    }
    tried(ways[form])
    assert counted() == {f"retry.attempts fetch {result}": number for result, number in expected.items()}


@pytest.mark.parametrize("form", ["decorated", "a block"])
def test_an_attempt_that_is_cancelled_came_to_nothing(form: str) -> None:
    """It says nothing about the other side."""
    retry = retry_on_failure(3, name="fetch")

    def is_cancelled() -> None:
        raise KeyboardInterrupt

    def block() -> None:
        for attempt in retry:
            with attempt:
                is_cancelled()

    tried(retry(is_cancelled) if form == "decorated" else block)
    assert counted() == {}


def test_who_finds_no_place_is_counted() -> None:
    """By the name of the bulkhead."""
    reports = Bulkhead(1, name="reports")
    with reports, pytest.raises(BulkheadFullError):
        reports.call(works)
    assert counted() == {"bulkhead.rejections reports": 1}
