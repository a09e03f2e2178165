"""Health: what the application depends on, asked now and then, and whether it takes requests.

Each check runs in a flight of its own: one at a time on an event loop, in a task that belongs to no request, so that a
thousand probes cost one flight and a probe that gives up spoils it for nobody. What it found holds for a while.
Rule 1: a check cannot do harm: it ends by its timeout, may raise what it likes, and has one thread at most.
Rule 2: a failed required check is a failure; whatever else is wrong is a warning.

| id    | rule that was broken                                                     |
|-------|--------------------------------------------------------------------------|
| AG830 | the name of a check is 1 to 64 of `A-Z a-z 0-9 . _ -`                    |
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from contextvars import Context
from dataclasses import KW_ONLY, dataclass
from inspect import isawaitable, iscoroutinefunction
from itertools import islice
from typing import Any, Final, Literal, cast
from weakref import WeakKeyDictionary

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.engine.life import new_event, spawn
from asgi_guard.monitor.health_report import Report, Result, told
from asgi_guard.settings import Problems

logger: logging.Logger = logging.getLogger("asgi_guard")

MAX_CHECKS: Final = 100
MAX_WARNINGS: Final = 100
_SLACK_SECONDS: Final = 0.25
"""What a check may take beyond its timeout: to be ended takes a moment, too."""


State = Literal["starting", "ready", "draining"]
Warnings = Callable[[], Sequence[str]]
"""Says what is wrong and does not keep the application from serving, such as alerts: a sentence each, at once."""

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """Something that the application depends on: `HealthCheck("database", ping)`.

    Attributes:
        name: how it is called: 1 to 64 of `A-Z a-z 0-9 . _ -`.
        check: raises or returns False where it fails; anything else passes. A plain function runs in a thread.
        required: whether the application is of no use without it; the failure of any other is only a warning.
        timeout_seconds: how long it may take, 0.001 to 60.
        cache_seconds: how long what it found holds, 0.1 to 3,600: no stranger can have it run more often.
        tags: by which it can be asked for: `/readyz?tag=slow`.

    Raises:
        ConfigError: a field is wrong.
    """

    name: str
    check: Callable[[], object]
    _: KW_ONLY
    required: bool = True
    timeout_seconds: float = 2.0
    cache_seconds: float = 1.0
    tags: Sequence[str] = ()

    def __post_init__(self) -> None:
        problems = Problems("HealthCheck")
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            rule, remedy = "must be 1 to 64 of A-Z a-z 0-9 . _ -", 'Write "database", say.'
            problems.add("AG830", "name", self.name, rule, remedy)
        problems.callable("check", self.check)
        problems.boolean("required", self.required)
        problems.number("timeout_seconds", self.timeout_seconds, minimum=0.001, maximum=60)
        problems.number("cache_seconds", self.cache_seconds, minimum=0.1, maximum=3_600)
        problems.sequence_of_text("tags", self.tags)
        problems.raise_if_any()


class Health:
    """The checks of an application, and what state it is in.

    Args:
        checks: at most 100, each with a name of its own.
        warnings: asked for each report; what they say is never more than a warning.
        clock: tells how old a result is.
        new_context: makes the context variables that a check runs with; by default none, so that no check is taken for
            a part of the request that happened to ask first.

    Attributes:
        state: `ready` unless somebody says otherwise.
    """

    def __init__(
        self,
        checks: Iterable[HealthCheck] = (),
        *,
        warnings: Iterable[Warnings] = (),
        clock: Clock = SYSTEM_CLOCK,
        new_context: Callable[[], Context] = Context,
    ) -> None:
        self.state: State = "ready"
        self._checks = tuple(islice(checks, MAX_CHECKS))
        self._warnings = tuple(warnings)
        self._clock = clock
        self._new_context = new_context
        # A task and its event belong to one loop; a server may run several, each in a thread of its own.
        self._of_loop: WeakKeyDictionary[object, tuple[_Watched, ...]] = WeakKeyDictionary()

    async def report(
        self,
        *,
        exclude: Collection[str] = (),
        tags: Collection[str] = (),
        is_readiness: bool = False,
    ) -> Report:
        """Find out how it stands.

        Args:
            exclude: the names of checks to leave out; several may stand in one text, with commas between them.
            tags: where there are any, only the checks that have one of them.
            is_readiness: whether an application that is starting or draining fails, which else is a warning.
        """
        from anyio import current_time  # now, not with the first import of the package

        exclude = {name.strip() for names in exclude for name in names.split(",")}
        chosen = [
            watched
            for watched in self._watched()
            if watched.check.name not in exclude and (not tags or not set(tags).isdisjoint(watched.check.tags))
        ]
        flights = [(watched, watched.take_off()) for watched in chosen]  # all of them, before any is waited for
        started = current_time()
        results = [await watched.landing(landed, started) for watched, landed in flights]
        unknown = {*tags}.difference(*[check.tags for check in self._checks])
        if unknown:  # a mistyped one would ask for nothing, and pass
            told_of = f"no check has the tag {min(unknown)[:64]!r}"
            results.append(Result("tag", True, told_of, 0, self._clock.time()))
        if self.state != "ready":
            results.append(Result("lifecycle", is_readiness, f"the application is {self.state}", 0, self._clock.time()))
        return Report(tuple(results), tuple(islice(self._warned(), MAX_WARNINGS)))

    def _watched(self) -> tuple[_Watched, ...]:
        loop = _running_loop()
        watched = self._of_loop.get(loop)
        if watched is None:
            watched = tuple(_Watched(check, self._clock, self._new_context) for check in self._checks)
            self._of_loop[loop] = watched
        return watched

    def _warned(self) -> Iterator[str]:
        for warnings in self._warnings:
            try:
                yield from map(told, warnings())
            except Exception:
                logger.exception("%r cannot say what there is to warn of", warnings)
                yield "what there is to warn of is not known: the log says why"


class _Watched:
    """A check on one event loop: what is known of it, and the flight on which more is to be known."""

    __slots__ = ("_asks_at_once", "_clock", "_known_ns", "_landed", "_lingers", "_new_context", "check", "result")

    def __init__(self, check: HealthCheck, clock: Clock, new_context: Callable[[], Context]) -> None:
        self.check: HealthCheck = check
        self.result: Result | None = None
        self._known_ns = 0
        self._landed: Any = None
        self._lingers = False
        self._clock = clock
        self._new_context = new_context
        asked: Any = check.check
        self._asks_at_once = iscoroutinefunction(asked) or iscoroutinefunction(type(asked).__call__)

    def take_off(self) -> Any:
        """Return the event that the flight ends with, which may be under way; None where the result still holds."""
        if self._landed is None:
            age_ns = self._clock.monotonic_ns() - self._known_ns
            if self.result is not None and age_ns < self.check.cache_seconds * 1e9:
                return None
            self._landed = new_event()
            spawn(self._fly, self._landed, self._new_context())
        return self._landed

    async def landing(self, landed: Any, started: float) -> Result:
        """Wait for a flight, and return what is known then; one that cannot be ended has not answered in time."""
        from anyio import CancelScope

        late = self.check.timeout_seconds + _SLACK_SECONDS
        has_landed = landed is None
        if not has_landed:
            with CancelScope(deadline=started + late):
                await landed.wait()
                has_landed = True
        if has_landed and self.result is not None:
            return self.result
        return Result(self.check.name, self.check.required, self._too_late(), late, self._clock.time())

    def _too_late(self) -> str:
        return f"no answer within {self.check.timeout_seconds:g} seconds"

    async def _fly(self, landed: Any) -> None:
        started_ns = self._clock.monotonic_ns()
        failure: str | None = "it was cancelled"
        try:
            failure = await self._failure()
        finally:
            self._known_ns = self._clock.monotonic_ns()
            seconds = (self._known_ns - started_ns) / 1e9
            if failure is None and seconds > self.check.timeout_seconds + _SLACK_SECONDS:
                failure = self._too_late()  # it blocks the event loop, where nothing can end it
            before, check = self.result, self.check
            self.result = Result(check.name, check.required, failure, seconds, self._clock.time())
            self._landed = None
            landed.set()
            if failure is not None and (before is None or before.failure is None):
                logger.warning("the health check %s fails: %s", check.name, failure)
            elif failure is None and before is not None and before.failure is not None:
                logger.info("the health check %s passes again", check.name)

    async def _failure(self) -> str | None:
        """Ask, for as long as it may take; return what went wrong."""
        if _trio_token() is not None:
            from anyio import move_on_after  # now, not with the first import of the package

            with move_on_after(self.check.timeout_seconds):
                return await self._verdict()
            return self._too_late()
        # One that takes no notice is cancelled once: anyio would do it again and again, at the price of a processor.
        try:
            async with sys.modules["asyncio"].timeout(self.check.timeout_seconds):
                return await self._verdict()
        except TimeoutError:
            return self._too_late()

    async def _verdict(self) -> str | None:
        try:
            return "it returned False" if await self._ask() is False else None
        except (Exception, SystemExit, KeyboardInterrupt) as exc:  # noqa: BLE001  it is what the check has found
            return told(exc)

    async def _ask(self) -> object:
        if self._asks_at_once:
            return await cast("Awaitable[object]", self.check.check())
        if self._lingers:  # each flight would leave another thread behind, for as long as the dependency hangs
            raise RuntimeError("the check before this one has not ended yet")

        from anyio import CapacityLimiter, to_thread

        # A limiter of its own: those of the application may all be waiting for the very thing that is asked about.
        (outcome,) = await to_thread.run_sync(self._in_thread, abandon_on_cancel=True, limiter=CapacityLimiter(1))
        return await outcome if isawaitable(outcome) else outcome

    def _in_thread(self) -> tuple[object]:
        self._lingers = True
        try:
            return (self.check.check(),)  # trio takes a thread that returns a coroutine for a mistake
        finally:
            self._lingers = False


def _running_loop() -> object:
    return _trio_token() or sys.modules["asyncio"].get_running_loop()


def _trio_token() -> object | None:
    """Return what stands for the loop where that is trio's."""
    trio = sys.modules.get("trio")
    return trio.lowlevel.current_trio_token() if trio is not None and trio.lowlevel.in_trio_run() else None
