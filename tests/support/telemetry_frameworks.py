"""One small application in eight ways, as telemetry sees it: a route, and a stream that notes when it sends its last.

Each names its routes as `asgi_guard.telemetry.frameworks` says how, where it does not by itself.
"""

# ruff: noqa: D103  each maker imports its own framework
from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from types import ModuleType
from typing import Any

from telemetry_shop import CHUNK, TEXT, Diary

from asgi_guard.telemetry import frameworks
from asgi_guard.telemetry.routes import KEY


async def chunks(diary: Diary) -> AsyncIterator[bytes]:
    """Stream, and note when."""
    yield CHUNK
    yield CHUNK
    diary.note("last")
    yield CHUNK


def in_plain_asgi(diary: Diary) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        item = scope["path"].startswith("/items/")
        if item:
            scope[KEY] = "/items/{key}"
        is_found = item or scope["path"] == "/stream"
        await send({**TEXT, "status": 200 if is_found else 404})
        if is_found:
            async for chunk in chunks(diary):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body"})

    return app


def in_starlette(diary: Diary) -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Route

    async def item(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("it")

    async def stream(_request: Request) -> StreamingResponse:
        return StreamingResponse(chunks(diary))

    return Starlette(routes=[Route("/items/{key}", item), Route("/stream", stream)])


def in_fastapi(diary: Diary) -> Any:
    from fastapi import FastAPI
    from starlette.responses import StreamingResponse

    app = FastAPI()
    app.get("/items/{key}")(lambda key: "it")
    app.get("/stream")(lambda: StreamingResponse(chunks(diary)))
    return app


def in_litestar(diary: Diary) -> Any:
    from litestar import Litestar, get
    from litestar.response import Stream

    @get("/items/{key:str}")
    async def item() -> str:
        return "it"

    @get("/stream")
    async def stream() -> Stream:
        return Stream(chunks(diary))

    return Litestar([item, stream], signature_namespace={"Stream": Stream})


def in_quart(diary: Diary) -> Any:
    from quart import Quart

    app = Quart("told")

    @app.get("/items/<key>")
    async def item(key: str) -> str:
        return key

    @app.get("/stream")
    async def stream() -> Any:
        return chunks(diary)

    frameworks.name_quart_routes(app)
    return app


def in_falcon(diary: Diary) -> Any:
    from falcon.asgi import App

    class Item:
        async def on_get(self, request: Any, response: Any, key: str) -> None:
            response.text = key

    class Stream:
        async def on_get(self, request: Any, response: Any) -> None:
            response.stream = chunks(diary)

    app: Any = App(middleware=[frameworks.FalconRoutes()])
    app.add_route("/items/{key}", Item())
    app.add_route("/stream", Stream())
    return app


def in_django(diary: Diary) -> Any:
    import django
    from django.conf import settings
    from django.core.handlers.asgi import ASGIHandler
    from django.http import HttpResponse, StreamingHttpResponse
    from django.urls import path

    async def item(_request: Any, key: str) -> HttpResponse:
        return HttpResponse(key)

    async def stream(_request: Any) -> StreamingHttpResponse:
        return StreamingHttpResponse(chunks(diary))

    urls: Any = ModuleType("told_urls")
    urls.urlpatterns = [path("items/<str:key>", item), path("stream", stream)]
    sys.modules["told_urls"] = urls
    if not settings.configured:
        settings.configure(
            ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None, SECRET_KEY="not one", ROOT_URLCONF="shops.in_django"
        )
        django.setup()
    from django.test.utils import override_settings

    told = {"ROOT_URLCONF": "told_urls", "MIDDLEWARE": ["asgi_guard.telemetry.frameworks.django_routes"]}
    with override_settings(**told):
        handler = ASGIHandler()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with override_settings(**told):
            await handler(scope, receive, send)

    return app


def in_blacksheep(diary: Diary) -> Any:
    from blacksheep import Application, Content, Response
    from blacksheep.contents import StreamedContent
    from blacksheep.server.routing import Router

    async def item(request):  # type: ignore[no-untyped-def]  # it is known by its name
        return Response(200, content=Content(b"text/plain", b"it"))

    async def stream(request):  # type: ignore[no-untyped-def]
        return Response(200, content=StreamedContent(b"text/plain", partial(chunks, diary)))

    app: Any = Application(router=Router())
    app.router.add("GET", "/items/{key}", item)
    app.router.add("GET", "/stream", stream)
    frameworks.name_blacksheep_routes(app)

    async def started(scope: Any, receive: Any, send: Any) -> None:
        if not app.started:
            await app.start()
        await app(scope, receive, send)

    return started


TOLD: Mapping[str, tuple[Callable[[Diary], Any], str]] = {
    "plain": (in_plain_asgi, "/items/{key}"),
    "starlette": (in_starlette, "/items/{key}"),
    "fastapi": (in_fastapi, "/items/{key}"),
    "litestar": (in_litestar, "/items/{key}"),
    "quart": (in_quart, "/items/<key>"),
    "falcon": (in_falcon, "/items/{key}"),
    "django": (in_django, "/items/<str:key>"),
    "blacksheep": (in_blacksheep, "/items/{key}"),
}
"""The makers, and what each calls the route of an item."""
