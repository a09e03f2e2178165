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

from asgi_guard.audit.vocabulary import OTHER, VOCABULARY, Severity
from asgi_guard.errors.details import plain

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

KEPT: Final = 8_192
"""The characters of a text that are looked through for secrets, before it is cut to its bound."""

MAX_LINE: Final = 65_536
"""The bytes of a line without its place; an entry that makes a longer one is written in its safe form."""

_WORD: Final = 16


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
        """Return the fields that there are, in the order of the line; texts are longer than `cut` leaves them."""
        told: dict[str, Any] = {"v": VERSION, "time": stamp(self.time), "event": self.event[: BOUNDS["event"]]}
        told["outcome"] = self.outcome
        told["severity"] = self.severity or VOCABULARY.get(self.event, OTHER).severity
        for name in _TEXTS:
            text = getattr(self, name)
            if text:
                told[name] = text[:KEPT]
        if self.facts:
            told["facts"] = self.facts
        return told


_TEXTS: Final = tuple(name for name in BOUNDS if name != "event")


def cut(told: dict[str, Any]) -> dict[str, Any]:
    """Cut texts to their bounds; what must not be told was taken out before, or half of it would stand there."""
    for name in _TEXTS:
        text = told.get(name)
        if text is not None and len(text) > BOUNDS[name]:
            told[name] = text[: BOUNDS[name]]
    return told


def safely_told(entry: Entry, now: float) -> dict[str, Any]:
    """Return the fields of an entry that cannot be written as it is: bounded, and without what JSON cannot hold.

    Args:
        entry: which holds whatever the program has put there.
        now: the time, in seconds since 1970, where it has none.
    """
    told: dict[str, Any] = {"v": VERSION, "time": stamp(now), "event": "guard_error"}
    told |= {"outcome": "unknown", "severity": "info"}
    unwritten: list[str] = []
    try:
        told["time"] = stamp(entry.time)
    except (ValueError, TypeError, OverflowError, OSError):
        unwritten.append("time")
    for name in ("event", "outcome", "severity", *_TEXTS):
        value = getattr(entry, name)
        if value.__class__ is str and value:
            told[name] = value[:KEPT].encode("ascii", "backslashreplace").decode()
        elif value is not None and value != "":
            unwritten.append(name)
    told["event"] = told["event"][: BOUNDS["event"]]
    if entry.severity is None:
        told["severity"] = VOCABULARY.get(told["event"], OTHER).severity
    told |= {name: told[name][:_WORD] for name in ("outcome", "severity")}
    facts = plain({"facts": entry.facts}).get("facts")
    if facts.__class__ is dict:
        told["facts"] = facts
    told["unwritten"] = [*unwritten, "facts"]  # facts were made plain: what JSON cannot hold is the name of its type
    return told


def stamp(seconds: float) -> str:
    """Return a time as RFC 3339 has it, in UTC, with microseconds."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def line_of(told: Mapping[str, Any]) -> bytes:
    """Return fields as one line of JSON, in ASCII, without the line feed.

    Raises:
        ValueError: JSON cannot hold them, or they hold themselves.
        TypeError: the same.
        RecursionError: they are too deep.
    """
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("\x7f", "\\u007f").encode("ascii")
