"""Recognise: what other frameworks do with an exception that the guard could answer, and the errors they write.

Rule 1: a framework is never imported. If its module is not in `sys.modules`, nothing of its making can be here.
Rule 2: its objects are known by their class, never by their attributes: an error of some client library has a `.status`
too, and it is that of another server.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, cast

from asgi_guard.errors.phrases import title


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


Message = Mapping[str, Any]


def is_plain(start: Message, body: Message) -> bool:
    """Tell whether a framework wrote this error by itself: nothing at all, or the reason phrase as plain text.

    Args:
        start: the start of the response, with a status from 400 on.
        body: its only body message.
    """
    media_type, content = _read(start, body)
    content = content.strip()
    if not content:
        return media_type == b""
    return media_type == b"text/plain" and content in _phrases(start["status"])


def detail_of(start: Message, body: Message) -> str | None:
    """Return the detail of an error that is JSON and says no more; None for any other.

    FastAPI writes `{"detail": ...}`, Litestar `{"status_code": ..., "detail": ...}`.
    """
    media_type, content = _read(start, body)
    if media_type != b"application/json":
        return None
    from json import loads  # the first error pays for it, not every start

    try:
        given = loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(given, dict) or not {"detail"} <= given.keys() <= {"detail", "status_code", "extra"}:
        return None
    detail = cast("dict[str, object]", given)["detail"]
    return detail if isinstance(detail, str) else None


def _read(start: Message, body: Message) -> tuple[bytes | None, bytes]:
    """Return the media type and the content; None where it is encoded, so that nothing is known of it."""
    headers: dict[bytes, bytes] = dict(start.get("headers") or ())
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return None if b"content-encoding" in headers else media_type, bytes(body.get("body") or b"")


def _phrases(status: int) -> set[bytes]:
    """Return what frameworks write for a status: the phrase of the registry, or that of Python's older one."""
    known = {title(status)}
    with suppress(ValueError):
        known.add(HTTPStatus(status).phrase)
    return {text.encode() for phrase in known for text in (phrase, phrase.capitalize(), f"{status} {phrase}")}
