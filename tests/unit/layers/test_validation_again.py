"""Validation: what comes again was looked at before, and that never changes a verdict."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asgi_guard import Validation
from asgi_guard.engine.fuse import Middleware
from asgi_guard.layers.validation import ValidationLayer
from asgi_guard.testing import call

PATHS = ("/", "/items/7", "/a/../../etc/passwd", "/" + "a" * 300)
QUERIES = (
    b"",
    b"page=2&sort=price",
    b"q=a+sentence+of+words",
    b"q=1%27+or+1=1--",
    b"PHPSESSID=0123456789abcdef",
    b"PHPSESSID%3D0123456789abcdef",
    b"query={a}",
    b"a=1",
    b"&".join([b"a=1"] * 20),
    b"q=" + b"b" * 300,
)
HEADERS = (
    {},
    {"referer": "https://elsewhere.example/"},
    {"x-note": "fine"},
    {"x-note": "<script>alert(1)</script>"},
    {"cookie": "a=b; c=1' or '1'='1"},
)
REQUESTS = [*product(PATHS, QUERIES, HEADERS)]
SETTINGS = Validation(level=2, max_fields=10)
FRESH: dict[int, int] = {}


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def status_of(guard: Any, number: int) -> int:
    """Ask a guard for one of the requests."""
    path, query, headers = REQUESTS[number]
    return (await call(guard, path=path, query_string=query, headers={"host": "shop.example", **headers})).status


def run(asked: list[int]) -> None:
    """Compare one guard that is asked for all of it with one for each."""
    import anyio

    async def compare() -> None:
        guard = Middleware(app, ValidationLayer(SETTINGS))
        for number in asked:
            if number not in FRESH:
                FRESH[number] = await status_of(Middleware(app, ValidationLayer(SETTINGS)), number)
            assert await status_of(guard, number) == FRESH[number], REQUESTS[number]

    anyio.run(compare)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, len(REQUESTS) - 1), max_size=12).map(lambda asked: asked * 2))
def test_a_verdict_is_the_same_whatever_was_asked_before(asked: list[int]) -> None:
    """Also of the parts of a request that come again in another one."""
    run(asked)


def test_verdicts_are_of_both_kinds() -> None:
    """Else the comparison would show nothing: a session that another site names is refused, for one."""
    run([*range(0, len(REQUESTS), 7)])
    assert {200, 400} <= {*FRESH.values()}
    linked = REQUESTS.index(("/", b"PHPSESSID=0123456789abcdef", {"referer": "https://elsewhere.example/"}))
    own = REQUESTS.index(("/", b"PHPSESSID=0123456789abcdef", {}))
    run([own, own, linked])
    assert (FRESH[own], FRESH[linked]) == (200, 400)


@pytest.mark.anyio
async def test_what_comes_again_is_not_looked_at_again() -> None:
    """The path, the parameters and the headers, each for itself; what is long is."""
    layer = ValidationLayer(replace(SETTINGS, excerpts=True))  # with a scanner of its own, which knows no value yet
    guard = Middleware(app, layer)
    looked: list[int] = []
    parts = (b"q=some-thing", b"p=another.thing", b"p=another.thing&q=some-thing", b"q=" + b"b-" * 150)
    for query in parts:
        for _ in range(2):
            before = layer._inspector.scanner.scanned
            await call(guard, path="/items/7", query_string=query, headers={"x-note": "a fine day"})
            looked.append(layer._inspector.scanner.scanned - before)

    assert [count > 0 for count in looked] == [True, False, True, False, False, False, True, True]
