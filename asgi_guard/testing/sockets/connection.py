"""Connection: a client that shows what is on the wire: it sends any bytes, and reads responses as RFC 9112 frames them.

Rule 1: it corrects nothing and asks nothing twice; what a browser would hide is what is looked for.
Rule 2: every wait ends: a socket has a timeout, and a peer that says nothing until then has said nothing.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

_BODILESS: Final = {204, 304}
_LINE_BYTES: Final = 65_536


class BrokenOffError(Exception):
    """The server closed the connection before a response was whole."""


@dataclass(slots=True)
class Answer:
    """A response, as it was on the wire.

    Attributes:
        status: the status.
        headers: the lines, names in lower case, in order.
        body: the body, as far as it came.
        is_whole: whether its framing says that all of it came.
        informational: the statuses of the 1xx responses before it.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    is_whole: bool = True
    informational: list[int] = field(default_factory=list[int])

    def lines(self, name: bytes) -> list[bytes]:
        """Return every value of a header."""
        return [value for key, value in self.headers if key == name]

    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)


class Connection:
    """A connection to a server on this machine.

    Args:
        port: where it listens.
        timeout_seconds: how long to wait for each piece.
    """

    def __init__(self, port: int, timeout_seconds: float) -> None:
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_seconds)
        self.stream: BinaryIO = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        self.stream.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def leave(self) -> None:
        """Break the connection off, as a client does that crashes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.stream.close()
        self.socket.close()

    def head(self) -> Answer:
        """Read the head of a response, and of the 1xx before it.

        Raises:
            BrokenOffError: there is none.
        """
        informational: list[int] = []
        while (answer := self._head()).status < 200 and answer.status != 101:
            informational.append(answer.status)
        answer.informational = informational
        return answer

    def response(self, *, is_head: bool = False) -> Answer:
        """Read a whole response.

        Args:
            is_head: whether HEAD was asked.

        Raises:
            BrokenOffError: there is none.
        """
        answer = self.head()
        lengths = set(answer.lines(b"content-length"))
        if is_head or answer.status in _BODILESS or answer.status == 101:
            pass
        elif b"chunked" in answer.lines(b"transfer-encoding"):
            pieces: list[bytes] = []
            while (piece := self.chunk()) and len(pieces) < 1_000_000:
                pieces.append(piece)
            answer.body, answer.is_whole = b"".join(pieces), piece == b""
        elif lengths:
            (length,) = map(int, lengths)
            answer.body = self.stream.read(length)
            answer.is_whole = len(answer.body) == length
        else:
            answer.body = self.stream.read()
        return answer

    def chunk(self) -> bytes | None:
        """Read a chunk of a body; empty at the end of the body, None where the connection broke off before it."""
        line = self.stream.readline(_LINE_BYTES)
        if not line.endswith(b"\n"):
            return None
        size = int(line.split(b";")[0], 16)
        data = self.stream.read(size + 2)
        return data[:size] if len(data) == size + 2 else None

    def is_closed(self) -> bool:
        """Tell whether the server has closed the connection, and sent nothing before."""
        try:
            return self.stream.read(1) == b""
        except ConnectionError:
            return True

    def open_websocket(self, path: str, headers: bytes) -> Answer:
        """Shake hands; the answer's status is 101 where the server agrees."""
        key = base64.b64encode(os.urandom(16))
        upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key
        self.send(b"GET %s HTTP/1.1\r\n%s%s\r\n\r\n" % (path.encode(), headers, upgrade))
        return self.response()

    def send_frame(self, opcode: int, data: bytes) -> None:
        """Send a short WebSocket frame, masked with zeros (RFC 6455 section 5.2)."""
        self.send(bytes([0x80 | opcode, 0x80 | len(data)]) + bytes(4) + data)

    def frame(self) -> tuple[int, bytes]:
        """Read a WebSocket frame: opcode and data; pings are answered by nobody, and left out.

        Raises:
            BrokenOffError: the connection has ended.
        """
        while True:
            head = self.stream.read(2)
            if len(head) < 2:
                raise BrokenOffError("the connection ended between two frames")
            size = head[1] & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", self.stream.read(2))
            data = self.stream.read(size)
            if head[0] & 0x0F != 9:
                return head[0] & 0x0F, data

    def _head(self) -> Answer:
        line = self.stream.readline(_LINE_BYTES)
        if not line:
            raise BrokenOffError("the connection ended without a response")
        status = int(line.split(None, 2)[1])
        headers: list[tuple[bytes, bytes]] = []
        while (line := self.stream.readline(_LINE_BYTES)) not in {b"\r\n", b"\n"}:
            if not line:
                raise BrokenOffError("the connection ended within a head")
            name, _, value = line.partition(b":")
            headers.append((name.lower(), value.strip()))
        return Answer(status, headers)
