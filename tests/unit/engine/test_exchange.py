"""Who answers a request, and how its call comes to an end."""

from __future__ import annotations

import logging

import anyio
import pytest

from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.replies import Reply
from asgi_guard.errors.exceptions import NoResponseError
from asgi_guard.errors.problem import Fault
from asgi_guard.events import RequestAllowed, RequestRefused, RequestWouldBeRefused
from asgi_guard.testing import (
    StrictServer,
    call,
    capture_events,
    http_scope,
    request_messages,
    websocket,
    websocket_scope,
)

START = {"type": "http.response.start", "status": 200, "headers": []}
MORE = {"type": "http.response.body", "body": b"more", "more_body": True}
LAST = {"type": "http.response.body", "body": b"last"}
FAULT = Fault(status=429, code="RATE_LIMIT_EXCEEDED", message="Too many requests.", details={"limit": 5})


class AppError(Exception):
    """What the application raises."""


async def serve(app, scope=None, **options):
    """Serve one request or handshake, and return the server."""
    scope = scope or http_scope()
    incoming = request_messages() if scope["type"] == "http" else [{"type": "websocket.connect"}]
    return await StrictServer(scope, options.pop("incoming", incoming), **options).serve(app)


def statuses(server):
    """Return the statuses of all responses that were started."""
    return [message["status"] for message in server.sent if "status" in message]


def bodies(server):
    """Return the bodies that were sent."""
    return [message["body"] for message in server.sent if "body" in message]


def answering(layer, status=500, **hooks):
    """Make a layer that answers every exception with its text."""
    return layer(rescue=lambda exchange, exc: Reply(status, body=repr(exc).encode()), **hooks)


# Refusals at the door -------------------------------------------------------------------------------------------------


async def unreachable(scope, receive, send):
    """Be an application, or a hook, that must not run."""
    raise AssertionError("the application must not run")


@pytest.mark.anyio
@pytest.mark.parametrize("hook", ["admit", "admit_async"])
async def test_a_refusal_passes_the_heads_outside_it(layer, hook) -> None:
    """Those of the layers inside never run, nor the application; nothing is read (100-continue)."""
    ran = []

    def noting(name, **hooks):
        def note(what):
            return lambda *_: ran.append(f"{name} {what}")

        named = ("admit", "head", "outbound", "complete", "finish")
        return layer(**{what: note(what) for what in named} | hooks)

    def refuse(exchange):
        return Reply(403, headers=[(b"x-refused", b"1")])

    async def refuse_async(exchange):
        await anyio.lowlevel.checkpoint()
        return refuse(exchange)

    refusing = noting(
        "middle", **({"admit": refuse} if hook == "admit" else {"admit": None, "admit_async": refuse_async})
    )
    if hook == "admit_async":
        refusing.admit = lambda exchange: ran.append("middle admit")
    server = await serve(Middleware(unreachable, noting("outer"), refusing, noting("inner")))

    assert statuses(server) == [403]
    assert server.received == 0
    assert [line for line in ran if "admit" not in line] == [
        "middle head",
        "outer head",
        "middle outbound",
        "outer outbound",
        "outer complete",
        "middle complete",
        "middle finish",
        "outer finish",
    ]
    assert not any("inner" in line for line in ran)


@pytest.mark.anyio
async def test_the_start_of_a_refusal_is_never_held(layer) -> None:
    """It is a whole answer: a hook that fails over its body breaks the connection off, and adds no second answer."""

    def fail(exchange, message):
        raise LookupError("outbound")

    refusing = layer(admit=lambda exchange: Reply(403), outbound=fail)
    server = await serve(Middleware(unreachable, answering(layer, holds_start=True), refusing))

    assert (statuses(server), bodies(server)) == ([403], [])
    assert isinstance(server.error, LookupError)


@pytest.mark.anyio
async def test_a_decision_may_wait(layer, sending) -> None:
    """A store over the network is asked in `admit_async`; None lets the request pass."""
    waited = []

    async def admit(exchange):
        await anyio.lowlevel.checkpoint()
        waited.append(exchange.path)

    response = await call(Middleware(sending(START, LAST), layer(admit_async=admit)), path="/a")

    assert (response.body, waited) == (b"last", ["/a"])


@pytest.mark.anyio
@pytest.mark.parametrize("is_rescued", [False, True])
async def test_a_decision_that_takes_too_long_is_a_failure_of_its_layer(layer, is_rescued) -> None:
    """It has its deadline, and is rescued only from outside."""

    def refuses_to_help(exchange, exc):
        raise AssertionError("a layer does not rescue what it raised itself")

    stuck = layer(admit_async=lambda exchange: anyio.sleep_forever(), admit_deadline_seconds=0, rescue=refuses_to_help)
    rescuers = [answering(layer, 503)] if is_rescued else []

    server = await serve(Middleware(unreachable, *rescuers, stuck))

    if is_rescued:
        assert statuses(server) == [503]
        assert b"TimeoutError" in bodies(server)[0]
    else:
        assert isinstance(server.error, TimeoutError)


@pytest.mark.anyio
@pytest.mark.parametrize("moment", [0, 1])
async def test_a_client_that_left_before_its_refusal_is_no_error(layer, moment, caplog) -> None:
    """Whoever attacks hangs up first; a traceback each time would fill the disk."""
    caplog.set_level(logging.DEBUG, logger="asgi_guard")
    finished = []

    async def fail(message):
        if len(server.sent) == moment:
            raise OSError("the client has left")

    app = Middleware(unreachable, layer(admit=lambda exchange: Reply(403), finish=finished.append))
    server = StrictServer(http_scope(), on_send=fail)
    await server.serve(app)

    assert server.error is None
    assert len(finished) == 1
    assert [record.levelname for record in caplog.records] == ["DEBUG"]


@pytest.mark.anyio
async def test_another_failure_of_the_server_goes_through(layer) -> None:
    """A server that refuses the message has something to say."""

    async def fail(message):
        raise RuntimeError("this server has a bug")

    server = await serve(
        Middleware(unreachable, answering(layer), layer(admit=lambda exchange: Reply(403))), on_send=fail
    )

    assert str(server.error) == "this server has a bug"


@pytest.mark.anyio
async def test_an_os_error_of_a_hook_is_not_taken_for_a_client_that_left(layer) -> None:
    """A head that reads a file fails with one, too."""

    def head(exchange, headers):
        raise FileNotFoundError("nonce.txt")

    server = await serve(Middleware(unreachable, layer(head=head), layer(admit=lambda exchange: Reply(403))))

    assert isinstance(server.error, FileNotFoundError)


# Exceptions -----------------------------------------------------------------------------------------------------------

MOMENTS = [
    # messages before the exception, statuses that leave, whether it is raised to the server
    ([], [500], False),
    ([START], [200], True),
    ([START, MORE], [200], True),
    ([START, LAST], [200], False),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("messages", "expected", "is_raised"), MOMENTS)
async def test_an_exception_is_answered_while_nothing_has_left(layer, sending, messages, expected, is_raised) -> None:
    """After bytes have left it is raised, so that the connection breaks off; after the end it is swallowed."""
    error = AppError("failed")

    server = await serve(Middleware(sending(*messages, error), answering(layer)))

    assert statuses(server) == expected
    assert (server.error is error) is is_raised
    assert server.is_over is not is_raised


@pytest.mark.anyio
async def test_an_exception_after_the_end_is_logged(layer, sending, caplog) -> None:
    """With its traceback, and the request first: what failed was work in the background."""
    scope = http_scope("POST", "/x", state={"request_id": "abc"})
    await serve(Middleware(sending(START, LAST, AppError("failed")), layer()), scope)

    assert "POST /x (request id abc) failed after its response was complete" in caplog.text
    assert "AppError: failed" in caplog.text


@pytest.mark.anyio
@pytest.mark.parametrize("fuse", [False, True])
async def test_an_exception_that_breaks_a_response_off_is_told_with_its_request(layer, sending, fuse, caplog) -> None:
    """Once, by the outermost: the server logs the traceback, but not whose it is."""
    app = Middleware(Middleware(sending(START, MORE, AppError("a secret")), layer(), fuse=fuse), layer(), fuse=fuse)

    await serve(app, http_scope("POST", "/x", state={"request_id": "abc"}))

    assert [record.getMessage() for record in caplog.records if record.name == "asgi_guard"] == [
        "POST /x (request id abc) failed with AppError after its response had started"
    ]


@pytest.mark.anyio
async def test_the_innermost_rescue_answers_first(layer, sending) -> None:
    """None passes the exception on; what a layer answers, the others do not see."""
    asked = []

    def asking(name, reply):
        return layer(rescue=lambda exchange, exc: asked.append(name) or reply)

    app = Middleware(
        sending(AppError()), asking("outer", Reply(502)), asking("middle", Reply(501)), asking("inner", None)
    )
    server = await serve(app)

    assert statuses(server) == [501]
    assert asked == ["inner", "middle"]


@pytest.mark.anyio
async def test_nobody_answers_where_nobody_has_an_answer(layer, sending) -> None:
    """The exception itself goes to the server, with its traceback."""
    error = AppError()

    server = await serve(Middleware(sending(error), layer(rescue=lambda exchange, exc: None), layer()))

    assert server.error is error


@pytest.mark.anyio
async def test_a_rescue_that_fails_passes_to_the_next(layer, sending, caplog) -> None:
    """The exception that it was asked about goes on; its own is logged."""

    def fail(exchange, exc):
        raise KeyError("in rescue")

    server = await serve(Middleware(sending(AppError("first")), answering(layer), layer(rescue=fail)))

    assert bodies(server) == [b"AppError('first')"]
    assert "failed to turn AppError('first') into a reply" in caplog.text


@pytest.mark.anyio
@pytest.mark.parametrize("others", [[], [None]])
async def test_at_last_there_is_a_plain_500(layer, sending, others, caplog) -> None:
    """Where the layers that should have answered have failed: still no traceback for the client."""
    heads = []

    def fail(exchange, exc):
        raise KeyError("in rescue")

    outermost = layer(rescue=fail, head=lambda exchange, headers: heads.append("outermost"))
    passing = [layer(rescue=lambda exchange, exc: None) for _ in others]
    server = await serve(Middleware(sending(AppError()), outermost, *passing))

    assert statuses(server) == [500]
    assert bodies(server) == [b"Internal Server Error"]
    assert heads == ["outermost"]
    assert "answered with a plain 500" in caplog.text


@pytest.mark.anyio
async def test_a_rescue_that_passes_after_one_that_failed_has_the_last_word(layer, sending) -> None:
    """It was asked, and wants the exception to go on."""
    error = AppError()

    def fail(exchange, exc):
        raise KeyError("in rescue")

    server = await serve(Middleware(sending(error), layer(rescue=lambda exchange, exc: None), layer(rescue=fail)))

    assert (server.error, server.sent) == (error, [])


@pytest.mark.anyio
async def test_a_reply_that_cannot_be_built_or_sent_is_a_failure_of_its_layer(layer, sending) -> None:
    """Layers outside it are asked in turn."""
    broken = layer(rescue=lambda exchange, exc: Reply(500, headers=[1, 2], fault=FAULT))

    server = await serve(Middleware(sending(AppError()), answering(layer, 502), broken))

    assert statuses(server) == [502]


@pytest.mark.anyio
async def test_a_head_that_fails_over_a_reply_is_rescued_further_out(layer, sending) -> None:
    """With a reply of its own; the first one never left."""

    def head(exchange, headers):
        raise LookupError("head")

    app = Middleware(sending(AppError()), answering(layer, 502), layer(head=head), answering(layer, 501))
    server = await serve(app)

    assert statuses(server) == [502]
    assert bodies(server) == [b"LookupError('head')"]


@pytest.mark.anyio
async def test_an_exception_that_no_outer_layer_can_answer_any_more_is_raised(layer, sending) -> None:
    """An outbound hook fails when the reply's head has left."""

    def outbound(exchange, message):
        raise LookupError("outbound")

    app = Middleware(sending(AppError()), answering(layer, 502), layer(outbound=outbound), answering(layer, 501))
    server = await serve(app)

    assert statuses(server) == [501]
    assert isinstance(server.error, LookupError)


@pytest.mark.anyio
async def test_a_server_that_refuses_the_answer_is_heard(layer, sending) -> None:
    """There is nobody else to tell."""

    async def fail(message):
        raise RuntimeError("this server has a bug")

    server = await serve(Middleware(sending(AppError()), answering(layer)), on_send=fail)

    assert str(server.error) == "this server has a bug"


@pytest.mark.anyio
async def test_what_the_server_raises_is_nobodys_to_answer(layer, sending) -> None:
    """A reply could not be sent either."""
    gone = OSError("the client has left")

    async def fail(message):
        raise gone

    server = await serve(Middleware(sending(START, LAST), answering(layer)), on_send=fail)

    assert server.error is gone


@pytest.mark.anyio
async def test_a_base_exception_is_never_touched(layer, sending) -> None:
    """Everything is released on its way."""

    class Stop(BaseException):
        pass

    finished = []
    with pytest.raises(Stop):
        await serve(Middleware(sending(Stop()), answering(layer, finish=finished.append)))
    assert len(finished) == 1


# Silence --------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("messages", [[], [START]])
async def test_an_application_that_says_nothing_has_failed(layer, sending, messages) -> None:
    """On one server its client would wait for ever; a start that is held is as good as none, to every layer."""
    seen = []
    envelope = answering(layer, holds_start=True)
    inner = layer(rescue=lambda exchange, exc: seen.append(exc))

    server = await serve(Middleware(sending(*messages), envelope, inner))

    assert statuses(server) == [500]
    assert b"NoResponseError" in bodies(server)[0]
    assert [type(exc) for exc in seen] == [NoResponseError]


@pytest.mark.anyio
async def test_silence_without_a_rescuer_is_left_to_the_server(layer, sending) -> None:
    """No exception is invented."""
    server = await serve(Middleware(sending(), layer()))

    assert (server.error, server.sent) == (None, [])


@pytest.mark.anyio
async def test_silence_towards_a_client_that_left_is_no_failure(layer) -> None:
    """That is what an application is expected to do."""

    async def app(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass

    server = await serve(Middleware(app, answering(layer)), afterwards="disconnect")

    assert (server.error, server.sent) == (None, [])


@pytest.mark.anyio
@pytest.mark.parametrize("fuse", [False, True])
@pytest.mark.parametrize("ending", ["return", "raise", "send"])
@pytest.mark.parametrize("stands", ["outside", "inside"])
async def test_a_refusal_while_the_start_is_held_is_the_answer(layer, fuse, ending, stands, caplog) -> None:
    """Nothing has started, wherever the holder stands; what the application does then is nobody's business."""

    async def app(scope, receive, send):
        await send({**START})
        assert await receive() == {"type": "http.disconnect"}
        if ending == "raise":
            raise AppError
        if ending == "send":
            await send({**LAST})

    limit = layer(inbound=lambda exchange, message: Reply(413))
    envelope = answering(layer, holds_start=True)
    outer, inner = (envelope, limit) if stands == "outside" else (limit, envelope)
    server = await serve(Middleware(Middleware(app, inner, fuse=fuse), outer, fuse=fuse))
    server.raise_for_errors()

    assert (statuses(server), bodies(server)) == ([413], [b""])
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


# Hooks that run at the end --------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_finish_runs_once_for_every_layer_that_was_entered(layer, sending, caplog) -> None:
    """From the inside out, whatever happened, and the failure of one keeps none from theirs."""
    finished = []

    def failing(exchange):
        finished.append("failing")
        raise LookupError("in finish")

    def noting(name, **hooks):
        return layer(finish=lambda exchange: finished.append(name), **hooks)

    stack = (noting("outer"), layer(finish=failing), noting("inner"))
    endings = ([START, LAST], [START, MORE], [AppError()], [START, LAST, AppError()], [])
    for messages in endings:
        finished.clear()
        await serve(Middleware(sending(*messages), *stack))
        assert finished == ["inner", "failing", "outer"]

    finished.clear()
    await serve(Middleware(unreachable, *stack[:2], layer(admit=lambda exchange: Reply(403)), noting("never entered")))
    assert finished == ["failing", "outer"]
    assert "in finish" in caplog.text


@pytest.mark.anyio
async def test_a_layer_keeps_what_is_of_one_request_in_its_cell(layer, sending) -> None:
    """By layer, so that two of a kind do not mix; empty at first."""
    seen = []

    def counting(start):
        def admit(exchange):
            seen.append(exchange.cell(made))
            exchange.cells[made] = start

        made = layer(admit=admit, finish=lambda exchange: seen.append(exchange.cell(made)))
        return made

    await serve(Middleware(sending(START, LAST), counting(1), counting(2)))

    assert seen == [None, None, 2, 1]


# WebSockets -----------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("can_deny", [False, True])
async def test_a_refused_handshake_is_denied_as_the_server_can(layer, can_deny) -> None:
    """With a whole response where that is advertised; elsewhere with a close, of which servers make a 403."""
    app = Middleware(unreachable, layer(admit=lambda exchange: Reply.refusal(FAULT)))

    async with websocket(app, can_deny=can_deny) as session:
        assert session.accepted is None
        if can_deny:
            assert session.denial.status == 429
            assert session.denial.json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
        else:
            assert (session.denial, session.close_code) == (None, 1008)


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "code"), [(500, 1011), (503, 1013), (403, 1008)])
async def test_an_exception_after_the_accept_closes_the_connection(layer, status, code) -> None:
    """With the code that the reply's status has."""
    observed = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        raise AppError

    observer = layer(outbound=lambda exchange, message: observed.append(message["type"]))
    async with websocket(Middleware(app, observer, answering(layer, status))) as session:
        assert session.accepted is not None
        assert await session.receive() is None
        assert session.close_code == code
    assert observed == ["websocket.close"]


@pytest.mark.anyio
async def test_an_exception_after_the_client_left_closes_nothing(layer) -> None:
    """Servers take a close for a connection that is closed as a fault."""

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        assert (await receive())["type"] == "websocket.disconnect"
        raise AppError

    server = await serve(Middleware(app, answering(layer)), websocket_scope(), afterwards="disconnect")

    assert [message["type"] for message in server.sent] == ["websocket.accept"]
    assert server.error is None


@pytest.mark.anyio
async def test_a_connection_is_closed_once(layer) -> None:
    """Where a layer inside closes it as well, its close passes the layers up to the first one, and ends there."""
    observed = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    outer = layer(inbound=lambda exchange, message: Reply(429) if "text" in message else None)
    inner = layer(
        inbound=lambda exchange, message: Reply(403) if message["type"] == "websocket.disconnect" else None,
        outbound=lambda exchange, message: observed.append(message["code"]),
    )
    incoming = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "too much"}]
    server = await serve(Middleware(app, outer, inner), websocket_scope(), incoming=incoming)
    server.raise_for_errors()

    assert [message["type"] for message in server.sent] == ["websocket.accept", "websocket.close"]
    assert observed == [1008]


@pytest.mark.anyio
async def test_an_exception_before_the_accept_denies_the_handshake(layer, sending) -> None:
    """As any response."""
    async with websocket(Middleware(sending(AppError()), answering(layer))) as session:
        assert session.denial.status == 500


@pytest.mark.anyio
async def test_an_exception_after_the_close_adds_nothing(layer, sending) -> None:
    """It is logged."""
    messages = [{"type": "websocket.accept"}, {"type": "websocket.close", "code": 4000}, AppError()]
    async with websocket(Middleware(sending(*messages), answering(layer))) as session:
        assert await session.receive() is None
        assert session.close_code == 4000


@pytest.mark.anyio
@pytest.mark.parametrize("can_deny", [False, True])
async def test_a_refusal_after_the_application_closed_adds_nothing(layer, can_deny) -> None:
    """The handshake has had its answer."""

    async def app(scope, receive, send):
        await send({"type": "websocket.close", "code": 4003})
        await receive()

    server = await serve(
        Middleware(app, layer(inbound=lambda exchange, message: Reply(403))), websocket_scope(can_deny=can_deny)
    )
    server.raise_for_errors()

    assert server.sent == [{"type": "websocket.close", "code": 4003}]


@pytest.mark.anyio
async def test_a_denial_that_the_application_has_begun_is_not_added_to(layer) -> None:
    """It is not accepted, so there is nothing to close either."""

    async def app(scope, receive, send):
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await receive()

    server = await serve(Middleware(app, layer(inbound=lambda exchange, message: Reply(403))), websocket_scope())

    assert statuses(server) == [401]
    assert len(server.sent) == 1


@pytest.mark.anyio
async def test_an_accept_that_was_cut_off_opens_nothing(layer) -> None:
    """A denial was sent; the application's later accept must not make anybody close, or answer, a second time."""

    def outbound(exchange, message):
        raise LookupError("over the denial")

    async def app(scope, receive, send):
        try:
            await receive()
        except LookupError:
            await send({"type": "websocket.accept"})

    refusing = layer(inbound=lambda exchange, message: Reply(403), outbound=outbound)
    server = await serve(Middleware(app, answering(layer), refusing), websocket_scope())

    assert server.violation is None
    assert statuses(server) == [403]


# Events ---------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_listeners_are_told_what_their_layer_decided(layer, sending) -> None:
    """With the facts of the request; bounded, since a client wrote them."""
    events = capture_events()
    decided = {"/refused": Reply.refusal(FAULT), "/bare": Reply(403)}
    deciding = layer(admit=lambda exchange: decided.get(exchange.path), listeners=(events,))
    app = Middleware(sending(START, LAST), deciding, layer(admit=lambda exchange: None))

    for path in ("/allowed", "/refused", "/bare"):
        await call(app, path=path)

    (allowed,) = events.of(RequestAllowed)
    assert (allowed.layer, allowed.scope_type, allowed.method, allowed.path) == ("layer", "http", "GET", "/allowed")
    assert (allowed.client, allowed.request_id) == ("198.51.100.7", None)
    told = [(event.path, event.status, event.code, event.reason, event.details) for event in events.of(RequestRefused)]
    assert told == [
        ("/refused", 429, "RATE_LIMIT_EXCEEDED", "Too many requests.", {"limit": 5}),
        ("/bare", 403, "", "", {}),
    ]
    assert len(events) == 3


@pytest.mark.anyio
async def test_shadow_mode_tells_and_lets_pass(layer, sending) -> None:
    """A layer without listeners tells nobody."""
    events = capture_events()

    def shadow(**attributes):
        made = layer(admit=lambda exchange: exchange.would_refuse(made, Reply.refusal(FAULT)), **attributes)
        return made

    response = await call(Middleware(sending(START, LAST), shadow(), shadow(listeners=(events,))))

    assert response.status == 200
    assert [event.code for event in events.of(RequestWouldBeRefused)] == ["RATE_LIMIT_EXCEEDED"]


# Nesting --------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_what_layers_share_reaches_a_guard_that_is_nested_for_real(layer, sending) -> None:
    """The client that an outer layer has found, the id that it has given, the trust that it has."""
    seen = []

    def admit(exchange):
        exchange.set_client("203.0.113.9")
        exchange.request_id = "abc"
        exchange.is_peer_trusted = True

    inner = layer(admit=lambda exchange: seen.append((exchange.client, exchange.request_id, exchange.is_peer_trusted)))
    await call(Middleware(Middleware(sending(START, LAST), inner, fuse=False), layer(admit=admit), fuse=False))

    assert seen == [("203.0.113.9", "abc", True)]


@pytest.mark.anyio
async def test_an_inner_guard_leaves_an_exception_to_an_outer_one(layer, sending) -> None:
    """Where its own rescue has failed, somebody further out may have a better answer than a plain 500."""

    def fail(exchange, exc):
        raise KeyError("in rescue")

    inner = Middleware(sending(AppError()), layer(rescue=fail), fuse=False)
    server = await serve(Middleware(inner, answering(layer, 502), fuse=False))

    assert statuses(server) == [502]
    assert bodies(server) == [b"AppError()"]
