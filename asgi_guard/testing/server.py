"""StrictServer: one exchange with a server that forgives nothing, so that what works here works on every server.

Real servers differ in what they let pass: a second response start is an error on most and silently taken by one; a body
longer than its Content-Length is an error here, truncated there, and smuggled onto the wire elsewhere. This one checks
every message against the specification, and remembers the first violation even if the application swallows it.
Rule 1: it never changes a message, and keeps copies, so that a later change by the sender does not show.
Rule 2: `receive` is that of a server: after the body it waits, and once the response is over it says disconnect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, Literal, TypeAlias

from anyio import Event, fail_after

from asgi_guard.engine.types import ASGIApp, Message, Scope
from asgi_guard.testing.protocol import ProtocolViolation, checks_for

Afterwards: TypeAlias = Literal["wait", "disconnect", "never"]
"""What `receive` does when the script is through: wait until the exchange is over and then say disconnect, as servers
do; say disconnect at once, as if the client had left; never return, not even after the exchange, as one server does."""

Hook: TypeAlias = Callable[[Message], Awaitable[None]]

_DISCONNECT: Final[dict[str, Message]] = {
    "http": {"type": "http.disconnect"},
    "websocket": {"type": "websocket.disconnect", "code": 1005, "reason": ""},
}


class StrictServer:
    """One request, handshake or lifespan, as a strict server conducts it.

    Args:
        scope: what the application is called with.
        incoming: the messages that `receive` hands out, in order.
        afterwards: what `receive` does after the last of them.
        on_send: awaited with each message before it counts as sent: a slow client, or one that has gone when it raises.

    Attributes:
        sent: copies of the messages that were sent, in order.
        received: how many messages `receive` has handed out.
        error: the `Exception` that ended the call, if one did.
        violation: the first thing that a strict server would have refused.
        is_over: whether the last message of the exchange was sent.
        dropped_bytes: the bytes of bodies sent in answer to HEAD, which servers drop.
    """

    def __init__(
        self,
        scope: Scope,
        incoming: Iterable[Message] = (),
        *,
        afterwards: Afterwards = "wait",
        on_send: Hook | None = None,
    ) -> None:
        self.scope = scope
        self.sent: list[Message] = []
        self.received: int = 0
        self.error: Exception | None = None
        self.violation: ProtocolViolation | None = None
        self.is_over: bool = False
        self.dropped_bytes: int = 0
        self._incoming = list(incoming)
        self._afterwards: Afterwards = afterwards
        self._farewell = _DISCONNECT.get(scope["type"])
        self._on_send = on_send
        self._news = Event()
        self._checks = checks_for(scope)

    async def serve(self, app: ASGIApp, *, timeout_seconds: float | None = 5.0) -> StrictServer:
        """Call the application, and keep what it raises in `error`; what is no `Exception` goes through.

        Raises:
            TimeoutError: it took longer than `timeout_seconds`.
        """
        with fail_after(timeout_seconds):
            try:
                await app(self.scope, self.receive, self.send)
            except Exception as exc:  # noqa: BLE001  a server survives every application
                self.error = exc
        return self

    def raise_for_errors(self) -> None:
        """Raise the first violation, even one whose exception was swallowed, or else what the application raised.

        Raises:
            ProtocolViolation: a strict server refuses a message.
            Exception: what the application raised.
        """
        if self.violation is not None:
            raise self.violation
        if self.error is not None:
            raise self.error

    def raise_unless_over(self) -> None:
        """Raise if the application has not sent all that it owes.

        Raises:
            ProtocolViolation: the answer is missing or not whole.
        """
        if not self.is_over:
            raise ProtocolViolation(f"the application returned without an end: {self._checks.state}")

    def push(self, message: Message) -> None:
        """Let one more message come in."""
        self._incoming.append(message)
        self._wake()

    async def receive(self) -> Message:
        """Be the `receive` that the application is given."""
        while not self._incoming:
            if self._farewell and (self._afterwards == "disconnect" or (self._afterwards == "wait" and self.is_over)):
                self._incoming.append({**self._farewell})
            else:
                await self._news.wait()
        self.received += 1
        return self._incoming.pop(0)

    async def send(self, message: Message) -> None:
        """Be the `send` that the application is given.

        Raises:
            ProtocolViolation: a strict server would refuse the message.
        """
        copy = {**message}
        if "headers" in copy:  # any iterable of pairs, and a generator can be read only once
            copy["headers"] = [tuple(pair) for pair in copy["headers"]]
        try:
            self.dropped_bytes += self._checks(copy)
        except ProtocolViolation as violation:
            self.violation = self.violation or violation
            raise
        if self._on_send is not None:
            await self._on_send(copy)
        self.sent.append(copy)
        if self._checks.is_over:
            self.is_over = True
            self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = Event()
