"""The command: what it says, and which exit code it leaves, before it has served anything."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asgi_guard import Guard, __version__
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
        (["check"], "nothing to check: give --config FILE, --env or both"),
        (["check", "--confg", "guard.toml"], "--confg"),
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


@pytest.mark.long
def test_a_missing_server_is_said_with_the_command_that_installs_it() -> None:
    """There is no traceback, and the exit code is 2."""
    run = subprocess.run([sys.executable, "-c", WITHOUT_UVICORN], capture_output=True, text=True, check=False)

    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "asgi-guard: asgi-guard demo needs an optional dependency: pip install 'asgi-guard[server]'\n"


@pytest.mark.parametrize("command", [[], ["check"], ["explain"], ["inspect"], ["doctor"]])
def test_the_exit_codes_are_said_where_help_is(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """They are the same of every command."""
    with pytest.raises(SystemExit):
        main([*command, "--help"])

    told = " ".join(capsys.readouterr().out.split())
    assert "Exit codes: 0 all is well, 1 something was found or is refused, 2 it could not do its work." in told


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="elsewhere a pipe that is closed is another error")
def test_who_reads_no_further_is_told_nothing() -> None:
    """As with `| head`: there is no message, and the exit code is the one of a broken pipe."""
    reads, writes = os.pipe()
    os.close(reads)
    try:
        run = subprocess.run(
            [sys.executable, "-m", "asgi_guard", "explain"], stdout=writes, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writes)

    assert (run.returncode, run.stderr) == (141, b"")


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


class TestCheck:
    """`asgi-guard check` says whether a configuration can work before anybody is served by it."""

    @pytest.fixture
    def file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Have a configuration file with two faults, which is nobody's default."""
        monkeypatch.chdir(tmp_path)
        path = tmp_path / "guard.toml"
        path.write_text('https = "requird"\n[request_limits]\nmax_url = 9\n', encoding="utf-8")
        return path

    def test_all_is_well(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """In one line, with the parts that are on."""
        path = tmp_path / "guard.toml"
        path.write_text('rate_limit = "5/second"\nerror_envelope = false\n', encoding="utf-8")

        assert main(["check", "--config", str(path)]) == 0
        on = (
            "telemetry, monitor, client_address, request_id, security_headers, endpoints, request_limits, rate_limit, "
            "validation"
        )
        assert capsys.readouterr() == (f"All is well. On: {on}.\n", "")

    def test_every_problem_is_printed(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """With its id, its place in the file, the rule, what to do, and what was likely meant."""
        assert main(["check", "--config", file.name]) == 1
        assert capsys.readouterr().out.splitlines() == [
            "2 settings are wrong:",
            "  AG105 https must be one of 'redirect', 'require', not 'requird'. Did you mean 'require'?",
            "  AG110 request_limits.max_url is not a field. Did you mean 'max_url_bytes'?",
        ]

    def test_a_program_can_read_it(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """The same as JSON."""
        code = main(["check", "--json", "--config", str(file)])
        told = json.loads(capsys.readouterr().out)

        assert (code, told["ok"], [problem["id"] for problem in told["problems"]]) == (1, False, ["AG105", "AG110"])
        assert told["problems"][0] == {
            "id": "AG105",
            "field": "https",
            "value": "'requird'",
            "rule": "must be one of 'redirect', 'require'",
            "remedy": "Did you mean 'require'?",
        }

    def test_the_environment_is_checked_where_it_is_asked_for(
        self, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Alone, or over the file."""
        monkeypatch.setenv("ASGI_GUARD_HTTPS", "false")

        assert main(["check", "--env", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"ok": True, "problems": []}
        assert main(["check", "--env", "--config", str(file)]) == 1
        assert "1 setting is wrong" in capsys.readouterr().out

    @pytest.mark.parametrize("command", ["check", "explain"])
    @pytest.mark.parametrize("name", ["missing.toml", "."])
    def test_a_file_that_cannot_be_read_is_a_problem(
        self, command: str, name: str, file: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """There is no traceback, and nothing was looked at: the exit code is 2."""
        assert main([command, "--config", name]) == 2
        assert f"AG510 {name} cannot be read" in "".join(capsys.readouterr())

    def test_a_line_that_is_no_toml_is_named(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """By its number."""
        file.write_text("https = true\nrate_limit = 5/second\n", encoding="utf-8")

        assert main(["check", "--config", str(file)]) == 1
        assert "line 2" in capsys.readouterr().out


class TestExplain:
    """`asgi-guard explain` prints the standard stack as it would be."""

    def test_told_nothing_it_explains_the_default(self, capsys: pytest.CaptureFixture[str]) -> None:
        """As `Guard(app).explain()` does."""

        async def app(scope: Any, receive: Any, send: Any) -> None: ...

        assert main(["explain"]) == 0
        assert capsys.readouterr() == (f"{Guard(app).explain()}\n", "")

    def test_asked_for_all_it_tells_also_what_is_by_default(self, capsys: pytest.CaptureFixture[str]) -> None:
        """As `explain(whole=True)` does."""
        assert main(["explain", "--all"]) == 0
        assert "max_body_bytes=10485760" in capsys.readouterr().out

    def test_it_explains_what_is_configured(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """By the file, and by the environment over it."""
        path = tmp_path / "guard.toml"
        path.write_text('rate_limit = "5/second"\nhttps = true\n', encoding="utf-8")
        monkeypatch.setenv("ASGI_GUARD_HTTPS", "require")

        assert main(["explain", "--config", str(path), "--env"]) == 0
        told = capsys.readouterr().out
        assert "https: HTTPS(mode='require'" in told
        assert "  429 for more than 5/second from one client" in told

    def test_what_is_wrong_goes_where_errors_go(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """There is nothing to explain then."""
        path = tmp_path / "guard.toml"
        path.write_text("rate_limit = 5\n", encoding="utf-8")

        assert main(["explain", "--config", str(path)]) == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.startswith("asgi-guard explain: 1 setting is wrong:\n  AG501 rate_limit must be ")
