"""Request: what layers may know of one request, and the only way to change what the application sees of it.

One scan of the request headers serves all layers. The caller's scope is handed on as it is until a setter changes
something; then one shallow copy is made, and the scan is kept true. `scope["state"]` is shared with whoever stands
outside, so that what the application leaves there stays visible; what the guard puts there is taken out at the end.
Must never raise on a scope that a real server sends: client None, a list, `("", "0")`, a missing `state`, `scheme` or
`extensions`, headers as list, tuple or generator, mixed-case names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from asgi_guard.engine.override import KEY
from asgi_guard.engine.types import Header, Scope

if TYPE_CHECKING:
    from asgi_guard.engine.layer import Layer
    from asgi_guard.engine.plan import Plan

_ABSENT: Any = object()
_SECURE = frozenset({"https", "wss"})


class Request:
    """The facts of one HTTP request or WebSocket handshake.

    Attributes:
        scope: the ASGI scope as the application will get it.
        kind: `"http"` or `"websocket"`.
        client: the peer's address, IPv4-mapped IPv6 unmapped and without a zone; None for a Unix socket. Without the
            unmapping `::ffff:198.51.100.7` would stand outside every list that names `198.51.100.0/24`.
        cells: what each layer keeps for this request, by layer.
        found: those of the headers that a layer `wants` which are there, with the value of the first line of each.
        header_count: how many header lines the request has.
        header_bytes: the bytes of the names and values of all request headers together.
        request_id: the id under which it is known, once a layer has given it one.
        is_peer_trusted: whether the peer is a proxy whose word on the request is taken, once a layer has said so.
        host_app: `scope["app"]` as it was on entry: the framework that this guard stands inside of, if any.
        overrides: what `scope["asgi_guard"]` says of layers for this request, by name; None where it says nothing.
        host_handlers: the exception handlers of that framework around a mounted guard, as they were on entry.
    """

    __slots__ = (
        "_has_repeated",
        "_lines",
        "_origin",
        "_restores",
        "cells",
        "client",
        "found",
        "header_bytes",
        "header_count",
        "host_app",
        "host_handlers",
        "is_peer_trusted",
        "kind",
        "overrides",
        "plan",
        "request_id",
        "scope",
    )

    plan: Plan
    scope: Scope
    kind: str
    cells: dict[Layer, Any]
    overrides: dict[str, Any] | None
    client: str | None
    header_bytes: int
    header_count: int
    request_id: str | None
    is_peer_trusted: bool
    host_app: Any
    host_handlers: Any
    found: dict[bytes, bytes]
    _origin: Scope
    _has_repeated: bool  # some header that a layer wants has several lines
    _lines: Sequence[Header]
    _restores: tuple[Any, str, Any, Any] | None

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a request header (lower-case name): the first line's when there are several."""
        if name in self.plan.wants:
            return self.found.get(name)
        return next((value for key, value in self._lines if key == name), None)

    def header_lines(self, name: bytes) -> list[bytes]:
        """Return every line of a request header (lower-case name), in order."""
        if name in self.plan.wants and not self._has_repeated:
            value = self.found.get(name)
            return [] if value is None else [value]
        return [value for key, value in self._lines if key == name]

    @property
    def longest_header_line(self) -> int:
        """How many bytes name and value of the longest header line have."""
        return max((len(name) + len(value) for name, value in self._lines), default=0)

    @property
    def known_id(self) -> str | None:
        """The request id, also where somebody else's middleware stands between this guard and the one that gave it."""
        if self.request_id is not None:
            return self.request_id
        state: Mapping[str, object] = self.scope.get("state") or {}
        found = state.get("request_id")
        return None if found is None else str(found)

    @property
    def log_name(self) -> str:
        """Method, path and request id for a log line: escaped, so that they cannot end it, and bounded."""
        method = self.method[:32].encode("unicode_escape").decode("ascii")
        return f"{method} {self.log_path} (request id {self.known_id})"

    @property
    def method(self) -> str:
        """The HTTP method; `GET` for a WebSocket handshake, which is one."""
        return str(self.scope.get("method", "GET"))

    @property
    def path(self) -> str:
        """The decoded path, as the server gives it."""
        return str(self.scope.get("path", ""))

    @property
    def log_path(self) -> str:
        """The path for a log line: escaped, so that it cannot end the line, and at most 256 characters."""
        return self.path[:256].encode("unicode_escape").decode("ascii")

    @property
    def scheme(self) -> str:
        """`http`, `https`, `ws` or `wss`; the plain one where the server says nothing."""
        return str(self.scope.get("scheme") or ("http" if self.kind == "http" else "ws"))

    @property
    def is_secure(self) -> bool:
        """Tell whether the client came over TLS."""
        return self.scope.get("scheme") in _SECURE

    def set_client(self, host: str, port: int = 0) -> None:
        """Make the application see another client."""
        self._own()["client"] = (host, port)
        self.client = address(host)

    def set_scheme(self, scheme: str) -> None:
        """Make the application see another scheme, such as `https` behind a proxy that ends TLS."""
        self._own()["scheme"] = scheme

    def set_host(self, host: bytes) -> None:
        """Make the application see another Host header."""
        self.set_header(b"host", host)

    def set_header(self, name: bytes, value: bytes) -> None:
        """Make `value` the only line of a request header (lower-case name)."""
        scope = self._own()
        headers = [(key, line) for key, line in scope.get("headers") or () if key.lower() != name]
        headers.append((name, value))
        scope["headers"] = headers
        self._rescan(headers)

    def set_state(self, key: str, value: Any) -> None:
        """Put a value into `scope["state"]` for the time of this call; a `state` is made where there is none."""
        state = self.scope.get("state")
        if state is None:
            self._own()["state"] = {key: value}
            return
        self._restores = (state, key, state.get(key, _ABSENT), self._restores)
        state[key] = value

    def restore_scope(self) -> None:
        """Take out of the application's scope what only this call may use."""
        self.scope.pop(KEY, None)  # it refers to the exchange, and that to the scope: nobody should have to collect it

    def restore_state(self) -> None:
        """Take out of the caller's `state` what `set_state` put there, the last first."""
        while self._restores is not None:
            state, key, old, self._restores = self._restores
            if old is _ABSENT:
                state.pop(key, None)
            else:
                state[key] = old

    def _own(self) -> Scope:
        """Return a scope that may be written to: the one shallow copy."""
        if self.scope is self._origin:
            self.scope = {**self._origin}
        return self.scope

    def _scan_odd(self, headers: Any) -> None:
        """Scan headers that are no list, or in which no `host` was found: perhaps names are not in lower case."""
        if headers is not None and type(headers) is not list and type(headers) is not tuple:
            headers = list(headers)  # a generator can be read only once
            self._own()["headers"] = headers
        self._rescan(headers or ())

    def _rescan(self, headers: Any) -> None:
        """Scan again without trusting the case of names (ASGI 2.5 does not demand lower case)."""
        self._lines = [(name.lower(), value) for name, value in headers]
        wanted = [pair for pair in reversed(self._lines) if pair[0] in self.plan.wants]
        self.found = dict(wanted)
        self._has_repeated = len(wanted) > len(self.found)
        self.header_count = len(self._lines)
        self.header_bytes = sum([len(name) + len(value) for name, value in self._lines])


def address(host: Any) -> str | None:
    """Read the host of whatever a server puts into `scope["client"]`."""
    if not host:
        return None
    text = str(host).partition("%")[0].lower()
    return text[7:] if text.startswith("::ffff:") and "." in text else text
