"""`asgi-guard run --workers 4` with Redis: one limit across all workers, over real HTTP."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import pytest
from redis_servers import free_port, wait_until

pytestmark = pytest.mark.timeout(90)

AMOUNT, ASKED, CONNECTIONS, WORKERS = 25, 200, 20, 4
SHOP = """
import os

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-worker", b"%d" % os.getpid())]})
        await send({"type": "http.response.body", "body": b"served"})
"""
SETTINGS = """
[rate_limit]
rate = "{amount}/hour"
store = {{url = "{url}", timeout_seconds = 5, connect_timeout_seconds = 10}}
paths = ["/limited"]
"""


async def ask(port: int, path: str, times: int) -> list[tuple[int, str]]:
    """Ask over one connection; return each status, and the worker that served it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    for _ in range(times):
        writer.write(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        if "content-length" in fields:
            await reader.readexactly(int(fields["content-length"]))
        else:
            await reader.readuntil(b"\r\n0\r\n\r\n")
        answers.append((int(head.split()[1]), fields.get("x-worker", "")))
    writer.close()
    return answers


async def ask_at_once(port: int, path: str) -> list[tuple[int, str]]:
    """Ask over many connections at the same time."""
    rounds = await asyncio.gather(*[ask(port, path, ASKED // CONNECTIONS) for _ in range(CONNECTIONS)])
    return [answer for answers in rounds for answer in answers]


def is_up(port: int) -> bool:
    """Tell whether it answers."""
    with suppress(OSError, asyncio.IncompleteReadError):
        return asyncio.run(ask(port, "/", 1))[0][0] == 200
    return False


@pytest.fixture(params=["uvicorn", *[pytest.param(name, marks=pytest.mark.slow) for name in ("granian", "hypercorn")]])
def port(request, server, tmp_path) -> Iterator[int]:
    """Serve the shop by four workers that share a limit, in a group of their own."""
    pytest.importorskip(request.param)
    (tmp_path / "shop.py").write_text(SHOP)
    settings = tmp_path / "guard.toml"
    settings.write_text(SETTINGS.format(amount=AMOUNT, url=server.url))
    port = free_port()
    command = [sys.executable, "-m", "asgi_guard", "run", "shop:app", "--server", request.param, "--port", port]
    command += ["--workers", WORKERS, "--app-dir", tmp_path, "--config", settings]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*map(str, command)], stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(lambda: process.poll() is not None or is_up(port), "it does not serve", 30)
        yield port
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.long
def test_four_workers_admit_what_one_may(port) -> None:
    """Two hundred requests over twenty connections at once: exactly 25 are served, and by more than one worker."""

    def served() -> set[str]:
        return {worker for _, worker in asyncio.run(ask_at_once(port, "/"))}

    wait_until(lambda: len(served()) > 1, "one worker does it all", 30)
    answers = asyncio.run(ask_at_once(port, "/limited"))
    assert Counter(status for status, _ in answers) == {200: AMOUNT, 429: ASKED - AMOUNT}
