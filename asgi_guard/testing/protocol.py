"""Protocol: what a strict server asks of the messages that it is sent, each rule of the specification once.

Rule 1: a check looks at one message and at what went before; it changes neither, and remembers no more than a state.
Facts: ASGI 3.0 HTTP and WebSocket specification 2.5, lifespan 2.0; RFC 9110 sections 5.1 and 5.5 (names and values of
headers), 6.4.1 (no content in 204 and 304) and 8.6 (Content-Length). A body in answer to HEAD is dropped and counted,
not refused: every server drops it, and frameworks rely on that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, Protocol

from asgi_guard.engine.types import Message, Scope

_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")


class ProtocolViolation(AssertionError):  # noqa: N818  a test report reads better with it
    """The application, or a middleware, sent what a strict server refuses."""


class Checks(Protocol):
    """The state of one exchange; calling it with a message checks that message and goes on to the next state."""

    state: str

    @property
    def is_over(self) -> bool:
        """Tell whether the last message was sent."""
        ...

    def __call__(self, message: Message) -> int:
        """Check a message; return how many bytes of it a server drops.

        Raises:
            ProtocolViolation: a strict server refuses the message.
        """
        ...


def checks_for(scope: Scope) -> Checks:
    """Make the checks that suit the type of a scope."""
    return _CHECKS[scope["type"]](scope)


class _HTTPChecks:
    """What a strict server asks of the messages of one HTTP response."""

    _last = ("http.response.body", "http.response.zerocopysend", "http.response.pathsend")

    def __init__(self, scope: Scope, prefix: str = "http") -> None:
        self._extensions: dict[str, Any] = scope.get("extensions") or {}
        self._is_head = scope.get("method") == "HEAD"
        self._prefix = prefix
        self.state = "no response"
        self._status = 0
        self._promised: int | None = None
        self._trailers = False
        self._bytes = 0

    @property
    def is_over(self) -> bool:
        return self.state == "over"

    def __call__(self, message: Message) -> int:
        kind = message.get("type")
        _require(not self.is_over, f"{kind!r} after the end of the response")
        if kind == f"{self._prefix}.response.start":
            self._start(message)
        elif kind == f"{self._prefix}.response.body":
            return self._body(message)
        else:
            _require(kind in self._extensions, f"{kind!r}: neither in the specification nor advertised in `extensions`")
            self._extension(str(kind), message)
        return 0

    def _start(self, message: Message) -> None:
        _require(self.state == "no response", "a second response start")
        status = message.get("status")
        _require(type(status) is int and 200 <= status <= 599, f"status {status!r} is not an int from 200 to 599")
        headers = _check_headers(message.get("headers", []))
        lengths = [value for name, value in headers if name == b"content-length"]
        _require(len(lengths) <= 1, "more than one Content-Length")
        _require(all(re.fullmatch(rb"[0-9]+", value) for value in lengths), f"Content-Length {lengths} is no number")
        self._status = int(status or 0)
        self._promised = int(lengths[0]) if lengths else None
        self._trailers = message.get("trailers", False)
        self.state = "started"

    def _body(self, message: Message) -> int:
        _require(self.state == "started", f"a body in the state {self.state!r}")
        body = message.get("body", b"")
        _require(type(body) is bytes, f"a body of type {type(body).__name__}: bytes are what every server takes")
        self._bytes += len(body)
        bodiless = self._status in {204, 304}
        _require(not (bodiless and body), f"a body with status {self._status}")
        if self._promised is not None and not bodiless and not self._is_head:
            _require(self._bytes <= self._promised, f"{self._bytes} bytes of a Content-Length of {self._promised}")
        if not message.get("more_body", False):
            complete = self._promised in {None, self._bytes} or bodiless or self._is_head
            _require(complete, f"the end after {self._bytes} bytes of a Content-Length of {self._promised}")
            self.state = "trailers" if self._trailers else "over"
        return len(body) if self._is_head else 0

    def _extension(self, kind: str, message: Message) -> None:
        if kind == "http.response.trailers":
            _require(self.state == "trailers", f"trailers in the state {self.state!r}")
            _check_headers(message.get("headers", []))
            self.state = "trailers" if message.get("more_trailers", False) else "over"
        elif kind in self._last:
            _require(self.state == "started", f"{kind!r} in the state {self.state!r}")
            if not message.get("more_body", False):
                self.state = "trailers" if self._trailers else "over"


class _WebSocketChecks:
    """What a strict server asks of the messages of one WebSocket."""

    def __init__(self, scope: Scope) -> None:
        self._denial = _HTTPChecks({**scope, "method": "GET"}, "websocket.http")
        self._can_deny = "websocket.http.response" in (scope.get("extensions") or {})
        self._takes_headers = str(scope.get("asgi", {}).get("spec_version", "2.0")) >= "2.1"
        self.state = "connecting"

    @property
    def is_over(self) -> bool:
        return self.state == "closed" or self._denial.is_over

    def __call__(self, message: Message) -> int:
        kind = message.get("type")
        _require(not self.is_over, f"{kind!r} after the end of the connection")
        if kind == "websocket.accept":
            _require(self.state == "connecting", f"an accept in the state {self.state!r}")
            headers = _check_headers(message.get("headers", []))
            _require(self._takes_headers or not headers, "headers in an accept, which this spec_version has not")
            self.state = "accepted"
        elif kind == "websocket.send":
            _require(self.state == "accepted", f"a message in the state {self.state!r}")
            data, text = message.get("bytes"), message.get("text")
            _require((type(data) is bytes) is not (type(text) is str), "a message of either bytes or text, not both")
        elif kind == "websocket.close":
            _require(self.state in {"connecting", "accepted"}, f"a close in the state {self.state!r}")
            code = message.get("code", 1000)
            _require(type(code) is int and 1000 <= code <= 4999, f"close code {code!r}")
            self.state = "closed"
        else:
            _require(self._can_deny and str(kind).startswith("websocket.http.response."), f"{kind!r} is not known here")
            _require(self.state in {"connecting", "denying"}, f"a denial in the state {self.state!r}")
            self._denial(message)
            self.state = "denying"
        return 0


class _LifespanChecks:
    """What a strict server asks of the messages of a lifespan."""

    def __init__(self, _scope: Scope) -> None:
        self.state = "starting"

    @property
    def is_over(self) -> bool:
        return self.state == "over"

    def __call__(self, message: Message) -> int:
        kind = message.get("type")
        phase = "startup" if self.state == "starting" else "shutdown"
        expected = {f"lifespan.{phase}.complete", f"lifespan.{phase}.failed"}
        _require(not self.is_over and kind in expected, f"{kind!r} in the state {self.state!r}")
        self.state = "running" if kind == "lifespan.startup.complete" else "over"
        return 0


_CHECKS: Final[dict[str, Callable[[Scope], Checks]]] = {
    "http": _HTTPChecks,
    "websocket": _WebSocketChecks,
    "lifespan": _LifespanChecks,
}


def _check_headers(pairs: list[Any]) -> list[tuple[bytes, bytes]]:
    for pair in pairs:
        _require(len(pair) == 2 and type(pair[0]) is type(pair[1]) is bytes, f"header {pair!r} is not a pair of bytes")
        name, value = pair
        _require(_NAME.fullmatch(name) is not None, f"header name {name!r} is not a lower-case token")
        _require(not re.search(rb"[\r\n\0]", value), f"the value of {name!r} holds CR, LF or NUL")
    return pairs


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise ProtocolViolation(what)
