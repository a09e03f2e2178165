"""A browser, a stage and a visit, for the tests of the dashboard."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from dashboard_stage import Stage, Visit, on_stage

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start the system's Chromium, and end it with the module: its event loop would be in the way of other tests."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])  # root has no sandbox
        yield running
        running.close()


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Serve the dashboard within the strictest security headers, or those that a test names."""
    with on_stage(Stage(getattr(request, "param", "strict"))) as served:
        yield served


@pytest.fixture
def visit(browser: Any, stage: Stage, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Visit it, with a browser that is set up as a test asks for."""
    made = Visit(browser, stage, **getattr(request, "param", {}))
    yield made
    made.context.close()


@pytest.fixture(scope="module")
def shared_visit(browser: Any) -> Iterator[Visit]:
    """Look at the busy page once, for tests that change nothing."""
    with on_stage(Stage()) as served:
        made = Visit(browser, served)
        made.open()
        yield made
        made.context.close()
