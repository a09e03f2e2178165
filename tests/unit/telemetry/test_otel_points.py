"""Points for OpenTelemetry: what was counted, type for type, as the SDK's data classes and on the wire."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.metrics.export import AggregationTemporality, ExponentialHistogram, Gauge, Histogram, Sum

from asgi_guard.monitor.buckets import ruler
from asgi_guard.monitor.cells import Aggregate, Exemplar, Point, Snapshot
from asgi_guard.monitor.metric import HTTP_DURATION_BOUNDS, Kind, Metric
from asgi_guard.telemetry.otel_points import MAX_BUCKETS, to_otel

CUMULATIVE, DELTA = AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA
TIME = Metric(
    "http.server.request.duration",
    "s",
    "Duration.",
    Kind.HISTOGRAM,
    ("http.route", "http.response.status_code"),
    HTTP_DURATION_BOUNDS,
    is_exponential=True,
)
SIZE = Metric("size", "By", "Size.", Kind.HISTOGRAM, (), (10.0, 100.0))
HITS = Metric("hits", "{hit}", "Hits.", Kind.COUNTER, ("what",))
OPEN = Metric("open", "{request}", "Open.", Kind.UP_DOWN)
LOAD = Metric("load", "1", "Load.", Kind.GAUGE)

KINDS = [
    pytest.param(TIME, Histogram, None, id="a histogram"),
    pytest.param(HITS, Sum, True, id="a counter"),
    pytest.param(OPEN, Sum, False, id="an up-down counter"),
    pytest.param(LOAD, Gauge, None, id="a gauge"),
]


def only(snapshot: Snapshot, **options):
    """Convert what has one metric with one point."""
    (metric,) = to_otel(snapshot, 100, 200, **options)
    (point,) = metric.data.data_points
    return metric, point


def one(metric: Metric, values: tuple[str, ...] | None = None, **what) -> Snapshot:
    """Make a snapshot of one point."""
    counts = (0,) * (len(metric.bounds) + 1) if metric.bounds else ()
    return Snapshot([Point(metric, values or ("",) * len(metric.attributes), **{"counts": counts, **what})])


@pytest.mark.parametrize(("metric", "data", "is_monotonic"), KINDS)
def test_each_kind_has_its_data(metric, data, is_monotonic) -> None:
    """Name, unit and description are the metric's; the times are those that were given."""
    told, point = only(one(metric))

    assert (told.name, told.unit, told.description) == (metric.name, metric.unit, metric.description)
    assert type(told.data) is data
    assert getattr(told.data, "is_monotonic", None) == is_monotonic
    assert getattr(told.data, "aggregation_temporality", CUMULATIVE) is CUMULATIVE
    assert (point.start_time_unix_nano, point.time_unix_nano) == (100, 200)


ATTRIBUTES = [
    pytest.param(("/a", "200"), {"http.route": "/a", "http.response.status_code": 200}, id="a status is a number"),
    pytest.param(("", "503"), {"http.response.status_code": 503}, id="an empty value is left out"),
    pytest.param(("", ""), {}, id="nothing"),
    pytest.param(("/a", "5xx"), {"http.route": "/a", "http.response.status_code": "5xx"}, id="what is no number stays"),
]


@pytest.mark.parametrize(("values", "attributes"), ATTRIBUTES)
def test_attributes_are_typed(values, attributes) -> None:
    """Attributes are as the conventions type them."""
    _, point = only(one(TIME, values))

    assert point.attributes == attributes
    assert [type(value) for value in point.attributes.values()] == [type(value) for value in attributes.values()]


def test_what_found_no_place_is_told_as_overflow() -> None:
    """The overflow has one attribute, as the specification names it."""
    aggregate = Aggregate(max_series=1)
    aggregate.series(HITS, "a").add()
    aggregate.series(HITS, "b").add(2)

    (metric,) = to_otel(aggregate.snapshot(), 0, 1)

    told = {tuple(point.attributes.items()): point.value for point in metric.data.data_points}
    assert told == {(("what", "a"),): 1, (("otel.metric.overflow", True),): 2}


def test_an_exemplar_keeps_its_ids() -> None:
    """Ids are integers there, the value is a float in the unit, and the moment is in nanoseconds."""
    exemplar = Exemplar(0.25, f"{0xABC:032x}", f"{0xDEF:016x}", 1_700_000_000.5)

    _, point = only(one(TIME, exemplar=exemplar))

    (told,) = point.exemplars
    assert (told.trace_id, told.span_id, told.value) == (0xABC, 0xDEF, 0.25)
    assert told.time_unix_nano == 1_700_000_000_500_000_000


def test_a_difference_says_that_it_is_one() -> None:
    """The temporality is the one that was asked for."""
    metric, _ = only(one(HITS, number=3), temporality=DELTA)

    assert metric.data.aggregation_temporality is DELTA


def test_only_what_has_base_2_buckets_is_told_by_them() -> None:
    """Other histograms keep their bounds."""
    aggregate = Aggregate()
    aggregate.series(TIME, "/", "200").record(1_000_000)
    aggregate.series(SIZE).record(50)

    told = {metric.name: metric.data for metric in to_otel(aggregate.snapshot(), 0, 1, is_exponential=True)}

    assert type(told[TIME.name]) is ExponentialHistogram
    assert type(told[SIZE.name]) is Histogram
    assert told[SIZE.name].data_points[0].sum == 50


@given(st.lists(st.integers(0, 2**42), max_size=40))
def test_a_histogram_has_what_was_recorded(amounts) -> None:
    """Count, sum and each bucket are those of the values, whichever they are."""
    aggregate = Aggregate()
    series = aggregate.series(TIME, "/", "200")
    for amount in amounts:
        series.record(amount)

    _, point = only(aggregate.snapshot())

    ends = [*(bound * 1e9 for bound in HTTP_DURATION_BOUNDS), math.inf]
    below = [sum(amount <= end for amount in amounts) for end in ends]
    assert point.count == len(amounts) == sum(point.bucket_counts)
    assert point.sum == sum(amounts) / 1e9
    assert [sum(point.bucket_counts[: place + 1]) for place in range(len(ends))] == below
    assert [*point.explicit_bounds] == [*HTTP_DURATION_BOUNDS]


@given(st.lists(st.integers(1_000, 2**39), max_size=40))
def test_base_2_buckets_hold_what_was_recorded(amounts) -> None:
    """Each value lies within the bounds of its bucket, at a scale at which the buckets are few enough."""
    aggregate = Aggregate()
    series = aggregate.series(TIME, "/", "200")
    for amount in amounts:
        series.record(amount)

    _, point = only(aggregate.snapshot(), is_exponential=True)

    row, base = point.positive.bucket_counts, 2.0 ** (2.0**-point.scale)
    assert len(row) <= MAX_BUCKETS
    assert point.scale == 5 or len(row) > MAX_BUCKETS // 2
    assert point.count == point.zero_count + sum(row) == len(amounts)
    for place in range(len(row) + 1):
        end = base ** (point.positive.offset + place) * 1e9
        at_most = sum(amount <= end for amount in amounts)
        near = sum(abs(amount - end) <= 1 for amount in amounts)  # a float is not exact at a bound
        assert abs(sum(row[:place]) - at_most) <= near


def test_the_bounds_reach_over_all_durations() -> None:
    """From below a microsecond to beyond a quarter of an hour, in no more buckets than the SDK has."""
    aggregate = Aggregate()
    series = aggregate.series(TIME, "/", "200")
    for edge in ruler(TIME).edges:
        series.record(edge)

    _, point = only(aggregate.snapshot(), is_exponential=True)

    assert len(point.positive.bucket_counts) <= MAX_BUCKETS
    assert point.count == len(ruler(TIME).edges)
