"""The endpoints under a real server, from its first request to its last."""

# ruff: noqa: E402  what may not be installed is asked for first
from __future__ import annotations

import http.client
import socket
import threading
from typing import Any

import pytest

uvicorn = pytest.importorskip("uvicorn")

from asgi_guard.layers.endpoints import EndpointsMiddleware

TIMEOUT_SECONDS = 10


class Application:
    """Takes its time at `/slow`, and notes what happens to it."""

    def __init__(self) -> None:
        self.is_asked = threading.Event()
        self.noted: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                self.noted.append(kind)
                await send({"type": f"lifespan.{kind}.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"o", "more_body": True})
        self.is_asked.set()
        await receive()
        if scope["path"] == "/slow":
            await receive()  # the client hangs up, at the very latest
        await send({"type": "http.response.body", "body": b"k"})
        self.noted.append(f"answered {scope['path']}")


def test_it_drains_before_it_ends() -> None:
    """Told so, it is not ready and yet answers all that comes; requests end before the application does."""
    application = Application()
    app = EndpointsMiddleware(application)
    health = app.layers[0].health
    server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_level="critical", timeout_graceful_shutdown=5))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            assert statuses(port) == {"/livez": 200, "/readyz": 200, "/": 200}
            slow = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
            application.is_asked.clear()
            slow.request("GET", "/slow")
            assert application.is_asked.wait(TIMEOUT_SECONDS)

            health.state = "draining"
            assert statuses(port) == {"/livez": 200, "/readyz": 503, "/": 200}

            health.state = "ready"  # the end of the lifespan says so by itself
            server.should_exit = True
            slow.close()
        finally:
            server.should_exit = True
            thread.join(TIMEOUT_SECONDS)
    assert not thread.is_alive()
    assert application.noted == ["startup", "answered /", "answered /", "answered /slow", "shutdown"]
    assert health.state == "draining"


def statuses(port: int) -> dict[str, int]:
    """Ask over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    found = {}
    for path in ("/livez", "/readyz", "/"):
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        found[path] = response.status
    connection.close()
    return found
