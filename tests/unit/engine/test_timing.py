"""Timing: one request in 64 has a clock around each hook, and the others pay nothing for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from asgi_guard.engine import timing
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.timing import ONE_IN
from asgi_guard.testing import call

pytestmark = pytest.mark.anyio

POSTED: dict[str, Any] = {
    "method": "POST",
    "body": b"hello",
    "headers": {"Content-Type": "text/plain", "Content-Length": "5"},
}


class Gathers(Layer):
    """Has the aggregate, and is told how long layers take."""

    name = "gathers"
    aggregate = "the aggregate"

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def took(self, layer: Layer, nanoseconds: int) -> None:
        """Keep it."""
        self.told.append((layer.name, nanoseconds))


class Works(Layer):
    """Fills in every hook, and lets the clock go on by 1 in each, by 10 while it waits."""

    name = "works"
    body_types = frozenset({b"*/*"})
    admit_deadline_seconds = None

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.counts_in: Any = None

    def count_in(self, aggregate: Any) -> None:
        """Keep it."""
        self.counts_in = aggregate

    def admit(self, exchange: Any) -> None:
        """Work."""
        self._clock.now += 1

    async def admit_async(self, exchange: Any) -> None:
        """Work."""
        self._clock.now += 1

    async def body(self, exchange: Any, receive: Any) -> None:
        """Work, and wait for the client meanwhile."""
        self._clock.now += 1
        await receive()

    def inbound(self, exchange: Any, message: Any) -> None:
        """Work."""
        self._clock.now += 1

    def head(self, exchange: Any, headers: Any) -> None:
        """Work."""
        self._clock.now += 1

    def outbound(self, exchange: Any, message: Any) -> None:
        """Work."""
        self._clock.now += 1

    def complete(self, exchange: Any) -> None:
        """Work."""
        self._clock.now += 1

    def finish(self, exchange: Any) -> None:
        """Work."""
        self._clock.now += 1


class Refuses(Layer):
    """Lets nobody in."""

    name = "refuses"

    def admit(self, exchange: Any) -> Reply:
        """Refuse."""
        return Reply(403)


class Clock:
    """Goes on when it is told."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Have requests measured by a clock that stands still."""
    made = Clock()
    monkeypatch.setattr(timing, "perf_counter_ns", made)
    return made


async def reads(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, then answer."""
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def test_one_request_in_64_is_measured(clock: Clock) -> None:
    """Each of its layers is told of once, with what its hooks have taken together."""
    gathers = Gathers()
    app = Middleware(reads, gathers, Works(clock))

    for _ in range(2 * ONE_IN):
        await call(app, **POSTED)

    assert gathers.told == [("works", 8)] * 2


async def test_what_it_waits_for_the_client_is_left_out(clock: Clock) -> None:
    """A slow client is no slow layer."""
    gathers = Gathers()

    async def slowly() -> Any:
        clock.now += 1_000
        return {"type": "http.request", "body": b"hello", "more_body": False}

    app = Middleware(reads, gathers, Works(clock))
    for _ in range(ONE_IN):
        await call(lambda scope, _receive, send: app(scope, slowly, send), **POSTED)

    assert gathers.told == [("works", 8)]


async def test_a_refusal_is_measured_too(clock: Clock) -> None:
    """Those that had their turn."""
    gathers = Gathers()
    app = Middleware(reads, gathers, Refuses(), Works(clock))

    answers = Counter([(await call(app)).status for _ in range(ONE_IN)])

    assert answers == {403: ONE_IN}
    assert gathers.told == [("refuses", 0)]


async def test_without_an_aggregate_nothing_is_measured(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """No clock is ever asked."""
    monkeypatch.setattr(timing, "timed", None)

    app = Middleware(reads, Works(clock))

    assert {(await call(app, **POSTED)).status for _ in range(ONE_IN)} == {200}


def test_every_layer_of_a_stack_counts_in_its_outermost_aggregate() -> None:
    """Also one that was wrapped before."""
    inner, outer = Works(Clock()), Works(Clock())
    within = Gathers()
    within.aggregate = "another"  # type: ignore[misc]

    Middleware(Middleware(reads, within, inner), Gathers(), outer)

    assert (inner.counts_in, outer.counts_in) == ("the aggregate", "the aggregate")


async def test_requests_at_once_do_not_mix(clock: Clock) -> None:
    """What a layer has taken is kept for each request."""
    gathers = Gathers()
    app = Middleware(reads, gathers, Works(clock))

    await asyncio.gather(*[call(app, **POSTED) for _ in range(2 * ONE_IN)])

    assert gathers.told == [("works", 8)] * 2


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio: nothing here knows an event loop."""
    return "asyncio"
