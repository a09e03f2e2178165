"""Export: with whatever the SDK exports goes what the guard has counted, once, exactly, and after failures too."""

from __future__ import annotations

import gc
import os
import sys
from threading import Event, Thread

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    InMemoryMetricReader,
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.metric import Kind, Metric
from asgi_guard.monitor.process import aggregate_of_process
from asgi_guard.monitor.shared_memory import SharedAggregate
from asgi_guard.telemetry.otel import SERIES, Instruments
from asgi_guard.telemetry.otel_export import GuardMetricExporter, GuardMetricReader, is_told

CUMULATIVE, DELTA = AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA
TIME = Metric("time", "s", "Time.", Kind.HISTOGRAM, ("route",), (0.001, 0.1), is_exponential=True)
HITS = Metric("hits", "{hit}", "Hits.", Kind.COUNTER, ("what",))
OPEN = Metric("open", "{request}", "Open.", Kind.UP_DOWN)


class Kept(MetricExporter):
    """Keeps what it is given, and answers as it is told to; keyword arguments are those of an exporter."""

    def __init__(self, **preferred) -> None:
        super().__init__(**preferred)
        self.exports = []
        self.answer = MetricExportResult.SUCCESS
        self.is_shut_down = False

    def export(self, metrics_data, timeout_millis=10_000, **kwargs):
        self.exports.append(metrics_data)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def force_flush(self, timeout_millis=10_000) -> bool:
        return True

    def shutdown(self, timeout_millis=30_000, **kwargs) -> None:
        self.is_shut_down = True

    def told(self, name: str):
        """Return what the last export says of a metric; None where it says nothing."""
        (resource,) = self.exports[-1].resource_metrics
        found = [metric for scope in resource.scope_metrics for metric in scope.metrics if metric.name == name]
        assert len(found) <= 1, "told twice"
        return found[0].data if found else None

    def value(self, name: str) -> float:
        """Return the sum over the last export's points of a metric."""
        data = self.told(name)
        return sum(getattr(point, "value", 0) or getattr(point, "count", 0) for point in data.data_points)


class Exporting:
    """A meter provider whose reader exports through the wrapper, when it is told to."""

    def __init__(self, aggregate: Aggregate | None = None, **preferred) -> None:
        self.aggregate = aggregate or Aggregate()
        self.kept = Kept(**preferred)
        self.exporter = GuardMetricExporter(self.kept, self.aggregate)
        self.reader = PeriodicExportingMetricReader(self.exporter, export_interval_millis=float("inf"))
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)
        self.instruments = Instruments(self.provider, self.aggregate)


DIFFERENCES = {"preferred_temporality": {Counter: DELTA, Histogram: DELTA}}


@pytest.fixture
def made():
    """Make meter providers, and shut them down."""
    providers = []

    def make(*aggregate: Aggregate, **preferred) -> Exporting:
        exporting = Exporting(*aggregate, **preferred)
        providers.append(exporting.provider)
        return exporting

    yield make
    for provider in providers:
        provider.shutdown()


def test_ours_is_exported_where_the_sdk_has_nothing(made) -> None:
    """The SDK exports only what it has collected: an instrument of ours sees to it that there is something."""
    exporting = made()
    exporting.aggregate.series(TIME, "/").record(1_000_000)

    exporting.provider.force_flush()

    assert exporting.kept.value("time") == 1
    assert exporting.kept.value(SERIES.name) == 1


def test_what_others_have_measured_is_handed_on(made) -> None:
    """Scopes and resource of the SDK stay as they are, and ours is one scope more."""
    exporting = made()
    exporting.provider.get_meter("theirs").create_counter("of.theirs").add(5)
    exporting.aggregate.series(HITS, "a").add(3)

    exporting.provider.force_flush()

    (resource,) = exporting.kept.exports[-1].resource_metrics
    assert sorted(scope.scope.name for scope in resource.scope_metrics) == ["asgi_guard", "theirs"]
    assert (exporting.kept.value("of.theirs"), exporting.kept.value("hits")) == (5, 3)


def test_what_the_sdk_has_recorded_of_ours_is_not_told_as_well(made) -> None:
    """Points that the SDK holds from before the exporter took over are replaced, name by name."""
    exporting = made()
    exporting.provider.get_meter("asgi_guard").create_histogram("time", "s").record(0.001)
    exporting.aggregate.series(TIME, "/").record(1_000_000)

    exporting.provider.force_flush()

    assert exporting.kept.value("time") == 1


def test_cumulative_sums_are_told_whole_each_time(made) -> None:
    """By default each export tells of all since the start, which stays the same moment."""
    exporting = made()
    series = exporting.aggregate.series(HITS, "a")
    starts = set()
    for expected in (1, 2, 3):
        series.add()
        exporting.provider.force_flush()
        data = exporting.kept.told("hits")
        assert (exporting.kept.value("hits"), data.aggregation_temporality) == (expected, CUMULATIVE)
        starts.add(data.data_points[0].start_time_unix_nano)
    assert len(starts) == 1


def test_differences_begin_where_the_last_one_ended(made) -> None:
    """An exporter that prefers differences gets them without gaps; what goes up and down is told as it is."""
    exporting = made(**DIFFERENCES)
    exporting.aggregate.series(OPEN).add(4)
    ends = []
    for _ in range(3):
        exporting.aggregate.series(HITS, "a").add(2)
        exporting.provider.force_flush()
        (point,) = exporting.kept.told("hits").data_points
        ends += [point.start_time_unix_nano, point.time_unix_nano]
        assert (point.value, exporting.kept.value("open")) == (2, 4)
        assert exporting.kept.told("open").aggregation_temporality is CUMULATIVE
    assert ends[1:3] == [ends[1]] * 2
    assert ends[3:5] == [ends[3]] * 2


def test_a_difference_of_nothing_is_not_told(made) -> None:
    """A series that nothing was added to takes no place in an export of differences."""
    exporting = made(**DIFFERENCES)
    exporting.aggregate.series(HITS, "a").add()
    exporting.provider.force_flush()
    exporting.provider.force_flush()

    assert exporting.kept.told("hits") is None


@pytest.mark.parametrize("answer", [MetricExportResult.FAILURE, OSError("away")], ids=["refused", "raised"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_difference_that_did_not_arrive_is_told_with_the_next(made, answer) -> None:
    """What a collector has not taken is not lost: the next difference begins where the last that arrived has ended."""
    exporting = made(**DIFFERENCES)
    series = exporting.aggregate.series(TIME, "/")
    series.record(1)
    exporting.kept.answer = answer
    exporting.provider.force_flush()
    series.record(1)
    exporting.kept.answer = MetricExportResult.SUCCESS
    exporting.provider.force_flush()

    assert exporting.kept.value("time") == 2


@pytest.mark.parametrize("preferred", [{}, DIFFERENCES], ids=["cumulative", "differences"])
@pytest.mark.parametrize("exponential", [False, True], ids=["explicit", "base-2"])
def test_nothing_is_lost_or_counted_twice_while_threads_count(made, preferred, exponential) -> None:
    """Over many exports during which others count, the sums are exact, bucket by bucket."""
    aggregation = {"preferred_aggregation": {Histogram: ExponentialBucketHistogramAggregation()}} if exponential else {}
    exporting = made(**preferred, **aggregation)
    handles = exporting.aggregate.series(TIME, "/"), exporting.aggregate.series(HITS, "a")
    each = 5_000

    def count() -> None:
        for _ in range(each):
            handles[0].record(2_000_000)
            handles[1].add()

    threads = [Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    seen = {"time": [], "hits": []}
    while any(thread.is_alive() for thread in threads) or not seen["time"]:
        _flush(exporting, seen)
    for thread in threads:
        thread.join()
    _flush(exporting, seen)

    for values in seen.values():
        assert (sum(values) if preferred else values[-1]) == 4 * each
        assert preferred or values == sorted(values)


def _flush(exporting: Exporting, seen: dict[str, list[float]]) -> None:
    exporting.provider.force_flush()
    for name, values in seen.items():
        if exporting.kept.told(name) is not None:
            values.append(exporting.kept.value(name))


def test_an_exporter_is_shut_down_with_its_wrapper(made) -> None:
    """The wrapper shuts it down, and from then on tells nothing any more."""
    exporting = made()
    assert is_told(exporting.aggregate)

    exporting.exporter.shutdown()

    assert exporting.kept.is_shut_down
    assert not is_told(exporting.aggregate)


class PulledReader(GuardMetricReader, InMemoryMetricReader):
    """A reader that somebody pulls from."""


def test_a_reader_that_others_pull_from_reads_ours_too() -> None:
    """Put before a reader, the hook adds what the process has counted."""
    metric = Metric("asgi_guard.test.pulled", "s", "Pulled.", Kind.HISTOGRAM, (), (0.1,))
    reader = PulledReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    Instruments(provider, aggregate_of_process())
    series = aggregate_of_process().series(metric)
    before = series.read().count
    series.record(1)

    (resource,) = reader.get_metrics_data().resource_metrics

    (found,) = [m for scope in resource.scope_metrics for m in scope.metrics if m.name == metric.name]
    assert found.data.data_points[0].count == before + 1
    provider.shutdown()
    del reader, provider, resource, found
    gc.collect()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("is_shared", [False, True], ids=["alone", "in shared memory"])
def test_a_forked_process_tells_nothing_of_its_parents(made, is_shared, tmp_path) -> None:
    """The child is another instance: it tells of its own requests, and the parent of its own."""
    exporting = made(SharedAggregate(tmp_path / "shared")) if is_shared else made()
    series = exporting.aggregate.series(HITS, "a")
    series.add(5)

    child = os.fork()
    if not child:
        series.add(2)
        exporting.provider.force_flush()
        os._exit(int(exporting.kept.value("hits")))

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    exporting.provider.force_flush()
    assert exporting.kept.value("hits") == 5


def test_a_request_does_not_wait_for_an_export(made) -> None:
    """While an exporter hangs, counting goes on, and series are still found."""
    exporting = made()
    entered, may_go = Event(), Event()

    def hang(*args, **kwargs):
        entered.set()
        may_go.wait(10)
        return MetricExportResult.SUCCESS

    exporting.kept.export = hang
    flushing = Thread(target=exporting.provider.force_flush)
    flushing.start()
    assert entered.wait(10)
    series = exporting.aggregate.series(HITS, "while it hangs")
    series.add()
    assert exporting.instruments.recorder(series) is None
    assert series.read().number == 1
    may_go.set()
    flushing.join()
