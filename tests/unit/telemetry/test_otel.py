"""Instruments: at a meter provider that somebody else has set up stands what the aggregate has counted."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.metric import Kind, Metric
from asgi_guard.telemetry.otel import SERIES, Instruments
from asgi_guard.telemetry.otel_export import GuardMetricExporter
from asgi_guard.telemetry.semconv import REQUEST_DURATION

HITS = Metric("hits", "{hit}", "Hits.", Kind.COUNTER, ("what",))
OPEN = Metric("open", "{request}", "Open.", Kind.UP_DOWN)
LOAD = Metric("load", "1", "Load.", Kind.GAUGE)
ANSWER = ("GET", "http", "1.1", "/items/{id}", "200", "")


class Theirs:
    """A meter provider of somebody else, and what it has collected."""

    def __init__(self, aggregate: Aggregate) -> None:
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)
        self.instruments = Instruments(self.provider, aggregate)

    def collected(self) -> dict[str, dict[tuple, object]]:
        """Collect, and return the points of each metric by their attributes."""
        data = self.reader.get_metrics_data()
        metrics = [m for resource in data.resource_metrics for scope in resource.scope_metrics for m in scope.metrics]
        return {
            metric.name: {tuple(point.attributes.items()): point for point in metric.data.data_points}
            for metric in metrics
        }


def counted() -> Aggregate:
    """Count something of each kind that can be observed."""
    aggregate = Aggregate()
    aggregate.series(HITS, "a").add(3)
    aggregate.series(HITS, "").add(4)
    aggregate.series(OPEN).add(2)
    aggregate.observe(LOAD, lambda: [((), 0.5)])
    return aggregate


def test_what_can_be_observed_is() -> None:
    """Counters, up-down counters and gauges are read when the provider collects, and again when it does so again."""
    aggregate = counted()
    theirs = Theirs(aggregate)

    first = theirs.collected()
    aggregate.series(HITS, "a").add(10)
    second = theirs.collected()

    assert {key: point.value for key, point in first["hits"].items()} == {(("what", "a"),): 3, (): 4}
    assert second["hits"][("what", "a"),].value == 13
    assert (first["open"][()].value, first["load"][()].value) == (2, 0.5)
    assert first[SERIES.name][()].value == 4


def test_a_metric_that_comes_later_is_found() -> None:
    """What nobody had counted when the instruments were made has one soon, without anybody's doing."""
    aggregate = Aggregate()
    theirs = Theirs(aggregate)
    assert "hits" not in theirs.collected()
    aggregate.series(HITS, "late").add()

    deadline = time.monotonic() + 10
    while "hits" not in (told := theirs.collected()):
        assert time.monotonic() < deadline

    assert told["hits"][("what", "late"),].value == 1


def test_durations_are_recorded_in_the_sdk() -> None:
    """A recorder adds to the SDK's own histogram, with the same bounds and attributes as everywhere else."""
    aggregate = Aggregate()
    theirs = Theirs(aggregate)
    record = theirs.instruments.recorder(aggregate.series(REQUEST_DURATION, *ANSWER))
    for value in (0.004, 0.02, 11.0):
        record(value)

    ((attributes, point),) = theirs.collected()[REQUEST_DURATION.name].items()

    assert dict(attributes) == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "http.route": "/items/{id}",
        "http.response.status_code": 200,
    }
    assert (point.count, [*point.explicit_bounds]) == (3, [*REQUEST_DURATION.bounds])
    assert (point.bucket_counts[0], point.bucket_counts[2], point.bucket_counts[-1]) == (1, 1, 1)


def test_durations_of_the_overflow_are_recorded_as_such() -> None:
    """The bound of the aggregate is one for the SDK too."""
    aggregate = Aggregate(max_series=1)
    aggregate.series(HITS, "all the place there is")
    theirs = Theirs(aggregate)
    theirs.instruments.recorder(aggregate.series(REQUEST_DURATION, *ANSWER))(0.1)

    ((attributes, _),) = theirs.collected()[REQUEST_DURATION.name].items()

    assert attributes == (("otel.metric.overflow", True),)


def test_a_duration_within_a_span_has_an_exemplar() -> None:
    """The SDK takes it from the context that the recorder is called in."""
    aggregate = Aggregate()
    theirs = Theirs(aggregate)
    record = theirs.instruments.recorder(aggregate.series(REQUEST_DURATION, *ANSWER))
    with TracerProvider(shutdown_on_exit=False).get_tracer("t").start_as_current_span("s") as span:
        record(0.1)

    ((_, point),) = theirs.collected()[REQUEST_DURATION.name].items()

    assert [exemplar.span_id for exemplar in point.exemplars] == [span.get_span_context().span_id]


def test_what_an_exporter_tells_is_not_told_here() -> None:
    """As soon as a wrapper tells of an aggregate, instruments observe nothing of it, and record nothing."""
    aggregate = counted()
    theirs = Theirs(aggregate)
    exporter = GuardMetricExporter(_Nowhere(), aggregate)

    assert theirs.collected().keys() == {SERIES.name}
    assert theirs.instruments.recorder(aggregate.series(REQUEST_DURATION, *ANSWER)) is None

    exporter.shutdown()
    assert theirs.collected().keys() == {SERIES.name, "hits", "open", "load"}


def test_a_provider_that_does_nothing_is_served_too() -> None:
    """OpenTelemetry's own stand-in takes everything, and keeps nothing."""
    aggregate = counted()
    instruments = Instruments(NoOpMeterProvider(), aggregate)

    instruments.recorder(aggregate.series(REQUEST_DURATION, *ANSWER))(0.1)


class _Nowhere:
    _preferred_temporality = None
    _preferred_aggregation = None

    def shutdown(self, *args, **kwargs) -> None:
        pass
