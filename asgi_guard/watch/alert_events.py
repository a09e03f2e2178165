"""What alerts tell: events that belong to no request.

They are `asgi_guard.events.Event`s, so that the same listeners serve, and the fields of a request in them are empty.
Must never hold what a client wrote: names, signals and thresholds come from the settings, values are numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeAlias

from asgi_guard.events import Event

Severity: TypeAlias = Literal["low", "medium", "high", "critical"]

SEVERITIES: Final[tuple[Severity, ...]] = ("low", "medium", "high", "critical")
"""How bad an alert can be, the worst last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent(Event):
    """Something that happened to an alert.

    Attributes:
        name: of the alert.
        signal: what it watches.
        severity: how bad it is.
        value: what was measured, in `unit`; None where an alert cleared because nothing came any more.
        threshold: what the value is compared with.
        unit: `%`, `s`, or nothing.
        message: one sentence for a person.
        time: when, in UNIX seconds.
    """

    kind: ClassVar[str]

    layer: str = "watch"
    scope_type: str = ""
    method: str = ""
    path: str = ""
    name: str
    signal: str
    severity: Severity
    value: float | None
    threshold: float
    unit: str
    message: str
    time: float

    def facts(self) -> dict[str, str | float | None]:
        """Return all that is told, by name, as JSON knows it."""
        return {
            "name": self.name,
            "signal": self.signal,
            "severity": self.severity,
            "value": self.value,
            "threshold": self.threshold,
            "unit": self.unit,
            "message": self.message,
            "time": self.time,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertFired(AlertEvent):
    """An alert began: what it watches was beyond its threshold for long enough."""

    kind: ClassVar[str] = "alert.fired"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertCleared(AlertEvent):
    """An alert ended: what it watches is well again, or came to rest."""

    kind: ClassVar[str] = "alert.cleared"
