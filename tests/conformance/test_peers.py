"""The kit finds what is wrong with middlewares that many people use: one that finds nothing anywhere proves nothing.

Each is configured as its own documentation says, and asked with the requests that it is for. The rules that it breaks
are those of the pinned releases: a new one that mends a fault, or makes one, fails here, and the table is corrected.
"""

from __future__ import annotations

import logging
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

import anyio
import pytest

from asgi_guard.testing import RULES, Expectations, check_middleware

ORIGIN = "https://shop.example"
HOST = (b"host", b"testserver")
FROM_THE_SHOP = Expectations(
    request={"headers": [HOST, (b"origin", ORIGIN.encode())]}, foreign_origin=b"https://evil.example"
)
ACCEPTING_GZIP = Expectations(request={"headers": [HOST, (b"accept-encoding", b"gzip")]})


def starlette_cors(app):
    """Let one site in, as its documentation shows."""
    return import_module("starlette.middleware.cors").CORSMiddleware(app, allow_origins=[ORIGIN])


def starlette_gzip(app):
    """Code every body, however short."""
    return import_module("starlette.middleware.gzip").GZipMiddleware(app, minimum_size=0)


def starlette_body_limit(app, max_body_size=1_000):
    """Limit bodies."""
    module = import_module("starlette.middleware.body_limit")
    return module.RequestBodyLimitMiddleware(app, max_body_size=max_body_size)


def starlette_base(app):
    """Add a header, as tutorials do."""

    class Adding(import_module("starlette.middleware.base").BaseHTTPMiddleware):
        async def dispatch(self, request, call_next):
            response = await call_next(request)
            response.headers["x-frame-options"] = "DENY"
            return response

    return Adding(app)


def asgi_cors(app):
    """Let one site in, for ten minutes."""
    return import_module("asgi_cors").asgi_cors(app, hosts=[ORIGIN], max_age=600)


def secure(app):
    """Add its default headers."""
    return import_module("secure.middleware").SecureASGIMiddleware(app)


def fastapi_guard(app, middleware="SecurityMiddleware", *, detects=False):
    """Limit the rate, keep the headers at their defaults, and need no Redis."""
    guard = import_module("guard")
    settings = guard.SecurityConfig(
        enable_redis=False, enable_penetration_detection=detects, enable_ip_banning=False, rate_limit=1_000_000
    )
    return getattr(guard, middleware)(app, config=settings)


PURE = "PureASGISecurityMiddleware"
BASE_HTTP = frozenset({205, 206, 207, 208, 209, 301, 303, 304, 306, 312, 403, 404, 405, 406, 502, 503})
"""What every middleware breaks that is built on Starlette's `BaseHTTPMiddleware` and touches the headers."""

PEERS = {
    "starlette: CORSMiddleware": (starlette_cors, FROM_THE_SHOP, {101, 102, 301, 712}),
    "starlette: GZipMiddleware": (starlette_gzip, ACCEPTING_GZIP, {101, 102, 301, 304, 306, 308, 311, 313}),
    "starlette: RequestBodyLimitMiddleware": (
        starlette_body_limit,
        Expectations(refusing_uploads=partial(starlette_body_limit, max_body_size=10)),
        {101, 102, 706, 711},
    ),
    "starlette: BaseHTTPMiddleware": (starlette_base, None, BASE_HTTP),
    "asgi-cors": (asgi_cors, FROM_THE_SHOP, {103, 107, 304, 307, 315, 712}),
    "secure": (secure, None, {301, 307, 314}),
    "fastapi-guard": (fastapi_guard, None, {101, 102, 106, 110, *BASE_HTTP}),
    "fastapi-guard: pure ASGI": (
        partial(fastapi_guard, middleware=PURE),
        None,
        {101, 102, 106, 110, 305, 307, 308, 309, 314},
    ),
}
PINNED = {"starlette": "1.10.0", "asgi-cors": "1.0.1", "secure": "2.0.1", "fastapi-guard": "8.1.2"}
"""The releases in which these faults were found."""


@pytest.fixture(autouse=True)
def in_silence(monkeypatch, request):
    """Skip what is not installed, or in another release; and let the peers' logs be theirs."""
    package = request.node.callspec.params["peer"].partition(":")[0]
    try:
        release = version(package)
    except PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    if release != PINNED[package]:
        pytest.skip(f"{package} {release} is installed; what is known is about {PINNED[package]}")
    monkeypatch.setattr(logging.root.manager, "disable", logging.CRITICAL)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("peer", PEERS)
def test_the_faults_of_a_peer_are_found(peer) -> None:
    """These rules, no others, by their numbers."""
    wrap, expectations, broken = PEERS[peer]

    report = anyio.run(partial(check_middleware, wrap, expectations, timeout_seconds=0.5))

    assert {finding.rule.number for finding in report.failures} == broken


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("peer", ["fastapi-guard"])
def test_an_upload_that_is_held_is_found(peer) -> None:
    """It looks for attacks: the application gets nothing before the last byte of the body has come."""
    wrap = partial(fastapi_guard, middleware=PURE, detects=True)
    rules = [rule for rule in RULES if rule.number in {201, 202, 203, 210}]

    report = anyio.run(partial(check_middleware, wrap, rules=rules))

    assert {finding.rule.number for finding in report.failures} == {201, 202, 210}
