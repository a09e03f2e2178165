"""HTTPS: where a request in the clear is sent, what is refused, and what may pass."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import pytest

from asgi_guard import ConfigError
from asgi_guard.layers.https import HTTPS, HTTPSMiddleware
from asgi_guard.testing import (
    ABSENT,
    RULES,
    Expectations,
    StrictServer,
    call,
    capture_events,
    check_middleware,
    http_scope,
    request_messages,
    websocket,
)

pytestmark = pytest.mark.anyio


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer anything."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the application"})


async def ask(path: str = "/", host: str = "shop.example", method: str = "GET", **fields: Any) -> Any:
    """Ask in the clear."""
    return await call(HTTPSMiddleware(app, **fields), method, path, headers={"Host": host})


# the redirect


@pytest.mark.parametrize(
    ("path", "host", "fields", "location"),
    [
        ("/", "shop.example", {}, "https://shop.example/"),
        ("/a/b?c=d&e=f?", "shop.example", {}, "https://shop.example/a/b?c=d&e=f?"),
        ("/", "shop.example:8080", {}, "https://shop.example/"),
        ("/", "shop.example:", {}, "https://shop.example/"),
        ("/", "SHOP.example", {}, "https://shop.example/"),
        ("/", "[2001:db8::1]:80", {}, "https://[2001:db8::1]/"),
        ("/", "shop.example", {"port": 8443}, "https://shop.example:8443/"),
        ("/%2e%2E/%0d%0A", "shop.example", {}, "https://shop.example/%2e%2E/%0d%0A"),
        ("//evil.example/x", "shop.example", {}, "https://shop.example//evil.example/x"),
        ("/\\evil.example", "shop.example", {}, "https://shop.example/%5Cevil.example"),
        ("/a#b", "shop.example", {}, "https://shop.example/a%23b"),
        ("/?a#b c", "shop.example", {}, "https://shop.example/?a%23b%20c"),
        ("@evil.example/", "shop.example", {}, "https://shop.example/@evil.example/"),
        (".evil.example/", "shop.example", {}, "https://shop.example/.evil.example/"),
        ("http://evil.example/", "shop.example", {}, "https://shop.example/http://evil.example/"),
        ("/a\r\nset-cookie: b=c", "shop.example", {}, "https://shop.example/a%0D%0Aset-cookie:%20b=c"),
        ("*", "shop.example", {}, "https://shop.example/*"),
    ],
)
async def test_a_request_is_sent_to_the_same_place(path, host, fields, location) -> None:
    """Path and query as they were sent; nothing in them changes the host, or splits the response."""
    response = await ask(path, host, **fields)

    assert response.status == 308
    assert response.headers.get_all("location") == [location]
    assert response.body == b""


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
@pytest.mark.parametrize("status", [301, 307, 308])
async def test_every_method_is_redirected_with_the_status_that_was_set(method, status) -> None:
    """308 and 307 keep the method."""
    assert (await ask(method=method, status=status)).status == status


async def test_a_path_is_encoded_where_the_server_does_not_give_the_raw_one() -> None:
    """What it decoded is encoded again."""
    response = await call(HTTPSMiddleware(app), path="/\u00e9 %41?q=1", raw_path=ABSENT, headers={"Host": "a.example"})

    assert response.headers.get("location") == "https://a.example/%C3%A9%20%2541?q=1"


@pytest.mark.parametrize(
    "host",
    [
        "",
        "shop.example/evil",
        "evil.example@shop.example",
        "shop.example?",
        "shop.example#",
        "shop example",
        "shop.example\\evil",
        "shop.example:80:80",
        "shop.example:http",
        "shop.example, evil.example",
        "a" * 254,
        "[::1",
        "\xe9.example",
    ],
)
async def test_a_host_that_is_none_is_not_redirected_to(host) -> None:
    """The browser would go wherever the client's text leads."""
    response = await ask(host=host)

    assert (response.status, response.headers.get("location")) == (400, None)
    assert response.json()["error"]["code"] == "HOST_NOT_ALLOWED"


async def test_a_request_with_two_hosts_or_none_is_not_redirected() -> None:
    """One of the two may be what a cache goes by, and the other what stands in `Location`."""
    for headers in ([(b"host", b"a.example"), (b"host", b"b.example")], [(b"accept", b"*/*")]):
        server = StrictServer(http_scope(headers=headers), request_messages())
        await server.serve(HTTPSMiddleware(app), timeout_seconds=5)
        assert server.sent[0]["status"] == 400


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("shop.example", 308),
        ("shop.example:8080", 308),
        ("a.b.shop.test", 308),
        ("shop.test", 400),
        ("evilshop.test", 400),
        ("evil.example", 400),
    ],
)
async def test_only_the_hosts_that_were_named_are_redirected_to(host, status) -> None:
    """A cache in front would otherwise keep a redirect to wherever the first client wanted."""
    assert (await ask(host=host, hosts=["shop.example", "*.shop.test"])).status == status


# what is required


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_api_refuses(method) -> None:
    """A redirect would hide that the token has been sent in the clear."""
    response = await ask(method=method, mode="require")

    assert response.status == 403
    assert response.json()["error"]["code"] == "HTTPS_REQUIRED"
    assert response.headers.get("location") is None


@pytest.mark.parametrize("mode", ["redirect", "require"])
async def test_a_websocket_in_the_clear_is_refused(mode) -> None:
    """Clients do not follow a redirect of the handshake; the path is no excuse."""
    guarded = HTTPSMiddleware(app, mode=mode, exempt_paths=["/health"])

    async with websocket(guarded, "/health", scheme="ws") as session:
        assert session.denial is not None
        assert session.denial.status == 403
    async with websocket(guarded, scheme=ABSENT, can_deny=False) as session:
        assert session.close_code == 1008
    async with websocket(guarded, scheme="wss") as session:
        assert session.accepted is not None


@pytest.mark.parametrize("mode", ["redirect", "require"])
async def test_what_came_over_tls_passes(mode) -> None:
    """Whatever its host."""
    response = await call(HTTPSMiddleware(app, mode=mode), scheme="https", headers={"Host": "a/b@c"})

    assert response.body == b"the application"


# what may pass


@pytest.mark.parametrize("mode", ["redirect", "require"])
@pytest.mark.parametrize(
    ("path", "passes"),
    [
        ("/.well-known/acme-challenge/token", True),
        ("/health", True),
        ("/health/live", True),
        ("/healthy", False),
        ("/", False),
        ("/.well-known/acme-challenge/../../admin", False),
        ("/health/../admin", False),
        ("/health/..\\admin", False),
        ("//health", False),
    ],
)
async def test_exempt_paths_are_served_in_the_clear(mode, path, passes) -> None:
    """Certificate authorities and health checks have no other way; nothing else borrows theirs."""
    response = await ask(path, mode=mode, exempt_paths=["/.well-known/acme-challenge/", "/health"])

    assert (response.status == 200) == passes


async def test_a_certificate_can_be_had_by_default() -> None:
    """Without it there will never be HTTPS."""
    assert (await ask("/.well-known/acme-challenge/token")).status == 200


# proxies


@pytest.mark.parametrize(
    "said",
    [
        {"X-Forwarded-Proto": "https, http"},
        {"Forwarded": "for=203.0.113.9;proto=https"},
        {"Forwarded": 'for=203.0.113.9;proto="HTTPS";host=shop.example, for=10.0.0.1;proto=http'},
    ],
    ids=str,
)
async def test_an_undeclared_proxy_is_no_endless_loop(said, caplog) -> None:
    """It ended TLS, and would bring each redirect back: the log says so, once."""
    guarded = HTTPSMiddleware(app)

    with caplog.at_level(logging.ERROR, "asgi_guard"):
        for _ in range(3):
            response = await call(guarded, headers={"Host": "shop.example", **said})
            assert response.status == 403

    assert len(caplog.records) == 1
    assert "client_address=['198.51.100.7']" in caplog.text


@pytest.mark.parametrize(
    "said",
    [{"X-Forwarded-Proto": "http"}, {"Forwarded": "for=203.0.113.9;proto=http"}, {"Forwarded": "https"}],
    ids=str,
)
async def test_a_proxy_that_says_http_is_redirected(said) -> None:
    """The client came in the clear."""
    response = await call(HTTPSMiddleware(app), headers={"Host": "shop.example", **said})

    assert response.status == 308


# what is told


async def test_listeners_hear_of_it() -> None:
    """Of a redirect, too: the request was not let through."""
    events = capture_events()

    await call(HTTPSMiddleware(app, listeners=[events]), headers={"Host": "shop.example"})
    await call(HTTPSMiddleware(app, mode="require", listeners=[events]))

    assert [(event.status, event.code) for event in events] == [(308, ""), (403, "HTTPS_REQUIRED")]


def test_it_says_what_it_refuses() -> None:
    """A line each, for `explain()`."""
    for fields, statuses in (
        ({}, ["308", "403", "400"]),
        ({"hosts": ["shop.example"], "exempt_paths": []}, ["308", "403", "400"]),
        ({"mode": "require"}, ["403"]),
    ):
        (layer,) = HTTPSMiddleware(app, **fields).layers
        lines = list(layer.refusals())
        assert [line.split()[0] for line in lines] == statuses
        assert ("under /.well-known/acme-challenge/" in lines[0]) is ("exempt_paths" not in fields)
        assert ("in `hosts`" in lines[-1]) is ("hosts" in fields)


# settings


@pytest.mark.parametrize(
    ("fields", "problem_id"),
    [
        ({"mode": "force"}, "AG105"),
        ({"status": 302}, "AG370"),
        ({"status": "308"}, "AG370"),
        ({"status": 308.0}, "AG370"),
        ({"hosts": "shop.example"}, "AG106"),
        ({"hosts": []}, "AG106"),
        ({"hosts": ["https://shop.example"]}, "AG371"),
        ({"hosts": ["shop.example:443"]}, "AG371"),
        ({"hosts": ["Shop.example"]}, "AG371"),
        ({"hosts": ["*"]}, "AG371"),
        ({"hosts": ["www.*.example"]}, "AG371"),
        ({"exempt_paths": "/health"}, "AG106"),
        ({"exempt_paths": ["health"]}, "AG372"),
        ({"exempt_paths": ["/"]}, "AG372"),
        ({"exempt_paths": ["/health/*"]}, "AG372"),
        ({"exempt_paths": ["/shops/{id}"]}, "AG372"),
        ({"port": 0}, "AG101"),
        ({"port": "443"}, "AG101"),
    ],
    ids=str,
)
def test_settings_that_cannot_work_do_not_start(fields, problem_id) -> None:
    """A redirect to nowhere is an outage."""
    with pytest.raises(ConfigError) as caught:
        HTTPS(**fields)
    assert [problem.id for problem in caught.value.problems] == [problem_id]


# the rules of ASGI


async def test_it_keeps_the_rules() -> None:
    """Every rule of the kit that applies, for what passes and for what is refused.

    A handshake without a scheme (rule 604) is refused on purpose: nothing says that it is secure.
    """

    def refusing(inner: Any) -> Any:
        guarded = HTTPSMiddleware(inner, mode="require")

        async def in_the_clear(scope: Any, receive: Any, send: Any) -> None:
            await guarded(scope if scope["type"] == "lifespan" else {**scope, "scheme": "http"}, receive, send)

        return in_the_clear

    wrap = partial(HTTPSMiddleware, exempt_paths=["/open"])
    request = {"scheme": "https", "path": "/open"}
    expectations = Expectations(answers_errors=False, request=request, refusing=refusing)
    rules = [rule for rule in RULES if rule.number != 604]
    (await check_middleware(wrap, expectations, rules=rules)).raise_for_failures()
