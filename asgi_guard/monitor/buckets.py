"""Buckets: base-2 exponential ones, as OpenTelemetry's ExponentialHistogram and Prometheus' native histograms have them.

Scale 5: each bucket ends 2.2 % above where it begins, so that the middle of one is at most 1.1 % off. They merge exactly.
Must never have more than a fixed number of them: whatever is shorter or longer falls into the first or the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log2
from typing import Final

SCALE: Final = 5
PER_OCTAVE: Final = 1 << SCALE
FIRST: Final = -20 * PER_OCTAVE
"""The index of the first bucket, which ends just above a microsecond, where the unit is a second."""

SIZE: Final = 30 * PER_OCTAVE
"""How many there are: the last one ends at 1,024 seconds."""

LAST: Final = FIRST + SIZE - 1


def index_of(value: float) -> int:
    """Return the index of the bucket of a value: that whose bounds are below it, and at or above it."""
    if value <= 0.0:
        return FIRST
    return min(max(ceil(log2(value) * PER_OCTAVE) - 1, FIRST), LAST)


def upper_bound(index: int) -> float:
    """Return where a bucket ends."""
    return float(2.0 ** ((index + 1) / PER_OCTAVE))


def quantile(counts: Mapping[int, int], q: float) -> float | None:
    """Return the value below which a share of all lies, at most 1.1 % off within the range; None where there is none.

    Args:
        counts: how many are in each bucket, by index.
        q: the share, 0 to 1.
    """
    total = sum(counts.values())
    if not total:
        return None
    rank = max(ceil(q * total), 1)
    seen = 0
    for index in sorted(counts):
        seen += counts[index]
        if seen >= rank:
            break
    # The geometric middle: off by the same factor whichever end the value stands at.
    return float(2.0 ** ((index + 0.5) / PER_OCTAVE))
