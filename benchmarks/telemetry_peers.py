"""Peers: the instrumentations that the telemetry matrix is asked of, each set up as well as its documentation says how.

Each puts itself around the shop of `tests/support`, and tells what it has counted in the words of OpenTelemetry's
conventions; what it calls otherwise is translated here.
Must run with `OTEL_SEMCONV_STABILITY_OPT_IN=http`, without which OpenTelemetry's own counts under names of old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import count
from types import MappingProxyType
from typing import Any

from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.util.http import ExcludeList
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator, metrics
from starlette_exporter import PrometheusMiddleware, optional_metrics
from telemetry_shop import Diary, shop
from telemetry_watched import ACTIVE, CAPTURED, DURATION, EXCLUDED, SIZES, Series, Tracing, Watched, ours

OURS = "asgi-guard"
BARE = "the application alone"
METRICS = frozenset({"metrics"})
_RUNS = count()

PACKAGES: Mapping[str, str] = MappingProxyType(
    {
        "FastAPI native": "fastapi",
        "OpenTelemetry ASGI": "opentelemetry-instrumentation-asgi",
        "PFI": "prometheus-fastapi-instrumentator",
        "starlette-exporter": "starlette-exporter",
    }
)
"""Each peer's distribution; PFI is prometheus-fastapi-instrumentator."""


class Metering:
    """A meter provider that keeps its numbers."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader], shutdown_on_exit=False)

    def series(self) -> list[Series]:
        """Return them."""
        data = self._reader.get_metrics_data()
        resources = data.resource_metrics if data is not None else ()
        scopes = [scope for resource in resources for scope in resource.scope_metrics]
        return [
            _of_opentelemetry(metric.name, point)
            for scope in scopes
            for metric in scope.metrics
            for point in metric.data.data_points
        ]


def _of_opentelemetry(name: str, point: Any) -> Series:
    attributes = {key: str(value) for key, value in point.attributes.items()}
    if not hasattr(point, "sum"):
        return Series(name, attributes, total=point.value)
    traces = tuple(f"{exemplar.trace_id:032x}" for exemplar in point.exemplars if exemplar.trace_id)
    return Series(name, attributes, point.count, point.sum, traces)


def native() -> Watched:
    """Let FastAPI make its own."""
    tracing, metering = Tracing(), Metering()
    diary = tracing.diary()
    app = shop(
        diary,
        telemetry={
            "tracer_provider": tracing.provider,
            "meter_provider": metering.provider,
            "exclude": lambda scope: scope["path"] == EXCLUDED,
        },
    )
    return Watched(app, diary, metering.series, tracing.spans)


def contrib() -> Watched:
    """Put OpenTelemetry's middleware around it."""
    tracing, metering = Tracing(), Metering()
    diary = tracing.diary()
    app = OpenTelemetryMiddleware(
        shop(diary),
        excluded_urls=ExcludeList([EXCLUDED]),
        tracer_provider=tracing.provider,
        meter_provider=metering.provider,
        http_capture_headers_server_request=[*CAPTURED],
        http_capture_headers_sanitize_fields=["authorization"],
        exclude_spans=["receive", "send"],
    )
    return Watched(app, diary, metering.series, tracing.spans)


def instrumentator() -> Watched:
    """Let prometheus-fastapi-instrumentator add itself."""
    registry, diary, inprogress = CollectorRegistry(), Diary(), f"inprogress{next(_RUNS)}"
    app = shop(diary)
    made = Instrumentator(
        should_group_status_codes=False,
        should_instrument_requests_inprogress=True,
        inprogress_name=inprogress,  # it is always in the registry of the process
        excluded_handlers=[EXCLUDED],
        registry=registry,
    )
    made.add(metrics.latency(registry=registry))
    made.add(metrics.request_size(registry=registry))
    made.add(metrics.response_size(registry=registry))
    made.instrument(app)
    names = {
        "http_request_duration_seconds": DURATION,
        "http_request_size_bytes": SIZES[0],
        "http_response_size_bytes": SIZES[1],
    }

    def series() -> list[Series]:
        return [*_of_prometheus(registry, names), *_of_prometheus(REGISTRY, {inprogress: ACTIVE})]

    return Watched(app, diary, series, tells=METRICS)


def exporter() -> Watched:
    """Add starlette-exporter, whose numbers are those of the process, under a prefix of their own."""
    prefix, diary = f"run{next(_RUNS)}", Diary()
    app = shop(diary)
    app.add_middleware(
        PrometheusMiddleware,
        prefix=prefix,
        skip_paths=[EXCLUDED],
        group_unhandled_paths=True,
        filter_unhandled_paths=False,
        optional_metrics=optional_metrics.all_metrics,
    )
    names = {
        f"{prefix}_request_duration_seconds": DURATION,
        f"{prefix}_requests_in_progress": ACTIVE,
        f"{prefix}_request_body_bytes": SIZES[0],
        f"{prefix}_response_body_bytes": SIZES[1],
    }
    return Watched(app, diary, lambda: list(_of_prometheus(REGISTRY, names)), tells=METRICS)


_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "method": "http.request.method",
        "handler": "http.route",
        "path": "http.route",
        "status": "http.response.status_code",
        "status_code": "http.response.status_code",
    }
)


def _of_prometheus(registry: CollectorRegistry, names: Mapping[str, str]) -> Iterable[Series]:
    for family in registry.collect():
        if family.name not in names:
            continue
        found: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
        for sample in family.samples:
            if not sample.name.endswith(("_bucket", "_created")):
                attributes = tuple((_LABELS.get(name, name), value) for name, value in sample.labels.items())
                found.setdefault(attributes, {})[sample.name.removeprefix(family.name)] = sample.value
        for attributes, samples in found.items():
            total = samples.get("_sum", samples.get("_total", samples.get("", 0.0)))
            yield Series(names[family.name], dict(attributes), int(samples.get("_count", 0)), total)


def nothing() -> Watched:
    """Put nothing around it."""
    diary = Diary()
    return Watched(shop(diary), diary, tells=frozenset())


INSTRUMENTS: Mapping[str, Callable[[], Watched]] = MappingProxyType(
    {
        OURS: ours,
        "FastAPI native": native,
        "OpenTelemetry ASGI": contrib,
        "PFI": instrumentator,
        "starlette-exporter": exporter,
        BARE: nothing,
    }
)
"""What makes each, fresh."""
