"""The server of the demo: uvicorn in a thread of its own, on sockets that are bound before it starts.

A client may connect as soon as the socket is bound; it is served once the server is up. So nobody has to ask whether
the server is ready, and a port that is taken is an error in the caller's thread.
Must never outlive the block that started it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread

from asgi_guard.engine.types import ASGIApp

_GRACE_SECONDS = 1


def bind(host: str, port: int) -> socket.socket:
    """Listen on a port of this machine; 0 is any free one.

    Raises:
        OSError: the port is taken.
    """
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


@contextmanager
def serving(*listeners: tuple[ASGIApp, socket.socket]) -> Iterator[None]:
    """Serve each application on its socket until the block ends, then close everything."""
    from uvicorn import Config, Server

    servers: list[tuple[Server, socket.socket]] = []
    for app, listener in listeners:
        # h11 hands on whatever the standard lets pass, which shows what an application has to expect.
        config = Config(
            app,
            http="h11",
            ws="websockets-sansio",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        servers.append((Server(config), listener))

    async def serve() -> None:
        await asyncio.gather(*[server.serve([listener]) for server, listener in servers])

    thread = Thread(target=asyncio.run, args=[serve()], name="asgi-guard demo", daemon=True)
    with ExitStack() as stack:
        for _, listener in servers:
            stack.enter_context(listener)
        thread.start()
        try:
            yield
        finally:
            for server, _ in servers:
                server.should_exit = True
            thread.join()
