"""A body that outgrows its limit while it comes: nine ways to read it, and each time one whole 413.

The 413 is sent at once, the application is told that its client has left, and what it says to that, an answer or an
exception, is dropped. A limit that raises out of `receive` instead leaves it to the framework what becomes of the
exception: the last test shows what does.
"""

from __future__ import annotations

import gc
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from served import Served, chunk, serve
from shops import GUARDS, HEADERS, MAX_BODY_BYTES, SHOPS, WHOLE_BODIES

from asgi_guard.testing import Response, StrictServer, call, http_scope, lifespan, request_messages

BOUNDARY = {"Content-Type": "multipart/form-data; boundary=b"}
JSON = {"Content-Type": "application/json"}
FORM = [b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n', b"\r\n--b--\r\n"]
OBJECT = [b'{"name": "ada"', b"}"]

every_way = pytest.mark.parametrize(("shop", "path"), WHOLE_BODIES.values(), ids=WHOLE_BODIES)


def upload(path: str, size: int) -> tuple[dict[str, str], list[bytes]]:
    """Write a body that the endpoint understands, with so many bytes more than it needs, in pieces of at most 64 KB."""
    headers, (head, tail) = (BOUNDARY, FORM) if path == "/file" else (JSON, OBJECT)
    filler = [b" " * min(size - start, 65_536) for start in range(0, size, 65_536)]
    return headers, [head, *filler, tail]


def said(response: Response) -> tuple[int, str]:
    """Return the status, and the code in the guard's words."""
    return response.status, response.json()["error"]["code"]


def raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """Write headers as a server does."""
    return [(name.lower().encode(), value.encode()) for name, value in {"Host": "testserver", **headers}.items()]


def traced(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged with a traceback, or as an error."""
    return [record.message for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


# in process


@asynccontextmanager
async def opened(shop: str, app: Any) -> Any:
    """Open the shop for as long as it is asked."""
    SHOPS[shop].needs()
    if not SHOPS[shop].has_lifespan:
        yield app
    else:
        async with lifespan(app):
            yield app


@pytest.fixture
def anyio_backend() -> str:
    """Most frameworks know no other loop."""
    return "asyncio"


@pytest.fixture
def no_blocking_calls() -> None:
    """Let frameworks block the loop: that is their own affair."""


@pytest.mark.anyio
@pytest.mark.parametrize(("guard", "size"), [("told-nothing", 11_000_000), ("everything-on", MAX_BODY_BYTES)])
@every_way
async def test_the_client_gets_one_413_in_the_guards_words(shop, path, guard, size, caplog) -> None:
    """A strict server sees one whole answer and no exception, nobody logs a traceback, and the next upload fits."""
    headers, pieces = upload(path, size)
    _, few = upload(path, 5)
    async with opened(shop, GUARDS[guard](SHOPS[shop].make())) as app:
        grows = await call(app, "POST", path, headers={**HEADERS[guard], **headers}, chunks=pieces)
        tracebacks = traced(caplog)
        fits = await call(app, "POST", path, headers={**HEADERS[guard], **headers}, chunks=few)

    whose = "VALIDATION" if guard == "told-nothing" and path != "/file" else "BODY"  # it looks at JSON as a whole
    assert said(grows) == (413, f"{whose}_TOO_LARGE")
    assert bool(tracebacks) is SHOPS[shop].logs_departures
    assert fits.status == 200


@pytest.mark.anyio
@every_way
async def test_a_framework_that_logs_a_traceback_logs_every_client_that_leaves(shop, path, caplog) -> None:
    """Without any guard: the one such traceback of this file is the framework's own."""
    headers, pieces = upload(path, 0)
    body = request_messages(pieces[0], b"")[:1]
    async with opened(shop, SHOPS[shop].make()) as app:
        await StrictServer(http_scope("POST", path, headers=raw(headers)), body, afterwards="disconnect").serve(app)

    assert bool(traced(caplog)) is SHOPS[shop].logs_departures


# under a server


@pytest.fixture(scope="module", params=["uvicorn", "hypercorn", "granian"])
def street(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve all shops."""
    own = {"uvicorn": ["--no-proxy-headers"]}
    folder = tmp_path_factory.mktemp("street")
    with serve(request.param, "shops.street:app", folder, *own.get(request.param, [])) as served:
        yield served


def request_of(path: str, headers: dict[str, str], pieces: Sequence[bytes]) -> bytes:
    """Write a request with a chunked body, as far as the pieces go."""
    lines = {"Host": "127.0.0.1:1", "Transfer-Encoding": "chunked", **HEADERS["everything-on"], **headers}
    head = f"POST {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return head.encode() + b"\r\n" + b"".join(map(chunk, pieces))


@pytest.mark.parametrize("client", ["is still sending", "has sent everything"])
@every_way
def test_the_wire_has_one_413_and_the_server_lives_on(street: Served, shop, path, client) -> None:
    """Then the connection is closed, since the rest of the body is on it; and the log is as quiet as in process."""
    SHOPS[shop].needs()
    url = f"/{shop}/everything-on{path}"
    headers, pieces = upload(path, MAX_BODY_BYTES)
    _, few = upload(path, 5)
    before = len(street.log)

    with street.wire() as (stream, send):
        send(request_of(url, headers, pieces if client == "is still sending" else [*pieces, b""]))
        told = stream.read()

    assert told.startswith(b"HTTP/1.1 413 ")
    assert told.count(b"HTTP/1.1 ") == 1
    assert json.loads(told.partition(b"\r\n\r\n")[2])["error"]["code"] == "BODY_TOO_LARGE"
    assert street.ask("POST", url, headers={**HEADERS["everything-on"], **headers}, chunks=few).status == 200
    if SHOPS[shop].logs_departures:  # it must not land in the next test
        street.until(lambda: "Traceback" in street.log[before:])
    else:
        assert "Traceback" not in street.log[before:]


# what becomes of an exception


def limited_by_an_exception(app: Any) -> Any:
    """Limit bodies as most people do: by an exception out of `receive`, and an answer where it comes out again."""

    class TooLargeError(Exception):
        pass

    async def limited(scope: Any, receive: Any, send: Any) -> None:
        size = 0

        async def counted() -> Any:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > MAX_BODY_BYTES:
                raise TooLargeError
            return message

        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        try:
            await app(scope, counted, send)
        except TooLargeError:
            await send({"type": "http.response.start", "status": 413, "headers": []})
            await send({"type": "http.response.body"})

    return limited


@pytest.mark.anyio
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_exception_out_of_receive_is_seldom_a_413() -> None:
    """It is a 400 or a 500 by the framework, or a 200 by the handler: right in two of nine, and the guard in all."""
    statuses: dict[str, int] = {}
    for name, (shop, path) in WHOLE_BODIES.items():
        headers, pieces = upload(path, MAX_BODY_BYTES)
        async with opened(shop, limited_by_an_exception(SHOPS[shop].make())) as app:
            server = StrictServer(http_scope("POST", path, headers=raw(headers)), request_messages(*pieces))
            await server.serve(app)
            statuses[name] = server.sent[0]["status"] if server.sent else 500
    gc.collect()  # one framework leaves its temporary file open, and a warning must not land in the next test

    assert statuses["bare-except"] == 200
    assert [*statuses.values()].count(413) < len(statuses) / 2
