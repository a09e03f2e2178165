"""One small application that fails in many ways, in seven frameworks: `/<way>` raises what `WAYS` makes.

Each lets the exceptions that it has no answer to through to the guard, as README.md says how; told not to, it answers
in its own words, as it does by default. Where a framework has one set of settings for the whole process, that is
changed for as long as an application is asked.
"""

# ruff: noqa: D103  each maker imports its own framework, and its functions raise what the table says
from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Never

from asgi_guard import (
    AuthenticationError,
    AuthorizationError,
    ConflictError,
    DatabaseError,
    ErrorCategory,
    ErrorSeverity,
    GuardError,
    NotFoundError,
    RateLimitError,
    ValidationError,
)

SECRET = "postgres://admin:hunter2@db.internal/orders"


class OrderDatabaseError(DatabaseError):
    """A subclass as a user writes it."""

    error_code = "ORDER_DATABASE_ERROR"
    max_retries = 5

    def __init__(self, order: int) -> None:
        super().__init__(SECRET, details={"order": order, "dsn": SECRET}, suggestions=["Check database connectivity"])


class UpstreamError(Exception):
    """An error as client libraries have it: its status is what another server has said."""

    status_code = status = code = 404
    detail = description = message = SECRET


class EarlierError(GuardError):
    """A subclass as the earlier system's users wrote it: all of it goes through the constructor."""

    def __init__(self, message: str, **kwargs: Any) -> None:
        super().__init__(
            message=message,
            error_code="PAYMENT_DECLINED",
            category=ErrorCategory.BUSINESS_LOGIC,
            severity=ErrorSeverity.MEDIUM,
            status=402,
            details=kwargs,
            retryable=False,
            max_retries=0,
        )


def noted() -> Exception:
    error = RuntimeError("no word")
    error.add_note(SECRET)
    error.__cause__ = OSError(2, SECRET, SECRET)
    return error


WAYS: Mapping[str, Callable[[], Exception]] = {
    "unexpected": lambda: RuntimeError(SECRET),
    "permission": lambda: PermissionError(13, SECRET, SECRET),
    "timeout": lambda: TimeoutError(SECRET),
    "lookup": lambda: KeyError(SECRET),
    "noted": noted,
    "upstream": UpstreamError,
    "not-found": lambda: NotFoundError("There is no order 7."),
    "invalid": lambda: ValidationError("No name.", details={"field": "name"}),
    "unknown": AuthenticationError,
    "forbidden": AuthorizationError,
    "conflict": ConflictError,
    "limited": lambda: RateLimitError(retry_after=1.2),
    "database": lambda: DatabaseError(SECRET, details={"dsn": SECRET}, retry_after=3),
    "exposed": lambda: DatabaseError("Back at noon.", expose=True),
    "subclass": lambda: OrderDatabaseError(7),
    "earlier": lambda: EarlierError("The card was declined.", order=7),
    "markup": lambda: GuardError("<script>alert(1)</script>", status=400),
    "group": lambda: ExceptionGroup(SECRET, [NotFoundError(SECRET), KeyError(SECRET)]),
    "group-of-ours": lambda: ExceptionGroup(SECRET, [NotFoundError(), ConflictError("Somebody was faster.")]),
    "group-of-one": lambda: ExceptionGroup(SECRET, [ExceptionGroup(SECRET, [NotFoundError("There is no order 7.")])]),
}
"""What each way raises."""


def fail(way: str) -> Never:
    """Raise it."""
    raise WAYS[way]()  # noqa: RSE102  it makes the exception


def in_starlette(*, lets_through: bool) -> Any:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.routing import Route

    async def endpoint(request: Request) -> Any:
        fail(request.path_params["way"])

    return Starlette(routes=[Route("/{way}", endpoint)])


def in_fastapi(*, lets_through: bool) -> Any:
    from fastapi import FastAPI

    api = FastAPI()

    @api.api_route("/{way}", methods=["GET", "HEAD"])
    async def endpoint(way: str) -> None:
        fail(way)

    return api


def in_litestar(*, lets_through: bool) -> Any:
    from litestar import Litestar, Request, get, head

    @get("/{way:str}")
    async def endpoint(request: Request[Any, Any, Any]) -> None:
        fail(request.path_params["way"])

    @head("/{way:str}")
    async def endpoint_of_head(request: Request[Any, Any, Any]) -> None:
        fail(request.path_params["way"])

    def let_through(request: Any, error: Exception) -> Never:
        raise error

    handlers: Any = {Exception: let_through} if lets_through else {}
    return Litestar([endpoint, endpoint_of_head], exception_handlers=handlers, signature_namespace={"Request": Request})


def in_quart(*, lets_through: bool) -> Any:
    from quart import Quart

    app = Quart("failing")
    app.config["PROPAGATE_EXCEPTIONS"] = lets_through

    @app.get("/<way>")
    async def endpoint(way: str) -> str:
        fail(way)

    return app


def in_falcon(*, lets_through: bool) -> Any:
    from falcon.asgi import App

    class Resource:
        async def on_get(self, request: Any, response: Any, way: str) -> None:
            fail(way)

        on_head = on_get

    async def let_through(request: Any, response: Any, error: Exception, params: Any) -> None:
        raise error

    app: Any = App()
    app.add_route("/{way}", Resource())
    if lets_through:
        app.add_error_handler(Exception, let_through)
    return app


def in_django(*, lets_through: bool) -> Any:
    import django
    from django.conf import settings
    from django.core.handlers.asgi import ASGIHandler
    from django.urls import path

    async def endpoint(request: Any, way: str) -> Any:
        fail(way)

    urls: Any = ModuleType("failing_urls")
    urls.urlpatterns = [path("<str:way>", endpoint)]
    sys.modules["failing_urls"] = urls
    if not settings.configured:
        # As the shop configures them, which may be asked in the same process.
        settings.configure(
            ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None, SECRET_KEY="not one", ROOT_URLCONF="shops.in_django"
        )
        django.setup()
    bodies: list[Any] = []

    class Handler(ASGIHandler):
        async def read_body(self, receive: Any) -> Any:
            bodies.append(await super().read_body(receive))
            return bodies[-1]

    app = Handler()

    async def with_settings(scope: Any, receive: Any, send: Any) -> None:
        from django.test.utils import override_settings

        with override_settings(ROOT_URLCONF="failing_urls", DEBUG_PROPAGATE_EXCEPTIONS=lets_through):
            try:
                await app(scope, receive, send)
            finally:
                while bodies:  # where a request fails, Django leaves it to the garbage collector
                    bodies.pop().close()

    return with_settings


def in_blacksheep(*, lets_through: bool) -> Any:
    from blacksheep import Application
    from blacksheep.server.routing import Router

    class LetsThrough(Application):
        async def handle_exception(self, request: Any, exc: Exception) -> Any:
            raise exc

    app: Any = (LetsThrough if lets_through else Application)(router=Router())

    async def endpoint(request):  # type: ignore[no-untyped-def]  # it is known by its name
        fail(request.route_values["way"])

    app.router.add("GET", "/{way}", endpoint)
    app.router.add("HEAD", "/{way}", endpoint)
    return app


FRAMEWORKS: Mapping[str, Callable[..., Any]] = {
    "starlette": in_starlette,
    "fastapi": in_fastapi,
    "litestar": in_litestar,
    "quart": in_quart,
    "falcon": in_falcon,
    "django": in_django,
    "blacksheep": in_blacksheep,
}
"""The makers; each is the name of its distribution, too."""
