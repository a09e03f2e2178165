"""An attack: every planted hole is found with its evidence, no hole is seen where there is none, and it always ends."""

from __future__ import annotations

import json
from functools import partial
from html.parser import HTMLParser
from typing import Any

import anyio
import pytest
from attack_shops import HOLES, with_holes, without_holes
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from asgi_guard import ConfigError, Guard
from asgi_guard.testing import ATTACKS, BENIGN, AttackReport, Payload, attack_application
from asgi_guard.testing.attack_report import HolesFoundError
from asgi_guard.testing.attack_spots import spots_of


def attack(target: Any, backend: str = "asyncio", **settings: Any) -> AttackReport:
    """Attack it on a loop of its own: what is attacked here does whatever one should not."""
    return anyio.run(partial(attack_application, target, **settings), backend=backend)


PLAIN: dict[str, Any] = {"payloads": ATTACKS[:10], "benign": BENIGN[:10]}


@pytest.mark.long
def test_every_planted_hole_is_found() -> None:
    """With what shows it; and nothing else is called one."""
    report = attack(with_holes(), **PLAIN)

    found = {(hole.route, hole.name, hole.attack) for hole in report.holes if hole.attack != "crash"}
    assert found == HOLES
    assert all(hole.evidence and hole.payload for hole in report.holes)
    with pytest.raises(HolesFoundError, match="sqli in GET /items, query name"):
        report.raise_for_holes()


@pytest.mark.long
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_sound_application_has_none(backend: str) -> None:
    """Though it tells what it was asked for, and answers false credentials otherwise than right ones."""
    report = attack(without_holes(), backend, **PLAIN)

    assert report.holes == ()
    assert report.blocked_benign == ()
    assert report.unreached == ()
    report.raise_for_holes()


@pytest.mark.long
def test_behind_a_guard_most_payloads_are_refused_and_ordinary_texts_are_not() -> None:
    """What is in the routes behind it is found through it."""
    report = attack(Guard(without_holes(), rate_limit=False))

    assert report.refused > 10 * report.passed
    assert report.blocked_benign == ()
    assert {tally.route for tally in report.tallies} == set(report.routes)


def test_what_a_waf_refuses_for_no_reason_is_told() -> None:
    """An ordinary text is no attack."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        status = 403 if b"Brien" in scope.get("query_string", b"") else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    report = attack(app, routes=[("GET", "/", {"q": "query"})], **PLAIN)
    assert [(one.text, one.status) for one in report.blocked_benign] == [(BENIGN[0].text, 403), (BENIGN[2].text, 403)]


@pytest.mark.long
@pytest.mark.parametrize(("bound", "value"), [("max_requests", 50), ("seconds", 1.0)])
def test_it_ends_and_says_what_was_not_reached(bound: str, value: float) -> None:
    """By the number of requests, and by the time."""
    report = attack(without_holes(), **{bound: value}, payloads=ATTACKS * 50)

    assert report.unreached
    assert bound != "max_requests" or report.requests == 50


def test_a_payload_in_any_place_arrives() -> None:
    """As a client would write it."""
    seen: set[str] = set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive()).get("body", b"")
        told = {
            "query": scope["query_string"],
            "path": scope["raw_path"],
            "cookie": dict(scope["headers"]).get(b"cookie", b""),
            "header": dict(scope["headers"]).get(b"x-a", b""),
            "body": body,
        }
        seen.update(place for place, text in told.items() if b"marker" in text)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    routes = [
        ("GET", "/a/{x}", {"q": "query", "x-a": "header", "c": "cookie"}),
        ("POST", "/f", {"f": "form"}),
        ("POST", "/j", {"j": "json"}),
    ]
    attack(app, routes=routes, payloads=[Payload("sqli", "marker")], benign=[])
    assert seen == {"query", "path", "cookie", "header", "body"}


def test_routes_are_found_behind_middlewares_and_mounts() -> None:
    """With their parameters; names are guessed where none are declared."""

    async def item(request: Any) -> JSONResponse:
        return JSONResponse({})

    app = Starlette(routes=[Mount("/shop", routes=[Route("/items/{number:int}", item, methods=["GET", "PUT"])])])
    spots = spots_of(Guard(Guard(app)))

    assert {spot.route for spot in spots} == {"GET /shop/items/{number:int}", "PUT /shop/items/{number:int}"}
    assert {(spot.place, spot.name) for spot in spots} >= {("path", "number"), ("query", "q")}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of parameters without an annotation
def test_routes_of_quart_and_litestar_are_found() -> None:
    """As they write them."""
    litestar, quart = pytest.importorskip("litestar"), pytest.importorskip("quart")

    @litestar.get("/items/{number:int}")
    async def item(number: int, q: str = "") -> dict[str, int]:
        return {}

    shop = quart.Quart("shop")
    shop.add_url_rule("/items/<int:number>", view_func=lambda number: "")
    shop.asgi_app = Guard(shop.asgi_app)  # type: ignore[method-assign]

    assert {(spot.place, spot.name) for spot in spots_of(litestar.Litestar([item], logging_config=None))} >= {
        ("path", "number"),
        ("query", "q"),
    }
    assert "/items/<int:number>" in {spot.template for spot in spots_of(shop)}


def test_what_a_schema_needs_is_sent_along() -> None:
    """References, enumerations and nested objects among it."""
    (user,) = [spot for spot in spots_of(with_holes()) if spot.name == "user"]
    assert dict(user.others) == {("json", "password"): "1"}


def test_payloads_are_many_and_all_different() -> None:
    """Of every class, and ordinary ones."""
    assert len(set(ATTACKS)) == len(ATTACKS) >= 150
    assert len(set(BENIGN)) == len(BENIGN) >= 150
    assert {payload.attack for payload in ATTACKS} >= {"sqli", "xss", "traversal", "command", "template", "xxe", "ssrf"}


def test_the_report_is_text_data_and_a_page() -> None:
    """What was sent is never markup in it."""
    report = attack(with_holes(), routes=[("GET", "/hello", {"name": "query"})], **PLAIN)

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            found.add(tag)

    found: set[str] = set()
    Tags().feed(report.html())
    assert not {"script", "agx7f3k"} & found
    assert json.loads(json.dumps(report.told()))["holes"][0]["attack"] == "xss"
    assert "HOLE: xss in GET /hello" in report.text()


@pytest.mark.parametrize(
    ("settings", "ids"),
    [
        ({"max_requests": 0, "seconds": 0, "timeout_seconds": 0}, ["AG101", "AG102", "AG102"]),
        ({"target": "http://10.0.0.1/"}, ["AG922"]),
        ({"target": "gopher://127.0.0.1/"}, ["AG921"]),
        ({"target": 7}, ["AG921"]),
        ({"routes": []}, ["AG923"]),
    ],
)
def test_nonsense_and_other_machines_are_refused(settings: dict[str, Any], ids: list[str], monkeypatch) -> None:
    """Before anything is sent."""
    monkeypatch.setattr("asgi_guard.testing.targets.getaddrinfo", lambda host, port: [(0, 0, 0, "", (host, port))])
    with pytest.raises(ConfigError) as caught:
        attack(**{"target": without_holes(), **settings})
    assert [problem.id for problem in caught.value.problems] == ids


@pytest.mark.parametrize(
    "document",
    [
        {"paths": 7},
        {"paths": {"/a": 7, "/b": {"get": 7, "post": {"parameters": 7, "requestBody": [1]}}}},
        {"paths": {"/a": {"get": {"parameters": [7, {"$ref": "#/x"}, {"$ref": "#/paths"}]}}}},
        {
            "paths": {"/a": {"post": {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/s"}}}}}}},
            "s": {"$ref": "#/s"},
        },
        {
            "paths": {
                "/a": {
                    "get": {"parameters": [{"in": "query", "name": "q", "required": True, "schema": {"allOf": [{}]}}]}
                }
            }
        },
    ],
)
def test_a_document_may_hold_anything(document: Any) -> None:
    """It is read as far as it is one."""

    class App:
        def openapi(self) -> Any:
            return document

    assert all(isinstance(spot.others, dict) for spot in spots_of(App()))
