"""Metric: what is counted, under which name, and by what it is told apart (OpenTelemetry metrics data model).

Must never name an attribute whose values a client writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

HTTP_DURATION_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The buckets that the HTTP semantic conventions ask for, in seconds."""


class Kind(Enum):
    """What a number does: a COUNTER only grows, an UP_DOWN and a GAUGE go both ways, a HISTOGRAM has many."""

    COUNTER = "counter"
    UP_DOWN = "up_down"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """Something that is counted.

    Attributes:
        name: OpenTelemetry's, with dots.
        unit: by UCUM: `s`, `By`, `{request}`.
        description: a sentence for a person.
        kind: what its numbers do.
        attributes: the names by whose values its series are told apart.
        bounds: the upper bounds of the buckets of a histogram, ascending, in its unit.
        is_exponential: whether a histogram has base-2 buckets besides, for percentiles.
    """

    name: str
    unit: str
    description: str
    kind: Kind
    attributes: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    is_exponential: bool = False

    @property
    def per_unit(self) -> int:
        """How many of what is recorded make one of the unit: durations are recorded in nanoseconds."""
        return 1_000_000_000 if self.unit == "s" else 1
