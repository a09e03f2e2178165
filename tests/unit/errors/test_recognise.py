"""Where the guard leaves an exception to the framework around it."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from asgi_guard.errors.recognise import steps_back


async def handler(request: object, exc: Exception) -> None:
    """Stand for an author's own answer."""


class LooksLikeStarlette:
    """Has the attributes, but is of another class."""

    def __init__(self) -> None:
        self.debug = True
        self.exception_handlers = {500: handler}


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, False),
        ({"debug": True}, True),
        ({"exception_handlers": {Exception: handler}}, True),
        ({"exception_handlers": {500: handler}}, True),
        ({"exception_handlers": {404: handler, ValueError: handler}}, False),
    ],
)
def test_the_word_of_the_author_of_an_application_counts(
    framework: type[Starlette], settings: dict[str, object], expected: bool
) -> None:
    """Debug, or a handler for everything, is to be seen by the framework's own error middleware."""
    assert steps_back(framework(**settings)) is expected


def test_a_handler_that_is_added_later_counts() -> None:
    """The application may be finished after the guard was added."""
    app = FastAPI()
    app.add_exception_handler(Exception, handler)

    assert steps_back(app)


@pytest.mark.parametrize("app", [None, object(), LooksLikeStarlette(), Starlette])
def test_nothing_else_is_recognised(app: object) -> None:
    """An application is known by its class, never by its attributes."""
    assert not steps_back(app)


@pytest.mark.parametrize("module", [None, ModuleType("starlette.applications")])
def test_without_the_framework_there_is_nothing_to_step_back_for(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType | None
) -> None:
    """A module that is not there, or not yet whole, has made no application."""
    monkeypatch.setitem(sys.modules, "starlette.applications", module)  # type: ignore[arg-type]

    assert not steps_back(Starlette(debug=True))


def test_no_framework_is_imported() -> None:
    """It is looked up among the modules that are there."""
    code = (
        "import sys; from asgi_guard.errors.recognise import steps_back; steps_back(object());"
        "sys.exit(any(name.startswith(('starlette', 'fastapi')) for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
