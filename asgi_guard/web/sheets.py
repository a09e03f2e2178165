"""Sheets: which security headers go with which kind of response, as tables, and one look-up for each response.

A page, data and anything else are told apart by their media type.
Must never remember without bound: an application may write what a client sent into `Content-Type`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

from asgi_guard.web.policies import NONCE

Preset = Literal["auto", "api", "web", "strict"]
_Header = tuple[bytes, bytes]
_Table = Mapping[str, str]

_CLOSED: Final = "default-src 'none'; frame-ancestors 'none'"
_POWERS: Final = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
_YEAR: Final = "max-age=31536000"
_TWO_YEARS: Final = "max-age=63072000; includeSubDomains"
_PAGE_WEB: Final = "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'; object-src 'none'"
_PAGE_STRICT: Final = (
    "default-src 'none'; base-uri 'none'; connect-src 'self'; font-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; img-src 'self'; script-src 'self'; style-src 'self'"
)


def _common(frames: str, referrer: str, hsts: str, **more: str) -> dict[str, str]:
    return {
        "x-content-type-options": "nosniff",
        "x-frame-options": frames,
        "referrer-policy": referrer,
        "strict-transport-security": hsts,
        **{name.replace("_", "-"): value for name, value in more.items()},
    }


_AUTO = _common("SAMEORIGIN", "strict-origin-when-cross-origin", _YEAR)
_API = _common(
    "DENY", "no-referrer", _TWO_YEARS, cross_origin_resource_policy="same-origin", content_security_policy=_CLOSED
)
_WEB = _common(
    "SAMEORIGIN",
    "strict-origin-when-cross-origin",
    _YEAR,
    cross_origin_opener_policy="same-origin",
    cross_origin_resource_policy="same-origin",
    permissions_policy=_POWERS,
)
_STRICT = _common(
    "DENY",
    "no-referrer",
    _TWO_YEARS,
    cross_origin_embedder_policy="require-corp",
    cross_origin_opener_policy="same-origin",
    cross_origin_resource_policy="same-origin",
    permissions_policy=_POWERS,
)
_PAGE_AUTO: Final = "base-uri 'self'; frame-ancestors 'self'; object-src 'self' blob:"
_CSP: Final = "content-security-policy"

PRESETS: Final[Mapping[str, Mapping[str, _Table]]] = MappingProxyType(
    {
        "auto": {
            "page": {**_AUTO, _CSP: _PAGE_AUTO},
            "data": {**_AUTO, "x-frame-options": "DENY", _CSP: _CLOSED},
            # A worker keeps the policy of its script, and a PDF viewer that of the file: only framing is said here.
            "other": {**_AUTO, _CSP: "frame-ancestors 'self'"},
        },
        "api": {"page": _API, "data": _API, "other": _API},
        "web": {
            "page": {**_WEB, _CSP: _PAGE_WEB},
            "data": {**_WEB, "x-frame-options": "DENY", _CSP: _CLOSED},
            "other": {**_WEB, _CSP: "frame-ancestors 'self'"},
        },
        "strict": {
            "page": {**_STRICT, _CSP: _PAGE_STRICT},
            "data": {**_STRICT, _CSP: _CLOSED},
            "other": {**_STRICT, _CSP: _CLOSED},
        },
    }
)
"""What each preset sends, by what the response is."""

_PAGES = (b"text/html", b"application/xhtml+xml")
_MEMO_SIZE, _MEMO_KEY_BYTES = 256, 128


class Sheet:
    """The headers of one preset with its changes, by the type of the response.

    Attributes:
        names: of all headers in it.
        plain_by_type: what to add to a response of a type that was seen before.
        secure_by_type: the same, over TLS.
        has_nonce: whether a policy in it has one.
    """

    __slots__ = ("_plain", "_secure", "has_nonce", "names", "plain_by_type", "secure_by_type")

    def __init__(self, tables: Mapping[str, Mapping[str, str | None]]) -> None:
        self._plain = {kind: _pairs(table, secure=False) for kind, table in tables.items()}
        self._secure = {kind: _pairs(table, secure=True) for kind, table in tables.items()}
        self.names: frozenset[bytes] = frozenset(name.encode() for table in tables.values() for name in table)
        self.plain_by_type: dict[bytes, tuple[_Header, ...]] = {}
        self.secure_by_type: dict[bytes, tuple[_Header, ...]] = {}
        self.has_nonce: bool = any(NONCE in (value or "") for table in tables.values() for value in table.values())

    def choose(self, content_type: bytes, *, secure: bool) -> tuple[_Header, ...]:
        """Return what to add to a response of this type, and remember it."""
        pairs = (self._secure if secure else self._plain)[_kind(content_type)]
        if len(content_type) <= _MEMO_KEY_BYTES:  # an application may write what a client sent into it
            memo = self.secure_by_type if secure else self.plain_by_type
            if len(memo) >= _MEMO_SIZE:
                memo.clear()
            memo[content_type] = pairs
        return pairs


def changed(
    tables: Mapping[str, Mapping[str, str | None]], own: Mapping[str, str | None]
) -> dict[str, dict[str, str | None]]:
    """Return the tables of a preset with values of somebody's own in place of theirs."""
    lowered = {name.lower(): value for name, value in own.items()}
    return {kind: {**table, **lowered} for kind, table in tables.items()}


def _kind(content_type: bytes) -> str:
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type in _PAGES:
        return "page"
    return "data" if media_type == b"application/json" or media_type.endswith(b"+json") else "other"


def _pairs(table: Mapping[str, str | None], *, secure: bool) -> tuple[_Header, ...]:
    return tuple(
        (name.encode(), value.encode("latin-1"))
        for name, value in table.items()
        if value is not None and (secure or name != "strict-transport-security")
    )
