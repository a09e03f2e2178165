"""Parking: errors that are kept back until it is clear who answers, and nothing else."""

from __future__ import annotations

import anyio
import pytest

from asgi_guard.engine import life
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.replies import Reply
from asgi_guard.testing import StrictServer, http_scope

pytestmark = pytest.mark.anyio

PHRASE = {404: b"Not Found", 500: b"Internal Server Error"}


def start(status):
    """Make the start of an error."""
    return {"type": "http.response.start", "status": status, "headers": [(b"x-app", b"1")]}


def part(body, *, more=False):
    """Make a part of its body."""
    return {"type": "http.response.body", "body": body, "more_body": more}


async def sent_by(app, layer, *, fuse=True, replace=lambda exchange, start, body, exc: None):
    """Serve it behind a layer that holds, and one that may answer in its place."""
    guarded = Middleware(Middleware(app, layer(holds_start=True)), layer(replace=replace), fuse=fuse)
    server = StrictServer(http_scope(extensions={"http.response.trailers": {}}))
    await server.serve(guarded)
    return server


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("status", PHRASE)
@pytest.mark.parametrize("parts", [1, 2, 3])
async def test_an_error_in_few_words_is_answered_anew(layer, sending, status, parts, fuse) -> None:
    """However many messages the words come in."""
    words = PHRASE[status]
    bodies = {
        1: [part(words)],
        2: [part(words, more=True), part(b"")],
        3: [part(words[:3], more=True), part(words[3:], more=True), part(b"")],
    }
    seen = []

    def replace(exchange, start, body, exc):
        seen.append((start["status"], body["body"], exc))
        return Reply(status, body=b"anew", content_type=b"text/plain")

    server = await sent_by(sending(start(status), *bodies[parts]), layer, fuse=fuse, replace=replace)

    assert seen == [(status, words, None)]
    assert b"".join(message.get("body", b"") for message in server.sent) == b"anew"


@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize(
    "bodies",
    [
        [part(b"x" * 70_000)],
        [part(b"x", more=True)] * 5 + [part(b"")],
        [part(b"x", more=True), part(b"y" * 70_000, more=True), part(b"")],
    ],
    ids=["long", "in many parts", "long in parts"],
)
@pytest.mark.parametrize("status", PHRASE)
async def test_a_page_and_a_stream_pass_as_they_are(layer, sending, bodies, status, fuse) -> None:
    """Part by part, and nobody is asked."""

    def replace(exchange, start, body, exc):
        raise AssertionError

    server = await sent_by(sending(start(status), *bodies), layer, fuse=fuse, replace=replace)

    assert [message for message in server.sent if message["type"].endswith("body")] == bodies


@pytest.mark.parametrize("fuse", [True, False])
async def test_what_follows_the_last_word_is_not_part_of_the_error(layer, sending, fuse) -> None:
    """Who may answer in its place is shown the error alone; then both go out, such as trailers that were promised."""
    seen = []
    trailers = {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": False}
    promise = {**start(500), "trailers": True}

    def replace(exchange, start, body, exc):
        seen.append(body["body"])

    server = await sent_by(sending(promise, part(b"word"), trailers), layer, fuse=fuse, replace=replace)

    assert seen == [b"word"]
    assert [message["type"] for message in server.sent[1:]] == ["http.response.body", "http.response.trailers"]


@pytest.mark.parametrize("fuse", [True, False])
async def test_a_second_body_is_not_joined_to_the_first(layer, sending, fuse) -> None:
    """It is the application's fault, and not a word of the error."""
    seen = []

    def replace(exchange, start, body, exc):
        seen.append(body["body"])

    await sent_by(sending(start(500), part(b"word"), part(b"another")), layer, fuse=fuse, replace=replace)

    assert seen == [b"word"]


@pytest.mark.parametrize("fuse", [True, False])
async def test_an_error_that_breaks_off_is_answered_for(layer, sending, fuse) -> None:
    """Nothing of it has left, so whoever rescues may answer."""
    app = sending(start(500), part(b"half", more=True), LookupError())
    rescuing = layer(holds_start=True, rescue=lambda exchange, exc: Reply(503, body=b"rescued"))
    inner = Middleware(app, layer(replace=lambda exchange, start, body, exc: None))
    server = StrictServer(http_scope())
    await server.serve(Middleware(inner, rescuing, fuse=fuse))

    assert (server.sent[0]["status"], server.sent[1]["body"]) == (503, b"rescued")


@pytest.mark.parametrize("fuse", [True, False])
async def test_a_hook_that_fails_over_an_error_is_answered_for_outside(layer, sending, fuse) -> None:
    """As any hook is, and the others see what passes."""
    seen = []

    def replace(exchange, start, body, exc):
        raise LookupError

    failing = Middleware(sending(start(500), part(b"word")), layer(replace=replace))
    rescuing = layer(holds_start=True, rescue=lambda exchange, exc: Reply(503, body=b"rescued"))
    server = StrictServer(http_scope())
    await server.serve(Middleware(failing, rescuing, fuse=fuse))
    watched = layer(outbound=lambda exchange, message: seen.append(message["body"]), replace=lambda *_: None)
    await StrictServer(http_scope()).serve(
        Middleware(sending(start(500), part(b"word")), watched, layer(holds_start=True))
    )

    assert (server.sent[0]["status"], server.sent[1]["body"]) == (503, b"rescued")
    assert seen == [b"word"]


async def test_an_error_is_kept_for_two_periods_at_most(layer) -> None:
    """The ticker lets it go, as it does with a start, while the application works on in the background."""
    server = StrictServer(http_scope())
    gone_out = []

    async def app(scope, receive, send):
        await send(start(500))
        await send(part(b"word"))
        for _ in range(2):
            life.ticker()._tick(0.0)
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        gone_out.append(len(server.sent))

    await server.serve(Middleware(app, layer(holds_start=True, replace=lambda *_: None)))

    assert gone_out == [2]


async def test_a_client_that_leaves_before_a_kept_error_is_nobodys_to_answer(layer, sending) -> None:
    """What the server raises goes on to the server."""

    async def gone(message):
        raise OSError("the client has left")

    guarded = Middleware(sending(start(500), part(b"word")), layer(holds_start=True, replace=lambda *_: None))

    with pytest.raises(OSError, match="left"):
        await guarded(http_scope(), None, gone)


@pytest.mark.parametrize(("status", "body"), [(404, "Not Found"), (500, None), (600, b"Error"), (999, b"")])
async def test_what_http_does_not_know_passes_as_it_is(layer, sending, status, body) -> None:
    """It is the server's to refuse; nobody here fails over it."""
    sent = []

    async def send(message):
        sent.append(message)

    await Middleware(sending(start(status), part(body)), layer(holds_start=True, replace=lambda *_: Reply(500)))(
        http_scope(), anyio.sleep_forever, send
    )

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert (sent[0]["status"], sent[1]["body"]) == (status, body)
