"""CORS: which other sites may read the answers, as the Fetch standard has it.

A preflight (`OPTIONS` with `Origin` and `Access-Control-Request-Method`) is answered here and tells no more than was
asked. Every other request goes on, and its answer, a refusal or an error too, carries what its origin may know. What
the application writes into these headers itself is dropped: it never saw the preflight. A WebSocket handshake, which no
browser checks, is refused for a foreign origin (cross-site WebSocket hijacking).
Must never tell a foreign origin anything, never compare origins by a regular expression of the user's, and never read
more of `Access-Control-Request-Headers` than the longest list that could be allowed.

| id    | rule that was broken                                                                  |
|-------|---------------------------------------------------------------------------------------|
| AG340 | an origin: scheme, host and port, as a browser writes it                              |
| AG341 | not the `null` origin                                                                 |
| AG342 | no default port                                                                       |
| AG343 | a wildcard is the left-most label, or the port                                        |
| AG344 | an address in its shortest form                                                       |
| AG345 | `*` and credentials exclude each other                                                |
| AG346 | no insecure origin with credentials                                                   |
| AG347 | not all subdomains of a public suffix with credentials                                |
| AG348 | a method: a token, as browsers write it                                               |
| AG349 | a method that pages can use                                                           |
| AG350 | a request header that pages can set                                                   |
| AG351 | a response header that has to be exposed, and can be                                  |
| AG352 | `*` stands alone                                                                      |
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, TypedDict, Unpack

from asgi_guard.engine import headers as header_list
from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import ASGIApp, Header, Headers
from asgi_guard.errors.exceptions import ErrorCategory, ErrorSeverity
from asgi_guard.errors.problem import Fault
from asgi_guard.events import Listener
from asgi_guard.settings import Problems, build
from asgi_guard.web import fetch
from asgi_guard.web.mistakes import MistakeError
from asgi_guard.web.origins import OriginPattern, Origins, is_same_host, parse_origin, split_origin

_GOVERNED: Final = frozenset(name.encode() for name in fetch.ANSWERED)
_LOOKED_AT: Final = _GOVERNED | {b"vary"}
_ANY: Final[Header] = (b"access-control-allow-origin", b"*")
_CREDENTIALS: Final[Header] = (b"access-control-allow-credentials", b"true")
_PRIVATE_NETWORK: Final[Header] = (b"access-control-allow-private-network", b"true")
_METHOD, _HEADERS = b"access-control-request-method", b"access-control-request-headers"
_NETWORK = b"access-control-request-private-network"
_VARY_ORIGIN: Final[Header] = (b"vary", b"Origin")


@dataclass(frozen=True, slots=True, kw_only=True)
class CORS:
    """Settings of CORS.

    Attributes:
        origins: who may read: `"https://example.com"`, `"https://*.example.com"` for its subdomains at any depth,
            `"https://example.com:*"` for any port, or `"*"` alone for everybody. At least one.
        methods: what may be sent beside GET, HEAD and POST, which the protocol always allows; `"*"` for all.
        headers: names of request headers that may be set; `"*"` for all but `Authorization`, which needs its name.
        credentials: answer to requests with cookies too.
        expose: names of response headers that may be read beside the seven that always may; `"*"` for all.
        max_age_seconds: how long a browser remembers a preflight, 0 to 86,400; Chromium caps it at 7,200.
        private_network: let pages from the internet ask a server in a private network (Private Network Access).
        debug: name the reason in the answer to a preflight that is refused; for development.
        preflight_status: of a preflight that succeeds, 200 to 299; some old clients take nothing but 200.
        dangerously_allow_any_origin_with_credentials: let `"*"` stand next to `credentials`: every site then acts in
            the name of whoever visits it.
        dangerously_tolerate_insecure_origins: let `http://` origins stand next to `credentials`: whoever sits on the
            network between then acts in the name of their users. Loopback needs no permission.
        dangerously_allow_public_suffixes: let `"https://*.github.io"` stand next to `credentials`: anybody can have a
            subdomain there.

    Raises:
        ConfigError: lists every setting that a browser would ignore or an attacker would like.
    """

    origins: Collection[str]
    methods: Collection[str] = ("GET", "HEAD", "POST")
    headers: Collection[str] = ()
    credentials: bool = False
    expose: Collection[str] = ()
    max_age_seconds: int = 600
    private_network: bool = False
    debug: bool = False
    preflight_status: int = 204
    dangerously_allow_any_origin_with_credentials: bool = False
    dangerously_tolerate_insecure_origins: bool = False
    dangerously_allow_public_suffixes: bool = False

    def __post_init__(self) -> None:
        problems = Problems("CORS")
        if problems.sequence_of_text("origins", self.origins, minimum=1, max_length=330):
            self._check_origins(problems)
        if problems.sequence_of_text("methods", self.methods, max_length=128):
            self._check_wildcard(problems, "methods", self.methods)
            _check_each(problems, "methods", self.methods, fetch.check_method)
        if problems.sequence_of_text("headers", self.headers, max_length=128):
            self._check_wildcard(problems, "headers", self.headers, beside="authorization")
            _check_each(problems, "headers", self.headers, fetch.check_request_header)
        if problems.sequence_of_text("expose", self.expose, max_length=128):
            self._check_wildcard(problems, "expose", self.expose)
            _check_each(problems, "expose", self.expose, fetch.check_response_header)
        problems.integer("max_age_seconds", self.max_age_seconds, minimum=0, maximum=86_400)
        problems.integer("preflight_status", self.preflight_status, minimum=200, maximum=299)
        for field in (
            "credentials",
            "private_network",
            "debug",
            "dangerously_allow_any_origin_with_credentials",
            "dangerously_tolerate_insecure_origins",
            "dangerously_allow_public_suffixes",
        ):
            problems.boolean(field, getattr(self, field))
        problems.raise_if_any()

    def _check_origins(self, problems: Problems) -> None:
        self._check_wildcard(problems, "origins", self.origins)
        for index, origin in enumerate(self.origins):
            field = f"origins[{index}]"
            if origin == "*":
                continue
            try:
                pattern = parse_origin(origin)
            except MistakeError as error:
                problems.add(error.id, field, origin, error.rule, error.remedy)
                continue
            if self.credentials and pattern.is_insecure and not self.dangerously_tolerate_insecure_origins:
                remedy = "Whoever sits on the network between could speak in its name: name it with https://."
                problems.add("AG346", field, origin, "must be secure next to credentials", remedy)
            if self.credentials and pattern.is_public and not self.dangerously_allow_public_suffixes:
                remedy = "Anybody can have a subdomain there: name those that are yours."
                problems.add("AG347", field, origin, "must not be a public suffix next to credentials", remedy)

    def _check_wildcard(self, problems: Problems, field: str, given: Collection[str], *, beside: str = "*") -> None:
        """Check what a `*` stands next to. Of exposed headers browsers take it literally where credentials are sent."""
        if "*" not in given:
            return
        others = {item.lower() for item in given} - {"*", beside}
        if others:
            remedy = "Leave out either the `*` or the others, of which it says that they do not matter."
            problems.add("AG352", field, given, "must have nothing next to `*`", remedy)
        dares = self.dangerously_allow_any_origin_with_credentials and field != "expose"
        if self.credentials and not dares:
            problems.add("AG345", field, given, "must not be `*` next to credentials", "Name those that you mean.")


def _check_each(problems: Problems, field: str, given: Collection[str], check: fetch.Check) -> None:
    for index, name in enumerate(given):
        if name == "*":
            continue
        try:
            check(name)
        except MistakeError as mistake:
            problems.add(mistake.id, f"{field}[{index}]", name, mistake.rule, mistake.remedy)


class CORSFields(TypedDict, total=False):
    """The fields of `CORS`, for keyword arguments."""

    origins: Collection[str]
    methods: Collection[str]
    headers: Collection[str]
    credentials: bool
    expose: Collection[str]
    max_age_seconds: int
    private_network: bool
    debug: bool
    preflight_status: int
    dangerously_allow_any_origin_with_credentials: bool
    dangerously_tolerate_insecure_origins: bool
    dangerously_allow_public_suffixes: bool


class CORSLayer(Layer):
    """Answers preflights, and tells browsers who may read the rest."""

    name: ClassVar[str] = "cors"

    def __init__(self, settings: CORS) -> None:
        self.settings: object = settings
        self.wants: frozenset[bytes] = frozenset({b"origin", _METHOD})
        self._is_open = "*" in settings.origins
        self._origins = Origins(_patterns(settings.origins))
        self._reflects = self._is_open and settings.credentials
        self._varies = not self._is_open or settings.credentials
        exposed = b",".join(sorted({name.lower().encode() for name in settings.expose}))
        self._shared: tuple[Header, ...] = (
            *([_CREDENTIALS] if settings.credentials else []),
            *([(b"access-control-expose-headers", exposed)] if exposed else []),
        )
        self._credentials: tuple[Header, ...] = (_CREDENTIALS,) if settings.credentials else ()
        self._unasked: tuple[Header, ...] = () if self._varies else (_ANY, *self._shared)
        self._exact = {origin: _told(origin, self._shared) for origin in self._origins.exact}
        self._any_method = "*" in settings.methods
        self._methods = frozenset(method.encode() for method in settings.methods) | fetch.SAFELISTED_METHODS
        self._any_header = "*" in settings.headers
        self._headers = frozenset(name.lower().encode() for name in settings.headers)
        self._header_bytes = fetch.longest_list(self._headers)
        self._max_age: Header = (b"access-control-max-age", b"%d" % settings.max_age_seconds)
        self._private_network = settings.private_network
        asked = (_METHOD, _HEADERS, _NETWORK) if settings.private_network else (_METHOD, _HEADERS)
        self._preflight_vary = (b"Origin", *[name.title() for name in asked])
        self._granted = Reply(settings.preflight_status)
        self._no_origin = _refusal("The origin is not allowed.", debug=settings.debug)
        self._no_method = _refusal("The method is not allowed.", debug=settings.debug)
        self._no_header = _refusal("A request header is not allowed.", debug=settings.debug)

    def admit(self, exchange: Exchange) -> Reply | None:
        """Answer a preflight, refuse a foreign handshake, and note what the origin of any other request may know."""
        origin = exchange.found.get(b"origin")
        if origin is None:
            return None
        if exchange.kind == "websocket":
            host = exchange.header(b"host")
            is_own = is_same_host(origin, host, is_secure=exchange.is_secure)
            return None if is_own or self._is_allowed(origin) else _FOREIGN_HANDSHAKE
        if exchange.method == "OPTIONS":
            method = exchange.header(_METHOD)
            if method is not None:
                return self._answer(exchange, origin, method)
        told = self._exact.get(origin)
        if told is not None:
            exchange.cells[self] = told
        elif self._varies:
            exchange.cells[self] = _told(origin, self._shared) if self._is_allowed(origin) else ()
        return None

    def _is_allowed(self, origin: bytes) -> bool:
        if self._reflects:
            return split_origin(origin) is not None  # what is echoed is an origin at least, and never `null`
        return self._is_open or origin in self._origins

    def _answer(self, exchange: Exchange, origin: bytes, method: bytes) -> Reply:
        """Answer a preflight in the order of Fetch, "CORS-preflight fetch", step 7."""
        exchange.cells[self] = ()
        if not self._is_allowed(origin):
            return self._no_origin
        granted: list[Header] = (
            [(b"access-control-allow-origin", origin), *self._credentials] if self._varies else [_ANY]
        )
        if method not in self._methods and not (self._any_method and fetch.TOKEN.fullmatch(method)):
            return self._no_method
        if method not in fetch.SAFELISTED_METHODS:
            echoed = b"*" if self._any_method and not self._credentials else method
            granted.append((b"access-control-allow-methods", echoed))
        names = self._granted_headers(exchange.header_lines(_HEADERS))
        if names is None:
            return self._no_header
        if names:
            granted.append((b"access-control-allow-headers", names))
        if self._private_network and exchange.header(_NETWORK) == b"true":
            granted.append(_PRIVATE_NETWORK)
        granted.append(self._max_age)
        exchange.cells[self] = tuple(granted)
        return self._granted

    def _granted_headers(self, lines: list[bytes]) -> bytes | None:
        """Return the value of `Access-Control-Allow-Headers`, empty for none; None when one is not allowed."""
        if not lines:
            return b""
        if self._any_header and not self._credentials:
            return b"*,authorization" if b"authorization" in self._headers else b"*"
        names = fetch.read_names(lines, fetch.MAX_ECHOED_BYTES if self._any_header else self._header_bytes)
        if names is None or not (self._any_header or self._headers.issuperset(names)):
            return None
        return b",".join(names)

    def head(self, exchange: Exchange, headers: Headers) -> None:
        """Tell the browser what its page may read, and every cache what that depends on."""
        if exchange.kind == "websocket":
            return
        looked_at = [pair for pair in headers if pair[0] in _LOOKED_AT]
        varied = [pair for pair in looked_at if pair[0] == b"vary"] if looked_at else looked_at
        if len(varied) < len(looked_at):
            headers[:] = [pair for pair in headers if pair[0] not in _GOVERNED]
        told = exchange.cells.get(self, self._unasked)
        if told:
            headers += told
        if exchange.scope.get("method") == "OPTIONS":  # a cache must not take the answer to one for that to another
            header_list.merge_vary(headers, *self._preflight_vary)
        elif varied and self._varies:
            header_list.merge_vary(headers, b"Origin", lines=varied)
        elif self._varies:
            headers.append(_VARY_ORIGIN)

    def refusals(self) -> Iterable[str]:
        """Say what is refused."""
        return (
            "403 for a preflight of what is not allowed",
            "403 for the WebSocket handshake of a foreign origin",
        )


def _patterns(origins: Collection[str]) -> list[OriginPattern]:
    return [parse_origin(origin) for origin in origins if origin != "*"]


def _told(origin: bytes, shared: tuple[Header, ...]) -> tuple[Header, ...]:
    return ((b"access-control-allow-origin", origin), *shared)


def _refusal(reason: str, *, debug: bool) -> Reply:
    fault = Fault(
        status=403,
        code="CORS_PREFLIGHT_REFUSED",
        message="The cross-origin request is not allowed.",
        category=ErrorCategory.AUTHORIZATION,
        severity=ErrorSeverity.LOW,
        details={"reason": reason} if debug else {},
    )
    return Reply.refusal(fault, headers=[(b"x-cors-refused", reason.encode())] if debug else [])


_FOREIGN_HANDSHAKE: Final = Reply.refusal(
    Fault(
        status=403,
        code="ORIGIN_NOT_ALLOWED",
        message="The origin is not allowed.",
        category=ErrorCategory.AUTHORIZATION,
        severity=ErrorSeverity.LOW,
    )
)


class CORSMiddleware(Middleware):
    """Let other sites read the answers.

    Args:
        app: the application to wrap.
        settings: a `CORS`; or its fields as keywords.
        listeners: told what the layer decides.
        fields: see `CORS`.

    Raises:
        ConfigError: a field is wrong, unknown or missing.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: CORS | None = None,
        *,
        listeners: Iterable[Listener] = (),
        **fields: Unpack[CORSFields],
    ) -> None:
        super().__init__(app, CORSLayer(build(CORS, settings, fields)), listeners=listeners)
