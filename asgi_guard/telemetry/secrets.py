"""Secrets: what of a query and of headers is left out of a span, since spans are kept, copied and read by many.

The values that the HTTP semantic conventions name, and those whose name sounds like a secret. Must never decode what it
redacts: whoever reads the span sees what was sent, or that something was.
"""

from __future__ import annotations

import re
from typing import Final

REDACTED: Final = "REDACTED"

_SOUNDS_SECRET: Final = re.compile(
    r"pass(wor[dt]|wd|phrase)?$|passwd|secret|token|api[-_]?key|apikey|auth|credential|signature|session|^sig$|^code$|"
    r"^key$|jwt|^sid$|csrf|xsrf|^x-amz-|^x-goog-signature|^awsaccesskeyid",
    re.IGNORECASE,
)
_ALWAYS: Final = frozenset({b"cookie", b"set-cookie", b"authorization", b"proxy-authorization"})
_MAX_PARAMETERS: Final = 256


def redacted_query(query: str, longest: int) -> str:
    """Return a query without the values of parameters whose name sounds like a secret.

    Args:
        query: as it was sent, percent signs and all.
        longest: the characters to keep; a value that is cut is never one of those.
    """
    parts = query[: longest * 4].split("&", _MAX_PARAMETERS)[:_MAX_PARAMETERS]
    return "&".join([_redacted(part) for part in parts])[:longest]


def _redacted(part: str) -> str:
    name, equals, _ = part.partition("=")
    # An encoded name may sound like anything: what cannot be read without decoding is not shown.
    if equals and ("%" in name or _SOUNDS_SECRET.search(name)):
        return f"{name}={REDACTED}"
    return part


def shown_header(name: bytes, value: bytes, longest: int) -> str:
    """Return the value of a header to record; `REDACTED` where its name sounds like a secret."""
    if name in _ALWAYS or _SOUNDS_SECRET.search(name.decode("latin-1")):
        return REDACTED
    return value[:longest].decode("latin-1")
