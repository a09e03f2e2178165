"""Request limits: what is too large, too many or malformed is refused, at the first byte over and before it is read."""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest

from asgi_guard import ConfigError, Guard, RequestLimits, RequestLimitsMiddleware, RequestRefused
from asgi_guard.testing import (
    ABSENT,
    HEADER_FORMS,
    ODD_SCOPES,
    StrictServer,
    call,
    capture_events,
    http_scope,
    request_messages,
    websocket,
)

pytestmark = pytest.mark.anyio

HOST = (b"host", b"testserver")
SIZES = ("max_body_bytes", "max_headers", "max_header_bytes", "max_header_line_bytes", "max_url_bytes")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Read the whole body and send it back, as most handlers do."""
    body = b""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Accept a WebSocket, or answer without looking at anything."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await receive()
        await receive()
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def never(scope: Any, receive: Any, send: Any) -> None:
    """Stand for an application that must not be reached."""
    raise AssertionError("the application was called")


async def status_of(settings: dict[str, Any], app: Any = echo, **request: Any) -> int:
    """Send one request past these limits."""
    return (await call(RequestLimitsMiddleware(app, **settings), **request)).status


def lengths(*lines: bytes) -> list[tuple[bytes, bytes]]:
    """Make the headers of a request with these lines of Content-Length."""
    return [HOST, *[(b"content-length", line) for line in lines]]


# the body


@pytest.mark.parametrize(
    ("chunks", "status"),
    [
        ([b"x" * 10], 200),
        ([b"x" * 11], 413),
        ([b"x" * 5, b"x" * 5], 200),
        ([b"x" * 5, b"x" * 6], 413),
        ([b"x"] * 10, 200),
        ([b"x"] * 11, 413),
        ([b"x" * 10, b"", b""], 200),
        ([b"x" * 10, b"", b"x"], 413),
        ([b""] * 50, 200),
        ([], 200),
    ],
    ids=lambda value: f"{[len(chunk) for chunk in value]}"[:40] if isinstance(value, list) else None,
)
async def test_a_streamed_body_is_counted_to_the_byte(chunks, status) -> None:
    """However it is cut into chunks, and without any Content-Length."""
    response = await call(RequestLimitsMiddleware(echo, max_body_bytes=10), "POST", chunks=chunks)

    assert response.status == status
    assert response.body == b"".join(chunks) or status == 413


@pytest.mark.parametrize(("declared", "status"), [(b"9", 200), (b"10", 200), (b"11", 413), (b"10485760000", 413)])
async def test_a_declared_body_is_refused_before_it_comes(declared, status) -> None:
    """The application is not called, and nothing is received: a client that waits for 100-continue keeps its upload."""
    server = StrictServer(http_scope("POST", headers=lengths(declared)), [])

    await server.serve(RequestLimitsMiddleware(greet if status == 200 else never, max_body_bytes=10))

    server.raise_for_errors()
    assert server.sent[0]["status"] == status
    assert server.received == 0


@pytest.mark.parametrize("declared", [b"0", b"1", b"10"])
async def test_a_length_that_lies_lets_nobody_past(declared) -> None:
    """The declared length is a hint: servers pass on chunked bodies with a Content-Length beside them."""
    response = await call(
        RequestLimitsMiddleware(echo, max_body_bytes=10), "POST", headers=lengths(declared), chunks=[b"x" * 6] * 2
    )

    assert response.status == 413


async def test_the_application_gets_the_messages_as_they_are() -> None:
    """One for one, and those that lack a key too."""
    odd = [{"type": "http.request", "more_body": True}, {"type": "http.request", "body": b"x", "extra": 1}]
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([await receive(), await receive()])
        await greet(scope, receive, send)

    await call(RequestLimitsMiddleware(app, max_body_bytes=10), incoming=odd)

    assert seen == odd


async def test_a_refusal_in_mid_stream_ends_the_upload_for_the_application() -> None:
    """It gets the bytes up to the limit, then hears that the client has gone, again and again."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend([await receive() for _ in range(4)])

    response = await call(
        RequestLimitsMiddleware(app, max_body_bytes=10), "POST", chunks=[b"x" * 6, b"x" * 6, b"x" * 6]
    )

    assert response.status == 413
    assert [message.get("body") for message in seen] == [b"x" * 6, None, None, None]
    assert {message["type"] for message in seen[1:]} == {"http.disconnect"}


@pytest.mark.parametrize("rest", ["answers all the same", "raises", "returns"])
async def test_after_a_refusal_in_mid_stream_the_application_changes_nothing(rest) -> None:
    """There is one answer, whole, and no exception reaches the server."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] == "http.request":
            pass
        if rest == "raises":
            raise ValueError
        if rest != "returns":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"fine"})

    response = await call(RequestLimitsMiddleware(app, max_body_bytes=10), "POST", chunks=[b"x" * 6] * 3)

    assert response.status == 413
    assert response.json()["error"]["code"] == "BODY_TOO_LARGE"


@pytest.mark.parametrize("rest", ["answers all the same", "raises", "returns"])
async def test_a_body_over_the_limit_replaces_an_answer_whose_start_is_held(rest, caplog) -> None:
    """Nothing has left: the client gets the 413, and the log has nothing of an error."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["type"] == "http.request":
            pass
        if rest == "raises":
            raise ConnectionResetError
        if rest != "returns":
            await send({"type": "http.response.body", "body": b"fine"})

    guard = Guard(app, request_limits=RequestLimits(max_body_bytes=10), rate_limit=False)
    server = StrictServer(http_scope("POST"), request_messages(b"x" * 6, b"x" * 6))
    await server.serve(guard)

    server.raise_for_errors()
    assert [message.get("status") for message in server.sent] == [413, None]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_body_over_the_limit_cuts_off_an_answer_that_has_begun() -> None:
    """Nothing is added to it; the server sees that it is not whole, and breaks the connection off."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        while (await receive())["type"] == "http.request":
            pass
        await send({"type": "http.response.body", "body": b"fine"})

    server = StrictServer(http_scope("POST"), request_messages(b"x" * 6, b"x" * 6))
    await server.serve(RequestLimitsMiddleware(app, max_body_bytes=10))

    server.raise_for_errors()
    assert [message.get("body") for message in server.sent] == [None, b"begun"]


# Content-Length


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ## whole numbers
        ([b"0"], 200),
        ([b"5"], 200),
        ([b"0005"], 200),
        ([b"5", b"5"], 200),
        ([b"10"], 200),
        ([b"11"], 413),
        ([b"1" + b"0" * 30], 413),
        ([b"9" * 10_000], 413),
        ([b"0" * 25 + b"99999999999"], 413),
        ([b"0" * 25 + b"11"], 413),
        ([b"0" * 25 + b"10"], 200),
        ([b"0" * 25], 200),
        ## what one parser reads as a number, and the next one not
        ([b""], 400),
        ([b" "], 400),
        ([b"abc"], 400),
        ([b"+5"], 400),
        ([b"-1"], 400),
        ([b"-0"], 400),
        ([b"1_0"], 400),
        ([b"5.0"], 400),
        ([b"5e0"], 400),
        ([b"0x5"], 400),
        ([b" 5"], 400),
        ([b"5 "], 400),
        ([b"\t5"], 400),
        ([b"5\x0b"], 400),
        ([b"5\x00"], 400),
        ([b"5;"], 400),
        ([b'"5"'], 400),
        ([b"\xb2"], 400),
        (["\u0665".encode()], 400),
        (["\uff15".encode()], 400),
        ## lists, and lines that disagree
        ([b"5, 5"], 400),
        ([b"5,5"], 400),
        ([b"5, 6"], 400),
        ([b"5", b"6"], 400),
        ([b"6", b"5"], 400),
        ([b"5", b"05"], 400),
        ([b"5", b"abc"], 400),
        ([b"5", b""], 400),
        ([b"5", b"5", b"7"], 400),
    ],
    ids=lambda value: f"{value}"[:40] if isinstance(value, list) else None,
)
@pytest.mark.parametrize("spell", [bytes.lower, bytes.title], ids=["lower", "title"])
async def test_a_length_is_one_whole_number_or_nothing(lines, status, spell) -> None:
    """Where two programs disagree on the length of a request, one of them reads a second request (smuggling)."""
    headers = [(spell(name), value) for name, value in lengths(*lines)]
    server = StrictServer(http_scope("POST", headers=headers))

    await server.serve(RequestLimitsMiddleware(greet if status == 200 else never, max_body_bytes=10))

    server.raise_for_errors()
    assert server.sent[0]["status"] == status


@pytest.mark.parametrize("coding", [b"chunked", b"gzip, chunked", b"identity", b"", b"xchunked"])
@pytest.mark.parametrize("order", [1, -1], ids=["length first", "length last"])
async def test_a_length_next_to_a_transfer_encoding_is_refused(coding, order) -> None:
    """Whichever comes first and whatever they say (RFC 9112 section 6.1), with every limit off as well."""
    headers = [HOST, *[(b"content-length", b"5"), (b"transfer-encoding", coding)][::order]]

    for settings in ({}, dict.fromkeys(SIZES)):
        response = await call(RequestLimitsMiddleware(never, **settings), "POST", headers=headers)
        assert response.status == 400
        assert response.json()["error"]["code"] == "MALFORMED_REQUEST"


async def test_a_transfer_encoding_alone_is_fine() -> None:
    """It is how bodies of unknown length come."""
    headers = [HOST, (b"transfer-encoding", b"chunked")]

    assert await status_of({}, method="POST", headers=headers, chunks=[b"a", b"b"]) == 200


# the head


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        (b"/" + b"p" * 9, b"", 200),
        (b"/" + b"p" * 10, b"", 414),
        (b"/p", b"q" * 8, 200),
        (b"/p", b"q" * 9, 414),
        (b"/", b"q" * 9, 200),
        (b"/", b"q" * 10, 414),
        (b"/%C3%A4", b"", 200),
        (b"/%C3%A4%C3%A4", b"", 414),
    ],
)
async def test_a_url_is_counted_as_it_was_sent(path, query, status) -> None:
    """Path and query together; what was percent-encoded counts as such."""
    app = RequestLimitsMiddleware(greet, max_url_bytes=10)
    response = await call(app, path="/", raw_path=path, query_string=query)

    assert response.status == status


@pytest.mark.parametrize("raw_path", [None, ABSENT, b""], ids=["None", "absent", "empty"])
@pytest.mark.parametrize(
    ("path", "status"), [("/" + "p" * 9, 200), ("/" + "p" * 10, 414), ("/äääb", 200), ("/ääääb", 200), ("/äääää", 414)]
)
async def test_where_the_server_does_not_tell_the_decoded_path_is_counted(raw_path, path, status) -> None:
    """In bytes: characters would let in three times as much."""
    scope = http_scope(raw_path=raw_path)
    scope["path"] = path

    server = await StrictServer(scope).serve(RequestLimitsMiddleware(greet, max_url_bytes=10))

    assert server.sent[0]["status"] == status


async def test_a_path_that_is_no_text_is_counted_all_the_same() -> None:
    """A server may decode what is no UTF-8 with surrogates."""
    scope = http_scope(raw_path=ABSENT)
    scope["path"] = "/\udcff"

    server = await StrictServer(scope).serve(RequestLimitsMiddleware(greet))

    assert server.sent[0]["status"] == 200


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        ## how many
        ({"max_headers": 3}, [HOST, (b"a", b"1"), (b"b", b"2")], 200),
        ({"max_headers": 3}, [HOST, (b"a", b"1"), (b"b", b"2"), (b"c", b"3")], 431),
        ({"max_headers": 3}, [HOST, (b"a", b"1"), (b"a", b"1"), (b"a", b"1")], 431),
        ## all together
        ({"max_header_bytes": 20}, [HOST, (b"abc", b"def")], 200),
        ({"max_header_bytes": 20}, [HOST, (b"abc", b"defg")], 431),
        ({"max_header_bytes": 20}, [HOST, (b"abcdefg", b"")], 431),
        ({"max_header_bytes": 20}, [HOST, (b"a", b"b"), (b"a", b"b"), (b"a", b"b")], 200),
        ({"max_header_bytes": 20}, [HOST, (b"a", b"b"), (b"a", b"b"), (b"a", b"bc")], 431),
        ## one
        ({"max_header_line_bytes": 20}, [HOST, (b"cookie", b"c" * 14), (b"a", b"1" * 19)], 200),
        ({"max_header_line_bytes": 20}, [HOST, (b"cookie", b"c" * 15), (b"a", b"1")], 431),
        ({"max_header_line_bytes": 20}, [HOST, (b"n" * 21, b"")], 431),
        ({"max_header_line_bytes": 20}, [HOST, (b"a", b"1" * 20), (b"a", b"1")], 431),
        ({"max_header_line_bytes": 20, "max_header_bytes": None}, [HOST, (b"a", b"1" * 20)], 431),
    ],
    ids=str,
)
@pytest.mark.parametrize("form", HEADER_FORMS)
async def test_headers_are_counted_to_the_byte(settings, headers, status, form) -> None:
    """In whatever container the server hands them over; a name counts like a value."""
    scope = http_scope(headers=HEADER_FORMS[form](headers))

    server = await StrictServer(scope).serve(RequestLimitsMiddleware(greet if status == 200 else never, **settings))

    server.raise_for_errors()
    assert server.sent[0]["status"] == status


async def test_headers_of_a_generator_reach_the_application() -> None:
    """Counting them has not used them up."""
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend(scope["headers"])
        await greet(scope, receive, send)

    await StrictServer(http_scope(headers=(pair for pair in [HOST, (b"a", b"1")]))).serve(RequestLimitsMiddleware(app))

    assert seen == [HOST, (b"a", b"1")]


@pytest.mark.parametrize("odd", ODD_SCOPES)
async def test_what_a_real_server_leaves_out_is_no_reason_to_refuse(odd) -> None:
    """Nor to fail."""
    assert await status_of({}, app=greet, **ODD_SCOPES[odd]) == 200


async def test_a_request_without_headers_is_counted_too() -> None:
    """HTTP/1.0 needs none, and a scope may lack the key."""
    for headers in ([], (), None, ABSENT):
        server = await StrictServer(http_scope(headers=headers)).serve(RequestLimitsMiddleware(greet))
        assert server.sent[0]["status"] == 200


# what it costs to refuse


def work(headers: list[tuple[bytes, bytes]], **settings: Any) -> tuple[int, int]:
    """Return the status of a request, and how many functions were called for it."""
    sent: list[Any] = []
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    async def send(message: Any) -> None:
        sent.append(message)

    serving = RequestLimitsMiddleware(greet, **settings)(http_scope("POST", headers=headers), never, send)
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        serving.send(None)
    except StopIteration:
        pass
    finally:
        sys.setprofile(before)
    return sent[0]["status"], calls


@pytest.mark.parametrize(
    ("settings", "line", "status"),
    [
        ({}, (b"x-a", b"1"), 431),
        ({}, (b"content-length", b"5"), 431),
        ({"max_headers": None}, (b"x-a", b"1"), 431),
        (dict.fromkeys(SIZES), (b"x-a", b"1"), 200),
        (dict.fromkeys(SIZES), (b"content-length", b"5"), 200),
        (dict.fromkeys(SIZES), (b"Content-Length", b"5"), 200),
    ],
    ids=str,
)
def test_ten_thousand_headers_cost_ten_times_what_a_thousand_do(settings, line, status) -> None:
    """At most, and a few calls each; also where all of them say how long the body is."""
    (_, few), (answered, many) = (work([HOST, *[line] * size], **settings) for size in (1_000, 10_000))

    assert answered == status
    assert many <= 10 * few
    assert many < 10 * 10_000


@pytest.mark.parametrize(("digit", "status"), [(b"9", 413), (b"0", 200), (b"x", 400), (b"\xd9\xa5", 400)], ids=str)
def test_a_length_of_many_digits_costs_what_one_of_few_does(digit, status) -> None:
    """And is a number that is never computed: that takes more than linear time."""
    _, (_, few), (answered, many) = (work([HOST, (b"content-length", digit * size)]) for size in (40, 40, 4_000))

    assert answered == status
    assert many <= few + 20  # the first of the three had things to load; a collection of garbage calls a few, too


# limits that are off


@pytest.mark.parametrize(
    ("limit", "request_"),
    [
        ("max_body_bytes", {"method": "POST", "chunks": [b"x" * 3_000_000] * 4}),
        ("max_body_bytes", {"method": "POST", "headers": lengths(b"99999999999")}),
        ("max_body_bytes", {"method": "POST", "headers": lengths(b"1" + b"0" * 30)}),
        ("max_headers", {"headers": [HOST, *[(b"a", b"")] * 5_000]}),
        ("max_header_bytes", {"headers": [HOST, *[(b"a", b"1" * 10_000)] * 50]}),
        ("max_header_line_bytes", {"headers": [HOST, (b"a", b"1" * 30_000)]}),
        ("max_url_bytes", {"path": "/" + "p" * 100_000}),
    ],
)
async def test_none_takes_one_limit_off(limit, request_) -> None:
    """The same request is refused by default."""
    default = await call(RequestLimitsMiddleware(greet), **request_) if "chunks" not in request_ else None
    without = await call(RequestLimitsMiddleware(echo if "chunks" in request_ else greet, **{limit: None}), **request_)

    assert default is None or default.status in {413, 414, 431}
    assert without.status == 200


async def test_the_defaults_are_those_that_are_told() -> None:
    """10 MiB of body, 100 headers, 32 KiB of them, 16 KiB in one, 8 KiB of URL; any time, and any number at once."""
    assert RequestLimits() == RequestLimits(
        max_body_bytes=10_485_760,
        max_headers=100,
        max_header_bytes=32_768,
        max_header_line_bytes=16_384,
        max_url_bytes=8_192,
        total_seconds=None,
        idle_seconds=None,
        min_body_bytes_per_second=None,
        max_concurrent=None,
        retry_after_seconds=1,
        exempt_paths=(),
        lease_seconds=3_600,
    )


# the answer


@pytest.mark.parametrize(
    ("request_", "status", "code", "limit"),
    [
        ({"chunks": [b"x" * 11]}, 413, "BODY_TOO_LARGE", 10),
        ({"headers": lengths(b"11")}, 413, "BODY_TOO_LARGE", 10),
        ({"path": "/" + "p" * 50}, 414, "URL_TOO_LONG", 50),
        ({"headers": [HOST, *[(b"a", b"1")] * 4]}, 431, "TOO_MANY_HEADERS", 4),
        ({"headers": [HOST, (b"a", b"1" * 40), (b"b", b"1" * 40)]}, 431, "HEADERS_TOO_LARGE", 80),
        ({"headers": [HOST, (b"a", b"1" * 50)]}, 431, "HEADER_TOO_LARGE", 50),
        ({"headers": lengths(b"five")}, 400, "MALFORMED_REQUEST", None),
    ],
    ids=str,
)
async def test_a_refusal_says_what_and_how_much(request_, status, code, limit) -> None:
    """So that a client can do better; what it sent is not repeated. Listeners hear the same."""
    limits = RequestLimits(
        max_body_bytes=10, max_url_bytes=50, max_headers=4, max_header_bytes=80, max_header_line_bytes=50
    )
    app = RequestLimitsMiddleware(echo, limits, listeners=[events := capture_events()])

    response = await call(app, "POST", **request_)

    error = response.json()["error"]
    assert (response.status, error["code"], error["type"]) == (status, code, "validation")
    assert error["details"] == ({} if limit is None else {"limit": limit})
    assert response.headers.get("cache-control") == "no-store"
    (event,) = events.of(RequestRefused)
    assert (event.layer, event.status, event.code) == ("request_limits", status, code)


@pytest.mark.parametrize(
    ("http_version", "closes"), [("1", True), ("1.0", True), ("1.1", True), ("2", False), ("3", False), (ABSENT, True)]
)
@pytest.mark.parametrize(
    "request_", [{"chunks": [b"x" * 11]}, {"headers": lengths(b"11")}, {"headers": lengths(b"x")}], ids=str
)
async def test_a_refused_upload_asks_http_1_to_close(http_version, closes, request_) -> None:
    """The rest of the body is on its way; `connection` is forbidden in HTTP/2 (RFC 9113 section 8.2.2)."""
    app = RequestLimitsMiddleware(echo, max_body_bytes=10)

    response = await call(app, "POST", http_version=http_version, **request_)

    assert (response.headers.get("connection") == "close") is closes


async def test_a_long_url_keeps_the_connection() -> None:
    """There is nothing left of it to come."""
    response = await call(RequestLimitsMiddleware(never, max_url_bytes=3), path="/long")

    assert response.status == 414
    assert response.headers.get("connection") is None


async def test_head_is_refused_without_a_body() -> None:
    """With the length that GET would have had."""
    app = RequestLimitsMiddleware(never, max_url_bytes=3)

    get, head = await call(app, "GET", "/long"), await call(app, "HEAD", "/long")

    assert head.chunks == (b"",)
    assert head.headers.get("content-length") == str(len(get.body))


# WebSockets


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"path": "/" + "p" * 50}, 414),
        ({"headers": [HOST, *[(b"a", b"1")] * 10]}, 431),
        ({"headers": [HOST, (b"cookie", b"1" * 60)]}, 431),
        ({"headers": lengths(b"-1")}, 400),
        ({}, None),
    ],
    ids=str,
)
@pytest.mark.parametrize("can_deny", [True, False])
async def test_a_handshake_is_judged_like_a_request(request_, status, can_deny) -> None:
    """It is one; where the server cannot deny it with a response, it is closed."""
    app = RequestLimitsMiddleware(greet, max_url_bytes=50, max_headers=10, max_header_line_bytes=60)

    async with websocket(app, can_deny=can_deny, **request_) as session:
        if status is None:
            assert session.accepted is not None
        elif can_deny:
            assert session.denial is not None
            assert session.denial.status == status
        else:
            assert (session.accepted, session.close_code) == (None, 1008)


async def test_messages_on_a_websocket_are_no_body() -> None:
    """They have no end to count to."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(3):
            message = await receive()
            await send({"type": "websocket.send", "text": message["text"]})
        await receive()

    async with websocket(RequestLimitsMiddleware(app, max_body_bytes=10)) as session:
        for _ in range(3):
            session.send("x" * 100)
            assert await session.receive() == "x" * 100


# two at once


async def test_two_limits_on_one_request_count_apart() -> None:
    """The stricter one refuses, wherever it stands, and each keeps its own count."""
    for inner, outer in ((10, 100), (100, 10)):
        app = RequestLimitsMiddleware(RequestLimitsMiddleware(echo, max_body_bytes=inner), max_body_bytes=outer)
        assert (await call(app, "POST", chunks=[b"x" * 6])).status == 200
        assert (await call(app, "POST", chunks=[b"x" * 6] * 2)).status == 413


async def test_one_request_after_another_starts_from_zero() -> None:
    """What was counted belongs to the request, not to the middleware."""
    app = RequestLimitsMiddleware(echo, max_body_bytes=10)

    assert [(await call(app, "POST", body=b"x" * 10)).status for _ in range(5)] == [200] * 5


# settings


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        *[(name, "AG101") for name in (*SIZES, "min_body_bytes_per_second", "max_concurrent", "retry_after_seconds")],
        *[(name, "AG102") for name in ("total_seconds", "idle_seconds", "lease_seconds")],
    ],
)
@pytest.mark.parametrize("value", [0, -1, True, "10", float("inf"), float("nan"), b"1", 1j], ids=repr)
def test_settings_that_cannot_work_do_not_start(limit, problem, value) -> None:
    """None is how to take a limit off; 0 would refuse everything, or mean no limit, depending on the reader."""
    with pytest.raises(ConfigError) as caught:
        RequestLimits(**{"idle_seconds": 1, limit: value})
    assert [problem.id for problem in caught.value.problems] == [problem]


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"max_body_bytes": 1.5}, ["AG101 RequestLimits.max_body_bytes"]),
        ({"total_seconds": 0.05}, ["AG102 RequestLimits.total_seconds"]),
        ({"idle_seconds": 86_401}, ["AG102 RequestLimits.idle_seconds"]),
        ({"max_concurrent": 1_000_001}, ["AG101 RequestLimits.max_concurrent"]),
        ({"retry_after_seconds": None}, ["AG101 RequestLimits.retry_after_seconds"]),
        ({"retry_after_seconds": 3_601}, ["AG101 RequestLimits.retry_after_seconds"]),
        ({"exempt_paths": "/health"}, ["AG106 RequestLimits.exempt_paths"]),
        ({"exempt_paths": ["/health", "live"]}, ["AG420 RequestLimits.exempt_paths[1]"]),
        ({"min_body_bytes_per_second": 100}, ["AG421 RequestLimits.min_body_bytes_per_second"]),
        ({"lease_seconds": 30, "total_seconds": 30.5}, ["AG422 RequestLimits.lease_seconds"]),
        ({"total_seconds": 3_601}, ["AG422 RequestLimits.lease_seconds"]),
        (
            {"max_concurrent": 0, "total_seconds": -1, "lease_seconds": "1", "exempt_paths": ["x"]},
            [
                "AG102 RequestLimits.total_seconds",
                "AG102 RequestLimits.lease_seconds",
                "AG101 RequestLimits.max_concurrent",
                "AG420 RequestLimits.exempt_paths[0]",
            ],
        ),
    ],
    ids=str,
)
def test_every_problem_is_told_at_once(fields, problems) -> None:
    """With its id and its field."""
    with pytest.raises(ConfigError) as caught:
        RequestLimits(**fields)
    assert [f"{problem.id} {problem.field}" for problem in caught.value.problems] == problems


@pytest.mark.parametrize(
    "fields",
    [
        {"total_seconds": 30, "lease_seconds": 30},
        {"total_seconds": 86_400, "lease_seconds": None},
        {"total_seconds": 0.1, "idle_seconds": 0.1, "lease_seconds": 0.1},
        {"idle_seconds": 1, "min_body_bytes_per_second": 1, "max_concurrent": 1},
    ],
    ids=str,
)
def test_settings_at_their_bounds_start(fields) -> None:
    """They are inclusive."""
    assert RequestLimits(**fields)


def test_what_is_refused_can_be_read() -> None:
    """A line for each limit that is on."""
    on = Guard(greet).explain()
    off = Guard(
        greet, validation=False, request_limits=RequestLimits(max_body_bytes=None, max_url_bytes=None)
    ).explain()

    assert "413 for a body of more than 10,485,760 bytes, declared or streamed" in on
    assert "414 for a URL of more than 8,192 bytes" in on
    assert "413" not in off
    assert "414" not in off


def test_what_is_too_slow_or_too_many_can_be_read() -> None:
    """Also what does not count."""
    limits = RequestLimits(
        total_seconds=30,
        idle_seconds=5.5,
        min_body_bytes_per_second=1_024,
        max_concurrent=2_000,
        exempt_paths=["/live", "/ready"],
    )

    lines = RequestLimitsMiddleware(greet, limits).layers[0].refusals()

    assert {
        "408 for a body that does not go on for 5.5 s, or stays below 1,024 bytes/s",
        "504 for a response that is not complete after 30 s",
        "503 for what is more than 2,000 requests at the same time, but under /live, /ready",
    } < set(lines)
