"""Which application a name stands for, and what is said where it stands for none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.serve.application import find, told

SHOP = """
async def app(scope, receive, send): ...

class Class:
    async def __call__(self, scope, receive, send): ...

class Nest:
    inner = Class()

def create_app():
    return app

def broken():
    raise LookupError("no till")

def wsgi(environ, start_response): ...

class Awaitable:
    def __init__(self, scope, receive, send): ...
    def __await__(self): ...

needs = lambda settings: app
instance, nest, number, compiled = Class(), Nest(), 7, type
"""
MODULES = {
    "shop_to_find/__init__.py": "",
    "shop_to_find/web.py": SHOP,
    "shop_to_find/broken.py": "import shop_to_find\n1 / 0\n",
    "shop_to_find/misses.py": "import a_library_that_nobody_has\n",
    "shop_to_find/typo.py": "def (:\n",
}


@pytest.fixture(autouse=True)
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put a package with applications where it can be imported, for the time of a test."""
    (tmp_path / "shop_to_find").mkdir()
    for name, code in MODULES.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.startswith("shop_to_find")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("shop_to_find.web:app", "app"),
        ("shop_to_find.web:instance", "instance"),
        ("shop_to_find.web:nest.inner", "nest.inner"),
        ("shop_to_find.web:create_app()", "app"),
        ("shop_to_find.web:Class()", "instance"),
        ("shop_to_find.web:Awaitable", "Awaitable"),
    ],
)
def test_a_name_is_looked_up(name: str, found: str) -> None:
    """An attribute, however deep, is the application; with parentheses, what it returns is."""
    module = __import__("shop_to_find.web", fromlist=["web"])
    expected = module.nest.inner if found == "nest.inner" else getattr(module, found)

    application = find(name)

    assert application is expected or type(application) is type(expected) is module.Class


@pytest.mark.parametrize(
    ("name", "problem_id", "hint"),
    [
        ## the form
        ("", "AG550", "Write module:attribute"),
        ("shop_to_find.web", "AG550", "Write module:attribute"),
        ("shop_to_find.web:", "AG550", "Write module:attribute"),
        (":app", "AG550", "Write module:attribute"),
        ("shop_to_find.web:app:app", "AG550", "Write module:attribute"),
        ("shop_to_find..web:app", "AG550", "Write module:attribute"),
        ("shop_to_find.web:create_app('x')", "AG550", "Write module:attribute"),
        ("shop_to_find.web:create_app()()", "AG550", "Write module:attribute"),
        ("shop_to_find.web:app or 1", "AG550", "Write module:attribute"),
        ("shop_to_find/web.py:app", "AG550", "Write a module, not a file: shop_to_find.web:app."),
        ("./web.py", "AG550", "Write a module, not a file: web:app."),
        ## the module
        ("shop_to_lose:app", "AG551", "no 'shop_to_lose'"),
        ("shop_to_find.wab:app", "AG551", "no 'shop_to_find.wab'"),
        ("shop_to_find.web.deeper:app", "AG551", "no 'shop_to_find.web.deeper'"),
        ## the attribute
        ("shop_to_find.web:creat_app()", "AG552", "Did you mean 'create_app'?"),
        ("shop_to_find.web:nest.iner", "AG552", "Did you mean 'inner'?"),
        ("shop_to_find.web:zzz", "AG552", "Write module:attribute"),
        ## what it is
        ("shop_to_find.web:number", "AG553", "is 7"),
        ("shop_to_find.web:create_app", "AG553", "write shop_to_find.web:create_app()"),
        ("shop_to_find.web:Class", "AG553", "write shop_to_find.web:Class()"),
        ("shop_to_find.web:Nest()", "AG553", "Name the application itself."),
        ("shop_to_find.web:wsgi", "AG553", "must be an ASGI 3 application"),
        ("shop_to_find.web:compiled", "AG553", "must be an ASGI 3 application"),
        ## its own code
        ("shop_to_find.web:broken()", "AG554", "no till"),
        ("shop_to_find.web:needs()", "AG554", "settings"),
        ("shop_to_find.broken:app", "AG554", "division by zero"),
        ("shop_to_find.misses:app", "AG554", "a_library_that_nobody_has"),
        ("shop_to_find.typo:app", "AG554", "SyntaxError"),
    ],
)
def test_what_is_no_application_is_refused(name: str, problem_id: str, hint: str) -> None:
    """The problem is named, and what to do about it."""
    with pytest.raises(ConfigError) as caught:
        find(name)

    assert [problem.id for problem in caught.value.problems] == [problem_id]
    assert hint in str(caught.value)


@pytest.mark.parametrize("name", ["shop_to_find.broken:app", "shop_to_find.web:broken()"])
def test_an_authors_mistake_is_told_with_its_traceback(name: str) -> None:
    """It begins with the author's own code; how it was reached says nothing to anybody."""
    with pytest.raises(ConfigError) as caught:
        find(name)
    lines = told(caught.value).splitlines()

    assert lines[0] == "Traceback (most recent call last):"
    assert "shop_to_find" in lines[1]
    assert lines[-1].startswith("  AG554 ")


def test_everybody_elses_mistake_is_told_without() -> None:
    """There is nothing to see in our own code."""
    with pytest.raises(ConfigError) as caught:
        find("shop_to_lose:app")

    assert told(caught.value) == str(caught.value)


def test_a_built_in_that_does_not_say_what_it_takes_is_taken_at_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """An application may be compiled."""
    module = __import__("shop_to_find.web", fromlist=["web"])
    monkeypatch.setattr(module, "compiled", min)

    assert find("shop_to_find.web:compiled") is min
