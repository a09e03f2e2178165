"""Leases: tokens of one key that a process has counted in advance, and admits hits from without asking.

Must never admit more than the algorithm publishes, whatever the number of processes and however slow the network. Each
token was counted when it was taken, so what remains to be shown is that it is used while that count stands for it:

* `strict`: within the slot in which it was counted. Counted and used in one slot is all the same: slots count whole.
* `fixed`: until the end of the window in which it was counted, for the same reason.
* `gcra`: for as long as it takes the bucket to leak it, since a lease leaks as fast as the bucket. So what all leases
  hold, and a bucket of what was really used, never come to more than the bucket that counts: a token enters both when
  it is counted, stays in both when it is used, and while there is anything in the first, it leaks no slower than the
  second. The price: what leaks out of a lease is lost, and so leases are taken from the upper half of a burst alone.
* Under several limits: while it is valid under each.

Rule 1: a lease ends early, never late: its time runs from before it was asked for, and is shortened by what two clocks
may differ that are both kept by NTP (1 in 1,000).
Rule 2: no lease lasts longer than a second, so that a reset is followed by then, and what is not used comes back.
Rule 3: a lease is at most a quarter of what is left, so that the last hits of a window are found one by one wherever
they are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from asgi_guard.limiting.rate import Limit
from asgi_guard.limiting.store import Decision
from asgi_guard.limiting.strict import SLOTS

LeaseSize: TypeAlias = int | Literal["auto"]

LEAST: Final = 2
"""The smallest lease; with less, hits are counted one by one."""

MOST: Final = 10_000
"""The largest lease."""

LONGEST_NS: Final = 1_000_000_000
"""The longest that a lease lasts."""

_DRIFT: Final = 512  # clocks differ by less than one in so many
_PARTS: Final = 4
_NO_LEAK: Final = (0, 1)


class Terms:
    """The terms of the leases of one bucket.

    Args:
        limits: at least one limit.
        algorithm: `"strict"`, `"gcra"` or `"fixed"`.
        size: the tokens of a lease, 2 to 10,000; `"auto"` goes by demand.

    Attributes:
        most: the tokens of the largest lease.
        is_auto: it goes by demand.
        fresh: what remains for a key that was never seen.
        leak: how fast a lease leaks, as hits by nanoseconds.

    Raises:
        ValueError: the algorithm has no leases.
    """

    __slots__ = ("_algorithm", "_reserves", "_slots_ns", "fresh", "is_auto", "leak", "most")

    def __init__(self, limits: Sequence[Limit], algorithm: str, size: LeaseSize) -> None:
        if algorithm == "concurrency":
            raise ValueError("'concurrency' counts what lasts, and has no tokens to take in advance")
        self.is_auto: bool = size == "auto"
        self.most: int = MOST if isinstance(size, str) else size
        self.fresh: tuple[int, ...] = tuple(limit.burst or limit.amount for limit in limits)
        self.leak: tuple[int, int] = _NO_LEAK
        self._algorithm = algorithm
        self._slots_ns = tuple(limit.window_ns // SLOTS for limit in limits)
        self._reserves = (0,) * len(limits)
        if algorithm == "gcra":
            fastest = max(limits, key=lambda limit: limit.amount / limit.window_ns)
            self.leak = fastest.amount * (_DRIFT + 1), fastest.window_ns * _DRIFT
            self._reserves = tuple(-(-burst // 2) for burst in self.fresh)

    def spare(self, remaining: tuple[int, ...]) -> int:
        """Return how much of what remains a lease may take."""
        return min([left - reserve for left, reserve in zip(remaining, self._reserves, strict=True)]) // _PARTS

    def lease(self, decision: Decision, tokens: int, asked_ns: int) -> Lease:
        """Return the lease of a hit that was admitted for all of its tokens.

        Args:
            decision: what was said to the hit.
            tokens: what it counted for.
            asked_ns: the time in this process before it was asked.
        """
        asked_ns -= 1_000  # the server rounds its time down to a microsecond
        life_ns = LONGEST_NS
        if self._algorithm == "strict":
            life_ns = min(life_ns, *[slot_ns - decision.at_ns % slot_ns for slot_ns in self._slots_ns])
        elif self._algorithm == "fixed":
            life_ns = min(life_ns, *decision.reset_after_ns)
        return Lease(decision, tokens, asked_ns, asked_ns + life_ns - life_ns // _DRIFT, self.leak)


class Lease:
    """Tokens that were counted together.

    Args:
        decision: what was said to the hit that counted them.
        tokens: how many they are.
        asked_ns: a time in this process before they were asked for.
        until_ns: the time from which on none is valid.
        leak: how fast they leak, as hits by nanoseconds.

    Attributes:
        tokens: as given.
        left: those that were not used.
        at_ns: when they were counted, on the clock of the store.
        asked_ns: as given.
    """

    __slots__ = ("_leak", "_leak_ns", "_remaining", "_resets_ns", "_until_ns", "asked_ns", "at_ns", "left", "tokens")

    def __init__(self, decision: Decision, tokens: int, asked_ns: int, until_ns: int, leak: tuple[int, int]) -> None:
        self.tokens: int = tokens
        self.left: int = tokens
        self.at_ns: int = decision.at_ns
        self.asked_ns: int = asked_ns
        self._until_ns = until_ns
        self._leak, self._leak_ns = leak
        self._remaining = decision.remaining
        self._resets_ns = decision.reset_after_ns

    def take(self, cost: int, now_ns: int) -> Decision | None:
        """Admit a hit, or return None because the lease does not cover it."""
        passed_ns = now_ns - self.asked_ns
        valid = self.left - cost + -passed_ns * self._leak // self._leak_ns  # rounded down
        if valid < 0 or now_ns >= self._until_ns:
            return None
        self.left -= cost
        return self._told(valid, passed_ns)

    def look(self, cost: int, now_ns: int) -> Decision | None:
        """Say what `take` would say, and use nothing; `remaining` is what there is before the hit."""
        valid = self.valid(now_ns)
        return self._told(valid, now_ns - self.asked_ns) if cost <= valid else None

    def spend(self, cost: int) -> Decision:
        """Admit a hit that was waiting before the tokens were counted, and so was counted with them."""
        self.left -= cost
        return self._told(self.left, 0)

    def put_back(self, cost: int) -> None:
        """Take back a hit that was admitted from here."""
        self.left = min(self.left + cost, self.tokens)

    def valid(self, now_ns: int) -> int:
        """Return how many of the tokens may be used now."""
        return self.returnable(now_ns) if now_ns < self._until_ns else 0

    def returnable(self, now_ns: int) -> int:
        """Return how many of the tokens may be given back now."""
        return max(self.left + (self.asked_ns - now_ns) * self._leak // self._leak_ns, 0)

    def _told(self, left: int, passed_ns: int) -> Decision:
        """Return what clients are told: what was left when the tokens were counted, and what of them is held."""
        remaining, resets_ns = self._remaining, self._resets_ns
        if len(remaining) == 1:
            return Decision(True, self.at_ns, (remaining[0] + left,), (max(resets_ns[0] - passed_ns, 0),))
        return Decision(
            True,
            self.at_ns,
            tuple([count + left for count in remaining]),
            tuple([max(reset_ns - passed_ns, 0) for reset_ns in resets_ns]),
        )


class Heat:
    """Tells hot keys from others, by how often they were seen lately: a table of a fixed size.

    Keys that share a place in it heat each other. That costs a lease that is not used, and nothing else.

    Args:
        often: a key is hot that was seen so often before, 1 to 255.
        lately_ns: after how long all is forgotten.
    """

    __slots__ = ("_lately_ns", "_often", "_seen", "_until_ns")

    PLACES: Final = 65_536

    def __init__(self, often: int, lately_ns: int) -> None:
        self._often = often
        self._lately_ns = lately_ns
        self._seen = bytearray(self.PLACES)
        self._until_ns = 0

    def is_hot(self, key: str | bytes, now_ns: int) -> bool:
        """See a key once more, and tell whether it is hot."""
        if now_ns >= self._until_ns:
            self._seen = bytearray(self.PLACES)
            self._until_ns = now_ns + self._lately_ns
        place = hash(key) & self.PLACES - 1
        seen = self._seen[place]
        if seen >= self._often:
            return True
        self._seen[place] = seen + 1
        return False
