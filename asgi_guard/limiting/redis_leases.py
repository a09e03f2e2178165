"""Leases in Redis: one call counts many hits of a hot key, which this process then admits without any.

What a lease is, and why it never admits too much, stands in `leases.py`; here is who holds it. A key has one lease at a
time on an event loop, and one call that asks for the next: all who come meanwhile wait for that, and what they need is
part of it. What is left of a lease goes back with the call for the next one, or after a second.

Rule 1: whoever is cancelled while waiting costs nobody anything: what was counted for it is there for others.
Rule 2: a refusal is always that of the very hit: where a lease is refused, each hit is asked about alone.
Rule 3: a key that is asked about for the first time in a second is counted as if there were no leases.
Rule 4: places for keys are bounded; a key that finds none is counted hit by hit. None is lost while it is used, so that
nobody takes the lease of a hot key away by asking for a million others.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Final

from asgi_guard.limiting.leases import LEAST, LONGEST_NS, Heat, Lease, Terms
from asgi_guard.limiting.redis_batch import Operation, Plan
from asgi_guard.limiting.redis_link import Link
from asgi_guard.limiting.store import MAX_KEY_LENGTH, Decision, Key, shorten
from asgi_guard.monitor.names import REDIS_LEASED
from asgi_guard.monitor.process import aggregate_of_process

MAX_PLACES: Final = 4_096
"""The keys of one policy that hold leases at a time, on one event loop."""

_HOT: Final = 8  # with "auto", a key is hot that was asked about so often within a quarter of a second
_AHEAD_NS: Final = 250_000_000  # for so long a lease is then
_MEASURED_NS: Final = 100_000_000  # demand is measured over so long, or so many hits
_MEASURED_HITS: Final = 32
_GROWTH: Final = 8
_SECOND_NS: Final = 1_000_000_000
_ALONE: Final = Decision(False, 0, (), ())


class _Place:
    """What one key has on an event loop.

    Args:
        key: the key, bounded.
        name: the key in Redis.
        remaining: what remains, as far as is known.
        wanted: how many tokens it is to take.
        now_ns: the time.

    Attributes:
        lease: what it holds.
        waiting: the cost of each hit that waits for the next lease, and who is told.
        is_asking: the next lease is asked for.
        since_ns: when Redis was last asked about it.
        used: the hits since demand was measured.
        measured_ns: when that was.
    """

    __slots__ = (
        "is_asking",
        "key",
        "lease",
        "measured_ns",
        "name",
        "remaining",
        "since_ns",
        "used",
        "waiting",
        "wanted",
    )

    def __init__(self, key: Key, name: bytes, remaining: tuple[int, ...], wanted: int, now_ns: int) -> None:
        self.key: Key = key
        self.name: bytes = name
        self.remaining: tuple[int, ...] = remaining
        self.wanted: int = wanted
        self.lease: Lease | None = None
        self.waiting: list[_Waiting] = []
        self.is_asking: bool = False
        self.since_ns: int = now_ns
        self.used: int = 0
        self.measured_ns: int = now_ns


_Waiting = tuple[int, asyncio.Future[Decision | None]]


class Leases:
    """The leases of one bucket on one event loop.

    Args:
        terms: what a lease is.
        plan: the limits of the bucket.
        link: to Redis.
        warm: told which key has how many tokens in advance, as the hits that they are.
        clock: nanoseconds that do not step back.
    """

    __slots__ = (
        "_clock",
        "_counted",
        "_heat",
        "_link",
        "_places",
        "_plan",
        "_returned",
        "_secret",
        "_terms",
        "_warm",
    )

    def __init__(
        self, terms: Terms, plan: Plan, link: Link, warm: Callable[[Key, int], object], clock: Callable[[], int]
    ) -> None:
        self._terms = terms
        self._plan = plan
        self._link = link
        self._warm = warm
        self._clock = clock
        self._heat = Heat(_HOT, _AHEAD_NS) if terms.is_auto else Heat(1, LONGEST_NS)
        self._places: dict[Key, _Place] = {}
        self._secret = os.urandom(16)
        self._counted = aggregate_of_process().series(REDIS_LEASED, "counted")
        self._returned = aggregate_of_process().series(REDIS_LEASED, "returned")

    def __len__(self) -> int:
        """How many keys have a place."""
        return len(self._places)

    def take(self, key: Key, cost: int) -> Decision | None:
        """Admit a hit from what is held, or return None because that does not cover it."""
        place = self._places.get(key if len(key) <= MAX_KEY_LENGTH else shorten(key, self._secret))
        return None if place is None or place.lease is None else place.lease.take(cost, self._clock())

    def look(self, key: Key, cost: int) -> Decision | None:
        """Say what `take` would say."""
        place = self._places.get(shorten(key, self._secret))
        return None if place is None or place.lease is None else place.lease.look(cost, self._clock())

    async def hit(self, key: Key, name: bytes, cost: int) -> Decision | None:
        """Count a hit that nothing held covers, as part of a lease or alone; None where Redis was not to be asked.

        Args:
            key: whom to count.
            name: the key in Redis.
            cost: at least 1.
        """
        now_ns = self._clock()
        place = self._place(key, name, now_ns)
        if place is None:
            return await self._link.ask(self._plan, name, Operation.HIT, cost)
        if not place.is_asking:
            self._return(place)
        if place.is_asking or self._size(place, now_ns) >= LEAST:
            decision = await self._next_lease(place, key, cost, now_ns)
            if decision is not _ALONE:
                return decision
        place.since_ns = now_ns
        place.used += cost
        decision = await self._link.ask(self._plan, name, Operation.HIT, cost)
        if decision is not None:
            place.remaining = decision.remaining
        return decision

    def put_back(self, key: Key, at_ns: int, cost: int) -> bool:
        """Take back a hit, if the lease that admitted it is still held."""
        place = self._places.get(shorten(key, self._secret))
        if place is None or place.lease is None or place.lease.at_ns != at_ns:
            return False
        place.lease.put_back(cost)
        return True

    def give_back(self, key: Key) -> None:
        """Give back what is held of a key, so that Redis knows all of it."""
        place = self._places.get(shorten(key, self._secret))
        if place is not None:
            self._return(place)

    def forget(self, key: Key) -> None:
        """Let go what is held of a key and what is under way; Redis is about to forget it."""
        self._places.pop(shorten(key, self._secret), None)

    async def aclose(self) -> None:
        """Give back whatever is held, and wait for that."""
        now_ns = self._clock()
        held = [(place.name, place.lease) for place in self._places.values() if place.lease is not None]
        self._places.clear()
        back = [(name, lease.returnable(now_ns), lease.at_ns) for name, lease in held]
        self._returned.add(sum([left for _, left, _ in back]))
        asks = [self._link.ask(self._plan, name, Operation.REFUND, left, at) for name, left, at in back if left]
        await asyncio.gather(*asks)

    # Places -----------------------------------------------------------------------------------------------------------

    def _place(self, key: Key, name: bytes, now_ns: int) -> _Place | None:
        """Return the place of a key; None where it has none, and is to have none."""
        key = shorten(key, self._secret)
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= MAX_PLACES or not self._heat.is_hot(key, now_ns):
                return None
            wanted = _HOT if self._terms.is_auto else self._terms.most
            place = self._places[key] = _Place(key, name, self._terms.fresh, wanted, now_ns)
            self._tidy_in(LONGEST_NS, place)
        return place

    def _size(self, place: _Place, now_ns: int) -> int:
        """Return how large the next lease is to be, where nobody waits for more."""
        passed_ns = now_ns - place.measured_ns
        if self._terms.is_auto and (place.used >= _MEASURED_HITS or passed_ns >= _MEASURED_NS):
            demand = place.used * _AHEAD_NS // max(passed_ns, 1)
            place.wanted = min(demand, max(place.wanted, LEAST) * _GROWTH, self._terms.most)
            place.used, place.measured_ns = 0, now_ns
        return min(place.wanted, self._terms.spare(place.remaining))

    def _tidy_in(self, wait_ns: int, place: _Place) -> None:
        asyncio.get_running_loop().call_later(wait_ns / _SECOND_NS, self._tidy, place, context=Context())

    def _tidy(self, place: _Place) -> None:
        """Give a place up once its lease is over and it has not been asked about for a second."""
        if self._places.get(place.key) is not place:
            return
        rest_ns = place.since_ns + LONGEST_NS - self._clock()
        if place.is_asking or rest_ns > 0:
            self._tidy_in(rest_ns if rest_ns > 0 else LONGEST_NS, place)
        else:
            self._return(place)
            del self._places[place.key]

    def _return(self, place: _Place) -> None:
        lease, place.lease = place.lease, None
        if lease is not None:
            place.used += lease.tokens - lease.left
            left = lease.returnable(self._clock())
            if left:
                self._returned.add(left)
                self._link.tell(self._plan, place.name, Operation.REFUND, left, lease.at_ns)

    # The next lease ---------------------------------------------------------------------------------------------------

    async def _next_lease(self, place: _Place, key: Key, cost: int, now_ns: int) -> Decision | None:
        """Wait for the next lease; `_ALONE` if it was refused."""
        told: asyncio.Future[Decision | None] = asyncio.get_running_loop().create_future()
        place.waiting.append((cost, told))
        if not place.is_asking:
            self._fetch(place, key, now_ns)
        try:
            return await told
        except asyncio.CancelledError:
            decision = None if told.cancelled() else told.result()
            if decision is not None and decision.allowed and not self.put_back(key, decision.at_ns, cost):
                self._link.tell(self._plan, place.name, Operation.REFUND, cost, decision.at_ns)
            raise

    def _fetch(self, place: _Place, key: Key, now_ns: int) -> None:
        """Ask for a lease, which covers at least what those need who wait."""
        self._return(place)
        tokens = max(self._size(place, now_ns), sum([cost for cost, _ in place.waiting]))
        first, place.waiting = place.waiting, []
        place.since_ns = now_ns
        answer = self._link.tell(self._plan, place.name, Operation.HIT, tokens, 0)
        if answer is None:
            _tell(first, None)
            return
        place.is_asking = True
        answer.add_done_callback(partial(self._answered, place, key, first, tokens, now_ns), context=Context())

    def _answered(  # noqa: PLR0917  they are bound one by one
        self,
        place: _Place,
        key: Key,
        first: list[_Waiting],
        tokens: int,
        asked_ns: int,
        answer: asyncio.Future[Decision | None],
    ) -> None:
        decision = answer.result()
        place.is_asking = False
        late, place.waiting = place.waiting, []
        if decision is not None:
            place.remaining = decision.remaining
        if decision is None or not decision.allowed:
            _tell([*first, *late], decision, tokens)
            return
        lease = self._terms.lease(decision, tokens, asked_ns)
        self._counted.add(tokens)
        for cost, told in first:
            if not told.done():
                told.set_result(lease.spend(cost))
        if self._places.get(place.key) is not place:  # Redis has been told to forget all this
            _tell(late, _ALONE)
            return
        place.lease = lease
        self._serve(place, lease, late)
        if place.waiting:
            self._fetch(place, key, self._clock())
        elif lease.left:
            self._warm(key, lease.left)

    def _serve(self, place: _Place, lease: Lease, late: list[_Waiting]) -> None:
        """Serve those who came while the lease was asked for; they can have what is valid now."""
        now_ns = self._clock()
        for cost, told in late:
            decision = None if told.done() else lease.take(cost, now_ns)
            if decision is not None:
                told.set_result(decision)
            elif not told.done():
                place.waiting.append((cost, told))


def _tell(waiting: list[_Waiting], decision: Decision | None, tokens: int = 0) -> None:
    """Tell those who wait that there is no lease: no answer, or a refusal, which is theirs if they cost as much."""
    for cost, told in waiting:
        if not told.done():
            told.set_result(decision if decision is None or cost == tokens else _ALONE)
