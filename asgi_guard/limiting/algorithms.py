"""Algorithms: pure arithmetic that says, from a state and a time, whether a hit fits under a limit.

A state is one int, `EMPTY` for a key that was never seen. Being immutable it is never half changed, and the garbage
collector has nothing to walk. Times are nanoseconds of one monotonic clock, from 0 to 2**63.

Rule 1: nothing here reads a clock, keeps a state or knows what a key is.
Rule 2: an algorithm publishes its worst case, and the tests hold it to that. For `strict`:

* Never more than N in any window of length W, closed or half open, whatever the timing of the hits.
* The price: a hit counts until the whole slot that it fell in has left the window, which is up to W/10 longer than it
  had to. A client that takes whatever it can get is admitted at 10/11 of N/W in the long run.
* Retry times are exact: a lone client that waits so long is admitted; a nanosecond sooner it is not.
* While a clock has stepped back, time stands still: that admits nothing more and breaks no state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol, TypeAlias

from asgi_guard.limiting.rate import Limit

Taken: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...]]
"""The new state; what remains; the nanoseconds until more of it comes back."""

Look: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], tuple[int | None, ...]]
"""What remains; the nanoseconds until more of it comes back; those until a cost fits: 0 for at once, None for never."""

EMPTY: Final = 0
"""The state of a key that was never seen."""

SLOTS: Final = 10
"""The slots of a window of `strict`."""

_COUNTS: Final = SLOTS + 1  # a window that begins within a slot ends within another
_SLOT_NUMBER_BITS: Final = 40  # the shortest slot is 0.1 s, of which 2**63 ns hold fewer than 2**37


class Algorithm(Protocol):
    """What a store asks of an algorithm.

    An algorithm counts under one limit or, as `Several` does, under a few; so results are tuples with one value for
    each limit. A cost is a whole number: at least 1 to take, at least 0 otherwise.

    Attributes:
        bits: no state is wider than this.
        life_ns: a state that was written this long ago, or longer, counts as `EMPTY`, and a store may drop it.
    """

    bits: int
    life_ns: int

    def take(self, state: int, now_ns: int, cost: int) -> Taken | None:
        """Admit a hit, or return None because a limit refuses it."""
        ...

    def look(self, state: int, now_ns: int, cost: int) -> Look:
        """Say how things stand, and how long a hit of this cost would have to wait."""
        ...

    def refund(self, state: int, at_ns: int, cost: int) -> int:
        """Return the state without the hit that was admitted at `at_ns`, as far as it still counts."""
        ...


class Strict:
    """Never more than N in any window: the window is cut into 10 slots, and each slot that it touches counts whole.

    A window touches 11 slots at most. So a state is the number of the newest slot, followed by 11 counts of b bits, the
    newest lowest. Three facts of arithmetic spare a hit any loop. To move on by k slots is a shift by k * b bits. The
    sum of the counts is their remainder by 2**b - 1, since 2**b leaves a remainder of 1, and b is such that the sum
    stays below 2**b - 1. The oldest count that is not 0 holds the highest bit.

    Args:
        limit: what to keep to. Its amount decides how wide a state is: 117 bits for 100, 370 bits for 1,000,000,000.
    """

    __slots__ = ("_amount", "_count_bits", "_count_mask", "_counts_bits", "_counts_mask", "_slot_ns", "bits", "life_ns")

    def __init__(self, limit: Limit) -> None:
        self._amount = limit.amount
        self._slot_ns = limit.window_ns // SLOTS
        self._count_bits = (limit.amount + 1).bit_length()
        self._count_mask = (1 << self._count_bits) - 1
        self._counts_bits = self._count_bits * _COUNTS
        self._counts_mask = (1 << self._counts_bits) - 1
        self.bits: int = self._counts_bits + _SLOT_NUMBER_BITS
        self.life_ns: int = self._slot_ns * _COUNTS

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

    def _moved(self, state: int, slot: int) -> int:
        gap = slot - (state >> self._counts_bits)
        if gap <= 0:
            return state
        # A longer shift would only make zeros, and as many of them as the client's pause was long.
        counts = state << self._count_bits * gap & self._counts_mask if gap <= SLOTS else 0
        return slot << self._counts_bits | counts

    def _count(self, state: int, age: int) -> int:
        return state >> self._count_bits * age & self._count_mask

    def _leaves_at_ns(self, state: int, age: int) -> int:
        return ((state >> self._counts_bits) + _COUNTS - age) * self._slot_ns


class Several:
    """Several limits over one key, all or nothing: their states stand side by side in one int.

    Args:
        parts: the algorithm of each limit, in the order of the results.
    """

    __slots__ = ("_fields", "bits", "life_ns")

    def __init__(self, parts: Sequence[Algorithm]) -> None:
        fields: list[tuple[Algorithm, int, int]] = []
        self.bits: int = 0
        for part in parts:
            fields.append((part, self.bits, (1 << part.bits) - 1))
            self.bits += part.bits
        self._fields = tuple(fields)
        self.life_ns: int = max(part.life_ns for part in parts)

    def take(self, state: int, now_ns: int, cost: int) -> Taken | None:
        joined = EMPTY
        remaining: tuple[int, ...] = ()
        reset_ns: tuple[int, ...] = ()
        for part, offset, mask in self._fields:
            taken = part.take(state >> offset & mask, now_ns, cost)
            if taken is None:
                return None
            joined |= taken[0] << offset
            remaining += taken[1]
            reset_ns += taken[2]
        return joined, remaining, reset_ns

    def look(self, state: int, now_ns: int, cost: int) -> Look:
        remaining: tuple[int, ...] = ()
        reset_ns: tuple[int, ...] = ()
        retry_ns: tuple[int | None, ...] = ()
        for part, offset, mask in self._fields:
            look = part.look(state >> offset & mask, now_ns, cost)
            remaining += look[0]
            reset_ns += look[1]
            retry_ns += look[2]
        return remaining, reset_ns, retry_ns

    def refund(self, state: int, at_ns: int, cost: int) -> int:
        joined = EMPTY
        for part, offset, mask in self._fields:
            joined |= part.refund(state >> offset & mask, at_ns, cost) << offset
        return joined


ALGORITHMS: Final[Mapping[str, Callable[[Limit], Algorithm]]] = MappingProxyType({"strict": Strict})
"""How hits are counted under one limit, by the name that settings use."""


def algorithm_for(limits: Sequence[Limit], name: str) -> Algorithm:
    """Make the algorithm that counts under these limits.

    Args:
        limits: at least one limit.
        name: a name in `ALGORITHMS`.

    Raises:
        ValueError: there is no such algorithm, or there are no limits.
    """
    if name not in ALGORITHMS:
        raise ValueError(f"{name!r} is not an algorithm; they are: {', '.join(ALGORITHMS)}")
    if not limits:
        raise ValueError("a bucket needs at least one limit")
    parts = [ALGORITHMS[name](limit) for limit in limits]
    return parts[0] if len(parts) == 1 else Several(parts)
