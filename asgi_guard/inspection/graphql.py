"""GraphQL: how deep a document nests and how many fields it renames, counted without parsing it.

One small document may ask for millions of objects, by nesting what refers back, or by asking for the same field under
a thousand aliases (CWE-770). Strings and comments are skipped, so that nobody hides or feigns anything in them.
Must never take more than one pass, nor keep the document, nor take long for a step of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from asgi_guard.inspection.limits import CrossedError, Limits

STEP: Final = 4_096
"""The characters that are counted before others may run."""

_DOCUMENT: Final = re.compile(r"\s*(?:\{|(?:query|mutation|subscription|fragment)\b[^{]{0,512}\{)")
_FOREIGN: Final = frozenset(";'`<>*/+%^~?\\")  # in no document: it is a style sheet, say, or a script
_MARK: Final = re.compile(r"[;'`<>*/+%^~?\\{}():]")
_BRACKETS: Final = {"(": 1, ")": -1}
_BRACES: Final = {"{": 1, "}": -1}
_NO_CODE: Final = re.compile(r'["#]')
_BLOCK: Final = '"""'
_IN_STRING: Final = re.compile(rf'(?:[^"\\]|\\.){{0,{STEP}}}+', re.DOTALL)
_LONGEST_ALIAS: Final = 64  # with the blanks behind it; what is longer counts as one
_ALIAS: Final = re.compile(r"(?:^|\W)[A-Za-z_]\w*+\s*+$|^\w*+\s*+$", re.ASCII)


def check_document(text: str, limits: Limits) -> Iterator[None]:
    """Count, where a text is a GraphQL document; give out whenever others may run.

    Raises:
        CrossedError: it nests deeper, or has more aliases, than the limits let it.
    """
    if not _DOCUMENT.match(text):
        return
    depth = deepest = brackets = aliases = rested = 0
    for start, end in _code(text):
        for match in _MARK.finditer(text, start, end):
            mark = match[0]
            if mark in _FOREIGN:
                return
            brackets = max(0, brackets + _BRACKETS.get(mark, 0))
            if brackets:  # what stands in brackets is input, however it nests
                continue
            depth += _BRACES.get(mark, 0)
            deepest = max(deepest, depth)
            if mark == ":" and depth > 0 and aliases <= limits.aliases:
                aliases += _is_alias(text, match.start())
        if end - rested >= STEP:
            rested = end
            yield
    if deepest > limits.depth or aliases > limits.aliases:
        raise CrossedError("depth" if deepest > limits.depth else "aliases", 400)


def _is_alias(text: str, colon: int) -> bool:
    return _ALIAS.search(text[max(0, colon - _LONGEST_ALIAS) : colon]) is not None


def _code(text: str) -> Iterator[tuple[int, int]]:
    """Give out where the code of a document begins and ends, in steps, and empty stretches within strings."""
    place, size = 0, len(text)
    while place < size:
        end = min(place + STEP, size)
        opening = _NO_CODE.search(text, place, end)
        yield place, opening.start() if opening else end
        if opening is None:
            place = end
        elif opening[0] == "#":
            place = text.find("\n", opening.end()) + 1 or size
        elif text.startswith(_BLOCK, opening.start()):
            place = text.find(_BLOCK, opening.start() + 3) + 3
            place = size if place < 3 else place
        else:
            place = opening.end()
            while place < size and text[place] != '"':
                place = max(_IN_STRING.match(text, place).end(), place + 1)  # type: ignore[union-attr]  # it always is
                yield place, place
            place += 1
