"""Refusals over a socket: an answer before the body, in the middle of it, or instead of a handshake."""

from __future__ import annotations

from contextlib import suppress

from asgi_guard.testing.sockets.application import CHUNK, LIMIT_BYTES, REFUSED_HOST
from asgi_guard.testing.sockets.connection import Answer, BrokenOffError, Connection
from asgi_guard.testing.sockets.rule import NotApplicableError, SocketRule, expect, fresh, socket_rule
from asgi_guard.testing.sockets.servers import Served

_HOST = REFUSED_HOST.encode()
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_PIECE = b"%x\r\n%s\r\n" % (len(CHUNK), CHUNK)
_TOO_MANY = LIMIT_BYTES // len(CHUNK) + 2


@socket_rule(841)
def _a_refusal_is_a_whole_response(served: Served) -> None:
    """The next response on the connection is read from the right place."""
    query = fresh()
    with _asking(served) as connection:
        for _ in range(3):
            connection.send(served.request("GET", f"/hello?{query}", host=_HOST))
            _expect_refusal(connection.response())
        connection.send(served.request("GET", "/hello"))
        expect(connection.response().body == b"hello", "the next response is another")
    expect(served.seen(query) == [], "the application was called")


@socket_rule(842)
def _a_refusal_of_head_has_no_body(served: Served) -> None:
    """It would be read as the next response."""
    with _asking(served) as connection:
        connection.send(served.request("HEAD", "/hello", host=_HOST))
        _expect_refusal(connection.response(is_head=True))
        connection.send(served.request("GET", "/hello"))
        expect(connection.response().body == b"hello", "the next response is another")


@socket_rule(843)
def _a_refusal_comes_instead_of_100_continue(served: Served) -> None:
    """Whoever waits to be asked uploads nothing."""
    with _asking(served) as connection:
        expecting = b"Expect: 100-continue\r\nContent-Length: 5\r\n"
        connection.send(served.request("POST", "/upload", expecting, host=_HOST))
        answer = connection.response()
    _expect_refusal(answer)
    expect(answer.informational == [], f"{answer.informational} came before the refusal")


@socket_rule(844)
def _a_declared_upload_is_refused_before_it_comes(served: Served) -> None:
    """Not a byte has to be sent to hear that it is too many."""
    with _asking(served) as connection:
        connection.send(served.request("POST", "/declared", b"Content-Length: %d\r\n" % (LIMIT_BYTES + 1)))
        _expect_refusal(connection.response())


@socket_rule(845)
def _an_upload_is_refused_in_the_middle(served: Served) -> None:
    """The answer comes while the client still sends, and is the refusal, whatever the application makes of it."""
    with _asking(served) as connection:
        connection.send(served.request("POST", "/upload", _CHUNKED))
        for _ in range(_TOO_MANY):
            connection.send(_PIECE)
        _expect_refusal(connection.response())
    expect(served.ask("GET", "/hello").body == b"hello", "the server no longer serves")


@socket_rule(846)
def _a_small_content_length_lifts_no_limit(served: Served) -> None:
    """Beside `Transfer-Encoding` some servers pass it on, and the whole body as well."""
    with _asking(served) as connection, suppress(BrokenOffError, ConnectionError):
        connection.send(served.request("POST", "/upload", b"Content-Length: 5\r\n" + _CHUNKED))
        for _ in range(_TOO_MANY):
            connection.send(_PIECE)
        connection.send(b"0\r\n\r\n")
        _expect_refusal(connection.response())


@socket_rule(847)
def _a_refusal_is_read_by_a_client_that_sends_first(served: Served) -> None:
    """Most clients send until they are done, or cannot: where the server resets the connection, they read nothing."""
    with _asking(served) as connection:
        connection.send(served.request("POST", "/upload", _CHUNKED))
        with suppress(ConnectionError):
            for _ in range(_TOO_MANY * 4):
                connection.send(_PIECE)
            connection.send(b"0\r\n\r\n")
        _expect_refusal(connection.response())


@socket_rule(848)
def _a_client_that_left_is_no_error(served: Served) -> None:
    """The attacker hangs up first: a traceback for each refused request fills the disk."""
    before = served.logged("Traceback")
    for _ in range(10):
        with _asking(served) as connection:
            connection.send(served.request("POST", "/upload", _CHUNKED, host=_HOST) + _PIECE)
            connection.leave()
    expect(served.ask("GET", "/hello").body == b"hello", "the server no longer serves")
    expect(served.logged("Traceback") == before, "the log has tracebacks")


@socket_rule(849)
def _a_refused_handshake_is_answered(served: Served) -> None:
    """With a status that says so; a client that hears nothing hangs."""
    with _asking(served) as connection:
        answer = connection.open_websocket("/chat", b"Host: %s\r\n%s" % (_HOST, served.headers))
    _expect_refusal(answer)


def _asking(served: Served) -> Connection:
    if not served.refuses:
        raise NotApplicableError("it was not said to refuse")
    return served.connection()


def _expect_refusal(answer: Answer) -> None:
    expect(400 <= answer.status < 500 and answer.is_whole, f"status {answer.status}, whole: {answer.is_whole}")


RULES: tuple[SocketRule, ...] = tuple(value for value in globals().values() if isinstance(value, SocketRule))
