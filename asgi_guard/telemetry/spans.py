"""Spans: one server span a request, by the stable HTTP semantic conventions, through OpenTelemetry's public API alone.

Nobody who has set up no tracer provider pays for one: then there is no span, and OpenTelemetry is not even imported.
Rule 1: a span ends with the last byte, or with the call where there is none; whatever its attributes say was bounded.
Rule 2: the context is left in the task that entered it, and never by the ticker, which answers in one of its own.
Rule 3: no span for single messages: they cost more than the request, and nobody reads them.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import Token
from typing import TYPE_CHECKING, Any, Final

from asgi_guard.telemetry.secrets import redacted_query, shown_header

if TYPE_CHECKING:
    from asgi_guard.engine.exchange import Exchange

SCHEMA: Final = "https://opentelemetry.io/schemas/1.44.0"
LONGEST: Final = 1_024
"""The characters kept of a path, a query or a header: an attribute that a client has written is not sized by it."""

MOST_LINES: Final = 16
"""The lines kept of one header."""

KEPT: Final = "asgi_guard.sampling.kept"
"""The attribute that says why a span was kept which the sampler had dropped; see `sampling.KeepErrors`."""

_FIRST_FAULT: Final = 500
_HOST: Final = b"host"
_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)


class Open:
    """The span of one request, and what has to be undone when it ends."""

    __slots__ = ("context", "span", "started_ns", "token")

    def __init__(self, span: Any, context: Any, token: Any, started_ns: int) -> None:
        self.span = span
        self.context = context
        self.token: Token[Any] | None = token
        self.started_ns = started_ns

    @property
    def sampled(self) -> tuple[int, int] | None:
        """The ids of the trace and of the span, for an exemplar; None where nobody will find them."""
        context = self.span.get_span_context()
        return (context.trace_id, context.span_id) if context.trace_flags.sampled else None

    def leave(self) -> None:
        """Leave the context that the span was entered in, where that is still the one that runs."""
        token, self.token = self.token, None
        if token is not None:
            with suppress(ValueError):  # the call ends in another context than it began in
                token.var.reset(token)


class Spans:
    """Makes the server spans of a guard.

    Args:
        provider: the tracer provider; by default the global one, as soon as there is one.
        is_public: whether the trace of a client is only linked to, and not gone on with, so that nobody outside can
            decide what is sampled or carry baggage in.
        request_headers: lower-case names of the request headers to record.
        slow_seconds: from which duration on a request is worth a span that the sampler had dropped; None for never.
    """

    def __init__(
        self,
        provider: Any = None,
        *,
        is_public: bool = False,
        request_headers: Iterable[bytes] = (),
        slow_seconds: float | None = None,
    ) -> None:
        self._provider = provider
        self._tracer: Any = None
        self._context: Any = None
        self._propagate: Any = None
        self._trace: Any = None
        self._server: Any = None
        self._is_public = is_public
        self._request_headers = [(name, f"http.request.header.{name.decode()}") for name in request_headers]
        self._slow_seconds = slow_seconds
        self._fields: tuple[bytes, ...] = ()

    def begin(self, exchange: Exchange, method: str) -> Open | None:
        """Start the span of a request, and enter it; None where nobody traces."""
        tracer = self._tracer or self._find_tracer()
        if tracer is None:
            return None
        parent, links = self._parent(exchange)
        started_ns = time.time_ns()
        span = tracer.start_span(
            _name(exchange, method),
            context=parent,
            kind=self._server,
            attributes=self._first_attributes(exchange, method),
            links=links,
            start_time=started_ns,
        )
        entered = self._trace.set_span_in_context(span, parent)
        return Open(span, entered, self._context.attach(entered), started_ns)

    def end(self, exchange: Exchange, opened: Open, method: str, route: str, error: str) -> None:
        """End the span of a request.

        Args:
            exchange: the request.
            opened: what `begin` returned.
            method: the method, or `_OTHER`.
            route: the template of the route; empty where nobody has named one.
            error: the `error.type`; empty where there is none.
        """
        span = opened.span
        ended_ns = time.time_ns()
        if not span.is_recording():
            kept = self._worth(opened, error, ended_ns)
            if not kept:
                return
            span = self._again(exchange, opened, method, kept)
            if not span.is_recording():
                return
        for name, value in self._last_attributes(exchange, route, error):
            span.set_attribute(name, value)
        if route:
            span.update_name(f"{_name(exchange, method)} {route}")
        if error and (exchange.status >= _FIRST_FAULT or exchange.failure is not None or not exchange.status):
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR))
        if exchange.failure is not None:
            span.record_exception(exchange.failure)
        span.end(ended_ns)

    def _find_tracer(self) -> Any:
        provider = self._provider
        if provider is None:
            api: Any = sys.modules.get("opentelemetry.trace")
            if not hasattr(api, "ProxyTracerProvider"):  # absent, or another thread is importing it
                return None
            provider = api.get_tracer_provider()
            if isinstance(provider, api.ProxyTracerProvider):
                return None
        # Kept, since an import statement costs more than what a request needs of these.
        from opentelemetry import context, propagate, trace

        from asgi_guard import __version__

        self._context, self._propagate, self._trace = context, propagate, trace
        self._server = trace.SpanKind.SERVER
        self._tracer = provider.get_tracer("asgi_guard", __version__, schema_url=SCHEMA)
        return self._tracer

    def _parent(self, exchange: Exchange) -> tuple[Any, Sequence[Any]]:
        """Read whose child this request is, by the propagators that the process is set up with."""
        if not self._fields:
            names = self._propagate.get_global_textmap().fields
            self._fields = tuple(sorted(name.lower().encode() for name in names)) or (b"traceparent",)
        found = exchange.found
        carrier: dict[str, str] = {}
        for field in self._fields:
            if field in found or exchange.header(field) is not None:
                carrier[field.decode()] = ",".join(line.decode("latin-1") for line in exchange.header_lines(field))
        here = self._context.get_current()
        if not carrier:
            return here, ()
        parent = self._propagate.extract(carrier, here)
        if not self._is_public:
            return parent, ()
        theirs = self._trace.get_current_span(parent).get_span_context()
        return here, [self._trace.Link(theirs)] if theirs.is_valid else ()

    def _first_attributes(self, exchange: Exchange, method: str) -> dict[str, Any]:
        """Collect what a sampler may want to know."""
        scope = exchange.scope
        attributes: dict[str, Any] = {"url.scheme": exchange.scheme, "url.path": exchange.path[:LONGEST]}
        if exchange.kind != "websocket":
            attributes["http.request.method"] = method
            if exchange.method != method:
                attributes["http.request.method_original"] = exchange.method[:32]
        else:
            attributes["http.request.method"] = "GET"  # every handshake that a server of HTTP/1.1 knows
        query = scope.get("query_string")
        if query:
            attributes["url.query"] = redacted_query(query.decode("latin-1"), LONGEST)
        agent = exchange.header(b"user-agent")
        if agent:
            attributes["user_agent.original"] = agent[:LONGEST].decode("latin-1")
        return attributes

    def _last_attributes(self, exchange: Exchange, route: str, error: str) -> Iterable[tuple[str, Any]]:
        """Give out what is known only now, or of no use to a sampler."""
        if exchange.status:
            yield "http.response.status_code", exchange.status
        if route:
            yield "http.route", route
        if error:
            yield "error.type", error
        version = exchange.scope.get("http_version")
        if version:
            yield "network.protocol.version", str(version)[:8]
        if exchange.client:
            yield "client.address", exchange.client
        host = exchange.header(_HOST)
        if host:
            name, port = _host_and_port(host[:LONGEST].decode("latin-1"))
            yield "server.address", name
            if port:
                yield "server.port", port
        for header, attribute in self._request_headers:
            lines = exchange.header_lines(header)
            if lines:
                yield attribute, [shown_header(header, line, LONGEST) for line in lines[:MOST_LINES]]

    def _worth(self, opened: Open, error: str, ended_ns: int) -> str:
        """Say why a span that the sampler has dropped is worth keeping; empty where it is not."""
        if self._slow_seconds is None:
            return ""
        if error:
            return "error"
        return "slow" if ended_ns - opened.started_ns >= self._slow_seconds * 1e9 else ""

    def _again(self, exchange: Exchange, opened: Open, method: str, kept: str) -> Any:
        """Ask for the span once more, now that it is known how the request ended; a `KeepErrors` sampler grants it."""
        attributes: Mapping[str, Any] = {**self._first_attributes(exchange, method), KEPT: kept}
        return self._tracer.start_span(
            _name(exchange, method),
            context=opened.context,  # it has the trace id of what was logged meanwhile
            kind=self._server,
            attributes=attributes,
            start_time=opened.started_ns,
        )


def _name(exchange: Exchange, method: str) -> str:
    """Name a span whose route is not known: by its method, since a path has any number of values."""
    if exchange.kind == "websocket":
        return "GET"
    return "HTTP" if method == "_OTHER" else method


def _host_and_port(host: str) -> tuple[str, int]:
    name, colon, port = host.rpartition(":")
    if colon and _PORT.fullmatch(port) and not name.endswith(":"):
        return name.strip("[]"), int(port)
    return host.strip("[]"), 0
