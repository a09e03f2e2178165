"""Telemetry tells the same of a request whatever the application is written in."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

pytest.importorskip("opentelemetry.sdk")

from failing import FRAMEWORKS
from telemetry_frameworks import TOLD
from telemetry_rows import TOLERANCE_SECONDS, ask, duration, span
from telemetry_shop import Diary
from telemetry_watched import ACTIVE, Watched, ours

from asgi_guard.testing import lifespan

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Most frameworks know no other loop."""
    return "asyncio"


@pytest.fixture
def no_blocking_calls() -> None:
    """Let frameworks block the loop: that is their own affair."""


def told_by(framework: str) -> Watched:
    """Put telemetry around an application in a framework."""
    if framework != "plain":
        pytest.importorskip(framework, reason=f"{framework} is not installed")
    diary = Diary()
    watched = ours(TOLD[framework][0](diary))
    watched.diary = diary
    return watched


def active(watched: Watched) -> set[float]:
    """Return how many requests are on their way."""
    return {series.total for series in watched.series() if series.name == ACTIVE}


@pytest.mark.parametrize("framework", TOLD)
async def test_metric_and_span_are_named_by_the_route(framework: str) -> None:
    """With the same duration."""
    watched = told_by(framework)
    await ask(watched, "GET", "/items/42")

    route = TOLD[framework][1]
    one, series = span(watched), duration(watched)
    assert (one.name, series.attributes["http.route"]) == (f"GET {route}", route)
    assert (one.end_time - one.start_time) / 1e9 == pytest.approx(
        series.total, abs=10 * TOLERANCE_SECONDS
    )  # on a busy machine
    assert active(watched) == {0}


@pytest.mark.parametrize("framework", TOLD)
async def test_a_path_that_nobody_knows_names_nothing(framework: str) -> None:
    """It is counted all the same."""
    watched = told_by(framework)
    await ask(watched, "GET", "/nowhere/42")

    series = duration(watched)
    assert (span(watched).name, series.attributes.get("http.route")) == ("GET", None)
    assert series.attributes["http.response.status_code"] == "404"


@pytest.mark.parametrize("framework", TOLD)
async def test_a_stream_lasts_until_its_last_byte(framework: str) -> None:
    """And went well."""
    watched = told_by(framework)
    await ask(watched, "GET", "/stream")

    assert span(watched).end_time >= watched.diary.moments["last"].time_ns
    assert "error.type" not in duration(watched).attributes


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("lets_through", [False, True], ids=["answered", "let through"])
async def test_an_exception_is_an_error(framework: str, lets_through: bool) -> None:
    """Whether the framework answers it or lets it through."""
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    watched = ours(FRAMEWORKS[framework](lets_through=lets_through))
    async with nullcontext() if framework == "django" else lifespan(watched.app):
        await ask(watched, "GET", "/unexpected")

    assert duration(watched).attributes["error.type"] in {"500", "RuntimeError"}
    assert duration(watched).attributes.get("http.response.status_code", "500") == "500"
    assert not span(watched).status.is_ok
    assert active(watched) == {0}
