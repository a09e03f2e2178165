"""Snapshot: what was counted up to a moment, as plain data that can be added up and subtracted.

Must never be changed once it is made: it is read in threads while requests go on counting. Two snapshots of one
aggregate, subtracted, tell of the time between them; those of several processes, merged, tell of them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import ItemsView, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import sub
from typing import Final, NamedTuple, TypeAlias

from asgi_guard.monitor.buckets import explicit_quantile, exponential_quantile
from asgi_guard.monitor.metric import Kind, Metric

OVERFLOW: Final = "otel.metric.overflow"
"""The only attribute of the series that counts what found no place (OpenTelemetry metrics SDK, cardinality limits)."""

Key: TypeAlias = tuple[str, tuple[str, ...], bool]
"""What tells one series from another: the metric's name, the values, and whether it is the overflow."""

_LEVELS: Final = frozenset({Kind.UP_DOWN, Kind.GAUGE})


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


@dataclass(frozen=True, slots=True)
class Point:
    """What a series was at one moment.

    Attributes:
        metric: what was counted.
        values: of its attributes; an empty one means that it has none.
        number: of a counter, in nanoseconds where the unit is a second; or of a gauge.
        counts: of a histogram, in each bucket, the last one for what is above all bounds.
        total: the sum of what a histogram has recorded, in nanoseconds where the unit is a second.
        exponential: how many are in each base-2 bucket, by index; those with none are left out.
        exemplar: the newest one.
        is_overflow: whether this is what found no place among the series.
        set_ns: when a gauge was set, in nanoseconds since 1970; 0 where it is read off whenever somebody asks.
    """

    metric: Metric
    values: tuple[str, ...]
    number: float = 0
    counts: tuple[int, ...] = ()
    total: int = 0
    exponential: Mapping[int, int] = field(default_factory=dict[int, int])
    exemplar: Exemplar | None = None
    is_overflow: bool = False
    set_ns: int = 0

    @property
    def value(self) -> float:
        """The number in the unit."""
        is_as_counted = self.metric.kind is Kind.GAUGE or self.metric.per_unit == 1
        return self.number if is_as_counted else self.number / self.metric.per_unit

    @property
    def key(self) -> Key:
        """What tells this series from others."""
        return self.metric.name, self.values, self.is_overflow

    @property
    def attributes(self) -> dict[str, str | bool]:
        """The attributes that it has, by name."""
        if self.is_overflow:
            return {OVERFLOW: True}
        return {name: value for name, value in zip(self.metric.attributes, self.values, strict=True) if value}

    @property
    def count(self) -> int:
        """How many values a histogram has counted: what its buckets hold, so that the two never disagree."""
        return sum(self.counts)

    def quantile(self, q: float) -> float | None:
        """Estimate the value that a share of all does not exceed, in the unit; None where nothing was recorded.

        Args:
            q: the share, 0 to 1. The answer is within 1.1 % where the metric has base-2 buckets and the value is in
                their range; otherwise values are taken to lie evenly in their bucket.
        """
        if self.exponential:
            return exponential_quantile(self.exponential, q)
        return explicit_quantile(self.metric.bounds, self.counts, q)


class Snapshot:
    """All series at one moment.

    Args:
        points: the series. Of two with the same key the later one counts.
    """

    __slots__ = ("_points",)

    def __init__(self, points: Iterable[Point]) -> None:
        self._points = {point.key: point for point in points}

    def __iter__(self) -> Iterator[Point]:
        """Give out the points."""
        return iter(self._points.values())

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._points)

    def items(self) -> ItemsView[Key, Point]:
        """Give out the points, each with its key."""
        return self._points.items()

    def merged(self, *others: Snapshot) -> Snapshot:
        """Add what other processes, or other spans of time, have counted.

        Of a gauge the one that was set last stands. Of two descriptions with one name, as two versions of a program may
        have them side by side, the first one counts.
        """
        metrics: dict[str, Metric] = {}
        groups: dict[Key, list[Point]] = {}
        for snapshot in (self, *others):
            for key, point in snapshot.items():
                metric = metrics.setdefault(key[0], point.metric)
                if metric is point.metric:
                    groups.setdefault(key, []).append(point)
                elif metric.agrees(point.metric):
                    groups.setdefault(key, []).append(replace(point, metric=metric))
        return Snapshot(_added(group) if len(group) > 1 else group[0] for group in groups.values())

    def agreeing_with(self, *others: Snapshot) -> Snapshot:
        """Leave out what cannot be added to another's numbers: of two versions of a metric, the others' counts."""
        theirs = {key[0]: point.metric for other in others for key, point in other.items()}
        return Snapshot(point for point in self if theirs.get(point.metric.name, point.metric).agrees(point.metric))

    def since(self, earlier: Snapshot) -> Snapshot:
        """Return what was counted since an earlier snapshot of the same aggregate; what is a level stays as it is.

        A series that has less than it had began anew in between, and is taken whole.
        """
        before = dict(earlier.items())
        return Snapshot(_since(point, before.get(key)) for key, point in self.items())

    def bounded(self, max_series: int) -> Snapshot:
        """Keep the first series, and add up the rest in an overflow for each metric."""
        points = [point for point in self if not point.is_overflow]
        beyond = [point for point in self if point.is_overflow]
        beyond += [replace(point, values=("",) * len(point.values), is_overflow=True) for point in points[max_series:]]
        return Snapshot(points[:max_series]).merged(*(Snapshot([point]) for point in beyond))

    def without_levels(self) -> Snapshot:
        """Leave out what only a living process has: the numbers that go up and down."""
        return Snapshot(point for point in self if point.metric.kind not in _LEVELS)

    def without_exponential(self) -> Snapshot:
        """Leave out the base-2 buckets, which not every output tells."""
        return Snapshot(replace(point, exponential={}) for point in self)


def _added(points: list[Point]) -> Point:
    first = points[0]
    if first.metric.kind is Kind.GAUGE:
        return max(reversed(points), key=lambda point: point.set_ns)
    exponential: Counter[int] = Counter()
    for point in points:
        if point.exponential:
            exponential.update(point.exponential)
    exemplars = [point.exemplar for point in points if point.exemplar is not None]
    return Point(
        first.metric,
        first.values,
        sum([point.number for point in points]),
        tuple(map(sum, zip(*[point.counts for point in points], strict=True))),
        sum([point.total for point in points]),
        exponential,
        max(exemplars, key=lambda exemplar: exemplar.at, default=None),
        first.is_overflow,
    )


def _since(now: Point, before: Point | None) -> Point:
    if before is None or now.metric != before.metric or now.metric.kind in _LEVELS:
        return now
    counts = tuple(map(sub, now.counts, before.counts))
    if now.number < before.number or min(counts, default=0) < 0:
        return now
    left = {index: count - before.exponential.get(index, 0) for index, count in now.exponential.items()}
    return replace(
        now,
        number=now.number - before.number,
        counts=counts,
        total=now.total - before.total,
        exponential={index: count for index, count in left.items() if count > 0},
        exemplar=None if now.exemplar == before.exemplar else now.exemplar,
    )
