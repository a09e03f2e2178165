"""In flight: how many are being served at the same time.

Whoever is served holds a place and gives it back, at most once. A place also has a lease: some servers never wake an
application that is blocked in `receive` once its client has gone, and a process that lost a place to each of them would
refuse everybody in the end. Leases are looked at only when all places are taken, so that a request pays for none.
At most `maximum` places are kept; taking and giving back are O(1), and safe between threads, with or without a GIL.
Must never read a clock: the time is an argument.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock


class InFlight:
    """The places that are taken, in the order in which they were."""

    __slots__ = ("_lock", "_taken_at")

    def __init__(self) -> None:
        self._taken_at: OrderedDict[object, float] = OrderedDict()  # a dict would be searched for its first key
        self._lock = Lock()

    def __len__(self) -> int:
        """How many places are taken, those included whose lease is over and that nobody has needed since."""
        return len(self._taken_at)

    def take(self, holder: object, now: float, maximum: int, lease_seconds: float | None = None) -> bool:
        """Take a place; tell whether there was one.

        Args:
            holder: who takes it; compared as keys of a dict are, and holding none yet.
            now: monotonic time in seconds, the same or later from call to call.
            maximum: how many places there are.
            lease_seconds: after how long a place counts as given back; None for never.
        """
        with self._lock:
            taken_at = self._taken_at
            while len(taken_at) >= maximum:
                if lease_seconds is None or next(iter(taken_at.values())) > now - lease_seconds:
                    return False
                taken_at.popitem(last=False)
            taken_at[holder] = now
            return True

    def give_back(self, holder: object) -> None:
        """Give the place of `holder` back; nothing happens where it has none, or has none any more."""
        with self._lock:
            self._taken_at.pop(holder, None)
