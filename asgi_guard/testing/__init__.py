"""Testing: what it takes to test an ASGI application or a middleware, on asyncio and trio, with any test framework.

    response = await call(app, "POST", "/items", body=b"{}")          # a request, checked by a strict server
    async with Client(app) as client: ...                             # a client, within the application's lifespan
    async with websocket(app, "/chat") as session: ...                # a conversation
    Guard(app, listeners=[events := capture_events()])                # what the guard did
    with StandIn() as upstream: upstream.script(fail(503), ok())      # a service that fails as it is told
    (await check_middleware(MyMiddleware)).raise_for_failures()       # does a middleware keep the rules of ASGI?
    (await run_load(app, ["/items"])).raise_unless_passed()           # does it bear many requests?
    (await attack_application(app)).raise_for_holes()                 # do attacks work?

Rule 1: nothing in the rest of the package imports from here, and only `asgi_guard.testing.plugin` imports pytest.
Rule 2: this file imports nothing: pytest loads the plugin before a suite's coverage begins to measure. The names are
looked up in their homes when they are asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asgi_guard.testing.app_client import Client, StreamedResponse
    from asgi_guard.testing.attack import AttackReport, Hole, attack_application
    from asgi_guard.testing.auth import (
        AuthenticationReport,
        Credentials,
        assert_requires_authentication,
        basic,
        bearer,
        cookie,
        signed_jwt,
        unsigned_jwt,
    )
    from asgi_guard.testing.capture import CapturedEvents, capture_events
    from asgi_guard.testing.client import RawHeaders, Response, call
    from asgi_guard.testing.clock import ManualClock
    from asgi_guard.testing.conformance import (
        RULES,
        Expectations,
        Finding,
        NotConformingError,
        Report,
        Rule,
        check_middleware,
    )
    from asgi_guard.testing.database import Database
    from asgi_guard.testing.generate import Generator
    from asgi_guard.testing.load import Ask, LoadFailedError, LoadReport, LoadRule, run_load
    from asgi_guard.testing.payloads import ATTACKS, BENIGN, Payload
    from asgi_guard.testing.protocol import ProtocolViolation
    from asgi_guard.testing.scopes import (
        ABSENT,
        HEADER_FORMS,
        ODD_HANDSHAKES,
        ODD_SCOPES,
        http_scope,
        lifespan_scope,
        request_messages,
        websocket_scope,
    )
    from asgi_guard.testing.server import StrictServer
    from asgi_guard.testing.services import Call, Services, StandIn, StandInCache, StandInError
    from asgi_guard.testing.sessions import Conversation, WebSocketSession, lifespan, websocket
    from asgi_guard.testing.steps import Step, fail, garbage, hang, ok, reset, slow
    from asgi_guard.testing.valkey import Valkey

_HOME: dict[str, str] = {
    name: f"asgi_guard.testing.{home}"
    for home, names in {
        "app_client": ("Client", "StreamedResponse"),
        "attack": ("AttackReport", "Hole", "attack_application"),
        "auth": (
            "AuthenticationReport",
            "Credentials",
            "assert_requires_authentication",
            "basic",
            "bearer",
            "cookie",
            "signed_jwt",
            "unsigned_jwt",
        ),
        "capture": ("CapturedEvents", "capture_events"),
        "client": ("RawHeaders", "Response", "call"),
        "clock": ("ManualClock",),
        "conformance": (
            "RULES",
            "Expectations",
            "Finding",
            "NotConformingError",
            "Report",
            "Rule",
            "check_middleware",
        ),
        "database": ("Database",),
        "generate": ("Generator",),
        "load": ("Ask", "LoadFailedError", "LoadReport", "LoadRule", "run_load"),
        "payloads": ("ATTACKS", "BENIGN", "Payload"),
        "protocol": ("ProtocolViolation",),
        "scopes": (
            "ABSENT",
            "HEADER_FORMS",
            "ODD_HANDSHAKES",
            "ODD_SCOPES",
            "http_scope",
            "lifespan_scope",
            "request_messages",
            "websocket_scope",
        ),
        "server": ("StrictServer",),
        "services": ("Call", "Services", "StandIn", "StandInCache", "StandInError"),
        "sessions": ("Conversation", "WebSocketSession", "lifespan", "websocket"),
        "steps": ("Step", "fail", "garbage", "hang", "ok", "reset", "slow"),
        "valkey": ("Valkey",),
    }.items()
    for name in names
}

__all__ = [
    "ABSENT",
    "ATTACKS",
    "BENIGN",
    "HEADER_FORMS",
    "ODD_HANDSHAKES",
    "ODD_SCOPES",
    "RULES",
    "Ask",
    "AttackReport",
    "AuthenticationReport",
    "Call",
    "CapturedEvents",
    "Client",
    "Conversation",
    "Credentials",
    "Database",
    "Expectations",
    "Finding",
    "Generator",
    "Hole",
    "LoadFailedError",
    "LoadReport",
    "LoadRule",
    "ManualClock",
    "NotConformingError",
    "Payload",
    "ProtocolViolation",
    "RawHeaders",
    "Report",
    "Response",
    "Rule",
    "Services",
    "StandIn",
    "StandInCache",
    "StandInError",
    "Step",
    "StreamedResponse",
    "StrictServer",
    "Valkey",
    "WebSocketSession",
    "assert_requires_authentication",
    "attack_application",
    "basic",
    "bearer",
    "call",
    "capture_events",
    "check_middleware",
    "cookie",
    "fail",
    "garbage",
    "hang",
    "http_scope",
    "lifespan",
    "lifespan_scope",
    "ok",
    "request_messages",
    "reset",
    "run_load",
    "signed_jwt",
    "slow",
    "unsigned_jwt",
    "websocket",
    "websocket_scope",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
