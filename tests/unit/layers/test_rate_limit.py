"""The rate limit: whom a request counts against, what a refusal says, and that what is told is true."""

from __future__ import annotations

import re
from typing import Any

import pytest
import redis.asyncio
from limits.storage import MemoryStorage

from asgi_guard import (
    ClientAddress,
    ConfigError,
    Exchange,
    Guard,
    Layer,
    MemoryStore,
    Middleware,
    RateLimit,
    RateLimitDecided,
    RateLimitMiddleware,
    RedisStore,
    RequestAllowed,
    RequestRefused,
    RequestWouldBeRefused,
    by_client,
)
from asgi_guard.limiting.answers import QUOTA_EXCEEDED
from asgi_guard.limiting.limits_adapter import LimitsStore
from asgi_guard.limiting.rate import Limit
from asgi_guard.testing import (
    ABSENT,
    ManualClock,
    Response,
    StrictServer,
    call,
    capture_events,
    http_scope,
    lifespan,
    websocket,
)


def without_addresses(given: object) -> str:
    """Name a case alike in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(given))[:60]


pytestmark = pytest.mark.anyio

PUBLIC = ("11.22.33.44", 50_000)
DEFAULT_AMOUNT = 100


@pytest.fixture
def clock() -> ManualClock:
    """Time passes only when the test says so."""
    return ManualClock()


@pytest.fixture
def store(clock) -> MemoryStore:
    """Counts by that clock."""
    return MemoryStore(clock=clock.monotonic_ns)


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Answer, or accept a WebSocket and echo, or take part in a lifespan."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


async def statuses(app: Any, times: int, **request: Any) -> list[int]:
    """Send the same request several times."""
    return [(await call(app, **request)).status for _ in range(times)]


def items(response: Response, name: str) -> dict[str, dict[str, int]]:
    """Read a list of strings with integer parameters (RFC 9651 sections 3.1, 3.3.3), as strictly as a client may."""
    text = ",".join(response.headers.get_all(name))
    item = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"((?:;[a-z]+=-?[0-9]{1,15})*)(?:[ \t]*,[ \t]*(?!$)|$)')
    read: dict[str, dict[str, int]] = {}
    at = 0
    while at < len(text):
        match = item.match(text, at)
        assert match, f"no structured field at {at}: {text}"
        parameters = [parameter.split("=") for parameter in match[2].split(";")[1:]]
        key = re.sub(r"\\(.)", r"\1", match[1])
        assert key not in read
        read[key] = {name: int(value) for name, value in parameters}
        at = match.end()
    return read


# what is admitted


async def test_so_many_are_admitted_and_no_more(store) -> None:
    """Then 429, until there is room again."""
    app = RateLimitMiddleware(greet, "3/minute", store=store)

    assert await statuses(app, 5) == [200, 200, 200, 429, 429]


async def test_a_client_that_waits_as_told_is_admitted(store, clock) -> None:
    """And a second earlier it is not, so that the wait is no longer than it must be."""
    app = RateLimitMiddleware(greet, "3/minute", store=store)
    await statuses(app, 3)
    refusal = await call(app)

    clock.advance(int(refusal.headers.get("retry-after") or "") - 1)
    early = await call(app)
    clock.advance(1)

    assert (refusal.status, early.status) == (429, 429)
    assert (await call(app)).status == 200


async def test_a_refused_request_changes_nothing(store, clock) -> None:
    """A client that keeps knocking waits no longer than one that is quiet."""
    app = RateLimitMiddleware(greet, "2/minute", store=store)
    await statuses(app, 2)
    first = await call(app)

    knocks = [await call(app) for _ in range(50)]

    assert {knock.headers.get("retry-after") for knock in knocks} == {first.headers.get("retry-after")}
    assert {knock.headers.get("ratelimit") for knock in knocks} == {first.headers.get("ratelimit")}
    clock.advance(int(first.headers.get("retry-after") or ""))
    assert (await call(app)).status == 200


async def test_several_limits_are_all_or_nothing(store, clock) -> None:
    """What one limit refuses is not counted under the others."""
    app = RateLimitMiddleware(greet, "2/10second;5/hour", store=store)

    admitted = 0
    for _ in range(40):
        admitted += (await call(app)).status == 200
        clock.advance(1)

    assert admitted == 5
    assert items(await call(app), "ratelimit")["5/hour"]["r"] == 0


async def test_a_request_may_cost_more_than_one(store) -> None:
    """Ten a minute at five each are two."""
    app = RateLimitMiddleware(greet, "10/minute", cost=5, store=store)

    assert await statuses(app, 3) == [200, 200, 429]


# whom it counts against


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("198.51.100.7", 1), ("198.51.100.7", 2), True),
        (("198.51.100.7", 1), ["198.51.100.7", 2], True),
        (("198.51.100.7", 1), ("198.51.100.7", "1"), True),
        (("198.51.100.7", 1), ("198.51.100.8", 1), False),
        ## IPv6: what one customer gets is a /64
        (("2001:db8::1", 1), ("2001:db8::2", 1), True),
        (("2001:db8::1", 1), ("2001:db8:0:0:ffff:ffff:ffff:ffff", 1), True),
        (("2001:db8::1", 1), ("2001:DB8::1", 1), True),
        (("2001:db8::1", 1), ("2001:db8:0:1::1", 1), False),
        (("fe80::1%eth0", 1), ("fe80::1", 1), True),
        ## IPv4 on a listener that takes both
        (("::ffff:198.51.100.7", 1), ("198.51.100.7", 1), True),
        (("::FFFF:198.51.100.7", 1), ("198.51.100.7", 1), True),
        (("::ffff:c633:6407", 1), ("198.51.100.7", 1), True),
        (("0:0:0:0:0:ffff:c633:6407", 1), ("198.51.100.7", 1), True),
        (("::ffff:198.51.100.7", 1), ("::ffff:198.51.100.8", 1), False),
        (("::ffff:198.51.100.7", 1), ("::1", 1), False),
        ## Unix sockets and test clients
        (None, ("", "0"), True),
        (None, ABSENT, True),
        (None, ("127.0.0.1", 1), False),
        (("testclient", 1), ("testclient", 2), True),
        (("not:an:address", 1), ("not:an:address", 2), True),
        (("not:an:address", 1), ("not:another", 1), False),
        (("2001:db8::\0", 1), ("2001:db8::\0", 2), True),
        (("2001:db8::\ud800", 1), ("2001:db8::\ud800", 2), True),
    ],
)
async def test_a_request_counts_against_the_client_that_sent_it(one, other, same, store) -> None:
    """By its address alone, in whatever form the server gives it."""
    app = RateLimitMiddleware(greet, "1/minute", store=store)

    assert await statuses(app, 1, client=one) == [200]
    assert await statuses(app, 1, client=other) == [429 if same else 200]


async def test_no_header_names_the_client(store) -> None:
    """Anyone may write one: a limit that believed it would be no limit."""
    app = RateLimitMiddleware(greet, "1/minute", store=store)
    forged = ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Client-IP", "CF-Connecting-IP", "True-Client-IP"]

    found = [(await call(app, headers={name: f"10.0.0.{n}"}, client=PUBLIC)).status for n, name in enumerate(forged)]

    assert found == [200, *[429] * (len(forged) - 1)]


@pytest.mark.parametrize(
    "key",
    [
        lambda exchange: exchange.header(b"x-api-key") or "",
        lambda exchange: (exchange.header(b"x-api-key") or b"").decode(),
        lambda exchange: b"k" * 10_000 + (exchange.header(b"x-api-key") or b""),
    ],
    ids=["bytes", "text", "of any length"],
)
async def test_a_key_of_ones_own_names_whom_to_count(key, store) -> None:
    """Text or bytes, made from what is known of the request."""
    app = RateLimitMiddleware(greet, "1/minute", key=key, store=store)

    assert await statuses(app, 2, headers={"X-API-Key": "one"}, client=("198.51.100.7", 1)) == [200, 429]
    assert await statuses(app, 2, headers={"X-API-Key": "two"}, client=("198.51.100.7", 1)) == [200, 429]


@pytest.mark.parametrize("key", [lambda _: 1 / 0, lambda _: 7, lambda _: ["a"]], ids=["raises", "7", "list"])
async def test_a_key_that_fails_lets_nobody_past(key) -> None:
    """An error is an error: 500, never a request that nobody counted."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("the application was called")

    response = await call(Guard(app, rate_limit=RateLimit("1/minute", key=key)))

    assert response.status == 500


async def test_policies_of_one_store_are_kept_apart_by_name(store) -> None:
    """Two of the same name and the same limits are one."""
    first = RateLimitMiddleware(greet, "1/minute", store=store, name="orders")
    same = RateLimitMiddleware(greet, "1/minute", store=store, name="orders")
    other = RateLimitMiddleware(greet, "1/minute", store=store, name="logins")

    assert [(await call(app)).status for app in (first, same, other)] == [200, 429, 200]


async def test_policies_of_two_stores_are_apart() -> None:
    """By default each has its own."""
    assert [(await call(RateLimitMiddleware(greet, "1/minute"))).status for _ in range(3)] == [200] * 3


async def test_two_policies_on_one_request_both_count(store) -> None:
    """Fused or not; the refusal names the one that refused, and the outer one goes first."""
    inner = RateLimitMiddleware(greet, "1/minute", store=store, name="inner")
    app = RateLimitMiddleware(inner, "2/minute", store=store, name="outer")

    first, second, third = [await call(app) for _ in range(3)]

    assert (first.status, second.status, third.status) == (200, 429, 429)
    assert set(items(first, "ratelimit")) == {"inner", "outer"}
    assert second.json()["error"]["details"] == {"limits": ["inner"]}
    assert third.json()["error"]["details"] == {"limits": ["outer"]}


# what is told


async def test_every_answer_says_how_things_stand(store, clock) -> None:
    """Policy, remainder, and the seconds until more comes back, in the order of the limits."""
    app = RateLimitMiddleware(greet, "2/10second;100/minute", store=store)

    responses = [await call(app) for _ in range(3)]
    clock.advance(5)
    responses.append(await call(app))

    policy = {"2/10second": {"q": 2, "w": 10}, "100/minute": {"q": 100, "w": 60}}
    assert [items(response, "ratelimit-policy") for response in responses] == [policy] * 4
    assert [list(items(response, "ratelimit")) for response in responses] == [list(policy)] * 4
    left = [tuple(limit["r"] for limit in items(response, "ratelimit").values()) for response in responses]
    assert left == [(1, 99), (0, 98), (0, 98), (0, 98)]
    waits = [items(response, "ratelimit")["2/10second"]["t"] for response in responses]
    assert waits[3] == waits[2] - 5
    assert all(1 <= wait <= 11 for wait in waits)


async def test_a_refusal_says_when_to_come_back(store) -> None:
    """Not earlier than the limit itself says that more comes back; and no cache keeps it (RFC 6585 section 4)."""
    app = RateLimitMiddleware(greet, "1/minute", store=store)
    await call(app)

    refusal = await call(app)

    wait = int(refusal.headers.get("retry-after") or "")
    assert wait >= items(refusal, "ratelimit")["1/minute"]["t"] > 0
    assert refusal.headers.get("cache-control") == "no-store"
    error = refusal.json()["error"]
    assert (error["code"], error["type"], error["retryable"]) == ("RATE_LIMIT_EXCEEDED", "rate_limit", True)
    assert refusal.json()["suggestions"] == [f"Try again in {wait} s."]


async def test_a_problem_names_its_type_and_the_policies_that_were_violated(store) -> None:
    """Those of the draft's registry."""
    app = RateLimitMiddleware(greet, "1/second;1/minute;9/hour", store=store)
    await call(app)

    problem = (await call(app, headers={"Accept": "application/problem+json"})).json()

    assert problem["type"] == QUOTA_EXCEEDED == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert problem["status"] == 429
    assert problem["violated-policies"] == ["1/second", "1/minute"]


@pytest.mark.parametrize(
    "name", ['a "quoted" one', "back\\slash", '\\"', "100%", "%d %s %(a)s", "a,b;c=1", "{0}", "a b", "~!@#$^&*()"]
)
async def test_a_limit_of_any_name_is_told_so_that_it_can_be_read_back(name, store) -> None:
    """Names are free text of the operator's; the field stays a structured one."""
    app = RateLimitMiddleware(greet, [Limit(1, 60, name), "9/hour"], store=store)

    responses = [await call(app), await call(app)]

    for response in responses:
        assert list(items(response, "ratelimit")) == list(items(response, "ratelimit-policy")) == [name, "9/hour"]
        assert items(response, "ratelimit")[name]["r"] == 0
    assert responses[1].json()["error"]["details"] == {"limits": [name]}


async def test_the_fields_can_be_left_out(store) -> None:
    """The refusal still says when to come back."""
    app = RateLimitMiddleware(greet, "1/minute", store=store, headers=False)

    responses = [await call(app), await call(app)]

    assert all(not items(response, "ratelimit") and not items(response, "ratelimit-policy") for response in responses)
    assert responses[1].headers.get("retry-after") is not None


async def test_a_request_that_failed_was_counted() -> None:
    """Else whoever can make the application fail may ask without end."""

    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError

    assert await statuses(Guard(fail, rate_limit="2/minute"), 3) == [500, 500, 429]


async def test_what_is_refused_before_is_not_counted() -> None:
    """What costs least refuses first."""
    app = Guard(greet, rate_limit="1/minute")

    assert await statuses(app, 3, headers={"Content-Length": "-1"}) == [400] * 3
    assert await statuses(app, 2) == [200, 429]


async def test_nothing_is_received_for_a_refusal(store) -> None:
    """A client that waits for 100-continue keeps its upload."""
    app = RateLimitMiddleware(greet, "1/minute", store=store)
    await call(app)

    server = await StrictServer(http_scope("POST"), [{"type": "http.request"}]).serve(app)

    assert server.sent[0]["status"] == 429
    assert server.received == 0


async def test_head_is_refused_without_a_body(store) -> None:
    """And counted like GET."""
    app = RateLimitMiddleware(greet, "1/minute", store=store)

    first, second = await call(app, "HEAD"), await call(app, "HEAD")

    assert (first.status, second.status, second.chunks) == (200, 429, (b"",))


# listeners and shadow mode


async def test_listeners_hear_of_both_verdicts(store) -> None:
    """With the client and the limits that refused."""
    app = RateLimitMiddleware(greet, "1/minute", store=store, listeners=[events := capture_events()])

    await statuses(app, 2, path="/orders")

    (allowed,), (refused,) = events.of(RequestAllowed), events.of(RequestRefused)
    assert (allowed.layer, allowed.path) == ("rate_limit", "/orders")
    assert (refused.layer, refused.status, refused.code) == ("rate_limit", 429, "RATE_LIMIT_EXCEEDED")
    assert (refused.client, refused.path, refused.details) == ("198.51.100.7", "/orders", {"limits": ["1/minute"]})


async def test_listeners_hear_what_each_policy_has_decided(store) -> None:
    """Those that refuse, where some do; a shadow is told of in any case, and no policy of what it was not asked."""
    policies = [
        RateLimit("9/minute", name="loose"),
        RateLimit("1/minute", name="shadow", shadow=True),
        RateLimit("2/minute", name="tight", store=store),
        RateLimit("1/minute", name="elsewhere", paths=["/elsewhere"]),
    ]
    app = RateLimitMiddleware(greet, policies, listeners=[events := capture_events()])

    await statuses(app, 3)

    assert [(told.policy, told.result) for told in events.of(RateLimitDecided)] == [
        ("loose", "admitted"),
        ("shadow", "admitted"),
        ("tight", "admitted"),
        ("loose", "admitted"),
        ("shadow", "would_refuse"),
        ("tight", "admitted"),
        ("shadow", "would_refuse"),
        ("tight", "refused"),
    ]
    assert {(told.backend, told.degraded) for told in events.of(RateLimitDecided)} == {("memory", False)}


async def test_in_shadow_mode_clients_notice_nothing(store) -> None:
    """Listeners hear what would have been refused; a client is not even told of a limit that is not enforced."""
    app = RateLimitMiddleware(greet, "1/minute", store=store, shadow=True, listeners=[events := capture_events()])

    responses = [await call(app) for _ in range(3)]

    assert [response.status for response in responses] == [200] * 3
    assert all(response.headers == () for response in responses)
    assert [event.status for event in events.of(RequestWouldBeRefused)] == [429, 429]
    assert events.of(RequestRefused) == []


# WebSockets and lifespans


async def test_a_handshake_counts_and_messages_do_not(store) -> None:
    """It is a request of its client like any other."""
    app = RateLimitMiddleware(greet, "2/minute", store=store)
    await call(app)

    async with websocket(app) as session:
        assert items(Response(101, session.headers, b"", (), session.headers, ()), "ratelimit")["2/minute"]["r"] == 0
        for text in "abcdef":
            session.send(text)
            assert await session.receive() == text

    async with websocket(app) as session:
        assert session.denial is not None
        assert session.denial.status == 429
        assert session.headers.get("retry-after") is not None
    async with websocket(app, can_deny=False) as session:
        assert (session.accepted, session.close_code) == (None, 1008)


async def test_a_lifespan_is_no_request(store) -> None:
    """It is neither counted nor refused."""
    app = RateLimitMiddleware(greet, "1/minute", store=store)

    for _ in range(3):
        async with lifespan(app):
            pass

    assert await statuses(app, 2) == [200, 429]


# a proxy that nobody declared


@pytest.mark.parametrize(
    "client",
    [
        ("10.1.2.3", 1),
        ("127.0.0.1", 1),
        ("192.168.1.1", 1),
        ("172.17.0.1", 1),
        ("100.64.0.1", 1),
        ("169.254.1.1", 1),
        ("::1", 1),
        ("fd00::1", 1),
        ("::ffff:10.1.2.3", 1),
        None,
        ("", "0"),
    ],
)
@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
@pytest.mark.parametrize("looks_for_proxies", [True, False], ids=["client address", "no client address"])
async def test_a_rate_that_nobody_asked_for_yields_to_an_undeclared_proxy(
    client, header, looks_for_proxies, caplog
) -> None:
    """All users would share one limit: it is not enforced, and one line of the log says so, with what to do."""
    app = Guard(greet, client_address=looks_for_proxies, listeners=[events := capture_events()])

    found = await statuses(app, DEFAULT_AMOUNT + 3, client=client, headers={header: "for=11.22.33.44"})

    assert found == [200] * (DEFAULT_AMOUNT + 3)
    assert len(events.of(RequestWouldBeRefused)) == 3
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "undeclared proxy" in record.getMessage()
    assert "is not enforced on them" in record.getMessage()
    assert "write client_address=['" in record.getMessage()


@pytest.mark.parametrize(
    "request_",
    [
        {"client": PUBLIC, "headers": {"X-Forwarded-For": "11.22.33.45"}},
        {"client": ("2600::1", 1), "headers": {"X-Forwarded-For": "11.22.33.45"}},
        {"client": ("testclient", 1), "headers": {"X-Forwarded-For": "11.22.33.45"}},
        {"client": ("10.1.2.3", 1), "headers": {}},
        {"client": ("10.1.2.3", 1), "headers": {"X-Forwarded-For": ""}},
        {"client": None, "headers": {}},
    ],
    ids=str,
)
async def test_elsewhere_the_default_rate_is_enforced(request_, caplog) -> None:
    """A public peer may write what it likes, and a private one that forwards nothing speaks for itself."""
    found = await statuses(Guard(greet), DEFAULT_AMOUNT + 1, **request_)

    assert found == [*[200] * DEFAULT_AMOUNT, 429]
    assert "not enforced" not in caplog.text


@pytest.mark.parametrize("rate", ["2/minute", RateLimit("2/minute"), [Limit(2, 60)]], ids=["text", "settings", "limit"])
async def test_a_rate_that_was_asked_for_is_enforced_on_everybody(rate) -> None:
    """Whoever wrote it meant it."""
    found = await statuses(
        Guard(greet, rate_limit=rate), 3, client=("10.1.2.3", 1), headers={"X-Forwarded-For": "11.22.33.44"}
    )

    assert found == [200, 200, 429]


async def test_behind_a_proxy_that_was_declared_the_default_rate_is_enforced() -> None:
    """There the client is known, also one with a private address."""

    class DeclaredProxyLayer(Layer):
        def admit(self, exchange: Exchange) -> None:
            exchange.is_peer_trusted = True
            exchange.set_client("10.9.9.9")

    app = Middleware(Guard(greet), DeclaredProxyLayer())

    found = await statuses(app, DEFAULT_AMOUNT + 1, client=("10.1.2.3", 1), headers={"X-Forwarded-For": "10.9.9.9"})

    assert found[-1] == 429


@pytest.mark.parametrize("declared", [["10.1.2.3"], ["10.0.0.0/8"], ClientAddress(hops=1)], ids=str)
async def test_each_client_of_a_declared_proxy_has_its_own_limit(declared, caplog) -> None:
    """Then the default rate is enforced, on whoever asks too often and on nobody else."""
    app = Guard(greet, client_address=declared)
    behind = {"client": ("10.1.2.3", 1)}

    greedy = await statuses(app, DEFAULT_AMOUNT + 1, headers={"X-Forwarded-For": "11.22.33.44"}, **behind)
    other = await statuses(app, 1, headers={"X-Forwarded-For": "11.22.33.45"}, **behind)

    assert (greedy, other) == ([*[200] * DEFAULT_AMOUNT, 429], [200])
    assert caplog.records == []


# settings


@pytest.mark.parametrize(
    "rate",
    [
        "2/minute",
        "2 per minute",
        "2/minute;9/hour",
        Limit(2, 60),
        ["2/minute", "9/hour"],
        ("2/minute", Limit(9, 3_600)),
        RateLimit("2/minute"),
        RateLimit(rate=["2/minute"]),
    ],
    ids=without_addresses,
)
async def test_a_rate_is_given_in_whatever_form_is_natural(rate) -> None:
    """To the middleware and to the guard."""
    for app in (RateLimitMiddleware(greet, rate), RateLimitMiddleware(greet, rate=rate), Guard(greet, rate_limit=rate)):
        assert await statuses(app, 3) == [200, 200, 429]


async def no_plain_function(exchange: Any) -> int:
    """Stand for a function that would never be awaited."""
    return 0


class AwaitedStore:
    """Stands for a store over a network, whose answers are awaited."""

    synchronous = False

    def bucket(self, name: str, limits: Any, algorithm: str = "strict") -> Any:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("fields", "problem_ids"),
    [
        ({"rate": ""}, ["AG210"]),
        ({"rate": "fast"}, ["AG210"]),
        ({"rate": "100/min"}, ["AG210"]),
        ({"rate": "0/minute"}, ["AG210"]),
        ({"rate": "5/minute;5/minute"}, ["AG210"]),
        ({"rate": None}, ["AG210"]),
        ({"rate": 100}, ["AG210"]),
        ({"rate": b"100/minute"}, ["AG210"]),
        ({"rate": []}, ["AG210"]),
        ({"rate": [100]}, ["AG210"]),
        ({"rate": "5/minute", "cost": 6}, ["AG101"]),
        ({"rate": "9/minute;5/hour", "cost": 6}, ["AG101"]),
        ({"rate": "5/minute", "cost": 0}, ["AG101"]),
        ({"rate": "5/minute", "cost": True}, ["AG101"]),
        ({"rate": "5/minute", "key": "client"}, ["AG109"]),
        ({"rate": "5/minute", "count": no_plain_function}, ["AG212"]),
        ({"rate": "5/minute", "count": 401}, ["AG109"]),
        ({"rate": "5/minute", "exempt": "me"}, ["AG109"]),
        ({"rate": "5/minute", "methods": ["post"]}, ["AG213"]),
        ({"rate": "5/minute", "methods": ["POST "]}, ["AG213"]),
        ({"rate": "5/minute", "methods": "POST"}, ["AG106"]),
        ({"rate": "5/minute", "paths": ["login"]}, ["AG214"]),
        ({"rate": "5/minute", "exempt_paths": ["health"]}, ["AG214"]),
        ({"rate": "5/minute", "paths": "/login"}, ["AG106"]),
        ({"rate": "5/minute", "exempt_networks": ["10.0.0.1/8"]}, ["AG301"]),
        ({"rate": "5/minute", "exempt_networks": ["localhost"]}, ["AG302"]),
        ({"rate": "5/minute", "algorithm": "concurrency", "count": bool}, ["AG216"]),
        ({"rate": "5/minute", "algorithm": "concurrency", "messages": True}, ["AG216"]),
        ({"rate": "5/minute", "burst": 2}, ["AG218"]),
        ({"rate": Limit(5, 60, burst=2)}, ["AG218"]),
        ({"rate": "5/minute", "algorithm": "gcra", "burst": 0}, ["AG101"]),
        ({"rate": "5/minute", "algorithm": "gcra", "burst": 2, "cost": 3}, ["AG101"]),
        ({"rate": "5/minute", "exclusive": 1}, ["AG103"]),
        ({"rate": "5/minute", "messages": "yes"}, ["AG103"]),
        ({"rate": "5/minute", "legacy_headers": None}, ["AG103"]),
        ({"rate": "5/minute", "store": "http://127.0.0.1"}, ["AG430"]),
        ({"rate": "5/minute", "store": {}}, ["AG111"]),
        ({"rate": "5/minute", "store": []}, ["AG211"]),
        ({"rate": "5/minute", "on_failure": "open"}, ["AG432"]),
        ({"rate": "5/minute", "on_failure": "opne", "store": "redis://localhost"}, ["AG105"]),
        ({"rate": "5/minute", "store": AwaitedStore(), "messages": True}, ["AG217"]),
        ({"rate": "5/minute", "store": MemoryStore}, ["AG211"]),
        ({"rate": "5/minute", "algorithm": "Strict"}, ["AG105"]),
        ({"rate": "5/minute", "name": ""}, ["AG104"]),
        ({"rate": "5/minute", "name": "x" * 65}, ["AG104"]),
        ({"rate": "5/minute", "shadow": 1}, ["AG103"]),
        ({"rate": "5/minute", "headers": None}, ["AG103"]),
        ({"rate": "?", "cost": 0, "key": 1, "store": 1, "shadow": 1}, ["AG210", "AG109", "AG211", "AG103"]),
    ],
    ids=without_addresses,
)
def test_settings_that_cannot_work_do_not_start(fields, problem_ids) -> None:
    """All problems at once."""
    with pytest.raises(ConfigError) as caught:
        RateLimit(**fields)
    assert [problem.id for problem in caught.value.problems] == problem_ids
    with pytest.raises(ConfigError):
        RateLimitMiddleware(greet, **fields)


@pytest.mark.parametrize(
    ("positional", "fields", "says"),
    [
        ([], {}, "RateLimit.rate is required"),
        ([], {"cost": 2}, "RateLimit.rate is required"),
        ([RateLimit("5/minute")], {"cost": 2}, "by its fields, not both"),
        (["5/minute"], {"costs": 2}, "Did you mean 'cost'?"),
        ([True], {}, "must be a rate"),
    ],
)
def test_the_middleware_says_what_is_wrong_with_its_arguments(positional, fields, says) -> None:
    """A rate is required, in one form, and fields have names."""
    with pytest.raises(ConfigError, match=re.escape(says)):
        RateLimitMiddleware(greet, *positional, **fields)


STORES = {
    "a number": 6379,
    "a client": redis.Redis.from_url("redis://:hunter2@localhost"),
    "a client of asyncio": redis.asyncio.Redis.from_url("redis://:hunter2@localhost"),
    "a class": RedisStore,
}


@pytest.mark.parametrize("store", STORES.values(), ids=STORES)
def test_what_is_no_store_is_not_shown(store) -> None:
    """A client of Redis tells its password to whoever prints it; what to write instead is said."""
    with pytest.raises(ConfigError) as caught:
        RateLimit("5/minute", store=store)
    (problem,) = caught.value.problems
    given = "the class itself" if isinstance(store, type) else f"a value of type {type(store).__name__}"
    assert (problem.id, problem.value) == ("AG211", given)
    assert "redis://localhost:6379" in problem.remedy
    assert "RedisStore" in problem.remedy


@pytest.mark.parametrize("store", ["memory", "memory://", "async+memory://"])
def test_memory_has_no_url(store) -> None:
    """What it is called elsewhere is answered with what to write here."""
    with pytest.raises(ConfigError, match=r"RateLimit.store .*Leave it out to count in memory"):
        RateLimit("5/minute", store=store)


def test_what_is_done_while_a_store_is_away_can_be_read() -> None:
    """What holds, also where nobody has said it; functions by their names, and no secret."""
    store = RedisStore("redis://:hunter2@localhost", on_failure="closed", namespace="shop", secret="hunter3")
    policies = [
        RateLimit("5/second", store=store, key=by_client),
        RateLimit("6/second", name="open", store=store, on_failure="open"),
        RateLimit("7/second", name="tried", store=store, shadow=True),
        RateLimit("8/second", name="other", store=LimitsStore(MemoryStorage()), on_failure="closed"),
    ]

    text = Guard(greet, rate_limit=policies).explain(whole=True)

    assert [line for line in text.splitlines() if line.startswith("  503 while ")] == [
        "  503 while RedisStore('redis://localhost', namespace='shop') is away",
        "  503 while LimitsStore(MemoryStorage) is away (other)",
    ]
    assert (
        "RedisStore(url='redis://localhost', timeout_seconds=0.025, connect_timeout_seconds=1.0, on_failure='closed', "
        "local_share=1.0, namespace='shop', secret='<hidden>')"
    ) in text
    assert "LimitsStore(storage='MemoryStorage', strategy='sliding-window-counter', timeout_seconds=0.25," in text
    assert "key=by_client" in text
    assert "hunter" not in text
    assert " at 0x" not in text.partition("rate_limit: ")[2]


def test_what_is_refused_can_be_read() -> None:
    """The limits, and whether they are enforced."""
    enforced = Guard(greet, rate_limit="5/second;100/minute").explain()
    shadow = Guard(greet, rate_limit=RateLimit("5/second", shadow=True)).explain()

    assert "429 for more than 5/second or 100/minute from one client" in enforced
    assert "429 would be answered (shadow) for more than 5/second" in shadow
