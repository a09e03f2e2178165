"""The kit finds faults: for each rule about scopes and messages there is a middleware that breaks it, and is caught."""

# ruff: noqa: BLE001, D103, SIM105  the faults are written as people write them, and their names say what they do
from __future__ import annotations

import anyio
import pytest

from asgi_guard.testing import RULES, check_middleware

FAULTS = []


def breaks(name):
    """Note a middleware as one that breaks the rule of this name."""

    def note(middleware):
        FAULTS.append(pytest.param(middleware, name, id=f"{middleware.__name__}: {name}"))
        return middleware

    return note


def tampering(on_scope=None, on_receive=None, on_send=None):
    """Make a middleware that changes, in an otherwise faultless relay, one thing."""

    def wrap(app):
        async def middleware(scope, receive, send):
            if scope["type"] != "http":
                await app(scope, receive, send)
                return

            async def receive_it():
                message = await receive()
                return message if on_receive is None else on_receive(message)

            async def send_it(message):
                for replaced in [message] if on_send is None else on_send(message):
                    await send(replaced)

            await app(scope if on_scope is None else on_scope(scope), receive_it, send_it)

        return middleware

    return wrap


def with_headers(message, change):
    """Return a start with other headers, and any other message as it is."""
    if message["type"] != "http.response.start":
        return message
    return {**message, "headers": change(list(message.get("headers", [])))}


# The scope ------------------------------------------------------------------------------------------------------------


@breaks("the scope is left as it was")
def leaves_a_key_behind(app):
    return tampering(lambda scope: (scope.setdefault("seen", True), scope)[1])(app)


@breaks("the scope is left as it was")
def cleans_up_only_afterwards(app):
    async def middleware(scope, receive, send):
        scope["seen"] = True
        try:
            await app(scope, receive, send)
        finally:
            del scope["seen"]

    return middleware


@breaks("the header list is left as it was")
def extends_the_request_headers(app):
    return tampering(lambda scope: (scope["headers"].append((b"x-request-id", b"1")), scope)[1])(app)


@breaks("the header list is left as it was")
def puts_another_list_into_the_scope(app):
    return tampering(lambda scope: (scope.update(headers=list(scope["headers"])), scope)[1])(app)


@breaks("an unknown scope type passes untouched")
def wraps_what_it_does_not_know(app):
    async def middleware(scope, receive, send):
        await app(dict(scope), receive, send)

    return middleware


@breaks("a lifespan is relayed")
def answers_lifespans_itself(app):
    async def middleware(scope, receive, send):
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})

    return middleware


@breaks("a lifespan that fails is relayed")
def swallows_lifespan_errors(app):
    async def middleware(scope, receive, send):
        try:
            await app(scope, receive, send)
        except Exception:
            await send({"type": "lifespan.startup.complete"})

    return middleware


@breaks("odd scopes are served")
def needs_a_client(app):
    return tampering(lambda scope: {**scope, "peer": "{}:{}".format(*scope["client"])})(app)


@breaks("odd scopes are served")
def needs_extensions(app):
    return tampering(lambda scope: {**scope, "can_push": "http.response.push" in scope["extensions"]})(app)


@breaks("odd header containers are served")
def uses_up_a_generator(app):
    return tampering(lambda scope: {**scope, "count": len([*scope["headers"]])})(app)


@breaks("odd header containers are served")
def needs_names_in_lower_case(app):
    return tampering(lambda scope: {**scope, "host": dict(scope["headers"])[b"host"]})(app)


@breaks("repeated headers keep their order")
def makes_a_dict_of_the_headers(app):
    return tampering(lambda scope: {**scope, "headers": [*dict(scope["headers"]).items()]})(app)


@breaks("extensions and unknown keys reach the application")
def rebuilds_the_scope(app):
    known = ("type", "asgi", "http_version", "method", "path", "headers", "client")
    return tampering(lambda scope: {key: scope[key] for key in known if key in scope})(app)


@breaks("what is optional may be missing all at once")
def reads_what_is_optional_where_the_rest_is_missing(app):
    def peer(scope):
        return {**scope, "peer": scope["client"] if "server" not in scope and "scheme" not in scope else None}

    return tampering(peer)(app)


@breaks("an odd host is served or refused")
def takes_every_host_to_pieces(app):
    def port(scope):
        host = next(value for name, value in scope["headers"] if name == b"host")
        return {**scope, "port": int(host.partition(b":")[2] or 80)}

    return tampering(port)(app)


@breaks("nothing is advertised that the server has not")
def advertises_what_it_would_like(app):
    return tampering(lambda scope: {**scope, "extensions": {"http.response.push": {}}})(app)


# The way in -----------------------------------------------------------------------------------------------------------


@breaks("nothing is read before the application asks")
def reads_first(app):
    async def middleware(scope, receive, send):
        messages = [await receive()]

        async def replay():
            return messages.pop() if messages else await receive()

        await app(scope, replay, send)

    return middleware


@breaks("chunks pass one to one")
def buffers_the_body(app):
    async def middleware(scope, receive, send):
        body = bytearray()

        async def whole():
            while (message := await receive()).get("more_body"):
                body.extend(message["body"])
            return {"type": "http.request", "body": bytes(body + message["body"]), "more_body": False}

        await app(scope, whole, send)

    return middleware


@breaks("a disconnect is not the end of a body")
def takes_a_disconnect_for_the_end(app):
    gone = {"type": "http.request", "body": b"", "more_body": False}
    return tampering(on_receive=lambda message: gone if message["type"] == "http.disconnect" else message)(app)


@breaks("after a disconnect it is disconnect again")
def waits_after_a_disconnect(app):
    async def middleware(scope, receive, send):
        seen = []

        async def once():
            if "http.disconnect" in seen:
                await anyio.sleep_forever()
            message = await receive()
            seen.append(message["type"])
            return message

        await app(scope, once, send)

    return middleware


@breaks("optional keys may be missing")
def needs_a_body_key(app):
    return tampering(on_receive=lambda message: {**message, "size": len(message["body"])})(app)


@breaks("empty chunks are chunks")
def skips_empty_chunks(app):
    async def middleware(scope, receive, send):
        async def filled():
            while (message := await receive())["type"] == "http.request":
                if message.get("body") or not message.get("more_body"):
                    break
            return message

        await app(scope, filled, send)

    return middleware


@breaks("unknown messages and keys reach the application")
def rebuilds_what_comes_in(app):
    keys = ("type", "body", "more_body")
    return tampering(on_receive=lambda message: {key: message[key] for key in keys if key in message})(app)


@breaks("another task may receive")
def receives_in_one_task_only(app):
    async def middleware(scope, receive, send):
        own = anyio.get_current_task().id

        async def mine():
            if anyio.get_current_task().id != own:
                raise RuntimeError("another task")
            return await receive()

        await app(scope, mine, send)

    return middleware


@breaks("what receive raises reaches the application")
def translates_what_receive_raises(app):
    async def middleware(scope, receive, send):
        async def translating():
            try:
                return await receive()
            except OSError as exc:
                raise RuntimeError("no body") from exc

        await app(scope, translating, send)

    return middleware


@breaks("an odd content length is served or refused")
def reads_every_length_as_a_number(app):
    def length(scope):
        return {**scope, "length": int(dict(scope["headers"]).get(b"content-length", 0))}

    return tampering(length)(app)


# The way out ----------------------------------------------------------------------------------------------------------


@breaks("constant messages stay as they are")
def extends_the_applications_list(app):
    def extend(message):
        message.setdefault("headers", []).append((b"x-guard", b"1")) if "status" in message else None
        return [message]

    return tampering(on_send=extend)(app)


@breaks("constant messages stay as they are")
def adds_more_with_each_request(app):
    seen = []

    def growing(headers):
        seen.append((b"x-guard", b"1"))
        return [*headers, *seen]

    return tampering(on_send=lambda message: [with_headers(message, growing)])(app)


@breaks("chunks are sent as they come")
def buffers_the_response(app):
    async def middleware(scope, receive, send):
        messages = []

        async def keep(message):
            messages.append(message)

        await app(scope, receive, keep)
        for message in messages:
            await send(message)

    return middleware


@breaks("a slow client slows the application down")
def sends_from_another_task(app):
    async def middleware(scope, receive, send):
        messages, queued = anyio.create_memory_object_stream(100)

        async def forward():
            async for message in queued:
                await send(message)

        with queued:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(forward)
                with messages:
                    await app(scope, receive, messages.send)

    return middleware


@breaks("unknown messages and keys pass in order")
def rebuilds_what_goes_out(app):
    def rebuild(message):
        if message["type"] == "http.response.start":
            return [{key: message[key] for key in ("type", "status", "headers")}]
        return [message]

    return tampering(on_send=rebuild)(app)


@breaks("unknown messages and keys pass in order")
def drops_what_it_does_not_know(app):
    known = {"http.response.start", "http.response.body"}
    return tampering(on_send=lambda message: [message] if message["type"] in known else [])(app)


@breaks("a start may come without headers")
def needs_headers(app):
    def add(message):
        return [{**message, "headers": [*message["headers"], (b"x", b"1")]}] if "status" in message else [message]

    return tampering(on_send=add)(app)


@breaks("header containers of any kind pass")
def reads_the_headers_twice(app):
    def look(message):
        any(name == b"x-app" for name, _ in message.get("headers", ()))
        return [message]

    return tampering(on_send=look)(app)


@breaks("what it adds is lower case and safe")
def writes_names_in_title_case(app):
    change = lambda headers: [*headers, (b"X-Frame-Options", b"DENY")]  # noqa: E731
    return tampering(on_send=lambda message: [with_headers(message, change)])(app)


@breaks("what it adds is lower case and safe")
def echoes_what_the_client_wrote(app):
    async def middleware(scope, receive, send):
        given = dict(scope.get("headers", ())).get(b"x-request-id", b"none")

        async def echo(message):
            await send(with_headers(message, lambda headers: [*headers, (b"x-request-id", given)]))

        await app(scope, receive, echo)

    return middleware


@breaks("vary is added to")
def overwrites_vary(app):
    def change(headers):
        return [pair for pair in headers if pair[0] != b"vary"] + [(b"vary", b"Origin")]

    return tampering(on_send=lambda message: [with_headers(message, change)])(app)


@breaks("vary is added to")
def repeats_vary(app):
    change = lambda headers: [*headers, (b"vary", b"Accept-Encoding")]  # noqa: E731
    return tampering(on_send=lambda message: [with_headers(message, change)])(app)


@breaks("set cookie is never joined")
def joins_set_cookie(app):
    def change(headers):
        cookies = [value for name, value in headers if name == b"set-cookie"]
        return [pair for pair in headers if pair[0] != b"set-cookie"] + [(b"set-cookie", b", ".join(cookies))]

    return tampering(on_send=lambda message: [with_headers(message, change)])(app)


@breaks("set cookie is never joined")
def makes_a_dict_of_the_response_headers(app):
    return tampering(on_send=lambda message: [with_headers(message, lambda headers: [*dict(headers).items()])])(app)


@breaks("the body and its length are kept")
def adds_to_the_body(app):
    def add(message):
        return [{**message, "body": message.get("body", b"") + b"!"}] if "status" not in message else [message]

    return tampering(on_send=add)(app)


@breaks("bodiless responses stay bodiless")
def explains_every_status(app):
    def add(message):
        return [message] if "status" in message or message.get("body") else [{**message, "body": b"nothing here"}]

    return tampering(on_send=add)(app)


@breaks("bodiless responses stay bodiless")
def corrects_the_length_of_head(app):
    def change(headers):
        return [(name, b"0" if name == b"content-length" else value) for name, value in headers]

    return tampering(on_send=lambda message: [with_headers(message, change)])(app)


@breaks("another body has another tag")
def makes_upper_case_of_every_body(app):
    def shout(message):
        return [{**message, "body": message["body"].upper()}] if message.get("body") else [message]

    return tampering(on_send=shout)(app)


@breaks("headers of the application arrive once")
def says_it_once_more(app):
    change = lambda headers: [*headers, (b"x-frame-options", b"SAMEORIGIN")]  # noqa: E731
    return tampering(on_send=lambda message: [with_headers(message, change)])(app)


@breaks("headers of the application arrive once")
def loses_the_content_type(app):
    def change(headers):
        return [pair for pair in headers if pair[0] != b"content-type"]

    return tampering(on_send=lambda message: [with_headers(message, change)])(app)


@breaks("what depends on the origin says so")
def permits_without_a_word_to_caches(app):
    async def middleware(scope, receive, send):
        origin = [value for name, value in scope.get("headers", ()) if name == b"origin"]

        async def permit(message):
            allow = [(b"access-control-allow-origin", value) for value in origin]
            await send(with_headers(message, lambda headers: [*headers, *allow]))

        await app(scope, receive, permit)

    return middleware


@breaks("what send raises reaches the application")
def hides_that_the_client_has_left(app):
    async def middleware(scope, receive, send):
        async def quietly(message):
            try:
                await send(message)
            except OSError:
                pass

        await app(scope, receive, quietly)

    return middleware


@pytest.mark.anyio
@pytest.mark.parametrize(("middleware", "name"), FAULTS)
async def test_a_fault_is_found_by_the_rule_that_it_breaks(middleware, name) -> None:
    """The rule says so, and says how; the others are not asked."""
    (rule,) = [rule for rule in RULES if rule.name == name]

    report = await check_middleware(middleware, rules=[rule], timeout_seconds=0.1)

    assert [finding.rule.name for finding in report.failures] == [name]
    assert report.failures[0].detail


def test_every_rule_about_scopes_and_messages_has_a_fault() -> None:
    """A rule that nothing has ever broken is one that may not see anything."""
    assert {fault.values[1] for fault in FAULTS} == {rule.name for rule in RULES if rule.number < 400}
