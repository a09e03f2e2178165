"""Policies of the rate limit: which requests each of them counts, for whom, for how much, and how they go together."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import pytest
from anyio.lowlevel import checkpoint
from awaited import AwaitedStore

from asgi_guard import ConfigError, Exchange, MemoryStore, Middleware, RateLimit, RateLimitMiddleware
from asgi_guard.layers.rate_limit import RateLimitLayer, RateLimits, by_client, by_header
from asgi_guard.limiting.rate import Limit
from asgi_guard.testing import ManualClock, call, capture_events, websocket

pytestmark = pytest.mark.anyio


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


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Answer, or accept a WebSocket and wait for its end."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] == "websocket.receive":
            pass
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def statuses(app: Any, times: int, path: str = "/", method: str = "GET", **request: Any) -> list[int]:
    """Send the same request several times."""
    return [(await call(app, method, path, **request)).status for _ in range(times)]


# several policies


async def test_every_policy_that_applies_counts_a_request(any_store) -> None:
    """A few logins, and many other requests; both count under the general policy."""
    login = RateLimit("2/minute", store=any_store, paths=["/login"], name="login")
    app = RateLimitMiddleware(greet, [login, RateLimit("5/minute", store=any_store)])

    assert await statuses(app, 3, "/login") == [200, 200, 429]
    assert await statuses(app, 4, "/shop") == [200, 200, 200, 429]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=str)
async def test_what_one_policy_refuses_counts_under_none(order, any_store) -> None:
    """Wherever it stands: those before it give back what they took."""
    policies = [
        RateLimit("9/minute", store=any_store, name="wide"),
        RateLimit("1/minute", store=any_store, name="narrow"),
        RateLimit("9/hour", store=any_store, name="long"),
    ]
    app = RateLimitMiddleware(greet, [policies[position] for position in order])
    await statuses(app, 1)

    refusal = [await call(app) for _ in range(20)][-1]

    assert refusal.status == 429
    assert sorted(refusal.headers.get("ratelimit").split(",")) == [
        '"long";r=8;t=3680',
        '"narrow";r=0;t=62',
        '"wide";r=8;t=62',
    ]


async def test_all_policies_share_one_field(store) -> None:
    """Named by the policy, and by its limits as well where it has several."""
    policies = [RateLimit("5/second;9/minute", store=store, name="api"), RateLimit("100/minute", store=store)]

    response = await call(RateLimitMiddleware(greet, policies))

    assert response.headers.get_all("ratelimit") == [
        '"api:5/second";r=4;t=2,"api:9/minute";r=8;t=62,"100/minute";r=99;t=62'
    ]
    assert response.headers.get_all("ratelimit-policy") == [
        '"api:5/second";q=5;w=1,"api:9/minute";q=9;w=60,"100/minute";q=100;w=60'
    ]


async def test_a_refusal_names_every_policy_that_refuses_and_waits_for_the_last(any_store, clock) -> None:
    """A lone client that waits so long is admitted by all, and a second sooner it is not."""
    policies = [
        RateLimit("1/minute", store=any_store, name="minute"),
        RateLimit("9/minute", store=any_store, name="wide"),
        RateLimit("1/hour", store=any_store, name="hour"),
    ]
    app = RateLimitMiddleware(greet, policies)
    await call(app)

    refusal = await call(app, headers={"Accept": "application/problem+json"})

    assert refusal.json()["violated-policies"] == ["minute", "hour"]
    wait = int(refusal.headers.get("retry-after"))
    clock.advance(wait - 1)
    assert await statuses(app, 1) == [429]
    clock.advance(1)
    assert await statuses(app, 1) == [200]


async def test_a_policy_in_the_shadows_refuses_nobody_and_is_not_told(any_store) -> None:
    """It counts as if it were enforced, beside those that are."""
    policies = [RateLimit("1/minute", store=any_store, name="new", shadow=True), RateLimit("3/minute", store=any_store)]
    app = RateLimitMiddleware(greet, policies, listeners=[events := capture_events()])

    responses = [await call(app) for _ in range(4)]

    assert [response.status for response in responses] == [200, 200, 200, 429]
    assert "new" not in responses[0].headers.get("ratelimit")
    assert responses[3].json()["error"]["details"] == {"limits": ["3/minute"]}
    assert [event.details for event in events if type(event).__name__ == "RequestWouldBeRefused"] == [
        {"limits": ["new"]},
        {"limits": ["new"]},
    ]


async def test_an_exclusive_policy_keeps_those_after_it_from_being_asked(any_store) -> None:
    """Where it applies."""
    policies = [
        RateLimit("3/minute", store=any_store, paths=["/api"], name="api", exclusive=True),
        RateLimit("1/minute", store=any_store),
    ]
    app = RateLimitMiddleware(greet, policies)

    assert await statuses(app, 4, "/api/orders") == [200, 200, 200, 429]
    assert await statuses(app, 2, "/") == [200, 429]


async def test_no_spelling_of_a_path_borrows_a_looser_policy(store) -> None:
    """`/api/../login` may be the login of an application: both policies count it."""
    policies = [
        RateLimit("9/minute", store=store, paths=["/api"], name="api", exclusive=True),
        RateLimit("1/minute", store=store, name="all"),
    ]
    app = RateLimitMiddleware(greet, policies)

    assert await statuses(app, 2, "/api/../login") == [200, 429]


async def test_an_exclusive_policy_without_a_key_leaves_a_request_to_the_others(store) -> None:
    """It does not apply then."""
    by_customer = RateLimit(
        "9/minute", store=store, key=lambda exchange: exchange.header(b"x-id"), name="customers", exclusive=True
    )
    app = RateLimitMiddleware(greet, [by_customer, RateLimit("1/minute", store=store)])

    assert await statuses(app, 3, headers={"X-Id": "7"}) == [200] * 3
    assert await statuses(app, 2) == [200, 429]


@pytest.mark.parametrize(
    ("policies", "problem_ids"),
    [
        ([RateLimit("5/minute"), RateLimit("9/minute")], ["AG215"]),
        ([RateLimit("5/minute"), "9/minute"], ["AG400"]),
        ([RateLimit("5/minute"), "9/minute", RateLimit("1/minute")], ["AG400", "AG215"]),
        ([], ["AG210"]),
    ],
    ids=["one name twice", "a text among them", "both", "none"],
)
def test_a_list_of_policies_that_cannot_work_does_not_start(policies, problem_ids) -> None:
    """All problems at once; an empty list is no rate."""
    with pytest.raises(ConfigError) as caught:
        RateLimitMiddleware(greet, policies)

    assert [problem.id for problem in caught.value.problems] == problem_ids


def test_policies_without_a_policy_do_not_start() -> None:
    """Whoever wants no limit says False."""
    with pytest.raises(ConfigError, match="AG400"):
        RateLimits([])


def test_a_list_of_policies_takes_no_further_fields() -> None:
    """Which of the policies would they be for?"""
    with pytest.raises(ConfigError, match="not both"):
        RateLimitMiddleware(greet, [RateLimit("5/minute")], cost=2)


def test_a_list_of_rates_stays_one_policy() -> None:
    """As it always was."""
    app = RateLimitMiddleware(greet, ["5/second", "9/minute"])

    assert app.layers[0].settings == RateLimit(["5/second", "9/minute"])


async def test_policies_of_one_store_name_and_rate_share_their_counts(any_store) -> None:
    """Over two middlewares and whatever else differs."""
    first = RateLimitMiddleware(greet, [RateLimit("2/minute", store=any_store, name="a", paths=["/one"])])
    second = RateLimitMiddleware(greet, "2/minute", store=any_store, name="a")

    assert await statuses(first, 1, "/one") == [200]
    assert await statuses(second, 2) == [200, 429]


# which requests


@pytest.mark.parametrize(
    ("fields", "method", "path", "applies"),
    [
        ({"paths": ["/login"]}, "GET", "/login", True),
        ({"paths": ["/login"]}, "GET", "/login/two", True),
        ({"paths": ["/login"]}, "GET", "/logins", False),
        ({"paths": ["/login"]}, "GET", "//login", True),
        ({"paths": ["/login"]}, "GET", "/x/../login", True),
        ({"paths": ["/a", "/b"]}, "GET", "/b", True),
        ({"methods": ["POST"]}, "POST", "/", True),
        ({"methods": ["POST"]}, "post", "/", True),
        ({"methods": ["POST"]}, "GET", "/", False),
        ({"methods": ["GET"]}, "HEAD", "/", True),
        ({"methods": ["POST"], "paths": ["/login"]}, "POST", "/login", True),
        ({"methods": ["POST"], "paths": ["/login"]}, "POST", "/", False),
        ({"exempt_paths": ["/health"]}, "GET", "/health/live", False),
        ({"exempt_paths": ["/health"]}, "GET", "/health/../login", True),
        ({"exempt_paths": ["/health"]}, "GET", "/", True),
        ({"exempt_networks": ["198.51.100.0/24"]}, "GET", "/", False),
        ({"exempt_networks": ["192.0.2.0/24"]}, "GET", "/", True),
        ({"exempt": lambda exchange: exchange.path == "/free"}, "GET", "/free", False),
        ({"exempt": lambda exchange: exchange.path == "/free"}, "GET", "/", True),
        ({"key": lambda _: None}, "GET", "/", False),
        ({"rate": lambda _: None}, "GET", "/", False),
    ],
    ids=lambda case: re.sub(r" at 0x[0-9a-f]+", "", str(case))[:50],
)
async def test_a_policy_counts_the_requests_that_it_is_for(fields, method, path, applies, store) -> None:
    """Generously where it protects, narrowly where it exempts."""
    app = RateLimitMiddleware(greet, **{"rate": "1/minute", "store": store, **fields})

    assert await statuses(app, 2, path, method) == [200, 429 if applies else 200]


async def test_a_handshake_is_a_get(store) -> None:
    """With its path, like any other."""
    app = RateLimitMiddleware(greet, "1/minute", store=store, methods=["GET"], paths=["/chat"])

    async with websocket(app, "/chat") as session:
        assert session.accepted is not None
    async with websocket(app, "/chat") as session:
        assert session.denial is not None


# functions


class AsyncKey:
    """An object that is called and awaited."""

    async def __call__(self, exchange: Exchange) -> str:
        await checkpoint()
        return exchange.path


async def path_of(exchange: Exchange, prefix: str = "") -> str:
    """Name a request by its path, after having waited."""
    await checkpoint()
    return prefix + exchange.path


@pytest.mark.parametrize(
    "key",
    [path_of, partial(path_of, prefix="x"), AsyncKey(), partial(AsyncKey())],
    ids=["function", "partial", "object", "partial of object"],
)
async def test_a_key_may_be_async(key, any_store) -> None:
    """However it is written."""
    app = RateLimitMiddleware(greet, "1/minute", key=key, store=any_store)

    assert await statuses(app, 2, "/a") == [200, 429]
    assert await statuses(app, 2, "/b") == [200, 429]


async def test_every_function_may_be_async(any_store) -> None:
    """The rate, the cost and the exemption too."""

    async def rate(exchange: Exchange) -> str:
        await checkpoint()
        return "4/minute"

    async def cost(exchange: Exchange) -> int:
        await checkpoint()
        return 2

    async def exempt(exchange: Exchange) -> bool:
        await checkpoint()
        return exchange.path == "/free"

    app = RateLimitMiddleware(greet, rate, cost=cost, exempt=exempt, store=any_store)

    assert await statuses(app, 3) == [200, 200, 429]
    assert await statuses(app, 3, "/free") == [200] * 3


@pytest.mark.parametrize("field", ["key", "exempt", "cost", "rate"])
async def test_a_plain_function_that_returns_an_awaitable_lets_nobody_past(field, store) -> None:
    """What it returns would be taken for true."""

    async def later() -> None:
        raise AssertionError("nobody awaits it")

    app = RateLimitMiddleware(greet, **{"rate": "1/minute", "paths": ["/"], "store": store, field: lambda _: later()})

    with pytest.raises(TypeError, match="write it as an async function"):
        await call(app)


async def test_a_plain_function_that_returns_a_future_of_another_kind_lets_nobody_past(store) -> None:
    """Whatever can be awaited is no answer."""

    class Later:
        def __await__(self) -> Any:
            raise AssertionError("nobody awaits it")

    with pytest.raises(TypeError, match="write it as an async function"):
        await call(RateLimitMiddleware(greet, "1/minute", exempt=lambda _: Later(), store=store))


async def test_an_async_function_has_a_second(store) -> None:
    """Then the request fails; where only a store is awaited, the store bounds its own wait."""
    waiting = RateLimitLayer(RateLimit("1/minute", key=path_of))
    remote = RateLimitLayer(RateLimit("1/minute", store=AwaitedStore(store)))

    assert waiting.admit_deadline_seconds == 1.0
    assert remote.admit_deadline_seconds is None


async def test_a_cost_may_depend_on_the_request(any_store) -> None:
    """A cost of 0 is free, and more than the limit is never admitted."""
    app = RateLimitMiddleware(greet, "10/minute", cost=lambda exchange: len(exchange.path) - 1, store=any_store)

    assert await statuses(app, 3, "/1234") == [200, 200, 429]
    assert await statuses(app, 9, "/") == [200] * 9
    refusal = await call(app, path="/12345678901")
    assert (refusal.status, refusal.headers.get("retry-after")) == (429, None)


async def test_a_rate_may_depend_on_the_request(any_store) -> None:
    """As text, as limit and as list; the header tells the one that held."""
    plans = {"/free": "1/minute", "/paid": Limit(2, 60), "/both": ["2/second", "3/minute"]}
    app = RateLimitMiddleware(greet, lambda exchange: plans[exchange.path], store=any_store)

    assert [await statuses(app, 3, path) for path in ("/free", "/paid", "/both")] == [
        [200, 429, 429],
        [200, 200, 429],
        [200, 200, 429],
    ]
    assert (await call(app, path="/free")).headers.get("ratelimit-policy") == '"1/minute";q=1;w=60'


async def test_rates_made_of_requests_end(store) -> None:
    """At most 256 are remembered; the next is an error, and those that are known go on."""
    app = RateLimitMiddleware(greet, lambda exchange: f"{exchange.path[1:]}/day", store=store)
    for amount in range(1, 257):
        assert (await call(app, path=f"/{amount}")).status == 200

    with pytest.raises(ConfigError, match="AG219"):
        await call(app, path="/257")
    assert await statuses(app, 2, "/2") == [200, 429]


async def test_a_rate_that_cannot_be_read_lets_nobody_past(store) -> None:
    """It is an error of the function."""
    with pytest.raises(ValueError, match="fast"):
        await call(RateLimitMiddleware(greet, lambda _: "fast", store=store))


# keys


async def test_a_gateways_header_can_be_the_key(store) -> None:
    """By its value; who sends none is counted by address, so that to leave it out is no way past."""
    app = RateLimitMiddleware(greet, "1/minute", key=by_header("X-Customer"), store=store)

    assert await statuses(app, 2, headers={"X-Customer": "ann"}) == [200, 429]
    assert await statuses(app, 2, headers={"X-Customer": "bob"}) == [200, 429]
    assert await statuses(app, 2) == [200, 429]
    assert await statuses(app, 1, headers={"X-Customer": ""}) == [429]
    assert app.layers[0].wants == {b"x-customer"}
    assert repr(by_header("X-Customer")) == "by_header('x-customer')"


async def test_a_header_cannot_spell_somebodys_address(store) -> None:
    """Eight bytes could be the /64 of somebody else."""
    app = RateLimitMiddleware(greet, "1/minute", key=by_header("x-customer"), store=store)
    six = ("6767:6767:6767:6767::1", 1)

    assert await statuses(app, 1, headers=[(b"x-customer", b"gggggggg")], client=six) == [200]
    assert await statuses(app, 1, client=six) == [200]


def test_a_header_has_a_name() -> None:
    """Else it would never be found."""
    with pytest.raises(ConfigError, match="AG107"):
        by_header("X Customer")


# what is told


async def test_the_old_headers_tell_the_limit_of_which_least_is_left(store) -> None:
    """In seconds from now; beside the new fields, or alone."""
    both = RateLimitMiddleware(greet, "5/second;3/minute", store=store, legacy_headers=True)
    alone = RateLimitMiddleware(greet, "5/second;3/minute", store=store, legacy_headers=True, headers=False)
    for app in (both, alone):
        headers = (await call(app)).headers
        names = [headers.get(f"x-ratelimit-{name}") for name in ("limit", "remaining", "reset")]
        assert names[0] == "3"
        assert names[2] == "62"
        assert (headers.get("ratelimit") is None) is (app is alone)
    assert names[1] == "1"


async def test_concurrency_is_told_as_such(store) -> None:
    """With the unit of the draft's registry."""
    response = await call(RateLimitMiddleware(greet, "2/minute", algorithm="concurrency", store=store))

    assert response.headers.get("ratelimit-policy") == '"2/minute";q=2;qu="concurrent-requests"'


def test_every_policy_is_explained() -> None:
    """A line each: what is too much, of whom, and where."""
    policies = [
        RateLimit("5/minute", paths=["/login", "/token"], methods=["POST"], name="login"),
        RateLimit("2/minute", algorithm="concurrency", key=lambda _: "all", name="places"),
        RateLimit(lambda _: "9/minute", shadow=True),
    ]

    assert tuple(RateLimitLayer(policies).refusals()) == (
        "429 for more than 5/minute from one client under /login, /token, POST only (login)",
        "429 for more than 2/minute at a time from one key (places)",
        "429 would be answered (shadow) for more than what a function says from one client",
    )


def test_a_layer_fills_in_what_its_policies_need() -> None:
    """The usual case pays for nothing else."""
    hooks = {"admit", "admit_async", "head", "inbound", "complete", "finish"}

    def filled(*policies: RateLimit) -> set[str]:
        return hooks & set(vars(RateLimitLayer(policies)))

    assert filled(RateLimit("5/minute")) == {"admit", "head"}
    assert filled(RateLimit("5/minute", headers=False)) == {"admit"}
    assert filled(RateLimit("5/minute", key=path_of)) == {"admit_async", "head"}
    assert filled(RateLimit("5/minute", algorithm="concurrency")) == {"admit", "head", "finish"}
    assert filled(RateLimit("5/minute", messages=True)) == {"admit", "head", "inbound"}
    assert filled(RateLimit("5/minute", count=bool)) == {"admit", "head", "complete", "finish"}


async def test_a_store_over_a_network_is_closed_with_the_application(store) -> None:
    """And opened again by whoever asks it."""
    remote = AwaitedStore(store)

    await RateLimitLayer(RateLimit("5/minute", store=remote)).shutdown()

    assert remote.is_closed


@pytest.mark.parametrize("algorithm", ["strict", "gcra", "fixed"])
async def test_every_algorithm_can_be_chosen(algorithm, any_store) -> None:
    """By its name."""
    app = RateLimitMiddleware(greet, "3/minute", algorithm=algorithm, store=any_store)

    assert await statuses(app, 4) == [200, 200, 200, 429]


async def test_a_burst_bounds_what_comes_at_once(store, clock) -> None:
    """Two at once, and sixty a minute."""
    app = RateLimitMiddleware(greet, "60/minute", algorithm="gcra", burst=2, store=store)

    assert await statuses(app, 3) == [200, 200, 429]
    clock.advance(1)
    assert await statuses(app, 2) == [200, 429]


async def test_the_layer_takes_policies_like_the_middleware(store) -> None:
    """For stacks that somebody puts together by hand."""
    app = Middleware(greet, RateLimitLayer([RateLimit("1/minute", store=store, key=by_client)]))

    assert await statuses(app, 2) == [200, 429]
