"""Request limits on how many are served at once: one too many is refused at once, and every place is given back."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import pytest

from asgi_guard import Guard, RequestLimits, RequestLimitsMiddleware, RequestRefused
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.replies import Reply
from asgi_guard.layers.request_limits import RequestLimitsLayer
from asgi_guard.testing import StrictServer, call, capture_events, http_scope, request_messages, websocket

pytestmark = pytest.mark.anyio


class Gate:
    """An application that answers once it is told to."""

    def __init__(self) -> None:
        self.inside = 0
        self.opened = anyio.Event()
        self.someone_came = anyio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/wait":
            self.inside += 1
            self.someone_came.set()
            await self.opened.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})


def in_flight(app: Middleware) -> int:
    """Count the places that are taken."""
    (layer,) = [layer for layer in app.layers if isinstance(layer, RequestLimitsLayer)]
    return len(layer._in_flight)


async def one_is_inside(tasks: Any, app: Any, gate: Gate) -> None:
    """Let one request wait inside the application."""
    tasks.start_soon(call, app, "GET", "/wait")
    await gate.someone_came.wait()


async def test_one_too_many_is_refused_at_once() -> None:
    """With a 503 that says when to come again, and not how many are too many; afterwards there is room."""
    gate = Gate()
    app = RequestLimitsMiddleware(gate, max_concurrent=1, retry_after_seconds=7, listeners=[events := capture_events()])

    async with anyio.create_task_group() as tasks:
        await one_is_inside(tasks, app, gate)
        refused = await call(app, "GET", "/wait")
        gate.opened.set()

    assert (refused.status, refused.headers.get("retry-after"), gate.inside) == (503, "7", 1)
    error = refused.json()["error"]
    assert (error["code"], error["retryable"], error["details"]) == ("TOO_MANY_AT_ONCE", True, {})
    assert [(event.status, event.code) for event in events.of(RequestRefused)] == [(503, "TOO_MANY_AT_ONCE")]
    assert (await call(app)).status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/health", 200),
        ("/health/live", 200),
        ("/healthy", 503),
        ("/", 503),
        ("/health/../wait", 503),
        ("/health//../../wait", 503),
    ],
)
async def test_a_health_check_is_never_one_too_many(path, status) -> None:
    """Nor does it take a place; nobody else can borrow its path."""
    gate = Gate()
    app = RequestLimitsMiddleware(gate, max_concurrent=1, exempt_paths=["/health"])

    async with anyio.create_task_group() as tasks:
        await one_is_inside(tasks, app, gate)
        response = await call(app, path=path)
        assert in_flight(app) == 1
        gate.opened.set()

    assert response.status == status


async def test_an_open_websocket_counts() -> None:
    """Until it is closed; another is denied, and so is a request."""

    async def chat(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    app = RequestLimitsMiddleware(chat, max_concurrent=1)

    async with websocket(app):
        async with websocket(app) as second:
            assert second.denial is not None
            assert (second.denial.status, second.headers.get("retry-after")) == (503, "1")
        async with websocket(app, can_deny=False) as third:
            assert (third.accepted, third.close_code) == (None, 1008)
        assert (await call(app)).status == 503
    assert in_flight(app) == 0


async def test_what_is_refused_for_another_reason_takes_no_place() -> None:
    """It is judged before."""
    gate = Gate()
    app = RequestLimitsMiddleware(gate, max_concurrent=1, max_url_bytes=10)

    async with anyio.create_task_group() as tasks:
        await one_is_inside(tasks, app, gate)
        assert (await call(app, path="/much/too/long")).status == 414
        assert in_flight(app) == 1
        gate.opened.set()


# every place is given back


async def returns(scope: Any, receive: Any, send: Any) -> None:
    """Say nothing."""


async def raises(scope: Any, receive: Any, send: Any) -> None:
    """Fail before the response."""
    raise LookupError


async def raises_late(scope: Any, receive: Any, send: Any) -> None:
    """Fail in the middle of it."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"part", "more_body": True})
    raise LookupError


async def reads(scope: Any, receive: Any, send: Any) -> None:
    """Read, and answer."""
    while (await receive()).get("more_body"):
        pass
    await Gate()(scope, receive, send)


class Refusing(Layer):
    """Refuses everybody."""

    def admit(self, exchange: Any) -> Reply:
        return Reply(403)


class Failing(Layer):
    """Fails for everybody."""

    def admit(self, exchange: Any) -> None:
        raise LookupError

    def finish(self, exchange: Any) -> None:
        raise LookupError


@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "nested"])
@pytest.mark.parametrize(
    ("app", "inside"),
    [
        (returns, []),
        (raises, []),
        (raises_late, []),
        (reads, []),
        (reads, [Refusing()]),
        (reads, [Failing()]),
        (reads, [Layer()]),
    ],
    ids=["returns", "raises", "raises late", "answers or is refused", "refused inside", "hooks fail", "empty layer"],
)
@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
@pytest.mark.filterwarnings("ignore")
async def test_a_place_is_given_back_whatever_happened(app, inside, fuse, leaves) -> None:
    """Once, so that the next one gets it, and no more than that."""
    stack = Middleware(app, *inside, fuse=fuse) if inside else app
    guarded = RequestLimitsMiddleware(stack, max_concurrent=1, max_body_bytes=10)

    async def gone(message: Any) -> None:
        if leaves:
            raise OSError("the client has left")

    for chunks in ([b"x"], [b"x" * 11], [b"x" * 6] * 3):
        server = StrictServer(http_scope("POST"), request_messages(*chunks), on_send=gone)
        await server.serve(guarded)
        assert in_flight(guarded) == 0


@pytest.mark.parametrize("at", ["admit", "app"])
async def test_a_place_is_given_back_on_cancellation(at) -> None:
    """Wherever the request was."""
    reached = anyio.Event()

    class Waiting(Layer):
        async def admit_async(self, exchange: Any) -> None:
            if at == "admit":
                reached.set()
                await anyio.sleep_forever()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.set()
        await anyio.sleep_forever()

    guarded = RequestLimitsMiddleware(Middleware(app, Waiting()), max_concurrent=1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call, guarded)
        await reached.wait()
        assert in_flight(guarded) == 1
        tasks.cancel_scope.cancel()

    assert in_flight(guarded) == 0


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_place_whose_request_never_ends_comes_back_by_its_lease(monkeypatch) -> None:
    """Some servers never wake an application that is blocked in `receive`; if one ends late, it gives nothing back."""
    now = [1_000.0]
    monkeypatch.setattr("asgi_guard.layers.request_limits.monotonic", lambda: now[0])
    gate = Gate()
    app = RequestLimitsMiddleware(gate, max_concurrent=1, lease_seconds=60)

    stuck = asyncio.ensure_future(call(app, "GET", "/wait"))
    await gate.someone_came.wait()
    now[0] += 59
    assert (await call(app)).status == 503
    now[0] += 1
    gate.someone_came = anyio.Event()
    later = asyncio.ensure_future(call(app, "GET", "/wait"))
    await gate.someone_came.wait()
    stuck.cancel()
    await asyncio.wait([stuck])
    assert in_flight(app) == 1
    assert (await call(app)).status == 503

    gate.opened.set()
    assert (await later).status == 200
    assert in_flight(app) == 0


# going on


async def test_a_reconfigured_guard_goes_on_with_what_is_in_flight() -> None:
    """To the request, whether the new number is larger or smaller, and with a time without any number in between."""
    gate = Gate()
    guard = Guard(gate, request_limits=RequestLimits(max_concurrent=1), rate_limit=False)

    async with anyio.create_task_group() as tasks:
        await one_is_inside(tasks, guard, gate)
        for most, status in ((1, 503), (None, 200), (1, 503), (2, 200), (1, 503)):
            guard.reconfigure(request_limits=RequestLimits(max_concurrent=most))
            assert (await call(guard)).status == status
            assert in_flight(guard) == 1
        gate.opened.set()

    assert in_flight(guard) == 0
    assert (await call(guard)).status == 200


def test_what_stood_in_its_place_may_be_anything() -> None:
    """There is nothing to go on with then."""
    layer = RequestLimitsLayer(RequestLimits(max_concurrent=1))

    layer.take_over(Layer())

    assert len(layer._in_flight) == 0


# the hooks


@pytest.mark.parametrize(
    ("settings", "hooks"),
    [
        ({}, []),
        ({"max_body_bytes": None}, []),
        ({"total_seconds": 1}, ["admit"]),
        ({"idle_seconds": 1}, ["admit", "head"]),
        ({"max_concurrent": 1}, ["admit", "finish"]),
    ],
    ids=str,
)
def test_nobody_pays_for_what_is_off(settings, hooks) -> None:
    """The hooks of a limit are filled in where it is on."""
    layer = RequestLimitsLayer(RequestLimits(**settings))

    assert sorted(name for name in vars(layer) if not name.startswith("_") and name != "settings") == hooks
