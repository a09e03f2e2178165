"""Security headers: what a browser has to be told, and nothing that it ignores.

Each preset is a table by what the response is (a page, data, anything else), chosen by its Content-Type. The
application's own header wins. `auto` breaks nothing: data gets a closed policy, pages get one that only says who may
frame them and where `<base>` and plug-ins may point; HSTS is sent over TLS only (RFC 6797 section 7.2 forbids it
elsewhere).
Standards: CSP Level 3, Fetch (nosniff, CORP), HTML (Referrer-Policy, COOP, COEP), RFC 6797 (HSTS).
Must never send a header that is known to do harm or nothing: X-XSS-Protection, Expect-CT, Public-Key-Pins,
Feature-Policy; and never join two `Set-Cookie` lines.

| id    | rule that was broken                                                             |
|-------|----------------------------------------------------------------------------------|
| AG201 | a mapping                                                                        |
| AG380 | CSP: a directive that there is                                                   |
| AG381 | CSP: a keyword that there is, in quotes                                          |
| AG382 | CSP: no 'unsafe-inline' next to what makes browsers ignore it                    |
| AG383 | CSP: reports go to an endpoint that there is                                     |
| AG384 | CSP: 'none' alone                                                                |
| AG385 | CSP: each directive once                                                         |
| AG386 | CSP: a nonce for each request, as a source                                       |
| AG390 | HSTS: directives that there are, a max-age, and all that preloading demands      |
| AG391 | Permissions-Policy: lists of origins for features that there are                 |
| AG392 | one of the values that the header has                                            |
| AG393 | Reporting-Endpoints: names with URLs                                             |
| AG394 | a header of which several lines may stand next to each other                     |
| AG395 | a path that begins with a slash, and is no pattern                               |
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, ClassVar, Final, Literal, TypedDict, TypeGuard, Unpack

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.paths import Prefixes, check_prefix
from asgi_guard.engine.types import ASGIApp, Header, Headers, Scope
from asgi_guard.events import Listener
from asgi_guard.settings import Problems, build
from asgi_guard.web.cookies import missing_flags, name_of
from asgi_guard.web.nonce import Nonce
from asgi_guard.web.policies import CSP, CSP_REPORT_ONLY, mistakes, without_nonce
from asgi_guard.web.sheets import PRESETS, Preset, Sheet, changed

__all__ = [
    "PRESETS",
    "HeaderPolicy",
    "Preset",
    "SecurityHeaders",
    "SecurityHeadersFields",
    "SecurityHeadersLayer",
    "SecurityHeadersMiddleware",
    "clear_site_data",
]

logger: logging.Logger = logging.getLogger("asgi_guard")

HeaderPolicy = Literal["default", "override", "merge"]

_MEMO_SIZE, _MEMO_KEY_BYTES = 256, 128

_POLICIES: Final = ("default", "override", "merge")
_MERGEABLE: Final = frozenset(
    {CSP, CSP_REPORT_ONLY, "cache-control", "clear-site-data", "permissions-policy", "reporting-endpoints"}
)
_CLEARABLE: Final = (
    "cache",
    "cookies",
    "storage",
    "clientHints",
    "executionContexts",
    "prefetchCache",
    "prerenderCache",
    "*",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityHeaders:
    """Settings of the security headers.

    Attributes:
        preset: `"auto"` breaks nothing, `"api"` is for data only, `"web"` for pages without foreign content, `"strict"`
            for pages without inline script or style.
        headers: values that differ from the preset's, by name; None leaves a header out. `'nonce-{nonce}'` in a content
            policy is the nonce of the request, which the application reads from `scope["state"]["csp_nonce"]` before
            its response starts; where it did not, the policy goes out without.
        policy: what becomes of the application's own header, by name: `"default"` lets it win, `"override"` puts the
            layer's in its place, `"merge"` sends both, where both are enforced.
        paths: what differs below a path, by prefix, the longest first: a preset, which then stands alone, or values as
            in `headers`. `{"/docs": "auto"}` keeps a page of API documentation working under `"strict"`.
        remove: names of response headers that nobody needs to know, such as `"X-Powered-By"`; what the server adds
            itself, only the server can leave out.
        cookies: over TLS, for cookies without `Secure`, `HttpOnly` or `SameSite`: `"warn"` logs each name once,
            `"fix"` adds what is missing.
        readable_cookies: names of the cookies that scripts have to read, which need no `HttpOnly`.

    Raises:
        ConfigError: a field is wrong, or a browser would ignore a value.
    """

    preset: Preset = "auto"
    headers: Mapping[str, str | None] = field(default_factory=dict[str, str | None])
    policy: Mapping[str, HeaderPolicy] = field(default_factory=dict[str, HeaderPolicy])
    paths: Mapping[str, Preset | Mapping[str, str | None]] = field(default_factory=dict[str, Any])
    remove: Collection[str] = ()
    cookies: Literal["off", "warn", "fix"] = "off"
    readable_cookies: Collection[str] = ("csrftoken", "XSRF-TOKEN")

    def __post_init__(self) -> None:
        problems = Problems("SecurityHeaders")
        problems.choice("preset", self.preset, tuple(PRESETS))
        _check_headers(problems, "headers", self.headers)
        if _is_mapping(self.policy, problems, "policy", '{"Content-Security-Policy": "merge"}'):
            for name, policy in self.policy.items():
                self._check_policy(problems, name, policy)
        if _is_mapping(self.paths, problems, "paths", '{"/docs": "auto"}'):
            for path, given in self.paths.items():
                self._check_path(problems, path, given)
        if problems.sequence_of_text("remove", self.remove):
            for index, name in enumerate(self.remove):
                problems.header_name(f"remove[{index}]", name)
        problems.choice("cookies", self.cookies, ("off", "warn", "fix"))
        problems.sequence_of_text("readable_cookies", self.readable_cookies)
        problems.raise_if_any()

    def _check_policy(self, problems: Problems, name: str, policy: str) -> None:
        if not problems.header_name("policy", name) or not problems.choice(f"policy[{name}]", policy, _POLICIES):
            return
        if policy == "merge" and name.lower() not in _MERGEABLE:
            remedy = f'Choose "default" or "override"; "merge" is for {", ".join(sorted(_MERGEABLE))}.'
            problems.add("AG394", f"policy[{name}]", policy, "must not be merged", remedy)

    def _check_path(self, problems: Problems, path: object, given: object) -> None:
        if not isinstance(path, str):
            problems.add("AG395", "paths", path, "must be paths", 'Begin each with a slash, such as "/docs".')
        elif not check_prefix(problems, "paths", path, "AG395"):
            return
        elif isinstance(given, str):
            problems.choice(f"paths[{path}]", given, tuple(PRESETS))
        else:
            _check_headers(problems, f"paths[{path}]", given, self.headers if isinstance(self.headers, Mapping) else {})


def _check_headers(
    problems: Problems, field: str, given: object, beside: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Check values of headers; what they refer to may stand beside them."""
    if not _is_mapping(given, problems, field, '{"Referrer-Policy": "no-referrer"}'):
        return
    sound = {
        name: value
        for name, value in given.items()
        if problems.header_name(field, name) and (value is None or problems.header_value(f"{field}[{name}]", value))
    }
    for name, mistake in mistakes({**beside, **sound}):
        if name in sound:
            problems.add(mistake.id, f"{field}[{name}]", sound[name], mistake.rule, mistake.remedy)


def _is_mapping(given: object, problems: Problems, field: str, example: str) -> TypeGuard[Mapping[str, Any]]:
    if isinstance(given, Mapping):
        return True
    return problems.add("AG201", field, given, "must be a mapping", f"Give a dict, such as {example}.")


class SecurityHeadersFields(TypedDict, total=False):
    """The fields of `SecurityHeaders`, for keyword arguments."""

    preset: Preset
    headers: Mapping[str, str | None]
    policy: Mapping[str, HeaderPolicy]
    paths: Mapping[str, Preset | Mapping[str, str | None]]
    remove: Collection[str]
    cookies: Literal["off", "warn", "fix"]
    readable_cookies: Collection[str]


class SecurityHeadersLayer(Layer):
    """Adds to each response the headers that its kind calls for."""

    name: ClassVar[str] = "security_headers"
    decides: ClassVar[bool] = False
    overridable: frozenset[str] = frozenset({"preset"})

    def __init__(self, settings: SecurityHeaders) -> None:
        self.settings: object = settings
        tables = changed(PRESETS[settings.preset], settings.headers)
        self._sheet = Sheet(tables)
        self._places = [
            (Prefixes([path]), Sheet(PRESETS[given] if isinstance(given, str) else changed(tables, given)))
            for path, given in sorted(settings.paths.items(), key=lambda item: len(item[0]), reverse=True)
        ]
        self._sheet_of_path: dict[str, Sheet] = {}
        own = {name.lower().encode(): policy for name, policy in settings.policy.items()}
        self._overrides = frozenset(name for name, policy in own.items() if policy == "override")
        self._merges = frozenset(name for name, policy in own.items() if policy == "merge")
        self._removed = frozenset(name.lower().encode() for name in settings.remove)
        self._cookies = settings.cookies
        self._readable = frozenset(name.encode() for name in settings.readable_cookies)
        self._complained: set[bytes] = set()
        self._has_nonce = any(sheet.has_nonce for sheet in (self._sheet, *[sheet for _, sheet in self._places]))
        self._is_plain = not (own or self._removed or self._has_nonce or settings.cookies != "off")
        if self._has_nonce:
            self.__dict__["admit"] = self._give_nonce  # nobody else pays for the hook

    def _give_nonce(self, exchange: Exchange) -> None:
        """Lay the nonce out for the application; that of a guard further out is the same."""
        if exchange.kind != "http":
            return
        state: Mapping[str, Any] = exchange.scope.get("state") or {}
        given = state.get("csp_nonce")
        nonce = given if isinstance(given, Nonce) else Nonce()
        exchange.cells[self] = nonce
        exchange.set_state("csp_nonce", nonce)

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
        sheet = self._sheet_for(exchange.scope) if self._places else self._sheet
        if exchange.overrides is not None:
            sheet = self._sheet_said(exchange.overrides) or sheet
        pairs = (sheet.secure_by_type if secure else sheet.plain_by_type).get(content_type)
        if pairs is None:
            pairs = sheet.choose(content_type, secure=secure)
        if not self._is_plain:
            pairs = self._edit(exchange, headers, pairs)
            present = dict(headers)
        if sheet.names.isdisjoint(present):
            headers += pairs
        else:
            headers += [pair for pair in pairs if pair[0] not in present]

    def override(self, exchange: Exchange, fields: Mapping[str, Any]) -> None:  # noqa: ARG002  it has the fields already
        """Take another preset for this response."""
        problems = Problems("SecurityHeaders")
        problems.choice("preset", fields["preset"], tuple(PRESETS))
        problems.raise_if_any()

    def _sheet_said(self, overrides: Mapping[str, Any]) -> Sheet | None:
        said = overrides.get(self.name)
        return said and _sheet_of_preset(said["preset"])

    def _sheet_for(self, scope: Scope) -> Sheet:
        path = scope.get("path", "")
        sheet = None if scope.get("root_path") else self._sheet_of_path.get(path)
        if sheet is None:
            sheet = next((sheet for place, sheet in self._places if place.cover(scope)), self._sheet)
            if len(path) <= _MEMO_KEY_BYTES and not scope.get("root_path"):  # clients write paths
                if len(self._sheet_of_path) >= _MEMO_SIZE:
                    self._sheet_of_path.clear()
                self._sheet_of_path[path] = sheet
        return sheet

    def _edit(self, exchange: Exchange, headers: Headers, pairs: tuple[Header, ...]) -> tuple[Header, ...]:
        """Edit what the application wrote, and return the layer's own pairs as this response has them."""
        if self._has_nonce:
            pairs = _with_nonce(exchange.cells.get(self), pairs)
        gone = self._removed
        if self._overrides:
            gone |= self._overrides.intersection(dict(pairs))
        if gone:
            headers[:] = [pair for pair in headers if pair[0] not in gone]
        if self._merges:
            present = dict(headers)
            beside = [pair for pair in pairs if pair[0] in self._merges and pair[0] in present]
            headers[:0] = beside
            exchange.head_size += len(beside)  # the application's own are still the first
        if self._cookies != "off" and exchange.is_secure:
            for index, (name, value) in enumerate(headers):
                flags = missing_flags(value, self._readable) if name == b"set-cookie" else b""
                if flags and self._cookies == "fix":
                    headers[index] = (name, value + flags)
                elif flags:
                    self._complain(name_of(value), flags)
        return pairs

    def _complain(self, cookie: bytes, flags: bytes) -> None:
        """Name a cookie in the log, once, and not for ever: an application may make names up."""
        if len(self._complained) < _MEMO_SIZE and cookie not in self._complained:
            self._complained.add(cookie)
            logger.warning("the cookie %a has no %s", cookie[:64], flags[2:].decode().replace("; ", ", "))


def _with_nonce(nonce: Nonce | None, pairs: tuple[Header, ...]) -> tuple[Header, ...]:
    """Write the nonce that the application has read into the policies; take its place out where it has not."""
    if nonce is None or nonce.text is None:
        written = tuple([(name, _silent(value)) if b"{nonce}" in value else (name, value) for name, value in pairs])
    else:
        text = nonce.text.encode()
        written = tuple([(name, value.replace(b"{nonce}", text)) for name, value in pairs])
    if nonce is not None:
        nonce.is_told = True
    return written


@cache
def _sheet_of_preset(preset: Preset) -> Sheet:
    return Sheet(PRESETS[preset])


@lru_cache(64)
def _silent(policy: bytes) -> bytes:
    return without_nonce(policy.decode("latin-1")).encode("latin-1")


def clear_site_data(*what: str) -> tuple[str, str]:
    """Return the header with which the answer to a logout empties the browser (W3C Clear Site Data).

    Args:
        what: of `"cache"`, `"cookies"`, `"storage"`, `"clientHints"`, `"executionContexts"`, `"prefetchCache"`,
            `"prerenderCache"` and `"*"`; the first three by default.

    Returns:
        Name and value, such as `response.headers.update([clear_site_data()])` takes them.

    Raises:
        ValueError: a browser would ignore one of them.
    """
    if unknown := [item for item in what if item not in _CLEARABLE]:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(_CLEARABLE)}")
    return "Clear-Site-Data", ", ".join(f'"{item}"' for item in what or _CLEARABLE[:3])


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
