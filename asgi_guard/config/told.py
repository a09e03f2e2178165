"""Told: settings as a person would write them, for `explain()`.

Must never show a secret: settings that have one hide it in their own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from typing import Any, cast

from asgi_guard.engine.layer import Layer
from asgi_guard.layers.rate_limit import RateLimit
from asgi_guard.limiting.rate import Limit
from asgi_guard.settings import shown


def explained(order: Iterable[str], parts: Mapping[str, Layer], *, whole: bool) -> str:
    """Write each part, its settings and what it refuses.

    Args:
        order: the names of all parts.
        parts: those that are on, by their names.
        whole: whether the fields are told that are as by default.
    """
    lines: list[str] = []
    for name in order:
        if name not in parts:
            lines.append(f"{name}: off")
            continue
        lines.append(f"{name}: {told(parts[name].settings, whole=whole)}")
        lines.extend(f"  {refusal}" for refusal in parts[name].refusals())
    return "\n".join(lines)


def told(settings: Any, *, whole: bool = True) -> str:
    """Write settings as they would be written in code, functions by their names.

    Args:
        settings: a dataclass.
        whole: whether the fields are told that are as by default.
    """
    values = {field: getattr(settings, field.name) for field in fields(settings) if field.init}
    given = {field.name: value for field, value in values.items() if whole or not _is_default(field, value)}
    return _call(settings, given, whole=whole)


def _is_default(field: Field[Any], value: object) -> bool:
    default = field.default if field.default_factory is MISSING else field.default_factory()
    return bool(value is default or (type(value) is type(default) and value == default))


def _call(made: object, arguments: Mapping[str, object], *, whole: bool) -> str:
    written = [f"{name}={_written(value, whole)}" for name, value in arguments.items()]
    return f"{type(made).__name__}({', '.join(written)})"


def _written(value: Any, whole: bool) -> str:
    from asgi_guard.watch.alert_settings import Alert  # not needed where a guard is only built

    name: str | None = getattr(value, "__qualname__", None)
    if name is not None:
        return name
    if isinstance(value, RateLimit | Alert):
        return told(value, whole=whole)
    if isinstance(value, list | tuple):
        return f"[{', '.join([_written(one, whole) for one in cast('Sequence[object]', value)])}]"
    settings = getattr(value, "settings", None)
    if isinstance(settings, Mapping):  # a store: what it goes by, also where nobody has said it
        return _call(value, cast("Mapping[str, object]", settings), whole=whole)
    try:
        return repr(value.name if isinstance(value, Limit) else value)
    except ValueError:  # a number of thousands of digits
        return shown(value)
