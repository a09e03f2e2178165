"""What the doctor says: a finding, or why it could not look.

Rule 1: a finding says what was seen, why it matters and what to do; whoever reads it needs no other page.
Rule 2: must never say more than was seen: what could not be looked at is a `Skipped`, and no finding.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

Severity = Literal["error", "warning", "note"]

SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")
"""The gravest first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        check: the id of the check, such as `DR101`.
        severity: `error`, `warning` or `note`.
        title: what is wrong, in one line.
        seen: what was seen.
        why: what may come of it.
        fix: what to write, or which flag to give.
    """

    check: str
    severity: Severity
    title: str
    seen: str
    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A check that could not be made.

    Attributes:
        check: its id.
        why: what was in the way, or missing.
    """

    check: str
    why: str


CHECKS: Final[dict[str, str]] = {
    "DR001": "a guard stands in front",
    "DR002": "only one guard stands in front",
    "DR003": "no dangerous setting is on",
    "DR004": "attacks in what clients send are refused",
    "DR005": "there is an audit log",
    "DR006": "nothing is in debug mode",
    "DR007": "several workers share their counts",
    "DR008": "several workers are measured together",
    "DR009": "not everybody is a trusted proxy",
    "DR010": "the proxy in front is believed",
    "DR011": "what happens without Redis was decided",
    "DR012": "secrets in the settings file are nobody else's",
    "DR013": "somebody may see the metrics, and not everybody on the machine",
    "DR014": "the guard's limits are on",
    "DR015": "the store of the rate limit answers",
    "DR101": "what comes over HTTP is sent to HTTPS",
    "DR102": "browsers are told to stay with HTTPS",
    "DR103": "other sites cannot read the answers",
    "DR104": "one client cannot ask without end",
    "DR105": "a body has a limit",
    "DR106": "the number of headers has a limit",
    "DR107": "an address has a limit",
    "DR108": "errors tell nothing",
    "DR109": "answers do not say what they are made with",
    "DR110": "other hosts are refused",
    "DR111": "the documentation of the interface is not open",
    "DR112": "metrics and dashboards are not open",
    "DR113": "cookies are safe",
    "DR114": "the page has a good score by the Observatory's rules",
    "DR115": "strangers cannot write forwarding headers",
    "DR201": "the server cuts off slow headers",
    "DR202": "the server has a limit for the head of a request",
    "DR203": "the server does not tell its name",
    "DR204": "the server leaves forwarding headers to the guard",
    "DR205": "the server stops in time",
    "DR206": "the server does what the guard builds on",
    "DR207": "the server is not in development mode",
}
"""Every check by its id: what holds where nothing is found."""

MAX_SHOWN: Final = 160


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, the gravest first."""
    return sorted(findings, key=lambda one: (SEVERITIES.index(one.severity), one.check))


def at_least(findings: Iterable[Finding], severity: Severity) -> bool:
    """Tell whether there is one that is as grave, or graver."""
    return any(SEVERITIES.index(one.severity) <= SEVERITIES.index(severity) for one in findings)


def shown(text: str) -> str:
    """Write what an application has said so that no terminal takes it for a command, and cut it."""
    plain = "".join([char if char.isprintable() else " " for char in text[: MAX_SHOWN + 1]])
    return plain if len(text) <= MAX_SHOWN else f"{plain[:MAX_SHOWN]}..."


def split(said: Iterable[Finding | Skipped]) -> tuple[list[Finding], list[Skipped]]:
    """Return the findings in order, and what was skipped."""
    found, skipped = list[Finding](), list[Skipped]()
    for one in said:
        if isinstance(one, Finding):
            found.append(one)
        else:
            skipped.append(one)
    return ordered(found), sorted(skipped, key=lambda one: one.check)
