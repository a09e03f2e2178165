"""Spans: one a request, by the conventions, with nothing secret in it; through the SDK itself."""

from __future__ import annotations

import sys

import pytest
from opentelemetry import baggage, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

from asgi_guard.layers.error_envelope import ErrorEnvelopeMiddleware
from asgi_guard.layers.telemetry import TelemetryMiddleware
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.telemetry.routes import KEY
from asgi_guard.telemetry.sampling import KeepErrors
from asgi_guard.testing import call, websocket

pytestmark = pytest.mark.anyio

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
START = {"type": "http.response.start", "status": 200, "headers": []}


@pytest.fixture
def no_blocking_calls() -> None:
    """Let the SDK's processor, which exports at once here, take its locks."""


async def plain(scope, receive, send) -> None:
    """Answer, by a route."""
    scope[KEY] = "/items/{id}"
    await send(START)
    await send({"type": "http.response.body", "body": b"ok"})


class Traced:
    """An application that is traced, and its spans."""

    def __init__(self, app, sampler=ALWAYS_ON, **settings) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.aggregate = Aggregate()
        self.app = TelemetryMiddleware(app, tracer_provider=self.provider, aggregate=self.aggregate, **settings)

    @property
    def spans(self):
        """Those that have ended."""
        return self.exporter.get_finished_spans()


async def test_a_span_says_what_the_conventions_ask_for() -> None:
    """The route is in its name, and the client is where the guard knows it to be."""
    traced = Traced(plain)
    await call(traced.app, "GET", "/items/7?q=a", headers={"User-Agent": "curl", "Host": "shop.example:8443"})

    (span,) = traced.spans
    assert (span.name, span.kind, span.status.status_code) == ("GET /items/{id}", SpanKind.SERVER, StatusCode.UNSET)
    assert span.instrumentation_scope.schema_url == "https://opentelemetry.io/schemas/1.44.0"
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/items/{id}",
        "url.path": "/items/7",
        "url.query": "q=a",
        "url.scheme": "http",
        "user_agent.original": "curl",
        "network.protocol.version": "1.1",
        "client.address": "198.51.100.7",
        "server.address": "shop.example",
        "server.port": 8443,
    }


async def test_the_trace_of_a_client_goes_on() -> None:
    """With its baggage, which the application sees."""
    seen = []

    async def app(scope, receive, send) -> None:
        seen.append((baggage.get_baggage("tenant"), trace.get_current_span().get_span_context().trace_id))
        await plain(scope, receive, send)

    traced = Traced(app)
    await call(traced.app, "GET", "/", headers={"traceparent": PARENT, "baggage": "tenant=acme"})

    assert seen == [("acme", int(TRACE, 16))]
    (span,) = traced.spans
    assert format(span.context.trace_id, "032x") == TRACE
    assert format(span.parent.span_id, "016x") == "b7ad6b7169203331"


async def test_in_public_the_trace_of_a_client_is_only_linked_to() -> None:
    """Nobody outside decides what is sampled, or carries baggage in."""
    seen = []

    async def app(scope, receive, send) -> None:
        seen.append(baggage.get_baggage("tenant"))
        await plain(scope, receive, send)

    traced = Traced(app, is_public=True)
    await call(traced.app, "GET", "/", headers={"traceparent": PARENT, "baggage": "tenant=acme"})

    (span,) = traced.spans
    assert (seen, span.parent) == ([None], None)
    assert [format(link.context.trace_id, "032x") for link in span.links] == [TRACE]


async def test_the_context_is_left_as_it_was() -> None:
    """Whatever becomes of the request."""

    async def fails(scope, receive, send) -> None:
        raise RuntimeError

    before = trace.get_current_span()
    for app in (plain, ErrorEnvelopeMiddleware(fails)):
        await call(Traced(app).app, "GET", "/")
    assert trace.get_current_span() is before


async def test_an_error_is_told_with_its_exception() -> None:
    """A fault of the client's is none."""

    async def fails(scope, receive, send) -> None:
        raise RuntimeError("x")

    async def not_found(scope, receive, send) -> None:
        await send({**START, "status": 404})
        await send({"type": "http.response.body"})

    traced = Traced(ErrorEnvelopeMiddleware(fails))
    await call(traced.app, "GET", "/")
    (span,) = traced.spans
    assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "RuntimeError")
    assert [event.attributes["exception.type"] for event in span.events] == ["RuntimeError"]

    traced = Traced(not_found)
    await call(traced.app, "GET", "/")
    assert traced.spans[0].status.status_code is StatusCode.UNSET
    assert traced.spans[0].name == "GET"


async def test_what_is_secret_is_not_in_a_span() -> None:
    """By the conventions' list, and by how it sounds."""
    traced = Traced(plain, request_headers=["X-Tenant", "Authorization"])
    query = "sig=s3cret&a=1&X-Amz-Signature=s3cret&access_token=s3cret&%70assword=s3cret&flag"
    await call(traced.app, "GET", f"/?{query}", headers={"Authorization": "Bearer s3cret", "X-Tenant": "acme"})

    (span,) = traced.spans
    assert "s3cret" not in str(dict(span.attributes))
    assert span.attributes["url.query"].split("&")[1::4] == ["a=1", "flag"]
    assert span.attributes["http.request.header.x-tenant"] == ("acme",)


async def test_nothing_in_a_span_is_sized_by_the_client() -> None:
    """However long its path, query and headers are."""
    traced = Traced(plain, request_headers=["X-A"])
    long = "a" * 20_000
    await call(traced.app, "GET", f"/{long}?{long}", headers={"X-A": long, "User-Agent": long, "Host": long})

    assert max(len(str(value)) for value in traced.spans[0].attributes.values()) <= 1_030


@pytest.mark.parametrize(
    ("status", "slow_seconds", "kept"),
    [(200, 10, None), (500, 10, "error"), (200, 1e-9, "slow"), (500, None, None)],
    ids=["an ordinary one", "an error", "a slow one", "nobody asked"],
)
async def test_what_the_sampler_drops_is_kept_if_it_is_worth_it(status, slow_seconds, kept) -> None:
    """In the trace that the application has logged."""
    logged = []

    async def app(scope, receive, send) -> None:
        logged.append(trace.get_current_span().get_span_context().trace_id)
        await send({**START, "status": status})
        await send({"type": "http.response.body"})

    traced = Traced(app, KeepErrors(ParentBased(ALWAYS_OFF)), slow_seconds=slow_seconds)
    await call(traced.app, "GET", "/")

    assert [span.attributes["asgi_guard.sampling.kept"] for span in traced.spans] == [kept] * (kept is not None)
    assert {span.context.trace_id for span in traced.spans} <= {*logged}


async def test_headers_of_the_response_are_recorded_on_request() -> None:
    """Each of its lines, but no secret."""

    async def app(scope, receive, send) -> None:
        headers = [(b"x-cache", b"hit"), (b"x-cache", b"near"), (b"set-cookie", b"session=s3cret"), (b"x-other", b"1")]
        await send({**START, "headers": headers})
        await send({"type": "http.response.body"})

    traced = Traced(app, response_headers=["X-Cache", "Set-Cookie"])
    await call(traced.app, "GET", "/")

    recorded = {name: value for name, value in traced.spans[0].attributes.items() if "header" in name}
    assert recorded == {
        "http.response.header.x-cache": ("hit", "near"),
        "http.response.header.set-cookie": ("REDACTED",),
    }


@pytest.mark.parametrize("is_instrumented", [True, False], ids=["instrumented", "by hand"])
async def test_nothing_that_an_excluded_request_does_is_a_trace_of_its_own(is_instrumented, monkeypatch) -> None:
    """A probe that asks the database would else leave one orphan each time."""
    utils = pytest.importorskip("opentelemetry.instrumentation.utils", reason="no instrumentation is installed")
    if not is_instrumented:
        monkeypatch.delitem(sys.modules, "opentelemetry.instrumentation.utils")
    seen = []

    async def app(scope, receive, send) -> None:
        with traced.provider.get_tracer("database").start_as_current_span("SELECT"):
            seen.append(utils.is_instrumentation_enabled())
        await plain(scope, receive, send)

    traced = Traced(app, ParentBased(ALWAYS_ON), excluded_paths=["/health"])
    before = trace.get_current_span()
    await call(traced.app, "GET", "/health")

    assert (traced.spans, seen) == ((), [not is_instrumented])
    assert trace.get_current_span() is before

    await call(traced.app, "GET", "/items")
    assert [span.name for span in traced.spans] == ["SELECT", "GET /items/{id}"]


async def test_a_websocket_is_one_span() -> None:
    """Its messages are none."""

    async def echo(scope, receive, send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    traced = Traced(echo)
    async with websocket(traced.app, "/echo") as session:
        session.send("hello")

    (span,) = traced.spans
    assert (span.name, span.attributes["http.response.status_code"]) == ("GET", 101)


async def test_an_exemplar_names_the_trace() -> None:
    """Where it was sampled."""
    traced, dropped = Traced(plain), Traced(plain, ALWAYS_OFF)
    for one in (traced, dropped):
        await call(one.app, "GET", "/")

    found = [point.exemplar for point in traced.aggregate.snapshot() if point.exemplar is not None]
    assert [exemplar.trace_id for exemplar in found] == [format(traced.spans[0].context.trace_id, "032x")]
    assert not any(point.exemplar for point in dropped.aggregate.snapshot())


class FailingSampler:
    """Raises whenever it is asked."""

    def should_sample(self, *_args, **_kwargs):
        """Fail."""
        raise RuntimeError("a sampler")

    def get_description(self) -> str:
        """Describe it."""
        return "failing"


class UnspeakableError(Exception):
    """Has no text, and raises where one is asked for."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.anyio
async def test_what_opentelemetry_raises_fails_no_request(caplog) -> None:
    """The request is answered and counted, and it is said once in the log."""
    aggregate = Aggregate()
    app = TelemetryMiddleware(answer, aggregate=aggregate, tracer_provider=TracerProvider(sampler=FailingSampler()))

    statuses = [(await call(app)).status for _ in range(3)]

    active = [point.number for point in aggregate.snapshot() if point.metric.name == "http.server.active_requests"]
    assert (statuses, active) == ([200] * 3, [0])
    assert [record.levelname for record in caplog.records if "OpenTelemetry fails" in record.message] == ["ERROR"]


@pytest.mark.anyio
async def test_an_exception_without_a_text_ends_its_span_and_counts_once() -> None:
    """Whatever the SDK makes of it."""
    kept, aggregate = InMemorySpanExporter(), Aggregate()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))

    async def app(scope, receive, send) -> None:
        raise UnspeakableError

    await call(ErrorEnvelopeMiddleware(TelemetryMiddleware(app, aggregate=aggregate, tracer_provider=provider)))

    durations = [point for point in aggregate.snapshot() if point.metric.name == "http.server.request.duration"]
    assert sum(sum(point.counts) for point in durations) == 1
    assert len(kept.get_finished_spans()) == 1
    assert not trace.get_current_span().get_span_context().is_valid


async def answer(scope, receive, send) -> None:
    """Answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})
