"""Denials: what Redis has refused, and until when it would refuse it again.

A client that goes on asking is answered from here, with the times that are left. Only what is certain is remembered:
a denial of some cost holds for that cost, until it ends or anything of the key comes back, and for a second at most,
since another process may reset the key.
Must never hold more keys than it was told, and never walk them all.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from asgi_guard.limiting.store import Decision

HELD_NS: Final = 1_000_000_000
"""The longest that a denial is repeated without asking."""


class _Denial(NamedTuple):
    at_ns: int
    until_ns: int
    cost: int
    decision: Decision


class Denials:
    """The denials of one bucket in this process.

    Args:
        most: how many keys it holds, at least 1.
    """

    __slots__ = ("_by_key", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_key: dict[bytes, _Denial] = {}

    def __len__(self) -> int:
        """How many keys it holds."""
        return len(self._by_key)

    def recall(self, key: bytes, cost: int, now_ns: int) -> Decision | None:
        """Return what is known to be refused now, with the times that are left."""
        denial = self._by_key.get(key)
        if denial is None:
            return None
        if now_ns >= denial.until_ns:
            self._by_key.pop(key, None)
            return None
        if cost != denial.cost:  # how long that one would have to wait is not known
            return None
        passed_ns = now_ns - denial.at_ns
        was = denial.decision
        resets_ns = tuple([max(reset_ns - passed_ns, 0) for reset_ns in was.reset_after_ns])
        retry_ns = None if was.retry_after_ns is None else was.retry_after_ns - passed_ns
        return Decision(False, was.at_ns + passed_ns, was.remaining, resets_ns, retry_ns, was.violated)

    def note(self, key: bytes, cost: int, decision: Decision, now_ns: int) -> None:
        """Remember what was refused just now."""
        waits_ns = [wait_ns for wait_ns in (*decision.reset_after_ns, decision.retry_after_ns or 0) if wait_ns]
        until_ns = now_ns + min([HELD_NS, *waits_ns])
        if len(self._by_key) >= self._most and key not in self._by_key:
            self._by_key.pop(next(iter(self._by_key)), None)  # it is only asked about again
        self._by_key[key] = _Denial(now_ns, until_ns, cost, decision)

    def forget(self, key: bytes) -> None:
        """Forget what was refused to a key."""
        self._by_key.pop(key, None)
