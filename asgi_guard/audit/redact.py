"""Redaction: what must not stand in an audit log, though somebody put it into an entry.

By the name of a field, and by what a text looks like: tokens, keys, numbers of payment cards, passwords in URLs (OWASP
ASVS 5.0 V16.2.5). A log is kept, copied and read by many.
Must never take longer than the text is long, whatever stands in it; and is no licence to put secrets into entries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from asgi_guard.errors.details import HIDDEN_NAMES
from asgi_guard.settings import HIDDEN

PATTERNS: Final = (
    r"(?i:\b(?:bearer|basic|token)\s{1,4}[\w+/=.~-]{8,})",
    r"\b(?:AKIA|ASIA)(?:[A-Z0-9]{16}\b|[A-Z0-9]{4,15}\Z)",
    r"\bgh[pousr]_(?:\w{20,}|\w{4,}\Z)|\bxox[abprs]-[\w-]{4,}|\bsk_(?:live|test)_\w{4,}",
    r"\bglpat-(?:[\w-]{20,}|[\w-]{4,20}\Z)|\bAIza(?:[\w-]{35}|[\w-]{8,34}\Z)",
    r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----(?:[^-]|-(?!----END ))*+(?:-----END [A-Z ]{0,32}PRIVATE KEY-----)?",
    (
        r"(?i:pass(?:word|wd|phrase)?|pwd|secret|api[_-]?key|(?:access|refresh|id)_token|session_?id)"
        r"(?:=|[\"']\s{0,4}:\s{0,4})[\"']?[^\s&;,\"'<>]++"
    ),
    r"(?<=://)[^\s/@:]*+:(?:[^\s/@]++(?=@)|(?!\d{1,5}\Z)[^\s/@]++\Z)",
)
"""What secrets look like, wherever they stand; also where something else has cut them off at the end of a text.

No repeat is tried from more than one place of what it takes, so that all of it is linear.
"""

_ENDS: Final = re.compile(
    r"(?:\b(?:(?i:(?:bearer|basic|token)\s{1,4})[\w+/=.~-]{0,7}|(?:AKIA|ASIA)[A-Z0-9]{0,3}|gh[pousr]_\w{0,3}"
    r"|xox[abprs]-[\w-]{0,3}|sk_(?:live|test)_\w{0,3}|glpat-[\w-]{0,3}|AIza[\w-]{0,7})"
    r"|eyJ[\w-]{0,7}|(?<=://)[^\s/@:]{0,32}:\d{1,5}|(?<![\d-])\d(?:[ -]?\d){4,17})\Z"
)
"""What else of a secret may stand at the end of a text that was cut: too little to be told from what is none."""

_MAY_BE_CUT: Final = 256
"""The characters of a text that somebody else may have cut."""

_LAST: Final = 128

_RUN: Final = re.compile(r"[\w.-]{11,}+")
_JWT_PART: Final = 8
_CARD: Final = re.compile(r"(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-])")


class Redactor:
    """Takes secrets out of what an entry tells.

    Args:
        names: further names whose values are hidden, such as `iban`; parts of a name count, in any case.
        patterns: further regular expressions whose matches are hidden.
    """

    __slots__ = ("_name", "_text")

    def __init__(self, names: Iterable[str] = (), patterns: Iterable[str] = ()) -> None:
        self._name = re.compile("|".join([HIDDEN_NAMES, *map(re.escape, names)]), re.IGNORECASE)
        self._text = re.compile("|".join([*(f"(?:{one})" for one in PATTERNS), *(f"(?a:{one})" for one in patterns)]))

    def text(self, text: str) -> str:
        """Return a text without what looks like a secret."""
        if len(text) < _SHORTEST:
            return text
        if "eyJ" in text:
            text = _RUN.sub(_hidden_jwt, text)
        text = self._text.sub(HIDDEN, text)
        if _has_digits(text):
            text = _CARD.sub(_hidden_card, text)
        if len(text) >= _MAY_BE_CUT:
            text = text[:-_LAST] + _ENDS.sub(HIDDEN, text[-_LAST:])
        return text

    def fields(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of an entry without secrets: texts by their look, facts by their name as well."""
        return {
            name: self._facts("", value) if name == "facts" else self.text(value) if isinstance(value, str) else value
            for name, value in told.items()
        }

    def _facts(self, name: str, value: Any) -> Any:
        if name and self._name.search(name):
            return HIDDEN
        if isinstance(value, str):
            return self.text(value)
        if value.__class__ is dict:  # `plain` has made no other containers than these two
            return {key: self._facts(key, item) for key, item in value.items()}
        return [self._facts("", item) for item in value] if value.__class__ is list else value


_SHORTEST: Final = 12
"""The shortest text that a pattern of ours may be in."""


def _has_digits(text: str) -> bool:
    return sum(map(text.count, "0123456789")) >= 13


def _hidden_card(match: re.Match[str]) -> str:
    digits = [int(digit) for digit in match[0] if digit.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return HIDDEN if (sum(digits[::-2]) + sum(doubled)) % 10 == 0 else match[0]


def _hidden_jwt(run: re.Match[str]) -> str:
    """Hide what looks like a JWT in a run of its letters: three parts, or as many as there are where it is cut off."""
    parts = run[0].split(".")
    is_last = run.end() == len(run.string)
    kept: list[str] = []
    index = 0
    while index < len(parts):
        part = parts[index]
        at = part.find("eyJ")
        rest = parts[index + 1 : index + 3]
        is_one = at >= 0 and len(part) >= at + 3 + _JWT_PART
        is_whole = len(rest) == 2 and len(rest[0]) >= _JWT_PART  # the payload, and the signature
        if is_one and (is_whole or (is_last and len(rest) < 2)):
            kept.append(part[:at] + HIDDEN)
            index += 3
        else:
            kept.append(part)
            index += 1
    return ".".join(kept)
