"""Error envelope: an exception that nobody handled becomes an answer that helps and tells nothing.

The answer is written in the format that the request accepts (`asgi_guard.errors.problem`): the error body of this
package, `application/problem+json` (RFC 9457), HTML or plain text. What an exception says reaches the log, never a
client, unless its class says `expose`. Inside Starlette or FastAPI (`add_middleware`) the layer steps back where the
application has `debug` on or a handler for `Exception` or 500.
Must never touch an answer that the application gave itself.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, TypedDict, Unpack

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import ASGIApp, Header
from asgi_guard.errors.problem import fault_from_exception
from asgi_guard.errors.recognise import is_answered_outside, steps_back
from asgi_guard.events import ErrorAnswered, Listener, notify
from asgi_guard.settings import Problems, build

logger: logging.Logger = logging.getLogger("asgi_guard")

_LONGEST_WAIT_SECONDS = 366 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEnvelope:
    """Settings of the error envelope.

    Attributes:
        hold_start: keep the start of a response back until its first body message, for 50 ms at most, so that an
            exception between the two is still a proper 500. Event streams, NDJSON and gRPC are never held.

    Raises:
        ConfigError: a field is wrong.
    """

    hold_start: bool = True

    def __post_init__(self) -> None:
        problems = Problems("ErrorEnvelope")
        problems.boolean("hold_start", self.hold_start)
        problems.raise_if_any()


class ErrorEnvelopeFields(TypedDict, total=False):
    """The fields of `ErrorEnvelope`, for keyword arguments."""

    hold_start: bool


class ErrorEnvelopeLayer(Layer):
    """Turns exceptions into answers."""

    name: ClassVar[str] = "error_envelope"

    def __init__(self, settings: ErrorEnvelope) -> None:
        self.settings: object = settings
        self.holds_start: bool = settings.hold_start

    def rescue(self, exchange: Exchange, exc: Exception) -> Reply | None:
        """Log the exception and answer for it; None where the framework around the guard wants to see it."""
        if exchange.kind == "http" and steps_back(exchange.host_app):  # frameworks answer for no WebSocket
            return None
        if is_answered_outside(exchange.host_handlers, exc):
            return None
        fault = fault_from_exception(exc)
        if exchange.is_gone:  # whoever reads from a client that has left fails: that is nobody's fault
            logger.info("%s: the client has left", exchange.log_name, exc_info=exc)
            return Reply.refusal(fault)
        if fault.status >= 500:
            logger.error("%s failed", exchange.log_name, exc_info=exc)
        if self.listeners:
            event = ErrorAnswered(
                **exchange.about(self), exception=type(exc).__name__, status=fault.status, code=fault.code
            )
            notify(self.listeners, event)
        return Reply.refusal(fault, headers=_retry_after(fault.retry_after))

    def refusals(self) -> Iterable[str]:
        """Say what is answered for."""
        return ("500 for an exception that nobody handled, and for an application that does not answer",)


def _retry_after(wait: object) -> list[Header]:
    """Write the seconds of a wait (RFC 9110 section 10.2.3), rounded up; nothing for what is no sensible wait."""
    if isinstance(wait, int | float) and 0 <= wait <= _LONGEST_WAIT_SECONDS:
        return [(b"retry-after", b"%d" % math.ceil(wait))]
    return []


class ErrorEnvelopeMiddleware(Middleware):
    """Answer for exceptions that nobody handled.

    Args:
        app: the application to wrap.
        settings: an `ErrorEnvelope`; or its fields as keywords.
        listeners: told what the layer decides.
        fields: see `ErrorEnvelope`.

    Raises:
        ConfigError: a field is wrong or unknown.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ErrorEnvelope | None = None,
        *,
        listeners: Iterable[Listener] = (),
        **fields: Unpack[ErrorEnvelopeFields],
    ) -> None:
        super().__init__(app, ErrorEnvelopeLayer(build(ErrorEnvelope, settings, fields)), listeners=listeners)
