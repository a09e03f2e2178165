"""Between calls: what a middleware keeps, which task it runs in, and where it may be called from."""

# ruff: noqa: ARG001  an application takes scope, receive and send, used or not
from __future__ import annotations

import inspect
import sys
from contextvars import ContextVar
from typing import Any

import anyio
from anyio import Event, create_task_group, fail_after, from_thread, get_current_task, lowlevel, to_thread

from asgi_guard.engine.types import Message, Receive, Scope, Send
from asgi_guard.testing.rules.rule import (
    NotApplicableError,
    Rule,
    Subject,
    Witness,
    bodies,
    expect,
    expect_response,
    response,
    rule,
    sending,
)
from asgi_guard.testing.scopes import request_messages
from asgi_guard.testing.server import StrictServer

_mark: ContextVar[str] = ContextVar("asgi_guard_testing_mark", default="unset")


@rule(501)
async def _requests_do_not_mix(subject: Subject) -> None:
    """What is kept on `self` for a request is overwritten by the next one: one user's data in another's response."""
    app = subject.wrap(_echo)
    alone = {path: [await _served(subject, app, path) for _ in range(2)] for path in ("/a", "/b")}
    turns = {"/a": [Event() for _ in range(3)], "/b": [Event() for _ in range(3)]}
    together: dict[str, StrictServer] = {}

    async def paced(scope: Scope, receive: Receive, send: Send) -> None:
        mine, other = turns[scope["path"]], turns["/b" if scope["path"] == "/a" else "/a"]
        for number, message in enumerate(_echoed(scope)):
            mine[number].set()
            with fail_after(subject.timeout_seconds):
                await other[number].wait()
            await send(message)

    shared = subject.wrap(paced)

    async def ask(path: str) -> None:
        together[path] = await _served(subject, shared, path)

    async with create_task_group() as tasks:
        for path in turns:
            tasks.start_soon(ask, path)
    for path, server in together.items():
        expect(bodies(server) == [path.encode(), b""], f"{path} was answered with {bodies(server)}")
        constant = set(expect_response(alone[path][0])["headers"]) & set(expect_response(alone[path][1])["headers"])
        missing = constant - set(expect_response(server)["headers"])
        expect(not missing, f"{path}, answered beside another request, has lost {sorted(missing)}")


@rule(502)
async def _context_variables_come_through(subject: Subject) -> None:
    """Tracing and logging outside read what the application has set, and it reads what was set outside."""
    inside: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        inside.append(_mark.get())
        _mark.set("by the application")
        await sending(*response(b"ok"))(scope, receive, send)

    token = _mark.set("by the server")
    try:
        await subject.serve(app)
        expect(inside == ["by the server"], f"the application read {inside}")
        expect(_mark.get() == "by the application", f"after the call the variable was set {_mark.get()}")
    finally:
        _mark.reset(token)


@rule(503)
async def _the_application_runs_in_the_servers_task(subject: Subject) -> None:
    """A task for each request costs more than most middlewares, and hides the application from its server."""
    tasks: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        tasks.append(get_current_task().id)
        await sending(*response(b"ok"))(scope, receive, send)

    await subject.serve(app)
    expect(tasks == [get_current_task().id], "the application ran in another task")


@rule(504)
async def _it_may_stand_twice(subject: Subject) -> None:
    """A mounted application may bring the same middleware along."""
    inner = Witness(sending(*response(b"ok", headers=[(b"content-type", b"text/plain"), (b"content-length", b"2")])))
    server = await subject.serve(subject.wrap(inner))
    expect_response(server, at_most=200)
    expect(b"".join(bodies(server)) == b"ok" and inner.scope, f"the client got {server.sent}")


@rule(505)
async def _it_may_be_called_from_several_loops(subject: Subject) -> None:
    """Test suites and threaded servers call one application from one loop after the other, or from two at once."""
    app = subject.wrap(sending(*response(b"ok")))
    backend = "trio" if _is_trio() else "asyncio"

    async def elsewhere() -> StrictServer:
        return await subject.server().serve(app, timeout_seconds=subject.timeout_seconds)

    expect_response(await elsewhere())
    for _ in range(2):
        expect_response(await to_thread.run_sync(lambda: anyio.run(elsewhere, backend=backend)))
    expect_response(await elsewhere())


@rule(506)
async def _it_looks_like_an_application(subject: Subject) -> None:
    """Servers and adapters tell ASGI 3 from 2 by `iscoroutinefunction`, and some pass arguments by name."""
    app = subject.wrap(sending(*response(b"ok")))
    function = app if inspect.isroutine(app) else app.__call__
    expect(inspect.iscoroutinefunction(function), "it is no `async def`")
    names = list(inspect.signature(function).parameters)
    expect(names == ["scope", "receive", "send"], f"its parameters are {names}")


@rule(507)
async def _it_needs_no_cancellation(subject: Subject) -> None:
    """On one server's native tasks `cancel()` does nothing: a middleware that waits for its effect waits for ever."""
    if _is_trio():
        raise NotApplicableError("trio has no tasks without cancellation")
    asyncio: Any = sys.modules["asyncio"]

    class Uncancellable(asyncio.Task):  # type: ignore[misc]
        def cancel(self, _message: object = None) -> bool:
            return False

    async def serve() -> None:
        await subject.wrap(sending(*response(b"ok")))(server.scope, server.receive, server.send)

    server = subject.server()
    task = Uncancellable(serve(), loop=asyncio.get_running_loop())
    _, waiting = await asyncio.wait([task], timeout=subject.timeout_seconds)
    for task_that_waits in waiting:
        asyncio.Task.cancel(task_that_waits)
    expect(not waiting, "the call did not end")
    task.result()
    expect_response(server)


@rule(508)
async def _context_variables_of_requests_do_not_mix(subject: Subject) -> None:
    """The user, the tenant, the locale: in a task that requests share, one request would act for another."""
    seen: dict[str, str] = {}
    both = {"/a": Event(), "/b": Event()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        _mark.set(path)
        both[path].set()
        for event in both.values():
            await event.wait()
        seen[path] = _mark.get()
        await sending(*response(b"ok"))(scope, receive, send)

    wrapped = subject.wrap(app)
    async with create_task_group() as tasks:
        for path in both:
            tasks.start_soon(_served, subject, wrapped, path)
    expect(seen == {path: path for path in both}, f"the applications read {seen}")


@rule(509)
async def _a_thread_may_answer(subject: Subject) -> None:
    """An adapter runs a WSGI application in a thread, and hands its chunks over to the loop one by one."""
    chunks = (b"one", b"two", b"three")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def read() -> bytes:
            return bytes((await receive())["body"])

        async def write(message: Message) -> None:
            await send(message)

        def in_a_thread() -> None:
            for message in response(from_thread.run(read), *chunks):
                from_thread.run(write, message)

        await to_thread.run_sync(in_a_thread)

    server = await subject.serve(app, subject.upload(), request_messages(b"zero"))
    expect_response(server, at_most=200)
    expect(b"".join(bodies(server)) == b"zeroonetwothree", f"the client got {bodies(server)}")


async def _echo(scope: Scope, receive: Receive, send: Send) -> None:
    for message in _echoed(scope):
        await send(message)
        await lowlevel.checkpoint()


def _echoed(scope: Scope) -> list[Message]:
    path = scope["path"].encode()
    return response(path, b"", headers=[(b"content-type", b"text/plain"), (b"x-path", path)])


async def _served(subject: Subject, app: Any, path: str) -> StrictServer:
    scope = subject.request(path=path, headers=[*subject.request()["headers"], (b"x-request-id", path.encode() * 8)])
    server = await subject.server(scope).serve(app, timeout_seconds=subject.timeout_seconds)
    server.raise_for_errors()
    return server


def _is_trio() -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())


RULES: tuple[Rule, ...] = tuple(value for value in globals().values() if isinstance(value, Rule))
