"""The store in Redis: what reaches the server, who shares a count, and what nobody may see."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from contextlib import asynccontextmanager

import pytest
import trio

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.layers.rate_limit import RateLimit, RateLimitMiddleware
from asgi_guard.limiting import Limit, parse_rate
from asgi_guard.limiting.memory import MAX_BUCKETS
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.limiting.store import Decision
from asgi_guard.limiting.stores import store_of
from asgi_guard.testing.client import call

pytestmark = [pytest.mark.timeout(60)]

NAMES = itertools.count()


@asynccontextmanager
async def opened(server, **settings):
    """Open a store that waits longer than a busy machine makes it, in a namespace of its own."""
    named = {"namespace": f"store{next(NAMES)}", "timeout_seconds": 5, "connect_timeout_seconds": 5, **settings}
    store = RedisStore(server.url, **named)
    try:
        yield store
    finally:
        await store.aclose()


def all_end(server) -> bool:
    """Tell whether every key has a time to live."""
    return all(int(server.command("PTTL", key)[1:]) > 0 for key in server.keys())  # noqa: SIM118


# One count for all ----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_what_arrives_while_a_call_is_under_way_goes_out_as_one(server) -> None:
    """A thousand at once are exact, and take a call for each 64 of them."""
    async with opened(server) as store:
        bucket = store.bucket("x", parse_rate("50/minute"))
        await bucket.hit("other")
        before = await asyncio.to_thread(server.calls)
        decisions = await asyncio.gather(*[bucket.hit("k") for _ in range(1_000)])
        calls = await asyncio.to_thread(server.calls) - before
    assert sum(map(bool, decisions)) == 50
    assert not any(decision.degraded for decision in decisions)
    assert calls <= 1_000 // 64 + 2


@pytest.mark.anyio
async def test_one_that_is_cancelled_cancels_nobody_else(server) -> None:
    """Requests end at any moment; those of others are answered, and what was admitted is never more than the limit."""
    async with opened(server) as store:
        bucket = store.bucket("x", parse_rate("200/minute"))
        chance = random.Random(1)
        tasks = [asyncio.create_task(bucket.hit("k")) for _ in range(1_000)]
        for task in chance.sample(tasks, 300):
            await asyncio.sleep(0)
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(answer, Decision | asyncio.CancelledError) for answer in answers)
        admitted = sum(answer.allowed for answer in answers if isinstance(answer, Decision))
        assert admitted <= 200
        assert (await bucket.peek("k")).remaining == (0,)
    assert await asyncio.to_thread(all_end, server)


@pytest.mark.anyio
async def test_a_lease_whose_taker_was_cancelled_is_given_back(server) -> None:
    """Else a client that hangs up early would take the places of others, one after the other."""
    async with opened(server) as store:
        bucket = store.bucket("x", parse_rate("5/hour"), "concurrency")
        await bucket.peek("k")
        for pause in (0, 1, 2, 3, 4, 5, 8):
            task = asyncio.create_task(bucket.hit("k"))
            for _ in range(pause):
                await asyncio.sleep(0)
            task.cancel()
            (answer,) = await asyncio.gather(task, return_exceptions=True)
            if isinstance(answer, Decision):  # the cancellation came too late
                await bucket.refund("k", answer.at_ns)
        await bucket.peek("k")
        assert (await bucket.peek("k")).remaining == (5,)


@pytest.mark.anyio
async def test_a_refused_hit_changes_nothing_in_redis(server) -> None:
    """Neither the counts of the limits that would have admitted it, nor any time to live."""
    async with opened(server) as store:
        bucket = store.bucket("x", parse_rate("2/minute;5/hour"))
        for _ in range(2):
            await bucket.hit("k")
        key = (await asyncio.to_thread(server.keys))[0]
        before = await asyncio.to_thread(server.command, "DUMP", key)
        assert not await bucket.hit("k")
        assert not await bucket.hit("k", 3)
        await bucket.peek("k")
        assert await asyncio.to_thread(server.command, "DUMP", key) == before


@pytest.mark.anyio
async def test_a_limit_that_changes_starts_anew_and_one_that_does_not_is_shared(shared_server) -> None:
    """Stores of one namespace share what has the same name, limits and algorithm, and nothing else."""
    async with opened(shared_server, namespace="both") as one, opened(shared_server, namespace="both") as other:
        limits = parse_rate("3/minute")
        await one.bucket("x", limits).hit("k")
        remaining = {
            "same": await other.bucket("x", limits).peek("k"),
            "name": await other.bucket("y", limits).peek("k"),
            "limits": await other.bucket("x", parse_rate("4/minute")).peek("k"),
            "algorithm": await other.bucket("x", limits, "fixed").peek("k"),
            "bytes": await other.bucket("x", limits).peek(b"k"),
        }
        await one.bucket("x", limits).reset("k")
    left = {name: decision.remaining[0] for name, decision in remaining.items()}
    assert left == {"same": 2, "name": 3, "limits": 4, "algorithm": 3, "bytes": 3}


KEYS = ["", "a" * 100_000, "}{", "a\0b", "\ud800", "ключ", "u/1\r\nFLUSHALL", "*"]


@pytest.mark.anyio
async def test_hostile_keys_are_only_keys(server) -> None:
    """Whatever a client calls itself, its key in Redis has one length, one hash tag and nothing of it."""
    async with opened(server) as store:
        bucket = store.bucket("x", parse_rate("3/minute"))
        for key in KEYS:
            assert (await bucket.hit(key)).remaining == (2,)
    names = await asyncio.to_thread(server.keys)
    assert len(names) == len(KEYS)
    assert len({len(name) for name in names}) == 1
    assert all(name.count("{") == name.count("}") == 1 and name.isascii() for name in names)


@pytest.mark.anyio
async def test_a_secret_keeps_keys_from_being_guessed(server) -> None:
    """With another secret the same client has another key."""
    for secret in (None, "one", b"two"):
        async with opened(server, namespace="s", secret=secret) as store:
            await store.bucket("x", parse_rate("3/minute")).hit("192.0.2.1")
    assert len(await asyncio.to_thread(server.keys)) == 3


# Denials --------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_blocked_key_costs_redis_nothing(server) -> None:
    """The same process repeats a denial, with the times that are left."""
    async with opened(server) as store:
        bucket = store.bucket("x", parse_rate("1/minute"))
        await bucket.hit("k")
        first = await bucket.hit("k")
        before = await asyncio.to_thread(server.calls)
        since = time.perf_counter()
        again = [await bucket.hit("k") for _ in range(1_000)]
        took = time.perf_counter() - since
        assert await asyncio.to_thread(server.calls) == before
    print(f"a repeated denial takes {took * 1e3:.1f} us")  # noqa: T201
    assert not any(again)
    assert again[-1].retry_after_ns < first.retry_after_ns
    assert abs(again[-1].retry_at_ns - first.retry_at_ns) < 1_000_000_000


# Settings -------------------------------------------------------------------------------------------------------------

WRONG = [
    ({"url": "http://user:hunter2@localhost"}, ["AG430 RedisStore.url"]),
    ({"url": "redis://:hunter2@localhost:99999"}, ["AG430 RedisStore.url"]),
    ({"url": "redis://"}, ["AG430 RedisStore.url"]),
    ({"url": "unix://"}, ["AG430 RedisStore.url"]),
    ({"url": 7}, ["AG104 RedisStore.url"]),
    (
        {"timeout_seconds": 0, "connect_timeout_seconds": 61, "on_failure": "opne", "local_share": 0, "local_keys": 0},
        [
            "AG102 RedisStore.timeout_seconds",
            "AG102 RedisStore.connect_timeout_seconds",
            "AG105 RedisStore.on_failure",
            "AG102 RedisStore.local_share",
            "AG101 RedisStore.local_keys",
        ],
    ),
    ({"secret": ""}, ["AG433 RedisStore.secret"]),
    ({"namespace": "", "clock": 7}, ["AG104 RedisStore.namespace", "AG109 RedisStore.clock"]),
]


@pytest.mark.parametrize(
    ("arguments", "problems"), WRONG, ids=[f"{index} {problems[0]}" for index, (_, problems) in enumerate(WRONG)]
)
def test_what_cannot_work_is_refused_and_no_password_shown(arguments, problems) -> None:
    """All that is wrong is told at once."""
    with pytest.raises(ConfigError) as refused:
        RedisStore(**{"url": "redis://localhost", **arguments})
    assert [f"{problem.id} {problem.field}" for problem in refused.value.problems] == problems
    assert "hunter2" not in str(refused.value)


def test_the_buckets_of_a_store_have_a_bound() -> None:
    """One for each policy that is written down, and none for what comes out of requests."""
    store = RedisStore("redis://localhost")
    for number in range(MAX_BUCKETS):
        store.bucket(f"policy {number}", parse_rate("1/minute"))
    with pytest.raises(ValueError, match="1024 buckets"):
        store.bucket("another", parse_rate("1/minute"))


def test_a_state_that_outlasts_the_numbers_of_redis_is_refused() -> None:
    """One a year, and a billion at once after a pause of a billion years."""
    with pytest.raises(ValueError, match="100 years"):
        RedisStore("redis://localhost").bucket("x", [Limit(1, 31_622_400, burst=1_000)], "gcra")


SHOWN = {
    "redis://user:hunter2@example.org:6379/1?password=hunter2": "RedisStore('redis://example.org:6379/1')",
    "unix:///run/redis.sock?password=hunter2": "RedisStore('unix:///run/redis.sock')",
    "rediss://:hunter2@[::1]": "RedisStore('rediss://[::1]')",
}


@pytest.mark.parametrize(("url", "shown"), SHOWN.items())
def test_nobody_sees_a_password(url, shown) -> None:
    """Neither in the store nor in the settings that it was given to as text."""
    assert repr(RedisStore(url)) == shown
    assert "hunter2" not in repr(RateLimit("5/minute", store=url))


def test_a_url_is_a_store_and_the_same_url_the_same() -> None:
    """Policies that name one server share one connection to it."""
    settings = RateLimit("5/minute", store="redis://localhost")
    assert settings.store is RateLimit("6/minute", store="redis://localhost").store is store_of("redis://localhost")
    with pytest.raises(ConfigError, match=r"AG430 RateLimit.store must be a URL") as refused:
        RateLimit("5/minute", store="http://:hunter2@localhost")
    assert "hunter2" not in str(refused.value)


def test_on_another_event_loop_it_says_what_to_do() -> None:
    """redis-py knows asyncio alone."""
    bucket = RedisStore("redis://localhost").bucket("x", parse_rate("1/minute"))
    with pytest.raises(ConfigError, match=r"AG431 .*asyncio"):
        trio.run(bucket.hit, "k")


def test_event_loops_come_and_go(server) -> None:
    """Each has a connection of its own; that of a loop that was closed is forgotten."""
    store = RedisStore(server.url)
    bucket = store.bucket("x", parse_rate("5/minute"))

    async def hit():
        decision = await bucket.hit("k")
        await store.aclose()
        return decision.remaining

    assert [asyncio.run(hit()) for _ in range(3)] == [(4,), (3,), (2,)]
    assert len(store._links.all()) == 0


# In an application ----------------------------------------------------------------------------------------------------


async def hello(scope, receive, send) -> None:
    """Say hello."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.mark.long
@pytest.mark.anyio
async def test_a_url_is_all_that_an_application_needs(server) -> None:
    """Counted, refused, and told the truth about: who waits for as long as it says is admitted."""
    app = RateLimitMiddleware(hello, "2/second;50/minute", store=server.url)
    answers = [await call(app) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[0].headers.get("ratelimit-policy") == '"2/second";q=2;w=1,"50/minute";q=50;w=60'
    assert answers[1].headers.get("ratelimit").startswith('"2/second";r=0;t=')
    assert answers[2].headers.get("cache-control") == "no-store"
    await asyncio.sleep(int(answers[2].headers.get("retry-after")))
    assert (await call(app)).status == 200
    await store_of(server.url).aclose()


@pytest.mark.anyio
async def test_while_redis_is_away_clients_are_told_no_numbers() -> None:
    """They would be those of this process alone."""
    app = RateLimitMiddleware(hello, "1/hour", store=RedisStore("redis://127.0.0.1:1"))
    answers = [await call(app) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert answers[0].headers.get("ratelimit") is None
    closed = RateLimitMiddleware(hello, "1/hour", store=RedisStore("redis://127.0.0.1:1", on_failure="closed"))
    assert (await call(closed)).status == 503
