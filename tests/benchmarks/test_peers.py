"""The comparison with peers is fair: the same answers from all, and figures that nobody edited."""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import asgi_guard

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
NEEDED = ("asgi_correlation_id", "secure", "slowapi", "uvloop")


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the benchmarks in an interpreter of its own."""
    environment = {**os.environ, "PYTHONPATH": str(Path(asgi_guard.__file__).parents[1])}
    environment.pop("PYTHONSAFEPATH", None)  # the scripts find each other by their folder
    command = [sys.executable, BENCHMARKS / script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=50)


@pytest.fixture(scope="module")
def answers() -> dict[str, dict[str, Any]]:
    """What the stacks answer that claim to have every protection."""
    pytest.importorskip("starlette.middleware.body_limit")
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    told = {name: run("peers_worker.py", name, "--answers") for name in ("asgi-guard", "assembled")}
    return {name: json.loads(one.stdout) for name, one in told.items()}


def test_ours_and_the_assembled_stack_send_the_same_headers(answers: dict[str, dict[str, Any]]) -> None:
    """To the value, but for the id."""
    ours, theirs = (dict(answers[name]["headers"]) for name in ("asgi-guard", "assembled"))
    ids = {ours.pop("x-request-id"), theirs.pop("x-request-id")}

    assert len(ours) == 13
    assert ours == theirs
    assert len(ids) == 2


@pytest.mark.parametrize("name", ["asgi-guard", "assembled"])
def test_each_protection_is_on(answers: dict[str, dict[str, Any]], name: str) -> None:
    """What is compared does what it is there for."""
    statuses = answers[name]["statuses"]

    assert statuses.pop("host") in (400, 421)
    assert statuses == {"CORS": 200, "declared body": 413, "streamed body": 413, "rate": 429}


def test_the_table_is_the_result() -> None:
    """The block in README.md is what the result file renders to."""
    if "<!-- generated: peers -->" not in (BENCHMARKS.parent / "README.md").read_text(encoding="utf-8"):
        pytest.skip("README.md has no block for the comparison")
    checked = run("peers_table.py", "--check")

    assert (checked.returncode, checked.stdout) == (0, "")


LEFT = {
    "slowapi": "slowapi:Limiter slowapi:Limiter.limit",
    "Starlette's CORSMiddleware": "starlette.middleware.cors:CORSMiddleware",
    "asgi-correlation-id": "asgi_correlation_id:CorrelationIdMiddleware",
    "prometheus-fastapi-instrumentator": (
        "prometheus_fastapi_instrumentator:Instrumentator prometheus_fastapi_instrumentator:Instrumentator.expose "
        "prometheus_fastapi_instrumentator.metrics:default"
    ),
    "pybreaker": "pybreaker:CircuitBreaker",
    "tenacity": "tenacity:Retrying",
    "secure": "secure:Secure",
}


@pytest.mark.parametrize("package", LEFT)
def test_what_stands_on_the_left_of_a_migration_is_theirs(package: str) -> None:
    """Each argument that is named there is one of theirs."""
    text = (BENCHMARKS.parent / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(rf"^### {re.escape(package)}\n(.*?)^##", text, re.DOTALL | re.MULTILINE)
    known: set[str] = {"multiplier", "max"}  # of tenacity's waits
    for place in LEFT[package].split():
        module, _, name = place.partition(":")
        found = pytest.importorskip(module)
        for part in name.split("."):
            found = getattr(found, part)
        known |= set(inspect.signature(found).parameters)
    named = {name for row in lines.splitlines() for name in re.findall(r"(\w+)=", row.partition(" | ")[0])}

    assert named <= known
