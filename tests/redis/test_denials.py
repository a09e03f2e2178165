"""Denials: a blocked key costs Redis nothing until it is free again, and who frees it is heard everywhere."""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.limiting.redis_denials import ASKED_AGAIN_NS, Denials
from asgi_guard.limiting.store import Decision

SECOND = 1_000_000_000
NAMES = itertools.count()


@asynccontextmanager
async def stores(server, number, **settings):
    """Open stores of one namespace, as so many processes would."""
    named = {"namespace": f"denials{next(NAMES)}", "timeout_seconds": 5, "connect_timeout_seconds": 5, **settings}
    url = named.pop("url", server.url)
    async with AsyncExitStack() as stack:
        opened = [RedisStore(url, **named) for _ in range(number)]
        for store in opened:
            stack.push_async_callback(store.aclose)
        yield opened


async def until(holds, seconds=20.0) -> float:
    """Wait until something holds; return how long that took."""
    since = time.monotonic()
    while not (await told if asyncio.iscoroutine(told := holds()) else told):
        assert time.monotonic() - since < seconds
        await asyncio.sleep(0.002)
    return time.monotonic() - since


def hears(store) -> bool:
    """Tell whether a store is up to date, and has been for a moment."""
    now_ns = time.monotonic_ns()
    return store._ear().covers(now_ns, now_ns)


async def blocked(buckets) -> None:
    """Let each deny the key, by its own memory, which is up to date."""
    for bucket in buckets:
        store = bucket._store
        while await bucket.hit("k"):
            pass
        await until(lambda store=store: hears(store))
        store.denials._by_key.clear()
        assert not await bucket.hit("k")


@pytest.mark.long
@pytest.mark.anyio
@pytest.mark.parametrize("algorithm", ["strict", "gcra", "fixed"])
async def test_a_denial_costs_nothing_until_it_ends(server, algorithm) -> None:
    """Longer than the second for which it is certain without news; and then the hit is admitted."""
    async with stores(server, 1) as (store,):
        bucket = store.bucket("x", parse_rate("1/3 seconds"), algorithm)
        await blocked([bucket])
        before = await asyncio.to_thread(server.calls)
        ends = time.monotonic() + (await bucket.hit("k")).retry_after_ns / SECOND
        asked = 0
        while time.monotonic() < ends - 0.1:
            assert not await bucket.hit("k")
            asked += 1
            await asyncio.sleep(0.001)
        assert asked > 500
        assert await asyncio.to_thread(server.calls) == before
        assert abs(await until(lambda: bucket.hit("k")) - 0.1) < 0.15


@pytest.mark.anyio
async def test_a_blocked_key_costs_three_microseconds(server) -> None:
    """The bound here is wider: the machine may be busy."""
    async with stores(server, 1) as (store,):
        bucket = store.bucket("x", parse_rate("1/hour"))
        await blocked([bucket])
        before = await asyncio.to_thread(server.calls)
        best = 1.0
        for _ in range(20):
            await asyncio.sleep(0.001)  # a loop that never turns hears nothing
            since = time.perf_counter()
            for _ in range(500):
                await bucket.hit("k")
            best = min(best, (time.perf_counter() - since) / 500)
        assert await asyncio.to_thread(server.calls) == before
    print(f"a repeated denial takes {best * 1e6:.2f} us")  # noqa: T201
    assert best < 60e-6


@pytest.mark.anyio
async def test_a_reset_is_heard_in_milliseconds(server) -> None:
    """In every process, and also where a denial was long certain."""
    async with stores(server, 5) as opened:
        buckets = [store.bucket("x", parse_rate("5/hour")) for store in opened]
        await blocked(buckets)
        await buckets[0].reset("k")
        times = [await until(lambda bucket=bucket: bucket.hit("k")) for bucket in buckets]
    print(f"a reset is heard within {max(times) * 1e3:.1f} ms")  # noqa: T201
    assert sum(times) < 0.5


@pytest.mark.anyio
@pytest.mark.parametrize("algorithm", ["strict", "gcra", "fixed"])
async def test_a_hit_that_is_taken_back_is_heard_where_it_makes_room(server, algorithm) -> None:
    """One is free again, and one of those who were refused gets it."""
    async with stores(server, 2) as opened:
        buckets = [store.bucket("x", parse_rate("2/hour"), algorithm) for store in opened]
        hit = await buckets[0].hit("k")
        await blocked(buckets)
        await buckets[0].refund("k", hit.at_ns)
        assert await until(lambda: buckets[1].hit("k")) < 0.5
        assert not await buckets[0].hit("k")


@pytest.mark.long
@pytest.mark.anyio
async def test_a_larger_cost_is_not_refused_for_long(server) -> None:
    """Nobody tells when two of three come back: so its denial is repeated for a second at most."""
    async with stores(server, 2) as opened:
        buckets = [store.bucket("x", parse_rate("3/hour")) for store in opened]
        hit = await buckets[0].hit("k", 2)
        assert not await buckets[1].hit("k", 3)
        await buckets[0].refund("k", hit.at_ns, 2)
        assert await until(lambda: buckets[1].hit("k", 3)) < 1.5


@pytest.mark.long
@pytest.mark.anyio
async def test_what_nobody_tells_is_found_out_within_seconds(server) -> None:
    """Who empties Redis by hand publishes nothing: the denial is believed for five seconds, and then asked about."""
    async with stores(server, 1) as (store,):
        bucket = store.bucket("x", parse_rate("1/hour"))
        await blocked([bucket])
        await asyncio.to_thread(server.command, "FLUSHALL")
        assert not await bucket.hit("k")
        assert await until(lambda: bucket.hit("k")) < ASKED_AGAIN_NS / SECOND + 1


@pytest.mark.long
@pytest.mark.anyio
async def test_who_cannot_hear_asks_again_after_a_second(server) -> None:
    """A user without the right to subscribe, in a store without the right to publish, loses only time."""
    rules = ("on", ">secret", "~*", "-@all", "+evalsha", "+eval", "+mget", "+set", "+del", "+time")
    await asyncio.to_thread(server.command, "ACL", "SETUSER", "deaf", *rules)
    async with stores(server, 2, url=f"redis://deaf:secret@127.0.0.1:{server.port}") as opened:
        buckets = [store.bucket("x", parse_rate("1/hour")) for store in opened]
        await buckets[0].hit("k")
        assert not await buckets[1].hit("k")
        await buckets[0].reset("k")
        assert await until(lambda: buckets[1].hit("k")) < 1.5


@pytest.mark.long
@pytest.mark.anyio
async def test_a_connection_that_is_lost_comes_back_and_proves_nothing_meanwhile(server) -> None:
    """What was published in between is missed: so denials from before hold for their second, and no longer."""
    async with stores(server, 1) as (store,):
        bucket = store.bucket("x", parse_rate("1/hour"))
        await blocked([bucket])
        since_ns = store._ear().since_ns
        await asyncio.to_thread(server.command, "CLIENT", "KILL", "TYPE", "pubsub")
        await until(lambda: store._ear().since_ns > time.monotonic_ns())
        await until(lambda: since_ns < store._ear().since_ns < time.monotonic_ns())
        before = await asyncio.to_thread(server.calls)
        await until(lambda: not asyncio.get_running_loop().is_closed() and _asked(server, before, bucket))


async def _asked(server, before, bucket) -> bool:
    assert not await bucket.hit("k")
    return await asyncio.to_thread(server.calls) > before


@pytest.mark.long
@pytest.mark.anyio
async def test_a_connection_that_hangs_proves_nothing_after_a_second(server) -> None:
    """Nobody closes it, and nothing comes: a frozen server, or a firewall that has forgotten it."""
    async with stores(server, 1, timeout_seconds=0.1) as (store,):
        bucket = store.bucket("x", parse_rate("1/hour"))
        await blocked([bucket])
        server.freeze()
        took = await until(lambda: not hears(store))
        server.thaw()
        assert took < 1.5
        await until(lambda: hears(store))


@pytest.mark.anyio
async def test_a_cluster_passes_on_what_another_node_has_published(cluster) -> None:
    """Keys live on three masters; each process listens to one of them."""
    async with stores(cluster[0], 3, url=f"redis+cluster://127.0.0.1:{cluster[0].port}") as opened:
        buckets = [store.bucket("x", parse_rate("1/hour")) for store in opened]
        names = [f"client {number}" for number in range(12)]
        for name in names:
            await buckets[0].hit(name)
        for store in opened:
            store._ear().want(time.monotonic_ns() + 60 * SECOND)
            await until(lambda store=store: hears(store))
        for name in names:
            assert not any([await bucket.hit(name) for bucket in buckets])
            await buckets[0].reset(name)
            assert await until(lambda name=name: buckets[1].hit(name)) < 1


# The memory itself ----------------------------------------------------------------------------------------------------


class Ear:
    """Hears what it was told to."""

    def __init__(self) -> None:
        self.is_covered = True
        self.wanted_ns = 0

    def covers(self, moment_ns, now_ns) -> bool:
        return self.is_covered

    def want(self, until_ns) -> None:
        self.wanted_ns = until_ns


@pytest.fixture
def ear():
    """Give an ear that hears everything."""
    return Ear()


@pytest.fixture
def denials(ear):
    """Give a memory of two keys."""
    return Denials(2, lambda: ear)


def refused(remaining=(0,), resets_ns=(300,), retry_ns=300) -> Decision:
    """Make a denial."""
    return Decision(False, 0, remaining, resets_ns, retry_ns, (0,))


def test_a_denial_ends_when_anything_of_the_key_comes_back(denials) -> None:
    """What remains would be wrong from then on, even where the same hit is refused for longer."""
    denials.note(b"k", 5, refused((0, 4), (300, 0), 900), 990, 1_000)
    assert denials.recall(b"k", 5, 1_289) == Decision(False, 289, (0, 4), (11, 0), 611, (0,))
    assert denials.recall(b"k", 4, 1_289) is None
    assert denials.recall(b"k", 5, 1_290) is None  # 300 after it was asked, since Redis decided no earlier
    assert len(denials) == 0


def test_what_nobody_hears_of_holds_for_a_second(denials, ear) -> None:
    """And goes on holding once it is heard of."""
    denials.note(b"k", 1, refused((0,), (60 * SECOND,), 60 * SECOND), 5, 10)
    assert ear.wanted_ns == 5 + ASKED_AGAIN_NS
    ear.is_covered = False
    assert denials.recall(b"k", 1, 9 + SECOND) is not None
    assert denials.recall(b"k", 1, 10 + SECOND) is None
    ear.is_covered = True
    assert denials.recall(b"k", 1, 10 + SECOND).retry_after_ns == 59 * SECOND
    assert denials.recall(b"k", 1, 5 + ASKED_AGAIN_NS) is None


@pytest.mark.parametrize(("asked_ns", "is_noted"), [(99, False), (100, False), (101, True)])
def test_a_denial_from_before_a_reset_is_not_noted_after_it(denials, asked_ns, is_noted) -> None:
    """Its answer was on the way, on another connection, while the reset was heard."""
    denials.forget(b"k", 100)
    denials.note(b"k", 1, refused(), asked_ns, 200)
    assert (denials.recall(b"k", 1, 210) is not None) is is_noted


def test_a_store_that_is_closed_remembers_no_denial(denials) -> None:
    """Nor one that is on its way: whoever opens it anew, such as the next test, asks how it stands."""
    denials.note(b"k", 1, refused(), 5, 10)
    denials.forget_all(100)
    denials.note(b"j", 1, refused(), 100, 200)
    assert [denials.recall(key, 1, 210) for key in (b"k", b"j")] == [None, None]


def test_denials_are_bounded(denials) -> None:
    """The oldest is forgotten: it is asked about again, and refused again."""
    for key in (b"1", b"2", b"3"):
        denials.note(key, 1, refused(), 0, 0)
    assert [denials.recall(key, 1, 1) is None for key in (b"1", b"2", b"3")] == [True, False, False]
    assert len(denials) == 2
