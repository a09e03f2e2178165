"""Replies: what a layer answers with, and the only place that builds a whole response, a denial or a close.

A `Reply` is data. What it becomes on the wire depends on the request: a response for HTTP; for a WebSocket that was not
accepted a denial response where the server advertises `websocket.http.response`, a close (which servers turn into a
bare 403) elsewhere; after the accept a close frame.
Must never give a body to HEAD, 204, 304 or 1xx (RFC 9110 sections 6.4.1, 9.3.2), and never a `connection` header to
HTTP/2 (RFC 9113 section 8.2.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from asgi_guard.clock import SYSTEM_CLOCK
from asgi_guard.engine import headers as header_list
from asgi_guard.engine.types import Header, Headers, Message
from asgi_guard.errors.problem import Fault, render

if TYPE_CHECKING:
    from asgi_guard.engine.exchange import Exchange

POLICY_VIOLATION, INTERNAL_ERROR, TRY_AGAIN_LATER = 1008, 1011, 1013
"""WebSocket close codes (RFC 6455 section 7.4.1 and the IANA registry)."""

MOST_REASON_BYTES = 123
"""What fits into a close frame besides its code (RFC 6455 section 5.5)."""


class Reply:
    """A whole answer, given instead of the application's.

    Args:
        status: HTTP status, 100 to 599.
        headers: further headers, lower-case names.
        fault: what went wrong; rendered in the format that the request accepts. Without it, `body` is sent as it is.
        body: the body, when there is no fault.
        content_type: its media type; None sends none.
        close_connection: ask an HTTP/1 client to give up its upload, since the rest of it is not going to be read.
        close_code: WebSocket close code after the accept; by default 1008 for 4xx, 1013 for 503 and 1011 for 5xx.

    Raises:
        ValueError: the status is out of its bounds, or the body is no bytes.
    """

    __slots__ = ("body", "close_code", "close_connection", "content_type", "fault", "headers", "status")

    def __init__(
        self,
        status: int,
        *,
        headers: Iterable[Header] = (),
        fault: Fault | None = None,
        body: bytes = b"",
        content_type: bytes | None = None,
        close_connection: bool = False,
        close_code: int | None = None,
    ) -> None:
        if not 100 <= status <= 599 or not isinstance(body, bytes):
            raise ValueError(
                f"a reply has a status of 100 to 599 and bytes for a body, not {status!r} and {body!r:.40}"
            )
        self.status: int = status
        self.headers: tuple[Header, ...] = tuple(headers)
        self.fault: Fault | None = fault
        self.body: bytes = body
        self.content_type: bytes | None = content_type
        self.close_connection: bool = close_connection
        self.close_code: int | None = close_code

    @classmethod
    def refusal(cls, fault: Fault, *, headers: Iterable[Header] = (), close_connection: bool = False) -> Reply:
        """Make a reply of a fault, with its own status."""
        return cls(fault.status, fault=fault, headers=headers, close_connection=close_connection)

    @property
    def websocket_code(self) -> int:
        """The close code for a WebSocket that was accepted."""
        if self.close_code is not None:
            return self.close_code
        if self.status == 503:
            return TRY_AGAIN_LATER
        return INTERNAL_ERROR if self.status >= 500 else POLICY_VIOLATION


def head_and_body(exchange: Exchange, reply: Reply) -> tuple[Headers, bytes]:
    """Build the header list and the body of a reply to this request."""
    headers: Headers = list(reply.headers)
    body, content_type = reply.body, reply.content_type
    if reply.fault is not None:
        content_type, body = render(reply.fault, _accept(exchange), exchange.known_id, SYSTEM_CLOCK.time())
        given = dict(headers)
        if b"vary" in given:
            header_list.merge_vary(headers, b"Accept")
        else:
            headers.append((b"vary", b"Accept"))
        if b"cache-control" not in given:
            headers.append((b"cache-control", b"no-store"))
    if content_type is not None:
        headers.append((b"content-type", content_type))
    if reply.status == 304 or reply.status < 200:
        return headers, b""
    if reply.status == 204:
        return [pair for pair in headers if pair[0] != b"content-type"], b""
    headers.append((b"content-length", b"%d" % len(body)))
    if reply.close_connection and str(exchange.scope.get("http_version", "1.1")).startswith("1"):
        headers.append((b"connection", b"close"))
    return headers, b"" if exchange.scope.get("method") == "HEAD" else body


def can_deny(exchange: Exchange) -> bool:
    """Tell whether the server takes a whole response instead of a WebSocket handshake."""
    return "websocket.http.response" in (exchange.scope.get("extensions") or ())


def start(exchange: Exchange, status: int, headers: Headers) -> Message:
    """Build the first message of a response, or of the denial of a WebSocket."""
    return {"type": f"{_prefix(exchange)}.response.start", "status": status, "headers": headers}


def end(exchange: Exchange, body: bytes) -> Message:
    """Build the only body message of a response."""
    return {"type": f"{_prefix(exchange)}.response.body", "body": body, "more_body": False}


def close(code: int, fault: Fault | None = None) -> Message:
    """Build the close of a WebSocket, with the name of what went wrong; before the accept, servers make a 403 of it."""
    named: object = "" if fault is None else fault.code
    is_sound = isinstance(named, str) and named.isascii() and named.isprintable()
    return {"type": "websocket.close", "code": code, "reason": str(named)[:MOST_REASON_BYTES] if is_sound else ""}


def disconnect(kind: str, code: int) -> Message:
    """Build what the application receives after its exchange was answered for it: a fresh dict each time."""
    if kind == "http":
        return {"type": "http.disconnect"}
    return {"type": "websocket.disconnect", "code": code, "reason": ""}


def _accept(exchange: Exchange) -> bytes | None:
    """Return what the client accepts, all lines of it (RFC 9110 section 5.3)."""
    return b",".join(exchange.header_lines(b"accept")) or None


def _prefix(exchange: Exchange) -> str:
    return "http" if exchange.kind == "http" else "websocket.http"
