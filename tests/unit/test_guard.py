"""Guard: the standard stack, its forms and its order; what it says of itself, and what it refuses to start with."""

from __future__ import annotations

import copy
import inspect
import os
import pickle
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard import (
    CORS,
    HTTPS,
    Alert,
    Audit,
    ClientAddress,
    ConfigError,
    ErrorEnvelope,
    FetchMetadata,
    Guard,
    IPFilter,
    Monitor,
    RateLimit,
    RateLimitMiddleware,
    RequestID,
    RequestLimits,
    SecurityHeaders,
    TrustedHost,
)
from asgi_guard.guard import ORDER
from asgi_guard.layers.security_headers import PRESETS
from asgi_guard.limiting.rate import Limit, parse_rate
from asgi_guard.testing import (
    ProtocolViolation,
    StrictServer,
    call,
    capture_events,
    http_scope,
    lifespan,
    request_messages,
    websocket,
)


def without_addresses(given: object) -> str:
    """Name a case alike in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(given))[:60]


pytestmark = pytest.mark.anyio

OFF_UNTIL_SET = {"audit", "cors", "trusted_host", "https", "ip_filter", "fetch_metadata"}

SHOP = "https://shop.example"
PROXY = ("10.0.0.1", 40_000)
CLIENT = "203.0.113.7"
EVERYTHING: dict[str, Any] = {
    "client_address": ["10.0.0.0/8"],
    "request_id": RequestID(inbound="trusted"),
    "audit": Audit(sinks=["log"]),
    "cors": SHOP,
    "trusted_host": "api.example",
    "https": "require",
    "ip_filter": IPFilter(block=["203.0.113.66"]),
    "request_limits": RequestLimits(total_seconds=60, idle_seconds=60, max_concurrent=100),
    "fetch_metadata": True,
    "rate_limit": [
        RateLimit("2/minute"),
        RateLimit("9/minute", name="failures", algorithm="gcra", count=lambda exchange: exchange.status >= 500),
        RateLimit("9/minute", name="at once", algorithm="concurrency", paths=["/"], exempt_paths=["/health"]),
    ],
}
ASKED = {
    "Host": "api.example",
    "X-Forwarded-For": CLIENT,
    "X-Forwarded-Proto": "https",
    "X-Request-ID": "0123456789abcdef",
    "Origin": SHOP,
    "Sec-Fetch-Site": "same-site",
}


@pytest.fixture(scope="module", autouse=True)
def _rates_were_read_before() -> None:
    """Import the library that reads rates before a loop is watched: it reads files when it is imported."""
    parse_rate("1/second")


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Answer, or accept a WebSocket, or take part in a lifespan."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
    else:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"hello"})


async def fail(scope: Any, receive: Any, send: Any) -> None:
    """Fail before anything is sent."""
    raise RuntimeError("secret")


async def unreachable(scope: Any, receive: Any, send: Any) -> None:
    """Stand for an application that a refusal keeps from being called."""
    raise AssertionError("the application was called")


async def no_listener(event: Any) -> None:
    """Stand for a listener that would never be awaited."""


class AwaitedListener:
    """Stands for an object that would never be awaited."""

    async def __call__(self, event: Any) -> None:
        """Never run."""


class Framework:
    """Stands for an application with an interface of its own."""

    title = "orders"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await greet(scope, receive, send)

    def get(self, path: str) -> str:
        """Stand for a method of the framework's."""
        return f"GET {path}"


def ids(error: ConfigError) -> dict[str, str]:
    """Return the broken rules by field."""
    return {problem.field: problem.id for problem in error.problems}


# what it is


async def test_a_guard_that_is_told_nothing_has_safe_defaults() -> None:
    """One line, and an answer has all of it."""
    response = await call(Guard(greet), scheme="https")

    assert (response.status, response.body) == (200, b"hello")
    assert [name.decode() for name, _ in response.headers] == [
        "content-type",
        "ratelimit",
        "ratelimit-policy",
        "x-content-type-options",
        "x-frame-options",
        "referrer-policy",
        "strict-transport-security",
        "content-security-policy",
        "x-request-id",
    ]


def test_the_order_of_the_stack_is_written_down_once() -> None:
    """Outermost first; a change here is a change of what the package promises."""
    assert list(ORDER) == [
        "telemetry",
        "monitor",
        "client_address",
        "request_id",
        "audit",
        "cors",
        "security_headers",
        "error_envelope",
        "endpoints",
        "trusted_host",
        "https",
        "ip_filter",
        "request_limits",
        "fetch_metadata",
        "rate_limit",
        "validation",
    ]


def test_the_layers_stand_in_this_order() -> None:
    """Whatever the order of the keywords; what could not work without being told something is off until it is."""
    guard = Guard(greet, **dict(reversed(EVERYTHING.items())))

    assert [layer.name for layer in guard.layers] == list(ORDER)
    assert {layer.name for layer in Guard(greet).layers} == set(ORDER) - OFF_UNTIL_SET


def test_what_is_not_built_yet_is_known_by_name() -> None:
    """A part that is built leaves this list."""


def test_each_part_is_a_keyword_that_a_type_checker_sees() -> None:
    """So a misspelt one is found before it runs, and, where nobody checks, by Python itself."""
    parameters = inspect.signature(Guard).parameters

    assert set(parameters) == {"app", "listeners", *ORDER}
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in [*ORDER, "listeners"])
    with pytest.raises(TypeError, match="rate_limits"):
        Guard(greet, rate_limits="5/minute")  # type: ignore[call-arg]


async def test_a_lifespan_passes_and_a_websocket_is_guarded() -> None:
    """Under every loop."""
    guard = Guard(greet)

    async with lifespan(guard) as state:
        assert state == {}
    async with websocket(guard) as session:
        assert session.accepted is not None
        assert session.headers.get("x-request-id") is not None


# each part on, off, and in its other forms


@pytest.mark.parametrize(
    ("part", "forms"),
    [
        ("request_id", [True, RequestID()]),
        ("error_envelope", [True, ErrorEnvelope()]),
        ("security_headers", [True, "auto", SecurityHeaders(), SecurityHeaders(preset="auto")]),
        ("request_limits", [True, RequestLimits()]),
        ("rate_limit", [True, "100/minute", ["100/minute"], Limit(100, 60, "100/minute"), RateLimit("100/minute")]),
    ],
)
async def test_each_form_of_a_part_is_the_same_part(part, forms) -> None:
    """True, its settings, and the short form where there is one."""
    assert part in ORDER
    plain = await call(Guard(greet, request_id=False), scheme="https")

    for form in forms:
        guard = Guard(greet, **{"request_id": False, part: form})
        response = await call(guard, scheme="https")
        names = [pair for pair in response.headers if pair[0] not in {b"x-request-id", b"ratelimit"}]
        assert names == [pair for pair in plain.headers if pair[0] != b"ratelimit"]
        assert part in {layer.name for layer in guard.layers}


@pytest.mark.parametrize(
    ("part", "forms", "settings"),
    [
        ("client_address", [True, [], (), ClientAddress()], "ClientAddress(trusted="),
        ("client_address", [["10.0.0.0/8"], ClientAddress(trusted=["10.0.0.0/8"])], "trusted=['10.0.0.0/8']"),
        ("cors", [SHOP, [SHOP], CORS(origins=[SHOP])], f"CORS(origins=['{SHOP}']"),
        ("cors", ["*", ["*"], CORS(origins=["*"])], "CORS(origins=['*']"),
        ("trusted_host", ["a.example", ["a.example"], TrustedHost(["a.example"])], "TrustedHost(hosts=['a.example']"),
        ("https", [True, "redirect", HTTPS()], "HTTPS(mode='redirect'"),
        ("https", ["require", HTTPS(mode="require")], "HTTPS(mode='require'"),
        ("ip_filter", [["192.0.2.0/24"], IPFilter(allow=["192.0.2.0/24"])], "IPFilter(allow=['192.0.2.0/24']"),
        ("fetch_metadata", [True, FetchMetadata()], "FetchMetadata(same_site=True"),
    ],
)
def test_each_form_makes_the_same_settings(part, forms, settings) -> None:
    """One text or a list of them is what the part cannot do without."""
    for form in forms:
        guard = Guard(greet, **{part: form})
        (layer,) = [layer for layer in guard.layers if layer.name == part]
        told = next(line for line in guard.explain(whole=True).splitlines() if line.startswith(f"{part}: "))
        assert layer.settings == forms[-1] or not form
        assert settings in told


@pytest.mark.parametrize(
    ("part", "problems"),
    [
        ("cors", {"CORS.origins": "AG111"}),
        ("trusted_host", {"TrustedHost.hosts": "AG111"}),
        ("ip_filter", {"Guard.ip_filter": "AG226"}),
    ],
)
def test_true_is_not_enough_for_a_part_that_must_be_told_whom(part, problems) -> None:
    """It would let everybody in, or nobody."""
    with pytest.raises(ConfigError) as caught:
        Guard(greet, **{part: True})
    assert ids(caught.value) == problems


@pytest.mark.parametrize(
    ("part", "short", "problems"),
    [
        ("client_address", ["*"], {"ClientAddress.trusted": "AG305"}),
        ("client_address", "10.0.0.0/8", {"ClientAddress": "AG112"}),
        ("cors", "shop.example", {"CORS.origins[0]": "AG340"}),
        ("cors", [], {"CORS.origins": "AG106"}),
        ("trusted_host", "*", {"TrustedHost.hosts[0]": "AG311"}),
        ("trusted_host", [], {"TrustedHost.hosts": "AG106"}),
        ("https", "required", {"HTTPS.mode": "AG105"}),
        ("ip_filter", [], {"IPFilter.allow": "AG320"}),
        ("ip_filter", "192.0.2.0/24", {"IPFilter": "AG112"}),
        ("fetch_metadata", "strict", {"FetchMetadata": "AG112"}),
    ],
    ids=str,
)
def test_a_short_form_is_checked_as_the_settings_are(part, short, problems) -> None:
    """By the same rules, with the same ids."""
    with pytest.raises(ConfigError) as caught:
        Guard(greet, **{part: short})
    assert ids(caught.value) == problems


async def test_a_part_that_is_off_is_not_there() -> None:
    """Each alone, and nothing else changes."""
    without_ids = await call(Guard(greet, request_id=False))
    without_headers = await call(Guard(greet, security_headers=False))
    without_rate = await call(Guard(greet, rate_limit=False))
    without_limits = await call(Guard(greet, request_limits=False), headers={"Content-Length": "-1"})

    assert without_ids.headers.get("x-request-id") is None
    assert without_headers.headers.get("x-frame-options") is None
    assert without_rate.headers.get("ratelimit") is None
    assert without_limits.status == 200
    with pytest.raises(RuntimeError, match="secret"):
        await call(Guard(fail, error_envelope=False))


async def test_with_everything_off_it_is_not_there_at_all() -> None:
    """What the application sends is what the client gets, its silence too."""
    off = dict.fromkeys(ORDER, False)

    async def silent(scope: Any, receive: Any, send: Any) -> None:
        """Return without a word."""

    response = await call(Guard(greet, **off))

    assert response.headers == ((b"content-type", b"text/html"),)
    with pytest.raises(ProtocolViolation):
        await call(Guard(silent, **off))


@pytest.mark.parametrize("preset", PRESETS)
async def test_a_preset_is_the_short_form_of_security_headers(preset) -> None:
    """One word."""
    response = await call(Guard(greet, security_headers=preset))

    assert response.headers.get("content-security-policy") == PRESETS[preset]["page"]["content-security-policy"]


# what it refuses to start with


@pytest.mark.parametrize("part", sorted(ORDER))
@pytest.mark.parametrize("wrong", [None, 0, 1, 7, {}, {"rate": "5/minute"}, object, b"strict"], ids=repr)
def test_a_part_in_no_known_form_is_refused(part, wrong) -> None:
    """None, numbers and dicts say neither on nor off nor how; two parts take a dict, and may be told nothing."""
    if part in {"monitor", "validation"} and wrong == {}:
        wrong = {"rate": "5/minute"}
    with pytest.raises(ConfigError) as caught:
        Guard(greet, **{part: wrong})
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    "settings", [RequestID(), RateLimit("5/minute"), RequestLimits()], ids=lambda s: type(s).__name__
)
def test_the_settings_of_another_part_are_refused(settings) -> None:
    """They would have been ignored, or worse."""
    with pytest.raises(ConfigError, match="ErrorEnvelope must be given as True, as an instance"):
        Guard(greet, error_envelope=settings)


@pytest.mark.parametrize("app", [None, "main:app", 7, object()], ids=lambda app: type(app).__name__)
def test_what_cannot_be_called_is_no_application(app) -> None:
    """It is said at the start, not at the first request."""
    with pytest.raises(ConfigError) as caught:
        Guard(app)
    assert ids(caught.value) == {"Guard.app": "AG109"}


@pytest.mark.parametrize(
    ("listeners", "problems"),
    [
        ("print", {"Guard.listeners": "AG223"}),
        (print, {"Guard.listeners": "AG223"}),
        (None, {"Guard.listeners": "AG223"}),
        (7, {"Guard.listeners": "AG223"}),
        (["print"], {"Guard.listeners[0]": "AG109"}),
        ([print, no_listener], {"Guard.listeners[1]": "AG222"}),
        ([AwaitedListener()], {"Guard.listeners[0]": "AG222"}),
        ([None, no_listener, 7], {f"Guard.listeners[{at}]": f"AG{n}" for at, n in enumerate((109, 222, 109))}),
    ],
    ids=without_addresses,
)
def test_listeners_are_plain_functions_in_a_list(listeners, problems) -> None:
    """A bare function is no list of functions, and what is never awaited never runs."""
    with pytest.raises(ConfigError) as caught:
        Guard(greet, listeners=listeners)
    assert ids(caught.value) == problems


async def test_listeners_may_come_from_anything_that_yields_them() -> None:
    """A tuple, a set, a generator."""
    events = capture_events()

    for listeners in ((events,), {events}, (listener for listener in [events])):
        events.clear()
        await call(Guard(greet, listeners=listeners, monitor=False))
        assert {event.layer for event in events} == {"request_limits", "rate_limit", "validation"}


def test_refusals_of_what_is_no_part_are_not_waited_for() -> None:
    """A misspelt name would never ban anybody."""
    filters = IPFilter(ban_after="3/minute", ban_layers=["rate_limit", "rate_limits"])

    with pytest.raises(ConfigError) as caught:
        Guard(greet, ip_filter=filters)

    assert [(problem.id, problem.field, problem.value) for problem in caught.value.problems] == [
        ("AG232", "Guard.ip_filter", "'rate_limits'")
    ]


def test_every_problem_of_every_part_is_told_at_once() -> None:
    """Who mends a configuration wants to start it once more, not twelve times."""
    wrong: Any = {
        "security_headers": "strickt",
        "rate_limit": "fast",
        "telemetry": "otpl",
        "client_address": ["*"],
        "cors": "http://shop.example/",
        "trusted_host": "*",
        "https": "requierd",
        "ip_filter": True,
        "fetch_metadata": 7,
        "request_limits": None,
        "listeners": [7],
    }

    with pytest.raises(ConfigError) as caught:
        Guard("main:app", **wrong)

    assert ids(caught.value) == {
        "Guard.app": "AG109",
        "Guard.listeners[0]": "AG109",
        "Telemetry.export": "AG105",
        "Guard.request_limits": "AG221",
        "Guard.ip_filter": "AG226",
        "ClientAddress.trusted": "AG305",
        "CORS.origins[0]": "AG340",
        "TrustedHost.hosts[0]": "AG311",
        "HTTPS.mode": "AG105",
        "FetchMetadata": "AG112",
        "SecurityHeaders.preset": "AG105",
        "RateLimit.rate": "AG210",
    }
    assert "12 settings are wrong" in str(caught.value)
    assert "Did you mean 'strict'?" in str(caught.value)


# what it says of itself


def test_it_explains_each_part_in_order() -> None:
    """What is on with its settings and its refusals, and what is off."""
    text = Guard(greet, security_headers=False, rate_limit="5/second;100/minute").explain(whole=True)

    parts = [line for line in text.splitlines() if not line.startswith(" ")]
    assert [line.partition(":")[0] for line in parts] == list(ORDER)
    assert "security_headers: off" in parts
    assert "  429 for more than 5/second or 100/minute from one client" in text.splitlines()
    assert "max_body_bytes=10485760" in text
    assert all(f"{name}: off" in parts for name in OFF_UNTIL_SET)


def test_it_explains_what_was_set_and_leaves_out_what_is_by_default() -> None:
    """What a person looks for would be lost among fifty fields."""
    guard = Guard(greet, security_headers="strict", monitor=Monitor(alerts=[Alert("slow", "response_time", above=1)]))
    lines = guard.explain().splitlines()

    assert "security_headers: SecurityHeaders(preset='strict')" in lines
    assert "monitor: Monitor(alerts=[Alert(name='slow', signal='response_time', above=1)])" in lines
    assert "request_id: RequestID()" in lines
    assert "rate_limit: RateLimit(rate='100/minute')" in lines


def test_it_explains_what_each_part_refuses() -> None:
    """Under the part, with the status."""
    lines = Guard(greet, **EVERYTHING).explain().splitlines()

    for name, refusal in {
        "cors": "403 for the WebSocket handshake of a foreign origin",
        "trusted_host": "421 for other hosts than api.example",
        "https": "403 for what came without TLS, but for requests under /.well-known/acme-challenge/",
        "ip_filter": "403 for 1 blocked addresses and networks",
        "fetch_metadata": "403 for what a page of another site starts, except GET navigations",
        "rate_limit": "429 for more than 2/minute from one client",
    }.items():
        at = lines.index(f"  {refusal}")
        assert next(line for line in reversed(lines[:at]) if not line.startswith(" ")).startswith(f"{name}: ")


def test_it_explains_itself_and_not_what_it_wraps() -> None:
    """Fused or not, the settings of another guard are that guard's."""
    inner = Guard(greet, security_headers="strict", rate_limit="1/day", error_envelope=False)
    outer = Guard(inner, security_headers=False)
    around_a_part = Guard(RateLimitMiddleware(greet, "1/day"))

    assert "security_headers: off" in outer.explain()
    assert "1/day" in inner.explain()
    assert "1/day" not in outer.explain()
    assert "1/day" not in around_a_part.explain()
    assert "100/minute" in around_a_part.explain()


def test_its_repr_names_the_application_and_the_parts_that_are_on() -> None:
    """Short enough for a log line."""
    guard = Guard(Framework(), security_headers=False)

    assert "Framework" in repr(guard)
    assert repr(guard).endswith(
        ": telemetry, monitor, client_address, request_id, error_envelope, endpoints, request_limits, rate_limit, "
        "validation>"
    )
    assert repr(Guard(greet, **EVERYTHING)).endswith(
        ": telemetry, monitor, client_address, request_id, audit, cors, security_headers, error_envelope, endpoints, "
        "trusted_host, https, ip_filter, request_limits, fetch_metadata, rate_limit, validation>"
    )
    assert repr(Guard(greet, **dict.fromkeys(ORDER, False))).endswith(": nothing>")


def test_its_repr_survives_an_application_without_one() -> None:
    """A guard that cannot be shown could not be debugged."""

    class Shy(Framework):
        def __repr__(self) -> str:
            raise RuntimeError

    assert "Shy" in repr(Guard(Shy()))


# everything at once


async def ask(app: Any, *args: Any, client: Any = PROXY, **headers: str) -> Any:
    """Ask as the shop's page does, through the proxy, with some headers changed."""
    return await call(app, *args, headers={**ASKED, **headers}, client=client)


async def test_with_everything_on_a_friend_is_served() -> None:
    """Each part has its say, in one answer, and Vary says on what it depends."""
    response = await ask(Guard(greet, **EVERYTHING))

    assert (response.status, response.body) == (200, b"hello")
    assert response.headers.get("access-control-allow-origin") == SHOP
    assert response.headers.get("strict-transport-security") is not None
    assert {name.strip().lower() for name in (response.headers.get("vary") or "").split(",")} == {
        "origin",
        "sec-fetch-dest",
        "sec-fetch-mode",
        "sec-fetch-site",
    }


async def test_behind_the_trusted_proxy_each_client_counts_for_itself() -> None:
    """By the address that the proxy saw, not by that of the proxy, and not by what the client wrote."""
    guard = Guard(greet, **EVERYTHING, listeners=[events := capture_events()])

    first = [(await ask(guard, **{"X-Forwarded-For": f"198.51.100.{n}, {CLIENT}"})).status for n in range(3)]
    other = await ask(guard, **{"X-Forwarded-For": "203.0.113.8"})

    assert (first, other.status) == ([200, 200, 429], 200)
    assert {event.client for event in events} == {CLIENT, "203.0.113.8"}


async def test_only_the_trusted_proxy_names_the_request() -> None:
    """Who comes past it gets an id of the guard's own."""
    guard = Guard(greet, **EVERYTHING)

    through = await ask(guard)
    past = await ask(guard, client=("198.51.100.9", 1))

    assert through.headers.get("x-request-id") == ASKED["X-Request-ID"]
    assert past.headers.get("x-request-id") not in {None, ASKED["X-Request-ID"]}


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"Host": "evil.example"}, 421, "UNTRUSTED_HOST"),
        ({"X-Forwarded-Proto": "http"}, 403, "HTTPS_REQUIRED"),
        ({"X-Forwarded-For": "203.0.113.66"}, 403, "ADDRESS_BLOCKED"),
        ({"Content-Length": "-1"}, 400, None),
        ({"Sec-Fetch-Site": "cross-site"}, 403, "CROSS_SITE_REQUEST"),
    ],
    ids=str,
)
async def test_each_refusal_can_be_read_by_the_friend_and_found_in_the_log(changed, status, code) -> None:
    """It carries the CORS headers, the security headers and the request id."""
    response = await ask(Guard(unreachable, **EVERYTHING), **changed)

    assert response.status == status
    assert code in {None, response.json()["error"]["code"]}
    assert response.headers.get("access-control-allow-origin") == SHOP
    assert response.headers.get("x-content-type-options") == "nosniff"
    assert response.headers.get("x-request-id") == ASKED["X-Request-ID"]


async def test_so_can_an_error_and_a_rate_that_is_exceeded() -> None:
    """Also where the application failed."""
    guard = Guard(fail, **EVERYTHING)

    responses = [await ask(guard) for _ in range(3)]

    assert [response.status for response in responses] == [500, 500, 429]
    for response in responses:
        assert response.headers.get("access-control-allow-origin") == SHOP
        assert response.headers.get("x-request-id") == ASKED["X-Request-ID"]
        assert b"secret" not in response.body


async def test_what_costs_least_refuses_first() -> None:
    """Whoever breaks several rules is told of the outermost, and is not counted."""
    guard = Guard(greet, **EVERYTHING)
    wrong = {
        "Host": "evil.example",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-For": "203.0.113.66",
        "Content-Length": "-1",
        "Sec-Fetch-Site": "cross-site",
    }

    found = []
    while wrong:
        found.append((await ask(guard, **wrong)).status)
        del wrong[next(iter(wrong))]

    assert found == [421, 403, 403, 400, 403]
    assert [(await ask(guard)).status for _ in range(3)] == [200, 200, 429]


async def test_a_preflight_is_answered_before_anybody_refuses_it() -> None:
    """Browsers send it without cookies and under no rate: it tells nothing but what the origin may do."""
    guard = Guard(unreachable, **{**EVERYTHING, "rate_limit": "1/day"})

    for _ in range(3):
        response = await ask(guard, "OPTIONS", **{"Access-Control-Request-Method": "POST"})
        assert (response.status, response.body) == (204, b"")
        assert response.headers.get("access-control-allow-origin") == SHOP


async def test_a_foreign_page_is_told_nothing() -> None:
    """Neither what was refused to it nor why."""
    response = await ask(Guard(unreachable, **EVERYTHING), Origin="https://evil.example", Host="evil.example")

    assert response.status == 421
    assert not [name for name, _ in response.headers if name.startswith(b"access-control-")]


async def test_a_handshake_passes_through_everything_too() -> None:
    """From a friend; a foreign page's is refused."""
    guard = Guard(greet, **EVERYTHING)

    async with websocket(guard, headers=ASKED, client=PROXY) as session:
        assert session.accepted is not None
        assert session.headers.get("x-request-id") == ASKED["X-Request-ID"]
    async with websocket(guard, headers={**ASKED, "Origin": "https://evil.example"}, client=PROXY) as session:
        assert session.denial is not None
        assert session.denial.status == 403


# what it passes on


def test_what_it_has_not_is_the_applications() -> None:
    """So a guarded framework is still that framework; also through two guards."""
    for guard in (Guard(Framework()), Guard(Guard(Framework()))):
        assert guard.get("/orders") == "GET /orders"
        assert guard.title == "orders"
        assert isinstance(guard.app, Framework | Guard)


def test_what_neither_has_is_missing_by_name() -> None:
    """Neither a silent None nor a recursion."""
    guard = Guard(Framework())

    assert not hasattr(guard, "nothing")
    with pytest.raises(AttributeError, match="'Framework' object has no attribute 'nothing'"):
        _ = guard.nothing


@pytest.mark.parametrize("probe", ["__wrapped__", "__fspath__", "__await__", "__len__", "__iter__", "__code__"])
def test_a_guard_does_not_pretend_to_be_what_it_wraps(probe) -> None:
    """Servers and test runners look for special names to tell what an object is."""
    assert not hasattr(Guard(greet), probe)


def test_it_can_be_looked_at_and_copied() -> None:
    """Without recursion, also where there is no application yet."""
    guard = Guard(Framework())

    assert inspect.unwrap(guard) is guard
    assert inspect.iscoroutinefunction(guard.__call__)
    assert list(inspect.signature(guard).parameters) == ["scope", "receive", "send"]
    assert copy.copy(guard).get("/") == "GET /"
    with pytest.raises(TypeError):  # it holds locks
        pickle.dumps(guard)
    with pytest.raises(AttributeError):
        _ = object.__new__(Guard).title


# whoever asks

NAMES = [
    b"accept",
    b"Accept",
    b"host",
    b"content-length",
    b"transfer-encoding",
    b"x-request-id",
    b"forwarded",
    b"\xff",
    b"",
]
VALUES = [b"", b'"', b"text/html;q=", b"text/html;q=nan, */*;q=1e5", b"-1", b"5", b"chunked", b"for=", b"\xff\xfe"]
CLIENTS = [
    None,
    ("", "0"),
    ["::ffff:1.2.3.4", 1],
    ("%", 1),
    (":", 1),
    ("::%", 1),
    ("::ffff:", 1),
    ("::ffff:.", 1),
    ("\0:", 1),
]

hostile_scopes = st.fixed_dictionaries(
    {},
    optional={
        "method": st.text(max_size=8),
        "path": st.text(st.characters(), max_size=16),
        "raw_path": st.none() | st.binary(max_size=16),
        "query_string": st.binary(max_size=16),
        "scheme": st.sampled_from(["http", "https", "", None]),
        "client": st.sampled_from(CLIENTS) | st.tuples(st.text(max_size=16), st.integers()),
        "state": st.sampled_from([None, {}, {"request_id": 7}]),
        "extensions": st.none(),
        "http_version": st.sampled_from(["1", "2", ""]),
        "headers": st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.binary(max_size=16))),
    },
)


@given(changes=hostile_scopes, preset=st.sampled_from(list(PRESETS)))
def test_whatever_is_asked_is_answered(changes: dict[str, Any], preset: Any) -> None:
    """By the application or by a refusal, never by an error, and the scope of the caller is as it was."""
    guard = Guard(greet, security_headers=preset, rate_limit="1/day", request_id=RequestID(inbound="always"))
    scope = {**http_scope(), **changes}
    before = copy.deepcopy(scope)

    async def ask_twice() -> None:
        for _ in range(2):
            server = await StrictServer(scope, request_messages()).serve(guard)
            server.raise_for_errors()
            server.raise_unless_over()
            assert server.sent[0]["status"] in {200, 400, 429}

    anyio.run(ask_twice)

    assert scope == before


@pytest.mark.long
@given(changes=hostile_scopes, name=st.sampled_from(sorted(ASKED)), value=st.text(st.characters(max_codepoint=255)))
def test_whatever_is_asked_is_answered_with_everything_on(changes: dict[str, Any], name: str, value: str) -> None:
    """Behind a proxy that passes on what it gets, whatever a client wrote."""
    guard = Guard(greet, **{**EVERYTHING, "client_address": ClientAddress(hops=1, host=True, rewrite_scope=True)})
    headers = [(key.lower().encode(), line.encode("latin-1")) for key, line in {**ASKED, name: value}.items()]
    scope = {**http_scope(headers=headers), **changes}
    before = copy.deepcopy(scope)

    async def ask_once() -> None:
        server = await StrictServer(scope, request_messages()).serve(guard)
        server.raise_for_errors()
        server.raise_unless_over()
        assert server.sent[0]["status"] in {200, 204, 400, 403, 421, 429}

    anyio.run(ask_once)

    assert scope == before


# what it costs to start


def test_nothing_starts_in_the_constructor() -> None:
    """No thread, no task, no loop: that comes with the first request that needs it."""
    before = set(threading.enumerate())

    for _ in range(10):
        Guard(greet)

    assert set(threading.enumerate()) <= before


async def test_guards_of_one_application_share_nothing() -> None:
    """Two in one process count for themselves."""
    first, second = Guard(greet, rate_limit="1/minute"), Guard(greet, rate_limit="1/minute")

    assert [(await call(guard)).status for guard in (first, second, first)] == [200, 200, 429]


def test_a_guard_is_ready_in_150_milliseconds(tmp_path: Path) -> None:
    """Of the processor's time, the import counted in, in the best of some fresh interpreters that find its bytecode."""
    script = """
import time
begin = time.process_time()
from asgi_guard import Guard
async def app(scope, receive, send): ...
Guard(app)
print(time.process_time() - begin)
"""
    environ = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path)}  # or each of them would compile the package first
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    seconds = []
    for _ in range(6):  # the first one writes the bytecode
        run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environ)
        seconds.append(float(run.stdout))
        if seconds[-1] < 0.15:
            break

    assert min(seconds) < 0.15


async def test_one_guard_serves_many_scopes_at_once() -> None:
    """Nothing of a request stays on it."""
    guard = Guard(greet)
    before = {name: value for name, value in vars(guard).items() if not name.startswith("__")}

    servers = [await StrictServer(http_scope(path=f"/{number}")).serve(guard) for number in range(20)]

    assert len({dict(server.sent[0]["headers"])[b"x-request-id"] for server in servers}) == 20
    assert vars(guard) == before
