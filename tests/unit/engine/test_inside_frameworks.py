"""Inside Starlette and FastAPI: added to the application, instead of wrapped around it."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi")

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route

from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.replies import Reply
from asgi_guard.testing import StrictServer, call, http_scope

FRAMEWORKS = [Starlette, FastAPI]


async def hello(request):
    """Answer."""
    return PlainTextResponse("hello")


async def fail(request):
    """Raise what nobody handles."""
    raise LookupError("a secret")


def build(framework, *layers, **settings):
    """Make an application with a middleware for each layer, the last one outermost."""
    app = framework(**settings)
    app.router.routes.extend([Route("/", hello), Route("/fail", fail)])
    for layer in layers:
        app.add_middleware(Middleware, layer)
    return app


@pytest.mark.anyio
@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_middlewares_that_are_added_one_by_one_are_one_object(layer, framework) -> None:
    """The framework nests them when it builds its stack, and so they fuse."""
    inner = layer(head=lambda exchange, headers: headers.append((b"x-inner", b"1")))
    outer = layer(head=lambda exchange, headers: headers.append((b"x-outer", b"1")))
    app = build(framework, inner, outer)

    response = await call(app)

    assert response.body == b"hello"
    assert [name for name, _ in response.headers][-2:] == [b"x-inner", b"x-outer"]
    stack = app.middleware_stack
    while not isinstance(stack, Middleware):
        stack = stack.app
    assert stack.layers == (outer, inner)


def answers_with_its_handler(request, exc):
    """Be the author's handler for everything."""
    return PlainTextResponse("the author's word", status_code=500)


STEPS_BACK = [
    ({"debug": True}, b"LookupError"),
    ({"exception_handlers": {Exception: answers_with_its_handler}}, b"the author's word"),
    ({"exception_handlers": {500: answers_with_its_handler}}, b"the author's word"),
]


@pytest.mark.anyio
@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("settings", "body"), STEPS_BACK)
async def test_an_error_after_the_response_is_left_to_a_framework_that_wants_it(
    layer, framework, settings, body
) -> None:
    """Debug, or a handler for everything, is the author's choice: outside of it nothing is swallowed."""

    async def background_fails(request):
        async def chunks():
            yield b"whole"

        async def work():
            raise LookupError("in the background")

        return StreamingResponse(chunks(), background=work)

    app = build(framework, layer(), **settings)
    app.router.routes.append(Route("/background", background_fails))
    server = await StrictServer(http_scope(path="/background")).serve(app)
    assert isinstance(server.error, LookupError)

    server = await StrictServer(http_scope(path="/fail", headers=[(b"accept", b"text/plain")])).serve(app)
    assert body in server.sent[1]["body"]


@pytest.mark.anyio
@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_an_error_after_the_response_is_logged_where_the_framework_has_no_wish(layer, framework, caplog) -> None:
    """Keep-alive lives on."""

    async def background_fails(request):
        async def work():
            raise LookupError("in the background")

        return PlainTextResponse("whole", background=work)

    app = build(framework, layer())
    app.router.routes.append(Route("/background", background_fails))

    response = await call(app, path="/background")

    assert response.body == b"whole"
    assert "after its response was complete" in caplog.text


@pytest.mark.anyio
@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_a_guard_may_stand_in_a_mount(layer, framework) -> None:
    """It never sees a lifespan, and its application sees its own root path."""
    rescued = layer(rescue=lambda exchange, exc: Reply(500, body=exchange.scope["root_path"].encode()))
    app = framework(routes=[Mount("/mounted", Middleware(build(framework), rescued))])

    assert (await call(app, path="/mounted/")).body == b"hello"


@pytest.mark.anyio
@pytest.mark.parametrize("framework", FRAMEWORKS)
async def test_the_framework_shows_through(layer, framework) -> None:
    """Routes may be added, and state read, on the wrapped application."""
    app = Middleware(build(framework), layer())

    app.state.answer = 42
    app.router.routes.append(Route("/later", hello))

    assert app.app.state.answer == 42
    assert (await call(app, path="/later")).body == b"hello"
