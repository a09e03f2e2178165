"""Handler: answers exceptions by the name that the earlier system had for it, for exception handlers of frameworks.

    @app.exception_handler(Exception)
    async def handle(request, exc):
        return error_handler.handle_error(exc, {"request_id": request.state.request_id})

It logs and answers as the error envelope does. Whoever wraps an application in a `Guard` needs none.
Must never tell more of an exception than the envelope would.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.correlation import current_request_id
from asgi_guard.engine.answer import Answer
from asgi_guard.errors import logged
from asgi_guard.errors.problem import fault_from_exception, render, urgent_leaf
from asgi_guard.layers.error_envelope import headers_of

_LONGEST: Final = 256


class ErrorHandler:
    """Answers exceptions in the error format.

    Args:
        clock: tells the time of the answer.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock

    def handle_error(self, exc: Exception, context: Mapping[str, Any] | None = None) -> Answer:
        """Log an exception, and return what the client is told of it.

        Args:
            exc: what was raised; of one that is none of the tree's, nothing is told.
            context: `request_id`, by default that of the request that is served; `accept`, what the client accepts, by
                which the format is chosen; `operation`, what failed, for the log. Other names are left out.

        Returns:
            An ASGI application that sends the answer, with `status_code`, `headers` and `body`; it may be awaited.
        """
        told = context or {}
        request_id = told.get("request_id") or current_request_id()
        known = None if request_id is None else str(request_id)[:_LONGEST]
        accept, operation = told.get("accept"), told.get("operation")
        leaf = urgent_leaf(exc)
        fault = fault_from_exception(leaf)
        name = repr(str(operation or "a request")[:_LONGEST])[1:-1]
        logged.log(name, known, exc, leaf, fault)
        accepted = str(accept).encode("latin-1", "replace") if accept else None
        media_type, body = render(fault, accepted, known, self._clock.time())
        headers = [
            *headers_of(leaf, fault),
            (b"content-type", media_type),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"vary", b"Accept"),
        ]
        return Answer(fault.status, headers, body)


error_handler: Final = ErrorHandler()
"""Ready for use."""
