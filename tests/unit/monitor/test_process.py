"""The aggregate of a process: one for all that counts in it, in a folder once somebody names one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.monitor import process
from asgi_guard.monitor.metric import HTTP_DURATION_BOUNDS, Kind, Metric
from asgi_guard.monitor.process import aggregate_of_process, default_folder, share
from asgi_guard.monitor.shared_memory import SharedAggregate

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs the locks of a POSIX system")

HITS = Metric("hits", "{hit}", "Hits.", Kind.COUNTER, ("place",))
OPEN = Metric("open", "{request}", "Open.", Kind.UP_DOWN)
TIME = Metric("time", "s", "Time.", Kind.HISTOGRAM, (), HTTP_DURATION_BOUNDS)


@pytest.fixture(autouse=True)
def _a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin as a process in which nothing has counted, and let go of the folder at the end."""
    monkeypatch.setattr(process, "_aggregate", None)
    monkeypatch.setattr(process, "_folder", None)
    yield
    if isinstance(found := aggregate_of_process(), SharedAggregate):
        found.close()


def numbers() -> dict[tuple[str, ...], float]:
    """Return what was counted, by the metric and the values of its attributes."""
    return {(point.metric.name, *point.values): point.number for point in aggregate_of_process().snapshot()}


def test_there_is_one() -> None:
    """Whoever asks gets the same."""
    assert aggregate_of_process() is aggregate_of_process()


def test_once_a_folder_is_named_all_count_there(tmp_path: Path) -> None:
    """Handles that were taken before go on with what they have counted."""
    hits, opened = aggregate_of_process().series(HITS, "shop"), aggregate_of_process().series(OPEN)
    hits.add(3)
    opened.add(2)

    shared = share(tmp_path / "cells")
    hits.add()
    opened.add(-1)

    assert aggregate_of_process() is shared
    assert numbers() == {("hits", "shop"): 4, ("open",): 1}
    assert shared.series(HITS, "shop") is hits
    other = SharedAggregate(tmp_path / "cells")
    assert {point.number for point in other.merged()} == {4, 1}
    other.close()


def test_durations_begin_anew_in_the_folder(tmp_path: Path) -> None:
    """A handle of a histogram stays good; it is shared before requests come."""
    series = aggregate_of_process().series(TIME)
    series.record(10)

    share(tmp_path / "cells")
    series.record(10)

    assert [sum(point.counts) for point in aggregate_of_process().snapshot()] == [1]


def test_the_overflow_and_what_is_asked_for_go_along(tmp_path: Path) -> None:
    """Nothing that is counted or shown is left behind."""
    process._aggregate = type(aggregate_of_process())(max_series=1)
    gauge = Metric("heat", "Cel", "Heat.", Kind.GAUGE)
    for place in ("a", "b", "c"):
        aggregate_of_process().series(HITS, place).add()
    aggregate_of_process().observe(gauge, lambda: [((), 21.5)])

    share(tmp_path / "cells")

    assert sorted((point.values, point.number, point.is_overflow) for point in aggregate_of_process().snapshot()) == [
        ((), 21.5, False),
        (("",), 2, True),
        (("a",), 1, False),
    ]


def test_the_same_folder_may_be_named_again(tmp_path: Path) -> None:
    """Also in other words."""
    shared = share(tmp_path / "cells")

    assert share(str(tmp_path / "cells")) is shared


def test_another_folder_is_refused(tmp_path: Path) -> None:
    """Half of a process would count where nobody looks."""
    share(tmp_path / "cells")

    with pytest.raises(ConfigError) as caught:
        share(tmp_path / "others")

    (problem,) = caught.value.problems
    assert (problem.id, problem.field) == ("AG853", "shared_dir")
    assert str(tmp_path / "cells") in problem.rule


def test_the_default_folder_is_that_of_the_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of one server find one another, and those of two servers never do."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))

    share()

    assert list(tmp_path.iterdir()) == [default_folder(os.getppid())]
    assert default_folder(os.getppid()) != default_folder(os.getpid())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process has started")
def test_folders_of_parents_that_are_gone_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They do not gather; a number that was given to another process is another parent."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    gone = [
        tmp_path / f"asgi_guard-{os.getuid()}-{child.pid}-12345",
        tmp_path / f"asgi_guard-{os.getuid()}-{os.getpid()}-1",
    ]
    kept = [default_folder(os.getpid()), tmp_path / f"asgi_guard-{os.getuid()}-mine", tmp_path / "asgi_guard-x-1-1"]
    for folder in [*gone, *kept]:
        folder.mkdir()

    share()

    assert set(tmp_path.iterdir()) == {*kept, default_folder(os.getppid())}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells when a process has started")
def test_a_folder_in_which_somebody_counts_is_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parent is gone, or in another container: its workers go on, and would lose sight of one another."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    folder = tmp_path / f"asgi_guard-{os.getuid()}-{os.getpid()}-1"
    orphans = SharedAggregate(folder)
    orphans.series(HITS, "here").add()

    share()

    assert [point.number for point in SharedAggregate(folder).merged()] == [1]
