"""Routes: the template of the route that a framework has chosen, read off the scope (`http.route`, OTel HTTP semconv).

Must never match a path again: it costs more than the routing itself, and breaks with every release of a framework.
Must never fall back to the path, which an attacker writes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from asgi_guard.engine.types import Scope
from asgi_guard.telemetry.coexistence import FASTAPI, is_ours

UNTOLD: Final = "/{mount}"
"""What is told of the path of a mount in which stands what a client has written."""

_MAX_ROOTS: Final = 64
_MAX_ROUTERS: Final = 16
_DEEPEST: Final = 8
_REST: Final = "/{path}"
_PARAMETER: Final = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_]*)")
_mounts: Final[dict[int, tuple[Any, set[str], set[str]]]] = {}

KEY: Final = "asgi_guard.route"
"""Where an application, or a framework that writes nothing into the scope, says which route it has chosen."""


def route_of(scope: Scope) -> tuple[str, str]:
    """Return where the application is mounted, and the template of its route; two empty texts where nobody says.

    The two are apart, since a request should not pay for joining them.

    Args:
        scope: the scope that the application was given, once it has answered. Starlette and FastAPI leave their route
            in it, Litestar its template, and `KEY` wins over all of them.
    """
    template: Any = scope.get(KEY)
    if template.__class__ is str:
        return "", template
    template = scope.get("path_template")  # Litestar's
    if template.__class__ is str:
        return "", template
    route: Any = scope.get("route")
    begun: Any = scope.get(FASTAPI)
    if begun is not None:
        told = _told_to_fastapi(scope, begun, route)
        if told is not None:
            return told
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
        own, template = "", _REST
    parameters: Any = scope.get("path_params")
    return _without_values(root, parameters, own, scope) if root and parameters else root, template


def _told_to_fastapi(scope: Scope, begun: Any, route: Any) -> tuple[str, str] | None:
    """Return what FastAPI has told its telemetry, also of routes that are Starlette's; None where that is not all."""
    template: Any = begun.route
    if template.__class__ is not str:
        return None
    if template.endswith(_REST) and hasattr(route, "path_format") and not hasattr(route, "routes"):
        return None  # what is mounted is no FastAPI, and has found a route further in
    return _outermost(scope) if is_ours(begun) else "", template


def _outermost(scope: Scope) -> str:
    """Return where the application itself is mounted, without its own mounts."""
    root: Any = scope.get("app_root_path", scope.get("root_path"))
    return root.rstrip("/") if root.__class__ is str else ""


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


def _without_values(root: str, parameters: Mapping[str, object], own: str, scope: Scope) -> str:
    """Put the names of parameters back into the path of a mount, which has what the client wrote in their place.

    What it wrote need not be what was made of it: `007` is 7. Where one cannot be found, nothing of the path is told;
    nor where the route itself has a parameter of the same name, whose value is then the only one that is known.

    Args:
        root: the path.
        parameters: those of the mounts and of the route.
        own: the template of the route itself, whose parameters stand behind the path.
        scope: says in which application the mounts are.
    """
    if any(f"{{{name}}}" in own for name in parameters):
        plain, named = _mounts_of(scope.get("router"))
        if any(f"{{{name}}}" in own for name in named) and root.removeprefix(_outermost(scope)) not in plain:
            return UNTOLD
    outer = {str(value): f"{{{name}}}" for name, value in parameters.items() if f"{{{name}}}" not in own}
    segments = root.split("/")
    if not outer.keys() <= {*segments}:
        return UNTOLD
    return "/".join(outer.get(segment, segment) for segment in segments)


def _mounts_of(router: Any) -> tuple[set[str], set[str]]:
    """Return the paths of the mounts without parameters, and the parameters of all others; looked for once."""
    known = _mounts.get(id(router))
    if known is None:
        plain, named = set[str](), set[str]()
        _look_for_mounts(router, "", plain, named, _DEEPEST)
        if len(_mounts) >= _MAX_ROUTERS:
            _mounts.clear()
        known = _mounts[id(router)] = router, plain, named  # it stays, lest its number become another's
    return known[1:]


def _look_for_mounts(outer: Any, path: str, plain: set[str], named: set[str], depth: int) -> None:
    found: Any = getattr(outer, "routes", None) if depth else None
    mounts: list[Any] = [*found] if isinstance(found, list | tuple) else []
    for mount in mounts:
        own: Any = getattr(mount, "path", None)
        if own.__class__ is str and hasattr(mount, "routes"):
            parameters = _PARAMETER.findall(own)
            named.update(parameters)
            if "{" not in path + own:
                plain.add(path + own)
            _look_for_mounts(mount, path + own, plain, named, depth - 1)
