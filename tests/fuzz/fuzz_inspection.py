"""Fuzz the inspection with coverage as the guide: `nox -s fuzz`, or `python tests/fuzz/fuzz_inspection.py -runs=1000`.

Each input is a request's body of some kind, with a query. Whatever it is: no parser raises anything but that a limit
was crossed, both engines say the same, and the work is bounded by the length.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

import atheris

with atheris.instrument_imports(include=["asgi_guard.inspection"]):
    from asgi_guard.inspection import body as bodies
    from asgi_guard.inspection.engines import has_re2
    from asgi_guard.inspection.extract import Value, head
    from asgi_guard.inspection.graphql import check_document
    from asgi_guard.inspection.limits import CrossedError, Limits
    from asgi_guard.inspection.scan import inspect_value, scanner

KINDS: Any = ("form", "json", "multipart", "xml", "text", "other")
LIMITS = Limits(body_bytes=16_384)
MOST_WORK = 64  # looks at each character, in all views, rounds and windows
ENGINES: Any = ("re2", "re") if has_re2() else ("re",)


def values(octets: bytes) -> list[Value]:
    """Take a request apart."""
    kind = KINDS[octets[0] % len(KINDS)] if octets else "other"
    query, _, body = octets[1:].partition(b"\xfe")
    found: list[Value] = []
    with suppress(CrossedError):
        found.extend(head(b"/" + query, query, [(b"cookie", query), (b"x-a", query)], LIMITS))
    with suppress(CrossedError):
        found.extend(bodies.values(body, kind, b"multipart/form-data; boundary=x", LIMITS))
    return found


def look(octets: bytes) -> None:
    """Look at one input."""
    for value in values(octets[:16_384]):
        with suppress(CrossedError):
            check_document(value.text, LIMITS)
        told = []
        for engine in ENGINES:
            looking = scanner(3, engine)
            before = looking.scanned
            told.append(inspect_value(value.text, value.place, 3, engine))
            if looking.scanned - before > MOST_WORK * (len(value.text) + 64):
                raise RuntimeError(f"{looking.scanned - before} looks at {len(value.text)} characters")
        if told[0] != told[-1]:
            raise RuntimeError(f"the engines differ: {told}")


atheris.Setup(sys.argv, look)
atheris.Fuzz()
