"""Applications for the doctor: one that is well, and others with one fault each, by the id of the finding."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware as StarlettesCORS
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Route

from asgi_guard import (
    CORS,
    Audit,
    ClientAddress,
    Endpoints,
    ErrorEnvelope,
    Guard,
    RateLimit,
    RedisStore,
    RequestLimits,
    TrustedHost,
)

PAGE = "<!doctype html><html><head><title>Shop</title></head><body><h1>Shop</h1></body></html>"


async def home(request: Request) -> HTMLResponse:
    """Be a page."""
    return HTMLResponse(PAGE)


async def upload(request: Request) -> JSONResponse:
    """Read a body."""
    return JSONResponse({"bytes": len(await request.body())})


async def boom(request: Request) -> None:
    """Fail."""
    raise ConnectionError("cannot reach postgres://shop:hunter2@10.0.0.7")


def shop(*, debug: bool = False, middleware: Any = (), root: Callable[..., Any] = home) -> Starlette:
    """Make an application."""
    routes = [Route("/", root), Route("/", upload, methods=["POST"]), Route("/boom", boom)]
    return Starlette(routes=routes, debug=debug, middleware=middleware)


GOOD: dict[str, Any] = {
    "security_headers": "strict",
    "https": True,
    "trusted_host": TrustedHost(hosts=["shop.example"]),
    "audit": Audit(sinks=["log"]),
    "endpoints": Endpoints(token="correct-horse-battery-staple"),
}


def guarded(app: Any = None, **given: Any) -> Guard:
    """Put a guard around it that does all it should, but for what is given."""
    return Guard(shop() if app is None else app, **{**GOOD, **given})


def well() -> Guard:
    """Make one that lacks nothing."""
    return guarded()


def well_at_a_port() -> Guard:
    """Make one that lacks nothing, and answers at one port of one host alone."""
    return guarded(trusted_host="shop.example:8443")


def well_at_an_address() -> Guard:
    """Make one that lacks nothing, and answers at an address."""
    return guarded(trusted_host=["[2001:db8::7]:8443", "shop.example"])


async def cookie(request: Request) -> HTMLResponse:
    """Set a cookie that scripts and other sites read."""
    answer = HTMLResponse(PAGE)
    answer.headers["set-cookie"] = "sessionid=1; Path=/"
    return answer


async def telling(request: Request) -> HTMLResponse:
    """Say what it is made with."""
    return HTMLResponse(PAGE, headers={"x-powered-by": "Shop 1.2.3"})


async def shows(request: Request) -> PlainTextResponse:
    """Show a traceback."""
    return PlainTextResponse('Traceback (most recent call last):\n  File "/srv/shop.py", line 7, in boom\n', 500)


def with_reflecting_cors() -> Starlette:
    """Let every origin read, with credentials."""
    middleware = [Middleware(StarlettesCORS, allow_origin_regex=".*", allow_credentials=True)]
    return shop(middleware=middleware)


def leaking() -> Starlette:
    """Show its inside where it fails."""
    return Starlette(routes=[Route("/", home), Route("/boom", shows)])


def documented() -> Guard:
    """Show everybody what there is to ask for."""
    from fastapi import FastAPI

    return guarded(FastAPI())


async def numbers(request: Request) -> PlainTextResponse:
    """Tell what was counted."""
    return PlainTextResponse("# TYPE logins_total counter\nlogins_total 7\n")


def counted() -> Guard:
    """Tell everybody what was counted."""
    return guarded(Starlette(routes=[Route("/", home), Route("/metrics", numbers)]), endpoints=False)


def behind_a_proxy() -> Guard:
    """Make one that lacks nothing, behind a proxy."""
    return guarded(client_address=["10.0.0.0/8"])


def trusting_anybody() -> Guard:
    """Believe every header, in two halves."""
    return guarded(client_address=ClientAddress(trusted=["0.0.0.0/1", "128.0.0.0/1"]))


async def everything_redirects(request: Request) -> RedirectResponse:
    """Lead on."""
    return RedirectResponse("/next")


SICK: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "DR001": (shop, ()),
    "DR002": (lambda: guarded(guarded(rate_limit=False)), ()),
    "DR003": (
        lambda: guarded(
            cors=CORS(origins=["http://shop.example"], dangerously_tolerate_insecure_origins=True, credentials=True)
        ),
        (),
    ),
    "DR004": (lambda: guarded(validation="detect"), ()),
    "DR005": (lambda: guarded(audit=False), ()),
    "DR006": (lambda: guarded(shop(debug=True)), ()),
    "DR007": (well, ("--workers", "3")),
    "DR008": (well, ("--workers", "3", "--server", "uvicorn")),
    "DR009": (trusting_anybody, ()),
    "DR010": (well, ("--behind-proxy",)),
    "DR011": (
        lambda: guarded(rate_limit=RateLimit("5/minute", store=RedisStore("redis://127.0.0.1:1", on_failure="open"))),
        (),
    ),
    "DR013": (lambda: guarded(endpoints=True), ("--server", "uvicorn")),
    "DR014": (lambda: guarded(rate_limit=RateLimit("100/minute", shadow=True)), ()),
    "DR015": (lambda: guarded(rate_limit=RateLimit("100/minute", store="redis://shop:hunter2@127.0.0.1:1")), ()),
    "DR101": (lambda: guarded(https=False), ()),
    "DR102": (lambda: guarded(security_headers=False), ()),
    "DR103": (with_reflecting_cors, ()),
    "DR104": (lambda: guarded(rate_limit=False), ()),
    "DR105": (lambda: guarded(request_limits=RequestLimits(max_body_bytes=None)), ()),
    "DR106": (shop, ()),
    "DR107": (shop, ()),
    "DR108": (leaking, ("--error-path", "/boom")),
    "DR109": (lambda: guarded(shop(root=telling)), ()),
    "DR110": (lambda: guarded(trusted_host=False), ()),
    "DR111": (documented, ()),
    "DR112": (counted, ()),
    "DR113": (lambda: guarded(shop(root=cookie)), ()),
    "DR114": (shop, ()),
    "DR115": (trusting_anybody, ()),
    "DR201": (well, ("--server", "uvicorn")),
    "DR202": (well, ("--server", "uvicorn")),
    "DR203": (well, ("--server", "uvicorn")),
    "DR204": (well, ("--server", "uvicorn")),
    "DR205": (well, ("--server", "uvicorn")),
    "DR206": (well, ("--server", "daphne")),
    "DR207": (well, ("--server", "uvicorn", "--server-options=--reload")),
}
"""Who has which fault, and what the doctor is told besides."""

for _name, (_make, _) in SICK.items():
    globals()[f"patient_{_name}"] = _make


def counting_metrics_of_its_own() -> Guard:
    """Let everybody see the application's own metrics, and nobody those of the guard."""
    return guarded(Starlette(routes=[Route("/", home), Route("/metrics", numbers)]), endpoints=True)


def open_metrics() -> Guard:
    """Let everybody see the guard's."""
    return guarded(endpoints=Endpoints(allowed=["0.0.0.0/1", "128.0.0.0/1"]))


def without_limits() -> Guard:
    """Limit nothing."""
    return guarded(request_limits=False, rate_limit=False)


def debugging() -> Guard:
    """Show everything, three times over."""
    return guarded(shop(debug=True), error_envelope=ErrorEnvelope(debug=True))


def careless() -> Guard:
    """Send cookies without flags, and leave HTTP as it is."""
    return guarded(shop(root=cookies), security_headers=True, https=False)


async def cookies(request: Request) -> HTMLResponse:
    """Set two cookies that everybody reads."""
    answer = await cookie(request)
    answer.set_cookie("seen", "1")
    return answer


async def own_headers(request: Request) -> HTMLResponse:
    """Send weak headers, and scripts of others."""
    page = "<!doctype html><title>Shop</title><script src='http://cdn.example/shop.js'></script>"
    return HTMLResponse(page, headers={"content-security-policy": "script-src *", "referrer-policy": "unsafe-url"})


def with_weak_headers_of_its_own() -> Guard:
    """Have weak headers that win over those of the guard."""
    return guarded(shop(root=own_headers), security_headers="web")


async def talkative_home(request: Request) -> HTMLResponse:
    """Write where the report goes."""
    sys.stdout.write("home was asked\n")
    return HTMLResponse(PAGE)


def talkative() -> Guard:
    """Print wherever it is asked."""
    return guarded(shop(root=talkative_home))


async def broken(scope: Any, receive: Any, send: Any) -> None:
    """Cannot start."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})
