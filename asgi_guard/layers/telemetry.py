"""Telemetry: how long every request took, how it ended, and how many are on their way.

Standard: the stable HTTP semantic conventions of OpenTelemetry. The duration goes to the last byte and leaves out what
the application does afterwards, in the background; a request that never got an answer is counted when its call ends.
Rule 1: a request costs a few additions; what is expensive is done when somebody reads.
Rule 2: nothing that a client has written becomes an attribute: no path, host, address, user agent or odd method.
Rule 3: a request is measured once, however many guards stand around the application.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypedDict, Unpack

from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.types import ASGIApp
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.monitor.process import aggregate_of_process, share
from asgi_guard.settings import Problems, build
from asgi_guard.telemetry.routes import route_of
from asgi_guard.telemetry.semconv import (
    ACTIVE_CONNECTIONS,
    ACTIVE_REQUESTS,
    CONNECTION_DURATION,
    KNOWN_METHODS,
    LAYER_DURATION,
    OTHER,
    REQUEST_DURATION,
    SCHEMES,
    VERSIONS,
)
from asgi_guard.telemetry.spans import Open, Spans

if TYPE_CHECKING:
    from asgi_guard.engine.exchange import Exchange
    from asgi_guard.monitor.cells import Series

CLIENT_DISCONNECT: Final = "client_disconnect"
"""The `error.type` of a request whose client left before its answer was whole."""

INCOMPLETE: Final = "incomplete_response"
"""The `error.type` of a request whose call ended without a whole answer, and without an exception that says why."""

FIRST_FAULT: Final = 500
MAX_KNOWN: Final = 4_096
"""How many kinds of answers are looked up at once; what goes beyond is found by the aggregate, which has a bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Settings of the telemetry.

    Attributes:
        excluded_paths: paths of requests that are not measured, such as those of probes: whole ones, or all that begin
            with what stands before a final `*`.
        known_methods: the methods that are told apart, 1 to 64; any other is `_OTHER`.
        spans: whether each request gets a server span, as soon as there is a tracer provider.
        tracer_provider: whose; by default OpenTelemetry's global one.
        is_public: whether the trace of a client is only linked to, and not gone on with.
        slow_seconds: from which duration on a request gets a span though the sampler dropped it, as one that fails
            does; it needs `sampling.KeepErrors` in the provider. None leaves it to the sampler.
        request_headers: the names of request headers to record on spans; what sounds like a secret is redacted.
        aggregate: where to count; by default in the aggregate of the process.
        shared_dir: the folder in which several workers count together, of this user alone, such as
            `"/run/shop/telemetry"`; `"auto"` for one under the system's temporary directory, keyed by the process that
            started the workers. None counts in the memory of each process.

    Raises:
        ConfigError: a field is wrong.
    """

    excluded_paths: Sequence[str] = ()
    known_methods: Sequence[str] = KNOWN_METHODS
    spans: bool = True
    tracer_provider: Any = None
    is_public: bool = False
    slow_seconds: float | None = None
    request_headers: Sequence[str] = ()
    aggregate: Aggregate | None = None
    shared_dir: str | None = None

    def __post_init__(self) -> None:
        problems = Problems("Telemetry")
        for name in ("excluded_paths", "known_methods", "request_headers"):
            value: object = getattr(self, name)
            if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(x, str) for x in value):
                problems.add("AG800", name, value, "must be a list of texts", "Put it in brackets.")
        problems.raise_if_any()


class TelemetryFields(TypedDict, total=False):
    """The fields of `Telemetry`, for keyword arguments."""

    excluded_paths: Sequence[str]
    known_methods: Sequence[str]
    spans: bool
    tracer_provider: Any
    is_public: bool
    slow_seconds: float | None
    request_headers: Sequence[str]
    aggregate: Aggregate | None
    shared_dir: str | None


class _Kind:
    """The requests of one method, scheme and version: how many are on their way, and how they have ended."""

    __slots__ = ("active", "answers", "method", "values")

    def __init__(self, active: Series, method: str, *values: str) -> None:
        self.active = active
        self.method = method
        self.values = values
        self.answers: dict[tuple[str, str, int, str], Series] = {}


class TelemetryLayer(Layer):
    """Measures each request."""

    name: ClassVar[str] = "telemetry"
    decides: ClassVar[bool] = False

    def __init__(self, settings: Telemetry, now_ns: Callable[[], int] = perf_counter_ns) -> None:
        self.settings: object = settings
        self._now_ns = now_ns
        self.aggregate: Aggregate = settings.aggregate or _aggregate(settings.shared_dir)
        self._durations: dict[str, Series] = {}
        self._methods = {method: method for method in settings.known_methods}
        whole = {path for path in settings.excluded_paths if not path.endswith("*")}
        self._excluded = frozenset(whole)
        self._excluded_beginnings = tuple(path[:-1] for path in settings.excluded_paths if path not in whole)
        self._spans: Spans | None = None
        if settings.spans:
            self.wants: frozenset[bytes] = frozenset({b"traceparent", b"tracestate", b"baggage", b"user-agent"})
            self._spans = Spans(
                settings.tracer_provider,
                is_public=settings.is_public,
                request_headers=[name.lower().encode() for name in settings.request_headers],
                slow_seconds=settings.slow_seconds,
            )
        self._kinds: dict[tuple[str, str, str], _Kind] = {}

    def admit(self, exchange: Exchange) -> None:
        """Take the time."""
        if self._excluded or self._excluded_beginnings:
            path = exchange.path
            if path in self._excluded or path.startswith(self._excluded_beginnings):
                return
        if exchange.is_repeated(self):
            return
        scope = exchange.scope
        method = scope.get("method", "")
        known = self._kinds.get((method, scope.get("scheme", ""), scope.get("http_version", "")))
        kind = known or self._kind(exchange)
        kind.active.add(1)
        opened = self._spans.begin(exchange, kind.method) if self._spans is not None else None
        exchange.cells[self] = (kind, self._now_ns(), opened)

    def _kind(self, exchange: Exchange) -> _Kind:
        """Find the kind of a request whose method, scheme or version was not seen yet, or is nobody's."""
        scope = exchange.scope
        is_socket = exchange.kind == "websocket"
        method = "" if is_socket else self._methods.get(scope.get("method", ""), OTHER)
        scheme = scope.get("scheme")
        scheme = scheme if scheme in SCHEMES else ("ws" if is_socket else "http")
        version = VERSIONS.get(scope.get("http_version", ""), "")
        kind = self._kinds.get((method, scheme, version))
        if kind is None:
            if is_socket:
                kind = _Kind(self.aggregate.series(ACTIVE_CONNECTIONS, scheme), "GET", scheme, version)
            else:
                kind = _Kind(self.aggregate.series(ACTIVE_REQUESTS, method, scheme), method, method, scheme, version)
            self._kinds[method, scheme, version] = kind
        return kind

    def complete(self, exchange: Exchange) -> None:
        """Measure a request whose answer is whole."""
        cell = exchange.cells.get(self)
        if cell is None or exchange.kind == "websocket":
            return
        kind, started_ns, opened = cell
        error = ""
        if exchange.is_gone:
            error = CLIENT_DISCONNECT
        elif exchange.status >= FIRST_FAULT:
            error = str(exchange.status) if exchange.failure is None else _name(exchange.failure)
        self._record(exchange, kind, started_ns, error, opened)
        exchange.cells[self] = (kind, 0, opened)

    def finish(self, exchange: Exchange) -> None:
        """Measure a request that was never answered whole, and a WebSocket."""
        cell = exchange.cells.get(self)
        if cell is None:
            return
        kind, started_ns, opened = cell
        kind.active.add(-1)
        if started_ns:
            error = ""
            if exchange.failure is not None and not exchange.is_gone:
                error = _name(exchange.failure)
            elif exchange.kind != "websocket":
                error = CLIENT_DISCONNECT if exchange.is_gone else INCOMPLETE
            self._record(exchange, kind, started_ns, error, opened)
        if opened is not None:
            opened.leave()

    def took(self, layer: Layer, nanoseconds: int) -> None:
        """Count how long a layer has taken with one request in 64."""
        series = self._durations.get(layer.name)
        if series is None:
            series = self._durations[layer.name] = self.aggregate.series(LAYER_DURATION, layer.name)
        series.record(nanoseconds)

    def _record(self, exchange: Exchange, kind: _Kind, started_ns: int, error: str, opened: Open | None) -> None:
        root, template = route_of(exchange.scope)
        status = exchange.status
        series = kind.answers.get((root, template, status, error))
        if series is None:
            metric = CONNECTION_DURATION if exchange.kind == "websocket" else REQUEST_DURATION
            told = str(status) if status else ""
            series = self.aggregate.series(metric, *kind.values, root + template, told, error)
            if len(kind.answers) < MAX_KNOWN:
                kind.answers[root, template, status, error] = series
        series.record(self._now_ns() - started_ns, None if opened is None else opened.sampled)
        if opened is not None and self._spans is not None:
            self._spans.end(exchange, opened, kind.method, root + template, error)


def _aggregate(shared_dir: str | None) -> Aggregate:
    if shared_dir is None:
        return aggregate_of_process()
    return share(None if shared_dir == "auto" else shared_dir)


def _name(exc: Exception) -> str:
    """Name the class of an exception, with its module where that is not the language's own."""
    found = type(exc)
    return found.__qualname__ if found.__module__ == "builtins" else f"{found.__module__}.{found.__qualname__}"


class TelemetryMiddleware(Middleware):
    """Measure every request of an application.

    Args:
        app: the application to wrap.
        settings: the settings, if not given one by one.
        fields: the fields of `Telemetry`.

    Raises:
        ConfigError: a field is wrong.
    """

    def __init__(self, app: ASGIApp, settings: Telemetry | None = None, **fields: Unpack[TelemetryFields]) -> None:
        super().__init__(app, TelemetryLayer(build(Telemetry, settings, fields)))
