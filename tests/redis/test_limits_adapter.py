"""The slow path over a real server: `limits` on redis-py, which is the way to any storage that `limits` has."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.limits_adapter import LimitsStore

pytestmark = [pytest.mark.anyio]

STRATEGIES = ["sliding-window-counter", "fixed-window", "moving-window"]


@asynccontextmanager
async def opened(server, **settings):
    """Open a store that waits longer than a busy machine makes it."""
    store = LimitsStore(f"async+{server.url}", **{"timeout_seconds": 5, **settings})
    try:
        yield store
    finally:
        await store.aclose()


@pytest.mark.long
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_thousand_at_once_are_no_way_past_the_limit(server, strategy) -> None:
    """The pool of redis-py has 100 connections, and raises when another is asked of it; nobody is asked for so many."""
    async with opened(server, strategy=strategy, on_failure="open") as store:
        bucket = store.bucket("x", parse_rate("50/hour"))
        decisions = await asyncio.gather(*[bucket.hit("k") for _ in range(1_000)])
    assert sum(map(bool, decisions)) == 50
    assert not any(decision.degraded for decision in decisions)


@pytest.mark.long
@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_who_waits_as_long_as_told_is_admitted(server, strategy) -> None:
    """Also where the server rounds what is left of a window."""
    async with opened(server, strategy=strategy) as store:
        bucket = store.bucket("x", parse_rate("2/second"))
        for _ in range(2):
            while decision := await bucket.hit("k"):
                assert not decision.degraded
            until = time.time_ns() + decision.retry_after_ns
            await asyncio.sleep((until - time.time_ns()) / 1e9)
            assert await bucket.hit("k")


async def test_every_key_ends(server) -> None:
    """Whatever counts, and whoever is cancelled."""
    async with opened(server) as store:
        buckets = [store.bucket(name, parse_rate("5/minute"), name) for name in ("strict", "fixed")]
        tasks = [asyncio.create_task(bucket.hit(str(n))) for bucket in buckets for n in range(100)]
        for task in tasks[::3]:
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    lives = await asyncio.to_thread(lambda: [int(server.command("PTTL", key)[1:]) for key in server.keys()])  # noqa: SIM118
    assert lives
    assert min(lives) > 0


async def test_a_reset_and_a_closed_connection_are_no_end(server) -> None:
    """The next hit connects anew."""
    async with opened(server) as store:
        bucket = store.bucket("x", parse_rate("1/hour"))
        assert await bucket.hit("k")
        await store.aclose()
        assert not await bucket.hit("k")
        await bucket.reset("k")
        assert await bucket.hit("k")


async def test_while_the_server_is_frozen_a_request_pays_once(server) -> None:
    """And no other pays until the server is asked again."""
    async with opened(server, timeout_seconds=0.1) as store:
        bucket = store.bucket("x", parse_rate("1000/hour"))
        assert not (await bucket.hit("k")).degraded
        server.freeze()
        began = time.monotonic()
        decisions = [await bucket.hit("k") for _ in range(100)]
        assert time.monotonic() - began < 5
        assert all(decision.degraded for decision in decisions)
