"""Attack spots: where an application takes input: each parameter of each route, as far as it can be found out.

Read from the routes of Starlette, FastAPI, Litestar and Quart, also behind middlewares and mounts, and from an OpenAPI
document where there is one. What a route does not declare is guessed by names that many routes read.
Must never import a framework: what an application is, is seen by what it has.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

MAX_ROUTES: Final = 500
MAX_SPOTS: Final = 2_000
GUESSED: Final = ("q", "id", "name", "search", "file", "url", "next", "user")
"""Names of query parameters that are tried where a route declares none."""

_PARAMETER: Final = re.compile(r"\{(\w+)(?::\w+)?\}|<(?:[\w()=,. ]*:)?(\w+)>")
_BODIES: Final = frozenset({"PATCH", "POST", "PUT"})
_DEPTH: Final = 32
_INNER: Final = 3
_MOST_FIELDS: Final = 20
_MIXED: Final = ("anyOf", "oneOf", "allOf")
_OPERATIONS: Final = frozenset({"delete", "get", "patch", "post", "put"})
_OF_DOCUMENTATION: Final = frozenset({"/docs", "/docs/oauth2-redirect", "/openapi.json", "/redoc"})


@dataclass(frozen=True, slots=True)
class Spot:
    """One place of one route that a payload is put into.

    Attributes:
        method: of HTTP.
        template: the path with its parameters, as the application has it.
        place: `query`, `path`, `form`, `json`, `header` or `cookie`.
        name: of the parameter, the field or the header.
        others: what else the request needs, by place and name.
    """

    method: str
    template: str
    place: str
    name: str
    others: Mapping[tuple[str, str], object] = field(default_factory=dict[tuple[str, str], object])

    @property
    def route(self) -> str:
        """The method and the template."""
        return f"{self.method} {self.template}"

    @property
    def ordinary(self) -> str:
        """A value that nobody would mind."""
        return "1"

    def with_value(self, value: object) -> dict[tuple[str, str], object]:
        """Return everything that the request carries, with a value in this place."""
        root, *inner = self.name.split(".") if self.place == "json" else [self.name]
        if not inner:
            return {**self.others, (self.place, self.name): value}
        return {**self.others, ("json", root): _placed(self.others.get(("json", root)), inner, value)}

    def beside(self, value: object) -> Spot:
        """Return the same with a value in each other field of the body."""
        others = {key: value if key[0] == "json" else other for key, other in self.others.items()}
        return Spot(self.method, self.template, self.place, self.name, _hashable(others))

    def path(self, values: Mapping[tuple[str, str], object]) -> str:
        """Fill in the path; a value is percent-encoded, so that it is one segment."""

        def filled(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            return quote(str(values.get(("path", name), "1")), safe="")

        return _PARAMETER.sub(filled, self.template)


def spots_of(app: object, routes: Iterable[Sequence[Any]] | None = None) -> list[Spot]:
    """Find where an application takes input, at most 2,000 places.

    Args:
        app: the application, or what stands around it.
        routes: instead of what is found, or where nothing is: a method, a path and, by their names, where parameters
            are: `("POST", "/login", {"user": "form", "password": "form"})`.
    """
    found = [_declared(route) for route in routes] if routes is not None else [*_found(app)]
    spots: dict[Spot, None] = {}
    keys: set[tuple[str, str, str, str]] = set()
    for method, template, places in found[:MAX_ROUTES]:
        for spot in _spots(method, template, places):
            key = spot.method, spot.template, spot.place, spot.name
            if key not in keys and len(keys) < MAX_SPOTS:
                keys.add(key)
                spots[spot] = None
    return list(spots)


_Route = tuple[str, str, dict[tuple[str, str], object]]


def _declared(route: Sequence[Any]) -> _Route:
    method, template, *rest = route
    names: Mapping[str, str] = rest[0] if rest else {}
    return str(method).upper(), str(template), {(place, name): "1" for name, place in names.items()}


def _spots(method: str, template: str, places: dict[tuple[str, str], object]) -> Iterator[Spot]:
    for found in _PARAMETER.finditer(template):
        places.setdefault(("path", found[1] or found[2]), "1")
    if not any(place != "path" for place, _ in places):
        guessed = ("form", "json") if method in _BODIES else ("query",)
        places |= {(place, name): None for place in guessed for name in GUESSED}
    needed = {key: value for key, value in places.items() if value is not None and not _is_inner(key)}
    outer = {("json", name.partition(".")[0]) for place, name in places if _is_inner((place, name))}
    for place, name in places:
        if (place, name) in outer:
            continue  # what stands in it is tried, field by field
        others = {key: value for key, value in needed.items() if key != (place, name)}
        yield Spot(method, template, place, name, _hashable(others))


def _is_inner(key: tuple[str, str]) -> bool:
    return key[0] == "json" and "." in key[1]


def _placed(around: object, names: Sequence[str], value: object) -> object:
    """Return a copy of what stands around a field, with a value in it; a number is a place in a list."""
    if not names:
        return value
    if names[0].isdecimal():
        items: list[object] = [*as_a(list, around)]
        return [_placed(items[0] if items else None, names[1:], value), *items[1:]]
    fields: dict[str, object] = {**as_a(dict, around)}
    fields[names[0]] = _placed(fields.get(names[0]), names[1:], value)
    return fields


class _Frozen(dict[tuple[str, str], object]):
    """A mapping that is not changed, so that it has a hash: its identity."""

    __hash__ = object.__hash__  # type: ignore[assignment]


def _hashable(values: dict[tuple[str, str], object]) -> Mapping[tuple[str, str], object]:
    return _Frozen(values)


# What frameworks tell ------------------------------------------------------------------------------------------------


def _found(app: object) -> Iterator[_Route]:
    """Look through what stands around an application for one that tells its routes."""
    for one in _layers(app):
        document = _openapi(one)
        told = [] if document is None else [*of_openapi(document)]
        yield from told
        routes: Any = getattr(one, "routes", None)
        if isinstance(routes, list | tuple):
            known = {template for _, template, _ in told} | _OF_DOCUMENTATION
            yield from (route for route in _of_routes(routes, "", 0) if route[1] not in known)
        rules = getattr(getattr(one, "url_map", None), "iter_rules", None)
        if rules is not None:  # Quart
            for rule in rules():
                yield from ((method, str(rule.rule), {}) for method in _methods(rule))
        if document is not None or isinstance(routes, list | tuple) or rules is not None:
            return


def _layers(app: object) -> Iterator[object]:
    """Give out an application and what it wraps; bound methods lead to their object."""
    for _ in range(_DEPTH):
        yield app
        owner = getattr(app, "__self__", None)
        inner = owner if owner is not None else getattr(app, "app", None)
        if inner is None or inner is app or isinstance(inner, type):
            return
        app = inner


def _openapi(app: object) -> Mapping[str, Any] | None:
    try:
        known: Any = app
        document = known.openapi() if hasattr(app, "openapi") else known.openapi_schema.to_schema()  # FastAPI, Litestar
    except Exception:  # noqa: BLE001  it has none
        return None
    return as_a(dict, document) or None


def _of_routes(routes: Any, prefix: str, depth: int) -> Iterator[_Route]:
    for route in routes:
        path = prefix + str(getattr(route, "path", ""))
        inner: Any = getattr(route, "routes", None)
        if isinstance(inner, list | tuple) and inner and depth < _DEPTH:
            yield from _of_routes(inner, path, depth + 1)
        elif hasattr(route, "methods") or getattr(route, "http_methods", None):  # those of WebSockets have neither
            yield from ((method, path, {}) for method in _methods(route))


def _methods(route: Any) -> list[str]:
    methods = getattr(route, "methods", None) or getattr(route, "http_methods", None) or {"GET"}
    return sorted({str(method).upper() for method in methods} - {"HEAD", "OPTIONS"})


# OpenAPI 3 ------------------------------------------------------------------------------------------------------------


def of_openapi(document: Mapping[str, Any]) -> Iterator[_Route]:
    """Read the routes and parameters of an OpenAPI 3 document."""
    for template, item in as_a(dict, document.get("paths")).items():
        for method, operation in as_a(dict, item).items():
            if str(method).lower() in _OPERATIONS and isinstance(operation, dict):
                told = as_a(dict, operation)
                places: dict[tuple[str, str], object] = {}
                for parameter in [*as_a(list, item.get("parameters")), *as_a(list, told.get("parameters"))]:
                    _add_parameter(document, _resolved(document, parameter), places)
                _add_body(document, told.get("requestBody"), places)
                yield str(method).upper(), str(template), places


def as_a(kind: type[Any], value: Any) -> Any:
    """Return a value where it is of a kind, and else an empty one of it: documents may hold anything."""
    return value if isinstance(value, kind) else kind()


def _add_parameter(document: Mapping[str, Any], parameter: Any, places: dict[tuple[str, str], object]) -> None:
    place, name = parameter.get("in"), parameter.get("name")
    if place in {"query", "path", "header", "cookie"} and isinstance(name, str):
        is_needed = parameter.get("required") or place == "path"
        places[place, name] = example_of(document, parameter.get("schema")) if is_needed else None


def _add_body(document: Mapping[str, Any], body: Any, places: dict[tuple[str, str], object]) -> None:
    for media_type, described in as_a(dict, _resolved(document, body).get("content")).items():
        place = "json" if "json" in media_type else "form" if "form" in media_type else None
        schema = _resolved(document, as_a(dict, described).get("schema"))
        needed = as_a(list, schema.get("required"))
        if place is None or any(known == place for known, _ in places):
            continue
        for name, inner in as_a(dict, schema.get("properties")).items():
            places[place, name] = example_of(document, inner) if name in needed else None
            if place == "json":
                for path in _inner(document, inner, _INNER):
                    places[place, f"{name}.{path}"] = None


def _inner(document: Mapping[str, Any], schema: Any, depth: int) -> Iterator[str]:
    """Give out the paths of the fields within a field, a few levels deep."""
    schema = _resolved(document, schema)
    for each in [schema, *[_resolved(document, one) for key in _MIXED for one in as_a(list, schema.get(key))]]:
        if depth and each.get("type") == "array":
            path = [*_inner(document, each.get("items"), depth - 1)]
            yield from (f"0.{name}" for name in path) if path else ("0",)
        for name, inner in [*as_a(dict, each.get("properties")).items()][:_MOST_FIELDS] if depth else ():
            path = [*_inner(document, inner, depth - 1)]
            yield from (f"{name}.{one}" for one in path) if path else (str(name),)


def example_of(document: Mapping[str, Any], schema: Any, depth: int = 0) -> object:
    """Return a value that a schema admits, as far as it is a simple one."""
    schema = _resolved(document, schema)
    said = [schema[key] for key in ("example", "default", "const") if schema.get(key) is not None]
    said += [*as_a(list, schema.get("enum")), *as_a(list, schema.get("examples"))]
    if said:
        return said[0]
    if depth >= _DEPTH:
        return "1"
    for key in _MIXED:
        for inner in as_a(list, schema.get(key)):
            return example_of(document, inner, depth + 1)
    if schema.get("type") == "object":
        fields = as_a(dict, schema.get("properties"))
        needed = [name for name in as_a(list, schema.get("required")) if name in fields]
        return {name: example_of(document, fields[name], depth + 1) for name in needed}
    if schema.get("type") == "array":
        return [example_of(document, schema.get("items"), depth + 1)] if schema.get("minItems") else []
    return _SIMPLE.get(str(schema.get("format")), _SIMPLE.get(str(schema.get("type")), "1"))


_SIMPLE: Final[Mapping[str, object]] = {
    "integer": 1,
    "number": 1,
    "boolean": True,
    "email": "a@example.com",
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "uri": "https://example.com/",
}


def _resolved(document: Mapping[str, Any], described: Any) -> Any:
    """Follow references within the document, a few of them."""
    told = as_a(dict, described)
    for _ in range(_DEPTH):
        reference = told.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            break
        found: Any = document
        for part in reference[2:].split("/"):
            found = as_a(dict, found).get(part)
        told = as_a(dict, found)
    return told
