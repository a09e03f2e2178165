"""Stacks: what the conformance kit asks on every server; each refuses `refused.example`, and bodies over a megabyte."""

from __future__ import annotations

from asgi_guard import ClientAddress, Guard, RateLimit, RequestLimits, TrustedHost
from asgi_guard.engine.fuse import Middleware

HOSTS = ["testserver"]
LIMITS = RequestLimits(max_body_bytes=1_000_000)
HEADERS = (
    b"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nOrigin: https://shop.example\r\n"
    b"Sec-Fetch-Site: same-site\r\n"
)
"""What every request carries: all that the fullest stack asks for."""


def guard(app):
    """Make a guard as it comes, with a rate that is never reached, and hosts of its own."""
    return Guard(app, rate_limit="1000000/second", trusted_host=TrustedHost(HOSTS), request_limits=LIMITS)


def everything(app):
    """Make a guard with every part on, some of them with deadlines."""
    return Guard(
        app,
        client_address=ClientAddress(trusted=["127.0.0.1", "::1"]),
        cors="https://shop.example",
        trusted_host=TrustedHost(HOSTS),
        https="require",
        ip_filter=["203.0.113.0/24"],
        request_limits=RequestLimits(max_body_bytes=1_000_000, total_seconds=60, idle_seconds=30, max_concurrent=1_000),
        fetch_metadata=True,
        rate_limit=RateLimit("1000000/second"),
    )


def nested(app):
    """Nest the parts of that guard for real, a frame for each."""
    for layer in reversed(everything(app).layers):
        app = Middleware(app, layer, fuse=False)
    return app


STACKS = ("guard", "everything", "nested")
