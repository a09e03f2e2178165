"""Cells: the aggregate. All that is counted stands as plain integers in one flat row, and is added up where it is read.

Must never keep more series than its bound, whatever the values of attributes are: the rest is one series a metric.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from threading import Lock
from typing import Any, Final, SupportsFloat, TypeAlias, cast
from weakref import WeakSet

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.monitor.metric import Kind, Metric, the_one
from asgi_guard.monitor.pressure import Pressure
from asgi_guard.monitor.rows import MOST
from asgi_guard.monitor.series import Series, Slots, series_of
from asgi_guard.monitor.snapshot import OVERFLOW, Exemplar, Point, Snapshot
from asgi_guard.settings import Problems

__all__ = ["OVERFLOW", "Aggregate", "Exemplar", "Observed", "Point", "Series", "Slots", "Snapshot"]

MAX_SERIES: Final = 2_000
LONGEST_VALUE: Final = 256
"""The characters kept of the value of an attribute."""

MAX_METRICS: Final = 256
"""The metrics that one aggregate counts: each may have an overflow besides the series."""

MOST_COMPLAINTS: Final = 1_000
Observed: TypeAlias = Callable[[], Iterable[tuple[tuple[str, ...], float]]]
"""What a gauge is asked for when somebody reads: the values of its attributes, and the number, for each series."""

_logger: Final = logging.getLogger("asgi_guard.monitor")
_alive: Final[WeakSet[Aggregate]] = WeakSet()


class TooManyMetricsError(ValueError):
    """An aggregate counts as many metrics as it may."""


class Aggregate:
    """All that one process has counted.

    Args:
        max_series: how many series there may be over all metrics, 1 to 100,000; overflow series come on top.
        slots: where the integers stand; by default in the memory of this process.
        clock: the time of exemplars.

    Attributes:
        is_shared: whether several workers count together.
        pressure: the keys that are refused most often.
        to_watch: what is worth an alert; None where nobody watches.
        watcher: who watches.
        watched_for: the layers that want it watched.

    Raises:
        ConfigError: `max_series` is out of bounds.
    """

    is_shared: bool = False

    def __init__(
        self, *, max_series: int = MAX_SERIES, slots: Slots | None = None, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        problems = Problems("Aggregate")
        problems.integer("max_series", max_series, minimum=1, maximum=100_000)
        problems.raise_if_any()
        self.max_series: int = max_series
        self._slots = Slots() if slots is None else slots
        self._clock = clock
        self._metrics: dict[str, Metric] = {}
        self._series: dict[tuple[str, tuple[str, ...]], Series] = {}
        self._overflows: dict[str, Series] = {}
        self._observed: dict[object, tuple[Metric, Observed]] = {}
        self._lock = Lock()
        self._complained: set[str] = set()
        self.pressure: Pressure = Pressure()
        self.to_watch: Any = None
        self.watcher: Any = None
        self.watched_for: WeakSet[Any] = WeakSet()
        _alive.add(self)

    def renew_locks(self) -> None:
        """Go on in a process that was just forked: another thread of the parent may have held the locks."""
        self._lock = Lock()
        self._slots.lock = Lock()
        self.pressure.renew_lock()

    def series(self, metric: Metric, *values: str) -> Series:
        """Return the handle of a series; once there are `max_series`, that of the metric's overflow.

        Args:
            metric: what to count.
            values: of its attributes, in their order; 256 characters of each are kept. An empty one means none.

        Raises:
            ValueError: there are more or fewer values than attributes; another metric has this name; or there are more
                than 256 metrics.
        """
        found = self._series.get((metric.name, values))
        if found is not None and found.metric == metric:
            return found
        if len(values) != len(metric.attributes):
            raise ValueError(f"{metric.name} has {len(metric.attributes)} attributes, not {len(values)}")
        kept = _kept(values)
        with self._lock:
            metric = self._know(metric)
            found = self._series.get((metric.name, kept)) or self._overflows.get(metric.name)
            if found is not None:
                return found
            if len(self._series) < self.max_series:
                made = self._series[metric.name, kept] = self._made(metric, kept, is_overflow=False)
            else:
                made = self._overflows[metric.name] = self._made(metric, ("",) * len(kept), is_overflow=True)
            return made

    def know(self, metric: Metric) -> None:
        """Learn of a metric before it is counted, so that one that contradicts it is found early.

        Raises:
            ValueError: see `series`.
        """
        with self._lock:
            self._know(metric)

    def _know(self, metric: Metric) -> Metric:
        if self._metrics.get(metric.name, metric) != metric:
            raise ValueError(f"another metric is called {metric.name}")
        if metric.name not in self._metrics and len(self._metrics) >= MAX_METRICS:
            raise TooManyMetricsError(f"more than {MAX_METRICS} metrics")
        known = self._metrics[metric.name] = the_one(metric)
        return known

    def _made(self, metric: Metric, values: tuple[str, ...], *, is_overflow: bool) -> Series:
        series = series_of(metric, values, is_overflow, self._clock)
        self._place(series)
        return series

    def _place(self, series: Series) -> None:
        with self._slots.lock:
            series.move(self._slots)
            self._slots.publish(series)

    def observe(self, metric: Metric, observed: Observed) -> Callable[[], None]:
        """Ask for a gauge whenever a snapshot is taken: quick, and in whatever thread that is.

        Args:
            metric: the gauge.
            observed: returns its numbers, of which the first `max_series` are taken. One that raises is logged once.

        Returns:
            A function that ends it.

        Raises:
            ValueError: the metric is no gauge, or its name is taken.
        """
        if metric.kind is not Kind.GAUGE:
            raise ValueError(f"{metric.name} is no gauge")
        token = object()
        with self._lock:
            self._observed[token] = self._know(metric), observed

        def end() -> None:
            self._observed.pop(token, None)

        return end

    def adopt(self, other: Aggregate) -> None:
        """Take over the handles of another aggregate of this process, which counts nothing from then on.

        What they have counted goes with them, but for histograms, which begin anew: do it before requests come.
        """
        series, observed = other.give_up()
        for handle in series:
            with self._lock:
                self._know(handle.metric)
                if handle.is_overflow:
                    self._overflows[handle.metric.name] = handle
                else:
                    self._series[handle.metric.name, handle.values] = handle
                self._carry(handle)
        for metric, function in observed:
            self.observe(metric, function)

    def _carry(self, handle: Series) -> None:
        """Let a handle count in these slots, on from what it has counted; a histogram begins anew."""
        counted = handle.read(with_exponential=False)
        self._place(handle)
        if counted.set_ns:
            handle.set(counted.number)
        elif counted.number:
            handle.add(int(counted.number))

    def give_up(self) -> tuple[list[Series], list[tuple[Metric, Observed]]]:
        """Return all handles, and what is asked for, and forget them."""
        with self._lock:
            series, observed = [*self._series.values(), *self._overflows.values()], [*self._observed.values()]
            for kept in (self._series, self._overflows, self._observed):
                kept.clear()
        return series, observed

    def snapshot(self, *, with_exponential: bool = True) -> Snapshot:
        """Return what this process has counted so far; it may be taken in any thread while others count."""
        handles = [*list(self._series.values()), *list(self._overflows.values())]
        points = [handle.read(with_exponential=with_exponential) for handle in handles]
        for metric, observed in list(self._observed.values()):
            try:
                for found in islice(observed(), self.max_series):
                    points += self._observed_point(metric, found)
            except Exception as exc:  # noqa: BLE001
                self._complain(f"{metric.name} cannot be asked for", exc)
        return Snapshot(points)

    def _observed_point(self, metric: Metric, found: object) -> list[Point]:
        """Make a point of what was observed; none where an output would fail on it."""
        try:
            return [_point_of(metric, found)]
        except Exception as exc:  # noqa: BLE001
            self._complain(f"{metric.name} was observed wrongly, and those observations are left out", exc)
            return []

    def merged(self, *, with_exponential: bool = True) -> Snapshot:
        """Return what all processes have counted that share this aggregate."""
        return self.snapshot(with_exponential=with_exponential)

    def by_worker(self) -> list[tuple[int, Snapshot]]:
        """Return what each living process has counted, with its number; this one first."""
        return [(os.getpid(), self.snapshot(with_exponential=False))]

    def leads(self) -> bool:
        """Whether this process speaks for all that share the aggregate, now and from now on; another may take over."""
        return True

    def step_down(self) -> None:
        """Leave it to another process to speak for all."""

    def publish(self, name: str, data: bytes) -> None:
        """Let the other processes read something that the one that leads has found out."""

    def published(self, name: str) -> bytes | None:
        """Return what was published under a name; None where there is nothing, or nobody else to publish it."""

    def leave(self, data: bytes) -> None:
        """Leave something for the process that leads, in the place of what was left before."""

    def left(self) -> list[bytes]:
        """Return what each other living process has left."""
        return []

    def _complain(self, what: str, exc: Exception) -> None:
        """Log what is wrong, once, and at most a thousand things: it must not fail whoever counts or reads."""
        if what not in self._complained and len(self._complained) < MOST_COMPLAINTS:
            self._complained.add(what)
            _logger.warning("%s; this is said once", what, exc_info=exc)


def _point_of(metric: Metric, found: Any) -> Point:
    """Make a point of the values of its attributes and its number.

    Raises:
        TypeError, ValueError, OverflowError, AttributeError: they are none.
    """
    values, number = found
    if not isinstance(values, tuple | list) or not isinstance(number, SupportsFloat):
        raise TypeError(f"{metric.name} takes a tuple of texts and a number")
    kept = _kept(cast("Sequence[str]", values))
    if len(kept) != len(metric.attributes):
        raise ValueError(f"{metric.name} has {len(metric.attributes)} attributes, not {len(kept)}")
    is_exact = isinstance(number, int) and -MOST <= number <= MOST
    return Point(metric, kept, number if is_exact else float(number))  # type: ignore[arg-type]


def _renew_all() -> None:
    for aggregate in tuple(_alive):
        aggregate.renew_locks()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)


def _kept(values: Iterable[str]) -> tuple[str, ...]:
    """Cut values to their bound; what is no Unicode, such as half a character of a path, no output could tell."""
    return tuple([value[:LONGEST_VALUE].encode("utf-8", "replace").decode() for value in values])
