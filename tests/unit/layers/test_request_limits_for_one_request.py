"""Request limits for one request: whoever stands outside, or the application itself, knows better this time."""

from __future__ import annotations

from math import inf
from time import monotonic
from typing import Any

import anyio
import pytest

from asgi_guard import ConfigError, RequestLimitsMiddleware
from asgi_guard.engine import life
from asgi_guard.testing import StrictServer, call, http_scope, websocket

pytestmark = pytest.mark.anyio

CHUNKED = [(b"host", b"testserver"), (b"transfer-encoding", b"chunked")]


async def pass_time(seconds: float) -> None:
    """Let the ticker believe that this much later it is now, and let what it starts come to an end."""
    life.ticker()._tick(monotonic() + seconds)
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


def saying(app: Any, fields: Any) -> Any:
    """Wrap an application in somebody who says this of every request."""

    async def outside(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "asgi_guard": {"request_limits": fields}}, receive, send)

    return outside


def told_by(app: Any, fields: Any) -> Any:
    """Make an application say it itself before it does anything else."""

    async def handler(scope: Any, receive: Any, send: Any) -> None:
        scope["asgi_guard"]["request_limits"] = fields
        await app(scope, receive, send)

    return handler


def limited(app: Any, fields: Any, who: str, **settings: Any) -> Any:
    """Wrap an application, for which `who` says something."""
    if who == "outside":
        return saying(RequestLimitsMiddleware(app, **settings), fields)
    return RequestLimitsMiddleware(told_by(app, fields), **settings)


whoever = pytest.mark.parametrize("who", ["outside", "application"])


async def reads(scope: Any, receive: Any, send: Any) -> None:
    """Read the whole body, and answer."""
    while (await receive()).get("more_body"):
        pass
    await answer(send)


async def answer(send: Any) -> None:
    """Answer with 200."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def taking(seconds: float) -> Any:
    """Make an application that takes some time."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await pass_time(seconds)
        await reads(scope, receive, send)

    return app


@whoever
@pytest.mark.parametrize(
    ("limit", "size", "status"), [(20, 20, 200), (20, 21, 413), (5, 5, 200), (5, 6, 413), (None, 100_000, 200)]
)
async def test_another_size_of_body(who, limit, size, status) -> None:
    """To the byte, and told to the client; the next request has the old one again."""
    fields = {"max_body_bytes": limit}
    app = limited(reads, fields, who, max_body_bytes=10)

    response = await call(app, "POST", chunks=[b"x" * size])

    assert response.status == status
    assert status == 200 or response.json()["error"]["details"] == {"limit": limit}
    fields.clear()
    assert [(await call(app, "POST", chunks=[b"x" * size])).status for size in (10, 11)] == [200, 413]


@pytest.mark.parametrize(("declared", "status"), [(b"20", 200), (b"21", 413)])
async def test_a_declared_body_is_judged_by_what_was_said_outside(declared, status) -> None:
    """The application comes too late for that: it is not called for what is too large."""
    headers = [(b"host", b"testserver"), (b"content-length", declared)]

    outside = limited(reads, {"max_body_bytes": 20}, "outside", max_body_bytes=10)
    inside = limited(reads, {"max_body_bytes": 20}, "application", max_body_bytes=10)

    assert (await call(outside, "POST", headers=headers)).status == status
    assert (await call(inside, "POST", headers=headers)).status == 413


@whoever
@pytest.mark.parametrize("default", [None, 30], ids=lambda default: f"default {default}")
@pytest.mark.parametrize(
    ("total", "takes", "status"), [(60, 59, 200), (60, 61, 504), (10, 9, 200), (10, 11, 504), (None, 10_000, 200)]
)
async def test_another_time(who, default, total, takes, status) -> None:
    """Counted from when it is said; None takes the limit off."""
    app = limited(taking(takes), {"total_seconds": total}, who, total_seconds=default)

    assert (await call(app)).status == status


async def test_more_time_may_be_asked_for_again_and_again() -> None:
    """Each time it counts anew."""

    async def report(scope: Any, receive: Any, send: Any) -> None:
        (deadline,) = life.ticker()._deadlines
        for seconds in (60, 30, None, 90):
            scope["asgi_guard"]["request_limits"] = {"total_seconds": seconds}
            left = deadline.at - monotonic()
            assert left == inf if seconds is None else seconds - 5 < left <= seconds
        await reads(scope, receive, send)

    assert (await call(RequestLimitsMiddleware(report, total_seconds=30))).status == 200
    assert life.ticker()._deadlines == set()


@whoever
@pytest.mark.parametrize("default", [None, 30], ids=lambda default: f"default {default}")
@pytest.mark.parametrize(("idle", "status"), [(10, 408), (60, 200), (None, 200)])
async def test_another_patience(who, default, idle, status) -> None:
    """Also for a request whose settings have none."""
    waiting = anyio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        waiting.set()
        await reads(scope, receive, send)

    guarded = limited(app, {"idle_seconds": idle}, who, idle_seconds=default)
    server = StrictServer(http_scope("POST", headers=CHUNKED))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, guarded)
        await waiting.wait()
        await pass_time(0)
        await pass_time(20)
        server.push({"type": "http.request"})

    server.raise_for_errors()
    assert [message["status"] for message in server.sent if "status" in message] == [status]


@pytest.mark.parametrize(("idle", "status"), [(10, 408), (60, 200), (None, 200)])
async def test_another_patience_holds_at_once_for_whoever_waits_already(idle, status) -> None:
    """The time counts from when it is said."""
    waiting, said = anyio.Event(), anyio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def says() -> None:
            await waiting.wait()
            await pass_time(0)
            scope["asgi_guard"]["request_limits"] = {"idle_seconds": idle}
            said.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(says)
            waiting.set()
            await reads(scope, receive, send)

    server = StrictServer(http_scope("POST", headers=CHUNKED))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.serve, RequestLimitsMiddleware(app, idle_seconds=30))
        await said.wait()
        await pass_time(0)
        await pass_time(20)
        server.push({"type": "http.request"})

    server.raise_for_errors()
    assert [message["status"] for message in server.sent if "status" in message] == [status]


async def test_patience_after_the_body_is_for_nobody() -> None:
    """It may be said late: who waits for the client to leave is not cut off."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            pass
        scope["asgi_guard"]["request_limits"] = {"idle_seconds": 5}

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await pass_time(0)
            await pass_time(1_000)
            await answer(send)

    assert (await call(RequestLimitsMiddleware(app), "POST", chunks=[b"x", b"y"])).status == 200


@pytest.mark.parametrize(
    ("fields", "problems"),
    [
        ({"max_body_bytes": 0}, ["AG101"]),
        ({"max_body_bytes": "1"}, ["AG101"]),
        ({"total_seconds": inf}, ["AG102"]),
        ({"idle_seconds": -1, "total_seconds": True, "max_body_bytes": 1.5}, ["AG102", "AG102", "AG101"]),
        ({"max_concurrent": 5}, ["AG229"]),
    ],
    ids=str,
)
@whoever
async def test_what_cannot_work_is_an_error(who, fields, problems) -> None:
    """Everything that is wrong is told."""
    app = limited(reads, fields, who)

    with pytest.raises(ConfigError) as caught:
        await call(app)
    assert [problem.id for problem in caught.value.problems] == problems
    assert life.ticker()._deadlines == set()


@whoever
async def test_on_a_websocket_there_is_nothing_to_limit(who) -> None:
    """It is checked all the same."""

    async def chat(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await pass_time(1_000)
        await send({"type": "websocket.send", "text": "still here"})
        await receive()

    async with websocket(limited(chat, {"total_seconds": 1, "idle_seconds": 1}, who, total_seconds=5)) as session:
        assert await session.receive() == "still here"


async def test_two_limits_on_one_request_both_hear_it() -> None:
    """They have the same name."""
    app = RequestLimitsMiddleware(reads, max_body_bytes=10)
    app = saying(RequestLimitsMiddleware(app, max_body_bytes=5), {"max_body_bytes": 20})

    assert [(await call(app, "POST", chunks=[b"x" * size])).status for size in (20, 21)] == [200, 413]
