"""Threads with event loops of their own share a store: none meets what another is just changing."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.limiting.redis_denials import Denials
from asgi_guard.limiting.store import Decision

pytestmark = [pytest.mark.timeout(60), pytest.mark.filterwarnings("ignore::ResourceWarning")]

THREADS = 24


class Garbage:
    """What only the collector finds; it does something then, so that others may have their turn."""

    def __init__(self) -> None:
        self.cycle = self

    def __del__(self) -> None:
        sum(number for number in range(50))


@pytest.fixture(autouse=True)
def _impatient_threads():
    """Let threads take turns as often as they can, also wherever something is allocated."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(50, 1, 1)
    yield
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(interval)


@pytest.mark.long
@pytest.mark.parametrize("lease", [None, 10])
def test_event_loops_come_and_go_in_many_threads(server, lease) -> None:
    """Those that live are not disturbed by those that are forgotten; each hit is counted."""
    store = RedisStore(server.url, timeout_seconds=10, connect_timeout_seconds=10)
    bucket = store.bucket("x", parse_rate("100000/minute"), lease=lease)
    is_over = threading.Event()

    async def hit() -> bool:
        for _ in range(20):
            Garbage()
        decision = await bucket.hit("k")
        if not is_over.is_set():
            await store.link().aclose()  # of which the store knows nothing
        return decision.allowed and not decision.degraded

    async def live() -> bool:
        answer = await bucket.hit("k")
        await asyncio.to_thread(is_over.wait)
        await store.aclose()
        return bool(answer)

    with ThreadPoolExecutor(3 * THREADS) as threads:
        lives = [threads.submit(lambda: asyncio.run(live())) for _ in range(THREADS)]
        hits = [threads.submit(lambda: [asyncio.run(hit()) for _ in range(20)]) for _ in range(THREADS)]
        try:
            assert all(all(answers.result()) for answers in hits)
        finally:
            is_over.set()
        assert all(answer.result() for answer in lives)


class Ear:
    """Hears everything."""

    def covers(self, moment_ns, now_ns) -> bool:
        return True

    def want(self, until_ns) -> None:
        pass


@pytest.mark.long
def test_denials_are_bounded_in_many_threads() -> None:
    """The oldest is forgotten, whoever else forgets it."""
    denials = Denials(10, Ear)
    denied = Decision(False, 0, (0,), (60_000_000_000,), 60_000_000_000, (0,))

    def note(thread) -> None:
        for number in range(10_000):
            denials.note(b"%d %d" % (thread, number), 1, denied, 1, 2)

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(note, range(THREADS)))
    denials.note(b"last", 1, denied, 1, 2)
    assert len(denials) == 10
    assert denials.recall(b"last", 1, time.monotonic_ns()) is None
