"""Summary: all that is known of the last hour, as one document of plain data.

Its form is written down in README, and has a version: a field may be added to it, and none changes its meaning.
Must never tell what a client has written, nor a key of the rate limit: routes, policies and layers are the program's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from asgi_guard.monitor import names
from asgi_guard.monitor.metric import Kind
from asgi_guard.monitor.pressure import Pressed
from asgi_guard.monitor.snapshot import Point, Snapshot
from asgi_guard.telemetry import semconv
from asgi_guard.watch.custom import RESERVED
from asgi_guard.watch.history import History
from asgi_guard.watch.names import EVENT_LOOP_LAG, GC_PAUSE, PROCESS_CPU_TIME, PROCESS_MEMORY_USAGE, PROCESS_OPEN_FILES
from asgi_guard.watch.stretch import SERVED, Figures, Stretch

VERSION: Final = 1

WINDOWS: Final[Mapping[str, float]] = {"1m": 60.0, "5m": 300.0, "60m": 3_600.0}
"""The windows, and how long they are, in seconds."""

SHARES: Final[Mapping[str, float]] = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}

MAX_ROUTES: Final = 100
MAX_REFUSALS: Final = 50
MAX_CUSTOM_SERIES: Final = 200
MAX_WORKERS: Final = 100

_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class Moment:
    """What one step of the watcher has found.

    Attributes:
        time: when, in UNIX seconds.
        uptime_seconds: for how long the watcher has been watching.
        period_seconds: from one step to the next.
        snapshot: all that was counted, of all workers.
        workers: what each has counted, by its number.
        system: how the machine is, as the summary has it.
        alerts: how they are, as the summary has it.
        pressed: the keys that the rate limit refuses most often.
        cpu_percent: of each worker, since the step before.
        is_alone: whether this is one of several workers that share no folder, so that each counts for itself.
    """

    time: float
    uptime_seconds: float = 0
    period_seconds: float = 5
    snapshot: Snapshot = field(default_factory=lambda: Snapshot(()))
    workers: Sequence[tuple[int, Snapshot]] = ()
    system: Mapping[str, Any] = field(default_factory=dict[str, Any])
    alerts: Sequence[Mapping[str, Any]] = ()
    pressed: Sequence[Pressed] = ()
    cpu_percent: Mapping[int, float] = field(default_factory=dict[int, float])
    is_alone: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """How the machine was at the end of a stretch, for the timeline.

    Attributes:
        time: in UNIX seconds.
        cpu_percent: of what may be used.
        memory_percent: of what may be used.
    """

    time: float
    cpu_percent: float | None = None
    memory_percent: float | None = None


def document(
    history: History, marks: Sequence[Mark], moment: Moment, windows: Collection[str] = tuple(WINDOWS)
) -> dict[str, Any]:
    """Write it.

    Args:
        history: the stretches of the last hour.
        marks: one for each of its newest stretches.
        moment: what the last step has found.
        windows: those that are wanted.
    """
    recent = history.window(WINDOWS["5m"])
    return {
        "version": VERSION,
        "time": round(moment.time, 3),
        "period_seconds": moment.period_seconds,
        "uptime_seconds": round(moment.uptime_seconds, 3),
        "alone": moment.is_alone,
        "windows": {
            name: _window(history.window(WINDOWS[name], with_routes=True)) for name in WINDOWS if name in windows
        },
        "timeline": _timeline(history.ticks(), marks, moment.period_seconds),
        "refusals": _refusals(recent),
        "limiter": {
            "policies": [*_policies(recent)],
            "keys": [pressed._asdict() for pressed in moment.pressed],
        },
        "validation": [*_findings(recent)],
        "breakers": [*_breakers(moment.snapshot)],
        "system": dict(moment.system),
        "workers": [_worker(number, found, moment) for number, found in moment.workers[:MAX_WORKERS]],
        "custom": _custom(moment.snapshot, history),
        "alerts": [dict(alert) for alert in moment.alerts],
    }


# Requests -------------------------------------------------------------------------------------------------------------


def _window(stretch: Stretch) -> dict[str, Any]:
    routes = sorted(stretch.routes.items(), key=lambda item: (-item[1].number, item[0]))
    return {
        "seconds": round(stretch.seconds, 3),
        "all": _of_requests(stretch.requests, stretch.seconds),
        "routes": [
            {"method": method, "route": route, **_of_requests(figures, stretch.seconds)}
            for (method, route), figures in routes[:MAX_ROUTES]
        ],
    }


def _of_requests(figures: Figures, seconds: float) -> dict[str, Any]:
    return {
        "requests": figures.number,
        "requests_per_second": _rate(figures.number, seconds),
        "errors": figures.errors,
        "error_rate": _percent(figures.errors, figures.number),
        "client_errors": figures.failures,
        "client_error_rate": _percent(figures.failures, figures.number),
        "mean_seconds": _rounded(figures.mean_seconds),
        **_quantiles(figures, SHARES),
    }


def _quantiles(figures: Figures, shares: Mapping[str, float]) -> dict[str, float | None]:
    found = figures.quantiles(*shares.values())
    return {f"{name}_seconds": _rounded(value) for name, value in zip(shares, found, strict=True)}


def _timeline(ticks: Sequence[Stretch], marks: Sequence[Mark], period_seconds: float) -> dict[str, Any]:
    kept = [*zip(ticks[::-1], marks[::-1], strict=False)][::-1]
    three = {name: SHARES[name] for name in ("p50", "p95", "p99")}
    quantiles = [_quantiles(tick.requests, three) for tick, _ in kept]
    return {
        "step_seconds": period_seconds,
        "times": [round(mark.time, 3) for _, mark in kept],
        "requests_per_second": [_rate(tick.requests.number, tick.seconds) for tick, _ in kept],
        "error_rate": [_percent(tick.requests.errors, tick.requests.number) for tick, _ in kept],
        "client_error_rate": [_percent(tick.requests.failures, tick.requests.number) for tick, _ in kept],
        **{f"{name}_seconds": [one[f"{name}_seconds"] for one in quantiles] for name in three},
        "refusals_per_second": [_rate(sum(_answers(tick).values()), tick.seconds) for tick, _ in kept],
        "cpu_percent": [_rounded(mark.cpu_percent) for _, mark in kept],
        "memory_percent": [_rounded(mark.memory_percent) for _, mark in kept],
    }


# What was refused -----------------------------------------------------------------------------------------------------


def _answers(stretch: Stretch) -> dict[tuple[str, ...], float]:
    """Return the answers that were refusals.

    What an endpoint answers is none, CORS answers its preflights, and what the envelope answers has failed.
    """
    found = stretch.counted(semconv.ANSWERS.name)
    return {values: count for values, count in found.items() if values[1] >= "400" and values[0] != "error_envelope"}


def _refusals(stretch: Stretch) -> list[dict[str, Any]]:
    """Tell who has refused how often, and why: by the reason where a layer counts its reasons, else by the status."""
    reasons = {layer: [*_reasons(stretch, layer)] for layer in _REASONS}
    found: list[tuple[float, str, str]] = []
    for (layer, status), count in _answers(stretch).items():
        if not reasons.get(layer):
            found.append((count, layer, status))
    for layer, counted in reasons.items():
        found.extend((count, layer, reason) for reason, count in counted)
    return [
        {"layer": layer, "reason": reason, "count": int(count), "per_second": _rate(count, stretch.seconds)}
        for count, layer, reason in sorted(found, key=lambda one: (-one[0], *one[1:]))[:MAX_REFUSALS]
    ]


def _reasons(stretch: Stretch, layer: str) -> Iterator[tuple[str, float]]:
    metric, attribute, is_refusal = _REASONS[layer]
    counted: dict[str, float] = {}
    for values, count in stretch.counted(metric).items():
        if is_refusal(values):
            counted[values[attribute]] = counted.get(values[attribute], 0) + count
    yield from counted.items()


_REASONS: Final[Mapping[str, tuple[str, int, Callable[[tuple[str, ...]], bool]]]] = {
    "rate_limit": (names.RATE_LIMIT_REQUESTS.name, 0, lambda values: values[1] in {"rejected", "fail_closed"}),
    "request_limits": (names.REQUEST_LIMITS_REJECTIONS.name, 0, lambda _: True),
    "validation": (names.VALIDATION_FINDINGS.name, 0, lambda values: values[2] == "blocked"),
}
"""Of layers that count their reasons: the metric, the attribute that is the reason, and which of them are refusals."""


def _policies(stretch: Stretch) -> Iterator[dict[str, Any]]:
    found: dict[str, dict[str, int]] = {}
    for (policy, result, _), count in sorted(stretch.counted(names.RATE_LIMIT_REQUESTS.name).items()):
        told = found.setdefault(policy, {"admitted": 0, "refused": 0, "would_refuse": 0})
        told[_RESULTS.get(result, "admitted")] += int(count)
    yield from ({"policy": policy, **told} for policy, told in found.items())


_RESULTS: Final[Mapping[str, str]] = {"rejected": "refused", "fail_closed": "refused", "shadowed": "would_refuse"}


def _findings(stretch: Stretch) -> Iterator[dict[str, Any]]:
    found = stretch.counted(names.VALIDATION_FINDINGS.name)
    for (rule, location, action), count in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        yield {"rule": rule, "location": location, "action": action, "count": int(count)}


# How things stand -----------------------------------------------------------------------------------------------------


def _breakers(snapshot: Snapshot) -> Iterator[dict[str, Any]]:
    """Tell how each circuit is: of several processes' the worst, since that is the one to look at."""
    found: dict[str, dict[str, Any]] = {}
    for point in snapshot:
        if point.metric.name == names.BREAKER_STATE.name and point.number > 0:
            name, state = point.values
            told = found.setdefault(name, {"name": name, "state": state, "calls": {}, "transitions": 0})
            told["state"] = max(told["state"], state, key=_badness)
    for point in snapshot:
        told = found.get(point.values[0], {}) if point.values else {}
        if told and point.metric.name == names.BREAKER_CALLS.name:
            told["calls"][point.values[1]] = told["calls"].get(point.values[1], 0) + int(point.number)
        elif told and point.metric.name == names.BREAKER_TRANSITIONS.name:
            told["transitions"] += int(point.number)
    yield from (found[name] for name in sorted(found))


def _badness(state: str) -> int:
    return {"open": 3, "forced_open": 3, "half_open": 2}.get(state, 1)


def _worker(number: int, snapshot: Snapshot, moment: Moment) -> dict[str, Any]:
    requests = sum([point.count for point in snapshot if point.metric.name in SERVED])
    pauses = [value for value in map(_p99, _named(snapshot, GC_PAUSE.name)) if value is not None]
    return {
        "pid": number,
        "requests": requests,
        "cpu_percent": _rounded(moment.cpu_percent.get(number)),
        "memory_bytes": _only(snapshot, PROCESS_MEMORY_USAGE.name),
        "open_files": _only(snapshot, PROCESS_OPEN_FILES.name),
        "cpu_seconds": _rounded(_only(snapshot, PROCESS_CPU_TIME.name)),
        "event_loop_lag_seconds": _rounded(next(map(_p99, _named(snapshot, EVENT_LOOP_LAG.name)), None)),
        "gc_pause_seconds": _rounded(max(pauses, default=None)),
    }


def _named(snapshot: Snapshot, name: str) -> Iterator[Point]:
    return (point for point in snapshot if point.metric.name == name)


def _only(snapshot: Snapshot, name: str) -> Any:
    return next((point.value for point in _named(snapshot, name)), None)


def _p99(point: Point) -> float | None:
    return point.quantile(0.99)


def _custom(snapshot: Snapshot, history: History) -> dict[str, Any]:
    """Tell what the application measures of its own; rates are of the last minute, timings of the last hour."""
    minute, hour = history.window(WINDOWS["1m"]), history.window(WINDOWS["60m"])
    found: dict[Kind, list[dict[str, Any]]] = {Kind.COUNTER: [], Kind.GAUGE: [], Kind.HISTOGRAM: []}
    for point in sorted(_own(snapshot), key=lambda point: (point.metric.name, point.values)):
        told: dict[str, Any] = {"name": point.metric.name, "attributes": point.attributes}
        name = point.metric.name, point.values
        if point.metric.kind is Kind.COUNTER:
            told |= {"total": point.value, "per_second": _rate(minute.counts.get(name, 0), minute.seconds)}
        elif point.metric.kind is Kind.GAUGE:
            told |= {"value": point.value}
        else:
            figures = hour.durations.get(name, Figures())
            told |= {"count": figures.number, "mean_seconds": _rounded(figures.mean_seconds)}
            told |= _quantiles(figures, {share: SHARES[share] for share in ("p50", "p95", "p99")})
        found[point.metric.kind].append(told)
    return {
        kind: told[:MAX_CUSTOM_SERIES]
        for kind, told in zip(("counters", "gauges", "timings"), found.values(), strict=True)
    }


def _own(snapshot: Snapshot) -> Iterable[Point]:
    kinds = {Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM}
    own = (point for point in snapshot if point.metric.kind in kinds and not point.metric.name.startswith(RESERVED))
    return (point for point in own if math.isfinite(point.value))  # JSON knows no other numbers


# Numbers --------------------------------------------------------------------------------------------------------------


def _rate(count: float, seconds: float) -> float:
    return round(count / seconds, _DIGITS) if seconds else 0.0


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 4) if whole else 0.0


def _rounded(value: float | None) -> float | None:
    """Cut to six significant digits: more would tell of a precision that is not there."""
    return None if value is None else float(f"{value:.{_DIGITS}g}")
