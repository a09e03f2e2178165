r"""Entry: who did what, when and where, with what outcome; and the one line of JSON that says so.

Rule 1: everything that a client may have written is bounded, and the line is ASCII without a control character, so
that nothing in it ends the line, begins another, or moves the cursor of whoever reads it (CWE-117).
Rule 2: what is taken is copied at once, since the program may change it before it is written.
Standard: OWASP ASVS 5.0 V16.2.1 names what an entry has to tell; times are UTC (V16.2.2).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias, get_args

from asgi_guard.audit.vocabulary import OTHER, SEVERITIES, VOCABULARY, Severity

Outcome: TypeAlias = Literal["success", "failure", "refused", "would_be_refused", "unknown"]

OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)

VERSION: Final = 1
"""Of the line: the field `v`."""

BOUNDS: Final = {
    "event": 64,
    "subject": 128,
    "client": 64,
    "method": 32,
    "path": 256,
    "layer": 64,
    "reason": 256,
    "request_id": 128,
    "trace_id": 32,
}
"""The characters that are kept of each text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the audit log.

    Attributes:
        event: what happened, by a name of `VOCABULARY`, or one with the same beginning.
        outcome: what became of it.
        time: when, in seconds since 1970.
        severity: how grave it is; by default as the vocabulary says.
        subject: who did it, such as the id of a user; never a name or an address of a person.
        client: the address that the request came from.
        method: of the request.
        path: of the request.
        layer: the part of the guard that tells it; empty for the application.
        reason: one sentence, or a code.
        request_id: of the request.
        trace_id: of the trace, 32 hexadecimal digits.
        facts: what else there is to know: JSON, bounded.
    """

    event: str
    outcome: Outcome = "unknown"
    time: float
    severity: Severity | None = None
    subject: str | None = None
    client: str | None = None
    method: str | None = None
    path: str | None = None
    layer: str | None = None
    reason: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def told(self) -> dict[str, Any]:
        """Return the fields that there are, cut to their bounds, in the order of the line."""
        told: dict[str, Any] = {"v": VERSION, "time": stamp(self.time), "event": self.event[: BOUNDS["event"]]}
        told["outcome"] = self.outcome
        told["severity"] = self.severity or VOCABULARY.get(self.event, OTHER).severity
        for name in _TEXTS:
            text = getattr(self, name)
            if text:
                told[name] = text[: BOUNDS[name]]
        if self.facts:
            told["facts"] = self.facts
        return told


_TEXTS: Final = tuple(name for name in BOUNDS if name != "event")


def stamp(seconds: float) -> str:
    """Return a time as RFC 3339 has it, in UTC, with microseconds."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def line_of(told: Mapping[str, Any]) -> bytes:
    """Return fields as one line of JSON, in ASCII, without the line feed."""
    return json.dumps(told, separators=(",", ":"), ensure_ascii=True).replace("\x7f", "\\u007f").encode("ascii")


def to_ocsf(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return a line of the log, read as JSON, as an event of OCSF 1.3.

    Args:
        told: what `json.loads` made of the line.
    """
    kind = VOCABULARY.get(str(told["event"]), OTHER)
    client, subject = told.get("client"), told.get("subject")
    severity: Any = told["severity"]
    method, path = told.get("method"), told.get("path")
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
        "actor": {"user": {"uid": subject}} if subject else None,
        "src_endpoint": {"ip": client} if client else None,
        "http_request": {"http_method": method, "url": {"path": path}} if method else None,
        "metadata": {
            "version": "1.3.0",
            "product": {"name": "asgi_guard", "feature": {"name": told.get("layer") or "application"}},
            "uid": f"{told.get('chain', '')}:{told.get('seq', '')}",
            "correlation_uid": told.get("request_id"),
            "trace_uid": told.get("trace_id"),
        },
        "unmapped": told.get("facts"),
    }
    return {name: value for name, value in event.items() if value is not None}
