"""Show: the entries of a log, for people: filtered, one line each, in columns.

Must never hand a control character to a terminal, whatever stands in the file, nor verify anything: that is `verify`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

from asgi_guard.audit.reading import lines
from asgi_guard.audit.vocabulary import SEVERITIES, Severity

UNREADABLE: Final = "unreadable"
"""What stands in the place of the event of a line that is no entry."""

_LONGEST_TEXT: Final = 512
_LONGEST_SHOWN: Final = 8_192
_MOST_FACTS: Final = 64
_OWN: Final = ("audit_start", "audit_checkpoint", "audit_rotated", "audit_end")
_SHOWN: Final = ("event", "outcome", "subject", "client", "method", "path", "layer", "request_id", "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which entries are shown: those that fit every field which is given.

    Attributes:
        since: not before this time, in seconds since 1970.
        until: before this time.
        event: the name of the event, or its beginning.
        outcome: what became of it.
        subject: who did it.
        request_id: of the request.
        layer: the part of the guard.
        severity: as grave as this at least.
    """

    since: float | None = None
    until: float | None = None
    event: str | None = None
    outcome: str | None = None
    subject: str | None = None
    request_id: str | None = None
    layer: str | None = None
    severity: Severity | None = None

    def fits(self, told: Mapping[str, Any]) -> bool:
        """Tell whether an entry is shown; what the log says of itself is, where it is asked for."""
        event = str(told.get("event"))
        if event.startswith(self.event or "") is False or (event in _OWN and not self.event):
            return False
        if any(getattr(self, name) is not None and getattr(self, name) != told.get(name) for name in _EQUAL):
            return False
        severity: Any = told.get("severity", "info")
        grave = _GRAVE.get(severity, 0) if isinstance(severity, str) else 0
        if self.severity is not None and grave < SEVERITIES[self.severity]:
            return False
        if self.since is None and self.until is None:
            return True
        at = _time_of(told)
        return at is not None and (self.since or 0) <= at < (self.until or float("inf"))


_GRAVE: Final[Mapping[str, int]] = {str(name): grave for name, grave in SEVERITIES.items()}
_EQUAL: Final = ("outcome", "subject", "request_id", "layer")


def entries(files: Iterable[Path], wanted: Filter) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give out the entries that are wanted: each as its line, and as its fields.

    What is no entry is left out where entries are chosen; else it is given out by the name `unreadable`.

    Raises:
        OSError: a file cannot be read.
    """
    shows_all = wanted == Filter()
    for path in files:
        for _, line, _ in lines(path):
            fields = _fields(line)
            if fields is None:
                if shows_all:
                    yield "", {"event": UNREADABLE, "reason": line[:_LONGEST_TEXT].decode("ascii", "backslashreplace")}
            elif wanted.fits(fields):
                yield json.dumps(fields, separators=(",", ":")).replace("\x7f", "\\u007f"), fields


def _fields(line: bytes) -> dict[str, Any] | None:
    try:
        told: Any = json.loads(line)
        json.dumps(told)
    except (ValueError, RecursionError):
        return None
    fields = cast("dict[str, Any]", told) if isinstance(told, dict) else {}
    return fields if "event" in fields else None


def shown(told: Mapping[str, Any]) -> str:
    """Return an entry as one line for a person, of at most 8,192 characters."""
    texts = [_plain(told.get("time"))[:23], f"{_plain(told.get('severity')):8}"]
    texts += [_plain(told[name]) for name in _SHOWN if name in told]
    facts = told.get("facts")
    if isinstance(facts, dict):
        named = cast("dict[str, Any]", facts)
        texts += [f"{_plain(name)}={_plain(value)}" for name, value in islice(named.items(), _MOST_FACTS)]
    elif facts is not None:
        texts.append(f"facts={_plain(facts)}")
    return "  ".join(texts).rstrip()[:_LONGEST_SHOWN]


def _plain(value: object) -> str:
    """Return a value as text that no terminal obeys, cut to a bound."""
    text = value if isinstance(value, str) else json.dumps(value)
    if len(text) > _LONGEST_TEXT:
        text = f"{text[:_LONGEST_TEXT]}..."
    return text if text.isprintable() and text.isascii() else json.dumps(text)[1:-1].replace("\x7f", "\\u007f")


def _time_of(told: Mapping[str, Any]) -> float | None:
    try:
        return datetime.fromisoformat(told["time"]).astimezone(UTC).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
