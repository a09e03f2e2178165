"""Time, as an argument: everything that waits, ages or stamps asks a clock, so that tests need not sleep.

Rule 1: durations come from `monotonic_ns`, which no administrator and no leap second can set back.
Rule 2: `time` is for people and other machines (log lines, timestamps); it may jump, so it never decides anything.
"""

from __future__ import annotations

import time
from typing import Final, Protocol


class Clock(Protocol):
    """What the package asks for the time."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds since some fixed moment; never less than before."""
        ...

    def time(self) -> float:
        """Return UNIX time in seconds."""
        ...


class SystemClock:
    """The clock of this machine."""

    __slots__ = ()

    # The functions themselves, not methods that call them: reading the time costs no Python frame.
    monotonic_ns: staticmethod[[], int] = staticmethod(time.monotonic_ns)
    time: staticmethod[[], float] = staticmethod(time.time)


SYSTEM_CLOCK: Final[Clock] = SystemClock()
"""The default of every `clock=` in the package."""
