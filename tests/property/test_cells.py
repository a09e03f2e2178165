"""The aggregate against plain dictionaries, and the laws of adding snapshots up and subtracting them."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.monitor import dead
from asgi_guard.monitor.cells import Aggregate, Point, Snapshot
from asgi_guard.monitor.metric import HTTP_DURATION_BOUNDS, Kind, Metric

HITS = Metric("hits", "{hit}", "Hits.", Kind.COUNTER, ("place",))
OPEN = Metric("open", "{request}", "Open.", Kind.UP_DOWN, ("place",))
TIME = Metric("time", "s", "Time.", Kind.HISTOGRAM, ("place",), HTTP_DURATION_BOUNDS, is_exponential=True)
SIZE = Metric("size", "By", "Size.", Kind.HISTOGRAM, ("place",), (1.0, 10.0, 100.0))
METRICS = (HITS, OPEN, TIME, SIZE)

places = st.sampled_from(["", "a", "b", "ä", "x" * 300, "d", "e"])
events = st.lists(st.tuples(st.sampled_from(METRICS), places, st.integers(0, 10**12)), max_size=60)
hits_only = st.lists(st.tuples(st.sampled_from([HITS, TIME, SIZE]), places, st.integers(0, 10**12)), max_size=60)
bounds = st.integers(1, 12)


def count(aggregate: Aggregate, happened: list[tuple[Metric, str, int]]) -> None:
    """Let an aggregate count what happened."""
    for metric, place, amount in happened:
        series = aggregate.series(metric, place)
        if metric.kind is Kind.HISTOGRAM:
            series.record(amount)
        else:
            series.add(amount)


def taken(happened: list[tuple[Metric, str, int]]) -> Snapshot:
    """Count in an aggregate of its own, and read it off."""
    aggregate = Aggregate()
    count(aggregate, happened)
    return aggregate.snapshot()


def told(snapshot: Snapshot) -> dict[object, object]:
    """Say what a snapshot tells, whatever the order."""
    return {
        point.key: (point.number, point.counts, point.total, dict(point.exponential))
        for point in snapshot
        if point.number or point.count
    }


@given(events, bounds)
def test_an_aggregate_is_a_dictionary_with_a_bound(happened, max_series: int) -> None:
    """Every number is that of a plain model, in which the first keys have a place and the others share one."""
    aggregate = Aggregate(max_series=max_series)
    count(aggregate, happened)

    keys: set[tuple[str, str]] = set()
    amounts: defaultdict[object, list[int]] = defaultdict(list)
    for metric, place, amount in happened:
        key = (metric.name, place[:256])
        if key not in keys and len(keys) < max_series:
            keys.add(key)
        amounts[(*key, False) if key in keys else (metric.name, "", True)].append(amount)

    found = {(point.metric.name, *point.values, point.is_overflow): point for point in aggregate.snapshot()}
    assert found.keys() == amounts.keys()
    for key, recorded in amounts.items():
        point = found[key]
        if point.metric.kind is not Kind.HISTOGRAM:
            assert point.number == sum(recorded)
            continue
        edges = [round(bound * point.metric.per_unit) for bound in point.metric.bounds]
        buckets = Counter(bisect_left(edges, amount) for amount in recorded)
        assert point.counts == tuple(buckets[place] for place in range(len(edges) + 1))
        assert point.total == sum(recorded)
        assert sum(point.exponential.values()) == (len(recorded) if point.metric.is_exponential else 0)


@given(events, events, events)
def test_adding_up_is_as_if_one_had_counted_all(first, second, third) -> None:
    """In whatever order, and however they are put together."""
    one, two, three = taken(first), taken(second), taken(third)
    whole = told(taken([*first, *second, *third]))

    assert told(one.merged(two, three)) == whole
    assert told(three.merged(one).merged(two)) == whole
    assert told(one.merged(two.merged(three))) == whole


@given(events)
def test_nothing_added_changes_nothing(happened) -> None:
    """The empty snapshot is neutral on either side."""
    snapshot = taken(happened)

    assert told(snapshot.merged(Snapshot(()))) == told(Snapshot(()).merged(snapshot)) == told(snapshot)


@given(hits_only, hits_only)
def test_subtracting_leaves_what_was_counted_since(before, after) -> None:
    """And to add it to what was there before gives what there is now."""
    aggregate = Aggregate()
    count(aggregate, before)
    earlier = aggregate.snapshot()
    count(aggregate, after)
    later = aggregate.snapshot()

    window = later.since(earlier)

    assert told(window) == told(taken(after))
    assert told(earlier.merged(window)) == told(later)
    assert told(later.since(later)) == {}


@given(events, events)
def test_a_level_is_not_subtracted(before, after) -> None:
    """How many are open is what it is, whenever one began to look."""
    aggregate = Aggregate()
    count(aggregate, before)
    earlier = aggregate.snapshot()
    count(aggregate, after)
    later = aggregate.snapshot()

    levels = {point.key: point.number for point in later if point.metric is OPEN}

    assert {point.key: point.number for point in later.since(earlier) if point.metric is OPEN} == levels


@given(hits_only, hits_only)
def test_a_series_that_began_anew_is_taken_whole(before, after) -> None:
    """A counter that is lower than it was belongs to another process: nothing is ever negative."""
    window = taken(after).since(taken(before))

    assert all(point.number >= 0 and min(point.counts, default=0) >= 0 for point in window)
    assert all(count > 0 for point in window for count in point.exponential.values())


@given(events, bounds)
def test_bounding_loses_nothing(happened, max_series: int) -> None:
    """What is beyond the bound is in the overflow of its metric."""
    snapshot = taken(happened)
    bounded = snapshot.bounded(max_series)

    def sums(points: Snapshot) -> Counter[str]:
        total: Counter[str] = Counter()
        for point in points:
            total[point.metric.name] += point.count + point.total + int(point.number)
        return total

    assert sums(bounded) == sums(snapshot)
    assert sum(not point.is_overflow for point in bounded) <= max_series
    assert told(bounded.bounded(max_series)) == told(bounded)


@given(events, st.sets(st.text(max_size=5), max_size=3))
def test_the_sum_of_the_dead_is_read_as_it_was_written(happened, names) -> None:
    """Every number and every name."""
    snapshot = taken(happened)
    read = dead.understood(dead.written(snapshot, names))

    assert told(read.snapshot) == told(snapshot)
    assert read.folded == names
    assert told(read.plain) == told(snapshot.without_exponential())


@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_a_sum_that_is_none_is_an_error_of_a_known_kind(text) -> None:
    """Whoever reads it expects these and no others."""
    data = text if isinstance(text, bytes) else json.dumps({"version": 1, "metrics": json.loads(text)}).encode()
    try:
        read = dead.understood(data)
    except (ValueError, LookupError, TypeError):
        return
    assert isinstance(read.snapshot, Snapshot)


def test_of_a_gauge_the_last_one_stands() -> None:
    """Two workers' load is not their sum."""
    load = Metric("load", "1", "", Kind.GAUGE)

    (point,) = Snapshot([Point(load, (), 0.25)]).merged(Snapshot([Point(load, (), 0.5)]))

    assert point.number == 0.5


def test_of_two_descriptions_the_first_one_counts() -> None:
    """Two versions of a program may stand side by side; their buckets cannot be added up."""
    other = Metric("time", "s", "Time.", Kind.HISTOGRAM, ("place",), (1.0,))
    mine, theirs = taken([(TIME, "a", 1)]), Aggregate()
    theirs.series(other, "a").record(1)

    assert told(mine.merged(theirs.snapshot())) == told(mine)
