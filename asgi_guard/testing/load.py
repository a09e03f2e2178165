"""Load: how an application stands up to many requests, and whether that is good enough.

    report = await run_load(app, ["/items/1", "POST /orders"], requests=10_000, rule=LoadRule(p95_seconds=0.2))
    report.raise_unless_passed()

The application is called in this process, or asked over HTTP on this machine. Without a rate, so many clients ask as
fast as they are answered (a closed model). With one, requests begin when they are due, whether or not earlier ones are
answered, and each is timed from when it was due: an application that stops for a second is charged with all that had
to wait, and not with one slow request ("coordinated omission"). Where no client is free, a request begins late, is
timed from when it was due all the same, and is never left out.
Rule 1: it always ends: by the number of requests, by the time, and in any case by bounds that nobody can lift.
Rule 2: nobody but this machine is loaded, unless the very host is named as one that may be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Final, TypeAlias

import anyio
import anyio.lowlevel

from asgi_guard.engine.types import ASGIApp
from asgi_guard.settings import Problems
from asgi_guard.testing.load_report import MAX_RATE, LoadFailedError, LoadReport, LoadRule, Route, Second, bucket_of
from asgi_guard.testing.load_targets import Ask, LoadTarget, parsed, target_of

__all__ = ["Ask", "LoadFailedError", "LoadReport", "LoadRule", "Route", "Second", "run_load"]

MAX_REQUESTS: Final = 1_000_000
MAX_SECONDS: Final = 600.0
MAX_CONCURRENCY: Final = 1_000
MAX_ROUTES: Final = 100

Progress: TypeAlias = Callable[[int, float], object]
"""Told now and then how many requests are through, and the share of all, 0 to 1."""


async def run_load(
    target: ASGIApp | str,
    scenario: Iterable[str | Ask] = ("/",),
    *,
    requests: int | None = None,
    seconds: float | None = None,
    concurrency: int = 10,
    rate: float | None = None,
    warm_up: int = 0,
    timeout_seconds: float = 30.0,
    rule: LoadRule | None = None,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    may_load: str | None = None,
    stop: anyio.Event | None = None,
) -> LoadReport:
    """Ask for the same again and again, and tell how that went.

    Args:
        target: an ASGI application, which is called in this process; or the URL of a server on this machine.
        scenario: what is asked for, in turns, at most 100: paths such as `/items/1`, `POST /orders`, or `Ask`s.
        requests: after how many it ends, 1 to 1,000,000; 1,000 where nothing else is said.
        seconds: after how long, 0.1 to 600; whichever comes first.
        concurrency: how many at once at most, 1 to 1,000.
        rate: how many are due a second, up to 100,000; None is as many as are answered. What is due within `seconds`
            is asked within `timeout_seconds` more; what could not even begin by then is missed, and counts as an error.
        warm_up: how many are asked first and not counted, 0 to 100,000.
        timeout_seconds: after how long a request has failed, 0.01 to 600.
        rule: what is good enough; by default, no error.
        headers: of every request.
        progress: told now and then how far it is.
        may_load: the name of a host other than this machine that may be loaded, exactly as in the URL.
        stop: once it is set, the run ends, and what was done until then is reported; what is under way is dropped.

    Raises:
        ConfigError: a value is wrong, or the target is somewhere else.
        MissingExtraError: httpx is needed, and not installed.
        OSError: nobody listens at the URL.
    """
    problems = Problems("run_load")
    asks = parsed(problems, scenario, headers or {}, most=MAX_ROUTES)
    if requests is None and seconds is None:
        requests = 1_000
    if requests is not None:
        problems.integer("requests", requests, minimum=1, maximum=MAX_REQUESTS)
    if seconds is not None:
        problems.number("seconds", seconds, minimum=0.1, maximum=MAX_SECONDS)
    problems.integer("concurrency", concurrency, minimum=1, maximum=MAX_CONCURRENCY)
    problems.integer("warm_up", warm_up, minimum=0, maximum=100_000)
    problems.number("timeout_seconds", timeout_seconds, minimum=0.01, maximum=MAX_SECONDS)
    if rate is not None:
        problems.number("rate", rate, minimum=0.01, maximum=MAX_RATE)
    found = target_of(problems, target, timeout_seconds, may_load)
    problems.raise_if_any()
    async with found:
        if warm_up:
            await _Run(found, asks, requests=warm_up, concurrency=concurrency, stop=stop).finish()
        run = _Run(
            found,
            asks,
            requests=requests or MAX_REQUESTS,
            concurrency=concurrency,
            seconds=seconds or MAX_SECONDS,
            grace=timeout_seconds,
            rate=rate,
            progress=progress,
            stop=stop,
        )
        await run.finish()
    report = LoadReport(found.name, run.took, concurrency, rate, run.missed, tuple(run.routes), tuple(run.seconds))
    return replace(report, failures=tuple((rule or LoadRule()).broken_by(report)))


class _Run:
    """One run: who asks next, and what came of it."""

    def __init__(
        self,
        target: LoadTarget,
        asks: Sequence[Ask],
        *,
        requests: int,
        concurrency: int,
        seconds: float = MAX_SECONDS,
        grace: float = 0.0,
        rate: float | None = None,
        progress: Progress | None = None,
        stop: anyio.Event | None = None,
    ) -> None:
        self._stop = stop
        self._target = target
        self._asks = asks
        self._requests = requests if rate is None else min(requests, max(1, math.ceil(seconds * rate)))
        self._ends_after = seconds
        self._given_up_after = max(seconds, min(seconds + grace, MAX_SECONDS))
        self._concurrency = concurrency
        self._rate = rate
        self._progress = progress
        self._begun = 0
        self._through = 0
        self.took: float = 0.0
        self.missed: int = 0
        named = {ask.name: Route(ask.name) for ask in asks}  # what is asked for twice a turn is one route
        self.routes: list[Route] = [*named.values()]
        self._route_of: list[Route] = [named[ask.name] for ask in asks]
        self.seconds: list[Second] = []

    async def finish(self) -> None:
        """Ask until all was asked, or the time is over."""
        self._began = perf_counter()
        async with anyio.create_task_group() as outer:
            if self._stop is not None:
                outer.start_soon(self._end_when_told, self._stop, outer.cancel_scope)
            async with anyio.create_task_group() as tasks:
                for _ in range(min(self._concurrency, self._requests)):
                    if self._rate is None:
                        tasks.start_soon(self._as_fast_as_it_goes)
                    else:
                        tasks.start_soon(self._when_due, self._rate)
            outer.cancel_scope.cancel()
        self.took = perf_counter() - self._began
        if self._rate is not None:
            is_stopped = self._stop is not None and self._stop.is_set()
            due = min(self._requests, math.ceil(self.took * self._rate)) if is_stopped else self._requests
            self.missed = max(due - self._begun, 0)

    async def _end_when_told(self, stop: anyio.Event, scope: anyio.CancelScope) -> None:
        await stop.wait()
        scope.cancel()

    async def _as_fast_as_it_goes(self) -> None:
        while self._begun < self._requests and perf_counter() - self._began < self._ends_after:
            number, self._begun = self._begun, self._begun + 1
            await self._one(number, perf_counter())
            await anyio.lowlevel.checkpoint()  # an application that never waits would let nobody else begin

    async def _when_due(self, rate: float) -> None:
        while self._begun < self._requests and perf_counter() - self._began < self._given_up_after:
            number, self._begun = self._begun, self._begun + 1
            due = self._began + number / rate
            await anyio.sleep(max(due - perf_counter(), 0))  # a checkpoint, also when it is late
            await self._one(number, due)

    async def _one(self, number: int, due: float) -> None:
        place = number % len(self._asks)
        status: int | None = None
        error: str | None = None
        try:
            status = await self._target.ask(self._asks[place])
            error = str(status) if status >= 500 else None
        except Exception as exc:  # noqa: BLE001  whatever it is, it is what this is about
            error = type(exc).__name__
        now = perf_counter()
        self._through += 1
        self._route_of[place].add(now - due, status, error)
        self._count(now, now - due, is_error=error is not None)

    def _count(self, now: float, seconds: float, *, is_error: bool) -> None:
        passed = now - self._began
        while len(self.seconds) <= passed:
            self.seconds.append(Second())
        second = self.seconds[int(passed)]
        second.requests += 1
        second.errors += is_error
        second.buckets[bucket_of(seconds)] += 1
        if self._progress is not None and self._through % max(1, self._requests // 200) == 0:
            self._progress(self._through, min(max(self._through / self._requests, passed / self._ends_after), 1.0))
