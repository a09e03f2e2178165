"""Parameters: what stands behind a media type or a disposition (RFC 9110, section 5.6.6), read in one way or in none.

Parsers differ in what they make of a repeated, half-quoted or extended parameter, and who may choose the reading hides
an attack in the other one. So what is not plain has no reading here.
Must never guess.
"""

from __future__ import annotations

import re
from typing import Final

_PARAMETER: Final = re.compile(
    r"""[ \t]*+;[ \t]*+([^\s;="'()<>@,:\\/\[\]?{}]{1,64}+)[ \t]*+=[ \t]*+(?:"((?:[^"\\]|\\.)*+)"|([^;"]*+))""",
    re.DOTALL,
)
_END: Final = re.compile(r"[ \t]*+;?[ \t]*+\Z")
_MOST: Final = 16


def parameters(header: str) -> dict[str, str] | None:
    """Return the parameters of a header's value by their names in lower case; None where they are not plain.

    Args:
        header: the value, from the first semicolon on.
    """
    found: dict[str, str] = {}
    at = 0
    while (match := _PARAMETER.match(header, at)) is not None:
        name, quoted, bare = match.groups()
        if name.lower() in found or len(found) >= _MOST:
            return None
        found[name.lower()] = quoted if quoted is not None else bare.strip()
        at = match.end()
    return found if _END.match(header, at) else None


def behind(header: str) -> str:
    """Return what stands behind the first part of a header's value, semicolon and all."""
    at = header.find(";")
    return header[at:] if at >= 0 else ""
