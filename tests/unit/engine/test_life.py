"""What outlasts a request: the ticker, which answers for slow applications and lets go of held starts.

No test waits for a time to come: the ticker is told that all times have come. Where the real one is at work, a test
waits for what it does.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from contextvars import Context, ContextVar
from time import monotonic

import anyio
import pytest

from asgi_guard.engine import life
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.replies import Reply
from asgi_guard.testing import StrictServer, call, http_scope, request_messages, websocket, websocket_scope

START = {"type": "http.response.start", "status": 200, "headers": []}
MORE = {"type": "http.response.body", "body": b"more", "more_body": True}
LAST = {"type": "http.response.body", "body": b"last"}
TIMEOUT = Reply(504, body=b"too slow")
TOO_LARGE = Reply(413, body=b"too large")


def all_times_have_come():
    """Let every deadline of this thread expire, and every start go that was held for a period."""
    life.ticker()._tick(math.inf)


async def settle():
    """Let the tasks that the ticker started run, until they wait for something."""
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


@pytest.fixture
def ticked_by_hand(monkeypatch):
    """Keep the ticker of this thread from ticking by itself, which it would on a machine that is busy enough."""
    ticker = life.ticker()
    ticker._era += 1  # who ticks by now finds another in charge
    monkeypatch.setattr(life.Ticker, "_start", lambda _: None)
    yield
    ticker._here, ticker._home = bool, None


@pytest.fixture
def limited(layer):
    """Make a layer that sets a deadline, which never comes by itself, for each request."""

    def make(**hooks):
        made = layer(**{"admit": lambda exchange: exchange.set_deadline(made, 3_600, TIMEOUT) and None, **hooks})
        return made

    return make


async def serve(app, **options):
    """Serve one request, and return the server."""
    return await StrictServer(http_scope(), request_messages(), **options).serve(app)


def told(server):
    """Return what was sent, in short."""
    return [message.get("status", message.get("body")) for message in server.sent]


# Deadlines ------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_an_application_that_waits_too_long_is_answered_for(limited) -> None:
    """It is cancelled where that is possible, told that the client has gone elsewhere; the server notices nothing."""
    endings = []

    async def app(scope, receive, send):
        await receive()
        all_times_have_come()
        try:
            endings.append((await receive())["type"])
        except anyio.get_cancelled_exc_class():
            endings.append("cancelled")
            raise

    server = await serve(Middleware(app, limited()))

    assert told(server) == [504, b"too slow"]
    assert server.error is None
    assert endings in (["cancelled"], ["http.disconnect"])


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", ("asyncio", {"use_uvloop": True})], ids=["asyncio", "uvloop"])
async def test_the_cancellation_of_a_deadline_is_taken_back(limited) -> None:
    """It must not leak: the server's task goes on to the next request, and time limits outside count cancellations."""

    async def gives_up(scope, receive, send):
        all_times_have_come()
        await asyncio.Event().wait()

    async def ignores(scope, receive, send):
        all_times_have_come()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await send({**START})
            await send({**LAST})

    async def makes_an_error_of_it(scope, receive, send):
        all_times_have_come()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise LookupError from None

    for app in (gives_up, ignores, makes_an_error_of_it):
        server = StrictServer(http_scope())
        await Middleware(app, limited())(server.scope, server.receive, server.send)

        assert told(server) == [504, b"too slow"]
        assert asyncio.current_task().cancelling() == 0


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio", ("asyncio", {"use_uvloop": True})], ids=["asyncio", "uvloop"])
async def test_another_cancellation_at_the_same_time_is_not_taken_back(limited) -> None:
    """A server that shuts down means it."""

    async def app(scope, receive, send):
        all_times_have_come()
        await asyncio.Event().wait()

    async def shut_down(message):
        task.cancel()

    server = StrictServer(http_scope(), on_send=shut_down)
    task = asyncio.ensure_future(Middleware(app, limited())(server.scope, server.receive, server.send))
    with pytest.raises(asyncio.CancelledError):
        await task

    assert task.cancelled()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_deadline_needs_no_cancellation(limited) -> None:
    """On one server's native tasks `cancel` does nothing, and the client has its answer all the same."""

    class Uncancellable(asyncio.Task):
        def cancel(self, msg=None):
            return False

    received = []

    async def app(scope, receive, send):
        await receive()
        all_times_have_come()
        received.append(await receive())
        await send({**START})
        await send({**LAST})

    server = StrictServer(http_scope(), request_messages())
    wrapped = Middleware(app, limited())
    await Uncancellable(wrapped(server.scope, server.receive, server.send), loop=asyncio.get_running_loop())

    assert told(server) == [504, b"too slow"]
    assert received == [{"type": "http.disconnect"}]


@pytest.mark.anyio
async def test_what_an_application_still_says_after_its_deadline_is_dropped(limited) -> None:
    """Its response and its exception too."""

    async def answers(scope, receive, send):
        all_times_have_come()
        with anyio.CancelScope(shield=True):
            await settle()
        await send({**START})
        await send({**LAST})

    async def fails(scope, receive, send):
        all_times_have_come()
        try:
            await settle()
        finally:
            raise LookupError("too late")

    for app in (answers, fails):
        server = await serve(Middleware(app, limited()))

        assert told(server) == [504, b"too slow"]
        assert server.error is None


@pytest.mark.anyio
async def test_the_deadlines_answer_is_complete_before_the_application_is_cancelled(limited, layer) -> None:
    """What measures the request measures the answer; all is released once, at the end."""
    ran = []

    async def app(scope, receive, send):
        all_times_have_come()
        try:
            await receive()
            await receive()
        finally:
            ran.append("application")

    observer = layer(
        head=lambda exchange, headers: ran.append("head"),
        complete=lambda exchange: ran.append("complete"),
        finish=lambda exchange: ran.append("finish"),
    )
    await serve(Middleware(app, observer, limited()))

    assert ran == ["head", "complete", "application", "finish"]


@pytest.mark.anyio
@pytest.mark.parametrize("messages", [[START], [START, MORE]])
async def test_a_deadline_after_the_start_adds_nothing(limited, sending, messages) -> None:
    """The rest of the response is dropped: the server has to break the connection off."""

    async def app(scope, receive, send):
        await sending(*messages)(scope, receive, send)
        all_times_have_come()
        with anyio.CancelScope(shield=True):
            await settle()
        await send({**LAST})

    server = await serve(Middleware(app, limited()))

    assert told(server) == [message.get("status", message.get("body")) for message in messages]
    assert (server.error, server.is_over) == (None, False)


@pytest.mark.anyio
async def test_a_deadline_after_the_end_does_nothing(limited) -> None:
    """Background work takes the time that it takes."""
    done = []

    async def app(scope, receive, send):
        await send({**START})
        await send({**LAST})
        all_times_have_come()
        await settle()
        done.append("background")

    server = await serve(Middleware(app, limited()))

    assert (told(server), done) == ([200, b"last"], ["background"])


@pytest.mark.anyio
async def test_a_deadline_after_a_refusal_does_nothing(limited, layer) -> None:
    """The request is answered."""

    async def app(scope, receive, send):
        await receive()
        all_times_have_come()
        await settle()

    server = await serve(Middleware(app, layer(inbound=lambda exchange, message: Reply(413, body=b"")), limited()))

    assert told(server) == [413, b""]


@pytest.mark.anyio
@pytest.mark.parametrize("fuse", [False, True])
async def test_a_deadline_while_the_start_is_held_is_answered(limited, layer, fuse) -> None:
    """Nothing has started: the client gets the whole 504, and what the application goes on to send is dropped."""

    async def app(scope, receive, send):
        await send({**START})
        all_times_have_come()
        with anyio.CancelScope(shield=True):
            await settle()
        await send({**LAST})

    for outer, inner in ((limited(), layer(holds_start=True)), (layer(holds_start=True), limited())):
        server = await serve(Middleware(Middleware(app, inner, fuse=fuse), outer, fuse=fuse))
        server.raise_for_errors()

        assert told(server) == [504, b"too slow"]


@pytest.mark.anyio
@pytest.mark.parametrize("ending", ["return", "raise"])
async def test_a_held_start_does_not_break_into_the_answer_of_a_deadline(limited, layer, ending) -> None:
    """A slow client takes the 504 for longer than a start is held; the end of the application still waits for it."""
    half_way = anyio.Event()

    async def slowly(message):
        if "status" in message:
            life.ticker()._tick(0)
            life.ticker()._tick(0)
            half_way.set()
        await settle()

    async def app(scope, receive, send):
        await send({**START})
        for deadline in life.ticker()._deadlines:
            deadline.at = 0
        life.ticker()._tick(0)
        with anyio.CancelScope(shield=True):
            await half_way.wait()
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
        if ending == "raise":
            raise LookupError

    server = await serve(Middleware(app, layer(holds_start=True), limited()), on_send=slowly)
    server.raise_for_errors()

    assert told(server) == [504, b"too slow"]


ANSWERS = {
    "refusal at the door": {"admit": lambda exchange: TOO_LARGE},
    "refusal in mid-stream": {"inbound": lambda exchange, message: TOO_LARGE},
    "rescue": {"rescue": lambda exchange, exc: TOO_LARGE},
}


@pytest.fixture
def answered():
    """Make an application around which somebody answers 413; at the moment that is asked for, all times have come."""

    def make(answer, moment):
        async def app(scope, receive, send):
            if answer == "rescue":
                raise LookupError
            await receive()
            all_times_have_come()
            with anyio.CancelScope(shield=True):
                await settle()

        async def slowly(message):
            if moment == "meanwhile":
                all_times_have_come()
                await settle()

        return app, slowly

    return make


@pytest.mark.anyio
@pytest.mark.parametrize("stands", ["outside", "inside", "both"])
@pytest.mark.parametrize("moment", ["after", "meanwhile"])
@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_deadline_adds_nothing_to_an_answer(limited, layer, answered, *, stands, moment, answer) -> None:
    """One whole response, whoever gave it, and however slowly the client takes it: a second one would be smuggled."""
    app, slowly = answered(answer, moment)
    outer, inner = [limited()] if stands != "inside" else [], [limited()] if stands != "outside" else []

    server = await serve(Middleware(app, *outer, layer(**ANSWERS[answer]), *inner), on_send=slowly)
    server.raise_for_errors()

    assert told(server) == [413, b"too large"]


@pytest.mark.anyio
@pytest.mark.parametrize("moment", ["after", "meanwhile"])
@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_deadline_of_a_guard_inside_adds_nothing_to_an_answer(limited, layer, answered, moment, answer) -> None:
    """Nor does it cancel whoever is just about to send that answer, in the application's own task."""
    app, slowly = answered(answer, moment)

    server = await serve(Middleware(Middleware(app, limited()), layer(**ANSWERS[answer]), fuse=False), on_send=slowly)
    server.raise_for_errors()

    assert told(server) == [413, b"too large"]


@pytest.mark.anyio
@pytest.mark.parametrize("moment", ["after", "meanwhile"])
@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_deadline_of_a_guard_outside_adds_nothing_to_an_answer(
    limited, layer, answered, moment, answer
) -> None:
    """To it, this is a response like any other: one that is not whole in time is broken off, never followed."""
    app, slowly = answered(answer, moment)

    server = await serve(Middleware(Middleware(app, layer(**ANSWERS[answer])), limited(), fuse=False), on_send=slowly)
    server.raise_for_errors()

    assert told(server) in ([413, b"too large"], *([[413], []] if moment == "meanwhile" else []))


@pytest.mark.anyio
@pytest.mark.parametrize("stands", ["outside", "inside"])
async def test_a_deadline_adds_nothing_to_a_websocket_that_was_closed(limited, layer, stands) -> None:
    """It has its close already, with the code of whoever closed it."""

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        all_times_have_come()
        with anyio.CancelScope(shield=True):
            await settle()

    closing = layer(inbound=lambda exchange, message: Reply(429) if "text" in message else None)
    stack = (limited(), closing) if stands == "outside" else (closing, limited())
    incoming = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "too much"}]
    server = StrictServer(websocket_scope(), incoming)
    await server.serve(Middleware(app, *stack))
    server.raise_for_errors()

    assert [message["type"] for message in server.sent] == ["websocket.accept", "websocket.close"]
    assert server.sent[1]["code"] == 1008


@pytest.mark.anyio
async def test_a_deadline_can_be_renewed_and_taken_off(layer, sending) -> None:
    """An idle time-out starts anew with each message; a request that is over has no deadline."""
    deadlines = []

    def admit(exchange):
        deadlines.extend(exchange.set_deadline(made, 1, TIMEOUT) for _ in range(3))
        deadlines[0].cancel()
        deadlines[1].renew(3_600)

    async def app(scope, receive, send):
        deadlines[2].renew(3_600)
        life.ticker()._tick(deadlines[2].at - 1)
        await settle()
        await sending(START, LAST)(scope, receive, send)

    made = layer(admit=admit)
    server = await serve(Middleware(app, made))

    assert told(server) == [200, b"last"]
    assert life.ticker()._deadlines == set()


@pytest.mark.anyio
async def test_a_deadline_that_was_taken_off_while_it_expired_does_nothing(limited, sending) -> None:
    """The ticker has started its answer, and the request is over before it runs."""

    async def app(scope, receive, send):
        await send({**START})
        await send({**LAST})
        all_times_have_come()

    server = await serve(Middleware(app, limited()))
    await settle()

    assert told(server) == [200, b"last"]


@pytest.mark.anyio
async def test_a_websocket_that_takes_too_long_is_closed(limited) -> None:
    """Denied before the accept, closed after it."""

    async def never_accepts(scope, receive, send):
        await receive()
        all_times_have_come()
        await receive()

    async def accepts(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        all_times_have_come()
        await receive()

    async with websocket(Middleware(never_accepts, limited())) as session:
        assert session.denial.status == 504
    async with websocket(Middleware(accepts, limited())) as session:
        assert session.accepted is not None
        assert await session.receive() is None
        assert session.close_code == 1011


@pytest.mark.anyio
async def test_what_the_application_sends_waits_for_the_ticker_to_finish(limited) -> None:
    """A slow client takes the answer in its own time; two voices must not mix."""
    order = []
    half_way = anyio.Event()

    async def slowly(message):
        order.append(message.get("status", "body"))
        half_way.set()
        await settle()

    async def app(scope, receive, send):
        all_times_have_come()
        with anyio.CancelScope(shield=True):
            await half_way.wait()
        try:
            await send({**START})
        finally:
            order.append("sent")

    server = await serve(Middleware(app, limited()), on_send=slowly)

    assert order == [504, "body", "sent"]
    assert told(server) == [504, b"too slow"]


@pytest.mark.anyio
@pytest.mark.parametrize("ending", ["return", "raise"])
async def test_the_end_of_the_application_waits_for_the_ticker_to_finish(limited, ending) -> None:
    """Its server takes a call that has returned for one that has nothing more to send."""
    half_way = anyio.Event()

    async def slowly(message):
        half_way.set()
        await settle()

    async def app(scope, receive, send):
        all_times_have_come()
        with anyio.CancelScope(shield=True):
            await half_way.wait()
        if ending == "raise":
            raise LookupError

    server = await serve(Middleware(app, limited()), on_send=slowly)

    assert (told(server), server.error) == ([504, b"too slow"], None)


@pytest.mark.anyio
async def test_two_deadlines_at_once_answer_once(limited) -> None:
    """The second waits for the first, and finds the request answered."""

    async def slowly(message):
        await settle()

    async def app(scope, receive, send):
        all_times_have_come()
        await receive()
        await receive()

    server = await serve(Middleware(app, limited(), limited()), on_send=slowly)

    assert len([message for message in server.sent if "status" in message]) == 1


@pytest.mark.anyio
async def test_a_client_that_has_left_does_not_disturb_the_ticker(limited, caplog) -> None:
    """Nor does a server with a bug: it is logged, and the others are answered."""

    async def app(scope, receive, send):
        all_times_have_come()
        await settle()
        await receive()
        await receive()

    for error, level in ((OSError("gone"), "DEBUG"), (RuntimeError("this server has a bug"), "WARNING")):
        caplog.clear()
        caplog.set_level(logging.DEBUG, logger="asgi_guard")

        async def fail(message, error=error):
            raise error

        await serve(Middleware(app, limited()), on_send=fail, afterwards="disconnect")

        assert level in {record.levelname for record in caplog.records}
        assert told(await serve(Middleware(app, limited()))) == [504, b"too slow"]


# Held starts ----------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.usefixtures("ticked_by_hand")
async def test_a_held_start_goes_out_while_the_application_waits(layer, sending) -> None:
    """After two periods of the ticker, when its heads run; then the body follows."""
    started = []

    async def app(scope, receive, send):
        await send({**START})
        for _ in range(2):
            all_times_have_come()
            await settle()
            started.append(told(server))
        await send({**LAST})

    holding = layer(holds_start=True, head=lambda exchange, headers: headers.append((b"x-head", b"1")))
    server = StrictServer(http_scope())
    await server.serve(Middleware(app, holding))

    assert started == [[], [200]]
    assert told(server) == [200, b"last"]
    assert server.sent[0]["headers"] == [(b"x-head", b"1")]


@pytest.mark.anyio
async def test_a_start_that_has_gone_is_no_longer_held(layer, sending) -> None:
    """The ticker finds nothing to do for a request that sends its body in time, or ends."""
    for messages in ([START, LAST], [START]):
        await serve(Middleware(sending(*messages), layer(holds_start=True)))

        assert life.ticker()._held | life.ticker()._held_before == {}


@pytest.mark.anyio
async def test_a_body_that_comes_as_the_ticker_lets_go_follows_the_start(layer) -> None:
    """Once each, in order, even if the client takes the start slowly."""

    async def slowly(message):
        await settle()

    async def app(scope, receive, send):
        await send({**START})
        all_times_have_come()
        all_times_have_come()
        await anyio.lowlevel.checkpoint()
        await send({**LAST})

    server = await serve(Middleware(app, layer(holds_start=True)), on_send=slowly)
    server.raise_for_errors()

    assert told(server) == [200, b"last"]


@pytest.mark.anyio
async def test_a_body_that_came_before_the_ticker_leaves_it_nothing_to_do(layer) -> None:
    """The ticker has started its work when the application sends its body, and comes too late."""

    async def app(scope, receive, send):
        await send({**START})
        all_times_have_come()
        all_times_have_come()
        await send({**LAST})
        await settle()

    server = await serve(Middleware(app, layer(holds_start=True)))
    server.raise_for_errors()

    assert told(server) == [200, b"last"]


@pytest.mark.anyio
async def test_a_start_that_was_replaced_stays_where_it_is(layer) -> None:
    """The ticker must not put a start on the wire when a refusal has taken its place."""

    async def app(scope, receive, send):
        await send({**START})
        await receive()
        all_times_have_come()
        all_times_have_come()
        await settle()

    envelope = layer(holds_start=True, rescue=lambda exchange, exc: Reply(500, body=b"sorry"))
    server = await serve(Middleware(app, envelope, layer(inbound=lambda exchange, message: Reply(413))))

    server.raise_for_errors()

    assert told(server) == [413, b""]


@pytest.mark.anyio
async def test_a_head_that_fails_when_the_ticker_lets_go_is_rescued(layer) -> None:
    """When the application comes to an end; nothing has left."""

    def head(exchange, headers):
        raise LookupError("head")

    async def app(scope, receive, send):
        await send({**START})
        all_times_have_come()
        all_times_have_come()
        await settle()
        await send({**LAST})

    rescuing = layer(rescue=lambda exchange, exc: Reply(500, body=str(exc).encode()))
    server = await serve(Middleware(app, rescuing, layer(holds_start=True, head=head)))

    assert told(server) == [500, b"head"]


@pytest.mark.anyio
async def test_a_client_that_leaves_while_its_start_is_held_is_no_news(layer, caplog) -> None:
    """The application learns of it when it sends its body; the log is not for clients to fill."""
    caplog.set_level(logging.DEBUG, logger="asgi_guard")
    caught = []

    async def fail(message):
        raise OSError("the client has left")

    async def app(scope, receive, send):
        await send({**START})
        all_times_have_come()
        all_times_have_come()
        await settle()
        try:
            await send({**LAST})
        except OSError as exc:
            caught.append(exc)

    await serve(Middleware(app, layer(holds_start=True)), on_send=fail)

    assert len(caught) == 1
    assert {record.levelname for record in caplog.records} == {"DEBUG"}


# The ticker itself ----------------------------------------------------------------------------------------------------


def test_a_start_is_held_for_fifty_milliseconds_at_most() -> None:
    """Two periods."""
    assert 2 * life.PERIOD_SECONDS <= 0.050


@pytest.mark.anyio
async def test_it_runs_by_itself(layer) -> None:
    """It starts with the first request that needs it: a start goes out, and a deadline comes, with nobody's help."""
    gone_out = anyio.Event()

    async def note(message):
        gone_out.set()

    async def app(scope, receive, send):
        await receive()
        await send({**START})
        await gone_out.wait()
        await receive()

    def admit(exchange):
        exchange.set_deadline(made, 3_600, TIMEOUT)
        exchange.set_deadline(made, 0.001, Reply(504))

    server = await serve(Middleware(app, layer(holds_start=True)), on_send=note, afterwards="disconnect")
    assert told(server) == [200]

    async def waits(scope, receive, send):
        await receive()
        await receive()

    made = layer(admit=admit)
    assert told(await serve(Middleware(waits, made))) == [504, b""]


@pytest.mark.parametrize("backends", [("asyncio", "trio", "asyncio"), ("asyncio", "asyncio"), ("trio", "trio")])
def test_it_starts_again_when_its_loop_has_ended(layer, backends) -> None:
    """One loop after the other in the same thread, as test suites and scripts run them."""

    async def app(scope, receive, send):
        await receive()
        await receive()

    def admit(exchange):
        exchange.set_deadline(made, 0.001, TIMEOUT)

    made = layer(admit=admit)
    wrapped = Middleware(app, made)

    for backend in backends:
        assert told(anyio.run(serve, wrapped, backend=backend)) == [504, b"too slow"]


def test_it_starts_again_on_the_next_loop_when_its_own_was_closed_with_its_tasks_pending(layer) -> None:
    """As some scripts and test suites close them: a start is let go in time, and no dead task is kept."""
    gone_out = []

    async def note(message):
        gone_out.append(monotonic())
        has_gone_out.set()

    async def app(scope, receive, send):
        await send({**START})
        sent_at.append(monotonic())
        await has_gone_out.wait()

    wrapped = Middleware(app, layer(holds_start=True))
    tasks = []
    for _ in range(4):
        has_gone_out, sent_at = asyncio.Event(), []
        server = StrictServer(http_scope(), on_send=note)
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)  # it tells of the tasks that are left
        try:
            loop.run_until_complete(server.serve(wrapped))
        finally:
            loop.close()
        tasks.append(len(life._tasks))

        assert told(server) == [200]
        assert gone_out.pop() - sent_at[0] < 0.5

    assert len(set(tasks)) == 1


@pytest.mark.anyio
async def test_it_starts_again_when_its_loop_died_without_saying_so(layer) -> None:
    """Another loop runs in this thread now: somebody else takes over, and should it come back, it leaves."""
    ticker = life.Ticker()
    ticker.hold(deadline := object())
    era = ticker._era
    ticker._home = "the loop of yesterday"

    ticker.hold(deadline)
    ticker.release(deadline)
    assert ticker._era == era + 1

    with anyio.fail_after(5):
        await ticker._run(era)
    assert ticker._era == era + 1


@pytest.mark.anyio
async def test_a_deadline_that_was_renewed_at_the_last_moment_does_not_expire(layer) -> None:
    """Between the ticker's look at it and its turn, the time was moved: it is watched on."""
    seen = []

    def admit(exchange):
        deadline = exchange.set_deadline(made, 1000, Reply(504, body=b"too slow"))
        life.ticker()._tick(monotonic() + 2000)
        deadline.at = math.inf
        seen.append(deadline)

    async def app(scope, receive, send):
        await settle()
        seen.append(seen[0] in life.ticker()._deadlines)
        await send({**START})
        await send({**LAST})

    made = layer(admit=admit)

    assert told(await serve(Middleware(app, made)))[0] == 200
    assert seen[1] is True


@pytest.mark.anyio
async def test_it_leaves_when_another_has_taken_over() -> None:
    """Also when that happened while it slept: it touches nothing any more."""
    ticker = life.Ticker()

    async def take_over():
        ticker._era += 1
        ticker._held["not its business"] = Context()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ticker._run, ticker._era)
            tasks.start_soon(take_over)

    assert list(ticker._held) == ["not its business"]


@pytest.mark.anyio
async def test_it_ends_when_there_is_nothing_to_do(monkeypatch) -> None:
    """An idle process has no task; the next request starts it again."""
    monkeypatch.setattr(life, "IDLE_PERIODS", 2)
    monkeypatch.setattr(life, "PERIOD_SECONDS", 0)
    ticker = life.Ticker()

    with anyio.fail_after(5):
        await ticker._run(ticker._era)

    ticker.hold(request := object())
    ticker.release(request)
    assert ticker._era == 1


@pytest.mark.anyio
async def test_it_goes_on_while_something_is_held_or_watched(monkeypatch) -> None:
    """Idle is only a period in which there was nothing at all."""
    ticker = life.Ticker()
    ticker._held["request"] = Context()

    assert ticker._tick(0)
    ticker._held_before.clear()
    assert not ticker._tick(0)


def test_threads_have_tickers_of_their_own() -> None:
    """Some servers have a loop for each thread."""
    tickers = [life.ticker(), life.ticker()]
    thread = threading.Thread(target=lambda: tickers.append(life.ticker()))
    thread.start()
    thread.join()

    assert tickers[0] is tickers[1]
    assert tickers[0] is not tickers[2]


def test_other_threads_may_start_tasks_while_those_of_dead_loops_are_forgotten(monkeypatch) -> None:
    """All threads keep their tasks in one place, and one may come while another thread looks through it."""

    class Task:
        def get_loop(self):
            tasks.add(Task())  # as another thread does between two steps of this one
            return loop

    loop = asyncio.new_event_loop()
    loop.close()
    tasks: set[Task] = {Task(), Task()}
    monkeypatch.setattr(life, "_tasks", tasks)

    life._forget_dead_loops()

    assert len(tasks) == 2


def test_no_task_is_cancelled_where_none_runs() -> None:
    """A deadline may be set outside any task."""
    assert life._current_task() is None


variable: ContextVar[str] = ContextVar("variable", default="nobody's")


@pytest.mark.anyio
@pytest.mark.parametrize("fuse", [False, True])
async def test_a_late_start_sees_the_variables_of_its_request(layer, fuse) -> None:
    """So do the heads, and the `send` of a middleware further out, which may read what it has set itself."""
    seen = []

    async def app(scope, receive, send):
        await send({**START})
        all_times_have_come()
        all_times_have_come()
        await settle()
        await send({**LAST})

    noting = layer(head=lambda exchange, headers: seen.append(variable.get()))
    guarded = Middleware(Middleware(app, layer(holds_start=True), fuse=fuse), noting, fuse=fuse)

    async def further_out(scope, receive, send):
        async def note(message):
            seen.append(variable.get())
            await send(message)

        token = variable.set("the request's")
        try:
            await guarded(scope, receive, note)
        finally:
            variable.reset(token)

    server = await serve(further_out)
    server.raise_for_errors()

    assert told(server) == [200, b"last"]
    assert seen == ["the request's"] * 3


@pytest.mark.anyio
async def test_a_deadlines_answer_sees_the_variables_of_its_request(limited) -> None:
    """It passes the same `send` further out as any other."""
    seen = []

    async def note(message):
        seen.append(variable.get())

    async def app(scope, receive, send):
        await receive()
        all_times_have_come()
        await receive()

    token = variable.set("the request's")
    try:
        await serve(Middleware(app, limited()), on_send=note)
    finally:
        variable.reset(token)

    assert seen == ["the request's"] * 2


@pytest.mark.anyio
async def test_it_has_no_context_of_any_request() -> None:
    """Whatever the first request has set would live, and be seen, as long as the ticker."""
    seen = []
    ticked = anyio.Event()

    class Noting(life.Ticker):
        def _tick(self, now):
            seen.append(variable.get())
            ticked.set()
            return False

    ticker = Noting()
    token = variable.set("somebody's")
    try:
        ticker.hold(request := object())
    finally:
        variable.reset(token)
    with anyio.fail_after(5):
        await ticked.wait()
    ticker.release(request)

    assert seen[0] == "nobody's"


@pytest.mark.anyio
async def test_a_plain_request_needs_no_ticker(layer, sending) -> None:
    """Nothing is started for what neither holds nor has a deadline."""
    era = life.ticker()._era

    await call(Middleware(sending(START, LAST), layer()))

    assert life.ticker()._era == era


def test_a_client_that_reads_nothing_keeps_no_application_alive(limited, monkeypatch) -> None:
    """The answer of the deadline does not get through; the application is cancelled where that works."""
    monkeypatch.setattr(life, "ANSWER_SECONDS", 0)
    endings = []

    async def never(message):
        await asyncio.Event().wait()

    async def app(scope, receive, send):
        all_times_have_come()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            endings.append("cancelled")
            raise

    async def serve_it():
        async with asyncio.timeout(5):
            await Middleware(app, limited())(http_scope(), None, never)
        assert asyncio.current_task().cancelling() == 0

    asyncio.run(serve_it())

    assert endings == ["cancelled"]


def test_nor_does_the_answer_of_another_layer_that_nobody_reads(limited, layer, monkeypatch) -> None:
    """There is an answer already, but the call does not end: its time is up all the same."""
    monkeypatch.setattr(life, "ANSWER_SECONDS", 0)

    async def never(message):
        await asyncio.Event().wait()

    async def serve_it():
        refusing = layer(admit=lambda exchange: Reply(429, body=b"too many"))
        serving = Middleware(Middleware(never, refusing), limited())(http_scope(), None, never)
        task = asyncio.create_task(serving)
        await settle()
        all_times_have_come()
        async with asyncio.timeout(5):
            await task

    asyncio.run(serve_it())


@pytest.mark.anyio
async def test_where_no_loop_runs_nothing_can_be_watched() -> None:
    """A thread of somebody's own is told so, and is not believed the next time either."""
    ticker = life.Ticker()

    def hold():
        for _ in range(2):
            with pytest.raises(RuntimeError, match="no event loop"):
                ticker.hold(object())

    await anyio.to_thread.run_sync(hold)


@pytest.mark.anyio
async def test_a_deadline_takes_back_the_cancellation_of_its_own_task_only(layer) -> None:
    """One that a task of the application's has set must not swallow the server's."""
    deadlines = []

    def admit(exchange):
        deadlines.append(exchange.set_deadline(made, 1000, Reply(504, body=b"")))

    async def app(scope, receive, send):
        (deadline,) = deadlines
        deadline._has_cancelled, deadline.task = True, object()
        assert deadline.takes_back(asyncio.CancelledError()) is False
        deadline._has_cancelled = False
        await send({**START})
        await send({**LAST})

    made = layer(admit=admit)

    assert told(await serve(Middleware(app, made)))[0] == 200
