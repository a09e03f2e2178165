"""OCSF: a line of the log, as an event of the Open Cybersecurity Schema Framework 1.3.

Must never tell what the line does not: a field that the entry knows nothing of is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast

from asgi_guard.audit.vocabulary import (
    ACCOUNT,
    API,
    AUTHENTICATION,
    AUTHORIZE,
    DETECTION,
    LIFECYCLE,
    OTHER,
    SEVERITIES,
    VOCABULARY,
)


def to_ocsf(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of the log, read as JSON, as an event of OCSF 1.3.

    Args:
        told: what `json.loads` made of the line.
    """
    kind = VOCABULARY.get(str(told["event"]), OTHER)
    severity: Any = told["severity"]
    event: dict[str, Any] = {
        "category_uid": kind.class_uid // 1_000,
        "class_uid": kind.class_uid,
        "activity_id": kind.activity_id,
        "type_uid": kind.class_uid * 100 + kind.activity_id,
        "time": round(datetime.fromisoformat(told["time"]).timestamp() * 1_000),
        "severity_id": SEVERITIES.get(severity, 0),
        "status_id": {"success": 1, "unknown": 0}.get(told["outcome"], 2),
        "status_detail": told.get("reason"),
        "message": told["event"],
        **_about(told),
        **_of_class(kind.class_uid, told),
        "metadata": {
            "version": "1.3.0",
            "product": {"name": "asgi_guard", "feature": {"name": told.get("layer") or "application"}},
            "uid": _uid(told),
            "correlation_uid": told.get("request_id"),
            "trace_uid": told.get("trace_id"),
        },
        "unmapped": told.get("facts"),
    }
    return {name: value for name, value in event.items() if value is not None}


def _uid(told: Mapping[str, Any]) -> str:
    return f"{told.get('chain', '')}:{told.get('seq', '')}"


def _about(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return who asked for what, as every class has it."""
    client, subject, host = told.get("client"), told.get("subject"), told.get("host")
    method, path = told.get("method"), told.get("path")
    return {
        "actor": {"user": {"uid": subject}} if subject else None,
        "src_endpoint": {"ip": client} if client else None,
        "device": {"hostname": host, "type_id": 1} if host else None,  # 1 is a server
        "http_request": {"http_method": method, "url": {"path": path}} if method else None,
    }


def _of_class(class_uid: int, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return what one class asks for besides."""
    subject = told.get("subject")
    given: Any = told.get("facts")
    facts: Mapping[str, Any] = cast("Mapping[str, Any]", given) if isinstance(given, dict) else {}
    if class_uid == DETECTION:
        finding = {
            "uid": _uid(told),
            "title": told["event"],
            "desc": told.get("reason"),
            "types": [str(facts["attack"])] if facts.get("attack") else None,
            "created_time": round(datetime.fromisoformat(told["time"]).timestamp() * 1_000),
        }
        return {"finding_info": {name: value for name, value in finding.items() if value is not None}}
    if class_uid in _OF_USERS:
        return {"user": {"uid": subject} if subject else None}
    if class_uid == API:
        operation = " ".join(str(told[name]) for name in ("method", "path") if told.get(name)) or str(told["event"])
        request = {"uid": told["request_id"]} if told.get("request_id") else None
        return {"api": {"operation": operation, **({"request": request} if request else {})}}
    if class_uid == LIFECYCLE:
        return {"app": {"name": told.get("service") or "asgi_guard", "vendor_name": "asgi_guard"}}
    status = facts.get("status")
    return {"http_response": {"code": status} if type(status) is int else None}


_OF_USERS: Final = frozenset({ACCOUNT, AUTHENTICATION, AUTHORIZE})
