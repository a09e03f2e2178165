"""WebSockets over a socket: handshakes, messages and ends."""

from __future__ import annotations

from asgi_guard.testing.sockets.connection import BrokenOffError, Connection
from asgi_guard.testing.sockets.rule import SocketRule, expect, fresh, socket_rule
from asgi_guard.testing.sockets.servers import Served

_TEXT, _BINARY, _CLOSE = 1, 2, 8


@socket_rule(851)
def _messages_pass_both_ways(served: Served) -> None:
    """Text stays text, and bytes stay bytes."""
    with served.connection() as connection:
        _open(served, connection)
        for opcode, data in ((_TEXT, b"hello"), (_BINARY, b"\x00\xff"), (_TEXT, "käse".encode())):
            connection.send_frame(opcode, data)
            expect(connection.frame() == (opcode, data), "the echo is another")


@socket_rule(852)
def _an_accept_keeps_its_headers(served: Served) -> None:
    """And its subprotocol."""
    with served.connection() as connection:
        lines = b"Host: testserver\r\nSec-WebSocket-Protocol: chat\r\n" + served.headers
        answer = connection.open_websocket("/chat", lines)
    expect(answer.status == 101, f"status {answer.status}")
    for name, value in ((b"sec-websocket-protocol", b"chat"), (b"x-app", b"1")):
        expect(answer.lines(name) == [value], f"{name.decode()} was {answer.lines(name)}")


@socket_rule(853)
def _a_close_reaches_the_client(served: Served) -> None:
    """With its code and its reason."""
    with served.connection() as connection:
        _open(served, connection)
        connection.send_frame(_TEXT, b"close")
        frame = connection.frame()
    expect(frame == (_CLOSE, (4001).to_bytes(2, "big") + b"enough"), f"the client got {frame}")


@socket_rule(854)
def _the_application_sees_that_the_client_has_left(served: Served) -> None:
    """Otherwise it talks to nobody, for ever."""
    query = fresh()
    with served.connection() as connection:
        _open(served, connection, f"/chat?{query}")
        connection.leave()
    gone = served.eventually(lambda: "websocket.disconnect" in served.seen(query))
    expect(gone, f"the application received {served.seen(query)}")


@socket_rule(855)
def _who_may_come_in_is_the_applications_word(served: Served) -> None:
    """A close, or a response where the server can, before the handshake is agreed to."""
    for path in ("/close", "/deny"):
        with served.connection() as connection:
            answer = connection.open_websocket(path, b"Host: testserver\r\n" + served.headers)
        expect(400 <= answer.status < 500, f"{path}: status {answer.status}")


@socket_rule(856)
def _an_error_ends_the_handshake(served: Served) -> None:
    """A client that hears nothing hangs."""
    with served.connection() as connection:
        answer = connection.open_websocket("/fail", b"Host: testserver\r\n" + served.headers)
    expect(answer.status >= 400, f"status {answer.status}")


@socket_rule(857)
def _an_error_ends_the_conversation(served: Served) -> None:
    """A connection whose application has failed must not stay open and silent, nor tell why."""
    with served.connection() as connection:
        _open(served, connection)
        connection.send_frame(_TEXT, b"fail")
        try:
            opcode, data = connection.frame()
        except (BrokenOffError, ConnectionError):
            return
    expect(opcode == _CLOSE and b"secret" not in data, f"the client got {opcode} with {data!r}")


def _open(served: Served, connection: Connection, path: str = "/chat") -> None:
    answer = connection.open_websocket(path, b"Host: testserver\r\n" + served.headers)
    expect(answer.status == 101, f"the handshake was answered with {answer.status}")


RULES: tuple[SocketRule, ...] = tuple(value for value in globals().values() if isinstance(value, SocketRule))
