"""Spans: one server span a request, by the stable HTTP semantic conventions, through OpenTelemetry's public API alone.

Nobody who has set up no tracer provider pays for one: then there is no span, and OpenTelemetry is not even imported.
Rule 1: a span ends with the last byte, or with the call where there is none; whatever its attributes say was bounded.
Rule 2: the context is left in the task that entered it, and never by the ticker, which answers in one of its own.
Rule 3: no span for single messages: they cost more than the request, and nobody reads them.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from contextvars import Token
from random import getrandbits
from typing import TYPE_CHECKING, Any, Final

from asgi_guard.telemetry.secrets import redacted_query, shown_header
from asgi_guard.telemetry.semconv import OTHER

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
_logger: Final = logging.getLogger("asgi_guard.telemetry")
_HOST: Final = b"host"
_KEEPER: Final = "asgi_guard.telemetry.sampling"
_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)


class Open:
    """The span of one request, and what has to be undone when it ends."""

    __slots__ = ("context", "span", "started_ns", "token")

    def __init__(self, span: Any, context: Any, token: Any, started_ns: int) -> None:
        self.span: Any = span
        self.context: Any = context
        self.token: Token[Any] | None = token
        self.started_ns: int = started_ns

    @property
    def trace_id(self) -> int:
        """The id of the trace, sampled or not."""
        return int(self.span.get_span_context().trace_id)

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
        response_headers: those of the response headers.
        slow_seconds: from which duration on a request is worth a span that the sampler had dropped; None for never.
    """

    def __init__(
        self,
        provider: Any = None,
        *,
        is_public: bool = False,
        request_headers: Iterable[bytes] = (),
        response_headers: Iterable[bytes] = (),
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
        self._response_headers = {name: f"http.response.header.{name.decode()}" for name in response_headers}
        self._slow_seconds = slow_seconds
        self._fields: tuple[bytes, ...] = ()
        self._samples_blindly = False
        self._is_broken = self._has_complained = False

    def begin(self, exchange: Exchange, method: str, ago_ns: int = 0) -> Open | None:
        """Start the span of a request, and enter it; None where nobody traces, or OpenTelemetry fails.

        Args:
            exchange: the request.
            method: the method, or `_OTHER`.
            ago_ns: how long ago the request began.
        """
        try:
            tracer = self._tracer or self._find_tracer()
            return None if tracer is None else self._begun(tracer, exchange, method, ago_ns)
        except Exception as failure:  # noqa: BLE001  a sampler, a processor, a propagator that cannot be loaded
            self._complain(failure)
            return None

    def made(self, exchange: Exchange, method: str, took_ns: int) -> Open | None:
        """Start the span of a request that is over, as of when it began; its context is left at once."""
        opened = self.begin(exchange, method, took_ns)
        if opened is not None:
            opened.leave()
        return opened

    def _begun(self, tracer: Any, exchange: Exchange, method: str, ago_ns: int) -> Open:
        parent, links = self._parent(exchange)
        started_ns = time.time_ns() - ago_ns
        name = _name(exchange, method)
        if self._samples_blindly:
            span = tracer.start_span(name, parent, self._server, None, links, started_ns)
            if span.is_recording():
                span.set_attributes(self._first_attributes(exchange, method))
        else:
            attributes = self._first_attributes(exchange, method)
            span = tracer.start_span(name, parent, self._server, attributes, links, started_ns)
        entered = self._trace.set_span_in_context(span, parent)
        return Open(span, entered, self._context.attach(entered), started_ns)

    def exclude(self) -> Open | None:
        """Enter a context in which nothing is traced; None where nobody traces.

        Samplers that go by a span's parent drop whatever is begun in it: its parent is in a trace that was not sampled.
        What OpenTelemetry has instrumented begins nothing at all.
        """
        try:
            if (self._tracer or self._find_tracer()) is None:
                return None
        except Exception as failure:  # noqa: BLE001
            self._complain(failure)
            return None
        trace = self._trace
        nowhere = trace.SpanContext(getrandbits(128) or 1, getrandbits(64) or 1, is_remote=False)
        utils: Any = sys.modules.get("opentelemetry.instrumentation.utils")
        with nullcontext() if utils is None else utils.suppress_instrumentation():
            untraced = trace.set_span_in_context(trace.NonRecordingSpan(nowhere))
        return Open(None, None, self._context.attach(untraced), 0)

    def note_response(self, opened: Open, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Record those headers of the response that were asked for."""
        if not opened.span.is_recording():
            return
        lines: dict[bytes, list[str]] = {}
        for name, value in headers:
            if name in self._response_headers and len(lines.setdefault(name, [])) < MOST_LINES:
                lines[name].append(shown_header(name, value, LONGEST))
        opened.span.set_attributes({self._response_headers[name]: values for name, values in lines.items()})

    def end(self, exchange: Exchange, opened: Open, method: str, route: str, error: str) -> None:
        """End the span of a request.

        Args:
            exchange: the request.
            opened: what `begin` returned.
            method: the method, or `_OTHER`.
            route: the template of the route; empty where nobody has named one.
            error: the `error.type`; empty where there is none.
        """
        try:
            self._ended(exchange, opened, method, route, error)
        except Exception as failure:  # noqa: BLE001  the request has its answer
            self._complain(failure)

    def _ended(self, exchange: Exchange, opened: Open, method: str, route: str, error: str) -> None:
        span = opened.span
        ended_ns = time.time_ns()
        if not span.is_recording():
            kept = self._worth(opened, error, ended_ns)
            if not kept:
                return
            span = self._again(exchange, opened, method, kept)
            if not span.is_recording():
                return
        span.set_attributes(self._last_attributes(exchange, route, error))
        if route:
            span.update_name(f"{_name(exchange, method)} {route}")
        if error and (exchange.status >= _FIRST_FAULT or exchange.failure is not None or not exchange.status):
            span.set_status(self._trace.Status(self._trace.StatusCode.ERROR))
        try:
            if exchange.failure is not None:
                span.record_exception(exchange.failure)
        finally:  # an exception whose own text raises has to end, too
            span.end(ended_ns)

    def _complain(self, failure: Exception) -> None:
        """Log what OpenTelemetry has raised, once: it fails no request."""
        if not self._has_complained:
            self._has_complained = True
            _logger.error("OpenTelemetry fails, and requests go without a span; this is said once", exc_info=failure)

    def _find_tracer(self) -> Any:
        provider = self._provider
        if provider is None:
            api: Any = sys.modules.get("opentelemetry.trace")
            if not hasattr(api, "ProxyTracerProvider"):  # absent, or another thread is importing it
                return None
            provider = api.get_tracer_provider()
            if isinstance(provider, api.ProxyTracerProvider):
                return None
        if self._is_broken:
            return None
        self._is_broken = True  # unless all of this works: OTEL_PROPAGATORS may name one that is not installed
        # Kept, since an import statement costs more than what a request needs of these.
        from opentelemetry import context, propagate, trace

        self._context, self._propagate, self._trace = context, propagate, trace
        self._server = trace.SpanKind.SERVER
        self._samples_blindly = _looks_at_nothing(getattr(provider, "sampler", None))
        self._is_broken = False
        self._tracer = provider.get_tracer("asgi_guard", sys.modules["asgi_guard"].__version__, schema_url=SCHEMA)
        return self._tracer

    def _parent(self, exchange: Exchange) -> tuple[Any, Sequence[Any]]:
        """Read whose child this request is, by the propagators that the process is set up with."""
        if not self._fields:
            names = self._propagate.get_global_textmap().fields
            self._fields = tuple(sorted(name.lower().encode() for name in names)) or (b"traceparent",)
        found = exchange.found
        here = self._context.get_current()
        wants = exchange.plan.wants
        if not any(field in found if field in wants else exchange.header(field) for field in self._fields):
            return here, ()
        carrier = {
            field.decode(): ",".join(line.decode("latin-1") for line in lines)
            for field in self._fields
            if (lines := exchange.header_lines(field))
        }
        parent = self._propagate.extract(carrier, here)
        if not self._is_public:
            return parent, ()
        theirs = self._trace.get_current_span(parent).get_span_context()
        return here, [self._trace.Link(theirs)] if theirs.is_valid else ()

    def _first_attributes(self, exchange: Exchange, method: str) -> dict[str, Any]:
        """Collect what a sampler may want to know, and what is known at once."""
        scope = exchange.scope
        attributes: dict[str, Any] = {
            "http.request.method": method,  # every handshake of a WebSocket that a server of HTTP/1.1 knows is a GET
            "url.scheme": exchange.scheme,
            "url.path": exchange.path[:LONGEST],
        }
        if method == OTHER:
            attributes["http.request.method_original"] = exchange.method[:32]
        query = scope.get("query_string")
        if query:
            attributes["url.query"] = redacted_query(query.decode("latin-1"), LONGEST)
        agent = exchange.header(b"user-agent")
        if agent:
            attributes["user_agent.original"] = agent[:LONGEST].decode("latin-1")
        version = scope.get("http_version")
        if version:
            attributes["network.protocol.version"] = str(version)[:8]
        return attributes

    def _last_attributes(self, exchange: Exchange, route: str, error: str) -> dict[str, Any]:
        """Collect what is known only now: layers further in may have found another client and host."""
        attributes: dict[str, Any] = {}
        if exchange.status:
            attributes["http.response.status_code"] = exchange.status
        if route:
            attributes["http.route"] = route
        if error:
            attributes["error.type"] = error
        if exchange.client:
            attributes["client.address"] = exchange.client
        host = exchange.header(_HOST)
        if host:
            attributes["server.address"], port = _host_and_port(host[:LONGEST].decode("latin-1"))
            if port:
                attributes["server.port"] = port
        for header, attribute in self._request_headers:
            lines = exchange.header_lines(header)
            if lines:
                attributes[attribute] = [shown_header(header, line, LONGEST) for line in lines[:MOST_LINES]]
        return attributes

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
    return "HTTP" if method == OTHER else method


def _looks_at_nothing(sampler: Any) -> bool:
    """Tell whether a sampler is one of the SDK's, which go by the trace alone.

    Then a span that is dropped, as most are, needs no attributes, which cost more than the span.
    """
    found: Any = sys.modules.get("opentelemetry.sdk.trace.sampling")
    kind: Any = sampler.__class__
    state: dict[str, Any] = getattr(sampler, "__dict__", {})
    if found is None or kind.__module__ != found.__name__:
        return kind.__name__ == "KeepErrors" and kind.__module__ == _KEEPER and _looks_at_nothing(sampler.sampler)
    if isinstance(sampler, found.ParentBased):
        asked: list[Any] = [value for value in state.values() if isinstance(value, found.Sampler)]
        return bool(asked) and all(map(_looks_at_nothing, asked))
    return isinstance(sampler, found.TraceIdRatioBased | found.StaticSampler)


def _host_and_port(host: str) -> tuple[str, int]:
    name, colon, port = host.rpartition(":")
    if colon and _PORT.fullmatch(port) and not name.endswith(":"):
        return name.strip("[]"), int(port)
    return host.strip("[]"), 0
