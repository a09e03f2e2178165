"""Policies that count in Redis: what each does while that is away, how a store is written down, its start and end."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging

import pytest
import trio

from asgi_guard import (
    ConfigError,
    Guard,
    Middleware,
    RateLimit,
    RateLimitDecided,
    RateLimitMiddleware,
    RedisStore,
)
from asgi_guard.layers.rate_limit import RateLimitLayer
from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.answers import REDUCED_CAPACITY
from asgi_guard.limiting.shares import work_among
from asgi_guard.resilience.circuit import State
from asgi_guard.resilience.events import CircuitChanged
from asgi_guard.testing import StrictServer, capture_events, lifespan_scope
from asgi_guard.testing.client import call
from asgi_guard.testing.sessions import lifespan

pytestmark = [pytest.mark.timeout(60)]

NAMES = itertools.count()
NOWHERE = "redis://127.0.0.1:1"


async def app(scope, receive, send) -> None:
    """Say hello, with the status that the request asks for, or take part in a lifespan."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    status = dict(scope["headers"]).get(b"want", b"200")
    await send({"type": "http.response.start", "status": int(status), "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.fixture
async def store_on():
    """Give a function that makes a store; it waits longer than a busy machine makes it, in a namespace of its own."""
    made: list[RedisStore] = []

    def make(server, **settings) -> RedisStore:
        named = {"namespace": f"policies{next(NAMES)}", "timeout_seconds": 5, "connect_timeout_seconds": 5, **settings}
        made.append(RedisStore(server.url, **named))
        return made[-1]

    yield make
    for store in made:
        await store.aclose()


# While Redis is away --------------------------------------------------------------------------------------------------

AWAY = {"open": [200] * 4, "closed": [503] * 4, "local": [200, 200, 429, 429]}


@pytest.mark.anyio
@pytest.mark.parametrize("of_the_store", AWAY)
@pytest.mark.parametrize(("on_failure", "statuses"), AWAY.items(), ids=AWAY)
async def test_a_policy_has_the_last_word_over_its_store(of_the_store, on_failure, statuses) -> None:
    """What one protects may be lost, what another one does must not."""
    store = RedisStore(NOWHERE, on_failure=of_the_store)
    stack = RateLimitMiddleware(app, "2/minute", store=store, on_failure=on_failure)
    assert [(await call(stack)).status for _ in range(4)] == statuses


@pytest.mark.anyio
async def test_closed_says_that_it_will_pass() -> None:
    """503, in the form of the envelope, when to come again, and no numbers."""
    rate_limit = [RateLimit("9/minute", name=name, store=NOWHERE, on_failure="closed") for name in ("a", "b")]
    answer = await call(Guard(app, rate_limit=rate_limit), headers={"accept": "application/problem+json"})
    assert (answer.status, answer.headers.get("retry-after")) == (503, "1")
    assert json.loads(answer.body)["type"] == REDUCED_CAPACITY
    assert answer.headers.get("ratelimit") is None
    assert answer.headers.get("cache-control") == "no-store"


@pytest.mark.anyio
@pytest.mark.parametrize(("local_share", "admitted"), [(None, 2), (1.0, 8), (0.5, 4)])
async def test_a_worker_takes_its_share(local_share, admitted) -> None:
    """One by the number of workers, where it is known; what the settings say, where they say it."""
    work_among(4)
    try:
        store = RedisStore(NOWHERE, local_share=local_share)
    finally:
        work_among(1)
    stack = RateLimitMiddleware(app, "8/minute", store=store)
    assert [(await call(stack)).status for _ in range(9)].count(200) == admitted


@pytest.mark.anyio
async def test_listeners_hear_where_it_was_counted_and_how_redis_is(server, store_on) -> None:
    """Those of every guard that counts there; what was decided without Redis is said to be so."""
    store = store_on(server, listeners=[told := capture_events()])
    heard = [capture_events() for _ in range(2)]
    stacks = [Guard(app, rate_limit=RateLimit("2/minute", store=store), listeners=[one]) for one in heard]
    stacks[1].reconfigure(rate_limit=RateLimit("3/minute", store=store))
    await call(stacks[0])
    await asyncio.to_thread(server.kill)
    for _ in range(3):
        await call(stacks[0])
    decided = [(one.result, one.backend, one.degraded) for one in heard[0].of(RateLimitDecided)]
    assert decided == [
        ("admitted", "redis", False),
        ("admitted", "redis", True),
        ("refused", "redis", True),
        ("refused", "redis", True),
    ]
    for events in (told, *heard):
        changes = [(event.before, event.after) for event in events.of(CircuitChanged)]
        assert changes == [(State.CLOSED, State.OPEN)]


@pytest.mark.anyio
async def test_listeners_hear_of_those_that_refuse(server, store_on) -> None:
    """Not of those that would have admitted what another one refuses, and that were not counted."""
    store = store_on(server)
    policies = [RateLimit(rate, name=rate, store=store) for rate in ("9/minute", "1/minute")]
    stack = RateLimitMiddleware(app, policies, listeners=[events := capture_events()])
    for _ in range(3):
        await call(stack)
    told = [(one.policy, one.result) for one in events.of(RateLimitDecided)]
    refused = ("1/minute", "refused")
    assert told == [("9/minute", "admitted"), ("1/minute", "admitted"), refused, refused]


@pytest.mark.anyio
async def test_what_does_not_count_in_the_end_is_given_back_to_every_store(server, store_on) -> None:
    """Only failures count against the first, half of the cost against the second; both were one call."""
    store = store_on(server)
    policies = [
        RateLimit("3/minute", name="failures", store=store, count=lambda exchange: exchange.status == 401),
        RateLimit("9/minute", name="work", store=store, cost=4, count=lambda _: 2),
    ]
    stack = RateLimitMiddleware(app, policies)
    for want in ("200", "401"):
        assert (await call(stack, headers={"want": want})).status == int(want)
    left = []
    while left != [(2,), (5,)]:  # what is given back is on its way
        left = [(await stack.peek("198.51.100.7", policy=policy.name)).remaining for policy in policies]


@pytest.mark.anyio
@pytest.mark.parametrize("algorithm", ["strict", "gcra", "fixed", "concurrency"])
async def test_whatever_is_asked_every_key_ends(server, store_on, algorithm) -> None:
    """Hits alone and together, admitted and refused, charges, refunds and resets, in any order."""
    store = store_on(server)
    buckets = [store.bucket(name, parse_rate("3/minute;5/hour"), algorithm) for name in "ab"]
    for at, operation in enumerate(itertools.permutations(["hit", "charge", "refund", "peek", "reset"], 3)):
        key = str(at)
        for name in operation:
            for bucket in buckets:
                at_ns = (await bucket.peek(key)).at_ns
                arguments = {"refund": (key, at_ns), "peek": (key,), "reset": (key,)}.get(name, (key, 2))
                await getattr(bucket, name)(*arguments)
    names = await asyncio.to_thread(server.keys)
    lives = [int((await asyncio.to_thread(server.command, "PTTL", name))[1:]) for name in names]
    assert names
    assert all(0 < life <= 7_200_000 for life in lives)


# Written down ---------------------------------------------------------------------------------------------------------

TOML = """
[rate_limit]
rate = "5/minute"
on_failure = "closed"
store = {url = "redis://:hunter2@localhost", timeout_seconds = 0.05, on_failure = "open", secret = "hunter2"}
"""
WRITTEN = {
    "toml": lambda folder: Guard.from_toml(app, write(folder, TOML)),
    "environment": lambda _: Guard.from_env(
        app,
        {
            "ASGI_GUARD_RATE_LIMIT": "5/minute",
            "ASGI_GUARD_RATE_LIMIT__ON_FAILURE": "closed",
            "ASGI_GUARD_RATE_LIMIT__STORE": (
                '{"url": "redis://:hunter2@localhost", "timeout_seconds": 0.05, "on_failure": "open",'
                ' "secret": "hunter2"}'
            ),
        },
    ),
    "mapping": lambda _: Guard.from_mapping(
        app,
        {
            "rate_limit": {
                "rate": "5/minute",
                "on_failure": "closed",
                "store": {
                    "url": "redis://:hunter2@localhost",
                    "timeout_seconds": 0.05,
                    "on_failure": "open",
                    "secret": "hunter2",
                },
            }
        },
    ),
}


def write(folder, text):
    """Write a configuration, and return where it is."""
    file = folder / "guard.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("read", WRITTEN.values(), ids=WRITTEN)
def test_a_whole_store_can_be_written_down(read, tmp_path) -> None:
    """All that is not code; the same words are the same store, and no secret of it is shown."""
    guard = read(tmp_path)
    settings = guard.part("rate_limit").settings
    assert (settings.on_failure, settings.store.on_failure) == ("closed", "open")
    assert settings.store is read(tmp_path).part("rate_limit").settings.store
    shown = guard.explain() + repr(settings) + repr(guard)
    assert "RedisStore('redis://localhost')" in shown
    assert "hunter2" not in shown


MISSPELT = [
    ({"url": "http://:hunter2@x"}, "AG430 rate_limit.store.url"),
    ({"timeout_seconds": 1}, "AG111 rate_limit.store.url"),
    ({"url": "redis://:hunter2@x", "timeout": 1}, "AG110 rate_limit.store.timeout"),
    ({"url": "redis://:hunter2@x", "timeout_seconds": 0}, "AG102 rate_limit.store.timeout_seconds"),
    ({"url": "redis://:hunter2@x", "secret": ["hunter2"]}, "AG433 rate_limit.store.secret"),
    ({"url": "redis://:hunter2@x", "listeners": []}, "AG110 rate_limit.store.listeners"),
]


@pytest.mark.parametrize(("store", "problem"), MISSPELT, ids=[problem for _, problem in MISSPELT])
def test_what_is_wrong_with_it_is_told_where_it_was_written(store, problem) -> None:
    """By the names of the file, and without what may be secret."""
    with pytest.raises(ConfigError) as refused:
        Guard.from_mapping(app, {"rate_limit": {"rate": "5/minute", "store": store}})
    assert [f"{one.id} {one.field}" for one in refused.value.problems] == [problem]
    assert "hunter2" not in str(refused.value)


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Of the store and of the policy."""
    store = {"url": "ftp://x", "timeout_seconds": 0, "on_fail": "open"}
    with pytest.raises(ConfigError) as refused:
        RateLimit("5/minute", store=store, on_failure="opne")
    ids = sorted(problem.id for problem in refused.value.problems)
    assert ids == ["AG102", "AG105", "AG110", "AG430"]


# From start to end ----------------------------------------------------------------------------------------------------


def clients(server) -> int:
    """How many connections there are, but for the one that asks."""
    return len([line for line in server.command("CLIENT", "LIST").split("\n") if "addr=" in line]) - 1


@pytest.mark.anyio
async def test_the_end_of_a_lifespan_closes_what_was_opened(server, store_on) -> None:
    """Also what the guard inside has opened, and what a guard had before it was reconfigured."""
    first, second, inner = (store_on(server) for _ in range(3))
    guard = Guard(RateLimitMiddleware(app, "5/minute", store=inner), rate_limit=RateLimit("5/minute", store=first))
    async with lifespan(Middleware(guard)):
        await call(guard)
        guard.reconfigure(rate_limit=RateLimit("6/minute", store=second))
        await call(guard)
        assert await asyncio.to_thread(clients, server) == 3
    assert await asyncio.to_thread(clients, server) == 0


@pytest.mark.long
@pytest.mark.anyio
async def test_an_application_that_ends_takes_nothing_from_another(server, store_on) -> None:
    """What the others have asked is answered by Redis; what they ask later opens the connection again."""
    store = store_on(server)
    one, other = (RateLimitMiddleware(app, "500/minute", store=store) for _ in range(2))
    await call(other)
    async with lifespan(one):
        asked = [asyncio.create_task(call(other)) for _ in range(200)]
        await asyncio.sleep(0)
    answers = [*await asyncio.gather(*asked), await call(other)]
    assert all(answer.headers.get("ratelimit") for answer in answers)


def test_under_trio_it_refuses_to_start() -> None:
    """The server is told before the application runs, and what to do about it; nothing hangs."""
    stack = Guard(app, rate_limit=RateLimit("5/minute", store="redis://localhost"))
    server = StrictServer(lifespan_scope(), [{"type": "lifespan.startup"}])
    trio.run(server.serve, stack)
    (said,) = server.sent
    assert said["type"] == "lifespan.startup.failed"
    assert "AG431 RedisStore is used on asyncio" in said["message"]


def test_under_trio_a_request_without_a_lifespan_is_answered(caplog) -> None:
    """500 through the envelope; the log says why."""
    stack = Guard(app, rate_limit=RateLimit("5/minute", store="redis://localhost"))
    with caplog.at_level(logging.ERROR):
        answer = trio.run(call, stack)
    assert answer.status == 500
    assert "AG431" in caplog.text
    assert "AG431" not in answer.body.decode()


def test_under_trio_nothing_is_left_to_close() -> None:
    """The end of a lifespan is no error."""
    trio.run(RateLimitLayer(RateLimit("5/minute", store="redis://localhost")).shutdown)
