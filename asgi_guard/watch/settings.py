"""Settings of the monitor: what is worth an alert, and who is told.

| id    | rule that was broken                                                     |
|-------|--------------------------------------------------------------------------|
| AG870 | alerts are at most 100 `Alert`s, each with a name of its own             |
| AG871 | objectives are at most 20 `SLO`s, each with a name of its own            |

Thresholds by the names of the earlier system are checked in `asgi_guard.watch.alert_settings`, sinks in `.sinks`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, TypedDict, cast

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.settings import HIDDEN, Problems
from asgi_guard.watch.alerts import DEFAULT_ALERTS, Alert, Alerts, alerts_of
from asgi_guard.watch.sinks import LogSink, Sinks
from asgi_guard.watch.slo import SLO

MOST: Final[Mapping[str, int]] = MappingProxyType({"alerts": 100, "slos": 20})


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    """Settings of the monitor.

    Attributes:
        alerts: what is worth an alert; by default CPU over 80 %, memory over 85 %, disk over 90 %, a p95 of over 5 s
            and more than 5 % of errors. At most 100.
        alert_thresholds: other thresholds for those, by the names of the earlier system: `cpu_usage`, `memory_usage`,
            `disk_usage` and `error_rate` in percent, `response_time` in seconds.
        slos: objectives whose error budget is watched; at most 20.
        sinks: who is told of alerts besides the log and the listeners: functions, which are called in a thread with an
            `AlertFired` or `AlertCleared`, and `Webhook`s. At most 16.
        webhook_url: a `Webhook` that can be named in a file or in the environment; never shown.
        webhook_secret: what its receiver checks the signature with, at least 24 bytes; never shown.
        log_alerts: whether alerts are logged, by `asgi_guard.alerts`.
        period_seconds: how often the machine is looked at, and a stretch of history ends: 1 to 60. Alerts are judged
            twice as often.
        disk_path: a path on the disk that is looked at.

    Raises:
        ConfigError: a field is wrong.
    """

    alerts: Sequence[Alert] = DEFAULT_ALERTS
    alert_thresholds: Mapping[str, float] = field(default_factory=dict[str, float])
    slos: Sequence[SLO] = ()
    sinks: Sequence[Callable[[Any], object]] = ()
    webhook_url: str | None = None
    webhook_secret: str | None = None
    log_alerts: bool = True
    period_seconds: float = 5.0
    disk_path: str = "/"

    def __post_init__(self) -> None:
        problems = Problems("Monitor")
        _check(problems, "AG870", "alerts", self.alerts, Alert)
        _check(problems, "AG871", "slos", self.slos, SLO)
        problems.boolean("log_alerts", self.log_alerts)
        problems.number("period_seconds", self.period_seconds, minimum=1, maximum=60)
        problems.text("disk_path", self.disk_path)
        for check in (lambda: Sinks(self.sinks), lambda: alerts_of(self.alert_thresholds), self._webhooks):
            try:
                check()
            except ConfigError as error:
                problems.extend(error.problems)
        problems.raise_if_any()
        for name in ("webhook_url", "webhook_secret"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _Hidden(getattr(self, name)))
        Alerts(self.rules(), self.slos)  # an alert may be called as one of an objective's is

    def rules(self) -> tuple[Alert, ...]:
        """Return the alerts, with the thresholds of the earlier system where there are any."""
        changed = {alert.name: alert for alert in alerts_of(self.alert_thresholds)}
        kept = [changed.pop(alert.name, alert) for alert in self.alerts]
        return (*kept, *changed.values())

    def told(self) -> tuple[Sinks, ...]:
        """Return what tells everybody who is to be told."""
        log = [Sinks([LogSink()])] if self.log_alerts else []
        return (*log, Sinks(self.sinks), Sinks(self._webhooks()))

    def _webhooks(self) -> list[Callable[[Any], object]]:
        """Make the webhook that a file names.

        Raises:
            ConfigError: it has no address, or no secret, or they are wrong.
        """
        if self.webhook_url is None and self.webhook_secret is None:
            return []
        from asgi_guard.watch.webhook import Webhook

        try:
            return [Webhook(self.webhook_url or "", secret=self.webhook_secret or "")]
        except ConfigError as error:
            problems = [replace(one, field=one.field.replace("Webhook.", "Monitor.webhook_")) for one in error.problems]
            raise ConfigError(problems) from None


class _Hidden(str):
    """A text that does not show itself where settings are shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return HIDDEN


def _check(problems: Problems, rule_id: str, name: str, given: object, kind: type[Any]) -> None:
    rule = f"must be a list of at most {MOST[name]} {kind.__name__}s, each with a name of its own"
    remedy = f"Write {name}=[{kind.__name__}(...)]."
    several = cast("Sequence[Any]", given)
    if not isinstance(several, list | tuple) or len(several) > MOST[name]:
        problems.add(rule_id, name, cast("object", several), rule, remedy)
        return
    seen: set[str] = set()
    for index, one in enumerate(several):
        if not isinstance(one, kind) or one.name in seen:
            problems.add(rule_id, f"{name}[{index}]", one, rule, remedy)
        else:
            seen.add(one.name)


class MonitorFields(TypedDict, total=False):
    """The fields of `Monitor`, for keyword arguments."""

    alerts: Sequence[Alert]
    alert_thresholds: Mapping[str, float]
    slos: Sequence[SLO]
    sinks: Sequence[Callable[[Any], object]]
    webhook_url: str | None
    webhook_secret: str | None
    log_alerts: bool
    period_seconds: float
    disk_path: str
