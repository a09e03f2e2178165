"""Readings: what the signal of an alert is, and what an objective counts, from what was counted.

Must never make a number of nothing: where nothing happened, and where nothing can be measured, there is no reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

from asgi_guard.monitor.metric import Kind
from asgi_guard.monitor.snapshot import Snapshot
from asgi_guard.watch.alerts import Alert, Reading
from asgi_guard.watch.names import EVENT_LOOP_LAG
from asgi_guard.watch.slo import SLO
from asgi_guard.watch.stretch import Figures, Stretch, added
from asgi_guard.watch.system import SystemSample

SHARE: Final = 0.95
"""The quantile that durations are judged by."""

NOT_MEASURED: Final = Reading(None, 0)

_Read = Callable[[Stretch, SystemSample | None], Reading]


def _of_requests(recent: Stretch, _: SystemSample | None) -> Reading:
    return _quantile(recent.served)


def _errors(recent: Stretch, _: SystemSample | None) -> Reading:
    requests = recent.served
    return Reading(100 * requests.errors / requests.number, requests.number) if requests.number else NOT_MEASURED


def _lag(recent: Stretch, _: SystemSample | None) -> Reading:
    found = recent.durations.get((EVENT_LOOP_LAG.name, ()))
    return NOT_MEASURED if found is None else Reading(_quantile(found).value, None)


def _of_system(field: str) -> _Read:
    def read(_: Stretch, sample: SystemSample | None) -> Reading:
        return Reading(None if sample is None else getattr(sample, field), None)

    return read


SIGNALS: Final[Mapping[str, _Read]] = MappingProxyType(
    {
        "cpu_usage": _of_system("cpu_percent"),
        "memory_usage": _of_system("memory_percent"),
        "disk_usage": _of_system("disk_percent"),
        "response_time": _of_requests,
        "error_rate": _errors,
        "event_loop_lag": _lag,
    }
)
"""The signals that everybody has; any other name is a metric of the application's own."""


def reading_of(alert: Alert, recent: Stretch, snapshot: Snapshot, sample: SystemSample | None) -> Reading:
    """Read the signal of an alert.

    Args:
        alert: its settings.
        recent: what happened in its window.
        snapshot: all that was counted, for what has a level.
        sample: how the machine is; None where that is not known yet.
    """
    known = SIGNALS.get(alert.signal)
    return _of_custom(alert, recent, snapshot) if known is None else known(recent, sample)


def _of_custom(alert: Alert, recent: Stretch, snapshot: Snapshot) -> Reading:
    """Read the application's own: of a timing its p95, of a counter its rate, of gauges the one that is worst."""
    name = alert.signal
    durations = [figures for (metric, _), figures in recent.durations.items() if metric == name]
    if durations:
        return _quantile(added(durations))
    points = [point for point in snapshot if point.metric.name == name]
    if not points:
        return NOT_MEASURED
    kind = points[0].metric.kind
    if kind is Kind.COUNTER:
        return _of_counter(alert, sum(recent.counted(name).values()), recent.seconds)
    worst = max if alert.below is None else min
    return NOT_MEASURED if kind is Kind.HISTOGRAM else Reading(worst([point.value for point in points]), None)


def _of_counter(alert: Alert, counted: float, seconds: float) -> Reading:
    """Read a rate. Whoever wants to know that it is low wants to hear of none at all, as soon as a window is full."""
    if alert.above is None:
        return Reading(counted / seconds, None) if seconds >= alert.window_seconds else NOT_MEASURED
    return Reading(counted / seconds, int(counted)) if seconds else NOT_MEASURED


def _quantile(figures: Figures) -> Reading:
    return Reading(figures.quantiles(SHARE)[0], figures.timed)


def good_and_bad(slo: SLO, stretch: Stretch) -> tuple[int, int]:
    """Count what an objective counts: all requests of its routes, and those that were errors or too slow.

    One that names no routes is about whatever has reached the application.
    """
    chosen = _of_routes(slo.routes, stretch) if slo.routes else [stretch.served]
    total = sum([figures.number for figures in chosen])
    bad = sum([figures.errors for figures in chosen])
    if slo.latency_seconds is not None:
        slow = sum([figures.above(slo.latency_seconds) for figures in chosen])
        bad = min(total, max(bad, slow))
    return total, bad


def _of_routes(routes: Iterable[str], stretch: Stretch) -> list[Figures]:
    wanted = frozenset(routes)
    return [figures for (_, route), figures in stretch.routes.items() if route in wanted]
