"""A clock that stands still until it is told to go on, so that a test of time takes none.

Rule 1: it is a `asgi_guard.clock.Clock`, and its `monotonic_ns` is what a `MemoryStore` takes as its clock.
Rule 2: `monotonic_ns` never goes back; `time` may jump either way, as an administrator or a leap second makes it.
"""

from __future__ import annotations


class ManualClock:
    """A clock that a test moves by hand.

    Args:
        unix_seconds: what `time` says at first, in seconds since 1970.
    """

    __slots__ = ("_now_ns", "_unix_seconds")

    def __init__(self, unix_seconds: float = 1_700_000_000.0) -> None:
        self._now_ns = 1_000_000_000_000  # no clock of a running machine reads 0
        self._unix_seconds = unix_seconds

    def monotonic_ns(self) -> int:
        """Return nanoseconds since some fixed moment."""
        return self._now_ns

    def time(self) -> float:
        """Return UNIX time in seconds."""
        return self._unix_seconds

    def advance(self, seconds: float) -> None:
        """Let time pass on both readings.

        Args:
            seconds: how much, to the nanosecond.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds} seconds; `jump` moves the time of day alone")
        self._now_ns += round(seconds * 1_000_000_000)
        self._unix_seconds += seconds

    def jump(self, seconds: float) -> None:
        """Set the time of day on, or back, as somebody sets a clock; `monotonic_ns` does not notice."""
        self._unix_seconds += seconds
