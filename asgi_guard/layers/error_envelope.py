"""Error envelope: an exception that nobody handled becomes an answer that helps and tells nothing.

The answer is written in the format that the request accepts (`asgi_guard.errors.problem`): the error body of this
package, `application/problem+json` (RFC 9457), HTML or plain text. What an exception says reaches the log, never a
client, unless its class says `expose`. Inside Starlette or FastAPI (`add_middleware`) the layer steps back where the
application has `debug` on or a handler for `Exception` or 500.

An error that a framework wrote by itself, which is plain text that repeats the reason phrase or nothing at all (with
`rewrite="all"` the formats of `asgi_guard.errors.recognise.written` too), is answered anew in the format that the
client accepts; and where the framework raises the exception that its 500 was for, that exception decides.
Must never touch an answer that the application gave itself.

| id    | rule that was broken                                                                       |
|-------|--------------------------------------------------------------------------------------------|
| AG240 | `suggestions` is a mapping from error codes or categories to lists of sentences            |
| AG241 | a key of `suggestions` that is nearly a category is one                                    |
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, TypedDict, Unpack

from asgi_guard.correlation import current_trace_id
from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import ASGIApp, Header, Message
from asgi_guard.errors import logged, negotiate
from asgi_guard.errors.exceptions import ErrorCategory, GuardError
from asgi_guard.errors.foreign import HTTPError, http_error
from asgi_guard.errors.phrases import SUGGESTIONS
from asgi_guard.errors.problem import Fault, fault_from_exception, fault_of_framework, urgent_leaf
from asgi_guard.errors.ready import AuthenticationError
from asgi_guard.errors.recognise import is_answered_outside, is_plain, steps_back, written
from asgi_guard.events import ErrorAnswered, Listener, notify
from asgi_guard.networks import is_loopback
from asgi_guard.settings import Problems, build

logger: logging.Logger = logging.getLogger("asgi_guard")

_LIKENESS: Final = 0.8
_LONGEST_WAIT_SECONDS = 366 * 86_400
_REWRITES: Final = ("off", "plain", "all")
_FORWARDING: Final = rb"forwarded|via|x-(?:forwarded|real|client|cluster|original)\b.*|.*-ip"
_OWN_HOST: Final = rb"(?:localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])(?::[0-9]{1,5})?"
_OF_THE_BODY: Final = frozenset(
    {b"content-type", b"content-length", b"content-language", b"content-location", b"content-disposition", b"etag"}
    | {b"content-digest", b"repr-digest", b"digest", b"content-md5", b"last-modified", b"accept-ranges"}
    | {b"transfer-encoding", b"trailer"}
)
"""Headers that were true of the body that is replaced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorEnvelope:
    """Settings of the error envelope.

    Attributes:
        hold_start: keep the start of a response back until its first body message, for 50 ms at most, so that an
            exception between the two is still a proper 500. Event streams, NDJSON and gRPC are never held.
        rewrite: which errors of the framework's own are answered anew: `"plain"` those that are the reason phrase as
            plain text, or nothing; `"all"` also those in the format of FastAPI, Litestar, Falcon or Django,
            validation errors without what the client has sent; `"off"` none. It needs `hold_start`.
        suggestions: what a client may do about an error that says nothing itself, by error code or category, on top of
            those that there are: `{"DATABASE_ERROR": ["Try again in a minute."]}`. Sentences may be in any language.
        debug: answer a browser on this machine with the traceback, unless its request carries a forwarding header or
            another host's name. Never in production: what stands in a traceback is a secret, and a proxy on the same
            machine that adds no header looks like a browser there.
        strict_lifespan: an exception while the application starts means that it has failed to start, so that the server
            stops. Without it servers take it for an application that knows no lifespan, and serve it. So do they, with
            a warning in the log, where it raises before it has asked for its first message: that is how an application
            says that it knows no lifespan, whatever it raises.

    Raises:
        ConfigError: a field is wrong.
    """

    hold_start: bool = True
    rewrite: Literal["off", "plain", "all"] = "plain"
    suggestions: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    debug: bool = False
    strict_lifespan: bool = False

    def __post_init__(self) -> None:
        problems = Problems("ErrorEnvelope")
        problems.boolean("hold_start", self.hold_start)
        problems.choice("rewrite", self.rewrite, _REWRITES)
        problems.boolean("debug", self.debug)
        problems.boolean("strict_lifespan", self.strict_lifespan)
        given: object = self.suggestions
        if isinstance(given, Mapping):
            for name, sentences in self.suggestions.items():
                _check_suggestions(problems, name, sentences)
        else:
            rule, remedy = "must be a mapping", 'Write {"DATABASE_ERROR": ["Try again in a minute."]}, say.'
            problems.add("AG240", "suggestions", given, rule, remedy)
        problems.raise_if_any()


def _check_suggestions(problems: Problems, name: object, sentences: object) -> None:
    """Check what is suggested for one error code or category; sentences are in any language."""
    from difflib import get_close_matches  # slow to import, and needed only where there are any

    field = f"suggestions[{name}]"
    if problems.text(field, name, max_length=64) and isinstance(name, str) and name not in set(ErrorCategory):
        for category in get_close_matches(name, list(map(str, ErrorCategory)), n=1, cutoff=_LIKENESS):
            rule, remedy = "must be an error code or a category", f"Did you mean {category!r}?"
            problems.add("AG241", field, name, rule, remedy)
    problems.sequence_of_text(field, sentences, minimum=1, ascii_only=False)


class ErrorEnvelopeFields(TypedDict, total=False):
    """The fields of `ErrorEnvelope`, for keyword arguments."""

    hold_start: bool
    rewrite: Literal["off", "plain", "all"]
    suggestions: Mapping[str, Sequence[str]]
    debug: bool
    strict_lifespan: bool


class ErrorEnvelopeLayer(Layer):
    """Turns exceptions into answers."""

    name: ClassVar[str] = "error_envelope"
    overridable: frozenset[str] = frozenset({"rewrite"})

    def __init__(self, settings: ErrorEnvelope) -> None:
        self.settings: object = settings
        self.holds_start: bool = settings.hold_start
        self._rewrite = settings.rewrite
        self.strict_lifespan: bool = settings.strict_lifespan
        self._suggestions: Mapping[str, Sequence[str]] = {**SUGGESTIONS, **settings.suggestions}
        self._debug = settings.debug
        if settings.debug:
            logger.warning("the error envelope shows tracebacks to clients on this machine: debug is on")

    def override(self, exchange: Exchange, fields: Mapping[str, Any]) -> None:  # noqa: ARG002  it has the fields already
        """Rewrite other errors of this request, or none."""
        problems = Problems("ErrorEnvelope")
        problems.choice("rewrite", fields["rewrite"], _REWRITES)
        problems.raise_if_any()

    def replace(self, exchange: Exchange, start: Message, body: Message, exc: Exception | None) -> Reply | None:
        """Answer anew what a framework wrote by itself, or for the exception that it was written for."""
        said = exchange.overrides and exchange.overrides.get(self.name)
        mode = said["rewrite"] if said else self._rewrite
        if mode == "off":
            return None
        status = start["status"]
        error = HTTPError(status) if is_plain(start, body) else written(start, body) if mode == "all" else None
        if error is None:
            return None
        current_trace_id()  # is remembered: whoever has made the span has ended it when the answer is written
        kept = [pair for pair in start["headers"] if pair[0] not in _OF_THE_BODY]  # such as those of somebody's CORS
        if exc is None:
            return Reply.refusal(fault_of_framework(error, self._suggestions), headers=kept)
        reply = self.rescue(exchange, exc)
        if reply is not None:
            own = dict(reply.headers)
            reply.headers = (*reply.headers, *[pair for pair in kept if pair[0] not in own])
        return reply

    def rescue(self, exchange: Exchange, exc: Exception) -> Reply | None:
        """Log the exception and answer for it; None where the framework around the guard wants to see it."""
        if exchange.kind == "http" and steps_back(exchange.host_app):  # frameworks answer for no WebSocket
            return None
        if is_answered_outside(exchange.host_handlers, exc):
            return None
        leaf = urgent_leaf(exc)
        fault = fault_from_exception(leaf, self._suggestions)
        if exchange.is_gone:  # whoever reads from a client that has left fails: that is nobody's fault
            logger.info("%s: the client has left", exchange.log_name, exc_info=exc)
            return Reply.refusal(fault)
        logged.log(exchange.log_name, exchange.known_id, exc, leaf, fault)
        if self.listeners:
            event = ErrorAnswered(
                **exchange.about(self),
                exception=type(exc).__name__,
                status=fault.status,
                code=fault.code,
                details=logged.facts(leaf, fault),
            )
            notify(self.listeners, event)
        if self._debug and fault.status >= 500 and exchange.kind == "http" and _is_local_browser(exchange):
            return _with_traceback(exchange, exc, fault)
        return Reply.refusal(fault, headers=headers_of(leaf, fault))

    def refusals(self) -> Iterable[str]:
        """Say what is answered for."""
        return ("500 for an exception that nobody handled, and for an application that does not answer",)


def _is_local_browser(exchange: Exchange) -> bool:
    """Tell whether a browser on this machine asks, and not a proxy there that speaks for somebody else.

    Who connects over a Unix socket is a proxy. A page of another site that has its own name resolve to this machine
    (DNS rebinding) could read the answer; but the host that its browser names is that of the site.
    """
    names = [name.lower() for name, _ in exchange.scope.get("headers") or ()]
    accept = b",".join(exchange.header_lines(b"accept"))
    return (
        exchange.client is not None
        and is_loopback(exchange.client)
        and re.fullmatch(_OWN_HOST, (exchange.header(b"host") or b"").lower()) is not None
        and not any(re.fullmatch(_FORWARDING, name) for name in names)
        and negotiate.choose(accept) == negotiate.HTML
    )


def _with_traceback(exchange: Exchange, exc: Exception, fault: Fault) -> Reply:
    from asgi_guard.errors import debug

    facts = {
        "method": exchange.method,
        "path": exchange.log_path,
        "request id": str(exchange.known_id),
        **{name.decode("latin-1"): value.decode("latin-1") for name, value in exchange.scope.get("headers") or ()},
    }
    body = debug.page(exc, f"{fault.status} {type(exc).__name__}", facts)
    return Reply(fault.status, body=body, content_type=b"text/html; charset=utf-8", headers=debug.HEADERS)


def headers_of(exc: BaseException, fault: Fault) -> Iterable[Header]:
    """Return the headers that an answer for this exception has to have, whatever its format."""
    if not isinstance(exc, GuardError):
        foreign = http_error(exc)
        return () if foreign is None else foreign.headers
    return [*_retry_after(fault.retry_after), *_challenge(exc)]


def _challenge(exc: GuardError) -> list[Header]:
    """Write how to authenticate, without which a 401 is none (RFC 9110 section 15.5.2)."""
    challenge = exc.challenge if isinstance(exc, AuthenticationError) else ""
    is_sound = isinstance(challenge, str) and challenge.isascii() and challenge.isprintable()
    return [(b"www-authenticate", challenge.encode("ascii"))] if challenge and is_sound else []


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
