"""Validation: what crosses a limit hides nothing that stands beside it, where it is only flagged."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from anyio import create_task_group
from anyio.lowlevel import checkpoint

from asgi_guard import AttackFound, LimitCrossed, RequestWouldBeRefused, Validation, ValidationMiddleware
from asgi_guard.testing import call, capture_events, websocket

pytestmark = pytest.mark.anyio

ATTACK = "<script>steal(1)</script>"
MANY = "&".join(["a=1"] * 20)
DEEP: Any = [[[[[[["x"]]]]]]]
FLAG = Validation(on_limit="flag", max_fields=10, max_depth=4, max_aliases=2)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, and answer."""
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    "request_",
    [
        {"path": f"/?q={ATTACK}&{MANY}"},
        {"path": f"/?{MANY}", "headers": {"X-Name": ATTACK}},
        {"path": f"/?{MANY}", "headers": {"Cookie": f"a={ATTACK}"}},
        {"headers": {"Cookie": MANY.replace("&", ";"), "X-Name": ATTACK}},
        {"path": f"/?q={ATTACK}", "headers": {"X-Padding": "a" * 70_000}},
        {"headers": {"X-Name": ATTACK, "X-Padding": "a" * 70_000}},
        {"headers": {"Cookie": MANY.replace("&", ";"), "Referer": f"/?{MANY}", "X-Name": ATTACK}},
        {"method": "POST", "headers": {"Content-Type": "application/json"}, "body": json.dumps([ATTACK, DEEP])},
        {"method": "POST", "headers": {"Content-Type": "application/json"}, "body": json.dumps([DEEP, [[ATTACK]]])},
        {
            "method": "POST",
            "headers": {"Content-Type": "application/json"},
            "body": json.dumps({"query": "{a: b, c: d, e: f}", "variables": {"q": ATTACK}}),
        },
    ],
)
async def test_a_crossed_limit_hides_nothing_beside_it(request_: dict[str, Any]) -> None:
    """One cookie line too long must not be a way past for the other headers."""
    events = capture_events()
    method = request_.get("method", "GET")
    sent = {"path": "/", **request_, "body": request_.get("body", "").encode()}
    sent.pop("method", None)

    response = await call(ValidationMiddleware(app, FLAG, listeners=[events]), method, **sent)

    assert response.status == 400
    assert any(isinstance(event, AttackFound) for event in events)


async def test_every_limit_that_is_crossed_is_told() -> None:
    """And the request passes, where nothing else is in it."""
    events = capture_events()
    headers = {"Cookie": MANY.replace("&", ";"), "Referer": f"/?{MANY}"}

    response = await call(ValidationMiddleware(app, FLAG, listeners=[events]), path=f"/?{MANY}", headers=headers)

    assert response.status == 200
    assert [event.limit for event in events if isinstance(event, LimitCrossed)] == ["fields"] * 3


@pytest.mark.parametrize(
    ("before", "settings"),
    [
        ("a=1 union select b from c&", {"attacks": {"sqli": "detect"}}),
        ("query={a{b{c{d{e{f}}}}}}&", {"attacks": {"graphql": "detect"}, "max_depth": 4}),
        ("query={a{b{c{d{e{f}}}}}}&", {"on_limit": "flag", "max_depth": 4}),
    ],
    ids=["a class", "a limit of a class", "a limit"],
)
async def test_what_is_only_told_hides_nothing_behind_it(before: str, settings: dict[str, Any]) -> None:
    """However often: there is an end to what listeners are told of one request, and none to what is refused."""
    events = capture_events()

    response = await call(ValidationMiddleware(app, listeners=[events], **settings), path=f"/?{before * 40}q={ATTACK}")

    assert response.status == 400
    found = [event for event in events if isinstance(event, AttackFound | LimitCrossed)]
    assert len(found) == 17
    assert isinstance(found[-1], AttackFound)
    assert (found[-1].attack, found[-1].is_refused) == ("xss", True)


async def test_detected_attacks_are_told_to_an_end() -> None:
    """A request that is full of them fills no log."""
    events = capture_events()
    sent = json.dumps([ATTACK] * 100).encode()

    response = await call(
        ValidationMiddleware(app, mode="detect", listeners=[events]), "POST", "/",
        headers={"Content-Type": "application/json"}, body=sent,
    )  # fmt: skip

    assert response.status == 200
    assert len([event for event in events if isinstance(event, AttackFound)]) == 16


async def test_the_first_that_would_be_refused_is_told_behind_however_many_that_would_not() -> None:
    """Or nobody would learn what the mode to block would change."""
    events = capture_events()
    path = f"/?{'a=1 union select b from c&' * 40}q={ATTACK}"

    response = await call(
        ValidationMiddleware(app, mode="detect", attacks={"sqli": "detect"}, listeners=[events]), path=path
    )

    assert response.status == 200
    assert [event.attack for event in events if isinstance(event, AttackFound)] == ["sqli"] * 16 + ["xss"]
    assert len([event for event in events if isinstance(event, RequestWouldBeRefused)]) == 1


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("comment", "comment"),
        ("user[bio].text", "user[bio].text"),
        ("größe", "gr\\xf6\\xdfe"),
        ("n" * 100, "n" * 64),
        ("<img src=x onerror=alert(1)>", ""),
        ("a b", ""),
        ("a\nb", ""),
    ],
)
async def test_a_name_that_may_be_the_attack_is_not_told(
    name: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither to listeners nor in the log, where a client would write what it likes."""
    events = capture_events()
    caplog.set_level("INFO")

    await call(
        ValidationMiddleware(app, mode="detect", listeners=[events]),
        path="/?" + urlencode({name: "1' union select password from users--"}),
    )

    names = {event.name for event in events if isinstance(event, AttackFound) and event.place == "query"}
    assert names == {told}
    assert "onerror" not in caplog.text
    assert told in caplog.text


@pytest.mark.parametrize(
    ("content_type", "unit"),
    [
        ("application/x-www-form-urlencoded", b"%bg%pq"),
        ("application/x-www-form-urlencoded", b"%u0041"),
        ("text/plain", b"%c0%af"),
        ("text/xml", b"<a>"),
        ("application/json", b"[],"),
    ],
)
async def test_others_run_while_a_long_body_is_taken_apart_and_decoded(content_type: str, unit: bytes) -> None:
    """Not only while it is looked at: to decode takes its time as well, counted here in turns of the loop."""
    size = 200_000 if content_type != "application/json" else 90_000
    body = {b"%": b"a=", b"<": b"<a>", b"[": b"["}[unit[:1]] + unit * (size // len(unit))
    turns = 0
    is_done = False

    async def count() -> None:
        nonlocal turns
        while not is_done:
            turns += 1
            await checkpoint()

    async with create_task_group() as group:
        group.start_soon(count)
        await call(ValidationMiddleware(app), "POST", "/", headers={"Content-Type": content_type}, body=body)
        is_done = True

    assert turns >= len(body) // 8_192


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Send back what comes."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


@pytest.mark.parametrize(
    "said", [f"{ATTACK} {'word ' * 1_000}", json.dumps({"q": ATTACK, "padding": "word " * 1_000})], ids=["text", "json"]
)
async def test_a_long_message_of_a_websocket_hides_nothing_at_its_beginning(said: str) -> None:
    """As much of it is looked at as of a short one."""
    guarded = ValidationMiddleware(echo, on_limit="flag", max_body_bytes=1_024, websocket_messages=True)

    async with websocket(guarded) as session:
        session.send("word " * 1_000)
        assert await session.receive() == "word " * 1_000
        session.send(said)
        assert await session.receive() is None
        assert session.close_code == 1008
