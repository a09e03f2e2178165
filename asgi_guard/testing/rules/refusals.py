"""Refusals: how a middleware answers in the application's place. Only for those that were said to refuse."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from anyio import create_task_group, fail_after

from asgi_guard.engine.types import Header, Message, Receive, Scope, Send
from asgi_guard.testing.rules.receive import ODD_LENGTHS, shown
from asgi_guard.testing.rules.rule import (
    NotApplicableError,
    Rule,
    Subject,
    Witness,
    Wrap,
    expect,
    expect_response,
    heads,
    response,
    rule,
    sending,
)
from asgi_guard.testing.scopes import request_messages
from asgi_guard.testing.server import Hook, StrictServer

_CHUNKS = request_messages(b"01234567", b"89", b"012", b"rest")
_LIMIT: Final = 10
_CUTS: Final[dict[tuple[bytes, ...], bool]] = {
    (b"0123456789",): True,
    (b"01234", b"", b"56789", b""): True,
    tuple(b"%d" % digit for digit in range(10)): True,
    (b"0123456789x",): False,
    (b"0123456789", b"x"): False,
    (b"01234", b"", b"56789", b"", b"x"): False,
}
"""Bodies, and whether they are within the limit."""


@rule(701)
async def _a_refusal_is_a_whole_response(subject: Subject) -> None:
    """A refusal is read by programs: it has a status, an end, a true length, and the application never ran."""
    app = Witness()
    expect_response(await _refused(subject, app, subject.request()), at_least=400)
    expect(len(app.scopes) == subject.expectations.refuses_after, "the application was called")


@rule(702)
async def _a_refusal_reads_nothing(subject: Subject) -> None:
    """Whoever waits for `100 Continue` must get the refusal instead, and upload nothing."""
    scope = subject.upload()
    scope["headers"].append((b"expect", b"100-continue"))
    server = await _refused(subject, Witness(), scope, incoming=_CHUNKS)
    expect_response(server, at_least=400)
    expect(server.received == 0, f"{server.received} messages were read before the refusal")


@rule(703)
async def _a_refusal_of_head_has_no_body(subject: Subject) -> None:
    """The body would be read as the next response."""
    server = await _refused(subject, Witness(), subject.request(method="HEAD"))
    expect_response(server, at_least=400)
    expect(server.dropped_bytes == 0, f"{server.dropped_bytes} bytes of body in answer to HEAD")


@rule(704)
async def _a_refused_handshake_is_denied_as_the_server_can(subject: Subject) -> None:
    """A denial response where it is not advertised leaves the client hanging on two servers."""
    for can_deny in (True, False):
        app = Witness()
        server = await _refused(subject, app, subject.handshake(can_deny=can_deny))
        expect(server.error is None and server.is_over, f"can_deny={can_deny}: {server.error!r}, {server.sent}")
        expect(all(message["type"] != "websocket.accept" for message in server.sent), f"it was accepted: {server.sent}")
        expect(can_deny or not heads(server), f"the server cannot deny, and got {server.sent}")


@rule(705)
async def _a_client_that_left_is_no_error(subject: Subject) -> None:
    """The attacker hangs up first: a traceback for each refused request fills the disk."""
    gone = OSError("the client has left")

    async def fail(_message: Message) -> None:
        raise gone

    for scope in (subject.request(), subject.handshake(), subject.handshake(can_deny=False)):
        server = await _refused(subject, Witness(), scope, on_send=fail)
        expect(server.error is None, f"the call raised {server.error!r}")


@rule(706)
async def _a_refused_upload_is_answered_at_once(subject: Subject) -> None:
    """The application takes the disconnect for what it is, and what it still says must not reach the client."""
    server, kinds, failures = await _upload(subject, None)
    status = expect_response(server, at_least=400)["status"]
    expect(status != 418, "the client got the application's answer, not the refusal")
    expect(kinds[-1] == "http.disconnect", f"the application received {kinds}")
    expect(not failures, f"the application's send raised {failures}")


@rule(707)
async def _after_a_refused_upload_the_applications_error_is_nobodys(subject: Subject) -> None:
    """Most frameworks raise when a client leaves; the client has its answer, and the operator nothing to mend."""
    server, _, _ = await _upload(subject, LookupError("the application did not like that"))
    status = expect_response(server, at_least=400)["status"]
    expect(status != 418, "the client got the application's answer, not the refusal")


@rule(708)
async def _the_limit_is_exact(subject: Subject) -> None:
    """Ten bytes are ten however they are cut, and the eleventh is one too many."""
    for chunks, fits in _CUTS.items():
        got, server = await _passed(subject, request_messages(*chunks))
        status = expect_response(server)["status"]
        if fits:
            expect((status, got) == (200, b"".join(chunks)), f"{list(chunks)}: {status}, the application got {got!r}")
        else:
            expect(status >= 400, f"{list(chunks)} were answered with {status}")


@rule(709)
async def _a_content_length_is_not_believed(subject: Subject) -> None:
    """Beside `Transfer-Encoding` four servers pass on a small one with a body of megabytes."""
    for headers in ([(b"content-length", b"5")], [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")]):
        got, server = await _passed(subject, request_messages(b"01234", b"56789", b"0123456789"), headers)
        status = expect_response(server)["status"]
        expect(status >= 400, f"20 bytes were answered with {status}")
        expect(len(got) <= _LIMIT, f"the application got {len(got)} bytes")


@rule(710)
async def _an_odd_content_length_lifts_no_limit(subject: Subject) -> None:
    """What cannot be read as a number must not be read as no body."""
    for values in ODD_LENGTHS:
        headers = [(b"content-length", value) for value in values]
        got, server = await _passed(subject, request_messages(b"0123456789", b"x"), headers)
        status = expect_response(server)["status"]
        expect(400 <= status < 500, f"Content-Length {shown(values)}: 11 bytes were answered with {status}")
        expect(len(got) <= _LIMIT, f"Content-Length {shown(values)}: the application got {len(got)} bytes")


@rule(711)
async def _a_task_beside_the_application_may_be_refused(subject: Subject) -> None:
    """Frameworks read uploads in a task of their own: the refusal must reach the client, and that task an end."""
    kinds: list[str] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        async def read() -> None:
            with fail_after(subject.timeout_seconds):
                while not kinds or kinds[-1] == "http.request":
                    kinds.append((await receive())["type"])

        async with create_task_group() as tasks:
            tasks.start_soon(read)

    wrap = _uploads(subject)
    server = await subject.serve(app, subject.upload(), [{**message} for message in _CHUNKS], wrap=wrap)
    expect_response(server, at_least=400)
    expect(kinds[-1] == "http.disconnect", f"the other task received {kinds}")


@rule(712)
async def _a_foreign_page_opens_no_websocket(subject: Subject) -> None:
    """Browsers send cookies with the handshake and ask nobody: only the server can look at the Origin."""
    origin = subject.expectations.foreign_origin
    if origin is None:
        raise NotApplicableError("it was not said to keep foreign pages out")
    app = Witness(sending({"type": "websocket.accept"}))
    others = [pair for pair in subject.handshake()["headers"] if pair[0] != b"origin"]
    server = await subject.serve(app, subject.handshake(headers=[*others, (b"origin", origin)]))
    expect(not app.scopes, f"a page of {origin.decode('latin-1')} was let in")
    expect(server.is_over, f"the handshake was not answered: {server.sent}")


async def _passed(
    subject: Subject, incoming: list[Message], headers: Iterable[Header] = ()
) -> tuple[bytes, StrictServer]:
    """Upload; return what the application got of it, and the server."""
    got = bytearray()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            got.extend(message.get("body", b""))
            more = message.get("more_body", False)
        await sending(*response(b"ok", status=200))(scope, receive, send)

    scope = subject.upload()
    scope["headers"].extend(headers)
    server = await subject.serve(app, scope, incoming, wrap=_uploads(subject))
    return bytes(got), server


def _uploads(subject: Subject) -> Wrap:
    refusing = subject.expectations.refusing_uploads
    if refusing is None:
        raise NotApplicableError("it was not said to refuse uploads")
    return refusing


async def _refused(
    subject: Subject,
    app: Witness,
    scope: Scope,
    *,
    incoming: list[Message] | None = None,
    on_send: Hook | None = None,
) -> StrictServer:
    """Send the requests that pass, then one that is refused."""
    refusing = subject.expectations.refusing
    if refusing is None:
        raise NotApplicableError("it was not said to refuse")
    wrapped = refusing(app)
    for _ in range(subject.expectations.refuses_after):
        await subject.server().serve(wrapped, timeout_seconds=subject.timeout_seconds)
    server = subject.server(scope, incoming, on_send=on_send)
    await server.serve(wrapped, timeout_seconds=subject.timeout_seconds)
    if server.violation is not None:
        raise server.violation
    return server


async def _upload(subject: Subject, error: Exception | None) -> tuple[StrictServer, list[str], list[Exception]]:
    refusing = _uploads(subject)
    kinds: list[str] = []
    failures: list[Exception] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with fail_after(subject.timeout_seconds):
            while not kinds or kinds[-1] == "http.request":
                kinds.append((await receive())["type"])
        try:
            await sending(*response(b"teapot", status=418))(scope, receive, send)
        except Exception as exc:  # noqa: BLE001  noted, and told by the rule
            failures.append(exc)
        if error is not None:
            raise error

    incoming = [{**message} for message in _CHUNKS]
    return await subject.serve(app, subject.upload(), incoming, wrap=refusing), kinds, failures


RULES: tuple[Rule, ...] = tuple(value for value in globals().values() if isinstance(value, Rule))
