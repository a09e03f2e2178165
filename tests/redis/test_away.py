"""Redis slow, gone, read-only, full: requests go on, the loop is never held up, and all is well again by itself."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager

import pytest
from redis_harms import HARMS, back_in_redis, endure, longest_stall
from redis_servers import Place
from redis_stand_in import ANSWERS, HONEST, stand_in_for

from asgi_guard.errors.exceptions import StoreError
from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.resilience.circuit import State
from asgi_guard.resilience.events import CircuitChanged

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

RATE = parse_rate("1000/minute")
STALL_MS = 400  # on a machine at rest it is below 20; who blocks the loop holds it for longer
FIRST_MS = 400  # the time limit of one call is 25
AFTERWARDS_US = 1_000  # it is about 4
BACK_SECONDS = 8


@asynccontextmanager
async def opened(url, **settings):
    """Open a store, and close it."""
    store = RedisStore(url, **settings)
    try:
        yield store
    finally:
        await store.aclose()


@pytest.mark.long
@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
async def test_requests_go_on_and_redis_is_found_again(server, harm) -> None:
    """All are answered, as each policy says; the loop runs on; nobody restarts anything."""
    told = await endure(Place(server.url, [server]), harm)
    assert told.wrong == []
    assert told.stall_ms < STALL_MS
    assert told.first_ms < FIRST_MS
    if harm.is_noticed:
        assert told.afterwards_us < AFTERWARDS_US
    assert told.back_seconds < BACK_SECONDS


@pytest.mark.long
@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_that_is_none_is_a_failure_like_any_other(server, answer) -> None:
    """Half an answer, garbage, one that is too long to wait for: no request fails, and none takes it for its own."""
    async with stand_in_for(server.port) as (proxy, url), opened(url, connect_timeout_seconds=0.2) as store:
        bucket = store.bucket("x", parse_rate("30/hour"))
        assert (await bucket.hit("k")).remaining == (29,)
        proxy.says = answer
        async with longest_stall() as stalls:
            decisions = await asyncio.gather(*[bucket.hit("k") for _ in range(50)])
            decisions += [await bucket.hit("k") for _ in range(50)]
        assert all(decision.degraded for decision in decisions)
        assert sum(map(bool, decisions)) == 29
        assert stalls[0] < STALL_MS / 1_000
        proxy.says = HONEST
        await back_in_redis(bucket)
        assert 29 - len(decisions) <= (await bucket.peek("k")).remaining[0] <= 29


@pytest.mark.long
async def test_the_circuit_is_told_of_as_events(server) -> None:
    """Closed, open, half open, closed: whoever listens knows when Redis was away."""
    told = []
    async with opened(server.url, listeners=[told.append]) as store:
        bucket = store.bucket("x", RATE)
        await bucket.hit("k")
        await asyncio.to_thread(server.kill)
        assert (await bucket.hit("k")).degraded
        await asyncio.to_thread(server.start)
        await back_in_redis(bucket)
    changes = [(event.before, event.after) for event in told if isinstance(event, CircuitChanged)]
    assert changes[0] == (State.CLOSED, State.OPEN)
    assert changes[-2:] == [(State.OPEN, State.HALF_OPEN), (State.HALF_OPEN, State.CLOSED)]


async def test_an_address_that_swallows_everything_holds_up_the_first_call_only() -> None:
    """A listener whose queue is full answers nothing at all, as a firewall that drops does."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        filler = [socket.socket() for _ in range(4)]
        for one in filler:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        url = f"redis://127.0.0.1:{listener.getsockname()[1]}"
        async with opened(url, connect_timeout_seconds=0.2) as store, longest_stall() as stalls:
            bucket = store.bucket("x", RATE)
            since = time.monotonic()
            assert all(decision.degraded for decision in await asyncio.gather(*[bucket.hit("k") for _ in range(50)]))
            took = time.monotonic() - since
            since = time.monotonic()
            assert (await bucket.hit("k")).degraded
            assert time.monotonic() - since < 0.02
        for one in filler:
            one.close()
    assert took < 0.3
    assert stalls[0] < 0.1


@pytest.mark.long
async def test_a_cold_start_is_no_failure(server) -> None:
    """The first call may take longer than any other: it connects, and brings the script along."""
    await asyncio.to_thread(server.command, "CLIENT", "PAUSE", 200, "ALL")
    async with opened(server.url, timeout_seconds=0.025) as store:
        assert not (await store.bucket("x", RATE).hit("k")).degraded


async def test_a_script_that_was_flushed_comes_again(server) -> None:
    """No failure, and no request without its count."""
    async with opened(server.url) as store:
        bucket = store.bucket("x", RATE)
        await bucket.hit("k")
        await asyncio.to_thread(server.command, "SCRIPT", "FLUSH")
        decision = await bucket.hit("k")
    assert (decision.degraded, decision.remaining) == (False, (998,))


POLICIES = [("open", 20), ("closed", 0), ("local", 3)]


@pytest.mark.parametrize(("on_failure", "admitted"), POLICIES, ids=[policy for policy, _ in POLICIES])
async def test_while_redis_is_away_the_policy_decides(on_failure, admitted) -> None:
    """Everything, nothing, or what this process may admit by itself."""
    async with opened("redis://127.0.0.1:1", on_failure=on_failure) as store:
        bucket = store.bucket("x", parse_rate("3/minute"))
        decisions = [await bucket.hit("k") for _ in range(20)]
    assert sum(map(bool, decisions)) == admitted
    assert all(decision.degraded for decision in decisions)


async def test_what_was_admitted_before_counts_while_redis_is_away(server) -> None:
    """Nobody gets a fresh limit by Redis going away; the share of this process is half of it."""
    async with opened(server.url, local_share=0.5) as store:
        bucket = store.bucket("x", parse_rate("10/minute"))
        for _ in range(3):
            await bucket.hit("k")
        await asyncio.to_thread(server.kill)
        assert [bool(await bucket.hit("k")) for _ in range(4)] == [True, True, False, False]


@pytest.mark.long
@pytest.mark.parametrize("lease", [None, 10])
async def test_a_reset_that_redis_did_not_get_is_no_success(server, lease) -> None:
    """Whoever unblocks somebody hears that it was in vain; here it has begun anew, and there it counts."""
    async with opened(server.url, timeout_seconds=0.5) as store:
        bucket = store.bucket("x", parse_rate("4/hour"), lease=lease)
        while await bucket.hit("k"):
            pass
        await asyncio.to_thread(server.freeze)
        with pytest.raises(StoreError):
            await bucket.reset("k")
        assert await bucket.hit("k")
        await asyncio.to_thread(server.thaw)


async def test_what_was_counted_here_is_given_back_here(server) -> None:
    """A refund knows whether its hit was counted in Redis or in this process."""
    async with opened("redis://127.0.0.1:1") as store:
        bucket = store.bucket("x", parse_rate("1/minute"), "concurrency")
        lease = await bucket.hit("k")
        assert not await bucket.hit("k")
        await bucket.refund("k", lease.at_ns)
        assert await bucket.hit("k")
