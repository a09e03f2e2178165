"""Plan: the hooks of a stack of layers, collected once, in the order in which real nesting would run them.

Position 0 is the outermost layer. `admit`, `inbound`, `body` and `complete` run from the outside in; `head`,
`outbound`, `rescue` and `finish` from the inside out. A plan is immutable and holds no request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from asgi_guard.engine import override
from asgi_guard.engine.layer import HOOKS, Layer

_MEMO_SIZE = 64

Steps = tuple[tuple[int, Callable[..., Any]], ...]
"""Hooks with the positions of their layers, in the order in which they run."""


class Plan:
    """The compiled form of a stack of layers.

    Args:
        layers: outermost first; each instance at most once.
        absent: the positions of layers that keep their place and do nothing at all.
        at_rest: those of layers that do nothing more but release what they have taken.
        overridden: those of layers of whose settings something was said: before their `admit` stands a look at it.
        variants: the plans of these layers with others absent or at rest, shared among all of them.
        wrap: puts something around each hook; see `timing`.
    """

    __slots__ = (
        "_absent",
        "_at_rest",
        "_by_said",
        "_overridden",
        "_variants",
        "admits",
        "bodies",
        "completes",
        "finishes",
        "heads",
        "holds",
        "inbounds",
        "layers",
        "listened",
        "names",
        "outbounds",
        "overridable",
        "positions",
        "repeated",
        "replaces",
        "rescues",
        "silent",
        "size",
        "wants",
    )

    def __init__(
        self,
        layers: Sequence[Layer],
        *,
        absent: frozenset[int] = frozenset(),
        at_rest: frozenset[int] = frozenset(),
        overridden: frozenset[int] = frozenset(),
        variants: dict[tuple[frozenset[int], frozenset[int], frozenset[int]], Plan] | None = None,
        wrap: Callable[[Layer, str, Callable[..., Any]], Callable[..., Any]] | None = None,
    ) -> None:
        self.layers: tuple[Layer, ...] = tuple(layers)
        self.silent: frozenset[int] = absent | at_rest
        self._absent = absent
        self._at_rest = at_rest
        self._overridden = overridden
        # One table for all: a chain of tables would grow with each word that an application says.
        self._variants: dict[tuple[frozenset[int], frozenset[int], frozenset[int]], Plan] = (
            {} if variants is None else variants
        )
        self._by_said: dict[tuple[tuple[str, bool], ...], Plan] = {}
        present = [(position, layer) for position, layer in enumerate(self.layers) if position not in absent]
        working = [(position, layer) for position, layer in present if position not in at_rest]
        self.size: int = len(self.layers)
        self.names: frozenset[str] = frozenset(layer.name for _, layer in working)
        self.repeated: frozenset[Layer] = _repeated(working)
        self.positions: dict[Layer, int] = {layer: position for position, layer in enumerate(self.layers)}
        self.wants: frozenset[bytes] = frozenset[bytes]({b"host"}).union(*[layer.wants for layer in self.layers])
        self.holds: bool = any(layer.holds_start for _, layer in working)
        # One that has the aggregate has to be found by another further in, lest a request be measured twice.
        self.overridable: bool = any(
            layer.overridable or layer.aggregate is not None or is_filled(layer, "head") for layer in self.layers
        )

        self.admits: tuple[tuple[int, Callable[..., Any], bool], ...] = _admits(working, overridden, wrap)
        self.inbounds: Steps = _collect("inbound", working, wrap)
        self.bodies: Steps = _collect("body", working, wrap)
        if self.bodies:
            self.wants |= {b"content-type", b"content-length", b"transfer-encoding"}
        self.completes: Steps = _collect("complete", working, wrap)
        self.heads: Steps = _collect("head", working, wrap)[::-1]
        self.outbounds: Steps = _collect("outbound", working, wrap)[::-1]
        self.rescues: Steps = _collect("rescue", working, wrap)[::-1]
        self.replaces: Steps = _collect("replace", working, wrap)[::-1]
        self.finishes: Steps = _collect("finish", present, wrap)[::-1]
        self.listened: tuple[Layer, ...] = tuple(
            layer
            for _, layer in working
            if layer.listeners and layer.decides and (is_filled(layer, "admit") or is_filled(layer, "admit_async"))
        )

    def overridden(self, said: Mapping[str, Any]) -> Plan:
        """Return the same stack for a request of which this was said: the layers of which it is False are absent."""
        what = tuple([(name, fields is False) for name, fields in said.items()])
        variant = self._by_said.get(what)
        if variant is None:
            absent = self._called(name for name, is_off in what if is_off and ":" not in name)
            overridden = self._called(name for name, is_off in what if not is_off)
            variant = self._variant(self._absent | absent, self._at_rest, overridden)
            if len(self._by_said) >= _MEMO_SIZE:
                self._by_said.clear()
            self._by_said[what] = variant
        return variant

    def resting(self, name: str) -> Plan:
        """Return the same stack for the rest of a request: the layers of this name only release what they have."""
        resting = {position for position, layer in enumerate(self.layers) if layer.name == name}
        return self._variant(self._absent, self._at_rest | (resting - self._absent), self._overridden)

    def _called(self, names: Iterable[str]) -> frozenset[int]:
        """Return the positions of the layers that are meant by any of these names."""
        meant = [*names]
        return frozenset(
            position
            for position, layer in enumerate(self.layers)
            if any(override.is_called(layer, name) for name in meant)
        )

    def _variant(self, absent: frozenset[int], at_rest: frozenset[int], overridden: frozenset[int]) -> Plan:
        key = absent, at_rest, overridden
        variant = self._variants.get(key)
        if variant is None:
            if len(self._variants) >= _MEMO_SIZE:
                self._variants.clear()
            variant = Plan(self.layers, absent=absent, at_rest=at_rest, overridden=overridden, variants=self._variants)
            self._variants[key] = variant
        return variant


def is_filled(layer: Layer, hook: str) -> bool:
    """Tell whether a layer fills in a hook."""
    if hook not in HOOKS:
        raise KeyError(hook)
    return getattr(type(layer), hook) is not getattr(Layer, hook) or hook in getattr(layer, "__dict__", ())


def _collect(hook: str, working: Iterable[tuple[int, Layer]], wrap: Any) -> Steps:
    filled = [(position, layer, getattr(layer, hook)) for position, layer in working if is_filled(layer, hook)]
    return tuple((at, wrap(layer, hook, function) if wrap else function) for at, layer, function in filled)


def _repeated(working: Iterable[tuple[int, Layer]]) -> frozenset[Layer]:
    """Return the layers that stand inside another one of their name."""
    outermost: dict[str, Layer] = {}
    return frozenset(layer for _, layer in working if outermost.setdefault(layer.name, layer) is not layer)


def _admits(
    working: Iterable[tuple[int, Layer]], overridden: frozenset[int], wrap: Any
) -> tuple[tuple[int, Callable[..., Any], bool], ...]:
    steps: list[tuple[int, Callable[..., Any], bool]] = []
    for position, layer in working:
        if position in overridden:
            steps.append((position, override.step(layer), False))
        if is_filled(layer, "admit"):
            steps.append((position, wrap(layer, "admit", layer.admit) if wrap else layer.admit, False))
        if is_filled(layer, "admit_async"):
            bounded = _bounded(layer)
            steps.append((position, wrap(layer, "admit_async", bounded) if wrap else bounded, True))
    return tuple(steps)


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
