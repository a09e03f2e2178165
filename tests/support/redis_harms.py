"""What can become of Redis, and what a store makes of it: each harm is done to a real server, and measured.

`endure` is the specification that tests hold the store to, and that `benchmarks/redis_chaos.py` writes down.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from statistics import median

from redis.crc import key_slot
from redis_servers import Place, Server

from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisBucket, RedisStore

AMOUNT = 5
RATE = parse_rate(f"{AMOUNT}/hour")
AT_ONCE, AFTERWARDS = 20, 500


def freeze(server: Server) -> None:
    """Stop the process, with its connections open."""
    server.freeze()


def thaw(server: Server) -> None:
    """Let it go on."""
    server.thaw()


def kill(server: Server) -> None:
    """End it at once."""
    server.kill()


def start(server: Server) -> None:
    """Start it again."""
    server.start()


def pause(server: Server) -> None:
    """Let it answer nobody for a while."""
    server.command("CLIENT", "PAUSE", 700, "ALL")


def become_a_replica(server: Server) -> None:
    """Let it refuse to write."""
    server.command("REPLICAOF", "127.0.0.1", 1)


def become_a_master(server: Server) -> None:
    """Let it write again."""
    server.command("REPLICAOF", "NO", "ONE")


def fill(server: Server) -> None:
    """Let it have no memory left."""
    server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.command("CONFIG", "SET", "maxmemory", 1)


def empty(server: Server) -> None:
    """Let it have memory again."""
    server.command("CONFIG", "SET", "maxmemory", 0)


def hang_up(server: Server, password: str = "") -> None:
    """Close every connection, as a server with a timeout does, or a proxy that restarts."""
    server.command("CLIENT", "KILL", "TYPE", "normal", password=password)


def lock_out(server: Server) -> None:
    """Change the password, and close every connection."""
    server.command("CONFIG", "SET", "requirepass", "another")
    hang_up(server, "another")


def let_in(server: Server) -> None:
    """Ask for no password any more."""
    server.command("CONFIG", "SET", "requirepass", "", password="another")


def load(server: Server) -> None:
    """Let it load its data for longer than anybody waits: it listens, and answers LOADING."""
    for number in range(20):
        server.command("SET", f"ballast {number}", "x" * 4_096)
    server.command("SAVE")
    server.kill()
    slowly = ("--key-load-delay", 40_000, "--loading-process-events-interval-bytes", 1_024)
    server.start(*slowly, until=lambda answer: answer.startswith("-LOADING"))


def forget_scripts(server: Server) -> None:
    """Let it have no script any more."""
    server.command("SCRIPT", "FLUSH")


def nothing(server: Server) -> None:
    """It passes."""


@dataclass(frozen=True)
class Harm:
    """What is done to a server.

    Attributes:
        do: what does it.
        mend: what ends it; a failover needs nobody.
        is_noticed: whether there are requests that Redis cannot answer meanwhile.
    """

    do: Callable[[Server], None]
    mend: Callable[[Server], None] = nothing
    is_noticed: bool = True


HARMS = {
    "frozen": Harm(freeze, thaw),
    "killed": Harm(kill, start),
    "paused": Harm(pause),
    "read-only": Harm(become_a_replica, become_a_master),
    "out of memory": Harm(fill, empty),
    "hung up": Harm(hang_up),
    "another password": Harm(lock_out, let_in),
    "loading": Harm(load),
    "scripts flushed": Harm(forget_scripts, is_noticed=False),
}
"""What is done to a server that stands alone."""


FAILOVERS = {"killed": Harm(kill), "frozen": Harm(freeze)}
"""What is done to a master that others can replace; nobody mends it."""


def key_in_slots(last: int) -> str:
    """Find a client whose counts are in the first slots of a cluster, up to the last that is named."""
    bucket = RedisStore("redis://localhost").bucket("chaos", RATE)
    return next(key for key in map(str, count()) if key_slot(bucket.name_of(key)) <= last)


@asynccontextmanager
async def longest_stall() -> AsyncIterator[list[float]]:
    """Measure for how long nothing else on the loop had its turn, in seconds.

    What a test runner holds is taken from the sight of the garbage collector meanwhile: to walk it all takes longer
    than anything that is measured here.
    """
    stalls = [0.0]
    gc.freeze()

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
        gc.unfreeze()
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher


async def back_in_redis(bucket: RedisBucket, key: str = "back", seconds: float = 30) -> float:
    """Ask until Redis answers again; return how long that took."""
    since = time.monotonic()
    while (await bucket.peek(key)).degraded:
        if time.monotonic() - since > seconds:
            raise TimeoutError("Redis was not found again")
        await asyncio.sleep(0.005)
    return time.monotonic() - since


@dataclass
class Endured:
    """What a harm came to.

    Attributes:
        stall_ms: for how long the loop did nothing else, at most.
        first_ms: how long those waited who asked when it happened, at most.
        afterwards_us: what a request took that was answered without Redis, once that was known to be away.
        back_seconds: how long after its end Redis was asked again.
        answered: the requests, all of which had an answer.
        degraded: those of them that Redis did not answer.
        wrong: where a policy did not say what it has to; empty where all did.
    """

    stall_ms: float = 0.0
    first_ms: float = 0.0
    afterwards_us: float = 0.0
    back_seconds: float = 0.0
    answered: int = 0
    degraded: int = 0
    wrong: list[str] = field(default_factory=list)


async def endure(place: Place, harm: Harm, key: str = "k", *, patience_seconds: float = 0.3) -> Endured:
    """Do harm to a server while three stores count there, one of each policy; mend it, and wait for Redis to be back.

    Args:
        place: where they count.
        harm: what is done to its first server.
        key: who asks.
        patience_seconds: how long the harm lasts, before it is mended.

    Raises:
        Exception: a request was not answered.
    """
    told = Endured()
    async with AsyncExitStack() as stack:
        buckets: dict[str, RedisBucket] = {}
        for policy in ("open", "closed", "local"):
            store = RedisStore(
                place.url,
                timeout_seconds=0.025 if harm.is_noticed else 5,  # what passes unnoticed also does on a busy machine
                on_failure=policy,
                namespace=policy,
                local_share=1,
            )
            stack.push_async_callback(store.aclose)
            buckets[policy] = store.bucket("chaos", RATE)
            await back_in_redis(buckets[policy], key)
            if (await buckets[policy].hit(key)).degraded:
                raise RuntimeError("Redis was away before anything was done to it")
        await asyncio.to_thread(harm.do, place.server)
        async with longest_stall() as stalls:
            for policy, bucket in buckets.items():
                await _ask(told, policy, bucket, key, harm)
            await asyncio.sleep(patience_seconds)  # probes are made, and fail
            for bucket in buckets.values():
                await bucket.peek(key)
            await asyncio.to_thread(harm.mend, place.server)
            since = time.monotonic()
            for bucket in buckets.values():
                await back_in_redis(bucket)
            told.back_seconds = time.monotonic() - since
        told.stall_ms = stalls[0] * 1_000
    return told


async def _ask(told: Endured, policy: str, bucket: RedisBucket, key: str, harm: Harm) -> None:
    since = time.perf_counter()
    first = await asyncio.gather(*[bucket.hit(key) for _ in range(AT_ONCE)])
    told.first_ms = max(told.first_ms, (time.perf_counter() - since) * 1_000)
    later, took = [], []
    for number in range(AFTERWARDS):
        since = time.perf_counter()
        later.append(await bucket.hit(f"{key} {number}"))
        took.append((time.perf_counter() - since) * 1e6)
    told.afterwards_us = max(told.afterwards_us, median(took))
    told.answered += AT_ONCE + AFTERWARDS
    degraded = sum(decision.degraded for decision in (*first, *later))
    told.degraded += degraded
    admitted = [sum(map(bool, decisions)) for decisions in (first, later)]
    wanted = {"open": [AT_ONCE, AFTERWARDS], "closed": [0, 0], "local": [AMOUNT - 1, AFTERWARDS]}[policy]
    if not harm.is_noticed:
        wanted = [AMOUNT - 1, AFTERWARDS]
    if admitted != wanted:
        told.wrong.append(f"{policy}: admitted {admitted} instead of {wanted}")
    if degraded != (AT_ONCE + AFTERWARDS) * harm.is_noticed:
        told.wrong.append(f"{policy}: Redis did not answer {degraded}")
