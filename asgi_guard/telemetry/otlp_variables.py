"""OTLP variables: which exporters the environment asks for, and where their classes are.

Standard: the OpenTelemetry specification. `OTEL_TRACES_EXPORTER` and `OTEL_METRICS_EXPORTER` are `otlp`, the default,
`console` or `none`, or several with commas between them; `OTEL_EXPORTER_OTLP_PROTOCOL`, also with `_TRACES` or
`_METRICS` before its last word, is `http/protobuf`, the default, or `grpc`.
Must never let an exporter fill the log: of a collector that is away each complaint comes once a minute.

| id    | rule that was broken                                         |
|-------|--------------------------------------------------------------|
| AG860 | an exporter is one of those that are known                   |
| AG861 | the protocol of OTLP is one of those that are known          |
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, Literal, TypeAlias

from asgi_guard.errors.exceptions import MissingExtraError
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
_CLASSES: Final = {
    "traces": ("trace_exporter", "OTLPSpanExporter", "opentelemetry.sdk.trace.export", "ConsoleSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter", "opentelemetry.sdk.metrics.export", "ConsoleMetricExporter"),
}


def chosen_exporters(environ: Mapping[str, str]) -> dict[Signal, list[str]]:
    """Read which exporters each signal has: `console`, or the protocol of OTLP.

    Raises:
        ConfigError: a variable has a value that is not known.
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
    problems.raise_if_any()
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
