"""Of several workers that share a folder one speaks for all; what they tell each other, and gauges that they set."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.metric import Kind, Metric
from asgi_guard.monitor.shared_memory import SharedAggregate
from asgi_guard.monitor.snapshot import Snapshot

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs the locks of a POSIX system"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]

LEVEL = Metric("level", "{value}", "Level.", Kind.GAUGE, ("place",))
HITS = Metric("hits", "{hit}", "Hits.", Kind.COUNTER)
BURNT = Metric("burnt", "s", "CPU time.", Kind.COUNTER)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Name a folder that is not there yet."""
    return tmp_path / "cells"


@pytest.fixture
def shared(folder: Path) -> Iterator[Callable[[], SharedAggregate]]:
    """Make workers, as several processes do; the locks of one process are as much apart as those of two."""
    made: list[SharedAggregate] = []

    def make() -> SharedAggregate:
        made.append(SharedAggregate(folder))
        return made[-1]

    yield make
    for one in made:
        one.close()


def level(snapshot: Snapshot, place: str = "a") -> float:
    """Read the gauge."""
    (point,) = [point for point in snapshot if point.metric.name == "level" and point.values == (place,)]
    return point.value


@pytest.mark.parametrize("value", [0, 17.5, -3, 1e300, -1e-300, 2**62])
def test_a_gauge_is_what_it_was_set_to(value: float, shared: Callable[[], SharedAggregate]) -> None:
    """In this process, and as others read it."""
    for one, other in ((Aggregate(), None), (shared(), shared())):
        one.series(LEVEL, "a").set(value)
        assert level(one.snapshot()) == value
        if other is not None:
            assert level(other.merged()) == value


def test_of_a_gauge_that_several_set_the_newest_counts(shared: Callable[[], SharedAggregate]) -> None:
    """Whichever worker it is read in."""
    one, other = shared(), shared()
    one.series(LEVEL, "a").set(1)
    other.series(LEVEL, "a").set(2)
    assert level(one.merged()) == level(other.merged()) == 2

    one.series(LEVEL, "a").set(3)
    assert level(one.merged()) == level(other.merged()) == 3


def test_a_gauge_of_a_dead_worker_is_gone(shared: Callable[[], SharedAggregate]) -> None:
    """It stands at nothing any more."""
    one, other = shared(), shared()
    other.series(LEVEL, "a").set(2)
    other.close()

    assert len([point for point in one.merged() if point.metric.name == "level"]) == 0


def test_a_gauge_goes_along_when_a_folder_is_opened(folder: Path) -> None:
    """With what it was set to before."""
    aggregate = SharedAggregate(folder, opens=False)
    series = aggregate.series(LEVEL, "a")
    series.set(4)
    aggregate.open()

    assert level(aggregate.snapshot()) == 4
    series.set(5)
    assert level(aggregate.merged()) == 5
    aggregate.close()


def test_a_gauge_is_set_and_nothing_else_is() -> None:
    """To add to it would be a counter's."""
    aggregate = Aggregate()
    with pytest.raises(TypeError, match="level is a gauge"):
        aggregate.series(LEVEL, "a").add()
    with pytest.raises(TypeError, match="hits is no gauge"):
        aggregate.series(HITS).set(1)


def test_seconds_are_exact_over_the_death_of_a_worker(shared: Callable[[], SharedAggregate]) -> None:
    """They are counted in nanoseconds."""
    one, other = shared(), shared()
    one.series(BURNT).add(1_000_000_001)
    other.series(BURNT).add(2_000_000_002)
    other.close()
    one.merged()

    assert [point.value for point in one.merged() if point.metric.name == "burnt"] == [3.000000003]


def test_one_leads_until_it_ends(shared: Callable[[], SharedAggregate]) -> None:
    """Then another does."""
    one, other = shared(), shared()

    assert one.leads()
    assert one.leads()
    assert not other.leads()
    one.close()
    assert other.leads()


def test_whoever_is_alone_leads() -> None:
    """It has nobody to hear from."""
    aggregate = Aggregate()
    aggregate.publish("x", b"1")
    aggregate.leave(b"2")

    assert aggregate.leads()
    assert aggregate.published("x") is None
    assert aggregate.left() == []
    assert [number for number, _ in aggregate.by_worker()] == [os.getpid()]


def test_a_killed_leader_is_followed_by_another(shared: Callable[[], SharedAggregate]) -> None:
    """However it died; what it was forked from does not lead for it."""
    aggregate = shared()
    says, hears = os.pipe()
    child = os.fork()
    if not child:
        os.write(hears, b"1" if aggregate.leads() else b"0")
        signal.pause()
        os._exit(0)
    assert os.read(says, 1) == b"1"
    os.close(says)
    os.close(hears)
    assert not aggregate.leads()

    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert aggregate.leads()


def test_a_child_does_not_lead_for_its_parent(shared: Callable[[], SharedAggregate]) -> None:
    """It has no hand in the lock that it was forked with: when the parent ends, the lock is free."""
    leader, other = shared(), shared()
    assert leader.leads()
    says, hears = os.pipe()
    child = os.fork()
    if not child:
        os.write(hears, b"1" if leader.leads() else b"0")
        signal.pause()
        os._exit(0)
    try:
        assert os.read(says, 1) == b"0"
        leader.close()
        assert other.leads()
    finally:
        os.close(says)
        os.close(hears)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_what_is_published_is_read_whole(shared: Callable[[], SharedAggregate]) -> None:
    """The newest; and nothing before there is any."""
    one, other = shared(), shared()
    assert other.published("summary.json") is None

    one.publish("summary.json", b"x" * 100_000)
    one.publish("summary.json", b"y" * 10)

    assert other.published("summary.json") == b"y" * 10


def test_what_a_worker_has_left_is_read_as_long_as_it_lives(
    shared: Callable[[], SharedAggregate], folder: Path
) -> None:
    """And is removed with it."""
    one, other, third = shared(), shared(), shared()
    other.leave(b"old")
    other.leave(b"new")
    third.leave(b"more")
    one.by_worker()
    assert sorted(one.left()) == [b"more", b"new"]

    other.close()
    one.merged()
    one.by_worker()
    assert one.left() == [b"more"]
    assert len([*folder.glob("left-*")]) == 1


def test_each_worker_is_told_apart(shared: Callable[[], SharedAggregate]) -> None:
    """By its number, this one first, and the dead not at all."""
    one, other, third = shared(), shared(), shared()
    for number, worker in enumerate((one, other, third), 1):
        worker.series(HITS).add(number)
    third.close()

    found = one.by_worker()

    assert [number for number, _ in found] == [os.getpid()] * 2
    assert [[point.number for point in snapshot] for _, snapshot in found] == [[1], [2]]


def test_all_hash_alike(shared: Callable[[], SharedAggregate], folder: Path) -> None:
    """So that what they refuse can be added up; nobody else can read the secret."""
    one, other = shared(), shared()
    one.pressure.note("api", "a")
    other.pressure.note("api", "a")

    assert one.pressure.top() == other.pressure.top()
    assert (folder / "secret").stat().st_mode & 0o777 == 0o600
    assert Aggregate().pressure.secret != one.pressure.secret


def test_workers_that_start_at_once_hash_with_the_same_secret(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that comes second finds what the first has made up in the meantime; nothing of its own is left behind."""
    first = SharedAggregate(folder)
    (folder / "secret").unlink()
    link = os.link

    def at_once(*arguments: Any, **named: Any) -> None:
        monkeypatch.setattr(os, "link", link)
        first.pressure.secret = first._common_secret()
        link(*arguments, **named)

    monkeypatch.setattr(os, "link", at_once)
    second = SharedAggregate(folder)

    assert first.pressure.secret == second.pressure.secret
    assert not list(folder.glob("new-secret*"))


def test_a_folder_that_is_not_open_is_nobodys(folder: Path) -> None:
    """Until somebody serves."""
    aggregate = SharedAggregate(folder, opens=False)
    aggregate.publish("x", b"1")
    aggregate.leave(b"1")

    assert aggregate.leads()
    assert aggregate.published("x") is None
    assert aggregate.left() == []
    assert len(aggregate.by_worker()) == 1
