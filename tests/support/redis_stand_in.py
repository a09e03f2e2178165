"""A proxy before a real server that can be told to answer in its stead, and wrongly: half, garbage, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

HONEST = None
"""Hand everything on, both ways."""

SILENT = b""
"""Take everything, and answer nothing: a black hole with an open port."""

ANSWERS = {
    "nothing at all": SILENT,
    "a hang-up": b"hang up",
    "half an answer": b"$100\r\nhalf",
    "half an answer, then a hang-up": b"$100\r\nhalf hang up",
    "garbage": bytes(range(256)) * 16,
    "another protocol": b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n",
    "a number": b":7\r\n",
    "no value": b"$-1\r\n",
    "a list": b"*2\r\n$-1\r\n:1\r\n",
    "too short a text": b"$3\r\nabc\r\n",
    "an answer of half a gigabyte": b"$536870912\r\n" + b"x" * 65_536,
    "lists without an end": b"*1\r\n" * 4_096,
    "an error that nobody knows": b"-WHATEVER is wrong\r\n",
}
"""What it may say instead, by name; `hang up` at the end is done and not said."""


class StandIn:
    """Where a client connects to.

    Attributes:
        says: what each message of a client is answered with; None to hand it on to the server.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()
        self.says: bytes | None = HONEST

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, until either side has had enough."""
        self._tasks.add(asyncio.current_task())
        inner, outer = await asyncio.open_connection("127.0.0.1", self._port)
        answers = asyncio.create_task(self._hand_back(inner, writer))
        try:
            while asked := await reader.read(65_536):
                if self.says is HONEST:
                    outer.write(asked)
                    continue
                writer.write(self.says.removesuffix(b"hang up"))
                if self.says.endswith(b"hang up"):
                    break
        except ConnectionError:
            pass
        finally:
            answers.cancel()
            outer.close()
            writer.close()
            self._tasks.discard(asyncio.current_task())

    async def aclose(self) -> None:
        """Hang up everywhere."""
        for task in self._tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _hand_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answer := await reader.read(65_536):
            writer.write(answer)


@asynccontextmanager
async def stand_in_for(port: int) -> AsyncIterator[tuple[StandIn, str]]:
    """Stand before the server on a port; give the proxy and its URL."""
    one = StandIn(port)
    listener = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    try:
        yield one, f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()
        await one.aclose()
