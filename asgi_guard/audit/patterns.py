r"""Patterns: which regular expressions of an application's own are taken to look for secrets in every entry.

They are asked of texts that an attacker has written, so each has to be linear in its text, as the rules of the
validation are: `\w+\w+!` takes minutes for some thousand letters (CWE-1333), and the writer has all requests wait for
it. All of them are joined into one expression, so none may number its groups, name them, or set flags for the others.
Must never take a pattern whose cost was not looked at: what this does not know is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from asgi_guard.inspection.ambiguity import is_ambiguous
from asgi_guard.inspection.automaton import codes, parsed
from asgi_guard.inspection.sharing import ways

_TEXT: Final = 8_192
_MAX_STEPS: Final = 200 * _TEXT
"""For a text of that length: some 20 ms."""

_KNOWN: Final = frozenset[Any](
    (
        codes.LITERAL, codes.NOT_LITERAL, codes.IN, codes.ANY, codes.AT, codes.SUBPATTERN, codes.BRANCH,
        codes.MAX_REPEAT, codes.MIN_REPEAT,
    )
)  # fmt: skip
_ESCAPE_OR_CAPITAL: Final = re.compile(r"\\.|[A-Z]", re.DOTALL)


def problem_of(pattern: str) -> str:
    """Return the rule that a pattern breaks; nothing where it is taken.

    Args:
        pattern: what stands in `hidden_patterns`, at most 256 characters.
    """
    try:
        if re.compile(pattern).flags != re.UNICODE.value:
            return "must not set flags for all of it: write (?i:...) for (?i)"
        tree = parsed(pattern)
        if "(?P<" in pattern or not _is_known(tree):
            return "must be without look-around, back-references, named and atomic groups"
        if tree.getwidth()[0] == 0:
            return "must not match where there is nothing"
        # Where case does not count, what is written in capitals may be shared out with what is not.
        both = {pattern, _ESCAPE_OR_CAPITAL.sub(_small, pattern)}
        if any(is_ambiguous(one) or ways(f"(?s:.){{0,{_TEXT}}}(?:{one})") > _MAX_STEPS for one in both):
            return "must be linear in what it is asked of: no two repeats that take the same, none without a bound"
    except (re.error, RecursionError, OverflowError) as error:
        return f"must be a regular expression ({error})"[:160]
    return ""


def _small(found: re.Match[str]) -> str:
    return found[0] if found[0][0] == "\\" else found[0].lower()


def _is_known(items: Iterable[Any]) -> bool:
    """Tell whether all that a pattern is made of is something whose cost can be counted."""
    for code, given in items:
        if code not in _KNOWN:
            return False
        if code is codes.SUBPATTERN or code in {codes.MAX_REPEAT, codes.MIN_REPEAT}:
            inner: list[Any] = [given[-1]]
        else:
            inner = given[1] if code is codes.BRANCH else []
        if not all(map(_is_known, inner)):
            return False
    return True
