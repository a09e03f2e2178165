"""Messages: the facts about single ASGI messages that the way out has to know (ASGI HTTP and WebSocket specs).

Must never hold anything of a request.
"""

from __future__ import annotations

from collections.abc import Mapping

from asgi_guard.engine.types import Scope

SWITCHING_PROTOCOLS = 101

HEADS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
"""The messages with which an application starts its answer."""

ENDS = {
    "http.response.body": "more_body",
    "http.response.pathsend": "",
    "http.response.trailers": "more_trailers",
    "http.response.zerocopysend": "more_body",
    "websocket.close": "",
    "websocket.http.response.body": "more_body",
}
"""The messages that may be the last, and the key that says that they are not."""


def accept_takes_headers(scope: Scope) -> bool:
    """Tell whether `websocket.accept` may carry headers (ASGI WebSocket spec 2.1)."""
    asgi: Mapping[str, object] = scope.get("asgi") or {}
    version = str(asgi.get("spec_version", "2.0"))
    return version >= "2.1"
