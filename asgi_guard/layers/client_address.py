"""Client address: who is asking, when proxies stand in between.

A forwarding header is a list to which each proxy appends the address that it was asked from. Only what trusted proxies
wrote is true, so it is read from the right: as long as the address at hand is one of a trusted proxy, the next entry to
the left is what that proxy saw. The first address that is not trusted is the client, and the first entry that cannot be
read ends the search at the proxy that wrote it. What stands to the left of there was written by the client.
How entries are read stands in `asgi_guard.engine.forwarded`; at most 32 of them are, so that a long list costs nothing.
Must never let a byte that an untrusted party wrote decide, and must never refuse a request.

| id    | rule that was broken                                                                |
|-------|-------------------------------------------------------------------------------------|
| AG305 | not everybody is trusted: everybody could write what the application takes for true |
| AG306 | X-Real-IP has one entry, so that it cannot be counted by hops                       |

AG300 to AG304 are those of `asgi_guard.networks`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, NamedTuple, TypedDict, Unpack

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.forwarded import MAX_HOPS, entries, forwarded, is_read_before, x_forwarded_for
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.types import ASGIApp
from asgi_guard.events import Event, Listener, notify
from asgi_guard.monitor.names import FORWARDING_IGNORED
from asgi_guard.networks import UNIX, Networks, check, is_private
from asgi_guard.settings import Problems, build, shown

logger: logging.Logger = logging.getLogger("asgi_guard")

ForwardingHeader = Literal["x-forwarded-for", "forwarded", "x-real-ip"]

_HEADERS: Final = (b"x-forwarded-for", b"forwarded", b"x-real-ip")
_FORWARDING: Final = frozenset(_HEADERS)
_MEMO_SIZE, _MEMO_BYTES = 4_096, 512
_IGNORED: Final = (
    "%%(header)s came from %%(peer)s, which is no trusted proxy, so it was ignored. %s write "
    "client_address=[%%(member)r] in the guard, or ClientAddress(trusted=[%%(member)r]). This is said once; the rest "
    "are counted."
)
_NEAR: Final = _IGNORED % (
    "That looks like an undeclared proxy: all who come through it count as one client, and a rate limit that nobody "
    "has set, which they would share, is not enforced on them. If it is yours,"
)
_FAR: Final = _IGNORED % "Anybody can send it. Only if that is your proxy,"
_READ_BEFORE: Final = (
    "The server has read %(header)s itself, as uvicorn does for an undeclared proxy on its own machine, and the guard "
    "goes by the client that it found. If nobody but your proxy can connect, that is right: write client_address=False "
    "in the guard. To leave it to the guard, start the server with --no-proxy-headers (gunicorn with "
    "--forwarded-allow-ips='') and write client_address=['127.0.0.1']. This is said once."
)

_HOST: Final = re.compile(rb"(?:[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\])(?::[0-9]{1,5})?")
_SCHEMES: Final = {
    b"http": ("http", "ws"),
    b"ws": ("http", "ws"),
    b"https": ("https", "wss"),
    b"wss": ("https", "wss"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardingIgnored(Event):
    """A forwarding header came from a peer that is no trusted proxy.

    Attributes:
        header: which one.
    """

    header: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAddress:
    """Settings of the client address.

    Attributes:
        trusted: the proxies: addresses, networks, and `"unix:"` for whoever comes over a Unix socket. None by default.
        hops: how many proxies stand in front, 1 to 32, where their addresses are not known: that many entries are
            believed. Together with `trusted`, each of them has to be trusted as well. Alone, it takes whoever connects
            for the last proxy, so nobody else may be able to.
        header: the one header that the proxies write: `"x-forwarded-for"`, `"forwarded"`, or `"x-real-ip"`.
        proto: take the scheme from `X-Forwarded-Proto`, or from `Forwarded`.
        host: take the host from `X-Forwarded-Host`, or from `Forwarded`. Off by default: a proxy that does not write it
            passes on what the client wrote.
        rewrite_scope: let the application see the client in `scope["client"]`; by default only the guard does.

    Raises:
        ConfigError: a field is wrong.
    """

    trusted: Sequence[str] = ()
    hops: int | None = None
    header: ForwardingHeader = "x-forwarded-for"
    proto: bool = True
    host: bool = False
    rewrite_scope: bool = False

    def __post_init__(self) -> None:
        problems = Problems("ClientAddress")
        listed = self.trusted if isinstance(self.trusted, list | tuple | set | frozenset) else ()
        everybody = [text for text in listed if isinstance(text, str) and (text == "*" or text.endswith("/0"))]
        for text in everybody:
            rule = "must not be everybody: each client could choose its address"
            remedy = "Where the proxies' addresses are not known, leave this out and say how many there are: hops=1."
            problems.add("AG305", "trusted", text, rule, remedy)
        if not everybody:
            check(problems, "trusted", self.trusted, unix=True)
        if self.hops is not None:
            problems.integer("hops", self.hops, minimum=1, maximum=MAX_HOPS)
        problems.choice("header", self.header, [name.decode() for name in _HEADERS])
        if self.header == "x-real-ip" and self.hops not in {None, 1}:
            rule = "must be 1 for X-Real-IP, which has one entry"
            problems.add("AG306", "hops", self.hops, rule, 'Count hops in header="x-forwarded-for".')
        for name in ("proto", "host", "rewrite_scope"):
            problems.boolean(name, getattr(self, name))
        problems.raise_if_any()


class ClientAddressFields(TypedDict, total=False):
    """The fields of `ClientAddress`, for keyword arguments."""

    trusted: Sequence[str]
    hops: int | None
    header: ForwardingHeader
    proto: bool
    host: bool
    rewrite_scope: bool


class Origin(NamedTuple):
    """What a walk has found.

    Attributes:
        address: the client's; None where it is that of the peer.
        port: the client's; 0 where it is not known.
        depth: how many entries were believed.
        proto: the scheme that the client used, as the proxy next to it wrote it; of `Forwarded` only.
        host: the host, likewise.
    """

    address: str | None = None
    port: int = 0
    depth: int = 0
    proto: bytes | None = None
    host: bytes | None = None


class ClientAddressLayer(Layer):
    """Finds out who is asking.

    Attributes:
        ignored: how many requests had a forwarding header that was not believed.
    """

    name: ClassVar[str] = "client_address"
    decides: ClassVar[bool] = False

    def __init__(self, settings: ClientAddress) -> None:
        self.settings: object = settings
        self.ignored: int = 0
        self._said: set[str] = set()
        self._trusted = Networks(settings.trusted)
        self._trusts_by_list = bool(settings.trusted)
        self._trusts_nobody = not settings.trusted and settings.hops is None
        self._max_hops = settings.hops or MAX_HOPS
        self._header = settings.header.encode()
        self._is_standard = settings.header == "forwarded"
        self._is_single = settings.header == "x-real-ip"
        self._proto, self._host, self._rewrites = settings.proto, settings.host, settings.rewrite_scope
        self._memo: dict[bytes, Origin] = {}
        extras = [(settings.proto, b"x-forwarded-proto"), (settings.host, b"x-forwarded-host")]
        is_asked = not self._trusts_nobody and not self._is_standard
        told = [name for on, name in extras if on and is_asked]
        self.wants: frozenset[bytes] = frozenset([*_HEADERS, *told])
        self._tells = frozenset([self._header] if self._is_standard else told)

    def admit(self, exchange: Exchange) -> None:
        """Set `exchange.client` and `exchange.is_peer_trusted`."""
        if exchange.is_peer_trusted:  # a layer further out has found the client already
            return
        if self._trusts_nobody or (self._trusts_by_list and exchange.client not in self._trusted):
            if not _FORWARDING.isdisjoint(exchange.found):
                self._look_for_a_proxy(exchange)
            return
        exchange.is_peer_trusted = True
        lines = exchange.header_lines(self._header)
        origin = self._origin(lines) if lines else _PEER
        if origin.address is not None:
            if self._rewrites:
                exchange.set_client(origin.address, origin.port)
            else:
                exchange.client = origin.address
        if not self._tells.isdisjoint(exchange.found):
            self._restore(exchange, origin)

    def _look_for_a_proxy(self, exchange: Exchange) -> None:
        """Count that somebody who is not trusted sends a forwarding header, and say once what it looks like.

        Once for each look, so that a stranger who sends one first does not use up the line that is about the proxy.
        """
        name = next((name for name in _HEADERS if exchange.found.get(name)), None)
        if name is None:
            return
        self.ignored += 1
        self.count(FORWARDING_IGNORED, name.decode())
        is_read = is_read_before(exchange.scope.get("client"), exchange.header_lines(b"x-forwarded-for"))
        look = _READ_BEFORE if is_read else _NEAR if is_private(exchange.client) else _FAR
        if look not in self._said:
            self._said.add(look)
            peer = shown(exchange.client) if exchange.client else "a Unix socket"
            told = {"header": name.decode(), "peer": peer, "member": exchange.client or UNIX}
            logger.log(logging.ERROR if look is _NEAR else logging.WARNING, look, told)
        if self.listeners:
            notify(self.listeners, ForwardingIgnored(**exchange.about(self), header=name.decode()))

    def _origin(self, lines: list[bytes]) -> Origin:
        if len(lines) > 1 or len(lines[0]) > _MEMO_BYTES:
            return self._walk(lines)
        (line,) = lines
        origin = self._memo.get(line)
        if origin is None:
            if len(self._memo) >= _MEMO_SIZE:
                self._memo.clear()
            origin = self._memo[line] = self._walk(lines)
        return origin

    def _walk(self, lines: list[bytes]) -> Origin:
        """Go from hop to hop, from the right, as long as those who wrote them are trusted."""
        hops = forwarded(lines) if self._is_standard else x_forwarded_for(lines)
        origin = _PEER
        if self._is_single and (len(lines) > 1 or b"," in lines[0]):
            return origin
        for depth, hop in enumerate(hops, 1):
            if hop.address is None:
                break
            origin = Origin(hop.address, hop.port, depth, hop.proto, hop.host)
            if depth >= self._max_hops or (self._trusts_by_list and hop.address not in self._trusted):
                break
        return origin

    def _restore(self, exchange: Exchange, origin: Origin) -> None:
        """Give the request back the scheme and the host with which the client sent it."""
        proto, host = origin.proto, origin.host
        if not self._is_standard:
            proto = _entry(exchange, b"x-forwarded-proto", origin.depth) if self._proto else None
            host = _entry(exchange, b"x-forwarded-host", origin.depth) if self._host else None
        if self._proto and proto is not None:
            schemes = _SCHEMES.get(proto.lower())
            if schemes is not None:
                scheme = schemes[exchange.kind == "websocket"]
                if exchange.scope.get("scheme") != scheme:
                    exchange.set_scheme(scheme)
        if self._host and host is not None and _HOST.fullmatch(host) and exchange.header(b"host") != host:
            exchange.set_host(host)


_PEER: Final = Origin()


def _entry(exchange: Exchange, name: bytes, depth: int) -> bytes | None:
    """Find what the proxy next to the client wrote into a list to which every proxy may have added an entry."""
    if exchange.header(name) is None:
        return None
    lines = exchange.header_lines(name)
    if len(lines) == 1 and b"," not in lines[0]:
        return lines[0].strip(b" \t")
    entry = b""
    for number, entry in enumerate(entries(lines), 1):  # noqa: B007  the last one counts
        if number >= depth:
            break
    return entry.strip(b" \t")


class ClientAddressMiddleware(Middleware):
    """Find out who is asking, when proxies stand in between.

    Args:
        app: the application to wrap.
        settings: a `ClientAddress`; or its fields as keywords.
        listeners: told what the layer ignores.
        fields: see `ClientAddress`.

    Raises:
        ConfigError: a field is wrong or unknown.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ClientAddress | None = None,
        *,
        listeners: Iterable[Listener] = (),
        **fields: Unpack[ClientAddressFields],
    ) -> None:
        super().__init__(app, ClientAddressLayer(build(ClientAddress, settings, fields)), listeners=listeners)
