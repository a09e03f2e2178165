"""Negotiate: which of the four error formats a client wants (RFC 9110 section 12.5.1).

Facts: the most specific range that matches a type gives it its weight; a weight of 0 rules it out; parameters other
than `q` do not concern types that have none. A browser names `text/html` first and `*/*` last; most API clients say
`*/*` or nothing.
Rule 1: an error is told in any case: where nothing fits, the answer is JSON, never 406.
Rule 2: `Accept` is written by the client: what is read of it, and what is remembered, is bounded, and time is linear.
"""

from __future__ import annotations

import re
from typing import Final

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
HTML: Final = "text/html"
TEXT: Final = "text/plain"

READ_BYTES: Final = 1_024
"""What is read of an `Accept` value."""

READ_RANGES: Final = 32
"""The media ranges that are read of it."""

REMEMBERED_VALUES: Final = 256
"""The `Accept` values whose choice is remembered; when they are full, all are forgotten."""

REMEMBERED_BYTES: Final = 256
"""A longer `Accept` value is not remembered."""

# For each format, by preference: the ranges that match it, from the least specific to the most specific.
_FORMATS: Final = tuple(
    (media_type, (b"*/*", media_type.partition("/")[0].encode() + b"/*", media_type.encode()))
    for media_type in (JSON, PROBLEM, HTML, TEXT)
)
# Possessive, and content with an open end: each byte is looked at once, however many quotes there are.
_QUOTED: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_WEIGHT: Final = re.compile(rb"[01]?\.[0-9]{1,9}|[01]\.?")

_remembered: dict[bytes, str] = {}


def choose(accept: bytes | None) -> str:
    """Return the media type of the format that suits a request best.

    Among types of equal weight the one that the client named more specifically wins, then JSON, problem+json, HTML and
    text in this order; so HTML is for those who prefer it, such as browsers.

    Args:
        accept: the value of the `Accept` header, its lines joined by commas; None where there is none. The first 1,024
            bytes and 32 ranges of it are read.
    """
    if not accept or accept == b"*/*":
        return JSON
    if len(accept) > REMEMBERED_BYTES:
        return _choose(accept[:READ_BYTES])
    choice = _remembered.get(accept)
    if choice is None:
        choice = _choose(accept)
        if len(_remembered) >= REMEMBERED_VALUES:
            _remembered.clear()
        _remembered[accept] = choice
    return choice


def _choose(accept: bytes) -> str:
    weights = _weights(accept)
    choice, best = JSON, (0.0, 0)
    for media_type, ranges in _FORMATS:
        for specificity in (2, 1, 0):
            weight = weights.get(ranges[specificity])
            if weight is not None:
                if weight > 0 and (weight, specificity) > best:
                    choice, best = media_type, (weight, specificity)
                break
    return choice


def _weights(accept: bytes) -> dict[bytes, float]:
    """Read the ranges and their weights; a range whose weight cannot be read is left out, of equals the best wins."""
    weights: dict[bytes, float] = {}
    for item in _QUOTED.sub(b"", accept).split(b",", READ_RANGES)[:READ_RANGES]:
        media_range, *parameters = item.lower().split(b";")
        weight = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition(b"=")
            if name.strip() == b"q":
                value = value.strip()
                weight = min(float(value), 1.0) if _WEIGHT.fullmatch(value) else -1.0
                break
        if weight >= 0:
            media_range = media_range.strip()
            weights[media_range] = max(weight, weights.get(media_range, 0.0))
    return weights
