"""Servers: a stack under uvicorn in a process of its own, which says what it has spent, and a client that loads it.

The server runs one worker with httptools and uvloop. The client is as cheap as can be, keeps its connections, each from
another loopback address, and sends on all of them before it reads from any: a bounded number of requests, and no more.
Linux only, for the addresses and for what the server says of its memory.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from time import process_time_ns
from typing import Any, Self

import uvicorn
from scenarios import HEADERS, ORIGIN, App

SPENT = "/spent"
PATIENCE_SECONDS = 60

_LINES = b"".join(name + b": " + value + b"\r\n" for name, value in (*HEADERS, ORIGIN))
REQUEST = b"GET /api/items/42?page=2&sort=price HTTP/1.1\r\n" + _LINES + b"\r\n"
_ASKING = b"GET " + SPENT.encode() + b" HTTP/1.1\r\nhost: shop.example\r\n\r\n"


class Server:
    """A stack that is served, and the connections to it; a context manager.

    Args:
        name: of the stack.
        connections: how many to keep, up to 250.
        script: what serves it, told its name.
        arguments: what else it is told.
    """

    def __init__(self, name: str, connections: int, script: str = __file__, *arguments: str) -> None:
        self._command = [sys.executable, script, name, *arguments]
        self._addresses = [f"127.0.1.{number + 1}" for number in range(connections)]
        self._open = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
            starting.enter_context(process)  # waits for its end, after it was told to
            starting.callback(process.terminate)
            to = ("127.0.0.1", int(process.stdout.readline()))
            self.connections = [
                starting.enter_context(socket.create_connection(to, PATIENCE_SECONDS, (address, 0)))
                for address in self._addresses
            ]
            self._open = starting.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def load(self, times: int) -> int:
        """Send so many requests on each connection; return how many nanoseconds the server spent on them.

        Raises:
            RuntimeError: a request was refused.
        """
        before = self.spent()["cpu_ns"]
        for _ in range(times):
            for connection in self.connections:
                connection.sendall(REQUEST)
            for connection in self.connections:
                answer = _read(connection)
                if not answer.startswith(b"HTTP/1.1 200"):
                    raise RuntimeError(f"refused: {answer!r}")
        return self.spent()["cpu_ns"] - before

    def spent(self) -> dict[str, int]:
        """Return what the server has spent: CPU time in nanoseconds, and the memory it holds in bytes."""
        connection = self.connections[0]
        connection.sendall(_ASKING)
        return json.loads(_read(connection).partition(b"\r\n\r\n")[2])

    def headers(self) -> dict[str, str]:
        """Return the headers of an answer as they came over the wire, names in lower case."""
        connection = self.connections[0]
        connection.sendall(REQUEST)
        lines = _read(connection).partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _read(connection: socket.socket) -> bytes:
    """Read an answer; all of them end with their one object."""
    answer = b""
    while not answer.endswith(b"}"):
        received = connection.recv(65_536)
        if not received:
            raise RuntimeError("the server closed the connection")
        answer += received
    return answer


def measured(app: App) -> App:
    """Say what this process has spent, apart from the stack; for the stack, TLS ended at a proxy."""

    async def wrapped(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            if scope["path"] == SPENT:
                await _tell(send)
                return
            scope["scheme"] = "https"
        await app(scope, receive, send)

    return wrapped


async def _tell(send: Any) -> None:
    body = json.dumps({"cpu_ns": process_time_ns(), "rss_bytes": _held()}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _held() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def serve(stack: App) -> None:
    """Serve a stack on a free port, say which, and go on until told to end."""
    logging.disable(logging.CRITICAL)  # what a handler costs is the handler's
    app = measured(stack)
    with socket.create_server(("127.0.0.1", 0), backlog=250) as listening:
        print(listening.getsockname()[1], flush=True)
        # A connection may have to wait for its next turn longer than anybody keeps one.
        options = {"access_log": False, "proxy_headers": False, "timeout_keep_alive": 10 * PATIENCE_SECONDS}
        config = uvicorn.Config(app, http="httptools", loop="uvloop", **options)
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    from peers_stacks import STACKS

    serve(STACKS[sys.argv[1]]())
