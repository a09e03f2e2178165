"""Cells: the aggregate. All that is counted stands as plain integers in one flat row, and is added up where it is read.

A series is a few neighbouring integers; whoever counts keeps its handle and adds to them, which takes no lock: CPython
switches threads between an addition and the next, never within one. The row may be memory that processes share.
Must never keep more series than its bound, whatever the values of attributes are: the rest is one series a metric.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSequence
from dataclasses import dataclass, field
from math import ceil, log2
from threading import Lock
from types import MappingProxyType
from typing import Final, NamedTuple

from asgi_guard.monitor import buckets
from asgi_guard.monitor.metric import Kind, Metric

MAX_SERIES: Final = 2_000
LONGEST_VALUE: Final = 256
"""The characters kept of the value of an attribute."""

OVERFLOW: Final = "otel.metric.overflow"
"""The attribute of the series that counts what found no place (OpenTelemetry metrics SDK, cardinality limits)."""

_FIRST: Final = buckets.FIRST
_LAST: Final = buckets.LAST
_PER_OCTAVE: Final = buckets.PER_OCTAVE
_LEAST: Final = 2.0**-40


class Exemplar(NamedTuple):
    """One value of a histogram, and the trace in which it was measured.

    Attributes:
        value: in the unit of the metric.
        trace_id: 32 hexadecimal digits.
        span_id: 16 of them.
        at: when, in seconds since 1970.
    """

    value: float
    trace_id: str
    span_id: str
    at: float


class Series:
    """The handle of one series: what adds to it."""

    __slots__ = ("_at", "_bounds", "_exponential", "_row", "_scale", "_sum", "exemplar")

    def __init__(self, row: MutableSequence[int], at: int, metric: Metric) -> None:
        self._row = row
        self._at = at
        self._bounds = metric.bounds
        self._scale = 1.0 / metric.per_unit
        self._sum = at + len(metric.bounds) + 1
        self._exponential = self._sum + 1 - _FIRST if metric.is_exponential else 0
        self.exemplar: Exemplar | None = None

    def add(self, number: int = 1) -> None:
        """Add to a counter, or to a number that goes up and down."""
        self._row[self._at] += number

    def record(self, amount: int) -> None:
        """Count a value of a histogram.

        Args:
            amount: nanoseconds, where the unit is a second; else as many of the unit, 0 or more.
        """
        row = self._row
        value = amount * self._scale
        row[self._at + bisect_left(self._bounds, value)] += 1
        row[self._sum] += amount
        if self._exponential:
            index = ceil(log2(value if value > _LEAST else _LEAST) * _PER_OCTAVE) - 1
            if index < _FIRST:
                index = _FIRST
            elif index > _LAST:
                index = _LAST
            row[self._exponential + index] += 1


@dataclass(frozen=True, slots=True)
class Point:
    """What a series was at one moment.

    Attributes:
        metric: what was counted.
        values: of its attributes; an empty one means that it has none.
        number: of a counter or a gauge.
        counts: of a histogram, in each bucket, the last one for what is above all bounds.
        total: the sum of what a histogram has recorded, in nanoseconds where the unit is a second.
        exponential: how many are in each base-2 bucket, by index; those with none are left out.
        exemplar: the newest one.
        is_overflow: whether this is what found no place among the series.
    """

    metric: Metric
    values: tuple[str, ...]
    number: float = 0
    counts: tuple[int, ...] = ()
    total: int = 0
    exponential: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    exemplar: Exemplar | None = None
    is_overflow: bool = False

    @property
    def count(self) -> int:
        """How many values a histogram has counted."""
        return sum(self.counts)

    def quantile(self, q: float) -> float | None:
        """Return the value below which a share of all lies; see `buckets.quantile`."""
        return buckets.quantile(self.exponential, q)

    def plus(self, other: Point, sign: int = 1) -> Point:
        """Add what another process, or subtract what an earlier moment, has of the same series."""
        exponential = dict(self.exponential)
        for index, count in other.exponential.items():
            exponential[index] = exponential.get(index, 0) + sign * count
        return Point(
            self.metric,
            self.values,
            self.number + sign * other.number,
            tuple([mine + sign * theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]),
            self.total + sign * other.total,
            MappingProxyType({index: count for index, count in exponential.items() if count}),
            max(filter(None, (self.exemplar, other.exemplar)), key=lambda exemplar: exemplar.at, default=None),
            self.is_overflow,
        )


class Snapshot:
    """All series at one moment.

    Args:
        points: no two of the same series.
    """

    __slots__ = ("_points",)

    def __init__(self, points: Iterable[Point]) -> None:
        self._points = {(point.metric, point.values, point.is_overflow): point for point in points}

    def __iter__(self) -> Iterator[Point]:
        """Give out the points."""
        return iter(self._points.values())

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._points)

    def merged(self, *others: Snapshot) -> Snapshot:
        """Add what other processes have counted."""
        points = dict(self._points)
        for other in others:
            for key, point in other._points.items():
                mine = points.get(key)
                points[key] = point if mine is None else mine.plus(point)
        return Snapshot(points.values())

    def since(self, earlier: Snapshot) -> Snapshot:
        """Return what was counted since an earlier snapshot of the same aggregate; what is a level stays as it is."""
        points: list[Point] = []
        for key, point in self._points.items():
            before = None if point.metric.kind in {Kind.UP_DOWN, Kind.GAUGE} else earlier._points.get(key)
            points.append(point if before is None else point.plus(before, -1))
        return Snapshot(points)


Observed = Callable[[], Iterable[tuple[tuple[str, ...], float]]]
"""What a gauge is asked for when somebody reads: the values of its attributes, and the number, for each series."""


class Aggregate:
    """All that one process has counted.

    Args:
        max_series: how many series there may be over all metrics, 1 or more; overflow series come on top.
    """

    def __init__(self, *, max_series: int = MAX_SERIES) -> None:
        self._row: array[int] = array("q")
        self._max_series = max_series
        self._series: dict[tuple[Metric, tuple[str, ...]], tuple[int, Series]] = {}
        self._overflows: dict[Metric, tuple[int, Series]] = {}
        self._observed: list[tuple[Metric, Observed]] = []
        self._lock = Lock()

    def series(self, metric: Metric, *values: str) -> Series:
        """Return the handle of a series; keep it, to find it costs more than to add to it.

        Args:
            metric: what to count.
            values: of its attributes, in their order; 256 characters of each are kept. An empty one means none.
        """
        key = metric, tuple([value[:LONGEST_VALUE] for value in values])
        found = self._series.get(key)
        if found is not None:
            return found[1]
        with self._lock:
            if key in self._series:
                return self._series[key][1]
            if len(self._series) < self._max_series:
                made = self._series[key] = self._made(metric)
            else:
                made = self._overflows.get(metric) or self._overflows.setdefault(metric, self._made(metric))
            return made[1]

    def _made(self, metric: Metric) -> tuple[int, Series]:
        at = len(self._row)
        self._row.extend([0] * width_of(metric))
        return at, Series(self._row, at, metric)

    def observe(self, metric: Metric, observed: Observed) -> None:
        """Ask for a gauge whenever a snapshot is taken: quick, and in whatever thread that is."""
        self._observed.append((metric, observed))

    def snapshot(self) -> Snapshot:
        """Return what was counted so far; it may be taken in any thread while others count."""
        with self._lock:
            series = [(*key, at, handle, False) for key, (at, handle) in self._series.items()]
            series += [
                (metric, ("",) * len(metric.attributes), at, handle, True)
                for metric, (at, handle) in self._overflows.items()
            ]
        points = [
            point_of(metric, values, self._row[at : at + width_of(metric)], handle.exemplar, is_overflow=is_overflow)
            for metric, values, at, handle, is_overflow in series
        ]
        points += [
            Point(metric, tuple([value[:LONGEST_VALUE] for value in values]), number)
            for metric, observed in self._observed
            for values, number in observed()
        ]
        return Snapshot(points)


def width_of(metric: Metric) -> int:
    """Return how many integers a series of a metric takes."""
    if metric.kind is not Kind.HISTOGRAM:
        return 1
    return len(metric.bounds) + 2 + buckets.SIZE * metric.is_exponential


def point_of(
    metric: Metric,
    values: tuple[str, ...],
    cells: MutableSequence[int],
    exemplar: Exemplar | None = None,
    *,
    is_overflow: bool = False,
) -> Point:
    """Read a series off its integers."""
    if metric.kind is not Kind.HISTOGRAM:
        return Point(metric, values, cells[0], is_overflow=is_overflow)
    last = len(metric.bounds) + 1
    exponential = {_FIRST + place: count for place, count in enumerate(cells[last + 1 :]) if count}
    counts = tuple(cells[:last])
    return Point(
        metric, values, 0, counts, cells[last], MappingProxyType(exponential), exemplar, is_overflow=is_overflow
    )
