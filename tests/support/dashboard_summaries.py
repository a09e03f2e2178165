"""Summaries as the server may write them: of a busy application, of a quiet one, and of one that knows nothing."""

from __future__ import annotations

from collections.abc import Sequence
from math import sin
from typing import Any

Json = dict[str, Any]

NOW = 1_763_886_000.0
HOSTILE = "<img src=x onerror=\"document.title='owned'\">"
"""What a client may have brought into a name, where an application takes names from clients."""

_STEPS = 60
_SERIES = (
    "requests_per_second",
    "error_rate",
    "client_error_rate",
    "p50_seconds",
    "p95_seconds",
    "p99_seconds",
    "refusals_per_second",
    "cpu_percent",
    "memory_percent",
)


def _figures(requests: int, seconds: float, errors: int = 0, client_errors: int = 0, p50: float | None = None) -> Json:
    def times(factor: float) -> float | None:
        return None if p50 is None else round(p50 * factor, 6)

    return {
        "requests": requests,
        "requests_per_second": round(requests / seconds, 4),
        "errors": errors,
        "error_rate": round(100 * errors / requests, 4) if requests else None,
        "client_errors": client_errors,
        "client_error_rate": round(100 * client_errors / requests, 4) if requests else None,
        "mean_seconds": times(1.2),
        "p50_seconds": p50,
        "p90_seconds": times(3),
        "p95_seconds": times(5),
        "p99_seconds": times(12),
        "p999_seconds": times(31),
    }


def _window(seconds: float, figures: Json, routes: Sequence[Json] = ()) -> Json:
    return {"seconds": seconds, "all": figures, "routes": [*routes]}


def _timeline(**series: Sequence[float | None]) -> Json:
    times = [NOW - 5 * (_STEPS - 1 - step) for step in range(_STEPS)]
    return {"step_seconds": 5, "times": times, **{name: [*series.get(name, [None] * _STEPS)] for name in _SERIES}}


def _wave(middle: float, height: float, speed: float = 0.2, jitter: float = 0.15) -> list[float]:
    return [
        round(max(0.0, middle + height * (sin(speed * step) + jitter * sin(step * 2.7 + middle))), 5)
        for step in range(_STEPS)
    ]


def _frame(**sections: Any) -> Json:
    return {
        "version": 1,
        "time": NOW,
        "period_seconds": 5,
        "uptime_seconds": 361.2,
        "windows": {name: _window(seconds, _figures(0, seconds)) for name, seconds in _WINDOWS.items()},
        "timeline": _timeline(),
        "refusals": [],
        "limiter": {"policies": [], "keys": []},
        "validation": [],
        "breakers": [],
        "system": dict.fromkeys(_SYSTEM),
        "workers": [],
        "custom": {"counters": [], "gauges": [], "timings": []},
        "alerts": [],
        **sections,
    }


_WINDOWS = {"1m": 60.0, "5m": 300.0, "60m": 3_600.0}
_SYSTEM = (
    "source",
    "cpu_percent",
    "cpu_cores",
    "memory_percent",
    "memory_bytes",
    "memory_limit_bytes",
    "disk_percent",
    "disk_free_bytes",
    "throttled_percent",
)
_ZEROS = [0.0] * _STEPS
_SOUND_SYSTEM = {
    "source": "cgroup2",
    "cpu_percent": 3.1,
    "cpu_cores": 2.0,
    "memory_percent": 31.25,
    "memory_bytes": 167_772_160,
    "memory_limit_bytes": 536_870_912,
    "disk_percent": 48.0,
    "disk_free_bytes": 21_474_836_480,
    "throttled_percent": 0.0,
}


def _alert(name: str, state: str, value: float | None, threshold: float, unit: str, *, severity: str = "high") -> Json:
    since = None if state == "ok" else NOW - 95
    message = f"{name} is {value} {unit}, over {threshold} {unit}"
    return {
        "name": name,
        "state": state,
        "severity": severity,
        "value": value,
        "threshold": threshold,
        "unit": unit,
        "since": since,
        "message": message,
    }


def blank() -> Json:
    """Nothing was ever measured."""
    return _frame(windows={}, timeline=None, system={"source": "none"}, custom=None, limiter=None, uptime_seconds=None)


def quiet() -> Json:
    """Nobody asks for anything, and all is well."""
    return _frame(
        timeline=_timeline(
            requests_per_second=_ZEROS,
            refusals_per_second=_ZEROS,
            cpu_percent=_wave(3, 1),
            memory_percent=_wave(31, 0.2),
        ),
        system=_SOUND_SYSTEM,
        workers=[_worker(4711, 12)],
        alerts=[_alert("cpu_usage", "ok", 3.1, 80.0, "%"), _alert("error_rate", "ok", None, 5.0, "%")],
    )


def _worker(pid: int, requests: int) -> Json:
    return {
        "pid": pid,
        "requests": requests,
        "cpu_percent": 12.3,
        "memory_bytes": 81_000_000 + pid * 1000,
        "open_files": 21,
        "event_loop_lag_seconds": 0.0004,
        "gc_pause_seconds": None,
    }


def _routes(seconds: float) -> list[Json]:
    named = [
        ("GET", "/orders/{id}", 5200, 3, 40, 0.011),
        ("POST", "/orders", 2100, 61, 75, 0.048),
        ("GET", "/search", 1430, 0, 12, 0.131),
        ("GET", "/customers/{customer_id}/invoices/{invoice_id}/positions", 906, 0, 0, 0.0021),
        ("GET", "", 512, 0, 512, 0.0004),
        ("GET", HOSTILE, 41, 0, 41, 0.0003),
    ]
    further = [("GET", f"/reports/{number:02}", 30 - number, 0, 0, 0.02 + number / 500) for number in range(28)]
    return [
        {"method": method, "route": route, **_figures(requests, seconds, errors, wrong, p50)}
        for method, route, requests, errors, wrong, p50 in [*named, *further]
    ]


def busy() -> Json:
    """There is something to show in each section, and one alert fires."""
    figures = {"1m": (2_345, 58, 181), "5m": (10_563, 64, 680), "60m": (98_310, 121, 5_410)}
    windows = {
        name: _window(
            _WINDOWS[name], _figures(requests, _WINDOWS[name], errors, wrong, 0.0134), _routes(_WINDOWS[name])
        )
        for name, (requests, errors, wrong) in figures.items()
    }
    errors: list[float | None] = [*([0.1] * 40), *_wave(2.4, 1.5)[:20]]
    errors[12:15] = [None] * 3
    return _frame(
        uptime_seconds=183_845.0,
        windows=windows,
        timeline=_timeline(
            requests_per_second=_wave(35, 9),
            refusals_per_second=_wave(2, 1.5, 0.5),
            error_rate=errors,
            client_error_rate=_wave(6.4, 1.2, 0.3),
            p50_seconds=_wave(0.0134, 0.002),
            p95_seconds=_wave(0.067, 0.012, 0.3),
            p99_seconds=_wave(0.16, 0.05, 0.4),
            cpu_percent=_wave(56, 14, 0.15),
            memory_percent=_wave(71, 2, 0.1),
        ),
        refusals=[
            {"layer": "rate_limit", "reason": "429", "count": 412, "per_second": 1.3733},
            {"layer": "validation", "reason": "sqli", "count": 37, "per_second": 0.1233},
            {"layer": "request_limits", "reason": "max_body", "count": 9, "per_second": 0.03},
            {"layer": "trusted_host", "reason": "host", "count": 1, "per_second": 0.0033},
        ],
        limiter={
            "policies": [
                {"policy": "100/minute", "admitted": 10_151, "refused": 412, "would_refuse": 0},
                {"policy": "5/second", "admitted": 902, "refused": 0, "would_refuse": 17},
            ],
            "keys": [
                {"key": "3f9a1c0b22de", "policy": "100/minute", "refused": 341},
                {"key": "a07714e9c3b1", "policy": "100/minute", "refused": 71},
            ],
        },
        validation=[
            {"rule": "sqli", "location": "query", "action": "block", "count": 31},
            {"rule": "xss", "location": "body", "action": "detect", "count": 6},
        ],
        breakers=[
            {"name": "database", "state": "closed", "calls": {"success": 10_220, "failure": 12}, "transitions": 0},
            {"name": "payments", "state": "half_open", "calls": {"success": 3, "failure": 58}, "transitions": 5},
        ],
        system={
            **_SOUND_SYSTEM,
            "cpu_percent": 61.4,
            "memory_percent": 71.9,
            "memory_bytes": 386_000_000,
            "throttled_percent": 1.75,
        },
        workers=[_worker(4711 + number, 26_410 - 731 * number) for number in range(4)],
        custom={
            "counters": [
                {"name": "orders_placed", "attributes": {"shop": "north"}, "total": 812, "per_second": 0.21},
                {"name": "orders_placed", "attributes": {"shop": HOSTILE}, "total": 3, "per_second": 0.0},
            ],
            "gauges": [{"name": "queue_depth", "attributes": {}, "value": 3.5}],
            "timings": [
                {
                    "name": "database_query",
                    "attributes": {"table": "orders"},
                    "count": 10_232,
                    "mean_seconds": 0.0031,
                    "p50_seconds": 0.0024,
                    "p95_seconds": 0.0088,
                    "p99_seconds": 0.0213,
                }
            ],
        },
        alerts=[
            _alert("cpu_usage", "ok", 61.4, 80.0, "%"),
            _alert("memory_usage", "pending", 86.2, 85.0, "%", severity="medium"),
            _alert("response_time", "ok", 0.067, 5.0, "s"),
            _alert("error_rate", "firing", 2.4733, 2.0, "%"),
            _alert("disk_usage", "ok", None, 90.0, "%", severity="low"),
        ],
    )
