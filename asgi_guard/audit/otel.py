"""OpenTelemetry: entries as log events, through its public API alone.

Standard: the OpenTelemetry logs data model: an event is a log record with a name. Who has set up no logger provider
gets none, at no cost.
Must never hand on what UTF-8 cannot hold: an exporter drops everything that it would have sent together with it, and a
client brings a lone surrogate in by a JSON escape.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from asgi_guard.errors.exceptions import MissingExtraError

_SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {"info": "INFO", "low": "INFO2", "medium": "WARN", "high": "ERROR", "critical": "FATAL"}
)


def otel_sink() -> Callable[[Mapping[str, Any]], None]:
    """Return a sink that emits each entry as an event `asgi_guard.audit.<name>`.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
    """
    try:
        from opentelemetry._logs import SeverityNumber, get_logger
    except ImportError:
        raise MissingExtraError('Audit(sinks=["otel"])', "otel") from None
    logger = get_logger("asgi_guard")

    def emit(told: Mapping[str, Any]) -> None:
        severity = _SEVERITIES.get(told["severity"], "INFO")
        facts = told.get("facts", {})
        logger.emit(
            timestamp=round(datetime.fromisoformat(told["time"]).timestamp() * 1e9),
            severity_number=SeverityNumber[severity],
            severity_text=severity,
            body=_shown(told.get("reason") or told["event"]),
            event_name=f"asgi_guard.audit.{_shown(told['event'])}",
            attributes={
                **{f"asgi_guard.audit.{name}": _shown(value) for name, value in told.items() if name != "facts"},
                **{f"asgi_guard.audit.facts.{_shown(name)}": _shown(value) for name, value in facts.items()},
            },
        )

    return emit


def _shown(value: Any) -> Any:
    if isinstance(value, bool | int | float):
        return value
    return str(value).encode("utf-8", "backslashreplace").decode()
