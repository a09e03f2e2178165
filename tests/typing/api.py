"""How users write it, for the type checkers; never run.

Every line here must pass mypy --strict and pyright in strict mode: an application typed by anyone's names goes in, and
whatever takes an application takes what comes out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware as StarletteMiddleware
from starlette.types import ASGIApp as StarletteApp

from asgi_guard import (
    CORS,
    HTTPS,
    ClientAddress,
    FetchMetadata,
    Guard,
    IPFilter,
    RateLimit,
    RateLimitMiddleware,
    RequestLimits,
    RequestLimitsMiddleware,
    SecurityMiddleware,
    TrustedHost,
    by_client,
    by_header,
    client_key,
)
from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import Headers, Message

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]


class Teapot(Layer):
    """A layer of a user's own, with the hooks in their exact types."""

    wants = frozenset({b"accept"})

    def admit(self, exchange: Exchange) -> Reply | None:
        return Reply(418) if exchange.scope["path"] == "/coffee" else None

    async def admit_async(self, exchange: Exchange) -> Reply | None:
        return None

    def head(self, exchange: Exchange, headers: Headers) -> None:
        headers.append((b"x-teapot", b"1"))

    def outbound(self, exchange: Exchange, message: Message) -> None:
        message.get("body", b"")


async def typed_app(scope: Event, receive: Receive, send: Send) -> None:
    """An application typed as Starlette types it."""


async def dict_app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """An application typed as many people type it."""


async def any_app(scope: Any, receive: Any, send: Any) -> None:
    """An application that does not say."""


async def customer_of(exchange: Exchange) -> str | bytes | None:
    """Name whom to count, after a look into a database."""
    return by_client(exchange)


def rate_of(exchange: Exchange) -> str | None:
    """Tell what a customer has paid for."""
    return None if exchange.path == "/health" else "100/minute"


# Anybody's application goes in ...
framework = Starlette()
apps = [Middleware(app, Teapot()) for app in (typed_app, dict_app, any_app)]
wrapped = Middleware(Middleware(framework, Teapot()), Layer(), fuse=False)

# The guard takes each part in its short form and by its settings.
short = Guard(
    typed_app,
    client_address=["10.0.0.0/8"],
    cors="https://shop.example",
    trusted_host=["api.example"],
    https="require",
    ip_filter=["192.0.2.0/24"],
    fetch_metadata=True,
    telemetry=False,
)
by_settings = Guard(
    short,
    client_address=ClientAddress(hops=1),
    cors=CORS(origins=["https://shop.example"], credentials=True),
    trusted_host=TrustedHost(["api.example"], exempt_paths=["/health"]),
    https=HTTPS(mode="require"),
    ip_filter=IPFilter(block=["192.0.2.0/24"]),
    fetch_metadata=FetchMetadata(shadow=True),
    request_limits=RequestLimits(total_seconds=30, idle_seconds=10, max_concurrent=100),
    rate_limit=[
        RateLimit("5/minute", name="login", paths=["/login"], count=lambda exchange: exchange.status == 401),
        RateLimit(rate_of, key=customer_of, exclusive=True),
    ],
)
by_settings.reconfigure(rate_limit="5/second", cors=False)
with by_settings.disabled():
    pass
configured = Guard.from_env(Guard.from_toml(Guard.from_mapping(typed_app, {}), "guard.toml"), {}, rate_limit=False)
earlier = SecurityMiddleware(typed_app, rate_limit_requests=5, allowed_ips=["192.0.2.0/24"], https="require")
alone = RequestLimitsMiddleware(RateLimitMiddleware(typed_app, "5/second", key=by_header("X-Customer")), max_headers=50)
RateLimitMiddleware(typed_app, "5/second").reset(client_key("2001:db8::1"))

# ... and the result goes wherever an application goes.
accepted: StarletteApp = wrapped
config = uvicorn.Config(wrapped)
framework.mount("/inner", wrapped)
framework.add_middleware(Middleware, Teapot())
declared = Starlette(middleware=[StarletteMiddleware(Middleware, Teapot(), fuse=True)])
