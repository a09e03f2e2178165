"""The server of the demo: uvicorn in a thread of its own, on sockets that listen before it starts.

A client may connect as soon as the socket listens, and is served once the server is up: so nobody has to ask whether it
is ready, and a port that is taken is an error in the caller's thread.
Must never outlive the block that started it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Final

from asgi_guard.engine.types import ASGIApp

if TYPE_CHECKING:
    from uvicorn import Server

_GRACE_SECONDS: Final = 1


@contextmanager
def serving(host: str, *apps: tuple[ASGIApp, int]) -> Generator[list[int]]:
    """Serve applications until the block ends, then close everything.

    Args:
        host: the address to listen on.
        apps: each application with its port; 0 is any free one.

    Yields:
        The ports.

    Raises:
        OSError: a port is taken.
    """
    with ExitStack() as sockets:
        listeners = [sockets.enter_context(_listen(host, port)) for _, port in apps]
        servers = [_server(app) for app, _ in apps]
        thread = Thread(target=lambda: asyncio.run(_serve(servers, listeners)), name="demo servers", daemon=True)
        thread.start()
        try:
            yield [listener.getsockname()[1] for listener in listeners]
        finally:
            for server in servers:
                server.should_exit = True
            thread.join()


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    # Connections inherit it. asyncio sets it on sockets of its own only, and without it an answer in two parts waits
    # 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _server(app: ASGIApp) -> Server:
    from uvicorn import Config, Server

    config = Config(
        app,
        http="h11",  # hands on whatever the standard does not forbid: that is what an application has to expect
        ws="websockets-sansio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # nobody stands in front, so nobody may say who the client is
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    return Server(config)


async def _serve(servers: list[Server], listeners: list[socket.socket]) -> None:
    pairs = zip(servers, listeners, strict=True)
    await asyncio.gather(*[server.serve([listener]) for server, listener in pairs])
