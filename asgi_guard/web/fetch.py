"""Fetch: the names that the CORS protocol sets apart, and the one list that a preflight carries.

The tables are those of the Fetch standard ("CORS-safelisted", "forbidden"), and beside them the names that stand in the
wrong direction: attempts to allow them come from a misunderstanding that would otherwise show in a browser only.
Must never read more of a list than could be allowed: 60 KB of commas cost some libraries two milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Final, TypeAlias

from asgi_guard.web.mistakes import MistakeError, words

Check: TypeAlias = Callable[[str], object]
"""Raises a `MistakeError` where something is wrong with a name."""

SAFELISTED_METHODS: Final = frozenset({b"GET", b"HEAD", b"POST"})
"""Always allowed by the protocol."""

_NORMALISED_METHODS: Final = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_FORBIDDEN_METHODS: Final = frozenset({"CONNECT", "TRACE", "TRACK"})
_FORBIDDEN_REQUEST_HEADERS: Final = words(
    """
    accept-charset accept-encoding access-control-request-headers access-control-request-method
    access-control-request-private-network connection content-length cookie cookie2 date dnt expect host keep-alive
    origin referer set-cookie trailer transfer-encoding upgrade via
    """
) | {"te"}  # codespell:ignore te
ANSWERED: Final = words(
    """
    access-control-allow-credentials access-control-allow-headers access-control-allow-methods
    access-control-allow-origin access-control-allow-private-network access-control-expose-headers
    access-control-max-age
    """
)
"""What the answers of the CORS protocol are written in."""

_NEVER_EXPOSED: Final = (
    words("origin set-cookie set-cookie2 access-control-request-headers access-control-request-method") | ANSWERED
)
_ALWAYS_EXPOSED: Final = words(
    "cache-control content-language content-length content-type expires last-modified pragma"
)

TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,128}")
"""A method or header name (RFC 9110 section 5.6.2), of a length that is not absurd."""

MAX_ECHOED_BYTES: Final = 4_096
"""The longest list that is echoed where every header is allowed."""

_MAX_EMPTY, _MAX_BLANKS = 16, 2


def check_method(method: str) -> None:
    """Check a method that is to be allowed.

    Raises:
        MistakeError: it has no effect, or cannot be meant.
    """
    if TOKEN.fullmatch(method.encode()) is None:
        raise MistakeError("AG348", "must be a method name", 'Give the name alone, such as "PUT".')
    upper = method.upper()
    if upper in _FORBIDDEN_METHODS:
        raise MistakeError("AG349", "must be a method that pages can use", "Leave it out: browsers refuse it.")
    if upper in _NORMALISED_METHODS and method != upper:
        remedy = f"Write {upper!r}: upper and lower case are different methods."
        raise MistakeError("AG348", "must be written as browsers send it", remedy)


def check_request_header(name: str) -> None:
    """Check a request header that is to be allowed.

    Raises:
        MistakeError: it has no effect, or cannot be meant.
    """
    if TOKEN.fullmatch(name.encode()) is None:
        raise MistakeError("AG350", "must be a header name", 'Give the name alone, such as "Content-Type".')
    lowered = name.lower()
    if lowered in _FORBIDDEN_REQUEST_HEADERS or lowered.startswith(("proxy-", "sec-")):
        raise MistakeError("AG350", "must be a header that pages can set", "Leave it out: browsers refuse it.")
    if lowered in ANSWERED:
        raise MistakeError("AG350", "must be a request header", "Leave it out: the layer writes it into its answers.")


def check_response_header(name: str) -> None:
    """Check a response header that is to be exposed.

    Raises:
        MistakeError: it has no effect, or cannot be meant.
    """
    if TOKEN.fullmatch(name.encode()) is None:
        raise MistakeError("AG351", "must be a header name", 'Give the name alone, such as "X-Request-ID".')
    lowered = name.lower()
    if lowered in _NEVER_EXPOSED:
        raise MistakeError("AG351", "must be a header that pages can read", "Leave it out: browsers hide it.")
    if lowered in _ALWAYS_EXPOSED:
        raise MistakeError("AG351", "must not be one that pages can read anyway", "Leave it out.")


def longest_list(names: Collection[bytes]) -> int:
    """Return how many bytes a list of these names may have, with all that is tolerated between them."""
    return sum(len(name) + 1 + _MAX_BLANKS for name in names) + _MAX_EMPTY * (1 + _MAX_BLANKS)


def read_names(lines: list[bytes], max_bytes: int) -> list[bytes] | None:
    """Read a list of header names, in lower case; None where it is malformed or longer than it may be.

    A browser sends it sorted, in lower case, without blanks or empty members; what proxies add on the way is tolerated
    as far as it is counted: 2 blanks around a name, 16 empty members in all. Longer lists are not looked at.
    """
    if len(lines) > _MAX_EMPTY or sum(map(len, lines)) > max_bytes:
        return None
    names: list[bytes] = []
    empty = 0
    for line in lines:
        for member in line.split(b","):
            name = member.strip(b" \t")
            if not name:
                empty += 1
            elif TOKEN.fullmatch(name) is None:
                return None
            else:
                names.append(name.lower())
            if empty > _MAX_EMPTY or len(member) - len(name) > _MAX_BLANKS:
                return None
    return names
