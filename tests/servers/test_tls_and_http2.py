"""Over TLS, and over HTTP/2 where a server speaks it: what the guard promises does not depend on how it is asked.

The certificate is made for the test. What a client library would hide, such as an answer in the middle of an upload or
a WebSocket on a stream of HTTP/2 (RFC 8441), is asked for frame by frame.
"""

# ruff: noqa: E402  what may not be installed is asked for first
from __future__ import annotations

import http.client
import json
import socket
import ssl
from contextlib import contextmanager
from importlib.util import find_spec

import pytest

httpx = pytest.importorskip("httpx")
trustme = pytest.importorskip("trustme")
pytest.importorskip("h2")
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader
from websockets.sync.client import connect

TIMEOUT_SECONDS = 20
PART = b"x" * 15_000  # three of them are more than the guard lets in, and less than the first window
SERVERS = {
    "uvicorn": "uvicorn application:strict --port {port} --ssl-certfile cert.pem --ssl-keyfile key.pem",
    "hypercorn": "hypercorn application:strict --bind 127.0.0.1:{port} --certfile cert.pem --keyfile key.pem",
    "granian": "granian --interface asgi application:strict --port {port} --ssl-certificate cert.pem --ssl-keyfile"
    " key.pem",
}
LOSES_HEADERS_OF_AN_ACCEPT = "granian"  # whoever sends them
ALWAYS_SENT = {
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "strict-origin-when-cross-origin",
}


class Site:
    """A server that is asked over TLS, in one version of HTTP."""

    def __init__(self, server, version, process, trust):
        self.server, self.version, self.process, self._trust = server, version, process, trust
        self.url = f"https://127.0.0.1:{process.port}"

    def client(self):
        """Return a client that speaks the version, and no other."""
        is_second = self.version == "HTTP/2"
        return httpx.Client(
            base_url=self.url,
            verify=self._context("h2" if is_second else "http/1.1"),
            http1=not is_second,
            http2=is_second,
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )

    @contextmanager
    def socket(self, protocol):
        """Connect, and agree on a protocol (RFC 7301)."""
        with (
            socket.create_connection(("127.0.0.1", self.process.port), timeout=TIMEOUT_SECONDS) as plain,
            self._context(protocol).wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            assert connection.selected_alpn_protocol() == protocol or self.server == "uvicorn"
            yield connection

    @contextmanager
    def wire(self):
        """Open a connection of HTTP/2, to be used frame by frame."""
        with self.socket("h2") as connection:
            yield Wire(connection, f"127.0.0.1:{self.process.port}")

    def session(self, path):
        """Ask for a WebSocket, in HTTP/1.1."""
        return connect(f"wss{self.url.removeprefix('https')}{path}", ssl=self._context("http/1.1"), proxy=None)

    def _context(self, protocol):
        context = ssl.create_default_context()
        self._trust.configure_trust(context)
        context.set_alpn_protocols([protocol])
        return context


class Answer:
    """What has come on one stream."""

    def __init__(self):
        self.headers, self.body, self.is_over = {}, b"", False


class Wire:
    """A connection of HTTP/2, seen from the client."""

    def __init__(self, connection, authority):
        self._connection, self._authority = connection, authority
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._answers = {}
        self._h2.initiate_connection()
        self._flush()

    @property
    def has_websockets(self):
        """Whether the server takes WebSockets on a stream; its settings come first of all."""
        self._read()
        return bool(self._h2.remote_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL, 0))

    def open(self, method, path, *headers, authority=None, is_whole=False):
        """Send the head of a request, and return its stream."""
        stream = self._h2.get_next_available_stream_id()
        fields = [(":method", method), (":scheme", "https"), (":authority", authority or self._authority)]
        self._h2.send_headers(stream, [*fields, (":path", path), *headers], end_stream=is_whole)
        self._answers[stream] = Answer()
        self._flush()
        return stream

    def send(self, stream, data):
        """Send a part of a body."""
        self._h2.send_data(stream, data)
        self._flush()

    def answer(self, stream, *, enough=lambda answer: answer.is_over):
        """Read until enough of an answer has come."""
        answer = self._answers[stream]
        while not enough(answer):
            self._read()
        return answer

    def ask(self, method, path, **options):
        """Send a request without a body, and return the answer."""
        return self.answer(self.open(method, path, is_whole=True, **options))

    def _read(self):
        data = self._connection.recv(65_536)
        assert data, "the server has closed the connection"
        for event in self._h2.receive_data(data):
            answer = self._answers.get(getattr(event, "stream_id", None))
            if isinstance(event, ResponseReceived):
                answer.headers = dict(event.headers)
            elif isinstance(event, DataReceived):
                answer.body += event.data
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded | StreamReset):
                answer.is_over = True
        self._flush()

    def _flush(self):
        self._connection.sendall(self._h2.data_to_send())


def case(server, version):
    """Name a server and a version of HTTP; skip it where the server is not installed."""
    missing = pytest.mark.skipif(find_spec(server) is None, reason=f"{server} is not installed")
    return pytest.param((server, version), id=f"{server}-{version.replace('/', '')}", marks=missing)


OLD = [case(server, "HTTP/1.1") for server in SERVERS]
NEW = [case(server, "HTTP/2") for server in ("hypercorn", "granian")]


@pytest.fixture(scope="module")
def authority():
    """Make an authority that clients are told to trust."""
    return trustme.CA()


@pytest.fixture(scope="module")
def site(request, serving, authority):
    """Serve the guarded application over TLS."""
    server, version = request.param
    issued = authority.issue_cert("127.0.0.1")
    (certificate, *_) = issued.cert_chain_pems
    files = {"cert.pem": certificate.bytes().decode(), "key.pem": issued.private_key_pem.bytes().decode()}
    with serving("{python} -m " + SERVERS[server], files) as process:
        yield Site(server, version, process, authority)


over_tls = pytest.mark.parametrize("site", [*OLD, *NEW], indirect=True)
in_http1 = pytest.mark.parametrize("site", OLD, indirect=True)
in_http2 = pytest.mark.parametrize("site", NEW, indirect=True)

# In every version -----------------------------------------------------------------------------------------------------


@pytest.mark.long
@over_tls
def test_the_application_is_asked_over_https(site):
    """In the version that the client speaks, and with a body that arrives whole; nothing is redirected."""
    with site.client() as client:
        response = client.post("/items?a=1", content=PART)

    assert (response.status_code, response.http_version) == (200, site.version)
    told = response.json()
    assert (told["scheme"], told["http_version"]) == ("https", site.version.removeprefix("HTTP/"))
    assert (told["method"], told["path"], told["size"]) == ("POST", "/items", len(PART))


@over_tls
@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/items", 200), ("HEAD", "/items", 200),
    ("GET", "/fails", 500), ("HEAD", "/fails", 500), ("GET", "/fails-late", 500),
])  # fmt: skip
def test_every_answer_has_an_id_and_the_headers_of_security(site, method, path, status):
    """HSTS among them, each once; and an exception tells nothing. The connection lives on."""
    with site.client() as client:
        for _ in range(2):
            response = client.request(method, path)
            assert (response.status_code, response.http_version) == (status, site.version)
            assert {name: response.headers[name] for name in ALWAYS_SENT} == ALWAYS_SENT
            names = [name for name in response.headers if name not in {"date", "server"}]
            assert sorted(response.headers.get_list("x-request-id")) == [response.headers["x-request-id"]]
            assert len(response.headers.multi_items()) >= len(names) == len(set(names))
            assert "secrets" not in response.text


@over_tls
@pytest.mark.parametrize("path", ["/events", "/lines"])
def test_the_first_part_of_a_stream_arrives_before_the_second_is_made(site, path):
    """In HTTP/2 the request that asks for the second takes another stream of the same connection."""
    with site.client() as client, client.stream("GET", f"{path}?{site.version}") as response:
        parts = response.iter_raw()
        assert b"1" in next(parts)
        assert client.get(f"/go-on?{site.version}").status_code == 200
        assert b"2" in b"".join(parts)


@over_tls
def test_a_client_that_asks_too_often_is_refused(site):
    """With 429, and when to come back."""
    with site.client() as client:
        responses = [client.get("/limited") for _ in range(4)]

    assert [response.status_code for response in responses] == [200, 200, 200, 429]
    assert responses[0].headers["ratelimit"].startswith('"pages";r=2;t=')
    refused = responses[-1]
    assert refused.json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    assert 0 < int(refused.headers["retry-after"]) <= 3_960
    assert refused.headers["strict-transport-security"]


# In HTTP/2 ------------------------------------------------------------------------------------------------------------


@in_http2
def test_an_upload_that_says_that_it_is_too_large_is_refused(site):
    """By its length, before a byte of it is sent."""
    with site.wire() as wire:
        stream = wire.open("POST", "/items", ("content-length", "45000"))
        answer = wire.answer(stream, enough=lambda answer: answer.body.endswith(b"}"))
        assert (answer.headers[":status"], json.loads(answer.body)["error"]["code"]) == ("413", "BODY_TOO_LARGE")
        assert wire.ask("GET", "/items").headers[":status"] == "200"


@pytest.mark.long
@in_http2
def test_an_upload_is_refused_in_mid_stream(site):
    """The answer is there before the upload has ended, and the other streams of the connection go on."""
    with site.wire() as wire:
        stream = wire.open("POST", "/items")
        for _ in range(3):
            wire.send(stream, PART)
        answer = wire.answer(stream, enough=lambda answer: answer.body.endswith(b"}"))
        assert answer.headers[":status"] == "413"
        assert json.loads(answer.body)["error"]["code"] == "BODY_TOO_LARGE"
        assert json.loads(answer.body)["request_id"] == answer.headers["x-request-id"]
        assert wire.ask("GET", "/items").headers[":status"] == "200"


@in_http2
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:443"])
def test_the_host_is_the_authority(site, host):
    """It stands in a field of its own there (RFC 9113 section 8.3.1), and is looked at all the same."""
    with site.wire() as wire:
        assert wire.ask("GET", "/items").headers[":status"] == "200"
        answer = wire.ask("GET", "/items", authority=host)

    assert (answer.headers[":status"], json.loads(answer.body)["error"]["code"]) == ("421", "UNTRUSTED_HOST")


@in_http2
def test_a_websocket_takes_a_stream(site):
    """Where the server offers that; a refused handshake is a response."""
    handshake = [(":protocol", "websocket"), ("sec-websocket-version", "13")]
    with site.wire() as wire:
        if not wire.has_websockets:
            pytest.skip(f"{site.server} takes no WebSockets in HTTP/2")
        stream = wire.open("CONNECT", "/once", *handshake)
        answer = wire.answer(stream, enough=lambda answer: answer.headers)
        assert (answer.headers[":status"], len(answer.headers["x-request-id"]) > 8) == ("200", True)
        wire.send(stream, Frame(Opcode.TEXT, b"hello").serialize(mask=True))
        answer = wire.answer(stream, enough=lambda answer: b"hello" in answer.body)
        assert json.loads(first_frame(answer.body))["scheme"] == "wss"

        refused = wire.answer(wire.open("CONNECT", "/once", *handshake))
        assert refused.headers[":status"] == "429"


def first_frame(data):
    """Read the first frame of a WebSocket."""
    reader = StreamReader()
    reader.feed_data(data)
    reading = Frame.parse(reader.read_exact, mask=False)
    try:
        next(reading)
    except StopIteration as stop:
        return stop.value.data
    raise AssertionError(data)


# In HTTP/1.1 ----------------------------------------------------------------------------------------------------------


@in_http1
def test_an_upload_in_chunks_is_refused_in_mid_stream(site):
    """The answer is there before the upload has ended."""
    head = b"POST /items HTTP/1.1\r\nhost: 127.0.0.1:%d\r\ntransfer-encoding: chunked\r\n\r\n" % site.process.port
    with site.socket("http/1.1") as connection:
        connection.sendall(head)
        for _ in range(3):
            connection.sendall(b"%x\r\n%s\r\n" % (len(PART), PART))
        response = http.client.HTTPResponse(connection, method="POST")
        response.begin()
        assert (response.status, json.loads(response.read())["error"]["code"]) == (413, "BODY_TOO_LARGE")


@in_http1
def test_a_websocket_is_asked_for_over_tls(site):
    """The first is accepted; the second is one too many, and gets a response."""
    with site.session("/once") as session:
        assert json.loads(session.recv(timeout=TIMEOUT_SECONDS))["scheme"] == "wss"
        session.send("hello")
        assert session.recv(timeout=TIMEOUT_SECONDS) == "hello"
        assert ("x-request-id" in session.response.headers) == (site.server != LOSES_HEADERS_OF_AN_ACCEPT)
    with pytest.raises(InvalidStatus) as caught, site.session("/once"):
        pass

    assert caught.value.response.status_code == 429
    assert caught.value.response.headers["retry-after"]
