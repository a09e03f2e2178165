"""Reference, answers: what the hand-written middlewares answer themselves, in the guard's words and in JSON only."""

from __future__ import annotations

import json
import time
from typing import Any

CLOSE = [(b"connection", b"close")]
"""The header that tells a client to give up its upload."""


def error(category: str, code: str, message: str, **more: Any) -> dict[str, Any]:
    """Write the part of an error body that does not depend on the request."""
    common = {"severity": "low", "timestamp": "", "retryable": False, "details": {}}
    return {"type": category, "code": code, "message": message, **common, **more}


async def answer(scope, send, status, body, suggestions=(), *, first=(), last=()):
    """Send an error in the place of the application's response."""
    timestamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    request_id = scope.get("state", {}).get("request_id")
    whole = {"error": {**body, "timestamp": timestamp}, "suggestions": list(suggestions), "request_id": request_id}
    text = json.dumps(whole, separators=(",", ":")).encode()
    headers = [
        *first,
        (b"vary", b"Accept"),
        (b"cache-control", b"no-store"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(text)),
        *last,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text, "more_body": False})


def varied(headers, *names: bytes):
    """Return response headers whose `Vary` names these request headers too."""
    lines = [value for name, value in headers if name == b"vary"]
    if not lines:
        return [*headers, (b"vary", b", ".join(names))]
    present = [member.strip() for line in lines for member in line.split(b",")]
    if b"*" in present:
        return headers
    known = {member.lower() for member in present}
    missing = [name for name in names if name.lower() not in known]
    others = [pair for pair in headers if pair[0] != b"vary"]
    return [*others, (b"vary", b", ".join([*present, *missing]))]
