"""The counts of a policy in a storage of `limits`: what is asked for each limit, and the decision that comes of it.

What is told is what `limits` knows, and never a moment that would be too early.
Must never let a client's bytes into a key: `limits` joins the parts of a key by slashes, and escapes none. What stands
there is a keyed hash.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b
from typing import Any, Final, Protocol, TypeVar

from asgi_guard.errors.exceptions import StoreError
from asgi_guard.limiting.memory import MemoryBucket, MemoryStore
from asgi_guard.limiting.rate import Limit
from asgi_guard.limiting.secret import digest_of
from asgi_guard.limiting.shares import share_of, without_store
from asgi_guard.limiting.store import Decision, Key, OnFailure, checked_cost

T = TypeVar("T")

_SECOND_NS: Final = 1_000_000_000


class Asking(Protocol):
    """What a bucket has to know of its store.

    Attributes:
        local_share: with `"local"`, the share of each limit that this process admits.
        local_store: where it is counted then.
        secret: what keys are hashed with.
    """

    local_share: float
    local_store: MemoryStore
    secret: bytes

    async def ask(self, question: Callable[..., Awaitable[T]], *args: object) -> T | None:
        """Ask the storage; return None where there is no answer, or it was not to be asked."""
        ...

    async def call(self, method: Callable[..., Any], *args: object, **options: object) -> Any:
        """Call a method of `limits`."""
        ...


class LimitsBucket:
    """The counts of one policy, as `LimitsStore.bucket` gives them out; its methods are those of `store.AsyncBucket`.

    Args:
        store: where it belongs.
        counter: a strategy of `limits`, which counts and tells.
        items: the limits, as `limits` has them.
        name: the name of the policy.
        limits: its limits.
        strategy: the name of the strategy.
        on_failure: what happens while the storage is away.
    """

    __slots__ = ("_counter", "_items", "_local", "_on_failure", "_store", "_strategy", "_tag", "limits", "name")

    def __init__(
        self,
        store: Asking,
        counter: Any,
        items: Sequence[Any],
        *,
        name: str,
        limits: tuple[Limit, ...],
        strategy: str,
        on_failure: OnFailure,
    ) -> None:
        self.name: str = name
        self.limits: tuple[Limit, ...] = limits
        self._store = store
        self._counter = counter
        self._strategy = strategy
        self._on_failure: OnFailure = on_failure
        self._items = items
        # Strategies keep different things under the same name: to read another's is an error.
        self._tag = blake2b(repr((name, strategy)).encode(), digest_size=8).hexdigest()
        shares = tuple(share_of(limit, store.local_share) for limit in limits)
        self._local: MemoryBucket = store.local_store.bucket(name, shares)

    async def hit(self, key: Key, cost: int = 1) -> Decision:
        """Count a hit if every limit admits it; what the limits before one that refuses have counted stays counted."""
        cost = checked_cost(cost)
        if not cost:
            return await self.peek(key, cost)
        decision = await self._store.ask(self._hit, self._name_of(key), cost)
        if decision is None:
            return self._instead(self._local.hit, key, cost)
        if decision.allowed and self._on_failure == "local":
            self._local.hit(key, cost)
        return decision

    async def peek(self, key: Key, cost: int = 1) -> Decision:
        """Say what `hit` would say now, and count nothing; see `store.Bucket.peek`."""
        cost = checked_cost(cost)
        decision = await self._store.ask(self._look, self._name_of(key), cost)
        return self._instead(self._local.peek, key, cost) if decision is None else decision

    async def charge(self, key: Key, cost: int = 1) -> Decision:
        """Count a hit that has happened anyway; see `store.Bucket.charge`."""
        cost = checked_cost(cost)
        if not cost:
            return await self.peek(key, cost)
        decision = await self._store.ask(self._charge, self._name_of(key), cost)
        return self._instead(self._local.charge, key, cost) if decision is None else decision

    async def refund(self, key: Key, at_ns: int, cost: int = 1) -> None:
        """Do nothing: a storage of `limits` takes nothing back. That admits less, and never more."""

    async def reset(self, key: Key) -> None:
        """Forget all hits of a key; see `store.Bucket.reset`.

        Raises:
            StoreError: the storage did not answer; the hits may still count there.
        """
        self._local.reset(key)
        if not await self._store.ask(self._reset, self._name_of(key)):
            raise StoreError

    async def _hit(self, name: str, cost: int) -> Decision:
        for position, item in enumerate(self._items):
            # One that costs more than the limit is not asked about: a fixed window would count it, and be full.
            if cost > item.amount or not await self._store.call(self._counter.hit, item, self._tag, name, cost=cost):
                return await self._look(name, cost, (position,))
        return await self._look(name, cost, ())

    async def _charge(self, name: str, cost: int) -> Decision:
        violated: tuple[int, ...] = ()
        for position, item in enumerate(self._items):
            if not await self._store.call(self._counter.hit, item, self._tag, name, cost=cost):
                violated += (position,)
                _, left = await self._store.call(self._counter.get_window_stats, item, self._tag, name)
                if left > 0:
                    await self._store.call(self._counter.hit, item, self._tag, name, cost=min(left, cost))
        return await self._look(name, cost, violated)

    async def _reset(self, name: str) -> bool:
        for item in self._items:
            await self._store.call(self._counter.clear, item, self._tag, name)
        return True

    async def _look(self, name: str, cost: int, violated: Sequence[int] | None = None) -> Decision:
        """Say how things stand.

        Args:
            name: of the key.
            cost: of the hit.
            violated: the limits that have refused it; None to say which would.
        """
        remaining: list[int] = []
        resets_ns: list[int] = []
        waits_ns: list[int | None] = []
        for position, limit in enumerate(self.limits):
            item = self._items[position]
            reset_at, left = await self._store.call(self._counter.get_window_stats, item, self._tag, name)
            reset_ns = max(round((reset_at - time.time()) * _SECOND_NS), 0) if left < limit.amount else 0
            is_refused = cost > left if violated is None else position in violated
            remaining.append(max(left, 0))
            resets_ns.append(reset_ns)
            waits_ns.append(self._wait_ns(limit, cost, left, reset_ns) if is_refused else 0)
        return Decision.by_waits(time.time_ns(), tuple(remaining), tuple(resets_ns), tuple(waits_ns))

    def _wait_ns(self, limit: Limit, cost: int, left: int, reset_ns: int) -> int | None:
        """Return when a refused hit is admitted for certain."""
        if cost > limit.amount:
            return None
        if self._strategy == "fixed-window":
            return min(reset_ns + _SECOND_NS, limit.window_ns)  # Redis rounds what is left to seconds, also down
        if cost - left > 1:  # what is told is when the next one comes back
            return limit.window_ns * (1 if self._strategy == "moving-window" else 2)
        return (reset_ns or limit.window_ns) + 1_000_000  # just after; 0 is told of a window that has just begun

    def _instead(self, local: Callable[[Key, int], Decision], key: Key, cost: int) -> Decision:
        """Decide without the storage."""
        return without_store(self._on_failure, local, key, cost, len(self.limits))

    def _name_of(self, key: Key) -> str:
        return digest_of(key, self._store.secret)
