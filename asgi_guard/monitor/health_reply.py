"""Health reply: a report in the format that was asked for, or no more than whether it works.

Must never tell a stranger more than a status: which check fails, and that there is a warning, are details.
"""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import parse_qs

from asgi_guard.engine.replies import Reply
from asgi_guard.engine.request import Request
from asgi_guard.monitor.health_report import Report

MAX_QUERY_BYTES: Final = 1_024
"""What is read of a query."""

_NO_STORE: Final = ((b"cache-control", b"no-store"),)
_JSON, _HEALTH_JSON, _TEXT = b"application/json", b"application/health+json", b"text/plain; charset=utf-8"


def full(request: Request, report: Report) -> Reply:
    """Write a report in the format that was asked for."""
    if "verbose" in query_of(request):
        return _reply(report, report.as_lines().encode(), _TEXT)
    return _reply(report, json.dumps(report.as_json()).encode(), _json_type(request))


def bare(request: Request, report: Report) -> Reply:
    """Write whether it works, and nothing else: a warning is a detail, too."""
    return _reply(report, b'{"status": "%b"}' % (b"fail" if report.status == "fail" else b"pass"), _json_type(request))


def _reply(report: Report, body: bytes, content_type: bytes) -> Reply:
    return Reply(503 if report.status == "fail" else 200, headers=_NO_STORE, body=body, content_type=content_type)


def _json_type(request: Request) -> bytes:
    is_named = any(_HEALTH_JSON in line.lower() for line in request.header_lines(b"accept"))
    return _HEALTH_JSON if is_named else _JSON


def query_of(request: Request) -> dict[str, list[str]]:
    """Return the query of a request, of which 1,024 bytes are read."""
    query: bytes = request.scope.get("query_string") or b""
    return parse_qs(query[:MAX_QUERY_BYTES].decode("latin-1"), keep_blank_values=True)
