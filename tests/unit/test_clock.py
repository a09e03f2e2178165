"""What the package may ask a clock."""

from __future__ import annotations

import time

from asgi_guard.clock import SYSTEM_CLOCK, Clock, SystemClock


def test_the_system_clock_reads_the_time_of_this_machine() -> None:
    """Both readings lie between two readings of the standard library."""
    before = time.monotonic_ns(), time.time()
    now = SYSTEM_CLOCK.monotonic_ns(), SYSTEM_CLOCK.time()
    after = time.monotonic_ns(), time.time()

    assert before[0] <= now[0] <= after[0]
    assert before[1] <= now[1] <= after[1]


def test_any_object_with_the_two_methods_is_a_clock() -> None:
    """A test brings its own, without inheriting from anything."""

    class Stopped:
        def monotonic_ns(self) -> int:
            return 7

        def time(self) -> float:
            return 1_700_000_000.0

    clocks: list[Clock] = [Stopped(), SystemClock()]

    assert clocks[0].monotonic_ns() == 7
