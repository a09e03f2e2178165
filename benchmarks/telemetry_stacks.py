"""Stacks: the instrumentations whose cost is measured, each around an application that does nothing.

Each counts as it would, and gives its spans to a batch processor whose exporter does nothing: what is measured is what
a request pays. `python benchmarks/telemetry_stacks.py STACK` serves one, as `servers.py` does.
Must import an instrumentation only to make its stack: what others have imported changes what a request costs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from tempfile import mkdtemp
from types import MappingProxyType
from typing import Any

from scenarios import App, null

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.layers.telemetry import TelemetryMiddleware
from asgi_guard.monitor.cells import Aggregate

BARE, ENGINE = "bare", "asgi-guard, the engine with a layer that does nothing"
OURS, SHARED = "asgi-guard, metrics", "asgi-guard, metrics in shared memory"
OURS_1, OURS_100 = "asgi-guard, spans at 1 %", "asgi-guard, spans at 100 %"


WAITING = ("PFI, metrics",)
"""What waits for the loop, and so cannot be run in one step."""


class Nothing(Layer):
    """Fills in the hooks that telemetry fills in."""

    def admit(self, exchange: Exchange) -> None:
        pass

    complete = finish = admit


def metrics() -> App:
    """Count in this process."""
    return TelemetryMiddleware(null, aggregate=Aggregate(), spans=False)


def shared() -> App:
    """Count where other workers see it."""
    from asgi_guard.monitor.shared_memory import SharedAggregate

    return TelemetryMiddleware(null, aggregate=SharedAggregate(mkdtemp()), spans=False)


def spans(share: float) -> Callable[[], App]:
    """Count, and make spans of a share of the requests."""
    return lambda: TelemetryMiddleware(null, aggregate=Aggregate(), tracer_provider=traced(share))


def traced(share: float) -> Any:
    """Make a tracer provider that samples a share of the requests."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    class Nowhere(SpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            return SpanExportResult.SUCCESS

    provider = TracerProvider(sampler=ParentBased(TraceIdRatioBased(share)), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    return provider


def metered() -> Any:
    """Make a meter provider."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    return MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)


def native(share: float | None) -> Callable[[], App]:
    """Put FastAPI's own around it, as FastAPI does; without a share, its metrics alone."""

    def make() -> App:
        from fastapi import FastAPI

        providers = {"meter_provider": metered(), "tracer_provider": None if share is None else traced(share)}
        made = FastAPI(telemetry={**providers, "tracing": share is not None, "logs": False})._native_telemetry  # noqa: SLF001

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await made(app=null, scope=scope, receive=receive, send=send)

        return app

    return make


def contrib(share: float | None) -> Callable[[], App]:
    """Put OpenTelemetry's around it; without a share, its metrics alone."""

    def make() -> App:
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
        from opentelemetry.trace import NoOpTracerProvider

        provider = NoOpTracerProvider() if share is None else traced(share)
        return OpenTelemetryMiddleware(
            null, tracer_provider=provider, meter_provider=metered(), exclude_spans=["receive", "send"]
        )

    return make


def instrumentator() -> App:
    """Put prometheus-fastapi-instrumentator around it, with a router of one route to look into."""
    from prometheus_client import CollectorRegistry
    from prometheus_fastapi_instrumentator.middleware import PrometheusInstrumentatorMiddleware

    return _routed(PrometheusInstrumentatorMiddleware(null, registry=CollectorRegistry()))


def exporter() -> App:
    """Put starlette-exporter around it, with the same router."""
    from starlette_exporter import PrometheusMiddleware

    return _routed(PrometheusMiddleware(null))


def _routed(wrapped: App) -> App:
    """Leave in the scope what Starlette leaves there."""
    from starlette.applications import Starlette
    from starlette.routing import Route

    known = Starlette(routes=[Route("/api/items/{key}", null)])
    left = {"app": known, "router": known.router, "endpoint": null}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope.update(left)
        await wrapped(scope, receive, send)

    return app


STACKS: Mapping[str, Callable[[], App]] = MappingProxyType(
    {
        BARE: lambda: null,
        ENGINE: lambda: Middleware(null, Nothing()),
        OURS: metrics,
        SHARED: shared,
        OURS_1: spans(0.01),
        OURS_100: spans(1.0),
        "FastAPI native, metrics": native(None),
        "FastAPI native, spans at 1 %": native(0.01),
        "FastAPI native, spans at 100 %": native(1.0),
        "OpenTelemetry ASGI, metrics": contrib(None),
        "OpenTelemetry ASGI, spans at 1 %": contrib(0.01),
        "OpenTelemetry ASGI, spans at 100 %": contrib(1.0),
        "PFI, metrics": instrumentator,
        "starlette-exporter, metrics": exporter,
    }
)
"""What makes each; spans always come with metrics."""


if __name__ == "__main__":
    from servers import serve

    serve(STACKS[sys.argv[1]]())
