"""Request id: one name for a request, in the log, in every answer, and for the application.

The id stands in `exchange.request_id`, in `scope["state"]["request_id"]`, in `asgi_guard.correlation` for log records,
and in the response header, on refusals and errors too. One that comes from outside is taken over only from a trusted
proxy, unless the settings say otherwise, and only if it stands there alone and is 8 to 128 characters of
`A-Z a-z 0-9 . _ ~ -`: an id goes into log lines, headers and error bodies. A trace that a trusted proxy has begun is
noted next to it, as `trace_id`, and answered with, as is that of OpenTelemetry's current span.
Must never refuse a request.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import ClassVar, Literal, TypedDict, Unpack

from asgi_guard.correlation import current_trace_id, request_id_var, seen_trace_var, trace_id_of, trace_id_var
from asgi_guard.engine import headers as header_list
from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.types import ASGIApp, Headers
from asgi_guard.events import Listener
from asgi_guard.settings import Problems, build, shown

logger: logging.Logger = logging.getLogger("asgi_guard")

_INBOUND = ("trusted", "always", "never")
_SOUND = re.compile(rb"[A-Za-z0-9._~-]{8,128}")
_VISIBLE = re.compile(r"[!-~]{1,128}")

_BATCH = 64
_ids: list[str] = []


def new_request_id() -> str:
    """Make an id: `req_` and 128 random bits of the system's generator."""
    try:
        return _ids.pop()  # nobody else can get the same one, with a GIL or without one
    except IndexError:
        _refill()
        return new_request_id()


def _refill() -> None:
    """Draw the bits of many ids at once: a system call for each would show."""
    bits = os.urandom(16 * _BATCH).hex(",", 16)
    _ids[:] = [f"req_{of_one}" for of_one in bits.split(",")]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_refill)  # forked workers must not hand out the same ids


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestID:
    """Settings of the request id.

    Attributes:
        header: the header that carries it, both ways.
        inbound: whose ids are taken over: those of `"trusted"` proxies, `"always"` everyone's, or `"never"` any. One
            that is not 8 to 128 characters of `A-Z a-z 0-9 . _ ~ -` is replaced, whoever sent it.
        factory: makes a new id: text of 1 to 128 visible ASCII characters. Where it does not, a default id is made, and
            the first time that is logged.
        trace_header: the response header that names the trace, where there is one; None sends none.

    Raises:
        ConfigError: a field is wrong.
    """

    header: str = "X-Request-ID"
    inbound: Literal["trusted", "always", "never"] = "trusted"
    factory: Callable[[], str] = new_request_id
    trace_header: str | None = "X-Trace-ID"

    def __post_init__(self) -> None:
        problems = Problems("RequestID")
        problems.header_name("header", self.header)
        problems.choice("inbound", self.inbound, _INBOUND)
        if problems.callable("factory", self.factory) and iscoroutinefunction(self.factory):
            problems.add("AG230", "factory", self.factory, "must not be async", "Make it a plain function.")
        trace = self.trace_header
        is_name = trace is None or problems.header_name("trace_header", trace)
        if is_name and trace is not None and trace.lower() == str(self.header).lower():
            rule, remedy = "must not be that of the request id", "Give it another name, or None."
            problems.add("AG231", "trace_header", trace, rule, remedy)
        problems.raise_if_any()


class RequestIDFields(TypedDict, total=False):
    """The fields of `RequestID`, for keyword arguments."""

    header: str
    inbound: Literal["trusted", "always", "never"]
    factory: Callable[[], str]
    trace_header: str | None


class RequestIDLayer(Layer):
    """Gives each request its id."""

    name: ClassVar[str] = "request_id"
    decides: ClassVar[bool] = False

    def __init__(self, settings: RequestID) -> None:
        self.settings: object = settings
        self.header: bytes = settings.header.lower().encode()
        self._trace_header = None if settings.trace_header is None else settings.trace_header.lower().encode()
        self._factory = settings.factory
        self._new: Callable[[], str] = new_request_id if settings.factory is new_request_id else self._checked
        self._has_complained = False
        self._takes_over = settings.inbound != "never"
        self.wants: frozenset[bytes] = frozenset({self.header} if self._takes_over else ())
        self._from_anyone = settings.inbound == "always"

    def admit(self, exchange: Exchange) -> None:
        """Take over an id or make one; inside another guard the request keeps the one it has."""
        request_id = exchange.request_id
        if request_id is None:
            state = exchange.scope.get("state")
            if state and "request_id" in state:
                request_id = self._of_outer_guard(state["request_id"])
            if request_id is None and (self._from_anyone or exchange.is_peer_trusted):
                request_id = self._taken_over(exchange)
            if request_id is None:
                request_id = self._new()
            exchange.request_id = request_id
        elif self._stands_inside_another(exchange):
            exchange.cells[self] = ()  # the layer further out answers with it
            exchange.set_state("request_id", request_id)
            return
        exchange.set_state("request_id", request_id)
        exchange.cells[self] = (request_id_var.set(request_id),)
        if "opentelemetry.trace" in sys.modules:
            exchange.cells[self] += (seen_trace_var.set([]),)
        if exchange.is_peer_trusted:
            self._note_trace(exchange)

    def _note_trace(self, exchange: Exchange) -> None:
        """Take over the trace that a trusted peer has begun; of two, one may be its client's."""
        lines = exchange.header_lines(b"traceparent")
        trace_id = trace_id_of(lines[0]) if len(lines) == 1 else None
        if trace_id is not None:
            exchange.set_state("trace_id", trace_id)
            exchange.cells[self] += (trace_id_var.set(trace_id),)

    def _stands_inside_another(self, exchange: Exchange) -> bool:
        outside = exchange.plan.layers[: exchange.plan.positions[self]]
        return any(isinstance(layer, RequestIDLayer) and layer.header == self.header for layer in outside)

    def _of_outer_guard(self, request_id: object) -> str | None:
        """Keep the id of a guard further out, with somebody else's middleware or routing between the two."""
        return request_id if isinstance(request_id, str) and _VISIBLE.fullmatch(request_id) else None

    def _taken_over(self, exchange: Exchange) -> str | None:
        """Take over the only id that was sent; of two, one may be the proxy's and the other its client's."""
        lines = exchange.header_lines(self.header) if self._takes_over else []
        return lines[0].decode("ascii") if len(lines) == 1 and _SOUND.fullmatch(lines[0]) else None

    def _checked(self) -> str:
        """Ask a factory that is not ours: what it makes must not be able to split a header or a log line."""
        try:
            made: object = self._factory()
            if isinstance(made, str) and _VISIBLE.fullmatch(made):
                return made
            raise ValueError(f"{shown(made)} is no text of 1 to 128 visible ASCII characters")  # noqa: TRY301
        except Exception:
            if not self._has_complained:
                self._has_complained = True
                logger.exception("the factory of request ids failed, default ids are made instead; this is said once")
        return new_request_id()

    def head(self, exchange: Exchange, headers: Headers) -> None:
        """Answer with the id, in place of any that the application wrote; and with the trace, where there is one."""
        own = exchange.cells.get(self)
        _drop(exchange, headers, self.header)
        if own == ():
            return
        headers.append((self.header, (exchange.request_id or "").encode("latin-1")))
        # Whoever traces is seen without a look into the context, which each request would pay for.
        if self._trace_header is not None and own and (len(own) > 1 or "opentelemetry.trace" in sys.modules):
            trace_id = current_trace_id()
            if trace_id is not None:
                _drop(exchange, headers, self._trace_header)
                headers.append((self._trace_header, trace_id.encode()))

    def finish(self, exchange: Exchange) -> None:
        """Leave the context as it was: the task may go on with something else, or be that of another request."""
        try:
            for token in exchange.cells.get(self, ()):
                token.var.reset(token)
        except ValueError:  # the call ends in another context than it began in
            pass


def _drop(exchange: Exchange, headers: Headers, name: bytes) -> None:
    """Take out what the application wrote."""
    for given, _ in headers[: exchange.head_size]:
        if given == name:
            header_list.remove(headers, name)
            break


class RequestIDMiddleware(Middleware):
    """Give each request an id.

    Args:
        app: the application to wrap.
        settings: a `RequestID`; or its fields as keywords.
        listeners: told what the layer decides.
        fields: see `RequestID`.

    Raises:
        ConfigError: a field is wrong or unknown.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: RequestID | None = None,
        *,
        listeners: Iterable[Listener] = (),
        **fields: Unpack[RequestIDFields],
    ) -> None:
        super().__init__(app, RequestIDLayer(build(RequestID, settings, fields)), listeners=listeners)
