"""OpenTelemetry: what the aggregate has counted, out through a meter provider that somebody else has set up.

Counters, and numbers that go up or down, are observable instruments: they cost nothing until somebody collects. For
durations the public interface knows nothing of the kind: there each is recorded once more, in the SDK's own histogram,
at several times the price of all else. Whoever puts `otel_export` in their reader spares that.
Must never tell anything twice: where an exporter or a reader tells it all, nothing is observed or recorded here.
Must never make an instrument while it is asked: the SDK holds a lock then which it needs for that too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from threading import Lock, Thread
from typing import Any, TypeAlias

from opentelemetry.metrics import CallbackOptions, Histogram, MeterProvider, Observation

from asgi_guard.monitor.cells import Aggregate, Series
from asgi_guard.monitor.metric import Kind, Metric
from asgi_guard.telemetry.otel_export import SCOPE, is_told
from asgi_guard.telemetry.otel_points import attributes_of
from asgi_guard.telemetry.semconv import SERIES

Recorder: TypeAlias = Callable[[float], None]


class Instruments:
    """Our instruments at a meter provider.

    Args:
        meter_provider: whose; where it is asked, by whom and how often, is its own affair.
        aggregate: what they tell.
    """

    def __init__(self, meter_provider: MeterProvider, aggregate: Aggregate) -> None:
        self._meter = meter_provider.get_meter(SCOPE.name, SCOPE.version, SCOPE.schema_url)
        self._aggregate = aggregate
        self._lock = Lock()
        self._making = Lock()  # of its own: a request must not wait until the SDK has collected
        self._observed: set[str] = set()
        self._histograms: dict[str, Histogram] = {}
        self._snapshot = aggregate.snapshot(with_exponential=False)
        self._make(SERIES, self._begin)  # always there, so that the SDK has something to hand on
        self._discover()

    def recorder(self, series: Series) -> Recorder | None:
        """Return what records a value of a histogram in the SDK, in the unit; None where that is told anyway.

        Keep it: it costs more to make than to call. To record within the context of a span gives an exemplar.
        """
        if is_told(self._aggregate):
            return None
        metric = series.metric
        with self._lock:
            histogram = self._histograms.get(metric.name)
            if histogram is None:
                histogram = self._histograms[metric.name] = self._meter.create_histogram(
                    metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=metric.bounds
                )
        return partial(histogram.record, attributes=attributes_of(series.read(with_exponential=False)))

    def _begin(self, _options: CallbackOptions) -> Iterable[Observation]:
        """Take the snapshot that all instruments are read from: this one was made first, and is asked first."""
        self._snapshot = self._aggregate.snapshot(with_exponential=False)
        if not is_told(self._aggregate) and not self._observable().keys() <= self._observed:
            with suppress(RuntimeError):  # no thread starts when the process ends
                Thread(target=self._discover, name="asgi_guard.instruments", daemon=True).start()
        yield Observation(len(self._snapshot))

    def _observable(self) -> dict[str, Metric]:
        """Return the metrics, by name, that can be observed."""
        return {point.metric.name: point.metric for point in self._snapshot if point.metric.kind is not Kind.HISTOGRAM}

    def _discover(self) -> None:
        """Make the instruments that are missing."""
        with self._making:
            missing = [metric for name, metric in self._observable().items() if name not in self._observed]
            for metric in missing:
                self._make(metric, partial(self._read, metric))

    def _make(self, metric: Metric, callback: Callable[[CallbackOptions], Iterable[Observation]]) -> None:
        makers: dict[Kind, Any] = {
            Kind.COUNTER: self._meter.create_observable_counter,
            Kind.UP_DOWN: self._meter.create_observable_up_down_counter,
            Kind.GAUGE: self._meter.create_observable_gauge,
        }
        makers[metric.kind](metric.name, [callback], metric.unit, metric.description)
        self._observed.add(metric.name)

    def _read(self, metric: Metric, _options: CallbackOptions) -> Iterable[Observation]:
        if is_told(self._aggregate):
            return
        for point in self._snapshot:
            if point.metric == metric:
                yield Observation(point.value, attributes_of(point))
