"""Series: the handles that count, and the row of integers that they count in.

A series is a few neighbouring integers; whoever counts keeps its handle and adds to them. That takes no lock: CPython
switches threads at calls and at jumps, never between an integer read and the same integer written. The row may lie in
memory that outlives the process. Must never look anything up where something is counted.
"""

from __future__ import annotations

from bisect import bisect_left
from threading import Lock
from typing import TYPE_CHECKING, Final

from asgi_guard.clock import Clock
from asgi_guard.monitor.buckets import PAGE, Ruler, ruler
from asgi_guard.monitor.metric import Kind, Metric
from asgi_guard.monitor.rows import EXEMPLAR, MOST, bits_of, point_at, signed, width_of
from asgi_guard.monitor.snapshot import Point

if TYPE_CHECKING:
    from asgi_guard.monitor.rows import Cells


class Slots:
    """The row of integers, in the memory of this process; it grows as needed."""

    def __init__(self) -> None:
        self.cells: Cells = [0] * PAGE  # page 0 is nobody's; an array would make each number anew at each addition
        self.lock: Lock = Lock()

    def take(self, count: int) -> int:
        """Reserve neighbouring integers, all 0, and return where they begin; the lock is held."""
        at = len(self.cells)
        self.cells += [0] * count  # type: ignore[operator]
        return at

    def take_page(self) -> int:
        """Reserve a page, or return page 0, whose counts nobody reads; the lock is held."""
        return self.take(PAGE)

    def publish(self, series: Series) -> None:
        """Let others find a series, where there are others; the lock is held."""


class Series:
    """The handle of one series: what adds to it. Keep it; to find it costs more than to add to it.

    Attributes:
        metric: what is counted.
        values: of its attributes.
        is_overflow: whether it counts what found no place.
        at: where its integers begin.
    """

    __slots__ = ("_cells", "_clock", "_slots", "at", "is_overflow", "metric", "values")

    def __init__(self, metric: Metric, values: tuple[str, ...], is_overflow: bool, clock: Clock) -> None:
        self.metric: Metric = metric
        self.values: tuple[str, ...] = values
        self.is_overflow: bool = is_overflow
        self._clock = clock

    def move(self, slots: Slots) -> None:
        """Count from 0, in other slots, whose lock is held."""
        self.at: int = slots.take(width_of(self.metric))
        self._slots = slots
        self._cells = slots.cells

    def add(self, number: int = 1) -> None:
        """Add to a counter, or to a number that goes up and down."""
        self._cells[self.at] += number

    def set(self, number: float) -> None:
        """Say what a gauge stands at.

        Raises:
            TypeError: the metric is no gauge.
        """
        raise TypeError(f"{self.metric.name} is no gauge: {number} cannot be set")

    def record(self, amount: int, trace: tuple[int, int] | None = None) -> None:  # noqa: ARG002
        """Count a value of a histogram.

        Args:
            amount: nanoseconds, where the unit is a second; else as many of the unit, 0 or more.
            trace: the ids of the trace and of the span, as integers, where the span is sampled.

        Raises:
            TypeError: the metric is no histogram.
        """
        raise TypeError(f"{self.metric.name} is no histogram: add to it")

    def read(self, *, with_exponential: bool = True) -> Point:
        """Read it off."""
        return point_at(self._cells, self.at, self.metric, self.values, self.is_overflow, exponential=with_exponential)


class _Gauge(Series):
    __slots__ = ()

    def add(self, number: int = 1) -> None:
        raise TypeError(f"{self.metric.name} is a gauge: {number} cannot be added, set it")

    def set(self, number: float) -> None:
        cells = self._cells
        cells[self.at] = bits_of(number)
        cells[self.at + 1] = int(self._clock.time() * 1e9)


class _Histogram(Series):
    __slots__ = ("_edges", "_explicit", "_fine")

    def __init__(self, metric: Metric, values: tuple[str, ...], is_overflow: bool, clock: Clock) -> None:
        super().__init__(metric, values, is_overflow, clock)
        measure: Ruler = ruler(metric)
        self._edges = measure.edges
        self._explicit = measure.explicit
        self._fine = measure.fine

    def add(self, number: int = 1) -> None:
        raise TypeError(f"{self.metric.name} is a histogram: record {number} in it")

    def record(self, amount: int, trace: tuple[int, int] | None = None) -> None:
        cells = self._cells
        at = self.at
        bucket = at + 1 + self._explicit[bisect_left(self._edges, amount)]
        cells[bucket] += 1
        try:
            cells[at] += amount
        except (OverflowError, ValueError):
            cells[at] = MOST
        if trace is not None:
            self._exemplify(amount, trace)

    def _exemplify(self, amount: int, trace: tuple[int, int]) -> None:
        """Keep the newest exemplar. Whoever reads while it is written finds the moment changed, and leaves it out."""
        cells = self._cells
        at = self.at + len(self.metric.bounds) + 2
        now_ns = int(self._clock.time() * 1e9)
        trace_id, span_id = trace
        cells[at] = 0
        cells[at + 1] = signed(trace_id >> 64)
        cells[at + 2] = signed(trace_id)
        cells[at + 3] = signed(span_id)
        cells[at + 4] = min(amount, MOST)
        cells[at] = now_ns


class _Exponential(_Histogram):
    __slots__ = ("_pages",)

    def move(self, slots: Slots) -> None:
        super().move(slots)
        self._pages = self.at + len(self.metric.bounds) + 2 + EXEMPLAR

    def record(self, amount: int, trace: tuple[int, int] | None = None) -> None:
        cells = self._cells
        at = self.at
        place = bisect_left(self._edges, amount)
        bucket = at + 1 + self._explicit[place]
        fine = self._fine[place]
        page = cells[self._pages + (fine >> 5)] or self._page(fine >> 5)
        fine = page + (fine & 31)
        cells[bucket] += 1
        cells[fine] += 1
        try:
            cells[at] += amount
        except (OverflowError, ValueError):
            cells[at] = MOST
        if trace is not None:
            self._exemplify(amount, trace)

    def _page(self, octave: int) -> int:
        with self._slots.lock:
            page = self._cells[self._pages + octave]
            if not page:
                page = self._cells[self._pages + octave] = self._slots.take_page()
        return page


def series_of(metric: Metric, values: tuple[str, ...], is_overflow: bool, clock: Clock) -> Series:
    """Make the handle of a series, which counts as soon as it was moved to its slots."""
    if metric.is_exponential:
        return _Exponential(metric, values, is_overflow, clock)
    return _KINDS.get(metric.kind, Series)(metric, values, is_overflow, clock)


_KINDS: Final[dict[Kind, type[Series]]] = {Kind.HISTOGRAM: _Histogram, Kind.GAUGE: _Gauge}
