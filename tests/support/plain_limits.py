"""The algorithms in the plainest words, in whole microseconds and exact fractions: what every store has to say.

Time never steps back here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from asgi_guard.limiting import Limit


class Told(NamedTuple):
    """What a store says of a hit, with times in microseconds."""

    allowed: bool
    remaining: tuple[int, ...]
    reset_us: tuple[int, ...]
    retry_us: int | None
    violated: tuple[int, ...]


class PlainStrict:
    """A log by tenths of a window: a hit counts in the tenth that it fell in, and in the ten that follow."""

    def __init__(self, limit: Limit) -> None:
        self.most = limit.amount
        self.slot_us = limit.seconds * 100_000
        self.counts: Counter[int] = Counter()

    def leaving(self, now_us: int) -> list[tuple[int, int]]:
        """List when hits stop counting, and how many."""
        counting = sorted((slot, count) for slot, count in self.counts.items() if count)
        return [((slot + 11) * self.slot_us, count) for slot, count in counting if (slot + 11) * self.slot_us > now_us]

    def look(self, now_us: int, cost: int) -> tuple[int, int, int | None]:
        """Say what remains, when more comes back, and when the cost fits."""
        leaving = self.leaving(now_us)
        remaining = self.most - sum(count for _, count in leaving)
        reset_us = leaving[0][0] - now_us if leaving else 0
        if cost > self.most:
            return remaining, reset_us, None
        missing, wait_us = cost - remaining, 0
        for end_us, count in leaving:
            if missing > 0:
                missing, wait_us = missing - count, end_us - now_us
        return remaining, reset_us, wait_us

    def count(self, now_us: int, cost: int) -> None:
        """Count, and keep no more than the amount: the newest."""
        self.counts[now_us // self.slot_us] += cost
        room = self.most
        for slot in sorted(self.counts, reverse=True):
            if slot < now_us // self.slot_us - 10:
                del self.counts[slot]
            else:
                self.counts[slot] = min(self.counts[slot], room)
                room -= self.counts[slot]

    def refund(self, at_us: int, cost: int) -> None:
        """Take back what was counted in the tenth of that moment."""
        slot = at_us // self.slot_us
        if slot in self.counts:
            self.counts[slot] = max(self.counts[slot] - cost, 0)


class PlainFixed(PlainStrict):
    """A window that begins with a hit, and the hits in it."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(limit)
        self.window_us = limit.seconds * 1_000_000
        self.end_us = self.hits = 0

    def leaving(self, now_us: int) -> list[tuple[int, int]]:
        return [(self.end_us, self.hits)] if self.hits and now_us < self.end_us else []

    def count(self, now_us: int, cost: int) -> None:
        if not self.leaving(now_us):
            self.end_us, self.hits = now_us + self.window_us, 0
        self.hits = min(self.hits + cost, self.most)

    def refund(self, at_us: int, cost: int) -> None:
        if self.end_us - self.window_us <= at_us < self.end_us:
            self.hits = max(self.hits - cost, 0)


class PlainGcra:
    """A bucket that leaks, in fractions of a hit."""

    def __init__(self, limit: Limit) -> None:
        self.most = limit.amount if limit.burst is None else limit.burst
        self.a_microsecond = Fraction(limit.amount, limit.seconds * 1_000_000)
        self.level, self.latest_us = Fraction(0), 0

    def left(self, now_us: int) -> Fraction:
        """Say what has not leaked yet."""
        return max(self.level - (now_us - self.latest_us) * self.a_microsecond, Fraction(0))

    def look(self, now_us: int, cost: int) -> tuple[int, int, int | None]:
        left = self.left(now_us)
        until_less = ceil((left - ceil(left) + 1) / self.a_microsecond) if left else 0
        over = left + cost - self.most
        wait_us = ceil(over / self.a_microsecond) if over > 0 else 0
        return self.most - ceil(left), until_less, None if cost > self.most else wait_us

    def count(self, now_us: int, cost: int) -> None:
        self.level, self.latest_us = min(self.left(now_us) + cost, Fraction(self.most)), now_us

    def refund(self, at_us: int, cost: int) -> None:
        back = cost - (self.latest_us - at_us) * self.a_microsecond
        if at_us <= self.latest_us and back > 0:
            self.level = max(self.level - back, Fraction(0))


KINDS = {"strict": PlainStrict, "concurrency": PlainStrict, "fixed": PlainFixed, "gcra": PlainGcra}


class PlainBucket:
    """Several limits over each key, all or nothing."""

    def __init__(self, limits: Sequence[Limit], algorithm: str) -> None:
        self._make = lambda: [KINDS[algorithm](limit) for limit in limits]
        self._keys: dict[str, list[PlainStrict | PlainGcra]] = {}

    def hit(self, now_us: int, key: str, cost: int) -> Told:
        """Count if all limits admit it."""
        before = self.peek(now_us, key, cost)
        return self.charge(now_us, key, cost) if before.allowed and cost else before

    def peek(self, now_us: int, key: str, cost: int) -> Told:
        """Say how things stand."""
        looks = [part.look(now_us, cost) for part in self._of(key)]
        waits = [look[2] for look in looks]
        violated = tuple(number for number, wait_us in enumerate(waits) if wait_us != 0)
        longest = None if None in waits else max(waits)
        return Told(not violated, tuple(look[0] for look in looks), tuple(look[1] for look in looks), longest, violated)

    def charge(self, now_us: int, key: str, cost: int) -> Told:
        """Count whether or not there is room."""
        before = self.peek(now_us, key, cost)
        if cost:
            for part in self._of(key):
                part.count(now_us, cost)
        after = self.peek(now_us, key, cost)
        return after._replace(
            allowed=before.allowed, violated=before.violated, retry_us=0 if before.allowed else after.retry_us
        )

    def refund(self, at_us: int, key: str, cost: int) -> None:
        """Take back a hit."""
        for part in self._of(key):
            part.refund(at_us, cost)

    def reset(self, key: str) -> None:
        """Forget a key."""
        self._keys.pop(key, None)

    def _of(self, key: str) -> list[PlainStrict | PlainGcra]:
        return self._keys.setdefault(key, self._make())
