"""The rate limit as clients see it, against an exact model: a list of what was admitted, and nothing clever.

Random clients, in several spellings of their addresses, send requests at random times around the edges of slots and
windows. Every status, every `RateLimit` and every `Retry-After` must be what the list says, no window may hold more
than its limit, and whoever waits as told must be admitted.
"""

from __future__ import annotations

import re
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from asgi_guard import MemoryStore, RateLimit, RateLimitMiddleware
from asgi_guard.limiting.rate import Limit, parse_rate
from asgi_guard.testing import ManualClock, http_scope

SECOND = 1_000_000_000
SLOTS = 10  # of a window; one more is counted, since a window may touch eleven

CLIENTS = {
    "198.51.100.7": "a",
    "::ffff:198.51.100.7": "a",
    "198.51.100.8": "b",
    "2001:db8::1": "c",
    "2001:db8::ffff": "c",
    "2001:db8:0:1::1": "d",
}
RATES = ["1/second", "3/10second", "2/second;5/10second", "10/10second;3/second;12/minute"]
STEPS = [
    0,
    1,
    SECOND // 10 - 1,
    SECOND // 10,
    SECOND // 2,
    SECOND,
    SECOND + 1,
    11 * SECOND // 10,
    3 * SECOND,
    60 * SECOND,
]
AS_TOLD = -1


@dataclass
class Model:
    """What a policy has admitted of one client: the cost and the time of each hit."""

    limits: tuple[Limit, ...]
    cost: int
    admitted: list[int] = field(default_factory=list)

    def used(self, limit: Limit, now: int) -> int:
        """Say what counts under a limit: each hit until its slot has left the window."""
        return sum(self.cost for at in self.admitted if now < self.leaves(limit, at))

    def leaves(self, limit: Limit, at: int) -> int:
        """Say when the slot in which a hit fell has left every window that could hold it."""
        slot = limit.window_ns // SLOTS
        return (at // slot + SLOTS + 1) * slot

    def fits(self, now: int) -> bool:
        """Say whether one more hit fits under every limit."""
        return all(self.used(limit, now) + self.cost <= limit.amount for limit in self.limits)

    def wait(self, now: int) -> int:
        """Say how many seconds a lone client has to wait, by trying every moment at which something changes."""
        moments = sorted(self.leaves(limit, at) for limit in self.limits for at in self.admitted)
        return ceil_seconds(next(moment for moment in moments if moment > now and self.fits(moment)) - now)

    def state(self, now: int) -> dict[str, tuple[int, int]]:
        """Say what remains under each limit, and the seconds until more of it comes back."""
        state = {}
        for limit in self.limits:
            leaving = [self.leaves(limit, at) - now for at in self.admitted if now < self.leaves(limit, at)]
            state[limit.name] = (limit.amount - self.used(limit, now), ceil_seconds(min(leaving, default=0)))
        return state


def ceil_seconds(ns: int) -> int:
    """Round up, as a client must be told."""
    return -(-ns // SECOND)


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run what never waits, without a loop."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited for something")


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def ask(app: Any, client: str) -> tuple[int, dict[bytes, bytes]]:
    """Send one request, and return the status and the headers of the answer."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("nothing is to be received")

    run(app(http_scope(client=(client, 1)), receive, send))
    return sent[0]["status"], dict(sent[0]["headers"])


def told(headers: dict[bytes, bytes]) -> dict[str, tuple[int, int]]:
    """Read the `RateLimit` field."""
    found = re.findall(r'"([^"]+)";r=(\d+);t=(\d+)', headers[b"ratelimit"].decode())
    return {name: (int(remaining), int(wait)) for name, remaining, wait in found}


steps = st.tuples(st.sampled_from(sorted(CLIENTS)), st.sampled_from([*STEPS, AS_TOLD]))


@given(rate=st.sampled_from(RATES), cost=st.integers(1, 2), script=st.lists(steps, max_size=80))
def test_every_answer_is_what_a_list_of_the_admitted_says(rate: str, cost: int, script: list[tuple[str, int]]) -> None:
    """Status, remainders and waits, for every client by itself."""
    clock = ManualClock()
    limits = parse_rate(rate)
    cost = min(cost, *[limit.amount for limit in limits])
    models = {identity: Model(limits, cost) for identity in CLIENTS.values()}
    app = RateLimitMiddleware(greet, RateLimit(rate, cost=cost, store=MemoryStore(clock=clock.monotonic_ns)))
    wait = 0

    for client, step in script:
        clock.advance(wait if step == AS_TOLD else step / SECOND)
        now = clock.monotonic_ns()
        model = models[CLIENTS[client]]
        fits = model.fits(now)

        status, headers = ask(app, client)

        assert status == (200 if fits else 429)
        if fits:
            model.admitted.append(now)
            assert b"retry-after" not in headers
        else:
            wait = model.wait(now)
            assert headers[b"retry-after"] == b"%d" % wait
        assert told(headers) == model.state(now)

    for model in models.values():
        for limit in limits:
            for first in model.admitted:
                window = [at for at in model.admitted if first <= at <= first + limit.window_ns]
                assert len(window) * cost <= limit.amount


@given(rate=st.sampled_from(RATES), script=st.lists(steps, max_size=40), client=st.sampled_from(sorted(CLIENTS)))
def test_who_waits_as_told_is_admitted(rate: str, script: list[tuple[str, int]], client: str) -> None:
    """Whatever others do meanwhile, and however often it was refused before."""
    clock = ManualClock()
    app = RateLimitMiddleware(greet, rate, store=MemoryStore(clock=clock.monotonic_ns))
    for other, step in script:
        clock.advance(max(step, 0) / SECOND)
        ask(app, other)

    status, headers = ask(app, client)
    if status == 429:
        clock.advance(int(headers[b"retry-after"]))
        for other, identity in CLIENTS.items():
            if identity != CLIENTS[client]:
                ask(app, other)
        status, headers = ask(app, client)

    assert status == 200
