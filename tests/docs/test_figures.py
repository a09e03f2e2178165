"""The figures of README.md are those that were measured: nobody edits one by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

RENDER = Path(__file__).parents[2] / "benchmarks" / "render.py"


def test_the_figures_are_the_results() -> None:
    """The block is what the result files render to."""
    run = subprocess.run([sys.executable, RENDER, "--check"], capture_output=True, text=True, check=False)

    assert (run.returncode, run.stdout) == (0, "")
