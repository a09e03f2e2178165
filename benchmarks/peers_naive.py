"""Naive: the protections as tutorials write them, one class with a `call_next` for each."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from uuid import uuid4

from scenarios import HOSTS, ORIGINS
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse

WINDOWS = {"minute": 60.0, "day": 86_400.0}


class RequestID(BaseHTTPMiddleware):
    """Give each request its id."""

    async def dispatch(self, request, call_next):
        request.state.request_id = request.headers.get("X-Request-ID") or uuid4().hex
        response = await call_next(request)
        response.headers["X-Request-ID"] = request.state.request_id
        return response


class CORS(BaseHTTPMiddleware):
    """Let pages of the listed origins read."""

    async def dispatch(self, request, call_next):
        origin = request.headers.get("Origin")
        is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        response = JSONResponse({}) if is_preflight else await call_next(request)
        if origin in ORIGINS:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Vary"] = "Origin"
        return response


class SecurityHeaders(BaseHTTPMiddleware):
    """Add headers to each answer."""

    def __init__(self, app, headers):
        super().__init__(app)
        self.headers = headers

    async def dispatch(self, request, call_next):
        response = await call_next(request)
        for name, value in self.headers.items():
            response.headers[name] = value
        return response


class TrustedHost(BaseHTTPMiddleware):
    """Answer for listed hosts only."""

    async def dispatch(self, request, call_next):
        host = request.headers.get("Host", "").partition(":")[0]
        if not any(host == known or (known[0] == "*" and host.endswith(known[1:])) for known in HOSTS):
            return JSONResponse({"error": "unknown host"}, 400)
        return await call_next(request)


class BodyLimit(BaseHTTPMiddleware):
    """Refuse what is declared too large."""

    def __init__(self, app, max_body_bytes):
        super().__init__(app)
        self.max_body_bytes = max_body_bytes

    async def dispatch(self, request, call_next):
        if int(request.headers.get("Content-Length", 0)) > self.max_body_bytes:
            return JSONResponse({"error": "body too large"}, 413)
        return await call_next(request)


class RateLimit(BaseHTTPMiddleware):
    """Count the requests of each address in a window that slides."""

    def __init__(self, app, rate):
        super().__init__(app)
        amount, _, unit = rate.partition("/")
        self.amount, self.window = int(amount), WINDOWS[unit]
        self.asked = defaultdict(deque)

    async def dispatch(self, request, call_next):
        now, times = time.monotonic(), self.asked[request.client.host]
        while times and times[0] <= now - self.window:
            times.popleft()
        if len(times) >= self.amount:
            return JSONResponse({"error": "too many requests"}, 429)
        times.append(now)
        return await call_next(request)
