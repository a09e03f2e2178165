"""GraphQL: how deep a document nests and how many fields it renames, counted without parsing it.

One small document may ask for millions of objects, by nesting what refers back, or by asking for the same field under
a thousand aliases (CWE-770). Strings and comments are skipped, so that nobody hides or feigns anything in them.
Must never take more than one pass, nor keep the document.
"""

from __future__ import annotations

import re
from typing import Final

from asgi_guard.inspection.limits import CrossedError, Limits

_DOCUMENT: Final = re.compile(r"\s*(?:\{|(?:query|mutation|subscription|fragment)\b[^{]{0,512}\{)")
# A string that ends nowhere is one to the end, whatever it ends with: else each quote would be tried, to the end again.
_NO_CODE: Final = re.compile(r'"""[\s\S]*?(?:"""|\Z)|"(?:\\.|[^"\\])*+(?:"|\\?\Z)|#[^\n]*', re.DOTALL)
_FOREIGN: Final = re.compile(r"[;'`<>*/+%^~?\\]")  # in no document: it is a style sheet, say, or a script
_MARK: Final = re.compile(r"[{}()]|\b[A-Za-z_]\w*+\s*+:", re.ASCII)


def check_document(text: str, limits: Limits) -> None:
    """Count, where a text is a GraphQL document.

    Raises:
        CrossedError: it nests deeper, or has more aliases, than the limits let it.
    """
    if not _DOCUMENT.match(text):
        return
    code = _NO_CODE.sub(" ", text)
    if _FOREIGN.search(code):
        return
    depth = brackets = aliases = 0
    for match in _MARK.finditer(code):
        mark = match[0][-1]
        if mark in "()":
            brackets = max(0, brackets + (1 if mark == "(" else -1))
        elif brackets:  # what stands in brackets is input, however it nests
            continue
        elif mark == ":":
            aliases += depth > 0
        else:
            depth += 1 if mark == "{" else -1
        if depth > limits.depth:
            raise CrossedError("depth", 400)
        if aliases > limits.aliases:
            raise CrossedError("aliases", 400)
