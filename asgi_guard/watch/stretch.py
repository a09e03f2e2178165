"""Stretch: what happened in a stretch of time, small enough to keep a hundred of them.

Every stretch is the difference of two snapshots. Durations are kept by route, whatever their status and version, each
with its base-2 buckets packed into bytes; stretches add up to longer ones without any loss.
Must never be changed once it is made: several windows add up the same ones, in several threads.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, NamedTuple, TypeAlias

from asgi_guard.monitor.buckets import exponential_quantile
from asgi_guard.monitor.metric import Kind
from asgi_guard.monitor.snapshot import Point, Snapshot

HTTP: Final = "http.server.request.duration"
"""The metric whose series are put together by method and route."""

_REQUESTS: Final = frozenset({HTTP, "asgi_guard.tracked_request.duration"})
"""What is told as requests: also those that the application has measured itself."""

_LEFT: Final = "client_disconnect"
_NANOSECONDS: Final = 1e9

Name: TypeAlias = tuple[str, tuple[str, ...]]
"""A series: the name of its metric, and the values; of HTTP the method and the route."""

Counts: TypeAlias = Mapping[Name, float]


class Figures(NamedTuple):
    """Durations of one kind.

    Attributes:
        number: how many.
        errors: those that ended with a status from 500 on, or in an exception. A client that leaves is none.
        failures: those that were answered with a status of 400 to 499.
        total_ns: their sum in nanoseconds.
        packed: how many are in which base-2 bucket.
    """

    number: int = 0
    errors: int = 0
    failures: int = 0
    total_ns: int = 0
    packed: bytes = b""

    @property
    def buckets(self) -> dict[int, int]:
        """How many are in each base-2 bucket, by index."""
        flat = array("q", self.packed)
        return dict(zip(flat[::2], flat[1::2], strict=True))

    @property
    def mean_seconds(self) -> float | None:
        """The mean."""
        return self.total_ns / self.number / _NANOSECONDS if self.number else None

    def quantiles(self, *shares: float) -> list[float | None]:
        """Estimate quantiles within 1.1 %, in seconds; None where there is nothing."""
        buckets = self.buckets
        return [exponential_quantile(buckets, share) for share in shares]


NOTHING: Final = Figures()


def added(figures: Iterable[Figures]) -> Figures:
    """Add up durations of several routes, or of several stretches."""
    found = [*figures]
    if len(found) == 1:
        return found[0]
    number = errors = failures = total = 0
    buckets: Counter[int] = Counter()
    for one in found:
        number += one.number
        errors += one.errors
        failures += one.failures
        total += one.total_ns
        buckets.update(one.buckets)
    return Figures(number, errors, failures, total, _packed(buckets))


def _packed(buckets: Mapping[int, int]) -> bytes:
    return array("q", chain.from_iterable(sorted(buckets.items()))).tobytes()


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happened in a stretch of time.

    Attributes:
        seconds: how long it was.
        durations: by kind; what has not happened is not there.
        counts: by how much each counter has grown.
        requests: all requests together.
    """

    seconds: float = 0
    durations: Mapping[Name, Figures] = field(default_factory=dict[Name, Figures])
    counts: Counts = field(default_factory=dict[Name, float])
    requests: Figures = NOTHING

    def counted(self, metric: str) -> dict[tuple[str, ...], float]:
        """Return by how much the series of one counter have grown, by their values."""
        return {values: count for (name, values), count in self.counts.items() if name == metric}

    def routes(self) -> dict[tuple[str, ...], Figures]:
        """Return the requests by method and route."""
        return {values: figures for (name, values), figures in self.durations.items() if name == HTTP}


def between(earlier: Snapshot, later: Snapshot, seconds: float) -> Stretch:
    """Tell what happened between two snapshots of one aggregate."""
    durations: dict[Name, list[Figures]] = {}
    counts: dict[Name, float] = {}
    for point in later.since(earlier):
        if point.metric.kind is Kind.COUNTER and point.number:
            counts[point.metric.name, _values(point)] = point.value
        elif point.metric.is_exponential and point.count:
            durations.setdefault(_kind(point), []).append(_figures(point))
    found = {name: added(figures) for name, figures in durations.items()}
    return Stretch(seconds, found, counts, added([one for name, one in found.items() if name[0] == HTTP]))


def put_together(stretches: Iterable[Stretch]) -> Stretch:
    """Make one long stretch of several."""
    found = [*stretches]
    durations: dict[Name, list[Figures]] = {}
    counts: Counter[Name] = Counter()
    for stretch in found:
        for name, figures in stretch.durations.items():
            durations.setdefault(name, []).append(figures)
        for name, count in stretch.counts.items():
            counts[name] += count  # type: ignore[assignment]
    return Stretch(
        sum([stretch.seconds for stretch in found]),
        {name: added(figures) for name, figures in durations.items()},
        counts,
        added([stretch.requests for stretch in found]),
    )


def _values(point: Point) -> tuple[str, ...]:
    return ("",) * len(point.values) if point.is_overflow else point.values


def _kind(point: Point) -> Name:
    """Put the requests of one route together; what found no place among the series is one kind."""
    if point.metric.name not in _REQUESTS:
        return point.metric.name, _values(point)
    attributes = point.attributes
    return HTTP, (str(attributes.get("http.request.method", "")), str(attributes.get("http.route", "")))


def _figures(point: Point) -> Figures:
    count, attributes = point.count, point.attributes
    status = str(attributes.get("http.response.status_code", ""))
    is_error = status >= "500" or (not status and attributes.get("error.type", _LEFT) != _LEFT)
    is_failure = "400" <= status < "500"
    return Figures(count, count * is_error, count * is_failure, point.total, _packed(point.exponential))
