"""Points: a snapshot as the public data classes of OpenTelemetry's SDK, which every exporter of it takes.

Standard: the OpenTelemetry metrics data model. An attribute without a value is left out, the smallest and the largest
value are not known and not told. Must never tell a count that its buckets do not add up to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.sdk.metrics import Exemplar as SDKExemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    NumberDataPoint,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as SDKMetric

from asgi_guard.monitor.buckets import SCALE
from asgi_guard.monitor.metric import Kind
from asgi_guard.monitor.snapshot import Exemplar, Point, Snapshot

MAX_BUCKETS: Final = 160
"""The base-2 buckets of a point, as the SDK has them: where the values lie further apart, the scale is smaller."""

_STATUS: Final = "http.response.status_code"
_NOT_KNOWN: Final[Any] = None  # the encoders leave such a field out
_NO_BUCKETS: Final = Buckets(0, ())


def to_otel(
    snapshot: Snapshot,
    started_ns: int,
    now_ns: int,
    temporality: AggregationTemporality = AggregationTemporality.CUMULATIVE,
    *,
    is_exponential: bool = False,
) -> list[SDKMetric]:
    """Convert a snapshot, metric by metric.

    Args:
        snapshot: what was counted between the two moments.
        started_ns: when the counting began, in nanoseconds since 1970.
        now_ns: when the snapshot was taken.
        temporality: whether it tells of all that was counted, or of what was since the last time.
        is_exponential: whether histograms that have base-2 buckets are told by them, and not by the explicit ones.
    """
    found: dict[str, list[Point]] = {}
    for point in snapshot:
        found.setdefault(point.metric.name, []).append(point)
    return [
        SDKMetric(
            points[0].metric.name,
            points[0].metric.description,
            points[0].metric.unit,
            _data(points, (started_ns, now_ns), temporality, is_exponential=is_exponential),
        )
        for points in found.values()
    ]


def attributes_of(point: Point) -> Mapping[str, str | bool | int]:
    """Return the attributes of a point as OpenTelemetry types them: a status is a number."""
    attributes: dict[str, str | bool | int] = {**point.attributes}
    status = attributes.get(_STATUS)
    if isinstance(status, str) and status.isdecimal():
        attributes[_STATUS] = int(status)
    return attributes


def _data(
    points: list[Point], times: tuple[int, int], temporality: AggregationTemporality, *, is_exponential: bool
) -> Sum | Gauge | Histogram | ExponentialHistogram:
    metric = points[0].metric
    if metric.kind is Kind.HISTOGRAM:
        if is_exponential and metric.is_exponential:
            return ExponentialHistogram([_exponential(point, times) for point in points], temporality)
        return Histogram([_explicit(point, times) for point in points], temporality)
    numbers = [NumberDataPoint(attributes_of(point), *times, point.value) for point in points]
    if metric.kind is Kind.GAUGE:
        return Gauge(numbers)
    return Sum(numbers, temporality, is_monotonic=metric.kind is Kind.COUNTER)


def _explicit(point: Point, times: tuple[int, int]) -> HistogramDataPoint:
    return HistogramDataPoint(
        attributes_of(point),
        *times,
        count=point.count,
        sum=_sum(point),
        bucket_counts=point.counts,
        explicit_bounds=point.metric.bounds,
        min=_NOT_KNOWN,
        max=_NOT_KNOWN,
        exemplars=_exemplars(point.exemplar),
    )


def _exponential(point: Point, times: tuple[int, int]) -> ExponentialHistogramDataPoint:
    scale, buckets = _scaled(point.exponential)
    return ExponentialHistogramDataPoint(
        attributes_of(point),
        *times,
        count=sum(buckets.bucket_counts),
        sum=_sum(point),
        scale=scale,
        zero_count=0,
        positive=buckets,
        negative=_NO_BUCKETS,
        flags=0,
        min=_NOT_KNOWN,
        max=_NOT_KNOWN,
        exemplars=_exemplars(point.exemplar),
    )


def _scaled(counts: Mapping[int, int]) -> tuple[int, Buckets]:
    """Lay buckets side by side, and make pairs one, from one scale to the next, until they are few enough."""
    if not counts:
        return SCALE, _NO_BUCKETS
    first, last, halved = min(counts), max(counts), 0
    while (last >> halved) - (first >> halved) >= MAX_BUCKETS:
        halved += 1
    offset = first >> halved
    row = [0] * ((last >> halved) - offset + 1)
    for index, count in counts.items():
        row[(index >> halved) - offset] += count
    return SCALE - halved, Buckets(offset, row)


def _sum(point: Point) -> float:
    return point.total / point.metric.per_unit


def _exemplars(exemplar: Exemplar | None) -> list[SDKExemplar]:
    if exemplar is None:
        return []
    value, trace_id, span_id, at = exemplar
    return [SDKExemplar({}, float(value), round(at * 1e9), int(span_id, 16), int(trace_id, 16))]


def has_counted(point: Point) -> bool:
    """Tell whether a point between two snapshots has anything to say."""
    return bool(point.number or any(point.counts) or any(point.exponential.values()))
