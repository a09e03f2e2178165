"""How calls end: exceptions, silence, cancellation, and work that goes on after the response."""

from __future__ import annotations

from itertools import product

from anyio import CancelScope, get_cancelled_exc_class, lowlevel

from asgi_guard.engine.types import ASGIApp, Message, Receive, Scope, Send
from asgi_guard.testing.rules.rule import Rule, Subject, bodies, expect, expect_response, heads, response, rule, sending
from asgi_guard.testing.server import StrictServer


class _AppError(Exception):
    """What the application raises."""


class _Stop(BaseException):
    """What is no error of the application's: somebody wants the program to end."""


_PARTS: dict[str, list[Message]] = {
    "before the start": [],
    "after the start": response(b"one", b"two")[:1],
    "after a chunk": response(b"one", b"two")[:2],
    "after the end": response(b"one", b"two"),
}


@rule(401)
async def _an_error_before_the_start_is_answered_or_passed_on(subject: Subject) -> None:
    """An exception that is neither is a client that waits, and an operator who does not know."""
    error = _AppError("before the start")
    server = await subject.serve(_failing([], error))
    _expect_answer_or(server, error, meant=subject.expectations.answers_errors)


@rule(402)
async def _an_error_after_the_start_adds_no_second_start(subject: Subject) -> None:
    """Two responses to one request are read as the answer to the next (one start, whatever happens)."""
    error = _AppError("after the start")
    server = await subject.serve(_failing(_PARTS["after the start"], error))
    expect(len(heads(server)) <= 1, f"{len(heads(server))} responses were started")
    expect(server.error is error or (server.error is None and server.is_over), f"the call ended with {server.error!r}")


@rule(403)
async def _an_error_after_a_chunk_is_passed_on(subject: Subject) -> None:
    """Only a connection that breaks off tells the client that the rest is missing; an added end says all is well."""
    error = _AppError("after a chunk")
    server = await subject.serve(_failing(_PARTS["after a chunk"], error))
    expect(len(heads(server)) == 1, f"{len(heads(server))} responses were started")
    expect(bodies(server) == [b"one"], f"the client got {bodies(server)}")
    expect(server.error is error, f"the call ended with {server.error!r} instead of the application's exception")


@rule(404)
async def _an_error_after_the_end_adds_nothing(subject: Subject) -> None:
    """What failed was work in the background; the client has its answer."""
    error = _AppError("after the end")
    server = await subject.serve(_failing(_PARTS["after the end"], error))
    expect(len(heads(server)) == 1 and bodies(server) == [b"one", b"two"], f"the client got {server.sent}")
    expect(server.error in {None, error}, f"the call ended with {server.error!r}")


@rule(405)
async def _what_is_no_exception_is_never_swallowed(subject: Subject) -> None:
    """`KeyboardInterrupt`, `SystemExit` and their like end the program: swallowed, it does not stop, or not cleanly."""
    stops: list[type[BaseException]] = [_Stop, KeyboardInterrupt, SystemExit, GeneratorExit]
    for kind, (moment, messages) in product(stops, _PARTS.items()):
        stop = kind(moment)
        ending: BaseException | None = None
        try:
            await subject.serve(_failing(messages, stop))
        except BaseException as exc:  # noqa: BLE001  this is the question
            ending = exc
        expect(ending is stop, f"{moment} it ended with {ending!r}")


@rule(406)
async def _cancellation_is_never_swallowed(subject: Subject) -> None:
    """A server that stops, or a time limit outside, waits for ever for a task that does not let itself be cancelled."""
    for moment, messages in _PARTS.items():
        seen: list[str] = []
        server = subject.server()
        with CancelScope() as scope:
            await server.serve(subject.wrap(_cancelled(messages, scope, seen)), timeout_seconds=subject.timeout_seconds)
        expect(seen, f"{moment} the application was not cancelled")
        expect(scope.cancelled_caught, f"{moment} the cancellation did not come through")
        expect(len(server.sent) <= len(messages), f"{moment} the client got {server.sent}")


@rule(407)
async def _silence_is_answered_or_passed_on(subject: Subject) -> None:
    """An application that returns without a response is a fault; on one server the client waits for ever."""
    server = await subject.serve(sending())
    if subject.expectations.answers_silence:
        expect_response(server, at_least=500)
    expect(server.is_over or not server.sent, f"half an answer: {server.sent}")


@rule(408)
async def _work_after_the_response_is_done(subject: Subject) -> None:
    """Background tasks run after the last byte: the client must not wait for them, nor may they be cut off."""
    done: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sending(*response(b"ok"))(scope, receive, send)
        done.append("sent" if server.is_over else "held back")
        await lowlevel.checkpoint()
        done.append("worked")

    server = subject.server()
    await server.serve(subject.wrap(app), timeout_seconds=subject.timeout_seconds)
    expect_response(server)
    expect(done == ["sent", "worked"], f"after the last send of the application: {done}")


def _failing(messages: list[Message], error: BaseException) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sending(*messages)(scope, receive, send)
        raise error

    return app


def _cancelled(messages: list[Message], outside: CancelScope, seen: list[str]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await sending(*messages)(scope, receive, send)
        outside.cancel()
        try:
            await lowlevel.checkpoint()
        except get_cancelled_exc_class():
            seen.append("cancelled")
            raise

    return app


def _expect_answer_or(server: StrictServer, error: Exception, *, meant: bool | None) -> None:
    is_passed_on = server.error is error and not server.sent
    is_answered = server.error in {None, error} and server.is_over and server.sent[0].get("status", 0) >= 400
    expect(
        is_passed_on if meant is False else is_answered or (meant is None and is_passed_on),
        f"the call ended with {server.error!r}, and the client got {server.sent}",
    )


RULES: tuple[Rule, ...] = tuple(value for value in globals().values() if isinstance(value, Rule))
