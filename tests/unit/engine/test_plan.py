"""How a stack of layers becomes lists of hooks."""

from __future__ import annotations

import anyio
import pytest

from asgi_guard.engine.layer import HOOKS, Layer
from asgi_guard.engine.plan import Plan, can_fuse, is_filled


class Everything(Layer):
    """A layer that fills in every hook."""

    def admit(self, exchange): ...

    async def admit_async(self, exchange): ...

    def inbound(self, exchange, message): ...

    async def body(self, exchange, receive): ...

    def head(self, exchange, headers): ...

    def outbound(self, exchange, message): ...

    def rescue(self, exchange, exc): ...

    def replace(self, exchange, start, body, exc): ...

    def complete(self, exchange): ...

    def finish(self, exchange): ...


class Holding(Layer):
    holds_start = True


FROM_OUTSIDE_IN = ("admits", "inbounds", "bodies", "completes")
FROM_INSIDE_OUT = ("heads", "outbounds", "rescues", "replaces", "finishes")


def test_hooks_run_in_the_order_of_nesting() -> None:
    """What comes in passes the outermost layer first, what goes out the innermost."""
    plan = Plan([Everything(), Layer(), Everything()])

    assert [step[0] for step in plan.admits] == [0, 0, 2, 2]
    for name in FROM_OUTSIDE_IN[1:]:
        assert [position for position, _ in getattr(plan, name)] == [0, 2]
    for name in FROM_INSIDE_OUT:
        assert [position for position, _ in getattr(plan, name)] == [2, 0]


def test_only_filled_hooks_are_collected() -> None:
    """By a class, by one of its bases, or on the object itself."""
    on_the_object = Layer()
    on_the_object.head = lambda exchange, headers: None

    assert [hook for hook in HOOKS if is_filled(Everything(), hook)] == list(HOOKS)
    assert [hook for hook in HOOKS if is_filled(on_the_object, hook)] == ["head"]
    assert [hook for hook in HOOKS if is_filled(Layer(), hook)] == []


def test_a_hook_without_a_name_in_the_contract_is_a_programming_error() -> None:
    """A typo must not look like a hook that nobody filled in."""
    with pytest.raises(KeyError, match="headers"):
        is_filled(Layer(), "headers")


def test_a_layer_without_a_dict_of_its_own_is_a_layer() -> None:
    """Slots are allowed."""

    class Slotted(Layer):
        __slots__ = ()

        def head(self, exchange, headers): ...

    assert is_filled(Slotted(), "head")
    assert not is_filled(Slotted(), "admit")


HOLDING = [([], False), ([Layer()], False), ([Layer(), Holding(), Layer()], True), ([Holding(), Holding()], True)]


@pytest.mark.parametrize(("layers", "holds"), HOLDING)
def test_a_stack_holds_the_start_when_any_of_its_layers_asks_for_it(layers, holds) -> None:
    """Wherever it stands, and however many ask: the start is held before any head, for all of them at once."""
    assert Plan(layers).holds is holds


def test_who_is_told_that_a_request_was_allowed() -> None:
    """Only layers that decide at the door, whose decision is worth an event, and to whom somebody listens."""
    deciding, silent, unheard, undecided = Everything(), Everything(), Everything(), Layer()
    for layer in (deciding, silent, undecided):
        layer.listeners = (print,)
    silent.decides = False

    assert Plan([deciding, silent, unheard, undecided]).listened == (deciding,)


SHARED = Layer()
FUSING = [
    ([], [], True),
    ([Layer()], [Layer()], True),
    ([SHARED], [SHARED], False),
    ([Layer(), SHARED], [Layer(), SHARED], False),
    ([Holding()], [Layer()], True),
    ([Holding()], [Holding()], True),
]


@pytest.mark.parametrize(("outer", "inner", "can"), FUSING)
def test_stacks_fuse_unless_that_would_show(outer, inner, can) -> None:
    """One layer twice would share its cell; two that hold the start hold the same one."""
    assert can_fuse(outer, inner) is can


# The deadline of admit_async ------------------------------------------------------------------------------------------


class Waiting(Layer):
    """A layer whose decision never comes."""

    async def admit_async(self, exchange):
        await anyio.sleep_forever()


@pytest.mark.anyio
async def test_a_decision_that_takes_too_long_has_failed() -> None:
    """With TimeoutError, which is an exception like any other: what it means is the layer's setting."""
    layer = Waiting()
    layer.admit_deadline_seconds = 0
    ((_, admit, waits),) = Plan([layer]).admits

    assert waits
    with pytest.raises(TimeoutError):
        await admit(None)


@pytest.mark.anyio
async def test_a_decision_in_time_is_the_decision() -> None:
    """What the layer returns is returned."""

    class Quick(Layer):
        async def admit_async(self, exchange):
            return exchange

    ((_, admit, _),) = Plan([Quick()]).admits

    assert await admit("decided") == "decided"


def test_a_layer_that_bounds_its_own_wait_pays_nothing() -> None:
    """Its hook is called as it is."""
    layer = Waiting()
    layer.admit_deadline_seconds = None

    ((_, admit, _),) = Plan([layer]).admits

    assert admit == layer.admit_async
