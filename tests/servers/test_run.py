"""`asgi-guard run` for real: each server in a process of its own, asked over a socket, told by signals.

The process leads a group of its own, so that nothing it started can outlive the test. What is waited for is polled, and
only for so long.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPMessage
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="the signals are those of Unix")

PATIENCE_SECONDS = 25
AMOUNT = 3
FORGED = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "Forwarded": "for=203.0.113.9;proto=https"}
SHOP = """
began = []

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] == "lifespan.startup":
            began.append(message)
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    told = f"{scope['client'][0]} {scope['scheme']} {len(began)}"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": told.encode()})
"""
LIMIT = f'[rate_limit]\nrate = "{AMOUNT}/hour"\npaths = ["/limited"]\n'
SETTINGS = {
    "strict-origin-when-cross-origin": f'security_headers = "auto"\n{LIMIT}',
    "no-referrer": f'security_headers = "strict"\n{LIMIT}',
}
"""Two files, by the Referrer-Policy with which they are obeyed."""

OPTIONS = {"granian": ["--server-options=--respawn-interval 0.1"]}  # it waits 3.5 s before it lets a worker go
UP = {
    "uvicorn": "startup complete",
    "hypercorn": "Running on",
    "granian": "Started worker",
    "gunicorn": "startup complete",
    "daphne": "Listening on",
}
"""What each server logs for each worker that is up."""

GONE = {"uvicorn": "Finished server process", "granian": "Stopped old worker", "gunicorn": "Finished server process"}
"""What it logs for each worker that has served beside its successor, and no longer does."""


class Served:
    """A server that `asgi-guard run` has become."""

    def __init__(self, folder: Path, server: str, workers: int) -> None:
        self.server = server
        self.workers = workers
        self.settings = folder / "guard.toml"
        self.log = folder / "log"
        self.port = free_port()
        self.policy, settings = next(iter(SETTINGS.items()))
        self.configure(settings)
        shop, elsewhere = folder / "shop", folder / "elsewhere"
        for place, source in ((shop, SHOP), (elsewhere, SHOP.replace("told.encode()", "b'the wrong shop'"))):
            place.mkdir()
            (place / "shop.py").write_text(source, encoding="utf-8")
        options = ["--server", server, "--workers", str(workers), "--port", str(self.port)]
        options += ["--app-dir", str(shop), "--config", str(self.settings)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "asgi_guard", "run", "shop:app", *options, *OPTIONS.get(server, [])],
                cwd=elsewhere,  # where most servers would look first
                env={**os.environ, "HOME": str(folder)},  # one of the servers keeps a socket there
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def is_up(self) -> bool:
        """Whether every worker is up, and somebody listens: one server says the first before it does the second."""
        return self.said(UP[self.server]) >= self.workers and self.get()[0] == 200

    @property
    def is_left(self) -> bool:
        """Whether the process, or one that it started, is still there."""
        self.process.poll()  # until somebody asks, it counts as there
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    @property
    def serves_itself(self) -> bool:
        """Whether the process that takes the signals is the one that answers."""
        return self.workers == 1 and self.server in {"uvicorn", "hypercorn", "daphne"}

    def said(self, text: str) -> int:
        """Count a text in what it has logged."""
        return self.log.read_text(encoding="utf-8").count(text)

    def configure(self, settings: str) -> None:
        """Write the configuration file, at one stroke."""
        draft = self.settings.with_suffix(".draft")
        draft.write_text(settings, encoding="utf-8")
        draft.replace(self.settings)

    def hang_up(self) -> None:
        """Ask it to read the file again."""
        self.process.send_signal(signal.SIGHUP)

    def reload(self) -> None:
        """Have it read the other file, and wait until workers that are replaced have been replaced."""
        self.policy, settings = next(item for item in SETTINGS.items() if item[0] != self.policy)
        texts = [] if self.serves_itself else [table[self.server] for table in (UP, GONE) if self.server in table]
        enough = {text: self.said(text) + self.workers for text in texts}
        self.configure(settings)
        self.hang_up()
        self.until(lambda: all(self.said(text) >= count for text, count in enough.items()))

    def until(self, holds: Callable[[], bool]) -> None:
        """Ask again and again, also where nobody answers yet, and fail where it takes too long."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            with suppress(OSError, HTTPException):
                if holds():
                    return
            if time.monotonic() > end:
                pytest.fail(f"it never came to that; the server says:\n{self.log.read_text(encoding='utf-8')}")
            time.sleep(0.02)

    @contextmanager
    def connection(self) -> Iterator[Callable[[str], tuple[int, HTTPMessage, str]]]:
        """Open a connection, to ask over it for a path with headers that only a proxy may send."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)
        connection.connect()
        connection.auto_open = 0  # a connection that was dropped must not be opened again in silence

        def ask(path: str) -> tuple[int, HTTPMessage, str]:
            connection.request("GET", path, headers=FORGED)
            response = connection.getresponse()
            return response.status, response.headers, response.read().decode()

        try:
            yield ask
        finally:
            connection.close()

    def get(self, path: str = "/") -> tuple[int, HTTPMessage, str]:
        """Ask once, over a connection of its own."""
        with self.connection() as ask:
            return ask(path)

    def policies(self) -> set[str | None]:
        """Return the Referrer-Policy of as many answers as it takes to hear each worker, most likely."""
        return {self.get()[1]["referrer-policy"] for _ in range(5 * self.workers)}


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def case(server: str, workers: int) -> Any:
    """Name a server and a number of workers; skip it where it is not installed."""
    missing = pytest.mark.skipif(find_spec(server) is None, reason=f"{server} is not installed")
    return pytest.param((server, workers), id=f"{server}-{workers}", marks=missing)


CASES = [case(server, workers) for server in ("uvicorn", "hypercorn", "granian", "gunicorn") for workers in (1, 2)]


@pytest.fixture(scope="module", params=[*CASES, case("daphne", 1)])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve until the tests of this server are through; SIGTERM must end it then, and all that it has started."""
    server, workers = request.param
    served = Served(tmp_path_factory.mktemp(server), server, workers)
    try:
        served.until(lambda: served.process.poll() is not None or served.is_up)
        assert served.process.poll() is None, served.log.read_text(encoding="utf-8")
        yield served
        served.process.terminate()
        assert served.process.wait(PATIENCE_SECONDS) in {0, -signal.SIGTERM}
        served.until(lambda: not served.is_left)
    finally:
        if served.is_left:
            os.killpg(served.process.pid, signal.SIGKILL)
        served.process.wait(PATIENCE_SECONDS)


def test_the_application_is_guarded(served: Served) -> None:
    """Each answer has the headers of security, and an id of its own."""
    heads = [served.get()[1] for _ in range(2)]

    assert [head["x-content-type-options"] for head in heads] == ["nosniff", "nosniff"]
    assert None not in {head["x-request-id"] for head in heads}
    assert heads[0]["x-request-id"] != heads[1]["x-request-id"]


def test_the_file_is_obeyed(served: Served) -> None:
    """Each worker admits as many as the file says, and no more."""
    statuses = [served.get("/limited")[0] for _ in range(AMOUNT * served.workers + 1)]

    assert set(statuses) <= {200, 429}
    assert 429 in statuses


@pytest.mark.long
def test_only_the_guard_decides_who_the_client_is(served: Served) -> None:
    """No server takes the word of a peer that nobody has declared, be it the machine itself."""
    status, _, told = served.get()

    assert (status, told.split()[:2]) == (200, ["127.0.0.1", "http"])


def test_the_lifespan_is_the_servers(served: Served) -> None:
    """The application is started once in each worker; one server has no lifespan, and says so."""
    _, _, told = served.get()

    assert int(told.split()[2]) == (served.server != "daphne")
    assert served.said("no lifespan") == (served.server == "daphne")


@pytest.mark.long
def test_a_hang_up_has_the_file_read_again(served: Served) -> None:
    """Soon each worker answers by it."""
    served.reload()
    served.until(lambda: served.policies() == {served.policy})


@pytest.mark.long
def test_a_process_that_serves_itself_drops_nothing(served: Served) -> None:
    """The connection stays, and so do the counts."""
    if not served.serves_itself:
        pytest.skip("its workers are replaced")
    with served.connection() as ask:
        while ask("/limited")[0] != 429:
            pass
        served.reload()
        served.until(lambda: ask("/")[1]["referrer-policy"] == served.policy)
        assert ask("/limited")[0] == 429


def test_a_wrong_file_changes_nothing(served: Served) -> None:
    """Every problem is told, and the server goes on as it was."""
    before = served.said("Did you mean 'rate_limit'?")
    served.configure('rate_limt = "1/hour"\ncors = 7\n')
    served.hang_up()
    served.until(lambda: served.said("Did you mean 'rate_limit'?") > before)
    served.configure(SETTINGS[served.policy])

    assert served.said("cors") > 0
    assert served.policies() == {served.policy}
