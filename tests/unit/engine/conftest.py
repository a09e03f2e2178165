"""Two small builders that every test of the engine uses."""

from __future__ import annotations

import pytest

from asgi_guard.engine.layer import Layer


@pytest.fixture
def layer():
    """Make a layer of hooks and attributes: `layer(head=..., holds_start=True)`."""

    def make(**attributes):
        made = Layer()
        made.admit_deadline_seconds = None  # a test that is about something else fails on no busy machine
        vars(made).update(attributes)
        return made

    return make


@pytest.fixture
def sending():
    """Make an application that sends these messages, raises an exception if there is one, and returns."""

    def make(*steps):
        async def app(scope, receive, send):
            for step in steps:
                if isinstance(step, BaseException):
                    raise step
                await send({**step})

        return app

    return make
