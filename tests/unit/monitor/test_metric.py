"""The description of a metric: what contradicts itself is an error where it is written."""

from __future__ import annotations

import json

import pytest

from asgi_guard.monitor.metric import HTTP_DURATION_BOUNDS, Kind, Metric, understood

WRONG = {
    "a histogram without bounds": (Kind.HISTOGRAM, "s", (), (), False),
    "a counter with bounds": (Kind.COUNTER, "s", (), (1.0,), False),
    "base-2 buckets of bytes": (Kind.HISTOGRAM, "By", (), (1.0,), True),
    "bounds that repeat": (Kind.HISTOGRAM, "s", (), (1.0, 1.0), False),
    "bounds that fall": (Kind.HISTOGRAM, "s", (), (2.0, 1.0), False),
    "a bound without end": (Kind.HISTOGRAM, "s", (), (1.0, float("inf")), False),
    "too many bounds": (Kind.HISTOGRAM, "s", (), tuple(map(float, range(65))), False),
    "too many attributes": (Kind.COUNTER, "1", tuple("abcdefghijklmnopq"), (), False),
}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_contradicts_itself_is_refused(wrong) -> None:
    """The error names the metric."""
    kind, unit, attributes, bounds, is_exponential = wrong

    with pytest.raises(ValueError, match=r"^name: "):
        Metric("name", unit, "", kind, attributes, bounds, is_exponential)


def test_a_description_is_read_as_it_was_written() -> None:
    """Through JSON; and equal ones are one object, however often they are read."""
    metric = Metric("name", "s", "what", Kind.HISTOGRAM, ("a", "b"), HTTP_DURATION_BOUNDS, is_exponential=True)
    told = json.loads(json.dumps(metric.told()))

    assert understood(told) == metric
    assert understood(told) is understood(told)


@pytest.mark.parametrize("told", [None, [], ["name"], ["n", "s", "", "odd", [], [], False], 7])
def test_what_is_no_description_is_an_error(told) -> None:
    """Of the two kinds that a reader expects."""
    with pytest.raises((ValueError, TypeError)):
        understood(told)
