"""The rate limit over the life of a request and of a guard: outcomes, leases, messages, overrides, new settings."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import pytest
from anyio import CancelScope, Event, create_task_group
from anyio.lowlevel import checkpoint
from awaited import AwaitedBucket, AwaitedStore

from asgi_guard import (
    ConfigError,
    Exchange,
    Layer,
    MemoryStore,
    Middleware,
    RateLimit,
    RateLimitMiddleware,
    Reply,
    RequestRefused,
    RequestWouldBeRefused,
)
from asgi_guard.layers.rate_limit import RateLimitLayer, client_key
from asgi_guard.limiting.store import Decision
from asgi_guard.testing import ManualClock, call, capture_events, websocket

pytestmark = pytest.mark.anyio

ME = "198.51.100.7"


@pytest.fixture
def clock() -> ManualClock:
    """Time passes only when the test says so."""
    return ManualClock()


@pytest.fixture
def store(clock) -> MemoryStore:
    """Counts by that clock."""
    return MemoryStore(clock=clock.monotonic_ns)


@pytest.fixture(params=["at once", "awaited"])
def any_store(request: pytest.FixtureRequest, store) -> Any:
    """A store of either kind."""
    return store if request.param == "at once" else AwaitedStore(store)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the status that the path names; or accept a WebSocket and echo."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        return
    await send({"type": "http.response.start", "status": int(scope["path"][1:] or 200), "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def settled() -> None:
    """Let happen what nobody waits for."""
    for _ in range(9):
        await checkpoint()


async def statuses(app: Any, times: int, path: str = "/", **request: Any) -> list[int]:
    """Send the same request several times."""
    found = []
    for _ in range(times):
        found.append((await call(app, path=path, **request)).status)
        await settled()
    return found


async def left(app: Any, key: Any = ME, **which: Any) -> int:
    """Say how much of the first limit is left."""
    decision = app.peek(key, **which)
    return (decision if isinstance(decision, Decision) else await decision).remaining[0]


# counted by the outcome


def is_failed_login(exchange: Exchange) -> bool:
    """Count wrong passwords only."""
    return exchange.status == 401


async def test_only_failed_logins_are_counted(any_store) -> None:
    """Whoever knows the password may log in as often as it likes; whoever guesses may not."""
    app = RateLimitMiddleware(echo, "2/minute", store=any_store, count=is_failed_login)

    assert await statuses(app, 5, "/200") == [200] * 5
    assert await statuses(app, 3, "/401") == [401, 401, 429]
    assert await statuses(app, 1, "/200") == [429]


async def test_what_an_outcome_counts_for_may_be_a_number(any_store) -> None:
    """More than is left uses up what is left."""
    app = RateLimitMiddleware(echo, "5/minute", store=any_store, count=lambda exchange: exchange.status // 100)

    assert await statuses(app, 1, "/200") == [200]
    assert await left(app) == 3
    assert await statuses(app, 2, "/404") == [404, 429]
    assert await left(app) == 0


async def test_a_client_that_leaves_is_counted_all_the_same(any_store) -> None:
    """Else whoever hangs up before the end of the answer guesses without end."""

    async def unfinished(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 401, "headers": []})
        raise OSError("the client has left")

    app = RateLimitMiddleware(unfinished, "2/minute", store=any_store, count=is_failed_login)
    for _ in range(2):
        with pytest.raises(OSError, match="left"):
            await call(app)
        await settled()

    assert (await call(app)).status == 429


async def test_an_outcome_is_counted_before_background_work_ends(store) -> None:
    """What runs after the last byte may take its time."""
    seen = []

    async def busy(scope: Any, receive: Any, send: Any) -> None:
        await echo(scope, receive, send)
        seen.append(await left(app))

    app = RateLimitMiddleware(busy, "5/minute", store=store, count=lambda _: True, cost=2)
    await call(app)

    assert seen == [3]
    assert await left(app) == 3


@pytest.mark.parametrize("count", [lambda _: 1 / 0, lambda _: None, lambda _: -1], ids=["raises", "None", "negative"])
async def test_an_outcome_that_cannot_be_told_counts(count, store, caplog) -> None:
    """An error is never a request that nobody counted."""
    app = RateLimitMiddleware(echo, "1/minute", store=store, count=count)

    assert await statuses(app, 2) == [200, 429]
    assert "the count of the rate limit 'default' failed" in caplog.text


async def test_a_refusal_is_no_outcome(store) -> None:
    """A policy that counts answers does not count those of the limit itself."""
    policies = [
        RateLimit("3/minute", store=store, name="refused", count=lambda exchange: exchange.status == 429),
        RateLimit("1/minute", store=store),
    ]
    app = RateLimitMiddleware(echo, policies)

    assert await statuses(app, 6) == [200, 429, 429, 429, 429, 429]
    assert await left(app, policy="refused") == 3


async def test_a_refusal_of_a_layer_inside_is_an_outcome(store) -> None:
    """It is an answer like any other."""

    class ForbiddingLayer(Layer):
        def admit(self, exchange: Exchange) -> Reply:
            return Reply(403)

    app = RateLimitMiddleware(
        Middleware(echo, ForbiddingLayer()), "2/minute", store=store, count=lambda e: e.status == 403
    )

    assert await statuses(app, 3) == [403, 403, 429]


# leases


class Hold:
    """An application that answers when it is told to."""

    def __init__(self) -> None:
        self.entered = 0
        self.go = Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.entered += 1
        await self.go.wait()
        await echo(scope, receive, send)


async def test_so_many_at_a_time(any_store) -> None:
    """One more is refused, with all that a refusal has; when they are done their places are free again."""
    hold = Hold()
    app = RateLimitMiddleware(hold, "2/minute", algorithm="concurrency", store=any_store)

    async with create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(call, app)
        while hold.entered < 2:
            await checkpoint()
        refusal = await call(app)
        hold.go.set()
    await settled()

    assert refusal.status == 429
    assert int(refusal.headers.get("retry-after")) > 0
    assert refusal.headers.get("ratelimit").startswith('"2/minute";r=0;t=')
    assert await left(app) == 2
    assert await statuses(app, 5) == [200] * 5


async def fail(scope: Any, receive: Any, send: Any) -> None:
    """Fail."""
    raise ConnectionError


class InnerLayer(Layer):
    """Refuse, or fail, inside."""

    def __init__(self, reply: Reply | None) -> None:
        self._reply = reply

    def admit(self, exchange: Exchange) -> Reply:
        if self._reply is None:
            raise ConnectionError
        return self._reply


@pytest.mark.parametrize(
    "inside",
    [fail, Middleware(echo, InnerLayer(Reply(403))), Middleware(echo, InnerLayer(None))],
    ids=["application", "refusal", "layer"],
)
async def test_a_place_is_given_back_whatever_happens(inside, any_store) -> None:
    """Once: a second time would give back somebody else's."""
    app = RateLimitMiddleware(inside, "3/minute", algorithm="concurrency", store=any_store)
    bucket = any_store.bucket("default", app.policies[0].plan.limits, "concurrency")
    taken = bucket.hit(ME)
    if not isinstance(taken, Decision):
        await taken

    for _ in range(7):
        with suppress(ConnectionError):
            await call(app)
        await settled()

    assert await left(app) == 2


async def test_a_place_is_given_back_when_a_request_is_cancelled(any_store) -> None:
    """As a server does to the request of a client that has left."""
    hold = Hold()
    app = RateLimitMiddleware(hold, "1/minute", algorithm="concurrency", store=any_store)

    async with create_task_group() as tasks:
        with CancelScope() as scope:

            async def cancel() -> None:
                while not hold.entered:
                    await checkpoint()
                scope.cancel()

            tasks.start_soon(cancel)
            await call(app)
    await settled()

    assert await left(app) == 1


async def test_a_place_is_not_lost_to_a_policy_that_refuses(any_store) -> None:
    """All or nothing holds for places too."""
    policies = [
        RateLimit("1/minute", algorithm="concurrency", store=any_store, name="places"),
        RateLimit("1/hour", store=any_store),
    ]
    app = RateLimitMiddleware(echo, policies)

    assert await statuses(app, 4) == [200, 429, 429, 429]
    assert await left(app, policy="places") == 1


# messages


async def test_messages_count_where_a_policy_says_so(store) -> None:
    """The handshake is the first; one too many closes the WebSocket (RFC 6455 section 7.4.1)."""
    app = RateLimitMiddleware(echo, "4/minute", store=store, messages=True, listeners=[events := capture_events()])

    async with websocket(app) as session:
        for text in "abc":
            session.send(text)
            assert await session.receive() == text
        session.send("d")
        assert await session.receive() is None
        assert session.close_code == 1008

    assert [event.code for event in events.of(RequestRefused)] == ["RATE_LIMIT_EXCEEDED"]
    assert await left(app) == 0


async def test_messages_in_the_shadows_are_only_told(store) -> None:
    """As requests are."""
    app = RateLimitMiddleware(
        echo, "1/minute", store=store, messages=True, shadow=True, listeners=[events := capture_events()]
    )

    async with websocket(app) as session:
        for text in "ab":
            session.send(text)
            assert await session.receive() == text

    assert len(events.of(RequestWouldBeRefused)) == 2


async def test_messages_count_under_the_policies_that_say_so_and_no_others(store) -> None:
    """All of those, or none."""
    policies = [
        RateLimit("9/minute", store=store, name="wide", messages=True),
        RateLimit("3/minute", store=store, name="narrow", messages=True),
        RateLimit("1/minute", store=store, name="handshakes"),
    ]
    app = RateLimitMiddleware(echo, policies)

    async with websocket(app) as session:
        for text in "ab":
            session.send(text)
            assert await session.receive() == text
        session.send("c")
        assert await session.receive() is None

    assert [await left(app, policy=name) for name in ("wide", "narrow", "handshakes")] == [6, 0, 0]


async def test_a_body_has_no_messages(store) -> None:
    """Only those of WebSockets count."""

    async def read(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        await echo(scope, receive, send)

    app = RateLimitMiddleware(read, "2/minute", store=store, messages=True)
    await call(app, "POST", body=[b"a", b"b", b"c"])

    assert await left(app) == 1


# overrides


def saying(app: Any, **said: Any) -> Any:
    """Stand outside, and say something for each request."""

    async def outside(scope: Any, receive: Any, send: Any) -> None:
        await app(
            {**scope, "asgi_guard": {name.replace("__", ":"): value for name, value in said.items()}}, receive, send
        )

    return outside


async def test_whoever_stands_outside_sets_cost_rate_and_key_for_one_request(any_store) -> None:
    """Whatever the settings say."""
    app = RateLimitMiddleware(echo, "10/minute", store=any_store)

    assert await statuses(saying(app, rate_limit={"cost": 6}), 2) == [200, 429]
    assert await statuses(saying(app, rate_limit={"key": "other", "cost": 6}), 1) == [200]
    assert await statuses(saying(app, rate_limit={"rate": "1/hour"}), 2) == [200, 429]
    assert await statuses(saying(app, rate_limit={"rate": None}), 20) == [200] * 20
    assert await statuses(saying(app, rate_limit={"cost": 0}), 20) == [200] * 20
    assert await left(app) == 4
    assert await left(app, "other") == 4


async def test_one_policy_is_overridden_by_its_name(store) -> None:
    """What is said of it goes before what is said of all."""
    policies = [RateLimit("10/minute", store=store, name="a"), RateLimit("10/minute", store=store, name="b")]
    app = RateLimitMiddleware(echo, policies)

    await statuses(saying(app, rate_limit={"cost": 2}, rate_limit__b={"cost": 5}), 1)

    assert (await left(app, policy="a"), await left(app, policy="b")) == (8, 5)


async def test_one_policy_is_left_out_by_its_name(store) -> None:
    """The others go on."""

    class SayingLayer(Layer):
        def admit(self, exchange: Exchange) -> None:
            exchange.overrides = {"rate_limit:a": False}

    policies = [RateLimit("1/minute", store=store, name="a"), RateLimit("2/minute", store=store, name="b")]
    app = Middleware(echo, SayingLayer(), RateLimitLayer(policies))

    assert await statuses(app, 3) == [200, 200, 429]


@pytest.mark.parametrize(
    "fields",
    [{"cost": -1}, {"cost": 1.5}, {"cost": True}, {"key": 7}, {"rate": "fast"}, {"rate": 5}, {"name": "x"}],
    ids=str,
)
async def test_what_makes_no_sense_is_an_error(fields, store) -> None:
    """A protection is neither lost nor kept by mistake."""
    with pytest.raises(ConfigError):
        await call(saying(RateLimitMiddleware(echo, "10/minute", store=store), rate_limit=fields))


def costing(*costs: int) -> Any:
    """Be a handler that says afterwards what it cost."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for cost in costs:
            scope["asgi_guard"]["rate_limit"] = {"cost": cost}
            await settled()
        await echo(scope, receive, send)

    return app


@pytest.mark.parametrize(
    ("costs", "remaining"),
    [((5,), 5), ((1,), 9), ((5, 8), 2), ((5, 5), 5), ((0,), 10), ((50,), 0), ((5, 3), 6), ((0, 4), 6)],
    ids=str,
)
async def test_a_handler_is_charged_the_difference(costs, remaining, any_store) -> None:
    """The answer tells it already. More than is left uses up what is left; what was raised later stays."""
    app = RateLimitMiddleware(costing(*costs), "10/minute", store=any_store)

    response = await call(app)

    assert response.status == 200
    assert f";r={remaining};" in response.headers.get("ratelimit")
    assert await left(app) == remaining


async def test_guesses_at_the_same_time_are_no_way_past_the_limit(any_store) -> None:
    """Each counts until its outcome is known; those that turn out right are given back."""
    answer = anyio.Event()
    outcome = {"status": 401}

    async def login(scope, receive, send):
        await answer.wait()
        await send({"type": "http.response.start", "status": outcome["status"], "headers": []})
        await send({"type": "http.response.body", "body": b""})

    app = RateLimitMiddleware(login, "2/minute", store=any_store, count=is_failed_login)
    answered = []

    async def guess():
        answered.append((await call(app)).status)

    for outcome["status"], expected in ((200, [200, 200, 429]), (401, [401, 401, 429])):
        answered.clear()
        answer = anyio.Event()
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(guess)
            await anyio.wait_all_tasks_blocked()
            answer.set()
        assert sorted(answered) == expected

    assert await left(app) == 0


async def test_a_handler_says_what_its_outcome_counts_for(any_store) -> None:
    """Where it is counted at all."""
    app = RateLimitMiddleware(costing(4), "10/minute", store=any_store, count=is_failed_login)

    assert await statuses(app, 1, "/200") == [200]
    assert await left(app) == 10
    assert await statuses(app, 1, "/401") == [401]
    assert await left(app) == 6


async def test_a_place_stays_one_place(store) -> None:
    """What a handler says of costs is for the policies that count them."""
    policies = [
        RateLimit("3/minute", algorithm="concurrency", store=store, name="places"),
        RateLimit("10/minute", store=store, name="costs"),
    ]
    app = RateLimitMiddleware(costing(4), policies)

    assert await statuses(app, 1) == [200]
    assert (await left(app, policy="places"), await left(app, policy="costs")) == (3, 6)


async def test_a_policy_that_does_not_count_a_request_is_not_charged_for_it(store) -> None:
    """Nor is one that only would have refused it."""
    for fields in ({"key": lambda _: None}, {"shadow": True}):
        app = RateLimitMiddleware(costing(4), "1/minute", store=store, name=next(iter(fields)), **fields)
        assert await statuses(app, 3) == [200] * 3


# for whoever runs the service


async def test_counts_can_be_looked_at_refunded_and_reset(any_store) -> None:
    """On the middleware as on the layer, awaited where the store is."""

    async def answer(given: Any) -> Any:
        return await given if hasattr(given, "__await__") else given

    app = RateLimitMiddleware(echo, "3/minute", store=any_store)
    at_ns = (await answer(app.peek(ME))).at_ns
    await statuses(app, 3)

    assert (await answer(app.peek(ME))).allowed is False
    await answer(app.refund(ME, at_ns, 2))
    assert await left(app) == 2
    await answer(app.layers[0].reset(ME))
    assert await left(app) == 3


async def test_an_address_has_a_key(store) -> None:
    """That of its client, whichever spelling it has."""
    app = RateLimitMiddleware(echo, "3/minute", store=store)
    await call(app, client=("2001:db8::1", 1))
    await call(app, client=None)

    assert await left(app, client_key("2001:db8::ffff")) == 2
    assert await left(app, client_key(None)) == 2
    assert client_key("::ffff:198.51.100.7") == client_key(ME) == ME


async def test_one_of_several_policies_is_named(store) -> None:
    """All of them forget unless one is named."""
    policies = [RateLimit("3/minute", store=store, name=name) for name in "ab"]
    app = RateLimitMiddleware(echo, policies)
    await statuses(app, 3)

    app.reset(ME, policy="a")
    assert (await left(app, policy="a"), await left(app, policy="b")) == (3, 0)
    app.reset(ME)
    assert await left(app, policy="b") == 3
    with pytest.raises(ValueError, match="say which: policy='a'"):
        app.peek(ME)
    with pytest.raises(ValueError, match="no policy 'c'; there are 'a', 'b'"):
        app.reset(ME, policy="c")


async def test_a_rate_that_is_a_function_is_asked_for_by_the_rate(store) -> None:
    """And all of its rates are reset."""
    app = RateLimitMiddleware(echo, lambda exchange: "3/minute", store=store)
    await statuses(app, 2)

    assert await left(app, rate="3/minute") == 1
    with pytest.raises(ValueError, match="say which one"):
        app.peek(ME)
    app.reset(ME)
    assert await left(app, rate="3/minute") == 3


# new settings while the guard runs


async def test_counts_go_on_under_the_same_settings() -> None:
    """Though each layer would have had a store of its own."""
    before = RateLimitLayer(RateLimit("3/minute"))
    await statuses(Middleware(echo, before), 2)

    after = RateLimitLayer(RateLimit("3/minute", headers=False))
    after.take_over(before)

    assert await statuses(Middleware(echo, after), 2) == [200, 429]


@pytest.mark.parametrize(("rate", "remaining"), [("5/minute", 3), ("2/minute", 0), ("3/hour", 3)])
async def test_counts_are_carried_over_to_another_limit(rate, remaining) -> None:
    """Of the same window; a longer one has seen nothing yet."""
    before = RateLimitLayer(RateLimit("3/minute"))
    await statuses(Middleware(echo, before), 2)

    after = RateLimitLayer(RateLimit(rate))
    after.take_over(before)

    assert await left(after) == remaining


async def test_policies_go_on_by_their_names(store) -> None:
    """One that is new begins anew, and so does one whose store is another."""
    before = RateLimitLayer([RateLimit("3/minute", name="a"), RateLimit("3/minute", name="b")])
    await statuses(Middleware(echo, before), 2)

    after = RateLimitLayer(
        [RateLimit("4/minute", name="b"), RateLimit("4/minute", name="c"), RateLimit("4/minute", name="a", store=store)]
    )
    after.take_over(before)

    assert [await left(after, policy=name) for name in "bca"] == [2, 4, 4]


async def test_a_rate_that_was_a_function_begins_anew() -> None:
    """There is no one limit whose counts could be carried over; the same rate goes on."""
    before = RateLimitLayer(RateLimit(lambda _: "3/minute"))
    await statuses(Middleware(echo, before), 2)
    for rate, remaining in (("3/minute", 1), ("5/minute", 5)):
        after = RateLimitLayer(RateLimit(rate))
        after.take_over(before)
        assert await left(after) == remaining


async def test_the_layer_of_another_part_has_nothing_to_take_over() -> None:
    """Nothing happens."""
    layer = RateLimitLayer(RateLimit("3/minute"))

    layer.take_over(Layer())

    assert await left(layer) == 3


async def test_a_request_on_its_way_gives_back_its_place_after_new_settings() -> None:
    """It is the store's, not the layer's."""
    hold = Hold()
    before = RateLimitLayer(RateLimit("2/minute", algorithm="concurrency"))
    after = RateLimitLayer(RateLimit("2/minute", algorithm="concurrency", headers=False))

    async with create_task_group() as tasks:
        tasks.start_soon(call, Middleware(hold, before))
        while not hold.entered:
            await checkpoint()
        after.take_over(before)
        assert await left(after) == 1
        hold.go.set()

    assert await left(after) == 2


# a store that cannot be asked


class DegradedBucket(AwaitedBucket):
    """A bucket whose store does not answer."""

    def __init__(self, bucket: Any, decision: Decision) -> None:
        super().__init__(bucket)
        self._decision = decision

    async def hit(self, *_: Any) -> Decision:
        """Decide without having asked."""
        return self._decision


class DegradedStore(AwaitedStore):
    """A store that does not answer."""

    def __init__(self, decision: Decision) -> None:
        super().__init__(MemoryStore())
        self._decision = decision

    def bucket(self, name: str, limits: Any, algorithm: str = "strict") -> Any:
        """Give such a bucket."""
        return DegradedBucket(self._store.bucket(name, limits, algorithm), self._decision)


async def test_a_store_that_fails_closed_is_no_fault_of_the_clients() -> None:
    """503, with the wait that the store suggests; nothing is told of a limit that nobody knows."""
    decision = Decision(False, 0, (), (), 2_000_000_000, degraded=True)
    response = await call(RateLimitMiddleware(echo, "1/minute", store=DegradedStore(decision)))

    assert (response.status, response.headers.get("retry-after")) == (503, "2")
    assert response.json()["error"]["code"] == "RATE_LIMIT_UNAVAILABLE"
    assert response.headers.get("ratelimit") is None


class PlainStore(DegradedStore):
    """A store that answers at once, without having asked."""

    synchronous = True

    def bucket(self, name: str, limits: Any, algorithm: str = "strict") -> Any:
        """Give a bucket that answers at once."""
        bucket = super().bucket(name, limits, algorithm)
        bucket.hit = lambda *_: self._decision
        return bucket


@pytest.mark.parametrize("kind", [DegradedStore, PlainStore])
async def test_a_store_that_fails_open_admits_without_telling_a_limit(kind) -> None:
    """It would be a guess."""
    store = kind(Decision(True, 0, (), (), degraded=True))

    response = await call(RateLimitMiddleware(echo, "1/minute", store=store))

    assert (response.status, response.headers.get("ratelimit")) == (200, None)


class BrokenBucket(AwaitedBucket):
    """A bucket that fails to take anything back."""

    async def refund(self, *_: Any) -> None:
        """Fail."""
        raise ConnectionError("the store is gone")


class BrokenStore(AwaitedStore):
    """A store that gives out such buckets."""

    def bucket(self, name: str, limits: Any, algorithm: str = "strict") -> Any:
        """Give one."""
        return BrokenBucket(self._store.bucket(name, limits, algorithm))


async def test_what_cannot_be_given_back_is_logged(store, caplog) -> None:
    """The request had its answer; the lease ends by itself."""
    app = RateLimitMiddleware(echo, "3/minute", algorithm="concurrency", store=BrokenStore(store))

    assert await statuses(app, 1) == [200]
    assert "could not count, or give back" in caplog.text
