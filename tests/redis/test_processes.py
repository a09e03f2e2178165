"""Several processes on one server: together they admit exactly what one may, also where requests and workers die."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from redis_servers import wait_until

pytestmark = pytest.mark.timeout(90)

ALGORITHMS = ("strict", "gcra", "fixed", "concurrency")
PROCESSES, TASKS = 4, 1_000

SETUP = """
import asyncio, json, random, sys
from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore

store = RedisStore(sys.argv[1], timeout_seconds=10, connect_timeout_seconds=20)

async def ready(bucket):
    await bucket.peek("warm")
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
"""
HIT = (
    SETUP
    + """
async def play(algorithm, rate, hits, cancelled):
    told = {"admitted": 0, "refused": 0, "degraded": 0}
    bucket, chance = store.bucket("x", parse_rate(rate), algorithm), random.Random(1)

    async def ask():
        for _ in range(hits):
            decision = await bucket.hit("k")
            told["degraded" if decision.degraded else "admitted" if decision else "refused"] += 1

    tasks = [asyncio.create_task(ask()) for _ in range(1_000)]
    for task in chance.sample(tasks, cancelled):
        await asyncio.sleep(0 if chance.random() < 0.7 else 0.002)
        task.cancel()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    errors = [end for end in ends if end is not None and not isinstance(end, asyncio.CancelledError)]
    return told["admitted"], told["degraded"], len(errors)

async def main():
    await ready(store.bucket("x", parse_rate("1/minute")))
    for game in json.loads(sys.argv[2]):
        print(*await play(*game), flush=True)
    await store.aclose()

asyncio.run(main())
"""
)
HOLD = (
    SETUP
    + """
async def main():
    one = store.bucket("x", parse_rate("5/second"), "concurrency")
    assert all([(await one.hit("k")).allowed for _ in range(5)])
    await ready(one)

asyncio.run(main())
"""
)


@contextmanager
def workers(number: int, source: str, *arguments: object) -> Iterator[list[subprocess.Popen[str]]]:
    """Run a program in so many processes, each of which has said that it is ready."""
    command = [sys.executable, "-c", source, *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, **pipes) for _ in range(number)]
    try:
        for worker in started:
            assert worker.stdout.readline() == "ready\n"
        yield started
    finally:
        for worker in started:
            worker.kill()
            worker.communicate()


def all_end(server) -> bool:
    """Tell whether every key has a time to live."""
    return all(int(server.command("PTTL", key)[1:]) > 0 for key in server.keys())  # noqa: SIM118


GAMES = {
    **{f"{name}, 50": (name, "50/day", 1, 0) for name in ALGORITHMS},
    **{f"{name}, 5,000": (name, "5000/day", 2, 0) for name in ALGORITHMS},
    **{f"{name}, cancelled": (name, "2000/day", 1, 333) for name in ALGORITHMS},
}
"""Algorithm, rate, how often each of 1,000 tasks asks, and how many of them are cancelled."""


@pytest.fixture(scope="module")
def games(shared_servers) -> dict[str, list[list[int]]]:
    """Play them in four processes on one server; tell what each admitted, decided alone, and raised."""
    server = shared_servers["valkey-9"]
    with workers(PROCESSES, HIT, server.url, json.dumps([*GAMES.values()])) as started:
        for worker in started:
            worker.stdin.write("go\n")
            worker.stdin.flush()
        said = [worker.communicate()[0].splitlines() for worker in started]
    assert all_end(server)
    rows = [[[int(word) for word in line.split()] for line in lines] for lines in zip(*said, strict=True)]
    return dict(zip(GAMES, rows, strict=True))


@pytest.mark.long
@pytest.mark.parametrize("game", [game for game, (*_, cancelled) in GAMES.items() if not cancelled])
def test_four_processes_admit_exactly_the_limit(games, game) -> None:
    """With 1,000 in flight in each: not one more, not one less, nobody without Redis, and no error."""
    assert sum(admitted for admitted, *_ in games[game]) == int(GAMES[game][1].partition("/")[0])
    assert [rest for _, *rest in games[game]] == [[0, 0]] * PROCESSES


@pytest.mark.long
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_requests_that_are_cancelled_never_free_what_others_hold(games, algorithm) -> None:
    """Every third of them dies on the way; the rest are answered, and at most the limit is admitted."""
    told = games[f"{algorithm}, cancelled"]
    assert 2_000 - PROCESSES * 333 <= sum(admitted for admitted, *_ in told) <= 2_000
    assert [rest for _, *rest in told] == [[0, 0]] * PROCESSES


@pytest.mark.long
def test_the_places_of_a_worker_that_was_killed_come_back_by_themselves(server) -> None:
    """It holds all five when it dies by SIGKILL; after the second that a lease lasts, others have them."""
    with workers(1, HOLD, server.url) as (holder,):
        assert len(server.keys()) == 1
        holder.kill()
        holder.wait()
    wait_until(lambda: not server.keys(), "the leases do not end", 3)
    with workers(1, HIT, server.url, json.dumps([("concurrency", "5/second", 1, 0)])) as (other,):
        told = other.communicate("go\n")[0].split()
    assert told == ["5", "0", "0"]
