"""Dead: what processes have counted that are no more, in one file, so that theirs can go.

Must never count a process twice: the names of the files that are in the sum stand in the same file as the sum, which is
replaced as a whole. Whoever dies between writing the sum and removing those files leaves names that are skipped.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from asgi_guard.monitor.metric import Metric
from asgi_guard.monitor.metric import understood as metric_of
from asgi_guard.monitor.snapshot import Point, Snapshot

MOST_BYTES: Final = 1 << 28
"""The largest file that is read: 256 MiB."""

_VERSION: Final = 1
_MOST: Final = 1 << 80
"""Beyond any sum of numbers that processes may have counted."""


@dataclass(frozen=True)
class Dead:
    """What is known of the dead.

    Attributes:
        snapshot: what they have counted.
        folded: the names of the files that are in it and may still be there.
    """

    snapshot: Snapshot
    folded: frozenset[str]

    @cached_property
    def plain(self) -> Snapshot:
        """What they have counted, without base-2 buckets."""
        return self.snapshot.without_exponential()


NOBODY: Final = Dead(Snapshot(()), frozenset())


def written(snapshot: Snapshot, folded: Collection[str]) -> bytes:
    """Write it down; exemplars, which are of a moment, are left out."""
    metrics: dict[str, Metric] = {}
    points: list[object] = []
    for point in snapshot:
        metrics.setdefault(point.metric.name, point.metric)
        exponential = [[index, count] for index, count in point.exponential.items()]
        numbers = (point.number, point.counts, point.total, exponential)
        points.append((point.metric.name, point.values, *numbers, point.is_overflow))
    told = {
        "version": _VERSION,
        "folded": sorted(folded),
        "metrics": [metric.told() for metric in metrics.values()],
        "points": points,
    }
    return json.dumps(told).encode()


def understood(text: bytes) -> Dead:
    """Read what was written.

    Raises:
        ValueError, LookupError, TypeError, RecursionError: it is broken, or was written by another version.
    """
    told = json.loads(text)
    if told["version"] != _VERSION:
        raise ValueError("another version has written this")
    metrics = {metric.name: metric for metric in map(metric_of, told["metrics"])}
    points = [_point(metrics[point[0]], *point[1:]) for point in told["points"]]
    return Dead(Snapshot(points), frozenset(map(str, told["folded"])))


def _point(  # noqa: PLR0917  in the order in which they are written
    metric: Metric, values: Any, number: Any, counts: Any, total: Any, exponential: Any, is_overflow: Any
) -> Point:
    """Check one series: whatever else somebody has put there would fail whoever tells it."""
    buckets = dict[Any, Any](exponential)
    numbers: list[Any] = [number, total, *counts, *buckets, *buckets.values()]
    width = len(metric.bounds) + 1 if metric.bounds else 0
    if len(values) != len(metric.attributes) or len(counts) != width or {*map(type, values)} - {str}:
        raise ValueError("a series of the dead is broken")
    if {*map(type, numbers)} - {int} or any(abs(one) > _MOST for one in numbers):
        raise ValueError("a number of the dead is broken")
    return Point(metric, tuple(values), number, tuple(counts), total, buckets, None, bool(is_overflow))
