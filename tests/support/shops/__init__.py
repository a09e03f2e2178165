"""The same small shop in every framework, so that one specification can be read to all of them.

Each module makes an application with these endpoints, written as the framework's own guide writes them:

    GET  /json    {"id": the request id that the guard gave, or None}
    POST /upload  {"sizes": of the pieces in which the body came}; where the framework hands it over whole, of the whole
    POST /whole   the JSON object of the body, read by the framework
    POST /form    {"note": a field of a form, "file": the CRC-32 of a file in it, 0 without one}, read by the framework
    GET  /stream  the pieces "0", "1" and "2"
    GET  /crash   fails, with a secret in the exception
    WS   /echo    says everything back, where the framework has WebSockets

Nothing here knows of the guard but `GUARDS`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import pytest

from asgi_guard import CORS, ClientAddress, Guard, IPFilter, RateLimit, RequestLimits

SECRET = "postgres://admin:hunter2@db.internal/orders"
MAX_BODY_BYTES = 1_000
ORIGIN = "https://shop.example"
PROXIED = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}


async def pieces() -> AsyncIterator[bytes]:
    """Make what `/stream` sends."""
    for number in range(3):
        yield b"%d" % number


@dataclass(frozen=True, slots=True)
class Shop:
    """A framework, and what its shop has.

    Attributes:
        distribution: the package that must be installed, by its import name.
        module: where in this package the shop is.
        maker: the function there that makes it.
        prefix: the path below which the endpoints are.
        has_lifespan: whether the framework takes part in the lifespan.
        has_websockets: whether it has WebSockets.
        keeps_pieces: whether an endpoint can have the body in the pieces in which it came; one framework merges those
            that it has not asked for yet, and one hands over the whole.
        logs_departures: whether it logs a traceback when a client leaves before its body is whole, guard or no guard.
    """

    distribution: str
    module: str
    maker: str = "make"
    prefix: str = ""
    has_lifespan: bool = True
    has_websockets: bool = True
    keeps_pieces: bool = True
    logs_departures: bool = False

    def needs(self) -> None:
        """Skip a test where the framework is not installed."""
        pytest.importorskip(self.distribution, reason=f"{self.distribution} is not installed")

    def make(self) -> Any:
        """Make the application, afresh."""
        return getattr(import_module(f"shops.{self.module}"), self.maker)()


SHOPS: Mapping[str, Shop] = {
    "plain": Shop("asgi_guard", "in_plain"),
    "starlette": Shop("starlette", "in_starlette"),
    "starlette-mount": Shop("starlette", "in_starlette", "make_mounted", "/api"),
    "fastapi": Shop("fastapi", "in_fastapi"),
    "fastapi-mount": Shop("fastapi", "in_fastapi", "make_mounted", "/api"),
    "litestar": Shop("litestar", "in_litestar"),
    "quart": Shop("quart", "in_quart", keeps_pieces=False),
    "django": Shop("django", "in_django", has_lifespan=False, has_websockets=False, keeps_pieces=False),
    "falcon": Shop("falcon", "in_falcon"),
    "blacksheep": Shop("blacksheep", "in_blacksheep", logs_departures=True),
}
"""Every shop, by its name in tests and in paths."""

WHOLE_BODIES: Mapping[str, tuple[str, str]] = {
    "fastapi-model": ("fastapi", "/whole"),
    "fastapi-upload-file": ("fastapi", "/file"),
    "starlette": ("starlette", "/whole"),
    "bare-except": ("starlette", "/bare-except"),
    "litestar": ("litestar", "/whole"),
    "quart": ("quart", "/whole"),
    "falcon": ("falcon", "/whole"),
    "django": ("django", "/whole"),
    "blacksheep": ("blacksheep", "/whole"),
}
"""Nine ways to read a body, each with a mind of its own about a client that leaves: the shop, and the path there."""


def everything_on(app: Any) -> Guard:
    """Put every part that there is around an application that stands behind a declared proxy."""
    return Guard(
        app,
        client_address=ClientAddress(trusted=["127.0.0.0/8", "198.51.100.0/24"], rewrite_scope=True),
        cors=CORS(origins=[ORIGIN], credentials=True),
        security_headers="strict",
        trusted_host=["127.0.0.1:*", "testserver"],
        https="require",
        ip_filter=IPFilter(block=["192.0.2.0/24"]),
        request_limits=RequestLimits(
            max_body_bytes=MAX_BODY_BYTES,
            total_seconds=30,
            idle_seconds=10,
            min_body_bytes_per_second=1,
            max_concurrent=100,
        ),
        fetch_metadata=True,
        rate_limit=[
            RateLimit("1000/minute", name="smooth", algorithm="gcra"),
            RateLimit("5000/hour", name="strict"),
        ],
    )


GUARDS: Mapping[str, Callable[[Any], Any]] = {
    "bare": lambda app: app,
    "told-nothing": Guard,
    "everything-on": everything_on,
}
"""What stands around a shop."""

HEADERS: Mapping[str, Mapping[str, str]] = {"bare": {}, "told-nothing": {}, "everything-on": PROXIED}
"""What an ordinary request to it carries."""
