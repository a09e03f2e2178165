"""Client: send a request to an ASGI application as a server does, in one line, with nothing in between.

    response = await call(app, "POST", "/items", body=b"{}")

Rule 1: the application runs in the caller's task and on the caller's loop, asyncio or trio; nothing is mocked.
Rule 2: what a strict server refuses is an error here, and an exception of the application's is raised as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, AnyStr

from asgi_guard.engine.types import ASGIApp, Header, Headers, Message
from asgi_guard.testing.protocol import ProtocolViolation
from asgi_guard.testing.scopes import DEFAULT_HEADERS, HeadersArgument, http_scope, raw_headers, request_messages
from asgi_guard.testing.server import Afterwards, Hook, StrictServer


class RawHeaders(tuple[Header, ...]):
    """The header lines of a response as they were sent: byte pairs, in order, duplicates and all."""

    __slots__ = ()

    def get(self, name: AnyStr) -> AnyStr | None:
        """Return the first value of a header, or None; asked in str it answers in str (latin-1)."""
        lines = self.get_all(name)
        return lines[0] if lines else None

    def get_all(self, name: AnyStr) -> list[AnyStr]:
        """Return every value of a header, in order; asked in str it answers in str (latin-1)."""
        wanted = name.encode("latin-1") if isinstance(name, str) else name
        lines: list[Any] = [value for key, value in self if key.lower() == wanted.lower()]
        return [line.decode("latin-1") for line in lines] if isinstance(name, str) else lines


@dataclass(frozen=True, slots=True)
class Response:
    """What came back.

    Attributes:
        status: the HTTP status.
        headers: the raw header lines.
        body: the whole body; empty in answer to HEAD, as on the wire.
        chunks: the body as it was sent, one item a message.
        trailers: the raw header lines that followed the body.
        messages: every message that was sent, in order.
    """

    status: int
    headers: RawHeaders
    body: bytes
    chunks: tuple[bytes, ...]
    trailers: RawHeaders
    messages: tuple[Message, ...]

    @classmethod
    def of(cls, messages: Sequence[Message], *, is_head: bool = False) -> Response:
        """Read the response to a request, or the denial of a handshake, from the messages that were sent.

        Raises:
            ProtocolViolation: there is none.
        """
        starts = [message for message in messages if message["type"].endswith("http.response.start")]
        if not starts:
            raise ProtocolViolation("there is no response")
        chunks = tuple(message.get("body", b"") for message in messages if message["type"].endswith("response.body"))
        trailing = [message.get("headers", ()) for message in messages if message["type"] == "http.response.trailers"]
        return cls(
            status=starts[0]["status"],
            headers=RawHeaders(starts[0].get("headers", ())),
            body=b"" if is_head else b"".join(chunks),
            chunks=chunks,
            trailers=RawHeaders(pair for pairs in trailing for pair in pairs),
            messages=tuple(messages),
        )

    def json(self) -> Any:
        """Read the body as JSON.

        Raises:
            ValueError: it is none.
        """
        return json.loads(self.body)


async def call(
    app: ASGIApp,
    method: str = "GET",
    path: str = "/",
    *,
    headers: HeadersArgument = (),
    body: bytes = b"",
    chunks: Iterable[bytes] | None = None,
    incoming: Iterable[Message] | None = None,
    afterwards: Afterwards = "wait",
    on_send: Hook | None = None,
    timeout_seconds: float = 5.0,
    **scope: Any,
) -> Response:
    """Send one HTTP request to an application.

    Args:
        app: the application.
        method: the request method.
        path: the path, with the query after a `?` where there is one.
        headers: further request headers; `Host` is added where there is none.
        body: the request body, in one piece.
        chunks: the request body in several pieces, instead of `body`.
        incoming: the very messages that `receive` hands out, instead of `body` and `chunks`.
        afterwards: what `receive` does after the last of them: `wait` for the end of the response and say disconnect,
            say `disconnect` at once, as if the client had left, or `never` return.
        on_send: awaited with each message before it counts as sent: a slow client, or one that has gone when it raises.
        timeout_seconds: how long the application may take.
        **scope: further keys of the scope, such as `client=None` or `state=ABSENT`.

    Raises:
        ProtocolViolation: a strict server refuses what was sent, or the response is missing or not whole.
        TimeoutError: the application took too long.
        Exception: what the application raised.
    """
    if incoming is None:
        incoming = request_messages(*([body] if chunks is None else chunks))
    request = http_scope(method, path, headers=with_host(headers), **scope)
    server = StrictServer(request, incoming, afterwards=afterwards, on_send=on_send)
    await server.serve(app, timeout_seconds=timeout_seconds)
    server.raise_for_errors()
    if afterwards != "disconnect":
        server.raise_unless_over()
    return Response.of(server.sent, is_head=method == "HEAD")


def with_host(headers: HeadersArgument) -> Headers:
    """Write headers as a server does, with those of an ordinary request before them where there is no `Host`."""
    pairs = raw_headers(headers)
    return pairs if any(name == b"host" for name, _ in pairs) else [*DEFAULT_HEADERS, *pairs]
