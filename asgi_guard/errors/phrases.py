"""Phrases: the words of the errors that have none of their own.

The reason phrases are a copy of the IANA registry of status codes (RFC 9110 section 15), since those of the standard
library differ between Python versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_TITLES: Final[Mapping[int, str]] = MappingProxyType(
    {
        400: "Bad Request",
        401: "Unauthorized",
        402: "Payment Required",
        403: "Forbidden",
        404: "Not Found",
        405: "Method Not Allowed",
        406: "Not Acceptable",
        407: "Proxy Authentication Required",
        408: "Request Timeout",
        409: "Conflict",
        410: "Gone",
        411: "Length Required",
        412: "Precondition Failed",
        413: "Content Too Large",
        414: "URI Too Long",
        415: "Unsupported Media Type",
        416: "Range Not Satisfiable",
        417: "Expectation Failed",
        421: "Misdirected Request",
        422: "Unprocessable Content",
        423: "Locked",
        424: "Failed Dependency",
        425: "Too Early",
        426: "Upgrade Required",
        428: "Precondition Required",
        429: "Too Many Requests",
        431: "Request Header Fields Too Large",
        451: "Unavailable For Legal Reasons",
        500: "Internal Server Error",
        501: "Not Implemented",
        502: "Bad Gateway",
        503: "Service Unavailable",
        504: "Gateway Timeout",
        505: "HTTP Version Not Supported",
        507: "Insufficient Storage",
        508: "Loop Detected",
        511: "Network Authentication Required",
    }
)
_INSTEAD: Final[Mapping[int, str]] = MappingProxyType(
    {
        500: "Something went wrong on the server.",
        501: "The server cannot do this.",
        502: "A service behind this one gave no usable answer.",
        503: "The service is not available at the moment.",
        504: "A service behind this one did not answer in time.",
    }
)
_CODES: Final[Mapping[int, str]] = MappingProxyType(
    {
        401: "AUTHENTICATION_ERROR",
        403: "AUTHORIZATION_ERROR",
        422: "VALIDATION_ERROR",
        429: "RATE_LIMIT_EXCEEDED",
        500: "INTERNAL_ERROR",
        504: "TIMEOUT",
    }
)
"""The codes of `asgi_guard.errors.ready` for the statuses that have one; others are named as their phrase."""

SUGGESTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "authentication": ("Send valid credentials.",),
        "rate_limit": ("Wait before you try again.",),
        **dict.fromkeys(("database", "cache", "network", "external_service", "timeout"), ("Try again in a moment.",)),
    }
)
"""What a client may do about an error of a category, where neither the error nor the user says it."""


def title(status: int) -> str:
    """Return the reason phrase of a status; `Error` for one that the registry does not have."""
    return _TITLES.get(status, "Error")


def withheld(status: int) -> str:
    """Return what is said instead of a message that is withheld."""
    return _INSTEAD.get(status, _INSTEAD[500])


def code_of(status: int) -> str:
    """Return the stable name of a status that says no more, such as `NOT_FOUND`."""
    return _CODES.get(status) or title(status).upper().replace(" ", "_").replace("-", "_")
