"""What clients are told over Redis: fields that a parser of structured fields reads, and times that are true."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import http_sf
import pytest

from asgi_guard.layers.rate_limit import RateLimit, RateLimitMiddleware
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.testing.client import call

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

NAMES = itertools.count()
RATES = {
    "one limit": ("3/2second", "strict"),
    "three limits": ("3/2second;5/minute;100/day", "strict"),
    "smooth": ("4/2second", "gcra"),
    "fixed": ("3/2second;50/hour", "fixed"),
}


async def hello(scope, receive, send) -> None:
    """Say hello."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


@asynccontextmanager
async def limited(server, *policies) -> AsyncIterator[RateLimitMiddleware]:
    """Give an application whose policies count in Redis."""
    namespace = f"headers{next(NAMES)}"
    store = RedisStore(server.url, namespace=namespace, timeout_seconds=5, connect_timeout_seconds=5)
    try:
        yield RateLimitMiddleware(hello, [RateLimit(store=store, **policy) for policy in policies])
    finally:
        await store.aclose()


def read(answer, field: str) -> dict[str, dict[str, int]]:
    """Read a field as a list of strings with parameters (RFC 9651)."""
    items = http_sf.parse(answer.headers.get(field).encode(), tltype="list")
    assert all(isinstance(name, str) and all(isinstance(value, int) for value in told.values()) for name, told in items)
    return {name: told for name, told in items}  # noqa: C416  the pairs are of another type


@pytest.mark.parametrize(("rate", "algorithm"), RATES.values(), ids=RATES)
async def test_what_is_told_is_what_is_so(shared_server, rate, algorithm) -> None:
    """The policy as it was set; what remains goes down by one a request; what comes back has come back when told."""
    async with limited(shared_server, {"rate": rate, "algorithm": algorithm}) as app:
        answers = [await call(app) for _ in range(5)]
        policy, first = read(answers[0], "ratelimit-policy"), read(answers[0], "ratelimit")
        served = [answer for answer in answers if answer.status == 200]
        amounts = {name: told["q"] for name, told in policy.items()}
        assert list(first) == list(policy) == rate.split(";")
        assert amounts == {name: int(name.partition("/")[0]) for name in policy}
        for number, answer in enumerate(served, 1):
            assert {name: told["r"] for name, told in read(answer, "ratelimit").items()} == {
                name: amount - number for name, amount in amounts.items()
            }
        refused = answers[len(served)]
        tightest = rate.partition(";")[0]
        told = read(refused, "ratelimit")[tightest]
        assert (refused.status, told["r"]) == (429, 0)
        assert 0 < told["t"] <= int(refused.headers.get("retry-after")) <= 3
        assert all(0 <= told["t"] <= policy[name]["w"] * 1.1 + 1 for name, told in first.items())


@pytest.mark.long
async def test_whoever_waits_for_retry_after_is_served_every_time(shared_servers) -> None:
    """A hundred of a hundred: clients of two policies, by each algorithm, on every server."""
    admitted = []

    async def one(app, number: int) -> None:
        client = (f"192.0.2.{number}", 4_711)
        while (refused := await call(app, client=client)).status != 429:
            pass
        await asyncio.sleep(int(refused.headers.get("retry-after")))
        admitted.append((await call(app, client=client)).status)

    async def crowd(server, algorithm: str) -> None:
        policies = {"rate": "3/second", "algorithm": algorithm}, {"rate": "100/hour", "name": "long"}
        async with limited(server, *policies) as app:
            await asyncio.gather(*[one(app, number) for number in range(12)])

    cases = itertools.product(shared_servers.values(), ("strict", "gcra", "fixed"))
    await asyncio.gather(*[crowd(*case) for case in cases])
    assert admitted == [200] * 12 * 3 * len(shared_servers)
