"""Request limits: what is too large, too many, too slow or malformed never wears the application out.

The head is judged before the application runs and before a byte of the body is asked for, so that a client which sent
`Expect: 100-continue` keeps its upload to itself. The body is counted as it streams: a small Content-Length proves
nothing, since four of nine servers pass on Content-Length next to Transfer-Encoding (request smuggling, RFC 9112
section 6.1), which is refused here. Time is kept without any cancellation, since some servers cannot cancel: the engine
answers in the application's place. The clock for a slow body runs only while somebody waits for that body, so that
neither an application that computes nor one that waits for the client to leave is cut off.
Must never buffer a body, and never keep a place of a request that has ended. Statuses: RFC 9110 sections 15.5.1 (400),
15.5.9 (408), 15.5.14 (413), 15.5.15 (414), 15.6.4 (503), 15.6.5 (504), RFC 6585 section 5 (431).

| id    | rule that was broken                                                       |
|-------|----------------------------------------------------------------------------|
| AG420 | a path begins with a slash, and is no pattern                              |
| AG421 | a rate of the body needs `idle_seconds`, the patience that it has          |
| AG422 | a lease is not over before the time of its request is                      |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from time import monotonic
from typing import Any, ClassVar, Final, TypedDict, Unpack

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.paths import Prefixes, check_prefixes
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import ASGIApp, Headers, Message
from asgi_guard.errors.exceptions import ErrorCategory, ErrorSeverity
from asgi_guard.errors.problem import Fault
from asgi_guard.events import Listener
from asgi_guard.limiting.allowance import Allowance
from asgi_guard.limiting.in_flight import InFlight
from asgi_guard.monitor.names import REQUEST_LIMITS_REJECTIONS
from asgi_guard.settings import Problems, build

_DIGITS_READ = 20
"""Digits of a Content-Length that are read: `int` of a long text costs more than linear time."""

_UNLIMITED: Final = 10**_DIGITS_READ
_SIZES = ("max_body_bytes", "max_headers", "max_header_bytes", "max_header_line_bytes", "max_url_bytes")
_TIMES = ("total_seconds", "idle_seconds", "lease_seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """Settings of the request limits; None takes a limit off.

    All times are 0.1 to 86,400 seconds, and are kept to some hundredths of a second.

    Attributes:
        max_body_bytes: the body, declared or streamed; 413.
        max_headers: how many header lines; 431.
        max_header_bytes: names and values of all headers together; 431.
        max_header_line_bytes: name and value of one header; 431.
        max_url_bytes: path and query together, as sent (the decoded path on servers that do not tell); 414.
        total_seconds: until the last byte of the response is sent; 504, and a response that has begun by then is cut
            off. Not for WebSockets, which have no end to wait for.
        idle_seconds: how long the application may wait for more of the body, and for nothing else; 408.
        min_body_bytes_per_second: the rate of the body below which `idle_seconds` run out even though it trickles, from
            1; each byte then buys its share of a second, instead of all of them.
        max_concurrent: requests, and open WebSockets, of all clients together in this process, 1 to 1,000,000; 503.
        retry_after_seconds: what is told to those who are one too many, 1 to 3,600.
        exempt_paths: paths that are never one too many, nor counted, with all that is below them: health checks.
        lease_seconds: how long one request counts at most, for servers that never let an application know that its
            client has gone; a WebSocket that is open for longer no longer counts. Not shorter than `total_seconds`.

    Raises:
        ConfigError: a field is wrong.
    """

    max_body_bytes: int | None = 10 * 1024 * 1024
    max_headers: int | None = 100
    max_header_bytes: int | None = 32 * 1024
    max_header_line_bytes: int | None = 16 * 1024
    max_url_bytes: int | None = 8 * 1024
    total_seconds: float | None = None
    idle_seconds: float | None = None
    min_body_bytes_per_second: int | None = None
    max_concurrent: int | None = None
    retry_after_seconds: int = 1
    exempt_paths: Sequence[str] = ()
    lease_seconds: float | None = 3_600

    def __post_init__(self) -> None:
        problems = Problems("RequestLimits")
        times_are_sound = _check(problems, {name: getattr(self, name) for name in (*_SIZES, *_TIMES)})
        if self.min_body_bytes_per_second is not None:
            problems.integer("min_body_bytes_per_second", self.min_body_bytes_per_second, minimum=1)
            if self.idle_seconds is None:
                rule, remedy = "needs idle_seconds: that is what runs out", "Add idle_seconds=10, say."
                problems.add("AG421", "min_body_bytes_per_second", self.min_body_bytes_per_second, rule, remedy)
        if self.max_concurrent is not None:
            problems.integer("max_concurrent", self.max_concurrent, minimum=1, maximum=1_000_000)
        problems.integer("retry_after_seconds", self.retry_after_seconds, minimum=1, maximum=3_600)
        check_prefixes(problems, "exempt_paths", self.exempt_paths, "AG420")
        if times_are_sound and (self.lease_seconds or inf) < (self.total_seconds or 0):
            rule, remedy = "must not be shorter than total_seconds", f"Give {self.total_seconds}, or None."
            problems.add("AG422", "lease_seconds", self.lease_seconds, rule, remedy)
        problems.raise_if_any()


class RequestLimitsFields(TypedDict, total=False):
    """The fields of `RequestLimits`, for keyword arguments."""

    max_body_bytes: int | None
    max_headers: int | None
    max_header_bytes: int | None
    max_header_line_bytes: int | None
    max_url_bytes: int | None
    total_seconds: float | None
    idle_seconds: float | None
    min_body_bytes_per_second: int | None
    max_concurrent: int | None
    retry_after_seconds: int
    exempt_paths: Sequence[str]
    lease_seconds: float | None


def _check(problems: Problems, limits: Mapping[str, Any]) -> bool:
    """Check sizes and times, each of which may be None; return whether all of them are sound."""
    given = {name: value for name, value in limits.items() if value is not None}
    times = [problems.number(name, given[name], minimum=0.1, maximum=86_400) for name in given if name in _TIMES]
    sizes = [problems.integer(name, given[name], minimum=1) for name in given if name not in _TIMES]
    return all(times) and all(sizes)


class RequestLimitsLayer(Layer):
    """Refuses what is over a limit."""

    name: ClassVar[str] = "request_limits"
    wants: frozenset[bytes] = frozenset({b"content-length", b"transfer-encoding"})
    overridable: frozenset[str] = frozenset({"max_body_bytes", "total_seconds", "idle_seconds"})

    def __init__(self, settings: RequestLimits) -> None:
        self.settings: object = settings
        self._settings = settings
        self._body = settings.max_body_bytes or _UNLIMITED
        self._headers = settings.max_headers or _UNLIMITED
        self._header_bytes = settings.max_header_bytes or _UNLIMITED
        self._line = settings.max_header_line_bytes or _UNLIMITED
        self._url = settings.max_url_bytes or _UNLIMITED
        self._sizes_matter = min(self._header_bytes, self._line) < _UNLIMITED
        self._url_too_long = _refusal(414, "URL_TOO_LONG", "The URL is too long.", limit=self._url)
        self._too_many = _refusal(431, "TOO_MANY_HEADERS", "The request has too many headers.", limit=self._headers)
        self._too_wide = _refusal(431, "HEADERS_TOO_LARGE", "The headers are too large.", limit=self._header_bytes)
        self._line_too_long = _refusal(431, "HEADER_TOO_LARGE", "One of the headers is too large.", limit=self._line)
        self._too_large = _too_large(self._body)
        # How many are too many is not told: an attacker would like to know.
        wait = settings.retry_after_seconds
        self._busy = _refusal(503, "TOO_MANY_AT_ONCE", "The service is busy.", retry_after_seconds=wait)
        self._total = settings.total_seconds
        self._idle = settings.idle_seconds
        self._places = settings.max_concurrent
        self._lease = settings.lease_seconds
        self._exempt = Prefixes(settings.exempt_paths) if settings.exempt_paths else None
        self._in_flight = InFlight()
        self._is_timed = self._total is not None or self._idle is not None
        if self._is_timed or self._places is not None:
            self.__dict__["admit"] = self._let_in  # nobody else pays for the hooks
        if self._places is not None:
            self.__dict__["finish"] = self._let_out
        if self._idle is not None:
            self.__dict__["head"] = self._stop_the_clock

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
        declared = exchange.found.get(b"content-length")
        return None if declared is None else self._judge_length(exchange, declared)

    def _judge_length(self, exchange: Exchange, declared: bytes) -> Reply | None:
        if exchange.header(b"transfer-encoding") is not None:
            return _BOTH_LENGTHS
        if not declared.isdigit() or len(set(exchange.header_lines(b"content-length"))) > 1:
            return _NO_LENGTH
        digits = declared.lstrip(b"0")[:_DIGITS_READ] or b"0"  # zeros in front must not push the others out of sight
        own: Allowance | None = exchange.cells.get(self)
        most, refusal = (self._body, self._too_large) if own is None else (own.max_body_bytes, own.too_large)
        return refusal if int(digits) > most else None

    def _let_in(self, exchange: Exchange) -> Reply | None:
        """Judge the head, then take a place, then start the clocks."""
        refusal = RequestLimitsLayer.admit(self, exchange)
        if refusal is not None:
            return refusal
        if (
            self._places is not None
            and (self._exempt is None or not self._exempt.cover(exchange.scope))
            and not self._in_flight.take(exchange, monotonic(), self._places, self._lease)
        ):
            return self._busy
        if self._is_timed and exchange.kind == "http" and self not in exchange.cells:
            self._begin(exchange)
        return None

    def _let_out(self, exchange: Exchange) -> None:
        self._in_flight.give_back(exchange)

    def _begin(self, exchange: Exchange) -> Allowance:
        exchange.cells[self] = own = Allowance(self._body, self._too_large)
        if self._total is not None:
            own.deadline = exchange.set_deadline(self, self._total, _TOO_LONG)
        if self._idle is not None:
            self._limit_idle(exchange, own, self._idle)
        return own

    def _limit_idle(self, exchange: Exchange, own: Allowance, seconds: float) -> None:
        if own.terms is None:
            own.clock = exchange.set_deadline(self, inf, _TOO_SLOW)
            own.receive, own.waiting = exchange.outside, 0
            exchange.outside = own
        own.renew(seconds, self._settings.min_body_bytes_per_second)

    def _stop_the_clock(self, exchange: Exchange, _headers: Headers) -> None:
        """Wait without a limit once the answer has begun: it may be a stream, and go on for long."""
        own: Allowance | None = exchange.cells.get(self)
        if own is not None and own.terms is not None:
            own.renew(inf, None)

    def inbound(self, exchange: Exchange, message: Message) -> Reply | None:
        """Count the body as it comes in."""
        if message["type"] != "http.request":
            return None
        own: Allowance = exchange.cells.get(self) or self._begin(exchange)
        own.received += len(message.get("body") or b"")
        if not message.get("more_body", False):
            own.is_received = True
        return own.too_large if own.received > own.max_body_bytes else None

    def override(self, exchange: Exchange, fields: Mapping[str, Any]) -> None:
        """Give one request other limits; the times count from when it is said, and a declared body is judged before."""
        _check(problems := Problems(self.name), fields)
        problems.raise_if_any()
        if exchange.kind != "http":
            return
        own: Allowance = exchange.cells.get(self) or self._begin(exchange)
        if "max_body_bytes" in fields:
            own.max_body_bytes = fields["max_body_bytes"] or _UNLIMITED
            own.too_large = _too_large(own.max_body_bytes)
        if "total_seconds" in fields:
            seconds: float = fields["total_seconds"] or inf
            if own.deadline is None:
                own.deadline = exchange.set_deadline(self, seconds, _TOO_LONG)
            own.deadline.renew(seconds)
        if "idle_seconds" in fields:
            self._limit_idle(exchange, own, fields["idle_seconds"] or inf)

    def answered(self, reply: Reply) -> None:
        """Count a refusal."""
        if reply.fault is not None:
            self.count(REQUEST_LIMITS_REJECTIONS, _LIMITS[reply.fault.code])

    def take_over(self, previous: Layer) -> None:
        """Go on with the requests that are in flight, as far as they were counted."""
        if isinstance(previous, RequestLimitsLayer):
            self._in_flight = previous._in_flight  # noqa: SLF001  it is one of these itself

    def refusals(self) -> Iterable[str]:
        """Say what is refused."""
        settings = self._settings
        rate, exempt = settings.min_body_bytes_per_second, settings.exempt_paths
        slowly = f", or stays below {rate:,} bytes/s" if rate else ""
        elsewhere = f", but under {', '.join(exempt)}" if exempt else ""
        rows = (
            (414, settings.max_url_bytes, "a URL of more than {:,} bytes"),
            (431, settings.max_headers, "more than {:,} headers"),
            (431, settings.max_header_bytes, "headers of more than {:,} bytes together"),
            (431, settings.max_header_line_bytes, "a header of more than {:,} bytes"),
            (413, settings.max_body_bytes, "a body of more than {:,} bytes, declared or streamed"),
            (408, settings.idle_seconds, "a body that does not go on for {:,} s" + slowly),
            (504, settings.total_seconds, "a response that is not complete after {:,} s"),
            (503, settings.max_concurrent, "what is more than {:,} requests at the same time" + elsewhere),
        )
        lines = [f"{status} for {what.format(limit)}" for status, limit, what in rows if limit is not None]
        return (*lines, "400 for Content-Length next to Transfer-Encoding, or one that is no whole number")


def _refusal(status: int, code: str, message: str, *, retry_after_seconds: int | None = None, **details: Any) -> Reply:
    fault = Fault(
        status=status,
        code=code,
        message=message,
        category=_CATEGORIES.get(status, ErrorCategory.VALIDATION),
        severity=ErrorSeverity.LOW if status < 500 else ErrorSeverity.MEDIUM,
        details=details,
        retryable=status in _CATEGORIES,
        retry_after=retry_after_seconds,
        suggestions=() if retry_after_seconds is None else (f"Try again in {retry_after_seconds} s.",),
    )
    headers = [] if retry_after_seconds is None else [(b"retry-after", b"%d" % retry_after_seconds)]
    return Reply.refusal(fault, headers=headers, close_connection=status in {400, 408, 413})


@lru_cache(64)
def _too_large(limit: int) -> Reply:
    return _refusal(413, "BODY_TOO_LARGE", "The request body is too large.", limit=limit)


_CATEGORIES = {408: ErrorCategory.TIMEOUT, 503: ErrorCategory.SYSTEM, 504: ErrorCategory.TIMEOUT}
_BOTH_LENGTHS = _refusal(400, "MALFORMED_REQUEST", "The request has both Content-Length and Transfer-Encoding.")
_NO_LENGTH = _refusal(400, "MALFORMED_REQUEST", "Content-Length is not one whole number.")
_TOO_SLOW = _refusal(408, "BODY_TOO_SLOW", "The request body came too slowly.")
_TOO_LONG = _refusal(504, "RESPONSE_TOO_SLOW", "The response took too long.")
_LIMITS: Final = {
    "URL_TOO_LONG": "url_bytes",
    "TOO_MANY_HEADERS": "headers",
    "HEADERS_TOO_LARGE": "header_bytes",
    "HEADER_TOO_LARGE": "header_line_bytes",
    "BODY_TOO_LARGE": "body_bytes",
    "TOO_MANY_AT_ONCE": "concurrent",
    "MALFORMED_REQUEST": "content_length",
    "BODY_TOO_SLOW": "idle_seconds",
    "RESPONSE_TOO_SLOW": "total_seconds",
}


class RequestLimitsMiddleware(Middleware):
    """Refuse requests that are too large, too many, too slow or malformed.

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
