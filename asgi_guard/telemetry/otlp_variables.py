"""OTLP variables: which exporters the environment asks for, and where their classes are.

Standard: the OpenTelemetry specification. `OTEL_TRACES_EXPORTER` and `OTEL_METRICS_EXPORTER` are `otlp`, the default,
`console` or `none`, or several with commas between them; `OTEL_EXPORTER_OTLP_PROTOCOL`, also with `_TRACES` or
`_METRICS` before its last word, is `http/protobuf`, the default, or `grpc`.
Must never let an exporter fill the log: of a collector that is away each complaint comes once a minute.

| id    | rule that was broken                                         |
|-------|--------------------------------------------------------------|
| AG860 | an exporter is one of those that are known                   |
| AG861 | the protocol of OTLP is one of those that are known          |
| AG862 | an endpoint of OTLP over HTTP is a URL                       |
| AG863 | an interval, a size or a time is a number above 0            |
| AG864 | a batch of spans is no larger than their queue               |
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from math import inf, nan
from typing import Any, Final, Literal, TypeAlias

from asgi_guard.errors.exceptions import ConfigError, MissingExtraError
from asgi_guard.settings import Problems

FEATURE: Final = 'telemetry="otlp"'
COMPLAINT_SECONDS: Final = 60.0
"""How often an exporter may complain of one thing."""

Signal: TypeAlias = Literal["traces", "metrics"]

_EXPORTERS: Final = ("otlp", "console", "none")
_PACKAGES: Final = {
    "http/protobuf": ("opentelemetry.exporter.otlp.proto.http", "otel"),
    "grpc": ("opentelemetry.exporter.otlp.proto.grpc", "otel-grpc"),
}
_URL: Final = re.compile(r"https?://[^/?#\s]", re.IGNORECASE)
_NUMBERS: Final[Mapping[str, type]] = {
    "OTEL_BSP_MAX_QUEUE_SIZE": int,
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": int,
    "OTEL_BSP_SCHEDULE_DELAY": int,
    "OTEL_BSP_EXPORT_TIMEOUT": int,
    "OTEL_METRIC_EXPORT_INTERVAL": float,
    "OTEL_METRIC_EXPORT_TIMEOUT": float,
    "OTEL_EXPORTER_OTLP_TIMEOUT": float,
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": float,
    "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT": float,
}
_SIZES: Final = {"OTEL_BSP_MAX_QUEUE_SIZE": 2_048.0, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": 512.0}
_CLASSES: Final = {
    "traces": ("trace_exporter", "OTLPSpanExporter", "opentelemetry.sdk.trace.export", "ConsoleSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter", "opentelemetry.sdk.metrics.export", "ConsoleMetricExporter"),
}


def chosen_exporters(environ: Mapping[str, str]) -> dict[Signal, list[str]]:
    """Read which exporters each signal has: `console`, or the protocol of OTLP.

    Raises:
        ConfigError: a variable has a value that cannot work.
    """
    problems = Problems("environment")
    chosen: dict[Signal, list[str]] = {"traces": [], "metrics": []}
    for signal, exporters in chosen.items():
        variable = f"OTEL_{signal.upper()}_EXPORTER"
        for name in [part.strip().lower() for part in (environ.get(variable) or "otlp").split(",")]:
            if name not in _EXPORTERS:
                problems.add("AG860", variable, name, f"must be one of {', '.join(_EXPORTERS)}", "Choose one of them.")
            elif name == "otlp":
                exporters.append(_protocol(signal, environ, problems))
            elif name == "console":
                exporters.append(name)
    _check_endpoints(chosen, environ, problems)
    _check_numbers(environ, problems)
    if problems.found:  # one variable may be that of both signals
        raise ConfigError(dict.fromkeys(problems.found))
    return chosen


def _protocol(signal: Signal, environ: Mapping[str, str], problems: Problems) -> str:
    general = "OTEL_EXPORTER_OTLP_PROTOCOL"
    special = f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"
    variable = special if environ.get(special) else general
    protocol = (environ.get(variable) or "http/protobuf").strip()
    if protocol not in _PACKAGES:
        rule = f"must be one of {', '.join(_PACKAGES)}"
        problems.add("AG861", variable, protocol, rule, "Leave it out for http/protobuf.")
    return protocol


def _check_endpoints(chosen: Mapping[Signal, Sequence[str]], environ: Mapping[str, str], problems: Problems) -> None:
    general = "OTEL_EXPORTER_OTLP_ENDPOINT"
    for signal, exporters in chosen.items():
        special = f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT"
        variable = special if environ.get(special) else general
        endpoint = environ.get(variable, "").strip()
        if endpoint and "http/protobuf" in exporters and not _URL.match(endpoint):
            shown = endpoint.rpartition("@")[2]  # without a password
            remedy = f"Write http://{shown.rpartition('://')[2]}."
            problems.add("AG862", variable, shown, "must be a URL that begins with http:// or https://", remedy)


def _check_numbers(environ: Mapping[str, str], problems: Problems) -> None:
    """Refuse what the SDK would leave out, or end with a traceback."""
    sizes: dict[str, float] = {**_SIZES}
    for variable, kind in _NUMBERS.items():
        said = environ.get(variable, "").strip()
        number = _number(said) if said else sizes.get(variable, 1)
        if not 0 < number < inf or (kind is int and number != int(number)):
            what = "a whole number" if kind is int else "a number"
            problems.add("AG863", variable, said, f"must be {what} above 0", "Leave it out for the default.")
        elif variable in sizes:
            sizes[variable] = number
    queue, batch = sizes.values()
    if batch > queue:
        rule = f"must be at most {next(iter(sizes))}, which is {queue:g}"
        problems.add("AG864", [*sizes][1], f"{batch:g}", rule, "Make the queue larger, or the batch smaller.")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return nan


def check_exporters(environ: Mapping[str, str]) -> None:
    """Check what will be set up, and set nothing up.

    Raises:
        ConfigError: a variable has a value that cannot work.
        MissingExtraError: an exporter is not installed.
    """
    for exporter in {exporter for exporters in chosen_exporters(environ).values() for exporter in exporters}:
        package, extra = _PACKAGES.get(exporter, ("opentelemetry.sdk", "otel"))
        if not _is_there(package):
            raise MissingExtraError(FEATURE, extra)


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ImportError:  # nor is what it is a part of
        return False


def exporter_class(signal: Signal, exporter: str) -> Callable[[], Any]:
    """Find the class of an exporter.

    Raises:
        MissingExtraError: it is not installed.
    """
    module, otlp, console_module, console = _CLASSES[signal]
    if exporter == "console":
        found: Callable[[], Any] = getattr(need(console_module, "otel"), console)
    else:
        package, extra = _PACKAGES[exporter]
        found = getattr(need(f"{package}.{module}", extra), otlp)
        _quieten(logging.getLogger(f"{package}.{module}"))
    return found


class Seldom(logging.Filter):
    """Lets through each message once a minute, whatever is filled in.

    Args:
        now: the time, in seconds since any moment.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._next: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a record goes on: its place in the code says what it is about."""
        place, now = (record.pathname, record.lineno), self._now()
        if now < self._next.get(place, now):
            return False
        self._next[place] = now + COMPLAINT_SECONDS
        return True


def _quieten(logger: logging.Logger) -> None:
    if not any(isinstance(found, Seldom) for found in logger.filters):
        logger.addFilter(Seldom())


def need(module: str, extra: str) -> Any:
    """Import a module.

    Raises:
        MissingExtraError: with the command that installs it.
    """
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtraError(FEATURE, extra) from None
