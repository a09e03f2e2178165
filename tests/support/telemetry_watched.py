"""What an instrumentation has told, in the same words for all of them: the names of OpenTelemetry's conventions.

Here is ours; those of the peers stand in `benchmarks/telemetry_peers.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from telemetry_shop import Diary, shop

from asgi_guard.engine.types import ASGIApp
from asgi_guard.layers.telemetry import TelemetryMiddleware
from asgi_guard.monitor.cells import Aggregate

DURATION = "http.server.request.duration"
ACTIVE = "http.server.active_requests"
SIZES = ("http.server.request.body.size", "http.server.response.body.size")
EXCLUDED = "/probe"
CAPTURED = ("x-tenant", "authorization")
BOTH = frozenset({"spans", "metrics"})


@dataclass(frozen=True)
class Series:
    """One series of a metric.

    Attributes:
        name: of the metric.
        attributes: by name; those that it does not have are left out.
        count: how many values there were.
        total: their sum, in seconds or bytes; of a level, how high it is.
        traces: the ids of the traces of its exemplars.
    """

    name: str
    attributes: Mapping[str, str]
    count: int = 0
    total: float = 0.0
    traces: tuple[str, ...] = ()


@dataclass
class Watched:
    """An application with one instrumentation around it, and what that tells.

    Attributes:
        app: both together.
        diary: what the application notes.
        series: reads the metrics.
        spans: reads the spans that have ended.
        tells: which of the two it makes at all.
    """

    app: ASGIApp
    diary: Diary
    series: Callable[[], list[Series]] = list
    spans: Callable[[], tuple[ReadableSpan, ...]] = tuple
    tells: frozenset[str] = field(default=BOTH)


class Last(SpanExporter):
    """Keeps the last spans, and no more, so that they are no part of what grows under attack."""

    def __init__(self) -> None:
        self.spans: deque[ReadableSpan] = deque(maxlen=100)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Keep these."""
        self.spans.extend(spans)
        return SpanExportResult.SUCCESS


class Tracing:
    """A tracer provider that keeps its last spans."""

    def __init__(self) -> None:
        self._exporter = Last()
        self.provider = TracerProvider(sampler=ParentBased(ALWAYS_ON), shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def diary(self) -> Diary:
        """Make the diary of an application that makes spans too."""
        return Diary(tracer=self.provider.get_tracer("shop"))

    def spans(self) -> tuple[ReadableSpan, ...]:
        """Return those that have ended."""
        return tuple(self._exporter.spans)


def series_of(aggregate: Aggregate) -> list[Series]:
    """Read our own metrics."""
    return list(_series(aggregate))


def _series(aggregate: Aggregate) -> Iterable[Series]:
    for point in aggregate.snapshot():
        attributes = {name: str(value) for name, value in point.attributes.items()}
        traces = (point.exemplar.trace_id,) if point.exemplar is not None else ()
        total = point.total / point.metric.per_unit if point.counts else point.number
        yield Series(point.metric.name, attributes, point.count, total, traces)


def ours(app: ASGIApp | None = None, **settings: Any) -> Watched:
    """Put our telemetry around an application; around the shop where there is none."""
    tracing, aggregate = Tracing(), Aggregate()
    diary = tracing.diary()
    guarded = TelemetryMiddleware(
        shop(diary) if app is None else app,
        aggregate=aggregate,
        tracer_provider=tracing.provider,
        excluded_paths=[EXCLUDED],
        request_headers=CAPTURED,
        traffic=True,
        **settings,
    )
    return Watched(guarded, diary, lambda: series_of(aggregate), tracing.spans)
