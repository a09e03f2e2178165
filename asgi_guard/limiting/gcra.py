"""`gcra`: a smooth rate with a burst, by the generic cell rate algorithm (ITU-T I.371, annex A).

A bucket leaks N in each window of length W and holds as many as the burst; each hit pours its cost into it, and what
would spill is refused.

Its worst case:

* At most N + burst in any window of length W: the burst at once, and N that leak out until the window's end.
* Nothing drifts: time is counted in such parts of a nanosecond that both a hit and a nanosecond are whole numbers of
  them, so that N are admitted in W also where W/N nanoseconds are no whole number. Only with a burst of 1, where a hit
  has to find the bucket empty, each waits for its whole nanosecond.
* Retry times are exact: a lone client that waits so long is admitted; a nanosecond sooner it is not.
* A refund gives back the whole cost where its hit was the latest of the key. After a later hit, it gives back less by
  the time between the two: for all that is known, what leaked meanwhile would have been lost without the refunded hit,
  and to give more could admit more than N + burst of the hits that stay.
* A charge that goes over fills the bucket, and spills.
"""

from __future__ import annotations

from math import gcd
from typing import Self

from asgi_guard.limiting.counting import TIME_BITS, Look, Taken
from asgi_guard.limiting.rate import Limit


class Gcra:
    """A state is the time of the latest hit, followed by the level of the bucket at that time.

    Together they are the *theoretical arrival time*, at which the bucket will be empty. The level is counted in ticks,
    of which a nanosecond has N/g and a hit W/g, where g is their greatest common divisor.

    Args:
        limit: what to keep to, and its burst. They decide how wide a state is: 100 bits for 100 a minute, 150 at most.
    """

    __slots__ = (
        "_brim",
        "_burst",
        "_hit",
        "_hit_up",
        "_level_bits",
        "_level_mask",
        "_rate",
        "bits",
        "life_ns",
        "window_ns",
    )

    def __init__(self, limit: Limit) -> None:
        self.window_ns: int = limit.window_ns
        common = gcd(limit.amount, limit.window_ns)
        self._rate = limit.amount // common  # ticks that leak in a nanosecond
        self._hit = limit.window_ns // common  # ticks that a hit of cost 1 pours in
        self._burst = limit.amount if limit.burst is None else limit.burst
        self._hit_up = self._hit + self._rate - 1  # the same, to round up by
        self._brim = self._burst * self._hit
        self._level_bits = self._brim.bit_length()
        self._level_mask = (1 << self._level_bits) - 1
        self.bits: int = TIME_BITS + self._level_bits
        self.life_ns: int = self._leaks_after_ns(self._brim)

    def take(self, state: int, now_ns: int, cost: int) -> Taken | None:
        # `_at` and `_leaks_after_ns` are spelled out, for it shows.
        bits = self._level_bits
        since_ns = now_ns - (state >> bits)
        if since_ns < 0:
            return self._take_late(state, now_ns, cost, -since_ns)
        hit = self._hit
        level = (state & self._level_mask) - since_ns * self._rate
        level = level + cost * hit if level > 0 else cost * hit
        free = self._brim - level
        if free < 0:
            return None
        return now_ns << bits | level, (free // hit,), ((self._hit_up - free % hit) // self._rate,)

    def charge(self, state: int, now_ns: int, cost: int) -> int:
        latest_ns, level = self._at(state, now_ns)
        return self._joined(latest_ns, level + cost * self._hit)

    def look(self, state: int, now_ns: int, cost: int) -> Look:
        latest_ns, level = self._at(state, now_ns)
        remaining, part = divmod(self._brim - level, self._hit)
        late_ns = latest_ns - now_ns
        reset_ns = late_ns + self._leaks_after_ns(self._hit - part) if level else 0
        if cost <= remaining:
            return (remaining,), (reset_ns,), (0,)
        if cost > self._burst:
            return (remaining,), (reset_ns,), (None,)
        return (remaining,), (reset_ns,), (late_ns + self._leaks_after_ns(level + cost * self._hit - self._brim),)

    def refund(self, state: int, at_ns: int, cost: int) -> int:
        since_ns = (state >> self._level_bits) - at_ns
        back = cost * self._hit - since_ns * self._rate
        if since_ns < 0 or back <= 0:
            return state
        return state - min(back, state & self._level_mask)

    def adopt(self, previous: Self, state: int, at_ns: int) -> int:
        latest_ns, level = previous._at(state, at_ns)  # it leaked as fast as it did until then
        return self._joined(latest_ns, -(-level * self._hit // previous._hit))

    def _at(self, state: int, now_ns: int) -> tuple[int, int]:
        """Return the time, which stands still while the clock has stepped back, and the level at that time."""
        latest_ns = state >> self._level_bits
        level = state & self._level_mask
        if now_ns <= latest_ns:
            return latest_ns, level
        return now_ns, max(level - (now_ns - latest_ns) * self._rate, 0)

    def _take_late(self, state: int, now_ns: int, cost: int, late_ns: int) -> Taken | None:
        taken = self.take(state, now_ns + late_ns, cost)
        return None if taken is None else (taken[0], taken[1], (taken[2][0] + late_ns,))

    def _leaks_after_ns(self, ticks: int) -> int:
        return -(-ticks // self._rate)

    def _joined(self, latest_ns: int, level: int) -> int:
        return latest_ns << self._level_bits | min(level, self._brim)
