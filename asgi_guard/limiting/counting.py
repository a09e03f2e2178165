"""What an algorithm is: pure arithmetic that says, from a state and a time, whether a hit fits under a limit.

A state is one int, `EMPTY` for a key that was never seen. Being immutable it is never half changed, and the garbage
collector has nothing to walk. Times are nanoseconds of one monotonic clock, from 0 to 2**63.

Rule 1: an algorithm reads no clock, keeps no state and does not know what a key is.
Rule 2: it publishes its worst case, at the head of its file, and the tests hold it to that. A window is counted with
both its ends.
Rule 3: while a clock has stepped back, time stands still: that admits nothing more and breaks no state.
"""

from __future__ import annotations

from typing import Final, Protocol, Self, TypeAlias

Taken: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...]]
"""The new state; what remains; the nanoseconds until more of it comes back."""

Look: TypeAlias = tuple[tuple[int, ...], tuple[int, ...], tuple[int | None, ...]]
"""What remains; the nanoseconds until more of it comes back; those until a cost fits: 0 for at once, None for never."""

EMPTY: Final = 0
"""The state of a key that was never seen."""

TIME_BITS: Final = 64
"""The width of a time, and of the end of a window that is open at that time."""


class Algorithm(Protocol):
    """What a store asks of an algorithm.

    An algorithm counts under one limit or, as `Several` does, under a few; so results are tuples with one value for
    each limit. A cost is a whole number: at least 1 to take or to charge, at least 0 otherwise.

    Attributes:
        bits: no state is wider than this.
        life_ns: a state that was written this long ago, or longer, counts as `EMPTY`, and a store may drop it.
    """

    bits: int
    life_ns: int

    def take(self, state: int, now_ns: int, cost: int) -> Taken | None:
        """Admit a hit, or return None because a limit refuses it."""
        ...

    def charge(self, state: int, now_ns: int, cost: int) -> int:
        """Return the state with a hit that no limit was asked about; what goes over a limit is not kept."""
        ...

    def look(self, state: int, now_ns: int, cost: int) -> Look:
        """Say how things stand, and how long a hit of this cost would have to wait."""
        ...

    def refund(self, state: int, at_ns: int, cost: int) -> int:
        """Return the state without the hit that was admitted at `at_ns`, as far as it still counts."""
        ...


class Counting(Algorithm, Protocol):
    """An algorithm under one limit.

    Attributes:
        window_ns: the window of the limit, in nanoseconds.
    """

    window_ns: int

    def adopt(self, previous: Self, state: int, at_ns: int) -> int:
        """Return a state of the same algorithm under another limit with the same window, as if counted under this.

        Args:
            previous: the algorithm under the other limit.
            state: its state.
            at_ns: when the limits changed: up to then the other one held.
        """
        ...
