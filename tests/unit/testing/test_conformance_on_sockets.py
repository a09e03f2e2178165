"""What the kit over sockets tells; that it finds faults on real servers is shown in tests/conformance."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from asgi_guard.testing import NotConformingError
from asgi_guard.testing.sockets import SERVERS, SOCKET_RULES, Outcome, SocketReport
from asgi_guard.testing.sockets.connection import BrokenOffError, Connection
from asgi_guard.testing.sockets.kit import _outcome

RULE = SOCKET_RULES[0]


def test_rules_are_numbered_and_named() -> None:
    """Each number once, in order; each says why."""
    assert [rule.number for rule in SOCKET_RULES] == sorted({rule.number for rule in SOCKET_RULES})
    assert all(rule.why.endswith((".", ")")) for rule in SOCKET_RULES)
    assert not any("_" in rule.name for rule in SOCKET_RULES)


@pytest.mark.parametrize(
    ("bare", "wrapped", "verdict"),
    [(None, None, "kept"), (None, "x", "broken"), ("x", "x", "the server's"), ("x", None, "mended")],
)
def test_whose_fault_it_is(bare, wrapped, verdict) -> None:
    """What the bare server breaks is the server's, whatever is wrapped."""
    assert _outcome(RULE, {RULE.number: bare}, {RULE.number: wrapped}).verdict == verdict


def test_what_was_not_asked_is_neither() -> None:
    """A rule about refusals, of what does not refuse."""
    assert _outcome(RULE, {RULE.number: None}, {}).verdict == "-"


def test_only_what_is_broken_raises() -> None:
    """By name, with what it did and why that matters; the server's faults are in the table."""
    servers = SocketReport("some", (Outcome(RULE, "the server's", "it sleeps"),))
    broken = SocketReport("some", (Outcome(RULE, "broken", "it sleeps"),))

    servers.raise_for_failures()
    assert f"the server's {RULE.number} {RULE.name}: it sleeps" in str(servers)
    with pytest.raises(NotConformingError, match="on some it breaks") as caught:
        broken.raise_for_failures()
    assert RULE.why in str(caught.value)


def test_every_server_has_a_command() -> None:
    """On the port that it is told, on this machine."""
    assert all(any("4711" in part for part in server.command("4711")) for server in SERVERS.values())


@pytest.fixture
def answering():
    """Open a connection to somebody who says just this, and hangs up."""
    threads = []

    def answer(data):
        listening = socket.create_server(("127.0.0.1", 0))

        def say():
            with listening, listening.accept()[0] as peer:
                peer.sendall(data)

        threads.append(threading.Thread(target=say))
        threads[-1].start()
        return Connection(listening.getsockname()[1], 5)

    yield answer
    for thread in threads:
        thread.join()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


@pytest.mark.parametrize(
    ("data", "body", "is_whole"),
    [
        (HEAD + b"Content-Length: 5\r\n\r\nhello", b"hello", True),
        (HEAD + b"Content-Length: 9\r\n\r\nhello", b"hello", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello", True),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nl", b"he", False),
        (HEAD + b"\r\nhello", b"hello", True),
    ],
    ids=["length", "too short", "chunked", "broken off", "until the end"],
)
def test_a_response_is_read_as_it_is_framed(answering, data, body, is_whole) -> None:
    """And is known for whole or not."""
    with answering(b"HTTP/1.1 100 Continue\r\n\r\n" + data) as connection:
        answer = connection.response()

    assert (answer.body, answer.is_whole, answer.informational) == (body, is_whole, [100])


def test_no_response_is_an_error(answering) -> None:
    """Whether nothing came, or half a head."""
    for data in (b"", HEAD):
        with answering(data) as connection, pytest.raises(BrokenOffError):
            connection.response()


def test_an_answer_is_read_by_name(answering) -> None:
    """Header lines in order, and the body as JSON."""
    body = json.dumps({"a": 1}).encode()
    with answering(b"HTTP/1.1 200 OK\r\nX: 1\r\nx: 2\r\nContent-Length: %d\r\n\r\n" % len(body) + body) as connection:
        answer = connection.response()

    assert (answer.lines(b"x"), answer.json()) == ([b"1", b"2"], {"a": 1})
