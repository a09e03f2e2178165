"""Tally: what belongs to no guard, such as a circuit or a store, counted in the aggregate of the process.

A level begins when something is counted for the first time: what a process has made before it forks, and does not use,
is counted in its children alone.
Must never let names grow without bound: a program that makes a circuit for each of its users would fill the aggregate.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING, Final
from weakref import finalize

from asgi_guard.monitor.process import aggregate_of_process

if TYPE_CHECKING:
    from asgi_guard.monitor.cells import Series
    from asgi_guard.monitor.metric import Metric

MAX_NAMES: Final = 100
"""The names that are told apart in one process; those that come later are counted together."""

OTHER: Final = "_OTHER"
"""What the others are called, as the conventions call a method that is not known."""

_names: Final[set[str]] = set()
_lock: Final = Lock()


def known(name: str) -> str:
    """Return a name as metrics have it: itself, if it is empty or among the first 100, or `_OTHER`."""
    if name in _names or not name:
        return name
    with _lock:
        if len(_names) >= MAX_NAMES:
            return OTHER
        _names.add(name)
    return name


def count(metric: Metric, *values: str) -> None:
    """Count one more, where that is rare enough for the handle to be looked up."""
    aggregate_of_process().series(metric, *values).add()


def uncounted() -> None:
    """Count nothing: what stands in the place of a handle where there is no telemetry."""


class Tally:
    """How often something with a name has come to which result.

    Args:
        metric: a counter, whose attributes are the name and the result.
        name: as `known` takes it; it may be given later, until the first result.

    Attributes:
        name: as given.
        succeed: counts a success. It is no method: each call that goes well pays for it.
    """

    __slots__ = ("_metric", "_series", "name", "succeed")

    def __init__(self, metric: Metric, name: str = "") -> None:
        self.name: str = name
        self.succeed: Callable[[], None] = self._succeed_first
        self._metric = metric
        self._series: dict[str, Series] = {}

    def count(self, result: str) -> None:
        """Count a result."""
        self.series(result).add()

    def series(self, result: str) -> Series:
        """Return what counts a result."""
        series = self._series.get(result)
        if series is None:
            series = aggregate_of_process().series(self._metric, known(self.name), result)
            self._series[result] = series
        return series

    def _succeed_first(self) -> None:
        self.succeed = self.series("success").add
        self.succeed()


class Standing:
    """In which state something is: a level for each state, which it leaves when it is no more, and the changes.

    Args:
        level: a number that goes up and down; its last attribute is the state.
        changes: a counter; its last attributes are the state before and the one after.
        state: tells the state; it must not hold what owns this.
        first: the state in which it began: each change since has been told, or is going to be.
        names: the values of the first attributes of both.
    """

    __slots__ = ("__weakref__", "_changes", "_level", "_names", "_states", "leave")

    def __init__(self, level: Metric, changes: Metric, state: Callable[[], str], first: str, *names: str) -> None:
        self._level = level
        self._changes = changes
        self._names = names
        self._states: dict[str, Series] = {}
        self._of(first).add()
        # The collector may run in the middle of anything, also of a look-up: so nothing is looked up then.
        self.leave: Callable[[], object] = finalize(self, _leave, self._states, state)
        self.leave.atexit = False

    def move(self, before: str, after: str) -> None:
        """Go from one state to another."""
        self._of(before).add(-1)
        self._of(after).add()
        count(self._changes, *self._names, before, after)

    def _of(self, state: str) -> Series:
        series = self._states.get(state)
        if series is None:
            series = self._states[state] = aggregate_of_process().series(self._level, *self._names, state)
        return series


def _leave(states: dict[str, Series], state: Callable[[], str]) -> None:
    states[state()].add(-1)


if hasattr(os, "register_at_fork"):  # a child must not find it held by a thread that it does not have
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
