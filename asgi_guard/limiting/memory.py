"""The store in this process: exact, flat in cost from one key to millions, and bounded whatever clients send.

Rule 1, no stall: the keys of a bucket lie in many small tables, so that none takes long to grow. A table has two
generations. What is written goes to the young one; once no state of the old one can count any more, the old one is
dropped and the young one takes its place. What was dropped is freed a few keys a hit, never all at once.

Rule 2, never re-opened: a live key is not evicted, so nobody gets a fresh limit by touching a million other keys. When
the store is full, keys that it does not hold share *overflow* states by hash, 64 for each table, which are 4,096 for
each bucket at the default size. The price: while the store is full, a new client shares its limit with the other new
clients of its overflow state and may be refused for what they do; clients that are held notice nothing. A key that
gets a place of its own after all takes along what was counted where it shared.

Rule 3, safe with threads: one lock for each shard is held from the reading of a state to its writing, so that counts
are exact where workers are threads, with a GIL or without one. It is re-entrant, since the garbage collector may run
somebody's finalizer in between, and that must not wait for itself.

Rule 4: nothing here walks all keys, and nothing of a client is kept but a bounded key and an int.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from threading import RLock
from typing import Final, Literal, Self

from asgi_guard.limiting.algorithms import Several, algorithm_for
from asgi_guard.limiting.counting import Counting
from asgi_guard.limiting.rate import Limit
from asgi_guard.limiting.store import MAX_KEY_LENGTH, Decision, Key, checked_cost, shorten
from asgi_guard.limiting.tables import Shard, Table
from asgi_guard.settings import Problems

MAX_KEYS: Final = 100_000_000
"""The most that `max_keys` may be."""

MAX_BUCKETS: Final = 1_024
"""The buckets that one store gives out."""

_SHARD_KEYS: Final = 16_384  # a table of so many keys grows in a fraction of a millisecond


class MemoryStore:
    """Counts in the memory of this process: gone when it ends, and not shared with other processes.

    Args:
        max_keys: the most keys that are held, over all buckets, 1 to 100,000,000. They are shared out evenly among
            shards of at most 16,384, so that the fullest shards overflow a few per cent early. Besides itself, a key
            takes at most 160 bytes under one limit of `gcra` or `fixed`, and 260 of `strict` or `concurrency`; 75 to
            100 is usual.
        clock: returns the nanoseconds of a monotonic clock, from 0 to 2**63.

    Raises:
        ConfigError: `max_keys` is out of bounds, or `clock` cannot be called.
    """

    synchronous: Literal[True] = True
    backend: str = "memory"

    def __init__(self, max_keys: int = 1_000_000, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        problems = Problems("MemoryStore")
        problems.integer("max_keys", max_keys, minimum=1, maximum=MAX_KEYS)
        problems.callable("clock", clock)
        problems.raise_if_any()
        shards = 1 << ((max_keys - 1) // _SHARD_KEYS).bit_length()
        self._shards = tuple(Shard(max_keys // shards) for _ in range(shards))
        self._clock = clock
        self._secret = os.urandom(16)
        self._buckets: dict[tuple[str, tuple[Limit, ...], str], MemoryBucket] = {}
        self._lock = RLock()

    @property
    def held_keys(self) -> int:
        """How many keys are held, with those that no longer count and are not freed yet."""
        return sum(shard.keys for shard in self._shards)

    def bucket(self, name: str, limits: Sequence[Limit], algorithm: str = "strict") -> MemoryBucket:
        """Give the bucket of a policy: one object for the same name, limits and algorithm.

        Args:
            name: the name of the policy, which keeps its counts apart from those of others.
            limits: at least one limit; a hit has to fit under all of them.
            algorithm: how hits are counted, a name in `algorithms.ALGORITHMS`.

        Raises:
            ValueError: there are no limits, there is no such algorithm, or the store has given out 1,024 buckets.
        """
        policy = name, tuple(limits), algorithm
        with self._lock:
            bucket = self._buckets.get(policy)
            if bucket is None:
                if len(self._buckets) >= MAX_BUCKETS:
                    raise ValueError(
                        f"a store gives out at most {MAX_BUCKETS} buckets; "
                        "take names and limits from a fixed set of plans, never from a request"
                    )
                counting = algorithm_for(policy[1], algorithm)
                now_ns = self._clock()
                tables = tuple(Table(shard, counting, now_ns) for shard in self._shards)
                bucket = MemoryBucket(name, policy[1], counting, tables=tables, clock=self._clock, secret=self._secret)
                self._buckets[policy] = bucket
            return bucket


class MemoryBucket:
    """The counts of one policy, as `MemoryStore.bucket` gives them out; its methods are those of `store.Bucket`."""

    __slots__ = (
        "_algorithm",
        "_clock",
        "_secret",
        "_table_mask",
        "_tables",
        "limits",
        "name",
    )

    def __init__(
        self,
        name: str,
        limits: tuple[Limit, ...],
        algorithm: Counting | Several,
        *,
        tables: tuple[Table, ...],
        clock: Callable[[], int],
        secret: bytes,
    ) -> None:
        self.name: str = name
        self.limits: tuple[Limit, ...] = limits
        self._algorithm = algorithm
        self._tables = tables
        self._table_mask = len(tables) - 1
        self._clock = clock
        self._secret = secret

    def hit(self, key: Key, cost: int = 1) -> Decision:
        # The hot path: `_locate`, `with` and the usual case of `enter` are spelled out, for it shows.
        if type(cost) is not int or cost < 1:
            cost = checked_cost(cost)
            if not cost:
                return self.peek(key, cost)
        if len(key) > MAX_KEY_LENGTH:
            key = shorten(key, self._secret)
        mark = hash(key)
        table = self._tables[mark & self._table_mask]
        lock = table.lock
        lock.acquire()
        try:
            now_ns = self._clock()
            if table.latest_ns <= now_ns < table.tidy_at:
                table.latest_ns = now_ns
            else:
                now_ns = table.enter(now_ns)
            young = table.young
            state = known = young.get(key)
            if state is None:
                state = table.recall(key, mark)
            taken = self._algorithm.take(state, now_ns, cost)
            if taken is None:
                return self._judge(state, now_ns, cost)
            state, remaining, reset_ns = taken
            if known is None:
                table.record(key, mark, state)
            else:
                young[key] = state
        finally:
            lock.release()
        return Decision(True, now_ns, remaining, reset_ns)

    def peek(self, key: Key, cost: int = 1) -> Decision:
        cost = checked_cost(cost)
        key, mark, table = self._locate(key)
        with table.lock:
            now_ns = table.enter(self._clock())
            return self._judge(table.recall(key, mark), now_ns, cost)

    def charge(self, key: Key, cost: int = 1) -> Decision:
        cost = checked_cost(cost)
        if not cost:
            return self.peek(key, cost)
        key, mark, table = self._locate(key)
        with table.lock:
            now_ns = table.enter(self._clock())
            state = table.recall(key, mark)
            before = self._judge(state, now_ns, cost)
            state = self._algorithm.charge(state, now_ns, cost)
            table.record(key, mark, state)
            after = self._judge(state, now_ns, cost)
        retry_ns = 0 if before.allowed else after.retry_after_ns
        return Decision(before.allowed, now_ns, after.remaining, after.reset_after_ns, retry_ns, before.violated)

    def refund(self, key: Key, at_ns: int, cost: int = 1) -> None:
        cost = checked_cost(cost)
        key, mark, table = self._locate(key)
        with table.lock:
            table.refund(key, mark, at_ns, cost)

    def reset(self, key: Key) -> None:
        """Forget all hits of a key, except where it shares an overflow state: those are others' hits too."""
        key, _, table = self._locate(key)
        with table.lock:
            table.forget(key)

    def carry(self, previous: Self) -> None:
        """Go on with the counts of another bucket, as when the limits of a policy change.

        A key that is first seen here starts with what it had used there, under each limit for which there was one of
        the same window. What is more than the amount of the new limit is forgotten, the oldest first. Limits of other
        windows start anew; so do all where the algorithm is another one, or the buckets are not of one store.

        A key moves when it is first seen here, with its place. So this takes no time and no memory for the keys, and
        is over when nothing that was counted there can count any more. Refunds go where the key has gone. Hits of
        `previous` must not follow, since they would count anew.

        Args:
            previous: the bucket that was used so far.
        """
        if previous is self or previous._tables[0].shard is not self._tables[0].shard:
            return
        now_ns = self._clock()
        for table, before in zip(self._tables, previous._tables, strict=True):
            with table.lock:
                table.succeed(before, now_ns)

    def _locate(self, key: Key) -> tuple[Key, int, Table]:
        key = shorten(key, self._secret)
        mark = hash(key)
        return key, mark, self._tables[mark & self._table_mask]

    def _judge(self, state: int, now_ns: int, cost: int) -> Decision:
        remaining, reset_ns, retry_ns = self._algorithm.look(state, now_ns, cost)
        return Decision.by_waits(now_ns, remaining, reset_ns, retry_ns)
