"""Refusals: how a middleware answers in the application's place. Only for those that were said to refuse."""

from __future__ import annotations

from anyio import fail_after

from asgi_guard.engine.types import Message, Receive, Scope, Send
from asgi_guard.testing.rules.rule import (
    NotApplicableError,
    Rule,
    Subject,
    Witness,
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

    server = await _refused(subject, Witness(), subject.request(), on_send=fail)
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
    refusing = subject.expectations.refusing_uploads
    if refusing is None:
        raise NotApplicableError("it was not said to refuse uploads")
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
