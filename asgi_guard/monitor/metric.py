"""Metric: what is measured, described once, and known to everything that counts or tells.

Standard: the OpenTelemetry metrics data model; names and attribute names are OpenTelemetry's, units are UCUM's. What
each output calls it is derived there. Must never hold a number: the same description serves every process.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

HTTP_DURATION_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The bounds that the HTTP semantic conventions recommend for durations, in seconds."""

MAX_ATTRIBUTES: Final = 16
"""The attributes that a metric may have."""

MAX_BOUNDS: Final = 64
"""The bounds that a histogram may have."""

_NANOSECONDS: Final = 1_000_000_000


class Kind(Enum):
    """How the numbers of a metric behave."""

    COUNTER = "counter"
    """Only grows, until its process ends."""
    UP_DOWN = "up_down"
    """Grows and shrinks, and can be added up over processes; that of a dead process is nothing."""
    GAUGE = "gauge"
    """Is read off when somebody asks."""
    HISTOGRAM = "histogram"
    """Single values, sorted into buckets."""


@dataclass(frozen=True, slots=True)
class Metric:
    """The description of a metric.

    Attributes:
        name: its name, with dots.
        unit: its unit; `s` for durations, which are recorded in nanoseconds.
        description: one sentence for a person.
        kind: how its numbers behave.
        attributes: the names of its attributes, at most 16.
        bounds: the upper bounds of a histogram's buckets, in the unit, increasing, 1 to 64.
        is_exponential: also sort durations into base-2 buckets, for percentiles.

    Raises:
        ValueError: the description contradicts itself, or is beyond a bound.
    """

    name: str
    unit: str
    description: str
    kind: Kind
    attributes: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    is_exponential: bool = False

    def __post_init__(self) -> None:
        if (self.kind is Kind.HISTOGRAM) != bool(self.bounds):
            raise ValueError(f"{self.name}: a histogram has bounds, and nothing else has")
        if self.is_exponential and self.unit != "s":
            raise ValueError(f"{self.name}: only durations have base-2 buckets")
        if len(self.bounds) > MAX_BOUNDS or len(self.attributes) > MAX_ATTRIBUTES:
            raise ValueError(f"{self.name}: at most {MAX_BOUNDS} bounds and {MAX_ATTRIBUTES} attributes")
        if not all(map(math.isfinite, self.bounds)) or any(low >= high for low, high in pairwise(self.bounds)):
            raise ValueError(f"{self.name}: bounds must be finite, and increase")

    def agrees(self, other: Metric) -> bool:
        """Tell whether numbers of both can be added up: they may be told in other words."""
        return self is other or self._without_words() == other._without_words()

    def _without_words(self) -> tuple[object, ...]:
        return self.name, self.unit, self.kind, self.attributes, self.bounds, self.is_exponential

    @property
    def per_unit(self) -> int:
        """How many of what a histogram records make one of the unit: durations are recorded in nanoseconds."""
        return _NANOSECONDS if self.unit == "s" else 1

    def told(self) -> tuple[object, ...]:
        """Describe it in what JSON knows; see `understood`."""
        return (
            self.name,
            self.unit,
            self.description,
            self.kind.value,
            self.attributes,
            self.bounds,
            self.is_exponential,
        )


def understood(told: Any) -> Metric:
    """Read a description that was written down: one object for each, however often it is read.

    Raises:
        ValueError, TypeError: it is none.
    """
    name, unit, description, kind, attributes, bounds, is_exponential = told
    names, ends = tuple(map(str, attributes)), tuple(map(float, bounds))
    return the_one(Metric(str(name), str(unit), str(description), Kind(kind), names, ends, bool(is_exponential)))


@lru_cache(maxsize=1_024)
def the_one(metric: Metric) -> Metric:
    """Return the first of all descriptions that say the same: a scrape need not compare what is one object."""
    return metric
