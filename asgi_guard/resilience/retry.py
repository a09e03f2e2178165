"""Retry: tries again what failed for a moment, and knows when that would do harm.

    @retry_on_failure(max_retries=3)
    async def fetch(url): ...

    async for attempt in retry_on_failure(max_retries=3):       # or `for`
        with attempt:
            await fetch(url)

    await retry_on_failure(max_retries=3).call(fetch, url)

What decides is in `decision.py`, as a table of rules. Works in `async def`, on asyncio and trio, and in plain
functions, which sleep in their thread, and so are not tried again on an event loop.
Must never retry a cancellation, an open circuit, or, with `idempotent=False`, what may have been done already; must
never keep or tell the arguments of a call.

In the end the exception is the very one that was raised last, with a note on how often it was tried.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from random import random as random_number
from typing import Any, Final, Literal, ParamSpec, TypedDict, TypeVar, Unpack, overload

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.events import Listener, check_listeners, notify
from asgi_guard.monitor.names import RETRY_ATTEMPTS
from asgi_guard.monitor.tally import Tally
from asgi_guard.resilience.around import (
    Around,
    AsyncFunction,
    PlainFunction,
    is_decorated,
    is_on_a_loop,
    name_of,
    refuse_awaitable,
)
from asgi_guard.resilience.backoff import MAX_SECONDS, Backoff
from asgi_guard.resilience.budget import RetryBudget
from asgi_guard.resilience.collected import made
from asgi_guard.resilience.course import Attempts, Course
from asgi_guard.resilience.deadline import deadline as deadline_of
from asgi_guard.resilience.decision import NOT_RETRYABLE, RetryPolicy, failure, is_retryable, reason_to_end
from asgi_guard.resilience.events import RetriesEnded, RetryScheduled
from asgi_guard.resilience.matching import Which, check_which, matcher
from asgi_guard.settings import Problems

P = ParamSpec("P")
T = TypeVar("T")

MAX_RETRIES: Final = 100

_SECOND: Final = 1_000_000_000
_MOST_NOTES: Final = 8


class Retry(Around):
    """Retries: a decorator, an iterator and an object; holds nothing of a call, so that one serves all.

    Args:
        max_retries: the attempts besides the first, 0 to 100; an exception's own `max_retries` may lower it, and never
            raise it.
        base: the bound of the first delay in seconds; it doubles with each retry.
        cap: the bound that no delay exceeds, in seconds.
        jitter: `full`, any delay up to the bound; or `none`, the bound itself.
        on: which exceptions are tried again: classes, or a function that tells, or that returns the seconds to wait. By
            default what the network does, and each `GuardError` that says that it is `retryable`.
        deadline: seconds for everything together, above 0; an attempt that is under way then is cancelled in an
            `async def`. None is without one; whatever deadline stands further out is kept to.
        budget: the retries for each call in the long run; or a `RetryBudget` that several share; None is without one.
        idempotent: False tries again only what was provably not sent; see `asgi_guard.resilience.errors.was_not_sent`.
            It goes by the error that surfaces: around several calls, it may be that of the last one, after the others
            were made. So put it around one call.
        max_retry_after: an exception that wants a longer wait, in seconds, is not tried again: to come back sooner
            than asked would be rude, and to wait so long would hold up the caller.
        name: for events, at most 128 characters; that of the function where none is given.
        listeners: told of each retry, and why there was no other.
        clock: tells the time.
        random: returns a number from 0 up to 1.
        sleep: waits for so many seconds; awaited in an `async def`. By default that of anyio, or of `time`.

    Raises:
        ConfigError: a value is wrong.
    """

    __slots__ = (
        "_budget",
        "_clock",
        "_deadline",
        "_listeners",
        "_random",
        "_sleep",
        "_tally",
        "_withdraw",
        "given_up",
        "name",
        "policy",
        "recovered",
        "retries",
    )

    def __init__(
        self,
        max_retries: int = 3,
        *,
        base: float = 0.1,
        cap: float = 5.0,
        jitter: Literal["full", "none"] = "full",
        on: Which[bool | float] = is_retryable,
        deadline: float | None = None,
        budget: float | RetryBudget | None = 0.1,
        idempotent: bool = True,
        max_retry_after: float = 60.0,
        name: str = "",
        listeners: Iterable[Listener] = (),
        clock: Clock = SYSTEM_CLOCK,
        random: Callable[[], float] = random_number,
        sleep: Callable[[float], Any] | None = None,
    ) -> None:
        problems = Problems("retry_on_failure")
        problems.integer("max_retries", max_retries, minimum=0, maximum=MAX_RETRIES)
        check_which(problems, "on", on)
        if deadline is not None:
            problems.number("deadline", deadline, minimum=0.001, maximum=MAX_SECONDS)
        if budget is not None and not isinstance(budget, RetryBudget):
            problems.number("budget", budget, minimum=0, maximum=1)
        problems.boolean("idempotent", idempotent)
        problems.number("max_retry_after", max_retry_after, minimum=0, maximum=MAX_SECONDS)
        if name != "":
            problems.text("name", name, max_length=128)
        problems.callable("random", random)
        if sleep is not None:
            problems.callable("sleep", sleep)
        heard_by = check_listeners(problems, listeners)
        backoff = made(problems, lambda: Backoff(base, cap, jitter), Backoff())
        problems.raise_if_any()
        self.policy: RetryPolicy = RetryPolicy(
            max_retries=max_retries,
            backoff=backoff,
            asked=matcher(on),
            max_retry_after=max_retry_after,
            idempotent=idempotent,
        )
        self.name: str = name
        self._tally = Tally(RETRY_ATTEMPTS, name)
        self.retries: int = 0  # these three are only ever added to
        self.recovered: int = 0
        self.given_up: int = 0
        self._budget = budget if isinstance(budget, RetryBudget) else RetryBudget(budget or 0)
        self._withdraw = self._budget.withdraw if budget is not None else lambda: True
        self._clock = clock
        self._deadline = deadline
        self._listeners = heard_by
        self._random = random
        self._sleep = sleep

    def around_async(self, function: AsyncFunction) -> AsyncFunction:
        """Put the retries around an `async def`; where they have no name, they take that of the function."""
        self.name = self._tally.name = self.name or name_of(function)
        budget = self._budget
        succeeded = self._tally.series("success").add

        async def retried(*args: Any, **kwargs: Any) -> Any:
            if budget.level < budget.full:
                budget.deposit()
            try:
                result = await function(*args, **kwargs)
            except Exception as exc:  # noqa: BLE001  the rules say which
                error = exc
            else:
                succeeded()
                return result
            course = Course(self._clock.monotonic_ns())
            try:
                while True:
                    wait = self.failed(course, error)
                    if wait is None:
                        raise error
                    await self.pause(wait)
                    try:
                        result = await function(*args, **kwargs)
                    except Exception as exc:  # noqa: BLE001
                        error = exc
                    else:
                        self.succeeded(course)
                        return result
            finally:
                del error  # it holds this frame, which would hold it

        return retried if self._deadline is None else deadline_of(self._deadline, clock=self._clock).wrapped(retried)

    def around_plain(self, function: PlainFunction) -> PlainFunction:
        """Put the retries around a plain function; where they have no name, they take that of the function."""
        self.name = self._tally.name = self.name or name_of(function)
        budget, seconds = self._budget, self._deadline
        succeeded = self._tally.series("success").add

        def retried(*args: Any, **kwargs: Any) -> Any:
            if budget.level < budget.full:
                budget.deposit()
            try:
                result = function(*args, **kwargs)
            except Exception as exc:  # noqa: BLE001  the rules say which
                error = exc
            else:
                refuse_awaitable(result, function)
                succeeded()
                return result
            course = Course(self._clock.monotonic_ns())
            try:
                while True:
                    wait = self.failed(course, error, blocks=True)
                    if wait is None:
                        raise error
                    self.pause_plain(wait)
                    try:
                        result = function(*args, **kwargs)
                    except Exception as exc:  # noqa: BLE001
                        error = exc
                    else:
                        refuse_awaitable(result, function)
                        self.succeeded(course)
                        return result
            finally:
                del error

        def bounded(*args: Any, **kwargs: Any) -> Any:
            with deadline_of(seconds or 0, clock=self._clock):
                return retried(*args, **kwargs)

        return retried if seconds is None else bounded

    def __iter__(self) -> Attempts:
        return self._attempts(blocks=True)

    def __aiter__(self) -> Attempts:
        return self._attempts(blocks=False)

    def failed(self, course: Course, exc: Exception, *, blocks: bool = False) -> float | None:
        """Return the seconds to wait before the next retry; None where there is none, with a note on why.

        Args:
            course: what is known of the call.
            exc: what it raised.
            blocks: to wait would hold up this thread.
        """
        would_block = blocks and is_on_a_loop()
        left = course.left(self._clock)
        failed = failure(self.policy, exc, course.retries, random=self._random, left=left, would_block=would_block)
        reason = reason_to_end(self.policy, failed, self._withdraw)
        kind = type(exc).__name__
        if reason is None:
            course.retries += 1
            self.retries += 1
            self._tally.count("retried")
            if self._listeners:
                told = RetryScheduled(name=self.name, retry=course.retries, delay_seconds=failed.wait, exception=kind)
                notify(self._listeners, told)
            return failed.wait
        self.given_up += 1
        self._tally.count("given_up")
        if course.retries or reason != NOT_RETRYABLE:
            _note(exc, course.note(self._clock, reason))
        if self._listeners:
            ended = RetriesEnded(name=self.name, reason=reason, attempts=course.retries + 1, exception=kind)
            notify(self._listeners, ended)
        return None

    def succeeded(self, course: Course) -> None:
        """Note that an attempt went well."""
        if course.retries:
            self.recovered += 1
            self._tally.count("recovered")
        else:
            self._tally.succeed()

    async def pause(self, seconds: float) -> None:
        """Wait on the event loop."""
        from anyio import sleep

        await (self._sleep or sleep)(seconds)

    def pause_plain(self, seconds: float) -> None:
        """Wait in this thread."""
        if seconds:
            (self._sleep or time.sleep)(seconds)

    def _attempts(self, *, blocks: bool) -> Attempts:
        self._budget.deposit()
        now_ns = self._clock.monotonic_ns()
        ends_ns = None if self._deadline is None else now_ns + round(self._deadline * _SECOND)
        return Attempts(self, Course(now_ns, ends_ns), blocks=blocks)

    def __repr__(self) -> str:
        return f"retry_on_failure({self.policy.max_retries}, name={self.name!r})"


def _note(exc: Exception, text: str) -> None:
    """Leave a note, if the exception takes any, and not for ever: some are raised again and again, the same object."""
    if len(getattr(exc, "__notes__", ())) < _MOST_NOTES:
        with suppress(Exception):  # one that is frozen must not hide itself behind the error that it raises
            exc.add_note(text)


class RetryOptions(TypedDict, total=False):
    """What `retry_on_failure` takes besides the number of retries; see `Retry`."""

    base: float
    cap: float
    jitter: Literal["full", "none"]
    on: Which[bool | float]
    deadline: float | None
    budget: float | RetryBudget | None
    idempotent: bool
    max_retry_after: float
    name: str
    listeners: Iterable[Listener]
    clock: Clock
    random: Callable[[], float]
    sleep: Callable[[float], Any] | None


@overload
def retry_on_failure(max_retries: Callable[P, T], /) -> Callable[P, T]: ...


@overload
def retry_on_failure(max_retries: int = 3, **options: Unpack[RetryOptions]) -> Retry: ...


def retry_on_failure(
    max_retries: int | Callable[..., Any] = 3, **options: Unpack[RetryOptions]
) -> Retry | Callable[..., Any]:
    """Make retries: a decorator, an iterator and an object; without parentheses, a decorator with the defaults.

    Args:
        max_retries: the attempts besides the first, 0 to 100; an exception's own `max_retries` may lower it, and never
            raise it.
        options: `base`, `cap`, `jitter`, `on`, `deadline`, `budget`, `idempotent`, `max_retry_after`, `name`,
            `listeners`, `clock`, `random`, `sleep`: see `Retry`.

    Raises:
        ConfigError: lists every value that is wrong.
    """
    given: Any = max_retries
    if is_decorated(given):
        return Retry(**options)(given)
    return Retry(given, **options)
