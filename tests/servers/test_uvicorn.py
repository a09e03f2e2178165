"""Under a real server: uvicorn, with both of its HTTP parsers and both of its event loops.

The server runs in a thread, on a socket that listens before the server starts, so that nobody has to wait for it.
Clients are raw sockets and the standard library's, which show what is on the wire.
"""

# ruff: noqa: E402  what may not be installed is asked for first
from __future__ import annotations

import http.client
import socket
import threading
from contextlib import contextmanager

import pytest

uvicorn = pytest.importorskip("uvicorn")
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect

from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.replies import Reply

TIMEOUT_SECONDS = 10
UPLOAD_BYTES = 10
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


class Envelope(Layer):
    """Answers exceptions, holds the start for them, and marks every head."""

    holds_start = True

    def head(self, exchange, headers):
        headers.append((b"x-guard", b"1"))

    def rescue(self, exchange, exc):
        return Reply(500, body=b"sorry", content_type=b"text/plain")


class Limits(Layer):
    """Refuses one path at the door, uploads over ten bytes on another, and slowness on a third."""

    def admit(self, exchange):
        if exchange.path == "/refused":
            return Reply(403, body=b"no", content_type=b"text/plain")
        if exchange.path == "/slow":
            exchange.set_deadline(self, 0.01, Reply(504, body=b"too slow"))
        return None

    def inbound(self, exchange, message):
        size = (exchange.cell(self) or 0) + len(message.get("body", b""))
        exchange.cells[self] = size
        return Reply(413, body=b"too large") if exchange.path == "/limited" and size > UPLOAD_BYTES else None


class Application:
    """What the server serves: each path behaves in its own way."""

    def __init__(self):
        self.has_seen_disconnect = threading.Event()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "websocket":
            await self.talk(scope, receive, send)
        else:
            await getattr(self, scope["path"].strip("/"))(receive, send)

    async def talk(self, scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "fail":
                raise LookupError("a secret")
            await send({"type": "websocket.send", "text": message["text"]})

    async def hello(self, receive, send):
        await send(START)
        await send({"type": "http.response.body", "body": b"hello"})

    async def echo(self, receive, send):
        await send(START)
        more = True
        while more:
            message = await receive()
            more = message.get("more_body", False)
            await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": more})

    async def limited(self, receive, send):
        while (message := await receive()).get("more_body"):
            pass
        await send({**START, "status": 400 if message["type"] == "http.disconnect" else 200})
        await send({"type": "http.response.body", "body": b"the application's"})

    async def refused(self, receive, send):
        raise AssertionError("the application must not run")

    async def wait(self, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        self.has_seen_disconnect.set()

    async def slow(self, receive, send):
        await self.wait(receive, send)

    async def held(self, receive, send):
        await send(START)
        await self.wait(receive, send)

    async def early(self, receive, send):
        raise LookupError("a secret")

    async def late(self, receive, send):
        await send(START)
        raise LookupError("a secret")

    async def broken(self, receive, send):
        await send({**START, "headers": [(b"content-length", b"100")]})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise LookupError("a secret")

    async def background(self, receive, send):
        await self.hello(receive, send)
        raise LookupError("a secret")


class Served:
    """An application under a server, and the clients that ask it."""

    def __init__(self, app, port):
        self.app = app
        self.port = port

    @contextmanager
    def client(self):
        """Open a keep-alive connection of the standard library's."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_SECONDS)
        client.connect()
        own = client.sock
        try:
            yield client
            assert client.sock in {own, None}, "the client has opened a second connection"
        finally:
            client.close()

    @contextmanager
    def socket(self):
        """Open a raw connection, as a file to read from and a function that sends."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_SECONDS) as raw:
            yield raw.makefile("rb"), raw.sendall


@pytest.fixture(scope="module", params=[("h11", "asyncio"), ("httptools", "auto")], ids=["h11", "httptools"])
def served(request):
    """Serve the application, wrapped, until the tests of this file are through."""
    parser, loop = request.param
    app = Application()
    wrapped = Middleware(Middleware(app, Limits()), Envelope())
    config = uvicorn.Config(
        wrapped, http=parser, loop=loop, ws="websockets-sansio", lifespan="off", log_level="critical"
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield Served(app, listening.getsockname()[1])
    server.should_exit = server.force_exit = True
    thread.join(TIMEOUT_SECONDS)
    assert not thread.is_alive()
    listening.close()


def head_of(stream):
    """Read a response head: its status line, and its other lines in lower case."""
    lines = []
    while line := stream.readline().strip():
        lines.append(line)
    return lines[0], [line.lower() for line in lines[1:]]


def chunk(data: bytes) -> bytes:
    """Write a chunk as HTTP/1.1 does."""
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKED = b"POST %s HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"


# What passes ----------------------------------------------------------------------------------------------------------


def test_a_connection_is_kept_over_many_responses(served) -> None:
    """Each with its head, marked."""
    with served.client() as client:
        for _ in range(3):
            client.request("GET", "/hello")
            response = client.getresponse()
            assert (response.status, response.getheader("x-guard"), response.read()) == (200, "1", b"hello")


def test_every_chunk_passes_both_ways_as_it_comes(served) -> None:
    """The client has the echo of each before it sends the next."""
    with served.socket() as (stream, send):
        send(CHUNKED % b"/echo")
        for number in range(20):
            data = b"chunk %d" % number
            send(chunk(data))
            if not number:
                status, headers = head_of(stream)
                assert status == b"HTTP/1.1 200 OK"
                assert b"x-guard: 1" in headers
            assert stream.read(len(chunk(data))) == chunk(data)
        send(b"0\r\n\r\n")
        assert stream.read(5) == b"0\r\n\r\n"


def test_head_has_no_body(served) -> None:
    """The next response on the connection is read from the right place, whoever answers."""
    with served.client() as client:
        for path, status in (("/hello", 200), ("/refused", 403), ("/early", 500), ("/hello", 200)):
            client.request("HEAD", path)
            response = client.getresponse()
            assert (response.status, response.read()) == (status, b"")


def test_a_client_that_leaves_is_seen_by_the_application(served) -> None:
    """It asks whether the client is still there."""
    served.app.has_seen_disconnect.clear()

    with served.client() as client:
        client.request("GET", "/wait")

    assert served.app.has_seen_disconnect.wait(TIMEOUT_SECONDS)


def test_a_held_start_goes_out_while_the_application_waits(served) -> None:
    """The ticker lets it go."""
    served.app.has_seen_disconnect.clear()

    with served.client() as client:
        client.request("GET", "/held")
        assert client.getresponse().status == 200
        assert not served.app.has_seen_disconnect.is_set()

    assert served.app.has_seen_disconnect.wait(TIMEOUT_SECONDS)


# What fails -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/early", "/late"])
def test_a_failure_before_the_first_chunk_is_a_proper_500(served, path, caplog) -> None:
    """Even after the start, which was held; the connection lives on."""
    with served.client() as client:
        for _ in range(2):
            client.request("GET", path)
            response = client.getresponse()
            assert (response.status, response.getheader("x-guard"), response.read()) == (500, "1", b"sorry")
        client.request("GET", "/hello")
        assert client.getresponse().read() == b"hello"


def test_a_failure_after_the_first_chunk_is_seen_by_the_client(served) -> None:
    """The connection breaks off: whoever takes what came for the whole would be wrong."""
    with served.client() as client:
        client.request("GET", "/broken")
        response = client.getresponse()
        assert response.status == 200
        with pytest.raises(http.client.IncompleteRead) as caught:
            response.read()
    assert caught.value.partial == b"part"


def test_a_failure_after_the_response_keeps_the_connection(served) -> None:
    """The client has its answer; what failed was work in the background."""
    with served.client() as client:
        for path in ("/background", "/hello"):
            client.request("GET", path)
            assert client.getresponse().read() == b"hello"


def test_an_application_that_takes_too_long_is_answered_for(served) -> None:
    """The connection lives on."""
    with served.client() as client:
        for path, status in (("/slow", 504), ("/slow", 504), ("/hello", 200)):
            client.request("GET", path)
            response = client.getresponse()
            response.read()
            assert response.status == status


# What is refused ------------------------------------------------------------------------------------------------------


def test_an_upload_is_refused_in_mid_stream(served) -> None:
    """The answer is there before the upload ends, and is the refusal, not what the application makes of it."""
    with served.socket() as (stream, send):
        send(CHUNKED % b"/limited" + chunk(b"12345678"))
        send(chunk(b"90123"))
        status, headers = head_of(stream)
        assert status.split()[1] == b"413"
        assert b"x-guard: 1" in headers
        assert stream.read(9) == b"too large"


def test_an_upload_within_the_limit_is_served(served) -> None:
    """To the byte."""
    with served.client() as client:
        client.request("POST", "/limited", body=iter([b"12345", b"67890"]), encode_chunked=True)
        assert client.getresponse().read() == b"the application's"


def test_whoever_waits_for_100_continue_gets_the_refusal_instead(served) -> None:
    """And uploads nothing; where the application reads, the 100 comes."""
    request = b"POST %s HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"

    with served.socket() as (stream, send):
        send(request % b"/refused")
        assert head_of(stream)[0].split()[1] == b"403"
    with served.socket() as (stream, send):
        send(request % b"/echo")
        assert head_of(stream)[0].split()[1] == b"100"
        send(b"hello")
        assert head_of(stream)[0].split()[1] == b"200"


def test_a_refusal_keeps_the_connection(served) -> None:
    """A client that is refused once may be let in next."""
    with served.client() as client:
        for path, status in (("/refused", 403), ("/hello", 200)):
            client.request("GET", path)
            response = client.getresponse()
            response.read()
            assert response.status == status


# WebSockets -----------------------------------------------------------------------------------------------------------


def test_a_websocket_passes_both_ways(served) -> None:
    """With the mark on the handshake's answer."""
    with connect(f"ws://127.0.0.1:{served.port}/chat", proxy=None) as session:
        assert session.response.headers["x-guard"] == "1"
        for text in ("hello", "world"):
            session.send(text)
            assert session.recv(timeout=TIMEOUT_SECONDS) == text


def test_a_refused_handshake_is_a_response(served) -> None:
    """With status, head and body."""
    with pytest.raises(InvalidStatus) as caught, connect(f"ws://127.0.0.1:{served.port}/refused", proxy=None):
        pass

    response = caught.value.response
    assert (response.status_code, response.headers["x-guard"], response.body) == (403, "1", b"no")


def test_a_websocket_whose_application_fails_is_closed(served) -> None:
    """With the code of an internal error, and no word of what it was."""
    with connect(f"ws://127.0.0.1:{served.port}/chat", proxy=None) as session:
        session.send("fail")
        with pytest.raises(ConnectionClosedError):
            session.recv(timeout=TIMEOUT_SECONDS)
        assert (session.close_code, session.close_reason) == (1011, "")
