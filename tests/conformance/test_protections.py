"""The package's own middlewares keep every rule, each alone, nested for real, and all of them as a guard."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from asgi_guard import (
    ErrorEnvelopeMiddleware,
    Guard,
    RateLimitMiddleware,
    RequestIDMiddleware,
    RequestLimits,
    RequestLimitsMiddleware,
    SecurityHeadersMiddleware,
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
ANSWERS = Expectations(answers_errors=True, answers_silence=True)
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
    "guard": (
        partial(Guard, rate_limit=UNLIMITED),
        replace(
            ANSWERS,
            refusing=partial(Guard, rate_limit="1/hour"),
            refuses_after=1,
            refusing_uploads=partial(Guard, request_limits=RequestLimits(max_body_bytes=10)),
        ),
    ),
}


@pytest.fixture(autouse=True, scope="module")
def built_before() -> None:
    """A part imports what it needs when it is first built, and files are not read on an event loop."""
    for wrap, expectations in MIDDLEWARES.values():
        for build in filter(None, (wrap, expectations.refusing, expectations.refusing_uploads)):
            build(print)


@pytest.mark.anyio
@pytest.mark.parametrize("name", MIDDLEWARES)
async def test_it_keeps_the_rules(name) -> None:
    """Every rule of the kit that applies."""
    wrap, expectations = MIDDLEWARES[name]

    (await check_middleware(wrap, expectations)).raise_for_failures()
