"""Fetch metadata: a page of another site may link here, and no more."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from asgi_guard import ConfigError, RequestRefused
from asgi_guard.events import RequestWouldBeRefused
from asgi_guard.layers.fetch_metadata import FetchMetadata, FetchMetadataLayer, FetchMetadataMiddleware
from asgi_guard.testing import Expectations, call, capture_events, check_middleware, websocket

pytestmark = pytest.mark.anyio

VARY = "Sec-Fetch-Dest, Sec-Fetch-Mode, Sec-Fetch-Site"


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Answer whatever is asked, with the Vary that the query asks for."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        return
    headers = [(b"vary", scope["query_string"])] if scope["query_string"] else []
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


def metadata(site: str | None, mode: str | None = None, dest: str | None = None) -> dict[str, str]:
    """Write the headers that a browser sends."""
    values = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
    return {name: value for name, value in values.items() if value is not None}


@pytest.mark.parametrize(
    ("method", "site", "mode", "dest", "status"),
    [
        ("GET", None, None, None, 200),
        ("POST", None, None, None, 200),
        ("GET", "none", "navigate", "document", 200),
        ("POST", "same-origin", "cors", "empty", 200),
        ("GET", "same-origin", "no-cors", "script", 200),
        ("POST", "same-site", "cors", "empty", 200),
        ("GET", "cross-site", "navigate", "document", 200),
        ("GET", "cross-site", "navigate", None, 200),
        ("POST", "cross-site", "navigate", "document", 403),
        ("PUT", "cross-site", "navigate", "document", 403),
        ("HEAD", "cross-site", "navigate", "document", 403),
        ("get", "cross-site", "navigate", "document", 403),
        ("GET", "cross-site", "navigate", "iframe", 403),
        ("GET", "cross-site", "navigate", "frame", 403),
        ("GET", "cross-site", "navigate", "embed", 403),
        ("GET", "cross-site", "navigate", "object", 403),
        ("GET", "cross-site", "no-cors", "script", 403),
        ("GET", "cross-site", "no-cors", "image", 403),
        ("GET", "cross-site", "no-cors", "document", 403),
        ("GET", "cross-site", "cors", "empty", 403),
        ("GET", "cross-site", None, None, 403),
        ("GET", "", None, None, 403),
        ("GET", "Same-Origin", None, None, 403),
        ("GET", "same-origin, cross-site", None, None, 403),
        ("GET", "something-new", "no-cors", "image", 403),
        ("GET", "something-new", "navigate", "document", 200),
    ],
)
async def test_the_resource_isolation_policy(method, site, mode, dest, status) -> None:
    """web.dev/fetch-metadata; what is not known is not taken for harmless."""
    response = await call(FetchMetadataMiddleware(greet), method, headers=metadata(site, mode, dest))

    assert response.status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (metadata("same-site", "cors", "empty"), 403),
        (metadata("same-site", "navigate", "document"), 200),
        (metadata("same-origin", "cors", "empty"), 200),
        (metadata("none", "navigate", "document"), 200),
    ],
)
async def test_the_same_site_can_be_kept_out_too(headers, status) -> None:
    """Where a host of one's own domain may be somebody else's."""
    assert (await call(FetchMetadataMiddleware(greet, same_site=False), headers=headers)).status == status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/public", 200),
        ("/public/logo.png", 200),
        ("/publication", 403),
        ("/public/../account", 403),
        ("/public//../../account", 403),
        ("/", 403),
    ],
)
async def test_some_paths_are_for_everybody(path, status) -> None:
    """But no other path in the spelling of one of these."""
    app = FetchMetadataMiddleware(greet, exempt_paths=["/public"])

    assert (await call(app, path=path, headers=metadata("cross-site", "no-cors", "image"))).status == status


@pytest.mark.parametrize(
    ("site", "mode", "is_refused"),
    [
        ("cross-site", "websocket", True),
        ("cross-site", "navigate", True),
        ("same-origin", "websocket", False),
        ("same-site", "websocket", False),
        (None, None, False),
    ],
)
async def test_a_cross_site_websocket_is_refused(site, mode, is_refused) -> None:
    """The browser sends cookies with the handshake, and asks nobody."""
    async with websocket(FetchMetadataMiddleware(greet), headers=metadata(site, mode)) as session:
        assert (session.denial is not None) is is_refused
        if session.denial is None:
            assert session.headers.get("vary") is None


@pytest.mark.parametrize(
    ("path", "settings", "vary"),
    [
        ("/", {}, VARY),
        ("/?Accept", {}, f"Accept, {VARY}"),
        ("/?sec-fetch-mode", {}, "sec-fetch-mode, Sec-Fetch-Dest, Sec-Fetch-Site"),
        ("/?*", {}, "*"),
        ("/public", {"exempt_paths": ["/public"]}, None),
        ("/", {"exempt_paths": ["/public"]}, VARY),
        ("/", {"shadow": True}, None),
    ],
)
async def test_an_answer_says_on_what_it_depends(path, settings, vary) -> None:
    """A cache would hand one site's answer to another."""
    response = await call(FetchMetadataMiddleware(greet, **settings), path=path)

    assert response.headers.get("vary") == vary


async def test_a_refusal_says_so_too() -> None:
    """Otherwise a cache would refuse everybody."""
    app = FetchMetadataMiddleware(greet, listeners=[events := capture_events()])

    response = await call(app, headers=metadata("cross-site"))

    assert VARY in (response.headers.get("vary") or "")
    assert response.json()["error"]["code"] == "CROSS_SITE_REQUEST"
    assert [event.code for event in events.of(RequestRefused)] == ["CROSS_SITE_REQUEST"]


async def test_in_shadow_mode_only_the_listeners_learn_of_it() -> None:
    """To see what would break before it does."""
    app = FetchMetadataMiddleware(greet, shadow=True, listeners=[events := capture_events()])

    assert (await call(app, headers=metadata("cross-site"))).status == 200
    assert [event.code for event in events.of(RequestWouldBeRefused)] == ["CROSS_SITE_REQUEST"]


@pytest.mark.parametrize(
    ("settings", "problem", "remedy"),
    [
        ({"exempt_paths": ["public"]}, "AG330", "'/public'"),
        ({"exempt_paths": "/public"}, "AG106", "['/public']"),
        ({"same_site": "yes"}, "AG103", ""),
        ({"shadow": None}, "AG103", ""),
    ],
)
def test_settings_that_cannot_work_do_not_start(settings, problem, remedy) -> None:
    """With the remedy."""
    with pytest.raises(ConfigError) as caught:
        FetchMetadata(**settings)

    (found,) = caught.value.problems
    assert found.id == problem
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "403 for what a page of another site starts, except GET navigations"),
        (
            {"same_site": False, "shadow": True, "exempt_paths": ["/a", "/b"]},
            (
                "403 would be answered (shadow) for what a page of another origin starts, except GET navigations and "
                "what is under /a, /b"
            ),
        ),
    ],
)
def test_it_says_what_it_refuses(settings, line) -> None:
    """For `explain()`."""
    assert list(FetchMetadataLayer(FetchMetadata(**settings)).refusals()) == [line]


async def test_it_keeps_the_rules() -> None:
    """Every rule of the conformance kit that applies."""

    def from_another_site(app: Any) -> Any:
        guarded = FetchMetadataMiddleware(app)

        async def browser(scope: Any, receive: Any, send: Any) -> None:
            await guarded({**scope, "headers": [*scope["headers"], (b"sec-fetch-site", b"cross-site")]}, receive, send)

        return browser

    report = await check_middleware(
        partial(FetchMetadataMiddleware, exempt_paths=["/nowhere"]),
        Expectations(answers_errors=False, refusing=from_another_site),
    )

    report.raise_for_failures()
