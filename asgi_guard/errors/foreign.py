"""Foreign: the HTTP errors of frameworks, read by class.

| framework          | class                                      | what it says                                 |
|--------------------|--------------------------------------------|----------------------------------------------|
| Starlette, FastAPI | `starlette.exceptions.HTTPException`       | status, detail, headers                      |
| FastAPI            | `fastapi.exceptions.RequestValidationError`| 422, and where it is wrong, never the input  |
| Litestar           | `litestar.exceptions.HTTPException`        | status, detail, headers                      |
| Quart              | `werkzeug.exceptions.HTTPException`        | status, description, headers                 |
| Falcon             | `falcon.HTTPError`, `falcon.HTTPStatus`    | status, title or description, headers        |
| Django             | `Http404`, `PermissionDenied`, `SuspiciousOperation`, `RequestDataTooBig` | 404, 403, 400, 413 |
| BlackSheep         | `blacksheep.exceptions.HTTPException`      | status                                       |

Rule 1: a framework is never imported. If its module is not in `sys.modules`, nothing of its making can be here.
Rule 2: only these classes, and what inherits from them. An exception of some client library has a `status_code` too,
and that is what another server said.
Rule 3: of a validation error nothing is told that a client has sent: passwords are mistyped as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

KEPT: Final = frozenset({"allow", "retry-after", "set-cookie", "www-authenticate", "proxy-authenticate"})
"""The headers of an error that an answer in another format still has to have."""

_MOST_ERRORS = 20
_REQUEST_PARTS: Final = frozenset({"body", "query", "path", "header", "cookie"})


@dataclass(frozen=True, slots=True)
class HTTPError:
    """What an HTTP error of a framework says.

    Attributes:
        status: its HTTP status.
        detail: one sentence; None where it has none of its own.
        headers: those of `KEPT`, lower-case names.
        errors: for a validation error what is wrong, each with `pointer`, `type` and `message`.
    """

    status: int
    detail: str | None = None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    errors: tuple[Mapping[str, str], ...] = ()


def http_error(exc: BaseException) -> HTTPError | None:
    """Read an exception that is a framework's way to answer; None for any other, however it looks."""
    for module, name, read in _CLASSES:
        known = getattr(sys.modules.get(module), name, None)
        if isinstance(known, type) and isinstance(exc, known):
            error = read(exc)
            return error if 400 <= error.status <= 599 else None
    return None


def _detailed(exc: Any) -> HTTPError:
    return HTTPError(_status(exc.status_code), _sentence(exc.detail), _kept(exc.headers))


def _of_werkzeug(exc: Any) -> HTTPError:
    return HTTPError(_status(exc.code), _sentence(exc.description), _kept(exc.get_headers()))


def _of_falcon(exc: Any) -> HTTPError:
    status = exc.status_code if isinstance(exc.status_code, int) else str(exc.status)[:3]
    return HTTPError(_status(status), _sentence(getattr(exc, "description", None)), _kept(exc.headers))


def _of_blacksheep(exc: Any) -> HTTPError:
    return HTTPError(_status(exc.status))


def _validation(exc: Any) -> HTTPError:
    given: list[dict[str, Any]] = [error for error in exc.errors()[:_MOST_ERRORS] if isinstance(error, dict)]
    errors = tuple(
        {
            "pointer": _pointer(error.get("loc") or ()),
            "type": str(error.get("type", ""))[:64],
            "message": str(error.get("msg", ""))[:256] if _is_plain(error) else "This is not valid.",
        }
        for error in given
    )
    return HTTPError(422, "The request is not valid.", errors=errors)


def _is_plain(error: Mapping[str, Any]) -> bool:
    """Tell whether a message is the library's own: that of `raise ValueError(...)` may repeat what was sent."""
    return error.get("type") not in {"value_error", "assertion_error"}


def _pointer(location: Iterable[object]) -> str:
    """Write a location as a JSON Pointer (RFC 6901), with the part of the request before it."""
    steps = [str(step)[:64].replace("~", "~0").replace("/", "~1") for step in location]
    if steps and steps[0] in _REQUEST_PARTS:
        return f"{steps[0]}#/" + "/".join(steps[1:]) if len(steps) > 1 else f"{steps[0]}#"
    return "#/" + "/".join(steps)


def _plain(status: int) -> Callable[[Any], HTTPError]:
    return lambda _: HTTPError(status)


_CLASSES: Final[tuple[tuple[str, str, Callable[[Any], HTTPError]], ...]] = (
    ("starlette.exceptions", "HTTPException", _detailed),  # FastAPI's class is a subclass
    ("fastapi.exceptions", "RequestValidationError", _validation),
    ("litestar.exceptions", "HTTPException", _detailed),
    ("werkzeug.exceptions", "HTTPException", _of_werkzeug),
    ("falcon", "HTTPError", _of_falcon),
    ("falcon", "HTTPStatus", _of_falcon),
    ("django.http", "Http404", _plain(404)),
    ("django.core.exceptions", "PermissionDenied", _plain(403)),
    ("django.core.exceptions", "RequestDataTooBig", _plain(413)),
    ("django.core.exceptions", "SuspiciousOperation", _plain(400)),
    ("blacksheep.exceptions", "HTTPException", _of_blacksheep),
)


def _status(given: object) -> int:
    try:
        return int(given)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        return 500


def _sentence(given: object) -> str | None:
    return given if isinstance(given, str) and given else None


def _kept(headers: Any) -> tuple[tuple[bytes, bytes], ...]:
    pairs: Iterable[tuple[Any, Any]] = headers.items() if hasattr(headers, "items") else headers or ()
    texts = [(str(name).lower(), str(value)) for name, value in pairs]
    return tuple(
        (name.encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in texts
        if name in KEPT and not any(control in value for control in "\r\n\0")
    )
