"""`fixed`: at most N from a key's first hit until W later; then a new window begins with the next hit.

A window belongs to its key and not to the clock on the wall, so no moment exists at which all clients may come again.

Its worst case:

* At most 2N in any window of length W: N just before a window of the key ends, and N at its end.
* Retry times are exact: a lone client that waits so long is admitted; a nanosecond sooner it is not.
* A refund gives back within the window of its hit. Once all hits of a window are refunded, it has never begun.
"""

from __future__ import annotations

from typing import Self

from asgi_guard.limiting.counting import EMPTY, TIME_BITS, Look, Taken
from asgi_guard.limiting.rate import Limit


class Fixed:
    """A state is the end of the window, in nanoseconds, followed by the count.

    Args:
        limit: what to keep to.
    """

    __slots__ = ("_amount", "_count_bits", "_count_mask", "bits", "life_ns", "window_ns")

    def __init__(self, limit: Limit) -> None:
        self._amount = limit.amount
        self._count_bits = limit.amount.bit_length()
        self._count_mask = (1 << self._count_bits) - 1
        self.bits: int = TIME_BITS + self._count_bits
        self.life_ns: int = limit.window_ns
        self.window_ns: int = limit.window_ns

    def take(self, state: int, now_ns: int, cost: int) -> Taken | None:
        end_ns = state >> self._count_bits
        if now_ns >= end_ns:
            end_ns = now_ns + self.window_ns
            state = end_ns << self._count_bits
        remaining = self._amount - (state & self._count_mask) - cost
        if remaining < 0:
            return None
        return state + cost, (remaining,), (end_ns - now_ns,)

    def charge(self, state: int, now_ns: int, cost: int) -> int:
        end_ns, count = self._at(state, now_ns)
        return self._joined(end_ns or now_ns + self.window_ns, count + cost)

    def look(self, state: int, now_ns: int, cost: int) -> Look:
        end_ns, count = self._at(state, now_ns)
        remaining = self._amount - count
        reset_ns = end_ns - now_ns if count else 0
        if cost <= remaining:
            return (remaining,), (reset_ns,), (0,)
        return (remaining,), (reset_ns,), (reset_ns if cost <= self._amount else None,)

    def refund(self, state: int, at_ns: int, cost: int) -> int:
        age_ns = at_ns - (state >> self._count_bits) + self.window_ns
        if not 0 <= age_ns < self.window_ns:
            return state
        return state - cost if cost < state & self._count_mask else EMPTY

    def adopt(self, previous: Self, state: int, at_ns: int) -> int:  # noqa: ARG002  what counts leaves by its own time
        return self._joined(state >> previous._count_bits, state & previous._count_mask)

    def _at(self, state: int, now_ns: int) -> tuple[int, int]:
        """Return the end of the window that is open, and the count in it; zeros where none is."""
        end_ns = state >> self._count_bits
        return (end_ns, state & self._count_mask) if now_ns < end_ns else (0, 0)

    def _joined(self, end_ns: int, count: int) -> int:
        return end_ns << self._count_bits | min(count, self._amount)
