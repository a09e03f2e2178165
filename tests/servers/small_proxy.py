"""A proxy as small as one can be: it says for whom it asks, and passes every byte on as it comes.

`python small_proxy.py PORT SERVER_PORT` listens on loopback and asks a server on the same machine. Each connection is
for one request. As all users of a test are on one machine, `X-User-Address` tells the proxy where a user would be.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

USER = b"x-user-address"
APPENDED = b"x-forwarded-for"
WRITTEN = b"x-forwarded-proto"


def forwarded(head: bytes, peer: bytes) -> bytes:
    """Write the head of a request as the proxy sends it on."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    fields = [(line.partition(b":")[0].lower(), line) for line in lines]
    values = {name: line.partition(b":")[2].strip() for name, line in fields}
    upgrades = b"upgrade" in values
    own = {USER, APPENDED, WRITTEN} | (set() if upgrades else {b"connection", b"keep-alive"})
    chain = [values[APPENDED]] if APPENDED in values else []
    kept = [line for name, line in fields if name not in own]
    kept += [b"X-Forwarded-For: " + b", ".join([*chain, values.get(USER, peer)]), b"X-Forwarded-Proto: http"]
    if not upgrades:
        kept.append(b"Connection: close")
    return b"\r\n".join([first, *kept, b"", b""])


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, as fast as it is taken; what nobody takes any longer is read all the same."""
    while data := await reader.read(65_536):
        with suppress(OSError):
            writer.write(data)
            await writer.drain()


async def main(port: int, server_port: int) -> None:
    """Serve until the process is ended."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_writer = None
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", server_port)
            server_writer.write(forwarded(head, writer.get_extra_info("peername")[0].encode()))
            ways = [pump(reader, server_writer), pump(server_reader, writer)]
            tasks = [asyncio.ensure_future(way) for way in ways]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for side in filter(None, (writer, server_writer)):
            side.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port, limit=1 << 20, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
