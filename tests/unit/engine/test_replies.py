"""What a reply becomes on the wire."""

from __future__ import annotations

import json

import pytest

from asgi_guard.engine import replies
from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.plan import Plan
from asgi_guard.engine.replies import Reply
from asgi_guard.errors.problem import Fault
from asgi_guard.testing import ABSENT, http_scope, websocket_scope

FAULT = Fault(status=429, code="RATE_LIMIT_EXCEEDED", message="Too many requests.")


async def never(*_):
    """Be a receive and a send that nobody calls."""
    raise AssertionError("nobody receives or sends here")


def exchange(scope=None, **keys) -> Exchange:
    """Make the exchange of a request."""
    return Exchange(Plan(()), scope or http_scope(**keys), never, never)


def test_a_body_is_sent_as_it_is() -> None:
    """With its type, its length and the further headers before them."""
    reply = Reply(503, headers=[(b"retry-after", b"7")], body=b"later", content_type=b"text/plain")

    headers, body = replies.head_and_body(exchange(), reply)

    assert headers == [(b"retry-after", b"7"), (b"content-type", b"text/plain"), (b"content-length", b"5")]
    assert body == b"later"


def test_an_empty_reply_says_so() -> None:
    """No type, and a length of 0."""
    assert replies.head_and_body(exchange(), Reply(400)) == ([(b"content-length", b"0")], b"")


def test_a_fault_is_rendered_as_the_client_accepts() -> None:
    """A cache must not keep it, nor give it to a client that accepts something else."""
    reply = Reply.refusal(FAULT, headers=[(b"vary", b"Origin")])
    request = exchange(headers=[(b"host", b"a"), (b"accept", b"application/problem+json")])

    headers, body = replies.head_and_body(request, reply)

    assert reply.status == 429
    assert dict(headers)[b"content-type"] == b"application/problem+json"
    assert dict(headers)[b"vary"] == b"Origin, Accept"
    assert dict(headers)[b"cache-control"] == b"no-store"
    assert dict(headers)[b"content-length"] == b"%d" % len(body)
    assert json.loads(body)["code"] == "RATE_LIMIT_EXCEEDED"


def test_what_a_reply_says_of_caches_stays() -> None:
    """A layer may know better."""
    headers, _ = replies.head_and_body(exchange(), Reply.refusal(FAULT, headers=[(b"cache-control", b"private")]))

    assert [value for name, value in headers if name == b"cache-control"] == [b"private"]
    assert dict(headers)[b"vary"] == b"Accept"


def test_a_reply_is_data_that_may_be_sent_twice() -> None:
    """Building a response leaves the reply as it was."""
    reply = Reply.refusal(FAULT, headers=[(b"x-a", b"1")])

    first, second = (replies.head_and_body(exchange(), reply)[0] for _ in range(2))

    assert first == second
    assert first is not second
    assert reply.headers == ((b"x-a", b"1"),)


REQUEST_IDS = [
    # set on the exchange, found in the state, told
    ("own", {"request_id": "outer"}, "own"),
    (None, {"request_id": "outer"}, "outer"),
    (None, {"request_id": 17}, "17"),
    (None, {}, None),
    (None, None, None),
    (None, ABSENT, None),
]


@pytest.mark.parametrize(("own", "state", "told"), REQUEST_IDS)
def test_a_fault_tells_the_request_id(own, state, told) -> None:
    """Also one that another middleware, between two guards, has left in the state."""
    request = exchange(state=state)
    request.request_id = own

    _, body = replies.head_and_body(request, Reply.refusal(FAULT))

    assert json.loads(body)["request_id"] == told


BODILESS = [
    # method, status, content type is told, content length
    ("HEAD", 429, True, b"2"),
    ("GET", 304, True, None),
    ("GET", 204, False, None),
    ("HEAD", 204, False, None),
    ("GET", 103, True, None),
]


@pytest.mark.parametrize(("method", "status", "has_type", "length"), BODILESS)
def test_what_must_have_no_body_has_none(method, status, has_type, length) -> None:
    """HEAD tells the length that GET would have; 204, 304 and 1xx have none (RFC 9110 sections 8.6 and 15.3.5)."""
    reply = Reply(status, body=b"no", content_type=b"text/plain")

    headers, body = replies.head_and_body(exchange(method=method), reply)

    assert body == b""
    assert (b"content-type" in dict(headers)) is has_type
    assert dict(headers).get(b"content-length") == length


@pytest.mark.parametrize(
    ("version", "is_told"), [("1", True), ("1.0", True), ("1.1", True), (ABSENT, True), ("2", False), ("3", False)]
)
def test_only_http_1_is_asked_to_close(version, is_told) -> None:
    """HTTP/2 has no connection header (RFC 9113 section 8.2.2)."""
    headers, _ = replies.head_and_body(exchange(http_version=version), Reply(413, close_connection=True))

    assert ((b"connection", b"close") in headers) is is_told


CLOSE_CODES = [(400, 1008), (403, 1008), (429, 1008), (500, 1011), (503, 1013), (504, 1011)]


@pytest.mark.parametrize(("status", "code"), CLOSE_CODES)
def test_a_status_has_a_close_code(status, code) -> None:
    """For a WebSocket that was accepted already (RFC 6455 section 7.4.1); a reply may name another."""
    assert Reply(status).websocket_code == code
    assert Reply(status, close_code=4000).websocket_code == 4000


NO_REPLIES = [(0, b""), (99, b""), (600, b""), (200, "text"), (200, bytearray(b"x")), (200, None)]


@pytest.mark.parametrize(("status", "body"), NO_REPLIES)
def test_what_no_server_would_send_is_no_reply(status, body) -> None:
    """It fails where it is written, not on the wire of the one request that is refused."""
    with pytest.raises(ValueError, match="a status of 100 to 599 and bytes"):
        Reply(status, body=body)


def test_messages_are_those_of_the_protocol() -> None:
    """An HTTP response, the denial of a handshake, a close, a disconnect of either kind."""
    http, websocket = exchange(), exchange(websocket_scope())

    assert replies.start(http, 200, [])["type"] == "http.response.start"
    assert replies.end(http, b"x") == {"type": "http.response.body", "body": b"x", "more_body": False}
    assert replies.start(websocket, 403, [])["type"] == "websocket.http.response.start"
    assert replies.end(websocket, b"")["type"] == "websocket.http.response.body"
    assert replies.close(1008) == {"type": "websocket.close", "code": 1008, "reason": ""}
    assert replies.disconnect("http", 1008) == {"type": "http.disconnect"}
    assert replies.disconnect("websocket", 1008) == {"type": "websocket.disconnect", "code": 1008, "reason": ""}


def test_a_handshake_is_denied_with_a_response_only_where_that_is_advertised() -> None:
    """Two servers accept such a denial silently, and the client hangs."""
    assert replies.can_deny(exchange(websocket_scope()))
    for keys in ({"can_deny": False}, {"extensions": ABSENT}, {"extensions": None}):
        assert not replies.can_deny(exchange(websocket_scope(**keys)))
