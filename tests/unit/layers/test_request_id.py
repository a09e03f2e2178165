"""The request id: one name for a request, everywhere; only who is believed chooses it, and nobody is refused for it."""

from __future__ import annotations

import logging
import os
import re
import uuid
from typing import Any

import pytest

from asgi_guard import ConfigError, Exchange, Guard, Layer, Middleware, RequestID, RequestIDMiddleware, SecurityHeaders
from asgi_guard.layers.request_id import RequestIDLayer, new_request_id
from asgi_guard.testing import ABSENT, StrictServer, call, capture_events, http_scope, websocket

pytestmark = pytest.mark.anyio

DEFAULT = re.compile(r"req_[0-9a-f]{32}")
SENT = "abcd-1234_EF.~5678"


class BelievingLayer(Layer):
    """Stands for the part that knows the trusted proxies."""

    def admit(self, exchange: Exchange) -> None:
        exchange.is_peer_trusted = True


async def tell_id(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the id that the application sees."""
    body = scope["state"]["request_id"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def fail(scope: Any, receive: Any, send: Any) -> None:
    """Fail before anything is sent."""
    raise RuntimeError("secret")


async def accept(scope: Any, receive: Any, send: Any) -> None:
    """Accept a WebSocket and stay until the client leaves."""
    await receive()
    await send({"type": "websocket.accept"})
    await receive()


def between(app: Any) -> Any:
    """Stand between two guards with a `send` of its own, as most middlewares do."""

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        async def passing(message: Any) -> None:
            await send(message)

        await app(scope, receive, passing)

    return middleware


# where it stands


async def test_the_application_and_the_client_know_the_same_id() -> None:
    """It is in `scope["state"]` while the application runs, and in the response header."""
    response = await call(RequestIDMiddleware(tell_id))

    (header,) = response.headers.get_all("x-request-id")
    assert DEFAULT.fullmatch(header)
    assert response.body.decode() == header


@pytest.mark.parametrize("accept", ["application/json", "application/problem+json", "text/html", "text/plain"])
async def test_an_error_is_told_and_logged_with_the_id_of_its_header(accept, caplog) -> None:
    """Whatever the format, the person who reads the error can name the request to the person who reads the log."""
    response = await call(Guard(fail, listeners=[events := capture_events()]), headers={"Accept": accept})

    request_id = response.headers.get("x-request-id")
    assert response.status == 500
    assert request_id in response.body.decode()
    assert request_id in caplog.text
    assert {event.request_id for event in events} == {request_id}


async def test_a_refusal_carries_the_id() -> None:
    """A request that never reached the application has a name too."""
    response = await call(Guard(tell_id), headers={"Content-Length": "-1"})

    assert response.status == 400
    assert response.json()["request_id"] == response.headers.get("x-request-id")


async def test_an_id_that_the_application_wrote_itself_is_replaced() -> None:
    """Two ids in one answer would be none."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        own = [(b"X-Request-Id", b"mine-1234"), (b"x-request-id", b"mine-5678")]
        await send({"type": "http.response.start", "status": 200, "headers": own})
        await send({"type": "http.response.body"})

    response = await call(RequestIDMiddleware(app))

    (header,) = response.headers.get_all("x-request-id")
    assert DEFAULT.fullmatch(header)


async def test_the_header_has_the_name_that_the_settings_say() -> None:
    """Both ways."""
    app = RequestIDMiddleware(tell_id, header="X-Correlation-ID", inbound="always")

    response = await call(app, headers={"X-Correlation-ID": SENT, "X-Request-ID": "another-id"})

    assert response.headers.get("x-correlation-id") == SENT
    assert response.headers.get("x-request-id") is None


async def test_a_websocket_has_an_id_when_it_is_accepted_and_when_it_is_denied() -> None:
    """The handshake is a request like any other."""
    async with websocket(RequestIDMiddleware(accept)) as session:
        assert DEFAULT.fullmatch(session.headers.get("x-request-id") or "")
    async with websocket(Guard(accept), headers={"Content-Length": "-1"}) as session:
        assert session.denial is not None
        assert DEFAULT.fullmatch(session.headers.get("x-request-id") or "")


# the state of the scope


@pytest.mark.parametrize("state", [ABSENT, None, {}, {"pool": 1}], ids=["absent", "None", "empty", "of a lifespan"])
async def test_the_state_is_afterwards_as_it_was_before(state) -> None:
    """One is made where the server has none; the server's own is given back as it was."""
    scope = http_scope(state=state)
    before = {**scope, "state": dict(state)} if isinstance(state, dict) else dict(scope)

    server = await StrictServer(scope, [{"type": "http.request"}]).serve(RequestIDMiddleware(tell_id))

    server.raise_for_errors()
    assert scope == before
    assert DEFAULT.fullmatch(server.sent[1]["body"].decode())


async def test_the_state_keeps_what_the_application_put_there() -> None:
    """Whoever stands outside the guard reads what the application left."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["state"]["user"] = "ada"
        await tell_id(scope, receive, send)

    scope = http_scope()
    await StrictServer(scope, [{"type": "http.request"}]).serve(RequestIDMiddleware(app))

    assert scope["state"] == {"user": "ada"}


async def test_the_state_is_given_back_when_the_application_fails() -> None:
    """An exception that nobody answers for takes the same way out."""
    scope = http_scope()

    server = await StrictServer(scope).serve(RequestIDMiddleware(fail))

    assert isinstance(server.error, RuntimeError)
    assert scope["state"] == {}


# ids from outside


@pytest.mark.parametrize(
    ("inbound", "believed", "taken"),
    [
        ("trusted", False, False),
        ("trusted", True, True),
        ("always", False, True),
        ("always", True, True),
        ("never", False, False),
        ("never", True, False),
    ],
)
@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "nested"])
async def test_an_id_from_outside_is_taken_over_from_those_who_are_believed(inbound, believed, taken, fuse) -> None:
    """By default from trusted proxies alone: an id of a client's choice would hide its requests among another's."""
    app: Any = RequestIDMiddleware(tell_id, inbound=inbound)
    if believed:
        app = Middleware(app, BelievingLayer(), fuse=fuse)

    response = await call(app, headers={"X-Request-ID": SENT})

    assert (response.headers.get("x-request-id") == SENT) is taken
    assert response.body.decode() == response.headers.get("x-request-id")


@pytest.mark.parametrize("sound", ["a" * 8, "Z" * 128, "0.9_~-aZ", "7f3e6f0e-6f7a-4f43-9c07-6dfd3a1a4b4c"])
async def test_a_sound_id_is_taken_over_as_it_is(sound) -> None:
    """8 to 128 characters of `A-Z a-z 0-9 . _ ~ -`."""
    response = await call(RequestIDMiddleware(tell_id, inbound="always"), headers={"X-Request-ID": sound})

    assert response.headers.get("x-request-id") == sound


@pytest.mark.parametrize(
    "unsound",
    [
        ## length
        b"",
        b"a" * 7,
        b"a" * 129,
        b"a" * 8_192,
        ## what splits a response or a log line
        b"abcdefgh\r\nset-cookie: a=b",
        b"abcdefgh\n",
        b"abcdefgh\r",
        b"abcdefgh\x00",
        b"abcdefgh\x85ERROR forged",
        ## what a terminal obeys
        b"\x1b[2Jabcdefgh",
        b"abcdefgh\x07",
        ## what is more than a name
        b"abcd efgh",
        b" abcdefgh",
        b"abcdefgh ",
        b"abcdefgh;a=b",
        b"abcdefgh,ijklmnop",
        b"<b>abcdefgh</b>",
        b'"abcdefgh"',
        b"../../etc/passwd",
        b"%0d%0aabcdefgh",
        b"${jndi:ldap://a}",
        b"{request_id:>99}",
        ## letters that only look plain
        "\u0430bcdefgh".encode(),
        "abcdefgh\u202e".encode(),
        b"abcdefg\xe9",
        b"\xff" * 16,
    ],
    ids=lambda given: f"{len(given)} bytes {given[:24]!r}",
)
async def test_an_unsound_id_is_replaced(unsound) -> None:
    """It goes into headers, log lines, terminals and pages; a request is never refused for it."""
    response = await call(RequestIDMiddleware(tell_id, inbound="always"), headers=[(b"x-request-id", unsound)])

    assert response.status == 200
    assert DEFAULT.fullmatch(response.headers.get("x-request-id") or "")


async def test_of_two_ids_none_is_taken_over() -> None:
    """A proxy that appends its own leaves the first line to the client."""
    headers = [("X-Request-ID", "chosen-by-the-client"), ("X-Request-ID", "made-by-the-proxy")]

    response = await call(RequestIDMiddleware(tell_id, inbound="always"), headers=headers)

    assert DEFAULT.fullmatch(response.headers.get("x-request-id") or "")


# several guards


@pytest.mark.parametrize("wrap", [lambda app: app, between], ids=["side by side", "with a middleware between"])
async def test_a_guard_inside_another_keeps_the_id_of_the_outer(wrap) -> None:
    """One request, one name: for the application, for the client, and in the error of the inner guard."""
    response = await call(Guard(wrap(Guard(tell_id))))
    error = await call(Guard(wrap(Guard(fail))))

    assert response.body.decode() == response.headers.get("x-request-id")
    assert error.json()["request_id"] == error.headers.get("x-request-id")


@pytest.mark.parametrize("left_behind", [7, "", "a\r\nb", "a b", "x" * 129, None])
async def test_what_is_no_id_in_the_state_is_not_taken_for_one(left_behind) -> None:
    """The name may be somebody else's; it is given back at the end."""
    scope = http_scope(state={"request_id": left_behind})

    server = await StrictServer(scope, [{"type": "http.request"}]).serve(RequestIDMiddleware(tell_id))

    assert DEFAULT.fullmatch(server.sent[1]["body"].decode())
    assert scope["state"] == {"request_id": left_behind}


# ids of our own


def test_ten_thousand_ids_differ() -> None:
    """128 random bits each."""
    ids = [new_request_id() for _ in range(10_000)]

    assert len(set(ids)) == 10_000
    assert all(DEFAULT.fullmatch(request_id) for request_id in ids)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_worker_makes_other_ids() -> None:
    """Whatever was prepared before the fork is not used after it in both."""
    new_request_id()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, new_request_id().encode())
        os._exit(0)
    os.waitpid(child, 0)

    assert os.read(reading, 64).decode() not in {new_request_id() for _ in range(256)}


@pytest.mark.parametrize("made", ["1", "x" * 128, "a/b=c+d:e@f", "Root=1-67891233-abcdef012345678912345678"])
async def test_a_factory_may_make_any_visible_text(made) -> None:
    """What stands in the settings was chosen by the operator."""
    response = await call(RequestIDMiddleware(tell_id, factory=lambda: made))

    assert response.headers.get("x-request-id") == made
    assert response.body.decode() == made


@pytest.mark.parametrize(
    "made",
    ["", "a b", "a\r\nset-cookie: a=b", "a\n", "a\x00", "\x1b[31m", "\xe9", "\u20ac", "x" * 129, None, 7, b"abcdefgh"],
    ids=ascii,
)
async def test_what_a_factory_must_not_make_is_replaced(made, caplog) -> None:
    """A fault in an id must neither split a response nor take the service down; it is said once."""
    app = RequestIDMiddleware(tell_id, factory=lambda: made)

    responses = [await call(app) for _ in range(3)]

    for response in responses:
        assert response.status == 200
        assert DEFAULT.fullmatch(response.headers.get("x-request-id") or "")
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert repr(made) in caplog.text or ascii(made)[:20] in ascii(caplog.text)


@pytest.mark.parametrize("factory", [lambda: 1 / 0, uuid.uuid4], ids=["that fails", "that makes an object"])
async def test_a_factory_that_cannot_be_used_takes_nothing_down(factory, caplog) -> None:
    """`uuid.uuid4` is what many would write; the log says what is wrong with it."""
    response = await call(RequestIDMiddleware(tell_id, factory=factory))

    assert DEFAULT.fullmatch(response.headers.get("x-request-id") or "")
    assert len(caplog.records) == 1


# settings


async def no_plain_function() -> str:
    """Stand for a factory that would never be awaited."""
    return "abcdefgh"


@pytest.mark.parametrize(
    ("fields", "problem_id"),
    [
        ({"header": ""}, "AG107"),
        ({"header": "X Request"}, "AG107"),
        ({"header": "X-Request-ID:"}, "AG107"),
        ({"header": "X-Id\r\nSet-Cookie"}, "AG107"),
        ({"header": b"x-request-id"}, "AG107"),
        ({"inbound": "Trusted"}, "AG105"),
        ({"inbound": True}, "AG105"),
        ({"factory": "uuid"}, "AG109"),
        ({"factory": no_plain_function}, "AG230"),
        ({"trace_header": "X Trace"}, "AG107"),
        ({"trace_header": "x-request-id"}, "AG231"),
    ],
)
def test_settings_that_cannot_work_do_not_start(fields, problem_id) -> None:
    """Neither as settings nor as fields of the middleware."""
    with pytest.raises(ConfigError) as caught:
        RequestID(**fields)
    assert [problem.id for problem in caught.value.problems] == [problem_id]
    with pytest.raises(ConfigError):
        RequestIDMiddleware(tell_id, **fields)


def test_every_problem_is_told_at_once() -> None:
    """Three faults, three lines."""
    with pytest.raises(ConfigError) as caught:
        RequestID(header=" ", inbound="?", factory=None)  # type: ignore[arg-type]

    assert [problem.field for problem in caught.value.problems] == [
        "RequestID.header",
        "RequestID.inbound",
        "RequestID.factory",
    ]


async def test_what_another_layer_puts_in_front_hides_no_id_of_the_applications() -> None:
    """There is one line, whatever stands before it by then."""
    merging = SecurityHeaders(policy={"Content-Security-Policy": "merge"})
    own = [(b"content-security-policy", b"img-src 'self'"), (b"x-request-id", b"of-the-application")]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": own})
        await send({"type": "http.response.body", "body": b""})

    response = await call(Guard(app, security_headers=merging))

    (request_id,) = response.headers.get_all("x-request-id")
    assert DEFAULT.fullmatch(request_id)


def test_it_refuses_nothing() -> None:
    """So `explain` has nothing to say of it."""
    assert list(RequestIDLayer(RequestID()).refusals()) == []
