"""A browser, and a server that shows the dashboard of whatever a test has put on stage."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from summaries import busy

from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.request import Request
from asgi_guard.layers.endpoints import Endpoints, EndpointsLayer
from asgi_guard.layers.security_headers import SecurityHeadersMiddleware
from asgi_guard.watch.page import dashboard_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DASHBOARD, SUMMARY = "/performance/dashboard", "/performance/summary"
PATIENCE_SECONDS = 10
REPORTS = Path(__file__).parents[2] / "test_reports"


class Stage:
    """What the server answers, and what it was asked.

    Attributes:
        summary: the summary that it gives.
        status: with which status.
        asked: the query strings of the summaries that were asked for.
        strangers: the paths that were asked for beside those of the dashboard.
        address: where the page is.
    """

    def __init__(self, preset: Any) -> None:
        self.summary: dict[str, Any] = busy()
        self.status: int = 200
        self.asked: list[str] = []
        self.strangers: list[str] = []
        self.address: str = ""
        pages = {DASHBOARD: self._page, SUMMARY: self._summary}
        endpoints = Middleware(self._elsewhere, EndpointsLayer(Endpoints(local=True), pages=pages))
        self.app = SecurityHeadersMiddleware(endpoints, preset=preset)

    async def _page(self, request: Request) -> Reply:
        return dashboard_page("summary", "Shop <b>").reply(b",".join(request.header_lines(b"accept-encoding")))

    async def _summary(self, request: Request) -> Reply:
        self.asked.append(request.scope["query_string"].decode())
        return Reply(self.status, body=json.dumps(self.summary).encode(), content_type=b"application/json")

    async def _elsewhere(self, scope: Any, receive: Any, send: Any) -> None:
        self.strangers.append(scope["path"])
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})


@contextmanager
def served(stage: Stage) -> Iterator[Stage]:
    """Serve the stage until the block is left."""
    uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed")
    config = uvicorn.Config(stage.app, port=0, log_level="warning", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    end = time.monotonic() + PATIENCE_SECONDS
    while not server.started:
        assert time.monotonic() < end
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    stage.address = f"http://127.0.0.1:{port}{DASHBOARD}"
    try:
        yield stage
    finally:
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start a Chromium that downloads nothing; it ends with the module, since its loop is in the way of others."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Serve a dashboard behind the strictest security headers, or behind those of the preset that a test names."""
    with served(Stage(getattr(request, "param", "strict"))) as running:
        yield running


class Visit:
    """Somebody who looks at the page, and all that the browser complained of meanwhile."""

    def __init__(self, browser: Any, stage: Stage, **context: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **context})
        self.page = self.context.new_page()
        self.stage = stage
        self.complaints: list[str] = []
        self.requests: list[Any] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108  it marks what it is given

    def open(self) -> Any:
        """Open the page, and wait until it shows a summary."""
        self.page.goto(self.stage.address)
        self.page.locator("#figures .term").first.wait_for()
        return self.page

    def again(self) -> None:
        """Have the page ask once more, and wait for what it shows then."""
        with self.page.expect_response(lambda response: SUMMARY in response.url) as response:
            self.page.get_by_role("button", name="Pause").click()
            self.page.get_by_role("button", name="Go on").click()
        response.value.finished()


@pytest.fixture
def visit(browser: Any, stage: Stage, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Visit the page, in a browser set up as a test asks for; any complaint of the browser fails the test."""
    made = Visit(browser, stage, **getattr(request, "param", {}))
    yield made
    made.context.close()
