"""Attack listener: somebody on this machine who notes that an application has asked him what a client named.

Must never do more than to note it, and to say goodbye; it stands on a free port of the loopback address.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from threading import Event, Thread

from asgi_guard.testing.attack_probes import MARK, Listener

_ANSWER = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"


@asynccontextmanager
async def listening() -> AsyncGenerator[Listener, None]:
    """Listen, in a thread: an application that asks may hold up the loop meanwhile."""
    asked = Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def listen() -> None:
        with suppress(OSError):  # it was closed
            while True:
                connection, _ = listener.accept()
                asked.set()
                with connection, suppress(OSError):
                    connection.settimeout(1)
                    connection.recv(4_096)
                    connection.sendall(_ANSWER)

    def was_asked() -> bool:
        was = asked.is_set()
        asked.clear()
        return was

    thread = Thread(target=listen, name="asgi_guard attack listener", daemon=True)
    thread.start()
    try:
        yield Listener(f"http://127.0.0.1:{listener.getsockname()[1]}/{MARK}", was_asked)
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
