"""Settings of the monitor: what is worth an alert, and who is told.

| id    | rule that was broken                                                     |
|-------|--------------------------------------------------------------------------|
| AG870 | alerts are at most 100 `Alert`s, each with a name of its own             |
| AG871 | objectives are at most 20 `SLO`s, each with a name of its own            |
| AG872 | sinks are at most 20 functions or `Webhook`s                             |

Thresholds by the names of the earlier system are those of `asgi_guard.watch.alerts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypedDict, cast

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.settings import Problems
from asgi_guard.watch.alerts import DEFAULT_ALERTS, Alert, alerts_of
from asgi_guard.watch.slo import SLO

MAX_ALERTS: Final = 100
MAX_SLOS: Final = 20
MAX_SINKS: Final = 20


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
            `AlertFired` or `AlertCleared`, and `Webhook`s. At most 20.
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
    log_alerts: bool = True
    period_seconds: float = 5.0
    disk_path: str = "/"

    def __post_init__(self) -> None:
        problems = Problems("Monitor")
        _check(problems, "AG870", "alerts", self.alerts, Alert, MAX_ALERTS)
        _check(problems, "AG871", "slos", self.slos, SLO, MAX_SLOS)
        sinks: object = self.sinks
        rule, remedy = f"must be a list of at most {MAX_SINKS} functions or Webhooks", "Write sinks=[Webhook(url)]."
        if not isinstance(sinks, list | tuple) or len(cast("Sequence[object]", sinks)) > MAX_SINKS:
            problems.add("AG872", "sinks", sinks, rule, remedy)
        else:
            for index, sink in enumerate(cast("Sequence[object]", sinks)):
                problems.callable(f"sinks[{index}]", sink)
        problems.boolean("log_alerts", self.log_alerts)
        problems.number("period_seconds", self.period_seconds, minimum=1, maximum=60)
        problems.text("disk_path", self.disk_path)
        try:
            alerts_of(self.alert_thresholds)
        except ConfigError as error:
            problems.extend(error.problems)
        problems.raise_if_any()

    def rules(self) -> tuple[Alert, ...]:
        """Return the alerts, with the thresholds of the earlier system where there are any."""
        changed = {alert.name: alert for alert in alerts_of(self.alert_thresholds)}
        kept = [changed.pop(alert.name, alert) for alert in self.alerts]
        return (*kept, *changed.values())


def _check(problems: Problems, rule_id: str, name: str, given: object, kind: type[Any], most: int) -> None:  # noqa: PLR0917
    rule = f"must be a list of at most {most} {kind.__name__}s, each with a name of its own"
    remedy = f"Write {name}=[{kind.__name__}(...)]."
    if not isinstance(given, list | tuple) or len(cast("Sequence[object]", given)) > most:
        problems.add(rule_id, name, given, rule, remedy)
        return
    seen: set[str] = set()
    for index, one in enumerate(cast("Sequence[Any]", given)):
        if not isinstance(one, kind) or one.name in seen:  # type: ignore[attr-defined]
            problems.add(rule_id, f"{name}[{index}]", one, rule, remedy)
        else:
            seen.add(one.name)  # type: ignore[attr-defined]


class MonitorFields(TypedDict, total=False):
    """The fields of `Monitor`, for keyword arguments."""

    alerts: Sequence[Alert]
    alert_thresholds: Mapping[str, float]
    slos: Sequence[SLO]
    sinks: Sequence[Callable[[Any], object]]
    log_alerts: bool
    period_seconds: float
    disk_path: str
