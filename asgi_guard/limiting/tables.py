"""The tables of the memory store: states by key, in two generations, with a bounded number of places for keys.

Rule 1: who calls a method of a table or a shard holds the lock of the shard.
Rule 2: a live state is never lost; a place is taken from the dead only.
Rule 3: nothing walks all keys.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any, Final, NamedTuple

from asgi_guard.limiting.algorithms import Several, carrier
from asgi_guard.limiting.counting import EMPTY, Counting
from asgi_guard.limiting.store import Key

_OVERFLOW_MASK: Final = 63
_FORERUNNERS: Final = 8  # limits that change more often than that in one life forget what was before
_FREED_A_HIT: Final = 4
_TIDIED_A_HIT: Final = 8


class Shard:
    """One lock and one share of the places for keys, for the tables of all buckets at one position."""

    __slots__ = ("keys", "lock", "places", "tables", "turn")

    def __init__(self, places: int) -> None:
        self.lock: Any = RLock()
        self.places: int = places
        self.keys: int = 0
        self.tables: list[Table] = []
        self.turn: int = 0

    def has_room(self, now_ns: int) -> bool:
        # Dead keys of buckets that are not hit any more may hold the places: tidy a few tables, each in its turn.
        for _ in range(_TIDIED_A_HIT):
            if self.keys < self.places:
                return True
            self.turn = (self.turn + 1) % len(self.tables)
            table = self.tables[self.turn]
            if now_ns >= table.tidy_at:
                table.tidy(now_ns)
        return False


class Table:
    """The states of one bucket in one shard."""

    __slots__ = (
        "algorithm",
        "dropped",
        "forerunners",
        "gone_ns",
        "heir",
        "latest_ns",
        "lock",
        "old",
        "overflow",
        "rotate_at",
        "shard",
        "tidy_at",
        "young",
    )

    def __init__(self, shard: Shard, algorithm: Counting | Several, now_ns: int) -> None:
        self.shard: Shard = shard
        self.lock: Any = shard.lock
        self.algorithm: Counting | Several = algorithm
        self.young: dict[Key, int] = {}
        self.old: dict[Key, int] = {}
        self.dropped: list[dict[Key, int]] = []
        self.overflow: dict[int, int] = {}
        self.forerunners: tuple[_Forerunner, ...] = ()
        self.heir: Table | None = None
        self.gone_ns: int = 0  # when all has gone that was counted before there was an heir
        self.latest_ns: int = now_ns
        self.tidy_at: int = now_ns + algorithm.life_ns
        self.rotate_at: int = self.tidy_at
        with shard.lock:
            shard.tables.append(self)

    def enter(self, now_ns: int) -> int:
        """Tidy when it is due; return the time, which stands still while the clock has stepped back."""
        if now_ns >= self.tidy_at:
            self.tidy(now_ns)
        self.latest_ns = max(self.latest_ns, now_ns)
        return self.latest_ns

    def tidy(self, now_ns: int) -> None:
        """Drop the old generation if none of it can count any more; free a few of the dropped keys."""
        if not self.dropped and now_ns >= self.rotate_at:
            self.dropped.append(self.old)
            self.old, self.young = self.young, {}
            self.rotate_at = self.latest_ns + self.algorithm.life_ns  # since all old ones were written by `latest_ns`
        freed = 0
        while self.dropped and freed < _FREED_A_HIT:
            states = self.dropped[-1]
            if states:
                states.popitem()
                self.shard.keys -= 1
                freed += 1
            if not states:
                self.dropped.pop()  # an emptied dict would keep its memory
        self.tidy_at = 0 if self.dropped else self.rotate_at

    def find(self, key: Key, mark: int) -> tuple[dict[Any, int], Key | int]:
        """Say among which states a key is counted, and under which name there."""
        if key in self.young:
            return self.young, key
        if key in self.old:
            return self.old, key
        if self.forerunners and self._inherit(key, mark):
            return self.young, key
        return self.overflow, _overflow_name(mark)

    def recall(self, key: Key, mark: int) -> int:
        states, name = self.find(key, mark)
        return states.get(name, EMPTY)

    def record(self, key: Key, mark: int, state: int) -> None:
        """Keep the state of a key: in a place of its own, or as overflow where there is none."""
        if key in self.young or self.old.pop(key, None) is not None:
            self.young[key] = state
        elif self.shard.has_room(self.latest_ns):
            self.young[key] = state
            self.shard.keys += 1
        else:
            self.overflow[_overflow_name(mark)] = state

    def refund(self, key: Key, mark: int, at_ns: int, cost: int) -> None:
        """Take a hit back where its key has gone: it may lie with an heir."""
        holder: Table | None = self
        while holder is not None:
            states, name = holder.find(key, mark)
            if name in states:
                states[name] = holder.algorithm.refund(states[name], at_ns, cost)
                return
            holder = holder.heir

    def forget(self, key: Key) -> None:
        for table in (self, *[forerunner.table for forerunner in self.forerunners]):
            for states in (table.young, table.old):
                if states.pop(key, None) is not None:
                    self.shard.keys -= 1

    def succeed(self, previous: Table, now_ns: int) -> None:
        """Become the heir of another table of the shard, and of those that it took over from itself."""
        self.latest_ns = max(self.latest_ns, previous.latest_ns, now_ns)
        if self.heir is not None and self.latest_ns >= self.gone_ns:
            # The limits of before are back. What is here from then is dead, and must not hide what was counted since.
            self.dropped += (self.young, self.old)
            self.young, self.old, self.overflow = {}, {}, {}
            self.tidy_at = 0
        previous.gone_ns = self.latest_ns + previous.algorithm.life_ns
        previous.tidy_at = previous.rotate_at = previous.gone_ns  # what is dead there may count under what follows
        known = (
            (previous, self.latest_ns, previous.gone_ns),
            *[(was.table, was.at_ns, was.until_ns) for was in previous.forerunners],
        )
        forerunners: list[_Forerunner] = []
        for table, at_ns, until_ns in known[:_FORERUNNERS]:
            carry = carrier(table.algorithm, self.algorithm)
            if table is not self and carry is not None:  # it is itself where limits are changed back
                forerunners.append(_Forerunner(table, carry, at_ns, until_ns))
        self.forerunners, previous.forerunners = tuple(forerunners), ()
        self.heir, previous.heir = None, self

    def _inherit(self, key: Key, mark: int) -> bool:
        """Take over from forerunners what a key shares, or its own state with its place; say if it had a place."""
        self.forerunners = tuple([was for was in self.forerunners if self.latest_ns < was.until_ns])
        name = _overflow_name(mark)
        for table, carry, at_ns, _ in self.forerunners:
            shared = table.overflow.pop(name, None)
            if shared is not None:
                self.overflow.setdefault(name, carry(shared, at_ns))
            for states in (table.young, table.old):
                if key in states:
                    self.young[key] = carry(states.pop(key), at_ns)
                    return True
        return False


class _Forerunner(NamedTuple):
    """A table that an heir takes keys over from, what makes its states the heir's, since when, and until when."""

    table: Table
    carry: Callable[[int, int], int]
    at_ns: int
    until_ns: int


def _overflow_name(mark: int) -> int:
    return mark >> 16 & _OVERFLOW_MASK  # bits of the hash that did not choose the table: there are at most 2**13
