"""The integration of the earlier system, as its users wrote it, around the same service.

Three things by their old names: the middleware, an exception handler, and a middleware that measures. All of it works
as it did; `app.py` does the same in one call, and more, such as an audit log.
A handler for `Exception` is the application's own answer, so the guard leaves those exceptions to it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request

from asgi_guard import GuardError, SecurityMiddleware, current_request_id, error_handler, performance_monitor
from reconciliation.app import create_api
from reconciliation.settings import Settings

SECURITY_CONFIG = {
    "rate_limit_requests": 100,
    "rate_limit_window": 60,
    "max_request_size": 10 * 1024 * 1024,
    "blocked_ips": ["203.0.113.66"],
    "enable_security_headers": True,
    "enable_input_validation": True,
}


def create_earlier_app(settings: Settings, security_config: Mapping[str, Any] = SECURITY_CONFIG) -> FastAPI:
    """Build the service with the integration of the earlier system."""
    app = create_api(settings)

    @app.exception_handler(GuardError)
    @app.exception_handler(Exception)
    async def global_exception_handler(request: Request, exc: Exception) -> Any:
        request_id = getattr(request.state, "request_id", None) or current_request_id()
        context = {"request_id": request_id, "accept": request.headers.get("accept")}
        return error_handler.handle_error(exc, context)

    @app.middleware("http")
    async def performance_middleware(request: Request, call_next):
        began, status = time.perf_counter(), 500
        try:
            response = await call_next(request)
            status = response.status_code
        finally:
            route = request.scope.get("route")
            performance_monitor.track_request(
                method=request.method,
                endpoint=getattr(route, "path", "/{unknown}"),
                duration=time.perf_counter() - began,
                status_code=status,
            )
        return response

    app.add_middleware(SecurityMiddleware, **security_config)
    return app
