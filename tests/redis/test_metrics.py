"""What a store in Redis counts of its calls, its denials, its leases and its outages, on real servers."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asgi_guard import Guard, RateLimit, Telemetry
from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.monitor import process, tally
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.process import aggregate_of_process
from asgi_guard.testing.client import call

NAMES = itertools.count()


@pytest.fixture(autouse=True)
def _a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Begin as a process in which nothing has counted."""
    monkeypatch.setattr(process, "_aggregate", None)
    monkeypatch.setattr(tally, "_names", set())
    yield
    gc.collect()


def counted(aggregate: Aggregate | None = None) -> dict[str, int]:
    """Return what was counted, but for nothing: the metric without `asgi_guard.`, and the values."""
    return {
        " ".join([point.metric.name.removeprefix("asgi_guard."), *point.values]): int(point.number) or point.count
        for point in (aggregate or aggregate_of_process()).snapshot()
        if point.metric.name.startswith(("asgi_guard.redis", "asgi_guard.rate_limit")) and (point.number or point.count)
    }


@asynccontextmanager
async def opened(server: Any, **settings: Any) -> AsyncIterator[RedisStore]:
    """Open a store that waits longer than a busy machine makes it, in a namespace of its own."""
    named = {"namespace": f"metrics{next(NAMES)}", "timeout_seconds": 5, "connect_timeout_seconds": 5, **settings}
    store = RedisStore(server.url, **named)
    try:
        yield store
    finally:
        await store.aclose()


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.anyio
async def test_batches_their_operations_and_denials_are_counted(server) -> None:
    """One hit a batch where they come one by one; a denial that is repeated asks nobody."""
    async with opened(server) as store:
        bucket = store.bucket("x", parse_rate("2/minute"))
        for _ in range(5):
            await bucket.hit("k")
        assert counted() == {
            "redis.batches success": 3,
            "redis.operations": 3,
            "redis.denials": 2,
            "redis.links closed": 1,
        }
        assert await asyncio.to_thread(server.calls) == 3
    assert "redis.links closed" not in counted()


@pytest.mark.anyio
async def test_what_comes_together_goes_in_one_batch(server) -> None:
    """The operations tell how many there were."""
    async with opened(server) as store:
        bucket = store.bucket("x", parse_rate("1000/minute"))
        await asyncio.gather(*[bucket.hit(f"k{number}") for number in range(50)])
        told = counted()
    assert told["redis.operations"] == 50
    assert told["redis.batches success"] == await asyncio.to_thread(server.calls)
    assert told["redis.batches success"] <= 3


@pytest.mark.anyio
async def test_what_is_counted_in_advance_is_told_and_what_goes_back(server) -> None:
    """The difference was used."""
    async with opened(server) as store:
        bucket = store.bucket("x", parse_rate("100000/hour"), lease=10)
        for _ in range(12):
            assert await bucket.hit("k")
    told = counted()
    assert told["redis.leased counted"] % 10 == 0
    used = told["redis.leased counted"] - told["redis.leased returned"]
    assert used + 1 == 12  # the first hit is counted without a lease


@pytest.mark.long
@pytest.mark.anyio
async def test_an_outage_and_its_end_are_told(server) -> None:
    """A failed batch, a link that is open, hits without Redis; then it is found again."""
    async with opened(server, timeout_seconds=0.5, on_failure="open") as store:
        bucket = store.bucket("x", parse_rate("5/minute"))
        await bucket.hit("k")
        await asyncio.to_thread(server.kill)
        for number in range(3):
            assert (await bucket.hit(f"k{number}")).degraded
        told = counted()
        assert told["rate_limit.degraded open"] == 3
        assert told["redis.transitions closed open"] == 1
        assert "redis.links closed" not in told
        await asyncio.to_thread(server.start)
        while "redis.links closed" not in counted():
            await bucket.hit("k")
            await asyncio.sleep(0.05)
        told = counted()
    assert told["redis.batches failure"] >= 1
    assert told["redis.transitions half_open closed"] == 1
    assert told["redis.links closed"] == 1


@pytest.mark.anyio
async def test_a_guard_tells_what_it_decided_and_how_long_it_asked(server) -> None:
    """The decisions and the time in the aggregate of its stack, the store's own numbers in that of the process."""
    aggregate = Aggregate()
    async with opened(server) as store:
        limits = [RateLimit("2/minute", name="few", store=store), RateLimit("9/minute", name="many", store=store)]
        guard = Guard(app, telemetry=Telemetry(aggregate=aggregate), rate_limit=limits)
        for _ in range(4):
            await call(guard, client=("203.0.113.9", 1))
    assert counted(aggregate) == {
        "rate_limit.requests few allowed redis": 2,
        "rate_limit.requests few rejected redis": 2,
        "rate_limit.requests many allowed redis": 2,
        "rate_limit.check.duration redis": 4,
    }
    assert counted()["redis.operations"] == 6


@pytest.mark.anyio
@pytest.mark.parametrize(("on_failure", "told"), [("open", "fail_open"), ("closed", "fail_closed"), ("local", "local")])
async def test_while_redis_is_away_decisions_say_who_has_made_them(on_failure, told) -> None:
    """No request is told as allowed that Redis has not allowed."""
    aggregate = Aggregate()
    store = RedisStore("redis://127.0.0.1:1", on_failure=on_failure)
    guard = Guard(app, telemetry=Telemetry(aggregate=aggregate), rate_limit=RateLimit("5/minute", store=store))
    for _ in range(3):
        await call(guard, client=("203.0.113.9", 1))
    await store.aclose()
    assert counted(aggregate) == {f"rate_limit.requests default {told} redis": 3, "rate_limit.check.duration redis": 3}
    assert counted()[f"rate_limit.degraded {on_failure}"] == 3
