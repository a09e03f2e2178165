"""The store in Redis or Valkey: one count for all processes and machines, in one round trip, for all limits of a hit.

It connects at the first hit of an event loop, and needs no lifespan. While Redis is away it does what `on_failure`
says, and a request pays for that once at most. The arithmetic is that of the memory store, to the microsecond, on the
clock of the server (`count.lua`). What arrives while a call is under way goes out as one call (`redis_link.py`).

The policies of one request are asked in one call, which counts it under all of them or under none. On a cluster that is
a call for each client or other key that they count, since each has a slot of its own: they are asked in order, and what
the first have counted is given back where a later one refuses.

Rule 1: nobody's key reaches Redis: what does is a keyed hash of it, of one length, in a hash tag of its own, so that a
cluster keeps all that is counted for one client in one slot. Every key has a time to live.
Rule 2: a denial says when it ends. Until then the same process repeats it without asking, so that a client who does not
listen costs Redis next to nothing. A reset or a refund that ends it is published, and each process hears of it in
milliseconds, or asks again after a second. What nobody publishes, as a deletion by hand, it finds out within five.
Rule 3: a decision that was made without Redis is `degraded`, and clients are told no numbers of it.
Must never show a password, and never raise because Redis is away: but for a reset, which could not say so otherwise.

| id    | rule that was broken                                            |
|-------|-----------------------------------------------------------------|
| AG431 | a store in Redis is used on asyncio                             |
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from hashlib import blake2b
from typing import Final, Literal

from asgi_guard.errors.exceptions import ConfigError, StoreError
from asgi_guard.events import Listener
from asgi_guard.limiting.events import Audience
from asgi_guard.limiting.leases import LeaseSize
from asgi_guard.limiting.memory import MAX_BUCKETS, MAX_KEYS, MemoryBucket, MemoryStore
from asgi_guard.limiting.outage import Outage
from asgi_guard.limiting.rate import Limit
from asgi_guard.limiting.redis_batch import Operation, Plan
from asgi_guard.limiting.redis_client import Caller
from asgi_guard.limiting.redis_denials import Denials
from asgi_guard.limiting.redis_link import Link
from asgi_guard.limiting.redis_together import hit_all
from asgi_guard.limiting.secret import check_secret, digests, hash_key
from asgi_guard.limiting.shares import share_of, usual_share, without_store
from asgi_guard.limiting.store import ON_FAILURE, Decision, Hit, HitAll, Key, OnFailure, checked_cost
from asgi_guard.redis.news import Topic
from asgi_guard.redis.server import PerLoop, Server
from asgi_guard.redis.urls import check_url, need_redis
from asgi_guard.settings import HIDDEN, Problem, Problems

NAMESPACE: Final = "asgi-guard"
"""What keys in Redis begin with, unless a store says otherwise."""


class RedisStore:
    """Counts in Redis 6.2 or newer, or in Valkey, for all processes that share it.

    Args:
        url: `redis://user:password@host:port/db`; `rediss://` for TLS, `unix:///path?db=0` for a socket;
            `redis+cluster://host:port` for a cluster, by any of its nodes;
            `redis+sentinel://host:port,host:port/service/db` for the master that sentinels name. What redis-py takes in
            the query of a URL may stand in it.
        timeout_seconds: how long a call may take, 0.001 to 10. When one takes longer, Redis counts as away.
        connect_timeout_seconds: how long the first call may take, with connecting and all, 0.001 to 60.
        on_failure: what happens while Redis is away: `"local"` counts in this process, and begins with what it has
            admitted so far; `"open"` admits everything; `"closed"` refuses everything (503). A `RateLimit` may say
            otherwise for its own policy.
        local_share: with `"local"`, the share of each limit that this process admits, 0.0001 to 1: one by the number of
            processes keeps the limit, 1 gives each process all of it. At least one hit is admitted. None is one by
            the number of workers where `asgi-guard run` has started them, and 1 elsewhere.
        namespace: what keys in Redis begin with, 1 to 64 characters; stores of different namespaces share nothing.
        secret: text or bytes that keep whoever reads the keys in Redis from guessing whose they are; the same in all
            processes. None is no secret: addresses are few enough to try them all.
        local_keys: the most keys of which this process remembers a denial, and the most that it counts for itself, 1 to
            100,000,000.
        listeners: told when Redis goes away and comes back, by `CircuitChanged`, as are those of each guard that counts
            here.
        clock: nanoseconds that stand for the time of the server, in tests; None asks the server.

    Raises:
        ConfigError: an argument is wrong.
        MissingExtraError: redis-py is not installed.
    """

    synchronous: Literal[False] = False
    backend: str = "redis"

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = 0.025,
        connect_timeout_seconds: float = 1.0,
        on_failure: OnFailure = "local",
        local_share: float | None = None,
        namespace: str = NAMESPACE,
        secret: str | bytes | None = None,
        local_keys: int = 100_000,
        listeners: Iterable[Listener] = (),
        clock: Callable[[], int] | None = None,
    ) -> None:
        problems = Problems("RedisStore", secrets=("url", "secret"))
        check_url(problems, "url", url)
        problems.number("timeout_seconds", timeout_seconds, minimum=0.001, maximum=10)
        problems.number("connect_timeout_seconds", connect_timeout_seconds, minimum=0.001, maximum=60)
        problems.choice("on_failure", on_failure, ON_FAILURE)
        if local_share is not None:
            problems.number("local_share", local_share, minimum=0.000_1, maximum=1)
        problems.text("namespace", namespace, max_length=64)
        problems.integer("local_keys", local_keys, minimum=1, maximum=MAX_KEYS)
        check_secret(problems, "secret", secret)
        if clock is not None:
            problems.callable("clock", clock)
        problems.raise_if_any()
        need_redis("RedisStore")
        self.audience: Audience = Audience(listeners)
        self.clock: Callable[[], int] | None = clock
        self._links: PerLoop[Link] = PerLoop(self._new_link)
        self._buckets: dict[tuple[str, tuple[Limit, ...], str, OnFailure, LeaseSize | None], RedisBucket] = {}
        self.on_failure: OnFailure = on_failure
        self.local_share: float = usual_share() if local_share is None else local_share
        self.local_store: MemoryStore = MemoryStore(local_keys, clock=_local_ns)
        self.server: Server = Server(
            url,
            timeout_seconds=timeout_seconds,
            connect_timeout_seconds=connect_timeout_seconds,
            namespace=namespace,
        )
        self.check: Callable[[], Awaitable[None]] = self.server.check
        self.denials: Denials = Denials(local_keys, self._ear)
        self.namespace: str = namespace
        self.prefix: bytes = self.server.prefix
        self.secret: bytes = hash_key(secret)
        self.digest_of: Callable[[Key], bytes] = digests(self.secret)

    @property
    def settings(self) -> Mapping[str, object]:
        """What it goes by, without what is secret."""
        return {
            "url": str(self.server),
            "timeout_seconds": self.server.timeout_seconds,
            "connect_timeout_seconds": self.server.connect_timeout_seconds,
            "on_failure": self.on_failure,
            "local_share": self.local_share,
            "namespace": self.namespace,
            "secret": HIDDEN if self.secret else None,
        }

    def __repr__(self) -> str:
        own = "" if self.namespace == NAMESPACE else f", namespace={self.namespace!r}"
        return f"RedisStore({str(self.server)!r}{own})"

    def bucket(
        self,
        name: str,
        limits: Sequence[Limit],
        algorithm: str = "strict",
        *,
        on_failure: OnFailure | None = None,
        lease: LeaseSize | None = None,
    ) -> RedisBucket:
        """Give the bucket of a policy: the same name, limits and algorithm share their counts.

        Args:
            name: the name of the policy, which keeps its counts apart from those of others.
            limits: at least one limit; a hit has to fit under all of them.
            algorithm: how hits are counted, a name in `algorithms.ALGORITHMS`.
            on_failure: what happens while Redis is away; None is what the store says.
            lease: how many hits of a key are counted in advance, 2 to 10,000, or `"auto"`; see `RateLimit.lease`.

        Raises:
            ValueError: there are no limits, there is no such algorithm, it has no leases, a state would count for more
                than 100 years, or the store has given out 1,024 buckets.
        """
        policy = name, tuple(limits), algorithm, on_failure or self.on_failure, lease
        bucket = self._buckets.get(policy)
        if bucket is None:
            if len(self._buckets) >= MAX_BUCKETS:
                raise ValueError(f"a store gives out at most {MAX_BUCKETS} buckets")
            bucket = self._buckets[policy] = self._new_bucket(*policy[:4], lease)
        return bucket

    def _new_bucket(
        self, name: str, limits: tuple[Limit, ...], algorithm: str, on_failure: OnFailure, lease: LeaseSize | None
    ) -> RedisBucket:
        if lease is None:
            return RedisBucket(self, name, limits, algorithm, on_failure)
        from asgi_guard.limiting.redis_leased import LeasedBucket  # which is a `RedisBucket`

        return LeasedBucket(self, name, limits, algorithm, on_failure, lease)

    async def hit_all(self, hits: Sequence[Hit]) -> list[Decision | None]:
        """Count all of these hits of its buckets or none, in one call; see `redis_together.hit_all`.

        Raises:
            ConfigError: as from `link`.
        """
        return await hit_all(self.link(), hits)

    async def start(self) -> None:
        """Say at the start of an application that the event loop is the wrong one; nothing is connected yet.

        Raises:
            ConfigError: as from `link`.
        """
        self.link()

    async def aclose(self) -> None:
        """Close the connections of this event loop, also those of circuits that are shared; a later hit opens them."""
        self.denials.forget_all(time.monotonic_ns())
        try:
            link = self._links.pop()
        except RuntimeError:  # on an event loop that is not asyncio's nothing is open
            return
        async with AsyncExitStack() as stack:  # also if it is cancelled: each of them has something to close
            stack.push_async_callback(self.server.aclose)
            if link is not None:
                stack.push_async_callback(link.aclose)
                for bucket in list(self._buckets.values()):  # other threads add to them
                    stack.push_async_callback(bucket.let_go, link)

    def link(self) -> Link:
        """Return the link of the event loop that runs.

        Raises:
            ConfigError: it is not asyncio's.
        """
        try:
            return self._links.get()
        except RuntimeError:
            remedy = "Run the server on asyncio or uvloop, or leave the store out to count in memory."
            rule = "is used on asyncio, and this is another event loop"
            raise ConfigError([Problem("AG431", "RedisStore", "", rule, remedy)]) from None

    def _ear(self) -> Topic:
        """Return what tells the event loop that runs which denials have ended: the script publishes their keys."""
        return self.server.news().topic(self.prefix + b"ended", self._forget)

    def _forget(self, key: bytes | None) -> None:
        if key is not None:
            self.denials.forget(key, time.monotonic_ns())

    def _new_link(self) -> Link:
        clock = self.clock
        return Link(
            Caller(self.server.client()),
            outage=Outage(repr(self), lambda: {on_failure for _, _, _, on_failure, _ in list(self._buckets)}),
            probe_key=self.prefix + b"{probe}",
            timeout_seconds=self.server.timeout_seconds,
            connect_timeout_seconds=self.server.connect_timeout_seconds,
            listeners=[self.audience],
            now_us=None if clock is None else lambda: clock() // 1_000,
        )


class RedisBucket:
    """The counts of one policy, as `RedisStore.bucket` gives them out; its methods are those of `store.AsyncBucket`.

    A hit whose answer never came may have been counted: that admits less, and never more.
    """

    __slots__ = (
        "_denials",
        "_head",
        "_local",
        "_on_failure",
        "_store",
        "_tail",
        "_warms",
        "digest_of",
        "hit_all",
        "limits",
        "name",
        "plan",
    )

    def __init__(
        self, store: RedisStore, name: str, limits: tuple[Limit, ...], algorithm: str, on_failure: OnFailure
    ) -> None:
        self.name: str = name
        self.limits: tuple[Limit, ...] = limits
        self.plan: Plan = Plan(limits, algorithm)
        self.hit_all: HitAll | None = store.hit_all
        self.digest_of: Callable[[Key], bytes] = store.digest_of
        self._store = store
        self._on_failure: OnFailure = on_failure
        self._warms = on_failure == "local" and not self.plan.is_lease
        # A lease is given back, also by another process; so its denial says nothing about the next hit.
        self._denials = None if self.plan.is_lease else store.denials
        shares = tuple(share_of(limit, store.local_share) for limit in limits)
        self._local: MemoryBucket = store.local_store.bucket(name, shares, algorithm)
        told = repr((name, [(limit.name, limit.amount, limit.seconds, limit.burst) for limit in limits], algorithm))
        self._head = store.prefix + b"{"
        self._tail = b"}" + blake2b(told.encode(), digest_size=8).hexdigest().encode()

    async def hit(self, key: Key, cost: int = 1) -> Decision:
        """Count a hit if every limit admits it; see `store.Bucket.hit`."""
        cost = checked_cost(cost)
        if not cost:
            return await self.peek(key, cost)
        name = self.name_of(key)
        now_ns = time.monotonic_ns()
        denied = self.recall(name, cost, now_ns)
        if denied is not None:
            return denied
        return self.taken(key, name, cost, await self._store.link().ask(self.plan, name, Operation.HIT, cost), now_ns)

    async def peek(self, key: Key, cost: int = 1) -> Decision:
        """Say what `hit` would say now, and count nothing; see `store.Bucket.peek`."""
        cost = checked_cost(cost)
        decision = await self._store.link().ask(self.plan, self.name_of(key), Operation.PEEK, cost)
        return self._without_redis(self._local.peek, key, cost) if decision is None else decision

    async def charge(self, key: Key, cost: int = 1) -> Decision:
        """Count a hit that has happened anyway; see `store.Bucket.charge`."""
        cost = checked_cost(cost)
        if not cost:
            return await self.peek(key, cost)
        decision = await self._store.link().ask(self.plan, self.name_of(key), Operation.CHARGE, cost)
        return self._without_redis(self._local.charge, key, cost) if decision is None else decision

    async def refund(self, key: Key, at_ns: int, cost: int = 1) -> None:
        """Take back an admitted hit; see `store.Bucket.refund`. While Redis is away, its hits stay counted."""
        asked = self.give_back(self._store.link(), key, at_ns, checked_cost(cost))
        if asked is not None:
            await asked

    async def reset(self, key: Key) -> None:
        """Forget all hits of a key; see `store.Bucket.reset`. Other processes follow within a second at most.

        Raises:
            StoreError: Redis did not answer; the hits may still count there.
        """
        name = self.name_of(key)
        self._local.reset(key)
        try:
            done = await self._store.link().ask(self.plan, name, Operation.RESET, 0)
        finally:
            self._store.denials.forget(name, time.monotonic_ns())
        if done is None:
            raise StoreError

    async def let_go(self, link: Link) -> None:
        """Give back what is held in advance on one event loop: nothing."""

    # For the store, which judges hits of several buckets together -----------------------------------------------------

    def name_of(self, key: Key) -> bytes:
        """Return the key in Redis."""
        return self.name_by(self.digest_of(key))

    def name_by(self, digest: bytes) -> bytes:
        """Return the key in Redis of somebody whom `digest_of` has hashed."""
        return self._head + digest + self._tail

    def recall(self, name: bytes, cost: int, now_ns: int) -> Decision | None:
        """Return what is known to be refused."""
        return None if self._denials is None else self._denials.recall(name, cost, now_ns)

    def taken(
        self, key: Key, name: bytes, cost: int, decision: Decision | None, asked_ns: int, *, is_certain: bool = True
    ) -> Decision:
        """Return what Redis has decided of a hit, once it is noted; decide without Redis where it is None.

        Args:
            key: whose hit it was.
            name: the key in Redis.
            cost: of the hit.
            decision: what Redis has said.
            asked_ns: when it was asked, on the clock of this process.
            is_certain: the hit stood alone, so that a denial of it can be repeated.
        """
        if decision is None:
            return self._without_redis(self._local.hit, key, cost)
        if decision.allowed:
            if self._warms:
                self._local.hit(key, cost)
        elif is_certain and decision.violated and self._denials is not None:
            self._denials.note(name, cost, decision, asked_ns, time.monotonic_ns())
        return decision

    def give_back(self, link: Link, key: Key, at_ns: int, cost: int) -> Awaitable[Decision | None] | None:
        """Take back an admitted hit; return what may be awaited, if it goes to Redis, and need not be."""
        if at_ns % 1_000:
            self._local.refund(key, at_ns, cost)
        elif at_ns and cost:
            name = self.name_of(key)
            self._store.denials.forget(name, time.monotonic_ns())
            return link.tell(self.plan, name, Operation.REFUND, cost, at_ns)
        return None

    def _without_redis(self, local: Callable[[Key, int], Decision], key: Key, cost: int) -> Decision:
        return without_store(self._on_failure, local, key, cost, len(self.limits))


def _local_ns() -> int:
    """Return no whole microseconds, as moments of Redis are: so a refund knows who counted its hit."""
    return time.monotonic_ns() // 1_000 * 1_000 + 1
