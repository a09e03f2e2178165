"""The same operations have the same verdicts in memory and in Redis, to the microsecond."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asgi_guard.limiting import Limit, MemoryStore
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.limiting.redis_batch import SCRIPT

NAMES = itertools.count()
AMOUNTS = st.one_of(st.integers(1, 12), st.sampled_from([97, 1_000, 999_983, 999_999_937, 1_000_000_000]))
SECONDS = st.sampled_from([1, 7, 60, 3_600, 86_400, 31_622_399, 31_622_400])
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(["hit", "hit", "hit", "peek", "charge", "refund", "reset"]),
        st.sampled_from(["a", "b"]),
        st.integers(0, 13),  # a cost, or, once in a while, a share of the amount
        st.sampled_from([0, 1, 999, 1_000, 100_000, 99_999, 1_000_000, 7_000_001, 60_000_000, 3_000_000_000_000]),
    ),
    max_size=40,
)


class Clock:
    """Whole microseconds, as Redis has them."""

    def __init__(self) -> None:
        self.now_ns = 1_790_000_000_123_456_000

    def __call__(self) -> int:
        return self.now_ns


def up(value: int | None) -> int | None:
    """Round up to a microsecond, since those of Redis are whole."""
    return None if value is None else -(-value // 1_000)


def told(decision):
    """Return what both have to say alike."""
    resets = tuple(map(up, decision.reset_after_ns))
    retry = up(decision.retry_after_ns)
    return decision.allowed, decision.at_ns, decision.remaining, resets, retry, decision.violated, decision.degraded


@st.composite
def limit_lists(draw, algorithm):
    """Make one to three limits."""
    limits = []
    for position in range(draw(st.integers(1, 3))):
        amount, seconds = draw(AMOUNTS), draw(SECONDS)
        burst = draw(st.one_of(st.none(), st.integers(1, amount))) if algorithm == "gcra" else None
        limits.append(Limit(amount, seconds, f"limit {position}", burst))
    return limits


async def compare(url, limits, algorithm, operations):
    """Do the same in both, and compare every answer."""
    clock = Clock()
    store = RedisStore(url, clock=clock, namespace=f"same{next(NAMES)}", timeout_seconds=5, connect_timeout_seconds=5)
    remote = store.bucket("x", limits, algorithm)
    remote._denials = None  # its clock is that of the machine
    local = MemoryStore(clock=clock).bucket("x", limits, algorithm)
    hits = []
    try:
        for operation, key, number, step_us in operations:
            clock.now_ns += step_us * 1_000
            cost = number if number <= 10 else limits[0].amount * (number - 10) // 2
            if operation == "refund":
                if hits:
                    was, at_ns, paid = hits.pop()
                    local.refund(was, at_ns, paid)
                    await remote.refund(was, at_ns, paid)
            elif operation == "reset":
                local.reset(key)
                await remote.reset(key)
                hits = [hit for hit in hits if hit[0] != key]
            else:
                expected = getattr(local, operation)(key, cost)
                assert told(await getattr(remote, operation)(key, cost)) == told(expected), (operation, key, cost)
                if operation == "hit" and expected.allowed:
                    hits.append((key, expected.at_ns, cost))
    finally:
        await store.aclose()


def test_a_cluster_says_the_same(cluster) -> None:
    """The script is the same, and so is what comes of it."""

    @settings(max_examples=5)
    @given(limits=limit_lists("gcra"), operations=OPERATIONS)
    def check(limits, operations) -> None:
        asyncio.run(compare(f"redis+cluster://127.0.0.1:{cluster[0].port}", limits, "gcra", operations))

    check()


@pytest.mark.parametrize("algorithm", ["strict", "gcra", "fixed", "concurrency"])
def test_memory_and_redis_say_the_same(shared_server, algorithm) -> None:
    """Verdict, what remains, and all times: whatever is asked, in whatever order, under one limit or several."""

    @settings(max_examples=60)
    @given(limits=limit_lists(algorithm), operations=OPERATIONS)
    def check(limits, operations) -> None:
        asyncio.run(compare(shared_server.url, limits, algorithm, operations))

    check()


def test_the_script_divides_products_exactly_that_no_double_holds(shared_server) -> None:
    """Products of up to 94 bits: a wrong last bit would admit a hit too soon once in a while."""
    source = SCRIPT.decode()
    body = source[source.index("local EXACT") : source.index("-- strict, concurrency")]
    ask = body.replace("local NEVER", "local floor = math.floor\nlocal NEVER") + (
        "local q, r = muldiv(tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]))\n"
        "return string.format('%.0f %.0f', q, r)"
    )

    @settings(max_examples=300)
    @given(st.data(), st.integers(2, 2**45 - 1), st.integers(0, 2**49 - 1))
    def check(data, divisor, factor) -> None:
        other = data.draw(st.integers(0, divisor - 1))
        quotient, rest = divmod(other * factor, divisor)
        assert shared_server.command("EVAL", ask, 0, other, factor, divisor).split("\r\n")[1] == f"{quotient} {rest}"

    check()
