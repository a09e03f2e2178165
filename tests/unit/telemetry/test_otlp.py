"""OTLP: real spans and points over real HTTP, to collectors that take them, and to some that do not."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from otlp_collector import collecting
from served import free_port

from asgi_guard.errors import ConfigError, MissingExtraError
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.telemetry.otlp import SHUTDOWN_SECONDS, setup_otlp
from asgi_guard.telemetry.otlp_variables import COMPLAINT_SECONDS, Seldom, chosen_exporters, exporter_class
from asgi_guard.telemetry.semconv import REQUEST_DURATION

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

REQUESTS = 25

SERVE = f"""
import json, logging, os, time
from asgi_guard.monitor.process import aggregate_of_process
from asgi_guard.telemetry.otlp import setup_otlp
from asgi_guard.telemetry.semconv import REQUEST_DURATION

logging.basicConfig(level=logging.INFO)
answers = aggregate_of_process().series(REQUEST_DURATION, "GET", "http", "1.1", "/items/{{id}}", "200", "")


def serve(tracer_provider):
    tracer = tracer_provider.get_tracer("test")
    longest = 0
    for _ in range({REQUESTS}):
        began = time.perf_counter()
        with tracer.start_as_current_span("GET /items/{{id}}") as span:
            context = span.get_span_context()
            answers.record(2_000_000, (context.trace_id, context.span_id))
        longest = max(longest, time.perf_counter() - began)
    return longest
"""
WHOLE = f"""{SERVE}
otlp = setup_otlp()
longest = serve(otlp.tracer_provider)
began = time.monotonic()
in_time = otlp.shutdown(float(os.environ.get("PATIENCE", "10")))
print(json.dumps({{"in_time": in_time, "shutdown": time.monotonic() - began, "longest": longest}}))
"""


def start(code: str, **environ: str) -> subprocess.Popen[str]:
    """Start a process that runs some code, with these variables beside those that every process has."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**plain, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ran(code: str, **environ: str) -> tuple[dict, str]:
    """Run some code in a process, and return what it has printed, and its log."""
    out, log = start(code, **environ).communicate(timeout=45)
    assert out, log
    return json.loads(out.splitlines()[-1]), log


def at(port: int) -> dict[str, str]:
    """Return the variable that names a collector."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}"}


@pytest.mark.long
def test_points_and_spans_arrive_as_they_were_counted() -> None:
    """As many spans as requests, a histogram that has counted as many, and an exemplar of one of these spans."""
    with collecting() as collector:
        result, log = ran(WHOLE, **at(collector.port), OTEL_EXPORTER_OTLP_HEADERS="x-tenant=one")

    assert (result["in_time"], log) == (True, "")
    (point,) = collector.last("http.server.request.duration").values()
    assert point.count == len(collector.spans) == REQUESTS
    assert point.sum == pytest.approx(REQUESTS * 0.002)
    assert (point.exemplars[0].trace_id, point.exemplars[0].span_id) in {
        (span.trace_id, span.span_id) for _, span in collector.spans
    }
    assert not point.HasField("min"), "it is not known"
    assert {headers["x-tenant"] for headers in collector.headers} == {"one"}


@pytest.mark.long
@pytest.mark.parametrize("preference", ["cumulative", "delta"])
@pytest.mark.parametrize("aggregation", ["explicit_bucket_histogram", "base2_exponential_bucket_histogram"])
def test_the_variables_choose_how_numbers_are_told(preference, aggregation) -> None:
    """Over several exports, differences add up to what was counted; so does the last of the cumulative points."""
    code = f"""{SERVE}
otlp = setup_otlp()
for _ in range(4):
    serve(otlp.tracer_provider)
    otlp.meter_provider.force_flush()
print(json.dumps({{"in_time": otlp.shutdown()}}))
"""
    names = {
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": preference,
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": aggregation,
    }
    with collecting() as collector:
        ran(code, **at(collector.port), **names)

    sent = [(metric, point) for _, metric, point in collector.metrics if metric.name == "http.server.request.duration"]
    counts = [point.count for _, point in sent]
    assert (sum(counts) if preference == "delta" else counts[-1]) == 4 * REQUESTS
    assert {metric.WhichOneof("data") for metric, _ in sent} == {
        "histogram" if aggregation.startswith("explicit") else "exponential_histogram"
    }


@pytest.mark.long
def test_each_process_tells_of_itself() -> None:
    """Three processes are three instances, each with what it has counted."""
    with collecting() as collector:
        processes = [start(WHOLE, **at(collector.port)) for _ in range(3)]
        for process in processes:
            process.communicate(timeout=45)

    points = collector.last("http.server.request.duration")
    assert [point.count for point in points.values()] == [REQUESTS] * 3
    assert len({span.trace_id for _, span in collector.spans}) == 3 * REQUESTS


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_process_tells_of_itself_too() -> None:
    """Providers that were set up before a fork go on in the child, as another instance that has counted nothing."""
    code = f"""{SERVE}
otlp = setup_otlp()
serve(otlp.tracer_provider)
child = os.fork()
if child:
    os.waitpid(child, 0)
else:
    serve(setup_otlp().tracer_provider)
    serve(setup_otlp().tracer_provider)
otlp.shutdown()
print("{{}}", flush=True)
"""
    with collecting() as collector:
        ran(code, **at(collector.port))

    points = collector.last("http.server.request.duration")
    assert sorted(point.count for point in points.values()) == [REQUESTS, 2 * REQUESTS]


BAD = [
    pytest.param({"status": 500}, True, id="it answers 500"),
    pytest.param({"hangs": True}, False, id="it does not answer"),
]


@pytest.mark.long
@pytest.mark.parametrize(("how", "in_time"), BAD)
def test_a_collector_that_fails_costs_a_request_nothing(how, in_time) -> None:
    """No request waits, and the process ends within its time, whether or not what is left was taken."""
    with collecting(**how) as collector:
        result, log = ran(WHOLE, **at(collector.port), PATIENCE="1")

    assert result["in_time"] is in_time
    assert result["shutdown"] < 5
    assert result["longest"] < 0.5
    assert len(log.splitlines()) < 10


@pytest.mark.long
def test_a_collector_that_is_away_costs_a_request_nothing() -> None:
    """The same where nobody listens."""
    result, log = ran(WHOLE, **at(free_port()), PATIENCE="1")

    assert result["shutdown"] < 5
    assert result["longest"] < 0.5
    assert len(log.splitlines()) < 10


@pytest.mark.long
def test_what_is_left_leaves_at_the_end_of_a_process() -> None:
    """Nobody has to call shutdown: the end of the process does."""
    with collecting() as collector:
        ran(f'{SERVE}\nserve(setup_otlp().tracer_provider)\nprint("{{}}")', **at(collector.port))

    (point,) = collector.last("http.server.request.duration").values()
    assert point.count == len(collector.spans) == REQUESTS


@pytest.mark.long
def test_set_up_twice_is_once() -> None:
    """Who asks again gets the same; after a shutdown, a new one that works."""
    code = f"""{SERVE}
first = setup_otlp()
same = setup_otlp() is first
serve(first.tracer_provider)
first.shutdown()
again = setup_otlp()
serve(again.tracer_provider)
print(json.dumps({{"same": same, "new": again is not first, "in_time": again.shutdown()}}))
"""
    with collecting() as collector:
        result, log = ran(code, **at(collector.port))

    assert (result, log) == ({"same": True, "new": True, "in_time": True}, "")
    assert len(collector.spans) == 2 * REQUESTS


@pytest.mark.long
def test_a_second_lifespan_tells_as_the_first_one() -> None:
    """Spans and numbers, ours and the application's own: there is one global provider in the life of a process."""
    code = """
import asyncio, json
from opentelemetry import metrics, trace
from asgi_guard import Guard
from asgi_guard.testing import call, lifespan

made = metrics.get_meter("shop").create_counter("shop.orders")

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    made.add(1)
    with trace.get_tracer("shop").start_as_current_span("order"):
        await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})

async def served(guard):
    async with lifespan(guard):
        await call(guard)

guard = Guard(app, telemetry="otlp", monitor=False)  # it would say that the machine is busy
for _ in range(3):
    asyncio.run(served(guard))
print("{}")
"""
    with collecting() as collector:
        _, log = ran(code, **at(collector.port))

    assert sorted(span.name for _, span in collector.spans) == [*["GET"] * 3, *["order"] * 3]
    (point,) = collector.last("shop.orders").values()
    assert point.as_int == 3
    (point,) = collector.last("http.server.request.duration").values()
    assert point.count == 3
    assert log == ""


@pytest.mark.long
def test_an_end_that_has_waited_for_a_collector_waits_no_second_time() -> None:
    """What the end of a lifespan could not send in its time, the end of the process is not held up by."""
    code = f"{SERVE}\notlp = setup_otlp()\nserve(otlp.tracer_provider)\nprint(otlp.flush(0.2), flush=True)"
    with collecting(hangs=True) as collector:
        process = start(code, **at(collector.port))
        assert process.stdout is not None
        assert process.stdout.readline() == "False\n"
        began = time.monotonic()
        process.communicate(timeout=45)

    assert time.monotonic() - began < SHUTDOWN_SECONDS


def test_providers_of_somebody_else_are_used() -> None:
    """They stay the global ones, are named in the log, get our numbers, and outlive our shutdown."""
    code = f"""{SERVE}
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
reader = InMemoryMetricReader()
tracers, meters = TracerProvider(), MeterProvider([reader])
trace.set_tracer_provider(tracers)
metrics.set_meter_provider(meters)
otlp = setup_otlp()
used = otlp.tracer_provider is tracers and otlp.meter_provider is meters
stay = trace.get_tracer_provider() is tracers and metrics.get_meter_provider() is meters
otlp.instruments.recorder(answers)(0.1)
otlp.shutdown()
setup_otlp()
metrics = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
print(json.dumps([used, stay, sorted(metric.name for metric in metrics)]))
"""
    with collecting() as collector:
        result, log = ran(code, **at(collector.port))

    assert result == [True, True, ["asgi_guard.telemetry.series", "http.server.request.duration"]]
    assert log.count("set up already") == 4
    assert not collector.headers


NOTHING = [
    pytest.param({"OTEL_SDK_DISABLED": "true"}, [None, None], id="the SDK is disabled"),
    pytest.param({"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}, [None, None], id="no exporter"),
]


@pytest.mark.parametrize(("variables", "providers"), NOTHING)
def test_what_is_not_wanted_is_not_set_up(variables, providers) -> None:
    """There is no provider then, and nothing to shut down."""
    code = f"{SERVE}\notlp = setup_otlp()\nprint(json.dumps([otlp.tracer_provider, otlp.meter_provider]))"

    assert ran(code, **variables)[0] == providers


@pytest.mark.long
def test_numbers_and_spans_can_be_printed() -> None:
    """`console` prints them, as the specification wants it."""
    process = start(WHOLE, OTEL_TRACES_EXPORTER="console", OTEL_METRICS_EXPORTER="console")

    out, _ = process.communicate(timeout=45)

    assert "http.server.request.duration" in out
    assert out.count('"name": "GET /items/{id}"') == REQUESTS


@pytest.mark.long
def test_exports_are_not_traced() -> None:
    """What is instrumented in the process, such as the client that exports, makes no span of an export."""
    code = f"""{SERVE}
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
import requests
traced = []
send = requests.Session.request
def watched(self, *args, **kwargs):
    traced.append(is_instrumentation_enabled())
    return send(self, *args, **kwargs)
requests.Session.request = watched
otlp = setup_otlp()
serve(otlp.tracer_provider)
otlp.shutdown()
print(json.dumps(traced))
"""
    pytest.importorskip("opentelemetry.instrumentation.utils")
    with collecting() as collector:
        result, _ = ran(code, **at(collector.port))

    assert result == [False, False]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch):
    """Let this process have no global providers, and get none: they could not be taken away again."""
    from opentelemetry import metrics, trace

    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)
    monkeypatch.setattr(metrics, "get_meter_provider", metrics._internal._ProxyMeterProvider)
    monkeypatch.setattr(trace, "set_tracer_provider", lambda provider: None)
    monkeypatch.setattr(metrics, "set_meter_provider", lambda provider: None)


def test_what_is_sent_is_the_aggregate_that_was_named(alone, monkeypatch: pytest.MonkeyPatch) -> None:
    """It need not be that of the process; a second shutdown changes nothing."""
    aggregate = Aggregate()
    aggregate.series(REQUEST_DURATION, "GET", "http", "1.1", "/", "200", "").record(1)
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
        otlp = setup_otlp(aggregate)
        otlp.tracer_provider.get_tracer("test").start_span("one").end()
        assert [otlp.shutdown(10), otlp.shutdown(10)] == [True, True]

    assert [point.count for point in collector.last(REQUEST_DURATION.name).values()] == [1]
    assert [span.name for _, span in collector.spans] == ["one"]


def test_errors_are_kept_where_that_is_wanted(alone, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sampler that the environment names is asked first."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    otlp = setup_otlp(environ={"OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none"}, keep_errors=True)

    assert otlp.tracer_provider.sampler.get_description() == "KeepErrors(AlwaysOffSampler)"
    assert otlp.shutdown(10)


CHOICES = [
    pytest.param({}, ["http/protobuf"], ["http/protobuf"], id="the default"),
    pytest.param({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, ["grpc"], ["grpc"], id="a protocol for both"),
    pytest.param(
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
        ["http/protobuf"],
        ["grpc"],
        id="one of them has its own",
    ),
    pytest.param({"OTEL_TRACES_EXPORTER": "none"}, [], ["http/protobuf"], id="none"),
    pytest.param({"OTEL_METRICS_EXPORTER": "otlp, console"}, ["http/protobuf"], ["http/protobuf", "console"], id="two"),
    pytest.param({"OTEL_TRACES_EXPORTER": "", "OTEL_EXPORTER_OTLP_PROTOCOL": ""}, *[["http/protobuf"]] * 2, id="empty"),
]


@pytest.mark.parametrize(("environ", "traces", "metrics"), CHOICES)
def test_exporters_are_chosen_as_the_specification_says(environ, traces, metrics) -> None:
    """An empty variable is one that is not set."""
    assert chosen_exporters(environ) == {"traces": traces, "metrics": metrics}


def test_all_wrong_values_are_told_at_once() -> None:
    """Each with its variable, and with what it may be."""
    environ = {"OTEL_TRACES_EXPORTER": "zipkin", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}

    with pytest.raises(ConfigError) as caught:
        chosen_exporters(environ)

    assert [(problem.id, problem.field) for problem in caught.value.problems] == [
        ("AG860", "environment.OTEL_TRACES_EXPORTER"),
        ("AG861", "environment.OTEL_EXPORTER_OTLP_PROTOCOL"),
    ]


WRONG = [
    ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, ["AG861 OTEL_EXPORTER_OTLP_PROTOCOL"]),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, ["AG862 OTEL_EXPORTER_OTLP_ENDPOINT"]),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "ftp://collector"}, ["AG862 OTEL_EXPORTER_OTLP_ENDPOINT"]),
    ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "localhost"}, ["AG862 OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]),
    ({"OTEL_METRIC_EXPORT_INTERVAL": "abc"}, ["AG863 OTEL_METRIC_EXPORT_INTERVAL"]),
    ({"OTEL_METRIC_EXPORT_INTERVAL": "0"}, ["AG863 OTEL_METRIC_EXPORT_INTERVAL"]),
    ({"OTEL_METRIC_EXPORT_INTERVAL": "inf"}, ["AG863 OTEL_METRIC_EXPORT_INTERVAL"]),
    ({"OTEL_EXPORTER_OTLP_TIMEOUT": "10s"}, ["AG863 OTEL_EXPORTER_OTLP_TIMEOUT"]),
    ({"OTEL_BSP_MAX_QUEUE_SIZE": "1.5"}, ["AG863 OTEL_BSP_MAX_QUEUE_SIZE"]),
    ({"OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, ["AG863 OTEL_BSP_MAX_QUEUE_SIZE"]),
    ({"OTEL_BSP_MAX_QUEUE_SIZE": "100"}, ["AG864 OTEL_BSP_MAX_EXPORT_BATCH_SIZE"]),
    ({"OTEL_BSP_MAX_QUEUE_SIZE": "100", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "100"}, []),
    ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, []),
    ({"OTEL_EXPORTER_OTLP_ENDPOINT": "HTTPS://collector/otlp", "OTEL_BSP_SCHEDULE_DELAY": ""}, []),
    ({"OTEL_TRACES_EXPORTER": "console", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "x"}, []),
]


@pytest.mark.parametrize(("environ", "told"), WRONG, ids=[",".join(map("=".join, given.items())) for given, _ in WRONG])
def test_what_cannot_work_is_one_clear_problem(environ, told) -> None:
    """Where the SDK would leave it out, end with a traceback, or never reach anybody."""
    problems = ()
    try:
        chosen_exporters(environ)
    except ConfigError as error:
        problems = error.problems

    assert [f"{problem.id} {problem.field.removeprefix('environment.')}" for problem in problems] == told


UNABLE = [
    pytest.param({"OTEL_METRIC_EXPORT_INTERVAL": "abc"}, "AG863", id="a value"),
    pytest.param({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "pip install 'asgi-guard[otel-grpc]'", id="a package"),
]
START = """
import asyncio, logging, sys
sys.modules["opentelemetry.exporter.otlp.proto.grpc"] = None
from asgi_guard import Guard
from asgi_guard.testing import call, lifespan
logging.basicConfig(format="%(message)s")
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})
async def main():
    guard = Guard(app, telemetry="otlp")
    if sys.argv[1:] == ["lifespan"]:
        async with lifespan(guard):
            pass
    else:
        await call(guard)
        await call(guard)
try:
    asyncio.run(main())
except Exception as failure:
    print(failure)
print("{}")
"""


@pytest.mark.long
@pytest.mark.parametrize(("variables", "told"), UNABLE)
@pytest.mark.parametrize("way", ["lifespan", "request"])
def test_what_is_wrong_is_told_without_a_traceback(variables, told, way) -> None:
    """Once, in the log: where a lifespan starts, or the first request comes."""
    _, log = ran(START.replace("sys.argv[1:]", f'["{way}"]'), **variables)

    assert (log.count(told), log.count("Traceback")) == (1, 0), log


MISSING = [
    pytest.param({}, "opentelemetry", "asgi-guard[otel]", id="no OpenTelemetry"),
    pytest.param({}, "opentelemetry.sdk", "asgi-guard[otel]", id="no SDK"),
    pytest.param({}, "opentelemetry.exporter.otlp.proto.http", "asgi-guard[otel]", id="no exporter"),
    pytest.param(
        {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        "opentelemetry.exporter.otlp.proto.grpc",
        "asgi-guard[otel-grpc]",
        id="no exporter for gRPC",
    ),
]


@pytest.mark.parametrize(("variables", "module", "extra"), MISSING)
def test_what_is_missing_is_named_with_the_command_that_installs_it(variables, module, extra) -> None:
    """An import error that says what needs it, and what to do."""
    code = f"""
import json, sys
sys.modules["{module}"] = None
from asgi_guard.errors import MissingExtraError
from asgi_guard.telemetry.otlp import setup_otlp
try:
    setup_otlp()
except MissingExtraError as error:
    print(json.dumps(str(error)))
"""
    assert ran(code, **variables)[0].endswith(f"pip install '{extra}'")


def test_an_exporter_that_is_not_installed_is_missing() -> None:
    """The error is an ImportError too."""
    assert issubclass(MissingExtraError, ImportError)
    assert exporter_class("traces", "console").__name__ == "ConsoleSpanExporter"


def test_a_complaint_comes_once_a_minute() -> None:
    """Whatever is filled in, the same place in the code is heard again when its time is up; others are heard."""
    now = 0.0
    seldom = Seldom(lambda: now)

    def is_heard(line: int, *args: object) -> bool:
        return seldom.filter(logging.LogRecord("exporter", logging.ERROR, "exporter.py", line, "%s", args, None))

    assert [is_heard(1, "a"), is_heard(1, "b"), is_heard(2, "a")] == [True, False, True]
    now = COMPLAINT_SECONDS
    assert [is_heard(1, "c"), is_heard(1, "d")] == [True, False]


def test_the_telemetry_of_a_guard_imports_no_opentelemetry() -> None:
    """Who has not set it up does not pay for it."""
    code = """
import json, sys
import asgi_guard.layers.telemetry, asgi_guard.telemetry.otlp
print(json.dumps([name for name in sys.modules if name.startswith("opentelemetry")]))
"""
    assert ran(code)[0] == []


@pytest.fixture
def oteltap():
    """Import it where no loop would be blocked by that."""
    return pytest.importorskip("oteltap")


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_oteltap_receives_it(oteltap) -> None:
    """A receiver that others have written finds the same count, and the exemplar's span among the spans."""
    settings = oteltap.OtelTapHttpProtobufReceiverSettings(http_port=free_port())
    spans = []

    def is_last(span) -> bool:
        spans.append(span)
        return len(spans) == REQUESTS

    async with oteltap.OtelTapHttpProtobufReceiver(settings) as receiver:
        (result, log), metric, _ = await asyncio.gather(
            asyncio.to_thread(ran, WHOLE, **at(settings.http_port)),
            receiver.await_metric(lambda metric: metric.name == "http.server.request.duration", 30),
            receiver.await_trace(is_last, 30),
        )

    (point,) = metric.histogram.data_points
    assert (point.count, result["in_time"], log) == (REQUESTS, True, "")
    assert point.exemplars[0].span_id in {span.span_id for span in spans}


@pytest.mark.long
def test_a_collector_of_the_trade_receives_it(tmp_path: Path) -> None:
    """Rotel, as it runs beside applications, shows the same count, and the exemplar's span among the spans."""
    rotel = pytest.importorskip("rotel")
    agent = Path(rotel.__file__).parent / "rotel-agent"
    port = free_port()
    command = [agent, "start", "--exporter", "blackhole", "--otlp-http-endpoint", f"127.0.0.1:{port}"]
    command += ["--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}", "--debug-log-verbosity", "detailed"]
    command += ["--debug-log", "metrics", "--debug-log", "traces", "--pid-file", tmp_path / "pid"]
    log = tmp_path / "rotel.log"
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, cwd=tmp_path) as collector:
        try:
            _wait_for(log, "Starting Rotel")
            result, complaints = ran(WHOLE, **at(port))
            _wait_for(log, f"Span #{REQUESTS - 1}\n")
            _wait_for(log, "Exemplar #0\n")
        finally:
            collector.terminate()

    shown = log.read_text()
    assert (result["in_time"], complaints) == (True, "")
    assert f"Count: {REQUESTS}\n" in shown
    assert "http.response.status_code: Int(200)" in shown
    spans = re.findall(r"Trace ID +: (\w{32})", shown)
    (exemplar,) = re.findall(r"-> Trace ID: (\w{32})", shown)
    assert len(spans) == REQUESTS
    assert exemplar in spans


def test_a_collector_of_the_trade_receives_it_over_grpc(tmp_path: Path) -> None:
    """The same count, and as many spans."""
    rotel = pytest.importorskip("rotel")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc", reason="the exporter for gRPC is not installed")
    port = free_port()
    command = [Path(rotel.__file__).parent / "rotel-agent", "start", "--exporter", "blackhole"]
    command += ["--otlp-http-endpoint", f"127.0.0.1:{free_port()}", "--otlp-grpc-endpoint", f"127.0.0.1:{port}"]
    command += ["--debug-log", "metrics", "--debug-log", "traces", "--debug-log-verbosity", "detailed"]
    log = tmp_path / "rotel.log"
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [*command, "--pid-file", tmp_path / "pid"], stdout=file, stderr=file, cwd=tmp_path
        ) as collector,
    ):
        try:
            _wait_for(log, "Starting Rotel")
            result, _ = ran(WHOLE, **at(port), OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
            _wait_for(log, f"Span #{REQUESTS - 1}\n")
            _wait_for(log, f"Count: {REQUESTS}\n")
        finally:
            collector.terminate()

    assert result["in_time"]
    assert len(re.findall(r"Trace ID +: (\w{32})", log.read_text())) == REQUESTS


def _wait_for(log: Path, text: str) -> None:
    deadline = time.monotonic() + 20
    while text not in log.read_text(errors="replace"):
        assert time.monotonic() < deadline, log.read_text(errors="replace")
        time.sleep(0.01)
