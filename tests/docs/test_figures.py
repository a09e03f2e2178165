"""The figures of README.md are those that were measured: nobody edits one by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize(
    "script",
    [
        "render.py",
        "render_redis.py",
        "whole_table.py",
        "telemetry_table.py",
        "detection_table.py",
        "monitor.py",
        "sanitize.py",
        "audit.py",
    ],
)
def test_the_figures_are_the_results(script) -> None:
    """The blocks are what the result files render to."""
    run = subprocess.run([sys.executable, BENCHMARKS / script, "--check"], capture_output=True, text=True, check=False)

    assert (run.returncode, run.stdout) == (0, "")
