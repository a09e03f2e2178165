"""Routes: the template of the route that a framework has chosen, read off the scope (`http.route`, OTel HTTP semconv).

Must never walk an application's routes again: it costs more than the routing itself, and breaks with every release of
a framework. Must never fall back to the path, which an attacker writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from asgi_guard.engine.types import Scope

UNTOLD: Final = "/{mount}"
"""What is told of the path of a mount in which stands what a client has written."""

_MAX_ROOTS: Final = 64

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
    own = template
    if hasattr(route, "routes"):  # a mount of something that has no routes, or not this one; its path is in the root
        own, template = "", "/{path}"
    parameters: Any = scope.get("path_params")
    return _without_values(root, parameters, own) if root and parameters else root, template


class Roots:
    """The paths of mounts that are told: the first 64. A program has a few, but some servers let a client choose it."""

    def __init__(self) -> None:
        self._known = set[str]()

    def told(self, root: str) -> str:
        """Return the path, where it is one of them."""
        if root in self._known:
            return root
        if len(self._known) >= _MAX_ROOTS:
            return UNTOLD
        self._known.add(root)
        return root


def _without_values(root: str, parameters: Mapping[str, object], own: str) -> str:
    """Put the names of parameters back into the path of a mount, which has what the client wrote in their place.

    What it wrote need not be what was made of it: `007` is 7. Where one cannot be found, nothing of the path is told.

    Args:
        root: the path.
        parameters: those of the mounts and of the route.
        own: the template of the route itself, whose parameters stand behind the path.
    """
    outer = {str(value): f"{{{name}}}" for name, value in parameters.items() if f"{{{name}}}" not in own}
    segments = root.split("/")
    if not outer.keys() <= {*segments}:
        return UNTOLD
    return "/".join(outer.get(segment, segment) for segment in segments)
