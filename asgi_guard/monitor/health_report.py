"""Health report: how it stands with an application, for a machine and for a person.

Written as health+json (draft-inadarei-api-health-check-06) and in the lines that Kubernetes prints.
Must never show a password that a driver repeats with the URL that it could not reach, and never more than one line of
what others say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

MAX_TEXT: Final = 256
"""The characters that are told of a failure or a warning."""

Status = Literal["pass", "warn", "fail"]

_READ: Final = 4_096
_MARKS: Final = {"pass": "+", "warn": "!", "fail": "-"}
_SECRET: Final = re.compile(r"((?:pass(?:word|wd)?|pwd|secret|token|key)=)[^\s&;,]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Result:
    """What a check has found.

    Attributes:
        name: that of the check.
        is_required: whether its failure is one of the application.
        failure: what went wrong, at most 256 printable characters; None where it passed.
        seconds: how long it took.
        time: when it ended, in UNIX seconds.
    """

    name: str
    is_required: bool
    failure: str | None
    seconds: float
    time: float

    @property
    def status(self) -> Status:
        """How it stands with this one."""
        if self.failure is None:
            return "pass"
        return "fail" if self.is_required else "warn"


@dataclass(frozen=True, slots=True)
class Report:
    """How it stands with the application.

    Attributes:
        results: of each check that was asked for.
        warnings: what else is not as it should be.
    """

    results: tuple[Result, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """The worst of all."""
        found = {result.status for result in self.results}
        if "fail" in found:
            return "fail"
        return "warn" if self.warnings or "warn" in found else "pass"

    def as_json(self) -> dict[str, object]:
        """Write it as the draft has it: how long each check took is what was observed."""
        document: dict[str, object] = {"status": self.status}
        if self.results:
            document["checks"] = {f"{result.name}:responseTime": [_as_json(result)] for result in self.results}
        if self.warnings:
            document["notes"] = list(self.warnings)
        return document

    def as_lines(self) -> str:
        """Write it as Kubernetes does: `[+]database ok`."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        for result in self.results:
            outcome = "ok" if result.failure is None else f"failed: {result.failure}"
            yield f"[{_MARKS[result.status]}]{result.name} {outcome}"
        for warning in self.warnings:
            yield f"[!]{warning}"
        yield f"status {self.status}"


def _as_json(result: Result) -> dict[str, object]:
    document: dict[str, object] = {
        "status": result.status,
        "observedValue": round(result.seconds * 1_000, 3),
        "observedUnit": "ms",
        "time": datetime.fromtimestamp(result.time, UTC).isoformat(timespec="milliseconds"),
    }
    return document if result.failure is None else {**document, "output": result.failure}


def told(said: object) -> str:
    """Return what an exception or an alert says: one line, at most 256 characters, no password."""
    try:
        text = f"{type(said).__name__}: {said}" if isinstance(said, BaseException) else str(said)
    except Exception:  # noqa: BLE001  an exception that cannot be shown is a failed check as well
        text = type(said).__name__
    if len(text) > _READ:
        text = text[:_READ].rpartition(" ")[0]  # a URL that is cut in its password would not be seen as one
    line = _SECRET.sub(r"\1***", " ".join(map(_without_user, text.split())))[:MAX_TEXT]
    return "".join(character if character.isprintable() else "?" for character in line)


def _without_user(word: str) -> str:
    scheme, mark, rest = word.partition("://")
    return f"{scheme}{mark}***@{rest.rpartition('@')[2]}" if mark and "@" in rest else word
