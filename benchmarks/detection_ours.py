"""Ours: the validator as a middleware, as its users have it, and directly, which takes less of a rule writer's time.

Directly, the values are those that the middleware looks at, and so is the verdict, but the body is taken to be whole:
what that costs is not what the middleware costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import detection_values
from detection_peers import App, reading

Findings = list[Any]
Inspect = Callable[[dict[str, Any], bytes], Iterable[Findings]]


def wrap(app: App, *, level: int, uses_re2: bool) -> App:
    """Wrap in the validator."""
    from asgi_guard.layers.validation import Validation, ValidationMiddleware

    return ValidationMiddleware(app, Validation(level=level, engine="re2" if uses_re2 else "re"))


def wrap_directly(app: App, *, level: int, uses_re2: bool) -> App:
    """Ask the scanner about the values, without the layer."""
    from asgi_guard.inspection.limits import CrossedError
    from asgi_guard.inspection.rule import THRESHOLD
    from asgi_guard.inspection.verdict import score

    threshold, inspect = THRESHOLD[level], inspector(level, uses_re2=uses_re2)

    def finds(scope: dict[str, Any], body: bytes) -> bool:
        try:
            return any(score(findings) >= threshold for findings in inspect(scope, body))
        except CrossedError:
            return True

    return reading(finds)(app)


def inspector(level: int, *, uses_re2: bool) -> Inspect:
    """Make a function that yields the findings of each value of a request that has any."""
    from asgi_guard.inspection import body as bodies
    from asgi_guard.inspection.extract import head
    from asgi_guard.inspection.limits import Limits
    from asgi_guard.inspection.scan import scanner

    limits, scan = Limits(), scanner(level, "re2" if uses_re2 else "re").scan

    def inspect(scope: dict[str, Any], body: bytes) -> Iterator[Findings]:
        values = head(scope["raw_path"], scope["query_string"], scope["headers"], limits)
        kind = detection_values.header(scope, b"content-type").encode("latin-1")
        if body:
            guessed = bodies.kind_of(kind)
            guessed = (bodies.sniff(body) or guessed) if guessed == "other" else guessed
            values = chain(values, bodies.values(body, guessed, kind, limits))
        return filter(None, scan(values))

    return inspect


def explain(inspect: Inspect, scope: dict[str, Any], body: bytes) -> Iterator[str]:
    """Yield what is found in a request, a rule at a time, for those who write rules."""
    from asgi_guard.inspection.limits import CrossedError

    try:
        for found in chain.from_iterable(inspect(scope, body)):
            yield f"{found.rule.id} +{found.rule.score} {found.view} in {found.place} {found.name}".rstrip()
    except CrossedError as crossed:
        yield f"limit {crossed.limit}"
