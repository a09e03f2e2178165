"""Servers in processes of their own, on free ports, for as long as the tests of one module need them."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import asgi_guard

HERE, PACKAGE = Path(__file__).parent, Path(asgi_guard.__file__).parents[1]
PATIENCE_SECONDS = 20


class Process:
    """A program that listens on a port of its own; it leads a group, so that nothing it started outlives it.

    Attributes:
        port: where it listens.
        log: the file with what it says.
    """

    def __init__(self, folder, command, files):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        for name, text in files.items():
            (folder / name).write_text(text.replace("{port}", str(self.port)), encoding="utf-8")
        self.log = folder / "log"
        words = shlex.split(command.format(python=sys.executable, port=self.port, here=HERE))
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PACKAGE), str(HERE)]),
            "HOME": str(folder),  # one of the servers keeps a socket there
        }
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                words,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self):
        """Wait until it listens."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS):
                return
            time.sleep(0.02)
        pytest.fail(f"it does not listen; it says:\n{self.said}")

    @property
    def said(self):
        """What it has said up to now."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def peak_bytes(self):
        """The most memory that any of its processes has ever had resident."""
        peaks = []
        for status in Path("/proc").glob("[0-9]*/status"):
            with suppress(OSError):
                if os.getpgid(int(status.parent.name)) == self._process.pid:
                    peaks += [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return max(int(line.split()[1]) for line in peaks) * 1_024

    def stop(self):
        """End it, and whatever it has started."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    """Give a context that runs a command while it lasts; the command names `{python}`, `{port}` and `{here}`."""

    @contextmanager
    def run(command, files=()):
        process = Process(tmp_path_factory.mktemp("process"), command, dict(files))
        try:
            process.wait()
            yield process
        finally:
            process.stop()

    return run
