"""Request limits in time: who is too slow is answered, and who only has nothing to say is left in peace.

No test waits for a time to come: the ticker is told that it has, as in the tests of the engine.
"""

from __future__ import annotations

import asyncio
import gc
from math import inf
from time import monotonic
from typing import Any

import anyio
import pytest

from asgi_guard import Guard, RequestLimits, RequestLimitsMiddleware, RequestRefused
from asgi_guard.engine import life
from asgi_guard.testing import StrictServer, call, capture_events, http_scope, websocket

pytestmark = pytest.mark.anyio

START = {"type": "http.response.start", "status": 200, "headers": []}
LAST = {"type": "http.response.body", "body": b"done"}
MORE = {"type": "http.request", "body": b"x", "more_body": True}
CHUNKED = [(b"host", b"testserver"), (b"transfer-encoding", b"chunked")]


async def pass_time(seconds: float) -> None:
    """Let the ticker believe that this much later it is now, and let what it starts come to an end."""
    life.ticker()._tick(monotonic() + seconds)
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


def statuses(server: StrictServer) -> list[int]:
    """Return the statuses of the responses that were begun."""
    return [message["status"] for message in server.sent if "status" in message]


async def answer(send: Any) -> None:
    """Answer with 200."""
    await send({**START})
    await send({**LAST})


async def read(receive: Any) -> None:
    """Read the body to its end, or to that of the connection."""
    while (await receive()).get("more_body"):
        pass


async def wait_for_disconnect(receive: Any) -> None:
    """Wait until the client has left, as a streaming response does."""
    while (await receive())["type"] != "http.disconnect":
        pass


# total_seconds


async def test_a_response_that_is_not_complete_in_time_is_answered_for() -> None:
    """With a 504 in every format, for which listeners are told; a request that is quick is not touched."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/slow":
            await pass_time(31)
            await wait_for_disconnect(receive)
        await answer(send)

    guarded = RequestLimitsMiddleware(app, total_seconds=30, listeners=[events := capture_events()])
    slow, quick = await call(guarded, "GET", "/slow"), await call(guarded, "GET", "/quick")

    assert (slow.status, quick.status) == (504, 200)
    error = slow.json()["error"]
    assert (error["code"], error["type"], error["retryable"]) == ("RESPONSE_TOO_SLOW", "timeout", True)
    assert [(event.status, event.code) for event in events.of(RequestRefused)] == [(504, "RESPONSE_TOO_SLOW")]


@pytest.mark.parametrize(("seconds", "status"), [(29.5, 200), (30.5, 504)])
async def test_the_time_is_kept(seconds, status) -> None:
    """Neither sooner nor later."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await pass_time(seconds)
        await answer(send)

    assert (await call(RequestLimitsMiddleware(app, total_seconds=30))).status == status


async def test_a_response_that_has_begun_is_cut_off() -> None:
    """Nothing is added to it: the server sees that it is not whole, and breaks the connection off."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START})
        await send({**LAST, "body": b"begun", "more_body": True})
        await pass_time(31)
        await send({**LAST})

    server = StrictServer(http_scope())
    await server.serve(RequestLimitsMiddleware(app, total_seconds=30))

    server.raise_for_errors()
    assert [message.get("body") for message in server.sent] == [None, b"begun"]


async def test_background_work_after_the_response_has_all_the_time_it_takes() -> None:
    """The client has what it asked for."""
    finished = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send)
        await pass_time(31)
        finished.append(True)

    response = await call(RequestLimitsMiddleware(app, total_seconds=30, idle_seconds=5))

    assert (response.status, finished) == (200, [True])


async def test_a_websocket_has_no_end_to_wait_for() -> None:
    """Neither time is for it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await pass_time(1_000)
        await send({"type": "websocket.send", "text": "still here"})
        await receive()

    async with websocket(RequestLimitsMiddleware(app, total_seconds=30, idle_seconds=5)) as session:
        assert await session.receive() == "still here"


async def test_an_answer_for_a_slow_application_passes_the_whole_guard() -> None:
    """It carries the request id and the security headers like any other."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await pass_time(31)
        await wait_for_disconnect(receive)

    response = await call(Guard(app, request_limits=RequestLimits(total_seconds=30), rate_limit=False))

    assert response.status == 504
    assert response.headers.get("x-request-id")
    assert response.headers.get("x-content-type-options") == "nosniff"
    assert response.headers.get("connection") is None


async def test_a_refused_request_leaves_no_clock_behind() -> None:
    """Nor does one that was answered."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read(receive)
        await answer(send)

    for settings in ({"max_url_bytes": 1}, {}):
        await call(RequestLimitsMiddleware(app, total_seconds=30, idle_seconds=5, **settings), path="/path")

        assert life.ticker()._deadlines == set()


# idle_seconds


@pytest.mark.parametrize("before", [[], [MORE], [MORE] * 50], ids=lambda before: f"after {len(before)} chunks")
async def test_a_body_that_does_not_go_on_is_refused(before) -> None:
    """At its beginning as well as in its middle (Slowloris); the client is asked to close, and listeners are told."""
    waiting = anyio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in before:
            await receive()
        waiting.set()
        await wait_for_disconnect(receive)

    guarded = RequestLimitsMiddleware(app, idle_seconds=5, listeners=[events := capture_events()])
    server = StrictServer(http_scope("POST", headers=CHUNKED), before)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, guarded)
        await waiting.wait()
        await pass_time(4.5)
        assert server.sent == []
        await pass_time(5.5)

    server.raise_for_errors()
    assert statuses(server) == [408]
    assert (b"connection", b"close") in server.sent[0]["headers"]
    assert [event.code for event in events.of(RequestRefused)] == ["BODY_TOO_SLOW"]


@pytest.mark.parametrize("incoming", [[MORE], [MORE, MORE]], ids=["first", "second"])
async def test_an_application_that_computes_is_not_cut_off(incoming) -> None:
    """Whatever the client has still to send, it is not what is waited for."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in incoming:
            await receive()
        await pass_time(1_000)
        await answer(send)

    server = StrictServer(http_scope("POST", headers=CHUNKED), incoming)
    await server.serve(RequestLimitsMiddleware(app, idle_seconds=5))

    server.raise_for_errors()
    assert statuses(server) == [200]


@pytest.mark.parametrize("chunks", [[b""], [b"x"], [b"x", b"y"]], ids=str)
@pytest.mark.parametrize("guard_inside", [False, True])
async def test_who_waits_for_the_client_to_leave_is_not_cut_off(chunks, guard_inside) -> None:
    """Every streaming response does, from its beginning to its end, and beside whoever reads the body."""
    waiting = anyio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def listen() -> None:
            waiting.set()
            await wait_for_disconnect(receive)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen)
            await waiting.wait()
            await pass_time(0)
            for _ in range(3):
                await pass_time(1_000)
            await answer(send)

    app = RequestLimitsMiddleware(app, idle_seconds=5)
    guarded = Guard(app, rate_limit=False) if guard_inside else app
    response = await call(guarded, "POST", chunks=chunks)

    assert (response.status, response.body) == (200, b"done")


async def test_two_who_wait_for_the_same_body_wait_no_longer_than_one(monkeypatch) -> None:
    """A handler that asks again and again whether the client has left does not wind the clock up."""
    now = [1_000.0]
    monkeypatch.setattr("asgi_guard.limiting.allowance.monotonic", lambda: now[0])
    left = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        def note() -> None:
            (deadline,) = life.ticker()._deadlines
            left.append(deadline.at - now[0])

        async def look() -> None:
            with anyio.CancelScope() as at_once:
                at_once.cancel()
                await receive()
            note()

        await look()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await pass_time(0)
            for _ in range(3):
                await look()
                now[0] += 1.5
                note()
            tasks.cancel_scope.cancel()
        await answer(send)

    server = StrictServer(http_scope("POST", headers=CHUNKED))
    await server.serve(RequestLimitsMiddleware(app, idle_seconds=5))

    server.raise_for_errors()
    assert left == [inf, 5, 3.5, 3.5, 2, 2, 0.5]


async def test_once_the_body_is_whole_nobody_waits_for_it() -> None:
    """Also not the one who had been waiting when another got its last part."""
    both_wait = anyio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait_for_disconnect, receive)
            tasks.start_soon(wait_for_disconnect, receive)
            await pass_time(0)
            both_wait.set()
            await whole.wait()
            await pass_time(0)
            await pass_time(1_000)
            await answer(send)

    whole = anyio.Event()
    server = StrictServer(http_scope("POST", headers=CHUNKED))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, RequestLimitsMiddleware(app, idle_seconds=5))
        await both_wait.wait()
        server.push({"type": "http.request", "body": b"x"})
        whole.set()

    assert statuses(server) == [200]


@pytest.mark.parametrize(
    ("rate", "sizes", "left"),
    [
        (None, [1, 1, 1], [5, 5, 5, 5]),
        (None, [0, 0, 0], [5, 4, 3, 2]),
        (None, [0, 0, 1], [5, 4, 3, 5]),
        (2, [1, 1, 1], [5, 4.5, 4, 3.5]),
        (2, [2, 2, 2], [5, 5, 5, 5]),
        (2, [0, 0, 3], [5, 4, 3, 3.5]),
        (2, [100, 0, 0], [5, 5, 4, 3]),
    ],
    ids=str,
)
async def test_a_trickle_gains_what_its_bytes_are_worth(monkeypatch, rate, sizes, left) -> None:
    """Each chunk comes after a second. Empty ones, of which HTTP/2 lets a client send many, are no progress."""
    now = [1_000.0]
    monkeypatch.setattr("asgi_guard.limiting.allowance.monotonic", lambda: now[0])
    chunks = [*[{**MORE, "body": b"x" * size} for size in sizes], {"type": "http.request"}]
    seen = []

    async def receive() -> Any:
        (deadline,) = life.ticker()._deadlines
        seen.append(deadline.at - now[0])
        now[0] += 1
        return chunks.pop(0)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            now[0] += 1_000  # it computes
        await answer(send)

    server = StrictServer(http_scope("POST", headers=CHUNKED))
    guarded = RequestLimitsMiddleware(app, idle_seconds=5, min_body_bytes_per_second=rate)
    await guarded(server.scope, receive, server.send)

    assert seen == left
    assert statuses(server) == [200]


# without cancellation


class Uncancellable(asyncio.Task):  # type: ignore[type-arg]
    """What one server runs its applications in."""

    def cancel(self, msg: Any = None) -> bool:
        return False


def drive(coroutine: Any) -> asyncio.Future[Any]:
    """Run a coroutine in no task at all, as a server does whose tasks are its own."""
    loop = asyncio.get_running_loop()
    done = loop.create_future()

    def step(_: Any = None) -> None:
        try:
            waits_for = coroutine.send(None)
        except StopIteration as stop:
            done.set_result(stop.value)
        except BaseException as exc:  # noqa: BLE001
            done.set_exception(exc)
        else:
            if waits_for is None:
                loop.call_soon(step)
            else:
                waits_for._asyncio_future_blocking = False
                waits_for.add_done_callback(step)

    loop.call_soon(step)
    return done


RUNNERS = {"cancel does nothing": Uncancellable, "there is no task": drive}


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize(
    ("settings", "status"),
    [({"total_seconds": 30, "idle_seconds": 60}, 504), ({"total_seconds": 60, "idle_seconds": 30}, 408)],
    ids=["total", "idle"],
)
async def test_time_is_kept_where_nothing_can_be_cancelled(runner, settings, status) -> None:
    """The client is answered, the application goes on until it notices, and its place is given back then."""
    incoming: asyncio.Queue[Any] = asyncio.Queue()
    sent: list[Any] = []
    seen: list[str] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if not message.get("more_body", True):
            incoming.put_nowait({"type": "http.disconnect"})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append((await receive())["type"])
        await answer(send)

    guarded = RequestLimitsMiddleware(app, **settings, max_concurrent=1)
    (layer,) = guarded.layers
    running = RUNNERS[runner](guarded(http_scope("POST", headers=CHUNKED), incoming.get, send))
    for _ in range(5):
        await asyncio.sleep(0)
    assert len(layer._in_flight) == 1
    await pass_time(31)
    await running

    assert [message.get("status") for message in sent] == [status, None]
    assert seen == ["http.disconnect"]
    assert len(layer._in_flight) == 0


async def test_a_request_in_time_leaves_nothing_for_the_garbage_collector() -> None:
    """Under load it would run all the time."""

    async def read(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(START)
        await send(LAST)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        pass

    app = RequestLimitsMiddleware(read, total_seconds=30, idle_seconds=10, max_concurrent=2)
    await app(http_scope(), receive, send)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            await app(http_scope(), receive, send)
        assert gc.collect() == 0
    finally:
        gc.enable()


async def test_who_never_asks_for_the_body_is_not_watched() -> None:
    """A deadline for something that nobody waits for costs nothing."""
    seen: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(bool(life.ticker()._deadlines))
        await receive()
        seen.append(bool(life.ticker()._deadlines))
        await answer(send)

    await call(RequestLimitsMiddleware(app, idle_seconds=10), "POST", body=b"x")

    assert seen == [False, True]


async def test_a_stream_may_go_on_while_the_body_does_not() -> None:
    """Once the answer has begun, somebody who listens for more of the body, or for the client's leaving, may wait."""

    async def app(scope, receive, send):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"first,", "more_body": True})
            life.ticker()._tick(monotonic() + 60)
            await anyio.wait_all_tasks_blocked()
            await send({"type": "http.response.body", "body": b"last"})
            tasks.cancel_scope.cancel()

    server = StrictServer(http_scope("POST"), [])
    await server.serve(RequestLimitsMiddleware(app, idle_seconds=5))

    assert server.sent[0]["status"] == 200
    assert b"".join(message.get("body", b"") for message in server.sent) == b"first,last"
