"""`asgi-guard run`: what it checks before it becomes the server, and what it becomes."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from errno import EACCES
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from asgi_guard.cli import main
from asgi_guard.monitor import process
from asgi_guard.monitor.process import default_folder
from asgi_guard.serve.guarded import settings

SHOP = """
async def app(scope, receive, send): ...

def create_app():
    raise LookupError("no till")
"""
pytestmark = pytest.mark.skipif(find_spec("uvicorn") is None, reason="uvicorn is not installed")


@pytest.fixture
def become(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Stand in a folder with an application, and keep the process from becoming what it would become."""
    became: list[Any] = []
    (tmp_path / "shop_to_run.py").write_text(SHOP, encoding="utf-8")
    (tmp_path / "guard.toml").write_text('rate_limit = "5/second"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(os, "execve", lambda *given: became.extend(given) or 0)
    for name in [name for name in os.environ if name.startswith("ASGI_GUARD_") or name == "PYTHONPATH"]:
        monkeypatch.delenv(name)
    yield became
    sys.modules.pop("shop_to_run", None)


@pytest.fixture
def port() -> int:
    """Find a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def run(port: int, *options: str, app: str = "shop_to_run:app") -> int:
    """Run the command with uvicorn, unless the options name another server."""
    return main(["run", app, "--server", "uvicorn", "--port", str(port), *options])


def test_it_becomes_the_server(become: list[Any], port: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The command is the server's own, on this interpreter; what is served is the guarded application."""
    assert run(port, "--workers", "2", "--host", "localhost", "--server-options=--log-level 'warning'") == 0
    executable, command, environ = become

    assert executable == sys.executable
    assert command[:3] == [sys.executable, "-m", "uvicorn"]
    assert command[-3:] == ["--log-level", "warning", "asgi_guard.wrap:app"]
    assert environ["ASGI_GUARD_APP"] == "shop_to_run:app"
    assert environ["ASGI_GUARD_WORKERS"] == "2"
    assert "ASGI_GUARD_CONFIG" not in environ
    told = f"asgi-guard: shop_to_run:app behind the guard, served by uvicorn on http://localhost:{port}\n"
    assert capsys.readouterr().err == told


def test_the_file_is_found_from_anywhere(become: list[Any], port: int, tmp_path: Path) -> None:
    """A server may change its folder before it reads it."""
    run(port, "--config", "guard.toml")

    assert become[2]["ASGI_GUARD_CONFIG"] == str(tmp_path / "guard.toml")


def test_the_application_is_found_from_anywhere(
    become: list[Any], port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every process is told its folder; the path of whatever else they start is left alone."""
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.chdir("/")

    assert run(port, "--app-dir", str(tmp_path)) == 0
    assert become[2]["ASGI_GUARD_APP_DIR"] == str(tmp_path)
    assert become[2]["PYTHONPATH"] == "elsewhere"


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ([], set()),
        (["--env"], {"ASGI_GUARD_RATE_LIMIT"}),
        (["--env", "--config", "guard.toml"], {"ASGI_GUARD_RATE_LIMIT", "ASGI_GUARD_CONFIG"}),
    ],
)
def test_the_environment_counts_when_it_is_asked_for(
    options: list[str], settings: set[str], become: list[Any], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the server does not see those settings at all; the rest of the environment is the server's."""
    monkeypatch.setenv("ASGI_GUARD_RATE_LIMIT", "7/second")
    monkeypatch.setenv("SHOP_URL", "x")

    run(port, *options)

    assert {name for name in become[2] if name.startswith("ASGI_GUARD_")} == {
        "ASGI_GUARD_APP",
        "ASGI_GUARD_APP_DIR",
        "ASGI_GUARD_RUN",
        "ASGI_GUARD_WORKERS",
        *settings,
    }
    assert become[2]["SHOP_URL"] == "x"


@pytest.mark.parametrize(
    ("options", "module"),
    [
        ([], "uvicorn"),
        (["--workers", "2"], "uvicorn"),
        (["--config", "guard.toml"], "uvicorn"),
        (["--config", "guard.toml", "--workers", "2"], "asgi_guard.serve.master uvicorn"),
    ],
)
def test_a_master_with_a_file_is_watched_over(options: list[str], module: str, become: list[Any], port: int) -> None:
    """Only there can a wrong file take workers down that are well."""
    run(port, *options)

    assert " ".join(become[1][2:]).startswith(f"{module} --host")


def test_what_its_user_has_to_know_is_said(become: list[Any], port: int, capsys: pytest.CaptureFixture[str]) -> None:
    """One server does not do all that the others do."""
    if find_spec("daphne") is None:
        pytest.skip("daphne is not installed")

    assert run(port, "--server", "daphne") == 0
    assert "daphne has no lifespan" in capsys.readouterr().err


# What is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["shop_to_run"], "AG550"),
        (["shop_to_lose:app"], "AG551"),
        (["shop_to_run:ap"], "Did you mean 'app'?"),
        (["shop_to_run:create_app"], "write shop_to_run:create_app()"),
        (["shop_to_run:create_app()"], 'raise LookupError("no till")'),
        (["shop_to_run:app", "--server", "daphne", "--workers", "2"], "daphne serves from one process"),
        (["shop_to_run:app", "--host", "192.0.2.1"], "cannot listen on 192.0.2.1:"),
        (["shop_to_run:app", "--host", "no.such.host.invalid"], "cannot listen on no.such.host.invalid:"),
    ],
)
def test_what_cannot_be_served_is_refused(
    arguments: list[str], complaint: str, become: list[Any], port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said why, the exit code is 2, and nothing starts."""
    if "daphne" in arguments and find_spec("daphne") is None:
        pytest.skip("daphne is not installed")

    app, *options = arguments
    code = run(port, *options, app=app)
    said = capsys.readouterr().err

    assert (code, become) == (2, [])
    assert complaint in said
    assert said.startswith("asgi-guard: ")


@pytest.mark.parametrize(("addresses", "code"), [(["2001:db8::1", "127.0.0.1"], 0), (["2001:db8::1"], 2)])
def test_a_name_may_have_an_address_that_this_machine_has_not(
    addresses: list[str], code: int, become: list[Any], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `localhost` in a container without IPv6: servers listen at the others, if there are any."""
    found = [
        (socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 0))
        for address in addresses
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    assert run(port, "--host", "shop.internal") == code
    assert bool(become) is (code == 0)


def test_a_port_that_is_taken_is_refused(become: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    """With what to do about it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        code = run(port)

    assert (code, become) == (2, [])
    hint = "stop what listens there, or choose another --port"
    assert capsys.readouterr().err == f"asgi-guard: cannot listen on 127.0.0.1:{port}: Address already in use; {hint}\n"


def test_a_port_that_is_not_allowed_is_refused(
    become: list[Any], port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the system says it."""

    def bind(*_: object) -> None:
        raise PermissionError(EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", bind)

    assert (run(port), become) == (2, [])
    assert capsys.readouterr().err == f"asgi-guard: cannot listen on 127.0.0.1:{port}: Permission denied\n"


def test_wrong_settings_are_refused(become: list[Any], port: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Every problem of every part is told, and the exit code is 2."""
    Path("wrong.toml").write_text('rate_limt = "5/second"\ncors = 7\n', encoding="utf-8")

    code = run(port, "--config", "wrong.toml")
    said = capsys.readouterr().err

    assert (code, become) == (2, [])
    assert "Did you mean 'rate_limit'?" in said
    assert "cors" in said


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ([], "APP"),
        (["shop:app", "--port", "65536"], "'65536' is not a number from 0 to 65535"),
        (["shop:app", "--workers", "0"], "'0' is not a number from 1 to 1024"),
        (["shop:app", "--workers", "two"], "'two' is not a number"),
        (["shop:app", "--server", "apache"], "'apache'"),
    ],
)
def test_wrong_arguments_are_refused(options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """They are named, and the exit code is 2."""
    with pytest.raises(SystemExit) as left:
        main(["run", *options])

    assert left.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="needs the locks of a POSIX system")
@pytest.mark.parametrize(
    ("workers", "file", "variables", "is_shared"),
    [
        ("2", "", {}, True),
        ("1", "", {}, False),
        ("2", "telemetry = false", {}, False),
        ("2", "[telemetry]\nshared_dir = '{here}/cells'", {}, False),
        ("2", "", {"ASGI_GUARD_SHARED_DIR": "{here}/cells"}, False),
    ],
    ids=["several", "one", "no telemetry", "a folder in the file", "a folder in the environment"],
)
def test_several_workers_count_together(  # noqa: PLR0917  fixtures and a case
    become: list[Any],
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    workers: str,
    file: str,
    variables: dict[str, str],
    is_shared: bool,
) -> None:
    """In a folder of this process, which is the server from then on; unless another is named."""
    monkeypatch.setattr(process, "_aggregate", None)
    monkeypatch.setattr(process, "_folder", None)
    here = str(Path.cwd())
    Path("guard.toml").write_text(file.replace("{here}", here), encoding="utf-8")
    variables = {name: value.replace("{here}", here) for name, value in variables.items()}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert run(port, "--workers", workers, "--config", "guard.toml") == 0

    said = become[2].get("ASGI_GUARD_SHARED_DIR")
    assert said == (str(default_folder(os.getpid())) if is_shared else variables.get("ASGI_GUARD_SHARED_DIR"))


@pytest.mark.parametrize(
    ("file", "local"),
    [("", True), ("endpoints = true", True), ("[endpoints]\nlocal = false", False), ("endpoints = false", None)],
    ids=["by default", "true", "said otherwise", "off"],
)
def test_whoever_asks_from_this_machine_may_see_the_endpoints(
    become: list[Any], port: int, file: str, local: bool | None
) -> None:
    """It is for development; who says otherwise is obeyed."""
    Path("guard.toml").write_text(file, encoding="utf-8")

    assert run(port, "--config", "guard.toml") == 0

    endpoints = settings(become[2])["endpoints"]
    assert (endpoints.local if endpoints else None) is local


def test_the_token_of_the_endpoints_goes_along(become: list[Any], port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also without --env, since it is meant for nothing else."""
    monkeypatch.setenv("ASGI_GUARD_TOKEN", "a-token-of-twenty-and-more")
    monkeypatch.setenv("ASGI_GUARD_RATE_LIMIT", "1/day")

    assert run(port) == 0

    assert become[2]["ASGI_GUARD_TOKEN"] == "a-token-of-twenty-and-more"
    assert "ASGI_GUARD_RATE_LIMIT" not in become[2]
