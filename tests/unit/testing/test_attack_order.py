"""In which order things are asked: what is slow or fails under load must not change what is said of the rest."""

from __future__ import annotations

from functools import partial
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from asgi_guard.testing import ATTACKS, BENIGN, AttackReport, attack_application
from asgi_guard.testing.attack_spots import spots_of


def attack(app: Any, *paths: str, **settings: Any) -> AttackReport:
    """Attack `q` of each path, on a loop of its own."""
    routes = [("GET", path, {"q": "query"}) for path in paths]
    known = {"routes": routes, "payloads": ATTACKS[:10], "benign": BENIGN[:10], **settings}
    return anyio.run(partial(attack_application, app, **known))


async def broken(request: Request) -> Response:
    """Show what was asked for as it is."""
    return HTMLResponse(f"<p>{request.query_params.get('q', '')}</p>")


async def slow(request: Request) -> Response:
    """Take long for everything."""
    await anyio.sleep(0.6)
    return PlainTextResponse("")


def test_a_slow_route_takes_no_time_from_the_others() -> None:
    """It comes last, whatever its place."""
    app = Starlette(routes=[Route("/slow", slow), Route("/broken", broken)])
    spots = {f"q{number}": "query" for number in range(9)}
    report = attack(app, routes=[("GET", "/slow", spots), ("GET", "/broken", {"q": "query"})], seconds=3)

    assert [(hole.route, hole.attack) for hole in report.holes] == [("GET /broken", "xss")]
    assert any(one.startswith("GET /slow") for one in report.unreached)


@pytest.mark.parametrize(("fails_alone", "attacks"), [(False, []), (True, ["crash"])])
def test_what_fails_only_beside_others_is_no_hole(fails_alone: bool, attacks: list[str]) -> None:
    """A database that is locked while something else is written, say."""
    busy = 0

    async def fragile(request: Request) -> Response:
        nonlocal busy
        busy += 1
        try:
            await anyio.sleep(0.001)
            is_attacked = request.query_params["q"] in {payload.text for payload in ATTACKS[:10]}
            if is_attacked and (busy > 1 or fails_alone):
                raise RuntimeError("locked")
        finally:
            busy -= 1
        return PlainTextResponse("")

    paths = [f"/{number}" for number in range(4)]
    report = attack(Starlette(routes=[Route(path, fragile) for path in paths]), *paths)

    assert sorted({hole.attack for hole in report.holes}) == attacks
    assert report.passed > 0


def test_a_route_of_websockets_is_no_get() -> None:
    """It would be told as closed."""

    async def feed(socket: WebSocket) -> None:
        await socket.close()

    app = Starlette(routes=[WebSocketRoute("/feed", feed), Route("/broken", broken)])

    assert {spot.route for spot in spots_of(app)} == {"GET /broken"}


def test_it_tells_how_far_it_is() -> None:
    """More and more, up to all of it."""
    told: list[tuple[int, float]] = []
    report = attack(Starlette(routes=[Route("/", broken)]), "/", progress=lambda *far: told.append(far))

    assert [requests for requests, _ in told] == [*range(20, report.requests + 1, 20)]
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert 0 < shares[0] < shares[-1] <= 1
