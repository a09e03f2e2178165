"""Performance: the monitor and the tracker by the names of the earlier system, over the aggregate of today.

`performance_monitor` is ready for use, and what it measures is in the summary, in `/metrics` and in OTLP.
Must never measure a request twice: `track_request` is for what no guard stands around.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import aclosing
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from time import perf_counter
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar, cast

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.metric import Kind
from asgi_guard.monitor.snapshot import Snapshot
from asgi_guard.telemetry.semconv import KNOWN_METHODS, OTHER, error_type
from asgi_guard.watch.custom import ERROR, LONGEST_SECONDS, Custom, Measurement, number_of
from asgi_guard.watch.names import TRACKED_REQUEST
from asgi_guard.watch.stretch import between
from asgi_guard.watch.system import System

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


class PerformanceMonitor(Custom):
    """Metrics of the application's own, and how the machine is.

    Args:
        aggregate: where they are counted; by default that of the process, whichever it is.
        retention: how many of the newest values of each metric are kept, 1 to 100,000.
        clock: when they were measured.
        system: asked for CPU, memory and disk; by default this machine, or this container.

    Raises:
        ConfigError: `retention` is out of bounds.
    """

    def __init__(
        self,
        aggregate: Aggregate | None = None,
        *,
        retention: int = 1_000,
        clock: Clock = SYSTEM_CLOCK,
        system: System | None = None,
    ) -> None:
        super().__init__(aggregate, retention=retention, clock=clock)
        self._system = system

    def track_request(self, *, method: str, endpoint: str, duration: float, status_code: int) -> None:
        """Count a request that no guard has measured, such as one of another protocol.

        Args:
            method: of HTTP; an unknown one is `_OTHER`.
            endpoint: its route, such as `/orders/{id}`. Never a path as it was sent: each would be a series.
            duration: in seconds, 0 to 1,000,000,000; else it is left out.
            status_code: 100 to 599; else it is left out.
        """
        seconds, status = number_of(duration), number_of(status_code)
        if not (0 <= seconds <= LONGEST_SECONDS and 100 <= status < 600):
            return
        known = str(method).upper()
        known = known if known in KNOWN_METHODS else OTHER
        self.aggregate.series(TRACKED_REQUEST, known, str(endpoint), str(int(status))).record(int(seconds * 1e9))

    def get_system_metrics(self) -> dict[str, float | None]:
        """Return `cpu_usage`, `memory_usage` and `disk_usage` in percent, of what this process may use.

        CPU is that since the last call, and 0 in the first one; None stands for what this machine does not tell.
        """
        is_first = self._system is None
        self._system = self._system or System(clock=self._clock)
        sample = self._system.sample()
        return {
            "cpu_usage": 0.0 if is_first and sample.cpu_percent is None else sample.cpu_percent,
            "memory_usage": sample.memory_percent,
            "disk_usage": sample.disk_percent,
        }

    def get_metrics_summary(self) -> dict[str, Any]:
        """Return how things stand in this process: its own metrics by name, its requests, and the machine.

        Of each metric `count`, `latest`, `min`, `max`, `mean`, `p50`, `p95` and `p99` of the newest values; of a
        counter also their `total`. Timings are in seconds.
        """
        return {
            "metrics": {name: _told(kind, self.measurements(name)) for name, kind in sorted(self.names().items())},
            "requests": self._requests(),
            "system": self.get_system_metrics(),
        }

    def _requests(self) -> dict[str, Any]:
        found = between(Snapshot(()), self.aggregate.snapshot(), 0).requests
        p50, p95, p99 = found.quantiles(0.5, 0.95, 0.99)
        return {
            "count": found.number,
            "errors": found.errors,
            "error_rate": 100 * found.errors / found.number if found.number else 0.0,
            "mean": found.mean_seconds,
            "p50": p50,
            "p95": p95,
            "p99": p99,
        }


def _told(kind: Kind, kept: list[Measurement]) -> dict[str, Any]:
    values = sorted([measured.value for measured in kept])
    if not values:
        return {"kind": kind.value, "count": 0}
    told = {
        "kind": "timing" if kind is Kind.HISTOGRAM else kind.value,
        "count": len(values),
        "latest": kept[-1].value,
        "min": values[0],
        "max": values[-1],
        "mean": sum(values) / len(values),
        **{f"p{share}": values[max(0, -(-share * len(values) // 100) - 1)] for share in (50, 95, 99)},
    }
    return {**told, "total": sum(values)} if kind is Kind.COUNTER else told


class PerformanceTracker:
    """Measures how long something takes: with `with`, with `async with`, or around a function.

    What raises is measured as well, and has `error.type`.

    Args:
        monitor: where it is recorded.
        name: of the timing; see `Custom.increment`.
        attributes: of each measurement.
        now: a clock, in seconds.

    Raises:
        ValueError: a timing cannot be called so, or something else is already.

    Attributes:
        seconds: how long it took the last time; None before.
    """

    __slots__ = ("_attributes", "_monitor", "_name", "_now", "_started", "seconds")

    def __init__(
        self,
        monitor: Custom,
        name: str,
        attributes: Mapping[str, object] | None = None,
        *,
        now: Callable[[], float] = perf_counter,
    ) -> None:
        self.seconds: float | None = None
        self._monitor = monitor
        self._name = name
        self._attributes = dict(attributes or {})
        monitor.check_timing(name, self._attributes)  # at the end of a block it would hide what the block raises
        self._now = now
        self._started: list[float] = []

    def __enter__(self) -> Self:
        """Take the time."""
        self._started.append(self._now())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Record it."""
        self.seconds = self._now() - self._started.pop()
        attributes = self._attributes
        if exc is not None:
            attributes = {**attributes, ERROR: error_type(exc)}
        self._monitor.record_timing(self._name, self.seconds, attributes)

    async def __aenter__(self) -> Self:
        """Take the time."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Record it."""
        self.__exit__(kind, exc, traceback)

    def __call__(self, function: Callable[P, ResultT]) -> Callable[P, ResultT]:
        """Measure each call of a function, async or not; of a generator, from its first step to its end."""
        if isgeneratorfunction(function):
            return self._of_generator(function)
        if isasyncgenfunction(function):
            return self._of_async_generator(function)
        if iscoroutinefunction(function):

            @wraps(function)
            async def measured(*args: P.args, **kwargs: P.kwargs) -> Any:
                with self._another():
                    return await cast("Callable[P, Awaitable[Any]]", function)(*args, **kwargs)

            return cast("Callable[P, ResultT]", measured)

        @wraps(function)
        def measured_at_once(*args: P.args, **kwargs: P.kwargs) -> ResultT:
            with self._another():
                return function(*args, **kwargs)

        return measured_at_once

    def _of_generator(self, function: Callable[P, Any]) -> Callable[P, Any]:
        @wraps(function)
        def measured(*args: P.args, **kwargs: P.kwargs) -> Generator[Any, Any, Any]:
            with self._another():
                return (yield from cast("Generator[Any, Any, Any]", function(*args, **kwargs)))

        return measured

    def _of_async_generator(self, function: Callable[P, Any]) -> Callable[P, Any]:
        """Measure one that is iterated; what is sent or thrown into it does not reach the function."""

        @wraps(function)
        async def measured(*args: P.args, **kwargs: P.kwargs) -> AsyncGenerator[Any, None]:
            with self._another():
                async with aclosing(function(*args, **kwargs)) as items:
                    async for item in items:
                        yield item

        return measured

    def _another(self) -> PerformanceTracker:
        """Make one for one call: calls run side by side."""
        return PerformanceTracker(self._monitor, self._name, self._attributes, now=self._now)


performance_monitor: Final = PerformanceMonitor()
"""Ready for use: it counts where everything in this process does."""
