"""Stacks: the same protections around the same application, by us, by what people put together, and by peers.

Asked of each: answer for listed hosts only, CORS for listed origins, the nine security headers below, a request id, a
body of at most 1 MiB, and a rate for each client, counted in memory. The application is one JSON endpoint of Starlette.

Rule 1: each stack is configured as its own documentation shows, and sends the same headers as far as it can.
Rule 2: what a tool does beyond that is off where it can be: the comparison may only err in the peers' favour. Of ours
everything that `Guard(app)` does unasked is on; with the detection of attacks it stands apart, since few others have
any. What is left of the rate nobody announces, since fastapi-guard cannot; those who can are compared once more,
announcing it in the fields that slowapi has for it.
Rule 3: a stack is imported when it is built, so that nobody's memory holds what others need.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from scenarios import HOSTS, ORIGINS, PLENTY, App
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

MAX_BODY_BYTES = 1_048_576

SECURITY_HEADERS = MappingProxyType(
    {
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    }
)
"""What our preset `strict` sends with JSON over TLS; all others are told to send the same."""

SENT = (
    *((name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()),
    (b"x-request-id", b"0123456789abcdef0123456789abcdef"),
    (b"access-control-allow-origin", ORIGINS[0].encode()),
    (b"vary", b"Origin"),
)
"""What every stack adds to an answer; the id is an example."""

ANNOUNCED = (
    (b"x-ratelimit-limit", b"1000000"),
    (b"x-ratelimit-remaining", b"999999"),
    (b"x-ratelimit-reset", b"1800000000"),
)
"""What those that announce add to that; the values are examples."""


async def _item(request: Request) -> JSONResponse:
    return JSONResponse({"ok": True})


async def _upload(request: Request) -> JSONResponse:
    return JSONResponse({"bytes": len(await request.body())})


def application(*middleware: Middleware) -> Starlette:
    """Make the application, with middlewares of Starlette's kind around it, outermost first."""
    routes = [Route("/api/items/{number:int}", _item), Route("/api/items", _upload, methods=["POST"])]
    return Starlette(routes=routes, middleware=middleware)


def bare(rate: str = PLENTY) -> App:
    """Protect nothing."""
    return application()


def headers_alone(rate: str = PLENTY, *, announces: bool = False) -> App:
    """Protect nothing, and send the headers that the others send, ready made: what is left of the price is theirs."""
    app, sent = application(), (*SENT, *ANNOUNCED) if announces else SENT

    async def wrapped(scope, receive, send):
        async def adding(message):
            if message["type"] == "http.response.start":
                message["headers"].extend(sent)
            await send(message)

        await app(scope, receive, adding if scope["type"] == "http" else send)

    return wrapped


def asgi_guard(rate: str = PLENTY, *, announces: bool = False, detects: bool = False) -> App:
    """Protect with all that `Guard(app)` does unasked but measure, and hosts and origins (and detect attacks)."""
    from asgi_guard import Guard, RateLimit, RequestLimits

    return Guard(
        application(),
        trusted_host=HOSTS,
        cors=ORIGINS,
        security_headers="strict",
        request_limits=RequestLimits(max_body_bytes=MAX_BODY_BYTES),
        rate_limit=RateLimit(rate, headers=False, legacy_headers=announces),
        validation=detects,
        telemetry=False,
        endpoints=False,
    )


def assembled(rate: str = PLENTY, *, announces: bool = False) -> App:
    """Protect with the package that is recommended for each, all of them pure ASGI."""
    from asgi_correlation_id import CorrelationIdMiddleware
    from secure import Secure
    from secure.headers import CustomHeader
    from secure.middleware import SecureASGIMiddleware
    from slowapi import Limiter, _rate_limit_exceeded_handler
    from slowapi.errors import RateLimitExceeded
    from slowapi.middleware import SlowAPIASGIMiddleware
    from slowapi.util import get_remote_address
    from starlette.middleware.body_limit import RequestBodyLimitMiddleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    app = application(
        Middleware(CorrelationIdMiddleware),
        Middleware(CORSMiddleware, allow_origins=ORIGINS),
        Middleware(
            SecureASGIMiddleware, secure=Secure(custom=[CustomHeader(*pair) for pair in SECURITY_HEADERS.items()])
        ),
        Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS),
        Middleware(RequestBodyLimitMiddleware, max_body_size=MAX_BODY_BYTES),
        Middleware(SlowAPIASGIMiddleware),
    )
    app.state.limiter = Limiter(key_func=get_remote_address, default_limits=[rate], headers_enabled=announces)
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
    return app


def fastapi_guard(rate: str = PLENTY, *, detects: bool, is_pure: bool = False) -> App:
    """Protect with fastapi-guard alone; what it does not have, it need not pay for."""
    from guard import PureASGISecurityMiddleware, SecurityConfig, SecurityMiddleware

    amount, _, unit = rate.partition("/")
    own = {"X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Permissions-Policy"}
    config = SecurityConfig(
        enable_redis=False,
        enable_ip_banning=False,
        enable_penetration_detection=detects,
        rate_limit=int(amount),
        rate_limit_window={"minute": 60, "day": 86_400}[unit],
        enable_cors=True,
        cors_allow_origins=list(ORIGINS),
        security_headers={
            "enabled": True,
            "content_type_options": SECURITY_HEADERS["X-Content-Type-Options"],
            "frame_options": SECURITY_HEADERS["X-Frame-Options"],
            "referrer_policy": SECURITY_HEADERS["Referrer-Policy"],
            "permissions_policy": SECURITY_HEADERS["Permissions-Policy"],
            "hsts": None,
            "csp": None,
            "custom": {name: value for name, value in SECURITY_HEADERS.items() if name not in own},
        },
    )
    return application(Middleware(PureASGISecurityMiddleware if is_pure else SecurityMiddleware, config=config))


def naive(rate: str = PLENTY) -> App:
    """Protect as tutorials do: a class with a `call_next` for each protection."""
    from peers_naive import CORS, BodyLimit, RateLimit, RequestID, SecurityHeaders, TrustedHost

    return application(
        Middleware(RequestID),
        Middleware(CORS),
        Middleware(SecurityHeaders, headers=SECURITY_HEADERS),
        Middleware(TrustedHost),
        Middleware(BodyLimit, max_body_bytes=MAX_BODY_BYTES),
        Middleware(RateLimit, rate=rate),
    )


STACKS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "bare": bare,
        "headers alone": headers_alone,
        "asgi-guard": asgi_guard,
        "asgi-guard, detecting": partial(asgi_guard, detects=True),
        "assembled": assembled,
        "fastapi-guard, pure ASGI, no detection": partial(fastapi_guard, detects=False, is_pure=True),
        "fastapi-guard, no detection": partial(fastapi_guard, detects=False),
        "fastapi-guard": partial(fastapi_guard, detects=True),
        "naive": naive,
        "headers alone, announcing": partial(headers_alone, announces=True),
        "asgi-guard, announcing": partial(asgi_guard, announces=True),
        "assembled, announcing": partial(assembled, announces=True),
    }
)
"""All of them, by the names that the results give them; each takes the rate."""

PACKAGES = (
    "starlette",
    "secure",
    "slowapi",
    "limits",
    "asgi-correlation-id",
    "fastapi-guard",
    "guard-core",
    "uvicorn",
    "httptools",
    "uvloop",
)
"""What is measured beside us, or measured on."""
