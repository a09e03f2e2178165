"""Attack: holes of the rarer shapes are found, each with its class, and none in a shop that only looks like it."""

from __future__ import annotations

from functools import partial

import anyio
import pytest
from attack_other_shops import OTHER_HOLES, ROUTES, with_other_holes, without_other_holes

from asgi_guard.testing.attack import attack_application


@pytest.mark.long
def test_each_planted_hole_is_found_and_no_other() -> None:
    """Without quotes, quietly, within JSON, by operators, on another route, and by a backslash."""
    attack = partial(attack_application, routes=ROUTES, payloads=(), benign=())
    report = anyio.run(attack, with_other_holes())
    assert {(hole.route, hole.name, hole.attack) for hole in report.holes} == OTHER_HOLES


@pytest.mark.long
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_shop_that_looks_alike_has_none(backend: str) -> None:
    """Escaped, bound, compared as text, and led only to itself."""
    report = anyio.run(partial(attack_application, routes=ROUTES), without_other_holes(), backend=backend)
    assert report.holes == ()
