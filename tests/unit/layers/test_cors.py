"""CORS: who may read the answers, what a preflight is told, and which settings do not start."""

from __future__ import annotations

import sys
import tracemalloc
from functools import partial
from typing import Any

import pytest

from asgi_guard import ConfigError, ErrorEnvelopeMiddleware, RateLimitMiddleware
from asgi_guard.layers.cors import CORS, CORSMiddleware
from asgi_guard.testing import Expectations, call, capture_events, check_middleware, websocket
from asgi_guard.web import fetch

pytestmark = pytest.mark.anyio

SITE = "https://shop.example"
FOREIGN = "https://evil.example"
PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"


def app_of(*headers: tuple[bytes, bytes], status: int = 200) -> Any:
    """Make an application that answers with these headers."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            return
        await send({"type": "http.response.start", "status": status, "headers": list(headers)})
        await send({"type": "http.response.body", "body": b"" if status in {204, 304} else b"the application"})

    return app


def told(response: Any) -> dict[str, str]:
    """Return what a response says of CORS, without the prefix; each header must stand there once."""
    lines = [(name.decode(), value.decode()) for name, value in response.headers if name.startswith(b"access-control-")]
    assert len({name for name, _ in lines}) == len(lines)
    return {name.removeprefix("access-control-"): value for name, value in lines}


async def ask(origin: str | None = SITE, app: Any = None, method: str = "GET", **fields: Any) -> Any:
    """Send a request from a page of this origin."""
    headers = {} if origin is None else {"Origin": origin}
    return await call(CORSMiddleware(app or app_of(), **{"origins": [SITE], **fields}), method, headers=headers)


async def preflight(origin: str = SITE, method: str = "PUT", names: Any = None, **fields: Any) -> Any:
    """Ask, as a browser does, whether a request may be sent; `names` may be several lines."""
    lines = [] if names is None else [names] if isinstance(names, str) else names
    headers = [("Origin", origin), ("Access-Control-Request-Method", method)]
    headers += [("Access-Control-Request-Headers", line) for line in lines]
    settings = {"origins": [SITE], "methods": ["PUT"], "headers": ["X-One", "X-Two"], **fields}
    return await call(CORSMiddleware(app_of(), **settings), "OPTIONS", headers=headers)


# who may read


@pytest.mark.parametrize(
    ("pattern", "allowed", "refused"),
    [
        (
            SITE,
            [SITE],
            [
                "http://shop.example",
                "https://shop.example:8443",
                "https://shop.example.evil.example",
                "https://evilshop.example",
                "https://SHOP.example",
                "https://shop.example/",
                "null",
                "",
                f"{SITE}, {FOREIGN}",
            ],
        ),
        (
            "https://*.shop.example",
            ["https://a.shop.example", "https://a.b.c.shop.example"],
            [
                SITE,
                "https://evilshop.example",
                "https://.shop.example",
                "https://a..shop.example",
                "https://a.shop.example:8443",
                "http://a.shop.example",
                "https://a.shop.example.evil.example",
                "https://evil.example/.shop.example",
                "https://evil.example#.shop.example",
                "https://evil.example\\.shop.example",
                "https://u@a.shop.example",
                "https://a b.shop.example",
                "https://A.shop.example",
            ],
        ),
        (
            "https://shop.example:*",
            [SITE, "https://shop.example:8443", "https://shop.example:65535"],
            ["http://shop.example", "https://shop.example:", "https://shop.example:0", "https://shop.example:65536"],
        ),
        (
            "https://*.shop.example:*",
            ["https://a.shop.example", "https://a.shop.example:8443"],
            [SITE, "https://shop.example:8443", "https://a.shop.example:99999", "https://a.shop.example:x"],
        ),
        ("http://[::1]:*", ["http://[::1]", "http://[::1]:3000"], ["http://[::2]", "http://::1"]),
        ("http://127.0.0.1:3000", ["http://127.0.0.1:3000"], ["http://127.0.0.1"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_pattern_stands_for_these_origins(pattern, allowed, refused) -> None:
    """Whole origins, compared as they are written."""
    for origin in allowed:
        assert told(await ask(origin, origins=[pattern])) == {"allow-origin": origin}
    for origin in refused:
        assert told(await ask(origin, origins=[pattern])) == {}


async def test_a_foreign_origin_gets_its_answer_and_may_not_read_it() -> None:
    """Whether a page may read is for the browser to enforce; the request was made by then."""
    response = await ask(FOREIGN, credentials=True, expose=["X-Total"])

    assert response.body == b"the application"
    assert told(response) == {}


async def test_credentials_and_exposed_headers_are_told_to_whom_they_concern() -> None:
    """Names in lower case, sorted, on one line."""
    response = await ask(credentials=True, expose=["X-Total", "ETag"])

    assert told(response) == {"allow-origin": SITE, "allow-credentials": "true", "expose-headers": "etag,x-total"}


async def test_everybody_is_told_the_same_where_everybody_may_read() -> None:
    """Without an origin too: a cache may keep that answer for a page."""
    for origin in (None, SITE, "null"):
        response = await ask(origin, origins=["*"], expose=["*"])
        assert told(response) == {"allow-origin": "*", "expose-headers": "*"}
        assert response.headers.get("vary") is None


async def test_any_origin_with_credentials_is_echoed_when_somebody_dares() -> None:
    """But never `null`, nor what is no origin."""
    fields: dict[str, Any] = {"credentials": True, "dangerously_allow_any_origin_with_credentials": True}
    ask_any = partial(ask, origins=["*"], **fields)

    assert told(await ask_any(FOREIGN)) == {"allow-origin": FOREIGN, "allow-credentials": "true"}
    assert told(await ask_any("null")) == told(await ask_any("x y")) == told(await ask_any(None)) == {}


# preflights


async def test_a_preflight_is_answered_without_the_application() -> None:
    """With what was asked, and no more."""
    response = await preflight(names="x-one", credentials=True, expose=["ETag"])

    assert (response.status, response.body) == (204, b"")
    assert told(response) == {
        "allow-origin": SITE,
        "allow-credentials": "true",
        "allow-methods": "PUT",
        "allow-headers": "x-one",
        "max-age": "600",
    }
    assert response.headers.get("vary") == PREFLIGHT_VARY


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_a_safelisted_method_needs_no_word(method) -> None:
    """The protocol allows it, whatever the settings say."""
    assert told(await preflight(method=method, max_age_seconds=5)) == {"allow-origin": SITE, "max-age": "5"}


@pytest.mark.parametrize(
    ("settings", "answer"),
    [
        ({"methods": ["*"]}, {"allow-methods": "*"}),
        ({"headers": ["*"]}, {"allow-methods": "PUT", "allow-headers": "*"}),
        ({"headers": ["*", "Authorization"]}, {"allow-methods": "PUT", "allow-headers": "*,authorization"}),
        (
            {"methods": ["*"], "headers": ["*"], "credentials": True},
            {"allow-methods": "PUT", "allow-headers": "x-one,x-two", "allow-credentials": "true"},
        ),
    ],
)
async def test_a_wildcard_is_written_where_browsers_know_it(settings, answer) -> None:
    """Next to credentials they take it literally: there, what was asked is echoed."""
    dares = "credentials" in settings
    response = await preflight(names="x-one,x-two", dangerously_allow_any_origin_with_credentials=dares, **settings)

    assert told(response) == {"allow-origin": SITE, "max-age": "600", "allow-headers": "x-one,x-two", **answer}


@pytest.mark.parametrize(
    ("names", "granted"),
    [
        ("x-one", "x-one"),
        ("x-one,x-two", "x-one,x-two"),
        ("x-one, x-two", "x-one,x-two"),
        ("X-One", "x-one"),
        (["x-one", "x-two"], "x-one,x-two"),
        ("," * 8 + "x-one" + "," * 8, "x-one"),
        (" x-one ,\tx-two", "x-one,x-two"),
        ("", None),
        ([], None),
    ],
)
async def test_a_list_of_names_is_read_as_proxies_pass_it_on(names, granted) -> None:
    """Split into lines, with a few blanks and empty members (RFC 9110 section 5.6.1.2)."""
    response = await preflight(names=names)

    assert response.status == 204
    assert told(response).get("allow-headers") == granted


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"origin": FOREIGN}, "The origin is not allowed."),
        ({"origin": "null"}, "The origin is not allowed."),
        ({"method": "DELETE"}, "The method is not allowed."),
        ({"method": "put"}, "The method is not allowed."),
        ({"method": ""}, "The method is not allowed."),
        ({"names": "x-three"}, "A request header is not allowed."),
        ({"names": "x-one,x-three"}, "A request header is not allowed."),
        ({"names": "x-one x-two"}, "A request header is not allowed."),
        ({"names": "x-one;"}, "A request header is not allowed."),
        ({"names": "," * 17}, "A request header is not allowed."),
        ({"names": "   x-one"}, "A request header is not allowed."),
        ({"names": ["x-one"] * 17}, "A request header is not allowed."),
        ({"names": "*"}, "A request header is not allowed."),
    ],
    ids=str,
)
async def test_a_preflight_that_is_refused_tells_nothing(asked, reason) -> None:
    """403, and not a word of CORS; `debug` adds why, in a header that developer tools show."""
    response = await preflight(**asked)
    assert response.status == 403
    assert told(response) == {}
    assert response.headers.get("vary") == f"Accept, {PREFLIGHT_VARY}"
    assert response.json()["error"]["code"] == "CORS_PREFLIGHT_REFUSED"
    assert response.json()["error"]["details"] == {}
    assert response.headers.get("x-cors-refused") is None

    response = await preflight(**asked, debug=True)
    assert response.status == 403
    assert told(response) == {}
    assert response.json()["error"]["details"] == {"reason": reason}
    assert response.headers.get("x-cors-refused") == reason


async def test_any_method_is_a_method_at_least() -> None:
    """What is echoed cannot carry anything else."""
    dares: dict[str, Any] = {"credentials": True, "dangerously_allow_any_origin_with_credentials": True}

    assert (await preflight(method="PURGE", methods=["*"], **dares)).headers.get(
        "access-control-allow-methods"
    ) == "PURGE"
    assert (await preflight(method="A B", methods=["*"], **dares)).status == 403
    assert (await preflight(method="A" * 129, methods=["*"])).status == 403
    assert (await preflight(names="a," * 3_000 + "b", headers=["*"], **dares)).status == 403


async def test_some_old_clients_want_a_200() -> None:
    """So its status can be set."""
    response = await preflight(preflight_status=200)

    assert (response.status, response.headers.get("content-length")) == (200, "0")


@pytest.mark.parametrize(
    ("headers", "method"),
    [
        ({"Origin": SITE}, "OPTIONS"),
        ({"Access-Control-Request-Method": "PUT"}, "OPTIONS"),
        ({"Origin": SITE, "Access-Control-Request-Method": "PUT"}, "GET"),
        ({}, "OPTIONS"),
    ],
)
async def test_what_is_no_preflight_goes_to_the_application(headers, method) -> None:
    """OPTIONS is a method that applications may serve; its answers vary like a preflight's."""
    response = await call(CORSMiddleware(app_of(), origins=[SITE]), method, headers=headers)

    assert response.body == b"the application"
    assert response.headers.get("vary") == (PREFLIGHT_VARY if method == "OPTIONS" else "Origin")
    assert ("allow-origin" in told(response)) == ("Origin" in headers)


async def test_a_private_network_is_opened_on_request_only() -> None:
    """The page says that it knows where it is going."""
    headers = {
        "Origin": SITE,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Private-Network": "true",
    }
    closed = await call(CORSMiddleware(app_of(), origins=[SITE]), "OPTIONS", headers=headers)
    opened = await call(CORSMiddleware(app_of(), origins=[SITE], private_network=True), "OPTIONS", headers=headers)

    assert "allow-private-network" not in told(closed)
    assert told(opened)["allow-private-network"] == "true"
    assert opened.headers.get("vary") == f"{PREFLIGHT_VARY}, Access-Control-Request-Private-Network"
    assert "allow-private-network" not in told(await preflight(private_network=True))


# Vary, and what others write


@pytest.mark.parametrize(
    ("own", "merged"),
    [
        ([], ["Origin"]),
        ([(b"vary", b"Accept")], ["Accept, Origin"]),
        ([(b"vary", b"Accept"), (b"vary", b"Cookie")], ["Accept, Cookie, Origin"]),
        ([(b"vary", b"origin")], ["origin"]),
        ([(b"vary", b"*")], ["*"]),
    ],
)
@pytest.mark.parametrize("origin", [None, SITE, FOREIGN])
async def test_caches_are_told_what_the_answer_depends_on(own, merged, origin) -> None:
    """Also where there is no origin: a cache would hand that answer to a page, without permission."""
    assert (await ask(origin, app_of(*own))).headers.get_all("vary") == merged


@pytest.mark.parametrize("origin", [None, SITE, FOREIGN])
async def test_what_the_application_says_of_cors_is_dropped(origin) -> None:
    """It never saw the preflight: two policies would contradict each other, and the laxer one would count."""
    own = [(f"Access-Control-{name}".encode(), b"*") for name in ("Allow-Origin", "Allow-Credentials", "Max-Age")]

    assert told(await ask(origin, app_of(*own))) == ({"allow-origin": SITE} if origin == SITE else {})


async def test_two_policies_do_not_say_things_twice() -> None:
    """The outer one answered the preflight, so it decides."""
    inner = CORSMiddleware(app_of(), origins=["*"], expose=["ETag"])

    assert told(await ask(app=inner)) == {"allow-origin": SITE}
    assert told(await ask(FOREIGN, app=inner)) == {}


async def test_one_constant_message_stays_as_it_is() -> None:
    """Permission for one origin must not reach the next client through a list that is shared."""
    message = {"type": "http.response.start", "status": 200, "headers": [(b"vary", b"Accept")]}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(message)
        await send({"type": "http.response.body"})

    guarded = CORSMiddleware(app, origins=[SITE], credentials=True)
    for _ in range(3):
        await call(guarded, headers={"Origin": SITE})

    assert message == {"type": "http.response.start", "status": 200, "headers": [(b"vary", b"Accept")]}
    assert told(await call(guarded)) == {}


@pytest.mark.parametrize("status", [200, 204, 304, 404, 500])
async def test_every_status_carries_the_permission(status) -> None:
    """Without it the browser shows a CORS error in place of what went wrong."""
    assert told(await ask(app=app_of(status=status))) == {"allow-origin": SITE}


async def test_a_refusal_by_what_stands_inside_carries_it_too() -> None:
    """A page has to see that it asks too often, and may read when to come back."""
    app = CORSMiddleware(RateLimitMiddleware(app_of(), "1/hour"), origins=[SITE], expose=["Retry-After"])
    headers = {"Origin": SITE}
    await call(app, headers=headers)

    response = await call(app, headers=headers)

    assert response.status == 429
    assert told(response) == {"allow-origin": SITE, "expose-headers": "retry-after"}


async def test_an_error_carries_it_too() -> None:
    """A page sees what went wrong, not a CORS error in its place."""

    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError

    response = await ask(app=ErrorEnvelopeMiddleware(fail))

    assert response.status == 500
    assert told(response) == {"allow-origin": SITE}


def test_it_says_what_it_refuses() -> None:
    """A line each, for `explain()`."""
    (layer,) = CORSMiddleware(app_of(), origins=[SITE]).layers

    assert [line.split()[0] for line in layer.refusals()] == ["403", "403"]


# WebSockets


@pytest.mark.parametrize(
    ("origin", "host", "scheme", "accepted"),
    [
        (None, "api.example", "wss", True),
        (SITE, "api.example", "wss", True),
        (FOREIGN, "api.example", "wss", False),
        ("null", "api.example", "wss", False),
        ("https://api.example", "api.example", "wss", True),
        ("https://api.example", "API.example:443", "wss", True),
        ("https://api.example:8443", "api.example:8443", "wss", True),
        ("https://api.example:8443", "api.example", "wss", False),
        ("https://api.example.evil.example", "api.example", "wss", False),
        ("http://api.example", "api.example", "wss", False),
        ("http://api.example", "api.example", "ws", True),
        ("https://api.example", "api.example", "ws", True),
        ("http://localhost:3000", "localhost:3000", "ws", True),
        ("ftp://api.example", "api.example", "ws", False),
        ("https://api.example", "", "wss", False),
    ],
)
async def test_a_handshake_of_a_foreign_page_is_refused(origin, host, scheme, accepted) -> None:
    """No browser asks before it opens a WebSocket with the user's cookies; programs send no origin."""
    headers = {"Host": host, **({} if origin is None else {"Origin": origin})}

    async with websocket(CORSMiddleware(app_of(), origins=[SITE]), headers=headers, scheme=scheme) as session:
        assert (session.accepted is not None) == accepted
        if not accepted:
            assert session.denial is not None
            assert session.denial.status == 403
            assert session.denial.json()["error"]["code"] == "ORIGIN_NOT_ALLOWED"
        assert told(session) == {}


async def test_a_server_that_cannot_deny_closes() -> None:
    """It makes a 403 of that."""
    app = CORSMiddleware(app_of(), origins=[SITE])

    async with websocket(app, headers={"Origin": FOREIGN}, can_deny=False) as session:
        assert session.close_code == 1008


# cost


def work_of(lines: list[bytes], max_bytes: int) -> tuple[int, int]:
    """Return how many lines of Python it takes to read a list, and how many bytes it asks for."""
    steps = 0

    def count(_frame: Any, _event: str, _argument: Any) -> Any:
        nonlocal steps
        steps += 1
        return count

    before = sys.gettrace()
    tracemalloc.start()
    sys.settrace(count)
    try:
        fetch.read_names(lines, max_bytes)
    finally:
        sys.settrace(before)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return steps, peak


@pytest.mark.parametrize("line", [b"," * 60_000, b" " * 60_000, b"a" * 60_000, b"x-one," * 10_000, b"x-one, " * 9_000])
def test_a_flood_of_names_is_not_read(line) -> None:
    """No list that is longer than all names that are allowed is looked at."""
    bound = fetch.longest_list([b"x-one", b"x-two"])

    steps, peak = work_of([line], bound)

    assert steps <= 10
    assert peak < 2_000
    assert fetch.read_names([line], bound) is None


@pytest.mark.parametrize("member", [b",", b" ,", b"x-one,", b"a,"])
def test_the_longest_list_that_is_read_takes_bounded_work(member) -> None:
    """A few steps for each name that could be allowed, and each empty member that is tolerated."""
    bound = fetch.longest_list([b"x-one", b"x-two"])
    line = (member * bound)[:bound]

    steps, _ = work_of([line], bound)

    assert steps <= 10 * bound


async def test_a_refusal_is_told_to_listeners() -> None:
    """With the code that its answer has."""
    events = capture_events()
    app = CORSMiddleware(app_of(), origins=[SITE], listeners=[events])

    await call(app, "OPTIONS", headers={"Origin": FOREIGN, "Access-Control-Request-Method": "PUT"})

    assert [event.code for event in events] == ["CORS_PREFLIGHT_REFUSED"]


# settings


@pytest.mark.parametrize(
    ("origin", "problem_id"),
    [
        ("", "AG104"),
        ("example.com", "AG340"),
        ("//example.com", "AG340"),
        ("https:/example.com", "AG340"),
        ("file:///etc/passwd", "AG340"),
        ("https://", "AG340"),
        ("https://example.com/", "AG340"),
        ("https://example.com/path", "AG340"),
        ("https://example.com?q", "AG340"),
        ("https://example.com#f", "AG340"),
        ("https://user@example.com", "AG340"),
        ("https://user:pw@example.com", "AG340"),
        ("https://Example.com", "AG340"),
        ("HTTPS://example.com", "AG340"),
        ("https://ex ample.com", "AG340"),
        ("https://example..com", "AG340"),
        ("https://.example.com", "AG340"),
        ("https://example.com.", "AG340"),
        ("https://example.com:", "AG340"),
        ("https://example.com:0", "AG340"),
        ("https://example.com:080", "AG340"),
        ("https://example.com:65536", "AG340"),
        ("https://example.com:http", "AG340"),
        ("https://r\u00e9sum\u00e9.com", "AG104"),
        ("h*://example.com", "AG340"),
        ("https://" + "a" * 254, "AG340"),
        ("https://" + "a" * 64 + ".com", "AG340"),
        ("null", "AG341"),
        ("https://example.com:443", "AG342"),
        ("http://example.com:80", "AG342"),
        ("https://*", "AG343"),
        ("https://*example.com", "AG343"),
        ("https://www.*.com", "AG343"),
        ("https://*.*.example.com", "AG343"),
        ("https://example.*", "AG343"),
        ("http://0xFF000000", "AG340"),
        ("http://255.1", "AG344"),
        ("http://127.0.0.01", "AG344"),
        ("https://*.127.0.0.1", "AG344"),
        ("http://[0:0:0:0:0:0:0:1]", "AG344"),
        ("http://[::1%25eth0]", "AG344"),
        ("http://[::1", "AG340"),
        (7, "AG104"),
        (b"https://example.com", "AG104"),
    ],
    ids=str,
)
def test_an_origin_that_no_browser_sends_does_not_start(origin, problem_id) -> None:
    """It would never match, and nobody would know."""
    with pytest.raises(ConfigError) as caught:
        CORS(origins=[origin])
    assert [(problem.id, problem.field) for problem in caught.value.problems] == [(problem_id, "CORS.origins[0]")]


DARES = {"credentials": True, "dangerously_allow_any_origin_with_credentials": True}


@pytest.mark.parametrize(
    ("fields", "problem_id", "field"),
    [
        ({"origins": []}, "AG106", "origins"),
        ({"origins": SITE}, "AG106", "origins"),
        ({"origins": None}, "AG106", "origins"),
        ({"origins": ["*", SITE]}, "AG352", "origins"),
        ({"origins": ["*"], "credentials": True}, "AG345", "origins"),
        ({"methods": ["*"], "credentials": True}, "AG345", "methods"),
        ({"headers": ["*"], "credentials": True}, "AG345", "headers"),
        ({"expose": ["*"], "credentials": True}, "AG345", "expose"),
        ({"expose": ["*"], **DARES}, "AG345", "expose"),
        ({"origins": ["http://example.com"], "credentials": True}, "AG346", "origins[0]"),
        ({"origins": ["http://127.example.com"], "credentials": True}, "AG346", "origins[0]"),
        ({"origins": ["http://192.0.2.1"], "credentials": True}, "AG346", "origins[0]"),
        ({"origins": ["app://example.com"], "credentials": True}, "AG346", "origins[0]"),
        ({"origins": ["https://*.com"], "credentials": True}, "AG347", "origins[0]"),
        ({"origins": ["https://*.co.uk:*"], "credentials": True}, "AG347", "origins[0]"),
        ({"origins": ["https://*.github.io"], "credentials": True}, "AG347", "origins[0]"),
        ({"methods": "PUT"}, "AG106", "methods"),
        ({"methods": ["PUT", "*"]}, "AG352", "methods"),
        ({"methods": ["PUT "]}, "AG348", "methods[0]"),
        ({"methods": ["GET,PUT"]}, "AG348", "methods[0]"),
        ({"methods": ["put"]}, "AG348", "methods[0]"),
        ({"methods": ["patch"]}, "AG348", "methods[0]"),
        ({"methods": ["TRACE"]}, "AG349", "methods[0]"),
        ({"methods": ["connect"]}, "AG349", "methods[0]"),
        ({"methods": ["Track"]}, "AG349", "methods[0]"),
        ({"headers": "X-One"}, "AG106", "headers"),
        ({"headers": ["X One"]}, "AG350", "headers[0]"),
        ({"headers": ["*", "X-One"]}, "AG352", "headers"),
        ({"headers": ["Cookie"]}, "AG350", "headers[0]"),
        ({"headers": ["Host"]}, "AG350", "headers[0]"),
        ({"headers": ["Sec-Fetch-Site"]}, "AG350", "headers[0]"),
        ({"headers": ["Proxy-Authorization"]}, "AG350", "headers[0]"),
        ({"headers": ["Access-Control-Request-Method"]}, "AG350", "headers[0]"),
        ({"headers": ["Access-Control-Allow-Origin"]}, "AG350", "headers[0]"),
        ({"expose": "ETag"}, "AG106", "expose"),
        ({"expose": ["*", "ETag"]}, "AG352", "expose"),
        ({"expose": ["E Tag"]}, "AG351", "expose[0]"),
        ({"expose": ["Set-Cookie"]}, "AG351", "expose[0]"),
        ({"expose": ["Origin"]}, "AG351", "expose[0]"),
        ({"expose": ["Access-Control-Max-Age"]}, "AG351", "expose[0]"),
        ({"expose": ["Content-Type"]}, "AG351", "expose[0]"),
        ({"max_age_seconds": -1}, "AG101", "max_age_seconds"),
        ({"max_age_seconds": 86_401}, "AG101", "max_age_seconds"),
        ({"max_age_seconds": "600"}, "AG101", "max_age_seconds"),
        ({"preflight_status": 199}, "AG101", "preflight_status"),
        ({"preflight_status": 300}, "AG101", "preflight_status"),
        ({"credentials": "yes"}, "AG103", "credentials"),
        ({"debug": 1}, "AG103", "debug"),
    ],
    ids=str,
)
def test_settings_that_cannot_be_meant_do_not_start(fields, problem_id, field) -> None:
    """What a browser ignores, and what hands the users' accounts to others."""
    with pytest.raises(ConfigError) as caught:
        CORS(**{"origins": [SITE], **fields})
    assert [(problem.id, problem.field) for problem in caught.value.problems] == [(problem_id, f"CORS.{field}")]


@pytest.mark.parametrize(
    "fields",
    [
        {"origins": ["http://example.com", "app://example.com", "https://*.com"]},
        {"origins": ["http://localhost:*", "http://*.localhost", "http://127.0.0.1", "http://[::1]:80"]}
        | {"origins": ["http://localhost:*", "http://*.localhost", "http://127.0.0.1:3000"], "credentials": True},
        {"origins": ["http://example.com"], "credentials": True, "dangerously_tolerate_insecure_origins": True},
        {"origins": ["https://*.github.io"], "credentials": True, "dangerously_allow_public_suffixes": True},
        {"origins": ["*"], "methods": ["*"], "headers": ["*"], **DARES},
        {"origins": ["*"], "methods": ["*"], "headers": ["*", "authorization"], "expose": ["*"]},
        {"origins": ["https://xn--rsum-bpad.com", "https://a_b.example", "https://192.0.2.1", "http://[::1]"]},
        {"origins": (SITE,), "methods": {"PURGE", "OPTIONS"}, "headers": frozenset({"Content-Type"})},
        {"origins": [SITE], "methods": [], "max_age_seconds": 0},
    ],
)
def test_settings_that_can_be_meant_start(fields) -> None:
    """Danger is taken by those who name it."""
    assert CORS(**fields).origins == fields["origins"]


def test_every_problem_is_told_at_once() -> None:
    """With what to do about each."""
    with pytest.raises(ConfigError) as caught:
        CORS(
            origins=["https://Example.com", "null", "https://example.com:443", SITE, "http://a.example"],
            methods=["TRACE"],
            headers=["Cookie"],
            expose=["Set-Cookie"],
            credentials=True,
            max_age_seconds=100_000,
        )

    ids = [problem.id for problem in caught.value.problems]
    assert ids == ["AG340", "AG341", "AG342", "AG346", "AG349", "AG350", "AG351", "AG101"]
    assert "https://example.com" in caught.value.problems[0].remedy
    assert all(problem.remedy.endswith(".") for problem in caught.value.problems)


# the rules of ASGI


async def test_it_keeps_the_rules() -> None:
    """Every rule of the kit that applies; the middleware refuses handshakes, and answers no errors."""
    wrap = partial(CORSMiddleware, origins=[SITE])

    (await check_middleware(wrap, Expectations(answers_errors=False))).raise_for_failures()


async def test_it_keeps_the_rules_for_a_page() -> None:
    """With an origin that is allowed, too."""
    headers = [(b"host", b"testserver"), (b"origin", SITE.encode())]
    expectations = Expectations(answers_errors=False, request={"headers": headers})

    (await check_middleware(partial(CORSMiddleware, origins=[SITE]), expectations)).raise_for_failures()
