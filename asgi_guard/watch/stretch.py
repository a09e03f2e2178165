"""Stretch: what happened in a stretch of time, small enough to keep a hundred of them.

Every stretch is the difference of two snapshots. Durations are kept by route, whatever their status and version, each
with its base-2 buckets packed into one integer; stretches add up to longer ones without any loss.
Must never be changed once it is made: several windows add up the same ones, in several threads.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import accumulate
from operator import sub
from typing import Final, NamedTuple, TypeAlias

from asgi_guard.monitor.buckets import PAGE
from asgi_guard.monitor.metric import Kind
from asgi_guard.monitor.snapshot import Key, Point, Snapshot
from asgi_guard.telemetry.semconv import LEFT_REQUEST_DURATION, REQUEST_DURATION
from asgi_guard.watch.names import TRACKED_REQUEST

SERVED: Final = frozenset({REQUEST_DURATION.name, LEFT_REQUEST_DURATION.name})
"""The requests that have come in, whoever tells their durations."""

_REQUESTS: Final = SERVED | {TRACKED_REQUEST.name}
"""What is told as requests, put together by method and route: also those that the application has measured itself."""

_LEFT: Final = "client_disconnect"
_NANOSECONDS: Final = 1e9
_BITS: Final = 32
"""Of one bucket in `Figures.packed`: an hour of a million requests a second in one of them has 32."""

Values: TypeAlias = tuple[str, ...]
Name: TypeAlias = tuple[str, Values]
"""A series: the name of its metric, and the values."""


class Figures(NamedTuple):
    """Durations of one kind.

    Attributes:
        number: how many.
        errors: those that ended with a status from 500 on, or in an exception. A client that leaves is none.
        failures: those that were answered with a status of 400 to 499.
        total_ns: their sum in nanoseconds.
        first: the index of the first base-2 bucket that any is in.
        packed: how many are in that bucket and in each after it, 32 bits each, the lowest first: two of these are
            added by one addition.
    """

    number: int = 0
    errors: int = 0
    failures: int = 0
    total_ns: int = 0
    first: int = 0
    packed: int = 0

    @property
    def mean_seconds(self) -> float | None:
        """The mean."""
        return self.total_ns / self.number / _NANOSECONDS if self.number else None

    def _counts(self) -> array[int]:
        counts = array("I")
        counts.frombytes(self.packed.to_bytes(-(-self.packed.bit_length() // _BITS) * 4, "little"))
        return counts

    def quantiles(self, *shares: float) -> list[float | None]:
        """Estimate quantiles within 1.1 %, in seconds; None where there is nothing."""
        if not self.packed:
            return [None] * len(shares)
        seen = list(accumulate(self._counts()))
        ranks = [max(1, math.ceil(share * seen[-1])) for share in shares]
        return [math.exp2((self.first + bisect_left(seen, rank) + 0.5) / PAGE) for rank in ranks]

    @property
    def timed(self) -> int:
        """How many are in base-2 buckets: all, or none where those were not read."""
        return sum(self._counts()) if self.packed else 0

    def above(self, seconds: float) -> int:
        """Count those that took longer, within 2.2 %."""
        place = math.ceil(math.log2(seconds) * PAGE) - self.first
        return sum(self._counts()[max(0, place) :])


NOTHING: Final = Figures()


def added(figures: Iterable[Figures]) -> Figures:
    """Add up durations of several routes, or of several stretches."""
    found = [one for one in figures if one.number]
    if len(found) < 2:
        return found[0] if found else NOTHING
    number, errors, failures, total, firsts, packed = zip(*found, strict=True)
    first = min([one for one, counts in zip(firsts, packed, strict=True) if counts], default=0)
    counts = [counts << _BITS * (one - first) for one, counts in zip(firsts, packed, strict=True) if counts]
    return Figures(sum(number), sum(errors), sum(failures), sum(total), first, sum(counts))


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happened in a stretch of time.

    Attributes:
        seconds: how long it was.
        requests: all requests together.
        served: those of them that reached the application: not what was answered with a status of 400 to 499 before a
            route was found, as all refusals are, and what nobody knows. A flood of those hides nothing here.
        routes: the requests by method and route; a route of which there were none is not there.
        durations: other durations, by series.
        counts: by how much each counter has grown.
    """

    seconds: float = 0
    requests: Figures = NOTHING
    served: Figures = NOTHING
    routes: Mapping[Values, Figures] = field(default_factory=dict[Values, Figures])
    durations: Mapping[Name, Figures] = field(default_factory=dict[Name, Figures])
    counts: Mapping[Name, float] = field(default_factory=dict[Name, float])

    def counted(self, metric: str) -> dict[Values, float]:
        """Return by how much the series of one counter have grown, by their values."""
        return {values: count for (name, values), count in self.counts.items() if name == metric}


def between(earlier: Snapshot, later: Snapshot, seconds: float) -> Stretch:
    """Tell what happened between two snapshots of one aggregate; without base-2 buckets there are no quantiles."""
    before = _known_before(earlier, later)
    routes: dict[Values, list[Figures]] = {}
    served: list[Figures] = []
    durations: dict[Name, Figures] = {}
    counts: dict[Name, float] = {}
    for key, point in later.items():
        metric = point.metric
        if metric.kind is Kind.COUNTER:
            grown = _grown(point, before.get(key))
            if grown:
                counts[metric.name, _values(point)] = grown / metric.per_unit if metric.per_unit > 1 else grown
        elif metric.is_exponential:
            figures = _figures(point, before.get(key))
            if not figures.number:
                continue
            if metric.name in _REQUESTS:
                route = _route(point)
                routes.setdefault(route, []).append(figures)
                if route[1] or not figures.failures:
                    served.append(figures)
            else:
                durations[metric.name, _values(point)] = figures
    found = {route: added(figures) for route, figures in routes.items()}
    return Stretch(seconds, added(found.values()), added(served), found, durations, counts)


def _known_before(earlier: Snapshot, later: Snapshot) -> dict[Key, Point]:
    """Return what was known before, by its key; what has gone into an overflow since is known as a part of that.

    A sum of the dead that is full takes the series of the next that dies as overflow: they were counted before.
    """
    now = {key for key, _ in later.items()}
    if all(key in now for key, _ in earlier.items()):
        return dict(earlier.items())
    overflowing = {key[0] for key in now if key[2]}
    return dict(
        Snapshot(())
        .merged(
            *[
                Snapshot([_beyond(point) if _is_gone(key, now, overflowing) else point])
                for key, point in earlier.items()
            ]
        )
        .items()
    )


def _is_gone(key: Key, now: AbstractSet[Key], overflowing: AbstractSet[str]) -> bool:
    return key not in now and key[0] in overflowing


def _beyond(point: Point) -> Point:
    return replace(point, values=("",) * len(point.values), is_overflow=True)


def put_together(stretches: Iterable[Stretch], *, with_routes: bool = True) -> Stretch:
    """Make one long stretch of several.

    Args:
        stretches: in any order.
        with_routes: whether the routes are told apart: they are what takes time.
    """
    found = [*stretches]
    durations: dict[Name, list[Figures]] = {}
    routes: dict[Values, list[Figures]] = {}
    counts: Counter[Name] = Counter()
    for stretch in found:
        for name, figures in stretch.durations.items():
            durations.setdefault(name, []).append(figures)
        for route, figures in stretch.routes.items() if with_routes else ():
            routes.setdefault(route, []).append(figures)
        for name, count in stretch.counts.items():
            counts[name] += count  # type: ignore[assignment]
    return Stretch(
        sum([stretch.seconds for stretch in found]),
        added([stretch.requests for stretch in found]),
        added([stretch.served for stretch in found]),
        {route: added(figures) for route, figures in routes.items()},
        {name: added(figures) for name, figures in durations.items()},
        counts,
    )


def _grown(now: Point, before: Point | None) -> float:
    """Return by how much a counter has grown; where it has less than it had, something was lost, and nothing is new.

    Counters of all workers together never go back but where a file of them is lost. What the others have counted long
    ago is still in it: to take that for new would be thousands of requests that never came.
    """
    return now.number if before is None else max(now.number - before.number, 0)


def _values(point: Point) -> Values:
    return ("",) * len(point.values) if point.is_overflow else point.values


def _route(point: Point) -> Values:
    """Name the route; what found no place among the series is one."""
    attributes = point.attributes
    return str(attributes.get("http.request.method", "")), str(attributes.get("http.route", ""))


def _figures(now: Point, before: Point | None) -> Figures:
    counts, total, buckets = now.counts, now.total, now.exponential
    if before is not None:
        if counts == before.counts:
            return NOTHING
        counts = tuple(map(sub, counts, before.counts))
        if min(counts) < 0:  # as for counters
            return NOTHING
        total -= before.total
        buckets = {index: count - before.exponential.get(index, 0) for index, count in buckets.items()}
    number, attributes = sum(counts), now.attributes
    status = str(attributes.get("http.response.status_code", ""))
    is_error = status >= "500" or (not status and attributes.get("error.type", _LEFT) != _LEFT)
    is_failure = "400" <= status < "500"
    return Figures(number, number * is_error, number * is_failure, total, *_packed(buckets))


def _packed(buckets: Mapping[int, int]) -> tuple[int, int]:
    """Return the first of the buckets that are not empty, and them all."""
    filled = [index for index, count in buckets.items() if count > 0]
    if not filled:
        return 0, 0
    first = min(filled)
    counts = array("I", bytes(4 * (max(filled) - first + 1)))
    for index in filled:
        counts[index - first] = min(buckets[index], (1 << _BITS) - 1)
    return first, int.from_bytes(counts.tobytes(), "little")
