"""Recognise: what other frameworks do with an exception that the guard could answer, and the errors they write.

Rule 1: a framework is never imported. If its module is not in `sys.modules`, nothing of its making can be here.
Rule 2: its objects are known by their class, never by their attributes: an error of some client library has a `.status`
too, and it is that of another server.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, cast

from asgi_guard.errors.foreign import HTTPError, invalid
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
    headers, media_type, content = _read(start, body)
    phrases = _phrases(start["status"])
    if content.strip():
        return media_type == b"text/plain" and content.strip() in phrases
    if media_type != b"text/plain":
        return media_type == b""
    lengths = {b"%d" % len(phrase) for phrase in phrases}
    return headers.get(b"content-length") in lengths  # an answer to HEAD, whose GET would be plain


def written(start: Message, body: Message) -> HTTPError | None:
    """Read an error that a framework wrote in a format of its own; None for any other.

    | framework        | what it writes                                                        |
    |------------------|-----------------------------------------------------------------------|
    | FastAPI          | `{"detail": ...}`, and a list of what is wrong for a validation error |
    | Litestar         | `{"status_code": ..., "detail": ...}`, perhaps with `extra`           |
    | Falcon           | `{"title": ...}`, perhaps with `description`, `code` and `link`       |
    | Quart, Django    | a page with a title, a heading and a paragraph                        |

    Args:
        start: the start of the response, with a status from 400 on.
        body: its only body message.
    """
    _, media_type, content = _read(start, body)
    status: int = start["status"]
    if media_type == b"text/html":
        page = re.fullmatch(_PAGE, content, re.VERBOSE)
        return None if page is None else HTTPError(status, _paragraph(page[1]))
    said = _object(content) if media_type == b"application/json" else {}
    if {"detail"} <= said.keys() <= {"detail", "status_code", "extra"}:
        return _of_detail(status, said["detail"], said.get("extra"))
    if {"title"} <= said.keys() <= {"title", "description", "code", "link"}:
        text = said.get("description", said["title"])
        return _of_detail(status, title(status) if text == f"{status} {title(status)}" else text, None)
    return None


def _object(content: bytes) -> dict[str, object]:
    from json import loads  # the first error pays for it, not every start

    try:
        given = loads(content)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, object]", given) if isinstance(given, dict) else {}


def _of_detail(status: int, detail: object, extra: object) -> HTTPError | None:
    if isinstance(detail, list):
        return invalid(status, cast("list[object]", detail))
    if not isinstance(detail, str):
        return None
    return invalid(status, extra) if detail.startswith("Validation failed for ") else HTTPError(status, detail)


def _paragraph(markup: bytes) -> str | None:
    from html import unescape

    return unescape(markup.decode("utf-8", "replace").replace("<br>", " ")) or None


# Werkzeug's page, and Django's; both have the same text as title and heading, or the phrase as heading.
_PAGE: Final = (
    rb"""\s*<!doctype\ html>\s*<html\ lang="?en"?>\s*(?:<head>\s*)?<title>[^<]{1,80}</title>\s*"""
    rb"""(?:</head>\s*<body>\s*)?<h1>[^<]{1,80}</h1>\s*<p>((?:[^<]|<br>)*)</p>\s*(?:</body>\s*</html>\s*)?"""
)


def _read(start: Message, body: Message) -> tuple[dict[bytes, bytes], bytes | None, bytes]:
    """Return headers, media type and content; no media type where it is encoded, so that nothing is known of it."""
    headers: dict[bytes, bytes] = dict(start.get("headers") or ())
    media_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return headers, None if b"content-encoding" in headers else media_type, bytes(body.get("body") or b"")


def _phrases(status: int) -> set[bytes]:
    """Return what frameworks write for a status: the phrase of the registry, or that of Python's older one."""
    known = {title(status)}
    with suppress(ValueError):
        known.add(HTTPStatus(status).phrase)
    if status == HTTPStatus.NOT_FOUND:
        known.add("Resource not found")  # BlackSheep
    return {text.encode() for phrase in known for text in (phrase, phrase.capitalize(), f"{status} {phrase}")}
