"""Patience: how long to go on waiting for somebody who sends slowly.

A store of seconds. Waiting empties it, bytes fill it up again: one byte altogether, or, where a rate is asked for, each
byte by its share of a second, so that nobody buys more time with a byte than it is worth (a client that sends one now
and then keeps a connection open for nothing). What waits for nobody, such as an application that computes, costs none.
Must never read a clock: the time is an argument.
"""

from __future__ import annotations

from math import inf


class Patience:
    """What is left for one sender.

    Args:
        seconds: what there is to begin with, and at most; `inf` waits for ever.
        bytes_per_second: the rate below which patience runs out; None asks for no rate.
    """

    __slots__ = ("_left", "_most", "_seconds_per_byte", "_since")

    def __init__(self, seconds: float, bytes_per_second: float | None = None) -> None:
        self._most = self._left = seconds
        self._seconds_per_byte = inf if bytes_per_second is None else 1 / bytes_per_second
        self._since = 0.0

    def begin(self, now: float) -> float:
        """Begin to wait; return when patience is at its end."""
        self._since = now
        return now + self._left

    def hear(self, now: float, size: int) -> float:
        """Note that `size` bytes came, or that there is nothing to wait for; return when patience is at its end."""
        self._left -= now - self._since
        if size:
            self._left = min(self._most, self._left + size * self._seconds_per_byte)
        return self.begin(now)
