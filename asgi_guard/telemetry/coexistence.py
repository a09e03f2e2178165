"""Coexistence: what others measure already, so that a request has one server span and one duration.

FastAPI has telemetry of its own, Starlette a middleware, and OpenTelemetry one for any ASGI application, on which the
plugin of Litestar stands. Whoever stands outside has begun before the guard is asked, and is left alone. Of those that
stand inside, the ones that can be seen are left alone too, unless the guard is told to measure in their place; in those
that cannot be seen nothing is begun once the guard has begun a span.
Must never import any of them, nor fail where they have changed: they are known by the marks that they leave in a scope
and by the names of their classes, and who is not recognised is not there.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from asgi_guard.engine.exchange import Exchange
    from asgi_guard.engine.types import Scope

HTTP = Literal["auto", "guard", "framework"]
CHOICES: Final = ("auto", "guard", "framework")

FASTAPI: Final = "fastapi.telemetry"
"""The module of FastAPI's telemetry, and its mark in the scope: None there keeps it from measuring."""

STARLETTE: Final = "starlette.opentelemetry"
"""The mark of Starlette's middleware, which does nothing where it stands already."""

_FASTAPI_API: Final = "fastapi.telemetry._api"
_STARLETTE_MODULE: Final = "starlette.middleware.opentelemetry"
_ASGI_MODULE: Final = "opentelemetry.instrumentation.asgi"
_MIDDLEWARES: Final = frozenset({_STARLETTE_MODULE, _ASGI_MODULE})
_DEEPEST: Final = 64
"""How far into an application its middlewares are looked for."""

MEASURED_THERE: Final = (
    "The application measures its requests itself, so that http.server.request.duration is its own to tell; "
    "the monitor and /metrics have them as asgi_guard.request.duration. "
    'Telemetry(http="guard") measures them here. This is said once.'
)
_logger: Final = logging.getLogger("asgi_guard.telemetry")
_LOOKS_ONCE_IN: Final = 64
"""For how many requests what was seen inside holds: somebody may set up a provider late."""

_WAYS_IN: Final = ("middleware_stack", "app", "asgi_app", "asgi_handler")
_NOT_SET_UP: Final = frozenset(
    {"ProxyTracerProvider", "NoOpTracerProvider", "_ProxyMeterProvider", "NoOpMeterProvider"}
)


class Measured(NamedTuple):
    """What somebody else measures of a request."""

    spans: bool
    durations: bool


NOTHING: Final = Measured(spans=False, durations=False)
_NOBODY: Final = object()


def is_possible() -> bool:
    """Tell whether anybody who measures requests has been imported at all."""
    modules = sys.modules
    return FASTAPI in modules or _ASGI_MODULE in modules or _STARLETTE_MODULE in modules


def outside(exchange: Exchange) -> Measured:
    """Tell what those measure who stand around the guard, and so have begun already."""
    scope = exchange.scope
    begun = scope.get(FASTAPI)
    if begun is not None and not is_ours(begun):
        native = getattr(scope.get("app"), "_native_telemetry", None)
        found = Measured(getattr(begun, "span", None) is not None, _of_fastapi(native).durations)
        return found if any(found) else NOTHING
    if scope.get(STARLETTE):
        return Measured(spans=True, durations=False)
    if _ASGI_MODULE in sys.modules and _is_in_server_span(exchange):
        return Measured(spans=True, durations=_is_set_up("metrics"))
    return NOTHING


class Inside:
    """Those who stand inside the guard.

    Args:
        app: the application; None where it is not known.

    Attributes:
        is_settled: whether the application has served a request, so that its middlewares stand for good.
        is_fastapi: whether the application is a FastAPI, as of the last request.
        is_idle: whether that FastAPI measures nothing, neither for itself nor for those that are mounted in it.
    """

    __slots__ = ("_app", "_found", "_has_said_so", "_known", "_known_for", "is_fastapi", "is_idle", "is_settled")

    def __init__(self, app: Any) -> None:
        self._app = app
        self._found: Any = None
        self._known = NOTHING
        self._known_for = 0
        self._has_said_so = False
        self.is_settled: bool = False
        self.is_fastapi: bool = False
        self.is_idle: bool = False

    def measured(self) -> Measured:
        """Tell what the application, or a middleware of its own, will measure of a request that reaches it."""
        if self._known_for:
            self._known_for -= 1
            return self._known
        self._known = self._look()
        self._known_for = _LOOKS_ONCE_IN if self.is_settled else 0
        return self._known

    def say_so(self) -> None:
        """Say once that somebody else has the durations."""
        if not self._has_said_so:
            self._has_said_so = True
            _logger.warning(MEASURED_THERE)

    def _look(self) -> Measured:
        found = self._found
        if found is None:
            found = next(_measuring(self._app), _NOBODY)
            if self.is_settled:
                self._found = found
        native = getattr(found, "_native_telemetry", None)
        self.is_fastapi = native is not None
        self.is_idle = self.is_fastapi and not getattr(native, "enabled", bool)()
        return NOTHING if found is _NOBODY else _measured_by(found)


def _measuring(app: Any) -> Iterator[Any]:
    """Find who measures: FastAPI comes last, since it lets OpenTelemetry's middleware do it."""
    stack = [*_stack(app)]
    yield from (found for found in stack if _module(found) in _MIDDLEWARES)
    yield from (found for found in stack if hasattr(found, "_native_telemetry"))


def _module(found: Any) -> str:
    return found.__module__ if isinstance(found, type) else type(found).__module__


def _measured_by(found: Any) -> Measured:
    module = _module(found)
    if module == _ASGI_MODULE:
        return _of_asgi(found)
    if module == _STARLETTE_MODULE:
        return Measured(spans=_is_set_up("trace", getattr(found, "_tracer_provider", None)), durations=False)
    return _of_fastapi(found._native_telemetry)  # noqa: SLF001


def claim(scope: Scope, *, has_span: bool, is_fastapi: bool) -> None:
    """Write into a scope, a copy that nobody else has, that FastAPI begins nothing, and Starlette no second span.

    Args:
        scope: of the application.
        has_span: whether the request has a span.
        is_fastapi: whether the application is a FastAPI, which then says which route it has chosen.
    """
    scope[FASTAPI] = _route_teller() if is_fastapi else None
    if has_span:
        scope[STARLETTE] = True


def _route_teller() -> Any:
    """Return what a FastAPI of today writes its route to, mounts and all; None with any other."""
    telemetry: Any = getattr(sys.modules.get(_FASTAPI_API), "_RequestTelemetry", None)
    try:
        return None if telemetry is None else _told_by(telemetry)()
    except Exception:  # noqa: BLE001  it is FastAPI's own affair, which may look different tomorrow
        return None


@cache
def _told_by(telemetry: Any) -> Any:
    """Make a class of FastAPI's own kind that measures nothing."""

    class Told(telemetry):  # type: ignore[misc]
        span = tracer = logger = route = status_code = data = None
        span_method = _mount_prefix = ""

        def __init__(self) -> None:  # the one that is made for data takes ten times as long
            self._exceptions: list[BaseException] = []

    return Told


def is_ours(begun: Any) -> bool:
    """Tell whether what stands for FastAPI's telemetry in a scope is what the guard has put there."""
    return type(begun).__module__ == __name__


def _stack(app: Any) -> Iterator[Any]:
    """Go from middleware to middleware, and to those that an application puts around itself when it is first used."""
    for _ in range(_DEEPEST):
        yield app
        if _attribute(app, "_is_instrumented_by_opentelemetry"):
            yield from _imported(_ASGI_MODULE)
        if _attribute(app, "open_telemetry_middleware") is not None:  # Litestar's holds the one that measures
            yield app.open_telemetry_middleware
        yield from (entry.cls for entry in _attribute(app, "user_middleware") or () if hasattr(entry, "cls"))
        app = next((found for name in _WAYS_IN if (found := _attribute(app, name)) is not None), None)
        if app is None:
            return


def _attribute(app: Any, name: str) -> Any:
    """Return an attribute of an object's own: a guard, for one, has those of the application inside it as well."""
    attributes: dict[str, Any] | None = getattr(app, "__dict__", None)
    return getattr(app, name, None) if attributes is None else attributes.get(name)


def _imported(module: str) -> Iterator[Any]:
    middleware = getattr(sys.modules.get(module), "OpenTelemetryMiddleware", None)
    if middleware is not None:
        yield middleware


def _of_fastapi(native: Any) -> Measured:
    config: Any = getattr(native, "config", None) or {}
    return Measured(
        spans=bool(config.get("tracing")) and _is_set_up("trace", config.get("tracer_provider")),
        durations=bool(config.get("metrics")) and _is_set_up("metrics", config.get("meter_provider")),
    )


def _of_asgi(middleware: Any) -> Measured:
    return Measured(
        spans=_is_real(getattr(middleware, "tracer", None)) or _is_set_up("trace"),
        durations=_is_real(getattr(middleware, "active_requests_counter", None)) or _is_set_up("metrics"),
    )


def _is_real(made: Any) -> bool:
    return type(made).__module__.startswith("opentelemetry.sdk.")


def _is_set_up(signal: Literal["trace", "metrics"], provider: Any = None) -> bool:
    """Tell whether a provider, by default the global one, is one that does something."""
    if provider is None:
        api = sys.modules.get(f"opentelemetry.{signal}")
        find = getattr(api, "get_tracer_provider" if signal == "trace" else "get_meter_provider", None)
        if find is None:
            return False
        provider = find()
    return type(provider).__name__ not in _NOT_SET_UP


def _is_in_server_span(exchange: Exchange) -> bool:
    """Tell whether the guard was called within the server span of somebody else."""
    api: Any = sys.modules.get("opentelemetry.trace")
    span = api.get_current_span()
    kind = getattr(span, "kind", None)
    if kind is not None:
        return bool(kind is api.SpanKind.SERVER)
    # One that was not sampled has no kind. That of a client in this process has sent its own id along.
    context = span.get_span_context()
    sent = exchange.header(b"traceparent") or b""
    return context.is_valid and not context.is_remote and b"-%016x-" % context.span_id not in sent
