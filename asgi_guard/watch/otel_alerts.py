"""Alerts as OpenTelemetry's log events, through its public API alone.

Standard: the OpenTelemetry logs data model: an event is a log record with a name; severities are its numbers. Who has
set up no logger provider gets none, at no cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from asgi_guard.errors.exceptions import MissingExtraError
from asgi_guard.watch.alert_events import AlertEvent, AlertFired

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider

_SEVERITIES: Final[Mapping[str, str]] = MappingProxyType(
    {"low": "WARN", "medium": "WARN2", "high": "ERROR", "critical": "FATAL"}
)
_NANOSECONDS: Final = 1_000_000_000


class OTelAlerts:
    """Emit one log event an alert: `asgi_guard.alert.fired` or `asgi_guard.alert.cleared`.

    Args:
        provider: the logger provider; by default the global one, as soon as there is one.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
    """

    __slots__ = ("_logger", "_numbers")

    def __init__(self, provider: LoggerProvider | None = None) -> None:
        try:
            from opentelemetry._logs import SeverityNumber, get_logger
        except ImportError:
            raise MissingExtraError("OTelAlerts", "otel") from None
        self._logger = get_logger("asgi_guard", logger_provider=provider)
        self._numbers = SeverityNumber

    def __call__(self, event: AlertEvent) -> None:
        """Emit the event."""
        severity = _SEVERITIES[event.severity] if isinstance(event, AlertFired) else "INFO"
        told = {name: fact for name, fact in event.facts().items() if name not in {"message", "time"}}
        self._logger.emit(
            timestamp=round(event.time * _NANOSECONDS),
            severity_number=self._numbers[severity],
            severity_text=severity,
            body=event.message,
            event_name=f"asgi_guard.{event.kind}",
            attributes={f"asgi_guard.alert.{name}": fact for name, fact in told.items() if fact is not None},
        )
