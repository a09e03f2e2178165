"""Rows: how a series lies in a row of integers, and how it is read off.

A counter is one integer, and a gauge is two: the bits of its number, and when it was set. A histogram is its sum, its
buckets, its exemplar, and for each octave the address of a page of base-2 buckets: a page is taken when the first
duration falls into it, since those of one route are of a few octaves.
Must never trust what it reads: the row may be in a file that another process writes, or has left half written.
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from asgi_guard.monitor.buckets import FIRST_INDEX, PAGE, PAGES
from asgi_guard.monitor.metric import Kind, Metric
from asgi_guard.monitor.snapshot import Exemplar, Point

if TYPE_CHECKING:
    Cells: TypeAlias = list[int] | memoryview[int]

EXEMPLAR: Final = 5
"""The integers of an exemplar."""

MOST: Final = 2**63 - 1
"""Where a sum stays: 292 years of nanoseconds, which ten thousand idle connections reach in ten days."""

_NO_PAGES: Final[Mapping[int, int]] = MappingProxyType({})
_SIGN: Final = 1 << 63
_ALL: Final = (1 << 64) - 1
_NUMBER: Final = Struct("d")
_INTEGER: Final = Struct("q")


def width_of(metric: Metric) -> int:
    """Return how many integers a series of a metric takes, besides its pages."""
    if metric.kind is Kind.GAUGE:
        return 2
    if metric.kind is not Kind.HISTOGRAM:
        return 1
    return len(metric.bounds) + 2 + EXEMPLAR + PAGES * metric.is_exponential


def point_at(
    cells: Cells,
    at: int,
    metric: Metric,
    values: tuple[str, ...],
    is_overflow: bool,
    *,
    exponential: bool = True,
    newest: int = 0,
) -> Point:
    """Read a series off its integers; pages from their end up to `newest` were taken since they were read.

    Raises:
        ValueError: they are not where they should be.
    """
    if metric.kind is Kind.GAUGE:
        return Point(metric, values, number_of(cells[at]), (), 0, _NO_PAGES, None, is_overflow, cells[at + 1])
    if metric.kind is not Kind.HISTOGRAM:
        return Point(metric, values, cells[at], (), 0, _NO_PAGES, None, is_overflow)
    end = len(metric.bounds) + 2
    row = list(cells[at : at + end + EXEMPLAR])
    counts = tuple(row[1:end])
    if len(row) != end + EXEMPLAR or min(counts) < 0:
        raise ValueError("a row is broken")
    exemplar = None
    if row[end] and list(cells[at + end : at + end + EXEMPLAR]) == row[end:]:
        exemplar = _exemplar(row[end:], metric)
    pages = _pages(cells, at + end + EXEMPLAR, newest) if exponential and metric.is_exponential else _NO_PAGES
    return Point(metric, values, 0, counts, min(row[0], MOST), pages, exemplar, is_overflow)


def _pages(cells: Cells, at: int, newest: int) -> dict[int, int]:
    """Read the base-2 buckets that are not empty."""
    found: dict[int, int] = {}
    for octave, page in enumerate(cells[at : at + PAGES]):
        if page and not len(cells) <= page < newest:
            counts = list(cells[page : page + PAGE])
            if len(counts) != PAGE or min(counts) < 0:
                raise ValueError("a page is broken")
            first = FIRST_INDEX + octave * PAGE
            found.update({first + place: count for place, count in enumerate(counts) if count})
    return found


def _exemplar(cells: list[int], metric: Metric) -> Exemplar:
    at_ns, high, low, span, amount = cells
    trace_id = f"{high & _ALL:016x}{low & _ALL:016x}"
    return Exemplar(amount / metric.per_unit, trace_id, f"{span & _ALL:016x}", at_ns / 1e9)


def bits_of(number: float) -> int:
    """Write a number as the integer that has its 64 bits."""
    return int(_INTEGER.unpack(_NUMBER.pack(number))[0])


def number_of(bits: int) -> float:
    """Read the number that an integer has the bits of."""
    return float(_NUMBER.unpack(_INTEGER.pack(bits))[0])


def signed(bits: int) -> int:
    """Write the lower 64 bits as a signed integer."""
    return ((bits & _ALL) ^ _SIGN) - _SIGN
