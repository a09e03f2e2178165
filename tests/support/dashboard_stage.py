"""A stage for the dashboard: a server that gives whatever summary a test puts on it, and a visitor who looks at it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from dashboard_summaries import busy

from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.request import Request
from asgi_guard.layers.endpoints import Endpoints, EndpointsLayer
from asgi_guard.layers.security_headers import SecurityHeadersMiddleware
from asgi_guard.watch.page import dashboard_page

DASHBOARD, SUMMARY = "/performance/dashboard", "/performance/summary"
TITLE = "Shop <b>"
PATIENCE_SECONDS = 10


class Stage:
    """What the server answers, and what it was asked.

    Args:
        preset: of the security headers that stand around the page.

    Attributes:
        app: the application.
        summary: the summary that it gives.
        status: with which status.
        asked: the query strings of the summaries that were asked for.
        strangers: the paths that were asked for beside those of the dashboard.
        address: where the page is, once it is served.
    """

    def __init__(self, preset: Any = "strict") -> None:
        self.summary: Any = busy()
        self.status: int = 200
        self.asked: list[str] = []
        self.strangers: list[str] = []
        self.address: str = ""
        pages = {DASHBOARD: self._page, SUMMARY: self._summary}
        endpoints = Middleware(self._elsewhere, EndpointsLayer(Endpoints(local=True), pages=pages))
        self.app = SecurityHeadersMiddleware(endpoints, preset=preset)

    async def _page(self, request: Request) -> Reply:
        return dashboard_page("summary", TITLE).reply(b",".join(request.header_lines(b"accept-encoding")))

    async def _summary(self, request: Request) -> Reply:
        query = request.scope["query_string"].decode()
        self.asked.append(query)
        summary = self.summary
        if isinstance(summary.get("windows"), dict):
            wanted = query.removeprefix("windows=").split(",")
            windows = {name: window for name, window in summary["windows"].items() if name in wanted}
            summary = {**summary, "windows": windows}
        return Reply(self.status, body=json.dumps(summary).encode(), content_type=b"application/json")

    async def _elsewhere(self, scope: Any, receive: Any, send: Any) -> None:
        self.strangers.append(scope["path"])
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@contextmanager
def on_stage(stage: Stage) -> Iterator[Stage]:
    """Serve it until the block is left."""
    uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")
    server = uvicorn.Server(uvicorn.Config(stage.app, port=0, log_level="warning", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + PATIENCE_SECONDS
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < end
        time.sleep(0.01)
    stage.address = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}{DASHBOARD}"
    try:
        yield stage
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)


class Visit:
    """Somebody who looks at the page.

    Args:
        browser: with which browser.
        stage: at what.
        context: how the browser is set up: `viewport`, `color_scheme` and so on.

    Attributes:
        page: the page.
        complaints: what the browser has written into its console, and the errors of the page.
        origins: of all that the page has asked for.
    """

    def __init__(self, browser: Any, stage: Stage, **context: Any) -> None:
        self.stage = stage
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_SECONDS * 1_000)
        self.complaints: list[str] = []
        self.origins: set[str] = set()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.origins.add("/".join(request.url.split("/")[:3])))

    def open(self) -> Any:
        """Open the page, and wait until it shows a summary."""
        self.page.goto(self.stage.address)
        self.page.locator("#figures .term").first.wait_for()
        return self.page

    def wait(self, condition: str) -> None:
        """Wait until an expression holds on the page, whose policy forbids it to make code out of text itself."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.page.evaluate(condition):
            assert time.monotonic() < end, f"it never came to {condition}"
            time.sleep(0.02)

    def ask_again(self) -> None:
        """Have the page ask once more, and wait until that is over."""
        before = len(self.stage.asked)
        self.page.evaluate("poll.askNow()")
        end = time.monotonic() + PATIENCE_SECONDS
        while len(self.stage.asked) == before:
            assert time.monotonic() < end
            self.page.evaluate("0")
        self.wait("!poll.isAsking")
