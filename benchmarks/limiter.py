"""What the rate limit in memory costs: a request with its headers, a key in bytes, and the worst single hit."""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

from scenarios import PLENTY, Call, Contender, copied, get, null
from timing import added, interleaved, percentiles

from asgi_guard import MemoryStore, RateLimit
from asgi_guard.layers.rate_limit import RateLimitMiddleware
from asgi_guard.limiting.rate import parse_rate

COUNTS = (1, 1_000, 100_000, 1_000_000)
LIFE_SECONDS = 66
"""Longer than the store looks back under a limit of a minute."""


def figures(counts: Sequence[int] = COUNTS, rounds: int = 150, batch: int = 200) -> dict[str, Any]:
    """Measure the middleware alone, with so many clients in its store; all interleaved in one run."""
    contenders = {"bare": Contender(null, get)} | {_keys(count): _limited(count) for count in counts}
    samples = interleaved(contenders, rounds=rounds, batch=batch)
    costs = {_keys(count): added(samples, _keys(count), "bare") for count in counts}
    first, last = costs[_keys(counts[0])], costs[_keys(counts[-1])]
    flatness = {which: round(last[which] / first[which], 3) for which in ("min_us", "median_us")}
    return {"added to a GET": costs, f"{_keys(counts[-1])} over {_keys(counts[0])}": flatness}


def memory(keys: int = 100_000) -> dict[str, Any]:
    """Measure what the store takes for a key, besides the key itself."""
    addresses = _addresses(keys)
    tracemalloc.start()
    hit = MemoryStore(max_keys=2 * keys).bucket("default", parse_rate("100/minute")).hit
    before, _ = tracemalloc.get_traced_memory()
    for address in addresses:
        hit(address)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {"keys": keys, "bytes_per_key": round((after - before) / keys, 1)}


def stalls(keys: int = 1_000_000) -> dict[str, Any]:
    """Time each hit by itself while the store fills, is full, turns its generations over, and frees what is dead."""
    ahead = [0]
    store = MemoryStore(max_keys=2 * keys, clock=lambda: time.monotonic_ns() + ahead[0])
    hit = store.bucket("default", parse_rate(PLENTY)).hit
    addresses = _addresses(keys)
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


def _limited(count: int) -> Contender:
    addresses = _addresses(count)
    store = MemoryStore(max_keys=2 * count)
    app = RateLimitMiddleware(null, RateLimit(PLENTY, store=store))
    hit = store.bucket("default", parse_rate(PLENTY)).hit  # the very bucket of the middleware
    for address in addresses:
        hit(copied(address))  # as in a server, where a key that was seen before lies far from where its like comes in
    pick = random.Random(count)

    def call(number: int) -> Call:
        return get(number, pick.choice(addresses))

    return Contender(app, call)


def _addresses(count: int) -> list[str]:
    numbers = random.Random(7).sample(range(1 << 24), count)
    return [f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in numbers]


def _keys(count: int) -> str:
    return f"{count:,} key{'s' if count > 1 else ''}"
