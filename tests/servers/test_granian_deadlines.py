"""Deadlines under granian, whose own tasks cannot be cancelled, and under the same server with asyncio's tasks.

The server runs in a process of its own, and is waited for by asking it; clients are raw sockets.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("granian")

import asgi_guard
from asgi_guard import Guard, RequestLimits

TIMEOUT_SECONDS = 20
counts = {"began": 0, "ended": 0}


async def application(scope, receive, send):
    """Answer, wait for the client to leave, or read the body; count who came and who went."""
    if scope["type"] == "lifespan":
        return
    path = scope["path"]
    counts["began"] += 1
    try:
        if path == "/slow":
            await asyncio.sleep(1)
        elif path == "/stuck":
            while (await receive())["type"] != "http.disconnect":
                pass
        elif path == "/upload":
            while (await receive()).get("more_body"):
                pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(counts).encode()})
    finally:
        counts["ended"] += 1


LIMITS = RequestLimits(total_seconds=0.5, idle_seconds=0.2, max_concurrent=2, exempt_paths=["/counts"], lease_seconds=1)
app = Guard(application, request_limits=LIMITS, rate_limit=False)


@pytest.fixture(scope="module", params=["asyncio", "rust"])
def port(request):
    """Serve the application above, and wait until it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    here, package = Path(__file__), Path(asgi_guard.__file__).parents[1]
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--port", str(port), "--no-log"]
    command += ["--loop", "asyncio", "--task-impl", request.param, "--working-dir", str(here.parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(package), str(here.parent)])}
    server = subprocess.Popen([*command, f"{here.stem}:app"], env=environment)
    try:
        wait_for(lambda: status(port, "/counts") == 200)
        yield port
    finally:
        server.terminate()
        try:
            server.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:  # a request that it cannot cancel may still be on its way
            server.kill()
            server.wait(TIMEOUT_SECONDS)


def wait_for(condition):
    """Ask until it holds."""
    until = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < until:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise TimeoutError


@contextmanager
def asking(port, path, head="GET", rest=b"\r\n"):
    """Send a request, and hand out the connection to read the answer from."""
    with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(f"{head} {path} HTTP/1.1\r\nHost: testserver\r\n".encode() + rest)
        yield connection


def status_on(connection):
    """Read the status of an answer."""
    line = connection.makefile("rb").readline()
    return int(line.split()[1]) if line else 0


def status(port, path, *, head="GET", rest=b"\r\n"):
    """Send a request, and return the status of its answer."""
    with asking(port, path, head, rest) as connection:
        return status_on(connection)


def counted(port):
    """Return how many requests have begun and ended, but for this one."""
    with asking(port, "/counts", rest=b"Connection: close\r\n\r\n") as connection:
        body = connection.makefile("rb").read()
    return json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])


@pytest.mark.long
@pytest.mark.parametrize("path", ["/slow", "/stuck"])
def test_an_application_that_takes_too_long_is_answered_for(port, path):
    """In time, and the server goes on."""
    began = time.monotonic()

    assert status(port, path) == 504
    assert 0.4 < time.monotonic() - began < 5
    wait_for(lambda: status(port, "/quick") == 200)


@pytest.mark.parametrize("body", [b"", b"half\r\n"], ids=["nothing", "a part"])
def test_a_body_that_does_not_go_on_is_refused(port, body):
    """Before the time of the whole request is over."""
    chunk = b"4\r\n" + body if body else b""

    assert status(port, "/upload", head="POST", rest=b"Transfer-Encoding: chunked\r\n\r\n" + chunk) == 408
    wait_for(lambda: status(port, "/upload", head="POST", rest=b"Content-Length: 4\r\n\r\nbody") == 200)


def test_one_too_many_is_refused_and_every_place_comes_back(port):
    """Also the places of clients that left while the application was waiting for them."""
    wait_for(lambda: status(port, "/quick") == 200)
    for _ in range(3):
        with asking(port, "/stuck"), asking(port, "/stuck"):
            wait_for(lambda: status(port, "/quick") == 503)
        wait_for(lambda: status(port, "/quick") == 200)


def test_every_request_ends(port):
    """Those that were answered for as well, as soon as they notice."""

    def all_have_ended():
        counts = counted(port)
        return counts["began"] == counts["ended"] + 1

    wait_for(all_have_ended)
