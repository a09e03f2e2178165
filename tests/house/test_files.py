"""What every file keeps to, whatever it is about."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = sorted((ROOT / "asgi_guard").rglob("*.py"))
PLACES = ("*.md", "*.py", "*.toml", ".ci/*", ".github/**/*", "asgi_guard/**/*", "benchmarks/**/*", "examples/**/*")
TEXT = {"", ".html", ".json", ".lua", ".md", ".py", ".toml", ".yml"}
PUBLISHED = sorted(path for place in PLACES for path in ROOT.glob(place) if path.is_file() and path.suffix in TEXT)

MAX_LINES = 400
# Rule tables name such paths on purpose: they are what attackers ask for.
HOME_PATH = re.compile(r"(?<![\w./])/(?:home|root|tmp|work|Users)/\w")


def name(path: Path) -> str:
    """Name a file in a test's id as a person would."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PACKAGE, ids=name)
def test_a_file_opens_with_what_it_is(path: Path) -> None:
    """The docstring says what the file is and what it must never do."""
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", PACKAGE, ids=name)
def test_a_file_fits_a_readers_head(path: Path) -> None:
    """A file that grows past the limit holds two ideas."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", PACKAGE, ids=name)
def test_a_file_never_checks_by_assert(path: Path) -> None:
    """`python -O` removes an assert, and with it the check."""
    tree = ast.parse(path.read_text(encoding="utf-8"))

    assert [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Assert)] == []


@pytest.mark.parametrize("path", [path for path in PUBLISHED if "rules" not in path.parts], ids=name)
def test_a_file_names_no_path_of_somebodys_machine(path: Path) -> None:
    """What is published runs anywhere."""
    assert HOME_PATH.findall(path.read_text(encoding="utf-8")) == []
