"""The policies of one request in one call: all are counted or none, on a server, on a cluster, and without either."""

from __future__ import annotations

import asyncio
import itertools
import random
from contextlib import asynccontextmanager

import pytest

from asgi_guard.layers.rate_limit import RateLimit, RateLimitMiddleware, by_header
from asgi_guard.limiting import MemoryStore, parse_rate
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.limiting.store import Hit
from asgi_guard.testing import ManualClock
from asgi_guard.testing.client import call

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

NAMES = itertools.count()
ALGORITHMS = ("strict", "gcra", "fixed", "concurrency")


@asynccontextmanager
async def opened(url, **settings):
    """Open a store that waits longer than a busy machine makes it, in a namespace of its own."""
    named = {"namespace": f"together{next(NAMES)}", "timeout_seconds": 5, "connect_timeout_seconds": 5, **settings}
    store = RedisStore(url, **named)
    try:
        yield store
    finally:
        await store.aclose()


async def hello(scope, receive, send) -> None:
    """Say hello, with the status that the request asks for."""
    status = dict(scope["headers"]).get(b"want", b"200")
    await send({"type": "http.response.start", "status": int(status), "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def dumped(server) -> dict[str, str]:
    """Return every key with its value."""
    return {key: server.command("DUMP", key) for key in server.keys()}  # noqa: SIM118


def each_once(store, rates, *, enforced=None, algorithm="strict"):
    """Make a hit of a key under each rate."""
    buckets = [store.bucket(f"policy{at}", parse_rate(rate), algorithm) for at, rate in enumerate(rates)]
    return [Hit(bucket, "k", 1, enforced is None or enforced[at]) for at, bucket in enumerate(buckets)]


def left(decisions) -> list:
    """Return what remains of the first limit of each."""
    return [None if decision is None else decision.remaining[0] for decision in decisions]


# One call -------------------------------------------------------------------------------------------------------------


async def test_all_policies_of_a_request_take_one_command(server) -> None:
    """Admitted or refused; and while one is known to refuse, none."""
    async with opened(server.url) as store:
        rates = {"user": "3/minute", "route": "5/minute;90/hour", "all": "100/minute"}
        policies = [RateLimit(rate, name=name, store=store) for name, rate in rates.items()]
        app = RateLimitMiddleware(hello, policies)
        await call(app)
        statuses, commands = [], []
        for _ in range(5):
            before = await asyncio.to_thread(server.calls)
            statuses.append((await call(app)).status)
            commands.append(await asyncio.to_thread(server.calls) - before)
    assert statuses == [200, 200, 429, 429, 429]
    assert commands == [1, 1, 1, 0, 0]


async def test_policies_of_many_requests_go_out_together(server) -> None:
    """A request is never divided among calls; 300 at once are exact under both of their policies."""
    async with opened(server.url) as store:
        hits = each_once(store, ["120/minute", "1000/minute", "7/minute"], enforced=[True, True, False])
        await store.hit_all(hits)
        before = await asyncio.to_thread(server.calls)
        answers = await asyncio.gather(*[store.hit_all(hits) for _ in range(300)])
        calls = await asyncio.to_thread(server.calls) - before
        now = [await hit.bucket.peek("k") for hit in hits]
    assert sum(all(bool(answer[at]) for at in (0, 1)) for answer in answers) == 119
    assert left(now) == [0, 880, 0]
    assert calls <= 300 // (64 // 3) + 2


async def test_more_policies_than_a_call_carries(server) -> None:
    """They are asked in order; where a later call refuses, what the earlier ones counted is given back."""
    async with opened(server.url) as store:
        hits = each_once(store, [*["9/minute"] * 99, "1/minute"])
        assert all(await store.hit_all(hits))
        answers = await store.hit_all(hits)
        assert not any(answers)
        assert left([await hit.bucket.peek("k") for hit in hits]) == [8] * 99 + [0]


# All or nothing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_refusal_counts_nowhere_and_says_how_things_stand(server, algorithm) -> None:
    """Not a byte of Redis has changed, nor any time to live; every policy that refuses is named."""
    async with opened(server.url) as store:
        hits = each_once(store, ["5/hour", "1/hour", "2/hour", "1/hour"], algorithm=algorithm)
        assert left(await store.hit_all(hits)) == [4, 0, 1, 0]
        before = await asyncio.to_thread(dumped, server)
        answers = await store.hit_all(hits)
        assert await asyncio.to_thread(dumped, server) == before
    assert not any(answers)
    assert left(answers) == [4, 0, 1, 0]
    assert [answer.violated for answer in answers] == [(), (0,), (), (0,)]
    assert [answer.retry_after_ns > 0 for answer in answers] == [False, True, False, True]


async def test_a_shadow_refuses_only_itself(server) -> None:
    """The others are counted; and it is not, where one of them refuses."""
    async with opened(server.url) as store:
        hits = each_once(store, ["1/minute", "2/minute", "9/minute"], enforced=[False, True, False])
        answers = [await store.hit_all(hits) for _ in range(3)]
    assert [[bool(one) for one in answer] for answer in answers] == [[True] * 3, [False, True, True], [False] * 3]
    assert [left(answer) for answer in answers] == [[0, 1, 8], [0, 0, 7], [0, 0, 7]]


async def test_hits_of_one_key_see_each_other(server) -> None:
    """Two policies that share a count need room for both."""
    async with opened(server.url) as store:
        (hit,) = each_once(store, ["3/minute"])
        assert left(await store.hit_all([hit, hit])) == [2, 1]
        assert not any(await store.hit_all([hit, hit]))
        assert (await hit.bucket.peek("k")).remaining == (1,)


@pytest.mark.parametrize("before", [0, 4])
async def test_a_key_that_is_hit_twice_is_not_refused_for_what_did_not_count(server, before) -> None:
    """There is room for one: both are refused, and one alone has it afterwards; no denial is remembered."""
    async with opened(server.url) as store:
        (hit,) = each_once(store, [f"{before + 1}/minute"])
        for _ in range(before):
            await hit.bucket.hit("k")
        assert not any(await store.hit_all([hit, hit]))
        assert await hit.bucket.hit("k")
        assert not await hit.bucket.hit("k")


async def test_a_hit_of_no_cost_leaves_no_trace(server) -> None:
    """It says how things stand, beside others that count."""
    async with opened(server.url) as store:
        first, second = each_once(store, ["3/minute", "4/minute"])
        assert left(await store.hit_all([first, second._replace(cost=0)])) == [2, 4]
        assert len(await asyncio.to_thread(server.keys)) == 1
        with pytest.raises(ValueError, match="at least 0"):
            await store.hit_all([first, second._replace(cost=-1)])
        assert (await first.bucket.peek("k")).remaining == (2,)


async def test_verdicts_are_those_of_the_memory_store(server) -> None:
    """The same requests in the same order: statuses, what is told, and what is given back afterwards."""
    clock = ManualClock()
    chance = random.Random(5)

    def app(store):
        return RateLimitMiddleware(
            hello,
            [
                RateLimit("4/second;20/minute", name="user", key=by_header("user"), store=store),
                RateLimit("9/second", name="smooth", algorithm="gcra", burst=3, store=store, legacy_headers=True),
                RateLimit("2/minute", name="shadow", shadow=True, store=store),
                RateLimit("3/minute", name="logins", count=lambda exchange: exchange.status == 401, store=store),
            ],
        )

    async with opened(server.url, clock=lambda: clock.monotonic_ns() // 1_000 * 1_000) as store:
        apps = [app(MemoryStore(clock=clock.monotonic_ns)), app(store)]
        for _ in range(150):
            headers = {"user": chance.choice("ab"), "want": chance.choice(["200", "401"])}
            told = []
            for one in apps:
                answer = await call(one, headers=headers)
                told.append((answer.status, answer.headers.get("retry-after"), answer.headers.get("ratelimit")))
            assert told[0] == told[1]
            await store.bucket("drain", parse_rate("1/second")).peek("k")  # what is given back has arrived
            for policy in apps[1].policies:
                policy.plan.bucket._denials = None  # their clock is that of the machine
            clock.advance(chance.choice([0, 0, 0.125, 0.5, 7]))


# Cancelled ------------------------------------------------------------------------------------------------------------


async def test_leases_whose_taker_was_cancelled_are_given_back(server) -> None:
    """Under every policy, wherever the request was when it ended."""
    async with opened(server.url) as store:
        hits = each_once(store, ["5/hour", "6/hour"], algorithm="concurrency")
        await hits[0].bucket.peek("k")
        for pause in (0, 1, 2, 3, 4, 5, 8, 12):
            task = asyncio.create_task(store.hit_all(hits))
            for _ in range(pause):
                await asyncio.sleep(0)
            task.cancel()
            (answer,) = await asyncio.gather(task, return_exceptions=True)
            if isinstance(answer, list):  # the cancellation came too late
                for hit, decision in zip(hits, answer, strict=True):
                    await hit.bucket.refund("k", decision.at_ns)
        await hits[0].bucket.peek("k")
        assert left([await hit.bucket.peek("k") for hit in hits]) == [5, 6]


async def test_leases_are_given_back_where_the_answer_was_on_its_way(server) -> None:
    """Redis has counted them, and the request was cancelled before it heard."""
    async with opened(server.url) as store:
        hits = each_once(store, ["5/hour", "6/hour"], algorithm="concurrency")
        other = store.bucket("other", parse_rate("9/hour"))
        await other.peek("k")

        async def hit_and_cancel() -> None:
            await other.hit("k")
            task.cancel()

        first = asyncio.create_task(hit_and_cancel())
        task = asyncio.create_task(store.hit_all(hits))
        _, answer = await asyncio.gather(first, task, return_exceptions=True)
        assert isinstance(answer, asyncio.CancelledError)
        assert left([await hit.bucket.peek("k") for hit in hits]) == [5, 6]


# On a cluster ---------------------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_on_a_cluster_each_key_is_asked_in_its_turn(cluster) -> None:
    """A client's policies go in one call; what it counted is given back where the limit of all refuses."""
    async with opened(f"redis+cluster://127.0.0.1:{cluster[0].port}", timeout_seconds=5) as store:
        user = [store.bucket(name, parse_rate("50/minute")) for name in ("user", "route")]
        everybody = store.bucket("all", parse_rate("3/minute"))

        async def hit(key):
            return await store.hit_all([Hit(one, key, 1, True) for one in user] + [Hit(everybody, "*", 1, True)])

        async def calls() -> int:
            return sum([await asyncio.to_thread(master.calls) for master in cluster])

        answers = [await hit("a")]
        before = await calls()
        answers.append(await hit("a"))
        assert await calls() - before == 2
        answers += [await hit(key) for key in "ba"]
        assert [all(answer) for answer in answers] == [True, True, True, False]
        assert left(answers[-1]) == [None, None, 0]
        assert left([await bucket.peek(key) for bucket in user for key in "ab"]) == [48, 49] * 2
        before = await calls()
        assert left(await hit("b")) == [None, None, 0]  # known to be refused
        assert await calls() == before


# Without Redis --------------------------------------------------------------------------------------------------------


async def test_without_redis_all_or_none_are_counted_here() -> None:
    """Each policy as its own `on_failure` says; nobody is told numbers of what was given back."""
    async with opened("redis://127.0.0.1:1", on_failure="open") as store:
        buckets = [
            store.bucket("a", parse_rate("5/minute"), on_failure="local"),
            store.bucket("b", parse_rate("2/minute"), on_failure="local"),
            store.bucket("c", parse_rate("1/minute")),
        ]
        hits = [Hit(bucket, "k", 1, True) for bucket in buckets]
        answers = [await store.hit_all(hits) for _ in range(4)]
        assert [all(answer) for answer in answers] == [True, True, False, False]
        assert all(one is None or one.degraded for answer in answers for one in answer)
        assert (await buckets[0].peek("k")).remaining == (3,)


async def test_redis_going_away_between_two_slots_gives_back_what_it_can(cluster) -> None:
    """The second half is decided here, and its refusal counts nowhere."""
    async with opened(f"redis+cluster://127.0.0.1:{cluster[0].port}") as store:
        one = store.bucket("one", parse_rate("9/minute"))
        closed = store.bucket("two", parse_rate("9/minute"), on_failure="closed")
        link = store.link()
        asked = []

        async def ask_all(hits):
            asked.append(hits)
            return await type(link).ask_all(link, hits) if len(asked) == 1 else None

        link.ask_all = ask_all
        answers = await store.hit_all([Hit(one, "a", 1, True), Hit(closed, "b", 1, True)])
        assert [bool(answer) for answer in answers] == [False, False]
        assert (await one.peek("a")).remaining == (9,)
