"""HTTPS: what came in the clear is sent to the secure address, or refused.

`redirect` is for sites: 308 keeps method and body. `require` is for APIs, whose clients would go on sending their
tokens in the clear and never notice a redirect. A WebSocket is refused in either mode, since clients do not follow
redirects of a handshake. The refusal is 403: 426 promises that the same connection can be upgraded to TLS (RFC 9110
section 15.5.22), which nobody does. What keeps browsers on HTTPS is HSTS, a header of the security headers.
Must never redirect to a host that is not well-formed, since `Location` would say whatever a client wrote into `Host`,
and never redirect what an undeclared proxy says came over TLS: it would come back here for ever.

| id    | rule that was broken                                                                          |
|-------|-----------------------------------------------------------------------------------------------|
| AG370 | a status that redirects and is remembered                                                     |
| AG371 | a host name, alone or with `*.` before it                                                     |
| AG372 | a path below the root that begins with a slash, and is no pattern                             |
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypedDict, Unpack

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.forwarded import forwarded
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.paths import Prefixes, check_prefixes
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import ASGIApp
from asgi_guard.errors.exceptions import ErrorCategory, ErrorSeverity
from asgi_guard.errors.problem import Fault
from asgi_guard.events import Listener
from asgi_guard.networks import UNIX
from asgi_guard.settings import Problems, build

logger: logging.Logger = logging.getLogger("asgi_guard")

Mode = Literal["redirect", "require"]

ACME: Final = "/.well-known/acme-challenge/"
"""Where a certificate authority looks, in the clear, before there is a certificate (RFC 8555 section 8.3)."""
UNDECLARED_PROXY: Final = (
    "%s says that a request came over TLS, and is not declared as a proxy: a redirect would come back for ever, so the "
    "request is refused. If that is your proxy, write client_address=[%r] in the guard. This is said once."
)

_NAME: Final = r"(?=.{1,253}\Z)(?:[a-z0-9_-]{1,63}+\.)*+[a-z0-9_-]{1,63}+"
_HOST: Final = re.compile(rb"([a-z0-9._-]{1,253}+|\[[0-9a-f:.]{2,45}+\])(?::[0-9]{0,5}+)?")
_HOST_SETTING: Final = re.compile(rf"(?:\*\.)?{_NAME}|\[[0-9a-f:.]{{2,45}}\]")
# What may stand in a path or a query as it is (RFC 3986 section 3.3); the rest is percent-encoded.
_NOT_IN_A_PATH: Final = re.compile(rb"[^A-Za-z0-9._~!$&'()*+,;=:@/%-]")
_NOT_IN_A_QUERY: Final = re.compile(rb"[^A-Za-z0-9._~!$&'()*+,;=:@/%?-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class HTTPS:
    """Settings of the way to HTTPS.

    Attributes:
        mode: `"redirect"` to the secure address, or `"require"` it: 403.
        status: of the redirect: 308, 307 or 301; after a 301 some clients send GET in place of POST.
        hosts: the hosts that are redirected to, such as `"example.com"` and `"*.example.com"` for its subdomains; None
            for any that is well-formed.
        exempt_paths: what is served in the clear too: these paths and all below them. Add that of a health check.
        port: of the secure address, 1 to 65,535.

    Raises:
        ConfigError: a field is wrong.
    """

    mode: Mode = "redirect"
    status: int = 308
    hosts: Collection[str] | None = None
    exempt_paths: Collection[str] = (ACME,)
    port: int = 443

    def __post_init__(self) -> None:
        problems = Problems("HTTPS")
        problems.choice("mode", self.mode, ("redirect", "require"))
        if self.status not in (301, 307, 308) or isinstance(self.status, bool | float):
            problems.add("AG370", "status", self.status, "must be 308, 307 or 301", "Leave it out for 308.")
        if self.hosts is not None and problems.sequence_of_text("hosts", self.hosts, minimum=1):
            for index, host in enumerate(self.hosts):
                if _HOST_SETTING.fullmatch(host) is None:
                    remedy = 'Give the name alone, in lower case, such as "example.com" or "*.example.com".'
                    problems.add("AG371", f"hosts[{index}]", host, "must be a host name", remedy)
        if check_prefixes(problems, "exempt_paths", self.exempt_paths, "AG372"):
            for path in self.exempt_paths:
                if not path.rstrip("/"):
                    remedy = "Write '/health', say; to exempt every path, leave the layer out."
                    problems.add("AG372", "exempt_paths", path, "must be below the root", remedy)
        problems.integer("port", self.port, minimum=1, maximum=65_535)
        problems.raise_if_any()


class HTTPSFields(TypedDict, total=False):
    """The fields of `HTTPS`, for keyword arguments."""

    mode: Mode
    status: int
    hosts: Collection[str] | None
    exempt_paths: Collection[str]
    port: int


class HTTPSLayer(Layer):
    """Sends to HTTPS what came without."""

    name: ClassVar[str] = "https"

    def __init__(self, settings: HTTPS) -> None:
        self.settings: object = settings
        self._settings = settings
        self._redirects = settings.mode == "redirect"
        self._exempt = Prefixes(settings.exempt_paths)
        hosts = None if settings.hosts is None else [host.encode() for host in settings.hosts]
        self._hosts = None if hosts is None else frozenset(hosts)
        self._suffixes = tuple(host[1:] for host in hosts or () if host.startswith(b"*."))
        self._port = b"" if settings.port == 443 else b":%d" % settings.port
        self._has_complained = False

    def admit(self, exchange: Exchange) -> Reply | None:
        """Let pass what came over TLS."""
        return None if exchange.is_secure else self._judge(exchange)

    def _judge(self, exchange: Exchange) -> Reply | None:
        if exchange.kind == "websocket":
            return _INSECURE
        if self._exempt.cover(exchange.scope):
            return None
        if not self._redirects or self._smells_of_a_proxy(exchange):
            return _INSECURE
        host = self._host(exchange)
        if host is None:
            return _NO_HOST
        location = b"https://%s%s%s" % (host, self._port, _target(exchange))
        return Reply(self._settings.status, headers=[(b"location", location)])

    def _host(self, exchange: Exchange) -> bytes | None:
        """Return the host that was asked for, without its port; None where it must not be redirected to."""
        lines = exchange.header_lines(b"host")
        found = _HOST.fullmatch(lines[0].lower()) if len(lines) == 1 else None
        if found is None:
            return None
        host = found[1]
        is_known = self._hosts is None or host in self._hosts or host.endswith(self._suffixes)
        return host if is_known else None

    def _smells_of_a_proxy(self, exchange: Exchange) -> bool:
        """Tell whether somebody whose word does not count says that TLS ended there."""
        if exchange.is_peer_trusted or not _is_said_to_be_secure(exchange):
            return False
        if not self._has_complained:
            self._has_complained = True
            logger.error(UNDECLARED_PROXY, exchange.client or "a Unix socket", exchange.client or UNIX)
        return True

    def refusals(self) -> Iterable[str]:
        """Say what is refused."""
        exempt = ", ".join(self._settings.exempt_paths)
        elsewhere = f", but for requests under {exempt}" if exempt else ""
        if not self._redirects:
            return (f"403 for what came without TLS{elsewhere}",)
        return (
            f"{self._settings.status} for what came without TLS, to the secure address{elsewhere}",
            "403 for a WebSocket without TLS, and where an undeclared proxy says that TLS ended there",
            f"400 for a host that is malformed{'' if self._hosts is None else ', or none of those in `hosts`'}",
        )


def _is_said_to_be_secure(exchange: Exchange) -> bool:
    told = (exchange.header(b"x-forwarded-proto") or b"")[:5].lower()
    hops = forwarded(exchange.header_lines(b"forwarded"))
    return told == b"https" or any((hop.proto or b"").lower() == b"https" for hop in hops)


def _target(exchange: Exchange) -> bytes:
    """Return path and query as they were sent, with whatever does not belong there percent-encoded."""
    scope = exchange.scope
    raw: bytes = scope.get("raw_path") or exchange.path.replace("%", "%25").encode("utf-8", "surrogatepass")
    path = b"/" + _NOT_IN_A_PATH.sub(_escaped, raw).removeprefix(b"/")
    query: bytes = scope.get("query_string") or b""
    return b"%s?%s" % (path, _NOT_IN_A_QUERY.sub(_escaped, query)) if query else path


def _escaped(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % ord(found[0])


def _refusal(status: int, code: str, message: str) -> Reply:
    category = ErrorCategory.AUTHORIZATION if status == 403 else ErrorCategory.VALIDATION
    fault = Fault(status=status, code=code, message=message, category=category, severity=ErrorSeverity.LOW)
    return Reply.refusal(fault)


_INSECURE: Final = _refusal(403, "HTTPS_REQUIRED", "Use HTTPS.")
_NO_HOST: Final = _refusal(400, "HOST_NOT_ALLOWED", "The host is missing, malformed or not known here.")


class HTTPSMiddleware(Middleware):
    """Send to HTTPS what came without.

    Args:
        app: the application to wrap.
        settings: an `HTTPS`; or its fields as keywords.
        listeners: told what the layer decides.
        fields: see `HTTPS`.

    Raises:
        ConfigError: a field is wrong or unknown.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: HTTPS | None = None,
        *,
        listeners: Iterable[Listener] = (),
        **fields: Unpack[HTTPSFields],
    ) -> None:
        super().__init__(app, HTTPSLayer(build(HTTPS, settings, fields)), listeners=listeners)
