"""The shared circuit breaker: what one replica learns, all know; and what nobody waits for."""

from __future__ import annotations

import asyncio
import itertools
import struct
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import trio

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.redis.client import Script
from asgi_guard.redis.server import Server
from asgi_guard.resilience import CircuitBreaker, CircuitOpenError, CountWindow, Recovery, State, TimeWindow
from asgi_guard.resilience import circuit_breaker as make
from asgi_guard.resilience import replicas as replicas_module
from asgi_guard.resilience.policy import BreakerPolicy
from asgi_guard.resilience.replicas import STATES, Lease, Told
from asgi_guard.resilience.shared import Shared
from asgi_guard.testing.clock import ManualClock

pytestmark = [pytest.mark.timeout(60)]

NAMES = itertools.count()


async def boom() -> None:
    """Fail."""
    raise OSError


async def fine() -> str:
    """Succeed."""
    return "fine"


async def tried(breaker, function=fine) -> str:
    """Make a call; say how it ended."""
    try:
        return await breaker.call(function)
    except (OSError, CircuitOpenError) as error:
        return type(error).__name__


async def until(holds, seconds=20.0) -> float:
    """Wait until something holds; return how long that took."""
    since = time.monotonic()
    while not holds():
        assert time.monotonic() - since < seconds
        await asyncio.sleep(0.001)
    return time.monotonic() - since


def post_of(breaker):
    """Return what a breaker says and hears in this loop."""
    return Shared._join(breaker._shared)


async def said(breaker) -> None:
    """Wait until a breaker hears others, and has told everything."""
    post = post_of(breaker)
    await until(lambda: post._news._topics[post._key].since_ns < time.monotonic_ns())
    await until(lambda: post._task is None)


def server_of(breaker):
    """Return what names the Redis of a breaker."""
    return SimpleNamespace(server=breaker._shared._server)


def in_state(breakers, state):
    """Return what tells whether all are in a state."""
    return lambda: all(breaker.state is state for breaker in breakers)


@asynccontextmanager
async def replicas(server, number, *, url=None, listeners=(), recovery=None, timeout_seconds=5, **policy):
    """Open breakers of one circuit, each with connections of its own, as in so many processes."""
    namespace = f"shared{next(NAMES)}"
    settings = {"failure_threshold": 3, "recovery_timeout": 0.3, **policy}
    breakers = []
    for _ in range(number):
        store = RedisStore(
            url or server.url, namespace=namespace, timeout_seconds=timeout_seconds, connect_timeout_seconds=5
        )
        others = {"listeners": listeners, "recovery": recovery}
        breakers.append(CircuitBreaker("payments", BreakerPolicy(**settings), shared=store, **others))
    try:
        for breaker in breakers:
            assert await tried(breaker) == "fine"
            await said(breaker)
        yield breakers
    finally:
        for breaker in breakers:
            await breaker.aclose()


# What is told ---------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_healthy_call_tells_nobody(server) -> None:
    """A thousand calls are no command at all."""
    async with replicas(server, 1) as (breaker,):
        before = await asyncio.to_thread(all_calls, server)
        guarded = breaker(fine)
        for _ in range(1_000):
            await guarded()
            async with breaker:
                pass
        assert await asyncio.to_thread(all_calls, server) == before


def all_calls(server) -> dict[str, str]:
    """Tell how often each command was run, but those of whoever asks."""
    told = server.command("INFO", "commandstats").split("\r\n")
    counts = dict(line.split(",")[0].split(":calls=") for line in told if line.startswith("cmdstat_"))
    return {name: number for name, number in counts.items() if name != "cmdstat_info"}


@pytest.mark.anyio
async def test_a_failure_is_one_call_of_the_script_and_a_mended_window_another(server) -> None:
    """After that it is silent again."""
    async with replicas(server, 1) as (breaker,):
        before = await asyncio.to_thread(server.calls)
        assert await tried(breaker, boom) == "OSError"
        await said(breaker)
        assert await asyncio.to_thread(server.calls) == before + 1
        for _ in range(10):
            await tried(breaker)
        await said(breaker)
        assert await asyncio.to_thread(server.calls) == before + 2


WINDOWS = {"in a row": None, "of the last calls": CountWindow(10), "of the last seconds": TimeWindow(60)}


@pytest.mark.anyio
@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
async def test_the_failures_of_all_replicas_count_together(server, window) -> None:
    """Three of them fail once, and all ten open."""
    told = []
    async with replicas(server, 10, window=window, failure_rate=0.2, listeners=[told.append]) as breakers:
        for breaker in breakers[:3]:
            assert await tried(breaker, boom) == "OSError"
        took = await until(in_state(breakers, State.OPEN))
        assert {await tried(breaker) for breaker in breakers} == {"CircuitOpenError"}
    print(f"told within {took * 1e3:.1f} ms")  # noqa: T201
    assert took < 2
    assert [(event.after, event.shared) for event in told] == [(State.OPEN, True)] * 10


@pytest.mark.anyio
async def test_failures_that_each_replica_gets_over_open_nothing(server) -> None:
    """One in a while is no outage, however many replicas there are."""
    async with replicas(server, 4) as breakers:
        for breaker in [*breakers, *breakers]:
            await tried(breaker, boom)
            await tried(breaker)
            await said(breaker)
        assert in_state(breakers, State.CLOSED)()


async def judged(server, before, calls) -> None:
    """Wait until the script was called so often: by those who failed, by those who counted, by the judge."""
    since = time.monotonic()
    while await asyncio.to_thread(server.calls) < before + calls:
        assert time.monotonic() - since < 20


@pytest.mark.anyio
@pytest.mark.parametrize("window", [CountWindow(100), TimeWindow(60)], ids=["of the last calls", "of the last seconds"])
async def test_failures_count_among_the_calls_that_went_well_since(server, window) -> None:
    """One of each replica's hundred calls failed, the first; that is what they told, and it opens nothing."""
    async with replicas(server, 5, window=window, failure_threshold=5) as breakers:
        before = await asyncio.to_thread(server.calls)
        for breaker in breakers:
            assert await tried(breaker, boom) == "OSError"
            await said(breaker)
            for _ in range(99):
                await tried(breaker)
        await judged(server, before, 5 + 5 + 1)
        await said(breakers[-1])
        assert in_state(breakers, State.CLOSED)()


@pytest.mark.anyio
async def test_failures_count_among_the_calls_of_those_who_had_none(server) -> None:
    """Two of a hundred are no outage, although nobody else has told anything."""
    async with replicas(server, 3, window=CountWindow(100), failure_threshold=2) as breakers:
        before = await asyncio.to_thread(server.calls)
        for _ in range(98):
            await tried(breakers[2])
        for breaker in breakers[:2]:
            assert await tried(breaker, boom) == "OSError"
        await judged(server, before, 2 + 3 + 1)
        await said(breakers[1])
        assert in_state(breakers, State.CLOSED)()


@pytest.mark.anyio
async def test_who_has_ended_does_not_count(server) -> None:
    """It told of failures, and cannot say what has become of them."""
    async with replicas(server, 2) as breakers:
        before = await asyncio.to_thread(server.calls)
        for _ in range(2):
            await tried(breakers[1], boom)
        await said(breakers[1])
        await breakers[1].aclose()
        await tried(breakers[0], boom)
        await judged(server, before, 3 + 1 + 1)
        await said(breakers[0])
        assert breakers[0].state is State.CLOSED


@pytest.mark.anyio
async def test_what_opens_one_opens_all_also_for_those_who_come_later(server) -> None:
    """A replica that begins while the circuit is open hears so at once."""
    async with replicas(server, 2, recovery_timeout=60) as breakers:
        for _ in range(3):
            await tried(breakers[0], boom)
        assert breakers[0].state is State.OPEN
        await until(in_state(breakers, State.OPEN))
        late = CircuitBreaker(
            "payments", breakers[0].policy, shared=SimpleNamespace(server=breakers[0]._shared._server)
        )
        await tried(late)
        await until(in_state([late], State.OPEN))


@pytest.mark.anyio
async def test_commands_are_told(server) -> None:
    """What a person says to one replica, all do; also from a thread without an event loop."""
    async with replicas(server, 2) as breakers:
        for command, state in [
            ("force_open", State.FORCED_OPEN),
            ("disable", State.DISABLED),
            ("metrics_only", State.METRICS_ONLY),
            ("reset", State.CLOSED),
        ]:
            getattr(breakers[0], command)()
            await until(in_state(breakers, state))
        await asyncio.to_thread(breakers[1].force_open)
        await until(in_state(breakers, State.FORCED_OPEN))


# Probes ---------------------------------------------------------------------------------------------------------------


async def opened(breakers) -> None:
    """Open them all, and wait until they may be probed."""
    while breakers[0].state is State.CLOSED:
        await tried(breakers[0], boom)
    await until(in_state(breakers, State.OPEN))
    await until(lambda: all(breaker.now_ns() >= breaker._circuit.until_ns for breaker in breakers))


WORKER = """
import asyncio, sys
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.resilience import CircuitBreaker, CircuitOpenError
from asgi_guard.resilience.policy import BreakerPolicy

probes = 0

async def fine():
    pass

async def main():
    policy = BreakerPolicy(failure_threshold=3, recovery_timeout=0.5, half_open_max=7, success_threshold=7)
    stores = [RedisStore(sys.argv[1], timeout_seconds=10, connect_timeout_seconds=10) for _ in range(int(sys.argv[2]))]
    breakers = [CircuitBreaker("payments", policy, shared=store) for store in stores]
    ended = asyncio.Event()

    async def probe():
        global probes
        probes += 1
        await ended.wait()

    async def tried(breaker, function):
        try:
            await breaker.call(function)
        except CircuitOpenError:
            return 1
        return 0

    for breaker in breakers:
        await tried(breaker, fine)
    print("ready", flush=True)
    async def line():
        return await asyncio.to_thread(sys.stdin.readline)
    await line()
    while not all(breaker.state == "open" for breaker in breakers):
        await asyncio.sleep(0.001)
    print("open", flush=True)
    await line()
    calls = [asyncio.create_task(tried(breaker, probe)) for breaker in breakers for _ in range(100)]
    while sum(call.done() for call in calls) + probes < len(calls):
        await asyncio.sleep(0.01)
    print(probes, flush=True)
    await line()
    ended.set()
    refused = sum(await asyncio.gather(*calls))
    while not all(breaker.state == "closed" for breaker in breakers):
        await asyncio.sleep(0.001)
    print(refused, flush=True)
    for store in stores:
        await store.aclose()

asyncio.run(main())
"""


@pytest.mark.long
def test_ten_replicas_and_a_thousand_callers_admit_exactly_as_many_probes_as_one(server) -> None:
    """In three processes: 7 of 1,000 callers get through, and close the circuit for all."""
    numbers = (4, 3, 3)
    command = [sys.executable, "-c", WORKER, server.url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen([*command, str(number)], **pipes) for number in numbers]

    def all_say(word: str = "") -> list[str]:
        if word:
            for worker in workers:
                worker.stdin.write(f"{word}\n")
                worker.stdin.flush()
        return [worker.stdout.readline().strip() for worker in workers]

    try:
        assert all_say() == ["ready"] * 3
        asyncio.run(open_from_here(server))
        assert all_say("go") == ["open"] * 3
        time.sleep(0.6)  # the recovery timeout
        probes = list(map(int, all_say("go")))
        assert sum(probes) == 7
        assert sum(map(int, all_say("go"))) == 1_000 - 7
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


async def open_from_here(server) -> None:
    """Open the circuit of the workers from another process."""
    policy = BreakerPolicy(failure_threshold=3, recovery_timeout=0.5, half_open_max=7, success_threshold=7)
    store = RedisStore(server.url, timeout_seconds=10, connect_timeout_seconds=10)
    breaker = CircuitBreaker("payments", policy, shared=store)
    while breaker.state is State.CLOSED:
        await tried(breaker, boom)
    await said(breaker)
    await store.aclose()


@pytest.mark.long
@pytest.mark.anyio
async def test_one_failed_probe_opens_all_for_a_time_that_grows_for_all(server) -> None:
    """Whoever probes next: the time is that of the circuit, and not of a replica."""
    async with replicas(server, 3, recovery_timeout=0.1, recovery_growth=3.0) as breakers:
        waits = []
        for breaker in breakers:
            await opened(breakers)
            assert await tried(breaker, boom) == "OSError"
            await until(in_state(breakers, State.OPEN))
            await said(breaker)
            waits += [{other._circuit._open_ns for other in breakers}]
            assert all(other._circuit.until_ns - other.now_ns() <= max(waits[-1]) for other in breakers)
    assert waits == [{300_000_000}, {900_000_000}, {2_700_000_000}]


@pytest.mark.long
@pytest.mark.anyio
async def test_probes_close_the_circuit_together(server) -> None:
    """Each of two replicas has one success, and two were wanted."""
    async with replicas(server, 3, half_open_max=2, success_threshold=2) as breakers:
        await opened(breakers)
        assert await tried(breakers[0]) == "fine"
        assert breakers[0].state is State.HALF_OPEN
        await said(breakers[0])
        assert await tried(breakers[1]) == "fine"
        await until(in_state(breakers, State.CLOSED))


@pytest.mark.long
@pytest.mark.anyio
async def test_the_lease_of_a_probe_that_never_ends_is_given_to_another(server) -> None:
    """Its process was killed, or hangs."""
    async with replicas(server, 2, probe_lease=0.4) as breakers:
        await opened(breakers)
        hangs = asyncio.create_task(tried(breakers[0], asyncio.Event().wait))
        await until(lambda: breakers[0].state is State.HALF_OPEN)
        since = time.monotonic()
        assert await tried(breakers[1]) == "CircuitOpenError"
        while await tried(breakers[1]) != "fine":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert 0.2 < time.monotonic() - since < 3
        await until(in_state(breakers, State.CLOSED))
        await breakers[0].aclose()
        hangs.cancel()
        await asyncio.gather(hangs, return_exceptions=True)
        assert breakers[0]._shared._posts.peek() is None  # nobody would close what the end of a call opens


@pytest.mark.long
@pytest.mark.anyio
async def test_a_caller_that_is_gone_leaves_its_lease_to_others(server) -> None:
    """Whether it is cancelled before Redis has answered, or while it probes."""
    async with replicas(server, 2) as breakers:
        await opened(breakers)
        for pause in (0, 1, 2, 3, 5, 8, 13, 21):
            call = asyncio.create_task(tried(breakers[0], asyncio.Event().wait))
            for _ in range(pause):
                await asyncio.sleep(0)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        server.freeze()
        waits = asyncio.create_task(tried(breakers[0], asyncio.Event().wait))
        await asyncio.sleep(0.02)
        waits.cancel()
        server.thaw()
        await said(breakers[0])
        await until(lambda: breakers[1].now_ns() >= breakers[1]._shared._ask_at_ns)
        assert await tried(breakers[1]) == "fine"


@pytest.mark.long
@pytest.mark.anyio
async def test_who_gives_up_before_redis_has_answered_leaves_the_lease_to_others(server) -> None:
    """The answer comes to nobody; so what it grants is given back."""
    async with replicas(server, 2) as breakers:
        await opened(breakers)
        server.freeze()
        call = asyncio.create_task(tried(breakers[0]))
        await until(lambda: post_of(breakers[0])._task is not None)
        await asyncio.sleep(0)  # it has asked
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        server.thaw()
        await said(breakers[0])
        assert await tried(breakers[1]) == "fine"


@pytest.mark.anyio
async def test_a_replica_whose_clock_is_ahead_waits_for_that_of_redis(server) -> None:
    """It asks too early once, is told how long it is to wait, and waits."""
    async with replicas(server, 2, recovery_timeout=0.5) as breakers:
        for _ in range(3):
            await tried(breakers[0], boom)
        await until(in_state(breakers, State.OPEN))
        breakers[1]._circuit.until_ns = 0
        assert await tried(breakers[1]) == "CircuitOpenError"  # it knows that there is no use in asking
        breakers[1]._shared._ask_at_ns = 0
        assert await tried(breakers[1]) == "CircuitOpenError"
        assert 0 < breakers[1]._circuit.until_ns - breakers[1].now_ns() <= 500_000_000


@pytest.mark.long
@pytest.mark.anyio
async def test_recovery_actions_run_in_each_replica_before_its_probe(server) -> None:
    """Each has connections of its own to renew."""
    runs = []
    async with replicas(server, 2, recovery=Recovery("database", reconnect=lambda: runs.append(1))) as breakers:
        await opened(breakers)
        assert max(await asyncio.gather(*[tried(breakers[0]) for _ in range(3)])) == "fine"
        await until(in_state(breakers, State.CLOSED))
        assert len(runs) == 1


# Without Redis --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def watched():
    """Watch the loop; give a list whose maximum is the longest time that it did not turn."""
    stalls = [0.0]

    async def turn() -> None:
        before = time.monotonic()
        while True:
            await asyncio.sleep(0.001)
            now = time.monotonic()
            stalls.append(now - before - 0.001)
            before = now

    task = asyncio.create_task(turn())
    try:
        yield stalls
    finally:
        task.cancel()


@pytest.mark.long
@pytest.mark.anyio
@pytest.mark.parametrize("harm", ["freeze", "kill"])
async def test_while_redis_is_away_each_replica_goes_by_its_own_circuit(server, harm) -> None:
    """Nothing raises and nothing waits; when it is back they are one again."""
    async with replicas(server, 2, timeout_seconds=0.1) as breakers, watched() as stalls:
        await asyncio.to_thread(getattr(server, harm))
        slowest = 0.0
        for breaker in breakers:
            for function, ends in [(fine, "fine"), *[(boom, "OSError")] * 3, *[(fine, "CircuitOpenError")] * 50]:
                since = time.monotonic()
                assert await tried(breaker, function) == ends
                slowest = max(slowest, time.monotonic() - since)
            await until(lambda breaker=breaker: breaker.now_ns() >= breaker._circuit.until_ns)
            assert await tried(breaker) == "fine"
            assert breaker.state is State.CLOSED
        print(f"{harm}: longest stall {max(stalls) * 1e3:.1f} ms, slowest call {slowest * 1e3:.1f} ms")  # noqa: T201
        assert max(stalls) < 0.5
        assert slowest < 0.5
        await asyncio.to_thread(server.thaw if harm == "freeze" else server.start)
        for breaker in breakers:
            await until(lambda breaker=breaker: not post_of(breaker).is_away)
        since = time.monotonic()
        while not in_state(breakers, State.OPEN)():
            await asyncio.gather(*[tried(breaker, boom) for breaker in breakers[:1]])
            await asyncio.sleep(0.05)
            assert time.monotonic() - since < 20


@pytest.mark.anyio
async def test_a_redis_that_never_was_there_is_no_matter() -> None:
    """Its circuit works as if it were not shared."""
    breaker = make(name="alone", failure_threshold=2, recovery_timeout=0.05, shared="redis://127.0.0.1:1")
    assert [await tried(breaker, function) for function in (fine, boom, boom, fine)] == [
        "fine",
        "OSError",
        "OSError",
        "CircuitOpenError",
    ]
    await until(lambda: breaker.now_ns() >= breaker._circuit.until_ns)
    assert await tried(breaker) == "fine"
    await breaker.aclose()


@pytest.mark.anyio
@pytest.mark.parametrize("is_stores", [False, True])
async def test_it_is_opened_again_after_it_was_closed(server, is_stores) -> None:
    """By itself, or with the store that it shares connections with: a later call joins anew."""
    async with replicas(server, 2) as breakers:
        await (breakers[1]._shared._server if is_stores else breakers[1]).aclose()
        assert await tried(breakers[1]) == "fine"
        await said(breakers[1])
        breakers[0].force_open()
        await until(in_state(breakers, State.FORCED_OPEN))


@pytest.mark.anyio
async def test_a_store_closes_what_a_circuit_has_opened_over_it(server) -> None:
    """Also where nothing was counted in it."""
    store = RedisStore(server.url)
    breaker = CircuitBreaker("only", shared=store)
    await tried(breaker)
    post = post_of(breaker)
    await said(breaker)
    await store.aclose()
    assert post.is_closed


@pytest.mark.long
@pytest.mark.anyio
async def test_who_waits_for_a_lease_goes_by_the_own_circuit_where_redis_hangs(server, monkeypatch) -> None:
    """After the time limit, or when it is closed; and no more calls wait than there is room for."""
    monkeypatch.setattr(replicas_module, "MAX_WAITING", 1)
    async with replicas(server, 1, timeout_seconds=0.2) as (breaker,):
        await opened([breaker])
        server.freeze()
        assert sorted(await asyncio.gather(tried(breaker), tried(breaker))) == ["CircuitOpenError", "fine"]
        server.thaw()
    async with replicas(server, 1) as (breaker,):
        await opened([breaker])
        server.freeze()
        waits = asyncio.create_task(tried(breaker))
        await asyncio.sleep(0.01)
        await breaker.aclose()
        assert await waits == "fine"
        server.thaw()


@pytest.mark.anyio
async def test_a_lease_that_nobody_can_use_any_more_is_given_back(server) -> None:
    """Its caller was cancelled as the answer came, or the circuit has closed meanwhile."""
    async with replicas(server, 1) as (breaker,):
        post = post_of(breaker)
        callers = [asyncio.create_task(post.lease()) for _ in range(2)]
        await asyncio.sleep(0)
        post._task.cancel()
        post._task = callers[0]  # so that what is to be said stays there to be looked at
        answers, post._waiting = post._waiting, []
        for answer, lease in zip(answers, [Lease("mine:1", 7), None], strict=True):
            answer.set_result(lease)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        breaker._shared.hold(breaker._circuit.permit, Lease("mine:2", 7))
        assert list(post._unsaid) == [("done", 7, f"mine:{number}", "neutral") for number in (1, 2)]
        post._task = None


@pytest.mark.anyio
async def test_what_others_publish_on_its_channel_changes_nothing(server) -> None:
    """Of another length, or of a state that there is not; nor does what is old."""
    async with replicas(server, 2) as breakers:
        channel = breakers[0]._shared._key.decode()
        for message in ("", "x" * 30, "x" * 29):
            await asyncio.to_thread(server.command, "PUBLISH", channel, message)
        breakers[1].force_open()
        await until(in_state(breakers, State.FORCED_OPEN))
        post_of(breakers[0])._follow(Told(1, State.CLOSED, 0, 0, 0), 0)
        assert breakers[0].state is State.FORCED_OPEN  # what it was told comes late, and from another connection


LAST = 2**64 - 1


@pytest.mark.anyio
@pytest.mark.parametrize(("version", "state"), [(LAST, State.FORCED_OPEN), (LAST, State.OPEN), (5, State.OPEN)])
async def test_who_was_deceived_believes_redis_again(server, version, state) -> None:
    """What stands there counts, whatever was published: the next change is heard, and nobody waits for centuries."""
    async with replicas(server, 2) as breakers:
        told = struct.pack(">QBQQIB", version, STATES.index(state), LAST, LAST, 0, 0)
        await asyncio.to_thread(server.command, "PUBLISH", breakers[0]._shared._key, told)
        await until(in_state(breakers, state))
        waits = [breaker._circuit.wait_ns(breaker.now_ns()) for breaker in breakers]
        assert max(waits) <= 600_000_000_000
        breakers[1].metrics_only()
        await until(in_state(breakers, State.METRICS_ONLY))


GARBAGE = {
    "no message pack": ("SET", b"\xc1garbage"),
    "another message pack": ("SET", b"\x81\xa7version\xa1x"),
    "a number": ("SET", b"\x07"),
    "another type": ("RPUSH", b"x"),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("command", "words"), [(word, more) for word, *more in GARBAGE.values()], ids=GARBAGE)
async def test_what_is_no_circuit_is_written_anew(server, command, words) -> None:
    """Others write to the same Redis, and so do other versions of this."""
    async with replicas(server, 2) as breakers:
        await tried(breakers[0], boom)
        await said(breakers[0])
        key = breakers[0]._shared._key
        if command == "RPUSH":
            await asyncio.to_thread(server.command, "DEL", key)
        await asyncio.to_thread(server.command, command, key, *words)
        breakers[0].force_open()
        await until(in_state(breakers, State.FORCED_OPEN))
        assert await asyncio.to_thread(server.command, "TTL", key) > ":0"


@pytest.mark.anyio
async def test_a_script_that_fails_is_no_reason_to_leave_redis_alone(server) -> None:
    """Others on the same line may fare better: it is no fault of the server."""
    line = Server(server.url, timeout_seconds=5, connect_timeout_seconds=5, namespace="line").line()
    assert await line.ask(Script(b"return nothing.at.all"), (0,)) is None
    assert not line.is_away
    assert await line.ask(Script(b"return 'fine'"), (0,)) == b"fine"
    await line.aclose()


@pytest.mark.long
@pytest.mark.anyio
async def test_a_cluster_shares_it_too(cluster) -> None:
    """The key is on one master, and each replica hears one of them."""
    async with replicas(cluster[0], 3, url=f"redis+cluster://127.0.0.1:{cluster[0].port}") as breakers:
        await opened(breakers)
        assert await tried(breakers[2]) == "fine"
        await until(in_state(breakers, State.CLOSED))


# Settings -------------------------------------------------------------------------------------------------------------

WRONG = [
    ({"shared": "redis://localhost"}, ["AG439 circuit_breaker.name"]),
    ({"name": "x", "shared": "http://:hunter2@localhost"}, ["AG430 circuit_breaker.shared"]),
    ({"name": "x", "shared": 7}, ["AG440 circuit_breaker.shared"]),
]


@pytest.mark.parametrize(("arguments", "problems"), WRONG, ids=[problems[0] for _, problems in WRONG])
def test_what_cannot_be_shared_is_refused_and_no_password_shown(arguments, problems) -> None:
    """At once, and not at the first call."""
    with pytest.raises(ConfigError) as refused:
        make(**arguments)
    assert [f"{problem.id} {problem.field}" for problem in refused.value.problems] == problems
    assert "hunter2" not in str(refused.value)


def test_the_password_of_another_redis_is_not_shown() -> None:
    """Where the same name is shared over one here, and over another there."""
    make("passwords", shared="redis://:hunter2@localhost")
    with pytest.raises(ConfigError, match=r"AG609 .*shared is <hidden> there") as refused:
        make("passwords", shared="redis://:hunter3@localhost")
    assert "hunter" not in str(refused.value)


def test_a_plain_function_is_refused() -> None:
    """A thread would have to wait for the answer of Redis."""
    breaker = CircuitBreaker("plain", shared="redis://localhost")
    with pytest.raises(ConfigError, match="AG441"):
        breaker(lambda: None)
    with pytest.raises(ConfigError, match="AG441"), breaker:
        pass


def test_on_another_event_loop_it_says_what_to_do() -> None:
    """redis-py knows asyncio alone."""
    breaker = CircuitBreaker("trio", shared="redis://localhost")
    with pytest.raises(ConfigError, match=r"AG442 .*asyncio"):
        trio.run(breaker.call, fine)


def test_a_command_without_any_event_loop_is_done_here() -> None:
    """Nobody has joined who could tell others."""
    breaker = CircuitBreaker("here", shared="redis://localhost", clock=ManualClock())
    breaker.force_open()
    assert breaker.state is State.FORCED_OPEN


def test_a_command_is_told_by_an_event_loop_that_runs(server) -> None:
    """Whichever has joined first may have ended, or stand still."""
    store, other = RedisStore(server.url), RedisStore(server.url)
    breaker, replica = (CircuitBreaker("loops", shared=one) for one in (store, other))
    asyncio.run(breaker.call(fine))

    async def main() -> None:
        for one in (breaker, replica):
            await one.call(fine)
            await said(one)
        await asyncio.to_thread(breaker.force_open)
        await until(lambda: replica.state is State.FORCED_OPEN)
        await breaker.aclose()
        await replica.aclose()

    with asyncio.Runner() as stands_still:
        stands_still.run(breaker.call(fine))
        asyncio.run(main())
        stands_still.run(breaker.aclose())


def test_a_command_after_the_event_loop_has_ended_is_done_here() -> None:
    """The loop that had joined cannot tell others any more."""
    breaker = CircuitBreaker("ended", shared="redis://127.0.0.1:1")
    asyncio.run(breaker.call(fine))
    breaker.force_open()
    assert breaker.state is State.FORCED_OPEN


@pytest.mark.anyio
async def test_one_that_is_not_shared_or_never_was_used_is_closed_without_a_word() -> None:
    """There is nothing to close."""
    await CircuitBreaker("alone").aclose()
    await CircuitBreaker("unused", shared="redis://127.0.0.1:1").aclose()
