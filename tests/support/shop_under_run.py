"""A shop that `asgi-guard run` serves, in a process of its own that leads a group, so that nothing outlives the test.

What is waited for is polled, and only for so long.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
from served import free_port

from asgi_guard.monitor.process import default_folder

PATIENCE_SECONDS = 25
TOKEN = "a-token-of-twenty-and-more"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
OPTIONS = {
    # It would wait for 3.5 s before it lets a worker go, and end when one is killed.
    "granian": ["--server-options=--respawn-interval 0.1 --respawn-failed-workers"]
}
SHOP = """
import asyncio, os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    scope["asgi_guard.route"] = "/items/{id}"
    status = 500 if scope["path"] == "/items/broken" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    if scope["path"] == "/items/slow":
        await send({"type": "http.response.body", "body": b" ", "more_body": True})
        await asyncio.sleep(1)
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})
"""
COUNT = re.compile(
    r'^http_server_request_duration_seconds_count\{.*http_route="/items/\{id\}".*\} (\d+)$',
    re.MULTILINE,
)


class Shop:
    """The shop behind the guard.

    Args:
        folder: where its files go, and those in which its workers count.
        server: which one serves; the test is skipped by name where it is not installed.
        workers: how many.
        settings: those of the guard, as TOML.
        environment: further variables; `ASGI_GUARD_TOKEN` is there.

    Attributes:
        port: where it listens.
        process: the server.
    """

    def __init__(self, folder: Path, server: str, workers: int, settings: str, environment: dict[str, str]) -> None:
        pytest.importorskip(server, reason=f"{server} is not installed")
        self.port = free_port()
        self._temporary = folder / "temporary"
        self._temporary.mkdir(exist_ok=True)
        (folder / "shop.py").write_text(SHOP, encoding="utf-8")
        (folder / "guard.toml").write_text(settings, encoding="utf-8")
        options = ["--server", server, "--workers", str(workers), "--port", str(self.port), "--config", "guard.toml"]
        own = {
            "ASGI_GUARD_TOKEN": TOKEN,
            "HOME": str(folder),  # one of the servers keeps a socket there
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TMPDIR": str(self._temporary),
        }
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "asgi_guard", "run", "shop:app", *options, *OPTIONS.get(server, [])],
                cwd=folder,
                env={**os.environ, **own, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def folder(self) -> Path:
        """Where its workers count, as long as it runs."""
        return self._temporary / default_folder(self.process.pid).name

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Ask once, on a connection of its own; status 0 where nobody answers."""
        with suppress(OSError, HTTPException), closing(HTTPConnection("127.0.0.1", self.port, timeout=5)) as connection:
            connection.request("GET", path, headers={"Connection": "close", **headers})
            response = connection.getresponse()
            return response.status, response.read().decode()
        return 0, ""

    def buy(self, times: int) -> list[int]:
        """Ask for something so many times, and return which workers have answered."""
        answers = [self.get("/items/1") for _ in range(times)]
        assert {status for status, _ in answers} == {200}
        return [int(body) for _, body in answers]

    def metrics(self, **headers: str) -> str:
        """Return what any worker tells; nothing where it does not answer."""
        status, text = self.get("/metrics", **BEARER, **headers)
        return text if status == 200 else ""

    def counted(self) -> int | None:
        """Return how many requests of the shop any worker knows of, or None where it does not answer."""
        text = self.metrics()
        return sum(map(int, COUNT.findall(text))) if text else None

    def stop(self) -> None:
        """End the server, and whatever it has started."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE_SECONDS)


@contextmanager
def shop(
    folder: Path, server: str = "uvicorn", workers: int = 1, settings: str = "", **environment: str
) -> Iterator[Shop]:
    """Serve the shop for a while."""
    served = Shop(folder, server, workers, settings, environment)
    try:
        until(lambda: served.get("/readyz")[0] == 200)
        yield served
    except BaseException as error:
        error.add_note((folder / "log").read_text(encoding="utf-8", errors="replace"))
        raise
    finally:
        served.stop()


def until(is_so: Callable[[], Any]) -> Any:
    """Wait for something, and return it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := is_so()):
        assert time.monotonic() < deadline, "it was not so in time"
        time.sleep(0.05)
    return found
