"""Routes: each framework says which template it has chosen, mounts and all, and a path is never taken for one."""

from __future__ import annotations

import sys

import pytest

from asgi_guard import Telemetry, TelemetryMiddleware
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.telemetry import frameworks
from asgi_guard.telemetry.routes import KEY, route_of
from asgi_guard.testing import call

pytestmark = pytest.mark.anyio

ITEM = "/v1/items/7"


@pytest.fixture
def anyio_backend() -> str:
    """Run on asyncio: half of the frameworks know nothing else."""
    return "asyncio"


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """Let frameworks read their files when they are first used."""


class Noting(Layer):
    """Notes the route of each request once it was answered."""

    def __init__(self) -> None:
        self.routes: list[str] = []

    def complete(self, exchange) -> None:
        self.routes.append("".join(route_of(exchange.scope)))


async def asked(app, *paths) -> list[str]:
    """Return the route of each of these requests."""
    layer = Noting()
    guarded = Middleware(app, layer)
    for path in paths:
        await call(guarded, "GET", path)
    return layer.routes


async def test_starlette_says_it_with_its_mounts() -> None:
    """Also of what a mount does not find; the value of a parameter of the mount is the client's, and no part of it."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route, WebSocketRoute
    from starlette.staticfiles import StaticFiles

    def item(_request) -> PlainTextResponse:
        return PlainTextResponse("it")

    items = [Route("/items/{key:int}", item), WebSocketRoute("/echo", item)]
    routes = [
        *items,
        Mount("/v1", routes=items),
        Mount("/of/{tenant}", routes=items),
        Mount("/static", StaticFiles(directory=".")),
    ]

    paths = ["/items/7", ITEM, "/v1/nothing", "/of/acme/items/7", "/of/%3Cx%3E/items/8", "/static/no", "/nowhere"]
    assert await asked(Starlette(routes=routes), *paths) == [
        "/items/{key}",
        "/v1/items/{key}",
        "/v1/{path}",
        "/of/{tenant}/items/{key}",
        "/of/{tenant}/items/{key}",
        "/static/{path}",
        "",
    ]


async def test_fastapi_says_it_with_its_routers_and_sub_applications() -> None:
    """A wrong method is one of its routes too."""
    from fastapi import APIRouter, FastAPI

    router = APIRouter(prefix="/items")
    router.get("/{key}")(lambda: 1)
    app, below = FastAPI(), FastAPI()
    below.get("/t/{tid}")(lambda: 1)
    app.include_router(router, prefix="/v1")
    app.post("/only")(lambda: 1)
    app.mount("/sub", below)

    routes = await asked(app, ITEM, "/sub/t/1", "/only", "/nowhere")
    assert routes == ["/v1/items/{key}", "/sub/t/{tid}", "/only", ""]


def routes_counted(aggregate: Aggregate) -> list[str]:
    """Return the routes that were counted, in their order."""
    return [
        route
        for point in aggregate.snapshot()
        if point.metric.name == "http.server.request.duration"
        for route in [point.attributes.get("http.route", "")]
        for _ in range(point.count)
    ]


async def test_fastapi_says_it_of_routes_that_are_starlettes() -> None:
    """Its own pages, routes that were added without a decorator, and what is mounted, in routers too."""
    pytest.importorskip("fastapi.telemetry", reason="FastAPI has no telemetry of its own yet")
    from fastapi import APIRouter, FastAPI
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from starlette.staticfiles import StaticFiles

    async def page(_request) -> PlainTextResponse:
        return PlainTextResponse("it")

    app, below, router = FastAPI(), FastAPI(), APIRouter(prefix="/r")
    app.add_route("/plain/{key}", page)
    router.get("/{key}")(lambda: 1)
    router.mount("/files", StaticFiles(directory="."))
    app.include_router(router, prefix="/v")
    below.get("/x/{tenant}")(lambda: 1)
    app.mount("/static", StaticFiles(directory="."))
    app.mount("/t/{tenant}", below)
    app.mount("/s", Starlette(routes=[Route("/x/{key}", page)]))
    expected = {
        "/docs": "/docs",
        "/openapi.json": "/openapi.json",
        "/plain/7": "/plain/{key}",
        "/v/r/7": "/v/r/{key}",
        "/v/files/none": "/v/files/{path}",
        "/static/none": "/static/{path}",
        "/t/acme/x/other": "/t/{tenant}/x/{tenant}",
        "/s/x/7": "/s/x/{key}",
        "/s/none": "/s/{path}",
        "/nowhere": "",
    }
    aggregate = Aggregate()
    guarded = TelemetryMiddleware(app, aggregate=aggregate)

    for path in expected:
        await call(guarded, "GET", path)

    assert routes_counted(aggregate) == [*expected.values()]


async def test_fastapi_says_it_below_its_root() -> None:
    """Which the server names."""
    from fastapi import FastAPI

    app, below = FastAPI(), FastAPI()
    app.get("/items/{key}")(lambda: 1)
    below.get("/things/{key}")(lambda: 1)
    app.mount("/sub", below)
    aggregate = Aggregate()
    guarded = TelemetryMiddleware(app, aggregate=aggregate)

    for path in ("/api/items/7", "/api/sub/things/7"):
        await call(guarded, "GET", path, root_path="/api")

    assert routes_counted(aggregate) == ["/api/items/{key}", "/api/sub/things/{key}"]


@pytest.mark.parametrize("between", [False, True], ids=["at once", "something between"])
async def test_a_guard_that_is_mounted_in_another_hides_no_route(between) -> None:
    """Whether or not it measures: the one that stands outside tells of what was found further in."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    from asgi_guard import Guard

    async def page(_request) -> PlainTextResponse:
        return PlainTextResponse("it")

    def wrapped(app):
        async def plain(scope, receive, send) -> None:
            async def sending(message) -> None:
                await send(message)

            await app(scope, receive, sending)

        return plain if between else app

    below = Starlette(routes=[Route("/items/{key}", page)])
    routes = [Mount("/a", Guard(below)), Mount("/b", wrapped(Guard(below, telemetry=False)))]
    aggregate = Aggregate()
    guarded = Guard(wrapped(Starlette(routes=routes)), telemetry=Telemetry(aggregate=aggregate))

    for path in ("/a/items/7", "/b/items/7"):
        await call(guarded, "GET", path)

    assert routes_counted(aggregate) == ["/a/items/{key}", "/b/items/{key}"]


async def test_litestar_says_it() -> None:
    """In a key of its own."""
    from litestar import Litestar, Router, get

    @get("/items/{key:int}")
    async def item() -> str:
        return "it"

    assert await asked(Litestar([Router("/v1", route_handlers=[item])]), ITEM, "/nowhere") == [
        "/v1/items/{key}",
        "",
    ]


async def test_quart_says_it_once_it_is_told_to() -> None:
    """Where it has found one."""
    from quart import Quart

    app = Quart("shop")

    @app.get("/v1/items/<int:key>")
    async def item(key) -> str:
        return "it"

    frameworks.name_quart_routes(app)
    assert await asked(app, ITEM, "/nowhere") == ["/v1/items/<int:key>", ""]


async def test_falcon_says_it_once_it_is_told_to() -> None:
    """Where it has found one."""
    import falcon.asgi

    class Item:
        async def on_get(self, req, resp, key) -> None:
            resp.text = "it"

    app = falcon.asgi.App(middleware=[frameworks.FalconRoutes()])
    app.add_route("/v1/items/{key}", Item())
    assert await asked(app, ITEM, "/nowhere") == ["/v1/items/{key}", ""]


async def test_blacksheep_says_it_once_it_is_told_to() -> None:
    """Where it has found one."""
    from blacksheep import Application, Router

    router = Router()

    @router.get("/v1/items/{key}")
    async def item() -> str:
        return "it"

    app = Application(router=router)
    frameworks.name_blacksheep_routes(app)
    await app.start()
    routes = await asked(app, ITEM, "/nowhere")
    await app.stop()
    assert routes == ["/v1/items/{key}", ""]


@pytest.mark.parametrize("is_async", [True, False])
async def test_django_says_it_once_it_is_told_to(monkeypatch, is_async) -> None:
    """For views of both kinds."""
    from django.conf import settings

    if not settings.configured:
        # As the shop configures them, which may be asked in the same process.
        settings.configure(
            ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None, SECRET_KEY="not one", ROOT_URLCONF="shops.in_django"
        )
    from django import setup
    from django.core.handlers.asgi import ASGIHandler
    from django.http import HttpResponse
    from django.test.utils import override_settings
    from django.urls import path, re_path

    setup()

    async def waiting(_request, key) -> HttpResponse:
        return HttpResponse("it")

    def plain(_request, key) -> HttpResponse:
        return HttpResponse("it")

    view = waiting if is_async else plain
    urls = [path("v1/items/<int:key>", view), re_path(r"^old/(?P<key>\d+)$", view)]
    monkeypatch.setattr(sys.modules[__name__], "urlpatterns", urls, raising=False)
    middleware = ["asgi_guard.telemetry.frameworks.django_routes"]
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=middleware, ALLOWED_HOSTS=["*"]):
        from django.urls import clear_url_caches

        clear_url_caches()
        assert await asked(ASGIHandler(), ITEM, "/old/1", "/nowhere") == [
            "/v1/items/<int:key>",
            r"/old/(?P<key>\d+)$",
            "",
        ]


@pytest.mark.parametrize(
    ("scope", "route"),
    [
        ({}, ("", "")),
        ({"path": "/items/7", "root_path": "/api"}, ("", "")),
        ({KEY: "/mine", "path_template": "/theirs"}, ("", "/mine")),
        ({KEY: 7, "path_template": b"/x", "route": "/x"}, ("", "")),
    ],
    ids=["nobody says", "only a path", "the application's word wins", "words of other types"],
)
def test_only_a_template_is_a_route(scope, route) -> None:
    """Whatever else stands there is left alone."""
    assert route_of(scope) == route


@pytest.mark.parametrize(
    ("asked_for", "route"),
    [
        ("/t/acme/nowhere", "/t/{id}/{path}"),
        ("/t/acme/x/7", "/t/{id}/x/{key}"),
        ("/n/0007/x/7", "/{mount}/x/{key}"),
        ("/n/7/x/7", "/n/{number}/x/{key}"),
        ("/u/6F9619FF-8B86-D011-B42D-00CF4FC964FF/x/7", "/{mount}/x/{key}"),
        ("/p/a/b/c/x/7", "/{mount}/{path}"),
        ("/any/acme/x", "/any/{id}/{path}"),
        ("/t/acme/y/7", "/{mount}/y/{id}"),
        ("/v1/y/7", "/v1/y/{id}"),
        ("/v1/t/acme/y/7", "/{mount}/y/{id}"),
    ],
)
async def test_no_mount_tells_what_a_client_has_written(asked_for, route) -> None:
    """Neither by what it has not found, nor by a value that was converted."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    async def anything(scope, receive, send) -> None:
        await PlainTextResponse("it")(scope, receive, send)

    routes = [Route(path, lambda _request: PlainTextResponse("it")) for path in ("/x/{key}", "/y/{id}")]
    app = Starlette(
        routes=[
            Mount("/v1", routes=[*routes, Mount("/t/{id}", routes=routes)]),
            Mount("/t/{id}", routes=routes),
            Mount("/n/{number:int}", routes=routes),
            Mount("/u/{id:uuid}", routes=routes),
            Mount("/p/{rest:path}", routes=routes),
            Mount("/any/{id}", app=anything),
        ]
    )

    assert await asked(app, asked_for) == [route]


async def test_a_root_that_clients_choose_makes_few_series() -> None:
    """As by a header that a server believes: what comes after the first of them is one."""
    aggregate = Aggregate()

    async def app(scope, receive, send) -> None:
        scope["route"] = Found()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x"})

    class Found:
        path_format = "/items/{id}"

    guarded = TelemetryMiddleware(app, aggregate=aggregate)
    for number in range(200):
        await call(guarded, "GET", f"/evil{number}/items/7", root_path=f"/evil{number}")

    routes = {point.values[3] for point in aggregate.snapshot() if point.metric.name == "http.server.request.duration"}
    assert len(routes) == 65
    assert "/{mount}/items/{id}" in routes
