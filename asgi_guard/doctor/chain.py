"""What an application is made of: the guards that stand in front of it, and what its framework says of itself.

The chain is followed through the attributes that frameworks keep the next application in, and through closures.
Rule 1: at most so many objects are looked at. Must never call what it finds, nor import a framework to recognise it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import FunctionType, MemberDescriptorType, MethodType
from typing import Any, Final

from asgi_guard.engine.fuse import Middleware
from asgi_guard.guard import Guard

_NEXT: Final = (
    "app",
    "_app",
    "asgi_app",
    "asgi_handler",
    "application",
    "wrapped",
    "_wrapped",
    "inner",
    "next_app",
    "middleware_stack",
    "_middleware_chain",
    "func",
    "__wrapped__",
)
_MAX_OBJECTS: Final = 300


@dataclass(frozen=True, slots=True)
class Chain:
    """What stands in front of the routes, outermost first.

    Attributes:
        middlewares: those of this package that are not fused into another one.
        guards: how many of them, and of those fused into them, are whole guards.
        layers: the layers of all of them, outermost first.
        debugging: whose debug mode is on, by name.
    """

    middlewares: tuple[Middleware, ...]
    guards: int
    layers: tuple[Any, ...]
    debugging: tuple[str, ...]

    def settings(self, name: str) -> list[Any]:
        """Return the settings of each layer of this name."""
        return [layer.settings for layer in self.layers if layer.name == name]


def chain_of(app: Any) -> Chain:
    """Follow an application inwards; call it once more after it has been asked, since some build their chain then."""
    objects = list(_followed(app))
    all_of_ours = [one for one in objects if isinstance(one, Middleware)]
    fused = {id(one.app) for one in all_of_ours if _is_fused(one)}
    outer = tuple(one for one in all_of_ours if id(one) not in fused)
    return Chain(
        outer,
        sum(isinstance(one, Guard) for one in all_of_ours),
        tuple(layer for one in outer for layer in one.layers),
        tuple(dict.fromkeys([*_debugging(objects), *_django()])),
    )


def _is_fused(one: Middleware) -> bool:
    inner = one.app
    if not isinstance(inner, Middleware):
        return False
    ours = set(map(id, one.layers))
    return bool(inner.layers) and all(id(layer) in ours for layer in inner.layers)


def _followed(app: Any) -> Iterator[Any]:
    seen: set[int] = set()
    waiting = [app]
    while waiting and len(seen) < _MAX_OBJECTS:
        one = waiting.pop(0)
        if one is None or id(one) in seen or isinstance(one, (str, bytes, int, float, type)):
            continue
        seen.add(id(one))
        yield one
        waiting.extend(_within(one))


def _within(one: Any) -> Iterable[Any]:
    try:
        own: dict[str, Any] = object.__getattribute__(one, "__dict__")
    except AttributeError:
        own = {}
    for name in _NEXT:
        yield own.get(name) if name in own else _in_a_slot(one, name)
    if isinstance(one, MethodType):
        yield one.__self__
    for cell in (one.__closure__ or ()) if isinstance(one, FunctionType) else ():
        with suppress(ValueError):  # not filled yet
            if callable(cell.cell_contents):
                yield cell.cell_contents


def _in_a_slot(one: Any, name: str) -> Any:
    kind: type[Any] = one.__class__
    slot = getattr(kind, name, None)
    try:
        return slot.__get__(one) if isinstance(slot, MemberDescriptorType) else None
    except AttributeError:  # empty
        return None


def _debugging(objects: Iterable[Any]) -> Iterator[str]:
    for one in objects:
        if isinstance(one, Middleware):
            continue
        named = type(one).__name__
        try:
            is_on = getattr(one, "debug", False) is True
        except Exception:  # noqa: BLE001, S112  a property of somebody else's
            continue
        if is_on:
            yield f"{type(one).__module__.partition('.')[0]} ({named}.debug)"


def _django() -> Iterator[str]:
    """Look at Django's settings, where it was loaded and they were read."""
    conf = sys.modules.get("django.conf")
    settings = getattr(conf, "settings", None)
    if getattr(settings, "configured", False) and getattr(settings, "DEBUG", False) is True:
        yield "django (settings.DEBUG)"
