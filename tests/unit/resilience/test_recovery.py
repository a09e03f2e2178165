"""Recovery: actions in their order, one run at a time, before the first probe, and never in its way."""

from __future__ import annotations

import functools
import re
import threading

import pytest
from anyio import create_task_group, lowlevel, sleep_forever, wait_all_tasks_blocked

from asgi_guard.errors import ConfigError
from asgi_guard.resilience import CircuitOpenError, Recovery, RecoveryActed, State, circuit_breaker
from asgi_guard.testing import ManualClock, capture_events

anyio_test = pytest.mark.anyio


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


def opened(clock, recovery, **options):
    """Make a circuit that is open, and due."""
    breaker = circuit_breaker(failure_threshold=1, recovery_timeout=60, recovery=recovery, clock=clock, **options)
    breaker.leave(breaker.enter_plain(), 0, ZeroDivisionError())
    clock.advance(60)
    return breaker


async def asynchronous(event: object) -> None:
    """Hear nothing: nobody would await it."""


def test_the_actions_run_in_their_order() -> None:
    """However they are given; one that fails is told, and keeps none from running."""
    ran, events = [], capture_events()

    def clear() -> None:
        ran.append("clear")
        raise ConnectionError("a password")

    recovery = Recovery(
        "cache",
        warm_up=lambda: ran.append("warm_up"),
        clear=clear,
        reconnect=lambda: ran.append("reconnect"),
        switch=lambda: ran.append("switch"),
        listeners=[events],
        clock=ManualClock(),
    )

    assert recovery.run_plain()
    assert ran == ["switch", "reconnect", "clear", "warm_up"]
    assert events.of(RecoveryActed) == [
        RecoveryActed(name="cache", action="switch", succeeded=True, seconds=0),
        RecoveryActed(name="cache", action="reconnect", succeeded=True, seconds=0),
        RecoveryActed(name="cache", action="clear", succeeded=False, seconds=0, exception="ConnectionError"),
        RecoveryActed(name="cache", action="warm_up", succeeded=True, seconds=0),
    ]


def test_it_runs_once_for_each_time_that_the_circuit_opened(clock) -> None:
    """Before the probe, which is what decides."""
    order = []
    breaker = opened(clock, Recovery("database", reconnect=lambda: order.append("reconnect")))

    with pytest.raises(ZeroDivisionError):
        breaker.call(lambda: order.append("probe") or divmod(1, 0))
    clock.advance(60)
    breaker.call(order.append, "probe")
    breaker.call(order.append, "call")

    assert order == ["reconnect", "probe", "reconnect", "probe", "call"]
    assert breaker.state is State.CLOSED


@anyio_test
async def test_one_runs_it_and_all_others_are_refused(clock) -> None:
    """As long as it runs."""
    order, go = [], []

    async def reconnect() -> None:
        order.append("reconnect")
        while not go:
            await lowlevel.checkpoint()

    async def call() -> None:
        order.append("probe")

    breaker = opened(clock, Recovery("database", reconnect=reconnect))
    async with create_task_group() as tasks:
        tasks.start_soon(breaker.call, call)
        while not order:
            await lowlevel.checkpoint()
        assert breaker.state is State.RECOVERING
        for _ in range(100):
            with pytest.raises(CircuitOpenError):
                await breaker.call(call)
        go.append(1)

    assert order == ["reconnect", "probe"]
    assert breaker.calls.rejected == 100


@anyio_test
async def test_if_who_runs_it_is_cancelled_the_next_one_does(clock) -> None:
    """At once."""
    order = []

    async def reconnect() -> None:
        order.append("reconnect")
        if len(order) == 1:
            await sleep_forever()

    breaker = opened(clock, Recovery("database", reconnect=reconnect))
    async with create_task_group() as tasks:
        tasks.start_soon(breaker.call, lowlevel.checkpoint)
        await wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert breaker.state is State.OPEN

    await breaker.call(lowlevel.checkpoint)
    assert (order, breaker.state) == (["reconnect"] * 2, State.CLOSED)


def test_whom_another_replica_overtakes_is_refused(clock) -> None:
    """It has opened the circuit once more while the actions ran: they are due once more, before anybody probes."""
    order = []

    def reconnect() -> None:
        order.append("reconnect")
        if len(order) == 1:
            breaker._circuit.follow(State.OPEN, clock.monotonic_ns(), 0)

    breaker = opened(clock, Recovery("database", reconnect=reconnect))
    with pytest.raises(CircuitOpenError):
        breaker.call(order.append, "probe")
    assert breaker.state is State.OPEN

    breaker.call(order.append, "probe")
    assert (order, breaker.state) == (["reconnect", "reconnect", "probe"], State.CLOSED)


def test_in_a_plain_function_as_well(clock) -> None:
    """Whatever stops it."""
    errors = [KeyboardInterrupt()]

    def reconnect() -> None:
        if errors:
            raise errors.pop()

    breaker = opened(clock, Recovery("external_service", reconnect=reconnect))
    with pytest.raises(KeyboardInterrupt):
        breaker.call(int)
    assert breaker.state is State.OPEN

    assert breaker.call(int) == 0
    assert breaker.state is State.CLOSED


@anyio_test
async def test_an_action_that_hangs_is_given_up(clock) -> None:
    """After its timeout; the next one and the probe have their turn."""
    ran, events = [], capture_events()
    recovery = Recovery(
        "database", switch=sleep_forever, reconnect=lambda: ran.append(1), timeout=0.01, listeners=[events]
    )

    assert await opened(clock, recovery).call(functools.partial(lowlevel.checkpoint)) is None
    assert [(event.action, event.exception) for event in events.of(RecoveryActed)] == [
        ("switch", "TimeoutError"),
        ("reconnect", None),
    ]


@anyio_test
async def test_a_plain_action_runs_in_a_thread() -> None:
    """It may block, and nothing else waits for it."""
    threads = []

    await Recovery("cache", clear=lambda: threads.append(threading.get_ident())).run()

    assert threads != [threading.get_ident()]


@anyio_test
async def test_two_runs_at_once_are_one() -> None:
    """The second does nothing, and says so."""
    results = []

    async def clear() -> None:
        results.append(await recovery.run())
        results.append(recovery.run_plain())

    recovery = Recovery("cache", clear=clear)

    assert await recovery.run()
    assert results == [False, False]


def test_a_lease_ends_for_who_runs_it_too(clock) -> None:
    """A caller that comes back after its lease has lost its turn."""
    late = []

    def reconnect() -> None:
        if not late:
            late.append(1)
            clock.advance(60)
            breaker.call(int)  # somebody else takes over, and closes the circuit

    breaker = opened(clock, Recovery("database", reconnect=reconnect), probe_lease=60)

    assert breaker.call(int) == 0
    assert breaker.state is State.CLOSED


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"category": "database"}, ["AG606"]),
        ({"category": "disk\n", "clear": int, "timeout": 0}, ["AG102", "AG104"]),
        ({"category": 5}, ["AG104", "AG606"]),
        ({"category": "disk", "clear": int, "listeners": print}, ["AG223"]),
        ({"category": "disk", "clear": int, "listeners": [asynchronous]}, ["AG222"]),
        ({"category": "cache", "clear": 5}, ["AG109"]),
    ],
    ids=lambda given: re.sub(r" at 0x\w+", "", str(given)),  # alike in every process
)
def test_settings_that_cannot_work_are_refused(options, ids) -> None:
    """When it is made."""
    with pytest.raises(ConfigError) as caught:
        Recovery(**options)

    assert sorted(problem.id for problem in caught.value.problems) == ids


def test_a_recovery_may_be_of_whatever_its_user_calls_it() -> None:
    """The name is told, and nothing is decided by it."""
    events = capture_events()

    assert Recovery("search index", clear=int, listeners=[events]).run_plain()
    assert [event.name for event in events.of(RecoveryActed)] == ["search index"]


def test_without_an_action_the_remedy_is_said() -> None:
    """In words that make a sentence."""
    with pytest.raises(
        ConfigError, match="AG606 Recovery needs at least one action of switch, reconnect, clear, warm_"
    ):
        Recovery("cache")
