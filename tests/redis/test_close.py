"""The end of a store: every connection is closed, whatever becomes of whoever closes it."""

from __future__ import annotations

import asyncio

import pytest
from redis_servers import Server, wait_until

from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]


def connections(server: Server) -> int:
    """Tell how many there are, besides the one that asks."""
    return server.command("CLIENT", "LIST").count(" fd=") - 1


async def until(server: Server, number: int) -> None:
    """Wait for so many connections."""
    await asyncio.to_thread(wait_until, lambda: connections(server) == number, f"{number} connections", 10)


@pytest.mark.long
@pytest.mark.parametrize("steps", range(1, 7))
async def test_who_is_cancelled_while_he_closes_leaves_nothing_open(server, steps) -> None:
    """At whatever step a server loses its patience: the connection that asks is closed, and the one that hears."""
    store = RedisStore(server.url, timeout_seconds=1)
    bucket = store.bucket("x", parse_rate("1/hour"), lease=2)
    for _ in range(3):  # a denial, of whose end it wants to hear
        await bucket.hit("k")
    await until(server, 2)
    await asyncio.to_thread(server.command, "CLIENT", "PAUSE", 200, "ALL")
    asking = asyncio.create_task(bucket.hit("another"))  # its answer is waited for

    closing = asyncio.create_task(store.aclose())
    for _ in range(steps):
        await asyncio.sleep(0)
    closing.cancel()
    await asyncio.gather(closing, asking, return_exceptions=True)

    await until(server, 0)
