"""What a client sees of errors under a real server: raw bytes, and nothing that is taken for granted.

It is a specification for tests, and the list that `benchmarks/errors_matrix.py` counts. Each check raises
`AssertionError` where the server and the guard together do not keep it.
"""

# ruff: noqa: PT017  these are no tests: whoever calls them knows nothing of pytest
from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from failing import SECRET
from served import PATIENCE_SECONDS, Served

SERVERS = ("uvicorn", "hypercorn", "granian", "daphne", "gunicorn")
WITHOUT_LIFESPAN = ("daphne",)
LEAVES_OPEN = ("daphne",)
"""These leave a connection open whose response has broken off: the client waits for the rest."""
KNOWS_ONE_CODE = ("daphne",)
"""These refuse to send 1008 and 1013, and send 1011 for it; and no reason."""
NAMES = {1011: "INTERNAL_ERROR", 1013: "DATABASE_ERROR", 1008: "AUTHORIZATION_ERROR"}
IN_A_ROW = 5
GUARDED, STRICT, LAX = "errors_served:guarded", "errors_served:strict", "errors_served:lax"


def ask_in_a_row(served: Served, method: str, *paths: str) -> list[tuple[int, dict[str, Any]]]:
    """Ask over one connection, which must live, and return each status and body."""
    connection = HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE_SECONDS)
    answers = []
    try:
        connection.connect()
        first = connection.sock
        for path in paths:
            connection.request(method, path, headers={"Authorization": SECRET})
            response = connection.getresponse()
            body = response.read()
            assert SECRET.encode() not in body
            assert b"Traceback" not in body
            assert connection.sock is first, f"{path} has cost the connection"
            is_json = response.headers.get_content_type() == "application/json"
            answers.append((response.status, json.loads(body) if is_json and body else {}))
    finally:
        connection.close()
    return answers


def is_answered(served: Served, path: str, status: int, code: str) -> None:
    """An error is told in our words, again and again over one connection, and the next request is served."""
    *failed, fine = ask_in_a_row(served, "GET", *[path] * IN_A_ROW, "/fine")

    assert [answer[0] for answer in failed] == [status] * IN_A_ROW
    assert {answer[1]["error"]["code"] for answer in failed} == {code}
    assert len({answer[1]["request_id"] for answer in failed}) == IN_A_ROW
    assert fine[0] == 200


def head_has_no_body(served: Served) -> None:
    """The connection would be out of step otherwise."""
    assert [status for status, _ in ask_in_a_row(served, "HEAD", "/before", "/before", "/fine")] == [500, 500, 200]


def late_is_cut_off(served: Served) -> None:
    """What has begun is not completed: no last chunk, so that nobody takes a half for the whole."""
    raw = b""
    with served.connect() as connection, suppress(ConnectionResetError, TimeoutError):
        connection.settimeout(PATIENCE_SECONDS if served.server not in LEAVES_OPEN else 1)
        connection.sendall(b"GET /in-the-body HTTP/1.1\r\nHost: localhost\r\n\r\n")
        while piece := connection.recv(65_536):
            raw += piece

    assert raw.endswith(b"the first part\r\n")


def background_costs_nothing(served: Served) -> None:
    """Work that fails after the answer leaves answer and connection alone."""
    assert [status for status, _ in ask_in_a_row(served, "GET", "/afterwards", "/fine")] == [200, 200]


def handshake_is_denied(served: Served) -> None:
    """With a whole answer, or a bare 403 from servers that can send none."""
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    try:
        with connect(f"ws://127.0.0.1:{served.port}/handshake", proxy=None):
            raise AssertionError("the handshake was accepted")
    except InvalidStatus as denied:
        assert denied.response.status_code in {403, 500}
        assert SECRET.encode() not in bytes(denied.response.body or b"")


def closes_with(served: Served, code: int) -> None:
    """A WebSocket is closed with the code that says whose fault it was, and the name of the error."""
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import connect

    with connect(f"ws://127.0.0.1:{served.port}/{code}", proxy=None) as session:
        try:
            session.recv(timeout=PATIENCE_SECONDS)
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            expected = (1011, "") if served.server in KNOWS_ONE_CODE else (code, NAMES[code])
            assert (closed.rcvd.code, closed.rcvd.reason) == expected
        else:
            raise AssertionError("something was said")


CHECKS: Mapping[str, Callable[[Served], None]] = {
    "before the start": lambda served: is_answered(served, "/before", 500, "INTERNAL_ERROR"),
    "after the start, which was held": lambda served: is_answered(served, "/at-the-start", 500, "INTERNAL_ERROR"),
    "no answer at all": lambda served: is_answered(served, "/silent", 500, "NO_RESPONSE"),
    "a start, and no more": lambda served: is_answered(served, "/half", 500, "NO_RESPONSE"),
    "Starlette's own 500": lambda served: is_answered(served, "/starlette/unexpected", 500, "INTERNAL_ERROR"),
    "an error of ours in Starlette": lambda served: is_answered(served, "/starlette/database", 503, "DATABASE_ERROR"),
    "Starlette's own 404": lambda served: is_answered(served, "/starlette/a/b", 404, "NOT_FOUND"),
    "HEAD": head_has_no_body,
    "after the end": background_costs_nothing,
    "in a handshake": handshake_is_denied,
    "in a WebSocket, unexpected": lambda served: closes_with(served, 1011),
    "in a WebSocket, try again later": lambda served: closes_with(served, 1013),
    "in a WebSocket, refused": lambda served: closes_with(served, 1008),
    "in the body": late_is_cut_off,
}
"""All checks, by what fails."""

SPOILS = "in the body"
"""After this one daphne looks after no application any more: it wants a server of its own, or to be the last."""


def start_ends(server: str, app: str, folder: Path) -> bool:
    """Serve an application that fails at its start; tell whether the server gives up, instead of serving it."""
    served = Served(server, app, folder)
    try:
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            with suppress(subprocess.TimeoutExpired):
                served.wait(0.05)
                return True
            with suppress(OSError, HTTPException):
                return served.ask("GET", "/fine").status != 200
        raise AssertionError("it neither serves nor ends")
    finally:
        served.stop()
