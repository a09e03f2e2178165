"""Override: what `scope["asgi_guard"]` says of the layers, for one request.

Whoever stands outside puts a mapping there before it calls the guard: `{"rate_limit": False}` leaves a layer out of
this request, `{"request_limits": {"max_body_bytes": 10**9}}` gives it other settings. The application finds the
exchange there and writes `scope["asgi_guard"]["security_headers"] = False` in the same way; it holds from then on. A
name means every layer that is called so, in this guard and in those around it or inside it. No client can write to a
scope, and what cannot be understood is an error, so that no protection is lost or kept by mistake.
Must never change a layer: what is said here is forgotten with the request.

| id    | rule that was broken                                          |
|-------|---------------------------------------------------------------|
| AG227 | the whole is a mapping, from names of layers                  |
| AG228 | a layer is overridden by False, or by fields of its settings  |
| AG229 | a field is one that a single request may override             |
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.settings import Problem, Problems

if TYPE_CHECKING:
    from asgi_guard.engine.exchange import Exchange
    from asgi_guard.engine.layer import Layer

logger: logging.Logger = logging.getLogger("asgi_guard")

KEY: Final = "asgi_guard"
"""The key in the scope."""

Fields = Mapping[str, Any]

_MEMO_SIZE: Final = 256
_looked_up: set[str] = set()


def begin(exchange: Exchange, given: Any) -> None:
    """Note what was said before the first layer has begun; `given` may be the exchange of a guard further out.

    Raises:
        ConfigError: it is no mapping.
    """
    said: Any = given.overrides if isinstance(given, type(exchange)) else given
    if said is None:
        return
    if not _is_mapping(said):
        rule, remedy = "must be a mapping from names of layers", 'Write {"rate_limit": False}, say.'
        raise ConfigError([Problem("AG227", f'scope["{KEY}"]', type(given).__name__, rule, remedy)])
    for name in said:
        _look_up(exchange, name)
    exchange.overrides = dict(said)
    exchange.plan = exchange.plan.overridden(exchange.overrides)
    exchange.holds = exchange.plan.holds


def step(layer: Layer) -> Callable[[Exchange], None]:
    """Make what runs before a layer's `admit` where something was said: whoever stands outside answers for mistakes."""

    def override(exchange: Exchange) -> None:
        overrides = exchange.overrides or {}
        for name, said in overrides.items():
            if said is not False and is_called(layer, name):
                try:
                    _override(exchange, layer, name, said)
                except Exception:  # what is wrong with it must not reach the answer to that
                    exchange.overrides = {other: fields for other, fields in overrides.items() if other != name}
                    raise

    return override


def say(exchange: Exchange, name: str, said: Any) -> None:
    """Take over what the application says of the layers that are called `name`; nothing happens where there is none.

    Raises:
        ConfigError: lists every problem; what was said before still holds.
    """
    _look_up(exchange, name)
    before = exchange.overrides
    exchange.overrides = {**(before or {}), name: said}
    if said is False:
        exchange.plan = exchange.plan.resting(name)
        for deadline in exchange.deadlines or ():
            if deadline.position in exchange.plan.silent:
                deadline.cancel()
        return
    try:
        for position, layer in reversed([*enumerate(exchange.plan.layers)]):
            if is_called(layer, name) and position not in exchange.plan.silent:
                _override(exchange, layer, name, said)
    except Exception:
        exchange.overrides = before
        raise


def _look_up(exchange: Exchange, name: str) -> None:
    """Say once that a name looks misspelt. It is no error: a guard further out or in may have a layer of that name."""
    known = {layer.name for layer in exchange.plan.layers}
    of_layer = name.partition(":")[0]
    if of_layer in known or name in _looked_up:
        return
    if len(_looked_up) < _MEMO_SIZE:
        from difflib import get_close_matches  # slow to import

        _looked_up.add(name)
        close = get_close_matches(of_layer, known, n=1, cutoff=0.85)
        if close:
            logger.warning('scope["%s"] speaks of %r, and no layer here has that name; is it %r?', KEY, name, close[0])


def is_called(layer: Layer, name: str) -> bool:
    """Tell whether a layer is meant; behind a colon stands one of several policies, which is the layer's to know."""
    return layer.name == name.partition(":")[0]


def _override(exchange: Exchange, layer: Layer, name: str, said: Any) -> None:
    if _is_mapping(said) and layer.overridable.issuperset(said):
        layer.override(exchange, said)
        return
    problems = Problems(f'scope["{KEY}"]')
    if not _is_mapping(said):
        rule = "must be False, or some of the layer's fields"
        problems.add("AG228", name, said, rule, "To leave the layer out of this request, write False.")
    else:
        can_be = ", ".join(sorted(layer.overridable))
        remedy = f"This layer takes {can_be}." if can_be else "This layer can only be left out, with False."
        rule = "is not a field that one request may override"
        problems.extend(
            Problem("AG229", f'scope["{KEY}"].{name}.{field}', "", rule, remedy)
            for field in said
            if field not in layer.overridable
        )
    problems.raise_if_any()


def _is_mapping(given: object) -> TypeGuard[Fields]:
    names: Any = given
    return isinstance(given, Mapping) and all(isinstance(name, str) for name in names)
