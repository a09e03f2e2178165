"""The way out: what a middleware does with `send`, and with the messages that pass it."""

# ruff: noqa: ARG001  an application takes scope, receive and send, used or not
from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from anyio import lowlevel

from asgi_guard.engine.types import Header, Message, Receive, Scope, Send
from asgi_guard.testing.rules.rule import Rule, Subject, bodies, expect, expect_response, response, rule, sending
from asgi_guard.testing.server import StrictServer

_REQUESTS = 1_000
_EXTENSIONS: dict[str, Any] = {
    f"http.response.{name}": {}
    for name in ("debug", "early_hint", "mystery", "pathsend", "push", "trailers", "zerocopysend")
}


_SINGLE: Final[dict[bytes, bytes]] = {
    b"cross-origin-opener-policy": b"same-origin",
    b"x-frame-options": b"DENY",
    b"content-type": b"text/html; charset=utf-8",
    b"set-cookie": b"a=1",
    b"content-length": b"2",
    b"cache-control": b"no-store",
    b"referrer-policy": b"no-referrer",
    b"strict-transport-security": b"max-age=1",
    b"x-content-type-options": b"nosniff",
}
"""Lines of which a client reads one, or that a middleware is likely to set as well."""


@rule(301)
async def _constant_messages_stay_as_they_are(subject: Subject) -> None:
    """An application may send the same dict for every request: what is added to it comes back with each of them."""
    headers = [(b"content-type", b"text/plain"), (b"vary", b"Accept"), (b"content-length", b"2")]
    messages = response(b"ok", headers=headers)
    before = deepcopy(messages)

    async def constant(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    app = subject.wrap(constant)
    counts: set[int] = set()
    for _ in range(_REQUESTS):
        server = await subject.server().serve(app, timeout_seconds=subject.timeout_seconds)
        counts.add(len(expect_response(server)["headers"]))
        expect(messages == before, f"the application's messages became {messages}")
        expect(len(counts) == 1, f"over equal requests the number of headers was {sorted(counts)}")


@rule(302)
async def _chunks_are_sent_as_they_come(subject: Subject) -> None:
    """An event, or the first screen of a page, is of use now and not when the last byte is there."""
    arrived: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in response(b"one", b"", b"two", b"three"):
            await send(message)
            arrived.append(b"".join(bodies(server)))

    server = subject.server()
    await server.serve(subject.wrap(app), timeout_seconds=subject.timeout_seconds)
    expect_response(server)
    expected = [b"", b"one", b"one", b"onetwo", b"onetwothree"]
    expect(arrived == expected, f"after each of the application's sends the client had {arrived}")


@rule(303)
async def _a_slow_client_slows_the_application_down(subject: Subject) -> None:
    """Without back-pressure a client that reads slowly makes the server hold the whole response in memory."""
    under_way: list[Message] = []
    ahead: list[int] = []

    async def slowly(message: Message) -> None:
        under_way.append(message)
        for _ in range(5):
            await lowlevel.checkpoint()
        under_way.remove(message)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in response(b"one", b"two", b"three"):
            await send(message)
            ahead.append(len(under_way))

    expect_response(await subject.serve(app, on_send=slowly))
    expect(not any(ahead), f"sends returned while {max(ahead, default=0)} messages were on their way")


@rule(304)
async def _unknown_messages_and_keys_pass_in_order(subject: Subject) -> None:
    """Early hints, pushes, trailers, files by path: an extension is of use only if every middleware lets it by."""
    start, last = response(b"ok", trailers=True, mystery=1)
    whole: list[Message] = [
        {"type": "http.response.debug", "info": {"template": "x"}},
        {"type": "http.response.early_hint", "links": [b"</x.css>; rel=preload"]},
        {"type": "http.response.push", "path": "/x.css", "headers": []},
        start,
        {"type": "http.response.mystery", "payload": 1},
        {**last, "mystery": 2},
        {"type": "http.response.trailers", "headers": [(b"x-sum", b"1")], "more_trailers": True},
        {"type": "http.response.trailers", "headers": [(b"x-end", b"2")]},
    ]
    by_path: list[Message] = [response(b"")[0], {"type": "http.response.pathsend", "path": "/x"}]
    by_descriptor: list[Message] = [
        response(b"")[0],
        {"type": "http.response.zerocopysend", "file": 7, "count": 3, "more_body": True},
        {"type": "http.response.zerocopysend", "file": 7, "offset": 3},
    ]
    for messages in (whole, by_path, by_descriptor):
        server = await subject.serve(sending(*messages), subject.request(extensions={**_EXTENSIONS}))
        expect_response(server)
        readable = iter(bodies(server))
        got = [{**each, "body": next(readable)} if "body" in each else each for each in server.sent]
        expect(_bare(got) == _bare(messages), f"the client got {server.sent}")


@rule(305)
async def _a_start_may_come_without_headers(subject: Subject) -> None:
    """The key is optional, and an application that has no headers may leave it out."""
    messages = response(b"ok")
    del messages[0]["headers"]
    expect_response(await subject.serve(sending(*messages)), at_most=200)


@rule(306)
async def _header_containers_of_any_kind_pass(subject: Subject) -> None:
    """The specification asks an application for an iterable of pairs: a tuple or a generator is one."""
    pairs: list[Header] = [(b"content-type", b"text/plain"), (b"x-app", b"1")]
    for headers in (tuple(pairs), [list(pair) for pair in pairs], (pair for pair in pairs)):
        start, body = response(b"ok")
        sent = expect_response(await subject.serve(sending({**start, "headers": headers}, body)))
        expect(_lines(sent, b"x-app") == [b"1"], f"with {type(headers).__name__} the headers were {sent['headers']}")


@rule(307)
async def _what_it_adds_is_lower_case_and_safe(subject: Subject) -> None:
    """Names in other cases break HTTP/2; CR, LF or NUL in a value splits the response."""
    hostile = [(b"x-request-id", b"a\x00b"), (b"x-hostile", b"a\x0bb"), (b"origin", b"https://a.example\x85")]
    for headers in ([], hostile):
        scope = subject.request(headers=[*subject.request()["headers"], *headers])
        server = subject.server(scope, server=StrictServer)  # it looks at every pair
        await server.serve(subject.wrap(sending(*response(b"ok"))), timeout_seconds=subject.timeout_seconds)
        if server.violation is not None:
            raise server.violation


@rule(308)
async def _vary_is_added_to(subject: Subject) -> None:
    """A cache that is not told all of what a response depends on gives one user's page to another."""
    for values in ((b"Accept-Encoding, X-App",), (b"Accept-Encoding", b"X-App"), (b"*",)):
        headers = [(b"content-type", b"text/plain"), *[(b"vary", value) for value in values]]
        sent = expect_response(await subject.serve(sending(*response(b"ok", headers=headers))))
        members = [member.strip().lower() for line in _lines(sent, b"vary") for member in line.split(b",")]
        wanted = {member.strip().lower() for value in values for member in value.split(b",")}
        expect(wanted <= set(members), f"of Vary {list(values)} there was left {members}")
        expect(len(members) == len(set(members)), f"Vary repeats a member: {members}")


@rule(309)
async def _set_cookie_is_never_joined(subject: Subject) -> None:
    """Cookies contain commas: two on one line are one broken cookie (RFC 6265 section 3)."""
    cookies = [(b"set-cookie", b"a=1; Expires=Thu, 01 Jan 2026 00:00:00 GMT"), (b"set-cookie", b"b=2")]
    headers = [(b"content-type", b"text/plain"), *cookies]
    sent = expect_response(await subject.serve(sending(*response(b"ok", headers=headers))))
    lines = _lines(sent, b"set-cookie")
    expect([value for _, value in cookies] == [line for line in lines if line[:1] in b"ab"], f"Set-Cookie was {lines}")


@rule(310)
async def _the_body_and_its_length_are_kept(subject: Subject) -> None:
    """One byte more or less than Content-Length, and the next response is read from the wrong place."""
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"6")]
    server = await subject.serve(sending(*response(b"\x00\xffab", b"cd", headers=headers)))
    sent = expect_response(server)
    expect(b"".join(bodies(server)) == b"\x00\xffabcd", f"the body became {bodies(server)}")
    if not _lines(sent, b"content-encoding"):  # where it was coded, the strict server has looked at the length
        expect(_lines(sent, b"content-length") == [b"6"], f"Content-Length became {_lines(sent, b'content-length')}")


@rule(311)
async def _bodiless_responses_stay_bodiless(subject: Subject) -> None:
    """After HEAD, 204 and 304 a body is read as the beginning of the next response (RFC 9110 section 6.4.1)."""
    for method, status in (("HEAD", 200), ("GET", 204), ("GET", 304)):
        headers = [] if status == 204 else [(b"content-length", b"1234")]
        server = await subject.serve(sending(*response(status=status, headers=headers)), subject.request(method=method))
        sent = expect_response(server)
        expect(sent["status"] == status, f"{method} with {status} became {sent['status']}")
        expect(not any(bodies(server)), f"{method} with {status} has got a body")
        expect(_lines(sent, b"content-length") == [value for _, value in headers], f"{method}: {sent['headers']}")


@rule(312)
async def _what_send_raises_reaches_the_application(subject: Subject) -> None:
    """An `OSError` out of `send` is how an application learns that its client has left (specification 2.4)."""
    gone = OSError("the client has left")
    caught: list[BaseException] = []

    async def fail(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise gone

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await sending(*response(b"one", b"two"))(scope, receive, send)
        except OSError as exc:
            caught.append(exc)
            raise

    server = await subject.serve(app, on_send=fail)
    expect(caught == [gone], f"the application caught {caught}")
    expect(server.error in {None, gone}, f"the call raised {server.error!r}")


@rule(313)
async def _another_body_has_another_tag(subject: Subject) -> None:
    """A strong ETag promises the same bytes: a download that goes on after a break mixes the two (RFC 9110, 8.8.1)."""
    body, tag = b"some bytes that are worth coding; " * 100, b'"strong"'
    headers = [(b"content-type", b"text/plain"), (b"etag", tag)]
    server = await subject.serve(sending(*response(body, headers=headers)))
    sent = expect_response(server)
    is_same = b"".join(message.get("body", b"") for message in server.sent) == body
    expect(is_same or tag not in _lines(sent, b"etag"), f"the bytes are others, and the ETag is still {tag!r}")


@rule(314)
async def _headers_of_the_application_arrive_once(subject: Subject) -> None:
    """Of two lines each reader takes another one, and without its Content-Type a page is a guess of the browser's."""
    headers = [(name, value) for name, value in _SINGLE.items()]
    for order in (headers, headers[::-1]):
        sent = expect_response(await subject.serve(sending(*response(b"ok", headers=order))))
        counts = {name: len(_lines(sent, name)) for name in _SINGLE}
        wrong = {name.decode(): count for name, count in counts.items() if count != 1}
        expect(not wrong, f"the application sent each once, the client got {wrong}")


@rule(315)
async def _what_depends_on_the_origin_says_so(subject: Subject) -> None:
    """Without `Vary: Origin` a cache gives one site's permission, or its lack, to another (Fetch, CORS and caches)."""
    given = [value for name, value in subject.request()["headers"] if name == b"origin"]
    others = [pair for pair in subject.request()["headers"] if pair[0] != b"origin"]
    allowed: dict[bytes, list[bytes]] = {}
    silent: list[bytes] = []
    for origin in (*given, b"https://a.example", b"https://b.example", b""):
        scope = subject.request(headers=[*others, *([(b"origin", origin)] if origin else [])])
        sent = expect_response(await subject.serve(sending(*response(b"ok")), scope))
        allowed[origin] = _lines(sent, b"access-control-allow-origin")
        members = {member.strip().lower() for line in _lines(sent, b"vary") for member in line.split(b",")}
        if not members & {b"origin", b"*"}:
            silent.append(origin)
    depends = any(lines != allowed[b""] for lines in allowed.values())
    expect(not (depends and silent), f"the permission depends on the Origin, and these were not told: {silent}")


def _lines(message: Message, name: bytes) -> list[bytes]:
    return [value for key, value in message["headers"] if key == name]


def _bare(messages: list[Message]) -> list[Message]:
    """Leave the headers of starts out of account, to which a middleware may add."""
    return [{**message, "headers": None} if message["type"].endswith(".start") else message for message in messages]


RULES: tuple[Rule, ...] = tuple(value for value in globals().values() if isinstance(value, Rule))
