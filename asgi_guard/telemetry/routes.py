"""Routes: the template of the route that a framework has chosen, read off the scope (`http.route`, OTel HTTP semconv).

Must never walk an application's routes again: it costs more than the routing itself, and breaks with every release of
a framework. Must never fall back to the path, which an attacker writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from asgi_guard.engine.types import Scope

KEY: Final = "asgi_guard.route"
"""Where an application, or a framework that writes nothing into the scope, says which route it has chosen."""


def route_of(scope: Scope) -> tuple[str, str]:
    """Return where the application is mounted, and the template of its route; two empty texts where nobody says.

    The two are apart, since a request should not pay for joining them.

    Args:
        scope: the scope that the application was given, once it has answered. Starlette and FastAPI leave their route
            in it, Litestar its template, and `KEY` wins over both.
    """
    template: Any = scope.get(KEY)
    if template.__class__ is str:
        return "", template
    template = scope.get("path_template")  # Litestar's
    if template.__class__ is str:
        return "", template
    route: Any = scope.get("route")
    chosen: Any = scope.get("fastapi")
    if chosen:  # FastAPI keeps apart what a router was included with
        included = chosen.get("effective_route_context")
        if included is not None and included.original_route is route:
            route = included
    template = getattr(route, "path_format", None)  # Starlette's, and FastAPI's
    if template.__class__ is not str:
        return "", ""
    root: Any = scope.get("root_path")  # a mount adds its own to it, in the same scope
    if root.__class__ is not str:
        root = ""
    if hasattr(route, "routes"):  # a mount of something that has no routes, or not this one; its path is in the root
        template = "/{path}"
    parameters: Any = scope.get("path_params")
    if root and parameters and len(parameters) > template.count("{"):
        root = _without_values(root, parameters)
    return root, template


def _without_values(root: str, parameters: Mapping[str, object]) -> str:
    """Put the names of parameters back into the path of a mount, which has what the client wrote in their place."""
    names = {str(value): f"{{{name}}}" for name, value in parameters.items()}
    return "/".join(names.get(segment, segment) for segment in root.split("/"))
