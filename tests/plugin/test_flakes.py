"""When a suite that was repeated counts as green."""

from __future__ import annotations

import pytest
from flakes import verdict


@pytest.mark.parametrize(
    ("runs", "is_well", "flaky"),
    [
        ([], False, {}),
        ([set()] * 20, True, {}),
        ([set()] * 19 + [{"a"}], False, {"a": 1}),
        ([set()] * 99 + [{"a"}], True, {"a": 1}),
        ([{"a"}] * 3, False, {}),
        ([{"a", "b"}, {"a"}], False, {"b": 1}),
    ],
    ids=["no run", "all green", "one of 20", "one of 100", "always red", "one that differs"],
)
def test_the_verdict(runs, is_well, flaky) -> None:
    """99 of 100 runs are green, and what fails only at times is named."""
    assert verdict(runs) == (is_well, flaky)
