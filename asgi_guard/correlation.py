"""Correlation: the names of the request that is served right now, for log records and for whoever else wants them.

    handler.addFilter(RequestIDFilter())                             # logging: %(request_id)s %(trace_id)s %(span_id)s
    structlog.configure(processors=[add_request_id, JSONRenderer()])                                         # structlog

The request id is the one that the layer `request_id` gave. Trace and span id are those of OpenTelemetry's current span,
under the names that OpenTelemetry gives them in log formats other than its own. Where there is no span, the trace id is
that of the `traceparent` header (W3C Trace Context) of a trusted peer.
Both stand in context variables, so they follow a request into its tasks, and into threads that a framework starts.
Must never import OpenTelemetry or structlog: what is not in `sys.modules` has started no span.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

request_id_var: ContextVar[str | None] = ContextVar("asgi_guard_request_id", default=None)
"""The id of the request that is served; None outside of one. Read it, do not set it."""

trace_id_var: ContextVar[str | None] = ContextVar("asgi_guard_trace_id", default=None)
"""The trace id that a trusted peer sent with it, 32 hexadecimal digits."""

seen_trace_var: ContextVar[list[str] | None] = ContextVar("asgi_guard_seen_trace", default=None)
"""The ids of trace and span that were seen last, if any: a list, so that tasks and threads further in fill the same."""

# Version 00 has these four fields and no more, a later one may append; an id of zeros is none (section 3.2.2).
_TRACEPARENT = (
    rb"(?!ff)(?:00|((?!00)[0-9a-f]{2}))-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?(1)(?:-.*)?)"
)
_LONGEST_TRACEPARENT = 256


def current_request_id() -> str | None:
    """Return the id of the request that is served; None outside of one."""
    return request_id_var.get()


def current_trace_id() -> str | None:
    """Return the trace id of the request that is served, 32 hexadecimal digits; None where nobody traces.

    It is that of the current span; else that of the span for which this was asked last in this request, as by a log
    line, since instrumentation further in has ended its span by the time that an exception is answered; else that of
    the `traceparent`.
    """
    return _seen()[0] or trace_id_var.get()


def _seen() -> tuple[str, str] | tuple[None, None]:
    """Return the ids of the current span, else of the one that was seen last."""
    ids, seen = _of_span(), seen_trace_var.get()
    if seen is None:
        return ids or (None, None)
    if ids is not None:
        seen[:] = ids
    return (seen[0], seen[1]) if seen else (None, None)


def trace_id_of(traceparent: bytes | None) -> str | None:
    """Read the trace id of a `traceparent` header; None where there is none, or it is malformed."""
    if traceparent is None or len(traceparent) > _LONGEST_TRACEPARENT:
        return None
    found = re.fullmatch(_TRACEPARENT, traceparent)
    return None if found is None else found[2].decode("ascii")


def _of_span() -> tuple[str, str] | None:
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    try:
        context = trace.get_current_span().get_span_context()
        return (format(context.trace_id, "032x"), format(context.span_id, "016x")) if context.is_valid else None
    except Exception:  # noqa: BLE001  it is half imported, or broken: a log line goes without it
        return None


class RequestIDFilter(logging.Filter):
    """Put `request_id`, `trace_id` and `span_id` on every record; `-` where there is none. It lets every record pass.

    Add it to handlers, not to loggers: the filters of a logger do not see the records of its children.

    Args:
        name: as `logging.Filter`: records of other loggers are left as they are.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Mark the record, unless somebody has marked it already."""
        if super().filter(record):
            marks = record.__dict__
            marks.setdefault("request_id", request_id_var.get() or "-")
            trace_id, span_id = _seen()
            marks.setdefault("trace_id", trace_id or trace_id_var.get() or "-")
            marks.setdefault("span_id", span_id or "-")
        return True


def add_request_id(
    logger: object,  # noqa: ARG001  structlog gives it
    method_name: str,  # noqa: ARG001
    event_dict: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    """Put `request_id`, `trace_id` and `span_id`, where there are any, into an event: a processor for structlog."""
    trace_id, span_id = _seen()
    ids = {"request_id": request_id_var.get(), "trace_id": trace_id or trace_id_var.get(), "span_id": span_id}
    for name, value in ids.items():
        if value is not None:
            event_dict.setdefault(name, value)
    return event_dict
