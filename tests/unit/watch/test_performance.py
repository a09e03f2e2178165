"""What an application measures of its own, by the names of the earlier system and by ours."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader

from asgi_guard import PerformanceMonitor, PerformanceTracker, performance_monitor
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.monitor.cells import MAX_METRICS, Aggregate
from asgi_guard.monitor.process import aggregate_of_process
from asgi_guard.monitor.shared_memory import SharedAggregate
from asgi_guard.telemetry.otel import Instruments
from asgi_guard.telemetry.otel_points import to_otel
from asgi_guard.telemetry.prometheus import render
from asgi_guard.watch.custom import MAX_CUSTOM


class Stopwatch:
    """Goes on by a tenth of a second each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


@pytest.fixture
def monitor() -> PerformanceMonitor:
    """A monitor with an aggregate of its own."""
    return PerformanceMonitor(Aggregate())


def told(monitor: PerformanceMonitor) -> str:
    """Read what a scrape would."""
    return render(monitor.aggregate.snapshot()).decode()


def test_everything_is_found_in_a_scrape(monitor: PerformanceMonitor) -> None:
    """Under the names that Prometheus has for its kind."""
    monitor.increment("orders", 2, {"shop": "a"})
    monitor.increment("orders", attributes={"shop": "a"})
    monitor.set_gauge("queue.length", 17.5)
    monitor.record_timing("database_query", 0.02, {"table": "t"})

    text = told(monitor)

    assert 'orders_total{shop="a"} 3\n' in text
    assert "queue_length 17.5\n" in text
    assert 'database_query_seconds_bucket{table="t",le="0.025"} 1\n' in text
    assert 'database_query_seconds_sum{table="t"} 0.02\n' in text


def test_everything_is_found_in_opentelemetry(monitor: PerformanceMonitor) -> None:
    """Counters and gauges by the user's own provider, and timings with the exporter's points."""
    monitor.increment("orders", 2, {"shop": "a"})
    monitor.set_gauge("queue.length", 17.5)
    monitor.record_timing("database_query", 0.02)

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    instruments = Instruments(provider, monitor.aggregate)
    data = reader.get_metrics_data()
    del instruments
    provider.shutdown()
    told = {
        metric.name: [
            (dict(point.attributes or {}), getattr(point, "value", None)) for point in metric.data.data_points
        ]
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert told["orders"] == [({"shop": "a"}, 2)]
    assert told["queue.length"] == [({}, 17.5)]

    (point,) = next(
        metric.data.data_points
        for metric in to_otel(monitor.aggregate.snapshot(), 0, 1)
        if metric.name == "database_query"
    )
    assert isinstance(point, HistogramDataPoint)
    assert (point.count, point.sum) == (1, 0.02)


def test_a_gauge_is_what_it_was_set_to_last(monitor: PerformanceMonitor) -> None:
    """Below zero, too."""
    for value in (3, -2.5):
        monitor.set_gauge("balance", value)

    assert "balance -2.5\n" in told(monitor)


def test_a_tracker_measures_a_block(monitor: PerformanceMonitor) -> None:
    """As the earlier system had it."""
    with PerformanceTracker(monitor, "database_query", {"table": "t"}, now=Stopwatch()) as tracker:
        assert tracker.seconds is None

    assert tracker.seconds == pytest.approx(0.1)
    assert monitor.measurements("database_query")[0].value == pytest.approx(0.1)
    assert monitor.measurements("database_query")[0].attributes == (("table", "t"),)


def test_a_tracker_measures_an_async_block(monitor: PerformanceMonitor) -> None:
    """In the same way."""

    async def work() -> None:
        async with PerformanceTracker(monitor, "call", now=Stopwatch()):
            await asyncio.sleep(0)

    asyncio.run(work())

    assert [one.value for one in monitor.measurements("call")] == [pytest.approx(0.1)]


def test_what_raises_is_measured_and_named(monitor: PerformanceMonitor) -> None:
    """The exception goes on."""
    with pytest.raises(LookupError), PerformanceTracker(monitor, "call", {"to": "x"}):
        raise KeyError("secret")

    assert 'call_seconds_count{to="x",error_type="KeyError"} 1\n' in told(monitor)
    assert "secret" not in told(monitor)


def test_a_tracker_measures_each_call_of_a_function(monitor: PerformanceMonitor) -> None:
    """Async or not, and as often as it is called; the function stays what it was."""

    @PerformanceTracker(monitor, "plain")
    def double(number: int) -> int:
        """Double it."""
        return 2 * number

    @PerformanceTracker(monitor, "waiting")
    async def triple(number: int) -> int:
        await asyncio.sleep(0)
        return 3 * number

    async def both() -> list[int]:
        return await asyncio.gather(triple(1), triple(2))

    assert [double(1), double(2)] == [2, 4]
    assert asyncio.run(both()) == [3, 6]
    assert (double.__name__, double.__doc__) == ("double", "Double it.")
    assert len(monitor.measurements("plain")) == len(monitor.measurements("waiting")) == 2


def test_a_tracker_within_itself_measures_both(monitor: PerformanceMonitor) -> None:
    """The inner one ends first."""
    tracker = PerformanceTracker(monitor, "nested", now=Stopwatch())

    with tracker, tracker:
        pass

    assert [one.value for one in monitor.measurements("nested")] == [pytest.approx(0.1), pytest.approx(0.3)]


def test_the_newest_values_are_kept() -> None:
    """As many as wanted."""
    monitor = PerformanceMonitor(Aggregate(), retention=3)
    for number in range(10):
        monitor.set_gauge("level", number)

    assert [one.value for one in monitor.measurements("level")] == [7, 8, 9]
    assert len(PerformanceMonitor(Aggregate())._kept) == 0
    assert monitor.measurements("unknown") == []


def test_a_thousand_values_are_kept_by_default(monitor: PerformanceMonitor) -> None:
    """Whatever comes."""
    for number in range(1_500):
        monitor.increment("hits", number)

    assert len(monitor.measurements("hits")) == 1_000


def test_the_summary_of_a_process(monitor: PerformanceMonitor) -> None:
    """Its own metrics, its requests, and the machine."""
    for number in range(1, 101):
        monitor.record_timing("query", number / 1_000)
    monitor.increment("orders", 5)
    monitor.track_request(method="GET", endpoint="/a", duration=0.25, status_code=200)
    monitor.track_request(method="post", endpoint="/a", duration=0.25, status_code=503)

    summary = monitor.get_metrics_summary()

    query = summary["metrics"]["query"]
    assert (query["kind"], query["count"], query["min"], query["max"]) == ("timing", 100, 0.001, 0.1)
    assert (query["p50"], query["p95"], query["p99"], query["latest"]) == (0.05, 0.095, 0.099, 0.1)
    assert query["mean"] == pytest.approx(0.0505)
    assert summary["metrics"]["orders"]["total"] == 5
    requests = summary["requests"]
    assert (requests["count"], requests["errors"], requests["error_rate"]) == (2, 1, 50.0)
    assert requests["p99"] == pytest.approx(0.25, rel=0.011)
    assert summary["system"].keys() == {"cpu_usage", "memory_usage", "disk_usage"}


def test_the_machine_is_told_in_percent(monitor: PerformanceMonitor) -> None:
    """By the names of the earlier system."""
    found = monitor.get_system_metrics()

    assert found.keys() == {"cpu_usage", "memory_usage", "disk_usage"}
    assert all(value is None or 0 <= value <= 100 for value in found.values())
    assert found["disk_usage"] is not None


@pytest.mark.parametrize(
    ("duration", "status"), [(math.nan, 200), (-1, 200), (math.inf, 200), (0.1, 42), (0.1, 600), (1e10, 200)]
)
def test_a_request_that_cannot_be_is_not_tracked(monitor: PerformanceMonitor, duration: float, status: int) -> None:
    """Nothing raises in the middle of whatever it is that is tracked."""
    monitor.track_request(method="GET", endpoint="/", duration=duration, status_code=status)

    assert monitor.get_metrics_summary()["requests"]["count"] == 0


def test_an_unknown_method_is_no_name_of_its_own(monitor: PerformanceMonitor) -> None:
    """Clients make them up."""
    monitor.track_request(method="X" * 99, endpoint="/", duration=0.1, status_code=200)

    assert 'http_request_method="_OTHER"' in told(monitor)


@pytest.mark.parametrize(
    "name", ["", "1st", "a b", "a" * 129, "http.x", "asgi_guard.x", "process.x", "system.y", "ä", "a-b", "a\n"]
)
def test_a_name_that_is_none_raises_at_once(monitor: PerformanceMonitor, name: str) -> None:
    """It stands in the program."""
    with pytest.raises(ValueError, match="is no name"):
        monitor.increment(name)


def test_a_name_is_of_one_kind(monitor: PerformanceMonitor) -> None:
    """The first one."""
    monitor.increment("orders")

    with pytest.raises(ValueError, match="orders is a counter, not a gauge"):
        monitor.set_gauge("orders", 1)


def test_attributes_are_those_of_the_first_time(monitor: PerformanceMonitor) -> None:
    """A metric has the same ones in each of its series."""
    monitor.increment("orders", attributes={"shop": "a"})
    monitor.increment("orders", attributes={"shop": "b", "more": "x"})
    monitor.increment("orders")

    text = told(monitor)
    assert 'orders_total{shop="a"} 1\n' in text
    assert 'orders_total{shop="b"} 1\n' in text
    assert "orders_total 1\n" in text


@pytest.mark.parametrize("attributes", [{"a b": "x"}, {"": "x"}, {f"a{number}": "x" for number in range(9)}])
def test_attributes_have_names_and_are_few(monitor: PerformanceMonitor, attributes: dict[str, str]) -> None:
    """They stand in the program as well."""
    with pytest.raises(ValueError, match="attribute"):
        monitor.increment("orders", attributes=attributes)


def test_values_of_any_kind_are_told_as_text(monitor: PerformanceMonitor) -> None:
    """Also what cannot be hashed, and what is long."""
    monitor.increment("orders", attributes={"shop": ["a"]})
    monitor.increment("orders", attributes={"shop": 7})
    monitor.increment("orders", attributes={"shop": "x" * 999})

    text = told(monitor)
    assert "orders_total{shop=\"['a']\"} 1\n" in text
    assert 'orders_total{shop="7"} 1\n' in text
    assert f'orders_total{{shop="{"x" * 256}"}} 1\n' in text


def test_a_value_that_is_none_is_left_out_and_said_once(
    monitor: PerformanceMonitor, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever measures goes on."""
    for _ in range(3):
        monitor.set_gauge("level", math.nan)
        monitor.record_timing("query", -1)
        monitor.increment("orders", -1)

    assert told(monitor) == ""
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 3


@pytest.mark.parametrize("value", ["x", None, [], math.nan, -math.inf, object(), 10**400])
def test_no_value_raises_where_something_is_measured(monitor: PerformanceMonitor, value: Any) -> None:
    """It may come from a database, or from a client."""
    monitor.increment("orders", value)
    monitor.set_gauge("level", value)
    monitor.record_timing("query", value)
    monitor.track_request(method="GET", endpoint="/", duration=value, status_code=200)
    monitor.track_request(method="GET", endpoint="/", duration=1, status_code=value)

    assert told(monitor) == ""


def test_a_part_of_an_event_is_none(monitor: PerformanceMonitor) -> None:
    """Half an order is not counted as no order."""
    monitor.increment("orders", 1.5)  # type: ignore[arg-type]
    monitor.increment("orders", 2.0)  # type: ignore[arg-type]

    assert told(monitor).endswith("orders_total 2\n")


def test_any_number_is_one(monitor: PerformanceMonitor) -> None:
    """Also that of another type, and a status as text."""
    monitor.set_gauge("level", Decimal("1.5"))  # type: ignore[arg-type]
    monitor.track_request(method="get", endpoint="/", duration=Decimal("0.5"), status_code="200")  # type: ignore[arg-type]

    assert "level 1.5\n" in told(monitor)
    assert monitor.get_metrics_summary()["requests"]["count"] == 1


def test_names_without_end_are_cut(monitor: PerformanceMonitor, caplog: pytest.LogCaptureFixture) -> None:
    """A program that makes them up fills neither the memory nor the aggregate."""
    for number in range(MAX_CUSTOM + 50):
        monitor.increment(f"metric_{number}")

    assert len(monitor.names()) == MAX_CUSTOM
    assert caplog.records


def test_values_without_end_are_cut() -> None:
    """They are counted as overflow, and remembered no longer."""
    monitor = PerformanceMonitor(Aggregate(max_series=10))
    for number in range(10_000):
        monitor.increment("orders", attributes={"shop": number})

    assert len(monitor._series) <= 4_096
    assert 'orders_total{otel_metric_overflow="true"} 9990\n' in told(monitor)


def test_the_ready_one_counts_where_everything_does() -> None:
    """In the aggregate of the process."""
    assert performance_monitor.aggregate is aggregate_of_process()
    assert isinstance(performance_monitor, PerformanceMonitor)


@pytest.mark.parametrize("retention", [0, -1, 100_001, 1.5, "many"])
def test_retention_is_a_number(retention: object) -> None:
    """From 1 to 100,000."""
    with pytest.raises(ConfigError, match="retention"):
        PerformanceMonitor(Aggregate(), retention=retention)  # type: ignore[arg-type]


def test_a_name_that_cannot_be_is_said_before_the_block(monitor: PerformanceMonitor) -> None:
    """At its end, it would stand in place of what the block has raised, or returned."""
    monitor.increment("orders")

    for name in ("bad name", "orders"):
        with pytest.raises(ValueError, match=name):
            PerformanceTracker(monitor, name)


def test_a_generator_is_measured_as_long_as_it_runs(monitor: PerformanceMonitor) -> None:
    """Not its making, which takes no time; async or not, and what it raises is named."""
    times = iter(range(100))
    tracker = PerformanceTracker(monitor, "rows", now=lambda: float(next(times)))

    @tracker
    def rows() -> Iterator[int]:
        yield from (next(times), next(times))

    @tracker
    async def later() -> AsyncIterator[int]:
        yield next(times)

    @tracker
    def broken() -> Iterator[int]:
        yield 1
        raise LookupError

    async def read() -> list[int]:
        return [item async for item in later()]

    assert list(rows()) == [1, 2]
    assert anyio.run(read) == [5]
    with pytest.raises(LookupError):
        list(broken())
    assert [(one.value, dict(one.attributes)) for one in monitor.measurements("rows")] == [
        (3.0, {}),
        (2.0, {}),
        (1.0, {"error.type": "LookupError"}),
    ]


def test_equal_values_that_are_not_the_same_are_told_apart(monitor: PerformanceMonitor) -> None:
    """To Python 1, 1.0 and True are one key."""
    for value in (1, True, 1.0):
        monitor.increment("jobs", attributes={"kind": value})

    assert sorted(point.values for point in monitor.aggregate.snapshot()) == [("1",), ("1.0",), ("True",)]


def test_more_metrics_than_there_may_be_fail_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Several monitors count in one aggregate, which has its own bound."""
    aggregate = Aggregate()
    for one in range(3):
        monitor = PerformanceMonitor(aggregate)
        for number in range(150):
            monitor.increment(f"m{one}_{number}")

    assert len(aggregate.snapshot()) == MAX_METRICS
    assert "is not measured: there are more than 256 metrics" in caplog.text


def test_a_count_that_leaves_the_integers_fails_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In shared memory a counter has 63 bits."""
    aggregate = SharedAggregate(tmp_path / "cells")
    monitor = PerformanceMonitor(aggregate)
    for _ in range(1_100):
        monitor.increment("bytes", 2**53)
    aggregate.close()

    assert "bytes is not measured: all of it together is out of its bounds" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_waits_for_no_lock_of_its_parent(monitor: PerformanceMonitor) -> None:
    """A thread that it does not have may hold one."""
    monitor.increment("a")
    says, hears = os.pipe()
    with monitor._lock, monitor.aggregate.pressure._lock:
        child = os.fork()
        if not child:
            signal.alarm(10)
            monitor.increment("b")
            monitor.aggregate.pressure.note("policy", "key")
            os.write(hears, b"done")
            os._exit(0)
    os.waitpid(child, 0)
    os.close(hears)
    assert os.read(says, 9) == b"done"
    os.close(says)
