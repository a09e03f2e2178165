"""The circuit breaker under schedules: calls that overlap, fail and are cancelled at any await, on asyncio and trio."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from asgi_guard.resilience import (
    CircuitBreaker,
    CircuitOpenError,
    CountWindow,
    Recovery,
    State,
    TimeWindow,
    circuit_breaker,
)
from asgi_guard.testing import ManualClock


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_logged() -> Iterator[None]:
    """Nobody reads what some hundred thousand circuits have to say, and pytest would keep it."""
    logging.getLogger("asgi_guard").disabled = True
    yield
    logging.getLogger("asgi_guard").disabled = False


class DownError(Exception):
    """What a dependency raises."""


TASK = st.tuples(
    st.integers(0, 5),  # checkpoints before it calls
    st.integers(0, 4),  # checkpoints within the call
    st.sampled_from(["success", "failure", "failure"]),
    st.one_of(st.none(), st.integers(0, 8)),  # checkpoints before it is cancelled
    st.sampled_from([0, 0, 1, 7, 11]),  # seconds that pass when it begins
)
SCHEDULES = st.lists(TASK, min_size=1, max_size=12)
OPTIONS = st.fixed_dictionaries(
    {
        "failure_threshold": st.integers(1, 3),
        "window": st.sampled_from([None, CountWindow(5), TimeWindow(20)]),
        "half_open_max": st.integers(1, 3),
        "success_threshold": st.integers(1, 3),
        "recovery": st.booleans(),
    }
)
BACKENDS = ["asyncio", "trio"]


class Watched:
    """A circuit breaker, and how many of its probes are under way."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.clock = ManualClock()
        recovery = Recovery("database", reconnect=self.reconnect) if options["recovery"] else None
        self.breaker: CircuitBreaker = circuit_breaker(
            **{**options, "recovery": recovery}, recovery_timeout=10, probe_lease=3_600, clock=self.clock
        )
        self.most = options["half_open_max"]
        self.under_way: list[int] = []  # the generation of each call
        self.reconnecting = 0

    async def reconnect(self) -> None:
        """Be run by one at a time, while nothing is let through."""
        self.reconnecting += 1
        try:
            assert self.reconnecting == 1
            assert self.breaker.state is State.RECOVERING
            await checkpoint()
        finally:
            self.reconnecting -= 1

    async def call(self, within: int, outcome: str) -> None:
        """Be the dependency."""
        generation = self.breaker.generation
        self.under_way.append(generation)
        if self.breaker.state is State.HALF_OPEN:
            assert self.under_way.count(generation) <= self.most
        assert self.breaker.state in {State.CLOSED, State.HALF_OPEN}
        try:
            for _ in range(within):
                await checkpoint()
            if outcome == "failure":
                raise DownError
        finally:
            self.under_way.remove(generation)

    async def task(self, before: int, within: int, outcome: str, cancelled: int | None, seconds: int) -> None:
        """Make one call, and be cancelled in it where the schedule says so."""
        for _ in range(before):
            await checkpoint()
        self.clock.advance(seconds)
        async with anyio.create_task_group() as tasks:
            if cancelled is not None:
                tasks.start_soon(self.cancel, tasks.cancel_scope, cancelled)
            with suppress(CircuitOpenError, DownError):
                await self.breaker.call(self.call, within, outcome)
            tasks.cancel_scope.cancel()

    async def cancel(self, scope: anyio.CancelScope, after: int) -> None:
        """Cancel the call at one of its awaits."""
        for _ in range(after):
            await checkpoint()
        scope.cancel()


async def run(schedule, options) -> None:
    """Let a schedule happen; then the dependency is back, and so must be the circuit."""
    watched = Watched(options)
    async with anyio.create_task_group() as tasks:
        for task in schedule:
            tasks.start_soon(watched.task, *task)
    assert (watched.under_way, watched.breaker._circuit._probes) == ([], set())
    watched.clock.advance(10)
    for _ in range(options["success_threshold"]):
        await watched.breaker.call(watched.call, 1, "success")
    assert watched.breaker.state is State.CLOSED


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=2_000)
@given(schedule=SCHEDULES, options=OPTIONS)
def test_no_schedule_leaks_a_probe_or_leaves_a_circuit_stuck(backend, schedule, options) -> None:
    """Never more probes than allowed, one recovery at a time, and a healthy dependency is used again."""
    anyio.run(run, schedule, options, backend=backend)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("backend", BACKENDS)
@settings(max_examples=100_000)
@given(schedule=SCHEDULES, options=OPTIONS)
def test_no_schedule_of_a_hundred_thousand_does(backend, schedule, options) -> None:
    """The same, for longer."""
    anyio.run(run, schedule, options, backend=backend)
