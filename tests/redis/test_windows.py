"""On the clock of a real server: no window holds more than it may, and who waits as told is admitted, not sooner."""

from __future__ import annotations

import asyncio
import itertools
import random
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from asgi_guard.limiting import Limit, parse_rate
from asgi_guard.limiting.redis import RedisStore

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

NAMES = itertools.count()
SECOND_NS = 1_000_000_000
AMOUNT = 20

BOUNDS = {"strict": AMOUNT, "gcra": 2 * AMOUNT, "fixed": 2 * AMOUNT}
"""The most that each admits in a closed window, for an amount of 20 and a burst of as many."""


@asynccontextmanager
async def opened(server):
    """Open a store that waits longer than a busy machine makes it, in a namespace of its own."""
    store = RedisStore(server.url, namespace=f"windows{next(NAMES)}", timeout_seconds=5, connect_timeout_seconds=5)
    try:
        yield store
    finally:
        await store.aclose()


def most_in_a_window(moments_ns: list[int], window_ns: int) -> int:
    """Return the most moments in any closed window."""
    moments_ns = sorted(moments_ns)
    most = first = 0
    for last, moment_ns in enumerate(moments_ns):
        while moments_ns[first] < moment_ns - window_ns:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.fixture(scope="module")
def anyio_backend():
    """One loop is enough: the clock is that of the server."""
    return "asyncio"


@asynccontextmanager
async def buckets(servers, limits, algorithms):
    """Give a bucket on every server, for each algorithm, by the names of both."""
    async with AsyncExitStack() as stack:
        stores = {name: await stack.enter_async_context(opened(server)) for name, server in servers.items()}
        yield {
            (name, algorithm): store.bucket("x", limits, algorithm)
            for name, store in stores.items()
            for algorithm in algorithms
        }


@pytest.mark.long
async def test_no_window_holds_more_than_its_bound_however_the_hits_are_spread(shared_servers) -> None:
    """Bursts, trickles and impatience, for two and a half windows, on every server and by each algorithm."""

    async def most(bucket) -> int:
        chance, loop, admitted_ns = random.Random(7), asyncio.get_running_loop(), []
        end = loop.time() + 2.5
        while loop.time() < end:
            decisions = await asyncio.gather(*[bucket.hit("k") for _ in range(chance.choice([1, 3, 30]))])
            admitted_ns += [decision.at_ns for decision in decisions if decision]
            await asyncio.sleep(chance.choice([0.001, 0.03, 0.09, 0.11]))
        assert len(admitted_ns) >= 2 * AMOUNT
        return most_in_a_window(admitted_ns, SECOND_NS)

    async with buckets(shared_servers, [Limit(AMOUNT, 1)], BOUNDS) as made:
        found = zip(made, await asyncio.gather(*map(most, made.values())), strict=True)
    assert [(where, held) for where, held in found if held > BOUNDS[where[1]]] == []


@pytest.mark.long
async def test_who_waits_as_told_is_admitted_and_nobody_a_microsecond_sooner(shared_servers) -> None:
    """Ten clients of each algorithm on every server, twice each, by the microseconds of the server."""

    async def client(bucket, name: str) -> list[bool]:
        admitted = []
        for _ in range(2):
            while (denied := await bucket.hit(name)).allowed:
                pass
            end_ns = denied.retry_at_ns
            await asyncio.sleep(denied.retry_after_ns / SECOND_NS - 0.002)
            while not (looked := await bucket.peek(name)):
                assert looked.at_ns < end_ns == looked.retry_at_ns
                await asyncio.sleep(0.0005)
            assert looked.at_ns >= end_ns
            admitted.append((await bucket.hit(name)).allowed)
        return admitted

    async with buckets(shared_servers, parse_rate("3/second;500/hour"), [*BOUNDS, "concurrency"]) as made:
        clients = [client(bucket, f"client {number}") for bucket in made.values() for number in range(10)]
        assert await asyncio.gather(*clients) == [[True, True]] * len(clients)


@pytest.mark.long
async def test_a_denial_that_is_repeated_here_ends_when_redis_says(shared_servers) -> None:
    """What this process has remembered lets nobody wait longer than Redis would, nor shorter."""

    async def ask(bucket) -> None:
        while (denied := await bucket.hit("k")).allowed:
            pass
        end_ns = denied.retry_at_ns
        while not (decision := await bucket.hit("k")):
            assert abs(decision.retry_at_ns - end_ns) < 50_000_000  # two clocks; a busy machine is between them
            await asyncio.sleep(0.001)
        assert end_ns <= decision.at_ns < end_ns + 200_000_000

    async with buckets(shared_servers, [Limit(2, 1)], BOUNDS) as made:
        await asyncio.gather(*map(ask, made.values()))
