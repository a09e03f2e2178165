"""What a store of counts promises, and what it answers.

A store gives out buckets. `store.bucket("logins", parse_rate("5/minute"))` is asked once for each policy, then
`bucket.hit(key)` once for each request. Buckets of one store with the same name, limits and algorithm share their
counts; others never do.

Rule 1: a hit is judged by all limits of its bucket in one step, all or nothing; a refused hit changes no count.
Rule 2: nothing that a client sends makes a store raise or grow without bound: keys of any length are taken.
Rule 3: a store in this process is a `Store` and answers at once; one over a network is an `AsyncStore` and is awaited.
`store.synchronous is True` tells them apart, also for type checkers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from operator import index
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from asgi_guard.limiting.rate import Limit

Key: TypeAlias = str | bytes

OnFailure: TypeAlias = Literal["local", "open", "closed"]

ON_FAILURE: Final = ("local", "open", "closed")
"""What a store over a network may do while it cannot be asked."""

MAX_KEY_LENGTH: Final = 64
"""The characters or bytes of the longest key that is kept as it is."""

_SECOND_NS: Final = 1_000_000_000


@dataclass(slots=True)
class Decision:
    """What a store answers to a hit; true if it admits it. Tuples have one value for each limit, in their order.

    It is not frozen, since a frozen one is slower to build, and each request builds one; treat it as if it were.

    Attributes:
        allowed: the hit was admitted, and counted.
        at_ns: when this was decided, in nanoseconds on the clock of the store; a refund asks for it.
        remaining: how much may still be admitted at once.
        reset_after_ns: nanoseconds until more of it comes back; 0 where nothing is used.
        retry_after_ns: nanoseconds until the same hit is admitted, if the key is left alone meanwhile; 0 if it was
            admitted now; None if it costs more than a limit ever admits, so that no waiting helps.
        violated: the positions of the limits that refused.
        degraded: the store could not be asked; this is what its settings say for that case.
    """

    allowed: bool
    at_ns: int
    remaining: tuple[int, ...]
    reset_after_ns: tuple[int, ...]
    retry_after_ns: int | None = 0
    violated: tuple[int, ...] = ()
    degraded: bool = False

    @classmethod
    def by_waits(
        cls, at_ns: int, remaining: tuple[int, ...], reset_after_ns: tuple[int, ...], waits_ns: tuple[int | None, ...]
    ) -> Decision:
        """Decide by how long each limit makes the hit wait: 0 admits, None never will."""
        violated: tuple[int, ...] = ()
        longest_ns: int | None = 0
        for position, wait_ns in enumerate(waits_ns):
            if wait_ns != 0:
                violated += (position,)
                longest_ns = None if wait_ns is None or longest_ns is None else max(longest_ns, wait_ns)
        return cls(not violated, at_ns, remaining, reset_after_ns, longest_ns, violated)

    def __bool__(self) -> bool:
        return self.allowed

    @property
    def reset_after_seconds(self) -> tuple[int, ...]:
        """Seconds, rounded up, until more of each limit comes back."""
        return tuple([-(-wait_ns // _SECOND_NS) for wait_ns in self.reset_after_ns])

    @property
    def retry_after_seconds(self) -> int | None:
        """Seconds, rounded up, until the same hit is admitted; None for never."""
        return None if self.retry_after_ns is None else -(-self.retry_after_ns // _SECOND_NS)

    @property
    def retry_at_ns(self) -> int | None:
        """The moment on the clock of the store from which on the same hit is admitted; None for never."""
        return None if self.retry_after_ns is None else self.at_ns + self.retry_after_ns


class Bucket(Protocol):
    """The counts of one policy, for all its keys."""

    @property
    def name(self) -> str:
        """The name of the policy."""
        ...

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Its limits, in the order of the tuples of a `Decision`."""
        ...

    def hit(self, key: Key, cost: int = 1) -> Decision:
        """Count a hit if every limit admits it.

        Args:
            key: whom to count. Text and bytes are different keys, whatever they hold.
            cost: what the hit counts for, at least 0. A hit of cost 0 is admitted and leaves no trace.

        Raises:
            TypeError: the cost is not a whole number.
            ValueError: the cost is negative.
        """
        ...

    def peek(self, key: Key, cost: int = 1) -> Decision:
        """Say what `hit` would say now, and count nothing; `remaining` is what there is before the hit."""
        ...

    def charge(self, key: Key, cost: int = 1) -> Decision:
        """Count a hit that has happened anyway, also where a limit refuses it: after a peek, once it is known to count.

        A limit that it goes over is used up then, and not more: nothing remains, and no debt is left.

        Args:
            key: whom to count.
            cost: what the hit counts for, at least 0; 0 leaves no trace.

        Returns:
            Whether every limit had room for it; what is left, with the hit counted; and for how long the same hit would
            be refused now, if it did not fit. A hit that did not fit must not be refunded.
        """
        ...

    def refund(self, key: Key, at_ns: int, cost: int = 1) -> None:
        """Take back an admitted hit, as if it had never been; when it does not count any more, do nothing.

        Args:
            key: the key of the hit.
            at_ns: `Decision.at_ns` of the hit.
            cost: at most the cost of the hit.
        """
        ...

    def reset(self, key: Key) -> None:
        """Forget all hits of a key. Hits from before must not be refunded any more."""
        ...


class AsyncBucket(Protocol):
    """A `Bucket` whose answers are awaited."""

    @property
    def name(self) -> str:
        """The name of the policy."""
        ...

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Its limits, in the order of the tuples of a `Decision`."""
        ...

    async def hit(self, key: Key, cost: int = 1) -> Decision:
        """Count a hit if every limit admits it; see `Bucket.hit`."""
        ...

    async def peek(self, key: Key, cost: int = 1) -> Decision:
        """Say what `hit` would say now, and count nothing; see `Bucket.peek`."""
        ...

    async def charge(self, key: Key, cost: int = 1) -> Decision:
        """Count a hit that has happened anyway; see `Bucket.charge`."""
        ...

    async def refund(self, key: Key, at_ns: int, cost: int = 1) -> None:
        """Take back an admitted hit; see `Bucket.refund`."""
        ...

    async def reset(self, key: Key) -> None:
        """Forget all hits of a key; see `Bucket.reset`.

        Raises:
            StoreError: the store did not answer; the hits may still count there.
        """
        ...


class Hit(NamedTuple):
    """One of several hits that a request makes.

    Attributes:
        bucket: what counts it.
        key: whom to count.
        cost: what it counts for, at least 0.
        is_enforced: if it is refused, none of them is counted.
    """

    bucket: AsyncBucket
    key: Key
    cost: int
    is_enforced: bool


HitAll: TypeAlias = Callable[[Sequence[Hit]], Awaitable[Sequence[Decision | None]]]
"""Counts all of several hits or none, with as few calls as it takes; see `AsyncStore`."""


class Store(Protocol):
    """A store that answers at once."""

    synchronous: Literal[True]

    def bucket(self, name: str, limits: Sequence[Limit], algorithm: str = "strict") -> Bucket:
        """Give the bucket of a policy.

        Args:
            name: the name of the policy, which keeps its counts apart from those of others.
            limits: at least one limit; a hit has to fit under all of them.
            algorithm: how hits are counted, a name in `algorithms.ALGORITHMS`.

        Raises:
            ValueError: there are no limits, or the store does not know the algorithm.
        """
        ...


class AsyncStore(Protocol):
    """A store whose buckets are awaited. It connects at the first hit.

    What a store may have besides:

    * its buckets have a `HitAll` that is the same for all that are judged together. Where one refuses and is enforced,
      nothing is counted, nothing is allowed, and each `Decision` says how things stand without this request; it is None
      where that was not asked.
    * `start`, awaited when an application starts. It raises where the store could not work.
    * `audience`, an `events.Audience`, through which it tells the listeners of whoever counts in it how it is.
    * `check`, awaited by `asgi-guard doctor`. It raises where the store does not answer.
    * `settings`, a mapping: what it goes by, without what is secret; `Guard.explain` tells it.
    * `on_failure`, what it does while it cannot be asked.
    * `backend`, what events call it, if not by the name of its class. A `Store` may have one, too.
    """

    synchronous: Literal[False]

    def bucket(self, name: str, limits: Sequence[Limit], algorithm: str = "strict") -> AsyncBucket:
        """Give the bucket of a policy; see `Store.bucket`."""
        ...

    async def aclose(self) -> None:
        """Close the connections; a later hit opens them again."""
        ...


def shorten(key: Key, secret: bytes) -> Key:
    """Replace a key of more than 64 characters or bytes by 128 bits of keyed BLAKE2b (RFC 7693), in its own type.

    The length of a key is up to the client, and memory must not be. The secret keeps a client from making two keys
    that collide.

    Args:
        key: text or bytes of any length.
        secret: 16 to 64 random bytes.
    """
    if len(key) <= MAX_KEY_LENGTH:
        return key
    if isinstance(key, bytes):
        return blake2b(key, digest_size=16, key=secret).digest()
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16, key=secret).hexdigest()


def checked_cost(cost: int) -> int:
    """Return a cost as a plain int.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is negative.
    """
    cost = index(cost)
    if cost < 0:
        raise ValueError(f"a hit costs {cost}; a cost is a whole number of at least 0")
    return cost
