"""What every test stands on: three event loops, a watch for blocking calls, and the two sizes of property tests."""

from __future__ import annotations

import gc
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import limits  # noqa: F401  it reads files when it is imported, and no test is to be the first on a loop
import pytest
from blockbuster import blockbuster_ctx
from hypothesis import HealthCheck, settings

# A busy machine must not fail a property, so no example has a deadline; pytest-timeout bounds the whole test.
# On CI the same commit gives the same verdict; elsewhere each run looks at other examples.
settings.register_profile(
    "quick",
    max_examples=50,
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=2_000, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

pytest_plugins = [] if entry_points(group="pytest11", name="asgi_guard") else ["asgi_guard.testing.plugin"]

TESTS = Path(__file__).parent
MARKERS = {
    "unit": ("unit", "property", "house"),
    "integration": ("servers", "redis", "frameworks", "browser", "docs", "plugin", "conformance", "reference"),
    "security": ("unit/inspection", "unit/sanitize", "unit/web", "unit/passwords", "unit/test_bans.py", "fuzz"),
    "performance": ("budget", "benchmarks"),
}

EVERY_LOOP = TESTS / "unit/engine"  # where the loops differ
BY_ITSELF = TESTS / "plugin/test_a_strangers_suite.py"
"""What `nox -s stranger` runs as well, in an environment that is more of a stranger's."""

OTHERS = re.compile(r"\[.*(?:hypercorn|granian|gunicorn|daphne|trio|uvloop)")
"""What only repeats what asyncio and uvicorn have shown: in `nox -s long`, as is whatever waits."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by where it stands; attacks are marked besides, and what repeats others."""
    for item in items:
        is_served = item.path.is_relative_to(TESTS / "servers") or item.path.is_relative_to(TESTS / "conformance")
        is_served = is_served or "anyio_backend" in getattr(item, "fixturenames", ())
        if is_served and OTHERS.search(item.name) and not item.path.is_relative_to(EVERY_LOOP):
            item.add_marker("long")
        if item.path == BY_ITSELF:
            item.add_marker("long")
        if not item.path.is_relative_to(TESTS):  # the suite of an example, which is whole
            item.add_marker("integration")
            continue
        place = item.path.relative_to(TESTS)
        for marker, folders in MARKERS.items():
            if any(place.is_relative_to(folder) for folder in folders):
                item.add_marker(marker)


def pytest_collection_finish() -> None:
    """Load what guards load with their first request; then keep the garbage collector from looking through all tests.

    pytest parses each module of a plugin's package anew, and CPython before 3.11.8 cannot do that in two threads at a
    time: a server that a test has in a thread would answer with a 500 now and then (gh-106905).
    """
    import_module("asgi_guard.inspection.inspector")
    gc.collect()
    gc.freeze()


needs_uvloop = pytest.mark.skipif(find_spec("uvloop") is None, reason="uvloop is not to be had on this platform")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(("asyncio", {}), id="asyncio"),
        pytest.param(("asyncio", {"use_uvloop": True}), id="asyncio+uvloop", marks=needs_uvloop),
        pytest.param(("trio", {}), id="trio"),
    ],
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Run each `@pytest.mark.anyio` test on every event loop that the package supports."""
    return request.param


@pytest.fixture(autouse=True)
def no_blocking_calls(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that blocks an asyncio event loop: there, one slow call holds up every other request.

    Trio's loop cannot be watched in this way; the same test on asyncio speaks for it.
    """
    on_a_loop = "anyio_backend" in request.fixturenames
    watch = on_a_loop and request.getfixturevalue("anyio_backend_name") == "asyncio"
    with blockbuster_ctx() if watch else nullcontext() as watched:
        if watched is not None:  # coverage takes a lock of its own for each new thread
            watched.functions["threading.Lock.acquire"].can_block_in("coverage/collector.py", "lock_data")
        yield


@pytest.fixture(autouse=True)
def no_handler_is_left() -> Iterator[None]:
    """Take back what an application has told the root logger: Litestar's would write where no other test may."""

    def take_back() -> None:
        for handler in tuple(logging.root.handlers):
            if not type(handler).__module__.startswith(("_pytest", "pytest")):
                logging.root.removeHandler(handler)

    take_back()  # of what a fixture of a whole module has made
    yield
    take_back()


@pytest.fixture(autouse=True)
def no_watcher_is_left() -> Iterator[None]:
    """End the threads of guards that a test has served and not shut down, so that they do not look on at the next."""
    yield
    watching = sys.modules.get("asgi_guard.watch.watcher")
    for watcher in () if watching is None else tuple(getattr(watching, "_all", ())):
        if watcher.is_running:
            watcher.end()
