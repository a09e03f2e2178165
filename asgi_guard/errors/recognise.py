"""Recognise: what other frameworks do with an exception that the guard could answer.

Rule 1: a framework is never imported. If its module is not in `sys.modules`, nothing of its making can be here.
Rule 2: its objects are known by their class, never by their attributes: an error of some client library has a `.status`
too, and it is that of another server.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, cast


def _starlette_answers(app: Any) -> bool:
    # As Starlette.build_middleware_stack picks the handler of its outermost middleware.
    return bool(app.debug) or not {500, Exception}.isdisjoint(app.exception_handlers)


# Module, class, and whether an application of that class answers unhandled exceptions in a way that its author chose.
_FRAMEWORKS: Final[tuple[tuple[str, str, Callable[[Any], bool]], ...]] = (
    ("starlette.applications", "Starlette", _starlette_answers),  # FastAPI's class is a subclass
)


def is_answered_outside(handlers: object, exc: Exception) -> bool:
    """Tell whether the framework around a mounted guard has an answer to an exception.

    Starlette's routing raises `HTTPException` where it finds nothing, and leaves the answer to the middleware that
    stands around all of its routes.

    Args:
        handlers: `scope["starlette.exception_handlers"]` as it was when the guard was entered: handlers by class, and
            handlers by status; None where there were none.
        exc: the exception.
    """
    by_class = cast("tuple[object, ...]", handlers)[0] if isinstance(handlers, tuple) and handlers else None
    return isinstance(by_class, Mapping) and any(kind in by_class for kind in type(exc).__mro__)


def steps_back(app: object | None) -> bool:
    """Tell whether an exception must be left to the framework that the guard runs inside of.

    Starlette and FastAPI put their own error middleware around everything that `add_middleware` adds. With `debug` it
    shows the traceback, and a handler for `Exception` or 500 is the author's word on the matter.

    Args:
        app: `scope["app"]` as it was when the guard was entered; None where it was not set, so that nothing stands
            around the guard.
    """
    for module, name, answers in _FRAMEWORKS:
        framework = getattr(sys.modules.get(module), name, None)
        if isinstance(framework, type) and isinstance(app, framework):
            return answers(app)
    return False
