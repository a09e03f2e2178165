"""The public names: one list, told three times in `asgi_guard/__init__.py`, and free to import."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import asgi_guard

HEAVY = {"asyncio", "anyio", "dataclasses", "json", "limits", "opentelemetry", "redis", "starlette", "trio", "uvicorn"}
FOREIGN = {"django", "fastapi", "granian", "hypercorn", "litestar", "quart", "starlette", "uvicorn"}
BUDGET_MS = 30

IMPORT_ALL = """
import importlib, pkgutil, sys, asgi_guard
for module in pkgutil.walk_packages(asgi_guard.__path__, "asgi_guard."):
    module.name.endswith("__main__") or importlib.import_module(module.name)
print(*sys.modules)
"""
TIMED_IMPORT = "import time; start = time.perf_counter(); import asgi_guard; print((time.perf_counter() - start) * 1e3)"


def python(program: str) -> str:
    """Run a program in an interpreter of its own, and return what it prints."""
    return subprocess.run([sys.executable, "-P", "-c", program], check=True, capture_output=True, text=True).stdout


def type_checking_imports() -> dict[str, str]:
    """Return name -> module as the TYPE_CHECKING block of the package tells type checkers."""
    tree = ast.parse(Path(asgi_guard.__file__).read_text(encoding="utf-8"))
    blocks = [node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name: str(node.module) for node in imports for alias in node.names}


def test_the_three_lists_are_one() -> None:
    """`__all__`, the lazy table and the block for type checkers name the same things from the same homes."""
    assert type_checking_imports() == asgi_guard._HOME
    assert sorted(asgi_guard.__all__) == sorted({*asgi_guard._HOME, "__version__"})


def test_the_names_are_sorted() -> None:
    """A reader finds a name by its place."""
    by_place = sorted(asgi_guard.__all__, key=lambda name: (not name.isupper(), name))  # constants and acronyms first

    assert list(asgi_guard.__all__) == by_place


@pytest.mark.parametrize("name", sorted(asgi_guard._HOME))
def test_a_name_resolves_to_the_object_of_its_home(name: str) -> None:
    """The lazy look-up hands out the very object, not a copy or a stand-in."""
    home = importlib.import_module(asgi_guard._HOME[name])

    assert getattr(asgi_guard, name) is getattr(home, name)


def test_dir_lists_the_public_names() -> None:
    """Completion in an editor shows what is there before anything was loaded."""
    assert set(asgi_guard.__all__) <= set(dir(asgi_guard))


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A typo fails as it does in any module."""
    with pytest.raises(AttributeError, match="Gaurd"):
        asgi_guard.Gaurd  # noqa: B018


def test_the_import_loads_nothing_heavy() -> None:
    """Whoever imports the package pays for nothing before using it."""
    loaded = set(python("import sys, asgi_guard; print(*sys.modules)").split())
    bare = set(python("import sys; print(*sys.modules)").split())

    assert (loaded - bare) & HEAVY == set()


def test_no_module_loads_a_framework_or_a_server() -> None:
    """Not even the command does, before it is told to serve: others are recognised when they are there already."""
    assert set(python(IMPORT_ALL).split()) & FOREIGN == set()


def test_the_import_is_fast() -> None:
    """The best of five runs stays within the budget, which is many times what the import takes."""
    best = min(float(python(TIMED_IMPORT)) for _ in range(5))

    assert best < BUDGET_MS
