"""Coexistence: one server span and one duration a request, whoever else measures it; real frameworks, the real SDK."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from opentelemetry.trace import SpanKind

from asgi_guard import Guard
from asgi_guard.engine.fuse import Middleware
from asgi_guard.layers.request_limits import RequestLimits, RequestLimitsLayer
from asgi_guard.layers.telemetry import Telemetry, TelemetryLayer
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.snapshot import Snapshot
from asgi_guard.telemetry.access_log import AccessLog
from asgi_guard.telemetry.coexistence import MEASURED_THERE
from asgi_guard.testing import Client, call, websocket
from asgi_guard.watch.stretch import Figures, between

fastapi = pytest.importorskip("fastapi")
contrib = pytest.importorskip("opentelemetry.instrumentation.asgi")
native = pytest.importorskip("starlette.middleware.opentelemetry", reason="Starlette has no telemetry of its own yet")
pytest.importorskip("fastapi.telemetry", reason="FastAPI has no telemetry of its own yet")

from starlette.applications import Starlette  # noqa: E402
from starlette.middleware import Middleware as Entry  # noqa: E402
from starlette.responses import PlainTextResponse  # noqa: E402
from starlette.routing import Mount, Route  # noqa: E402

pytestmark = pytest.mark.anyio

THEIR_DURATIONS = {"http.server.request.duration", "http.server.duration"}
TOO_LONG = "/" + "a" * 100


@pytest.fixture
def no_blocking_calls() -> None:
    """Let the SDK's processor, which exports at once here, take its locks."""


class World:
    """Global providers, as a user sets them up, and what arrives there and at ours."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, sampler: Any = ALWAYS_ON) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.aggregate = Aggregate()
        tracers = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        meters = MeterProvider([self.reader], shutdown_on_exit=False)
        monkeypatch.setattr(trace, "get_tracer_provider", lambda: tracers)
        monkeypatch.setattr(metrics, "get_meter_provider", lambda: meters)
        self.theirs: dict[str, Any] = {"tracer_provider": tracers, "meter_provider": meters}

    def layers(self, app: Any = None, **settings: Any) -> tuple[TelemetryLayer, RequestLimitsLayer]:
        """Return what a guard is made of here: telemetry, and one that refuses."""
        telemetry = TelemetryLayer(Telemetry(aggregate=self.aggregate, **settings))
        return telemetry, RequestLimitsLayer(RequestLimits(max_url_bytes=64))

    def guard(self, app: Any, **settings: Any) -> Middleware:
        """Stand outside of an application."""
        return Middleware(app, *self.layers(app, **settings))

    def spans(self) -> list[str]:
        """Return who made the server spans."""
        finished = self.exporter.get_finished_spans()
        return [span.instrumentation_scope.name for span in finished if span.kind is SpanKind.SERVER]

    def durations(self) -> dict[str, int]:
        """Return how many durations each of them has measured, and how many requests are still on their way."""
        ours = [point for point in self.aggregate.snapshot() if point.metric.name == "http.server.request.duration"]
        found = {"asgi_guard": sum(point.count for point in ours)}
        data = self.reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name in THEIR_DURATIONS:
                        found[scope.scope.name] = sum(point.count for point in metric.data.data_points)
        assert not any(point.number for point in self.aggregate.snapshot() if "active" in point.metric.name)
        return {name: count for name, count in found.items() if count}

    def watched(self) -> Figures:
        """Return the requests that the monitor knows of."""
        return between(Snapshot(()), self.aggregate.snapshot(), 1).requests


@pytest.fixture
def world(monkeypatch) -> World:
    """Set the providers up."""
    return World(monkeypatch)


def shop(world: World, **_: Any) -> Any:
    """FastAPI, which measures as soon as there are providers."""
    app = fastapi.FastAPI()
    app.get("/items/{number}")(lambda number: number)
    app.get("/fails")(lambda: 1 / 0)
    return app


def starlette(world: World, *middleware: Entry) -> Any:
    """Starlette, which measures nothing by itself."""
    return Starlette(
        routes=[
            Route("/items/{number}", lambda request: PlainTextResponse("ok")),
            Route("/fails", lambda request: 1 / 0),
        ],
        middleware=[*middleware],
    )


def with_its_own(world: World) -> Any:
    """Starlette with its middleware, which makes spans alone."""
    return starlette(world, Entry(native.OpenTelemetryMiddleware, tracer_provider=world.theirs["tracer_provider"]))


def with_contrib(world: World) -> Any:
    """Starlette with OpenTelemetry's middleware among its own."""
    return starlette(world, Entry(contrib.OpenTelemetryMiddleware, **world.theirs))


def in_contrib(world: World) -> Any:
    """OpenTelemetry's middleware around a plain application."""
    return contrib.OpenTelemetryMiddleware(starlette(world), **world.theirs)


def litestar(world: World) -> Any:
    """Litestar with its plugin."""
    framework = pytest.importorskip("litestar")
    plugin = pytest.importorskip("litestar.plugins.opentelemetry")

    @framework.get("/items/1")
    async def item() -> str:
        return "1"

    @framework.get("/fails")
    async def fails() -> None:
        raise ZeroDivisionError

    config = plugin.OpenTelemetryConfig(**world.theirs)
    return framework.Litestar([item, fails], plugins=[plugin.OpenTelemetryPlugin(config)], openapi_config=None)


ASGI = "opentelemetry.instrumentation.asgi"
INSIDE: list[tuple[Callable[[World], Any], str, str]] = [
    (shop, "fastapi", "fastapi"),
    (with_its_own, "starlette", "asgi_guard"),
    (with_contrib, ASGI, ASGI),
    (in_contrib, ASGI, ASGI),
    (litestar, ASGI, ASGI),
    (starlette, "asgi_guard", "asgi_guard"),
]
NAMES = ["FastAPI", "Starlette", "contrib in Starlette", "contrib around", "Litestar", "nobody"]


async def ask(app: Any, *paths: str) -> None:
    """Ask for each of them."""
    for path in paths:
        with suppress(ZeroDivisionError):
            await call(app, "GET", path)


@pytest.mark.parametrize("path", ["/items/1", "/fails", "/nowhere"])
@pytest.mark.parametrize(("make", "spans", "durations"), INSIDE, ids=NAMES)
async def test_what_the_application_measures_itself_is_left_to_it(world, make, spans, durations, path) -> None:
    """From the first request on, and also if it fails."""
    guard = world.guard(make(world))
    await ask(guard, path, path)

    assert world.spans() == [spans] * 2
    assert world.durations() == {durations: 2}


@pytest.mark.parametrize(("make", "spans", "durations"), INSIDE, ids=NAMES)
async def test_what_never_reaches_it_is_measured_by_the_guard(world, make, spans, durations) -> None:
    """Nobody further in can see a refusal: it has one span, as any other request."""
    guard = world.guard(make(world))
    await ask(guard, "/items/1", TOO_LONG)

    assert world.spans() == [spans, "asgi_guard"]
    assert world.durations() == ({"asgi_guard": 2} if durations == "asgi_guard" else {durations: 1, "asgi_guard": 1})


@pytest.mark.parametrize("http", ["auto", "guard", "framework"])
@pytest.mark.parametrize("make", [make for make, *_ in INSIDE], ids=NAMES)
async def test_the_monitor_knows_of_every_request_whoever_measures_it(world, make, http) -> None:
    """Alerts would wait for ever on an application that measures itself."""
    await ask(world.guard(make(world), http=http), "/items/1", "/fails", TOO_LONG, "/items/2")

    watched = world.watched()
    assert (watched.number, watched.errors, watched.timed) == (4, 1, 4)


@pytest.mark.parametrize("http", ["auto", "guard", "framework"])
async def test_the_monitor_knows_of_those_that_others_have_begun(world, http) -> None:
    """Of whoever stands outside, too."""
    await ask(contrib.OpenTelemetryMiddleware(world.guard(starlette(world), http=http), **world.theirs), "/fails")

    assert (world.watched().number, world.watched().errors) == (1, 1)


async def test_a_route_is_told_also_where_fastapi_measures(world) -> None:
    """The summary and the alerts of a route go by it."""
    await ask(world.guard(shop(world)), "/items/1", "/items/2")

    (told,) = between(Snapshot(()), world.aggregate.snapshot(), 1).routes
    assert told == ("GET", "/items/{number}")


async def test_a_connection_is_the_guards_to_tell(world) -> None:
    """Nobody else has a metric of how long it lasted."""
    app = shop(world)

    @app.websocket("/feed")
    async def feed(socket: fastapi.WebSocket) -> None:
        await socket.accept()
        await socket.close()

    async with websocket(world.guard(app), "/feed"):
        pass

    points = world.aggregate.snapshot()
    told = [point for point in points if point.metric.name == "asgi_guard.websocket.connection.duration"]
    assert [point.count for point in told] == [1]


async def test_the_span_of_a_refusal_began_with_the_request(world) -> None:
    """It is in the trace of the client, lasts as long as the refusal took, and is no context for anybody."""
    headers = {"traceparent": f"00-{7:032x}-{9:016x}-01"}
    await call(world.guard(shop(world)), "GET", TOO_LONG, headers=headers)

    (span,) = world.exporter.get_finished_spans()
    (point,) = [point for point in world.aggregate.snapshot() if point.metric.name == "http.server.request.duration"]
    assert (span.context.trace_id, span.attributes["http.response.status_code"]) == (7, 414)
    assert span.end_time - span.start_time >= point.total
    assert point.exemplar is not None
    assert int(point.exemplar.span_id, 16) == span.context.span_id
    assert not trace.get_current_span().get_span_context().is_valid


async def test_a_body_that_is_refused_half_way_is_theirs(world) -> None:
    """The application has begun: it has the span, and the duration."""
    app = shop(world)

    @app.post("/items")
    async def take(request: fastapi.Request) -> int:
        return len(await request.body())

    layers = (world.layers()[0], RequestLimitsLayer(RequestLimits(max_body_bytes=4)))
    response = await call(Middleware(app, *layers), "POST", "/items", chunks=[b"abc", b"def"])

    assert response.status == 413
    assert (world.spans(), world.durations()) == (["fastapi"], {"fastapi": 1})


@pytest.mark.parametrize("make", [shop, with_its_own, starlette], ids=["FastAPI", "Starlette", "nobody"])
async def test_a_guard_that_is_told_to_measures_in_their_place(world, make) -> None:
    """Refusals too, so that one metric has them all."""
    guard = world.guard(make(world), http="guard")
    await ask(guard, "/items/1", TOO_LONG, "/fails")

    assert world.spans() == ["asgi_guard"] * 3
    assert world.durations() == {"asgi_guard": 3}


async def test_a_guard_that_is_told_to_keeps_fastapi_from_it_without_spans_too(world, monkeypatch) -> None:
    """Where there is a meter provider alone."""
    monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)
    await ask(world.guard(shop(world), http="guard"), "/items/1")

    assert (world.spans(), world.durations()) == ([], {"asgi_guard": 1})


async def test_contrib_cannot_be_told_to_keep_out_of_it(world) -> None:
    """Its span becomes one of the guard's children; its metric has to be switched off where it is set up."""
    await ask(world.guard(in_contrib(world), http="guard"), "/items/1")

    assert world.spans() == ["asgi_guard"]
    assert world.durations() == {"asgi_guard": 1, ASGI: 1}


async def test_a_guard_can_be_told_to_leave_it_to_one_that_it_does_not_know(world) -> None:
    """It measures refusals alone."""
    await ask(world.guard(starlette(world), http="framework"), "/items/1", TOO_LONG)

    assert world.spans() == []
    assert world.durations() == {"asgi_guard": 1}


@pytest.mark.parametrize("http", ["auto", "guard", "framework"])
@pytest.mark.parametrize("path", ["/items/1", "/fails", TOO_LONG], ids=["answered", "failed", "refused"])
async def test_whoever_stands_outside_has_begun_already(world, http, path) -> None:
    """It sees refusals as well."""

    class Inner(Middleware):
        def __init__(self, app: Any) -> None:
            super().__init__(app, *world.layers(app, http=http))

    app = shop(world)
    app.add_middleware(Inner)
    await ask(app, path)
    assert (world.spans(), world.durations()) == (["fastapi"], {"fastapi": 1})


@pytest.mark.parametrize(
    ("outer", "spans", "durations"),
    [
        (contrib.OpenTelemetryMiddleware, ASGI, ASGI),
        (native.OpenTelemetryMiddleware, "starlette", "asgi_guard"),
    ],
    ids=["contrib", "Starlette"],
)
@pytest.mark.parametrize("path", ["/items/1", TOO_LONG], ids=["answered", "refused"])
async def test_a_middleware_that_stands_outside_has_begun_already(world, outer, spans, durations, path) -> None:
    """The same, around a guard."""
    await ask(outer(world.guard(starlette(world)), **world.theirs), path)
    assert (world.spans(), world.durations()) == ([spans], {durations: 1})


async def test_a_trace_that_was_not_sampled_is_seen_too(monkeypatch) -> None:
    """Then there is a span that knows nothing of its kind."""
    world = World(monkeypatch, ALWAYS_OFF)
    await ask(contrib.OpenTelemetryMiddleware(world.guard(starlette(world)), **world.theirs), "/items/1")
    assert world.durations() == {ASGI: 1}


async def test_a_client_in_the_same_process_is_nobody_who_stands_outside(monkeypatch) -> None:
    """A test that calls the application directly, say, within a span of its own that was not sampled."""
    world = World(monkeypatch, ALWAYS_OFF)
    with world.theirs["tracer_provider"].get_tracer("client").start_as_current_span("GET") as span:
        context = span.get_span_context()
        headers = {"traceparent": f"00-{context.trace_id:032x}-{context.span_id:016x}-00"}
        await call(world.guard(starlette(world)), "GET", "/items/1", headers=headers)
    assert world.durations() == {"asgi_guard": 1}


async def test_an_application_that_is_mounted_begins_nothing_more(world) -> None:
    """It cannot be seen from outside; the guard has begun, and it is told so."""
    mounted = shop(world)
    await ask(world.guard(Starlette(routes=[Mount("/sub", mounted)])), "/sub/items/1", "/sub/fails")
    assert (world.spans(), world.durations()) == (["asgi_guard"] * 2, {"asgi_guard": 2})


async def test_one_that_is_mounted_measures_for_itself_where_the_guard_makes_no_spans(world) -> None:
    """Then it has the only span, and the only duration."""
    guard = world.guard(Starlette(routes=[Mount("/sub", shop(world))]), spans=False)
    await ask(guard, "/sub/items/1")
    assert (world.spans(), world.durations()) == (["fastapi"], {"fastapi": 1})


@pytest.mark.parametrize(
    ("switched_off", "spans", "durations"),
    [("tracing", "asgi_guard", "fastapi"), ("metrics", "fastapi", "asgi_guard")],
)
async def test_what_fastapi_is_told_not_to_measure_is_the_guards(world, switched_off, spans, durations) -> None:
    """Signal by signal."""
    app = fastapi.FastAPI(telemetry={switched_off: False})
    app.get("/items/{number}")(lambda number: number)
    await ask(world.guard(app), "/items/1")
    assert (world.spans(), world.durations()) == ([spans], {durations: 1})


async def test_the_scope_of_the_caller_is_left_as_it_was(world) -> None:
    """What keeps others from measuring is said to the application alone."""
    scope = {"type": "http", "method": "GET", "path": "/items/1", "headers": [], "query_string": b""}

    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        pass

    before = {**scope}
    await world.guard(starlette(world))(scope, receive, send)
    assert {name: value for name, value in scope.items() if name in before} == before
    assert not {"fastapi.telemetry", "starlette.opentelemetry"} & {*scope}


async def test_it_is_said_once_where_the_durations_are(world, caplog) -> None:
    """Who adds OpenTelemetry to FastAPI finds them in `/metrics` under another name."""
    guard = world.guard(shop(world))
    await ask(guard, "/items/1", "/items/2", "/items/3")

    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [MEASURED_THERE]


@pytest.mark.parametrize("path", ["/items/1", "/fails", "/nowhere", "/gone"])
async def test_the_trace_that_fastapi_has_begun_is_told(world, path) -> None:
    """In the header, in the body of an error and in the access log, also when its span has ended by then."""
    app = shop(world)
    app.get("/gone", status_code=503)(lambda: fastapi.Response("Service Unavailable", 503, media_type="text/plain"))
    lines = StringIO()
    telemetry = Telemetry(aggregate=world.aggregate, access_log=AccessLog(stream=lines))
    async with Client(Guard(app, telemetry=telemetry, monitor=False)) as client:
        response = await client.get(path)

    (span,) = [span for span in world.exporter.get_finished_spans() if span.kind is SpanKind.SERVER]
    told = format(span.context.trace_id, "032x")
    assert response.headers.get("x-trace-id") == told
    assert response.status < 500 or response.json()["trace_id"] == told
    assert json.loads(lines.getvalue())["trace_id"] == told
