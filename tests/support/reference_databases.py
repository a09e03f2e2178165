"""Databases that can be taken away: a SQLite file that is locked, and a real PostgreSQL behind a proxy that is cut.

Each is on the loopback, on a free port, and is ended by who started it.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psutil
from redis_servers import free_port, wait_until

START_SECONDS = 30.0


class Proxy:
    """A TCP proxy that can be cut: all connections break, and new ones are refused, until it is restored."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.port = free_port()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.restore()

    def restore(self) -> None:
        """Let connections through."""
        listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes up who accepts
            listener.close()
        with self._lock:
            broken, self._open = self._open, set()
        for each in broken:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                return
            server.settimeout(None)
            with self._lock:
                self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        for each in (source, sink):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {source}
        source.close()


@contextmanager
def a_locked_file(path: Path) -> Iterator[None]:
    """Keep everybody from writing to a SQLite file."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        connection.close()


def postgresql_programs() -> tuple[str, str] | None:
    """Find `initdb` and `postgres`, where PostgreSQL is installed."""
    folders = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    path = os.pathsep.join([os.environ.get("PATH", ""), *map(str, folders)])
    initdb, postgres = shutil.which("initdb", path=path), shutil.which("postgres", path=path)
    return (initdb, postgres) if initdb and postgres else None


@contextmanager
def a_postgresql(folder: Path) -> Iterator[int]:
    """Start a PostgreSQL of one's own, which refuses to be root's; hand out its port.

    Where its user must be another, it does not stand in the test's folder: pytest shuts the folders above that one to
    other users whenever a run begins, and one that begins meanwhile would shut the database out.
    """
    programs = postgresql_programs()
    if programs is None:
        raise LookupError("PostgreSQL is not installed")
    initdb, postgres = programs
    port, data, user = free_port(), folder / "postgresql", dict[str, Any]()
    if os.geteuid() == 0:
        user = {"user": "nobody", "group": psutil.Process().gids().real, "extra_groups": []}
        data = Path(mkdtemp(prefix="postgresql-"))  # mode 0o700, like the one that is made here
        shutil.chown(data, "nobody")
    else:
        data.mkdir(mode=0o700)
    try:
        with _running(initdb, postgres, data, port, user):
            yield port
    finally:
        if user:
            shutil.rmtree(data, ignore_errors=True)


@contextmanager
def _running(initdb: str, postgres: str, data: Path, port: int, user: dict[str, Any]) -> Iterator[None]:
    made = subprocess.run(
        [initdb, "-D", str(data), "-A", "trust", "-U", "tests", "--no-sync"],
        capture_output=True,
        text=True,
        check=False,
        cwd=data,
        **user,
    )
    if made.returncode:
        raise RuntimeError(f"initdb: {made.returncode}: {made.stderr or made.stdout}")
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": data, **user}
    options = (f"-p{port}", "-h127.0.0.1", "-k", "", "-F")
    process = subprocess.Popen([postgres, "-D", str(data), *options], start_new_session=True, **quiet)
    try:
        wait_until(lambda: _listens(port), "PostgreSQL did not start", START_SECONDS)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # its word for a fast end
        process.wait(20)


def _listens(port: int) -> bool:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        time.sleep(0.5)  # it listens a moment before it answers
        return True
    return False
