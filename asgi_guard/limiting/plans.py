"""Plans: the rates of a policy, read once, each with the bucket that counts it and with what clients are told of it.

Clients are told in structured fields (RFC 9651), as draft-ietf-httpapi-ratelimit-headers-10 has them: the policy
`"5/second";q=5;w=1` and the state `"5/second";r=3;t=1`.
Must never read a rate twice, and never keep more rates than an operator writes down: what comes out of a request has no
end.

| id    | rule that was broken                                              |
|-------|-------------------------------------------------------------------|
| AG219 | a policy has at most 256 different rates                          |
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeAlias

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.limiting.rate import Limit, parse_rate
from asgi_guard.limiting.store import AsyncBucket, AsyncStore, Bucket, Decision, HitAll, Store
from asgi_guard.settings import Problem

Rate: TypeAlias = str | Limit | Sequence[str | Limit]

MAX_PLANS: Final = 256
"""The different rates that one policy may have."""

_SECOND_NS: Final = 1_000_000_000

DEFAULT_NAME: Final = "default"
"""The name of a policy that was given none; its limits are told by their own names."""


class Plan:
    """One rate of a policy.

    Attributes:
        limits: the limits of the rate.
        bucket: what counts under them.
        hit_all: counts together with those of other plans that have the same; None where its bucket is asked alone.
        names: what clients are told the limits are called.
        policy: the value of `RateLimit-Policy`.
    """

    __slots__ = ("_state", "bucket", "hit_all", "limits", "names", "policy")

    def __init__(self, name: str, bucket: Bucket | AsyncBucket, algorithm: str) -> None:
        self.bucket: Bucket | AsyncBucket = bucket
        self.hit_all: HitAll | None = getattr(bucket, "hit_all", None)
        self.limits: tuple[Limit, ...] = bucket.limits
        self.names: tuple[str, ...] = tuple(_told(name, limit, len(self.limits) == 1) for limit in self.limits)
        quoted = [_quoted(told) for told in self.names]
        units = [
            'qu="concurrent-requests"' if algorithm == "concurrency" else f"w={limit.seconds}" for limit in self.limits
        ]
        items = [
            f"{told};q={limit.amount};{unit}" for told, limit, unit in zip(quoted, self.limits, units, strict=True)
        ]
        self.policy: bytes = ",".join(items).encode()
        self._state = ",".join(f"{told.replace('%', '%%')};r=%d;t=%d" for told in quoted).encode()

    def state(self, decision: Decision) -> bytes:
        """Write the value of `RateLimit`."""
        # Not remembered: to look for what was written before costs as much as to write it.
        remaining = decision.remaining
        if len(remaining) == 1:
            return self._state % (remaining[0], -(-decision.reset_after_ns[0] // _SECOND_NS))
        pairs = zip(remaining, decision.reset_after_seconds, strict=True)
        return self._state % tuple([number for pair in pairs for number in pair])


class Plans:
    """The plans of a policy, by their rates.

    Args:
        name: the name of the policy.
        store: where its counts live.
        algorithm: how they are counted.
        burst: see `Limit`; None leaves it to each limit.
        options: what only some stores are told of a bucket.
    """

    __slots__ = ("_algorithm", "_bucket", "_burst", "_by_rate", "_name")

    def __init__(self, name: str, store: Store | AsyncStore, algorithm: str, burst: int | None, **options: Any) -> None:
        self._name = name
        self._bucket: Callable[..., Bucket | AsyncBucket] = partial(store.bucket, **options)
        self._algorithm = algorithm
        self._burst = burst
        self._by_rate: dict[str | Limit | tuple[str | Limit, ...], Plan] = {}

    def __iter__(self) -> Iterator[Plan]:
        """Give every plan that was asked for."""
        return iter(tuple(self._by_rate.values()))

    def of(self, rate: Rate) -> Plan:
        """Return the plan of a rate, which is read when it is asked for the first time.

        Raises:
            ConfigError: there have been 256 different rates already.
            ValueError: it cannot be read.
        """
        known = rate if isinstance(rate, str | Limit) else tuple(rate)
        plan = self._by_rate.get(known)
        if plan is None:
            if len(self._by_rate) >= MAX_PLANS:
                rule = f"must come to at most {MAX_PLANS} different rates"
                remedy = "Take it from a fixed set of plans, never from the text of a request."
                raise ConfigError([Problem("AG219", f"RateLimit({self._name!r}).rate", "", rule, remedy)])
            limits = limits_of(rate, self._burst)
            plan = Plan(self._name, self._bucket(self._name, limits, self._algorithm), self._algorithm)
            self._by_rate[known] = plan
        return plan


def limits_of(rate: Rate, burst: int | None) -> tuple[Limit, ...]:
    """Read a rate, and give its limits the burst of the policy.

    Raises:
        ValueError: it cannot be read.
    """
    limits = parse_rate(rate)
    return limits if burst is None else tuple(replace(limit, burst=burst) for limit in limits)


def _told(policy: str, limit: Limit, is_only: bool) -> str:
    if policy == DEFAULT_NAME:
        return limit.name
    return policy if is_only else f"{policy}:{limit.name}"


def _quoted(name: str) -> str:
    """Write a name as a string of structured fields (RFC 9651 section 3.3.3)."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
