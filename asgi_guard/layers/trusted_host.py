"""Trusted host: only requests for hosts that this application answers for.

A Host header is written by the client, and ends up in links, redirects and caches: a password reset mail that leads to
somebody else's site. A malformed or missing one, or two of them, is 400 (RFC 9112 section 3.2); a sound one of somebody
else is 421 (RFC 9110 section 15.5.20). Where the request target is a whole URL, its authority must be that of the Host
header: servers that read the one meet caches that read the other.
Hosts are compared without case and without a trailing dot. A host without a port stands for the default port of the
scheme; `example.com:*` is any port. `*.example.com` is everything below `example.com`, and not `example.com` itself.
Must never look a host up, and must never repeat it in an answer.

| id    | rule that was broken                                                                |
|-------|-------------------------------------------------------------------------------------|
| AG310 | a host: a name or an address, with a port or `:*` if need be                        |
| AG311 | not every host: that would be no protection                                         |
| AG312 | a host alone, without scheme, path or user                                          |
| AG313 | a wildcard stands for whole labels, at the front, of a name                         |
| AG314 | a name of more than ASCII is written as it is sent, in Punycode (RFC 5891)          |
| AG315 | a path begins with a slash, and is no pattern                                       |
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Final, NamedTuple, TypedDict, Unpack

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.paths import Prefixes, check_prefixes
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import ASGIApp
from asgi_guard.errors.exceptions import ErrorCategory, ErrorSeverity
from asgi_guard.errors.problem import Fault
from asgi_guard.events import Listener
from asgi_guard.networks import pack, unpack
from asgi_guard.settings import Problems, build

_logger: Final = logging.getLogger("asgi_guard")

_MAX_BYTES: Final = 261  # a name of 253, a trailing dot, a colon, and a port
_LABEL = rb"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_AUTHORITY: Final = re.compile(
    rb"(?:(%s(?:\.%s){0,126})\.?|\[([0-9a-f.]*:[0-9a-f:.]*)\])(?::([0-9]{1,5}))?" % (_LABEL, _LABEL)
)
_TARGET: Final = re.compile(rb"(?:https?|wss?)://([^/?#]*)", re.IGNORECASE)
_PLAIN_PORT, _SECURE_PORT, _ANY_PORT = 80, 443, -1
_MEMO_SIZE: Final = 1_024


class Authority(NamedTuple):
    """A host and its port.

    Attributes:
        host: in its usual text: lower case, no trailing dot, IPv6 in brackets.
        port: None where there is none.
    """

    host: bytes
    port: int | None


def parse(text: bytes) -> Authority | None:
    """Read the value of a Host header; None if it is malformed."""
    match = _AUTHORITY.fullmatch(text.lower()) if len(text) <= _MAX_BYTES else None
    if match is None:
        return None
    host, literal, port = match.groups()
    if literal is not None:
        packed = pack(literal.decode("ascii"))
        if packed is None:
            return None
        host = unpack(packed).encode("ascii")
        host = b"[%s]" % host if len(packed) == 16 else host
    number = None if port is None else int(port)
    return Authority(host, number) if number is None or 0 < number <= 65_535 else None


@dataclass(frozen=True, slots=True)
class TrustedHost:
    """Settings of the trusted host.

    Attributes:
        hosts: the hosts that the application answers for, at least one: `example.com`, `*.example.com`,
            `example.com:8000`, `example.com:*`, `198.51.100.7`, `[::1]:8000`.
        exempt_paths: paths that may be asked for under any well-formed host, with all that is below them: health
            checks, which name the machine by its address.

    Raises:
        ConfigError: a host is no host, or every host.
    """

    hosts: Sequence[str]
    _: KW_ONLY
    exempt_paths: Sequence[str] = ()

    def __post_init__(self) -> None:
        problems = Problems("TrustedHost")
        listed = self.hosts if isinstance(self.hosts, list | tuple | set | frozenset) else ()
        foreign = [host for host in listed if isinstance(host, str) and not host.isascii()]
        for host in foreign:
            remedy = "Write it as browsers send it, such as 'xn--bcher-kva.example'."
            problems.add("AG314", "hosts", host, "must be ASCII", remedy)
        if not foreign and problems.sequence_of_text("hosts", self.hosts, minimum=1):
            for index, host in enumerate(self.hosts):
                _check(problems, f"hosts[{index}]", host)
        check_prefixes(problems, "exempt_paths", self.exempt_paths, "AG315")
        problems.raise_if_any()


def _check(problems: Problems, field: str, host: str) -> None:
    name = host.removeprefix("*.").removesuffix(":*")
    if host in {"*", "*:*"}:
        problems.add("AG311", field, host, "must not be every host", "Name the hosts, or switch the part off.")
    elif any(mark in host for mark in "/@?#"):
        bare = re.split(r"[/?#]", host.partition("://")[2] or host)[0].rpartition("@")[2]
        remedy = f"Write {bare!r}."
        problems.add("AG312", field, host, "must be a host alone, without scheme, path or user", remedy)
    elif "*" in name or (host.startswith("*.") and _is_address(name)):
        remedy = "Write '*.example.com' for all that is below example.com, and 'example.com:*' for every port."
        problems.add("AG313", field, host, "must have its wildcard for whole labels, at the front", remedy)
    elif (authority := parse(name.encode("ascii"))) is None or (authority.port and host.endswith(":*")):
        remedy = "Write it as in 'example.com', 'example.com:8000' or '[::1]:8000'."
        problems.add("AG310", field, host, "must be a host, with or without a port", remedy)


def _is_address(name: str) -> bool:
    return name.startswith("[") or pack(name.partition(":")[0]) is not None


class TrustedHostFields(TypedDict, total=False):
    """The fields of `TrustedHost`, for keyword arguments."""

    hosts: Sequence[str]
    exempt_paths: Sequence[str]


class TrustedHostLayer(Layer):
    """Refuses requests for other hosts."""

    name: ClassVar[str] = "trusted_host"

    def __init__(self, settings: TrustedHost) -> None:
        self.settings: object = settings
        self._settings = settings
        self._exact: dict[bytes, set[int | None]] = {}
        self._below: dict[bytes, set[int | None]] = {}
        for text in settings.hosts:
            table = self._below if text.startswith("*.") else self._exact
            authority = parse(text.removeprefix("*.").removesuffix(":*").encode("ascii"))
            if authority is not None:
                port = _ANY_PORT if text.endswith(":*") else authority.port
                table.setdefault(authority.host, set()).add(port)
        self._exempt = Prefixes(settings.exempt_paths)
        self._known_plain: set[bytes] = set()
        self._known_secure: set[bytes] = set()
        self._has_said_so = False

    def admit(self, exchange: Exchange) -> Reply | None:
        """Judge the host for which the request is."""
        lines = exchange.header_lines(b"host")
        if len(lines) != 1:
            return _MALFORMED
        (host,) = lines
        is_secure = exchange.is_secure
        if host not in (self._known_secure if is_secure else self._known_plain):
            reply = self._judge(host, is_secure=is_secure)
            if reply is _MALFORMED or (reply is not None and not self._exempt.cover(exchange.scope)):
                return reply
        scope = exchange.scope
        if (scope.get("raw_path") or b"/")[:1] == b"/" and scope.get("path", "")[:1] == "/":
            return None
        return _judge_target(exchange, host)

    def _judge(self, host: bytes, *, is_secure: bool) -> Reply | None:
        authority = parse(host)
        if authority is None:
            return _MALFORMED
        default = _SECURE_PORT if is_secure else _PLAIN_PORT
        # The default port may be written out or not, in the settings as in the request.
        ports = {None, default} if authority.port in {None, default} else {authority.port}
        if not self._has(authority.host, {*ports, _ANY_PORT}):
            self._say_once_of_ports(authority)
            return _MISDIRECTED
        known = self._known_secure if is_secure else self._known_plain
        if len(known) >= _MEMO_SIZE:
            known.clear()
        known.add(host)
        return None

    def _say_once_of_ports(self, authority: Authority) -> None:
        """Tell whoever has set the hosts that one of them is asked for at another port: as a rule it is meant, too."""
        if authority.host in self._exact and not self._has_said_so:
            self._has_said_so = True
            host = authority.host.decode("ascii")
            port = "its usual port" if authority.port is None else f"port {authority.port}"
            _logger.warning(
                "requests for %s at %s are refused: trusted_host names the host, but at another port. "
                "Write '%s:*' for every port. This is said once",
                host,
                port,
                host,
            )

    def _has(self, host: bytes, ports: set[int | None]) -> bool:
        if not ports.isdisjoint(self._exact.get(host, ())):
            return True
        dot = host.find(b".") if self._below and not host.startswith(b"[") else -1
        while dot >= 0:
            if not ports.isdisjoint(self._below.get(host[dot + 1 :], ())):
                return True
            dot = host.find(b".", dot + 1)
        return False

    def refusals(self) -> Iterable[str]:
        """Say what is refused."""
        hosts = ", ".join(self._settings.hosts)
        exempt = f" but under {', '.join(self._settings.exempt_paths)}" if self._settings.exempt_paths else ""
        return (
            f"421 for other hosts than {hosts}{exempt}",
            "400 for no Host header, a malformed one, two, or another than in the URL",
        )


def _judge_target(exchange: Exchange, host: bytes) -> Reply | None:
    """Compare the authority of a request target that is a whole URL with the Host header."""
    for target in (exchange.scope.get("raw_path") or b"", exchange.path.encode("utf-8", "surrogatepass")):
        match = _TARGET.match(target)
        if match is not None and parse(match[1]) != parse(host):
            return _MALFORMED
    return None


def _refusal(status: int, code: str, message: str) -> Reply:
    fault = Fault(
        status=status, code=code, message=message, category=ErrorCategory.VALIDATION, severity=ErrorSeverity.LOW
    )
    return Reply.refusal(fault, close_connection=status == 400)


_MALFORMED = _refusal(400, "MALFORMED_HOST", "The request does not name one well-formed host.")
_MISDIRECTED = _refusal(421, "UNTRUSTED_HOST", "This server does not answer for the host of the request.")


class TrustedHostMiddleware(Middleware):
    """Refuse requests for hosts that the application does not answer for.

    Args:
        app: the application to wrap.
        settings: a `TrustedHost`; or its fields as keywords.
        listeners: told what the layer decides.
        fields: see `TrustedHost`.

    Raises:
        ConfigError: a field is wrong, unknown or missing.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: TrustedHost | None = None,
        *,
        listeners: Iterable[Listener] = (),
        **fields: Unpack[TrustedHostFields],
    ) -> None:
        super().__init__(app, TrustedHostLayer(build(TrustedHost, settings, fields)), listeners=listeners)
