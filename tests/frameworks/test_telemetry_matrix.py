"""The telemetry matrix over ours, row by row, and what 20,000 hostile requests leave behind.

Over the peers the same rows are asked by `benchmarks/telemetry_matrix.py`.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("opentelemetry.sdk")

from telemetry_attack import HOSTILE, WARM_UP, hostile_scope
from telemetry_rows import ROWS
from telemetry_watched import ACTIVE, DURATION, SIZES, ours

pytestmark = pytest.mark.anyio

MOST_GROWN_BYTES = 2_000_000


@pytest.fixture
def anyio_backend() -> str:
    """FastAPI's streams, and the calls that are cancelled here, are asyncio's."""
    return "asyncio"


@pytest.fixture
def no_blocking_calls() -> None:
    """Let the SDK's processor, which exports at once here, take its locks."""


@pytest.mark.parametrize("name", ROWS)
async def test_a_row_holds_for_ours(name: str) -> None:
    """Around an application of FastAPI, with a tracer provider."""
    await ROWS[name].ask(ours())


async def not_found(scope, receive, send) -> None:
    """Answer what nobody has a route for."""
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body"})


async def bombard(app: Callable[..., Awaitable[None]], numbers: range) -> None:
    """Send requests of which no two have anything in common; only the server is left out, which would weigh more."""

    async def receive():
        return {"type": "http.request"}

    async def send(_message) -> None:
        pass

    for number in numbers:
        await app(hostile_scope(number), receive, send)


@pytest.mark.long
async def test_hostile_requests_leave_next_to_nothing_behind() -> None:
    """Methods, hosts, paths, headers never seen: one series a metric, and at most 2 MB after 1,000 of them."""
    watched = ours(not_found)
    await bombard(watched.app, range(WARM_UP))
    gc.collect()
    tracemalloc.start()
    await bombard(watched.app, range(WARM_UP, WARM_UP + HOSTILE))
    gc.collect()
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    found = [(series.name, series.count or series.total) for series in watched.series() if "http" in series.name]
    assert sorted(found) == sorted([(ACTIVE, 0), *((name, WARM_UP + HOSTILE) for name in (DURATION, *SIZES))])
    assert grown <= MOST_GROWN_BYTES
