"""Telemetry: how long every request took, how it ended, and how many are on their way.

Standard: the stable HTTP semantic conventions of OpenTelemetry. The duration goes to the last byte and leaves out what
the application does afterwards, in the background; a request that never got an answer is counted when its call ends.
Rule 1: a request costs a few additions; what is expensive is done when somebody reads.
Rule 2: nothing that a client has written becomes an attribute: no path, host, address, user agent or odd method.
Rule 3: a request is measured once, however many guards and instrumentations stand around the application.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, ClassVar, Final, Unpack

from asgi_guard.correlation import current_trace_id
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.types import ASGIApp, Headers, Message
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.settings import build
from asgi_guard.telemetry import access_log
from asgi_guard.telemetry.coexistence import NOTHING
from asgi_guard.telemetry.out import Out, aggregate_for, duration_metric
from asgi_guard.telemetry.routes import Roots, route_of
from asgi_guard.telemetry.semconv import (
    ACCESS_LOG_DROPPED,
    ACTIVE_CONNECTIONS,
    ACTIVE_REQUESTS,
    ANSWERS,
    CONNECTION_DURATION,
    KNOWN_METHODS,
    LAYER_DURATION,
    LEFT_REQUEST_DURATION,
    MESSAGES,
    OTHER,
    REQUEST_SIZE,
    RESPONSE_SIZE,
    SCHEMES,
    VERSIONS,
    error_type,
)
from asgi_guard.telemetry.settings import Telemetry, TelemetryFields
from asgi_guard.telemetry.shares import OURS, OURS_UNLESS_MARKED, THEIRS, Shares
from asgi_guard.telemetry.spans import Open, Spans

if TYPE_CHECKING:
    from asgi_guard.engine.exchange import Exchange
    from asgi_guard.monitor.cells import Series

__all__ = ["KNOWN_METHODS", "Telemetry", "TelemetryFields", "TelemetryLayer", "TelemetryMiddleware"]

CLIENT_DISCONNECT: Final = "client_disconnect"
"""The `error.type` of a request whose client left before its answer was whole."""

INCOMPLETE: Final = "incomplete_response"
"""The `error.type` of a request whose call ended without a whole answer, and without an exception that says why."""

FIRST_FAULT: Final = 500
FIRST_FAILURE: Final = 400
MAX_KNOWN: Final = 4_096
"""How many kinds of answers are looked up at once; what goes beyond is found by the aggregate, which has a bound."""

_logger: Final = logging.getLogger("asgi_guard")


class _Kind:
    """The requests of one method, scheme and version: how many are on their way, and how they have ended."""

    __slots__ = ("active", "answers", "is_socket", "left", "method", "values")

    def __init__(self, active: Series, method: str, *values: str, is_socket: bool = False) -> None:
        self.active = active
        self.method = method
        self.values = values
        self.is_socket = is_socket
        self.answers: dict[tuple[str, str, int, str], tuple[Series, ...]] = {}
        self.left: dict[tuple[str, str, int, str], Series] = {}


class TelemetryLayer(Layer):
    """Measures each request.

    Args:
        settings: what to measure.
        now_ns: a clock for durations, in nanoseconds.
        chance: draws from 0 to 1, for the access log's share.
    """

    name: ClassVar[str] = "telemetry"
    decides: ClassVar[bool] = False

    def __init__(
        self,
        settings: Telemetry,
        now_ns: Callable[[], int] = perf_counter_ns,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.settings: object = settings
        self._now_ns = now_ns
        self._chance = chance
        self._shares = Shares(settings.http)
        self.aggregate: Aggregate = aggregate_for(settings)
        self._request_duration = duration_metric(self.aggregate, settings.duration_bounds)
        self._left_duration = duration_metric(self.aggregate, settings.duration_bounds, LEFT_REQUEST_DURATION)
        self._out = Out(settings, self.aggregate)
        self._durations: dict[str, Series] = {}
        self._roots = Roots()
        self._methods = {method: method for method in settings.known_methods}
        whole = {path for path in settings.excluded_paths if not path.endswith("*")}
        self._excluded = frozenset(whole)
        self._excluded_beginnings = tuple(path[:-1] for path in settings.excluded_paths if path not in whole)
        self._exclude = settings.exclude
        self._excludes = bool(settings.excluded_paths) or settings.exclude is not None
        self._kinds: dict[tuple[str, str, str], _Kind] = {}
        self._spans: Spans | None = None
        if settings.spans:
            self.wants: frozenset[bytes] = frozenset({b"traceparent", b"tracestate", b"baggage", b"user-agent"})
            self._spans = Spans(
                settings.tracer_provider,
                is_public=settings.is_public,
                request_headers=[name.lower().encode() for name in settings.request_headers],
                response_headers=[name.lower().encode() for name in settings.response_headers],
                slow_seconds=settings.slow_seconds,
            )
        if settings.spans and settings.response_headers:
            vars(self)["head"] = self._head
        self._traffic = settings.traffic
        self._log = settings.access_log_settings()
        self._writer: access_log.Writer | None = None
        if self._log is not None:
            self._writer = access_log.Writer(self._log, self.aggregate.series(ACCESS_LOG_DROPPED).add)
        if self._traffic or self._log is not None:  # hooks that nobody needs are not there
            vars(self).update(inbound=self._inbound, outbound=self._outbound)
        self._received = self.aggregate.series(MESSAGES, "received") if self._traffic else None
        self._sent = self.aggregate.series(MESSAGES, "sent") if self._traffic else None

    def wraps(self, app: Any) -> None:
        """Know the application, which may measure requests itself."""
        self._shares.wraps(app)

    def admit(self, exchange: Exchange) -> None:
        """Take the time."""
        if self._excludes and self._is_excluded(exchange):
            opened = None if self._spans is None or exchange.is_repeated(self) else self._spans.exclude()
            if opened is not None:
                exchange.cells[self] = [None, 0, opened, THEIRS, None, None]
            return
        if (exchange.is_inside or exchange.plan.repeated) and exchange.is_repeated(self):
            return
        if self._out.is_waiting:
            self._out.set_up_late()
        scope = exchange.scope
        known = self._kinds.get((scope.get("method", ""), scope.get("scheme", ""), scope.get("http_version", "")))
        kind = known or self._kind(exchange)
        theirs, whose, opened = NOTHING, OURS, None
        is_alone = self._shares.is_alone
        if not is_alone:
            theirs, whose = self._shares.begin(exchange)
        if kind.is_socket:
            whose = OURS  # nobody else tells the metrics of connections
        if whose <= OURS_UNLESS_MARKED:
            kind.active.add(1)
        if self._spans is not None and not theirs.spans:
            opened = self._spans.begin(exchange, kind.method)
        if not is_alone and not any(theirs) and self._shares.claim(exchange, has_span=opened is not None):
            whose = OURS
        sizes = [0, 0] if self._traffic or self._log is not None else None
        exchange.cells[self] = [kind, self._now_ns(), opened, whose, sizes, None]

    def _is_excluded(self, exchange: Exchange) -> bool:
        path = exchange.path
        if path in self._excluded or path.startswith(self._excluded_beginnings):
            return True
        if self._exclude is None:
            return False
        try:
            return self._exclude(exchange.scope)
        except Exception:
            _logger.exception("what is excluded from the telemetry cannot be asked for; the request is measured")
            return False

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
                active = self.aggregate.series(ACTIVE_CONNECTIONS, scheme)
                kind = _Kind(active, "GET", scheme, version, is_socket=True)
            else:
                kind = _Kind(self.aggregate.series(ACTIVE_REQUESTS, method, scheme), method, method, scheme, version)
            self._kinds[method, scheme, version] = kind
        return kind

    def _inbound(self, exchange: Exchange, message: Message) -> None:
        cell = exchange.cells.get(self)
        if cell is None or cell[4] is None:
            return
        if message["type"] == "http.request":
            cell[4][0] += len(message.get("body", b""))
        elif self._received is not None and message["type"] == "websocket.receive":
            self._received.add()

    def _outbound(self, exchange: Exchange, message: Message) -> None:
        cell = exchange.cells.get(self)
        if cell is None or cell[4] is None:
            return
        if message["type"] == "http.response.body":
            if exchange.method != "HEAD":  # what servers keep back
                cell[4][1] += len(message.get("body", b""))
        elif self._sent is not None and message["type"] == "websocket.send":
            self._sent.add()

    def _head(self, exchange: Exchange, headers: Headers) -> None:
        cell = exchange.cells.get(self)
        if cell is not None and cell[0] is not None and cell[2] is not None and self._spans is not None:
            self._spans.note_response(cell[2], headers)

    def complete(self, exchange: Exchange) -> None:
        """Measure a request whose answer is whole."""
        cell = exchange.cells.get(self)
        if cell is None:
            return
        kind, started_ns = cell[0], cell[1]
        if kind is None or kind.is_socket:
            return
        if not self._shares.is_alone:
            self._shares.settle()
        took_ns = self._now_ns() - started_ns
        if self._log is not None and cell[2] is None:
            cell[5] = current_trace_id()  # of whoever has made the span: at the end of the call nobody knows it
        if exchange.is_gone:
            error = CLIENT_DISCONNECT
        elif exchange.status < FIRST_FAULT:
            error = ""
        elif exchange.failure is not None:
            error = error_type(exchange.failure)
        else:  # frameworks answer for an exception before they raise it
            cell[1] = -took_ns
            return
        cell[1] = 0
        self._record(exchange, cell, error, took_ns)

    def finish(self, exchange: Exchange) -> None:
        """Measure a request that was never answered whole, and a WebSocket."""
        if exchange.replied and self not in exchange.plan.repeated:
            self._count_answer(exchange)
        cell = exchange.cells.get(self)
        if cell is None:
            return
        kind, started_ns, opened, whose, *_ = cell
        try:
            if kind is not None:
                if whose <= OURS_UNLESS_MARKED:
                    kind.active.add(-1)
                if started_ns:
                    self._finish(exchange, cell, started_ns)
        finally:  # whatever fails, the context is that of whoever called
            if opened is not None:
                opened.leave()

    def _finish(self, exchange: Exchange, cell: list[Any], started_ns: int) -> None:
        """Record what `complete` has not: it was not asked, or it waited for the exception behind a 500."""
        error = "" if exchange.failure is None else error_type(exchange.failure)
        if started_ns < 0:
            self._record(exchange, cell, error or str(exchange.status), -started_ns)
        else:
            if not cell[0].is_socket and (exchange.is_gone or not error):
                error = CLIENT_DISCONNECT if exchange.is_gone else INCOMPLETE
            elif exchange.is_gone:
                error = ""
            self._record(exchange, cell, error, self._now_ns() - started_ns)

    def took(self, layer: Layer, nanoseconds: int) -> None:
        """Count how long a layer has taken with one request in 64; as rarely, look for a meter provider."""
        series = self._durations.get(layer.name)
        if series is None:
            series = self._durations[layer.name] = self.aggregate.series(LAYER_DURATION, layer.name)
        series.record(nanoseconds)
        if layer is self and self._out.has_come():
            for kind in tuple(self._kinds.values()):  # another thread may meet one that is new
                kind.answers.clear()

    async def start(self) -> None:
        """Open the folder that workers share, and set up what sends the numbers out, where there is any."""
        if self._out.is_waiting:
            from anyio import to_thread

            await to_thread.run_sync(self._out.set_up)

    async def shutdown(self) -> None:
        """Send, and write, what is left."""
        from anyio import to_thread

        await to_thread.run_sync(self._out.flush)
        if self._writer is not None:
            await to_thread.run_sync(self._writer.close)

    def take_over(self, previous: Layer) -> None:
        """End the access log of the layer that stood here; requests on their way may still write to it."""
        if isinstance(previous, TelemetryLayer) and previous._writer is not None:  # noqa: SLF001
            previous._writer.close(0)  # noqa: SLF001

    def _count_answer(self, exchange: Exchange) -> None:
        status = str(exchange.status) if exchange.status else ""
        self.aggregate.series(ANSWERS, exchange.plan.layers[exchange.answered_at].name, status).add()

    def _record(self, exchange: Exchange, cell: list[Any], error: str, took_ns: int) -> None:
        kind: _Kind
        opened: Open | None
        kind, _, opened, whose, sizes, trace = cell
        answering = exchange.plan.layers[exchange.answered_at] if exchange.replied else None
        if answering is not None and answering.is_aside:
            return
        root, template = route_of(exchange.scope if exchange.inner is None else exchange.innermost.scope)
        if root:
            root = self._roots.told(root)
        status = exchange.status
        if opened is None and not exchange.is_admitted and self._spans is not None:
            opened = self._spans.made(exchange, kind.method, took_ns) if self._shares.is_nobodys(exchange) else None
        if whose == OURS or (whose != THEIRS and self._shares.is_ours(exchange, whose)):
            known = kind.answers.get((root, template, status, error))
            if known is None:
                known = self._found(kind, root, template, status, error)
            known[0].record(took_ns, None if opened is None else opened.sampled)
            if sizes is not None and len(known) > 1:
                known[1].record(sizes[0])
                known[2].record(sizes[1])
        else:  # told by somebody else, and watched here
            left = kind.left.get((root, template, status, error)) or self._found_left(
                kind, root, template, status, error
            )
            left.record(took_ns)
        if opened is not None and self._spans is not None:
            self._spans.end(exchange, opened, kind.method, root + template, error)
        if self._log is None or self._writer is None or sizes is None:
            return
        if error or status >= FIRST_FAILURE or self._chance() < self._log.share:
            answered_by = "" if answering is None else answering.name
            trace_id = int(trace or current_trace_id() or "0", 16) if opened is None else opened.trace_id
            told = (kind.method, root + template, error, took_ns, sizes, trace_id, answered_by)
            self._writer.put(access_log.access_of(exchange, *told, with_query=self._log.query))

    def _found(self, kind: _Kind, root: str, template: str, status: int, error: str) -> tuple[Series, ...]:
        """Find where a kind of answer is counted, and remember it while there is room."""
        metrics = [CONNECTION_DURATION] if kind.is_socket else [self._request_duration]
        if self._traffic and not kind.is_socket:
            metrics += [REQUEST_SIZE, RESPONSE_SIZE]
        values = (*kind.values, root + template, str(status) if status else "", error)
        first, *others = [self.aggregate.series(metric, *values) for metric in metrics]
        found = (self._out.both(first), *others)
        if len(kind.answers) < MAX_KNOWN:
            kind.answers[root, template, status, error] = found
        return found

    def _found_left(self, kind: _Kind, root: str, template: str, status: int, error: str) -> Series:
        values = (*kind.values, root + template, str(status) if status else "", error)
        found = self.aggregate.series(self._left_duration, *values)
        if len(kind.left) < MAX_KNOWN:
            kind.left[root, template, status, error] = found
        return found


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
