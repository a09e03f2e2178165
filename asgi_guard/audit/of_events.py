"""Of events: which entry stands for what the guard tells its listeners.

What was refused, found, answered, banned and fired; not what was let pass.
Must never hold what a client has sent but what the events have bounded already; a path is cut once secrets are out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from asgi_guard.audit.entry import Entry, Outcome
from asgi_guard.audit.vocabulary import Severity
from asgi_guard.bans import ClientBanned
from asgi_guard.correlation import current_trace_id
from asgi_guard.errors.details import plain
from asgi_guard.events import ErrorAnswered, Event, RequestRefused, RequestWouldBeRefused
from asgi_guard.inspection.events import AttackFound, LimitCrossed
from asgi_guard.resilience.events import CircuitChanged, RecoveryActed
from asgi_guard.watch.alert_events import AlertCleared, AlertEvent, AlertFired

_BY_LAYER: Final[Mapping[str, str]] = MappingProxyType(
    {
        "rate_limit": "excess_rate_limit_exceeded",
        "cors": "malicious_cors",
        "fetch_metadata": "malicious_cors",
        "ip_filter": "authz_fail",
        "endpoints": "authz_fail",
        "request_limits": "input_validation_fail",
        "trusted_host": "input_validation_fail",
        "validation": "input_validation_fail",
    }
)
"""What a refusal of a layer is called."""


def entry_of(event: Event, time: float) -> Entry | None:
    """Return the entry for an event; None where there is none.

    Args:
        event: of the guard.
        time: now, in seconds since 1970.
    """
    make = _MAKERS.get(type(event))
    return None if make is None else make(event, time)


def _about(event: Event, time: float, name: str, outcome: Outcome, **fields: Any) -> Entry:
    return Entry(
        event=name,
        outcome=outcome,
        time=time,
        client=event.client,
        method=event.method or None,
        path=event.whole_path or None,
        layer=event.layer,
        request_id=event.request_id,
        trace_id=current_trace_id() if event.scope_type else None,
        **fields,
    )


def _refused(event: RequestRefused | RequestWouldBeRefused, time: float) -> Entry:
    outcome: Outcome = "refused" if isinstance(event, RequestRefused) else "would_be_refused"
    name = _BY_LAYER.get(event.layer, "guard_refused")
    facts = {"status": event.status, "code": event.code, **plain(event.details)}
    return _about(event, time, name, outcome, reason=event.reason, facts=facts)


def _attack(event: AttackFound, time: float) -> Entry:
    facts = {"attack": event.attack, "rules": list(event.rules), "place": event.place, "score": event.score}
    facts |= {name: text for name, text in (("name", event.name), ("excerpt", event.excerpt)) if text}
    name = "malicious_attack_tool" if event.attack == "scanner" else "input_validation_discrete_fail"
    outcome: Outcome = "refused" if event.is_refused else "would_be_refused"
    return _about(event, time, name, outcome, facts=facts)


def _crossed(event: LimitCrossed, time: float) -> Entry:
    outcome: Outcome = "refused" if event.is_refused else "would_be_refused"
    return _about(event, time, "input_validation_fail", outcome, facts={"limit": event.limit})


def _answered(event: ErrorAnswered, time: float) -> Entry:
    facts = {"exception": event.exception, "status": event.status, "code": event.code}
    return _about(event, time, "guard_error", "failure", facts=facts)


def _banned(event: ClientBanned, time: float) -> Entry:
    facts = {"network": event.network, "seconds": event.seconds}
    return _about(event, time, "guard_banned", "success", reason=event.reason or None, facts=facts)


def _circuit(event: CircuitChanged, time: float) -> Entry:
    facts = {"circuit": event.name, "before": str(event.before), "after": str(event.after), "shared": event.shared}
    severity: Severity = "low" if str(event.after) == "closed" else "medium"
    return _about(event, time, "guard_circuit", "success", severity=severity, facts=facts)


def _recovery(event: RecoveryActed, time: float) -> Entry:
    facts = {"of": event.name, "action": event.action, "seconds": round(event.seconds, 3), "exception": event.exception}
    return _about(event, time, "guard_recovery", "success" if event.succeeded else "failure", facts=facts)


def _alert(event: AlertEvent, time: float) -> Entry:
    fires = isinstance(event, AlertFired)
    facts = {name: fact for name, fact in event.facts().items() if name not in {"message", "time", "severity"}}
    outcome: Outcome = "failure" if fires else "success"
    severity: Severity = event.severity if fires else "info"
    facts["fires"] = fires
    return _about(event, time, "guard_alert", outcome, severity=severity, reason=event.message, facts=facts)


_MAKERS: Final[Mapping[type[Event], Callable[[Any, float], Entry]]] = MappingProxyType(
    {
        RequestRefused: _refused,
        RequestWouldBeRefused: _refused,
        AttackFound: _attack,
        LimitCrossed: _crossed,
        ErrorAnswered: _answered,
        ClientBanned: _banned,
        CircuitChanged: _circuit,
        RecoveryActed: _recovery,
        AlertFired: _alert,
        AlertCleared: _alert,
    }
)
