"""The package's own middlewares keep every rule, each alone, nested for real, and all of them as a guard."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import pytest

from asgi_guard import (
    ClientAddress,
    ClientAddressMiddleware,
    CORSMiddleware,
    ErrorEnvelopeMiddleware,
    FetchMetadataMiddleware,
    Guard,
    HTTPSMiddleware,
    IPFilterMiddleware,
    RateLimitMiddleware,
    RequestIDMiddleware,
    RequestLimits,
    RequestLimitsMiddleware,
    SecurityHeadersMiddleware,
    TrustedHostMiddleware,
)
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.replies import Reply
from asgi_guard.testing import Expectations, check_middleware


class Everything(Layer):
    """A layer with every hook, none of which changes anything but the one header that it adds."""

    holds_start = True
    body_types = frozenset({b"application/json"})

    def admit(self, exchange):
        exchange.set_state("everything", 1)

    async def admit_async(self, exchange):
        return None

    def inbound(self, exchange, message):
        return None

    async def body(self, exchange, receive):
        while await receive():
            pass

    def head(self, exchange, headers):
        headers.append((b"x-everything", b"1"))

    def outbound(self, exchange, message):
        return None

    def rescue(self, exchange, exc):
        return Reply(500, body=b"sorry", content_type=b"text/plain")

    def complete(self, exchange):
        return None

    def finish(self, exchange):
        return None


def nested(app, *layers):
    """Wrap an application in a middleware of its own for each layer."""
    for layer in reversed(layers):
        app = Middleware(app, layer, fuse=False)
    return app


UNLIMITED = "1000000/second"
ORIGIN = "https://shop.example"
EVERYBODY_ELSE = ["192.0.2.0/24"]
ANSWERS = Expectations(answers_errors=True, answers_silence=True)
BEHIND_A_PROXY = [
    (b"host", b"testserver"),
    (b"x-forwarded-for", b"203.0.113.7"),
    (b"x-forwarded-proto", b"https"),
    (b"origin", ORIGIN.encode()),
    (b"sec-fetch-site", b"same-site"),
]
whole_guard = partial(
    Guard,
    client_address=ClientAddress(hops=1, host=True),
    cors=ORIGIN,
    trusted_host="testserver",
    https="require",
    ip_filter=["203.0.113.0/24"],
    fetch_metadata=True,
    rate_limit=UNLIMITED,
)
DEFAULT_PARTS = ["client_address", "request_id", "security_headers", "error_envelope", "request_limits", "rate_limit"]
OVERRIDES = {"rate_limit": {"cost": 2}, "request_limits": {"max_body_bytes": 10**9}, "security_headers": False}


def nested_guard(app, **parts):
    """Wrap an application in a middleware of its own for each part of a guard."""
    return nested(app, *whole_guard(print, **parts).layers)


def mounted(app, **parts):
    """Wrap an application in a guard, a router around it, and a guard around that."""
    inner = Guard(app, **parts)

    async def router(scope, receive, send):
        await inner(scope, receive, send)

    return Guard(router, rate_limit=UNLIMITED)


def overriding(app, **said):
    """Wrap an application in a guard that is told something for each request."""
    guard = Guard(app, rate_limit=UNLIMITED)

    async def outside(scope, receive, send):
        await guard({**scope, "asgi_guard": said}, receive, send)

    return outside


MIDDLEWARES = {
    "no layer": (Middleware, Expectations(answers_errors=False)),
    "an empty layer": (lambda app: Middleware(app, Layer()), Expectations(answers_errors=False)),
    "a layer with every hook": (lambda app: Middleware(app, Everything()), ANSWERS),
    "the same, nested for real": (lambda app: nested(app, Everything(), Layer(), Everything()), ANSWERS),
    "request id": (RequestIDMiddleware, Expectations(answers_errors=False)),
    "security headers": (SecurityHeadersMiddleware, Expectations(answers_errors=False)),
    "error envelope": (ErrorEnvelopeMiddleware, ANSWERS),
    "request limits": (
        RequestLimitsMiddleware,
        Expectations(
            answers_errors=False,
            refusing=partial(RequestLimitsMiddleware, max_headers=1),
            refusing_uploads=partial(RequestLimitsMiddleware, max_body_bytes=10),
        ),
    ),
    "rate limit": (
        lambda app: RateLimitMiddleware(app, UNLIMITED),
        Expectations(answers_errors=False, refusing=lambda app: RateLimitMiddleware(app, "1/hour"), refuses_after=1),
    ),
    "client address": (lambda app: ClientAddressMiddleware(app, hops=1), Expectations(answers_errors=False)),
    "client address that the application sees": (
        lambda app: ClientAddressMiddleware(app, hops=1, host=True, rewrite_scope=True),
        Expectations(answers_errors=False),
    ),
    "cors": (
        lambda app: CORSMiddleware(app, origins=[ORIGIN]),
        Expectations(answers_errors=False, foreign_origin=b"https://evil.example"),
    ),
    "trusted host": (
        lambda app: TrustedHostMiddleware(app, hosts=["testserver"]),
        Expectations(answers_errors=False, refusing=lambda app: TrustedHostMiddleware(app, hosts=["other.example"])),
    ),
    "https that a proxy says": (
        lambda app: ClientAddressMiddleware(HTTPSMiddleware(app), hops=1),
        Expectations(
            answers_errors=False,
            request={"headers": BEHIND_A_PROXY},
            refusing=lambda app: HTTPSMiddleware(app, mode="require"),
        ),
    ),
    "ip filter": (
        lambda app: IPFilterMiddleware(app, block=EVERYBODY_ELSE),
        Expectations(answers_errors=False, refusing=lambda app: IPFilterMiddleware(app, allow=EVERYBODY_ELSE)),
    ),
    "fetch metadata": (FetchMetadataMiddleware, Expectations(answers_errors=False)),
    "guard": (
        partial(Guard, rate_limit=UNLIMITED),
        replace(
            ANSWERS,
            refusing=partial(Guard, rate_limit="1/hour"),
            refuses_after=1,
            refusing_uploads=partial(Guard, request_limits=RequestLimits(max_body_bytes=10)),
        ),
    ),
    "guard with everything on": (
        whole_guard,
        replace(
            ANSWERS,
            request={"headers": BEHIND_A_PROXY},
            refusing=partial(whole_guard, ip_filter=EVERYBODY_ELSE),
            refusing_uploads=partial(whole_guard, request_limits=RequestLimits(max_body_bytes=10)),
            foreign_origin=b"https://evil.example",
        ),
    ),
    "every part nested for real": (
        nested_guard,
        replace(
            ANSWERS,
            request={"headers": BEHIND_A_PROXY},
            refusing=partial(nested_guard, ip_filter=EVERYBODY_ELSE),
            refusing_uploads=partial(nested_guard, request_limits=RequestLimits(max_body_bytes=10)),
            foreign_origin=b"https://evil.example",
        ),
    ),
    "a guard within a guard": (
        lambda app: Guard(Guard(app, rate_limit=UNLIMITED), rate_limit=UNLIMITED),
        replace(ANSWERS, refusing=lambda app: Guard(Guard(app, rate_limit="1/hour")), refuses_after=1),
    ),
    "a guard mounted below a guard": (
        lambda app: mounted(app, rate_limit=UNLIMITED),
        replace(
            ANSWERS,
            refusing=partial(mounted, rate_limit="1/hour"),
            refuses_after=1,
            refusing_uploads=partial(mounted, request_limits=RequestLimits(max_body_bytes=10)),
        ),
    ),
    "guard with overrides": (
        partial(Guard, rate_limit=UNLIMITED),
        replace(
            ANSWERS,
            request={"asgi_guard": OVERRIDES},
            refusing=partial(Guard, rate_limit="3/hour"),
            refuses_after=1,
            refusing_uploads=partial(overriding, request_limits={"max_body_bytes": 10}),
        ),
    ),
    "guard of which nothing is left by override": (
        partial(Guard, rate_limit="1/hour"),
        Expectations(answers_errors=False, request={"asgi_guard": dict.fromkeys(DEFAULT_PARTS, False)}),
    ),
}


SEVERAL = re.compile("within a guard|below a guard|nested for real|everything on|overrides|nothing is left")
"""Those that take a second and more; one guard alone stands for them."""


@pytest.fixture(autouse=True, scope="module")
def built_before() -> None:
    """A part imports what it needs when it is first built, and files are not read on an event loop."""
    for wrap, expectations in MIDDLEWARES.values():
        for build in filter(None, (wrap, expectations.refusing, expectations.refusing_uploads)):
            build(print)


@pytest.mark.parametrize("name", MIDDLEWARES)
def test_adapters_take_it_for_what_it_is(name) -> None:
    """Servers that speak ASGI 2 as well ask asgiref, which must not wrap it as such."""
    compatibility = pytest.importorskip("asgiref.compatibility")
    app = MIDDLEWARES[name][0](print)

    assert compatibility.guarantee_single_callable(app) is app


@pytest.mark.anyio
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long) if re.search(SEVERAL, name) else name for name in MIDDLEWARES],
)
async def test_it_keeps_the_rules(name) -> None:
    """Every rule of the kit that applies."""
    wrap, expectations = MIDDLEWARES[name]

    (await check_middleware(wrap, expectations)).raise_for_failures()
