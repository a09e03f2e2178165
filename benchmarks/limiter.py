"""What the rate limit in memory costs: a request with its headers, a bare hit, a key in bytes, the worst single hit."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from statistics import median
from typing import Any

from scenarios import PLENTY, Call, Contender, copied, get, null
from stacks import engine_alone
from timing import added, interleaved, percentiles

from asgi_guard import MemoryStore, RateLimit
from asgi_guard.layers.rate_limit import RateLimitMiddleware
from asgi_guard.limiting.rate import parse_rate

ALGORITHMS = ("strict", "gcra", "fixed", "concurrency")
EVERYWHERE = ALGORITHMS[:2]
"""Those that are measured with any number of clients."""

COUNTS = (1, 1_000, 100_000, 1_000_000)
USUAL = 1_000
LIFE_SECONDS = 66
"""Longer than the store looks back under a limit of a minute."""


def figures(counts: Sequence[int] = COUNTS, rounds: int = 80, batch: int = 200) -> dict[str, Any]:
    """Measure the middleware alone, with so many clients in its store; all interleaved in one run."""
    limited = {_name(algorithm, count): _limited(algorithm, count) for algorithm, count in _cases(counts)}
    bases = {"bare": Contender(null, get), "engine": Contender(engine_alone(null), get)}
    samples = interleaved(bases | limited, rounds=rounds, batch=batch)
    costs = {name: added(samples, name, "bare") for name in limited}
    return {
        "added to a GET": costs,
        "over the engine": {name: added(samples, name, "engine") for name in limited},
        f"{_keys(counts[-1])} over {_keys(counts[0])}": {
            algorithm: _ratio(costs[_name(algorithm, counts[-1])], costs[_name(algorithm, counts[0])])
            for algorithm in EVERYWHERE
        },
    }


def hits(keys: int = USUAL, rounds: int = 60) -> dict[str, Any]:
    """Measure `bucket.hit` by itself, and what gives a hit of `concurrency` back."""
    addresses = _addresses(keys)
    buckets = {name: MemoryStore().bucket("default", parse_rate(PLENTY), name) for name in ALGORITHMS}
    took: dict[str, list[float]] = {name: [] for name in (*ALGORITHMS, "concurrency, released")}
    for _ in range(rounds):
        for name, bucket in buckets.items():
            began = time.thread_time_ns()
            decisions = [bucket.hit(address) for address in addresses]
            took[name].append((time.thread_time_ns() - began) / keys)
            if name == "concurrency":
                began = time.thread_time_ns()
                for address, decision in zip(addresses, decisions, strict=True):
                    bucket.refund(address, decision.at_ns)
                took["concurrency, released"].append((time.thread_time_ns() - began) / keys)
    return {
        name: {"min_us": round(min(times) / 1_000, 3), "median_us": round(median(times) / 1_000, 3)}
        for name, times in took.items()
    }


def memory(keys: int = 15_625) -> dict[str, Any]:
    """Measure what the store takes for a key, besides the key itself: hit once, and hit all through the window.

    The tables of the store are as full as they are with 1,000,000 keys in a store for twice as many.
    """
    sizes = {
        algorithm: {"hit once": _bytes_a_key(algorithm, keys, 1), "most": _bytes_a_key(algorithm, keys, 11)}
        for algorithm in EVERYWHERE
    }
    return {"keys": keys, "bytes a key": sizes}


def _bytes_a_key(algorithm: str, keys: int, hits_a_key: int) -> float:
    now = [10**15]
    addresses = _addresses(keys)
    tracemalloc.start()
    hit = (
        MemoryStore(max_keys=2 * keys, clock=lambda: now[0]).bucket("default", parse_rate("100/minute"), algorithm).hit
    )
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(hits_a_key):
        for address in addresses:
            hit(address)
        now[0] += 5_500_000_000  # eleven of them are within what the store looks back
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return round((after - before) / keys, 1)


def stalls(keys: int = 1_000_000) -> dict[str, Any]:
    """Time each hit by itself while the store fills, is full, turns its generations over, and frees what is dead."""
    ahead = [0]
    store = MemoryStore(max_keys=2 * keys, clock=lambda: time.monotonic_ns() + ahead[0])
    hit = store.bucket("default", parse_rate(PLENTY)).hit
    addresses = [*_addresses(keys)]
    results = {"a sum that takes as long": percentiles(_latencies(_as_long, addresses))}  # what the machine adds
    for phase in ("filling", "full", "first turn", "second turn"):
        random.Random(phase).shuffle(addresses)
        results[phase] = percentiles(_latencies(hit, addresses))
        if phase != "filling":
            ahead[0] += LIFE_SECONDS * 1_000_000_000
    return {"keys": keys, "single hits": results}


def _as_long(_key: str) -> int:
    return sum(range(300))


def _latencies(hit: Callable[[str], object], keys: Sequence[str]) -> list[int]:
    # By the wall clock, the longest hit would be the longest turn of another process; and with the collector on, its
    # longest walk over the lists of this file: in the store there is nothing that it has to walk.
    clock = time.thread_time_ns
    latencies: list[int] = []
    gc.disable()
    for key in keys:
        began = clock()
        hit(key)
        latencies.append(clock() - began)
    gc.enable()
    return latencies


def _cases(counts: Sequence[int]) -> Iterator[tuple[str, int]]:
    for algorithm in ALGORITHMS:
        for count in counts if algorithm in EVERYWHERE else (USUAL,):
            yield algorithm, count


def _limited(algorithm: str, count: int) -> Contender:
    addresses = _addresses(count)
    store = MemoryStore(max_keys=2 * count)
    app = RateLimitMiddleware(null, RateLimit(PLENTY, store=store, algorithm=algorithm))
    hit = store.bucket("default", parse_rate(PLENTY), algorithm).hit  # the very bucket of the middleware
    for address in addresses:
        hit(copied(address))  # as in a server, where a key that was seen before lies far from where its like comes in
    pick = random.Random(count)

    def call(number: int) -> Call:
        return get(number, pick.choice(addresses))

    return Contender(app, call)


@lru_cache(maxsize=len(COUNTS))
def _addresses(count: int) -> Sequence[str]:
    numbers = random.Random(7).sample(range(1 << 24), count)
    return tuple(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in numbers)


def _ratio(one: dict[str, float], other: dict[str, float]) -> dict[str, float]:
    return {which: round(one[which] / other[which], 3) for which in ("min_us", "median_us")}


def _name(algorithm: str, count: int) -> str:
    return f"{algorithm}, {_keys(count)}"


def _keys(count: int) -> str:
    return f"{count:,} key{'s' if count > 1 else ''}"
