"""Every middleware of the package is made in the same way, and says in the same way what is wrong with its settings."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from asgi_guard import (
    CORS,
    HTTPS,
    ClientAddress,
    ClientAddressMiddleware,
    ConfigError,
    CORSMiddleware,
    ErrorEnvelope,
    ErrorEnvelopeMiddleware,
    FetchMetadata,
    FetchMetadataMiddleware,
    Guard,
    HTTPSMiddleware,
    IPFilter,
    IPFilterMiddleware,
    Middleware,
    RateLimit,
    RateLimitMiddleware,
    RequestID,
    RequestIDMiddleware,
    RequestLimits,
    RequestLimitsMiddleware,
    SecurityHeaders,
    SecurityHeadersMiddleware,
    TrustedHost,
    TrustedHostMiddleware,
)
from asgi_guard.layers import (
    client_address,
    cors,
    error_envelope,
    fetch_metadata,
    https,
    ip_filter,
    rate_limit,
    request_id,
    request_limits,
    security_headers,
    trusted_host,
)
from asgi_guard.testing import call, capture_events, lifespan


def without_addresses(given: object) -> str:
    """Name a case alike in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(given))[:60]


pytestmark = pytest.mark.anyio

# The middleware, its settings, the type of its keywords, keywords that must be given, and one that may be.
PARTS: dict[str, tuple[Any, Any, Any, dict[str, Any], dict[str, Any]]] = {
    "request id": (RequestIDMiddleware, RequestID, request_id.RequestIDFields, {}, {"header": "X-Id"}),
    "error envelope": (
        ErrorEnvelopeMiddleware,
        ErrorEnvelope,
        error_envelope.ErrorEnvelopeFields,
        {},
        {"hold_start": False},
    ),
    "security headers": (
        SecurityHeadersMiddleware,
        SecurityHeaders,
        security_headers.SecurityHeadersFields,
        {},
        {"preset": "api"},
    ),
    "request limits": (
        RequestLimitsMiddleware,
        RequestLimits,
        request_limits.RequestLimitsFields,
        {},
        {"max_headers": 5},
    ),
    "rate limit": (RateLimitMiddleware, RateLimit, rate_limit.RateLimitOptions, {"rate": "5/minute"}, {"cost": 2}),
    "client address": (ClientAddressMiddleware, ClientAddress, client_address.ClientAddressFields, {}, {"hops": 1}),
    "cors": (
        CORSMiddleware,
        CORS,
        cors.CORSFields,
        {"origins": ["https://shop.example"]},
        {"max_age_seconds": 5},
    ),
    "trusted host": (
        TrustedHostMiddleware,
        TrustedHost,
        trusted_host.TrustedHostFields,
        {"hosts": ["testserver"]},
        {"exempt_paths": ["/health"]},
    ),
    "https": (HTTPSMiddleware, HTTPS, https.HTTPSFields, {}, {"status": 307}),
    "ip filter": (IPFilterMiddleware, IPFilter, ip_filter.IPFilterFields, {}, {"block": ["192.0.2.0/24"]}),
    "fetch metadata": (
        FetchMetadataMiddleware,
        FetchMetadata,
        fetch_metadata.FetchMetadataFields,
        {},
        {"same_site": False},
    ),
}


@pytest.fixture(params=PARTS)
def part(request: pytest.FixtureRequest) -> Any:
    """One of the parts."""
    return PARTS[request.param]


async def greet(scope: Any, receive: Any, send: Any) -> None:
    """Answer, or take part in a lifespan."""
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def listen(event: Any) -> None:
    """Stand for a listener that would never be awaited."""


async def test_settings_and_fields_are_two_ways_to_say_the_same(part) -> None:
    """The fields of the settings, by name; or the settings."""
    middleware, settings, _, required, optional = part

    by_fields = middleware(greet, **required, **optional)
    by_settings = middleware(greet, settings(**required, **optional))

    assert by_fields.layers[0].settings == by_settings.layers[0].settings == settings(**required, **optional)
    for app in (by_fields, by_settings):
        assert (await call(app, scheme="https")).body == b"hello"


def test_both_ways_at_once_are_refused(part) -> None:
    """One of them would have been ignored."""
    middleware, settings, _, required, optional = part

    with pytest.raises(ConfigError, match="not both"):
        middleware(greet, settings(**required), **optional)


def test_a_misspelt_field_is_refused_with_the_one_that_was_meant(part) -> None:
    """A setting that is silently ignored is a protection that is silently off."""
    middleware, _, _, required, optional = part
    (name,) = optional

    with pytest.raises(ConfigError, match=f"Did you mean '{name}'"):
        middleware(greet, **required, **{f"{name}s": optional[name]})


def test_the_settings_of_another_part_are_refused(part) -> None:
    """By class, not by what they look like."""
    middleware, settings, _, _, _ = part
    other = ErrorEnvelope() if settings is not ErrorEnvelope else RequestID()

    with pytest.raises(ConfigError):
        middleware(greet, other)


def test_type_checkers_know_every_field(part) -> None:
    """The keywords of the middleware are the fields of the settings, with the same types and no others."""
    _, settings, keywords, required, _ = part

    known = {**get_type_hints(keywords), **{name: get_type_hints(settings)[name] for name in required}}

    assert known == {field.name: get_type_hints(settings)[field.name] for field in fields(settings) if field.init}


def test_settings_can_be_compared_and_not_changed(part) -> None:
    """What was checked stays as it was checked."""
    _, settings, _, required, optional = part
    (name,) = optional
    one = settings(**required)

    assert one == settings(**required)
    assert one != settings(**required, **optional)
    with pytest.raises(AttributeError):
        setattr(one, name, optional[name])


def test_a_docstring_says_what_can_be_given(part) -> None:
    """Every field by name, and what is raised."""
    middleware, settings, _, _, _ = part

    text = inspect.getdoc(settings) or ""
    assert all(f"{field.name}: " in text for field in fields(settings) if field.init)
    assert "ConfigError" in text
    assert "ConfigError" in (inspect.getdoc(middleware) or "")


async def test_a_lifespan_passes(part) -> None:
    """Alone as in the guard."""
    middleware, _, _, required, _ = part

    async with lifespan(middleware(greet, **required)):
        pass


async def test_listeners_hear_only_of_their_own_middleware(part) -> None:
    """Though both are one object when they are fused."""
    middleware, _, _, required, _ = part
    own, others = capture_events(), capture_events()

    app = middleware(RequestLimitsMiddleware(greet, listeners=[others]), **required, listeners=[own])
    await call(app, scheme="https")

    assert len(others) == 1
    assert others not in app.layers[0].listeners


@pytest.mark.parametrize(
    ("app", "listeners"),
    [
        (None, ()),
        ("main:app", ()),
        (greet, [None]),
        (greet, ["print"]),
        (greet, "print"),
        (greet, print),
        (greet, [listen]),
    ],
    ids=without_addresses,
)
def test_what_cannot_be_called_is_refused(app, listeners) -> None:
    """At the start, not at the first request or the first event."""
    with pytest.raises(ConfigError):
        RequestIDMiddleware(app, listeners=listeners)


def make_id() -> str:
    """Be an author's own factory of ids."""
    return "id-of-the-author"


def who_asks(exchange: Any) -> str:
    """Be an author's own key."""
    return str(exchange.client)


def test_functions_are_explained_by_their_names() -> None:
    """An address in memory says nothing, and differs with every start."""
    text = Guard(greet, request_id=RequestID(factory=make_id), rate_limit=RateLimit("1/day", key=who_asks)).explain()

    assert "factory=make_id" in text
    assert "key=who_asks" in text
    assert " at 0x" not in text


def test_middlewares_become_one_object() -> None:
    """One frame, one scan, one `send`, whatever their number."""
    app: Any = greet
    for middleware, _, _, required, _ in PARTS.values():
        app = middleware(app, **required)

    assert isinstance(app, Middleware)
    assert [layer.name for layer in app.layers] == [name.replace(" ", "_") for name in reversed(PARTS)]
    assert app._target is greet
