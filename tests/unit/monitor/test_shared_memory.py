"""Several workers, one aggregate: exact over kills at any moment, in a folder that nobody else can touch.

The workers here are real processes. A test waits until they have said that they are done, and kills them.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.monitor import cell_file
from asgi_guard.monitor.metric import HTTP_DURATION_BOUNDS, Kind, Metric
from asgi_guard.monitor.shared_memory import SharedAggregate
from asgi_guard.monitor.snapshot import Snapshot

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="needs the locks of a POSIX system"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),  # a test runner may have threads
]

HITS = Metric("hits", "{hit}", "Hits.", Kind.COUNTER, ("place",))
OPEN = Metric("open", "{request}", "Open.", Kind.UP_DOWN)
TIME = Metric("time", "s", "Time.", Kind.HISTOGRAM, ("route",), HTTP_DURATION_BOUNDS, is_exponential=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Name a folder that is not there yet."""
    return tmp_path / "cells"


@pytest.fixture
def aggregate(folder: Path) -> Iterator[SharedAggregate]:
    """Make this process a worker."""
    made = SharedAggregate(folder)
    yield made
    made.close()


class Worker:
    """A forked process that does one thing, says so, and waits to be killed."""

    def __init__(self, work: Callable[[], object]) -> None:
        says, hears = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                work()
                os.write(hears, b".")
                signal.pause()
            finally:
                os._exit(1)
        os.close(hears)
        self.has_worked = os.read(says, 1) == b"."
        os.close(says)

    def kill(self) -> None:
        """End it without a word."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def died(work: Callable[[], object]) -> None:
    """Let a worker work, and kill it."""
    worker = Worker(work)
    worker.kill()
    assert worker.has_worked


def number(snapshot: Snapshot, name: str = "hits") -> float:
    """Add up the series of a metric: numbers, or counts of a histogram."""
    return sum(point.number + point.count for point in snapshot if point.metric.name == name)


def workers_in(folder: Path) -> int:
    """Count the files of workers."""
    return len([*folder.glob("worker-*")])


def test_anyone_tells_of_all(aggregate: SharedAggregate, folder: Path) -> None:
    """A forked worker begins at 0 in a file of its own, with the handles that it was forked with."""
    hits, times = aggregate.series(HITS, "a"), aggregate.series(TIME, "/")
    hits.add(5)

    def work() -> None:
        hits.add(100)
        aggregate.series(OPEN).add(3)
        for milliseconds in range(1, 101):
            times.record(milliseconds * 1_000_000, (1, 2))
        assert number(aggregate.snapshot()) == 100
        assert number(aggregate.merged()) == 105

    worker = Worker(work)
    alive = aggregate.merged()
    worker.kill()

    (time,) = (point for point in alive if point.metric.name == "time")
    assert worker.has_worked
    assert number(aggregate.snapshot()) == 5
    assert (number(alive), number(alive, "open"), time.count, sum(time.exponential.values())) == (105, 3, 100, 100)
    assert time.quantile(0.5) == pytest.approx(0.05, rel=0.011)
    assert time.exemplar is not None
    assert number(aggregate.merged(with_exponential=False)) == 105


def test_counts_outlive_their_workers_and_levels_do_not(aggregate: SharedAggregate, folder: Path) -> None:
    """What is open in a killed process is closed; its file is folded into the sum, once, and removed."""

    def work() -> None:
        aggregate.series(HITS, "a").add(7)
        aggregate.series(TIME, "/").record(1_000_000)
        aggregate.series(OPEN).add(3)

    for killed in range(1, 5):
        died(work)
        for _ in range(3):
            merged = aggregate.merged()
            assert (number(merged), number(merged, "time"), number(merged, "open")) == (7 * killed, killed, 0)
        assert workers_in(folder) == 1
    assert sum(sum(point.exponential.values()) for point in aggregate.merged()) == 4


def test_the_files_of_the_dead_are_folded_by_the_next_worker(folder: Path) -> None:
    """Also where nobody ever asks for the numbers, workers that come and go leave no heap of files."""

    def work() -> None:
        SharedAggregate(folder).series(HITS, "a").add()

    for _ in range(5):
        died(work)
    assert workers_in(folder) == 1

    late = SharedAggregate(folder)

    assert (number(late.snapshot()), number(late.merged())) == (0, 5)
    late.close()


def test_whoever_closes_leaves_its_numbers(aggregate: SharedAggregate, folder: Path) -> None:
    """And counts on in its own memory, without harm."""
    other = SharedAggregate(folder)
    hits = other.series(HITS, "a")
    hits.add(3)
    other.close()
    hits.add(4)

    assert number(aggregate.merged()) == 3
    assert number(other.snapshot()) == 4
    assert workers_in(folder) == 1


def test_a_parent_that_was_killed_is_dead_while_its_child_lives(aggregate: SharedAggregate) -> None:
    """The child keeps nothing of its parent's file open: what was open in the parent is closed."""
    says, hears = os.pipe()

    def work() -> None:
        aggregate.series(OPEN).add(3)
        aggregate.series(HITS, "a").add(1)
        if not os.fork():
            aggregate.series(OPEN).add(5)
            os.write(hears, os.getpid().to_bytes(8))
            signal.pause()

    parent = Worker(work)
    child = int.from_bytes(os.read(says, 8))
    before = aggregate.merged()
    parent.kill()
    after = aggregate.merged()
    os.kill(child, signal.SIGKILL)

    assert [number(before, "open"), number(after, "open")] == [8, 5]
    assert [number(before), number(after)] == [1, 1]


def test_half_a_record_is_read_when_it_is_whole(aggregate: SharedAggregate, folder: Path) -> None:
    """A link may be seen before what it leads to; what comes before it counts, and the rest comes later."""
    aggregate.series(HITS, "a").add(2)
    slots = aggregate._slots
    at = slots._used + 2 + 1  # after the head of a record; its text begins with a bracket
    aggregate.series(HITS, "b").add(3)
    (path,) = folder.glob("worker-*")
    reader = cell_file.CellFile(os.open(path, os.O_RDONLY))

    text, slots.cells[at] = slots.cells[at], 0
    assert number(reader.read()) == 2
    slots.cells[at] = text
    assert [number(reader.read()), number(reader.read())] == [5, 5]
    reader.close()


@pytest.mark.long
def test_three_workers_are_killed_again_and_again(aggregate: SharedAggregate, folder: Path) -> None:
    """Three processes count while a fourth reads; one of them is killed in each round, at any moment.

    Each writes down what it is about to count before it counts it, and after it has: the total lies in between, and
    never goes back.
    """
    draw = random.Random(7)
    done, told = 0.0, 0.0
    for _ in range(12):
        pipes = []
        for _ in range(3):
            says, hears = os.pipe()
            pid = os.fork()
            if not pid:
                series = aggregate.series(HITS, "a")
                while True:
                    series.add()
                    os.write(hears, b".")
            os.close(hears)
            pipes.append((pid, says))
        said = [len(os.read(says, draw.randrange(1, 60))) for _, says in pipes]
        seen = number(aggregate.merged())
        assert seen >= max(told, done + sum(said))
        for place, (pid, says) in enumerate(pipes):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            while rest := os.read(says, 65_536):
                said[place] += len(rest)
            os.close(says)
            assert number(aggregate.merged()) >= seen
        told = number(aggregate.merged())
        assert done + sum(said) <= told <= done + sum(said) + 3  # each may have died between counting and saying so
        done = told
    assert workers_in(folder) == 1


STEPS = ("open", "rename", "unlink", "close", "pread", "listdir", "stat")


@pytest.mark.long
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_any_step_of_folding_changes_no_number(aggregate: SharedAggregate, folder: Path, step: str) -> None:
    """Whoever folds is killed before each call of the system in turn: nothing is lost, and nothing counted twice."""
    crashes = 0
    while True:
        died(lambda: aggregate.series(HITS, "a").add(10))
        has_crashed = _folds_and_crashes(folder, step, crashes)
        assert [number(aggregate.merged()) for _ in range(2)] == [10 * (crashes + 1)] * 2
        assert workers_in(folder) == 1
        if not has_crashed:
            break
        crashes += 1
    assert crashes
    assert [*folder.glob("new-worker-*")] == []


def _folds_and_crashes(folder: Path, step: str, crash_at: int) -> bool:
    """Fold in another process, which is killed when it is about to take a step; return whether it was."""
    pid = os.fork()
    if not pid:
        reader = SharedAggregate.__new__(SharedAggregate)
        real, calls = getattr(os, step), [0]

        def crashing(*args, **kwargs):
            calls[0] += 1
            if calls[0] > crash_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        setattr(os, step, crashing)
        try:
            reader.__init__(folder)
            reader.merged()
        finally:
            os._exit(0)
    return bool(os.waitpid(pid, 0)[1])


def test_two_who_fold_at_once_do_not_count_twice(aggregate: SharedAggregate, folder: Path) -> None:
    """While one of them holds the lock, the other reads the files of the dead, and goes on."""
    died(lambda: aggregate.series(HITS, "a").add(10))

    with aggregate._folder.locked("lock") as is_mine:
        assert is_mine
        assert number(aggregate.merged()) == 10
        assert workers_in(folder) == 2

    assert [number(aggregate.merged()), number(aggregate.merged())] == [10, 10]
    assert workers_in(folder) == 1


def test_a_reader_begins_again_when_the_sum_was_replaced(aggregate: SharedAggregate, folder: Path, monkeypatch) -> None:
    """Another worker folds between the reading of the sum and that of the files: nothing is missed."""
    died(lambda: aggregate.series(HITS, "a").add(10))
    other = SharedAggregate.__new__(SharedAggregate)
    names, has_folded = aggregate._folder.names, []

    def folded_meanwhile() -> list[str]:
        if not has_folded:
            has_folded.append(True)
            other.__init__(folder)
        return names()

    monkeypatch.setattr(aggregate._folder, "names", folded_meanwhile)

    assert number(aggregate.merged()) == 10
    assert has_folded
    other.close()


def test_the_sum_is_bounded(folder: Path) -> None:
    """Workers that each have other series do not make it grow; what has no place is in the overflow."""
    own = SharedAggregate(folder, max_series=5)

    def work() -> None:
        for place in range(5):
            own.series(HITS, f"{os.getpid()}-{place}").add()

    for _ in range(4):
        died(work)

    assert number(own.merged()) == 20  # and folds
    assert number(own.merged()) == 20
    assert sum(not point.is_overflow for point in own.merged()) == 5
    own.close()


BROKEN = {
    "empty": lambda good: b"",
    "foreign": lambda good: b"hello world" * 100,
    "cut": lambda good: good[:1_000],
    "of another layout": lambda good: good[: 8 * 32] + b"\xff" + good[8 * 32 + 1 :],
    "in use beyond its end": lambda good: good[: 8 * 34] + b"\xff" * 7 + b"\x7f" + good[8 * 35 :],
    "with a record beyond its end": lambda good: good[: 8 * 35] + b"\xff" * 7 + b"\x7f" + good[8 * 36 :],
    "with a record before it": lambda good: good[: 8 * 35] + b"\x01" + b"\0" * 7 + good[8 * 36 :],
}


@pytest.mark.parametrize("harm", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_left_out_and_said_once(
    aggregate: SharedAggregate, folder: Path, harm, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are told; it is never an error, and never a signal."""
    aggregate.series(HITS, "a").add(2)
    (good,) = folder.glob("worker-*")
    (folder / "worker-1-broken").write_bytes(harm(good.read_bytes()))

    with caplog.at_level(logging.WARNING):
        assert [number(aggregate.merged()) for _ in range(3)] == [2, 2, 2]

    assert [record.getMessage() for record in caplog.records] == ["worker-1-broken is broken; this is said once"]
    assert (folder / "worker-1-broken").exists()


def test_noise_is_never_more_than_a_broken_file(aggregate: SharedAggregate, folder: Path) -> None:
    """Any byte of a good file may be wrong: what is read is numbers, or nothing."""
    aggregate.series(HITS, "a").add(2)
    aggregate.series(TIME, "/").record(1_000_000)
    (good,) = folder.glob("worker-*")
    data = good.read_bytes()
    used = int.from_bytes(data[8 * 34 : 8 * 35], sys.byteorder)
    draw = random.Random(11)
    for _ in range(300):
        noisy = bytearray(data[: 8 * used])
        for _ in range(draw.randrange(1, 4)):
            noisy[draw.randrange(8 * 32, len(noisy))] = draw.randrange(256)
        noisy_file = folder / "noisy"
        noisy_file.write_bytes(noisy)
        os.truncate(noisy_file, len(data))
        descriptor = os.open(noisy_file, os.O_RDONLY)
        file = cell_file.CellFile(descriptor)
        with suppress(*cell_file.BROKEN):
            assert isinstance(file.read(), Snapshot)
        file.close()


def odd_sum(**odd: object) -> bytes:
    """Write a sum of one histogram in which something is not as it should be."""
    row = {"values": ["/a"], "number": 0, "counts": [1] + [0] * 14, "total": 10, "exponential": [], "overflow": False}
    row |= odd
    told = {"version": 1, "folded": [], "metrics": [TIME.told()], "points": [["time", *row.values()]]}
    return json.dumps(told).encode()


ODD = [
    odd_sum(values=[]),
    odd_sum(values=[7]),
    odd_sum(values=["/a", "/b"]),
    odd_sum(counts=[1]),
    odd_sum(counts=["1"] + [0] * 14),
    odd_sum(total=None),
    odd_sum(total=10**400),
    odd_sum(number="7"),
    odd_sum(number=1.5),
    odd_sum(exponential=[["a", 1]]),
    odd_sum(exponential=7),
]


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"version": 2}', b'{"version": 1, "folded": 7}', b"[" * 10_000, *ODD]
)
def test_a_broken_sum_is_left_out_and_replaced(aggregate: SharedAggregate, folder: Path, text: bytes, caplog) -> None:
    """What was in it is lost, and that is said; the next fold writes a good one."""
    (folder / "dead.json").write_bytes(text)
    aggregate.series(HITS, "a").add(2)
    with caplog.at_level(logging.WARNING):
        assert number(aggregate.merged()) == 2
    assert "dead.json is broken" in caplog.text

    died(lambda: aggregate.series(HITS, "a").add(10))

    assert [number(aggregate.merged()), number(aggregate.merged())] == [12, 12]


def make_link(path: Path, good: Path) -> None:
    """Plant a link to a good file of somebody else."""
    path.symlink_to(good)


def make_pipe(path: Path, good: Path) -> None:
    """Plant what never ends."""
    os.mkfifo(path)


def make_directory(path: Path, good: Path) -> None:
    """Plant a directory."""
    path.mkdir()


@pytest.mark.parametrize("plant", [make_link, make_pipe, make_directory])
def test_what_is_no_plain_file_is_not_read(aggregate: SharedAggregate, folder: Path, tmp_path: Path, plant) -> None:
    """A link is not followed, and a pipe is not waited for."""
    aggregate.series(HITS, "a").add(2)
    (good,) = folder.glob("worker-*")
    copy = tmp_path / "copy"
    copy.write_bytes(good.read_bytes())
    plant(folder / "worker-1-planted", copy)

    assert number(aggregate.merged()) == 2


def open_to_others(path: Path) -> None:
    """Let the group in."""
    path.mkdir(mode=0o700)
    path.chmod(0o770)


def link_to_another(path: Path) -> None:
    """Lead to a private folder that is meant for something else."""
    (path.parent / "mine").mkdir(mode=0o700)
    path.symlink_to(path.parent / "mine")


def plain_file(path: Path) -> None:
    """Put a file in its place."""
    path.touch(mode=0o600)


def under_nothing(path: Path) -> None:
    """Remove what it should be in."""
    path.parent.rmdir()


@pytest.mark.parametrize("prepare", [open_to_others, link_to_another, plain_file, under_nothing])
def test_a_folder_that_is_not_private_is_refused(tmp_path: Path, prepare) -> None:
    """Whoever could write there could write the numbers."""
    path = tmp_path / "above" / "cells"
    path.parent.mkdir()
    prepare(path)

    with pytest.raises(ConfigError, match=r"AG851 SharedAggregate\.folder must be a directory of this user"):
        SharedAggregate(path)


def test_a_folder_of_another_user_is_refused(folder: Path, monkeypatch) -> None:
    """Even where it is closed to others."""
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)

    with pytest.raises(ConfigError, match="AG851"):
        SharedAggregate(folder)


def test_a_system_without_such_locks_is_refused(folder: Path, monkeypatch) -> None:
    """At construction, and in words."""
    monkeypatch.setattr(sys, "platform", "win32")

    with pytest.raises(ConfigError, match=r"AG850 SharedAggregate\.folder needs the locks of a POSIX system"):
        SharedAggregate(folder)


def test_folder_and_files_are_made_for_this_user_alone(aggregate: SharedAggregate, folder: Path) -> None:
    """Whatever the mask of the process."""
    died(lambda: aggregate.series(HITS, "a").add())
    aggregate.merged()

    assert {path.name.split("-")[0]: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())} == {
        "cells": 0o700,
        "dead.json": 0o600,
        "lock": 0o600,
        "secret": 0o600,
        "worker": 0o600,
    }


def test_a_full_disk_fails_nobody(folder: Path, monkeypatch, caplog: pytest.LogCaptureFixture) -> None:
    """What has a place in the file goes on; new series are counted in this process, and told by it."""
    own = SharedAggregate(folder)
    old = own.series(TIME, "/old")
    old.record(1_000_000)

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    own._slots._reserved = own._slots._used
    monkeypatch.setattr(os, "pwrite", full)
    with caplog.at_level(logging.WARNING):
        for nanoseconds in (1_000_000, 1_000_000_000):
            old.record(nanoseconds)
            own.series(TIME, "/new").record(nanoseconds)

    assert {point.values[0]: point.count for point in own.merged()} == {"/old": 3, "/new": 2}
    assert caplog.text.count("there is no more place in the folder") == 1
    own.close()


def test_a_worker_that_cannot_have_a_file_counts_alone(aggregate: SharedAggregate, monkeypatch) -> None:
    """A fork on a full disk is a worker like any other."""
    hits = aggregate.series(HITS, "a")

    def work() -> None:
        hits.add(3)
        assert number(aggregate.snapshot()) == 3

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    died(work)
    monkeypatch.undo()

    assert number(aggregate.merged()) == 0


def test_a_fork_while_somebody_folds_leaves_the_lock(aggregate: SharedAggregate, folder: Path) -> None:
    """The child does not keep what a thread of its parent holds: folding would never happen again."""
    with aggregate._folder.locked("lock"):
        worker = Worker(lambda: aggregate.series(HITS, "a").add())

    with aggregate._folder.locked("lock") as is_mine:
        assert is_mine
    worker.kill()


def test_a_disk_that_takes_only_a_part_is_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Storing into what is missing would be a fatal signal: the series is counted in this process."""
    shared = SharedAggregate(folder)
    shared.series(HITS, "first").add()
    written = os.pwrite
    monkeypatch.setattr(cell_file.os, "pwrite", lambda where, data, at: written(where, data[: len(data) // 2], at))

    for number in range(2_000):
        shared.series(TIME, str(number)).record(10)

    assert sum(sum(point.counts) for point in shared.snapshot() if point.metric == TIME) == 2_000
    shared.close()


def test_a_sum_that_is_no_file_is_left_out(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever has put it there."""
    folder.mkdir(mode=0o700)
    (folder / "dead.json").mkdir()

    shared = SharedAggregate(folder)
    shared.series(HITS, "a").add(2)

    assert number(shared.merged()) == 2
    assert "dead.json is broken" in caplog.text
    shared.close()


@pytest.mark.parametrize("added", ["a series", "a page"])
def test_what_is_added_while_it_is_read_makes_nobody_vanish(
    folder: Path, monkeypatch: pytest.MonkeyPatch, added: str
) -> None:
    """A worker is read in two steps: what it links to in between is newer, and the rest still counts."""
    worker, reader = SharedAggregate(folder), SharedAggregate(folder)
    slow = worker.series(TIME, "/a")
    slow.record(10)
    worker.series(HITS, "a").add(1_000_000)
    assert number(reader.merged()) == 1_000_000
    read = os.pread

    def meanwhile(descriptor: int, size: int, at: int) -> bytes:
        data = read(descriptor, size, at) if at or size < 1_000 else None
        if data is None:  # between the head and the rest
            monkeypatch.setattr(cell_file.os, "pread", read)
            if added == "a series":
                worker.series(HITS, "b").add()
            else:
                slow.record(10**12)
            data = read(descriptor, size, at)
        return data

    monkeypatch.setattr(cell_file.os, "pread", meanwhile)
    first, second = reader.merged(), reader.merged()

    counted = [{point.values: point.number for point in read if point.metric == HITS} for read in (first, second)]
    assert [seen["a",] for seen in counted] == [1_000_000] * 2
    assert counted[1].get(("b",)) == (1 if added == "a series" else None)
    worker.close()
    reader.close()


@pytest.mark.parametrize(
    ("later", "counted"),
    [
        (Metric("hits", "{hit}", "In other words.", Kind.COUNTER, ("place",)), 12),
        (Metric("hits", "{hit}", "Hits.", Kind.COUNTER, ("place", "time")), 10),
    ],
    ids=["in other words", "of other attributes"],
)
def test_an_upgrade_loses_no_new_count(folder: Path, later: Metric, counted: int) -> None:
    """What dead workers of an older version have counted is added where that is possible; else the living tell."""
    older = SharedAggregate(folder)
    died(lambda: older.series(HITS, "a").add(2))
    number(older.merged())
    older.close()

    newer = SharedAggregate(folder)
    values = ("a", "b")[: len(later.attributes)]
    newer.series(later, *values).add(4)
    died(lambda: newer.series(later, *values).add(6))

    assert [number(newer.merged()), number(newer.merged())] == [counted, counted]
    newer.close()


def test_a_start_that_fails_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a file nor a descriptor: the disk may be full for long."""
    opened = Path("/proc/self/fd")
    before = len([*opened.iterdir()]) if opened.is_dir() else 0

    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(cell_file.os, "ftruncate", full)
    for _ in range(3):
        with pytest.raises(ConfigError):
            SharedAggregate(folder)

    assert [path.name for path in folder.iterdir() if path.name != "lock"] == []
    assert len([*opened.iterdir()] if opened.is_dir() else []) == before


def test_a_folder_may_be_opened_later(folder: Path) -> None:
    """By the process that serves: until then nothing touches the disk, and what was counted goes along."""
    shared = SharedAggregate(folder, opens=False)
    hits, time = shared.series(HITS, "a"), shared.series(TIME, "/a")
    hits.add(3)
    assert (number(shared.merged()), folder.exists()) == (3, False)

    shared.open()
    shared.open()
    hits.add()
    time.record(10)

    other = SharedAggregate(folder)
    assert number(other.merged()) == 4
    assert sum(sum(point.counts) for point in other.merged() if point.metric == TIME) == 1
    other.close()
    shared.close()
