"""The aggregate: handles, bounds, gauges, exemplars, threads."""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction
from operator import attrgetter

import pytest

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.monitor.cells import MAX_METRICS, Aggregate, Exemplar, Point, Series
from asgi_guard.monitor.metric import HTTP_DURATION_BOUNDS, Kind, Metric, understood
from asgi_guard.monitor.rows import MOST
from asgi_guard.telemetry.prometheus import render

HITS = Metric("hits", "{hit}", "Hits.", Kind.COUNTER, ("kind", "place"))
OPEN = Metric("open", "{request}", "Open.", Kind.UP_DOWN)
LOAD = Metric("load", "1", "Load.", Kind.GAUGE, ("cpu",))
TIME = Metric("time", "s", "Time.", Kind.HISTOGRAM, ("route",), HTTP_DURATION_BOUNDS, is_exponential=True)
SIZE = Metric("size", "By", "Size.", Kind.HISTOGRAM, (), (1.0, 10.0))


class FixedClock:
    """Says what it is told to."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def time(self) -> float:
        return self.now

    def monotonic_ns(self) -> int:
        return 0


def points(aggregate: Aggregate) -> dict[object, Point]:
    """Read an aggregate off."""
    return {(point.metric.name, *point.values, point.is_overflow): point for point in aggregate.snapshot()}


def test_a_handle_is_found_once_and_counts_for_ever() -> None:
    """Whoever asks again for the same values gets the same handle."""
    aggregate = Aggregate()
    series = aggregate.series(HITS, "a", "b")

    series.add()
    series.add(41)

    assert aggregate.series(HITS, "a", "b") is series
    assert aggregate.series(HITS, "a", "c") is not series
    assert points(aggregate)["hits", "a", "b", False].number == 42


def test_a_number_goes_up_and_down() -> None:
    """Below zero too, where it ends before it began."""
    series = Aggregate().series(OPEN)
    series.add(2)
    series.add(-3)

    assert series.read().number == -1


def test_beyond_the_bound_a_metric_has_one_series_for_the_rest() -> None:
    """Over all metrics together; what was there before counts on, and each metric has its own rest."""
    aggregate = Aggregate(max_series=2)
    first = aggregate.series(HITS, "a", "")
    aggregate.series(TIME, "/")
    for number in range(1_000):
        aggregate.series(HITS, "b", str(number)).add()
        aggregate.series(TIME, f"/{number}").record(1)
    first.add()

    found = points(aggregate)

    assert len(found) == 4
    assert found["hits", "a", "", False].number == 1
    assert found["hits", "", "", True].number == 1_000
    assert found["hits", "", "", True].attributes == {"otel.metric.overflow": True}
    assert found["time", "", True].count == 1_000


def test_values_are_cut_to_their_bound() -> None:
    """Two that are alike so far are one series, and half a character is written as a question mark."""
    aggregate = Aggregate()
    aggregate.series(TIME, "x" * 256 + "a").record(1)
    aggregate.series(TIME, "x" * 256 + "b").record(1)
    aggregate.series(TIME, "\udc80").record(1)

    assert sorted((point.values, point.count) for point in aggregate.snapshot()) == [(("?",), 1), (("x" * 256,), 2)]


def test_an_empty_value_is_no_attribute() -> None:
    """An attribute that a series does not have is not told."""
    assert Aggregate().series(HITS, "a", "").read().attributes == {"kind": "a"}


@pytest.mark.parametrize("values", [(), ("a",), ("a", "b", "c")])
def test_each_attribute_has_a_value(values) -> None:
    """A forgotten one would shift the others."""
    with pytest.raises(ValueError, match="hits has 2 attributes"):
        Aggregate().series(HITS, *values)


def test_a_name_means_one_metric() -> None:
    """A second description of it is a mistake."""
    aggregate = Aggregate()
    aggregate.series(OPEN)

    with pytest.raises(ValueError, match="another metric is called open"):
        aggregate.series(Metric("open", "{door}", "", Kind.UP_DOWN))


def test_metrics_are_bounded_too() -> None:
    """Each may have an overflow, which no bound of series holds."""
    aggregate = Aggregate()
    for number in range(MAX_METRICS):
        aggregate.series(Metric(f"m{number}", "1", "", Kind.COUNTER))

    with pytest.raises(ValueError, match="more than 256 metrics"):
        aggregate.series(Metric("one.more", "1", "", Kind.COUNTER))


@pytest.mark.parametrize("wrong", [0, -1, 100_001, 1.5, True, "2000"])
def test_a_bound_that_is_none_is_refused(wrong) -> None:
    """When it is built, not when it is full."""
    with pytest.raises(ConfigError, match=r"AG101 Aggregate\.max_series"):
        Aggregate(max_series=wrong)


def test_a_histogram_is_recorded_in_and_nothing_else_is() -> None:
    """The other way round the numbers would be nonsense."""
    aggregate = Aggregate()

    with pytest.raises(TypeError, match="open is no histogram"):
        aggregate.series(OPEN).record(1)
    for metric, values in ((TIME, ("/",)), (SIZE, ())):
        with pytest.raises(TypeError, match="is a histogram"):
            aggregate.series(metric, *values).add()


@pytest.mark.parametrize(("metric", "values"), [(TIME, ("/",)), (SIZE, ())])
def test_a_sum_stays_at_its_most(metric: Metric, values: tuple[str, ...]) -> None:
    """Ten thousand idle connections reach 292 years in ten days; whoever ends one must not fail."""
    series = Aggregate().series(metric, *values)
    for _ in range(3):
        series.record(2**62)

    assert series.read().total == MOST
    assert series.read().count == 3


@pytest.mark.parametrize(("metric", "values", "per_unit"), [(TIME, ("/",), 10**9), (SIZE, (), 1)])
def test_the_newest_exemplar_is_kept(metric: Metric, values: tuple[str, ...], per_unit: int) -> None:
    """With both ids in full, also where their highest bit is set, its value and its time."""
    clock = FixedClock()
    series = Aggregate(clock=clock).series(metric, *values)
    series.record(3, (1, 1))
    clock.now += 1
    series.record(7, (0xF123456789ABCDEF_FEDCBA9876543210, 0x8000000000000001))
    series.record(9)

    told = Exemplar(7 / per_unit, "f123456789abcdeffedcba9876543210", "8000000000000001", 1_700_000_001.0)
    assert series.read().exemplar == told


def test_a_gauge_is_asked_for_when_somebody_reads() -> None:
    """Until it is ended."""
    aggregate = Aggregate()
    loads = {"0": 0.5, "1": float("nan")}
    end = aggregate.observe(LOAD, lambda: [((cpu,), load) for cpu, load in loads.items()])

    assert points(aggregate)["load", "0", False].number == 0.5
    loads["0"] = 0.75
    assert points(aggregate)["load", "0", False].number == 0.75
    end()
    end()
    assert points(aggregate) == {}


def test_a_gauge_without_end_is_cut() -> None:
    """What it hands out is bounded as series are."""

    def endless() -> Iterator[tuple[tuple[str, ...], float]]:
        number = 0
        while True:
            number += 1
            yield (str(number),), number

    aggregate = Aggregate(max_series=10)
    aggregate.observe(LOAD, endless)

    assert len(aggregate.snapshot()) == 10


def test_a_gauge_that_fails_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """The rest is told; the failure is logged once."""
    aggregate = Aggregate()
    aggregate.series(OPEN).add()
    aggregate.observe(LOAD, lambda: [(("0",), 1 / 0)])

    with caplog.at_level(logging.WARNING):
        assert [len(aggregate.snapshot()), len(aggregate.snapshot())] == [1, 1]
    assert [record.getMessage() for record in caplog.records] == ["load cannot be asked for; this is said once"]


def test_only_gauges_are_asked_for() -> None:
    """Counters of processes are added up; what one of them observes is not."""
    with pytest.raises(ValueError, match="hits is no gauge"):
        Aggregate().observe(HITS, list)


def test_threads_count_exactly_and_readers_never_see_half() -> None:
    """Four threads count in the same series, with a switch after each bytecode that allows one, while another reads."""
    aggregate = Aggregate()
    hits, times = aggregate.series(OPEN), aggregate.series(TIME, "/")
    rounds, seen = 5_000, []
    is_done = threading.Event()

    def count(nanoseconds: int) -> None:
        for _ in range(rounds):
            hits.add()
            times.record(nanoseconds)

    def read() -> None:
        while not is_done.is_set():
            point = times.read()
            seen.append((point.count, sum(point.counts)))
            aggregate.series(HITS, "a", str(len(seen)))  # the row grows meanwhile

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        reader = threading.Thread(target=read)
        counters = [threading.Thread(target=count, args=(10**power,)) for power in (4, 6, 6, 8)]
        for thread in (reader, *counters):
            thread.start()
        for thread in counters:
            thread.join()
        is_done.set()
        reader.join()
    finally:
        sys.setswitchinterval(interval)

    point = times.read()
    assert hits.read().number == point.count == sum(point.exponential.values()) == 4 * rounds
    assert point.total == rounds * (10**4 + 2 * 10**6 + 10**8)
    assert all(count == buckets for count, buckets in seen)
    assert seen == sorted(seen)


def test_what_is_counted_here_and_elsewhere_has_one_description() -> None:
    """A scrape of several workers would else compare them series by series, which takes longer than all the rest."""
    metric = Metric("own", "{hit}", "Own.", Kind.COUNTER, ("kind",))
    told = Metric("own", "{hit}", "Own.", Kind.COUNTER, ("kind",)).told()
    aggregate = Aggregate()
    aggregate.series(metric, "a").add()

    (point,) = aggregate.snapshot()
    assert point.metric is understood(told)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("held", ["_lock", "_slots.lock"])
def test_a_fork_while_a_series_is_made_leaves_the_lock(held: str) -> None:
    """Another thread held it, which the child does not have."""
    aggregate = Aggregate()
    with attrgetter(held)(aggregate):
        child = os.fork()
        if not child:
            signal.alarm(10)  # that of the system, which ends a process that waits for ever
            aggregate.series(HITS, "a", "b").add()
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


ODD = [
    ("nan", (("a",), math.nan)),
    ("infinity", (("b",), math.inf)),
    ("a bool", (("c",), True)),
    ("a fraction", (("d",), Fraction(1, 2))),
    ("a text", (("e",), "7")),
    ("none", (("e",), None)),
    ("a number beyond all floats", (("e",), 10**400)),
    ("too few attributes", ((), 1)),
    ("too many attributes", (("e", "f"), 1)),
    ("a text for attributes", ("e", 1)),
    ("a number for an attribute", ((7,), 1)),
    ("no pair", 7),
]


def test_what_was_observed_wrongly_breaks_no_scrape(caplog: pytest.LogCaptureFixture) -> None:
    """It is left out, with one complaint; every number that is one is told, in each output."""
    aggregate = Aggregate()
    for _, observed in ODD:
        aggregate.observe(LOAD, lambda observed=observed: [observed, (("good",), 1.5)])

    for _ in range(2):
        told = {point.values[0]: point.number for point in aggregate.snapshot()}
        text = render(aggregate.snapshot()).decode()

    assert math.isnan(told.pop("a"))
    assert told == {"b": math.inf, "c": 1, "d": 0.5, "good": 1.5}
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        'load_ratio{cpu="a"} NaN',
        'load_ratio{cpu="b"} +Inf',
        'load_ratio{cpu="c"} 1',
        'load_ratio{cpu="d"} 0.5',
        'load_ratio{cpu="good"} 1.5',
    ]
    assert len(caplog.records) == 1


def test_two_thousand_series_take_a_few_megabytes() -> None:
    """Each with durations over four octaves; a page is taken only where one falls."""
    aggregate = Aggregate()
    handles: list[Series] = [aggregate.series(TIME, str(number)) for number in range(2_000)]
    for series in handles:
        for power in range(20, 24):
            series.record(2**power)

    assert len(aggregate._slots.cells) * 8 < 4_000_000
