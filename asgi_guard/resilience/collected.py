"""Collected: what several settings objects find wrong is told in one error, as the user's one call that it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.settings import Problems

T = TypeVar("T")


def made(problems: Problems, make: Callable[[], T], instead: T) -> T:
    """Return what `make` makes; or, with its problems noted, something that stands for it until they are raised."""
    try:
        return make()
    except ConfigError as error:
        problems.extend(error.problems)
        return instead
