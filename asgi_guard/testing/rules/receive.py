"""The way in: what a middleware does with `receive`."""

# ruff: noqa: ARG001  an application takes scope, receive and send, used or not
from __future__ import annotations

from typing import Final

from anyio import create_task_group

from asgi_guard.engine.types import Message, Receive, Scope, Send
from asgi_guard.testing.rules.rule import (
    Rule,
    RuleBrokenError,
    Subject,
    expect,
    expect_response,
    response,
    rule,
    sending,
)
from asgi_guard.testing.scopes import request_messages
from asgi_guard.testing.server import StrictServer

_SOME: list[Message] = [
    {"type": "http.request", "body": b"one", "more_body": True},
    {"type": "http.request", "body": b"two", "more_body": True},
    {"type": "http.request", "body": b"three", "more_body": False},
]


ODD_LENGTHS: Final[tuple[tuple[bytes, ...], ...]] = (
    (b"",),
    (b"abc",),
    (b"-1",),
    (b"+5",),
    (b"1_0",),
    ("\u0665".encode(),),
    (b"2, 2",),
    (b"2", b"3"),
    (b"1" + b"0" * 30,),
    (b"9" * 5_000,),  # more digits than `int` reads
)
"""What clients write after `Content-Length:`, and some servers pass on."""


class _Reader:
    """An application that reads so many messages, notes how many the server had given by then, and answers."""

    def __init__(self, count: int) -> None:
        self.messages: list[Message] = []
        self.read: list[int] = []
        self._count = count
        self.server: StrictServer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(self._count):
            self.messages.append(await receive())
            self.read.append(self.server.received)
        await sending(*response(b"ok"))(scope, receive, send)

    async def asked_by(self, subject: Subject, server: StrictServer) -> None:
        self.server = server
        await server.serve(subject.wrap(self), timeout_seconds=subject.timeout_seconds)
        server.raise_for_errors()


@rule(201)
async def _nothing_is_read_before_the_application_asks(subject: Subject) -> None:
    """The first `receive` makes a server send `100 Continue`, and a client upload what nobody wants."""
    server = await subject.serve(sending(*response(b"ok")), subject.upload(), _copies(_SOME))
    expect_response(server)
    expect(server.received == 0, f"{server.received} messages were read, and the application asked for none")


@rule(202)
async def _chunks_pass_one_to_one(subject: Subject) -> None:
    """Read ahead, an upload of a gigabyte is a gigabyte of memory, and the client is never slowed down."""
    reader = _Reader(len(_SOME))
    await reader.asked_by(subject, subject.server(subject.upload(), _copies(_SOME)))
    expect(reader.messages == _SOME, f"the application received {reader.messages}")
    expect(reader.read == [1, 2, 3], f"after each of its reads the server had given {reader.read} messages")


@rule(203)
async def _a_disconnect_is_not_the_end_of_a_body(subject: Subject) -> None:
    """Half an upload that looks whole is stored, or paid for."""
    reader = _Reader(2)
    await reader.asked_by(subject, subject.server(subject.upload(), _copies(_SOME[:1]), afterwards="disconnect"))
    kinds = [message["type"] for message in reader.messages]
    expect(kinds == ["http.request", "http.disconnect"], f"the application received {kinds}")
    expect(reader.messages[0].get("more_body"), "the part before the disconnect was said to be the last")


@rule(204)
async def _after_a_disconnect_it_is_disconnect_again(subject: Subject) -> None:
    """An application may ask in several places whether the client is still there, and must not wait there for ever."""
    reader = _Reader(4)
    await reader.asked_by(subject, subject.server(subject.upload(), request_messages(b"all"), afterwards="disconnect"))
    kinds = [message["type"] for message in reader.messages[1:]]
    expect(kinds == ["http.disconnect"] * 3, f"after the body the application received {kinds}")


@rule(205)
async def _optional_keys_may_be_missing(subject: Subject) -> None:
    """`body` and `more_body` have defaults, and some servers leave them out."""
    bare: list[Message] = [{"type": "http.request", "more_body": True}, {"type": "http.request", "body": b"x"}]
    reader = _Reader(2)
    await reader.asked_by(subject, subject.server(subject.upload(), _copies(bare)))
    seen = [(message.get("body", b""), message.get("more_body", False)) for message in reader.messages]
    expect(seen == [(b"", True), (b"x", False)], f"the application received {reader.messages}")


@rule(206)
async def _empty_chunks_are_chunks(subject: Subject) -> None:
    """A slow client may send nothing for a while; an empty chunk with more to come is not the end."""
    chunks = request_messages(b"", b"a", b"", b"", b"b", b"")
    reader = _Reader(len(chunks))
    await reader.asked_by(subject, subject.server(subject.upload(), _copies(chunks)))
    expect(reader.messages == chunks, f"the application received {reader.messages}")


@rule(207)
async def _unknown_messages_and_keys_reach_the_application(subject: Subject) -> None:
    """Request trailers and whatever else comes one day belong to the application."""
    odd: list[Message] = [
        {"type": "http.request", "body": b"x", "more_body": True, "mystery": 1},
        {"type": "http.mystery", "payload": b"y"},
        {"type": "http.request", "body": b"", "more_body": False},
    ]
    reader = _Reader(3)
    await reader.asked_by(subject, subject.server(subject.upload(), _copies(odd)))
    expect(reader.messages == odd, f"the application received {reader.messages}")


@rule(208)
async def _another_task_may_receive(subject: Subject) -> None:
    """Frameworks listen for the disconnect in a task beside the one that answers."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def listen() -> None:
            while not seen or seen[-1] != "http.disconnect":
                seen.append((await receive())["type"])

        async with create_task_group() as tasks:
            tasks.start_soon(listen)
            await sending(*response(b"ok"))(scope, receive, send)

    expect_response(await subject.serve(app, subject.upload(), request_messages(b"all")))
    expect(seen == ["http.request", "http.disconnect"], f"the other task received {seen}")


@rule(209)
async def _what_receive_raises_reaches_the_application(subject: Subject) -> None:
    """The server knows what is wrong with the connection; in another exception's clothes it cannot be handled."""
    error = ConnectionResetError("the server lost the connection")
    caught: list[BaseException] = []

    async def receive() -> Message:
        raise error

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await receive()
        except Exception as exc:
            caught.append(exc)
            raise

    server = subject.server(subject.upload())
    server.receive = receive  # type: ignore[method-assign]
    await server.serve(subject.wrap(app), timeout_seconds=subject.timeout_seconds)
    expect(caught == [error], f"the application caught {caught}")


@rule(210)
async def _an_odd_content_length_is_served_or_refused(subject: Subject) -> None:
    """`int()` takes `+5`, `1_0` and digits of every script, and raises for the rest: neither is what HTTP means."""
    for values in ODD_LENGTHS:
        lengths = [(b"content-length", value) for value in values]
        scope = subject.upload()
        scope["headers"].extend(lengths)
        server = await subject.serve(sending(*response(b"ok")), scope, _copies(_SOME))
        try:
            expect_response(server, at_most=499)
        except RuleBrokenError as exc:
            raise RuleBrokenError(f"Content-Length {shown(values)}: {exc}") from exc


def shown(lengths: tuple[bytes, ...]) -> str:
    """Write such lengths, the long ones cut."""
    return ", ".join(repr(value[:40]) for value in lengths)


def _copies(messages: list[Message]) -> list[Message]:
    return [{**message} for message in messages]


RULES: tuple[Rule, ...] = tuple(value for value in globals().values() if isinstance(value, Rule))
