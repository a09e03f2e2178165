"""Values: what detectors without a parser of their own are given of a request, decoded once as an application does."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, unquote_plus

STANDARD = frozenset(
    b"accept accept-encoding accept-language cache-control connection content-length content-type cookie host "
    b"if-modified-since if-none-match origin pragma upgrade-insecure-requests".split()
)
"""Headers that nobody takes for input; a cookie is looked at by itself."""

Pairs = dict[str, list[str]]


def header(scope: dict[str, Any], name: bytes) -> str:
    """Return a header, or nothing."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")


def query(scope: dict[str, Any]) -> Pairs:
    """Return the parameters of the query."""
    return parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True, errors="replace")


def cookies(scope: dict[str, Any]) -> dict[str, str]:
    """Return the cookies."""
    pairs = (pair.partition("=") for pair in header(scope, b"cookie").split(";") if pair.strip())
    return {name.strip(): unquote_plus(value) for name, _, value in pairs}


def other_headers(scope: dict[str, Any]) -> dict[str, str]:
    """Return the headers that may be input."""
    pairs = scope["headers"]
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs if name not in STANDARD}


def parsed(scope: dict[str, Any], body: bytes) -> Any:
    """Return the body by its content type; the text of it where it is not what it says."""
    kind = header(scope, b"content-type")
    text = body.decode("utf-8", "replace")
    if "x-www-form-urlencoded" in kind:
        return parse_qs(text, keep_blank_values=True, errors="replace", max_num_fields=10_000)
    if "multipart/" in kind:
        return _multipart(kind, body)
    if "json" in kind:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _multipart(kind: str, body: bytes) -> Pairs:
    boundary = re.search(r'boundary="?([^";]+)', kind)
    fields: Pairs = {}
    for part in body.split(b"--" + boundary[1].encode("latin-1"))[1:-1] if boundary else ():
        head, _, content = part.decode("utf-8", "replace").partition("\r\n\r\n")
        names = dict(re.findall(r'\b(name|filename)="([^"]*)"', head))
        fields.setdefault(names.get("name", ""), []).extend((names.get("filename", ""), content.removesuffix("\r\n")))
    return fields


def leaves(value: Any) -> Iterator[str]:
    """Yield the texts in a value, names too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, content in value.items():
            yield name
            yield from leaves(content)
    elif isinstance(value, list):
        for content in value:
            yield from leaves(content)


def values(scope: dict[str, Any], body: bytes) -> Iterator[str]:
    """Yield each text of a request that an application may take for input."""
    yield scope["path"]
    yield from leaves([query(scope), cookies(scope)])
    yield from other_headers(scope).values()
    if body:
        yield from leaves(parsed(scope, body))
