"""What middlewares are known to break, and this one does not: under real servers, and beside the peers.

Each test asks the same of several stacks around one application, and says what each of them does: nothing at all
around it, the guard, and, on one server, classes of `BaseHTTPMiddleware` as tutorials show them and packages as people
put them together. Where a peer fails, its fault is expected to the letter: so the test is known to see it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from http.client import HTTPConnection, IncompleteRead
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from breakage import AMOUNT, APPS
from served import Served, answer, chunk, serve

from asgi_guard.testing import StrictServer, http_scope, request_messages

OURS = ("bare", "told-nothing", "guard")
keys = count()


class Street:
    """The stacks, served.

    Args:
        served: the server.
        stacks: which of them are asked.
    """

    def __init__(self, served: Served, stacks: Mapping[str, Any] | tuple[str, ...]) -> None:
        self.served = served
        self.stacks = stacks

    def each(self, look: Callable[[Visit], Any]) -> dict[str, Any]:
        """Look at each stack, and say what was seen."""
        return {stack: look(Visit(self.served, stack)) for stack in self.stacks}

    def of(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """Leave out of an expectation what is not asked here."""
        return {stack: seen for stack, seen in told.items() if stack in self.stacks}


class Visit:
    """One look at one stack, under a key of its own."""

    def __init__(self, served: Served, stack: str) -> None:
        self.served = served
        self.stack = stack
        self.key = f"key{next(keys)}"

    def url(self, path: str) -> str:
        """Return the path in the street, with the key."""
        return f"/{self.stack}{path}?{self.key}"

    def get(self, path: str) -> Any:
        """Ask."""
        return self.served.ask("GET", self.url(path))

    def notes(self) -> dict[str, Any]:
        """Return what was noted of the request."""
        noted: dict[str, Any] = self.served.ask("GET", f"/notes/?{self.key}").json()
        return noted

    def noted(self, name: str) -> Any:
        """Wait until something is noted, and return it."""
        self.served.until(lambda: name in self.notes())
        return self.notes()[name]

    def leave(self, path: str) -> None:
        """Ask, and leave when the application has begun."""
        with self.served.wire() as (_, send):
            send(f"GET {self.url(path)} HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n".encode())
            self.noted("begun")


PEERS = ("naive", *(["assembled"] if "assembled" in APPS else []))


@pytest.fixture(
    scope="module",
    params=[("uvicorn", (*OURS, *PEERS)), ("hypercorn", OURS), ("granian", OURS)],
    ids=lambda case: case[0],
)
def street(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """Serve the stacks; the peers on one server, which is enough to show their faults."""
    server, stacks = request.param
    with serve(server, "breakage:app", tmp_path_factory.mktemp(server)) as served:
        yield Street(served, stacks)


def alike(seen: Any) -> dict[str, Any]:
    """Expect the same of every stack."""
    return dict.fromkeys(APPS, seen)


def test_a_stream_of_many_pieces_is_whole(street: Street) -> None:
    """One of the packages sends a second start with the second piece."""
    body = b"".join(b"piece %d\n" % number for number in range(5))

    def look(visit: Visit) -> bytes:
        try:
            return visit.get("/stream").body
        except IncompleteRead as cut:
            return cut.partial

    assert street.each(look) == street.of({**alike(body), "assembled": b"piece 0\n"})


@pytest.mark.long
def test_an_upload_reaches_the_application_as_it_comes(street: Street) -> None:
    """Who asks for the second piece before the application has the first, holds the upload back."""

    def look(visit: Visit) -> tuple[int, bytes]:
        with visit.served.connect() as raw, raw.makefile("rb") as stream:
            head = f"POST {visit.url('/upload')} HTTP/1.1\r\nHost: 127.0.0.1:1\r\nTransfer-Encoding: chunked\r\n\r\n"
            raw.sendall(head.encode() + chunk(b"first"))
            visit.served.until(lambda: visit.notes()["asked"] == 2)
            arrived = visit.notes()["arrived"]
            raw.sendall(chunk(b"second") + chunk(b""))
            return arrived, stream.readline().split()[1]

    assert street.each(look) == street.of({**alike((5, b"200")), "naive": (0, b"200")})


def test_two_cookies_stay_two(street: Street) -> None:
    """Who keeps headers in a dict loses one."""

    def look(visit: Visit) -> int:
        return len(visit.get("/sign-in").headers.get_all("set-cookie"))

    assert street.each(look) == street.of({**alike(2), "naive": 1})


@pytest.mark.long
def test_websockets_are_guarded(street: Street) -> None:
    """By the same limit as requests, where peers let everybody in."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    def shake_hands(visit: Visit) -> int:
        try:
            with connect(f"ws://127.0.0.1:{visit.served.port}{visit.url('/session')}", proxy=None) as session:
                return int(session.recv() == "welcome")
        except InvalidStatus as refusal:
            return refusal.response.status_code

    def look(visit: Visit) -> list[int]:
        return [shake_hands(visit) for _ in range(AMOUNT + 1)]

    assert street.each(look) == street.of({**alike([1] * (AMOUNT + 1)), "guard": [1] * AMOUNT + [429]})


def test_work_in_the_background_runs(street: Street) -> None:
    """After the answer."""

    def look(visit: Visit) -> tuple[bytes, bool]:
        return visit.get("/work-afterwards").body, visit.noted("worked")

    assert street.each(look) == street.of(alike((b"done", True)))


@pytest.mark.long
def test_an_endpoint_learns_that_its_client_has_left(street: Street) -> None:
    """By `request.is_disconnected()`, which a queue in between would answer with no for ever."""

    def look(visit: Visit) -> bool:
        visit.leave("/wait-for-the-end")
        return visit.noted("left")

    assert street.each(look) == street.of({**alike(True), "naive": False})


def test_a_stream_that_nobody_reads_is_stopped(street: Street) -> None:
    """Its generator is closed, and what it holds is given back."""

    def look(visit: Visit) -> bool:
        visit.leave("/stream-for-ever")
        return visit.noted("stopped")

    assert street.each(look) == street.of(alike(True))


def test_the_endpoints_context_is_visible_outside(street: Street) -> None:
    """Who calls it in a task of its own loses what it has set."""

    def look(visit: Visit) -> str:
        visit.get("/set-context")
        return visit.noted("user")

    assert street.each(look) == street.of({**alike("ada"), "naive": "nobody"})


def test_a_failure_in_the_stream_is_visible_to_the_client(street: Street) -> None:
    """The stream has no end then; one that is ended properly looks whole."""

    def look(visit: Visit) -> str:
        try:
            visit.get("/fail-late")
        except IncompleteRead:
            return "cut off"
        return "as if whole"

    assert street.each(look) == street.of({**alike("cut off"), "naive": "as if whole"})


def marked(response: Any) -> tuple[int, bool, bool]:
    """Return the status, and whether there are headers of security and a request id."""
    present = [response.headers.get(name) is not None for name in ("x-content-type-options", "x-request-id")]
    return response.status, present[0], present[1]


def test_a_500_has_the_headers_and_the_id(street: Street) -> None:
    """Where the framework's own error middleware stands outside of all others, it has neither."""
    expected = alike((500, False, False))
    assert street.each(lambda visit: marked(visit.get("/fail"))) == street.of(
        {**expected, "told-nothing": (500, True, True), "guard": (500, True, True)}
    )


@pytest.mark.long
def test_a_429_has_the_headers_and_the_id(street: Street) -> None:
    """Whatever the order in which the parts were put together."""

    def look(visit: Visit) -> Any:
        marks = [marked(visit.get("/limited")) for _ in range(2 * AMOUNT + 1)]
        return next((mark for mark in marks if mark[0] == 429), None)

    assert street.each(look) == street.of(
        {**alike(None), "guard": (429, True, True), "naive": (429, False, False), "assembled": (429, True, True)}
    )


@pytest.mark.long
def test_a_client_without_an_address_is_served(tmp_path: Path) -> None:
    """Behind a Unix socket there is none."""
    path = tmp_path / "socket"

    class UnixConnection(HTTPConnection):
        def connect(self) -> None:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(str(path))

    def status(stack: str) -> int:
        connection = UnixConnection("localhost")
        try:
            connection.request("GET", f"/{stack}/stream")
            return answer(connection.getresponse()).status
        finally:
            connection.close()

    with serve("uvicorn", "breakage:app", tmp_path, f"--uds={path}", up=partial(status, "bare")):
        seen = {stack: status(stack) for stack in (*OURS, "naive")}

    assert seen == {"bare": 200, "told-nothing": 200, "guard": 200, "naive": 500}


@pytest.mark.anyio
@pytest.mark.parametrize("length", [b"abc", b"0x5", b"5, 5", "\N{ARABIC-INDIC DIGIT FIVE}".encode()])
async def test_a_content_length_that_is_no_number_is_no_crash(length: bytes) -> None:
    """Most servers refuse it, and not all: where it gets through, it is answered for."""
    scope = http_scope("POST", "/upload", headers=[(b"host", b"127.0.0.1:1"), (b"content-length", length)])
    statuses = {}
    for stack in ("guard", "naive"):
        server = StrictServer(scope, request_messages(b"hello"))
        await server.serve(APPS[stack])
        statuses[stack] = server.sent[0]["status"]

    assert statuses == {"guard": 400, "naive": 500}
