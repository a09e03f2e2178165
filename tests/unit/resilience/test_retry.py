"""Retry: what is tried again, when, how often, and what is left for the caller to see."""

from __future__ import annotations

import dataclasses
import functools
import re
import socket
from typing import Any

import pytest
from anyio import CancelScope, get_cancelled_exc_class, sleep_forever

from asgi_guard.errors import ConfigError, GuardError
from asgi_guard.resilience import (
    BulkheadFullError,
    CircuitOpenError,
    DeadlineExceededError,
    RetriesEnded,
    Retry,
    RetryBudget,
    RetryScheduled,
    deadline,
    retry_hook,
    retry_on_failure,
)
from asgi_guard.resilience.backoff import Backoff
from asgi_guard.testing import ManualClock, capture_events

anyio_test = pytest.mark.anyio


class BusyError(GuardError):
    """An error that may be over soon."""

    retryable = True


class Flaky:
    """A function that raises what it is given, one after the other, and then returns 42."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return 42

    async def wait(self) -> int:
        """Do the same in an `async def`."""
        return self()


class Waits(list):
    """The seconds that were waited, while a clock goes on."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.clock = clock

    def plain(self, seconds: float) -> None:
        """Wait in a plain function."""
        self.append(seconds)
        self.clock.advance(seconds)

    async def async_(self, seconds: float) -> None:
        """Wait in an `async def`."""
        self.plain(seconds)


@pytest.fixture
def waits() -> Waits:
    """What is waited, by a clock that stands still otherwise."""
    return Waits(ManualClock())


def made(waits: Waits, max_retries=3, **options) -> Retry:
    """Make retries that wait by that clock, each as long as it may."""
    options = {"jitter": "none", "base": 1, "cap": 60, "clock": waits.clock, "sleep": waits.plain, **options}
    return retry_on_failure(max_retries, **options)


def test_a_success_is_the_end(waits) -> None:
    """Nothing waits."""
    flaky = Flaky()

    assert made(waits).call(flaky) == 42
    assert (flaky.calls, waits) == (1, [])


def test_retries_are_the_attempts_besides_the_first(waits) -> None:
    """And in the end comes the very exception that was raised last, with a note."""
    errors = [BusyError(str(number)) for number in range(9)]
    flaky = Flaky(*errors)

    with pytest.raises(BusyError) as caught:
        made(waits).call(flaky)

    assert caught.value is errors[3]
    assert (flaky.calls, waits) == (4, [1, 2, 4])
    assert caught.value.__notes__ == ["asgi_guard: 4 attempts in 7.00 s, then no_retries_left"]
    assert caught.value.__context__ is None


@anyio_test
async def test_an_async_function_is_tried_again(waits) -> None:
    """In the same way."""
    flaky = Flaky(BusyError(), BusyError())

    assert await made(waits, sleep=waits.async_).call(flaky.wait) == 42
    assert (flaky.calls, waits) == (3, [1, 2])


@anyio_test
async def test_an_async_function_fails_as_a_plain_one_does(waits) -> None:
    """With the last exception and its note."""
    flaky = Flaky(*[BusyError() for _ in range(9)])

    with pytest.raises(BusyError) as caught:
        await made(waits, sleep=waits.async_)(flaky.wait)()

    assert caught.value.__notes__ == ["asgi_guard: 4 attempts in 7.00 s, then no_retries_left"]


@pytest.mark.parametrize(
    ("error", "is_retried"),
    [
        (BusyError(), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (DeadlineExceededError(), True),
        (BulkheadFullError(), True),
        (GuardError(), False),
        (ValueError(), False),
        (CircuitOpenError(), False),
        (KeyboardInterrupt(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_worth_a_retry_by_default(waits, error, is_retried) -> None:
    """What the network does, and what says so itself; never what stops a program, never an open circuit."""
    flaky = Flaky(error)

    if is_retried:
        assert made(waits).call(flaky) == 42
    else:
        with pytest.raises(type(error)):
            made(waits).call(flaky)
        assert flaky.calls == 1


def test_an_error_that_is_not_for_retries_bears_no_note(waits) -> None:
    """Nothing was done to it."""
    with pytest.raises(ValueError, match="no") as caught:
        made(waits).call(Flaky(ValueError("no")))

    assert not hasattr(caught.value, "__notes__")


def test_an_open_circuit_is_never_tried_again(waits) -> None:
    """Not even where somebody asks for it."""
    flaky = Flaky(CircuitOpenError())

    with pytest.raises(CircuitOpenError):
        made(waits, on=Exception).call(flaky)
    assert flaky.calls == 1


@pytest.mark.parametrize(
    ("on", "waited"),
    [
        (KeyError, [1]),
        ((KeyError, ValueError), [1]),
        (lambda exc: True, [1]),
        (lambda exc: 7, [7]),
        (lambda exc: 0.0, []),
    ],
    ids=["class", "classes", "yes", "seconds", "at once"],
)
def test_what_is_tried_again_can_be_said(waits, on, waited) -> None:
    """By class, or by a function, which may also say when."""
    assert made(waits, on=on).call(Flaky(KeyError())) == 42
    assert waits == waited


@pytest.mark.parametrize("on", [ValueError, lambda exc: False, lambda exc: None], ids=["class", "no", "nothing"])
def test_what_is_not_tried_again_can_be_said(waits, on) -> None:
    """In the same ways."""
    with pytest.raises(KeyError):
        made(waits, on=on).call(Flaky(KeyError()))


@pytest.mark.parametrize(("own", "attempts"), [(0, 1), (1, 2), (2, 3), (9, 4), (None, 4)])
def test_an_exception_may_lower_the_number(waits, own, attempts) -> None:
    """It knows better than the policy how little use there is; to raise it is not its business."""
    flaky = Flaky(*[BusyError(max_retries=own) for _ in range(9)])

    with pytest.raises(BusyError):
        made(waits).call(flaky)
    assert flaky.calls == attempts


@pytest.mark.parametrize(
    ("after", "waited"), [(12.5, [12.5]), (0, []), (60, [60]), (-1, [1]), (float("nan"), [1]), (True, [1])], ids=str
)
def test_the_other_side_says_when_to_come_back(waits, after, waited) -> None:
    """Its `retry_after` goes before the backoff; what is no time is as if it were not there."""
    assert made(waits).call(Flaky(BusyError(retry_after=after))) == 42
    assert waits == waited


@pytest.mark.parametrize("after", [60.1, 1e300, float("inf")])
def test_nobody_is_made_to_wait_without_end(waits, after) -> None:
    """A server that asks for too much gets no other call, and the caller its error."""
    with pytest.raises(BusyError) as caught:
        made(waits, max_retry_after=60).call(Flaky(BusyError(retry_after=after)))

    assert caught.value.__notes__ == ["asgi_guard: 1 attempt, then too_long_a_wait"]


# what may have been done already


class WrappedError(Exception):
    """An exception of an application that knows that it was not sent."""

    not_sent = True


NewConnectionError = type("NewConnectionError", (Exception,), {"__module__": "urllib3.exceptions"})
ConnectError = type("ConnectError", (Exception,), {"__module__": "httpx"})
LikeHttpx = type("Mine", (ConnectError,), {})
OtherConnectError = type("ConnectError", (Exception,), {"__module__": "mine"})


@pytest.mark.parametrize(
    ("error", "is_retried"),
    [
        (ConnectionRefusedError(), True),
        (socket.gaierror(), True),
        (BulkheadFullError(), True),
        (DeadlineExceededError(not_sent=True), True),
        (WrappedError(), True),
        (NewConnectionError(), True),
        (ConnectError(), True),
        (LikeHttpx(), True),
        (OtherConnectError(), False),
        (ConnectionResetError(), False),
        (BrokenPipeError(), False),
        (TimeoutError(), False),
        (DeadlineExceededError(), False),
        (BusyError(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_is_not_idempotent_is_tried_again_only_if_it_was_not_sent(waits, error, is_retried) -> None:
    """Whoever pays twice complains."""
    flaky = Flaky(error)

    if is_retried:
        assert made(waits, idempotent=False, on=Exception).call(flaky) == 42
    else:
        with pytest.raises(type(error)) as caught:
            made(waits, idempotent=False, on=Exception).call(flaky)
        assert caught.value.__notes__ == ["asgi_guard: 1 attempt, then may_have_been_sent"]


# deadlines


def test_a_retry_that_would_come_too_late_is_not_waited_for(waits) -> None:
    """The caller learns it now."""
    flaky = Flaky(*[BusyError() for _ in range(9)])

    with pytest.raises(BusyError) as caught:
        made(waits, deadline=6).call(flaky)

    assert (flaky.calls, waits) == (3, [1, 2])
    assert caught.value.__notes__ == ["asgi_guard: 3 attempts in 3.00 s, then deadline"]


def test_a_deadline_further_out_is_kept_to(waits) -> None:
    """Whoever set it."""
    flaky = Flaky(*[BusyError() for _ in range(9)])

    with pytest.raises(BusyError), deadline(2.5, clock=waits.clock):
        made(waits, deadline=60).call(flaky)
    assert waits == [1]


@anyio_test
async def test_an_attempt_is_cancelled_at_the_deadline() -> None:
    """Where it can be: in an `async def`."""
    with pytest.raises(DeadlineExceededError):
        await retry_on_failure(deadline=0.01).call(sleep_forever)


@anyio_test
@pytest.mark.parametrize("on", [Exception, lambda exc: True], ids=["class", "function"])
async def test_a_cancellation_is_never_tried_again(on) -> None:
    """Not by any setting."""
    calls = []

    async def fetch() -> None:
        calls.append(1)
        await sleep_forever()

    with CancelScope() as scope:
        scope.cancel()
        with pytest.raises(get_cancelled_exc_class()):
            await retry_on_failure(on=on, base=0)(fetch)()
        await sleep_forever()
    assert (scope.cancelled_caught, calls) == (True, [1])


# the budget


def test_in_an_outage_retries_are_a_tenth_of_the_calls(waits) -> None:
    """After the reserve."""
    flaky = Flaky(*[BusyError() for _ in range(10_000)])
    retry = made(waits)
    for _ in range(1_000):
        with pytest.raises(BusyError):
            retry.call(flaky)

    assert flaky.calls == 1_000 + 10 + 100


def test_why_there_was_no_retry_stands_in_the_note(waits) -> None:
    """Else somebody looks for it."""
    with pytest.raises(BusyError) as caught:
        made(waits, budget=RetryBudget(0, reserve=0)).call(Flaky(BusyError()))

    assert caught.value.__notes__ == ["asgi_guard: 1 attempt, then no_budget"]


def test_without_a_budget_each_call_has_all_its_retries(waits) -> None:
    """As other packages do."""
    flaky = Flaky(*[BusyError() for _ in range(10_000)])
    for _ in range(100):
        with pytest.raises(BusyError):
            made(waits, budget=None).call(flaky)

    assert flaky.calls == 400


def test_a_budget_is_saved_up_to_its_bound() -> None:
    """A quiet year does not buy a storm."""
    budget = RetryBudget(0.1, reserve=1, most=2)
    assert (budget.withdraw(), budget.withdraw()) == (True, False)
    for _ in range(10):
        budget.deposit()
    assert (budget.tokens, budget.withdraw(), budget.withdraw()) == (1, True, False)
    for _ in range(1_000):
        budget.deposit()

    assert repr(budget) == "RetryBudget(2 of 2 tokens)"


# blocks


@pytest.mark.parametrize(("errors", "attempts"), [(0, 1), (2, 3)])
def test_a_block_is_tried_again(waits, errors, attempts) -> None:
    """With `for` and `with`; the attempts are numbered."""
    flaky = Flaky(*[BusyError() for _ in range(errors)])
    retry = made(waits)

    for attempt in retry:
        with attempt:
            flaky()

    assert (attempt.number, flaky.calls, retry.recovered) == (attempts, attempts, int(errors > 0))


@anyio_test
async def test_an_asynchronous_block_is_tried_again(waits) -> None:
    """With `async for` and `with`."""
    flaky = Flaky(BusyError(), BusyError())

    async for attempt in made(waits, sleep=waits.async_):
        with attempt:
            await flaky.wait()

    assert (flaky.calls, waits) == (3, [1, 2])


def test_a_block_fails_with_its_last_exception(waits) -> None:
    """And a note; its deadline ends it as well."""
    errors = [BusyError() for _ in range(9)]
    flaky = Flaky(*errors)

    with pytest.raises(BusyError) as caught:  # noqa: PT012
        for attempt in made(waits, deadline=3.5):
            with attempt:
                flaky()

    assert caught.value is errors[2]
    assert caught.value.__notes__ == ["asgi_guard: 3 attempts in 3.00 s, then deadline"]


def test_a_block_keeps_to_the_nearer_deadline(waits) -> None:
    """Its own, or one further out."""
    flaky = Flaky(*[BusyError() for _ in range(9)])

    with pytest.raises(BusyError), deadline(1.5, clock=waits.clock):  # noqa: PT012
        for attempt in made(waits, deadline=60):
            with attempt:
                flaky()
    assert flaky.calls == 2


def test_the_attempts_are_their_own_iterator(waits) -> None:
    """So that they can be handed on."""
    attempts = iter(made(waits))

    assert iter(attempts) is attempts
    assert aiter(attempts) is attempts


def test_one_object_serves_many_blocks_at_once(waits) -> None:
    """It holds nothing of any of them."""
    retry = made(waits)
    inner, outer = Flaky(BusyError()), Flaky(BusyError())
    for first in retry:
        with first:
            for second in retry:
                with second:
                    inner()
            outer()

    assert (inner.calls, outer.calls) == (3, 2)


# where it must not wait


@anyio_test
async def test_a_plain_function_does_not_sleep_on_an_event_loop() -> None:
    """All other requests would wait with it; a retry at once is no harm."""
    flaky = Flaky(BusyError())
    with pytest.raises(BusyError) as caught:
        retry_on_failure()(flaky)()
    assert caught.value.__notes__ == ["asgi_guard: 1 attempt, then would_block_the_loop"]

    assert retry_on_failure(base=0).call(Flaky(BusyError())) == 42


@anyio_test
async def test_by_default_it_sleeps_as_the_event_loop_does() -> None:
    """On any of them."""
    assert await retry_on_failure(base=0.001).call(Flaky(BusyError()).wait) == 42


def test_by_default_a_plain_function_sleeps_in_its_thread() -> None:
    """Where there is no loop."""
    assert retry_on_failure(base=0.001, deadline=5).call(Flaky(BusyError())) == 42


def test_a_coroutine_from_a_plain_function_is_refused(waits) -> None:
    """It would fail where nobody tries again."""
    with pytest.raises(TypeError, match="coroutine"):
        made(waits).call(functools.partial(lambda flaky: flaky.wait(), Flaky()))


class Promise:
    """Can be awaited, and is no coroutine."""

    def __await__(self) -> Any:
        yield


@pytest.mark.parametrize("failures", [0, 1])
def test_what_has_to_be_awaited_is_refused_from_a_plain_function(waits, failures) -> None:
    """At the first attempt, and at a later one."""
    flaky = Flaky(*[BusyError()] * failures)

    def looks_plain() -> Promise:
        flaky()
        return Promise()

    with pytest.raises(TypeError, match="returns a Promise but is no `async def`"):
        made(waits).call(looks_plain)


def test_an_exception_that_is_raised_again_and_again_collects_few_notes(waits) -> None:
    """One object for all time is a common way to write it."""
    busy = BusyError()
    for _ in range(20):
        with pytest.raises(BusyError):
            made(waits).call(Flaky(*[busy] * 9))

    assert len(busy.__notes__) == 8


def test_an_exception_that_takes_no_note_is_raised_all_the_same(waits) -> None:
    """It is not hidden behind an error of the note."""

    class FrozenError(BusyError):
        def __setattr__(self, name: str, value: object) -> None:
            raise dataclasses.FrozenInstanceError(name)

    with pytest.raises(FrozenError):
        made(waits).call(Flaky(*[FrozenError()] * 9))


# what is told


def test_each_retry_is_told_and_the_end(waits) -> None:
    """With classes and times, and nothing of the call."""
    events = capture_events()
    retry = made(waits, 1, listeners=[events], name="fetch")

    with pytest.raises(BusyError):
        retry.call(Flaky(BusyError("secret"), BusyError("secret")))

    assert list(events) == [
        RetryScheduled(name="fetch", retry=1, delay_seconds=1, exception="BusyError"),
        RetriesEnded(name="fetch", reason="no_retries_left", attempts=2, exception="BusyError"),
    ]
    assert (retry.retries, retry.recovered, retry.given_up) == (1, 0, 1)


def test_they_take_the_name_of_the_function(waits) -> None:
    """Unless they have one."""
    retry = made(waits)

    @retry
    def fetch() -> None:
        """Fetch something."""

    assert fetch.__doc__ == "Fetch something."
    assert retry.name.endswith("fetch")
    assert "fetch" in repr(retry)


# other packages


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (BusyError(), True),
        (BusyError(retry_after=2.5), 2.5),
        (BusyError(retry_after=0), True),
        (ConnectionError(), True),
        (ValueError(), False),
        (CircuitOpenError(), False),
        (KeyboardInterrupt(), False),
    ],
    ids=["retryable", "seconds", "at once", "network", "ValueError", "CircuitOpenError", "KeyboardInterrupt"],
)
def test_the_hook_tells_what_would_be_tried_again(error, answer) -> None:
    """And after how long, where that is known."""
    assert retry_hook(error) == answer


def test_stamina_takes_the_hook() -> None:
    """As it is."""
    stamina = pytest.importorskip("stamina")
    flaky = Flaky(BusyError(retry_after=0.001))

    assert stamina.retry(on=retry_hook, attempts=2)(flaky.__call__)() == 42


def test_tenacity_takes_the_hook() -> None:
    """As a predicate."""
    tenacity = pytest.importorskip("tenacity")
    retry = tenacity.retry(retry=tenacity.retry_if_exception(retry_hook), stop=tenacity.stop_after_attempt(2))

    assert retry(Flaky(BusyError()))() == 42


def test_without_parentheses_it_retries_as_it_does_by_default() -> None:
    """A decorator that nobody has called is given the function."""
    calls = []

    @retry_on_failure
    def fetch() -> int:
        """Fetch something."""
        calls.append(1)
        return 42

    assert (fetch(), calls, fetch.__doc__) == (42, [1], "Fetch something.")


async def asynchronous(event: object) -> None:
    """Hear nothing: nobody would await it."""


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        (
            {"max_retries": -1, "deadline": 0, "idempotent": 1, "max_retry_after": -1},
            ["AG101", "AG102", "AG103", "AG102"],
        ),
        ({"on": BaseException}, ["AG608"]),
        ({"budget": 2}, ["AG102"]),
        ({"base": 10, "cap": 5}, ["AG102"]),
        ({"base": -1, "jitter": "some"}, ["AG102", "AG105"]),
        ({"name": "\n"}, ["AG104"]),
        ({"max_retries": -1, "base": -1, "deadline": 0, "on": 5, "name": ""}, ["AG101", "AG102", "AG102", "AG608"]),
        ({"listeners": print}, ["AG223"]),
        ({"listeners": [asynchronous, 5]}, ["AG109", "AG222"]),
        ({"random": 0.5, "sleep": 1}, ["AG109", "AG109"]),
    ],
    ids=lambda given: re.sub(r" at 0x\w+", "", str(given)),  # alike in every process
)
def test_settings_that_cannot_work_are_refused(options, ids) -> None:
    """When they are given, all at once, and under the name that they have there."""
    with pytest.raises(ConfigError) as caught:
        retry_on_failure(**options)

    assert {problem.field.partition(".")[0] for problem in caught.value.problems} == {"retry_on_failure"}
    assert sorted(problem.id for problem in caught.value.problems) == sorted(ids)


@pytest.mark.parametrize(("retry", "bound"), [(0, 0.1), (1, 0.2), (5, 3.2), (6, 5.0), (10**9, 5.0)])
def test_the_bound_of_a_delay_doubles_up_to_the_cap(retry, bound) -> None:
    """Full jitter takes anything below it."""
    assert Backoff(jitter="none").delay(retry, lambda: 0.0) == pytest.approx(bound)
    assert Backoff().delay(retry, lambda: 0.5) == pytest.approx(bound / 2)


@pytest.mark.parametrize("options", [{"ratio": 2}, {"reserve": -1}, {"reserve": 5, "most": 4}], ids=str)
def test_a_budget_has_bounds(options) -> None:
    """All of it."""
    with pytest.raises(ConfigError):
        RetryBudget(**options)
