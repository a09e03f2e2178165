"""The same operations have the same verdicts in memory, on every server and by the model, to the microsecond."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plain_limits import PlainBucket, Told

from asgi_guard.limiting import Limit, MemoryStore
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.limiting.redis_batch import SCRIPT

NAMES = itertools.count()
HOUR_MS = (3_600_000).to_bytes(8, "big")
AMOUNTS = st.one_of(st.integers(1, 12), st.sampled_from([97, 1_000, 999_983, 999_999_937, 1_000_000_000]))
SECONDS = st.sampled_from([1, 7, 60, 3_600, 86_400, 31_622_399, 31_622_400])
STEPS_US = st.sampled_from([0, 1, 999, 1_000, 99_999, 100_000, 1_000_000, 7_000_001, 60_000_000, 3_000_000_000_000])
OPERATION = st.tuples(
    st.sampled_from(["hit", "hit", "hit", "peek", "charge", "refund", "refund", "reset"]),
    st.sampled_from(["a", "b"]),
    st.integers(0, 13),  # a cost, or, once in a while, a share of the amount
)
ROUNDS = st.lists(st.tuples(STEPS_US, st.lists(OPERATION, min_size=1, max_size=6)), max_size=20)
"""What is asked at the same time, and how long after what was asked before."""

OLDEST_REFUND = [
    (0, [("hit", "a", 3)]),
    (1_000_000, [("hit", "a", 1)]),
    (0, [("refund", "a", 0)]),
    (0, [("peek", "a", 1)]),
]
"""A hit is taken back in the last tenth of a window in which it counts, after another one."""


class Clock:
    """Whole microseconds, as Redis has them."""

    def __init__(self) -> None:
        self.now_ns = 1_790_000_000_123_456_000

    def __call__(self) -> int:
        return self.now_ns

    @property
    def now_us(self) -> int:
        return self.now_ns // 1_000


def told(decision, clock) -> Told:
    """Return what all have to say alike; times in memory are nanoseconds, and those of Redis whole microseconds."""
    assert (decision.at_ns, decision.degraded) == (clock.now_ns, False)
    retry_us = None if decision.retry_after_ns is None else -(-decision.retry_after_ns // 1_000)
    resets_us = tuple(-(-reset_ns // 1_000) for reset_ns in decision.reset_after_ns)
    return Told(decision.allowed, decision.remaining, resets_us, retry_us, decision.violated)


@st.composite
def limit_lists(draw, algorithm):
    """Make one to three limits."""
    limits = []
    for position in range(draw(st.integers(1, 3))):
        amount, seconds = draw(AMOUNTS), draw(SECONDS)
        burst = draw(st.one_of(st.none(), st.integers(1, amount))) if algorithm == "gcra" else None
        limits.append(Limit(amount, seconds, f"limit {position}", burst))
    return limits


async def compare(urls, limits, algorithm, rounds) -> None:
    """Ask the same of the model, of memory and of every server, and compare every answer."""
    clock = Clock()
    model = PlainBucket(limits, algorithm)
    local = MemoryStore(clock=clock).bucket("x", limits, algorithm)
    settings = {"clock": clock, "namespace": f"same{next(NAMES)}", "timeout_seconds": 5, "connect_timeout_seconds": 5}
    stores = [RedisStore(url, **settings) for url in urls]
    remotes = [store.bucket("x", limits, algorithm) for store in stores]
    for remote in remotes:
        remote._denials = None  # its clock is that of the machine, and so is that of the time to live
        remote.plan.packed = remote.plan.packed[:1] + HOUR_MS + remote.plan.packed[9:]
    hits = []
    try:
        for step_us, operations in rounds:
            clock.now_ns += step_us * 1_000
            expected, asked, admitted = [], [], []
            for name, key, number in operations:
                cost = number if number <= 10 else limits[0].amount * (number - 10) // 2
                if name == "refund":
                    if hits:
                        key, at_us, cost = hits.pop(number % len(hits))  # noqa: PLW2901
                        asked.append(("refund", key, at_us * 1_000, cost))
                        expected.append(model.refund(at_us, key, cost))
                        local.refund(key, at_us * 1_000, cost)
                elif name == "reset":
                    asked.append(("reset", key))
                    expected.append(model.reset(key))
                    local.reset(key)
                    hits = [hit for hit in hits if hit[0] != key]
                    admitted = [hit for hit in admitted if hit[0] != key]
                else:
                    asked.append((name, key, cost))
                    expected.append(getattr(model, name)(clock.now_us, key, cost))
                    assert told(getattr(local, name)(key, cost), clock) == expected[-1], asked[-1]
                    if name == "hit" and expected[-1].allowed:
                        admitted.append((key, clock.now_us, cost))
            hits += admitted
            for url, remote in zip(urls, remotes, strict=True):
                # All at once: in one call, where they are counted one after the other.
                answers = await asyncio.gather(*[getattr(remote, name)(*rest) for name, *rest in asked])
                said = [None if answer is None else told(answer, clock) for answer in answers]
                assert said == expected, (url, asked)
    finally:
        await asyncio.gather(*[store.aclose() for store in stores])


@pytest.mark.long
@pytest.mark.timeout(900)  # with 2,000 examples
@pytest.mark.parametrize("algorithm", ["strict", "gcra", "fixed", "concurrency"])
def test_everybody_says_the_same(shared_servers, cluster, algorithm) -> None:
    """Verdict, what remains, and all times: of the model, in memory, on every kind of server and on a cluster."""
    urls = [*[server.url for server in shared_servers.values()], f"redis+cluster://127.0.0.1:{cluster[0].port}"]

    @example(limits=[Limit(10, 1)], rounds=OLDEST_REFUND)
    @given(limits=limit_lists(algorithm), rounds=ROUNDS)
    def check(limits, rounds) -> None:
        asyncio.run(compare(urls, limits, algorithm, rounds))

    check()


@pytest.mark.long
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
