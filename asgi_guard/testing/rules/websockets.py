"""WebSockets: what a middleware does with a handshake, and with a connection that it let through."""

# ruff: noqa: ARG001  an application takes scope, receive and send, used or not
from __future__ import annotations

from asgi_guard.engine.types import ASGIApp, Message, Receive, Scope, Send
from asgi_guard.testing.rules.rule import Rule, RuleBrokenError, Subject, expect, heads, response, rule, sending
from asgi_guard.testing.scopes import ODD_HANDSHAKES

_CONNECT: Message = {"type": "websocket.connect"}
_ACCEPT: Message = {"type": "websocket.accept"}
_LEAVE: Message = {"type": "websocket.disconnect", "code": 1001, "reason": "going away"}


@rule(601)
async def _messages_pass_both_ways(subject: Subject) -> None:
    """Text stays text, bytes stay bytes, and codes, reasons and unknown keys are for those at the two ends."""
    incoming: list[Message] = [
        {**_CONNECT},
        {"type": "websocket.receive", "text": "hello"},
        {"type": "websocket.receive", "bytes": b"\x00\xff", "text": None},
        {"type": "websocket.receive", "bytes": b"", "mystery": 1},
        {**_LEAVE},
    ]
    outgoing: list[Message] = [
        {"type": "websocket.accept", "subprotocol": "chat", "headers": [(b"x-app", b"1")]},
        {"type": "websocket.send", "text": "hello"},
        {"type": "websocket.send", "bytes": b"\x00\xff", "mystery": 2},
        {"type": "websocket.close", "code": 4001, "reason": "enough"},
    ]
    received: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        received.append(await receive())
        for message in outgoing:
            await send({**message})
        received.extend([await receive() for _ in incoming[1:]])

    server = await subject.serve(app, subject.handshake(), [{**message} for message in incoming])
    expect(received == incoming, f"the application received {received}")
    expect(_bare(server.sent) == _bare(outgoing), f"the client got {server.sent}")
    expect((b"x-app", b"1") in server.sent[0]["headers"], f"the accept had the headers {server.sent[0]['headers']}")


@rule(602)
async def _denials_of_the_application_pass(subject: Subject) -> None:
    """Who may come in, and with which response others are turned away, is the application's word."""
    close: list[Message] = [{"type": "websocket.close", "code": 4003, "reason": "no"}]
    denial = response(b"n", b"o", status=401)
    for message in denial:
        message["type"] = f"websocket.{message['type']}"
    for messages in (close, denial):
        server = await subject.serve(_answering(*messages), subject.handshake())
        expect(_bare(server.sent) == _bare(messages), f"the client got {server.sent}")


@rule(603)
async def _an_accept_gets_headers_only_where_it_may(subject: Subject) -> None:
    """Before version 2.1 of the specification an accept has no headers, and a server may refuse it."""
    for asgi in ({"version": "3.0"}, {"version": "3.0", "spec_version": "2.0"}):
        server = await subject.serve(_answering(_ACCEPT), subject.handshake(asgi=asgi))
        expect(server.sent and not server.sent[0].get("headers"), f"the client got {server.sent}")


@rule(604)
async def _odd_handshakes_are_served(subject: Subject) -> None:
    """Servers leave more out of these scopes than out of others."""
    for name, keys in ODD_HANDSHAKES.items():
        try:
            server = await subject.serve(_answering(_ACCEPT), subject.handshake(**keys))
            expect(server.error is None, f"the call raised {server.error!r}")
            expect(_bare(server.sent) == [_ACCEPT], f"the client got {server.sent}")
        except RuleBrokenError as exc:
            raise RuleBrokenError(f"{name}: {exc}") from exc


@rule(605)
async def _an_error_closes_or_is_passed_on(subject: Subject) -> None:
    """A connection whose application has failed must not stay open and silent."""
    error = LookupError("the application failed")
    for messages in ([], [_ACCEPT], [_ACCEPT, {"type": "websocket.close"}]):
        server = await subject.serve(_answering(*messages, error=error), subject.handshake())
        is_passed_on = server.error is error and len(server.sent) == len(messages)
        is_closed = server.error is None and server.is_over
        expect(is_passed_on or is_closed, f"after {len(messages)} messages: {server.error!r}, {server.sent}")


@rule(606)
async def _a_handshake_is_not_an_http_response(subject: Subject) -> None:
    """A message of the wrong protocol makes a server break the connection off."""
    server = await subject.serve(_answering(_ACCEPT), subject.handshake(can_deny=False))
    expect(not heads(server), f"the client got {server.sent}")


def _answering(*messages: Message, error: Exception | None = None) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await sending(*messages)(scope, receive, send)
        if error is not None:
            raise error

    return app


def _bare(messages: list[Message]) -> list[Message]:
    """Leave headers out of account, to which a middleware may add."""
    return [{key: value for key, value in message.items() if key != "headers"} for message in messages]


RULES: tuple[Rule, ...] = tuple(value for value in globals().values() if isinstance(value, Rule))
