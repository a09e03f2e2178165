"""A server that forgives nothing."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest

from asgi_guard.testing import (
    ProtocolViolation,
    StrictServer,
    http_scope,
    lifespan_scope,
    request_messages,
    websocket_scope,
)

START = {"type": "http.response.start", "status": 200}
BODY = {"type": "http.response.body", "body": b"ok"}
MORE = {"type": "http.response.body", "body": b"o", "more_body": True}
TRAILERS = {"type": "http.response.trailers", "headers": []}
ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close"}
SEND = {"type": "websocket.send", "text": "hi"}
DENIAL = {"type": "websocket.http.response.start", "status": 403}
DENIED = {"type": "websocket.http.response.body"}


def start(*headers, **keys):
    """Make a response start with these headers."""
    return {**START, "headers": list(headers), **keys}


EXTENSIONS = {f"http.response.{name}": {} for name in ("trailers", "pathsend", "zerocopysend", "early_hint")}
PATH = {"type": "http.response.pathsend", "path": "/x"}
FILE = {"type": "http.response.zerocopysend", "file": 7}
HINT = {"type": "http.response.early_hint", "links": []}

LEGAL = [
    ## responses
    (http_scope(), [START, BODY]),
    (http_scope(), [start((b"content-length", b"2")), MORE, {**MORE, "more_body": False}]),
    (http_scope(), [START, {"type": "http.response.body"}]),
    (http_scope(), [start([b"x-list", b"1"]), MORE, BODY]),
    (http_scope(method="HEAD"), [start((b"content-length", b"99")), {"type": "http.response.body"}]),
    (http_scope(method="HEAD"), [start((b"content-length", b"2")), BODY]),
    (http_scope(), [start((b"content-length", b"99"), status=304), {"type": "http.response.body"}]),
    ## extensions that are advertised
    (http_scope(extensions=EXTENSIONS), [HINT, START, PATH]),
    (http_scope(extensions=EXTENSIONS), [START, {**FILE, "more_body": True}, FILE]),
    (http_scope(extensions=EXTENSIONS), [start(trailers=True), BODY, {**TRAILERS, "more_trailers": True}, TRAILERS]),
    (http_scope(extensions=EXTENSIONS), [start(trailers=True), PATH, {"type": "http.response.trailers"}]),
    ## WebSockets
    (websocket_scope(), [{**ACCEPT, "headers": [(b"x-a", b"1")]}, SEND, {**CLOSE, "code": 4000}]),
    (websocket_scope(), [ACCEPT, {"type": "websocket.send", "bytes": b"", "text": None}, CLOSE]),
    (websocket_scope(), [CLOSE]),
    (websocket_scope(), [DENIAL, {**DENIED, "more_body": True}, DENIED]),
    (websocket_scope(asgi={"version": "3.0"}), [ACCEPT, CLOSE]),
    ## lifespans
    (lifespan_scope(), [{"type": f"lifespan.{phase}.complete"} for phase in ("startup", "shutdown")]),
    (lifespan_scope(), [{"type": "lifespan.startup.failed"}]),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("scope", "messages"), LEGAL)
async def test_what_the_specification_allows_is_taken(scope, messages) -> None:
    """To the end, and kept as it was sent."""
    server = StrictServer(scope)

    for message in messages:
        assert not server.is_over
        await server.send(message)

    assert server.is_over
    assert [message["type"] for message in server.sent] == [message["type"] for message in messages]
    server.raise_unless_over()


ILLEGAL = [
    ## order
    (http_scope(), [BODY], "a body in the state 'no response'"),
    (http_scope(), [START, START], "a second response start"),
    (http_scope(), [START, BODY, BODY], "after the end"),
    (http_scope(), [START, BODY, START], "after the end"),
    ## starts
    (http_scope(), [{"type": "http.response.start"}], "status None"),
    (http_scope(), [{**START, "status": "200"}], "status '200'"),
    (http_scope(), [{**START, "status": 101}], "status 101"),
    (http_scope(), [{**START, "status": 600}], "status 600"),
    ## headers
    (http_scope(), [start((b"X-Upper", b"1"))], "not a lower-case token"),
    (http_scope(), [start((b"x y", b"1"))], "not a lower-case token"),
    (http_scope(), [start((b"", b"1"))], "not a lower-case token"),
    (http_scope(), [start(("x-str", b"1"))], "not a pair of bytes"),
    (http_scope(), [start((b"x-str", "1"))], "not a pair of bytes"),
    (http_scope(), [start((b"x", b"1", b"2"))], "not a pair of bytes"),
    (http_scope(), [start((b"x", b"a\r\nb: c"))], "CR, LF or NUL"),
    (http_scope(), [start((b"x", b"a\0b"))], "CR, LF or NUL"),
    (http_scope(), [start((b"content-length", b"+5"))], "is no number"),
    (http_scope(), [start((b"content-length", b"2"), (b"content-length", b"2"))], "more than one Content-Length"),
    ## bodies
    (http_scope(), [START, {**BODY, "body": "ok"}], "a body of type str"),
    (http_scope(), [START, {**BODY, "body": bytearray(b"ok")}], "a body of type bytearray"),
    (http_scope(), [start((b"content-length", b"1")), BODY], "2 bytes of a Content-Length of 1"),
    (http_scope(), [start((b"content-length", b"3")), BODY], "the end after 2 bytes"),
    (http_scope(), [{**START, "status": 204}, BODY], "a body with status 204"),
    (http_scope(), [{**START, "status": 304}, BODY], "a body with status 304"),
    ## what was not advertised
    (http_scope(), [START, PATH], "nor advertised"),
    (http_scope(), [start(trailers=True), BODY, TRAILERS], "nor advertised"),
    (http_scope(), [{"type": "http.response.mystery"}], "nor advertised"),
    (http_scope(), [{}], "nor advertised"),
    ## extensions at the wrong time
    (http_scope(extensions=EXTENSIONS), [PATH], "in the state 'no response'"),
    (http_scope(extensions=EXTENSIONS), [START, TRAILERS], "trailers in the state 'started'"),
    ## WebSockets
    (websocket_scope(), [SEND], "a message in the state 'connecting'"),
    (websocket_scope(), [ACCEPT, ACCEPT], "an accept in the state 'accepted'"),
    (websocket_scope(), [ACCEPT, DENIAL], "a denial in the state 'accepted'"),
    (websocket_scope(), [ACCEPT, CLOSE, SEND], "after the end"),
    (websocket_scope(), [ACCEPT, {"type": "websocket.send"}], "either bytes or text"),
    (websocket_scope(), [ACCEPT, {**SEND, "bytes": b"hi"}], "either bytes or text"),
    (websocket_scope(), [{**CLOSE, "code": 99}], "close code 99"),
    (websocket_scope(), [DENIAL, ACCEPT], "an accept in the state 'denying'"),
    (websocket_scope(), [DENIAL, DENIED, DENIED], "after the end"),
    (websocket_scope(), [START], "is not known here"),
    (websocket_scope(can_deny=False), [DENIAL], "is not known here"),
    (websocket_scope(asgi={"version": "3.0"}), [{**ACCEPT, "headers": [(b"x", b"1")]}], "headers in an accept"),
    ## lifespans
    (lifespan_scope(), [{"type": "lifespan.shutdown.complete"}], "in the state 'starting'"),
    (lifespan_scope(), [START], "in the state 'starting'"),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("scope", "messages", "match"), ILLEGAL)
async def test_what_some_server_would_refuse_is_refused(scope, messages, match) -> None:
    """The last of the messages is; it is remembered, so that nobody can swallow it."""
    server = StrictServer(scope)
    for message in messages[:-1]:
        await server.send(message)

    with pytest.raises(ProtocolViolation, match=match) as caught:
        await server.send(messages[-1])

    assert server.violation is caught.value
    assert len(server.sent) == len(messages) - 1


@pytest.mark.anyio
async def test_a_body_in_answer_to_head_is_dropped_and_counted() -> None:
    """As every server does, and frameworks rely on; whoever builds responses should not rely on it."""
    server = StrictServer(http_scope(method="HEAD"))

    for message in (START, BODY):
        await server.send(message)

    assert server.dropped_bytes == 2


@pytest.mark.anyio
async def test_a_violation_that_was_swallowed_is_raised_in_the_end() -> None:
    """The first of them, before whatever the application raised."""

    async def app(scope, receive, send):
        for message in (BODY, {**START, "status": 0}):
            with suppress(ProtocolViolation):
                await send(message)
        raise LookupError

    server = await StrictServer(http_scope()).serve(app)

    assert isinstance(server.error, LookupError)
    with pytest.raises(ProtocolViolation, match="a body in the state"):
        server.raise_for_errors()


@pytest.mark.anyio
async def test_what_the_application_raises_is_kept() -> None:
    """A server survives it; what is no Exception goes through."""

    async def fails(scope, receive, send):
        raise LookupError("kept")

    async def stops(scope, receive, send):
        raise KeyboardInterrupt

    server = await StrictServer(http_scope()).serve(fails)
    with pytest.raises(LookupError, match="kept"):
        server.raise_for_errors()
    with pytest.raises(ProtocolViolation, match="no response"):
        server.raise_unless_over()
    with pytest.raises(KeyboardInterrupt):
        await StrictServer(http_scope()).serve(stops)


@pytest.mark.anyio
async def test_an_application_that_hangs_is_given_up() -> None:
    """After the time that the test has for it."""

    async def hangs(scope, receive, send):
        await anyio.sleep_forever()

    with pytest.raises(TimeoutError):
        await StrictServer(http_scope()).serve(hangs, timeout_seconds=0)


@pytest.mark.anyio
async def test_it_keeps_copies_of_what_was_sent() -> None:
    """What an application does with its message afterwards does not show, and a generator is read once."""
    server = StrictServer(http_scope())
    message = {**START, "headers": [(b"a", b"1")]}

    await server.send(message)
    message["headers"].append((b"b", b"2"))
    message["status"] = 500

    assert server.sent == [{**START, "headers": [(b"a", b"1")]}]
    server = StrictServer(http_scope())
    await server.send({**START, "headers": (pair for pair in [(b"a", b"1")])})
    assert server.sent[0]["headers"] == [(b"a", b"1")]


# receive --------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_after_the_body_it_waits_for_the_end_of_the_response() -> None:
    """And says disconnect then, as often as it is asked."""
    received = []

    async def app(scope, receive, send):
        async def listen():
            for _ in range(4):
                received.append((await receive())["type"])  # noqa: PERF401  one by one, so that the test sees them come

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            tasks.start_soon(listen)
            await anyio.lowlevel.checkpoint()
            await send(START)
            await anyio.lowlevel.checkpoint()
            assert received == ["http.request"] * 2
            await send(BODY)

    server = await StrictServer(http_scope(), request_messages(b"a", b"b")).serve(app)
    server.raise_for_errors()

    assert received[2:] == ["http.disconnect"] * 6
    assert server.received == 8


@pytest.mark.anyio
async def test_a_client_may_have_left() -> None:
    """Then it says so at once."""
    server = StrictServer(http_scope(), request_messages(b"a"), afterwards="disconnect")

    assert [(await server.receive())["type"] for _ in range(3)] == ["http.request", *["http.disconnect"] * 2]
    websocket = StrictServer(websocket_scope(), afterwards="disconnect")
    assert await websocket.receive() == {"type": "websocket.disconnect", "code": 1005, "reason": ""}


@pytest.mark.anyio
@pytest.mark.parametrize("scope", [http_scope(), lifespan_scope()])
async def test_it_may_never_return(scope) -> None:
    """As on one server, which does not even say disconnect; a lifespan has no disconnect at all."""
    afterwards = "never" if scope["type"] == "http" else "disconnect"
    server = StrictServer(scope, afterwards=afterwards)

    with anyio.move_on_after(0) as limit:
        await server.receive()

    assert limit.cancelled_caught
    server.push({"type": "mystery"})
    assert await server.receive() == {"type": "mystery"}


# on_send --------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_slow_client_makes_send_wait() -> None:
    """A message counts as sent once it was taken."""
    order = []

    async def slowly(message):
        order.append(("taking", len(server.sent)))
        await anyio.lowlevel.checkpoint()

    async def app(scope, receive, send):
        for message in (START, BODY):
            await send(message)
            order.append(("sent", len(server.sent)))

    server = StrictServer(http_scope(), on_send=slowly)
    await server.serve(app)

    assert order == [("taking", 0), ("sent", 1), ("taking", 1), ("sent", 2)]


@pytest.mark.anyio
async def test_a_client_that_has_gone_makes_send_raise() -> None:
    """What was on its way then has not been sent."""

    async def gone(message):
        raise OSError("the client has left")

    server = StrictServer(http_scope(), on_send=gone)

    with pytest.raises(OSError, match="left"):
        await server.send(START)
    assert (server.sent, server.violation) == ([], None)
