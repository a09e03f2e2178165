"""How users of each framework write it, for the type checkers; never run.

Every line here must pass mypy --strict and pyright in strict mode: the signatures of Starlette, FastAPI, Litestar,
Quart and asgiref take a guard and each single middleware, by class with its settings and as an application.
"""

from __future__ import annotations

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from fastapi import FastAPI
from hypercorn.typing import ASGIFramework
from litestar import Litestar
from litestar.middleware import DefineMiddleware
from litestar.types import ASGIApp as LitestarApp
from quart import Quart
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount

from asgi_guard import (
    CORS,
    ClientAddressMiddleware,
    CORSMiddleware,
    ErrorEnvelopeMiddleware,
    FetchMetadataMiddleware,
    Guard,
    HTTPSMiddleware,
    IPFilterMiddleware,
    RateLimit,
    RateLimitMiddleware,
    RequestIDMiddleware,
    RequestLimits,
    RequestLimitsMiddleware,
    SecurityHeadersMiddleware,
    SecurityMiddleware,
    TrustedHostMiddleware,
)


# asgiref: an application that it types goes in, and what comes out is one.
async def typed(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """An application typed as the specification's own package types it."""


guarded: ASGI3Application = Guard(typed, rate_limit="100/minute")
single: ASGI3Application = RateLimitMiddleware(typed, "100/minute")
of_the_earlier_names: ASGI3Application = SecurityMiddleware(typed, rate_limit_requests=100)
for_hypercorn: ASGIFramework = Guard(typed)

# Starlette: by class, with the settings of each checked, and as an application.
declared = Starlette(
    middleware=[
        Middleware(Guard, rate_limit="100/minute", cors=CORS(origins=["https://shop.example"])),
        Middleware(ClientAddressMiddleware, trusted=["10.0.0.0/8"]),
        Middleware(RequestIDMiddleware, header="X-Request-ID"),
        Middleware(CORSMiddleware, origins=["https://shop.example"], credentials=True),
        Middleware(SecurityHeadersMiddleware, preset="strict"),
        Middleware(ErrorEnvelopeMiddleware, hold_start=False),
        Middleware(TrustedHostMiddleware, hosts=["api.example"]),
        Middleware(HTTPSMiddleware, mode="require"),
        Middleware(IPFilterMiddleware, block=["192.0.2.0/24"]),
        Middleware(RequestLimitsMiddleware, max_body_bytes=1_000_000, total_seconds=10),
        Middleware(FetchMetadataMiddleware, shadow=True),
        Middleware(RateLimitMiddleware, "5/second;100/minute"),
    ]
)
declared.add_middleware(Guard, rate_limit=[RateLimit("5/second"), RateLimit("100/minute")])
declared.add_middleware(SecurityMiddleware, rate_limit_requests=100)
declared.mount("/api", Guard(Starlette()))
mounting = Starlette(routes=[Mount("/api", Guard(Starlette()))])
around_starlette: ASGI3Application = Guard(declared)

# FastAPI: the same.
api = FastAPI(middleware=[Middleware(Guard, rate_limit="100/minute", request_limits=RequestLimits(max_headers=50))])
api.add_middleware(Guard, security_headers="strict")
api.add_middleware(RateLimitMiddleware, "100/minute")
api.mount("/inner", Guard(FastAPI()))
around_fastapi: ASGI3Application = Guard(api)


# Litestar: by class, or by a function that wraps.
def protect(app: LitestarApp) -> LitestarApp:
    """Wrap what Litestar hands over."""
    return Guard(app, rate_limit="100/minute")


star = Litestar(
    middleware=[
        Guard,
        protect,
        DefineMiddleware(Guard, rate_limit="100/minute"),
        DefineMiddleware(RateLimitMiddleware, "100/minute"),
    ]
)
around_litestar = Guard(star)

# Quart: in the place of its own application, which mypy calls a method, so that nobody's assignment passes there.
quart = Quart(__name__)
quart.asgi_app = Guard(quart.asgi_app, rate_limit="100/minute")  # type: ignore[method-assign]
around_quart = Guard(quart)

# What is misspelt or of the wrong type is found here, and not when it starts.
Guard(typed, rate_limt="100/minute")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Middleware(Guard, rate_limt="100/minute")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
declared.add_middleware(RequestLimitsMiddleware, max_body_bytes="1 MB")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
