"""Told: settings as a person would write them, for `explain()`.

Must never show a secret: settings that have one hide it in their own words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, cast

from asgi_guard.layers.rate_limit import RateLimit
from asgi_guard.settings import shown


def told(settings: Any) -> str:
    """Write settings as they would be written in code, functions by their names."""
    return _call(settings, {field.name: getattr(settings, field.name) for field in fields(settings) if field.init})


def _call(made: object, arguments: Mapping[str, object]) -> str:
    written = [f"{name}={_written(value)}" for name, value in arguments.items()]
    return f"{type(made).__name__}({', '.join(written)})"


def _written(value: Any) -> str:
    name: str | None = getattr(value, "__qualname__", None)
    if name is not None:
        return name
    if isinstance(value, RateLimit):
        return told(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, cast('Sequence[object]', value)))}]"
    settings = getattr(value, "settings", None)
    if isinstance(settings, Mapping):  # a store: what it goes by, also where nobody has said it
        return _call(value, cast("Mapping[str, object]", settings))
    try:
        return repr(value)
    except ValueError:  # a number of thousands of digits
        return shown(value)
