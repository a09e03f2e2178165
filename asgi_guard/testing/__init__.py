"""Testing: what it takes to test an ASGI application or a middleware, on asyncio and trio, without any test framework.

    response = await call(app, "POST", "/items", body=b"{}")          # a request, checked by a strict server
    async with websocket(app, "/chat") as session: ...                # a conversation
    Guard(app, listeners=[events := capture_events()])                # what the guard did
    (await check_middleware(MyMiddleware)).raise_for_failures()       # does a middleware keep the rules of ASGI?

Nothing in the rest of the package imports from here, and nothing here imports a test framework.
"""

from __future__ import annotations

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
from asgi_guard.testing.sessions import Conversation, WebSocketSession, lifespan, websocket

__all__ = [
    "ABSENT",
    "HEADER_FORMS",
    "ODD_HANDSHAKES",
    "ODD_SCOPES",
    "RULES",
    "CapturedEvents",
    "Conversation",
    "Expectations",
    "Finding",
    "ManualClock",
    "NotConformingError",
    "ProtocolViolation",
    "RawHeaders",
    "Report",
    "Response",
    "Rule",
    "StrictServer",
    "WebSocketSession",
    "call",
    "capture_events",
    "check_middleware",
    "http_scope",
    "lifespan",
    "lifespan_scope",
    "request_messages",
    "websocket",
    "websocket_scope",
]
