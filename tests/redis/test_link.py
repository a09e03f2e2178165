"""The link of one event loop: who is closed, cancelled or late loses nothing, and makes nobody wait for ever."""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from redis_harms import back_in_redis
from redis_servers import wait_until

from asgi_guard.limiting import parse_rate, redis_link
from asgi_guard.limiting.redis import RedisStore

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

NAMES = itertools.count()
AMPLE = parse_rate("100000/hour")


@asynccontextmanager
async def opened(server, **settings):
    """Open a store that waits longer than a busy machine makes it, in a namespace of its own."""
    named = {"namespace": f"link{next(NAMES)}", "timeout_seconds": 5, "connect_timeout_seconds": 5, **settings}
    store = RedisStore(server.url, **named)
    try:
        yield store
    finally:
        await store.aclose()


@asynccontextmanager
async def under_way(store):
    """Let a call be under way, so that what is asked meanwhile waits for its turn."""
    bucket = store.bucket("first", AMPLE)
    await bucket.hit("warm")
    first = asyncio.create_task(bucket.hit("k"))
    await turns(2)
    yield
    await first


async def turns(number) -> None:
    """Let all others have their turn, so many times."""
    for _ in range(number):
        await asyncio.sleep(0)


def connections(server) -> int:
    """How many clients are connected, but for who asks."""
    return server.command("CLIENT", "LIST", "TYPE", "normal").count("id=") - 1


# Closed ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lease", [None, 10])
async def test_nobody_waits_for_ever_for_a_store_that_is_closed(server, lease) -> None:
    """Those who asked before, meanwhile and afterwards are answered; only the last have a connection."""
    async with opened(server) as store:
        bucket = store.bucket("x", AMPLE, lease=lease)
        await bucket.hit("k")
        before = [asyncio.create_task(bucket.hit("k")) for _ in range(50)]
        await turns(1)
        closed = asyncio.create_task(store.aclose())
        meanwhile = [asyncio.create_task(bucket.hit("k")) for _ in range(5)]
        answers = await asyncio.wait_for(asyncio.gather(*before, *meanwhile, closed), 10)
        assert all(answers[:-1])
        await store.aclose()
        await asyncio.to_thread(wait_until, lambda: connections(server) == 0, "no connection", 10)


@pytest.mark.parametrize("later", range(6))
async def test_who_goes_on_asking_over_a_link_that_is_closed_is_answered(server, later) -> None:
    """As hits of several slots do, one after the other: with a count while it closes, and without one afterwards."""
    async with opened(server) as store:
        bucket = store.bucket("x", AMPLE)
        name = bucket.name_of("k")
        link = store.link()

        async def ask_twice():
            await link.ask(bucket.plan, name, redis_link.Operation.HIT, 1)
            await turns(later)
            return await link.ask(bucket.plan, name, redis_link.Operation.HIT, 1)

        twice = asyncio.create_task(ask_twice())
        await turns(2)
        _, answer = await asyncio.wait_for(asyncio.gather(link.aclose(), twice), 10)
        assert answer is None or answer.remaining == (99_998,)
        assert await link.ask(bucket.plan, name, redis_link.Operation.HIT, 1) is None
        assert link.is_closed
        await asyncio.to_thread(wait_until, lambda: connections(server) == 0, "no connection", 10)


async def test_a_call_that_has_not_begun_when_the_link_is_closed_leaves_nobody_waiting(server) -> None:
    """A task that is cancelled before its first step runs nothing of itself, not even what it would do at its end."""
    async with opened(server) as store:
        bucket = store.bucket("x", AMPLE)
        link = store.link()
        await bucket.peek("k")
        link._connect_timeout = 0  # nobody waits for what is under way
        hit = asyncio.ensure_future(link.ask(bucket.plan, bucket.name_of("k"), redis_link.Operation.HIT, 1))
        closed = asyncio.create_task(link.aclose())
        answer, _ = await asyncio.wait_for(asyncio.gather(hit, closed), 10)
        assert answer is None


def leave_a_call_under_way(server) -> None:
    """Close the loop, and let go of all that was open."""
    store = RedisStore(server.url, timeout_seconds=5, connect_timeout_seconds=5)
    bucket = store.bucket("x", AMPLE)

    async def begin():
        await bucket.hit("warm")
        hit = asyncio.create_task(bucket.hit("k"))
        await turns(2)
        return hit

    loop = asyncio.new_event_loop()
    hit = loop.run_until_complete(begin())
    (link,) = store._links.all()
    loop.close()
    link._task.get_coro().close()  # as the garbage collector does it
    hit.get_coro().close()
    assert not hit.done()
    assert link.is_closed


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_loop_that_is_closed_with_a_call_under_way_blames_nobody(server, caplog) -> None:
    """Nobody is there to be told, and Redis is not away for that."""
    leave_a_call_under_way(server)
    gc.collect()  # what was open is found here, and not in the middle of another test
    assert "does not answer" not in caplog.text


# Late -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_failure", ["local", "open", "closed"])
async def test_a_loop_that_was_busy_admits_nothing_for_it(server, on_failure) -> None:
    """Redis was there all the time: what waited meanwhile is counted there, and a used up limit stays used up."""
    async with (
        opened(server, namespace="busy") as other,
        opened(server, namespace="busy", timeout_seconds=0.025) as store,
    ):
        for _ in range(5):
            await other.bucket(on_failure, parse_rate("5/hour")).hit("k")
        bucket = store.bucket(on_failure, parse_rate("5/hour"), on_failure=on_failure)
        async with under_way(store):
            hits = [asyncio.create_task(bucket.hit("k")) for _ in range(50)]
            await turns(1)
            ends = time.monotonic() + 0.15
            while time.monotonic() < ends:
                pass  # as an application does that computes
            decisions = await asyncio.gather(*hits)
        assert not any(decisions)
        assert not any(decision.degraded for decision in decisions)


async def test_only_hits_run_out_of_patience(server) -> None:
    """Redis was slow with those before them: they are answered without it, but what is given back is given back."""
    async with opened(server) as store:
        slots, logins = (
            store.bucket("slots", parse_rate("1/hour"), "concurrency"),
            store.bucket("x", parse_rate("1/hour")),
        )
        held = await slots.hit("k")
        await logins.hit("k")
        async with under_way(store):
            back = asyncio.create_task(slots.refund("k", held.at_ns))
            forgotten = asyncio.create_task(logins.reset("k"))
            hit = asyncio.create_task(logins.hit("other"))
            await turns(1)
            store.link()._waited += redis_link.PATIENCE * 5 + 1
        await asyncio.gather(back, forgotten)
        assert (await hit).degraded
        assert await slots.hit("k")
        assert await logins.hit("k")


async def test_what_is_given_back_finds_room_where_hits_find_none(server, monkeypatch) -> None:
    """Else whoever floods a process would keep the places of all others taken."""
    async with opened(server) as store:
        bucket = store.bucket("x", parse_rate("1/hour"), "concurrency")
        held = await bucket.hit("k")
        with monkeypatch.context() as full:
            full.setattr(redis_link, "MAX_WAITING", 0)
            assert (await bucket.hit("k")).degraded
            await bucket.refund("k", held.at_ns)
        assert await bucket.hit("k")


# Probes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("begun", [0, 3])
async def test_a_probe_that_somebody_cancels_is_made_again(server, monkeypatch, begun) -> None:
    """At once if it has said so, and else after a while: Redis is not away for ever."""
    monkeypatch.setattr(redis_link, "_POLICY", replace(redis_link._POLICY, probe_lease=0.2))
    async with opened(server, timeout_seconds=0.1) as store:
        bucket, link = store.bucket("x", AMPLE), store.link()
        await bucket.hit("k")
        await asyncio.to_thread(server.freeze)
        while link._probe is None:
            await asyncio.sleep(0.01)
            assert (await bucket.hit("k")).degraded  # and does not suspend: the probe has not begun
        await turns(begun)
        link._probe.cancel()
        await turns(2)
        assert (await bucket.hit("k")).degraded
        await asyncio.to_thread(server.thaw)
        await back_in_redis(bucket)


# Cancelled ------------------------------------------------------------------------------------------------------------


async def test_what_is_given_back_or_reset_is_so_though_nobody_waits_for_it(server) -> None:
    """The request was cancelled while that waited for its turn."""
    async with opened(server) as store:
        slots, logins = (
            store.bucket("slots", parse_rate("1/hour"), "concurrency"),
            store.bucket("x", parse_rate("1/hour")),
        )
        held = await slots.hit("k")
        await logins.hit("k")
        async with under_way(store):
            tasks = [asyncio.create_task(slots.refund("k", held.at_ns)), asyncio.create_task(logins.reset("k"))]
            await turns(1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert await slots.hit("k")
        assert await logins.hit("k")


async def test_a_slot_whose_answer_comes_as_its_request_is_cancelled_is_given_back(server) -> None:
    """Nobody has heard of the answer, so nobody else could give it back."""
    async with opened(server) as store:
        slots, link = store.bucket("slots", parse_rate("1/hour"), "concurrency"), store.link()
        queue = link._queue

        def queued(asked) -> None:
            asked[0].answered.add_done_callback(lambda _: task.cancel())  # before it wakes up
            queue(asked)

        link._queue = queued
        task = asyncio.create_task(slots.hit("k"))
        with pytest.raises(asyncio.CancelledError):
            await task
        link._queue = queue
        assert await slots.hit("k")
