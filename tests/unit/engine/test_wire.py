"""The application's `send`: what passes, what is edited, what is held and what is dropped."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest

from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.headers import NEVER_HELD
from asgi_guard.engine.replies import Reply
from asgi_guard.testing import HEADER_FORMS, StrictServer, call, http_scope, websocket_scope

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
MORE = {"type": "http.response.body", "body": b"more", "more_body": True}
LAST = {"type": "http.response.body", "body": b"last"}


async def serve(app, scope=None, **options):
    """Serve one request or handshake, and return the server."""
    scope = scope or http_scope()
    connect = [{"type": "websocket.connect"}] if scope["type"] == "websocket" else []
    return await StrictServer(scope, options.pop("incoming", connect), **options).serve(app)


def kinds(server):
    """Return what was sent, in short."""
    return [message["type"].removeprefix("http.response.") for message in server.sent]


# Heads ----------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_heads_edit_a_fresh_list_from_the_inside_out(layer, sending) -> None:
    """Each sees what those inside it have made of the head; the application's own message stays as it was."""
    inner = layer(head=lambda exchange, headers: headers.append((b"x-inner", b"1")))
    outer = layer(head=lambda exchange, headers: headers.append((b"x-outer", b"%d" % len(headers))))
    message = {"type": "http.response.start", "status": 200, "headers": [(b"x-app", b"1")]}

    response = await call(Middleware(sending(message, LAST), outer, inner))

    assert response.headers == ((b"x-app", b"1"), (b"x-inner", b"1"), (b"x-outer", b"2"))
    assert message["headers"] == [(b"x-app", b"1")]


@pytest.mark.anyio
@pytest.mark.parametrize("form", HEADER_FORMS.values(), ids=HEADER_FORMS)
async def test_headers_of_any_form_go_out_in_lower_case(layer, sending, form) -> None:
    """An application may send any iterable of pairs, in any case."""
    pairs = [(b"x-app", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]

    response = await call(Middleware(sending({**START, "headers": form(pairs)}, LAST), layer()))

    assert [tuple(pair) for pair in response.headers] == pairs


@pytest.mark.anyio
async def test_headers_of_mutable_bytes_go_out_as_bytes(layer, sending) -> None:
    """Some servers take them, and no head may see what has no hash and may change under it."""
    seen = []
    start = {**START, "headers": [(b"x-app", bytearray(b"1")), (bytearray(b"X-Other"), b"2")]}

    response = await call(Middleware(sending(start, LAST), layer(head=lambda exchange, headers: seen.extend(headers))))

    assert response.headers == ((b"x-app", b"1"), (b"x-other", b"2"))
    assert {type(part) for pair in seen for part in pair} == {bytes}


@pytest.mark.anyio
async def test_a_start_without_headers_gets_some(layer, sending) -> None:
    """One server answers 500 where the key, which is optional, is missing."""
    server = await serve(Middleware(sending({"type": "http.response.start", "status": 200}, LAST), layer()))

    assert server.sent[0] == {"type": "http.response.start", "status": 200, "headers": []}


@pytest.mark.anyio
@pytest.mark.parametrize("is_held", [False, True])
async def test_unknown_keys_of_a_start_pass(layer, sending, is_held) -> None:
    """Also where `headers` is missing, so that there are as many keys as in a plain start."""
    for start in ({**START, "mystery": 1}, {"type": "http.response.start", "status": 200, "mystery": 1}):
        server = await serve(Middleware(sending(start, LAST), layer(holds_start=is_held)))

        assert server.sent[0] == {"headers": [], **start}


@pytest.mark.anyio
async def test_a_head_that_would_split_the_response_is_an_error(layer, sending) -> None:
    """It never leaves, and is answered like any other failure of the application."""
    rescue = layer(rescue=lambda exchange, exc: Reply(500, body=str(exc).encode()))
    hostile = {**START, "headers": [(b"location", b"/\r\nset-cookie: admin=1")]}

    response = await call(Middleware(sending(hostile, LAST), rescue))

    assert response.status == 500
    assert b"split the response" in response.body


@pytest.mark.anyio
@pytest.mark.parametrize("is_held", [False, True])
async def test_a_second_start_is_an_error_of_the_application(layer, sending, is_held) -> None:
    """Some servers would send both."""
    server = await serve(Middleware(sending(START, START), layer(holds_start=is_held)))

    assert "after it had started" in str(server.error)
    assert kinds(server) == ([] if is_held else ["start"])


@pytest.mark.anyio
async def test_a_status_is_known_once_the_response_has_started(layer, sending) -> None:
    """To every hook that runs from then on."""
    seen = []
    observer = layer(
        head=lambda exchange, headers: seen.append(exchange.status),
        complete=lambda exchange: seen.append((exchange.status, exchange.is_complete)),
        finish=lambda exchange: seen.append((exchange.status, exchange.is_complete)),
    )

    await serve(Middleware(sending({**START, "status": 404}, MORE, LAST), observer))

    assert seen == [404, (404, True), (404, True)]


@pytest.mark.anyio
async def test_what_an_application_starts_too_late_passes_only_the_layers_inside(layer) -> None:
    """As it would where each is a middleware of its own: it comes as far as the layer that answered."""
    heads = []

    def noting(name, **hooks):
        return layer(head=lambda exchange, headers: heads.append(name), **hooks)

    async def app(scope, receive, send):
        await receive()
        heads.append("answered")
        await send({**START})
        await send({**LAST})

    limit = noting("limit", inbound=lambda exchange, message: Reply(413))
    server = await serve(Middleware(app, noting("outer"), limit, noting("inner")), incoming=[{"type": "http.request"}])

    assert heads == ["limit", "outer", "answered", "inner"]
    assert kinds(server) == ["start", "body"]


@pytest.mark.anyio
async def test_the_status_is_that_of_the_response_that_goes_out(layer) -> None:
    """What the application answers after it was answered for is not what the client got."""
    seen = []

    async def app(scope, receive, send):
        await receive()
        await send({**START, "status": 400})
        await send({**LAST})

    observer = layer(finish=lambda exchange: seen.append(exchange.status))
    limit = layer(inbound=lambda exchange, message: Reply(413))
    await serve(Middleware(app, observer, limit), incoming=[{"type": "http.request"}])

    assert seen == [413]


# WebSocket accepts ----------------------------------------------------------------------------------------------------

SPEC_VERSIONS = [
    ({"spec_version": "2.3"}, True),
    ({"spec_version": "2.1"}, True),
    ({"spec_version": "2.0"}, False),
    ({"version": "3.0"}, False),
    ({}, False),
    (None, False),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("asgi", "takes_headers"), SPEC_VERSIONS)
async def test_an_accept_is_given_headers_only_where_it_may_have_some(layer, sending, asgi, takes_headers) -> None:
    """Before version 2.1 of the specification a server may refuse them; the heads run all the same."""
    ran = []

    def head(exchange, headers):
        ran.append(exchange.is_accepted)
        headers.append((b"x-head", b"1"))

    scope = websocket_scope()
    scope["asgi"] = asgi
    app = Middleware(sending({"type": "websocket.accept"}, {"type": "websocket.close", "code": 4000}), layer(head=head))
    sent = []

    async def note(message):
        sent.append(message)

    await app(scope, None, note)

    assert ran == [True]
    assert sent[0]["headers"] == ([(b"x-head", b"1")] if takes_headers else [])
    assert sent[1] == {"type": "websocket.close", "code": 4000}


# What follows the head ------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_every_message_after_the_head_is_observed(layer, sending) -> None:
    """From the inside out, the very objects that pass, unknown ones too; nothing before the head."""
    seen = []
    inner = layer(outbound=lambda exchange, message: seen.append(("inner", message["type"])))
    outer = layer(outbound=lambda exchange, message: seen.append(("outer", message["type"])))
    hint = {"type": "http.response.early_hint", "links": []}
    mystery = {"type": "http.response.mystery"}
    extensions = {"http.response.early_hint": {}, "http.response.mystery": {}}

    app = Middleware(sending(hint, START, mystery, LAST), outer, inner)
    server = await serve(app, http_scope(extensions=extensions))

    assert kinds(server) == ["early_hint", "start", "mystery", "body"]
    assert seen == [
        (who, kind) for kind in ("http.response.mystery", "http.response.body") for who in ("inner", "outer")
    ]


TRAILERS = {"type": "http.response.trailers", "headers": []}
FILE = {"type": "http.response.zerocopysend", "file": 7}
ENDINGS = {
    "one body": [START, LAST],
    "several chunks": [START, MORE, MORE, LAST],
    "trailers": [{**START, "trailers": True}, LAST, {**TRAILERS, "more_trailers": True}, TRAILERS],
    "a path": [START, {"type": "http.response.pathsend", "path": "/x"}],
    "a file": [START, {**FILE, "more_body": True}, FILE],
    "a file with trailers": [{**START, "trailers": True}, FILE, TRAILERS],
}


@pytest.mark.anyio
@pytest.mark.parametrize("messages", ENDINGS.values(), ids=ENDINGS)
async def test_the_response_is_complete_after_its_last_message(layer, messages) -> None:
    """Not before it, not twice, and before the application goes on to its background work."""
    completed = []
    observer = layer(complete=lambda exchange: completed.append("complete"))
    extensions = {f"http.response.{name}": {} for name in ("trailers", "pathsend", "zerocopysend")}

    async def app(scope, receive, send):
        for message in messages:
            assert completed == []
            await send({**message})
        completed.append("background")

    server = await serve(Middleware(app, observer), http_scope(extensions=extensions))
    server.raise_for_errors()

    assert completed == ["complete", "background"]
    assert server.is_over


@pytest.mark.anyio
async def test_an_end_without_a_start_completes_nothing(layer, sending) -> None:
    """The server refuses it."""
    completed = []

    server = await serve(Middleware(sending(LAST), layer(complete=lambda exchange: completed.append(1))))

    assert completed == []
    assert server.error is server.violation


@pytest.mark.anyio
async def test_a_close_before_the_accept_completes_a_handshake(layer, sending) -> None:
    """It is the application's word on it."""
    completed = []
    app = Middleware(
        sending({"type": "websocket.close"}), layer(complete=lambda exchange: completed.append(exchange.status))
    )

    await serve(app, websocket_scope())

    assert completed == [0]


@pytest.mark.anyio
async def test_a_hook_that_fails_at_completion_is_logged_and_keeps_none_from_theirs(layer, sending, caplog) -> None:
    """The response has gone out; there is nothing left to answer."""
    completed = []
    failing = layer(complete=lambda exchange: completed.append(1 / 0))
    other = layer(complete=lambda exchange: completed.append("other"))

    response = await call(Middleware(sending(START, LAST), failing, other))

    assert response.body == b"last"
    assert completed == ["other"]
    assert "ZeroDivisionError" in caplog.text


# Hooks that fail ------------------------------------------------------------------------------------------------------


def failing(*_):
    """Be a hook that fails."""
    raise LookupError("the hook failed")


@pytest.mark.anyio
@pytest.mark.parametrize("hook", ["head", "outbound"])
@pytest.mark.parametrize("is_held", [False, True])
async def test_a_hook_that_fails_is_rescued_from_outside(layer, sending, hook, is_held) -> None:
    """Nothing has left when a head fails; what is observed follows the start, and the connection has to break off."""
    rescued = layer(rescue=lambda exchange, exc: Reply(500, body=str(exc).encode()), holds_start=is_held)
    app = Middleware(sending(START, MORE, LAST), rescued, layer(**{hook: failing}))

    server = await serve(app)

    if hook == "head":
        assert (server.sent[0]["status"], server.sent[1]["body"]) == (500, b"the hook failed")
        assert kinds(server) == ["start", "body"]
    else:
        assert str(server.error) == "the hook failed"
        assert kinds(server) == ["start"]


@pytest.mark.anyio
@pytest.mark.parametrize("hook", ["head", "outbound"])
async def test_a_hook_that_fails_is_not_rescued_from_inside(layer, sending, hook) -> None:
    """A layer answers for what stands inside it."""
    rescued = layer(rescue=lambda exchange, exc: Reply(500))

    server = await serve(Middleware(sending(START, LAST), layer(**{hook: failing}), rescued))

    assert str(server.error) == "the hook failed"


@pytest.mark.anyio
async def test_an_application_that_goes_on_after_a_failed_hook_is_not_heard(layer) -> None:
    """Its messages end where the hook failed, and the failure is answered when it returns."""
    rescued = layer(rescue=lambda exchange, exc: Reply(500, body=str(exc).encode()))

    async def stubborn(scope, receive, send):
        for message in (START, MORE, LAST):
            with suppress(LookupError):
                await send({**message})

    response = await call(Middleware(stubborn, rescued, layer(head=failing)))

    assert (response.status, response.body) == (500, b"the hook failed")


@pytest.mark.anyio
async def test_the_outermost_failure_is_the_one_that_is_answered(layer) -> None:
    """What fails further in, in messages that are dropped anyway, changes nothing."""
    rescued = layer(rescue=lambda exchange, exc: Reply(500, body=repr(exc).encode()))

    def fail(*_):
        raise KeyError("further in")

    async def stubborn(scope, receive, send):
        for message in (START, LAST):
            with suppress(LookupError):
                await send({**message})

    response = await call(Middleware(stubborn, rescued, layer(head=failing), layer(outbound=fail)))

    assert response.body == b"LookupError('the hook failed')"


# Holding the start ----------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_held_start_goes_out_with_the_first_body(layer, sending) -> None:
    """In order, once; no head runs before it goes, and then all do, so that whoever answers meanwhile still can."""
    heads = []
    holding = layer(holds_start=True, head=lambda exchange, headers: heads.append("holder"))
    inside = layer(head=lambda exchange, headers: heads.append("inside"))
    outside = layer(head=lambda exchange, headers: heads.append("outside"))

    async def app(scope, receive, send):
        await send({**START})
        heads.append("sent")
        await send({**MORE})
        await send({**LAST})

    server = await serve(Middleware(app, outside, holding, inside))

    assert kinds(server) == ["start", "body", "body"]
    assert heads == ["sent", "inside", "holder", "outside"]


@pytest.mark.anyio
async def test_a_held_start_is_observed_in_order(layer, sending) -> None:
    """Every head runs before anybody sees the message that ends the hold, wherever the holder stands."""
    seen = []
    inside = layer(outbound=lambda exchange, message: seen.append(("inside", message["body"])))
    holding = layer(holds_start=True, head=lambda exchange, headers: seen.append("head"))
    outside = layer(outbound=lambda exchange, message: seen.append(("outside", message["body"])))

    await serve(Middleware(sending(START, MORE, LAST), outside, holding, inside))

    assert seen == [
        "head",
        ("inside", b"more"),
        ("outside", b"more"),
        ("inside", b"last"),
        ("outside", b"last"),
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("content_type", [*NEVER_HELD, b"Text/Event-Stream; charset=utf-8"])
async def test_a_stream_that_clients_wait_for_is_never_held(layer, content_type) -> None:
    """An event source is open when its head is there, and that may be long before the first event."""

    async def app(scope, receive, send):
        await send({**START, "headers": [(b"content-type", content_type)]})
        started.extend(kinds(server))
        await send({**LAST})

    for _ in range(2):  # not when it is known, either
        started = []
        server = StrictServer(http_scope())
        await server.serve(Middleware(app, layer(holds_start=True)))

        assert started == ["start"]


@pytest.mark.anyio
@pytest.mark.parametrize("content_type", [None, b"application/json", b"text/html; charset=utf-8", b"x/" + b"y" * 100])
async def test_everything_else_is_held(layer, content_type) -> None:
    """Whatever an application writes there, and however often."""
    headers = [] if content_type is None else [(b"content-type", content_type)]

    async def app(scope, receive, send):
        await send({**START, "headers": headers})
        started.extend(kinds(server))
        await send({**LAST})

    for _ in range(2):
        started = []
        server = StrictServer(http_scope())
        await server.serve(Middleware(app, layer(holds_start=True)))

        assert started == []
        assert kinds(server) == ["start", "body"]


@pytest.mark.anyio
async def test_an_exception_while_the_start_is_held_is_a_proper_error(layer, sending) -> None:
    """The start that was held is never seen."""
    envelope = layer(holds_start=True, rescue=lambda exchange, exc: Reply(500, body=b"sorry"))

    server = await serve(Middleware(sending(START, LookupError("late")), envelope))

    assert kinds(server) == ["start", "body"]
    assert server.sent[0]["status"] == 500


@pytest.mark.anyio
@pytest.mark.parametrize("fuse", [False, True])
@pytest.mark.parametrize("stands", ["outside", "inside"])
async def test_a_refusal_replaces_what_is_held(layer, fuse, stands) -> None:
    """The application's start is thrown away with the rest of its response, wherever the holder stands."""
    limit, holding = layer(inbound=lambda exchange, message: Reply(413)), layer(holds_start=True)
    outer, inner = (limit, holding) if stands == "outside" else (holding, limit)

    async def app(scope, receive, send):
        await send({**START})
        await receive()
        await send({**LAST})

    stack = Middleware(Middleware(app, inner, fuse=fuse), outer, fuse=fuse)
    server = await serve(stack, incoming=[{"type": "http.request"}])
    server.raise_for_errors()

    assert [message.get("status") for message in server.sent] == [413, None]


@pytest.mark.anyio
@pytest.mark.parametrize("fuse", [False, True])
async def test_bodies_of_two_tasks_never_overtake_the_start(layer, fuse) -> None:
    """The first lets go of the held start and a slow client takes it; the second waits, and neither is lost."""

    async def slowly(message):
        for _ in range(10):
            await anyio.lowlevel.checkpoint()

    async def app(scope, receive, send):
        await send({**START})
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(send, {**MORE})
        await send({**LAST})

    stack = Middleware(Middleware(app, layer(holds_start=True), fuse=fuse), layer(holds_start=True), fuse=fuse)
    server = await serve(stack, on_send=slowly)
    server.raise_for_errors()

    assert kinds(server) == ["start", "body", "body", "body", "body"]
    assert server.is_over


@pytest.mark.anyio
async def test_whoever_waits_for_the_start_goes_on_when_the_client_has_left(layer) -> None:
    """Each task that sends hears of it; none waits for ever."""
    caught = []

    async def leave(message):
        await anyio.lowlevel.checkpoint()
        raise OSError("the client has left")

    async def app(scope, receive, send):
        async def say():
            try:
                await send({**MORE})
            except OSError as exc:
                caught.append(str(exc))

        await send({**START})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(say)
            tasks.start_soon(say)

    server = StrictServer(http_scope(), on_send=leave)
    with anyio.fail_after(5):
        await Middleware(app, layer(holds_start=True))(server.scope, server.receive, leave)

    assert caught == ["the client has left"] * 2


@pytest.mark.anyio
@pytest.mark.parametrize("order", ["outer", "inner"])
async def test_of_two_guards_the_innermost_holds_for_both(layer, order) -> None:
    """Whichever of them asks: the outer one's layers can still answer, and no head of theirs has run."""
    heads = []
    holding = {"holds_start": True}
    outer = layer(head=lambda exchange, headers: heads.append("outer"), **(holding if order == "outer" else {}))
    inner = layer(head=lambda exchange, headers: heads.append("inner"), **(holding if order == "inner" else {}))

    async def app(scope, receive, send):
        await send({**START})
        heads.append("sent")
        await send({**LAST})

    server = await serve(Middleware(Middleware(app, inner, fuse=False), outer, fuse=False))
    server.raise_for_errors()

    assert kinds(server) == ["start", "body"]
    assert heads == ["sent", "inner", "outer"]


@pytest.mark.anyio
async def test_a_client_that_left_is_seen_when_the_held_start_goes_out(layer, sending) -> None:
    """The application's send of the body raises what the server raised."""
    caught = []
    gone = OSError("the client has left")

    async def fail(message):
        raise gone

    async def app(scope, receive, send):
        await send({**START})
        try:
            await send({**LAST})
        except OSError as exc:
            caught.append(exc)
            raise

    server = await serve(
        Middleware(app, layer(holds_start=True, rescue=lambda exchange, exc: Reply(500))), on_send=fail
    )

    assert caught == [gone]
    assert server.error is gone
