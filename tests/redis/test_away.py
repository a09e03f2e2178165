"""Redis slow, gone, read-only, full: requests go on, the loop is never held up, and all is well again by itself."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import asynccontextmanager

import pytest

from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.resilience.circuit import State
from asgi_guard.resilience.events import CircuitChanged

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

RATE = parse_rate("1000/minute")


@asynccontextmanager
async def opened(url, **settings):
    """Open a store, and close it."""
    store = RedisStore(url, **settings)
    try:
        yield store
    finally:
        await store.aclose()


@asynccontextmanager
async def longest_stall():
    """Measure for how long nothing else on the loop had its turn, in seconds."""
    stalls = [0.0]

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            stalls[0] = max(stalls[0], time.perf_counter() - before - 0.001)

    watcher = asyncio.create_task(watch())
    await asyncio.sleep(0)
    try:
        yield stalls
    finally:
        watcher.cancel()


async def back_in_redis(bucket, seconds=8.0) -> float:
    """Hit until Redis answers again; return how long that took."""
    since = time.monotonic()
    while (await bucket.hit("k")).degraded:
        assert time.monotonic() - since < seconds, "it has not come back"
        await asyncio.sleep(0.01)
    return time.monotonic() - since


def freeze(server) -> None:
    """Stop the process, with its connections open."""
    server.freeze()


def kill(server) -> None:
    """End it at once."""
    server.kill()


def pause(server) -> None:
    """Let it answer nobody for a while."""
    server.command("CLIENT", "PAUSE", 1_500, "ALL")


def become_a_replica(server) -> None:
    """Let it refuse to write."""
    server.command("REPLICAOF", "127.0.0.1", 1)


def fill(server) -> None:
    """Let it have no memory left."""
    server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.command("CONFIG", "SET", "maxmemory", 1)


def start(server) -> None:
    """Start it again."""
    server.start()


def thaw(server) -> None:
    """Let it go on."""
    server.thaw()


def become_a_master(server) -> None:
    """Let it write again."""
    server.command("REPLICAOF", "NO", "ONE")


def empty(server) -> None:
    """Let it have memory again."""
    server.command("CONFIG", "SET", "maxmemory", 0)


def nothing(server) -> None:
    """It passes."""


HARMS = {
    "frozen": (freeze, thaw),
    "killed": (kill, start),
    "paused": (pause, nothing),
    "read-only": (become_a_replica, become_a_master),
    "out of memory": (fill, empty),
}


@pytest.mark.parametrize(("harm", "mend"), HARMS.values(), ids=HARMS)
async def test_requests_go_on_and_redis_is_found_again(server, harm, mend) -> None:
    """One call has its time limit, all others are answered at once; the loop runs on; nobody restarts anything."""
    told = []
    async with opened(server.url, listeners=[told.append]) as store:
        bucket = store.bucket("x", RATE)
        assert not (await bucket.hit("k")).degraded
        await asyncio.to_thread(harm, server)
        async with longest_stall() as stalls:
            since = time.monotonic()
            first = await asyncio.gather(*[bucket.hit("k") for _ in range(20)])
            took = time.monotonic() - since
            since = time.monotonic()
            for _ in range(1_000):
                assert (await bucket.hit(f"other {_}")).degraded
            afterwards = (time.monotonic() - since) / 1_000
            await asyncio.sleep(0.4)  # the time of a probe
            await bucket.hit("k")
            await asyncio.sleep(0.1)
        assert all(decision.degraded and decision.allowed for decision in first)
        assert took < 0.1
        assert afterwards < 0.001
        assert stalls[0] < 0.1
        await asyncio.to_thread(mend, server)
        recovered = await back_in_redis(bucket)
        figures = took, afterwards, stalls[0], recovered
        print(f"{harm.__name__}: first, each after, stall, back (ms):", [round(x * 1e3, 3) for x in figures])  # noqa: T201
    changes = [(event.before, event.after) for event in told if isinstance(event, CircuitChanged)]
    assert changes[0] == (State.CLOSED, State.OPEN)
    assert changes[-1] == (State.HALF_OPEN, State.CLOSED)


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


async def test_what_was_counted_here_is_given_back_here(server) -> None:
    """A refund knows whether its hit was counted in Redis or in this process."""
    async with opened("redis://127.0.0.1:1") as store:
        bucket = store.bucket("x", parse_rate("1/minute"), "concurrency")
        lease = await bucket.hit("k")
        assert not await bucket.hit("k")
        await bucket.refund("k", lease.at_ns)
        assert await bucket.hit("k")
