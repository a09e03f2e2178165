"""`asgi_guard.wrap:app`, by hand: what the environment describes, or a readable reason why not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHOP = """
async def app(scope, receive, send):
    ...

def create_app():
    raise LookupError("no till")
"""


def python(folder: Path, program: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a program beside an application, with these variables and no others of ours."""
    (folder / "shop.py").write_text(SHOP, encoding="utf-8")
    (folder / "guard.toml").write_text('rate_limit = "5/second"\ncors = "https://a.example"\n', encoding="utf-8")
    (folder / "wrong.toml").write_text('rate_limt = "5/second"\ncors = 7\n', encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("ASGI_GUARD_")}
    path = os.pathsep.join([str(folder), *sys.path])
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**inherited, **environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ["cors: off", "100/minute"]),
        ({"ASGI_GUARD_CONFIG": "guard.toml"}, ["cors: CORS(", "5/second"]),
        ({"ASGI_GUARD_RATE_LIMIT": "7/second"}, ["cors: off", "7/second"]),
        ({"ASGI_GUARD_RATE_LIMIT": "7/second", "ASGI_GUARD_CONFIG": "guard.toml"}, ["cors: CORS(", "7/second"]),
    ],
    ids=["defaults", "file", "environment", "both"],
)
def test_the_environment_describes_it(environ: dict[str, str], expected: list[str], tmp_path: Path) -> None:
    """The application is named, the settings come from a file, and the environment wins over it."""
    program = "import shop; from asgi_guard.wrap import app; print(app.app is shop.app); print(app.explain())"

    run = python(tmp_path, program, ASGI_GUARD_APP="shop:app", **environ)

    assert (run.stderr, run.returncode, run.stdout.splitlines()[:1]) == ("", 0, ["True"])
    assert [text for text in expected if text not in run.stdout] == []


def test_a_server_finds_it_wherever_it_looks(tmp_path: Path) -> None:
    """Some ask the module, some look into its dictionary; each gets the same one."""
    program = "from asgi_guard import wrap; print(vars(wrap)['app'] is wrap.app)"

    assert python(tmp_path, program, ASGI_GUARD_APP="shop:app").stdout == "True\n"


@pytest.mark.parametrize(
    ("environ", "complaints"),
    [
        ({}, ["AG550"]),
        ({"ASGI_GUARD_APP": "shop"}, ["AG550"]),
        ({"ASGI_GUARD_APP": "shop:ap"}, ["AG552", "Did you mean 'app'?"]),
        ({"ASGI_GUARD_APP": "shop:app", "ASGI_GUARD_CONFIG": "lost.toml"}, ["lost.toml"]),
        ({"ASGI_GUARD_APP": "shop:app", "ASGI_GUARD_CONFIG": "wrong.toml"}, ["Did you mean 'rate_limit'?", "cors"]),
        ({"ASGI_GUARD_APP": "shop:app", "ASGI_GUARD_RATE_LIMT": "1/second"}, ["ASGI_GUARD_RATE_LIMT", "Did you mean"]),
    ],
    ids=["no name", "no form", "no attribute", "no file", "wrong file", "wrong variable"],
)
def test_what_cannot_be_built_is_said(environ: dict[str, str], complaints: list[str], tmp_path: Path) -> None:
    """No traceback; the exit code is the one on which servers stop trying."""
    run = python(tmp_path, "from asgi_guard.wrap import app", **environ)

    assert run.returncode == 3
    assert run.stderr.startswith("asgi_guard.wrap: ")
    assert "Traceback" not in run.stderr
    assert [complaint for complaint in complaints if complaint not in run.stderr] == []


def test_an_authors_mistake_is_said_with_its_traceback(tmp_path: Path) -> None:
    """It is the author's to mend."""
    run = python(tmp_path, "from asgi_guard.wrap import app", ASGI_GUARD_APP="shop:create_app()")

    assert run.returncode == 3
    assert 'raise LookupError("no till")' in run.stderr
    assert "asgi_guard/" not in run.stderr


@pytest.mark.parametrize(
    "program", ["import asgi_guard.wrap", "import asgi_guard.wrap as w; hasattr(w, 'application')"]
)
def test_importing_it_without_an_application_is_harmless(program: str, tmp_path: Path) -> None:
    """Tools import whatever they find."""
    run = python(tmp_path, program)

    assert (run.returncode, run.stderr) == (0, "")
