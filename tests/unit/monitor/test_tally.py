"""Tallies and standings: counts of what has a name and belongs to no guard, in the aggregate of the process."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from threading import Thread

import pytest

from asgi_guard.monitor import process, tally
from asgi_guard.monitor.metric import Kind, Metric
from asgi_guard.monitor.process import aggregate_of_process
from asgi_guard.monitor.tally import MAX_NAMES, OTHER, Standing, Tally, count, known, uncounted

CALLS = Metric("calls", "{call}", "Calls.", Kind.COUNTER, ("name", "result"))
LEVEL = Metric("level", "{thing}", "Things.", Kind.UP_DOWN, ("name", "state"))
CHANGES = Metric("changes", "{change}", "Changes.", Kind.COUNTER, ("name", "from", "to"))


@pytest.fixture(autouse=True)
def _a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin as a process in which nothing has counted."""
    monkeypatch.setattr(process, "_aggregate", None)
    monkeypatch.setattr(tally, "_names", set())
    yield
    gc.collect()


def numbers() -> dict[tuple[str, ...], float]:
    """Return what was counted, by the metric and the values of its attributes."""
    return {(point.metric.name, *point.values): point.number for point in aggregate_of_process().snapshot()}


@pytest.mark.long
def test_what_counts_nothing_makes_no_aggregate() -> None:
    """A process may make a thousand things that are never used."""
    Tally(CALLS, "payments")
    assert process._aggregate is None


@pytest.mark.long
def test_a_result_is_counted_under_the_name() -> None:
    """Also under one that was given after it was made."""
    calls = Tally(CALLS)
    calls.name = "payments"
    for _ in range(3):
        calls.succeed()
    calls.count("failure")
    calls.count("success")
    assert numbers() == {("calls", "payments", "success"): 4, ("calls", "payments", "failure"): 1}


@pytest.mark.long
def test_two_of_one_name_count_together() -> None:
    """And those that have none, too."""
    for name in ("a", "a", "", ""):
        Tally(CALLS, name).succeed()
    assert numbers() == {("calls", "a", "success"): 2, ("calls", "", "success"): 2}


@pytest.mark.long
def test_names_beyond_the_bound_share_one() -> None:
    """A program that makes a circuit for each of its users fills no memory, and takes no series from others."""
    for user in range(10_000):
        Tally(CALLS, f"user {user}").succeed()
    told = numbers()
    assert len(told) == MAX_NAMES + 1
    assert told["calls", OTHER, "success"] == 10_000 - MAX_NAMES
    assert (known("user 0"), known("somebody new"), known("")) == ("user 0", OTHER, "")


@pytest.mark.long
def test_no_name_is_lost_to_several_threads() -> None:
    """The bound holds however they meet."""
    threads = [Thread(target=lambda: [known(f"name {number}") for number in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tally._names) == MAX_NAMES


@pytest.mark.long
def test_a_rare_count_needs_no_handle() -> None:
    """It is looked up."""
    count(CHANGES, "a", "up", "down")
    count(CHANGES, "a", "up", "down")
    uncounted()
    assert numbers() == {("changes", "a", "up", "down"): 2}


@pytest.mark.long
def test_a_standing_is_one_in_one_state() -> None:
    """It goes from state to state, and is gone when its owner is."""
    state = ["closed"]
    standing = Standing(LEVEL, CHANGES, lambda: state[0], "closed", "a")
    assert numbers() == {("level", "a", "closed"): 1}
    for before, after in (("closed", "open"), ("open", "half_open"), ("half_open", "open")):
        standing.move(before, after)
        state[0] = after
    assert {key: number for key, number in numbers().items() if key[0] == "level"} == {
        ("level", "a", "closed"): 0,
        ("level", "a", "open"): 1,
        ("level", "a", "half_open"): 0,
    }
    del standing
    gc.collect()
    assert numbers()["level", "a", "open"] == 0


@pytest.mark.long
def test_who_leaves_leaves_once() -> None:
    """By itself, or when it is collected."""
    standing = Standing(LEVEL, CHANGES, lambda: "closed", "closed", "a")
    standing.leave()
    standing.leave()
    del standing
    gc.collect()
    assert numbers() == {("level", "a", "closed"): 0}
