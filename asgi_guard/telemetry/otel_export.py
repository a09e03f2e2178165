"""Export: what the aggregate has counted goes out with whatever OpenTelemetry's SDK exports, and in its stead with it.

    PeriodicExportingMetricReader(GuardMetricExporter(OTLPMetricExporter()))

Public interface alone: an exporter around another one, or a reader's documented hook. What the SDK itself has collected
of our metrics, see `otel`, is replaced, so that nothing is told twice. Each process tells of itself, and a forked one
not of what its parent has counted: to OpenTelemetry it is a service instance of its own.
Must never lose a difference: what was not taken is told again, together with what was counted since.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Lock
from typing import Any, Final
from weakref import WeakSet

from opentelemetry.sdk.metrics import Counter as SDKCounter
from opentelemetry.sdk.metrics import Histogram as SDKHistogram
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricReader,
    MetricsData,
    ScopeMetrics,
)
from opentelemetry.sdk.metrics.export import Metric as SDKMetric
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.metric import Kind
from asgi_guard.monitor.process import aggregate_of_process
from asgi_guard.monitor.shared_memory import SharedAggregate
from asgi_guard.monitor.snapshot import Snapshot
from asgi_guard.telemetry.otel_points import has_counted, to_otel
from asgi_guard.telemetry.spans import SCHEMA

SCOPE: Final = InstrumentationScope("asgi_guard", sys.modules["asgi_guard"].__version__, SCHEMA)
"""Under which all of it is told; the SDK makes the same one for our instruments."""

_NOTHING: Final = Snapshot(())
_KINDS: Final[Mapping[type, Kind]] = {SDKCounter: Kind.COUNTER, SDKHistogram: Kind.HISTOGRAM}
_tellers: Final[WeakSet[Teller]] = WeakSet()


def is_told(aggregate: Aggregate) -> bool:
    """Tell whether an exporter or a reader of this process tells what an aggregate counts, durations and all."""
    return any(teller.aggregate is aggregate for teller in tuple(_tellers))


class Teller:
    """Adds what an aggregate has counted to what the SDK has collected.

    Args:
        aggregate: the aggregate; by default that of the process, whichever it is at the time.
        temporality: what the exporter prefers, by class of instrument; numbers that go up and down are always told
            as they are.
        aggregation: what it prefers, by class.
        now_ns: the time, in nanoseconds since 1970.
    """

    def __init__(
        self,
        aggregate: Aggregate | None,
        temporality: Mapping[type, AggregationTemporality] | None,
        aggregation: Mapping[type, object] | None,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        preferred = temporality or {}
        self._aggregate = aggregate
        self._differences = frozenset(
            kind for of, kind in _KINDS.items() if preferred.get(of) is AggregationTemporality.DELTA
        )
        asked_for = (aggregation or {}).get(SDKHistogram)
        self._is_exponential = isinstance(asked_for, ExponentialBucketHistogramAggregation)
        self._now_ns = now_ns
        self._inherited = _NOTHING
        self._begin()
        _tellers.add(self)

    @property
    def aggregate(self) -> Aggregate:
        """The aggregate."""
        return self._aggregate or aggregate_of_process()

    def _begin(self) -> None:
        self._lock = Lock()
        self._started_ns = self._last_ns = self._now_ns()
        self._last = _NOTHING

    def restart(self) -> None:
        """Begin anew in a process that was just forked; memory that is shared does so itself."""
        if not isinstance(self.aggregate, SharedAggregate):
            self._inherited = self.aggregate.snapshot().without_levels()
        self._begin()

    def tell(self, collected: MetricsData, hand_on: Callable[[MetricsData], bool]) -> bool:
        """Hand on what was collected, with ours.

        Args:
            collected: by the SDK; it is left as it is.
            hand_on: takes it all, and returns whether it has arrived.
        """
        with self._lock:
            now_ns = self._now_ns()
            counted = self.aggregate.snapshot(with_exponential=self._is_exponential).since(self._inherited)
            has_arrived = hand_on(_added(collected, self._metrics(counted, now_ns), counted))
            if has_arrived:
                self._last, self._last_ns = counted, now_ns
            return has_arrived

    def _metrics(self, counted: Snapshot, now_ns: int) -> list[SDKMetric]:
        differences = self._differences
        whole = Snapshot(point for point in counted if point.metric.kind not in differences)
        told = to_otel(whole, self._started_ns, now_ns, is_exponential=self._is_exponential)
        if differences:
            fresh = counted.since(self._last)
            new = Snapshot(point for point in fresh if point.metric.kind in differences and has_counted(point))
            delta = AggregationTemporality.DELTA
            told += to_otel(new, self._last_ns, now_ns, delta, is_exponential=self._is_exponential)
        return told

    def end(self) -> None:
        """Tell no more."""
        _tellers.discard(self)


def _added(collected: MetricsData, metrics: list[SDKMetric], counted: Snapshot) -> MetricsData:
    """Add metrics to the first resource, in the place of what the SDK has told under their names."""
    names = {point.metric.name for point in counted}
    first, *others = collected.resource_metrics
    scopes: list[ScopeMetrics] = []
    for found in first.scope_metrics:
        if found.scope.name == SCOPE.name:
            metrics += [metric for metric in found.metrics if metric.name not in names]
        else:
            scopes.append(found)
    ours = [ScopeMetrics(SCOPE, metrics, SCHEMA)] if metrics else []
    return MetricsData([replace(first, scope_metrics=[*scopes, *ours]), *others])


class GuardMetricExporter(MetricExporter):
    """An exporter that also exports what the guard has counted.

    It is called where the SDK has collected something; `otel.Instruments` sees to it that it has.

    Args:
        exporter: where it all goes; what it prefers, differences and base-2 buckets, is heeded.
        aggregate: what to export; by default the aggregate of the process.
        now_ns: the time, in nanoseconds since 1970.
    """

    def __init__(
        self, exporter: MetricExporter, aggregate: Aggregate | None = None, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        # The SDK's own reader takes them from there too; nothing else says what an exporter prefers.
        temporality = exporter._preferred_temporality  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        aggregation = exporter._preferred_aggregation  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        super().__init__(temporality, aggregation)
        self._exporter: Any = exporter
        self._teller = Teller(aggregate, temporality, aggregation, now_ns)

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Export what was collected, and ours with it."""

        def hand_on(told: MetricsData) -> bool:
            return self._exporter.export(told, timeout_millis, **kwargs) is MetricExportResult.SUCCESS

        return MetricExportResult.SUCCESS if self._teller.tell(metrics_data, hand_on) else MetricExportResult.FAILURE

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Flush the exporter."""
        return bool(self._exporter.force_flush(timeout_millis))

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Shut the exporter down."""
        self._teller.end()
        self._exporter.shutdown(timeout_millis, **kwargs)


class GuardMetricReader(MetricReader):
    """Put before a reader that others pull from, makes it read what the guard has counted too.

        class Reader(GuardMetricReader, PrometheusMetricReader): ...

    It reads the aggregate of the process.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._teller = Teller(None, self._preferred_temporality, None)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        """Hand on what was collected, and ours with it; the SDK documents this hook."""
        receive: Any = super()._receive_metrics  # type: ignore[safe-super]

        def hand_on(told: MetricsData) -> bool:
            receive(told, timeout_millis, **kwargs)
            return True

        self._teller.tell(metrics_data, hand_on)


def _restart_all() -> None:
    for teller in tuple(_tellers):
        teller.restart()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_restart_all)
