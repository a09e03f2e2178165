"""What counts as evidence: each hole is seen for what it is, and what only looks like one is not called one."""

from __future__ import annotations

import hashlib
import html
import json
import shlex
import threading
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import pytest
from attack_shops import database, with_holes
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from asgi_guard import Guard
from asgi_guard.testing import ATTACKS, BENIGN, AttackReport, attack_application
from asgi_guard.testing.attack_spots import spots_of


def attack(app: Any, place: str = "query", **settings: Any) -> AttackReport:
    """Attack `q` of `/`, on a loop of its own: what is attacked here does whatever one should not."""
    known = {"routes": [("GET", "/", {"q": place})], "payloads": ATTACKS[:10], "benign": BENIGN[:10], **settings}
    return anyio.run(partial(attack_application, app, **known))


def application(answered: Callable[[str], Response], read: Callable[[Request], str] | None = None) -> Starlette:
    """Make an application that answers what it is asked with."""

    async def answer(request: Request) -> Response:
        return answered(read(request) if read else request.query_params.get("q", ""))

    return Starlette(routes=[Route("/", answer)])


def page(template: str, written: Callable[[str], str] = str) -> Callable[[str], Response]:
    """Put what was sent into a page."""
    return lambda text: HTMLResponse(template.replace("%", written(text)))


PAGES: dict[str, tuple[Callable[[str], Response], str]] = {
    "text": (page("<p>%</p>"), "an element"),
    "comment": (page("<!-- % -->"), "an element"),
    "title": (page("<title>%</title>"), "an element"),
    "in double quotes": (page('<input value="%">', partial(html.escape, quote=False)), "an attribute"),
    "in single quotes": (page("<input value='%'>", partial(html.escape, quote=False)), "an attribute"),
    "without quotes": (page("<input value=%>", html.escape), "an attribute"),
    "link": (page('<a href="%">', html.escape), "a link that runs, in href"),
    "handler": (page("<a onclick=\"f('%')\">", html.escape), "code in onclick"),
    "script": (page("<script>f('%')</script>", html.escape), ""),
    "script, unescaped": (page("<script>f('%')</script>", lambda text: text.replace("<", "")), "code in a script"),
    "script, quotes alone escaped": (
        page('<script>f("%")</script>', lambda text: text.replace("<", "").replace('"', '\\"')),
        "code in a script",
    ),
    "script, in a template": (
        page("<script>f(`%`)</script>", lambda text: html.escape(text).replace("`", "")),
        "code in a script",
    ),
    "script, as JSON": (
        page("<script>f(%)</script>", lambda text: json.dumps(text).replace("<", "\\u003c")),
        "",
    ),
    "script of data": (page('<script type="application/json">"%"</script>', html.escape), ""),
    "escaped everywhere": (page("<title>%</title><p title='%'>%<a href='/?q=%'>%</a>", html.escape), ""),
}


@pytest.mark.parametrize(("answered", "what"), PAGES.values(), ids=PAGES)
def test_what_was_sent_is_markup_or_it_is_text(answered: Callable[[str], Response], what: str) -> None:
    """As a browser would read it."""
    holes = attack(application(answered)).holes

    assert [(hole.attack, hole.evidence) for hole in holes] == (
        [("xss", f"it stands in the page as {what}")] if what else []
    )


def hashed(text: str, salt: int) -> Response:
    """Answer one of two things, as those do who try two designs at once."""
    return PlainTextResponse("ab"[hashlib.sha256(f"{salt}{text}".encode()).digest()[0] & 1])


SOUND: dict[str, Callable[[str], Response]] = {
    **{f"bucket {salt}": partial(hashed, salt=salt) for salt in range(8)},
    "busy": lambda text: PlainTextResponse("busy", 503 if len(text) > 5 else 200),
    "echo": lambda text: JSONResponse({"q": text}),
    "page as text": PlainTextResponse,
    "length": lambda text: JSONResponse({"length": len(text)}),
}


@pytest.mark.parametrize("answered", SOUND.values(), ids=SOUND)
def test_what_depends_on_the_text_in_another_way_is_no_hole(answered: Callable[[str], Response]) -> None:
    """Though two texts are answered otherwise, or an answer has the status of a failure."""
    assert attack(application(answered), payloads=ATTACKS, benign=BENIGN).holes == ()


def test_a_quote_that_breaks_something_else_is_no_injection() -> None:
    """It is told as what it is: something fails."""

    def answered(text: str) -> Response:
        return JSONResponse(shlex.split(text))

    assert {hole.attack for hole in attack(application(answered), payloads=ATTACKS).holes} == {"crash"}


def inserted() -> Callable[[str], Response]:
    """Insert what is sent, and hide what the database says."""
    rows = database()

    def answered(text: str) -> Response:
        try:
            rows.execute(f"insert into items values (9, '{text}')")  # no comment mends this
        except Exception:  # noqa: BLE001
            return PlainTextResponse("sorry", 500)
        return PlainTextResponse("thanks")

    return answered


def test_an_injection_into_what_is_inserted_is_found_though_the_database_is_silent() -> None:
    """By which texts are expressions."""
    holes = attack(application(inserted())).holes

    assert [hole.attack for hole in holes if hole.attack != "crash"] == ["sqli"]


@pytest.mark.parametrize(
    ("place", "read"),
    [
        ("cookie", lambda request: request.cookies.get("q", "")),
        ("header", lambda request: request.headers.get("q", "")),
    ],
)
def test_what_stands_in_a_cookie_or_a_header_arrives_as_it_is(place: str, read: Callable[[Request], str]) -> None:
    """So a hole behind it is found."""
    assert [hole.attack for hole in attack(application(page("<p>%</p>"), read), place).holes] == ["xss"]
    assert attack(application(page("<p>%</p>", html.escape), read), place, payloads=ATTACKS, benign=BENIGN).holes == ()


def test_who_fetches_late_is_not_taken_for_another() -> None:
    """The address tells who was told it."""

    def later(text: str) -> Response:
        def fetch() -> None:
            with suppress(OSError, ValueError):
                urllib.request.urlopen(text, timeout=2).close()

        if text.startswith("http://127.0.0.1"):
            threading.Timer(0.05, fetch).start()
        return PlainTextResponse("ok")

    async def answer(request: Request) -> Response:
        text = request.query_params.get("q", "")
        return later(text) if request.url.path == "/late" else PlainTextResponse("ok")

    app = Starlette(routes=[Route(path, answer) for path in ("/late", "/sound")])
    routes = [("GET", path, {"q": "query"}) for path in ("/late", "/sound")]
    assert [(hole.route, hole.attack) for hole in attack(app, routes=routes).holes] == [("GET /late", "ssrf")]


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_holes_are_found_through_a_guard_that_is_told_nothing() -> None:
    """Its limit of one client hides none of them, and what it refuses is counted."""
    report = attack(Guard(with_holes()), routes=None)

    assert {hole.attack for hole in report.holes} >= {"xss", "redirect", "code", "leak", "ssrf", "sqli"}
    assert report.refused > report.passed
    assert not report.is_shut_out


def test_who_is_shut_out_has_seen_nothing() -> None:
    """A limit refuses everything, whatever it says; no text is blamed for it."""
    asked = 0

    def answered(text: str) -> Response:
        nonlocal asked
        asked += 1
        return PlainTextResponse("", 200 if asked < 30 else 429)

    report = attack(application(answered))
    assert (report.is_shut_out, report.is_blind, report.blocked_benign, report.refused) == (True, True, (), 0)
    assert "all are answered with 429" in report.text()


def test_a_route_that_lets_nobody_in_is_told() -> None:
    """What is behind it was not attacked."""
    report = attack(application(lambda text: PlainTextResponse("", 401)))

    assert (report.closed, report.is_blind, report.holes) == (("GET /",), True, ())
    assert "closed: 1 route answered" in report.text()


class Line(BaseModel):
    note: str


class Order(BaseModel):
    lines: list[Line]
    tag: str | None = None


class Body(BaseModel):
    order: Order
    who: str = "x"


def test_fields_within_fields_are_attacked() -> None:
    """Each by its path, in a body that is whole besides."""
    api = FastAPI()

    @api.post("/orders")
    async def order(body: Body) -> HTMLResponse:
        return HTMLResponse("".join(line.note for line in body.order.lines))

    report = attack(api, routes=None)
    assert {spot.name for spot in spots_of(api)} == {"order.lines.0.note", "order.tag", "who"}
    assert [(hole.name, hole.attack) for hole in report.holes] == [("order.lines.0.note", "xss")]


def test_names_are_guessed_where_a_body_is_not_described() -> None:
    """In forms and in JSON."""

    async def answer(request: Request) -> Response:
        return Response()

    spots = spots_of(Starlette(routes=[Route("/", answer, methods=["POST"])]))
    assert {spot.place for spot in spots} == {"form", "json"}
