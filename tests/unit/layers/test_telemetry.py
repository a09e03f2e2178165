"""Telemetry: each request is measured once, to its last byte, under names that no client can write."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from types import SimpleNamespace

import pytest

from asgi_guard.engine.fuse import Middleware
from asgi_guard.errors.exceptions import ConfigError, GuardError
from asgi_guard.layers.error_envelope import ErrorEnvelopeMiddleware
from asgi_guard.layers.request_limits import RequestLimitsMiddleware
from asgi_guard.layers.telemetry import (
    CLIENT_DISCONNECT,
    INCOMPLETE,
    Telemetry,
    TelemetryLayer,
    TelemetryMiddleware,
)
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.testing import call, websocket
from asgi_guard.testing.protocol import ProtocolViolation

pytestmark = pytest.mark.anyio

DURATION = "http.server.request.duration"
ACTIVE = "http.server.active_requests"
CONNECTION = "asgi_guard.websocket.connection.duration"
OPEN = "asgi_guard.websocket.active_connections"
START = {"type": "http.response.start", "status": 200, "headers": []}


async def plain(scope, receive, send) -> None:
    """Answer."""
    await send(START)
    await send({"type": "http.response.body", "body": b"ok"})


def measured(aggregate, name) -> Counter:
    """Return how many requests, or how high a level, there is for each set of attributes."""
    found: Counter = Counter()
    for point in aggregate.snapshot():
        if point.metric.name == name:
            values = tuple(
                f"{key}={value}" for key, value in zip(point.metric.attributes, point.values, strict=True) if value
            )
            found[values] += point.count or point.number
    return found


def told(**attributes) -> tuple[str, ...]:
    """Name the attributes of an ordinary request, and what else there is."""
    usual = {
        "http.request.method": "GET",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "http.route": "",
        "http.response.status_code": "200",
        "error.type": "",
    }
    usual |= {name.replace("_", "."): value for name, value in attributes.items() if name != "status"}
    usual["http.response.status_code"] = attributes.get("status", "200")
    return tuple(f"{name}={value}" for name, value in usual.items() if value)


async def ask(app, *requests, afterwards="wait", **settings) -> Aggregate:
    """Send these requests, and return what was counted."""
    aggregate = Aggregate()
    guarded = TelemetryMiddleware(app, aggregate=aggregate, **settings)
    for method, path in requests or [("GET", "/")]:
        with suppress(RuntimeError, ProtocolViolation):
            await call(guarded, method, path, afterwards=afterwards)
    return aggregate


async def test_a_request_is_counted_once_with_what_became_of_it() -> None:
    """And when it is over, none is on its way."""
    aggregate = await ask(plain, *[("GET", f"/items/{number}") for number in range(3)], ("HEAD", "/"))

    assert measured(aggregate, DURATION) == {told(): 3, told(http_request_method="HEAD"): 1}
    assert set(measured(aggregate, ACTIVE).values()) == {0}


@pytest.mark.parametrize("method", ["get", "FOO", "G" * 10_000, "PROPFIND"])
async def test_a_method_that_is_not_known_is_one_of_the_others(method) -> None:
    """Also one that only looks like a known one: methods are case-sensitive."""
    assert measured(await ask(plain, (method, "/")), DURATION) == {told(http_request_method="_OTHER"): 1}


async def test_methods_are_known_that_settings_name() -> None:
    """And no other."""
    aggregate = await ask(plain, ("PROPFIND", "/"), ("GET", "/"), known_methods=["PROPFIND"])
    assert [*measured(aggregate, DURATION)] == [
        told(http_request_method="PROPFIND"),
        told(http_request_method="_OTHER"),
    ]


async def test_nothing_that_a_client_writes_makes_a_series() -> None:
    """Paths, hosts, headers, odd versions and schemes."""
    aggregate = Aggregate()
    guarded = TelemetryMiddleware(plain, aggregate=aggregate)

    async def receive():
        return {"type": "http.request"}

    async def send(_message) -> None:
        pass

    for number in range(1_000):
        scope = {"type": "http", "method": f"M{number}", "path": f"/{number}", "scheme": f"s{number}"}
        scope |= {"http_version": f"{number}.9", "headers": [(b"host", b"%d.example" % number)]}
        await guarded(scope, receive, send)

    assert len(measured(aggregate, ACTIVE)) == 1
    assert measured(aggregate, DURATION) == {told(http_request_method="_OTHER", network_protocol_version=""): 1_000}


async def test_the_duration_ends_with_the_last_byte() -> None:
    """What the application does afterwards is not the client's wait."""
    now = [0]
    aggregate = Aggregate()

    async def app(scope, receive, send) -> None:
        now[0] += 1_000_000_000
        await send(START)
        now[0] += 2_000_000_000
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        now[0] += 3_000_000_000
        await send({"type": "http.response.body", "body": b"b"})
        now[0] += 50_000_000_000

    layer = TelemetryLayer(Telemetry(aggregate=aggregate), lambda: now[0] + 1)
    await call(Middleware(app, layer), "GET", "/")
    (point,) = [point for point in aggregate.snapshot() if point.metric.name == DURATION]
    assert point.total == 6_000_000_000


@pytest.mark.parametrize(
    ("raised", "status", "error"),
    [
        (RuntimeError("x"), "500", "RuntimeError"),
        (GuardError("x", status=503), "503", "asgi_guard.errors.exceptions.GuardError"),
        (GuardError("x", status=404), "404", ""),
    ],
    ids=["unexpected", "one that names its status", "the client's fault"],
)
async def test_an_exception_that_is_answered_names_itself_where_it_is_a_fault_of_the_server(
    raised, status, error
) -> None:
    """By its class, never by its text."""

    async def app(scope, receive, send) -> None:
        raise raised

    aggregate = await ask(ErrorEnvelopeMiddleware(app))
    assert measured(aggregate, DURATION) == {told(status=status, error_type=error): 1}


async def test_an_exception_that_nobody_answers_has_no_status() -> None:
    """Unless it comes after the start: then it is that of the start."""

    async def at_once(scope, receive, send) -> None:
        raise RuntimeError

    async def later(scope, receive, send) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        raise RuntimeError

    assert measured(await ask(at_once), DURATION) == {told(status="", error_type="RuntimeError"): 1}
    assert measured(await ask(later), DURATION) == {told(error_type="RuntimeError"): 1}


async def test_a_status_of_the_application_is_its_own_error() -> None:
    """From 500 on."""

    async def app(scope, receive, send) -> None:
        await send({**START, "status": 502})
        await send({"type": "http.response.body"})

    assert measured(await ask(app), DURATION) == {told(status="502", error_type="502"): 1}


async def test_an_answer_that_never_ends_is_told_apart() -> None:
    """By whether the client had left."""

    async def half(scope, receive, send) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"a", "more_body": True})

    async def until_the_client_leaves(scope, receive, send) -> None:
        await half(scope, receive, send)
        while (await receive())["type"] != "http.disconnect":
            pass

    assert measured(await ask(half), DURATION) == {told(error_type=INCOMPLETE): 1}
    assert measured(await ask(until_the_client_leaves, afterwards="disconnect"), DURATION) == {
        told(error_type=CLIENT_DISCONNECT): 1
    }


async def test_a_refusal_further_in_is_counted() -> None:
    """No instrumentation of the application can see it."""
    aggregate = await ask(RequestLimitsMiddleware(plain, max_url_bytes=64), ("GET", "/" + "a" * 100))
    assert measured(aggregate, DURATION) == {told(status="414"): 1}


def plainly(app):
    """Put a middleware around an application that is nobody's and has a `send` of its own."""

    async def between(scope, receive, send) -> None:
        async def sending(message) -> None:
            await send(message)

        await app(scope, receive, sending)

    return between


AROUND = [lambda app: app, RequestLimitsMiddleware, plainly]


@pytest.mark.parametrize("between", AROUND, ids=["at once", "further in", "something between"])
async def test_two_around_one_another_measure_once(between) -> None:
    """The one that stands outside sees more."""
    aggregate = Aggregate()
    inner = between(TelemetryMiddleware(plain, aggregate=aggregate))
    aggregate = (await ask(inner)).snapshot().merged(aggregate.snapshot())
    assert sum(point.count for point in aggregate) == 1


async def test_excluded_paths_are_not_measured() -> None:
    """Whole ones, and those that begin alike."""
    paths = ["/health", "/health/x", "/static/a.js", "/static", "/items"]
    aggregate = await ask(plain, *[("GET", path) for path in paths], excluded_paths=["/health", "/static/*"])
    assert sum(measured(aggregate, DURATION).values()) == 3


async def test_a_websocket_is_a_connection() -> None:
    """From the handshake to the close."""

    async def echo(scope, receive, send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        assert measured(aggregate, OPEN) == {("url.scheme=ws",): 1}
        await receive()

    aggregate = Aggregate()
    async with websocket(TelemetryMiddleware(echo, aggregate=aggregate), "/echo") as session:
        session.send("hello")

    assert measured(aggregate, OPEN) == {("url.scheme=ws",): 0}
    (values,) = measured(aggregate, CONNECTION)
    assert values == ("url.scheme=ws", "network.protocol.version=1.1", "http.response.status_code=101")
    assert not measured(aggregate, DURATION)


@pytest.mark.parametrize("fails", [False, True], ids=["says yes", "fails"])
async def test_a_function_may_exclude_requests(fails, caplog) -> None:
    """One that fails excludes none."""

    def exclude(scope) -> bool:
        if fails:
            raise LookupError
        return dict(scope["headers"]).get(b"x-probe") == b"1"

    aggregate = Aggregate()
    await call(TelemetryMiddleware(plain, aggregate=aggregate, exclude=exclude), "GET", "/", headers={"X-Probe": "1"})
    assert sum(measured(aggregate, DURATION).values()) == fails
    assert bool(caplog.records) is fails


async def test_bytes_are_counted_where_that_is_asked_for() -> None:
    """Those that have passed, whatever the headers say."""

    async def app(scope, receive, send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send(START)
        await send({"type": "http.response.body", "body": b"abc", "more_body": True})
        await send({"type": "http.response.body", "body": b"de"})

    for traffic in (True, False):
        aggregate = Aggregate()
        guarded = TelemetryMiddleware(app, aggregate=aggregate, traffic=traffic)
        await call(guarded, "POST", "/", body=b"1234567")
        await call(guarded, "HEAD", "/")
        sizes = {point.metric.name: point.total for point in aggregate.snapshot() if "size" in point.metric.name}
        totals = Counter()
        for point in aggregate.snapshot():
            totals[point.metric.name] += point.total if "size" in point.metric.name else 0
        assert bool(sizes) is traffic
        assert totals["http.server.request.body.size"] == 7 * traffic
        assert totals["http.server.response.body.size"] == 5 * traffic


async def test_messages_of_a_websocket_are_counted_where_that_is_asked_for() -> None:
    """By their direction."""

    async def echo(scope, receive, send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(2):
            await receive()
        await send({"type": "websocket.send", "text": "hello"})

    aggregate = Aggregate()
    async with websocket(TelemetryMiddleware(echo, aggregate=aggregate, traffic=True)) as session:
        session.send("a")
        session.send("b")

    assert measured(aggregate, "asgi_guard.websocket.messages") == {
        ("asgi_guard.websocket.direction=received",): 2,
        ("asgi_guard.websocket.direction=sent",): 1,
    }


async def test_an_answer_in_the_applications_place_names_its_layer() -> None:
    """Whoever refuses, and whoever answers for an exception."""

    async def fails(scope, receive, send) -> None:
        raise RuntimeError

    aggregate = await ask(
        ErrorEnvelopeMiddleware(RequestLimitsMiddleware(fails, max_url_bytes=64)),
        ("GET", "/" + "a" * 100),
        ("GET", "/"),
    )
    assert measured(aggregate, "asgi_guard.answers") == {
        ("asgi_guard.layer=request_limits", "http.response.status_code=414"): 1,
        ("asgi_guard.layer=error_envelope", "http.response.status_code=500"): 1,
    }
    assert not measured(await ask(plain), "asgi_guard.answers")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"http": "mine"}, "AG105 Telemetry.http"),
        ({"spans": 1}, "AG103 Telemetry.spans"),
        ({"traffic": None}, "AG103 Telemetry.traffic"),
        ({"is_public": "no"}, "AG103 Telemetry.is_public"),
        ({"excluded_paths": "/health"}, "AG106 Telemetry.excluded_paths"),
        ({"excluded_paths": ["health"]}, "AG800 Telemetry.excluded_paths[0]"),
        ({"exclude": "/health"}, "AG109 Telemetry.exclude"),
        ({"known_methods": []}, "AG106 Telemetry.known_methods"),
        ({"known_methods": [b"GET"]}, "AG104 Telemetry.known_methods[0]"),
        ({"known_methods": ["G T"]}, "AG107 Telemetry.known_methods[0]"),
        ({"known_methods": ["GET", "GET"]}, "AG801 Telemetry.known_methods[1]"),
        ({"known_methods": [f"M{number}" for number in range(65)]}, "AG101 Telemetry.known_methods"),
        ({"tracer_provider": "otlp"}, "AG802 Telemetry.tracer_provider"),
        ({"aggregate": "mine"}, "AG803 Telemetry.aggregate"),
        ({"aggregate": Aggregate(), "shared_dir": "/run/shop"}, "AG804 Telemetry.shared_dir"),
        ({"shared_dir": ""}, "AG104 Telemetry.shared_dir"),
        ({"access_log": "all"}, "AG805 Telemetry.access_log"),
        ({"access_log": 1.5}, "AG805 Telemetry.access_log"),
        ({"slow_seconds": 0}, "AG806 Telemetry.slow_seconds"),
        ({"slow_seconds": float("nan")}, "AG102 Telemetry.slow_seconds"),
        ({"request_headers": ["X Tenant"]}, "AG107 Telemetry.request_headers[0]"),
        ({"response_headers": "X-Cache"}, "AG106 Telemetry.response_headers"),
    ],
    ids=lambda value: (
        value if isinstance(value, str) else ",".join(f"{key} {type(value[key]).__name__}" for key in value)
    ),
)
def test_what_cannot_work_does_not_start(settings, problem) -> None:
    """And says why."""
    with pytest.raises(ConfigError) as caught:
        Telemetry(**settings)
    assert [f"{found.id} {found.field}" for found in caught.value.problems] == [problem]


def test_all_that_cannot_work_is_said_at_once() -> None:
    """However much it is."""
    with pytest.raises(ConfigError) as caught:
        Telemetry(http="mine", slow_seconds=-1, aggregate=1, exclude=1)
    assert len(caught.value.problems) == 4


def test_a_meter_provider_may_come_while_another_thread_meets_a_request_of_a_new_kind() -> None:
    """What was looked up without it is forgotten, for each kind that was there."""
    layer = TelemetryLayer(Telemetry(aggregate=Aggregate(), meter_provider=SimpleNamespace(get_meter=print)))

    class Answers(dict):
        def clear(self) -> None:
            super().clear()
            layer._kinds["GET", "http", str(len(layer._kinds))] = SimpleNamespace(answers={})

    both = [SimpleNamespace(answers=Answers(known=())) for _ in range(2)]
    layer._kinds |= {("GET", "http", str(number)): kind for number, kind in enumerate(both)}
    layer.took(layer, 1)

    assert [kind.answers for kind in both] == [{}, {}]
