"""Telemetry for real: several workers that are killed, and a Prometheus that scrapes them.

`asgi-guard run` is a process of its own that leads a group, so that nothing it starts can outlive the test. What is
waited for is polled, and only for so long.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from served import free_port

from asgi_guard.monitor.process import default_folder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the folder's name has what Linux tells of a process")

PATIENCE_SECONDS = 25
TOKEN = "a-token-of-twenty-and-more"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SHOP = """
import os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    scope["asgi_guard.route"] = "/items/{id}"
    status = 500 if scope["path"] == "/items/broken" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})
"""
COUNT = re.compile(r"^http_server_request_duration_seconds_count\{.*\} (\d+)$", re.MULTILINE)


class Shop:
    """The shop behind the guard, served by `asgi-guard run`."""

    def __init__(self, folder: Path, server: str, workers: int, environment: dict[str, str]) -> None:
        pytest.importorskip(server, reason=f"{server} is not installed")
        self.port = free_port()
        (folder / "shop.py").write_text(SHOP, encoding="utf-8")
        (folder / "guard.toml").write_text('rate_limit = "1000000/second"\n', encoding="utf-8")
        options = ["--server", server, "--workers", str(workers), "--port", str(self.port), "--config", "guard.toml"]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "asgi_guard", "run", "shop:app", *options],
                cwd=folder,
                env={**os.environ, "HOME": str(folder), "PYTHONPATH": os.pathsep.join(sys.path), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Ask once, on a connection of its own; status 0 where nobody answers."""
        with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request("GET", path, headers={"Connection": "close", **headers})
            response = connection.getresponse()
            return response.status, response.read().decode()
        return 0, ""

    def counted(self) -> int:
        """Return how many requests the one who answers knows of."""
        return sum(map(int, COUNT.findall(self.get("/metrics", **BEARER)[1])))

    def has_counted(self, number: int) -> bool:
        """Tell whether it knows of so many."""
        return self.counted() >= number

    def stop(self) -> None:
        """End the server, and whatever it has started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(10)


@contextmanager
def shop(folder: Path, server: str = "uvicorn", workers: int = 1, **environment: str) -> Iterator[Shop]:
    """Serve the shop for a while."""
    served = Shop(folder, server, workers, environment)
    try:
        until(lambda: served.get("/livez")[0] == 200)
        yield served
    finally:
        served.stop()


def until(is_so: Callable[[], Any]) -> Any:
    """Wait for something, and return it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := is_so()):
        assert time.monotonic() < deadline, "it was not so in time"
        time.sleep(0.05)
    return found


@pytest.mark.timeout(120)
def test_counts_are_exact_though_workers_are_killed(tmp_path: Path) -> None:
    """Any worker answers for all, living and dead, and no number ever goes back."""
    with shop(tmp_path, workers=3, ASGI_GUARD_TOKEN=TOKEN) as served:
        folder = default_folder(served.process.pid)
        for sent in (40, 80, 120):
            answered = [served.get("/items/1") for _ in range(40)]
            assert {status for status, _ in answered} == {200}
            until(partial(served.has_counted, sent))
            assert {served.counted() for _ in range(6)} == {sent}

            os.kill(int(answered[-1][1]), signal.SIGKILL)
            until(lambda: served.get("/livez")[0] == 200)
            assert {served.counted() for _ in range(6) if served.get("/livez")[0] == 200} == {sent}
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("server", ["hypercorn", "granian", "gunicorn"])
def test_every_worker_tells_of_all(tmp_path: Path, server: str) -> None:
    """Under each server that has several."""
    with shop(tmp_path, server, workers=3, ASGI_GUARD_TOKEN=TOKEN) as served:
        for _ in range(40):
            assert until(lambda: served.get("/items/1"))[0] == 200

        until(lambda: served.counted() >= 40)
        assert {served.counted() for _ in range(12)} == {40}


def test_strangers_see_the_bare_status(tmp_path: Path) -> None:
    """Though whoever asks from this machine sees all under `run`, one that was forwarded does not."""
    forwarded = {"X-Forwarded-For": "203.0.113.7"}
    with shop(tmp_path, ASGI_GUARD_TOKEN=TOKEN) as served:
        assert served.get("/metrics")[0] == 200
        assert "# EOF" in served.get("/metrics", Accept="application/openmetrics-text; version=1.0.0")[1]
        _, answered_by_the_shop = served.get("/metrics", **forwarded)
        assert answered_by_the_shop.isdecimal()
        for path in ("/health", "/livez", "/readyz"):
            status, text = served.get(path, **forwarded)
            assert (status, json.loads(text)) == (200, {"status": "pass"})


def query(port: int, what: str) -> list[float]:
    """Ask Prometheus."""
    headers = {"Connection": "close"}
    with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", f"/api/v1/query?query={quote(what)}", headers=headers)
        response = connection.getresponse()
        text = response.read()
        if response.status == 200:
            return [float(series["value"][1]) for series in json.loads(text)["data"]["result"]]
    return []


@contextmanager
def prometheus(folder: Path, target: int) -> Iterator[int]:
    """Run a Prometheus that scrapes a port every second."""
    scrape = {
        "job_name": "shop",
        "scrape_interval": "1s",
        "scrape_timeout": "1s",
        "authorization": {"credentials": TOKEN},
        "static_configs": [{"targets": [f"127.0.0.1:{target}"]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps({"scrape_configs": [scrape]}), encoding="utf-8")
    port = free_port()
    options = [f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            ["prometheus", f"--config.file={folder / 'prometheus.yml'}", *options],
            stdout=log,
            stderr=log,
        )
    try:
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.mark.timeout(120)
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")
def test_prometheus_scrapes_what_was_sent(tmp_path: Path) -> None:
    """Counts by route and status, and percentiles, over two workers."""
    with ExitStack() as stack:
        served = stack.enter_context(shop(tmp_path, workers=2, ASGI_GUARD_TOKEN=TOKEN))
        port = stack.enter_context(prometheus(tmp_path, served.port))
        for _ in range(30):
            assert served.get("/items/1")[0] == 200
        for _ in range(5):
            assert served.get("/items/broken")[0] == 500

        count = 'http_server_request_duration_seconds_count{http_route="/items/{id}",http_response_status_code="%d"}'
        until(lambda: query(port, count % 200) == [30] and query(port, count % 500) == [5])
        quantile = "histogram_quantile(0.99, sum by (le) (http_server_request_duration_seconds_bucket))"
        (p99,) = query(port, quantile)
        assert 0 < p99 <= 10
        assert query(port, "sum(http_server_active_requests)") == [1]  # the scrape itself


@pytest.mark.skipif(shutil.which("promtool") is None, reason="Prometheus is not installed")
def test_promtool_finds_nothing_to_complain_of(tmp_path: Path) -> None:
    """In what a guard tells that has served, refused and failed."""
    with shop(tmp_path, ASGI_GUARD_TOKEN=TOKEN) as served:
        for path in ("/items/1", "/items/broken", "/items/?q=%3Cscript%3Ealert(1)%3C/script%3E"):
            served.get(path)
        text = served.get("/metrics", **BEARER)[1]

    said = subprocess.run(
        ["promtool", "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (said.returncode, said.stdout + said.stderr) == (0, "")
    assert "asgi_guard_validation_findings_total" in text
