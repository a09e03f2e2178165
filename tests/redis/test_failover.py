"""Where others take over: a master of a cluster or of sentinels is gone, and slots move while they are counted in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from itertools import product

import pytest
from redis.crc import key_slot
from redis_harms import FAILOVERS, endure, key_in_slots
from redis_servers import BINARIES, Place, a_cluster, a_sentinel_set

from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

STALL_MS = 500  # three stores find out at the same time what 16,384 slots have become
BACK_SECONDS = 20
KINDS = {"cluster": partial(a_cluster, replicas=1), "sentinel": a_sentinel_set}
CASES = [
    pytest.param((kind, server), harm, id=f"{kind}-{server}-{name}", marks=[] if is_quick else pytest.mark.slow)
    for kind, server, (name, harm) in product(KINDS, BINARIES, FAILOVERS.items())
    for is_quick in [(server, name) == ("valkey-9", "killed")]
]


@pytest.fixture(scope="module")
def anyio_backend():
    """One loop is enough: what takes time is the election."""
    return "asyncio"


@pytest.fixture
def place(request, tmp_path) -> Iterator[Place]:
    """Start what can lose a master."""
    kind, server = request.param
    with KINDS[kind](BINARIES[server], tmp_path) as place:
        yield place


@pytest.mark.long
@pytest.mark.parametrize(("place", "harm"), CASES, indirect=["place"])
async def test_requests_go_on_until_another_master_is_found(place, harm) -> None:
    """Nobody mends anything. The URL of the cluster names the very node that is gone."""
    told = await endure(place, harm, key_in_slots(5_460))
    assert told.stall_ms < STALL_MS
    assert told.back_seconds < BACK_SECONDS
    assert told.wrong == []


async def test_a_slot_that_moves_takes_its_counts_along(cluster) -> None:
    """ASK while its key is on the way, MOVED afterwards: every hit is counted once, and none without Redis."""
    first, second, _ = cluster
    ids = [await asyncio.to_thread(master.text, "CLUSTER", "MYID") for master in cluster]
    url = f"redis+cluster://127.0.0.1:{first.port}"
    store = RedisStore(url, namespace="moving", timeout_seconds=5, connect_timeout_seconds=5)
    bucket = store.bucket("x", parse_rate("10/hour"))
    key = key_in_slots(5_460)
    name = bucket.name_of(key)
    slot = key_slot(name)

    async def hit() -> int:
        decision = await bucket.hit(key)
        assert not decision.degraded
        return decision.remaining[0]

    remaining = [await hit()]
    await asyncio.to_thread(second.command, "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[0])
    await asyncio.to_thread(first.command, "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[1])
    remaining.append(await hit())
    await asyncio.to_thread(first.command, "MIGRATE", "127.0.0.1", second.port, name.decode(), 0, 5_000)
    remaining.append(await hit())
    others = [bucket.hit(f"other {number}") for number in range(60)]
    assert not any(decision.degraded for decision in await asyncio.gather(*others, bucket.peek(key)))
    for master in (second, first):
        await asyncio.to_thread(master.command, "CLUSTER", "SETSLOT", slot, "NODE", ids[1])
    remaining += [await hit(), await hit()]
    assert remaining == [9, 8, 7, 6, 5]
    await store.aclose()
