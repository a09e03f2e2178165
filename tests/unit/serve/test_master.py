"""SIGHUP in a process whose workers serve, with a stand-in for the server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from asgi_guard.serve.master import _careful

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no such signal")

SERVER = """
import os, signal, sys

print(__name__, sys.argv[1:])
for number in (signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, lambda number, frame: print("heard", signal.Signals(number).name))
signal.raise_signal(signal.SIGUSR1)
for settings in sys.argv[2:]:
    with open("guard.toml", "w") as file:
        file.write(settings)
    signal.raise_signal(signal.SIGHUP)
sys.stdout.flush()
if os.fork() == 0:
    signal.signal(signal.SIGHUP, lambda *_: print("a worker hears"))
    signal.raise_signal(signal.SIGHUP)
    sys.exit()
os.wait()
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.raise_signal(signal.SIGHUP)
"""


def serve(folder: Path, *files: str) -> tuple[list[str], str]:
    """Run the stand-in, which hangs up on itself after each of the files; return what it prints, and what is said."""
    (folder / "stand_in.py").write_text(SERVER, encoding="utf-8")
    (folder / "guard.toml").write_text("", encoding="utf-8")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("ASGI_GUARD_")}
    environ |= {
        "ASGI_GUARD_APP": "shop:app",
        "ASGI_GUARD_CONFIG": "guard.toml",
        "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
    }
    command = [sys.executable, "-m", "asgi_guard.serve.master", "stand_in", "--port", *files]
    run = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True)
    return run.stdout.splitlines(), run.stderr


def test_the_server_is_run_as_its_own_command(tmp_path: Path) -> None:
    """It finds its arguments where it expects them, and its other signals are its own."""
    printed, _ = serve(tmp_path)

    assert printed[:2] == ["__main__ ['--port']", "heard SIGUSR1"]


@pytest.mark.long
def test_a_right_file_is_the_servers_affair(tmp_path: Path) -> None:
    """Its handler is called, as if nobody stood before it."""
    printed, said = serve(tmp_path, "", 'rate_limit = "5/second"')

    assert printed.count("heard SIGHUP") == 2
    assert said == ""


@pytest.mark.long
def test_a_wrong_file_is_kept_from_the_server(tmp_path: Path) -> None:
    """Every problem is said, the server hears nothing, and the next right file is heard again."""
    printed, said = serve(tmp_path, 'rate_limt = "5/second"\ncors = 7', "")

    assert printed.count("heard SIGHUP") == 1
    assert said.startswith("asgi-guard: the configuration is not reloaded, the one before stays: 2 settings are wrong:")
    assert "Did you mean 'rate_limit'?" in said


def test_a_file_whose_name_is_no_text_does_not_end_the_master(monkeypatch, capfd) -> None:
    """A path is bytes; what is said of it must not fail."""
    monkeypatch.setenv("ASGI_GUARD_CONFIG", "gone\udcff.toml")
    heard: list[int] = []

    _careful(lambda number, _frame: heard.append(number))(signal.SIGHUP, None)

    assert heard == []
    assert "AG510 gone\\udcff.toml cannot be read" in capfd.readouterr().err


def test_a_worker_has_its_signal_to_itself(tmp_path: Path) -> None:
    """With a wrong file as well: what it does with the signal is its own affair."""
    printed, _ = serve(tmp_path, "cors = 7")

    assert printed.count("a worker hears") == 1
