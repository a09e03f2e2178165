"""Values put into requests as a client would send them, and whether a level of the validator refuses the request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote_plus

import pytest

from asgi_guard.inspection.extract import Value, head, pairs
from asgi_guard.inspection.json_body import json_values
from asgi_guard.inspection.limits import Limits
from asgi_guard.inspection.rule import THRESHOLD, Place
from asgi_guard.inspection.scan import scanner
from asgi_guard.inspection.verdict import score

KINDS: Final = ("query", "form", "json")
"""Where a text is put: a parameter of a query, of a form, a text of a document."""

_LIMITS: Final = Limits()


def table(classes: Mapping[str, Mapping[str, str]]) -> list[Any]:
    """Make parameters of a table, named by class and kind."""
    return [pytest.param(text, id=f"{name}-{kind}") for name, texts in classes.items() for kind, text in texts.items()]


def is_refused(values: Iterable[Value], level: int) -> bool:
    """Tell whether a level refuses a request with these values."""
    return any(score(findings) >= THRESHOLD[level] for findings in scanner(level).scan(values) if findings)


def blocks(text: str, kind: str, level: int) -> bool:
    """Tell whether a level refuses a request with this text in this kind of place."""
    return is_refused(_values("q", text, kind), level)


def blocks_name(name: str, kind: str, level: int) -> bool:
    """Tell whether a level refuses a request with a parameter of this name."""
    return is_refused(_values(name, "x", kind), level)


def blocks_header(name: str, value: str, level: int) -> bool:
    """Tell whether a level refuses a request with this header."""
    return is_refused(head(b"/", b"", [(name.encode(), value.encode())], _LIMITS), level)


def blocks_path(path: str, level: int) -> bool:
    """Tell whether a level refuses a request for this path."""
    return is_refused(head(path.encode(), b"", [], _LIMITS), level)


def _values(name: str, text: str, kind: str) -> Iterable[Value]:
    if kind == "json":
        return json_values(json.dumps({"a": {name: text}}).encode(), _LIMITS)
    place: Place = "query" if kind == "query" else "body"
    return pairs(f"{quote_plus(name)}={quote_plus(text)}", place, _LIMITS)
