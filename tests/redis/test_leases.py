"""Leases: hits of hot keys that a process has counted in advance, on real servers and in several processes."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.layers.rate_limit import RateLimit, RateLimitMiddleware
from asgi_guard.limiting import Limit, MemoryStore, parse_rate
from asgi_guard.limiting.algorithms import algorithm_for
from asgi_guard.limiting.counting import EMPTY
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.limiting.redis_leases import MAX_PLACES
from asgi_guard.testing.client import call

pytestmark = [pytest.mark.timeout(60)]

NAMES = itertools.count()
AMPLE = parse_rate("1000000/hour")


@asynccontextmanager
async def opened(server, **settings):
    """Open a store that waits longer than a busy machine makes it, in a namespace of its own."""
    named = {"namespace": f"leases{next(NAMES)}", "timeout_seconds": 5, "connect_timeout_seconds": 5, **settings}
    store = RedisStore(server.url, **named)
    try:
        yield store
    finally:
        await store.aclose()


async def calls(server) -> int:
    """How many calls of the script the server has had."""
    return await asyncio.to_thread(server.calls)


async def until(condition, seconds: float = 10.0) -> None:
    """Wait for something that comes by itself."""
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


class Clock:
    """Whole microseconds, as Redis has them; far from the end of any slot."""

    def __init__(self) -> None:
        self.now_ns = 1_790_000_000_000_000_000

    def __call__(self) -> int:
        return self.now_ns


# What it saves --------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("algorithm", ["strict", "gcra", "fixed"])
async def test_a_hundred_hits_take_one_call(server, algorithm) -> None:
    """The others are admitted without waiting for anything; clients are told what all of it comes to."""
    async with opened(server) as store:
        bucket = store.bucket("x", AMPLE, algorithm, lease=100)
        await bucket.hit("k")
        before = await calls(server)
        decisions = [await bucket.hit("k") for _ in range(100)]
        assert await calls(server) <= before + 1 + 4 * (algorithm == "gcra")  # of which hits leak out meanwhile
    told = [decision.remaining[0] + used for used, decision in enumerate(decisions)]
    assert set(told) == {999_998} or (algorithm == "gcra" and 999_998 <= max(told) <= 1_000_000)
    assert not any(decision.degraded for decision in decisions)


@pytest.mark.anyio
async def test_a_key_that_is_asked_about_once_has_no_lease(server) -> None:
    """A hit of it costs one call, as without leases, and takes nothing from others; nor is a place kept for it."""
    async with opened(server, namespace="cold") as store, opened(server, namespace="cold") as other:
        bucket, seen = store.bucket("x", AMPLE, lease=100), other.bucket("x", AMPLE)
        before = await calls(server)
        for number in range(20):
            await bucket.hit(f"cold {number}")
        assert await calls(server) == before + 20
        (leases,) = bucket._leases.values()
        assert len(leases) == 0
        assert (await seen.peek("cold 7")).remaining == (999_999,)
        assert (await bucket.hit("cold 7")).remaining == (999_998,)
        assert (await seen.peek("cold 7")).remaining == (999_899,)


@pytest.mark.anyio
async def test_a_hit_from_a_lease_does_not_suspend(server) -> None:
    """So it costs the event loop nothing but its own work."""
    async with opened(server) as store:
        bucket = store.bucket("x", AMPLE, lease=10_000)
        await bucket.hit("k")
        await bucket.hit("k")
        with pytest.raises(StopIteration) as ended:
            bucket.hit("k").send(None)
        assert ended.value.value.allowed
        since = time.perf_counter()
        for _ in range(9_000):
            await bucket.hit("k")
        print(f"a hit from a lease takes {(time.perf_counter() - since) / 9e-3:.1f} us")  # noqa: T201


@pytest.mark.anyio
async def test_those_who_come_at_once_share_one_lease(server) -> None:
    """What they need is counted together; a thousand take two calls."""
    async with opened(server) as store:
        bucket = store.bucket("x", AMPLE, lease=2)
        await bucket.peek("k")
        before = await calls(server)
        decisions = await asyncio.gather(*[bucket.hit("k") for _ in range(1_000)])
        assert all(decisions)
        assert await calls(server) <= before + 3
        assert (await bucket.peek("k")).remaining[0] <= 999_000


@pytest.mark.long
@pytest.mark.anyio
async def test_auto_gives_leases_to_hot_keys_alone_and_as_many_as_are_used(server) -> None:
    """Ten thousand hits of one take a few calls; keys that are hit now and then are asked about each time."""
    async with opened(server) as store:
        bucket = store.bucket("x", AMPLE, lease="auto")
        before = await calls(server)
        for number in range(20):
            await bucket.hit(f"cold {number}")
        assert await calls(server) == before + 20
        for _ in range(10_000):
            await bucket.hit("hot")
        assert await calls(server) < before + 200
        (leases,) = bucket._leases.values()
        assert len(leases) == 1
        await until(lambda: asyncio.sleep(0, len(leases) == 0))  # it is hot no more
        assert (await bucket.peek("hot")).remaining == (990_000,)


@pytest.mark.anyio
async def test_auto_takes_less_where_less_is_asked(server) -> None:
    """Demand is measured anew, and a key that is asked about once in a while has no lease."""
    clock = Clock()
    async with opened(server, clock=clock) as store:
        bucket = store.bucket("x", AMPLE, "fixed", lease="auto")
        for _ in range(1_000):
            clock.now_ns += 10_000
            await bucket.hit("k")
        held = await bucket.peek("k")
        before = await calls(server)
        for _ in range(20):
            clock.now_ns += 300_000_000
            await bucket.hit("k")
        assert await calls(server) >= before + 12
        assert held.remaining == (999_000,)
        assert (await bucket.peek("k")).remaining == (998_980,)


# What it never does ---------------------------------------------------------------------------------------------------

WORKER = """
import asyncio, sys
from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore

async def main():
    store = RedisStore(sys.argv[1], timeout_seconds=10, connect_timeout_seconds=10)
    buckets = [store.bucket("x", parse_rate("5000/hour"), name, lease=100) for name in ("strict", "gcra", "fixed")]
    for bucket in buckets:
        await bucket.peek("warm")
    print("ready", flush=True)
    sys.stdin.readline()
    for bucket in buckets:
        decisions = await asyncio.gather(*[bucket.hit("k") for _ in range(1000)])
        count, rest = sum(map(bool, decisions)), 1
        while rest:
            rest = sum(map(bool, await asyncio.gather(*[bucket.hit("k") for _ in range(100)])))
            count += rest
        print(count, flush=True)
    await store.aclose()

asyncio.run(main())
"""


@pytest.mark.long
def test_four_processes_admit_exactly_the_limit(server) -> None:
    """Thousands of tasks on one key, until all are refused; under `gcra` a few leak out of bucket and leases."""
    command = [sys.executable, "-c", WORKER, server.url]
    workers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    since = time.monotonic()
    told = [worker.communicate("go\n", timeout=50)[0].split() for worker in workers]
    leaked = int((time.monotonic() - since) * 5_000 / 3_600) + 1
    strict, gcra, fixed = [sum(map(int, counts)) for counts in zip(*told, strict=True)]
    assert strict == fixed == 5_000
    assert 4_900 <= gcra <= 5_000 + leaked


HOLDER = """
import asyncio, sys
from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore

async def main():
    store = RedisStore(sys.argv[1], timeout_seconds=10, connect_timeout_seconds=10)
    for _ in range(2):
        await store.bucket("x", parse_rate("1000/hour"), lease=100).hit("k")
    print("held", flush=True)
    sys.stdin.readline()

asyncio.run(main())
"""


@pytest.mark.long
def test_what_a_killed_process_held_is_lost_and_no_more(server) -> None:
    """The others have all the rest."""
    command = [sys.executable, "-c", HOLDER, server.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        os.kill(holder.pid, signal.SIGKILL)

    async def rest() -> int:
        store = RedisStore(server.url, timeout_seconds=5)
        bucket = store.bucket("x", parse_rate("1000/hour"), lease=100)
        count = 0
        while await bucket.hit("k"):
            count += 1
        await store.aclose()
        return count

    assert asyncio.run(rest()) == 899


STEPS = st.sampled_from([0, 0, 1_000, 30_000_000, 100_000_000, 400_000_000, 999_999_000, 1_000_000_000, 9_000_000_000])
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["hit", "hit", "hit", "hit", "hit", "refund", "peek", "together"]),
        st.integers(0, 2),
        st.integers(1, 4),
        STEPS,
    ),
    max_size=60,
)


async def admitted(url, limits, algorithm, lease, operations):
    """Let three processes do what they do; return the hits that were admitted and stayed."""
    clock = Clock()
    named = {"namespace": f"held{next(NAMES)}", "clock": clock, "timeout_seconds": 5, "connect_timeout_seconds": 5}
    used = []
    async with AsyncExitStack() as stack:
        buckets = []
        for _ in range(3):
            store = RedisStore(url, **named)
            stack.push_async_callback(store.aclose)
            buckets.append(store.bucket("x", limits, algorithm, lease=lease))
            buckets[-1]._denials = None  # its clock is that of the machine
        for operation, process, cost, step_ns in operations:
            clock.now_ns += step_ns
            bucket = buckets[process]
            if operation == "refund":
                if used:
                    _, paid, at_ns, owner = used.pop(-1 - cost % len(used))
                    await owner.refund("k", at_ns, paid)
            elif operation == "peek":
                await bucket.peek("k", cost)
            else:
                hits = 1 if operation == "hit" else 6
                decisions = await asyncio.gather(*[bucket.hit("k", cost) for _ in range(hits)])
                used += [(clock.now_ns, cost, decision.at_ns, bucket) for decision in decisions if decision]
    return [(now_ns, cost) for now_ns, cost, _, _ in used]


@pytest.mark.parametrize("algorithm", ["strict", "gcra"])
def test_three_processes_admit_what_one_that_counts_each_hit_would(shared_server, algorithm) -> None:
    """Whatever is hit, refunded and looked at in between, and whatever each holds."""

    @settings(max_examples=25)
    @given(
        amounts=st.lists(st.integers(8, 40), min_size=1, max_size=2),
        lease=st.sampled_from([2, 5, 10_000, "auto"]),
        operations=OPERATIONS,
    )
    def check(amounts, lease, operations) -> None:
        limits = [Limit(amount, seconds) for amount, seconds in zip(amounts, (1, 10), strict=False)]
        used = asyncio.run(admitted(shared_server.url, limits, algorithm, lease, operations))
        state, counting = EMPTY, algorithm_for(limits, algorithm)
        for now_ns, cost in used:
            taken = counting.take(state, now_ns, cost)
            assert taken is not None
            state = taken[0]

    check()


# What comes back ------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.anyio
async def test_what_is_not_used_comes_back_within_a_second(server) -> None:
    """Others can have it then."""
    async with opened(server, namespace="back") as one, opened(server, namespace="back") as other:
        for _ in range(2):
            await one.bucket("x", AMPLE, lease=100).hit("k")
        bucket = other.bucket("x", AMPLE)
        assert (await bucket.peek("k")).remaining == (999_899,)
        since = time.monotonic()

        async def is_back() -> bool:
            return (await bucket.peek("k")).remaining == (999_998,)

        await until(is_back)
        assert time.monotonic() - since < 2


@pytest.mark.anyio
async def test_what_is_held_goes_back_when_the_store_is_closed(server) -> None:
    """Also of keys that are too long to be kept as they are."""
    async with opened(server, namespace="closed") as one, opened(server, namespace="closed") as other:
        bucket = one.bucket("x", AMPLE, lease=100)
        for key in ("k", "long" * 100, b"bytes" * 100):
            await bucket.hit(key)
            await bucket.hit(key)
        await bucket.refund("k", 2_000)
        await one.aclose()
        for key in ("k", "long" * 100, b"bytes" * 100):
            assert (await other.bucket("x", AMPLE).peek(key)).remaining == (999_998,)


@pytest.mark.anyio
async def test_the_last_hits_are_to_be_had_and_then_refused_exactly(server) -> None:
    """One by one; the retry time is that of the hit, and holds."""
    clock = Clock()
    async with opened(server, clock=clock) as store:
        bucket = store.bucket("x", parse_rate("40/minute"), lease=100)
        memory = MemoryStore(clock=clock).bucket("x", parse_rate("40/minute"))
        for cost in (1, 1, 7, 2, 3, 9, 5, 12):
            assert await bucket.hit("k", cost)
            assert memory.hit("k", cost)
        denied = await bucket.hit("k", 3)
        before = await calls(server)
        assert not await bucket.hit("k", 3)
        assert await calls(server) == before
        assert (denied.allowed, denied.retry_at_ns) == (False, memory.hit("k", 3).retry_at_ns)
        assert await bucket.hit("k", 50) == memory.hit("k", 50)
        clock.now_ns = denied.retry_at_ns
        store.denials.forget(bucket.name_of("k"), time.monotonic_ns())
        assert await bucket.hit("k", 3)


@pytest.mark.anyio
async def test_a_refund_goes_back_where_the_hit_came_from(server) -> None:
    """Into the lease if that is still held, which costs nothing; else to Redis."""
    async with opened(server) as store:
        bucket = store.bucket("x", AMPLE, lease=10)
        await bucket.hit("k")
        old = await bucket.hit("k")
        before = await calls(server)
        await bucket.refund("k", old.at_ns)
        assert await calls(server) == before
        decisions = [await bucket.hit("k") for _ in range(11)]
        assert await calls(server) == before + 1
        assert decisions[-1].at_ns > old.at_ns
        await bucket.refund("k", old.at_ns, 4)
        assert await calls(server) == before + 2


@pytest.mark.anyio
async def test_peek_and_charge_go_by_what_is_held_if_that_covers_them(server) -> None:
    """Else it goes back first, so that Redis says what there is."""
    async with opened(server) as store:
        bucket = store.bucket("x", parse_rate("101/hour"), lease=10)
        await bucket.hit("k")
        await bucket.hit("k")
        before = await calls(server)
        assert (await bucket.peek("k", 9)).remaining == (99,)
        assert (await bucket.charge("k", 4)).remaining == (95,)
        assert await calls(server) == before
        assert (await bucket.peek("k", 6)).remaining == (95,)
        assert await bucket.hit("k")
        assert not await bucket.charge("k", 95)
        assert not await bucket.hit("k", True)
        assert (await bucket.charge("k", 0)).remaining == (0,)
        assert not await bucket.hit("k", 0) or (await bucket.hit("k", 0)).remaining == (0,)


@pytest.mark.anyio
async def test_a_reset_lets_go_what_is_held_here_and_on_its_way(server) -> None:
    """Who waited for it is still served, by what was counted for it."""
    async with opened(server) as store:
        bucket = store.bucket("x", parse_rate("1001/hour"), lease=10)
        await bucket.hit("k")
        waiting = [asyncio.create_task(bucket.hit("k")) for _ in range(3)]
        await asyncio.sleep(0)
        late = asyncio.create_task(bucket.hit("k"))
        await asyncio.sleep(0)
        await bucket.reset("k")
        assert all(await asyncio.gather(*waiting, late))
        assert (await bucket.peek("k")).remaining[0] >= 996
        await bucket.reset("k")
        assert (await bucket.peek("k")).remaining == (1_001,)


@pytest.mark.anyio
async def test_whoever_is_cancelled_while_waiting_costs_nobody_anything(server) -> None:
    """At whichever moment it goes, what was counted for it is there for others."""
    async with opened(server, namespace="gone") as store, opened(server, namespace="gone") as other:
        bucket = store.bucket("x", parse_rate("1000/hour"), lease=10)
        await bucket.peek("k")
        for pause in range(12):
            task = asyncio.create_task(bucket.hit("k"))
            for _ in range(pause):
                await asyncio.sleep(0.0001 if pause > 6 else 0)
            task.cancel()
            (answer,) = await asyncio.gather(task, return_exceptions=True)
            if not isinstance(answer, asyncio.CancelledError):  # it came too late
                await bucket.refund("k", answer.at_ns)
            await bucket.peek("k", 900)
        await store.aclose()
        assert (await other.bucket("x", parse_rate("1000/hour")).peek("k")).remaining == (1_000,)


@pytest.mark.anyio
@pytest.mark.parametrize("is_forgotten", [False, True])
async def test_whoever_is_cancelled_when_the_answer_is_there_gives_it_back(server, is_forgotten) -> None:
    """To the lease, or to Redis where that is not held any more."""
    async with opened(server) as store:
        bucket = store.bucket("x", parse_rate("1000/hour"), lease=10)

        async def hit_and_cancel() -> None:
            await bucket.hit("k")
            if is_forgotten:
                next(iter(bucket._leases.values())).forget("k")
            other.cancel()

        await bucket.hit("k")
        first = asyncio.create_task(hit_and_cancel())
        other = asyncio.create_task(bucket.hit("k"))
        _, answer = await asyncio.gather(first, other, return_exceptions=True)
        assert isinstance(answer, asyncio.CancelledError)
        assert (await bucket.peek("k", 900)).remaining == (990 if is_forgotten else 998,)


@pytest.mark.long
@pytest.mark.anyio
async def test_whoever_comes_late_and_goes_early_takes_nothing(server) -> None:
    """Nor does a key that was reset in between keep a place."""
    async with opened(server) as store:
        bucket = store.bucket("x", parse_rate("1000/hour"), lease=10)
        await bucket.hit("k")
        first = asyncio.create_task(bucket.hit("k"))
        await asyncio.sleep(0)
        late = [asyncio.create_task(bucket.hit("k")) for _ in range(2)]
        await asyncio.sleep(0)
        late[0].cancel()
        answers = await asyncio.gather(first, *late, return_exceptions=True)
        assert isinstance(answers[1], asyncio.CancelledError)
        assert (await bucket.peek("k")).remaining == (997,)
        await bucket.reset("k")
        await bucket.hit("k")
        (leases,) = bucket._leases.values()
        await until(lambda: asyncio.sleep(0, len(leases) == 0))
        assert (await bucket.peek("k")).remaining == (999,)


# Bounds and failures --------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.anyio
async def test_keys_that_find_no_place_are_counted_one_by_one(server) -> None:
    """Nobody takes the lease of a hot key away, nor fills the memory, by asking for a million others."""
    async with opened(server, clock=Clock()) as store:
        bucket = store.bucket("x", parse_rate("8/hour"), lease=2)
        for _ in range(2):
            await asyncio.gather(*[bucket.hit(f"key {number}") for number in range(MAX_PLACES + 100)])
        (leases,) = bucket._leases.values()
        assert len(leases) == MAX_PLACES
        before = await calls(server)
        assert (await bucket.hit("another")).remaining == (7,)
        assert (await bucket.hit("another")).remaining == (6,)
        assert await calls(server) == before + 2


@pytest.mark.anyio
async def test_while_redis_is_away_what_is_held_is_used_and_then_the_settings_decide(server) -> None:
    """The local count has begun with what was counted in advance."""
    async with opened(server, on_failure="local", timeout_seconds=0.2) as store:
        bucket = store.bucket("x", parse_rate("41/hour"), lease=10)
        await bucket.hit("k")
        await bucket.hit("k")
        server.kill()
        held = [await bucket.hit("k") for _ in range(9)]
        assert all(held)
        assert not any(decision.degraded for decision in held)
        rest = [await bucket.hit("k") for _ in range(40)]
        assert all(decision.degraded for decision in rest)
        assert sum(map(bool, rest)) == 30


@pytest.mark.anyio
async def test_what_nobody_can_hold_is_lost_to_nobody_while_redis_is_away(server) -> None:
    """Whoever waits is told; what admits everything, or counts one by one, does so."""
    async with opened(server, on_failure="open", timeout_seconds=0.2) as store:
        bucket = store.bucket("x", parse_rate("40/hour"), lease=10)
        last = store.bucket("last", parse_rate("4/hour"), lease=2)
        store.bucket("unused", parse_rate("4/hour"), lease=2)
        for _ in range(2):
            assert not (await bucket.hit("k")).degraded
            assert not (await last.hit("k")).degraded
        await bucket.peek("k", 20)
        server.freeze()
        tasks = [asyncio.create_task(bucket.hit("k")) for _ in range(3)]
        alone = asyncio.create_task(last.hit("k"))
        await asyncio.sleep(0.01)
        tasks[1].cancel()
        answers = await asyncio.gather(*tasks, alone, return_exceptions=True)
        assert isinstance(answers.pop(1), asyncio.CancelledError)
        assert all(answer.allowed and answer.degraded for answer in answers)
        assert (await bucket.hit("k")).degraded


def test_each_event_loop_has_leases_of_its_own(server) -> None:
    """They may run in threads, and what one has must not be used twice; those of a closed loop are forgotten."""
    store = RedisStore(server.url, timeout_seconds=5)
    bucket = store.bucket("x", AMPLE, lease=100)

    async def hit():
        decisions = [await bucket.hit("k") for _ in range(2)]
        await store.link().aclose()  # of which the store knows nothing
        return decisions[1].remaining

    assert [asyncio.run(hit()) for _ in range(3)] == [(999_998,), (999_897,), (999_796,)]
    assert len(bucket._leases) == 1


# Settings -------------------------------------------------------------------------------------------------------------

WRONG = [
    ({"lease": 1}, "AG101"),
    ({"lease": 10_001}, "AG101"),
    ({"lease": True}, "AG101"),
    ({"lease": "always"}, "AG105"),
    ({"lease": 26}, "AG438"),
    ({"lease": 2, "rate": "100/minute;7/second"}, "AG438"),
    ({"lease": 10, "algorithm": "concurrency"}, "AG436"),
    ({"lease": 10, "store": None}, "AG437"),
    ({"lease": "auto", "store": MemoryStore()}, "AG437"),
]


@pytest.mark.parametrize(("arguments", "told"), WRONG, ids=[f"{index} {told}" for index, (_, told) in enumerate(WRONG)])
def test_leases_that_cannot_work_are_refused(arguments, told) -> None:
    """With the rule and the remedy."""
    with pytest.raises(ConfigError) as refused:
        RateLimit(**{"rate": "100/minute", "store": "redis://localhost", **arguments})
    assert [(problem.id, problem.field) for problem in refused.value.problems] == [(told, "RateLimit.lease")]


async def hello(scope, receive, send) -> None:
    """Say hello."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.mark.anyio
async def test_a_policy_with_a_lease_tells_clients_the_truth(server) -> None:
    """As if each hit were asked about, beside policies that are; a refusal of those puts it back."""
    store = RedisStore(server.url, timeout_seconds=5)
    policies = [
        RateLimit("1000/hour", store=store, name="all", key=lambda _: "all", lease=9),
        RateLimit("2/hour", store=store, name="each"),
    ]
    app = RateLimitMiddleware(hello, policies)
    answers = [await call(app) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answer.headers.get("ratelimit").split(";t")[0] for answer in answers] == [
        '"all";r=999',
        '"all";r=998',
        '"all";r=998',
    ]
    await store.aclose()
