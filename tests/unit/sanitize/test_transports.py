"""httpx with a safe transport: against real servers on this machine, where every way inside is a way to one of them."""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import httpx
import pytest
import trustme

from asgi_guard.sanitize import AsyncSafeTransport, SafeTransport, SanitizeError, URLPolicy

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="has one loopback address only")

HERE = "127.0.0.2"
ELSEWHERE = "127.0.0.3"
SECRET = b"the inner server's secret"
OPEN = URLPolicy(allowed=[HERE])
"""As if one address of this machine were on the internet, and no other."""


class Server:
    """Answers by path, and remembers what it was asked."""

    def __init__(self, address: str, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[tuple[str, str]] = []
        self.connections = 0
        self.redirect_to = ""
        self.names: list[str | None] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                server.connections += 1
                super().setup()

            def do_GET(self) -> None:
                server.asked.append((self.headers["host"], self.path))
                is_redirect = self.path == "/redirect"
                body = b"" if is_redirect else SECRET
                self.send_response(302 if is_redirect else 200)
                if is_redirect:
                    self.send_header("location", server.redirect_to)
                self.send_header("content-length", str(len(body) + (5 if self.path == "/torn" else 0)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = self.path == "/torn"

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Say nothing."""

        self.http = ThreadingHTTPServer((address, port), Handler)
        self.port = self.http.server_address[1]
        if tls is not None:
            tls.sni_callback = lambda _socket, name, _context: self.names.append(name)
            self.http.socket = tls.wrap_socket(self.http.socket, server_side=True)


@contextmanager
def served(address: str, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve on an address for a while."""
    server = Server(address, port, tls)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()
        thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    """The server that may be reached."""
    with served(HERE) as server:
        yield server


class Answers:
    """A DNS that says one thing after the other, and then the last one for ever."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> Iterable[str]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer.split()

    async def awaited(self, host: str, port: int) -> Iterable[str]:
        """Say the same where it is awaited."""
        return self(host, port)


def fetched(
    url: str, policy: URLPolicy, answers: Answers, *, way: str, verify: bool | ssl.SSLContext = False, times: int = 1
) -> httpx.Response:
    """Fetch a URL through every redirect, blocking or on an event loop."""
    if way == "blocking":
        transport = SafeTransport(policy, resolver=answers, verify=verify)
        with httpx.Client(transport=transport, follow_redirects=True) as client:
            return [client.get(url) for _ in range(times)][-1]

    async def awaited() -> httpx.Response:
        transport = AsyncSafeTransport(policy, resolver=answers.awaited, verify=verify)
        async with httpx.AsyncClient(transport=transport, follow_redirects=True) as client:
            return [await client.get(url) for _ in range(times)][-1]

    return anyio.run(awaited, backend=way)


every_way = pytest.mark.parametrize("way", ["blocking", "asyncio", "trio"])


@every_way
def test_an_allowed_server_is_reached_under_its_name(server: Server, way: str) -> None:
    """The connection goes to the address, the `Host` header keeps the name."""
    response = fetched(f"http://shop.example:{server.port}/a?b=c", OPEN, Answers(HERE), way=way)

    assert response.content == SECRET
    assert server.asked == [(f"shop.example:{server.port}", "/a?b=c")]


@every_way
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::ffff:127.0.0.3]:{port}/",
        "http://shop.example:{port}/",
        "http://127.3:{port}/",
        "http://user:secret@127.0.0.2:{port}/",
        "file:///etc/hostname",
    ],
)
def test_the_first_request_is_refused(server: Server, way: str, url: str) -> None:
    """Before anything is connected."""
    with pytest.raises(SanitizeError):
        fetched(url.format(port=server.port), OPEN, Answers(ELSEWHERE), way=way)

    assert server.connections == 0


INSIDE = {
    "http://127.0.0.3:{inner}/": "not_public",
    "http://[::ffff:127.0.0.3]:{inner}/": "not_public",
    "//inner.example:{inner}/": "not_public",
    "http://2130706435:{inner}/": "odd_address",
    "http://127.3:{inner}/": "odd_address",
    "http://user@shop.example:{port}/": "credentials",
    "ftp://shop.example/": "scheme",
    "http://169.254.169.254/latest/meta-data/": "not_public",
}


@every_way
@pytest.mark.parametrize(("location", "reason"), INSIDE.items(), ids=INSIDE)
def test_a_redirect_inside_is_refused(server: Server, way: str, location: str, reason: str) -> None:
    """The server that may be reached is the attacker's, and sends the client on to where only the client can go."""
    with served(ELSEWHERE) as inner:
        server.redirect_to = location.format(inner=inner.port, port=server.port)
        url = f"http://shop.example:{server.port}/redirect"
        with pytest.raises(SanitizeError) as error:
            fetched(url, OPEN, Answers(HERE, ELSEWHERE), way=way)

        assert error.value.reason == reason
        assert len(server.asked) == 1
        assert inner.connections == 0


@every_way
def test_a_redirect_inside_is_followed_where_it_is_allowed(server: Server, way: str) -> None:
    """What is refused is refused because nobody allowed it."""
    with served(ELSEWHERE) as inner:
        server.redirect_to = f"http://{ELSEWHERE}:{inner.port}/"
        policy = URLPolicy(allowed=[HERE, ELSEWHERE])
        url = f"http://shop.example:{server.port}/redirect"

        assert (fetched(url, policy, Answers(HERE), way=way)).content == SECRET
        assert inner.connections == 1


@every_way
def test_a_dns_that_changes_its_mind_rebinds_nothing(server: Server, way: str) -> None:
    """It is asked once for a connection, and the connection goes to what it said then."""
    answers = Answers(HERE, ELSEWHERE)
    with served(ELSEWHERE, server.port) as inner:
        response = fetched(f"http://shop.example:{server.port}/", OPEN, answers, way=way)

        assert response.content == SECRET
        assert answers.asked == ["shop.example"]
        assert (server.connections, inner.connections) == (1, 0)


@every_way
def test_a_dns_that_rebinds_between_two_requests_is_refused(server: Server, way: str) -> None:
    """The redirect goes to another port of the same name, which is looked up and checked again."""
    with served(ELSEWHERE) as inner:
        server.redirect_to = f"http://shop.example:{inner.port}/"
        url = f"http://shop.example:{server.port}/redirect"
        with pytest.raises(SanitizeError, match="public"):
            fetched(url, OPEN, Answers(HERE, ELSEWHERE), way=way)

        assert inner.connections == 0


@every_way
def test_a_connection_is_used_again(server: Server, way: str) -> None:
    """It leads to where it led, so nothing is asked again."""
    answers = Answers(HERE, ELSEWHERE)
    fetched(f"http://shop.example:{server.port}/", OPEN, answers, way=way, times=3)

    assert (len(server.asked), server.connections, len(answers.asked)) == (3, 1, 1)


@every_way
def test_the_next_address_is_tried(server: Server, way: str) -> None:
    """As every client does; all of them have been checked."""
    policy = URLPolicy(allowed=[HERE, ELSEWHERE])
    url = f"http://shop.example:{server.port}/"

    assert (fetched(url, policy, Answers(f"{ELSEWHERE} {HERE}"), way=way)).content == SECRET


@every_way
def test_tls_asks_for_the_name_and_checks_it(way: str) -> None:
    """The certificate is that of the name, though the connection went to an address."""
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(ours)
    authority.issue_cert("shop.example").configure_cert(theirs)
    with served(HERE, tls=theirs) as server:
        good, bad = (f"https://{name}.example:{server.port}/" for name in ("shop", "bank"))

        assert (fetched(good, OPEN, Answers(HERE), way=way, verify=ours)).content == SECRET
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            fetched(bad, OPEN, Answers(HERE), way=way, verify=ours)
        assert server.names == ["shop.example", "bank.example"]


@every_way
def test_errors_are_those_of_httpx(server: Server, way: str) -> None:
    """While it connects, and while it reads."""
    closed = server.port + 1 if server.port < 65_535 else server.port - 1
    with pytest.raises(httpx.ConnectError):
        fetched(f"http://shop.example:{closed}/", OPEN, Answers(HERE), way=way)
    with pytest.raises(httpx.RemoteProtocolError):
        fetched(f"http://shop.example:{server.port}/torn", OPEN, Answers(HERE), way=way)


@every_way
def test_a_proxy_of_the_environment_is_not_asked(server: Server, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would look the name up by itself."""
    with served(ELSEWHERE) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{ELSEWHERE}:{proxy.port}")
        fetched(f"http://shop.example:{server.port}/", OPEN, Answers(HERE), way=way)

        assert (server.connections, proxy.connections) == (1, 0)
