"""Timing: how long each layer takes, measured for one request in so many, so that the others pay nothing for it.

A second plan of the same layers has a clock around each hook. What a layer takes with one request is added up over its
hooks, and told when the call ends. What `body` waits for the client is not the layer's time, and is left out.
Must never change what a hook does, returns or raises.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, repeat
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Final

from asgi_guard.engine.layer import Layer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asgi_guard.engine.plan import Plan

ONE_IN: Final = 64
"""How many requests one of them is measured among."""

Wrap = Callable[[Layer, str, Callable[..., Any]], Callable[..., Any]]
"""Gives a hook of a layer, known by its name, something around it."""


class _Spent(Layer):
    """Stands for the nanoseconds of each layer among what is kept for one request."""


SPENT: Final = _Spent()
"""The key of the cell in which a measured request keeps the nanoseconds of each layer."""


def plans(plan: Plan) -> Iterator[Plan]:
    """Return the plans for all requests to come: one in 64 is measured, where a layer wants to know."""
    witness = next((layer for layer in plan.layers if layer.aggregate is not None), None)
    if witness is None:
        return repeat(plan)
    measured = type(plan)(plan.layers, wrap=timed)
    measured.finishes = (*measured.finishes, (0, _teller(witness)))
    return cycle([*[plan] * (ONE_IN - 1), measured])  # not the first: it pays for what is made once


def timed(layer: Layer, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Put a clock around a hook."""
    if hook == "body":
        return _timed_body(layer, function)
    if hook == "admit_async":
        return _timed_wait(layer, function)

    def measured(exchange: Any, *args: Any) -> Any:
        started = perf_counter_ns()
        try:
            return function(exchange, *args)
        finally:
            _add(exchange, layer, perf_counter_ns() - started)

    return measured


def _timed_wait(layer: Layer, function: Callable[..., Any]) -> Callable[..., Any]:
    async def measured(exchange: Any) -> Any:
        started = perf_counter_ns()
        try:
            return await function(exchange)
        finally:
            _add(exchange, layer, perf_counter_ns() - started)

    return measured


def _timed_body(layer: Layer, function: Callable[..., Any]) -> Callable[..., Any]:
    async def measured(exchange: Any, receive: Any) -> Any:
        waited = 0

        async def look_ahead() -> Any:
            nonlocal waited
            asked = perf_counter_ns()
            try:
                return await receive()
            finally:
                waited += perf_counter_ns() - asked

        started = perf_counter_ns()
        try:
            return await function(exchange, look_ahead)
        finally:
            _add(exchange, layer, perf_counter_ns() - started - waited)

    return measured


def _add(exchange: Any, layer: Layer, nanoseconds: int) -> None:
    spent: dict[Layer, int] = exchange.cells.setdefault(SPENT, {})
    spent[layer] = spent.get(layer, 0) + nanoseconds


def _teller(witness: Layer) -> Callable[[Any], None]:
    def tell(exchange: Any) -> None:
        for layer, nanoseconds in exchange.cells.get(SPENT, {}).items():
            witness.took(layer, nanoseconds)

    return tell
