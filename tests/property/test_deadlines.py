"""Request limits over time, against plain models: who is served at once, and how long a slow client is borne with."""

from __future__ import annotations

import asyncio
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard import RequestLimitsMiddleware
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.replies import Reply
from asgi_guard.limiting.in_flight import InFlight
from asgi_guard.limiting.patience import Patience
from asgi_guard.testing import http_scope

LEASE = 10

steps = st.lists(
    st.tuples(st.sampled_from(["take", "give back"]), st.integers(0, 6), st.integers(0, 4), st.integers(1, 4)),
    max_size=60,
)


@given(steps, st.booleans())
def test_places_are_those_of_a_plain_list(steps, has_lease) -> None:
    """Taken, given back by anyone and any number of times, with other maxima from step to step, leases and all."""
    lease = LEASE if has_lease else None
    places = InFlight()
    model: list[tuple[int, int]] = []
    now = 0
    for step, holder, pause, maximum in steps:
        now += pause
        if step == "give back":
            places.give_back(holder)
            model = [item for item in model if item[0] != holder]
        elif holder not in dict(model):
            while has_lease and len(model) >= maximum and model[0][1] + LEASE <= now:
                model.pop(0)
            admitted = len(model) < maximum
            if admitted:
                model.append((holder, now))
            assert places.take(holder, now, maximum, lease) is admitted
        assert list(places._taken_at.items()) == model


waits = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 30), st.integers(0, 50)), min_size=1, max_size=40)


@given(waits, st.one_of(st.none(), st.integers(1, 10)))
def test_patience_is_that_of_a_plain_account(waits, rate) -> None:
    """In quarters of a second: each wait, the bytes at its end, and the pause after it."""
    patience = Patience(5, rate)
    now, left = 1_000.0, 5.0
    for quarters, size, pause in waits:
        assert patience.begin(now) == pytest.approx(now + left)
        now += quarters / 4
        left -= quarters / 4
        if size:
            left = 5.0 if rate is None else min(5.0, left + size / rate)
        assert patience.hear(now, size) == pytest.approx(now + left)
        now += pause


@given(st.integers(1, 20), st.lists(st.integers(1, 100), min_size=1, max_size=60))
def test_a_client_that_keeps_the_rate_is_never_refused(rate, sizes) -> None:
    """Each chunk comes no later than its own bytes are worth, up to all the patience there is."""
    patience = Patience(5, rate)
    now = 0.0
    for size in sizes:
        end = patience.begin(now)
        now += min(size / rate, 5)
        assert now <= end + 1e-9
        patience.hear(now, size)


@given(st.integers(1, 20), st.lists(st.integers(1, 40), min_size=1, max_size=60))
def test_who_stays_below_the_rate_is_borne_with_for_so_long_and_no_longer(rate, sizes) -> None:
    """The waits of one body together are at most the patience and what its bytes were worth."""
    patience = Patience(5, rate)
    waited = 0.0
    for size, so_far in zip(sizes, accumulate(sizes, initial=0), strict=False):
        end = patience.begin(waited)
        assert end <= 5 + so_far / rate + 1e-9
        waited = end
        patience.hear(waited, size)


class Inner(Layer):
    """Refuses or fails where the request says so."""

    def admit(self, exchange: Any) -> Reply | None:
        if exchange.path == "/refused inside":
            return Reply(403)
        if exchange.path == "/fails inside":
            raise LookupError
        return None


ENDINGS = ("answers", "raises", "is cancelled", "says nothing", "refused inside", "fails inside")
conversations = st.lists(st.tuples(st.sampled_from([*["begin"] * 2, "end"]), st.sampled_from(ENDINGS)), max_size=40)


@given(conversations, st.integers(1, 4), st.booleans())
@pytest.mark.filterwarnings("ignore")
def test_requests_in_flight_are_counted_exactly(conversation, most, fuse) -> None:
    """However each of them ends, at any moment exactly those count that are inside, and the one too many gets a 503."""
    asyncio.run(converse(conversation, most, fuse=fuse))


async def converse(conversation, most, *, fuse) -> None:
    """Let requests begin and end in this order, the oldest first."""
    stage = Stage(most, fuse=fuse)
    running: list[Request] = []
    for step, ending in conversation:
        if step == "begin":
            request = Request(stage, ending if ending.endswith("inside") else "")
            for _ in range(3):
                await asyncio.sleep(0)
            if len(running) == most:
                assert request.task.result() == [503]
            elif request.path:
                assert request.task.result() == [403 if request.path == "refused inside" else 500]
            else:
                running.append(request)
        elif running:
            await running.pop(0).end(ending)
        assert len(stage.layer._in_flight) == len(running)
    for request in running:
        await request.end("is cancelled")
    assert len(stage.layer._in_flight) == 0


class Stage:
    """The application, in which each request waits for its end, and the limits around it."""

    def __init__(self, most: int, *, fuse: bool) -> None:
        self.guarded = RequestLimitsMiddleware(
            Middleware(self.serve, Inner(), fuse=fuse), max_concurrent=most, total_seconds=60
        )
        self.layer = self.guarded.layers[0]

    async def serve(self, scope: Any, receive: Any, send: Any) -> None:
        ending = await receive()
        if ending == {"type": "raises"}:
            raise LookupError
        if ending == {"type": "answers"}:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})


class Request:
    """One request, on its way."""

    def __init__(self, stage: Stage, path: str) -> None:
        self.stage = stage
        self.path = path
        self.incoming: asyncio.Queue[Any] = asyncio.Queue()
        self.statuses: list[int] = []
        self.task = asyncio.ensure_future(self.run())

    async def run(self) -> list[int]:
        try:
            await self.stage.guarded(http_scope(path=f"/{self.path}"), self.incoming.get, self.send)
        except LookupError:
            self.statuses.append(500)
        return self.statuses

    async def send(self, message: Any) -> None:
        if "status" in message:
            self.statuses.append(message["status"])

    async def end(self, ending: str) -> None:
        """Let it end in this way."""
        if ending == "is cancelled":
            self.task.cancel()
        self.incoming.put_nowait({"type": ending})
        await asyncio.wait([self.task])
