"""Frameworks that write no route into the scope: how each of them is told to, in a line.

    name_quart_routes(app)                                                      # Quart
    MIDDLEWARE = ["asgi_guard.telemetry.frameworks.django_routes", ...]         # Django, in its settings
    app = falcon.asgi.App(middleware=[FalconRoutes()])                          # Falcon
    name_blacksheep_routes(app)                                                 # BlackSheep

Starlette, FastAPI and Litestar need none of them. Must never import a framework, and never match a path again: a route
is noted where the framework has found it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

from asgi_guard.telemetry.routes import KEY


def name_quart_routes(app: Any) -> None:
    """Let a Quart application note its routes, also of WebSockets; call it before its first request."""
    app.before_request(partial(_note_quart, "request"))
    app.before_websocket(partial(_note_quart, "websocket"))


async def _note_quart(name: str) -> None:
    request = getattr(sys.modules["quart"], name)
    if request.url_rule is not None:
        request.scope[KEY] = request.url_rule.rule


def django_routes(get_response: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let Django note its routes: a middleware for its settings, for views of both kinds."""
    if iscoroutinefunction(get_response):

        async def waiting(request: Any) -> Any:
            response = await get_response(request)
            _note_django(request)
            return response

        return sys.modules["asgiref.sync"].markcoroutinefunction(waiting)  # type: ignore[no-any-return]

    def plain(request: Any) -> Any:
        response = get_response(request)
        _note_django(request)
        return response

    return plain


django_routes.sync_capable = django_routes.async_capable = True  # type: ignore[attr-defined]


def _note_django(request: Any) -> None:
    match = getattr(request, "resolver_match", None)
    scope = getattr(request, "scope", None)
    if match is not None and scope is not None:
        scope[KEY] = "/" + match.route.lstrip("^/")


class FalconRoutes:
    """Let Falcon note its routes: a component for the middleware of its `falcon.asgi.App`."""

    async def process_resource(self, req: Any, _resp: Any, _resource: Any, _params: Any) -> None:
        """Note the template of the resource that was found."""
        req.scope[KEY] = req.uri_template

    async def process_resource_ws(self, req: Any, _ws: Any, _resource: Any, _params: Any) -> None:
        """Note that of a WebSocket."""
        req.scope[KEY] = req.uri_template


def name_blacksheep_routes(app: Any) -> None:
    """Let a BlackSheep application note its routes; call it before its first request."""
    find: Callable[[Any], Any] = app.router.get_match

    def finding(request: Any) -> Any:
        found = find(request)
        if found is not None and found.pattern != b"*":  # what answers where there is no route
            request.scope[KEY] = found.pattern.decode()
        return found

    app.router.get_match = finding
