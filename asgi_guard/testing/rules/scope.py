"""The scope: what a middleware is called with, and what it calls with in turn."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from asgi_guard.engine.types import Receive, Scope, Send
from asgi_guard.testing.rules.rule import (
    Rule,
    RuleBrokenError,
    Subject,
    Witness,
    expect,
    expect_response,
    response,
    rule,
    sending,
)
from asgi_guard.testing.scopes import ABSENT, HEADER_FORMS, ODD_SCOPES
from asgi_guard.testing.sessions import lifespan

_ODD_HOSTS: Final[tuple[tuple[bytes, ...], ...]] = (
    (),
    (b"",),
    (b"a.example", b"b.example"),
    (b"a/b@c",),
    (b"a.example:99999999999999999999",),
    (b"[::1",),
    (b"\xff\x01",),
)


@rule(101)
async def _the_scope_is_left_as_it_was(subject: Subject) -> None:
    """The dict belongs to whoever stands outside, who reads there what a middleware has left."""
    scope = subject.request()
    before = deepcopy(scope)
    values = dict(scope)
    meanwhile: list[set[str]] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        meanwhile.append(_differences(values, scope))
        await sending(*response(b"ok"))(_scope, _receive, send)

    await subject.serve(app, scope)
    expect(meanwhile, "the application was not called")
    expect(not meanwhile[0], f"while the application ran, the caller's scope differed in {sorted(meanwhile[0])}")
    expect(scope == before, f"afterwards the caller's scope differed in {sorted(_changes(before, scope))}")


@rule(102)
async def _the_header_list_is_left_as_it_was(subject: Subject) -> None:
    """A server may hand the same list to its access log, or keep it for the next request of the connection."""
    scope = subject.request()
    headers = scope["headers"] = [*scope["headers"], (b"x-twice", b"1"), (b"x-twice", b"2")]
    before = list(headers)
    await subject.serve(Witness(), scope)
    expect(headers == before, f"the list became {headers}")
    expect(scope["headers"] is headers, "the scope holds another list")


@rule(103)
async def _an_unknown_scope_type_passes_untouched(subject: Subject) -> None:
    """Tomorrow's protocols are none of a middleware's business: the same three objects go through."""
    calls: list[tuple[Any, ...]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append((scope, receive, send))

    server = subject.server()
    arguments = ({"type": "mystery", "asgi": {"version": "3.0"}}, server.receive, server.send)
    await subject.wrap(app)(*arguments)
    expect(len(calls) == 1, f"the application was called {len(calls)} times instead of once")
    expect(all(got is given for got, given in zip(calls[0], arguments, strict=True)), "other objects were handed on")


@rule(104)
async def _a_lifespan_is_relayed(subject: Subject) -> None:
    """Without its lifespan an application has no database; without its state, what it puts there is lost."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for phase in ("startup", "shutdown"):
            seen.append((await receive())["type"])
            scope["state"][phase] = True
            await send({"type": f"lifespan.{phase}.complete"})

    async with lifespan(subject.wrap(app), timeout_seconds=subject.timeout_seconds) as state:
        expect(state == {"startup": True}, f"the state after startup was {state}")
    expect(seen == ["lifespan.startup", "lifespan.shutdown"], f"the application received {seen}")


@rule(105)
async def _a_lifespan_that_fails_is_relayed(subject: Subject) -> None:
    """A server must not send requests to an application whose startup has failed, in whichever way it says so."""
    error = LookupError("no lifespan here")

    async def raises(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise error

    async def fails(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    for app, expected in ((raises, str(error)), (fails, "no database")):
        told = "nothing"
        try:
            async with lifespan(subject.wrap(app), timeout_seconds=subject.timeout_seconds):
                pass
        except Exception as exc:  # noqa: BLE001  whatever comes is the answer
            told = str(exc)
        expect(expected in told, f"the server was told {told!r} instead of {expected!r}")


@rule(106)
async def _odd_scopes_are_served(subject: Subject) -> None:
    """Servers leave out what is optional, and tell clients in many ways; a KeyError there takes the whole site down."""
    for name, keys in ODD_SCOPES.items():
        await _expect_served(subject, name, subject.request(**keys))


@rule(107)
async def _odd_header_containers_are_served(subject: Subject) -> None:
    """The specification asks for an iterable of pairs, and not before version 2.5 for names in lower case."""
    for name, form in HEADER_FORMS.items():
        headers = [*subject.request()["headers"], (b"x-last", b"1")]
        app = await _expect_served(subject, name, subject.request(headers=form(headers)))
        seen = [(bytes(key).lower(), value) for key, value in app.scope["headers"]]
        expect(_is_within(headers, seen), f"headers as {name}: the application saw {seen}")


@rule(108)
async def _repeated_headers_keep_their_order(subject: Subject) -> None:
    """A proxy chain writes X-Forwarded-For line by line, HTTP/2 splits cookies: joined or re-ordered they lie."""
    headers = [*subject.request()["headers"], *[(b"x-forwarded-by", b"%d" % number) for number in (2, 1, 2)]]
    headers += [(b"cookie", b"a=1"), (b"accept-language", b""), (b"cookie", b"b=2")]
    app = Witness()
    await subject.serve(app, subject.request(headers=list(headers)))
    seen = [tuple(pair) for pair in app.scope["headers"]]
    expect(_is_within(headers, seen), f"the application saw {seen}")


@rule(109)
async def _extensions_and_unknown_keys_reach_the_application(subject: Subject) -> None:
    """Zero-copy, TLS data, the framework's own objects: what a middleware rebuilds from known keys is lost."""
    keys: dict[str, Any] = {"extensions": {"http.response.pathsend": {}, "tls": {"x": 1}}, "mystery": object()}
    keys |= {"root_path": "/mounted", "raw_path": b"/a%2Fb", "path": "/a/b", "query_string": b"q=%00"}
    app = Witness()
    await subject.serve(app, subject.request(**keys))
    changed = [key for key, value in keys.items() if app.scope.get(key) != value]
    expect(not changed, f"the application saw other values of {changed}")


@rule(110)
async def _what_is_optional_may_be_missing_all_at_once(subject: Subject) -> None:
    """One server leaves out six keys together: whoever tried each alone has not tried that server."""
    needed = {"type", "http_version", "method", "path", "query_string", "headers", *subject.expectations.request}
    scope = {key: value for key, value in subject.request().items() if key in needed}
    await _expect_served(subject, f"nothing but {sorted(scope)}", {**scope, "asgi": {"version": "3.0"}})


@rule(111)
async def _an_odd_host_is_served_or_refused(subject: Subject) -> None:
    """Anybody can write the Host line: two of them, or bytes that are no host, must never be an error of the server."""
    others = [pair for pair in subject.request()["headers"] if pair[0] != b"host"]
    for hosts in _ODD_HOSTS:
        scope = subject.request(headers=[*[(b"host", host) for host in hosts], *others])
        try:
            expect_response(await subject.serve(Witness(), scope), at_most=499)
        except RuleBrokenError as exc:
            raise RuleBrokenError(f"Host {list(hosts)}: {exc}") from exc


@rule(112)
async def _nothing_is_advertised_that_the_server_has_not(subject: Subject) -> None:
    """An application that believes in an extension sends a message on which the real server breaks off."""
    cases: tuple[Any, ...] = ({}, {"http.response.pathsend": {}}, ABSENT)
    for given in cases:
        app = Witness()
        await subject.serve(app, subject.request(extensions=given))
        seen = app.scope.get("extensions", ABSENT)
        expect(seen == given or not (seen or given), f"the server said {given}, the application was told {seen}")


async def _expect_served(subject: Subject, name: str, scope: Scope) -> Witness:
    app = Witness()
    try:
        expect_response(await subject.serve(app, scope), at_most=200)
        expect(app.scopes, "the application was not called")
    except RuleBrokenError as exc:
        raise RuleBrokenError(f"{name}: {exc}") from exc
    return app


def _differences(before: Scope, scope: Scope) -> set[str]:
    return {key for key in before.keys() | scope.keys() if before.get(key, scope) is not scope.get(key, before)}


def _changes(before: Scope, scope: Scope) -> set[str]:
    return {key for key in before.keys() | scope.keys() if before.get(key, scope) != scope.get(key, before)}


def _is_within(wanted: list[tuple[bytes, bytes]], seen: list[Any]) -> bool:
    """Tell whether all that is wanted stands in `seen`, in the same order."""
    rest = iter(seen)
    return all(pair in rest for pair in wanted)


RULES: tuple[Rule, ...] = tuple(value for value in globals().values() if isinstance(value, Rule))
