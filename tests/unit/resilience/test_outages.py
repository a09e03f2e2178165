"""Outages, with real services: they are killed and come back, and the calls recover within their recovery timeout."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from anyio import connect_tcp, fail_after, sleep

from asgi_guard.resilience import CircuitOpenError, Recovery, State, circuit_breaker, resilient, retry_on_failure

anyio_test = pytest.mark.anyio

SERVICE = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"pong" if connection.recv(4) == b"ping" else b"")
"""
BOUND_SECONDS = 30


class Service:
    """A TCP service in a process of its own."""

    def __init__(self, port: int = 0) -> None:
        command = [sys.executable, "-c", SERVICE, str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        """End it as an out-of-memory killer does."""
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()


async def ping(port: int) -> bytes:
    """Ask the service."""
    async with await connect_tcp("127.0.0.1", port) as stream:
        await stream.send(b"ping")
        return await stream.receive()


def test_a_service_that_is_killed_and_restarted_is_used_again() -> None:
    """While it is away, callers are refused at once; when it is back, the first probe finds out."""
    import anyio

    service = Service()
    breaker = circuit_breaker(failure_threshold=3, recovery_timeout=0.2)
    guarded = resilient(retry=retry_on_failure(2, base=0.001, on=OSError), breaker=breaker, timeout=5)(ping)

    async def outage() -> float:
        nonlocal service
        assert await guarded(service.port) == b"pong"
        service.kill()
        with pytest.raises((OSError, CircuitOpenError)):
            await guarded(service.port)
        assert breaker.state is State.OPEN
        service = Service(service.port)
        began = time.monotonic()
        with fail_after(BOUND_SECONDS):
            while True:
                try:
                    assert await guarded(service.port) == b"pong"
                except CircuitOpenError as error:
                    await sleep(error.retry_after)
                else:
                    return time.monotonic() - began

    try:
        took = anyio.run(outage)
    finally:
        service.kill()
    assert took < BOUND_SECONDS
    assert breaker.state is State.CLOSED


class Database:
    """A connection to a database file, and what opens it anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reconnects = 0
        self.reconnect()

    def reconnect(self) -> None:
        """Let go of the connection, and open the file that is there now."""
        self.reconnects += 1
        self.close()
        self.connection = sqlite3.connect(f"file:{self.path}?mode=rw", uri=True)

    def close(self) -> None:
        """Let go of the connection."""
        if hasattr(self, "connection"):
            self.connection.close()

    def read(self) -> str:
        """Ask the database."""
        return self.connection.execute("SELECT word FROM words").fetchone()[0]


def write_database(path: Path, word: str) -> None:
    """Make the file."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("CREATE TABLE words (word)")
        connection.execute("INSERT INTO words VALUES (?)", [word])
    connection.close()


def test_a_database_that_is_restored_is_connected_to_again(tmp_path) -> None:
    """The old connection is dead for good: without the recovery, every probe would fail."""
    path = tmp_path / "words.sqlite"
    write_database(path, "before")
    database = Database(path)
    recovery = Recovery("database", reconnect=database.reconnect)
    breaker = circuit_breaker(failure_threshold=2, recovery_timeout=0.05, recovery=recovery)
    read = breaker(database.read)
    assert read() == "before"

    database.connection.close()  # as a server that dies closes all connections
    path.unlink()
    for _ in range(2):
        with pytest.raises(sqlite3.Error):
            read()
    assert breaker.state is State.OPEN
    write_database(path, "after")

    began = time.monotonic()
    while time.monotonic() - began < BOUND_SECONDS:
        try:
            assert read() == "after"
        except CircuitOpenError as error:
            time.sleep(error.retry_after)
        else:
            break
    assert (breaker.state, database.reconnects) == (State.CLOSED, 2)
    database.close()
