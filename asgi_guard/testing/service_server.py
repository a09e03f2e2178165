"""The server under a stand-in: HTTP/1.1 on a free port of loopback, on an event loop in a thread of its own.

Rule 1: it listens on 127.0.0.1 alone, and nothing that a caller sends goes past its bounds: 64 kB of head, 10 MB of
body, 256 connections.
Rule 2: to begin and to end blocks no event loop: the socket is bound by the caller, and the thread does the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from asgi_guard.testing.steps import MAX_SECONDS, Step

MAX_HEAD_BYTES: Final = 65_536
MAX_BODY_BYTES: Final = 10_000_000
MAX_CONNECTIONS: Final = 256
PORTS: Final = range(20_000, 32_000)
"""Below those that systems give to outgoing connections."""

_GARBAGE: Final = b"\x00\xff\xfe garbage, and no HTTP \x80\r\n\r\n"
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that a stand-in was given.

    Attributes:
        method: the request method, or the name of the method of the object.
        path: the path with its query, or the key.
        headers: the headers, names in lower case; of a repeated one the last.
        body: the whole body.
        at_seconds: when it came, in seconds of `time.monotonic`.
    """

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    at_seconds: float = field(default_factory=time.monotonic)


class LoopThread:
    """A thread with an event loop, in which servers run."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.SelectorEventLoop()  # which knows readers
        self.listening: set[socket.socket] = set()
        self.accepted: set[socket.socket] = set()
        """Those of which no transport knows yet: a task that is cancelled before its first step closes nothing."""
        self._thread = threading.Thread(target=self._run, name="asgi-guard-stand-ins", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        for listener in self.listening:
            self.loop.remove_reader(listener)
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        for opened in self.listening | self.accepted:
            opened.close()

    def end(self) -> None:
        """End every server of it, and the thread."""
        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(timeout=10)


class HTTPServer:
    """A server on a free port, whose answers are steps.

    Args:
        answer: given a call, says what to do with it; asked in the thread of the loop.
    """

    def __init__(self, answer: Callable[[Call], Step]) -> None:
        self._answer = answer
        self._socket = _listening()
        self.port: int = self._socket.getsockname()[1]
        self._tasks: set[asyncio.Task[None]] = set()

    def serve_in(self, thread: LoopThread) -> None:
        """Begin; who connects before the loop is ready waits for it."""
        thread.listening.add(self._socket)
        thread.loop.call_soon_threadsafe(thread.loop.add_reader, self._socket, self._accept, thread)

    def _accept(self, thread: LoopThread) -> None:
        """Take the next connection. In a callback: what a task has accepted is lost if it is cancelled just then."""
        try:
            connection, _ = self._socket.accept()
        except OSError:  # whoever wanted one has left
            return
        if len(self._tasks) >= MAX_CONNECTIONS:
            connection.close()
            return
        connection.setblocking(False)
        thread.accepted.add(connection)
        task = thread.loop.create_task(self._converse(connection, thread.accepted))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(self, connection: socket.socket, accepted: set[socket.socket]) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=MAX_HEAD_BYTES)
        accepted.discard(connection)  # from here on it is the transport's to close
        try:
            while (call := await _read(reader)) is not None and await self._carry_out(self._answer(call), call, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    @staticmethod
    async def _carry_out(step: Step, call: Call, writer: asyncio.StreamWriter) -> bool:
        """Do what a step says; return whether the connection lives on."""
        if step.after_seconds:
            await asyncio.sleep(step.after_seconds)
        match step.kind:
            case "hang":
                await asyncio.sleep(MAX_SECONDS)
                return False
            case "reset":
                connection: Any = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                writer.transport.abort()
                return False
            case "garbage":
                writer.write(_GARBAGE)
                await writer.drain()
                return False
            case "answer":
                body = b"" if step.status in {204, 304} else step.body
                lines = [
                    f"HTTP/1.1 {step.status} Scripted",
                    *(f"{name}: {text}" for name, text in step.headers.items()),
                ]
                if step.status not in {204, 304}:
                    lines.append(f"Content-Length: {len(body)}")
                head = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
                writer.write(head if call.method == "HEAD" else head + body)
                await writer.drain()
                return call.headers.get("connection", "").lower() != "close"


def _listening() -> socket.socket:
    """Bind a free port; blocks nothing."""
    for attempt in range(200):
        port = PORTS[(time.monotonic_ns() // 1_000 * 7919 + attempt * 104_729) % len(PORTS)]
        listener = socket.socket()
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(MAX_CONNECTIONS)
            listener.setblocking(False)
        except OSError:
            listener.close()
        else:
            return listener
    raise OSError("no port of loopback is free between 20000 and 32000")


async def _read(reader: asyncio.StreamReader) -> Call | None:
    """Read one request; None where the caller has left instead."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError as exc:
        if not exc.partial:
            return None
        raise
    first, *lines = head[:-4].split("\r\n")
    method, path, _version = first.split(" ")
    headers = {name.strip().lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(_bounded(int(headers.get("content-length", "0"))))
    return Call(method, path, headers, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        _bounded(len(body) + size)
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":  # trailers
        pass
    return bytes(body)


def _bounded(size: int) -> int:
    if not 0 <= size <= MAX_BODY_BYTES:
        raise ValueError(f"a body of {size} bytes")
    return size
