"""Request limits: what is too large, too many or malformed never reaches the application.

The head is judged before the application runs and before a byte of the body is asked for, so that a client which sent
`Expect: 100-continue` keeps its upload to itself. The body is counted as it streams: a small Content-Length proves
nothing, since four of nine servers pass on Content-Length next to Transfer-Encoding (request smuggling, RFC 9112
section 6.1), which is refused here.
Must never buffer a body. Statuses: RFC 9110 sections 15.5.1 (400), 15.5.14 (413), 15.5.15 (414), RFC 6585 section 5
(431).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypedDict, Unpack

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import ASGIApp, Message
from asgi_guard.errors.exceptions import ErrorCategory, ErrorSeverity
from asgi_guard.errors.problem import Fault
from asgi_guard.events import Listener
from asgi_guard.settings import Problems, build

_DIGITS_READ = 20
"""Digits of a Content-Length that are read: `int` of a long text costs more than linear time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Settings of the request limits; None takes a limit off.

    Attributes:
        max_body_bytes: the body, declared or streamed; 413.
        max_headers: how many header lines; 431.
        max_header_bytes: names and values of all headers together; 431.
        max_header_line_bytes: name and value of one header; 431.
        max_url_bytes: path and query together, as sent (the decoded path on servers that do not tell); 414.

    Raises:
        ConfigError: a field is no whole number of at least 1, and not None.
    """

    max_body_bytes: int | None = 10 * 1024 * 1024
    max_headers: int | None = 100
    max_header_bytes: int | None = 32 * 1024
    max_header_line_bytes: int | None = 16 * 1024
    max_url_bytes: int | None = 8 * 1024

    def __post_init__(self) -> None:
        problems = Problems("RequestLimits")
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                problems.integer(field.name, value, minimum=1)
        problems.raise_if_any()


class RequestLimitsFields(TypedDict, total=False):
    """The fields of `RequestLimits`, for keyword arguments."""

    max_body_bytes: int | None
    max_headers: int | None
    max_header_bytes: int | None
    max_header_line_bytes: int | None
    max_url_bytes: int | None


class RequestLimitsLayer(Layer):
    """Refuses what is over a limit."""

    name: ClassVar[str] = "request_limits"
    wants: frozenset[bytes] = frozenset({b"content-length", b"transfer-encoding"})

    def __init__(self, settings: RequestLimits) -> None:
        self.settings: object = settings
        self._settings = settings
        unlimited = 10**_DIGITS_READ
        self._body = settings.max_body_bytes or unlimited
        self._headers = settings.max_headers or unlimited
        self._header_bytes = settings.max_header_bytes or unlimited
        self._line = settings.max_header_line_bytes or unlimited
        self._url = settings.max_url_bytes or unlimited
        self._sizes_matter = min(self._header_bytes, self._line) < unlimited
        self._url_too_long = _refusal(414, "URL_TOO_LONG", "The URL is too long.", limit=self._url)
        self._too_many = _refusal(431, "TOO_MANY_HEADERS", "The request has too many headers.", limit=self._headers)
        self._too_wide = _refusal(431, "HEADERS_TOO_LARGE", "The headers are too large.", limit=self._header_bytes)
        self._line_too_long = _refusal(431, "HEADER_TOO_LARGE", "One of the headers is too large.", limit=self._line)
        self._too_large = _refusal(413, "BODY_TOO_LARGE", "The request body is too large.", limit=self._body)

    def admit(self, exchange: Exchange) -> Reply | None:
        """Judge the head of the request."""
        scope = exchange.scope
        path: bytes = scope.get("raw_path") or scope.get("path", "").encode("utf-8", "surrogatepass")
        if len(path) + len(scope.get("query_string") or b"") > self._url:
            return self._url_too_long
        if exchange.header_count > self._headers:
            return self._too_many
        if self._sizes_matter:
            total = exchange.header_bytes
            if total > self._header_bytes:
                return self._too_wide
            if total > self._line and exchange.longest_header_line > self._line:
                return self._line_too_long
        declared = exchange.header(b"content-length")
        return None if declared is None else self._judge_length(exchange, declared)

    def _judge_length(self, exchange: Exchange, declared: bytes) -> Reply | None:
        if exchange.header(b"transfer-encoding") is not None:
            return _BOTH_LENGTHS
        if not declared.isdigit() or len(set(exchange.header_lines(b"content-length"))) > 1:
            return _NO_LENGTH
        digits = declared.lstrip(b"0")[:_DIGITS_READ] or b"0"  # zeros in front must not push the others out of sight
        return self._too_large if int(digits) > self._body else None

    def inbound(self, exchange: Exchange, message: Message) -> Reply | None:
        """Count the body as it comes in."""
        if message["type"] != "http.request":
            return None
        cells = exchange.cells
        received = cells.get(self, 0) + len(message.get("body") or b"")
        cells[self] = received
        return self._too_large if received > self._body else None

    def refusals(self) -> Iterable[str]:
        """Say what is refused."""
        settings = self._settings
        rows = (
            (414, settings.max_url_bytes, "a URL of more than {:,} bytes"),
            (431, settings.max_headers, "more than {:,} headers"),
            (431, settings.max_header_bytes, "headers of more than {:,} bytes together"),
            (431, settings.max_header_line_bytes, "a header of more than {:,} bytes"),
            (413, settings.max_body_bytes, "a body of more than {:,} bytes, declared or streamed"),
        )
        lines = [f"{status} for {what.format(limit)}" for status, limit, what in rows if limit is not None]
        return (*lines, "400 for Content-Length next to Transfer-Encoding, or one that is no whole number")


def _refusal(status: int, code: str, message: str, **details: Any) -> Reply:
    fault = Fault(
        status=status,
        code=code,
        message=message,
        category=ErrorCategory.VALIDATION,
        severity=ErrorSeverity.LOW,
        details=details,
    )
    return Reply.refusal(fault, close_connection=status in {400, 413})


_BOTH_LENGTHS = _refusal(400, "MALFORMED_REQUEST", "The request has both Content-Length and Transfer-Encoding.")
_NO_LENGTH = _refusal(400, "MALFORMED_REQUEST", "Content-Length is not one whole number.")


class RequestLimitsMiddleware(Middleware):
    """Refuse requests that are too large or malformed.

    Args:
        app: the application to wrap.
        settings: a `RequestLimits`; or its fields as keywords.
        listeners: told what the layer decides.
        fields: see `RequestLimits`.

    Raises:
        ConfigError: a field is wrong or unknown.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: RequestLimits | None = None,
        *,
        listeners: Iterable[Listener] = (),
        **fields: Unpack[RequestLimitsFields],
    ) -> None:
        super().__init__(app, RequestLimitsLayer(build(RequestLimits, settings, fields)), listeners=listeners)
