"""Sessions: a WebSocket and a lifespan, each a conversation that a test holds with an application step by step.

Rule 1: the application runs beside the test, in a task that ends before the session does; nothing is left behind.
Rule 2: what the application raises is raised to the test as it is, not inside an exception group.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from anyio import (
    EndOfStream,
    Event,
    create_memory_object_stream,
    create_task_group,
    fail_after,
    get_cancelled_exc_class,
)
from anyio.streams.memory import MemoryObjectReceiveStream

from asgi_guard.engine.types import ASGIApp, Message, Scope
from asgi_guard.testing.client import RawHeaders, Response, with_host
from asgi_guard.testing.protocol import ProtocolViolation
from asgi_guard.testing.scopes import HeadersArgument, lifespan_scope, websocket_scope
from asgi_guard.testing.server import StrictServer

_UNREAD_MESSAGES = 1_000

ConversationT = TypeVar("ConversationT", bound="Conversation")


class Conversation:
    """An application that runs beside the test: tell it something, hear what it says next.

    Attributes:
        server: the strict server in between.
    """

    def __init__(self, server: StrictServer, heard: MemoryObjectReceiveStream[Message], timeout_seconds: float) -> None:
        self.server = server
        self._heard = heard
        self._timeout_seconds = timeout_seconds

    def tell(self, message: Message) -> None:
        """Let one message come in."""
        self.server.push(message)

    async def hear(self) -> Message:
        """Wait for the next message that the application sends.

        Raises:
            ProtocolViolation: there is none: the application has ended, or a strict server refused what it sent.
            TimeoutError: nothing came in time.
            Exception: what the application raised instead.
        """
        with fail_after(self._timeout_seconds):
            try:
                return await self._heard.receive()
            except EndOfStream:
                self.server.raise_for_errors()
                raise ProtocolViolation("the application has ended, and says nothing more") from None


class WebSocketSession(Conversation):
    """A WebSocket, as the client sees it.

    Attributes:
        accepted: the message with which the application accepted; None where it did not.
        denial: the response that was given instead; None where there was none.
        close_code: the code with which the application closed; None while it has not.
        close_reason: the reason that it gave with the code.
    """

    accepted: Message | None = None
    denial: Response | None = None
    close_code: int | None = None
    close_reason: str = ""

    @property
    def headers(self) -> RawHeaders:
        """The headers of the handshake's answer."""
        return self.denial.headers if self.denial else RawHeaders((self.accepted or {}).get("headers", ()))

    async def shake_hands(self) -> None:
        """Ask for the connection, and wait for the answer."""
        self.tell({"type": "websocket.connect"})
        message = await self.hear()
        if message["type"] == "websocket.accept":
            self.accepted = message
        elif not self._is_close(message):
            denial = [message]
            while message["type"].endswith(".start") or message.get("more_body", False):
                denial.append(message := await self.hear())
            self.denial = Response.of(denial)

    def send(self, data: str | bytes) -> None:
        """Send one message to the application."""
        kind = "text" if isinstance(data, str) else "bytes"
        self.tell({"type": "websocket.receive", kind: data})

    async def receive(self) -> str | bytes | None:
        """Wait for the application's next message; None when it closes instead."""
        message = await self.hear()
        if self._is_close(message):
            return None
        return message["bytes"] if message.get("text") is None else message["text"]  # type: ignore[no-any-return]

    def _is_close(self, message: Message) -> bool:
        if message["type"] != "websocket.close":
            return False
        self.close_code = message.get("code", 1000)
        self.close_reason = message.get("reason") or ""
        return True


@asynccontextmanager
async def websocket(
    app: ASGIApp, path: str = "/", *, headers: HeadersArgument = (), timeout_seconds: float = 5.0, **scope: Any
) -> AsyncGenerator[WebSocketSession, None]:
    """Open a WebSocket to an application; at the end of the block the client leaves, and the application has to end.

    Args:
        app: the application.
        path: the path, with the query after a `?` where there is one.
        headers: further headers of the handshake; `Host` is added where there is none.
        timeout_seconds: how long each answer, and the end, may take.
        **scope: further keys of the scope, and `can_deny=False` for a server without denial responses.

    Raises:
        ProtocolViolation: a strict server refuses what was sent, or there is no answer to the handshake.
        TimeoutError: the application took too long.
        Exception: what the application raised.
    """
    handshake = websocket_scope(path, headers=with_host(headers), **scope)
    async with beside(app, handshake, timeout_seconds, WebSocketSession) as session:
        await session.shake_hands()
        yield session
        session.tell({"type": "websocket.disconnect", "code": 1000, "reason": ""})


@asynccontextmanager
async def lifespan(app: ASGIApp, *, timeout_seconds: float = 5.0) -> AsyncGenerator[dict[str, Any], None]:
    """Start an application up, hand out the state that it filled, and shut it down at the end of the block.

    Args:
        app: the application.
        timeout_seconds: how long startup, and shutdown, may take.

    Raises:
        RuntimeError: the application said that its startup or its shutdown failed.
        ProtocolViolation: a strict server refuses what was sent.
        TimeoutError: the application took too long.
        Exception: what the application raised.
    """
    scope = lifespan_scope()
    async with beside(app, scope, timeout_seconds, Conversation) as conversation:
        await _phase(conversation, "startup")
        yield scope["state"]
        await _phase(conversation, "shutdown")


async def _phase(conversation: Conversation, phase: str) -> None:
    conversation.tell({"type": f"lifespan.{phase}"})
    message = await conversation.hear()
    if message["type"] == f"lifespan.{phase}.failed":
        raise RuntimeError(f"the {phase} failed: {message.get('message', '')}")


@asynccontextmanager
async def beside(
    app: ASGIApp, scope: Scope, timeout_seconds: float, kind: type[ConversationT]
) -> AsyncGenerator[ConversationT, None]:
    """Run an application beside the block, and raise what went wrong in either when both have ended."""
    said, heard = create_memory_object_stream[Message](_UNREAD_MESSAGES)
    server = StrictServer(scope, on_send=said.send)
    ended = Event()
    failure: BaseException | None = None

    async def run() -> None:
        with said:
            await server.serve(app, timeout_seconds=None)
        ended.set()

    with heard:
        async with create_task_group() as tasks:
            tasks.start_soon(run)
            try:
                yield kind(server, heard, timeout_seconds)
                with fail_after(timeout_seconds):
                    await ended.wait()
                server.raise_for_errors()
            except (GeneratorExit, get_cancelled_exc_class()):
                raise
            except BaseException as exc:  # noqa: BLE001  raised below: the group would wrap it
                failure = exc
                tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure
