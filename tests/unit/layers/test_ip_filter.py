"""The IP filter: refused by address, whatever its spelling, and whatever stands in between."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from asgi_guard import ConfigError, Guard, Middleware, RateLimitMiddleware, RequestRefused
from asgi_guard.bans import BanAfter, Bans
from asgi_guard.layers.client_address import ClientAddressMiddleware
from asgi_guard.layers.ip_filter import IPFilter, IPFilterLayer, IPFilterMiddleware
from asgi_guard.testing import Expectations, ManualClock, call, capture_events, check_middleware, websocket

pytestmark = pytest.mark.anyio


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Answer whatever is asked."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def status_of(app: Any, client: Any = ("198.51.100.7", 1), path: str = "/", **request: Any) -> int:
    """Send one request, and say what the answer is."""
    return (await call(app, path=path, client=client, **request)).status


@pytest.mark.parametrize(
    ("settings", "client", "status"),
    [
        ({}, ("198.51.100.7", 1), 200),
        ({}, None, 200),
        ({"block": ["198.51.100.0/24"]}, ("198.51.100.7", 1), 403),
        ({"block": ["198.51.100.0/24"]}, ("::ffff:198.51.100.7", 1), 403),
        ({"block": ["198.51.100.0/24"]}, ("::FFFF:C633:6407", 1), 403),
        ({"block": ["198.51.100.0/24"]}, ["198.51.100.7", 1], 403),
        ({"block": ["198.51.100.0/24"]}, ("203.0.113.9", 1), 200),
        ({"block": ["198.51.100.0/24"]}, None, 200),
        ({"block": ["unix:"]}, None, 403),
        ({"block": ["2001:db8::/32"]}, ("2001:DB8::1%eth0", 1), 403),
        ({"allow": ["198.51.100.0/24"]}, ("198.51.100.7", 1), 200),
        ({"allow": ["198.51.100.0/24"]}, ("203.0.113.9", 1), 403),
        ({"allow": ["198.51.100.0/24"]}, None, 403),
        ({"allow": ["198.51.100.0/24"]}, ("testclient", 1), 403),
        ({"allow": ["198.51.100.0/24"]}, ("", "0"), 403),
        ({"allow": ["unix:"]}, ("", "0"), 200),
        ({"allow": ["198.51.100.0/24"], "block": ["198.51.100.7"]}, ("198.51.100.7", 1), 403),
        ({"allow": ["198.51.100.0/24"], "block": ["198.51.100.7"]}, ("198.51.100.8", 1), 200),
    ],
)
async def test_the_lists_say_who_may_ask(settings, client, status) -> None:
    """The block list has the last word; whose address is not known is not allowed."""
    assert await status_of(IPFilterMiddleware(greet, **settings), client) == status


async def test_the_address_is_that_of_the_client_behind_the_proxy() -> None:
    """And not what the client says of itself."""
    app = ClientAddressMiddleware(IPFilterMiddleware(greet, block=["198.51.100.7"]), trusted=["10.0.0.1"])

    for line, status in {"198.51.100.7": 403, "203.0.113.9": 200, "203.0.113.9, 198.51.100.7": 403}.items():
        assert await status_of(app, ("10.0.0.1", 1), headers={"X-Forwarded-For": line}) == status


async def test_a_websocket_is_refused_as_well() -> None:
    """The handshake is a request."""
    async with websocket(IPFilterMiddleware(greet, block=["198.51.100.7"])) as session:
        assert session.denial is not None
        assert session.denial.status == 403


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/admin", 403),
        ("/admin/users", 403),
        ("//admin", 403),
        ("/public/../admin", 403),
        ("/administrator", 200),
        ("/", 200),
    ],
)
async def test_the_lists_can_be_for_some_paths_only(path, status) -> None:
    """Another spelling of such a path is no way around."""
    app = IPFilterMiddleware(greet, allow=["10.0.0.0/8"], paths=["/admin"])

    assert await status_of(app, path=path) == status


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"block": ["198.51.100.7"]}, "ADDRESS_BLOCKED"),
        ({"allow": ["10.0.0.0/8"]}, "ADDRESS_NOT_ALLOWED"),
        ({"bans": True}, "ADDRESS_BANNED"),
    ],
)
async def test_listeners_learn_why(settings, code) -> None:
    """And the client learns no more than that."""
    if "bans" in settings:
        settings = {"bans": Bans()}
        settings["bans"].ban("198.51.100.7", 60, "a reason of ours")
    app = IPFilterMiddleware(greet, **settings, listeners=[events := capture_events()])

    response = await call(app)

    (event,) = events.of(RequestRefused)
    assert (event.status, event.code, event.client) == (403, code, "198.51.100.7")
    assert response.json()["error"]["code"] == code
    assert b"198.51" not in response.body
    assert b"reason" not in response.body


# at run time


async def test_lists_are_replaced_while_the_application_runs() -> None:
    """Both at once, in every application that has the settings."""
    settings = IPFilter(block=["198.51.100.7"])
    apps = [IPFilterMiddleware(greet, settings), IPFilterMiddleware(greet, settings)]
    assert [await status_of(app) for app in apps] == [403, 403]

    settings.replace(allow=["198.51.100.0/24"])

    assert [await status_of(app) for app in apps] == [200, 200]
    assert [await status_of(app, ("203.0.113.9", 1)) for app in apps] == [403, 403]
    assert settings == IPFilter(allow=["198.51.100.0/24"])
    settings.replace()
    assert [await status_of(app, ("203.0.113.9", 1)) for app in apps] == [200, 200]


@pytest.mark.parametrize("lists", [{"block": ["10.0.0.1/8"]}, {"allow": []}, {"allow": ["x"], "block": ["y"]}])
async def test_a_wrong_list_changes_nothing(lists) -> None:
    """Half a change would be none that anybody wanted."""
    settings = IPFilter(block=["198.51.100.7"])

    with pytest.raises(ConfigError):
        settings.replace(**lists)

    assert await status_of(IPFilterMiddleware(greet, settings)) == 403
    assert settings == IPFilter(block=["198.51.100.7"])


async def test_a_banned_client_is_refused_until_the_ban_ends() -> None:
    """On every path, and though it is on the allow list."""
    clock = ManualClock()
    bans = Bans(clock=clock)
    app = IPFilterMiddleware(greet, allow=["198.51.100.7"], paths=["/admin"], bans=bans)

    bans.ban("198.51.100.7", 60)
    assert [await status_of(app, path=path) for path in ("/", "/admin")] == [403, 403]
    clock.advance(60)
    assert [await status_of(app, path=path) for path in ("/", "/admin")] == [200, 200]


async def test_whoever_is_refused_too_often_is_banned() -> None:
    """A listener hears of the refusals of the rate limit, and bans."""
    clock = ManualClock()
    bans = Bans(clock=clock)
    escalation = BanAfter(bans, refusals=3, ban_seconds=60, clock=clock)
    app = IPFilterMiddleware(RateLimitMiddleware(greet, "2/hour", listeners=[escalation]), bans=bans)

    assert [await status_of(app) for _ in range(7)] == [200, 200, 429, 429, 429, 403, 403]
    assert await status_of(app, ("203.0.113.9", 1)) == 200
    clock.advance(60)
    assert await status_of(app) == 429


async def test_it_fuses_with_the_rest() -> None:
    """A guard inside of it is one object with it."""
    app = IPFilterMiddleware(Guard(greet), block=["198.51.100.7"])

    assert isinstance(app, Middleware)
    assert app.layers[0].name == "ip_filter"
    assert await status_of(app) == 403


# settings


@pytest.mark.parametrize(
    ("settings", "problem", "remedy"),
    [
        ({"allow": []}, "AG320", "write None"),
        ({"allow": ["10.0.0.1/8"]}, "AG301", "10.0.0.0/8"),
        ({"block": ["office.example.com"]}, "AG302", "Write its addresses"),
        ({"block": ["*"]}, "AG300", "0.0.0.0/0"),
        ({"block": "10.0.0.0/8"}, "AG106", "['10.0.0.0/8']"),
        ({"paths": ["admin"]}, "AG321", "'/admin'"),
        ({"paths": "/admin"}, "AG106", "['/admin']"),
        ({"bans": ["10.0.0.1"]}, "AG322", "bans=Bans()"),
    ],
)
def test_settings_that_cannot_work_do_not_start(settings, problem, remedy) -> None:
    """With the remedy."""
    with pytest.raises(ConfigError) as caught:
        IPFilter(**settings)

    (found,) = caught.value.problems
    assert found.id == problem
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ({}, []),
        ({"block": ["10.0.0.0/8", "::1"]}, ["403 for 2 blocked addresses and networks"]),
        (
            {"allow": ["::1"], "paths": ["/a", "/b"], "bans": Bans()},
            ["403 for clients that are banned", "403 for all but 1 addresses and networks under /a, /b"],
        ),
        (
            {"ban_after": "20/minute", "ban_layers": ["rate_limit", "validation"]},
            ["403 for clients that are banned, as after 20/minute refusals by rate_limit, validation"],
        ),
    ],
)
def test_it_says_what_it_refuses(settings, lines) -> None:
    """For `explain()`."""
    assert list(IPFilterLayer(IPFilter(**settings)).refusals()) == lines


async def test_it_keeps_the_rules() -> None:
    """Every rule of the conformance kit that applies."""
    refusing = partial(IPFilterMiddleware, block=["0.0.0.0/0", "::/0", "unix:"])
    report = await check_middleware(IPFilterMiddleware, Expectations(answers_errors=False, refusing=refusing))

    report.raise_for_failures()
