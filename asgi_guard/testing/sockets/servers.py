"""Servers: how each is started on a free port of this machine, and stopped so that nothing is left of it.

Their own reading of forwarding headers is off, as `asgi-guard run` has it: who the client is must be told by one only.
Must never import a server: each runs in a process of its own, which leads a group of its own.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import asgi_guard
from asgi_guard.testing.sockets.application import REFUSES, WRAP
from asgi_guard.testing.sockets.connection import Answer, Connection

_APPLICATION: Final = "asgi_guard.testing.sockets.entry:app"
_START_SECONDS: Final = 30
_STOP_SECONDS: Final = 1


@dataclass(frozen=True, slots=True)
class Server:
    """A server in one of its ways to serve.

    Attributes:
        modules: what must be installed.
        command: what stands after `python -m`, given the port.
    """

    modules: tuple[str, ...]
    command: Callable[[str], list[str]]

    @property
    def is_installed(self) -> bool:
        """Whether all that it needs is there."""
        return all(find_spec(module) is not None for module in self.modules)


def _uvicorn(http: str) -> Server:
    options = ["--http", http, "--no-proxy-headers", "--log-level", "warning"]
    return Server(("uvicorn", http, "websockets"), lambda port: ["uvicorn", _APPLICATION, "--port", port, *options])


def _hypercorn(worker: str) -> Server:
    options = ["--worker-class", worker, "--workers", "0", "--graceful-timeout", "1"]
    return Server(
        ("hypercorn", worker), lambda port: ["hypercorn", _APPLICATION, "--bind", f"127.0.0.1:{port}", *options]
    )


def _granian(tasks: str) -> Server:
    options = ["--interface", "asgi", "--loop", "asyncio", "--task-impl", tasks, "--log-level", "warning"]
    return Server(("granian",), lambda port: ["granian", _APPLICATION, "--port", port, *options])


def _gunicorn(worker: str, *modules: str) -> Server:
    options = ["--worker-class", worker, "--forwarded-allow-ips", "", "--graceful-timeout", "1"]
    return Server(
        ("gunicorn", *modules), lambda port: ["gunicorn", _APPLICATION, "--bind", f"127.0.0.1:{port}", *options]
    )


SERVERS: Final[Mapping[str, Server]] = {
    "uvicorn-h11": _uvicorn("h11"),
    "uvicorn-httptools": _uvicorn("httptools"),
    "hypercorn-asyncio": _hypercorn("asyncio"),
    "hypercorn-trio": _hypercorn("trio"),
    "granian-asyncio": _granian("asyncio"),
    "granian-rust": _granian("rust"),
    "daphne": Server(("daphne",), lambda port: ["daphne", _APPLICATION, "--port", port, "--verbosity", "0"]),
    "gunicorn-asgi": _gunicorn("asgi", "gunicorn.workers.gasgi"),
    "gunicorn-uvicorn": _gunicorn("uvicorn_worker.UvicornWorker", "uvicorn_worker"),
}
"""The servers by name."""


@dataclass(slots=True)
class Served:
    """An application that is being served.

    Attributes:
        port: where.
        headers: header lines of each request, beside `Host`.
        refuses: whether what is refused can be asked for.
        log: where the server writes what it says.
        patience_seconds: how long a client waits for each piece.
    """

    port: int
    headers: bytes
    refuses: bool
    log: Path
    patience_seconds: float

    def connection(self) -> Connection:
        """Open a connection."""
        return Connection(self.port, self.patience_seconds)

    def request(
        self, method: str, path: str, headers: bytes = b"", body: bytes = b"", *, host: bytes = b"testserver"
    ) -> bytes:
        """Write a request; a body is sent with its length."""
        length = b"Content-Length: %d\r\n" % len(body) if body else b""
        lines = b"Host: %s\r\n%s%s%s" % (host, self.headers, headers, length)
        return b"%s %s HTTP/1.1\r\n%s\r\n%s" % (method.encode(), path.encode(), lines, body)

    def ask(self, method: str, path: str, headers: bytes = b"", body: bytes = b"", **keys: bytes) -> Answer:
        """Ask over a connection of its own."""
        with self.connection() as connection:
            connection.send(self.request(method, path, headers, body, **keys))
            return connection.response(is_head=method == "HEAD")

    def seen(self, query: str) -> list[Any]:
        """Ask what the application has noticed of the requests with this query."""
        notes: list[Any] = self.ask("GET", f"/seen?of={query}").json()
        return notes

    def eventually(self, condition: Callable[[], object]) -> bool:
        """Ask until it holds, as long as a client waits."""
        until = time.monotonic() + self.patience_seconds
        while not (holds := bool(condition())) and time.monotonic() < until:
            time.sleep(0.02)
        return holds

    def logged(self, text: str) -> int:
        """Count a text in what the server has said."""
        return self.log.read_text(encoding="utf-8", errors="replace").count(text)


@contextmanager
def serving(
    name: str,
    wrap: str | None,
    *,
    refuses: bool,
    headers: bytes,
    folder: Path | None,
    patience_seconds: float,
) -> Generator[Served]:
    """Serve the application, wrapped, while the block lasts.

    Raises:
        RuntimeError: the server does not begin to serve; the text has what it said.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as home:
        log = Path(home, "log")
        with log.open("wb") as sink:
            process = subprocess.Popen(  # noqa: S603  the commands are those of the table above
                [sys.executable, "-m", *SERVERS[name].command(str(port))],
                cwd=home,
                env=_environment(wrap, refuses=refuses, folder=folder, home=home),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
        served = Served(port, headers, refuses, log, patience_seconds)
        try:
            _wait_for(served, process)
            yield served
        finally:
            _stop(process)


def _environment(wrap: str | None, *, refuses: bool, folder: Path | None, home: str) -> dict[str, str]:
    package = str(Path(asgi_guard.__file__).parents[1])
    path = [package, *([str(folder)] if folder else []), *filter(None, [os.environ.get("PYTHONPATH")])]
    said = {WRAP: wrap or "", REFUSES: "1" if wrap and refuses else ""}
    return {**os.environ, **said, "HOME": home, "PYTHONPATH": os.pathsep.join(path)}  # one keeps a socket in HOME


def _wait_for(served: Served, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError, ValueError, IndexError):
            if served.ask("GET", "/hello").status == 200:
                return
        time.sleep(0.02)
    raise RuntimeError(f"it does not serve: {served.log.read_text(encoding='utf-8', errors='replace')[-2_000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):  # some request may still be on its way
        process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):  # the workers too, whatever their master has done
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
