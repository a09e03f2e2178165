"""WebSockets: what a middleware does with a handshake, and with a connection that it let through."""

from __future__ import annotations

from asgi_guard.engine.types import ASGIApp, Message, Receive, Scope, Send
from asgi_guard.testing.rules.rule import Rule, RuleBrokenError, Subject, expect, heads, response, rule, sending
from asgi_guard.testing.scopes import ODD_HANDSHAKES

_CONNECT: Message = {"type": "websocket.connect"}
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
    sent = [{**message, "headers": outgoing[0]["headers"]} if "headers" in message else message for message in server.sent]
    expect(sent == outgoing, f"the client got {server.sent}")
    expect((b"x-app", b"1") in server.sent[0]["headers"], f"the accept had the headers {server.sent[0]['headers']}")


@rule(602)
async def _denials_of_the_application_pass(subject: Subject) -> None:
    """Who may come in, and with which response others are turned away, is the application's word."""
    close = {"type": "websocket.close", "code": 4003, "reason": "no"}
    denial = [{**message, "type": f"websocket.{message['type']}"} for message in response(b"n", b"o", status=401)]
    for messages in ([close], denial):
        server = await subject.serve(_answering(*messages), subject.handshake())
        bare = [{**message, "headers": []} if "headers" in message else message for message in server.sent]
        wanted = [{**message, "headers": []} if "headers" in message else message for message in messages]
        expect(bare == wanted, f"the client got {server.sent}")


@rule(603)
async def _an_accept_gets_headers_only_where_it_may(subject: Subject) -> None:
    """Before version 2.1 of the specification an accept has no headers, and a server may refuse it."""
    for asgi in ({"version": "3.0"}, {"version": "3.0", "spec_version": "2.0"}):
        server = await subject.serve(_answering({"type": "websocket.accept"}), subject.handshake(asgi=asgi))
        expect(server.sent and not server.sent[0].get("headers"), f"the client got {server.sent}")


@rule(604)
async def _odd_handshakes_are_served(subject: Subject) -> None:
    """Servers leave more out of these scopes than out of others."""
    for name, keys in ODD_HANDSHAKES.items():
        try:
            server = await subject.serve(_answering({"type": "websocket.accept"}), subject.handshake(**keys))
            expect(server.error is None, f"the call raised {server.error!r}")
            expect([message["type"] for message in server.sent] == ["websocket.accept"], f"the client got {server.sent}")
        except RuleBrokenError as exc:
            raise RuleBrokenError(f"{name}: {exc}") from exc


@rule(605)
async def _an_error_closes_or_is_passed_on(subject: Subject) -> None:
    """A connection whose application has failed must not stay open and silent."""
    error = LookupError("the application failed")
    for messages in ([], [{"type": "websocket.accept"}], [{"type": "websocket.accept"}, {"type": "websocket.close"}]):

        async def app(scope: Scope, receive: Receive, send: Send, messages: list[Message] = messages) -> None:
            await _answering(*messages)(scope, receive, send)
            raise error

        server = await subject.serve(app, subject.handshake())
        is_passed_on = server.error is error and len(server.sent) == len(messages)
        is_closed = server.error is None and server.is_over
        expect(is_passed_on or is_closed, f"after {len(messages)} messages: {server.error!r}, {server.sent}")


@rule(606)
async def _a_handshake_is_not_an_http_response(subject: Subject) -> None:
    """A message of the wrong protocol makes a server break the connection off."""
    server = await subject.serve(_answering({"type": "websocket.accept"}), subject.handshake(can_deny=False))
    expect(not heads(server), f"the client got {server.sent}")


def _answering(*messages: Message) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await sending(*messages)(scope, receive, send)

    return app


RULES: tuple[Rule, ...] = tuple(value for value in globals().values() if isinstance(value, Rule))
