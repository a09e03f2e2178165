"""The command: what it says, and which exit code it leaves, before it has served anything."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from asgi_guard import __version__
from asgi_guard.cli import _takes_colour, main

WITHOUT_UVICORN = """
import sys
sys.modules["uvicorn"] = None  # as where it is not installed
from asgi_guard.cli import main
sys.exit(main(["demo", "--once"]))
"""


class Terminal(io.StringIO):
    """An output that somebody looks at."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def taken_port() -> Iterator[int]:
    """Hold a port that somebody else would like to have."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    """The version is that of the package."""
    with pytest.raises(SystemExit) as left:
        main(["--version"])

    assert (left.value.code, capsys.readouterr().out) == (0, f"asgi-guard {__version__}\n")


def test_the_package_can_be_run() -> None:
    """`python -m asgi_guard` is the same command."""
    run = subprocess.run([sys.executable, "-m", "asgi_guard", "--version"], capture_output=True, text=True, check=True)

    assert run.stdout == f"asgi-guard {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "COMMAND"),
        (["rum"], "'rum'"),
        ## only this machine may reach an application that is unprotected on purpose
        (["demo", "--host", "0.0.0.0"], "'0.0.0.0' is not a loopback address"),
        (["demo", "--host", "192.0.2.1"], "'192.0.2.1' is not a loopback address"),
        (["demo", "--host", "::"], "'::' is not a loopback address"),
        (["demo", "--host", "example.com"], "'example.com' is not a loopback address"),
        ## ports
        (["demo", "--port", "65536"], "'65536' is not a port"),
        (["demo", "--guarded-port", "-1"], "'-1' is not a port"),
        (["demo", "--port", "http"], "'http' is not a port"),
    ],
)
def test_wrong_arguments_are_refused(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """They are named, and the exit code is 2."""
    with pytest.raises(SystemExit) as left:
        main(arguments)

    assert left.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--port", "--guarded-port"])
def test_a_port_that_is_taken_is_said_in_one_line(
    option: str, taken_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The port is named, there is no traceback, and the exit code is 2."""
    code = main(["demo", "--once", option, str(taken_port)])
    output = capsys.readouterr()

    assert (code, output.out, len(output.err.splitlines())) == (2, "", 1)
    assert str(taken_port) in output.err


def test_a_missing_server_is_said_with_the_command_that_installs_it() -> None:
    """There is no traceback, and the exit code is 2."""
    run = subprocess.run([sys.executable, "-c", WITHOUT_UVICORN], capture_output=True, text=True, check=False)

    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "asgi-guard: asgi-guard demo needs an optional dependency: pip install 'asgi-guard[server]'\n"


@pytest.mark.parametrize(
    ("output", "environment", "colour"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colours_are_for_those_who_look_and_want_them(
    output: io.StringIO, environment: dict[str, str], colour: bool
) -> None:
    """Only on a terminal, and never where NO_COLOR says something."""
    assert _takes_colour(output, environment) is colour
