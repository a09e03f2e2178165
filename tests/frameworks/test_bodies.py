"""Bodies with the validation on: every framework reads the same as without it, message for message."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import quote_plus
from zlib import crc32

import pytest
from anyio.from_thread import start_blocking_portal
from served import serve
from shops import SHOPS

from asgi_guard import ValidationMiddleware
from asgi_guard.testing import Response, call, lifespan

Ask = Callable[..., Response]
NOTE = "it's fine; 50% of <b>all</b> & more"
ATTACK = "1' union select name, word from users --"
FILE = bytes(range(256)) * 1_500  # more than is read ahead
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PARTS = {"Content-Type": "multipart/form-data; boundary=x"}
JSON = {"Content-Type": "application/json"}


def parts(note: str) -> bytes:
    """Write a form with a file, and the field behind it."""
    return (
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n"
        + FILE
        + b'\r\n--x\r\nContent-Disposition: form-data; name="note"\r\n\r\n'
        + note.encode()
        + b"\r\n--x--\r\n"
    )


pytestmark = pytest.mark.filterwarnings(  # a client that leaves in the middle of an upload leaves their files open
    "ignore:Exception ignored in. <function SpooledTemporaryFile:pytest.PytestUnraisableExceptionWarning"
)

BODIES: Mapping[str, tuple[str, Mapping[str, str], Callable[[str], bytes], int]] = {
    "form": ("/form", FORM, lambda note: b"note=" + quote_plus(note).encode(), 7),
    "upload": ("/form", PARTS, parts, 65_000),
    "json": ("/whole", JSON, lambda note: json.dumps({"name": note}).encode(), 5),
}
"""A path, headers, a body, and the size of the pieces in which it comes."""

ANSWERS = {
    "form": {"note": NOTE, "file": 0},
    "upload": {"note": NOTE, "file": crc32(FILE)},
    "json": {"name": NOTE},
}


class Recorder:
    """Keeps what an application receives."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.received: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        self.received = []

        async def recorded() -> Any:
            message = await receive()
            if scope["type"] == "http":
                self.received.append(message)
            return message

        await self.app(scope, recorded, send)


@contextmanager
def guarded(name: str) -> Iterator[tuple[Recorder, Ask]]:
    """Run a shop behind the validation alone, on a loop of its own."""
    shop = SHOPS[name]
    shop.needs()
    recorder = Recorder(shop.make())
    app = ValidationMiddleware(recorder)
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        if shop.has_lifespan:
            stack.enter_context(portal.wrap_async_context_manager(lifespan(app)))
        yield recorder, lambda path, **request: portal.call(partial(call, app, "POST", shop.prefix + path, **request))


@pytest.fixture(scope="module", params=SHOPS)
def shop(request: pytest.FixtureRequest) -> Iterator[tuple[Recorder, Ask]]:
    """Guard each shop."""
    with guarded(request.param) as shop:
        yield shop


def whole(headers: Mapping[str, str], body: bytes) -> dict[str, str]:
    """Add the length of a body, without which one framework takes a form for empty."""
    return {**headers, "Content-Length": str(len(body))}


def cut(body: bytes, size: int) -> list[bytes]:
    """Cut a body into pieces."""
    return [body[at : at + size] for at in range(0, len(body), size)]


@pytest.mark.parametrize("kind", BODIES)
def test_a_harmless_body_is_read_as_without_the_validation(shop: tuple[Recorder, Ask], kind: str) -> None:
    """By the framework's own parsers, from the very messages that the server gave."""
    recorder, ask = shop
    path, headers, body, size = BODIES[kind]
    pieces = cut(body(NOTE), size)

    response = ask(path, headers=whole(headers, body(NOTE)), chunks=pieces)

    assert (response.status, response.json()) == (200, ANSWERS[kind])
    received = [message["body"] for message in recorder.received if message["type"] == "http.request"]
    assert received == pieces[: len(received)]
    assert b"".join(received).rstrip(b"-\r\n") == body(NOTE).rstrip(b"-\r\n")  # some parsers leave the last line unread


@pytest.mark.parametrize("kind", BODIES)
def test_an_attack_is_answered_in_the_place_of_every_framework(shop: tuple[Recorder, Ask], kind: str) -> None:
    """Which are told that the client has left."""
    recorder, ask = shop
    path, headers, body, size = BODIES[kind]

    response = ask(path, headers=headers, chunks=cut(body(ATTACK), size))

    assert response.status == 400
    assert response.json()["error"]["code"] == "VALIDATION_REFUSED"
    assert recorder.received[-1]["type"] == "http.disconnect"


def test_a_raw_stream_passes_as_it_comes(shop: tuple[Recorder, Ask]) -> None:
    """Of any length, in the pieces in which it came."""
    recorder, ask = shop
    pieces = cut(FILE, 50_000)

    response = ask("/upload", headers={"Content-Type": "application/octet-stream"}, chunks=pieces)

    assert sum(response.json()["sizes"]) == len(FILE)
    assert [message["body"] for message in recorder.received if message["type"] == "http.request"] == pieces


@pytest.mark.parametrize("kind", BODIES)
def test_a_client_that_leaves_is_told_to_every_framework(shop: tuple[Recorder, Ask], kind: str) -> None:
    """Half a body is no whole one, whoever had read it before the framework did."""
    recorder, ask = shop
    path, headers, body, size = BODIES[kind]
    first = body(NOTE)[:size]
    incoming = [{"type": "http.request", "body": first, "more_body": True}, {"type": "http.disconnect"}]

    with suppress(Exception):  # there is nobody to answer
        ask(path, headers=headers, incoming=incoming)

    assert recorder.received == incoming


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """Serve all shops with uvicorn, each behind a guard that was told nothing."""
    with serve("uvicorn", "shops.street:app", tmp_path_factory.mktemp("street")) as served:
        yield served.ask


@pytest.mark.long
@pytest.mark.parametrize("kind", BODIES)
@pytest.mark.parametrize("name", ["fastapi", "starlette", "django"])
def test_it_is_the_same_under_a_server(street: Ask, name: str, kind: str) -> None:
    """Over a socket, which cuts as it likes."""
    SHOPS[name].needs()
    path, headers, body, size = BODIES[kind]
    answers = [
        street("POST", f"/{name}/told-nothing{path}", headers=whole(headers, body(note)), chunks=cut(body(note), size))
        for note in (NOTE, ATTACK)
    ]

    assert (answers[0].status, answers[0].json()) == (200, ANSWERS[kind])
    assert answers[1].status == 400
    assert answers[1].json()["error"]["code"] == "VALIDATION_REFUSED"
