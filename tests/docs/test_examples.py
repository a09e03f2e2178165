"""The examples do what they say: each one runs, and prints what its docstring expects."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


def expected_lines(example: Path) -> list[str]:
    """Return the indented block under `Expect:` in the docstring of an example."""
    docstring = ast.get_docstring(ast.parse(example.read_text(encoding="utf-8"))) or ""
    _, _, block = docstring.partition("\nExpect:\n")
    return textwrap.dedent(block).strip().splitlines()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_prints_what_it_promises(example: Path, tmp_path: Path) -> None:
    """Run as a script in an empty folder, it ends well and prints the expected lines, all of them and in order."""
    expected = expected_lines(example)
    assert expected, "the docstring has no block under a line `Expect:`"

    run = subprocess.run(  # no check=True: the report shows what it printed before it failed
        [sys.executable, example], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False
    )

    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines() == expected


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_says_what_has_to_be_installed(example: Path) -> None:
    """All that it imports and that does not come with the package itself."""
    text = example.read_text(encoding="utf-8")
    tree = ast.parse(text)
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    comes_along = {*sys.stdlib_module_names, "asgi_guard", "anyio", "limits"}
    needed = {name.partition(".")[0] for name in imported} - comes_along

    assert not needed or "pip install " in (ast.get_docstring(tree) or ""), needed
