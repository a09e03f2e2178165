"""Buckets: where a duration is sorted in, explicitly and by powers of two, and which percentiles come out.

Standard: the OpenTelemetry ExponentialHistogram at scale 5. Bucket `i` takes what is greater than `2**(i / 32)` seconds
and at most `2**((i + 1) / 32)`. The range is fixed, 30 octaves from 0.95 microseconds to 1,024 s; what is outside
counts in the first or the last bucket. Must never compare floats: the bounds are exact integers of nanoseconds, so that
a value at a power of two, or one nanosecond beside a bound, is in the bucket that the standard says.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import accumulate
from typing import Final

from asgi_guard.monitor.metric import Metric

SCALE: Final = 5
"""Of the exponential buckets: 2**5 of them to each octave, so that a quantile is within 1.1 %."""

PAGE: Final = 1 << SCALE
"""The buckets of one octave."""

PAGES: Final = 30
"""The octaves."""

FIRST_INDEX: Final = -20 * PAGE
"""The index of the first exponential bucket."""


@dataclass(frozen=True, slots=True)
class Ruler:
    """How the values of a histogram are sorted in: one search, and a look into two tables.

    Attributes:
        edges: every upper bound, explicit or exponential, as recorded, increasing.
        explicit: for each place between the edges, the explicit bucket.
        fine: for each place, the exponential bucket, counted from the first; empty where there are none.
    """

    edges: tuple[int, ...]
    explicit: bytes
    fine: tuple[int, ...]


@cache
def ruler(metric: Metric) -> Ruler:
    """Make the ruler of a histogram; there is one for each description."""
    bounds = [math.floor(Fraction(repr(bound)) * metric.per_unit) for bound in metric.bounds]
    fine_bounds = _fine_bounds() if metric.is_exponential else ()
    edges = tuple(sorted({*bounds, *fine_bounds}))
    explicit = bytes([*(bisect_left(bounds, edge) for edge in edges), len(bounds)])
    fine = (*(bisect_left(fine_bounds, edge) for edge in edges), len(fine_bounds)) if fine_bounds else ()
    return Ruler(edges, explicit, fine)


@cache
def _fine_bounds() -> tuple[int, ...]:
    """Give the upper bounds of all exponential buckets but the last, in whole nanoseconds, rounded down.

    The 32nd root of an integer is five square roots, each of which may be rounded down on the way.
    """
    one_second = 10 ** (9 * PAGE)
    powers = range(FIRST_INDEX + 1, FIRST_INDEX + PAGES * PAGE)
    bounds = [one_second << power if power >= 0 else one_second >> -power for power in powers]
    for _ in range(SCALE):
        bounds = [*map(math.isqrt, bounds)]
    return tuple(bounds)


def exponential_quantile(buckets: Mapping[int, int], q: float) -> float | None:
    """Estimate a quantile within 1.1 %, in seconds.

    Args:
        buckets: counts by index.
        q: from 0 to 1; the smallest value that at least this share of all values does not exceed.

    Returns:
        The geometric middle of the bucket that the value is in; None where nothing was counted.
    """
    rank = max(1, math.ceil(q * sum(buckets.values())))
    seen = 0
    for index in sorted(buckets):
        seen += buckets[index]
        if seen >= rank:
            return math.exp2((index + 0.5) / PAGE)
    return None


def explicit_quantile(bounds: Sequence[float], counts: Sequence[int], q: float) -> float | None:
    """Estimate a quantile as Prometheus does: evenly within its bucket, and never beyond the last bound.

    Args:
        bounds: the upper bounds of all buckets but the last.
        counts: one more than there are bounds.
        q: from 0 to 1.
    """
    seen = [*accumulate(counts)]
    if not any(seen):
        return None
    rank = max(1.0, q * seen[-1])
    bucket = bisect_left(seen, rank)
    if bucket == len(bounds):
        return bounds[-1]
    low = bounds[bucket - 1] if bucket else min(0.0, bounds[0])
    share = (rank - seen[bucket] + counts[bucket]) / counts[bucket]
    return low + (bounds[bucket] - low) * share
