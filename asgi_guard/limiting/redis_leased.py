"""The bucket in Redis whose hits are counted in advance: `RedisBucket`, with `Leases` in front of it.

Must never ask Redis about what is held, and never answer from what is held what Redis has to be asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from asgi_guard.limiting.leases import LeaseSize, Terms
from asgi_guard.limiting.rate import Limit
from asgi_guard.limiting.redis import RedisBucket, RedisStore
from asgi_guard.limiting.redis_leases import Leases
from asgi_guard.limiting.redis_link import Link
from asgi_guard.limiting.store import Decision, HitAll, Key, OnFailure, checked_cost


class LeasedBucket(RedisBucket):
    """The counts of a policy of which hits are counted in advance.

    It says the same as a `RedisBucket` does, but for what is held: that counts as used elsewhere, until it is used here
    or comes back within a second. `remaining` is what was left when the lease was counted, less what was used of it.
    `peek` and `charge` go by what is held where that covers the cost; else it goes back to Redis first. `refund` puts a
    hit back where it came from. After a `reset`, other processes may still admit what they hold, for a second. What a
    process holds that is killed counts as used until the window is over: `size` tokens for each process at most.

    Args:
        store: where the counts live.
        name: the name of the policy.
        limits: at least one limit.
        algorithm: `"strict"`, `"gcra"` or `"fixed"`.
        on_failure: see `RedisStore`.
        size: the tokens of a lease, 2 to 10,000; `"auto"` goes by demand.

    Raises:
        ValueError: the algorithm has no leases.
    """

    __slots__ = ("_clock", "_leases", "_terms")

    def __init__(  # noqa: PLR0917  as its base is
        self,
        store: RedisStore,
        name: str,
        limits: tuple[Limit, ...],
        algorithm: str,
        on_failure: OnFailure,
        size: LeaseSize,
    ) -> None:
        super().__init__(store, name, limits, algorithm, on_failure)
        self.hit_all: HitAll | None = None  # what is held needs no call at all
        self._terms = Terms(limits, algorithm, size)
        self._clock: Callable[[], int] = store.clock or time.monotonic_ns
        self._leases: dict[Link, Leases] = {}

    async def hit(self, key: Key, cost: int = 1) -> Decision:
        """Count a hit if every limit admits it; see `store.Bucket.hit`."""
        if type(cost) is not int or cost < 1:  # spelled out, for it shows
            cost = checked_cost(cost)
            if not cost:
                return await self.peek(key, cost)
        leases = self._here()
        held = leases.take(key, cost)
        if held is not None:
            return held
        name = self.name_of(key)
        now_ns = time.monotonic_ns()
        denied = self.recall(name, cost, now_ns)
        if denied is not None:
            return denied
        return self.taken(key, name, cost, await leases.hit(key, name, cost), now_ns)

    async def peek(self, key: Key, cost: int = 1) -> Decision:
        """Say what `hit` would say now, and count nothing; see `store.Bucket.peek`."""
        cost = checked_cost(cost)
        leases = self._here()
        held = leases.look(key, cost)
        if held is not None:
            return held
        leases.give_back(key)
        return await super().peek(key, cost)

    async def charge(self, key: Key, cost: int = 1) -> Decision:
        """Count a hit that has happened anyway; see `store.Bucket.charge`."""
        cost = checked_cost(cost)
        leases = self._here()
        held = leases.take(key, cost) if cost else None
        if held is not None:
            return held
        leases.give_back(key)
        return await super().charge(key, cost)

    async def refund(self, key: Key, at_ns: int, cost: int = 1) -> None:
        """Take back an admitted hit; see `store.Bucket.refund`."""
        cost = checked_cost(cost)
        if self._here().put_back(key, at_ns, cost):
            self._store.denials.forget(self.name_of(key), time.monotonic_ns())
        else:
            await super().refund(key, at_ns, cost)

    async def reset(self, key: Key) -> None:
        """Forget all hits of a key; see `RedisBucket.reset`."""
        self._here().forget(key)
        await super().reset(key)

    async def let_go(self, link: Link) -> None:
        """Give back whatever is held on one event loop."""
        leases = self._leases.pop(link, None)
        if leases is not None:
            await leases.aclose()

    def _here(self) -> Leases:
        """Return the leases of the event loop that runs: those of another may be in use in another thread."""
        link = self._store.link()
        leases = self._leases.get(link)
        if leases is None:
            for dead in [other for other in list(self._leases) if other.is_closed]:  # other threads add to them
                self._leases.pop(dead, None)
            leases = self._leases[link] = Leases(self._terms, self.plan, link, self._count_ahead, self._clock)
        return leases

    def _count_ahead(self, key: Key, tokens: int) -> None:
        if self._warms:
            self._local.charge(key, tokens)
