"""Suppress: how many refusals of one kind are written in a second, so that nobody fills the disk with them.

What is not written is counted by layer, event and reason, and the counts are entries: nothing goes missing in silence.
Must never look at what the application reports itself, nor hold more than 256 kinds: the others are one kind together.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from asgi_guard.audit.entry import Entry

MAX_KINDS: Final = 256
SECOND: Final = 1_000_000_000
_OTHER: Final = ("_OTHER", "_OTHER", "")
_OUTCOMES: Final = frozenset({"refused", "would_be_refused"})


class Kind(NamedTuple):
    """What is counted together.

    Attributes:
        layer: the part of the guard.
        event: the name of the event.
        reason: as the part says it.
    """

    layer: str
    event: str
    reason: str


class Suppressor:
    """Counts refusals, of the whole process.

    Args:
        most: the entries of one kind that are written in a second; None writes all.

    Attributes:
        total: how many were not written.
    """

    __slots__ = ("_counts", "_ends", "_is_over", "_most", "_suppressed", "total")

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._counts: dict[Kind, int] = {}
        self._suppressed: dict[Kind, int] = {}
        self._ends = 0
        self._is_over = False
        self.total: int = 0

    def admits(self, entry: Entry, now: int) -> bool:
        """Tell whether an entry is written.

        Args:
            entry: which one.
            now: the time of a clock that never goes back, in nanoseconds.
        """
        if self._most is None or not entry.layer or (entry.outcome not in _OUTCOMES and entry.event != "guard_error"):
            return True
        if now >= self._ends:
            self._counts.clear()
            self._is_over = bool(self._suppressed)
            self._ends = now + SECOND
        kind = Kind(entry.layer[:64], entry.event[:64], (entry.reason or "")[:256])
        if kind not in self._counts and len(self._counts) >= MAX_KINDS:
            kind = Kind(*_OTHER)
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        if count <= self._most:
            return True
        if kind not in self._suppressed and len(self._suppressed) >= MAX_KINDS:
            kind = Kind(*_OTHER)
        self._suppressed[kind] = self._suppressed.get(kind, 0) + 1
        self.total += 1
        return False

    def is_due(self, now: int) -> bool:
        """Tell whether there are counts of a second that is over."""
        return bool(self._suppressed) and (self._is_over or now >= self._ends)

    def __bool__(self) -> bool:
        """Tell whether there are counts."""
        return bool(self._suppressed)

    def taken(self) -> dict[Kind, int]:
        """Return the counts, and begin anew."""
        taken, self._suppressed, self._is_over = self._suppressed, {}, False
        return taken
