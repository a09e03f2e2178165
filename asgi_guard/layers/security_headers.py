"""Security headers: what a browser has to be told, and nothing that it ignores.

Each preset is a table by what the response is (a page, data, anything else), chosen by its Content-Type. The
application's own header wins. `auto` breaks nothing: data gets a closed policy, pages get one that only says who may
frame them and where `<base>` and plug-ins may point; HSTS is sent over TLS only (RFC 6797 section 7.2 forbids it
elsewhere).
Standards: CSP Level 3, Fetch (nosniff, CORP), HTML (Referrer-Policy, COOP, COEP), RFC 6797 (HSTS).
Must never send a header that is known to do harm or nothing: X-XSS-Protection, Expect-CT, Public-Key-Pins,
Feature-Policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import ClassVar, Final, Literal, TypedDict, Unpack

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.types import ASGIApp, Header, Headers
from asgi_guard.events import Listener
from asgi_guard.settings import Problems, build

Preset = Literal["auto", "api", "web", "strict"]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityHeaders:
    """Settings of the security headers.

    Attributes:
        preset: `"auto"` breaks nothing, `"api"` is for data only, `"web"` for pages without foreign content, `"strict"`
            for pages without inline script or style.
        headers: values that differ from the preset's, by name; None leaves a header out.

    Raises:
        ConfigError: a field is wrong.
    """

    preset: Preset = "auto"
    headers: Mapping[str, str | None] = field(default_factory=dict[str, str | None])

    def __post_init__(self) -> None:
        problems = Problems("SecurityHeaders")
        problems.choice("preset", self.preset, tuple(PRESETS))
        if isinstance(self.headers, Mapping):
            for name, value in self.headers.items():
                if problems.header_name("headers", name) and value is not None:
                    problems.header_value(f"headers[{name}]", value)
        else:
            remedy = 'Give a dict, such as {"Referrer-Policy": "no-referrer"}.'
            problems.add("AG201", "headers", self.headers, "must be a mapping of header names to values", remedy)
        problems.raise_if_any()


class SecurityHeadersFields(TypedDict, total=False):
    """The fields of `SecurityHeaders`, for keyword arguments."""

    preset: Preset
    headers: Mapping[str, str | None]


class SecurityHeadersLayer(Layer):
    """Adds to each response the headers that its kind calls for."""

    name: ClassVar[str] = "security_headers"

    def __init__(self, settings: SecurityHeaders) -> None:
        self.settings: object = settings
        own = {name.lower(): value for name, value in settings.headers.items()}
        tables = {kind: {**table, **own} for kind, table in PRESETS[settings.preset].items()}
        self._plain = {kind: _pairs(table, secure=False) for kind, table in tables.items()}
        self._secure = {kind: _pairs(table, secure=True) for kind, table in tables.items()}
        self._names = frozenset(name.encode() for table in tables.values() for name in table)
        self._plain_by_type: dict[bytes, tuple[Header, ...]] = {}
        self._secure_by_type: dict[bytes, tuple[Header, ...]] = {}

    def head(self, exchange: Exchange, headers: Headers) -> None:
        """Add what is missing.

        A WebSocket accept is no response and carries nothing that a browser would read. A 304 does not say what it
        stands for, and its headers replace those that were stored with the page (RFC 9111 section 3.2): the policy for
        anything else would take the place of the page's own.
        """
        if exchange.is_accepted or exchange.status == 304:
            return
        present = dict(headers)
        content_type = present.get(b"content-type", b"")
        secure = exchange.is_secure
        pairs = (self._secure_by_type if secure else self._plain_by_type).get(content_type)
        if pairs is None:
            pairs = self._choose(content_type, secure=secure)
        if self._names.isdisjoint(present):
            headers += pairs
        else:
            headers += [pair for pair in pairs if pair[0] not in present]

    def _choose(self, content_type: bytes, *, secure: bool) -> tuple[Header, ...]:
        pairs = (self._secure if secure else self._plain)[_kind(content_type)]
        if len(content_type) <= _MEMO_KEY_BYTES:  # an application may write what a client sent into it
            memo = self._secure_by_type if secure else self._plain_by_type
            if len(memo) >= _MEMO_SIZE:
                memo.clear()
            memo[content_type] = pairs
        return pairs


def _kind(content_type: bytes) -> str:
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type in _PAGES:
        return "page"
    return "data" if media_type == b"application/json" or media_type.endswith(b"+json") else "other"


def _pairs(table: Mapping[str, str | None], *, secure: bool) -> tuple[Header, ...]:
    return tuple(
        (name.encode(), value.encode("latin-1"))
        for name, value in table.items()
        if value is not None and (secure or name != "strict-transport-security")
    )


class SecurityHeadersMiddleware(Middleware):
    """Add security headers to each response.

    Args:
        app: the application to wrap.
        settings: a `SecurityHeaders`; or its fields as keywords.
        listeners: told what the layer decides.
        fields: see `SecurityHeaders`.

    Raises:
        ConfigError: a field is wrong or unknown.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: SecurityHeaders | None = None,
        *,
        listeners: Iterable[Listener] = (),
        **fields: Unpack[SecurityHeadersFields],
    ) -> None:
        super().__init__(app, SecurityHeadersLayer(build(SecurityHeaders, settings, fields)), listeners=listeners)
