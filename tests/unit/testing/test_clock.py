"""A clock that a test moves by hand."""

from __future__ import annotations

import pytest

from asgi_guard.clock import Clock
from asgi_guard.limiting.memory import MemoryStore
from asgi_guard.limiting.rate import parse_rate
from asgi_guard.testing import ManualClock


def test_it_stands_still() -> None:
    """Until it is told to go on."""
    clock: Clock = ManualClock()

    assert [clock.monotonic_ns(), clock.time()] == [clock.monotonic_ns(), clock.time()]


def test_both_readings_go_on_together() -> None:
    """To the nanosecond."""
    clock = ManualClock(unix_seconds=1_000.0)
    before = clock.monotonic_ns()

    for _ in range(10):
        clock.advance(0.1)
    clock.advance(1e-9)

    assert clock.monotonic_ns() - before == 1_000_000_001
    assert clock.time() == pytest.approx(1_001.0)


def test_time_does_not_go_back() -> None:
    """The reading that decides never does; the time of day may."""
    clock = ManualClock(unix_seconds=1_000.0)
    before = clock.monotonic_ns()

    with pytest.raises(ValueError, match="jump"):
        clock.advance(-1)
    clock.jump(-60)

    assert clock.time() == 940.0
    assert clock.monotonic_ns() == before


def test_it_is_the_clock_of_a_store() -> None:
    """A limit opens again as soon as the clock says so."""
    clock = ManualClock()
    bucket = MemoryStore(clock=clock.monotonic_ns).bucket("test", parse_rate("1/minute"))

    assert bucket.hit("somebody").allowed
    refused = bucket.hit("somebody")
    assert not refused.allowed
    clock.advance(refused.retry_after_ns / 1_000_000_000)
    assert bucket.hit("somebody").allowed
