"""The clock of a server may be set back, as by a failover to another machine: nobody waits until it has caught up."""

from __future__ import annotations

import itertools

import pytest

from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.limiting.store import Hit

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60)]

NAMES = itertools.count()
SECOND_NS = 1_000_000_000
ALGORITHMS = ("strict", "gcra", "fixed", "concurrency")


class Clock:
    """The clock of a server, which this test sets."""

    def __init__(self) -> None:
        self.now_ns = 1_790_000_000_123_456_000

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    """Give a clock to set."""
    return Clock()


@pytest.fixture
async def store(shared_server, clock):
    """Open a store that asks Redis each time: what it remembers goes by the clock of this machine."""
    settings = {"timeout_seconds": 5, "connect_timeout_seconds": 5, "namespace": f"clocks{next(NAMES)}"}
    store = RedisStore(shared_server.url, clock=clock, **settings)
    yield store
    await store.aclose()


def made(store, name, rate, algorithm):
    """Make a bucket that remembers no denial."""
    bucket = store.bucket(name, parse_rate(rate), algorithm)
    bucket._denials = None
    return bucket


@pytest.mark.parametrize("looks_first", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("seconds", [3, 3_600])
async def test_a_denial_ends_within_a_window_of_a_clock_that_was_set_back(
    store, clock, seconds, algorithm, looks_first
) -> None:
    """Whoever used up the limit before is refused, is told when to come again, and is admitted then."""
    bucket = made(store, "x", "5/second;100/hour", algorithm)
    assert all([await bucket.hit("k") for _ in range(5)])
    clock.now_ns -= seconds * SECOND_NS
    if looks_first:
        assert (await bucket.peek("k")).remaining == (0, 95)
    denied = await bucket.hit("k")
    assert not denied
    assert denied.retry_after_ns <= 1_100_000_000
    clock.now_ns += denied.retry_after_ns - 1_000
    assert not await bucket.hit("k")
    clock.now_ns += 1_000
    admitted = await bucket.hit("k")
    assert admitted
    assert admitted.remaining[1] == 94


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_so_do_those_of_policies_that_are_counted_together(store, clock, algorithm) -> None:
    """Also where nothing is counted, since another policy refuses."""
    hits = [
        Hit(made(store, name, rate, algorithm), "k", 1, True) for name, rate in [("a", "9/second"), ("b", "5/second")]
    ]
    for _ in range(5):
        await store.hit_all(hits)
    clock.now_ns -= 3_600 * SECOND_NS
    _, denied = await store.hit_all(hits)
    assert denied.retry_after_ns <= 1_100_000_000
    clock.now_ns += denied.retry_after_ns
    assert all(await store.hit_all(hits))


@pytest.mark.parametrize("algorithm", ["strict", "gcra", "concurrency"])
async def test_for_a_little_time_stands_still(store, clock, algorithm) -> None:
    """Clocks are set by milliseconds all the time: nobody is admitted sooner for it."""
    bucket = made(store, "x", "5/second", algorithm)
    assert all([await bucket.hit("k") for _ in range(5)])
    ends_ns = (await bucket.hit("k")).retry_at_ns
    clock.now_ns -= 90_000_000
    assert (await bucket.hit("k")).retry_at_ns == ends_ns
