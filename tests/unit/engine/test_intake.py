"""The way in: what the application receives, and what layers may look at before it does."""

from __future__ import annotations

import anyio
import pytest

from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.replies import Reply
from asgi_guard.testing import StrictServer, call, http_scope, request_messages, websocket_scope

JSON = [(b"host", b"a"), (b"content-type", b"application/json; charset=utf-8")]
CHUNKS = (b"one", b"two", b"three")
WHOLE = request_messages(*CHUNKS)
DISCONNECT = {"type": "http.disconnect"}


async def answer(send, status=200):
    """Send a whole response."""
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body"})


def reading(received, count):
    """Make an application that receives so many messages and answers."""

    async def app(scope, receive, send):
        for _ in range(count):
            received.append(await receive())
        await answer(send)

    return app


async def serve(app, incoming, scope=None, **options):
    """Serve one request with these messages."""
    server = StrictServer(scope or http_scope(headers=JSON), [{**message} for message in incoming], **options)
    await server.serve(app)
    server.raise_for_errors()
    return server


# inbound --------------------------------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_every_message_is_seen_from_the_outside_in(layer) -> None:
    """By every layer before the application has it, the very object, the disconnect too."""
    seen, received = [], []
    outer = layer(inbound=lambda exchange, message: seen.append(("outer", message)))
    inner = layer(inbound=lambda exchange, message: seen.append(("inner", message)))

    await serve(Middleware(reading(received, 4), outer, inner), WHOLE, afterwards="disconnect")

    assert received == [*WHOLE, DISCONNECT]
    assert seen == [(who, message) for message in received for who in ("outer", "inner")]


@pytest.mark.anyio
async def test_a_refusal_in_mid_stream_is_answered_at_once(layer) -> None:
    """The application is told that the client has gone, every time it asks; its own answer is dropped."""
    seen, received = [], []
    outer = layer(inbound=lambda exchange, message: seen.append(("outer", message["type"])))
    limit = layer(inbound=lambda exchange, message: Reply(413) if message.get("body") == b"two" else None)
    inner = layer(inbound=lambda exchange, message: seen.append(("inner", message["type"])))

    server = await serve(Middleware(reading(received, 4), outer, limit, inner), WHOLE)

    assert received == [WHOLE[0], DISCONNECT, DISCONNECT, DISCONNECT]
    assert [message.get("status") for message in server.sent] == [413, None]
    assert server.received == 2
    assert [kind for who, kind in seen if who == "outer"] == ["http.request"] * 2
    assert [kind for who, kind in seen if who == "inner"] == ["http.request", *["http.disconnect"] * 3]


@pytest.mark.anyio
async def test_what_the_application_raises_after_a_refusal_is_nobodys(layer) -> None:
    """Most frameworks raise when a client leaves."""

    async def app(scope, receive, send):
        if (await receive())["type"] == "http.disconnect":
            raise ConnectionError("the client has left")

    server = await serve(Middleware(app, layer(inbound=lambda exchange, message: Reply(413))), WHOLE)

    assert server.sent[0]["status"] == 413


@pytest.mark.anyio
async def test_a_refusal_after_the_response_has_started_adds_nothing(layer) -> None:
    """The rest of the response is dropped, and the server has to break the connection off."""

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        assert await receive() == DISCONNECT
        await send({"type": "http.response.body", "body": b"rest"})

    server = await serve(Middleware(app, layer(inbound=lambda exchange, message: Reply(413))), WHOLE)

    assert [message.get("body") for message in server.sent] == [None, b"part"]
    assert not server.is_over


@pytest.mark.anyio
async def test_a_refusal_after_the_response_is_complete_adds_nothing(layer) -> None:
    """An application may look for the client after it has answered."""
    received = []

    async def app(scope, receive, send):
        await answer(send)
        received.append(await receive())

    server = await serve(Middleware(app, layer(inbound=lambda exchange, message: Reply(413))), WHOLE)

    assert [message.get("status") for message in server.sent] == [200, None]
    assert received == [DISCONNECT]


@pytest.mark.anyio
async def test_a_waiting_reader_is_told_when_another_one_was_refused(layer) -> None:
    """Two tasks of the application may receive at once."""
    received = []

    async def app(scope, receive, send):
        async def read():
            received.append(await receive())

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            tasks.start_soon(read)

    limit = layer(inbound=lambda exchange, message: Reply(413) if message["type"] == "http.request" else None)
    server = await serve(Middleware(app, limit), WHOLE[:1])

    assert received == [DISCONNECT, DISCONNECT]
    assert server.sent[0]["status"] == 413


@pytest.mark.anyio
@pytest.mark.parametrize("is_rescued", [False, True])
async def test_an_inbound_hook_that_fails_is_an_error_of_its_layer(layer, is_rescued) -> None:
    """Rescued from outside, even if the application swallows it; nothing gets past the layer any more."""

    def fail(exchange, message):
        raise LookupError("the hook failed")

    async def stubborn(scope, receive, send):
        try:
            await receive()
        except LookupError:
            await answer(send)

    rescue = {"rescue": lambda exchange, exc: Reply(500, body=str(exc).encode())} if is_rescued else {}
    server = StrictServer(http_scope(), request_messages())
    await server.serve(Middleware(stubborn, layer(**rescue), layer(inbound=fail)))

    if is_rescued:
        assert (server.error, server.sent[1]["body"]) == (None, b"the hook failed")
    else:
        assert (str(server.error), server.sent) == ("the hook failed", [])


@pytest.mark.anyio
async def test_a_websocket_is_closed_where_a_message_is_refused(layer) -> None:
    """With the reply's close code, and the application is told the same one."""
    received = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        received.extend([await receive(), await receive()])

    limit = layer(inbound=lambda exchange, message: Reply(429, close_code=4029) if "text" in message else None)
    incoming = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "too much"}]
    server = await serve(Middleware(app, limit), incoming, websocket_scope())

    assert server.sent[1:] == [{"type": "websocket.close", "code": 4029, "reason": ""}]
    assert [message["type"] for message in received] == ["websocket.disconnect"] * 2
    assert received[0]["code"] == 4029


@pytest.mark.anyio
async def test_what_the_server_raises_is_nobodys_to_answer(layer) -> None:
    """It knows what is wrong with the connection."""
    error = ConnectionResetError("gone")

    async def receive():
        raise error

    async def app(scope, receive, send):
        await receive()

    server = StrictServer(http_scope())
    server.receive = receive
    await server.serve(Middleware(app, layer(rescue=lambda exchange, exc: Reply(500))))

    assert (server.error, server.sent) == (error, [])


# body: looking ahead --------------------------------------------------------------------------------------------------


def looking(layer, look, *, types=(b"application/json",), bound=65_536, **hooks):
    """Make a layer that looks into bodies of these types."""
    return layer(body=look, body_types=frozenset(types), body_look_ahead_bytes=bound, **hooks)


async def read_all(seen, receive):
    """Read until there is nothing more to look at."""
    while (message := await receive()) is not None:
        seen.append(message)


@pytest.mark.anyio
async def test_what_was_looked_at_is_handed_on_unchanged(layer) -> None:
    """The same messages, in the same order, however much of them the layer read."""
    for count in range(5):
        seen, received = [], []

        async def look(exchange, receive, seen=seen, count=count):
            seen.extend([await receive() for _ in range(count)])

        server = await serve(Middleware(reading(received, 4), looking(layer, look)), WHOLE, afterwards="disconnect")

        assert seen == [*WHOLE, None][:count]
        assert received == [*WHOLE, DISCONNECT]
        assert server.sent[0]["status"] == 200


@pytest.mark.anyio
async def test_a_look_happens_when_the_application_asks_first(layer) -> None:
    """Not before, so that a refusal elsewhere costs no reading; and once."""
    looks = []

    async def look(exchange, receive):
        looks.append(1)
        await read_all([], receive)

    app = Middleware(reading([], 0), looking(layer, look))
    assert (await serve(app, WHOLE)).received == 0
    assert looks == []

    await serve(Middleware(reading([], 3), looking(layer, look)), WHOLE)
    assert looks == [1]


TYPES = [
    ([(b"content-type", b"application/json")], True),
    ([(b"content-type", b"Application/JSON ; charset=utf-8")], True),
    ([(b"Content-Type", b"application/json")], True),
    ([(b"content-type", b"text/plain")], False),
    ([(b"content-type", b"text/plain"), (b"content-type", b"application/json")], False),
    ([], False),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("headers", "is_looked_at"), TYPES)
async def test_only_declared_types_are_looked_at(layer, headers, is_looked_at) -> None:
    """By the first Content-Type, without its parameters; every type where a layer says so."""
    for types, expected in (((b"application/json",), is_looked_at), ((b"*/*",), True)):
        looks = []

        async def look(exchange, receive, looks=looks):
            looks.append(1)

        scope = http_scope(headers=headers)
        await serve(Middleware(reading([], 1), looking(layer, look, types=types)), WHOLE, scope)

        assert bool(looks) is expected


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("headers", "incoming", "looks"),
    [
        ([], [b""], 0),
        ([(b"content-length", b"0")], [b""], 0),
        ([], [b"a"], 1),
        ([], [b"", b"a"], 1),
        ([(b"content-length", b"1")], [b""], 1),
        ([(b"transfer-encoding", b"chunked")], [b""], 1),
    ],
)
async def test_where_there_is_no_body_nothing_is_looked_at(layer, headers, incoming, looks) -> None:
    """The first message tells; what is declared is the layer's to read or not, since a client may wait for a 100."""
    seen, received = [], []

    async def look(exchange, receive):
        await read_all(seen, receive)
        seen.append("looked")

    scope = http_scope(headers=[(b"content-type", b"application/json"), *headers])
    await serve(Middleware(reading(received, len(incoming)), looking(layer, look)), request_messages(*incoming), scope)

    assert seen.count("looked") == looks
    assert received == request_messages(*incoming)


@pytest.mark.anyio
async def test_a_websocket_has_no_body(layer) -> None:
    """Its messages are for `inbound`."""

    async def look(exchange, receive):
        raise AssertionError("there is nothing to look at")

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})

    scope = websocket_scope(headers=JSON)
    await serve(Middleware(app, looking(layer, look, types=(b"*/*",))), [{"type": "websocket.connect"}], scope)


BOUNDS = [
    # the bound, chunks that are read: the one that passes the bound is the last
    (0, 0),
    (1, 1),
    (3, 1),
    (4, 2),
    (6, 2),
    (7, 3),
    (100, 3),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("bound", "count"), BOUNDS)
async def test_a_look_ends_at_its_bound(layer, bound, count) -> None:
    """What lies beyond it is streamed: the application gets its first message while the rest is still to come."""
    seen, received, read = [], [], []

    async def look(exchange, receive):
        await read_all(seen, receive)
        assert await receive() is None
        read.append(server.received)

    server = StrictServer(http_scope(headers=JSON), WHOLE)
    await server.serve(Middleware(reading(received, 3), looking(layer, look, bound=bound)))

    assert len(seen) == count
    assert read == [count]
    assert received == WHOLE


@pytest.mark.anyio
async def test_empty_chunks_do_not_make_a_look_endless(layer) -> None:
    """A client that sends nothing but empty chunks must not fill the memory: each counts as a byte."""
    seen = []
    bound = 50

    async def look(exchange, receive):
        await read_all(seen, receive)

    incoming = request_messages(*[b""] * 200, b"end")
    received = []
    await serve(Middleware(reading(received, 201), looking(layer, look, bound=bound)), incoming)

    assert len(seen) == bound
    assert received == incoming


@pytest.mark.anyio
async def test_a_message_whose_body_is_none_is_an_empty_one(layer) -> None:
    """Some servers and test clients write it so; a look must not fail over it."""
    incoming = [
        {"type": "http.request", "body": None, "more_body": True},
        {"type": "http.request", "body": b"end", "more_body": False},
    ]
    seen, received = [], []

    async def look(exchange, receive):
        await read_all(seen, receive)

    await serve(Middleware(reading(received, 2), looking(layer, look)), incoming)

    assert seen == received == incoming


@pytest.mark.anyio
async def test_a_disconnect_in_mid_look_is_not_the_end_of_the_body(layer) -> None:
    """The layer sees that there is no more; the application sees that the client has left."""
    seen, received = [], []

    async def look(exchange, receive):
        await read_all(seen, receive)
        assert await receive() is None

    app = Middleware(reading(received, 3), looking(layer, look))
    await serve(app, WHOLE[:1], afterwards="disconnect")

    assert seen == WHOLE[:1]
    assert received == [WHOLE[0], DISCONNECT, DISCONNECT]


@pytest.mark.anyio
async def test_a_look_may_refuse(layer) -> None:
    """At once; the application never sees a byte of what was looked at."""
    received = []

    async def look(exchange, receive):
        await read_all([], receive)
        return Reply(422)

    server = await serve(Middleware(reading(received, 3), looking(layer, look)), WHOLE)

    assert server.sent[0]["status"] == 422
    assert received == [DISCONNECT] * 3


@pytest.mark.anyio
async def test_layers_outside_see_the_body_before_the_look(layer) -> None:
    """And those inside after it: a size limit outside refuses before anything is parsed."""
    seen = []

    def noting(name):
        return layer(inbound=lambda exchange, message: seen.append((name, message.get("body"))))

    async def look(exchange, receive):
        while (message := await receive()) is not None:
            seen.append(("look", message["body"]))

    await serve(Middleware(reading([], 2), noting("outer"), looking(layer, look), noting("inner")), WHOLE[1:])

    assert seen == [
        ("outer", b"two"),
        ("look", b"two"),
        ("outer", b"three"),
        ("look", b"three"),
        ("inner", b"two"),
        ("inner", b"three"),
    ]


@pytest.mark.anyio
async def test_a_refusal_outside_ends_a_look(layer) -> None:
    """It gets no more to look at, and what it then decides is nobody's."""
    seen, received = [], []

    async def look(exchange, receive):
        await read_all(seen, receive)
        return Reply(422)

    limit = layer(inbound=lambda exchange, message: Reply(413) if message.get("body") == b"two" else None)
    server = await serve(Middleware(reading(received, 2), limit, looking(layer, look)), WHOLE)

    assert [message.get("status") for message in server.sent] == [413, None]
    assert seen == WHOLE[:1]
    assert received == [DISCONNECT] * 2


@pytest.mark.anyio
@pytest.mark.parametrize("ending", ["reply", "exception"])
async def test_a_layer_that_refused_in_its_own_look_has_had_its_word(layer, ending) -> None:
    """Its `inbound` refused what its `body` was about to read; a second answer would be a second response."""
    received = []

    async def look(exchange, receive):
        await read_all([], receive)
        if ending == "exception":
            raise LookupError("cut short")
        return Reply(422)

    both = looking(layer, look, inbound=lambda exchange, message: Reply(413))
    server = await serve(Middleware(reading(received, 1), layer(), both), WHOLE)

    assert [message.get("status") for message in server.sent] == [413, None]
    assert received == [DISCONNECT]


@pytest.mark.anyio
async def test_two_looks_stand_inside_one_another(layer) -> None:
    """Each sees the whole, and the application too."""
    seen = {"outer": [], "inner": []}

    async def outer(exchange, receive):
        await read_all(seen["outer"], receive)

    async def inner(exchange, receive):
        await read_all(seen["inner"], receive)

    received = []
    await serve(Middleware(reading(received, 3), looking(layer, outer), layer(), looking(layer, inner)), WHOLE)

    assert seen == {"outer": WHOLE, "inner": WHOLE}
    assert received == WHOLE


@pytest.mark.anyio
@pytest.mark.parametrize("is_rescued", [False, True])
async def test_a_look_that_fails_is_an_error_of_its_layer(layer, is_rescued) -> None:
    """Every reader is told; the failure is rescued from outside."""

    async def look(exchange, receive):
        raise LookupError("the look failed")

    async def app(scope, receive, send):
        try:
            await receive()
        except LookupError:
            assert await receive() == DISCONNECT
            raise

    rescue = {"rescue": lambda exchange, exc: Reply(500, body=str(exc).encode())} if is_rescued else {}
    server = StrictServer(http_scope(headers=JSON), WHOLE)
    await server.serve(Middleware(app, layer(**rescue), looking(layer, look)))

    assert [message.get("body") for message in server.sent] == ([None, b"the look failed"] if is_rescued else [])
    assert (server.error is None) is is_rescued


@pytest.mark.anyio
@pytest.mark.parametrize("where", ["server", "layer"])
async def test_what_is_raised_while_looking_keeps_its_origin(layer, where) -> None:
    """One of the server's goes through; one of an outer layer's hook is that layer's failure, not the look's."""
    error = ConnectionResetError("gone")

    async def look(exchange, receive):
        await read_all([], receive)

    def inbound(exchange, message):
        raise error

    async def receive():
        raise error

    server = StrictServer(http_scope(headers=JSON), WHOLE)
    if where == "server":
        server.receive = receive
    rescuers = [
        layer(rescue=lambda exchange, exc: Reply(500)),
        layer(**({"inbound": inbound} if where == "layer" else {})),
    ]
    await server.serve(Middleware(reading([], 1), *rescuers, looking(layer, look)))

    if where == "server":
        assert (server.error, server.sent) == (error, [])
    else:
        assert (server.error, server.sent[0]["status"]) == (None, 500)


@pytest.mark.anyio
async def test_a_look_that_is_cancelled_starts_again(layer) -> None:
    """An application's time limit around its first read must be no way past the look; what was read is seen again."""
    seen, received = [], []

    async def look(exchange, receive):
        seen.append([])
        await read_all(seen[-1], receive)

    async def app(scope, receive, send):
        with anyio.CancelScope() as limit:

            async def cancel_later():
                limit.cancel()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cancel_later)
                await receive()
        server.push({**WHOLE[1]})
        server.push({**WHOLE[2]})
        await reading(received, 3)(scope, receive, send)

    server = StrictServer(http_scope(headers=JSON), WHOLE[:1])
    await server.serve(Middleware(app, looking(layer, look)))
    server.raise_for_errors()

    assert seen == [WHOLE[:1], WHOLE]
    assert received == WHOLE


@pytest.mark.anyio
async def test_two_readers_get_every_message_once(layer) -> None:
    """A second task that reads while a layer looks waits for it; it must not take messages away from the look."""
    seen, received = [], []

    async def look(exchange, receive):
        await read_all(seen, receive)

    async def app(scope, receive, send):
        async def read():
            received.append(await receive())

        async with anyio.create_task_group() as tasks:
            for _ in WHOLE:
                tasks.start_soon(read)
            await anyio.lowlevel.checkpoint()
            server.push({**WHOLE[1]})
            await anyio.lowlevel.checkpoint()
            server.push({**WHOLE[2]})
        await answer(send)

    server = StrictServer(http_scope(headers=JSON), WHOLE[:1])
    await server.serve(Middleware(app, looking(layer, look)))
    server.raise_for_errors()

    assert seen == WHOLE
    assert sorted(message["body"] for message in received) == sorted(CHUNKS)


@pytest.mark.anyio
async def test_a_body_in_many_chunks_costs_linear_time(layer) -> None:
    """One byte a chunk is the most a client can make of a body; handing on must not shift the rest each time."""

    async def look(exchange, receive):
        await read_all([], receive)

    count = 20_000
    response = await call(
        Middleware(reading([], count), looking(layer, look, types=(b"*/*",))), chunks=[b"x"] * count, timeout_seconds=10
    )

    assert response.status == 200
