"""The reference system as its users meet it: its one command, its suite on PostgreSQL, and its files for Docker."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from redis_servers import free_port
from reference_databases import a_postgresql, postgresql_programs
from reference_system import EXAMPLES, ROOT

from asgi_guard.presets import SWITCHES

FOLDER = EXAMPLES / "reconciliation"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "docker-compose.yml").read_text(encoding="utf-8"))
ENVIRON = {name: value for name, value in os.environ.items() if not name.startswith(("ASGI_GUARD_", "RECONCILIATION_"))}


@pytest.mark.long
@pytest.mark.timeout(120)
def test_one_command_serves_it_and_ends_it(tmp_path: Path) -> None:
    """It prints the tokens of its users, takes an upload, and leaves nobody behind."""
    port = free_port()
    environ = {**ENVIRON, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "RECONCILIATION_FOLDER": str(tmp_path)}
    environ.pop("PYTHONSAFEPATH", None)  # the command is for whoever stands in the folder
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciliation", "--port", str(port), "--workers", "1"],
            cwd=EXAMPLES,
            env=environ,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        end = time.monotonic() + 60
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            while time.monotonic() < end:
                with suppress(httpx.HTTPError):
                    if client.get("/readyz").status_code == 200:
                        break
                time.sleep(0.1)
            said = (tmp_path / "log").read_text()
            token = re.findall(r"token of ann.*: (rec_\S+)", said)
            assert token, said
            client.headers["Authorization"] = f"Bearer {token[0]}"
            file = "id,date,amount,currency\nL1,2026-01-31,1.00,EUR\n"
            found = client.post(
                "/reconciliations", files={"left": ("l.csv", file), "right": ("r.csv", file[:24])}
            ).json()
            while client.get(f"/reconciliations/{found['id']}").json()["status"] != "done" and time.monotonic() < end:
                time.sleep(0.1)
            (exception,) = client.get(f"/reconciliations/{found['id']}/exceptions").json()["exceptions"]
            paths = ["/health", "/metrics", "/performance", "/performance/summary"]
            statuses = [client.get(path).status_code for path in paths]
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        alone = process.returncode is not None
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
            alone = False
        process.wait(20)

    assert exception["reason"] == "missing_right"
    assert exception["suggestion"]
    assert statuses == [200] * 4
    assert alone, "something was left behind"


@pytest.mark.slow
@pytest.mark.skipif(postgresql_programs() is None, reason="PostgreSQL is not installed")
@pytest.mark.timeout(600)
def test_its_suite_is_green_on_postgresql(tmp_path: Path) -> None:
    """The very same tests, told another database."""
    with a_postgresql(tmp_path) as port:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(FOLDER / "tests")],
            cwd=ROOT,
            env={
                **ENVIRON,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "TEST_DATABASE_URL": f"postgresql+asyncpg://tests@127.0.0.1:{port}/postgres",
            },
            capture_output=True,
            text=True,
            check=False,
        )

    assert run.returncode == 0, run.stdout[-5_000:]
    assert re.search(r"\b\d{3} passed", run.stdout)


def test_the_compose_file_has_the_switches_and_the_folders() -> None:
    """Each switch of the earlier system, and where the tests leave what they found."""
    services = COMPOSE["services"]
    folders = {volume.partition(":")[0] for volume in services["tests"]["volumes"]}

    assert {*SWITCHES} <= {*services["app"]["environment"]}
    assert folders == {"./test_reports", "./coverage"}


def test_the_tests_of_the_compose_file_have_a_database_of_their_own() -> None:
    """They drop every table that the service would have."""
    ours, theirs = (
        re.findall(r"@([\w-]+)/", COMPOSE["services"][name]["environment"][variable])
        for name, variable in (("app", "RECONCILIATION_DATABASE_URL"), ("tests", "TEST_DATABASE_URL"))
    )

    assert ours != theirs
    assert {*ours, *theirs} <= {*COMPOSE["services"]}


def test_every_variable_of_the_compose_file_is_a_setting() -> None:
    """With the settings as they are: a name that is not one would not start."""
    from reconciliation.settings import PREFIX, Settings

    users = f"ann:clerk:{'0' * 64}"
    said = {name: value for name, value in COMPOSE["services"]["app"]["environment"].items() if name.startswith(PREFIX)}
    filled = {name: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value) for name, value in said.items()}
    settings = Settings.from_env({**filled, f"{PREFIX}USERS": users})

    assert settings.database_url.startswith("postgresql+asyncpg://")
    assert [user.name for user in settings.users] == ["ann"]


def test_the_image_is_built_of_what_is_there() -> None:
    """Each path that is copied, each extra and each group."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    text = (FOLDER / "Dockerfile").read_text(encoding="utf-8")
    copied = [path for line in re.findall(r"^COPY (.+) \S+$", text, re.MULTILINE) for path in line.split()]
    extras = {extra for found in re.findall(r'"\.\[(.+?)\]"', text) for extra in found.split(",")}

    assert copied
    assert all((ROOT / path).exists() for path in copied)
    assert extras <= {*project["project"]["optional-dependencies"]}
    assert {*re.findall(r"--group (\w+)", text)} <= {*project["dependency-groups"]}
