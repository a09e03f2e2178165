"""The middleware: how it is built, what it leaves alone, and what holds however many requests it serves at once."""

from __future__ import annotations

import gc
import inspect
from contextvars import ContextVar

import anyio
import pytest

from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.replies import Reply
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.events import RequestAllowed
from asgi_guard.settings import Problem
from asgi_guard.testing import (
    ABSENT,
    StrictServer,
    call,
    capture_events,
    http_scope,
    lifespan,
    lifespan_scope,
    request_messages,
    websocket,
)

START = {"type": "http.response.start", "status": 200, "headers": []}
LAST = {"type": "http.response.body", "body": b"last"}


# Building -------------------------------------------------------------------------------------------------------------


async def app(scope, receive, send):
    """Answer every request alike."""
    await send({**START})
    await send({**LAST})


def test_a_stack_is_one_object() -> None:
    """The outer takes over the layers of the inner, in order, and calls the application itself."""
    first, second, third = Layer(), Layer(), Layer()

    stack = Middleware(Middleware(Middleware(app, third), second), first)

    assert stack.layers == (first, second, third)
    assert stack._target is app
    assert stack.app.app.app is app


def test_nesting_can_be_had() -> None:
    """One frame for each middleware, as the property test compares it."""
    inner = Middleware(app, Layer())

    outer = Middleware(inner, Layer(), fuse=False)

    assert len(outer.layers) == 1
    assert outer._target is inner


@pytest.mark.anyio
async def test_a_stack_that_cannot_fuse_is_nested(layer) -> None:
    """One layer twice would share its cell: both runs have their own."""
    seen = []

    def admit(exchange):
        seen.append(exchange.cell(twice))
        exchange.cells[twice] = True

    twice = layer(admit=admit)
    stack = Middleware(Middleware(app, twice), twice)

    assert (await call(stack)).body == b"last"
    assert seen == [None, None]


def test_a_subclass_that_serves_in_its_own_way_is_left_alone() -> None:
    """Fusing would take away what it does around its call."""

    class Timed(Middleware):
        async def __call__(self, scope, receive, send):
            await super().__call__(scope, receive, send)

    class Named(Middleware):
        pass

    timed, named = Timed(app, Layer()), Named(app, Layer())

    assert Middleware(timed, Layer())._target is timed
    assert Middleware(named, Layer())._target is app


@pytest.mark.anyio
async def test_a_middleware_may_stand_in_two_stacks(layer) -> None:
    """Fusing leaves the inner one as it was."""
    inner = Middleware(app, layer(head=lambda exchange, headers: headers.append((b"x-inner", b"1"))))
    outer = Middleware(inner, layer(head=lambda exchange, headers: headers.append((b"x-outer", b"1"))))

    assert (await call(outer)).headers == ((b"x-inner", b"1"), (b"x-outer", b"1"))
    assert (await call(inner)).headers == ((b"x-inner", b"1"),)


@pytest.mark.anyio
async def test_listeners_hear_all_layers_that_they_were_given_with(layer) -> None:
    """Besides those that a layer has of its own."""
    ours, own = capture_events(), capture_events()
    stack = Middleware(
        app,
        layer(admit=lambda exchange: None, listeners=(own,)),
        layer(admit=lambda exchange: None),
        listeners=[ours],
    )

    await call(stack)

    assert (len(ours.of(RequestAllowed)), len(own.of(RequestAllowed))) == (2, 1)


async def asynchronous(event) -> None:
    """Be a listener that nobody would await."""


class AsynchronousListener:
    async def __call__(self, event): ...


NOT_ADMITTED = [
    # keyword arguments, ids and fields of the problems
    ({"app": None}, ["AG109 Middleware.app"]),
    ({"listeners": "print"}, ["AG223 Middleware.listeners"]),
    ({"listeners": print}, ["AG223 Middleware.listeners"]),
    ({"listeners": [print, 7]}, ["AG109 Middleware.listeners[1]"]),
    ({"listeners": [asynchronous]}, ["AG222 Middleware.listeners[0]"]),
    ({"listeners": [AsynchronousListener()]}, ["AG222 Middleware.listeners[0]"]),
    (
        {"app": 7, "listeners": [7, asynchronous]},
        ["AG109 Middleware.app", "AG109 Middleware.listeners[0]", "AG222 Middleware.listeners[1]"],
    ),
]


@pytest.mark.parametrize(("given", "problems"), NOT_ADMITTED)
def test_what_could_not_be_called_later_is_refused_at_once(given, problems) -> None:
    """With everything that is wrong; an async listener would never be awaited."""
    with pytest.raises(ConfigError) as caught:
        Middleware(**{"app": app, **given})

    assert [f"{problem.id} {problem.field}" for problem in caught.value.problems] == problems


def test_what_the_middleware_has_not_is_the_applications() -> None:
    """`Guard(FastAPI()).get` works, through any number of them; dunders and misses do not go astray."""

    class Framework:
        title = "a framework"

        async def __call__(self, scope, receive, send): ...

    stack = Middleware(Middleware(Framework(), Layer()), Layer())

    assert stack.title == "a framework"
    with pytest.raises(AttributeError, match="missing"):
        stack.missing  # noqa: B018
    with pytest.raises(AttributeError, match="__len__"):
        stack.__len__  # noqa: B018


def test_a_half_built_middleware_has_no_attributes() -> None:
    """`copy` and `pickle` look at objects before they are filled, and must not look for ever."""
    half_built = Middleware.__new__(Middleware)

    with pytest.raises(AttributeError, match="app"):
        half_built.app  # noqa: B018


def test_it_looks_like_an_application() -> None:
    """Servers and adapters look at the function, and some pass its arguments by name."""
    assert inspect.iscoroutinefunction(Middleware.__call__)
    assert list(inspect.signature(Middleware(app).__call__).parameters) == ["scope", "receive", "send"]


# Scopes that are not requests -----------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["lifespan", "mystery"])
async def test_what_is_no_request_passes_untouched(layer, kind) -> None:
    """The same objects; no layer is asked."""
    calls = []
    arguments = ({"type": kind}, object(), object())

    async def note(*given):
        calls.append(given)

    await Middleware(Middleware(note, layer()), layer(), fuse=False)(*arguments)

    assert [given is argument for given, argument in zip(calls[0], arguments, strict=True)] == [True] * 3


@pytest.mark.anyio
async def test_the_end_of_a_lifespan_releases_what_layers_share(layer) -> None:
    """From the inside out, once, after the application has shut down; other scopes release nothing."""
    order = []

    def releasing(name):
        async def shutdown():
            order.append(name)

        return layer(shutdown=shutdown)

    async def living(scope, receive, send):
        for phase in ("startup", "shutdown"):
            await receive()
            order.append(phase)
            await send({"type": f"lifespan.{phase}.complete"})

    stack = Middleware(Middleware(living, releasing("inner")), releasing("outer"))
    async with lifespan(stack):
        pass
    assert order == ["startup", "shutdown", "inner", "outer"]

    async def raising(scope, receive, send):
        raise LookupError(scope["type"])

    order.clear()
    with pytest.raises(LookupError, match="mystery"):
        await Middleware(raising, releasing("layer"))({"type": "mystery"}, None, None)
    assert order == []
    with pytest.raises(LookupError, match="lifespan"):
        await Middleware(raising, releasing("layer"))({"type": "lifespan"}, None, None)
    assert order == ["layer"]


@pytest.mark.anyio
@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "nested"])
async def test_layers_get_ready_before_the_application_starts(layer, fuse) -> None:
    """From the outside in, once; the application is given every message as if nobody had looked at it."""
    order = []

    def starting(name):
        async def start():
            order.append(name)

        return layer(start=start)

    async def living(scope, receive, send):
        order.append("called")
        for phase in ("startup", "shutdown"):
            order.append((await receive())["type"])
            await send({"type": f"lifespan.{phase}.complete"})

    stack = Middleware(Middleware(living, starting("inner")), layer(), starting("outer"), fuse=fuse)
    async with lifespan(stack):
        pass

    assert order == ["outer", "inner", "called", "lifespan.startup", "lifespan.shutdown"]


@pytest.mark.anyio
@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "nested"])
async def test_a_server_hears_that_all_is_over_when_it_is(layer, fuse) -> None:
    """It may cancel what is under way from then on, as hypercorn does."""
    order = []

    def releasing(name):
        async def shutdown():
            order.append(name)

        return layer(shutdown=shutdown)

    async def living(scope, receive, send):
        await send({"type": "lifespan.shutdown.complete"})
        order.append("returned")

    async def hear(message):
        order.append(message["type"])

    stack = Middleware(Middleware(living, releasing("inner")), releasing("outer"), fuse=fuse)
    await stack({"type": "lifespan"}, None, hear)

    assert order == ["inner", "outer", "lifespan.shutdown.complete", "returned"]


@pytest.mark.anyio
async def test_who_cancels_an_end_keeps_no_layer_from_releasing(layer) -> None:
    """Each is asked, and whoever cancels has his way when all are through."""
    order = []

    def releasing(name, error=None):
        async def shutdown():
            order.append(name)
            if error is not None:
                raise error

        return layer(shutdown=shutdown)

    async def living(scope, receive, send): ...

    stack = Middleware(living, releasing("outer"), releasing("cancelled", KeyboardInterrupt()), releasing("inner"))
    with pytest.raises(KeyboardInterrupt):
        await stack({"type": "lifespan"}, None, None)

    assert order == ["inner", "cancelled", "outer"]


CANNOT_START = {
    "for a wrong setting": (ConfigError([Problem("AG001", "X", "", "is wrong", "Mend it.")]), "AG001 X is wrong"),
    "for any other reason": (ConnectionError("hunter2"), "layer could not start: ConnectionError; the log says more"),
}


@pytest.mark.anyio
@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "nested"])
@pytest.mark.parametrize(("error", "told"), CANNOT_START.values(), ids=CANNOT_START)
async def test_a_layer_that_cannot_start_keeps_the_application_from_starting(layer, fuse, error, told, caplog) -> None:
    """The server is told, and shown no secret; what other layers have got ready is released."""
    order = []

    async def get_ready():
        order.append("ready")

    async def fail():
        raise error

    async def release():
        order.append("released")

    async def never(scope, receive, send):
        order.append("called")

    failing = layer(start=fail, strict_lifespan=True)
    stack = Middleware(Middleware(never, failing), layer(start=get_ready, shutdown=release), fuse=fuse)
    server = await StrictServer(lifespan_scope(), [{"type": "lifespan.startup"}]).serve(stack)

    (said,) = server.sent
    assert order == ["ready", "released"]
    assert said["type"] == "lifespan.startup.failed"
    assert told in said["message"]
    assert "hunter2" not in said["message"]
    assert "layer could not start" in caplog.text


@pytest.mark.anyio
async def test_a_layer_that_cannot_release_keeps_none_from_theirs(layer, caplog) -> None:
    """It is logged, and the lifespan ends as the application ended it."""
    order = []

    def releasing(name, error=None):
        async def shutdown():
            order.append(name)
            if error is not None:
                raise error

        return layer(shutdown=shutdown)

    async def living(scope, receive, send):
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})

    stack = (releasing("outer"), releasing("failing", ConnectionError("the store has gone")), releasing("inner"))
    async with lifespan(Middleware(living, *stack)):
        pass

    assert order == ["inner", "failing", "outer"]
    assert "layer could not shut down" in caplog.text
    assert "the store has gone" in caplog.text


# Requests -------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_without_a_layer_everything_passes() -> None:
    """An empty stack is a relay."""
    response = await call(Middleware(app))

    assert list(response.messages) == [START, LAST]
    async with websocket(Middleware(Middleware(accepting))) as session:
        session.send("hello")
        assert await session.receive() == "hello"


async def accepting(scope, receive, send):
    """Accept a WebSocket and send each text back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


@pytest.mark.anyio
async def test_an_exception_without_a_layer_goes_through(sending) -> None:
    """As it is."""
    error = LookupError()

    server = await StrictServer(http_scope()).serve(Middleware(sending(error)))

    assert server.error is error


@pytest.mark.anyio
@pytest.mark.parametrize("has_state", [True, False])
async def test_what_was_set_for_the_call_is_taken_out_of_the_state(layer, has_state) -> None:
    """Whatever happened; the application reads it meanwhile, and what it leaves there itself stays."""
    seen = []

    async def stateful(scope, receive, send):
        seen.append(dict(scope["state"]))
        scope["state"]["by the application"] = 1
        raise LookupError

    scope = http_scope(state={} if has_state else ABSENT)
    setting = layer(
        admit=lambda exchange: exchange.set_state("request_id", "abc"),
        finish=lambda exchange: seen.append(exchange.scope),
    )
    server = await StrictServer(scope).serve(Middleware(stateful, setting))

    assert isinstance(server.error, LookupError)
    assert seen[0] == {"request_id": "abc"}
    assert scope.get("state") == ({"by the application": 1} if has_state else None)


mark: ContextVar[int] = ContextVar("mark", default=0)


@pytest.mark.anyio
@pytest.mark.parametrize("fuse", [False, True])
async def test_two_hundred_interleaved_requests_do_not_mix(layer, fuse) -> None:
    """Each has its own cell, state, answer and context, however they take turns."""

    def admit(exchange):
        number = int(exchange.header(b"x-number"))
        exchange.cells[counting] = number
        exchange.set_state("number", number)

    async def admit_async(exchange):
        await turns(exchange.cell(counting))

    async def turns(number):
        for _ in range(number % 7):
            await anyio.lowlevel.checkpoint()

    counting = layer(
        wants=frozenset({b"x-number"}),
        admit=admit,
        admit_async=admit_async,
        head=lambda exchange, headers: headers.append((b"x-number", b"%d" % exchange.cell(counting))),
        finish=lambda exchange: finished.append((exchange.cell(counting), mark.get())),
    )

    async def echo(scope, receive, send):
        number = scope["state"]["number"]
        mark.set(number)
        await send({**START})
        await turns(number + 3)
        message = await receive()
        await turns(number + 5)
        await send({"type": "http.response.body", "body": b"%d " % number + message["body"]})

    finished, wrong = [], []
    stack = Middleware(Middleware(echo, layer(holds_start=True), fuse=fuse), counting, fuse=fuse)

    async def ask(number):
        response = await call(stack, headers=[("x-number", str(number))], body=b"%d" % number)
        if (response.body, response.headers.get(b"x-number")) != (b"%d %d" % (number, number), b"%d" % number):
            wrong.append(response)

    async with anyio.create_task_group() as tasks:
        for number in range(200):
            tasks.start_soon(ask, number)

    assert wrong == []
    assert sorted(finished) == [(number, number) for number in range(200)]


# Cancellation ---------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("fuse", [False, True])
@pytest.mark.parametrize("moment", range(14))
async def test_a_cancellation_at_any_moment_comes_through(layer, fuse, moment) -> None:
    """And every layer that was entered finishes exactly once."""
    entered, finished, steps = [], [], []

    async def step(*_):
        """Be one of the moments at which a call may be cancelled."""
        steps.append(1)
        if len(steps) > moment:
            call.cancel()
        await anyio.lowlevel.checkpoint()

    def noting(name, **hooks):
        return layer(
            admit=lambda exchange: entered.append(name), finish=lambda exchange: finished.append(name), **hooks
        )

    async def look(exchange, receive):
        await step()
        while await receive():
            await step()

    async def working(scope, receive, send):
        await receive()
        await step()
        await send({**START})
        await step()
        await send({**LAST})
        await step()

    looking = noting("outer", body=look, body_types=frozenset({b"*/*"}), admit_async=step, rescue=lambda *_: Reply(500))
    stack = Middleware(Middleware(working, noting("inner", holds_start=True), fuse=fuse), looking, fuse=fuse)
    server = StrictServer(http_scope(), request_messages(b"one", b"two"), on_send=step)

    with anyio.CancelScope() as call:
        await server.serve(stack)

    assert call.cancelled_caught is (len(steps) > moment)
    assert (server.error, server.violation) == (None, None)
    assert sorted(finished) == sorted(entered)
    assert len(set(finished)) == len(finished)


@pytest.mark.anyio
async def test_there_are_enough_moments() -> None:
    """The test above would otherwise not cancel the last of them."""
    steps = []

    async def count(*_):
        steps.append(1)

    async def working(scope, receive, send):
        await count()
        await send({**START})
        await count()
        await send({**LAST})
        await count()

    await StrictServer(http_scope(), on_send=count).serve(Middleware(working))

    assert len(steps) + 1 + 3 < 14


async def decide_later(exchange):
    """Stand for a hook that is async where the engine does not wait."""


@pytest.mark.parametrize(
    ("given", "problem", "remedy"),
    [
        (Layer, "AG224", "parentheses"),
        ("layer", "AG224", "instance"),
        (type("Waiting", (Layer,), {"admit": decide_later})(), "AG225", "admit_async"),
        (type("Waiting", (Layer,), {"head": decide_later})(), "AG225", "plain function"),
        (type("Waiting", (Layer,), {"rescue": decide_later})(), "AG225", "plain function"),
    ],
    ids=["class", "text", "admit", "head", "rescue"],
)
def test_what_is_no_layer_is_refused_when_it_is_built(given, problem, remedy) -> None:
    """Not with the first request, and not as a 500 for each."""
    with pytest.raises(ConfigError, match=remedy) as caught:
        Middleware(decide_later, given)

    assert [found.id for found in caught.value.problems] == [problem]


def test_hooks_that_the_engine_waits_for_may_be_async() -> None:
    """And the problems of all layers are told at once, by their places."""
    waiting = type("Waiting", (Layer,), {"admit_async": decide_later, "body": decide_later})()
    assert Middleware(decide_later, waiting).layers == (waiting,)

    wrong = type("Wrong", (Layer,), {"inbound": decide_later, "finish": decide_later})()
    with pytest.raises(ConfigError) as caught:
        Middleware(decide_later, waiting, wrong, Layer)
    assert [(found.id, found.field) for found in caught.value.problems] == [
        ("AG225", "Middleware.layers[1].inbound"),
        ("AG225", "Middleware.layers[1].finish"),
        ("AG224", "Middleware.layers[2]"),
    ]


# Switching off, and going on with other layers ------------------------------------------------------------------------


def marks(layer, name):
    """Make a layer that adds a header."""
    return layer(head=lambda exchange, headers: headers.append((name, b"1")))


@pytest.mark.anyio
async def test_a_middleware_can_be_disabled_for_a_while(layer) -> None:
    """Requests pass as if it was not there; those around it and inside it are not concerned; blocks may overlap."""
    inner = Middleware(Middleware(app, marks(layer, b"x-inmost")), marks(layer, b"x-inner"))
    outer = Middleware(inner, marks(layer, b"x-outer"))

    async def seen():
        return [name for name, _ in (await call(outer)).headers if name.startswith(b"x-")]

    assert await seen() == [b"x-inmost", b"x-inner", b"x-outer"]
    with inner.disabled():
        assert await seen() == [b"x-inmost", b"x-outer"]
        with inner.disabled(), outer.disabled():
            assert await seen() == [b"x-inmost"]
        assert await seen() == [b"x-inmost", b"x-outer"]
    assert await seen() == [b"x-inmost", b"x-inner", b"x-outer"]


@pytest.mark.anyio
async def test_a_request_on_its_way_keeps_what_it_began_with(layer) -> None:
    """Switching off, or going on with other layers, concerns the next request."""
    finished = []
    own = layer(
        head=lambda exchange, headers: headers.append((b"x-own", b"1")),
        finish=lambda exchange: finished.append("own"),
    )

    async def switches(scope, receive, send):
        with guarded.disabled():
            await app(scope, receive, send)

    guarded = Middleware(switches, own)
    answer = await call(guarded)

    assert answer.headers.get("x-own") == "1"
    assert finished == ["own"]


def test_an_outer_one_that_is_gone_is_not_kept(layer) -> None:
    """Being fused into something keeps nobody alive."""
    inner = Middleware(app, layer())
    Middleware(inner, layer())
    gc.collect()

    assert not list(inner._fused_into)
