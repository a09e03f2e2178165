"""Circuit breaker: what it lets through, what it counts, and that neither a crowd nor a cancellation confuses it."""

from __future__ import annotations

import functools
import re
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from anyio import CancelScope, Event, create_task_group, get_cancelled_exc_class, lowlevel

from asgi_guard.errors import ConfigError, GuardError
from asgi_guard.resilience import (
    BulkheadFullError,
    CircuitBreaker,
    CircuitChanged,
    CircuitOpenError,
    CountWindow,
    Recovery,
    State,
    TimeWindow,
    circuit_breaker,
)
from asgi_guard.testing import ManualClock, capture_events

anyio_test = pytest.mark.anyio


class DownError(Exception):
    """What a dependency raises."""


class NotFoundError(GuardError):
    """An answer that says no."""

    status = 404


def failing(*_: object) -> None:
    """Fail as a dependency does."""
    raise DownError


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


def made(clock, **options) -> CircuitBreaker:
    """Make a circuit by that clock."""
    return circuit_breaker(clock=clock, **{"failure_threshold": 5, "recovery_timeout": 60, **options})


def fail(breaker, times=1) -> None:
    """Let calls fail."""
    for _ in range(times):
        with pytest.raises(DownError):
            breaker.call(failing)


def opened(clock, **options) -> CircuitBreaker:
    """Make a circuit that is open."""
    breaker = made(clock, **options)
    fail(breaker, 5)
    assert breaker.state is State.OPEN
    return breaker


def passes(breaker) -> bool:
    """Tell whether a call is let through; it succeeds."""
    try:
        breaker.call(int)
    except CircuitOpenError:
        return False
    return True


# when it opens and closes


def test_it_opens_after_so_many_failures_in_a_row(clock) -> None:
    """One success in between, and they count anew."""
    breaker = made(clock)
    fail(breaker, 4)
    breaker.call(int)
    fail(breaker, 4)
    assert breaker.state is State.CLOSED
    fail(breaker)

    assert breaker.state is State.OPEN
    assert not passes(breaker)


def test_an_open_circuit_says_when_to_come_back(clock) -> None:
    """As an error of status 503, from which the error envelope makes a Retry-After."""
    breaker = opened(clock, name="test: says when")
    clock.advance(20)

    with pytest.raises(CircuitOpenError) as caught:
        breaker.call(int)

    error = caught.value
    assert (error.status, error.retry_after, error.name) == (503, 40.0, "test: says when")


def test_it_is_probed_when_the_recovery_timeout_has_passed(clock) -> None:
    """Not a nanosecond before; a success closes it."""
    breaker = opened(clock)
    clock.advance(60 - 1e-9)
    assert not passes(breaker)
    clock.advance(1e-9)

    assert passes(breaker)
    assert breaker.state is State.CLOSED


def test_a_probe_that_fails_opens_it_for_longer_each_time(clock) -> None:
    """Up to a bound; and after it was closed, for the usual time again."""
    breaker = opened(clock, recovery_growth=2, max_recovery_timeout=200)
    for seconds in (60, 120, 200, 200):
        clock.advance(seconds - 1e-9)
        assert not passes(breaker)
        clock.advance(1e-9)
        fail(breaker)
    clock.advance(200)
    assert passes(breaker)
    fail(breaker, 5)
    clock.advance(60)

    assert passes(breaker)


def test_it_may_take_several_successes_to_close_it(clock) -> None:
    """And one failure among them to open it."""
    breaker = opened(clock, success_threshold=3)
    clock.advance(60)
    assert [passes(breaker), breaker.state, passes(breaker), breaker.state] == [True, "half_open", True, "half_open"]
    fail(breaker)
    assert breaker.state is State.OPEN
    clock.advance(60)

    assert [passes(breaker) for _ in range(3)] == [True] * 3
    assert breaker.state is State.CLOSED


@pytest.mark.parametrize(
    ("options", "calls", "is_open"),
    [
        ({"window": CountWindow(10)}, "f" * 4, False),
        ({"window": CountWindow(10)}, "f" * 5, True),
        ({"window": CountWindow(10)}, "sf" * 5, True),
        ({"window": CountWindow(10)}, "ssf" * 20, False),
        ({"window": CountWindow(10), "failure_rate": 0.3, "failure_threshold": 3}, "ssf" * 3, True),
        ({"window": CountWindow(10)}, "fffff"[:4] + "s" * 10 + "ffff", False),
        ({"window": CountWindow(10), "slow_call_seconds": 1}, "w" * 5, True),
        ({"window": CountWindow(10), "slow_call_seconds": 1}, "wws" * 10, True),
        ({"window": CountWindow(10), "slow_call_seconds": 1, "slow_call_rate": 0.9}, "wws" * 10, False),
        ({"window": TimeWindow(100)}, "sf" * 5, True),
        ({"window": TimeWindow(100)}, "ffff" + "t" * 10 + "ffff", False),
        ({"window": TimeWindow(100)}, "ffff" + "t" * 9 + "f", True),
        ({"window": TimeWindow(100)}, "ffff" + "t" * 10 + "sssssff", False),
        ({"window": TimeWindow(100), "slow_call_seconds": 1}, "w" * 5, True),
    ],
    ids=str,
)
def test_a_window_trips_on_rates(clock, options, calls, is_open) -> None:
    """f: a failure, s: a success, w: a success that took two seconds, t: ten seconds pass."""
    breaker = made(clock, **options)
    acts = {"f": lambda: fail(breaker), "s": lambda: passes(breaker), "t": lambda: clock.advance(10)}
    acts["w"] = lambda: passes_slowly(breaker, clock)
    for call in calls:
        if breaker.state is State.OPEN:
            break
        acts[call]()

    assert (breaker.state is State.OPEN) is is_open


def passes_slowly(breaker, clock) -> None:
    """Make a call that takes two seconds."""
    breaker.call(clock.advance, 2)


def test_a_slow_probe_has_failed(clock) -> None:
    """What is slow while nobody else calls will be slower when all do."""
    breaker = opened(clock, window=CountWindow(10), slow_call_seconds=1)
    clock.advance(60)
    passes_slowly(breaker, clock)

    assert breaker.state is State.OPEN
    assert (breaker.calls.slow, breaker.calls.failure) == (1, 5)


# what counts


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (DownError(), True),
        (GuardError(), True),
        (NotFoundError(), False),
        (TimeoutError(), True),
        (ConnectionRefusedError(), True),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_an_answer_that_says_no_is_no_failure(clock, error, counts) -> None:
    """A status below 500 shows that the other side works."""
    breaker = made(clock, failure_threshold=1)

    with pytest.raises(type(error)):
        breaker.call(functools.partial(throw, error))

    assert (breaker.state is State.OPEN) is counts


def throw(error: BaseException) -> None:
    """Raise what is given."""
    raise error


@pytest.mark.parametrize("error", [BulkheadFullError("b"), CircuitOpenError("other"), KeyboardInterrupt()], ids=repr)
def test_what_this_side_refused_says_nothing(clock, error) -> None:
    """Neither for nor against."""
    breaker = made(clock, failure_threshold=2)
    fail(breaker)
    with pytest.raises(type(error)):
        breaker.call(functools.partial(throw, error))
    assert breaker.state is State.CLOSED
    fail(breaker)

    assert breaker.state is State.OPEN


@pytest.mark.parametrize(
    "on", [KeyError, (KeyError, DownError), lambda exc: isinstance(exc, KeyError)], ids=["class", "classes", "function"]
)
def test_which_exceptions_are_failures_can_be_said(clock, on) -> None:
    """By class, or by a function."""
    breaker = made(clock, failure_threshold=1, on=on)
    with pytest.raises(ValueError, match="no"):
        breaker.call(functools.partial(throw, ValueError("no")))
    assert breaker.state is State.CLOSED
    with pytest.raises(KeyError):
        breaker.call(functools.partial(throw, KeyError()))

    assert breaker.state is State.OPEN


def test_a_function_that_cannot_tell_loses_no_permit(clock, caplog) -> None:
    """The failure counts, the log says so, and the caller sees what was raised."""
    breaker = opened(clock, on=lambda exc: exc.nonsense)
    clock.advance(60)
    fail(breaker)

    assert breaker.state is State.OPEN
    assert "could not tell" in caplog.text


# the six semantic tests


@anyio_test
@pytest.mark.parametrize("permits", [1, 3, 10])
@pytest.mark.parametrize("succeeds", [True, False])
async def test_of_a_thousand_probes_at_once_exactly_so_many_are_let_through(clock, permits, succeeds) -> None:
    """However they end."""
    breaker = opened(clock, half_open_max=permits)
    clock.advance(60)
    admitted, rejected = [], []
    go = Event()

    async def probe() -> None:
        admitted.append(1)
        await go.wait()
        if not succeeds:
            raise DownError

    async def caller() -> None:
        try:
            await breaker.call(probe)
        except CircuitOpenError:
            rejected.append(1)
            if len(rejected) == 1_000 - permits:
                go.set()
        except DownError:
            pass

    async with create_task_group() as tasks:
        for _ in range(1_000):
            tasks.start_soon(caller)

    assert (len(admitted), len(rejected)) == (permits, 1_000 - permits)


async def cancelled_call(breaker) -> None:
    """Make a call that is cancelled while it waits."""
    with CancelScope() as scope:

        async def waits() -> None:
            scope.cancel()
            await lowlevel.checkpoint()

        await breaker.call(waits)
    assert scope.cancelled_caught


@anyio_test
async def test_a_cancellation_is_neither_success_nor_failure(clock) -> None:
    """Clients that leave neither heal a circuit nor trip it."""
    breaker = made(clock)
    fail(breaker, 4)
    for _ in range(10):
        await cancelled_call(breaker)
    assert breaker.state is State.CLOSED
    fail(breaker)

    assert breaker.state is State.OPEN
    assert breaker.calls.neutral == 10


@anyio_test
async def test_a_cancelled_probe_gives_its_place_to_the_next(clock) -> None:
    """To one, and not to all."""
    breaker = opened(clock)
    clock.advance(60)
    await cancelled_call(breaker)
    assert breaker.state is State.HALF_OPEN

    with breaker.attempt():
        assert [passes(breaker) for _ in range(100)] == [False] * 100
    assert breaker.state is State.CLOSED


def test_a_straggler_that_succeeds_does_not_close_it(clock) -> None:
    """It began before the circuit opened: it knows nothing of the outage."""
    breaker = made(clock)
    straggler = breaker.attempt()
    straggler.__enter__()
    fail(breaker, 5)
    straggler.__exit__(None, None, None)

    assert breaker.state is State.OPEN


def test_old_failures_do_not_open_it_again(clock) -> None:
    """Twenty calls that began before the outage fail after the recovery."""
    breaker = made(clock)
    old = [breaker.attempt() for _ in range(20)]
    for attempt in old:
        attempt.__enter__()
    fail(breaker, 5)
    clock.advance(60)
    assert passes(breaker)
    for attempt in old:
        attempt.__exit__(DownError, DownError(), None)

    assert breaker.state is State.CLOSED


@anyio_test
async def test_an_async_function_opens_it(clock) -> None:
    """It is the result that counts, not the coroutine."""
    breaker = made(clock, failure_threshold=2)

    @breaker
    async def fetch() -> None:
        raise DownError

    for _ in range(2):
        with pytest.raises(DownError):
            await fetch()
    with pytest.raises(CircuitOpenError):
        await fetch()


def test_a_probe_that_never_reports_makes_room_after_its_lease(clock) -> None:
    """Its caller may have died in a way that runs no code."""
    breaker = opened(clock, probe_lease=30)
    clock.advance(60)
    breaker.attempt().__enter__()
    clock.advance(30 - 1e-9)
    assert not passes(breaker)
    clock.advance(1e-9)

    assert passes(breaker)


def test_threads_may_share_it() -> None:
    """A thousand failures from eight threads are a thousand failures."""
    breaker = circuit_breaker(failure_threshold=1_000)

    def fails() -> None:
        for _ in range(125):
            with pytest.raises(DownError):
                breaker.call(failing)

    threads = [threading.Thread(target=fails) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert breaker.state is State.OPEN


# what a person may say


@pytest.mark.parametrize(
    ("command", "state", "lets_through"),
    [("force_open", "forced_open", False), ("disable", "disabled", True), ("metrics_only", "metrics_only", True)],
)
def test_a_person_has_the_last_word(clock, command, state, lets_through) -> None:
    """Until `reset`, whatever the calls do and however long it lasts."""
    breaker = made(clock)
    getattr(breaker, command)()
    for _ in range(10):
        if lets_through:
            fail(breaker, 5)
        assert breaker.state == state
        assert passes(breaker) is lets_through
        clock.advance(600)
    assert breaker.calls.failure == (50 if lets_through else 0)
    breaker.reset()

    assert (breaker.state, breaker.generation) == (State.CLOSED, 2)
    fail(breaker, 4)
    assert passes(breaker)


def test_a_forced_circuit_guesses_when_to_come_back(clock) -> None:
    """Nobody knows; the recovery timeout is as good as any."""
    breaker = made(clock)
    breaker.force_open()

    with pytest.raises(CircuitOpenError) as caught:
        breaker.call(int)

    assert caught.value.retry_after == 60


# the ways to use it


@pytest.mark.parametrize("way", ["breaker", "attempt"])
def test_it_is_a_context_manager(clock, way) -> None:
    """For plain code; it may be nested."""
    breaker = made(clock, failure_threshold=1)
    context = breaker if way == "breaker" else breaker.attempt()

    with pytest.raises(DownError), context, made(clock):
        raise DownError

    assert breaker.state is State.OPEN
    with pytest.raises(CircuitOpenError), breaker:
        pytest.fail("it was let through")


@anyio_test
@pytest.mark.parametrize("way", ["breaker", "attempt"])
async def test_it_is_an_asynchronous_context_manager(clock, way) -> None:
    """A success closes it."""
    breaker = opened(clock)
    clock.advance(60)

    async with breaker if way == "breaker" else breaker.attempt():
        await lowlevel.checkpoint()

    assert breaker.state is State.CLOSED


def test_to_leave_it_where_it_was_not_entered_is_an_error(clock) -> None:
    """The remedy is said: a permit would be lost, or another's taken."""
    with pytest.raises(RuntimeError, match=r"breaker\.attempt"):
        made(clock).__exit__(None, None, None)


def test_a_fallback_is_called_instead_where_it_is_open(clock) -> None:
    """With the same arguments; a failure itself is still seen."""

    @opened(clock, fallback=lambda number: -number)
    def double(number: int) -> int:
        return 2 * number

    assert double(4) == -4


@anyio_test
@pytest.mark.parametrize("is_async", [True, False])
async def test_a_fallback_of_an_async_function_may_be_plain(clock, is_async) -> None:
    """Or not."""

    async def waits(number: int) -> int:
        return -number

    breaker = made(clock, fallback=waits if is_async else lambda number: -number)
    breaker.force_open()

    @breaker
    async def double(number: int) -> int:
        return 2 * number

    assert await double(4) == -4


def test_a_function_keeps_its_name_and_gives_it_to_the_circuit(clock) -> None:
    """So that an error says whose circuit is open."""
    breaker = made(clock)

    @breaker
    def charge() -> None:
        """Charge somebody."""

    assert charge.__doc__ == "Charge somebody."
    assert charge() is None
    assert breaker.name.endswith("charge")
    assert repr(breaker) == f"CircuitBreaker({breaker.name!r}, closed)"


def test_without_parentheses_it_is_a_circuit_of_its_own() -> None:
    """With the defaults."""

    @circuit_breaker
    def charge() -> None:
        raise DownError

    for _ in range(5):
        with pytest.raises(DownError):
            charge()
    with pytest.raises(CircuitOpenError, match="charge"):
        charge()


class Shop:
    """Methods of all kinds, each with a policy above and below what makes it one."""

    breaker = CircuitBreaker()

    @breaker
    @staticmethod
    async def above_static(number: int) -> int:
        """Double it."""
        return 2 * number

    @staticmethod
    @breaker
    async def below_static(number: int) -> int:
        """Double it."""
        return 2 * number

    @breaker
    @classmethod
    def above_class(cls, number: int) -> tuple[str, int]:
        """Say whose it is."""
        return cls.__name__, number

    @classmethod
    @breaker
    def below_class(cls, number: int) -> tuple[str, int]:
        """Say whose it is."""
        return cls.__name__, number

    @circuit_breaker
    @classmethod
    def bare(cls) -> str:
        """Say whose it is."""
        return cls.__name__


@anyio_test
@pytest.mark.parametrize("shop", [Shop, Shop()], ids=["class", "object"])
async def test_methods_of_classes_may_be_decorated_from_above_and_below(shop) -> None:
    """What was a static method stays one, and is awaited where it is `async def`."""
    before = Shop.breaker.calls.success

    assert (await shop.above_static(2), await shop.below_static(2)) == (4, 4)
    assert (shop.above_class(3), shop.below_class(3), shop.bare()) == (("Shop", 3), ("Shop", 3), "Shop")
    assert Shop.breaker.calls.success == before + 4


@pytest.mark.parametrize("value", [5, "charge", property(len), None], ids=["number", "text", "property", "None"])
def test_what_cannot_be_called_is_refused(value) -> None:
    """When it is decorated; and by what a call is made with."""
    with pytest.raises(ConfigError, match="AG613"):
        CircuitBreaker()(value)
    with pytest.raises(ConfigError, match="AG613"):
        CircuitBreaker().call(value)


def test_a_coroutine_from_a_plain_function_is_refused(clock) -> None:
    """Nobody knows yet whether it succeeds."""

    async def fetch() -> None:
        """Do nothing."""

    with pytest.raises(TypeError, match="coroutine"):
        made(clock).call(partial_of(fetch))


def test_what_has_to_be_awaited_is_refused_from_a_plain_function(clock) -> None:
    """Nobody knows yet whether it succeeds."""

    class Promise:
        """Can be awaited, and is no coroutine."""

        def __await__(self) -> Any:
            yield

    breaker = made(clock)
    with pytest.raises(TypeError, match="returns a Promise"):
        breaker.call(Promise)


# generators, and helpers of the wrong kind


def generator():
    """Yield once."""
    yield 1


async def agenerator():
    """Yield once."""
    yield 1


def partial_of(function):
    """Hide that a function is async."""
    return lambda: function()  # noqa: PLW0108


async def helper(*_: object) -> None:
    """Wait for nothing."""


class Callable:
    """An object that is called like a generator function."""

    def __call__(self):
        yield 1


@pytest.mark.parametrize(
    "function",
    [generator, agenerator, functools.partial(generator), Callable()],
    ids=["def", "async def", "partial", "object"],
)
def test_a_generator_function_is_refused(clock, function) -> None:
    """It returns before anything can fail."""
    with pytest.raises(ConfigError, match="AG600"):
        made(clock)(function)


@pytest.mark.parametrize(
    "options", [{"fallback": helper}, {"recovery": Recovery("cache", clear=helper)}], ids=["fallback", "recovery"]
)
def test_a_plain_function_has_plain_helpers(clock, options) -> None:
    """It could not await them; the same for a plain `with`."""
    breaker = made(clock, **options)

    with pytest.raises(ConfigError, match="AG601"):
        breaker(failing)
    with pytest.raises(ConfigError, match="AG601"):
        breaker.__enter__()


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ({"failure_threshold": 0, "recovery_timeout": -1, "half_open_max": 0}, {"AG101", "AG102"}),
        ({"failure_treshold": 5}, {"AG110"}),
        ({"window": 100}, {"AG603"}),
        ({"slow_call_seconds": 1}, {"AG604"}),
        ({"window": CountWindow(4)}, {"AG605"}),
        ({"max_recovery_timeout": 10}, {"AG102"}),
        ({"on": BaseException}, {"AG608"}),
        ({"on": ()}, {"AG608"}),
        ({"on": 5}, {"AG608"}),
        ({"fallback": 5}, {"AG109"}),
        ({"name": "x" * 200}, {"AG104"}),
        ({"name": 5}, {"AG104"}),
        ({"name": ["p"]}, {"AG104"}),
        ({"recovery": 3}, {"AG614"}),
        ({"listeners": print}, {"AG223"}),
        ({"listeners": [helper, 5]}, {"AG109", "AG222"}),
        (
            {"failure_threshold": 0, "treshold": 5, "on": 5, "name": "\n", "recovery": 3, "listeners": 7},
            {"AG101", "AG104", "AG110", "AG223", "AG608", "AG614"},
        ),
    ],
    ids=lambda given: re.sub(
        r" at 0x\w+", "", str(sorted(given) if isinstance(given, set) else given)
    ),  # alike anywhere
)
def test_settings_that_cannot_work_are_refused(options, ids) -> None:
    """When it is made, all at once, and under the name that users write."""
    with pytest.raises(ConfigError) as caught:
        circuit_breaker(**options)

    assert {problem.field.partition(".")[0] for problem in caught.value.problems} == {"circuit_breaker"}
    assert {problem.id for problem in caught.value.problems} == ids


@pytest.mark.parametrize("window", [lambda: CountWindow(0), lambda: TimeWindow(0)], ids=["count", "time"])
def test_windows_have_bounds(window) -> None:
    """Both of them."""
    with pytest.raises(ConfigError):
        window()


# what is told


def test_each_change_is_told_and_logged(clock, caplog) -> None:
    """After it has happened, with nothing of the calls."""
    caplog.set_level("INFO", "asgi_guard")
    events = capture_events()
    breaker = opened(clock, name="test: told", listeners=[events])
    clock.advance(60)
    breaker.call(int)

    changes = [(event.before, event.after) for event in events.of(CircuitChanged)]
    assert changes == [("closed", "open"), ("open", "half_open"), ("half_open", "closed")]
    assert {(event.name, event.layer, event.path) for event in events.of(CircuitChanged)} == {
        ("test: told", "resilience", "")
    }
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "The circuit 'test: told' was closed and is open"),
        ("WARNING", "The circuit 'test: told' was open and is half_open"),
        ("WARNING", "The circuit 'test: told' was half_open and is closed"),
    ]


def test_calls_are_counted_by_their_outcome(clock) -> None:
    """For telemetry."""
    breaker = opened(clock)
    assert not passes(breaker)
    clock.advance(60)
    passes(breaker)
    passes(breaker)

    calls = breaker.calls
    counts = SimpleNamespace(success=2, failure=5, rejected=1, slow=0, neutral=0)
    assert {name: getattr(calls, name) for name in vars(counts)} == vars(counts)
    assert repr(calls) == "Calls(failure=5, neutral=0, rejected=1, slow=0, success=2)"


@anyio_test
async def test_the_cancellation_goes_through(clock) -> None:
    """It is the event loop's, and nobody else may have it."""
    breaker = made(clock)
    with CancelScope() as scope:
        scope.cancel()
        with pytest.raises(get_cancelled_exc_class()):
            await breaker.call(lowlevel.checkpoint)
        await lowlevel.checkpoint()
    assert scope.cancelled_caught
