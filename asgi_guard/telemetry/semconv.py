"""Semconv: the names of what is measured, and the few values that their attributes may have.

The stable HTTP semantic conventions of OpenTelemetry (1.44) for what they name; WebSockets as those of SignalR, stable
too. Must never let through a value that a client has written: an attribute of a metric is kept for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from asgi_guard.monitor.metric import HTTP_DURATION_BOUNDS, Kind, Metric

KNOWN_METHODS: Final = ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
"""The methods of RFC 9110, RFC 5789 and RFC 10008, as the conventions name them."""

OTHER: Final = "_OTHER"
"""What the conventions call a method that is not known."""

VERSIONS: Final[Mapping[str, str]] = MappingProxyType({"1.0": "1.0", "1.1": "1.1", "2": "2", "2.0": "2", "3": "3"})
"""`http_version` of the scope, as `network.protocol.version` has it."""

SCHEMES: Final = frozenset({"http", "https", "ws", "wss"})

SOCKET_BOUNDS: Final = (0.1, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0)
"""Buckets for connections, which last from the blink of an eye to a day, in seconds."""

REQUEST_DURATION: Final = Metric(
    "http.server.request.duration",
    "s",
    "Duration of HTTP server requests.",
    Kind.HISTOGRAM,
    (
        "http.request.method",
        "url.scheme",
        "network.protocol.version",
        "http.route",
        "http.response.status_code",
        "error.type",
    ),
    HTTP_DURATION_BOUNDS,
    is_exponential=True,
)

LEFT_REQUEST_DURATION: Final = Metric(
    "asgi_guard.request.duration",
    "s",
    "Duration of HTTP server requests that somebody else tells as http.server.request.duration.",
    Kind.HISTOGRAM,
    REQUEST_DURATION.attributes,
    HTTP_DURATION_BOUNDS,
    is_exponential=True,
)
"""Those that are left to others: whoever watches must know of them all the same."""

ACTIVE_REQUESTS: Final = Metric(
    "http.server.active_requests",
    "{request}",
    "Number of active HTTP server requests.",
    Kind.UP_DOWN,
    ("http.request.method", "url.scheme"),
)

CONNECTION_DURATION: Final = Metric(
    "asgi_guard.websocket.connection.duration",
    "s",
    "Duration of WebSocket connections, handshake and all.",
    Kind.HISTOGRAM,
    ("url.scheme", "network.protocol.version", "http.route", "http.response.status_code", "error.type"),
    SOCKET_BOUNDS,
)

ACTIVE_CONNECTIONS: Final = Metric(
    "asgi_guard.websocket.active_connections",
    "{connection}",
    "Number of WebSocket connections that are open or being opened.",
    Kind.UP_DOWN,
    ("url.scheme",),
)


def error_type(exc: BaseException) -> str:
    """Name the class of an exception, with its module where that is not the language's own, in 256 characters."""
    found = type(exc)
    name = found.__qualname__ if found.__module__ == "builtins" else f"{found.__module__}.{found.__qualname__}"
    return name[:256]


LAYER_DURATION: Final = Metric(
    "asgi_guard.layer.duration",
    "s",
    "Duration of what one layer does for one request, over all of its hooks; one request in 64 is measured.",
    Kind.HISTOGRAM,
    ("asgi_guard.layer",),
    (0.000_001, 0.000_002, 0.000_005, 0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_2, 0.000_5, 0.001, 0.005, 0.05, 1.0),
)

SIZE_BOUNDS: Final = (0.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9)
"""Buckets for bodies, in bytes; the first is for those that are empty."""

REQUEST_SIZE: Final = Metric(
    "http.server.request.body.size",
    "By",
    "Size of HTTP server request bodies, as far as the application has read them.",
    Kind.HISTOGRAM,
    REQUEST_DURATION.attributes,
    SIZE_BOUNDS,
)

RESPONSE_SIZE: Final = Metric(
    "http.server.response.body.size",
    "By",
    "Size of HTTP server response bodies.",
    Kind.HISTOGRAM,
    REQUEST_DURATION.attributes,
    SIZE_BOUNDS,
)

MESSAGES: Final = Metric(
    "asgi_guard.websocket.messages",
    "{message}",
    "Number of messages over WebSocket connections.",
    Kind.COUNTER,
    ("asgi_guard.websocket.direction",),
)

ANSWERS: Final = Metric(
    "asgi_guard.answers",
    "{answer}",
    "Number of answers that a layer has given in the application's place.",
    Kind.COUNTER,
    ("asgi_guard.layer", "http.response.status_code"),
)

ACCESS_LOG_DROPPED: Final = Metric(
    "asgi_guard.access_log.dropped",
    "{line}",
    "Number of lines of the access log that were dropped, since more came than could be written.",
    Kind.COUNTER,
)

SERIES: Final = Metric("asgi_guard.telemetry.series", "{series}", "Number of series that are counted.", Kind.UP_DOWN)
