"""Rule: one thing that every middleware owes to what stands inside and outside of it, and the check that shows it.

Rule 1: a check uses the middleware as anybody may, through `wrap` and a strict server, and knows nothing of its inside.
Rule 2: where two behaviours are right, such as answering an exception and letting it through, a check admits both,
unless `Expectations` says which one was meant.
"""

# ruff: noqa: ARG001  an application takes scope, receive and send, used or not
from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from asgi_guard.engine.types import ASGIApp, Header, Message, Receive, Scope, Send
from asgi_guard.testing.scopes import http_scope, request_messages, websocket_scope
from asgi_guard.testing.server import Afterwards, Hook, StrictServer

Wrap: TypeAlias = Callable[[ASGIApp], Any]
"""A middleware, as a class or a function that takes an application and returns one."""


class RuleBrokenError(Exception):
    """A middleware does not keep the rule; the text says what it did."""


class NotApplicableError(Exception):
    """The rule is about something that this middleware was not said to do, or that this event loop has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """What a middleware means to do, where ASGI leaves it the choice.

    Attributes:
        request: keys of a scope (and `method`, `path`) that every request to it must have to be let through.
        answers_errors: an exception before the response becomes a response (True) or goes through (False); None admits
            either.
        answers_silence: an application that returns without a response is answered for; None admits either.
        refusing: the same middleware with settings by which it refuses every request and handshake; None leaves out the
            rules about refusals.
        refuses_after: how many requests `refusing` lets through first.
        refusing_uploads: the same middleware with settings by which it refuses a body of more than 10 bytes while the
            application reads it; None leaves out the rules about that.
        foreign_origin: an `Origin` whose pages may not open a WebSocket, by the middleware's present settings; None
            leaves out the rule about that.
    """

    request: Mapping[str, Any] = field(default_factory=dict[str, Any])
    answers_errors: bool | None = None
    answers_silence: bool | None = None
    refusing: Wrap | None = None
    refuses_after: int = 0
    refusing_uploads: Wrap | None = None
    foreign_origin: bytes | None = None


class SpellingServer(StrictServer):
    """A strict server that corrects how headers are spelled: names in lower case, text as latin-1."""

    async def send(self, message: Message) -> None:
        """Be the `send` that the application is given."""
        if "headers" in message:
            pairs = [(_bytes(name).lower(), _bytes(value)) for name, value in message["headers"]]
            message = {**message, "headers": pairs}
        await super().send(message)


@dataclass(frozen=True, slots=True)
class Subject:
    """The middleware under test, and how to put questions to it."""

    wrap: Wrap
    expectations: Expectations
    timeout_seconds: float

    def request(self, **keys: Any) -> Scope:
        """Make the scope of a request that the middleware lets through."""
        return http_scope(**{**self.expectations.request, **keys})

    def upload(self, **keys: Any) -> Scope:
        """Make the scope of a request with a body of no particular kind."""
        headers = [*self.request()["headers"], (b"content-type", b"application/octet-stream")]
        return self.request(**{"method": "POST", "headers": headers, **keys})

    def handshake(self, **keys: Any) -> Scope:
        """Make the scope of a WebSocket handshake that the middleware lets through."""
        request = {key: value for key, value in self.expectations.request.items() if key != "method"}
        return websocket_scope(**{**request, **keys})

    async def serve(
        self,
        app: ASGIApp,
        scope: Scope | None = None,
        incoming: Iterable[Message] | None = None,
        *,
        wrap: Wrap | None = None,
        afterwards: Afterwards = "wait",
        on_send: Hook | None = None,
    ) -> StrictServer:
        """Wrap the application and serve one request; a violation of the protocol breaks whichever rule is asked.

        Raises:
            ProtocolViolation: a strict server refuses what was sent.
        """
        wrapped = (wrap or self.wrap)(app)
        server = self.server(scope, incoming, afterwards=afterwards, on_send=on_send)
        await server.serve(wrapped, timeout_seconds=self.timeout_seconds)
        if server.violation is not None:
            raise server.violation
        return server

    def server(
        self,
        scope: Scope | None = None,
        incoming: Iterable[Message] | None = None,
        *,
        afterwards: Afterwards = "wait",
        on_send: Hook | None = None,
        server: type[StrictServer] = SpellingServer,
    ) -> StrictServer:
        """Make a server for one request or handshake; strict, but for the spelling of headers, which one rule is about.

        Otherwise a single name in the wrong case would break every rule, and hide which ones really are broken.
        """
        scope = self.request() if scope is None else scope
        if incoming is None:
            incoming = request_messages() if scope["type"] == "http" else [{"type": "websocket.connect"}]
        return server(scope, incoming, afterwards=afterwards, on_send=on_send)


Check: TypeAlias = Callable[[Subject], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        number: its number, which it keeps; the hundreds are the subject.
        name: what a middleware that keeps it does.
        why: what goes wrong where it is not kept.
        check: raises when a middleware does not keep it.
    """

    number: int
    name: str
    why: str
    check: Check


def rule(number: int) -> Callable[[Check], Rule]:
    """Make a rule of a check: its name is the check's, its reason the check's docstring."""

    def make(check: Check) -> Rule:
        return Rule(number, check.__name__.strip("_").replace("_", " "), (check.__doc__ or "").strip(), check)

    return make


def expect(condition: object, detail: str) -> None:
    """Break the rule, with this detail, unless the condition holds."""
    if not condition:
        raise RuleBrokenError(detail)


def response(
    *chunks: bytes, status: int = 200, headers: Iterable[Header] = ((b"content-type", b"text/plain"),), **keys: Any
) -> list[Message]:
    """Make the messages of a whole response; further keys are those of its start."""
    start: Message = {"type": "http.response.start", "status": status, "headers": list(headers), **keys}
    last = len(chunks) - 1
    bodies: list[Message] = [
        {"type": "http.response.body", "body": chunk, "more_body": number < last} for number, chunk in enumerate(chunks)
    ]
    return [start, *(bodies or [{"type": "http.response.body"}])]


def sending(*messages: Message) -> ASGIApp:
    """Make an application that sends these messages, fresh each time, reads nothing and returns."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            fresh = {**message}
            if isinstance(fresh.get("headers"), list):
                fresh["headers"] = list(fresh["headers"])
            await send(fresh)

    return app


class Witness:
    """An application that notes the scopes that it is called with, and then is another one."""

    def __init__(self, app: ASGIApp | None = None) -> None:
        self.scopes: list[Scope] = []
        self._app = app or sending(*response(b"ok"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Be the application."""
        self.scopes.append(scope)
        await self._app(scope, receive, send)

    @property
    def scope(self) -> Scope:
        """The scope of the only call.

        Raises:
            RuleBrokenError: it was not called, or more than once.
        """
        expect(len(self.scopes) == 1, f"the application was called {len(self.scopes)} times instead of once")
        return self.scopes[0]


def heads(server: StrictServer) -> list[Message]:
    """Return the response starts that were sent."""
    return [message for message in server.sent if message["type"].endswith("http.response.start")]


def bodies(server: StrictServer) -> list[bytes]:
    """Return what the client could read of each body message that was sent: a coding that it asked for is undone."""
    chunks = [message.get("body", b"") for message in server.sent if message["type"].endswith("http.response.body")]
    coded = any(
        (b"content-encoding", b"gzip") in message["headers"] for message in heads(server) if "headers" in message
    )
    undo = zlib.decompressobj(wbits=31).decompress if coded else bytes
    return [undo(chunk) for chunk in chunks]


def expect_response(server: StrictServer, *, at_least: int = 200, at_most: int = 599) -> Message:
    """Expect one whole response with a status in these bounds, and return its start."""
    if server.error is not None:
        raise RuleBrokenError(f"the call raised {server.error!r}")
    starts = heads(server)
    expect(len(starts) == 1, f"{len(starts)} responses were started instead of one")
    expect(server.is_over, "the response has no end")
    status = starts[0]["status"]
    expect(at_least <= status <= at_most, f"status {status} instead of {at_least} to {at_most}")
    return starts[0]


def _bytes(text: str | bytes) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text
