"""Exposition: the text of all metrics, small on the way, with what the application measures itself."""

from __future__ import annotations

import gzip
import logging
import re
import subprocess
import sys
from typing import Any

import pytest
from served import serve

from asgi_guard import ConfigError, Endpoints, Guard, Telemetry
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.telemetry.exposition import CLOSED, COUNTS_ALONE
from asgi_guard.telemetry.prometheus import takes_gzip
from asgi_guard.testing import call, lifespan

DURATION = "http_server_request_duration_seconds"
TOKEN = "a-token-of-twenty-and-more"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}
OPENMETRICS = {"Accept": "application/openmetrics-text"}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer, or take part in a lifespan."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def guard(**telemetry: Any) -> Guard:
    """Make a guard that shows its metrics to whoever has the token."""
    settings = Telemetry(aggregate=Aggregate(), **telemetry)
    return Guard(app, telemetry=settings, endpoints=Endpoints(token=TOKEN))


@pytest.fixture
def client() -> Any:
    """Import it where no loop would be blocked by that."""
    return pytest.importorskip("prometheus_client")


@pytest.mark.parametrize(
    ("accepted", "is_taken"),
    [
        (b"", False),
        (b"gzip", True),
        (b"deflate, GZIP;q=0.5, br", True),
        (b"*", True),
        (b"gzip;q=0", False),
        (b"*;q=0", False),
        (b"gzip;q=0, *", False),
        (b"gzip;q=x", False),
        (b"identity", False),
        (b"gzip," + b"a" * 1_024, False),
    ],
)
def test_gzip_is_for_whoever_takes_it(accepted: bytes, is_taken: bool) -> None:
    """A header that is too long is not looked into."""
    assert takes_gzip(accepted) is is_taken


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/metrics", "/metrics/"])
async def test_metrics_come_in_gzip(path: str) -> None:
    """The same text, and caches are told that it depends on what was asked for; a slash at the end is no other path."""
    guarded = guard()
    await call(guarded, "GET", "/items")

    plain = await call(guarded, "GET", path, headers=SHOWN)
    zipped = await call(guarded, "GET", path, headers={**SHOWN, "Accept-Encoding": "gzip"})

    assert (plain.headers.get("content-encoding"), zipped.headers.get("content-encoding")) == (None, "gzip")
    assert zipped.headers.get("vary") == plain.headers.get("vary") == "accept, accept-encoding"
    assert int(zipped.headers.get("content-length") or 0) == len(zipped.body) < len(plain.body)
    assert f"{DURATION}_count" in gzip.decompress(zipped.body).decode()
    assert (await call(guarded, "GET", path)).body == b"hello", "for strangers it is not there"


@pytest.mark.anyio
@pytest.mark.parametrize("accepted", [{}, OPENMETRICS], ids=["text", "OpenMetrics"])
async def test_a_registry_of_the_applications_is_told_too(client: Any, accepted: dict[str, str]) -> None:
    """In the same format, behind what the guard has counted; of two families with one name the guard's is told."""
    registry = client.CollectorRegistry()
    client.Counter("orders", "Orders.", registry=registry).inc(3)
    client.Gauge("http_server_active_requests", "Mine.", registry=registry)
    client.Gauge("stock", "Stock.", registry=registry).set(5)
    guarded = guard(registry=registry)
    await call(guarded, "GET", "/items")

    text = (await call(guarded, "GET", "/metrics", headers={**SHOWN, **accepted})).body.decode()

    lines = text.splitlines()
    assert {"orders_total 3.0", "stock 5.0"} <= {*lines}
    assert f"# TYPE {DURATION} histogram" in lines
    assert "Mine." not in text
    assert len([line for line in lines if line.startswith("# TYPE http_server_active_requests")]) == 1
    assert text.count("# EOF") == bool(accepted)
    assert lines[-1] == "# EOF" or not accepted


@pytest.mark.anyio
async def test_a_registry_that_fails_costs_no_scrape(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It is left out, and that is said once."""

    class Failing:
        def collect(self) -> Any:
            raise RuntimeError("a collector")

    guarded = guard(registry=Failing())
    await call(guarded, "GET", "/items")

    texts = [(await call(guarded, "GET", "/metrics", headers=SHOWN)).body.decode() for _ in range(2)]

    assert all(f"{DURATION}_count" in text for text in texts)
    assert len([record for record in caplog.records if "a registry fails" in record.message]) == 1


@pytest.mark.long
def test_prometheus_client_is_imported_for_a_registry_alone() -> None:
    """And when somebody asks."""
    program = (
        "import asyncio, sys; from asgi_guard import Guard; from asgi_guard.testing import call\n"
        "guard = Guard(print, endpoints='local')\n"
        "assert asyncio.run(call(guard, 'GET', '/metrics', client=('127.0.0.1', 1))).status == 200\n"
        "print([name for name in sys.modules if name.startswith('prometheus_client')])"
    )

    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"


@pytest.mark.anyio
async def test_durations_have_the_bounds_that_are_named() -> None:
    """Instead of those of the conventions."""
    guarded = guard(duration_bounds=[0.1, 2, 30.5])
    await call(guarded, "GET", "/items")

    text = (await call(guarded, "GET", "/metrics", headers=SHOWN)).body.decode()

    bounds = re.findall(rf'^{DURATION}_bucket.*le="(.+)"', text, re.MULTILINE)
    assert bounds == ["0.1", "2.0", "30.5", "+Inf"]


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("duration_bounds", 0.1, "AG809 Telemetry.duration_bounds"),
        ("duration_bounds", [], "AG809 Telemetry.duration_bounds"),
        ("duration_bounds", [1] * 65, "AG809 Telemetry.duration_bounds"),
        ("duration_bounds", [0, 1], "AG809 Telemetry.duration_bounds[0]"),
        ("duration_bounds", [0.5, 0.1], "AG809 Telemetry.duration_bounds[1]"),
        ("duration_bounds", [0.5, float("inf")], "AG102 Telemetry.duration_bounds[1]"),
        ("duration_bounds", ["1"], "AG102 Telemetry.duration_bounds[0]"),
        ("registry", "REGISTRY", "AG810 Telemetry.registry"),
    ],
    ids=["a number", "none", "too many", "zero", "out of order", "infinity", "text", "no registry"],
)
def test_what_cannot_work_does_not_start(field: str, value: object, problem: str) -> None:
    """And says why."""
    with pytest.raises(ConfigError) as caught:
        Telemetry(**{field: value})  # type: ignore[arg-type]

    assert [f"{found.id} {found.field}" for found in caught.value.problems] == [problem]


def test_two_that_count_together_have_the_same_bounds() -> None:
    """One metric has one set of buckets."""
    aggregate = Aggregate()
    Guard(app, telemetry=Telemetry(aggregate=aggregate, duration_bounds=[0.1, 1]))

    Guard(app, telemetry=Telemetry(aggregate=aggregate, duration_bounds=[0.1, 1]))
    with pytest.raises(ConfigError, match=r"AG809 Telemetry\.duration_bounds"):
        Guard(app, telemetry=Telemetry(aggregate=aggregate))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("endpoints", "hints"),
    [(True, [CLOSED]), (Endpoints(token=TOKEN), []), (Endpoints(allowed=["10.0.0.0/8"]), []), ("local", [])],
    ids=["nobody", "a token", "a network", "this machine"],
)
async def test_whoever_means_to_scrape_learns_that_nobody_may(
    endpoints: Any, hints: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """When a lifespan starts, and once."""
    telemetry = Telemetry(aggregate=Aggregate(), export="prometheus")
    guarded = Guard(app, telemetry=telemetry, endpoints=endpoints)
    caplog.set_level(logging.WARNING)

    for _ in range(2):
        async with lifespan(guarded):
            pass

    assert [record.message for record in caplog.records] == hints


SHOP = """
from asgi_guard import Endpoints, Guard

async def plain(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})

app = Guard(plain, endpoints=Endpoints(local=True))
"""


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what other processes there are")
@pytest.mark.parametrize("server", ["uvicorn", "hypercorn", "granian", "gunicorn"])
@pytest.mark.parametrize("workers", [1, 2])
def test_several_workers_that_count_alone_say_so(server: str, workers: int, tmp_path: Any) -> None:
    """At a scrape, since counts would seem to go back; one worker alone has nothing to say."""
    (tmp_path / "several.py").write_text(SHOP, encoding="utf-8")
    with serve(server, "several:app", tmp_path, f"--workers={workers}") as served:
        if workers > 1:
            served.until(lambda: served.ask("GET", "/metrics").status == 200 and COUNTS_ALONE in served.log)
        else:
            served.until(lambda: served.ask("GET", "/metrics").status == 200)
            assert COUNTS_ALONE not in served.log
