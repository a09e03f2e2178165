"""What the doctor says of each server, asked on the wire of the one that is installed."""

from __future__ import annotations

import socket
import time
from importlib.util import find_spec

import pytest

from asgi_guard.doctor.servers import FACTS

APPLICATION = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for _ in range(2):
            await send({"type": f"{(await receive())['type']}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
FILES = {"shop.py": APPLICATION, "quiet.py": "include_server_header = False\n"}
COMMANDS = {
    "uvicorn": "uvicorn shop:app --port {port} --http httptools",
    "hypercorn": "hypercorn shop:app --bind 127.0.0.1:{port}",
    "granian": "granian --interface asgi shop:app --port {port}",
    "daphne": "daphne shop:app --port {port}",
    "gunicorn": "gunicorn shop:app --bind 127.0.0.1:{port} --worker-class uvicorn_worker.UvicornWorker",
    "gunicorn-asgi": "gunicorn shop:app --bind 127.0.0.1:{port} --worker-class asgi",
}
QUIET = {
    "uvicorn": "--no-server-header",
    "hypercorn": "--config file:quiet.py",
    "daphne": "--no-server-name",
}
QUICK = {"hypercorn": ("--keep-alive 1", 1), "granian": ("--http1-header-read-timeout 1000", 1)}
"""The option that makes it cut off slow headers, and after how many seconds."""

SLOW_SECONDS = 3
MARGIN_SECONDS = 8
HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"


@pytest.fixture
def start(serving):
    """Start a server, if it is installed."""

    def run(name, options=""):
        for module in COMMANDS[name].split()[0], *(["uvicorn_worker"] if name == "gunicorn" else []):
            if find_spec(module) is None:
                pytest.skip(f"{module} is not installed")
        return serving(f"{{python}} -m {COMMANDS[name]} {options}", FILES)

    return run


def answered(port, more=b""):
    """Ask once, and return the head of the answer; nothing where the connection was closed without one."""
    received = b""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=MARGIN_SECONDS) as client:
            client.sendall(HEAD + more + b"\r\n")
            while part := client.recv(65_536):
                received += part
    except ConnectionError:
        pass
    return received.partition(b"\r\n\r\n")[0]


def succeeds(port, more):
    """Tell whether a request with these lines comes through."""
    return answered(port, more).split(b" ")[1:2] == [b"200"]


def named(head):
    """Return what stands in the header `Server`."""
    lines = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    return [value.strip().decode() for name, _, value in lines if name.lower() == b"server"]


def closes(port, seconds):
    """Tell whether a connection whose headers never end is closed within so many seconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        try:
            while client.recv(65_536):
                pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
    return True


@pytest.mark.long
@pytest.mark.parametrize("name", FACTS)
def test_a_server_does_what_is_said_of_it(name, start) -> None:
    """Its name in each answer, how many headers it lets through, and how large one may be."""
    facts = FACTS[name]
    with start(name) as process:
        _wait_for_an_answer(process.port)
        assert named(answered(process.port)) == [facts.name]

        fewer, more = (
            b"".join(b"x-%d: 1\r\n" % n for n in range(90)),
            b"".join(b"x-%d: 1\r\n" % n for n in range(1_000)),
        )
        assert succeeds(process.port, fewer)
        assert succeeds(process.port, more) is (facts.max_headers is None)
        assert succeeds(process.port, b"x: " + b"a" * 800_000 + b"\r\n") is (facts.max_head_bytes is None)
        if facts.max_head_bytes is not None:
            assert succeeds(process.port, b"x: " + b"a" * (facts.max_head_bytes // 2) + b"\r\n")


@pytest.mark.long
@pytest.mark.parametrize("name", QUIET)
def test_the_flag_takes_the_name_out(name, start) -> None:
    """The one that the fix names."""
    facts = FACTS[name]
    assert QUIET[name] in facts.name_fix or "include_server_header" in facts.name_fix

    with start(name, QUIET[name]) as process:
        _wait_for_an_answer(process.port)
        assert named(answered(process.port)) == []


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, facts in FACTS.items() if facts.slow_headers_seconds is None])
def test_slow_headers_are_waited_for(name, start) -> None:
    """For as long as anybody watches."""
    with start(name) as process:
        _wait_for_an_answer(process.port)
        assert not closes(process.port, SLOW_SECONDS)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name, facts in FACTS.items() if facts.slow_headers_seconds is not None])
def test_slow_headers_are_cut_off(name, start) -> None:
    """By the option that is named, which makes it quick enough to be watched."""
    option, seconds = QUICK[name]
    assert FACTS[name].slow_headers_option == option.split()[0]

    with start(name, option) as process:
        _wait_for_an_answer(process.port)
        assert closes(process.port, seconds + MARGIN_SECONDS)


def _wait_for_an_answer(port):
    """Wait until a worker serves: some listen before."""
    end = time.monotonic() + 2 * MARGIN_SECONDS
    while not answered(port).startswith(b"HTTP/1.1 200") and time.monotonic() < end:
        time.sleep(0.05)
