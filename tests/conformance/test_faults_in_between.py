"""The kit finds faults: for each rule about endings, concurrency, WebSockets and refusals one is broken, and caught."""

# ruff: noqa: BLE001, D103, SIM105  the faults are written as people write them, and their names say what they do
from __future__ import annotations

import types
from contextvars import copy_context

import anyio
import pytest

from asgi_guard.testing import RULES, Expectations, check_middleware

FAULTS = []
START = {"type": "http.response.start", "status": 500, "headers": []}
END = {"type": "http.response.body", "body": b"failed"}


def breaks(name, **expectations):
    """Note a middleware as one that breaks the rule of this name, once it has said what it means to do."""

    def note(middleware):
        meant = Expectations(**{key: middleware if value is ... else value for key, value in expectations.items()})
        FAULTS.append(pytest.param(middleware, name, meant, id=f"{middleware.__name__}: {name}"))
        return middleware

    return note


# How calls end --------------------------------------------------------------------------------------------------------


@breaks("an error before the start is answered or passed on")
def says_nothing_about_errors(app):
    async def middleware(scope, receive, send):
        try:
            await app(scope, receive, send)
        except Exception:
            pass

    return middleware


@breaks("an error before the start is answered or passed on", answers_errors=True)
@breaks("silence is answered or passed on", answers_silence=True)
def promises_to_answer(app):
    return app


@breaks("an error after the start adds no second start")
@breaks("an error after a chunk is passed on")
@breaks("an error after the end adds nothing")
def answers_every_error(app):
    async def middleware(scope, receive, send):
        try:
            await app(scope, receive, send)
        except Exception:
            for message in (START, END):
                await send(message)

    return middleware


@breaks("an error after a chunk is passed on")
def ends_broken_responses(app):
    async def middleware(scope, receive, send):
        try:
            await app(scope, receive, send)
        except Exception:
            await send({"type": "http.response.body"})

    return middleware


@breaks("an error after the end adds nothing")
def has_a_last_word(app):
    async def middleware(scope, receive, send):
        try:
            await app(scope, receive, send)
        except Exception:
            await send(END)
            raise

    return middleware


@breaks("what is no exception is never swallowed")
def swallows_everything(app):
    async def middleware(scope, receive, send):
        try:
            await app(scope, receive, send)
        except BaseException:
            pass

    return middleware


@breaks("cancellation is never swallowed")
def swallows_cancellation(app):
    async def middleware(scope, receive, send):
        try:
            await app(scope, receive, send)
        except anyio.get_cancelled_exc_class():
            pass

    return middleware


@breaks("cancellation is never swallowed")
def shields_the_application(app):
    async def middleware(scope, receive, send):
        with anyio.CancelScope(shield=True):
            await app(scope, receive, send)

    return middleware


@breaks("silence is answered or passed on")
def answers_silence_by_half(app):
    async def middleware(scope, receive, send):
        await app(scope, receive, send)
        await send(START)

    return middleware


@breaks("work after the response is done")
def keeps_the_last_chunk(app):
    async def middleware(scope, receive, send):
        kept = []

        async def late(message):
            await send(message) if "status" in message else kept.append(message)

        await app(scope, receive, late)
        for message in kept:
            await send(message)

    return middleware


@breaks("work after the response is done")
def cancels_the_background(app):
    async def middleware(scope, receive, send):
        with anyio.CancelScope() as call:

            async def ending(message):
                await send(message)
                if message["type"] == "http.response.body":
                    call.cancel()

            await app(scope, receive, ending)

    return middleware


# Between calls --------------------------------------------------------------------------------------------------------


@breaks("requests do not mix")
class KeepsSendOnSelf:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        self.send = send
        await self.app(scope, receive, self.forward)

    async def forward(self, message):
        await self.send(message)


@breaks("requests do not mix")
class KeepsThePathOnSelf:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        self.path = scope.get("path", "").encode()

        async def tell(message):
            if "status" in message:
                message = {**message, "headers": [*message["headers"], (b"x-asked-for", self.path)]}
            await send(message)

        await self.app(scope, receive, tell)


@breaks("context variables come through")
@breaks("the application runs in the servers task")
def runs_the_application_in_a_task(app):
    async def middleware(scope, receive, send):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app, scope, receive, send)

    return middleware


@breaks("it may stand twice")
def believes_to_be_the_only_one(app):
    async def middleware(scope, receive, send):
        if "only.one" in scope:
            raise RuntimeError("twice")
        await app({**scope, "only.one": True}, receive, send)

    return middleware


@breaks("it may be called from several loops")
class BelongsToTheFirstLoop:
    def __init__(self, app):
        self.app = app
        self.loop = None

    async def __call__(self, scope, receive, send):
        self.loop = self.loop or anyio.lowlevel.current_token()
        if self.loop != anyio.lowlevel.current_token():
            raise RuntimeError("another loop")
        await self.app(scope, receive, send)


@breaks("it looks like an application")
class IsAPlainFunction:
    def __init__(self, app):
        self.app = app

    def __call__(self, scope, receive, send):
        return self.app(scope, receive, send)


@breaks("it looks like an application")
class HasOtherParameters:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive_, send_):
        await self.app(scope, receive_, send_)


@breaks("it needs no cancellation")
def waits_to_be_cancelled(app):
    async def middleware(scope, receive, send):
        with anyio.move_on_after(0):
            await anyio.sleep(1)
        await app(scope, receive, send)

    return middleware


@breaks("context variables of requests do not mix")
class RunsEveryRequestInOneContext:
    def __init__(self, app):
        self.app = app
        self.context = copy_context()

    async def __call__(self, scope, receive, send):
        await self.stepping(self.app(scope, receive, send))

    @types.coroutine
    def stepping(self, call):
        step, value = call.send, None
        while True:
            try:
                waited = self.context.run(step, value)
            except StopIteration:
                return
            try:
                step, value = call.send, (yield waited)
            except BaseException as exc:
                step, value = call.throw, exc


@breaks("a thread may answer")
def lets_only_the_first_task_send(app):
    async def middleware(scope, receive, send):
        first = anyio.get_current_task().id

        async def guarded(message):
            if anyio.get_current_task().id != first:
                raise RuntimeError("another task")
            await send(message)

        await app(scope, receive, guarded)

    return middleware


# WebSockets -----------------------------------------------------------------------------------------------------------


@breaks("messages pass both ways")
def makes_text_of_everything(app):
    async def middleware(scope, receive, send):
        async def readable():
            message = await receive()
            return {**message, "text": message["bytes"].decode("latin-1")} if message.get("bytes") else message

        await app(scope, readable, send)

    return middleware


@breaks("messages pass both ways")
def closes_in_its_own_words(app):
    async def middleware(scope, receive, send):
        async def own(message):
            await send({"type": "websocket.close", "code": 1000} if "code" in message else message)

        await app(scope, receive, own)

    return middleware


@breaks("denials of the application pass")
def makes_a_close_of_every_denial(app):
    async def middleware(scope, receive, send):
        async def closing(message):
            if message["type"] == "websocket.http.response.start":
                await send({"type": "websocket.close", "code": 1008})
            elif message["type"] != "websocket.http.response.body":
                await send(message)

        await app(scope, receive, closing)

    return middleware


@breaks("an accept gets headers only where it may")
def adds_headers_to_every_accept(app):
    async def middleware(scope, receive, send):
        async def adding(message):
            accepted = message["type"] == "websocket.accept"
            await send({**message, "headers": [(b"x-guard", b"1")]} if accepted else message)

        await app(scope, receive, adding)

    return middleware


@breaks("odd handshakes are served")
def needs_subprotocols(app):
    async def middleware(scope, receive, send):
        if scope["type"] == "websocket" and not scope["subprotocols"]:
            pass
        await app(scope, receive, send)

    return middleware


@breaks("an error closes or is passed on")
def leaves_the_connection_open(app):
    return says_nothing_about_errors(app)


@breaks("a handshake is not an http response")
@breaks("a refused handshake is denied as the server can", refusing=...)
def answers_handshakes_with_http(app):
    async def middleware(scope, receive, send):
        for message in (START, END):
            await send(message)

    return middleware


# Refusals -------------------------------------------------------------------------------------------------------------


@breaks("a refusal is a whole response", refusing=...)
def never_ends_its_refusal(app):
    async def middleware(scope, receive, send):
        await send({**START, "status": 403})

    return middleware


@breaks("a refusal is a whole response", refusing=...)
def refuses_after_the_application_ran(app):
    async def middleware(scope, receive, send):
        async def nowhere(message):
            pass

        await app(scope, receive, nowhere)
        await refusal(send)

    return middleware


async def refusal(send, body=b"no"):
    """Send a whole refusal."""
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@breaks("a refusal reads nothing", refusing=...)
def reads_before_it_refuses(app):
    async def middleware(scope, receive, send):
        await receive()
        await refusal(send)

    return middleware


@breaks("a refusal of head has no body", refusing=...)
@breaks("a client that left is no error", refusing=...)
def refuses_without_a_look(app):
    async def middleware(scope, receive, send):
        await refusal(send)

    return middleware


@breaks("a refused handshake is denied as the server can", refusing=...)
def denies_where_it_cannot(app):
    async def middleware(scope, receive, send):
        await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})

    return middleware


@breaks("a refused handshake is denied as the server can", refusing=...)
def accepts_before_it_refuses(app):
    async def middleware(scope, receive, send):
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1008})

    return middleware


@breaks("a refused upload is answered at once", refusing_uploads=...)
def raises_in_the_middle_of_an_upload(app):
    async def middleware(scope, receive, send):
        size = 0

        async def limited():
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > 10:
                raise ValueError("too large")
            return message

        try:
            await app(scope, limited, send)
        except ValueError:
            await refusal(send)

    return middleware


@breaks("a refused upload is answered at once", refusing_uploads=...)
@breaks("after a refused upload the applications error is nobodys", refusing_uploads=...)
def answers_and_lets_the_application_go_on(app):
    async def middleware(scope, receive, send):
        size = 0

        async def limited():
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size <= 10:
                return message
            await refusal(send)
            return {"type": "http.disconnect"}

        await app(scope, limited, send)

    return middleware


@breaks("the limit is exact", refusing_uploads=...)
@breaks("a content length is not believed", refusing_uploads=...)
def believes_the_content_length(app):
    async def middleware(scope, receive, send):
        headers = dict(scope["headers"])
        await (refusal(send) if int(headers.get(b"content-length", 0)) > 10 else app(scope, receive, send))

    return middleware


@breaks("the limit is exact", refusing_uploads=...)
def refuses_at_the_limit(app):
    return limiting(app, at_most=9)


@breaks("an odd content length lifts no limit", refusing_uploads=...)
def knows_no_limit_for_odd_lengths(app):
    limited = limiting(app, at_most=10)

    async def middleware(scope, receive, send):
        odd = any(name == b"content-length" and not value.isdigit() for name, value in scope["headers"])
        await (app if odd else limited)(scope, receive, send)

    return middleware


@breaks("a task beside the application may be refused", refusing_uploads=...)
def raises_to_whoever_reads(app):
    return raises_in_the_middle_of_an_upload(app)


def limiting(app, at_most):
    """Refuse what is longer, and drop what the application still sends."""

    async def middleware(scope, receive, send):
        size, refused = 0, False

        async def limited():
            nonlocal size, refused
            message = await receive()
            size += len(message.get("body", b""))
            if size <= at_most:
                return message
            refused = True
            await refusal(send)
            return {"type": "http.disconnect"}

        async def unless_refused(message):
            if not refused:
                await send(message)

        await app(scope, limited, unless_refused)

    return middleware


@breaks("a foreign page opens no websocket", foreign_origin=b"https://evil.example")
def lets_every_page_in(app):
    return app


@pytest.mark.anyio
@pytest.mark.parametrize(("middleware", "name", "expectations"), FAULTS)
async def test_a_fault_is_found_by_the_rule_that_it_breaks(middleware, name, expectations, anyio_backend_name) -> None:
    """The rule says so, and says how; the others are not asked."""
    if anyio_backend_name == "trio" and name in {"it needs no cancellation", "a thread may answer"}:
        pytest.skip("trio can cancel every task, and runs what a thread asks for in the task that waits for it")
    (rule,) = [rule for rule in RULES if rule.name == name]

    report = await check_middleware(middleware, expectations, rules=[rule], timeout_seconds=0.1)

    assert [finding.rule.name for finding in report.failures] == [name]
    assert report.failures[0].detail


def test_every_rule_about_what_lies_between_has_a_fault() -> None:
    """A rule that nothing has ever broken is one that may not see anything."""
    assert {fault.values[1] for fault in FAULTS} == {rule.name for rule in RULES if rule.number >= 400}
