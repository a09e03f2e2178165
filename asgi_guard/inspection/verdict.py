"""Verdict: what was found in a value, and what it adds up to.

Must never hold the value itself: a finding goes into events and logs. An excerpt is made on request, and redacted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from asgi_guard.events import printable
from asgi_guard.inspection.rule import Place, Rule, View

_BEFORE: Final = 20
_EXCERPT: Final = 80


class Finding(NamedTuple):
    """One rule that one value matched.

    Attributes:
        rule: which rule.
        view: how the value was looked at when it was seen.
        place: where the value stood.
        name: what the parameter, the cookie, the header or the key is called; empty where it has no name.
        excerpt: a part of the value, redacted; empty unless it was asked for.
    """

    rule: Rule
    view: View
    place: Place
    name: str = ""
    excerpt: str = ""


def score(findings: Iterable[Finding]) -> int:
    """Return what the findings of one value add up to; a rule counts once."""
    return sum({finding.rule.id: finding.rule.score for finding in findings}.values())


def excerpt(text: str, rule: Rule) -> str:
    """Return the part of a value in which a rule's literals stand, at most 80 characters, redacted.

    Letters and digits are what a person has written; they are hidden, but for the literals.
    """
    literals = re.compile("|".join(map(re.escape, rule.needs)), re.IGNORECASE)
    first = literals.search(text)
    start = max(0, first.start() - _BEFORE) if first else 0
    shown = re.compile(f"({literals.pattern})|[^\\W_]", re.IGNORECASE)
    return printable(shown.sub(lambda match: match[1] or "x", text[start : start + _EXCERPT]), _EXCERPT)
