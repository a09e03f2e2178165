"""An empty layer: every hook may be called, and none of them costs anything."""

from __future__ import annotations

import pytest

from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import HOOKS, Layer
from asgi_guard.engine.plan import is_filled
from asgi_guard.testing import call


async def hello(scope, receive, send):
    """Answer every request alike."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"1")]})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.mark.anyio
async def test_the_hooks_of_an_empty_layer_do_nothing() -> None:
    """A layer may call the inherited hook as any class does."""
    layer = Layer()

    assert layer.admit(None) is None
    assert await layer.admit_async(None) is None
    assert layer.inbound(None, {}) is None
    assert await layer.body(None, None) is None
    assert layer.rescue(None, Exception()) is None
    for answer in (layer.head(None, []), layer.outbound(None, {}), layer.complete(None), layer.finish(None)):
        assert answer is None
    assert list(layer.refusals()) == []
    assert await layer.shutdown() is None


def test_no_hook_of_an_empty_layer_is_filled() -> None:
    """So that the engine collects none of them."""
    assert [hook for hook in HOOKS if is_filled(Layer(), hook)] == []


@pytest.mark.anyio
async def test_an_empty_layer_changes_nothing() -> None:
    """The messages that go out are those of the application."""
    bare, wrapped = await call(hello), await call(Middleware(hello, Layer()))

    assert wrapped.messages == bare.messages
