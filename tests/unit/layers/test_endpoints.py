"""The endpoints: everything for those who may see it, a bare status for anybody else, and the rest is not there."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from anyio.lowlevel import checkpoint

from asgi_guard import ConfigError, Guard
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.replies import Reply
from asgi_guard.layers.client_address import ClientAddressMiddleware
from asgi_guard.layers.endpoints import Endpoints, EndpointsLayer, EndpointsMiddleware
from asgi_guard.monitor.health import MAX_CHECKS, HealthCheck
from asgi_guard.testing import Expectations, Response, call, check_middleware, lifespan, websocket

pytestmark = pytest.mark.anyio

TOKEN = "correct-horse-battery"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}
STRANGER = ("198.51.100.7", 1)
HERE = ("127.0.0.1", 1)
FOUND = 218
"""The status with which the application answers nearly everywhere."""


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answer whatever is asked; nothing is to be found at two of the paths, and one is closed."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    status = {"/health": 404, "/metrics": 404, "/livez": 403}.get(scope["path"], FOUND)
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else b"of the application"})


async def everywhere(scope: Any, receive: Any, send: Any) -> None:
    """Answer at every path."""
    await application({**scope, "path": "/"} if "path" in scope else scope, receive, send)


async def exposition(accept: bytes) -> tuple[bytes, bytes]:
    """Tell what was accepted."""
    return b"text/plain; version=0.0.4", b"accepts " + accept


async def summary(request: Any) -> Reply:
    """Be a page of another part."""
    return Reply(200, body=request.path.encode(), content_type=b"text/plain")


def passes() -> None:
    """Be well."""


async def fails() -> None:
    """Be unwell, and say too much."""
    raise ConnectionError("redis://user:hunter2@cache:6379 is away")


def guarded(app: Any = everywhere, **fields: Any) -> EndpointsMiddleware:
    """Make the middleware with everything there is."""
    return EndpointsMiddleware(app, exposition=exposition, pages={"/summary": summary}, **fields)


async def sees(app: Any, path: str, client: Any = STRANGER, **request: Any) -> str:
    """Ask, and say how much there was to see: all, the bare status, or what the application has."""
    response = await call(app, path=path, client=client, **request)
    if response.status == FOUND:
        return "application"
    assert response.headers.get("cache-control") == "no-store" or path.endswith("/summary")
    return "status" if response.body in {b'{"status": "pass"}', b'{"status": "fail"}'} else "all"


# who sees what


@pytest.mark.parametrize(
    ("headers", "may_see"),
    [
        (SHOWN, True),
        ({"Authorization": f"bearer {TOKEN}"}, True),
        ({"Authorization": f"BEARER  {TOKEN}"}, True),
        ({}, False),
        ({"Authorization": ""}, False),
        ({"Authorization": "Bearer"}, False),
        ({"Authorization": "Bearer "}, False),
        ({"Authorization": TOKEN}, False),
        ({"Authorization": f"Basic {TOKEN}"}, False),
        ({"Authorization": f"Bearer{TOKEN}"}, False),
        ({"Authorization": f"Bearer {TOKEN[:-1]}"}, False),
        ({"Authorization": f"Bearer {TOKEN}x"}, False),
        ({"Authorization": f"Bearer {TOKEN.upper()}"}, False),
        ({"Authorization": f"Bearer {TOKEN},{TOKEN}"}, False),
        ({"Authorization": "Bearer \xff\x80"}, False),
        ([(b"authorization", b"Bearer wrong-wrong-wrong"), (b"authorization", b"Bearer " + TOKEN.encode())], False),
        ([(b"authorization", b"Bearer " + TOKEN.encode()), (b"authorization", b"Basic YTpi")], False),
        ({"X-Token": TOKEN}, False),
        ({"Cookie": f"token={TOKEN}"}, False),
    ],
    ids=range(19),
)
async def test_whoever_shows_the_token_sees_everything(headers, may_see) -> None:
    """In the one header, whole, and alone; to anybody else the rest is not there."""
    app = guarded(token=TOKEN, checks=[HealthCheck("db", passes)])
    seen = {path: await sees(app, path, headers=headers) for path in ("/health", "/readyz", "/metrics", "/summary")}

    health, rest = ("all", "all") if may_see else ("status", "application")
    assert seen == {"/health": health, "/readyz": health, "/metrics": rest, "/summary": rest}


@pytest.mark.parametrize("query", [f"token={TOKEN}", f"access_token={TOKEN}"])
async def test_a_token_in_the_query_is_none(query) -> None:
    """It would stand in every log on the way."""
    assert await sees(guarded(token=TOKEN), f"/metrics?{query}") == "application"


@pytest.mark.parametrize(
    ("allowed", "client", "may_see"),
    [
        ([], STRANGER, False),
        ([], HERE, False),
        ([], None, False),
        (["198.51.100.0/24"], STRANGER, True),
        (["198.51.100.0/24"], ("::ffff:198.51.100.7", 1), True),
        (["198.51.100.0/24"], ("::ffff:c633:6407", 1), True),
        (["198.51.100.0/24"], ("203.0.113.9", 1), False),
        (["198.51.100.0/24"], ("testclient", 1), False),
        (["198.51.100.0/24"], None, False),
        (["2001:db8::/32"], ("2001:DB8::1%eth0", 1), True),
        (["unix:"], None, True),
        (["unix:"], STRANGER, False),
    ],
)
async def test_listed_addresses_see_everything(allowed, client, may_see) -> None:
    """In whatever way a server writes them; whose address is not known is not listed."""
    app = guarded(allowed=allowed)

    assert await sees(app, "/metrics", client) == ("all" if may_see else "application")


async def test_the_address_is_that_of_the_client_behind_the_proxy() -> None:
    """And not that of the proxy, nor what a client says of itself."""
    app = ClientAddressMiddleware(guarded(allowed=["198.51.100.7", "10.0.0.1"]), trusted=["10.0.0.1"])
    told = partial(sees, app, "/metrics")

    assert await told(("10.0.0.1", 1), headers={"X-Forwarded-For": "198.51.100.7"}) == "all"
    assert await told(("10.0.0.1", 1), headers={"X-Forwarded-For": "203.0.113.9"}) == "application"
    assert await told(("203.0.113.9", 1), headers={"X-Forwarded-For": "198.51.100.7"}) == "application"


@pytest.mark.parametrize(
    ("client", "headers", "may_see"),
    [
        (HERE, {}, True),
        (("127.1.2.3", 1), {}, True),
        (("::1", 1), {}, True),
        (("::ffff:127.0.0.1", 1), {}, True),
        (STRANGER, {}, False),
        (("10.0.0.1", 1), {}, False),
        (("localhost", 1), {}, False),
        (("", 0), {}, False),
        (None, {}, False),
        (HERE, {"Forwarded": "for=198.51.100.7"}, False),
        (HERE, {"X-Forwarded-For": "198.51.100.7"}, False),
        (HERE, {"X-Forwarded-For": "127.0.0.1"}, False),
        (HERE, {"X-Forwarded-For": ""}, False),
        (HERE, {"X-Forwarded-Proto": "https"}, False),
        (HERE, {"X-Forwarded-Host": "example.com"}, False),
        (HERE, {"X-FORWARDED-ANYTHING": "1"}, False),
        (HERE, {"X-Real-IP": "198.51.100.7"}, False),
        (HERE, {"Via": "1.1 proxy"}, False),
        (STRANGER, {"X-Forwarded-For": "127.0.0.1"}, False),
        (HERE, {"Host": "localhost:8000"}, True),
        (HERE, {"Host": "LOCALHOST."}, True),
        (HERE, {"Host": "app.localhost:8000"}, True),
        (HERE, {"Host": "127.0.0.1:8000"}, True),
        (HERE, {"Host": "[::1]:8000"}, True),
        (HERE, {"Host": "rebound.example.com:8000"}, False),
        (HERE, {"Host": "localhost.example.com"}, False),
        (HERE, {"Origin": "https://evil.example"}, False),
        (HERE, {"Sec-Fetch-Site": "cross-site"}, False),
        (HERE, {"Sec-Fetch-Site": "same-site"}, False),
        (HERE, {"Sec-Fetch-Site": "none"}, True),
        (HERE, {"Sec-Fetch-Site": "same-origin"}, True),
        (HERE, {"CF-Connecting-IP": "203.0.113.7"}, False),
        (HERE, {"True-Client-IP": "203.0.113.7"}, False),
        (HERE, {"X_Forwarded_For": "203.0.113.7"}, False),
        (HERE, [("Host", "localhost"), ("Host", "evil.example")], False),
        (HERE, {"Host": "127.0.0.1.example.com"}, False),
    ],
)
async def test_this_machine_sees_everything_where_that_is_allowed(client, headers, may_see) -> None:
    """Unless somebody may have sent it on, or a name that leads here has brought a browser."""
    assert await sees(guarded(local=True), "/metrics", client, headers=headers) == ("all" if may_see else "application")
    assert await sees(guarded(), "/metrics", client, headers=headers) == "application"


async def test_a_trusted_proxy_on_this_machine_is_not_this_machine() -> None:
    """Whatever address it has found for the client."""
    app = ClientAddressMiddleware(guarded(local=True), trusted=["127.0.0.1"])

    for address in ("198.51.100.7", "127.0.0.1"):
        assert await sees(app, "/metrics", HERE, headers={"X-Forwarded-For": address}) == "application"
    assert await sees(app, "/metrics", HERE) == "all"


async def test_a_stranger_learns_no_more_than_the_status() -> None:
    """Nor may it leave checks out, since the status would tell then which of them fails."""
    app = guarded(token=TOKEN, checks=[HealthCheck("cache", fails), HealthCheck("mail", fails, required=False)])

    for query in ("", "?verbose", "?exclude=cache", "?tag=none", "?verbose&exclude=cache"):
        for path in ("/health", "/readyz"):
            response = await call(app, path=path + query)
            assert (response.status, response.body) == (503, b'{"status": "fail"}')
        assert (await call(app, path=f"/livez{query}")).body == b'{"status": "pass"}'


@pytest.mark.parametrize(
    ("settings", "client", "times"),
    [
        (Endpoints(), ("127.0.0.1", 50_000), 1),
        (Endpoints(), ("203.0.113.7", 50_000), 0),
        (Endpoints(local=True), ("127.0.0.1", 50_000), 0),
        (Endpoints(token="t" * 16), ("127.0.0.1", 50_000), 0),
    ],
    ids=["on this machine", "from elsewhere", "which may see", "who may show a token"],
)
async def test_whoever_works_on_this_machine_is_told_once_that_nobody_may_see(settings, client, times, caplog) -> None:
    """A page that README tells of, and that is not there, is a riddle; strangers make no line of it."""
    app = Guard(application, endpoints=settings, monitor=False)
    for path in ("/items", "/health", "/metrics", "/performance", "/metrics"):
        await call(app, path=path, headers={"host": "127.0.0.1:8000"}, client=client)

    said = [record.getMessage() for record in caplog.records if "nobody may see" in record.getMessage()]
    assert [line.partition(" ")[0] for line in said] == ["/metrics"] * times


async def test_a_stranger_is_not_told_of_warnings() -> None:
    """They are details, too."""
    app = guarded(token=TOKEN, checks=[HealthCheck("mail", fails, required=False)])

    assert (await call(app, path="/health")).json() == {"status": "pass"}
    assert (await call(app, path="/health", headers=SHOWN)).json()["status"] == "warn"


# what there is to see


async def full(app: Any, path: str, **headers: str) -> Response:
    """Ask with the token."""
    return await call(app, path=path, headers={**SHOWN, **headers})


@pytest.mark.parametrize(
    ("checks", "warnings", "status", "word"),
    [
        ([], [], 200, "pass"),
        ([HealthCheck("db", passes)], [], 200, "pass"),
        ([HealthCheck("db", passes), HealthCheck("cache", fails)], [], 503, "fail"),
        ([HealthCheck("db", passes), HealthCheck("cache", fails, required=False)], [], 200, "warn"),
        ([HealthCheck("db", passes)], ["error rate over 5 %"], 200, "warn"),
    ],
    ids=["none", "pass", "fail", "optional", "warning"],
)
async def test_only_what_is_required_fails(checks, warnings, status, word) -> None:
    """A warning is for people: no machine is to restart anything for it."""
    app = guarded(token=TOKEN, checks=checks, warnings=[lambda: warnings])

    for path in ("/health", "/readyz"):
        response = await full(app, path)
        assert (response.status, response.json()["status"]) == (status, word)
    assert (await full(app, "/livez")).status == 200
    assert (await full(app, "/livez")).json() == {"status": "pass"}


async def test_the_failure_is_told_without_the_password() -> None:
    """Whoever may see everything is not to know this."""
    app = guarded(token=TOKEN, checks=[HealthCheck("cache", fails)])

    for query in ("", "?verbose"):
        body = (await full(app, f"/health{query}")).body
        assert b"redis://***@cache:6379 is away" in body
        assert b"hunter2" not in body


@pytest.mark.parametrize(
    ("query", "accept", "content_type"),
    [
        ("", "*/*", "application/json"),
        ("", "application/health+json", "application/health+json"),
        ("", "text/html, Application/Health+JSON;q=0.9", "application/health+json"),
        ("?verbose", "application/health+json", "text/plain; charset=utf-8"),
        ("?verbose=1", "*/*", "text/plain; charset=utf-8"),
    ],
)
async def test_it_is_told_as_was_asked_for(query, accept, content_type) -> None:
    """For monitors, programs and people."""
    app = guarded(token=TOKEN, checks=[HealthCheck("db", passes)])

    response = await full(app, f"/health{query}", Accept=accept)

    assert response.headers.get("content-type") == content_type
    if query:
        assert response.body == b"[+]db ok\nstatus pass\n"
    else:
        assert list(json.loads(response.body)["checks"]) == ["db:responseTime"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("verbose", ["db", "cache", "mail"]),
        ("verbose&exclude=cache", ["db", "mail"]),
        ("verbose&exclude=cache&exclude=db", ["mail"]),
        ("verbose&tag=own", ["db", "cache"]),
        ("verbose&exclude=" + "x" * 2_000 + "&exclude=db", ["db", "cache", "mail"]),
        ("verbose&%FF=%&&=;&exclude", ["db", "cache", "mail"]),
    ],
    ids=range(6),
)
async def test_checks_can_be_left_out(query, names) -> None:
    """By those who may see them; no more of a query is read than its first 1,024 bytes."""
    checks = [HealthCheck("db", passes, tags=["own"]), HealthCheck("cache", fails, tags=["own"])]
    app = guarded(token=TOKEN, checks=[*checks, HealthCheck("mail", passes)])

    lines = (await full(app, f"/readyz?{query}")).body.decode().splitlines()

    assert [line[3:].split()[0] for line in lines[:-1]] == names


async def test_pages_of_other_parts_are_served() -> None:
    """The metrics with what the client accepts; any other as it answers."""
    app = guarded(token=TOKEN)

    metrics = await full(app, "/metrics", Accept="application/openmetrics-text")
    assert (metrics.status, metrics.body) == (200, b"accepts application/openmetrics-text")
    assert metrics.headers.get("content-type") == "text/plain; version=0.0.4"
    assert (await full(app, "/summary?window=60")).body == b"/summary"


async def test_metrics_that_nobody_writes_are_not_there() -> None:
    """Not even for those who may see everything."""
    assert (await full(EndpointsMiddleware(everywhere, token=TOKEN), "/metrics")).status == FOUND


# methods and paths


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/metrics", "/summary"])
async def test_it_can_be_read_and_nothing_else(path) -> None:
    """HEAD is GET without the body; strangers' other methods are the application's."""
    app = guarded(token=TOKEN)

    head = await call(app, "HEAD", path, headers=SHOWN)
    assert (head.status, head.body) == (200, b"")
    assert head.headers.get("content-length") == str(len((await full(app, path)).body))
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"):
        response = await call(app, method, path, headers=SHOWN)
        assert (response.status, response.headers.get("allow")) == (405, "GET, HEAD")
        assert (await call(app, method, path)).status == FOUND


@pytest.mark.parametrize(
    ("fields", "there"),
    [
        ({}, {"/health", "/livez", "/readyz", "/metrics", "/summary"}),
        (
            {"prefix": "/internal"},
            {"/internal/health", "/internal/livez", "/internal/readyz", "/internal/metrics", "/internal/summary"},
        ),
        ({"health": "/ping", "livez": None, "readyz": None, "metrics": "/a/b"}, {"/ping", "/a/b", "/summary"}),
    ],
    ids=["default", "prefix", "moved"],
)
async def test_paths_are_moved_and_switched_off(fields, there) -> None:
    """Only these very paths are ours; no other spelling of them."""
    app = guarded(token=TOKEN, **fields)
    known = {"/health", "/livez", "/readyz", "/metrics", "/summary", "/ping", "/a/b"}
    asked = {f"{prefix}{path}" for prefix in ("", "/internal") for path in known}

    assert {path for path in asked if (await full(app, path)).status != FOUND} == there
    for path in ("/health/", "//health", "/Health", "/health/x", "/healthy", "/x/health", "/", "/internal"):
        assert (await full(app, path)).status == FOUND


@pytest.mark.parametrize(
    ("root_path", "path", "seen"),
    [
        ("", "/health", "status"),
        ("/api", "/api/health", "status"),
        ("/api/", "/api/health", "status"),
        ("/api", "/health", "status"),
        ("/api", "/apihealth", "application"),
        ("/api", "/other/health", "application"),
    ],
)
async def test_paths_begin_where_the_application_is_mounted(root_path, path, seen) -> None:
    """As frameworks route them."""
    assert await sees(guarded(), path, root_path=root_path) == seen


async def test_a_websocket_is_the_applications() -> None:
    """At any path."""
    async with websocket(guarded(), "/health") as session:
        assert session.denial is None


@pytest.mark.parametrize(
    ("path", "headers", "first", "last"),
    [
        ("/health", {}, 200, 200),
        ("/readyz", {}, FOUND, 200),
        ("/livez", {}, 403, 200),
        ("/metrics", {}, 404, 404),
        ("/metrics", SHOWN, 200, 200),
        ("/summary", SHOWN, FOUND, 200),
    ],
)
async def test_a_setting_says_who_wins(path, headers, first, last) -> None:
    """The application, where it has something there; or the endpoints."""
    asked = {"path": path, "headers": headers}

    assert (await call(guarded(application, token=TOKEN, app_wins=True), **asked)).status == first
    assert (await call(guarded(application, token=TOKEN), **asked)).status == last


async def test_the_answer_in_the_place_of_a_404_is_whole() -> None:
    """With its own head; and nothing of the kind happens elsewhere."""
    app = guarded(application, token=TOKEN, app_wins=True, checks=[HealthCheck("cache", fails)])

    response = await call(app, path="/health")
    assert (response.status, response.body) == (503, b'{"status": "fail"}')
    assert response.headers.get("content-length") == "18"
    assert (await call(app, "HEAD", "/health")).status == 503
    assert (await call(app, "POST", "/health")).status == 404
    assert (await call(app, "POST", "/health", headers=SHOWN)).status == 405


# the life of the application


async def statuses(app: Any) -> list[int]:
    """Ask all that tell how the application is."""
    return [(await call(app, path=path)).status for path in ("/livez", "/health", "/readyz")]


async def test_an_application_is_ready_from_its_start_to_its_end() -> None:
    """While it starts and shuts down it lives, and is not ready; without a lifespan it is ready at once."""
    seen: list[tuple[str, list[int]]] = []

    async def asks(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await application(scope, receive, send)
            return
        for kind in ("startup", "shutdown"):
            await receive()
            seen.append((kind, await statuses(app)))
            await send({"type": f"lifespan.{kind}.complete"})

    app = guarded(asks, token=TOKEN)

    assert await statuses(app) == [200, 200, 200]
    for _ in range(2):
        async with lifespan(app):
            assert await statuses(app) == [200, 200, 200]
        assert await statuses(app) == [200, 200, 503]
    assert seen == [("startup", [200, 200, 503]), ("shutdown", [200, 200, 503])] * 2
    assert b"[-]lifecycle failed: the application is draining" in (await full(app, "/readyz?verbose")).body


async def raises(scope: Any, receive: Any, send: Any) -> None:
    """Know no lifespan, and say so."""
    raise ValueError(scope["type"])


async def returns(scope: Any, receive: Any, send: Any) -> None:
    """Know no lifespan, and say nothing."""


@pytest.mark.parametrize("knows_none", [raises, returns])
async def test_an_application_without_a_lifespan_is_ready(knows_none) -> None:
    """Servers begin one with every application, and serve it all the same."""
    app = guarded(knows_none)

    async def begin() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    with suppress(ValueError):
        await app({"type": "lifespan", "asgi": {"version": "3.0"}}, begin, checkpoint)

    assert await statuses(app) == [200, 200, 200]


async def test_a_state_outlives_other_settings() -> None:
    """Who is draining goes on with that."""
    before, after = EndpointsLayer(Endpoints()), EndpointsLayer(Endpoints(token=TOKEN))
    before.health.state = "draining"

    after.take_over(before)
    after.take_over(Layer())  # has none

    assert after.health.state == "draining"


# settings


@pytest.mark.parametrize(
    ("fields", "problem", "remedy"),
    [
        ({"token": ""}, "AG820", "token_urlsafe"),
        ({"token": "fifteen-letters"}, "AG820", "token_urlsafe"),
        ({"token": "x" * 513}, "AG820", "token_urlsafe"),
        ({"token": "sixteen letters!"}, "AG820", "token_urlsafe"),
        ({"token": b"sixteen-letters-"}, "AG820", "token_urlsafe"),
        ({"allowed": ["office.example.com"]}, "AG302", "Write its addresses"),
        ({"allowed": "10.0.0.0/8"}, "AG106", "brackets"),
        ({"local": "false"}, "AG103", "without quotes"),
        ({"app_wins": 1}, "AG103", "without quotes"),
        ({"prefix": "internal"}, "AG821", '"/prefix"'),
        ({"prefix": "/internal/"}, "AG821", '"/prefix"'),
        ({"health": "health"}, "AG821", '"/health"'),
        ({"health": ""}, "AG821", '"/health"'),
        ({"health": "/"}, "AG821", '"/health"'),
        ({"metrics": "/metrics?all"}, "AG821", '"/metrics"'),
        ({"livez": True}, "AG821", '"/livez"'),
        ({"health": "/x", "livez": "/x"}, "AG822", "another path"),
        ({"checks": HealthCheck("db", passes)}, "AG823", "HealthCheck("),
        ({"checks": [passes]}, "AG823", "HealthCheck("),
        ({"checks": [HealthCheck("db", passes)] * 2}, "AG823", "Rename"),
        ({"checks": [HealthCheck(f"c{number}", passes) for number in range(MAX_CHECKS + 1)]}, "AG823", "in one"),
    ],
    ids=range(21),
)
def test_settings_that_cannot_work_do_not_start(fields, problem, remedy) -> None:
    """With the remedy; a token is not shown, however wrong it is."""
    with pytest.raises(ConfigError) as caught:
        Endpoints(**fields)

    (found,) = caught.value.problems
    assert found.id == problem
    assert remedy in found.remedy
    if fields.get("token"):
        assert str(fields["token"]) not in str(caught.value)


def test_a_token_is_not_shown() -> None:
    """Wherever settings are: also in those of somebody else that hold them."""
    settings = Endpoints(token=TOKEN)

    assert TOKEN not in f"{settings!r} {settings} {[settings.token]} {vars(EndpointsLayer(settings))['settings']}"
    assert "token=<hidden>" in repr(settings)
    assert settings == Endpoints(token=TOKEN)


async def test_it_fuses_with_the_rest() -> None:
    """A guard inside of it is one object with it."""
    app = guarded(Guard(application))

    assert isinstance(app, Middleware)
    assert app.layers[0].name == "endpoints"
    assert await sees(app, "/health") == "status"


@pytest.mark.parametrize("app_wins", [False, True])
async def test_it_keeps_the_rules(app_wins) -> None:
    """Every rule of the conformance kit that applies."""
    made = partial(EndpointsMiddleware, token=TOKEN, app_wins=app_wins)

    (await check_middleware(made, Expectations(answers_errors=False))).raise_for_failures()
