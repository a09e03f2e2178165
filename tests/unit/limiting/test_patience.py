"""Patience: waiting empties it, bytes fill it up, and what is no waiting costs nothing."""

from __future__ import annotations

from math import inf

import pytest

from asgi_guard.limiting.patience import Patience


@pytest.mark.parametrize(
    ("rate", "heard", "end"),
    [
        (None, [], 105),
        (None, [(104, 1)], 109),
        (None, [(104, 0)], 105),
        (None, [(104, 0), (104.5, 1)], 109.5),
        (10, [(104, 10)], 106),
        (10, [(104, 1)], 105.1),
        (10, [(104, 1_000_000)], 109),
        (10, [(101, 10), (102, 10)], 107),
        (10, [(101, 5), (102, 5)], 106),
    ],
    ids=str,
)
def test_patience_ends_when_it_is_used_up(rate, heard, end) -> None:
    """It is never more than there was to begin with, so that a fast beginning buys no long pause."""
    patience = Patience(5, rate)
    ends = [patience.begin(100), *[patience.hear(now, size) for now, size in heard]]

    assert ends[-1] == pytest.approx(end)


def test_a_pause_costs_nothing() -> None:
    """Whoever waits for nobody has all the time."""
    patience = Patience(5, 10)
    patience.begin(100)
    patience.hear(102, 0)

    assert patience.begin(1_000_000) == 1_000_003


@pytest.mark.parametrize("rate", [None, 10])
def test_endless_patience_has_no_end(rate) -> None:
    """Whatever comes."""
    patience = Patience(inf, rate)

    assert [patience.begin(1), patience.hear(2, 0), patience.hear(10**9, 5)] == [inf] * 3
