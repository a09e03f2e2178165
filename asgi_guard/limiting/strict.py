"""`strict`: never more than N in any window.

Its worst case:

* Never more than N in any window of length W, closed or half open, whatever the timing of the hits.
* The price: a hit counts until the whole slot that it fell in has left the window, which is up to W/10 longer than it
  had to. A client that takes whatever it can get is admitted at 10/11 of N/W in the long run.
* Retry times are exact: a lone client that waits so long is admitted; a nanosecond sooner it is not.
* A charge that goes over counts in full, and as many of the oldest hits are forgotten: while it lasts nothing remains
  either way, and what remains later is exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Self

from asgi_guard.limiting.counting import Look, Taken
from asgi_guard.limiting.rate import Limit

SLOTS: Final = 10
"""The slots of a window of `strict`."""

_COUNTS: Final = SLOTS + 1  # a window that begins within a slot ends within another
_SLOT_NUMBER_BITS: Final = 40  # the shortest slot is 0.1 s, of which 2**63 ns hold fewer than 2**37


class Strict:
    """Never more than N in any window: the window is cut into 10 slots, and each slot that it touches counts whole.

    A window touches 11 slots at most. So a state is the number of the newest slot, followed by 11 counts of b bits, the
    newest lowest. Three facts of arithmetic spare a hit any loop. To move on by k slots is a shift by k * b bits. The
    sum of the counts is their remainder by 2**b - 1, since 2**b leaves a remainder of 1, and b is such that the sum
    stays below 2**b - 1. The oldest count that is not 0 holds the highest bit.

    Args:
        limit: what to keep to. Its amount decides how wide a state is: 117 bits for 100, 370 bits for 1,000,000,000.
    """

    __slots__ = (
        "_amount",
        "_count_bits",
        "_count_mask",
        "_counts_bits",
        "_counts_mask",
        "_slot_ns",
        "bits",
        "life_ns",
        "window_ns",
    )

    def __init__(self, limit: Limit) -> None:
        self._amount = limit.amount
        self._slot_ns = limit.window_ns // SLOTS
        self._count_bits = (limit.amount + 1).bit_length()
        self._count_mask = (1 << self._count_bits) - 1
        self._counts_bits = self._count_bits * _COUNTS
        self._counts_mask = (1 << self._counts_bits) - 1
        self.bits: int = self._counts_bits + _SLOT_NUMBER_BITS
        self.life_ns: int = self._slot_ns * _COUNTS
        self.window_ns: int = limit.window_ns

    def take(self, state: int, now_ns: int, cost: int) -> Taken | None:
        slot = now_ns // self._slot_ns
        newest = state >> self._counts_bits
        if slot > newest:
            state = self._moved(state, slot)
            newest = slot
        counts = state & self._counts_mask
        remaining = self._amount - counts % self._count_mask - cost
        if remaining < 0:
            return None
        oldest = ((counts + cost).bit_length() - 1) // self._count_bits
        return state + cost, (remaining,), ((newest + _COUNTS - oldest) * self._slot_ns - now_ns,)

    def charge(self, state: int, now_ns: int, cost: int) -> int:
        state = self._moved(state, now_ns // self._slot_ns)
        newest, *older = self._counts(state)
        return self._joined(state >> self._counts_bits, (newest + cost, *older))

    def look(self, state: int, now_ns: int, cost: int) -> Look:
        state = self._moved(state, now_ns // self._slot_ns)
        counts = state & self._counts_mask
        remaining = self._amount - counts % self._count_mask
        oldest = (counts.bit_length() - 1) // self._count_bits
        reset_ns = self._leaves_at_ns(state, oldest) - now_ns if counts else 0
        if cost <= remaining:
            return (remaining,), (reset_ns,), (0,)
        if cost > self._amount:
            return (remaining,), (reset_ns,), (None,)
        age = oldest
        missing = cost - remaining - self._count(state, age)
        while missing > 0:
            age -= 1
            missing -= self._count(state, age)
        return (remaining,), (reset_ns,), (self._leaves_at_ns(state, age) - now_ns,)

    def refund(self, state: int, at_ns: int, cost: int) -> int:
        # Only from the slot that the hit fell in. Taken from a newer one, a refund would free what other hits still
        # use; taken from an older one, a client that hits and refunds without end would keep its oldest hits alive.
        age = (state >> self._counts_bits) - at_ns // self._slot_ns
        if not 0 <= age <= SLOTS:
            return state
        return state - (min(cost, self._count(state, age)) << self._count_bits * age)

    def adopt(self, previous: Self, state: int, at_ns: int) -> int:  # noqa: ARG002  what counts leaves by its own time
        return self._joined(state >> previous._counts_bits, previous._counts(state))

    def _moved(self, state: int, slot: int) -> int:
        gap = slot - (state >> self._counts_bits)
        if gap <= 0:
            return state
        # A longer shift would only make zeros, and as many of them as the client's pause was long.
        counts = state << self._count_bits * gap & self._counts_mask if gap <= SLOTS else 0
        return slot << self._counts_bits | counts

    def _count(self, state: int, age: int) -> int:
        return state >> self._count_bits * age & self._count_mask

    def _counts(self, state: int) -> list[int]:
        return [self._count(state, age) for age in range(_COUNTS)]

    def _joined(self, newest: int, counts: Iterable[int]) -> int:
        # Where they are more than the amount, the newest are kept: they are those that a client has to wait for.
        joined = newest << self._counts_bits
        room = self._amount
        for age, count in enumerate(counts):
            kept = min(count, room)
            room -= kept
            joined |= kept << self._count_bits * age
        return joined

    def _leaves_at_ns(self, state: int, age: int) -> int:
        return ((state >> self._counts_bits) + _COUNTS - age) * self._slot_ns
