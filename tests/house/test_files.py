"""What every file keeps to, whatever it is about."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = sorted((ROOT / "asgi_guard").rglob("*.py"))
PLACES = ("*.md", "*.py", "*.toml", ".ci/*", ".github/**/*", "asgi_guard/**/*", "benchmarks/**/*", "examples/**/*")
TEXT = {"", ".html", ".json", ".lua", ".md", ".py", ".toml", ".yml"}
PUBLISHED = sorted(path for place in PLACES for path in ROOT.glob(place) if path.is_file() and path.suffix in TEXT)

MAX_LINES = 400
# Rule tables name such paths on purpose: they are what attackers ask for.
HOME_PATH = re.compile(r"(?<![\w./])/(?:home|root|tmp|work|Users)/\w")


def name(path: Path) -> str:
    """Name a file as a person would."""
    return path.relative_to(ROOT).as_posix()


def tree(path: Path) -> ast.Module:
    """Read a file as Python does."""
    return ast.parse(path.read_text(encoding="utf-8"))


def test_a_file_opens_with_what_it_is() -> None:
    """The docstring says what the file is and what it must never do."""
    assert [name(path) for path in PACKAGE if not ast.get_docstring(tree(path))] == []


def test_a_file_fits_a_readers_head() -> None:
    """A file that grows past the limit holds two ideas."""
    lines = {name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE}

    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}


def test_a_file_never_checks_by_assert() -> None:
    """`python -O` removes an assert, and with it the check."""
    lines = {
        name(path): [node.lineno for node in ast.walk(tree(path)) if isinstance(node, ast.Assert)] for path in PACKAGE
    }

    assert {path: found for path, found in lines.items() if found} == {}


def test_a_file_names_no_path_of_somebodys_machine() -> None:
    """What is published runs anywhere."""
    read = {name(path): path.read_text(encoding="utf-8") for path in PUBLISHED if "rules" not in path.parts}

    assert {path: found for path, text in read.items() if (found := HOME_PATH.findall(text))} == {}
