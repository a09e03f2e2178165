"""A server in a process of its own, and clients that ask it.

The process leads a group of its own, so that nothing it starts can outlive the test. What is waited for is polled, and
only for so long. Clients are the standard library's and raw sockets, which show what is on the wire.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from asgi_guard.testing import RawHeaders, Response

PATIENCE_SECONDS = 20
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "uvicorn": ("uvicorn", "{app}", "--port={port}"),
    "hypercorn": ("hypercorn", "{app}", "--bind=127.0.0.1:{port}"),
    "granian": ("granian", "{app}", "--interface=asgi", "--port={port}"),
    "daphne": ("daphne", "{app}", "--port={port}"),
    "gunicorn": ("gunicorn", "{app}", "--worker-class=uvicorn_worker.UvicornWorker", "--bind=127.0.0.1:{port}"),
}
"""How each server is started; `{port}` and `{app}` are filled in."""


class Served:
    """A server that serves an application of this folder, as `module:name`.

    Args:
        server: which one; it is skipped by name where it is not installed.
        app: the application.
        folder: where its log goes.
        options: further options of the server.

    Attributes:
        server: its name.
        port: where it listens.
    """

    def __init__(self, server: str, app: str, folder: Path, *options: str) -> None:
        pytest.importorskip(server, reason=f"{server} is not installed")
        self.server = server
        self.port = free_port()
        self._log = folder / f"{server}.log"
        words = [word.format(app=app, port=self.port) for word in COMMANDS[server]]
        path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *words, *options],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """What the server, and what it serves, has logged."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def until(self, holds: Callable[[], Any]) -> None:
        """Ask again and again, also where nobody answers yet, and fail where it takes too long."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(OSError, HTTPException):
                if holds():
                    return
            if time.monotonic() > end or self._process.poll() is not None:
                pytest.fail(f"it never came to that; the server says:\n{self.log}")
            time.sleep(0.02)

    def is_up(self) -> bool:
        """Tell whether somebody listens."""
        self.connect().close()
        return True

    def wait(self, seconds: float) -> None:
        """Wait until the server has ended by itself.

        Raises:
            subprocess.TimeoutExpired: it has not.
        """
        self._process.wait(seconds)

    def stop(self) -> None:
        """End the server, and whatever it has started."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE_SECONDS)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(PATIENCE_SECONDS)

    def connect(self) -> socket.socket:
        """Open a raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)

    @contextmanager
    def wire(self) -> Iterator[tuple[BinaryIO, Callable[[bytes], None]]]:
        """Open a raw connection, as a file to read from and a function that sends."""
        with self.connect() as raw, raw.makefile("rb") as stream:
            yield stream, raw.sendall

    def ask(self, method: str, path: str, *, headers: Mapping[str, str] = {}, chunks: Iterable[bytes] = ()) -> Response:
        """Send a request over a connection of its own, its body chunk by chunk where it has one."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # it has answered before it had the whole body
                connection.request(method, path, [*chunks] or None, {**headers})
            return answer(connection.getresponse())
        finally:
            connection.close()


@contextmanager
def serve(server: str, app: str, folder: Path, *options: str, up: Callable[[], Any] | None = None) -> Iterator[Served]:
    """Serve an application until the block is left, which is entered when somebody listens, or `up` says so."""
    served = Served(server, app, folder, *options)
    try:
        served.until(up or served.is_up)
        yield served
    finally:
        served.stop()


def answer(response: HTTPResponse) -> Response:
    """Read a response, whole."""
    lines = RawHeaders((name.lower().encode(), value.encode("latin-1")) for name, value in response.getheaders())
    body = response.read()
    return Response(response.status, lines, body, (body,), RawHeaders(), ())


def chunk(data: bytes) -> bytes:
    """Write a chunk as HTTP/1.1 does; an empty one is the end."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
