"""Plan: the hooks of a stack of layers, collected once, in the order in which real nesting would run them.

Position 0 is the outermost layer. `admit`, `inbound`, `body` and `complete` run from the outside in; `head`,
`outbound`, `rescue` and `finish` from the inside out. A plan is immutable and holds no request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from asgi_guard.engine.layer import HOOKS, Layer

Steps = tuple[tuple[int, Callable[..., Any]], ...]
"""Hooks with the positions of their layers, in the order in which they run."""


class Plan:
    """The compiled form of a stack of layers.

    Args:
        layers: outermost first; each instance at most once.
    """

    __slots__ = (
        "admits",
        "bodies",
        "completes",
        "finishes",
        "heads",
        "holds",
        "inbounds",
        "layers",
        "listened",
        "outbounds",
        "positions",
        "rescues",
        "size",
        "wants",
    )

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers: tuple[Layer, ...] = tuple(layers)
        self.size: int = len(self.layers)
        self.positions: dict[Layer, int] = {layer: position for position, layer in enumerate(self.layers)}
        self.wants: frozenset[bytes] = frozenset[bytes]({b"host"}).union(*[layer.wants for layer in self.layers])
        self.holds: bool = any(layer.holds_start for layer in self.layers)

        self.admits: tuple[tuple[int, Callable[..., Any], bool], ...] = self._admits()
        self.inbounds: Steps = self._collect("inbound")
        self.bodies: Steps = self._collect("body")
        if self.bodies:
            self.wants |= {b"content-type"}
        self.completes: Steps = self._collect("complete")
        self.heads: Steps = self._collect("head")[::-1]
        self.outbounds: Steps = self._collect("outbound")[::-1]
        self.rescues: Steps = self._collect("rescue")[::-1]
        self.finishes: Steps = self._collect("finish")[::-1]
        self.listened: tuple[Layer, ...] = tuple(
            layer
            for layer in self.layers
            if layer.listeners and layer.decides and (is_filled(layer, "admit") or is_filled(layer, "admit_async"))
        )

    def _collect(self, hook: str) -> Steps:
        return tuple(
            (position, getattr(layer, hook)) for position, layer in enumerate(self.layers) if is_filled(layer, hook)
        )

    def _admits(self) -> tuple[tuple[int, Callable[..., Any], bool], ...]:
        steps: list[tuple[int, Callable[..., Any], bool]] = []
        for position, layer in enumerate(self.layers):
            if is_filled(layer, "admit"):
                steps.append((position, layer.admit, False))
            if is_filled(layer, "admit_async"):
                steps.append((position, _bounded(layer), True))
        return tuple(steps)


def is_filled(layer: Layer, hook: str) -> bool:
    """Tell whether a layer fills in a hook."""
    if hook not in HOOKS:
        raise KeyError(hook)
    return getattr(type(layer), hook) is not getattr(Layer, hook) or hook in getattr(layer, "__dict__", ())


def can_fuse(outer: Sequence[Layer], inner: Sequence[Layer]) -> bool:
    """Tell whether two stacks may become one plan without any visible difference from nesting.

    The same layer instance twice would share one cell: such stacks stay nested.
    """
    both = [*outer, *inner]
    return len(set(both)) == len(both)


def _bounded(layer: Layer) -> Callable[..., Awaitable[Any]]:
    """Give `admit_async` its deadline; a layer that bounds its own wait pays nothing."""
    seconds = layer.admit_deadline_seconds
    if seconds is None:
        return layer.admit_async

    from anyio import fail_after  # now, not when the first request waits

    async def admit(exchange: Any) -> Any:
        with fail_after(seconds):
            return await layer.admit_async(exchange)

    return admit
