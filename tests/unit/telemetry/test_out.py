"""What is counted reaches OpenTelemetry once, whoever has set it up, and nothing is set up unasked."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExporter, MetricExportResult
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader as Periodic
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from asgi_guard import ConfigError, Guard, Telemetry, TelemetryMiddleware
from asgi_guard.engine.timing import ONE_IN
from asgi_guard.layers.telemetry import TelemetryLayer
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.shared_memory import SharedAggregate
from asgi_guard.telemetry.otel_export import GuardMetricExporter
from asgi_guard.telemetry.out import Out
from asgi_guard.testing import call

pytestmark = pytest.mark.anyio

DURATION = "http.server.request.duration"


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio: nothing here knows an event loop."""
    return "asyncio"


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """Let the SDK take its locks."""


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


class Kept(MetricExporter):
    """Keeps what is exported."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []

    def export(self, metrics_data: Any, timeout_millis: float = 0, **options: Any) -> MetricExportResult:
        """Keep it."""
        self.kept.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 0) -> bool:
        """Have nothing to do."""
        return True

    def shutdown(self, timeout_millis: float = 0, **options: Any) -> None:
        """Have nothing to do."""


def points(data: Any, name: str) -> list[Any]:
    """Return the points of a metric, over all scopes."""
    return [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
    ]


async def test_a_meter_provider_of_ones_own_is_told() -> None:
    """Durations and all else, each once, with a status that is a number."""
    reader = InMemoryMetricReader()
    telemetry = Telemetry(aggregate=Aggregate(), meter_provider=MeterProvider([reader]))
    guarded = Guard(app, telemetry=telemetry, rate_limit="2/minute")

    statuses = [(await call(guarded)).status for _ in range(4)]

    data = reader.get_metrics_data()
    while not points(data, "asgi_guard.answers"):  # an instrument for what is new is made beside the collection
        data = reader.get_metrics_data()
    told = {point.attributes["http.response.status_code"]: point.count for point in points(data, DURATION)}
    assert statuses == [200, 200, 429, 429]
    assert told == {200: 2, 429: 2}
    (answered,) = points(data, "asgi_guard.answers")
    assert (dict(answered.attributes), answered.value) == (
        {"asgi_guard.layer": "rate_limit", "http.response.status_code": 429},
        2,
    )


async def test_a_meter_provider_that_comes_late_is_told_of_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 64 requests, of the kinds of requests too that there were before; of each request once."""
    reader = InMemoryMetricReader()
    guarded = TelemetryMiddleware(app, aggregate=Aggregate())
    monkeypatch.setattr(metrics, "get_meter_provider", metrics.NoOpMeterProvider)
    await call(guarded)
    provider = MeterProvider([reader])
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: provider)
    for _ in range(ONE_IN):
        await call(guarded)

    before = sum(point.count for point in points(reader.get_metrics_data(), DURATION))
    for _ in range(ONE_IN):
        await call(guarded)

    assert sum(point.count for point in points(reader.get_metrics_data(), DURATION)) == before + ONE_IN


async def test_a_wrapped_exporter_tells_it_instead() -> None:
    """Then the SDK's own histogram is never recorded in."""
    aggregate, kept = Aggregate(), Kept()
    provider = MeterProvider([Periodic(GuardMetricExporter(kept, aggregate), export_interval_millis=60_000)])
    guarded = TelemetryMiddleware(app, aggregate=aggregate, meter_provider=provider)

    for _ in range(3):
        await call(guarded)
    provider.shutdown()

    assert [point.count for data in kept.kept for point in points(data, DURATION)] == [3]


async def test_whoever_wants_no_numbers_there_gets_none() -> None:
    """Neither through instruments nor by records."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])

    await call(TelemetryMiddleware(app, aggregate=Aggregate(), meter_provider=provider, metrics=False))

    assert reader.get_metrics_data() is None


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [("meter_provider", "global", "AG808"), ("export", "otpl", "AG105"), ("metrics", 1, "AG103")],
)
def test_what_cannot_work_does_not_start(field: str, value: object, problem: str) -> None:
    """With its field."""
    with pytest.raises(ConfigError) as caught:
        Telemetry(**{field: value})  # type: ignore[arg-type]

    assert [(found.id, found.field) for found in caught.value.problems] == [(problem, f"Telemetry.{field}")]


GLOBAL = """
import asyncio
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from asgi_guard import Guard
from asgi_guard.testing import call

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})

guarded = Guard(app)
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
asyncio.run(call(guarded))
names = [m.name for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics]
print("http.server.request.duration" in names, len(names) == len(set(names)))
"""

WITHOUT = """
import sys
for name in ("opentelemetry", "opentelemetry.sdk"):
    sys.modules[name] = None
from asgi_guard import Guard, MissingExtraError
Guard(print)
try:
    Guard(print, telemetry="otlp")
except MissingExtraError as error:
    print(error)
"""

LAZY = """
import sys
from asgi_guard import Guard
Guard(print, telemetry="otlp")
print("opentelemetry.sdk.trace" in sys.modules, "opentelemetry.exporter.otlp.proto.http" in sys.modules)
"""


def run(program: str) -> str:
    """Run a program in an interpreter of its own: a provider is global, and an import for good."""
    return subprocess.check_output([sys.executable, "-c", program], text=True).strip()


@pytest.mark.long
def test_the_global_meter_provider_is_told_once_it_is_there() -> None:
    """Also where it was set up after the guard was built."""
    assert run(GLOBAL) == "True True"


def test_without_the_sdk_only_otlp_is_refused() -> None:
    """When the guard is built, with what to install; all else works."""
    assert "pip install 'asgi-guard[otel]'" in run(WITHOUT)


def test_a_constructor_sets_nothing_up() -> None:
    """Nor loads the SDK: that is for whoever serves."""
    assert run(LAZY) == "False False"


class Failing(MeterProvider):
    """Gives a histogram that raises."""

    def get_meter(self, *args: Any, **kwargs: Any) -> Any:
        """Return a meter whose histograms raise."""
        meter = super().get_meter(*args, **kwargs)
        made = meter.create_histogram

        def create(*given: Any, **named: Any) -> Any:
            histogram = made(*given, **named)

            def record(*_args: Any, **_kwargs: Any) -> None:
                raise RuntimeError("a histogram")

            histogram.record = record  # type: ignore[method-assign]
            return histogram

        meter.create_histogram = create  # type: ignore[method-assign]
        return meter


async def test_a_meter_provider_that_raises_costs_neither_request_nor_span(caplog: pytest.LogCaptureFixture) -> None:
    """It is told no more of it, and that is said once."""
    kept = InMemorySpanExporter()
    tracers = TracerProvider(shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(kept))
    guarded = TelemetryMiddleware(
        app, aggregate=Aggregate(), tracer_provider=tracers, meter_provider=Failing([InMemoryMetricReader()])
    )

    statuses = [(await call(guarded)).status for _ in range(3)]

    assert (statuses, len(kept.get_finished_spans())) == ([200] * 3, 3)
    assert len([record for record in caplog.records if "the meter provider fails" in record.message]) == 1


def test_no_help_shows_the_environment() -> None:
    """A default that is the environment would stand in every signature, with the secrets in it."""
    secret = "a-secret-of-the-environment"
    program = (
        "import inspect; from asgi_guard.telemetry.otlp import setup_otlp; "
        "from asgi_guard.serve.guarded import guarded; "
        "print(inspect.signature(setup_otlp), inspect.signature(guarded))"
    )

    shown = subprocess.check_output([sys.executable, "-c", program], text=True, env={**os.environ, "SECRET": secret})

    assert secret not in shown


@pytest.mark.long
def test_a_shared_folder_is_opened_by_whoever_serves(tmp_path: Any) -> None:
    """A constructor touches no disk."""
    folder = tmp_path / "cells"
    program = (
        "import asyncio, sys; from pathlib import Path; from asgi_guard import ConfigError, Guard, Telemetry\n"
        "from asgi_guard.testing import call\n"
        "async def app(scope, receive, send):\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    await send({'type': 'http.response.body'})\n"
        "guard = Guard(app, telemetry=Telemetry(shared_dir=sys.argv[1]))\n"
        "print(Path(sys.argv[1]).exists())\n"
        "asyncio.run(call(guard))\n"
        "print(Path(sys.argv[1]).is_dir())\n"
    )
    run_it = [sys.executable, "-c", program, str(folder)]
    assert subprocess.check_output(run_it, text=True).split() == ["False", "True"]


async def test_what_is_wrong_with_the_folder_is_told_under_the_name_that_was_written(tmp_path: Any) -> None:
    """When a lifespan starts."""
    layer = TelemetryLayer(Telemetry(aggregate=Aggregate()))
    nowhere = tmp_path / "nowhere" / "cells"
    layer._out = Out(Telemetry(shared_dir=str(nowhere)), SharedAggregate(nowhere, opens=False))
    with pytest.raises(ConfigError, match=r"AG851 Telemetry\.shared_dir"):
        await layer.start()
