"""One specification for a guarded application, whatever it is written in: in process, and under a real server.

Each framework serves the same small shop. Around it stands `Guard(app)`, told nothing, or a guard with every part on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from served import Served, serve
from shops import GUARDS, HEADERS, ORIGIN, SECRET, SHOPS, Shop

from asgi_guard.testing import RawHeaders, Response, call, lifespan, websocket

Ask = Callable[..., Response]
Echo = Callable[..., tuple[str, RawHeaders]]
WAYS = ("in process", "uvicorn")


@dataclass(frozen=True)
class Guarded:
    """A guarded shop, and how it is asked."""

    shop: Shop
    guard: str
    way: str
    send: Ask
    talk: Echo

    def ask(self, method: str, path: str, headers: Mapping[str, str] = {}, chunks: Iterable[bytes] = ()) -> Response:
        """Send an ordinary request, with these headers besides."""
        headers = {**HEADERS[self.guard], **headers}
        return self.send(method, self.shop.prefix + path, headers=headers, chunks=[*chunks] or None)

    def echo(self, text: str) -> tuple[str, RawHeaders]:
        """Say something over a WebSocket; return what comes back, and the headers of the handshake's answer."""
        return self.talk(self.shop.prefix + "/echo", text, HEADERS[self.guard])


def in_process(stack: ExitStack, shop: Shop, guard: str) -> tuple[Ask, Echo]:
    """Run the shop on a loop of its own."""
    app = GUARDS[guard](shop.make())
    portal: BlockingPortal = stack.enter_context(start_blocking_portal())
    if shop.has_lifespan:
        stack.enter_context(portal.wrap_async_context_manager(lifespan(app)))

    async def talk(path: str, text: str, headers: Mapping[str, str]) -> tuple[Any, RawHeaders]:
        async with websocket(app, path, headers=headers) as session:
            session.send(text)
            return await session.receive(), session.headers

    def send(method: str, path: str, **request: Any) -> Response:
        return portal.call(partial(call, app, method, path, **request))

    return send, partial(portal.call, talk)


def over_sockets(served: Served, name: str, guard: str) -> tuple[Ask, Echo]:
    """Ask the shop in the street that is served."""

    def talk(path: str, text: str, headers: Mapping[str, str]) -> tuple[Any, RawHeaders]:
        from websockets.sync.client import connect

        url = f"ws://127.0.0.1:{served.port}/{name}/{guard}{path}"
        with connect(url, additional_headers=headers, proxy=None) as session:
            session.send(text)
            answered = session.response
            assert answered is not None
            pairs = [(key.lower().encode(), value.encode()) for key, value in answered.headers.raw_items()]
            return session.recv(), RawHeaders(pairs)

    def send(method: str, path: str, *, chunks: Iterable[bytes] | None, headers: Mapping[str, str]) -> Response:
        return served.ask(method, f"/{name}/{guard}{path}", headers=headers, chunks=chunks or ())

    return send, talk


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve all shops with uvicorn, which is to leave to the guard who the client is."""
    with serve("uvicorn", "shops.street:app", tmp_path_factory.mktemp("street"), "--no-proxy-headers") as served:
        yield served


@contextmanager
def guard(request: pytest.FixtureRequest) -> Iterator[Guarded]:
    """Guard the shop that is asked for, in the way that is asked for."""
    name, guard, way = request.param
    shop = SHOPS[name]
    shop.needs()
    with ExitStack() as stack:
        if way == "in process":
            doors = in_process(stack, shop, guard)
        else:
            doors = over_sockets(request.getfixturevalue("street"), name, guard)
        yield Guarded(shop, guard, way, *doors)


@pytest.fixture(scope="module", params=product(SHOPS, ["told-nothing", "everything-on"], WAYS), ids=" ".join)
def guarded(request: pytest.FixtureRequest) -> Iterator[Guarded]:
    """Guard each shop, either way."""
    with guard(request) as guarded:
        yield guarded


@pytest.fixture(scope="module", params=product(SHOPS, ["everything-on"], WAYS), ids=" ".join)
def fully_guarded(request: pytest.FixtureRequest) -> Iterator[Guarded]:
    """Guard each shop with all that there is."""
    with guard(request) as guarded:
        yield guarded


def test_an_endpoint_answers_and_knows_the_request_id(guarded: Guarded) -> None:
    """As in the header; with everything else around it."""
    response = guarded.ask("GET", "/json")

    assert response.status == 200
    assert response.json() == {"id": response.headers.get("x-request-id")}
    assert response.headers.get_all("x-content-type-options") == ["nosniff"]
    assert response.headers.get("ratelimit") is not None


def test_an_upload_arrives_in_the_pieces_in_which_it_came(guarded: Guarded) -> None:
    """No piece is merged or split by the guard, nor anything lost."""
    sizes = guarded.ask("POST", "/upload", chunks=[b"a" * 7, b"b", b"c" * 100]).json()["sizes"]

    assert sum(sizes) == 108
    if guarded.shop.keeps_pieces and guarded.way == "in process":  # TCP knows no pieces
        assert [size for size in sizes if size] == [7, 1, 100]


def test_a_whole_body_is_read_by_the_framework(guarded: Guarded) -> None:
    """In its customary way."""
    headers = {"Content-Type": "application/json"}
    response = guarded.ask("POST", "/whole", headers, [b'{"name":', b'"ada"}'])

    assert (response.status, response.json()) == (200, {"name": "ada"})


def test_a_stream_leaves_piece_by_piece(guarded: Guarded) -> None:
    """Nothing is gathered, and nothing is missing."""
    response = guarded.ask("GET", "/stream")

    assert (response.status, response.body) == (200, b"012")
    if guarded.way == "in process":
        assert [piece for piece in response.chunks if piece] == [b"0", b"1", b"2"]


def test_a_websocket_echoes(guarded: Guarded) -> None:
    """With the id in the answer to the handshake."""
    if not guarded.shop.has_websockets:
        pytest.skip(f"{guarded.shop.distribution} has no WebSockets")

    text, headers = guarded.echo("hello")

    assert text == "hello"
    assert headers.get("x-request-id") is not None


def test_an_exception_is_a_500_that_tells_nothing(guarded: Guarded) -> None:
    """Whoever writes it, the framework or the guard, it has the headers and the id."""
    response = guarded.ask("GET", "/crash", {"Accept": "text/html"})

    assert response.status == 500
    assert SECRET not in response.body.decode()
    assert "RuntimeError" not in response.body.decode()
    assert response.headers.get("x-request-id") is not None
    assert response.headers.get_all("x-content-type-options") == ["nosniff"]


def test_what_is_not_found_is_answered_by_the_framework(guarded: Guarded) -> None:
    """In its own words, where it has any; what says no more than "Not Found" is answered anew."""
    response = guarded.ask("GET", "/nowhere")

    assert response.status == 404
    assert response.headers.get("x-request-id") is not None
    assert response.body.strip().lower() not in {b"", b"not found"}
    if b"request_id" in response.body:
        assert json.loads(response.body)["error"]["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "headers", "size", "status"),
    [
        pytest.param("GET", {"Host": "evil.example"}, 0, 421, id="host"),
        pytest.param("GET", {"X-Forwarded-Proto": "http"}, 0, 403, id="scheme"),
        pytest.param("GET", {"X-Forwarded-For": "192.0.2.1"}, 0, 403, id="address"),
        pytest.param("POST", {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors"}, 0, 403, id="site"),
        pytest.param("POST", {"Origin": ORIGIN}, 2_000, 413, id="size"),
    ],
)
def test_a_guard_with_everything_on_refuses(fully_guarded: Guarded, method, headers, size, status) -> None:
    """In front of every framework, with the headers and the id; an allowed origin can read why."""
    response = fully_guarded.ask(method, "/upload", headers, [b" " * size] if size else ())

    assert response.status == status
    assert response.json()["request_id"] == response.headers.get("x-request-id")
    assert response.headers.get("referrer-policy") == "no-referrer"
    assert response.headers.get("access-control-allow-origin") == headers.get("Origin")
