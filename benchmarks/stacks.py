"""Stacks: the guards and middlewares of this package that are measured.

Rule: a part is measured beside the engine with a layer that does nothing, under the same requests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from scenarios import (
    ALLOWED_HEADERS,
    ALLOWED_METHODS,
    HOSTS,
    IDLE_SECONDS,
    MAX_CONCURRENT,
    ORIGINS,
    PLENTY,
    PROXIES,
    TOTAL_SECONDS,
    App,
    Call,
    cross_origin,
    get,
    networks,
    plain,
    proxied,
    search,
    stranger,
)

from asgi_guard import CORS, Guard, IPFilter, Middleware, RequestLimits
from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.layer import Layer

ON_BY_DEFAULT = (
    "telemetry",
    "endpoints",
    "client_address",
    "request_id",
    "security_headers",
    "error_envelope",
    "request_limits",
    "rate_limit",
    "validation",
)


class Alone(NamedTuple):
    """A part by itself.

    Attributes:
        settings: what the guard is told.
        call: makes the requests that it gets.
    """

    settings: Mapping[str, Any]
    call: Callable[[int], Call] = get


def parts() -> dict[str, Alone]:
    """Name every part by itself, in the order of the guard, with what changes its cost."""
    cors = CORS(origins=ORIGINS, methods=ALLOWED_METHODS, headers=ALLOWED_HEADERS)
    return {
        "client_address": Alone({"client_address": True}),
        "client_address, a trusted proxy": Alone({"client_address": PROXIES}, proxied),
        "request_id": Alone({"request_id": True}),
        "cors, no Origin": Alone({"cors": cors}),
        "cors, an Origin": Alone({"cors": cors}, cross_origin),
        "security_headers": Alone({"security_headers": True}),
        "security_headers, strict": Alone({"security_headers": "strict"}),
        "error_envelope": Alone({"error_envelope": True}),
        "trusted_host": Alone({"trusted_host": HOSTS}),
        "https": Alone({"https": "require"}, proxied),
        "ip_filter, 100 networks": Alone({"ip_filter": blocking(100)}),
        "ip_filter, 100,000 networks": Alone({"ip_filter": blocking(100_000)}),
        "ip_filter, 100,000 networks, strangers": Alone({"ip_filter": blocking(100_000)}, stranger),
        "request_limits": Alone({"request_limits": True}),
        "request_limits, total_seconds": Alone({"request_limits": RequestLimits(total_seconds=TOTAL_SECONDS)}),
        "request_limits, idle_seconds": Alone({"request_limits": RequestLimits(idle_seconds=IDLE_SECONDS)}),
        "request_limits, max_concurrent": Alone({"request_limits": RequestLimits(max_concurrent=MAX_CONCURRENT)}),
        "fetch_metadata": Alone({"fetch_metadata": True}),
        "rate_limit": Alone({"rate_limit": PLENTY}),
        "telemetry": Alone({"telemetry": True}),
        "endpoints": Alone({"endpoints": True}),
        "validation, no parameters": Alone({"validation": True}, plain),
        "validation, a search": Alone({"validation": True}, search),
    }


LIMITS = ("total_seconds", "idle_seconds", "max_concurrent")
"""The limits that `request_limits` has off by default."""


TOLD_APART = ("telemetry", "endpoints", "validation")
"""The parts that the hand-written middlewares have nothing to set against."""


def blocking(count: int) -> IPFilter:
    """Block so many networks."""
    return IPFilter(block=networks(count))


def guard(app: App, **settings: Any) -> Guard:
    """Wrap in every part that is on by default and protects, but the validation, with a rate that is never exceeded.

    What measures and what looks for attacks is told apart: nothing that is written by hand does either.
    """
    return Guard(app, **{"rate_limit": PLENTY, **dict.fromkeys(TOLD_APART, False), **settings})


def full_guard(app: App, *, limits: Mapping[str, float] | None = None, **settings: Any) -> Guard:
    """Wrap in every part that protects but the validation, each told to do something; `limits` are for requests."""
    usual = {"total_seconds": TOTAL_SECONDS, "idle_seconds": IDLE_SECONDS, "max_concurrent": MAX_CONCURRENT}
    everything = {
        "client_address": PROXIES,
        "cors": CORS(origins=ORIGINS, methods=ALLOWED_METHODS, headers=ALLOWED_HEADERS),
        "security_headers": "strict",
        "trusted_host": HOSTS,
        "https": "require",
        "ip_filter": blocking(1_000),
        "request_limits": RequestLimits(**{**usual, **(limits or {})}),
        "fetch_metadata": True,
        "rate_limit": PLENTY,
        **dict.fromkeys(TOLD_APART, False),
    }
    return Guard(app, **{**everything, **settings})


def only(app: App, settings: Mapping[str, Any]) -> Guard:
    """Wrap in these parts and in no others."""
    return Guard(app, **{name: False for name in ON_BY_DEFAULT if name not in settings}, **settings)


def unfused(app: App) -> App:
    """Wrap in the layers of `guard`, each a middleware of its own."""
    for layer in reversed(guard(app).layers):
        app = Middleware(app, layer, fuse=False)
    return app


def engine_alone(app: App) -> Middleware:
    """Wrap in a layer that does nothing."""
    return Middleware(app, Layer())


class Marks(Layer):
    """Adds one header to each response."""

    def __init__(self, pair: tuple[bytes, bytes]) -> None:
        self.pair = pair

    def head(self, exchange: Exchange, headers: list[tuple[bytes, bytes]]) -> None:
        headers.append(self.pair)


def marked(app: App, pairs: Iterable[tuple[bytes, bytes]]) -> Middleware:
    """Wrap in a layer for each pair."""
    return Middleware(app, *[Marks(pair) for pair in pairs])
