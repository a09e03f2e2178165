"""Attack listener: somebody on this machine who notes that an application has asked him what a client named.

Rule 1: an address is told once, so that an application that asks late is not taken for another.
Must never do more than to note it, and to say goodbye; it stands on a free port of the loopback address.
"""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from threading import Thread
from typing import Final

from asgi_guard.testing.attack_markup import MARK

_ANSWER: Final = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"
_ASKED: Final = re.compile(rb"[A-Z]{1,16} \S{0,200}/" + MARK.encode() + rb"/(\d{1,9})")


class AddressBook:
    """The addresses that were told, and those that were asked for.

    Args:
        port: where it listens.
    """

    __slots__ = ("_asked", "_told", "prefix")

    def __init__(self, port: int) -> None:
        self.prefix: str = f"http://127.0.0.1:{port}/{MARK}/"
        self._told = 0
        self._asked: set[int] = set()

    def address(self) -> str:
        """Return an address that nobody was told before."""
        self._told += 1
        return f"{self.prefix}{self._told}"

    def was_asked(self, address: str) -> bool:
        """Tell whether that very address was asked for."""
        return int(address.rpartition("/")[2]) in self._asked

    def note(self, request: bytes) -> None:
        """Note what was asked for, as far as it is one of the addresses."""
        found = _ASKED.match(request)
        if found is not None and int(found[1]) <= self._told:
            self._asked.add(int(found[1]))


@asynccontextmanager
async def listening() -> AsyncGenerator[AddressBook, None]:
    """Listen, in a thread: an application that asks may hold up the loop meanwhile."""
    listener = socket.create_server(("127.0.0.1", 0))
    book = AddressBook(listener.getsockname()[1])

    def listen() -> None:
        with suppress(OSError):  # it was closed
            while True:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.settimeout(1)
                    book.note(connection.recv(4_096))
                    connection.sendall(_ANSWER)

    Thread(target=listen, name="asgi_guard attack listener", daemon=True).start()
    try:
        yield book
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
