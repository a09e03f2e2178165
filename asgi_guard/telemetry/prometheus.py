"""Prometheus: a snapshot as text, in the Prometheus format 0.0.4 and in OpenMetrics 1.0.

Names follow OpenTelemetry's translation: dots become underscores, a unit is spelled out at the end, counters end in
`_total`. Must never run on an event loop, since a thousand series take milliseconds, and never write a value unescaped:
a label with a line break in it would be a metric of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Final

from asgi_guard.monitor.metric import Kind, Metric
from asgi_guard.monitor.snapshot import OVERFLOW, Exemplar, Point, Snapshot

_UNITS: Final = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "%": "percent",
    "Cel": "celsius",
}
_TYPES: Final = {Kind.COUNTER: "counter", Kind.UP_DOWN: "gauge", Kind.GAUGE: "gauge", Kind.HISTOGRAM: "histogram"}
_NO_NAME: Final = re.compile(r"[^a-zA-Z0-9:]+")
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_HELP_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})

_OPENMETRICS: Final = b"application/openmetrics-text; version=1.0.0; charset=utf-8"
_TEXT: Final = b"text/plain; version=0.0.4; charset=utf-8"
_LONGEST_ACCEPT: Final = 1_024
_VERSIONS: Final = frozenset({"", "0.0.1", "1.0.0"})  # Prometheus has asked for the first one before there was another


def content_type(accept: bytes) -> tuple[bytes, bool]:
    """Return the content type to answer with, and whether it is OpenMetrics.

    OpenMetrics is for whoever names it, and likes no text more; `*/*` stands for text, which a person can read.

    Args:
        accept: the `Accept` header, empty where there is none; what is longer than 1,024 bytes is not looked into.
    """
    likes = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    if len(accept) <= _LONGEST_ACCEPT:
        for line in accept.decode("latin-1").lower().split(","):
            media_type, *parameters = [part.strip() for part in line.split(";")]
            given: dict[str, str] = {}
            for parameter in parameters:
                name, _, value = parameter.partition("=")
                given[name] = value.strip('"')
            is_known = media_type != "application/openmetrics-text" or given.get("version", "") in _VERSIONS
            if media_type in likes and is_known:
                likes[media_type] = max(likes[media_type], _quality(given.get("q", "1")))
    open_metrics, text = likes.values()
    return (_OPENMETRICS, True) if open_metrics and open_metrics >= text else (_TEXT, False)


def takes_gzip(accept_encoding: bytes) -> bool:
    """Tell whether whoever asks takes gzip, or anything.

    Args:
        accept_encoding: the `Accept-Encoding` header; what is longer than 1,024 bytes is not looked into.
    """
    likes: dict[str, float] = {}
    if len(accept_encoding) <= _LONGEST_ACCEPT:
        for line in accept_encoding.decode("latin-1").lower().split(","):
            coding, _, weight = line.partition(";")
            name, _, value = weight.partition("=")
            likes[coding.strip()] = _quality(value.strip()) if name.strip() == "q" else 1.0
    return likes.get("gzip", likes.get("*", 0.0)) > 0


def _quality(text: str) -> float:
    return float(text) if re.fullmatch(r"(0(\.[0-9]{0,3})?|1(\.0{0,3})?)", text) else 0.0


def render(snapshot: Snapshot, *, openmetrics: bool = False) -> bytes:
    """Write all points of a snapshot, families and series in the order of their names.

    Of two metrics whose names become one, the first in that order is written.
    """
    metrics: dict[str, list[Point]] = {}
    for point in snapshot:
        metrics.setdefault(point.metric.name, []).append(point)
    families = {name_of(points[0].metric): points for _, points in sorted(metrics.items(), reverse=True)}
    lines: list[str] = []
    for name, points in sorted(families.items()):
        points.sort(key=lambda point: (point.is_overflow, point.values))
        lines += _family(name, points, openmetrics=openmetrics)
    if openmetrics:
        lines.append("# EOF")
    return "".join([f"{line}\n" for line in lines]).encode("utf-8", "replace")


def name_of(metric: Metric) -> str:
    """Return the name of a family, without the `_total` of a counter."""
    name = _translated(metric.name)
    if metric.kind is Kind.COUNTER:
        name = name.removesuffix("_total")
    unit = _unit_of(metric)
    return f"{name}_{unit}" if unit and not name.endswith(f"_{unit}") else name


def _unit_of(metric: Metric) -> str:
    """Spell a unit out; what stands in braces only says what is counted."""
    if metric.unit == "1":
        return "ratio" if metric.kind is Kind.GAUGE else ""
    if metric.unit.startswith("{"):
        return ""
    what, _, each = metric.unit.partition("/")
    spelled = _translated(_UNITS.get(what, what)) if what else ""
    return f"{spelled}_per_{_translated(_UNITS.get(each, each)).removesuffix('s')}" if each else spelled


def _translated(name: str) -> str:
    translated = _NO_NAME.sub("_", name)
    return f"_{translated}" if translated[:1].isdecimal() else translated


def _family(name: str, points: Iterable[Point], *, openmetrics: bool) -> Iterator[str]:
    points = [*points]
    metric = points[0].metric
    sample = f"{name}_total" if metric.kind is Kind.COUNTER else name
    family = name if openmetrics else sample
    described = metric.description.translate(_ESCAPES if openmetrics else _HELP_ESCAPES)
    unit = _unit_of(metric)
    yield f"# HELP {family} {described}"
    yield f"# TYPE {family} {_TYPES[metric.kind]}"
    if openmetrics and unit:
        yield f"# UNIT {family} {unit}"
    names = [_translated(attribute).replace(":", "_") for attribute in metric.attributes]
    ends = [*map(repr, map(float, metric.bounds)), "+Inf"]
    for point in points:
        labels = _labels(names, point)
        if metric.kind is Kind.HISTOGRAM:
            yield from _histogram(name, labels, ends, point, openmetrics=openmetrics)
        else:
            yield f"{sample}{labels and f'{{{labels}}}'} {_number(point.value)}"


def _histogram(name: str, labels: str, ends: list[str], point: Point, *, openmetrics: bool) -> Iterator[str]:
    exemplar = point.exemplar if openmetrics else None
    begin = f"{name}_bucket{{{labels}{labels and ','}le="
    below = 0
    for below, end in zip(accumulate(point.counts), ends, strict=True):
        tail = ""
        if exemplar is not None and exemplar.value <= float(end):
            tail, exemplar = _exemplar(exemplar), None
        yield f'{begin}"{end}"}} {below}{tail}'
    braces = labels and f"{{{labels}}}"
    yield f"{name}_sum{braces} {_number(point.total / point.metric.per_unit)}"
    yield f"{name}_count{braces} {below}"


def _labels(names: list[str], point: Point) -> str:
    if point.is_overflow:
        return f'{_translated(OVERFLOW)}="true"'
    pairs = zip(names, point.values, strict=True)
    return ",".join([f'{name}="{value.translate(_ESCAPES)}"' for name, value in pairs if value])


def _exemplar(exemplar: Exemplar) -> str:
    ids = f'trace_id="{exemplar.trace_id}",span_id="{exemplar.span_id}"'
    return f" # {{{ids}}} {_number(exemplar.value)} {exemplar.at:.3f}"


def _number(number: float) -> str:
    """Write a number; whole ones as such."""
    if math.isfinite(number):
        return str(int(number)) if number == int(number) else repr(float(number))
    return "NaN" if math.isnan(number) else "+Inf" if number > 0 else "-Inf"
