"""Foreign: the HTTP errors of frameworks, read by class.

| framework          | class                                      | what it says                                 |
|--------------------|--------------------------------------------|----------------------------------------------|
| Starlette, FastAPI | `starlette.exceptions.HTTPException`       | status, detail, headers                      |
| FastAPI            | `fastapi.exceptions.RequestValidationError`| 422, and where it is wrong, never the input  |
| Litestar           | `litestar.exceptions.HTTPException`        | status, detail, headers                      |
|                    | `litestar.exceptions.ValidationException`  | 400, and where it is wrong, never the input  |
| Quart              | `werkzeug.exceptions.HTTPException`        | status, description, headers                 |
| Falcon             | `falcon.HTTPError`, `falcon.HTTPStatus`    | status, title or description, headers        |
| Django             | `Http404`, `PermissionDenied`              | 404, 403                                     |
|                    | `BadRequest`, `SuspiciousOperation`        | 400; 413 for `RequestDataTooBig`             |
| BlackSheep         | `blacksheep.exceptions.HTTPException`      | status                                       |

Rule 1: a framework is never imported. If its module is not in `sys.modules`, nothing of its making can be here.
Rule 2: only these classes, and what inherits from them. An exception of some client library has a `status_code` too,
and that is what another server said.
Rule 3: of a validation error nothing is told that a client has sent: passwords are mistyped as well. A library's
message is told only for kinds of error whose text is known to hold nothing but what the author of the rule wrote.
Rule 4: a subclass may have forgotten its base's `__init__`, or compute what it says: reading it never fails.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

KEPT: Final = frozenset({"allow", "retry-after", "set-cookie", "www-authenticate", "proxy-authenticate"})
"""The headers of an error that an answer in another format still has to have."""

_MOST_ERRORS = 20
_NOT_VALID: Final = "The request is not valid."
_REQUEST_PARTS: Final = frozenset({"body", "query", "path", "header", "cookie"})
_KIND: Final = r"[a-z][a-z0-9_.]{0,63}"  # compiled when it is needed: the first error pays for it, not every start
_QUOTES_NOTHING: Final = frozenset(
    {"missing", "none_required", "json_invalid", "string_too_short", "string_too_long", "string_pattern_mismatch"}
    | {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of", "too_short", "too_long"}
    | {"literal_error", "enum", "extra_forbidden", "int_from_float", "model_attributes_type"}
    | {f"{kind}_parsing" for kind in ("int", "float", "bool", "decimal")}
    | {f"{kind}_type" for kind in ("string", "int", "float", "bool", "bytes", "decimal", "date", "datetime", "time")}
    | {f"{kind}_type" for kind in ("uuid", "list", "tuple", "set", "dict", "json")}
)
"""Kinds of pydantic's errors; `value_error`, `union_tag_invalid`, `uuid_parsing` and others repeat what was sent."""


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
            try:
                error = read(exc)
            except Exception:  # noqa: BLE001  rule 4
                return None
            return error if 400 <= error.status <= 599 else None
    return None


def _detailed(exc: Any) -> HTTPError:
    return HTTPError(_status(exc.status_code), _sentence(exc.detail), _kept(exc.headers))


def _of_werkzeug(exc: Any) -> HTTPError:
    return HTTPError(_status(exc.code), _sentence(exc.description), _kept(exc.get_headers()))


def _of_falcon(exc: Any) -> HTTPError:
    texts = [getattr(exc, "description", None), getattr(exc, "title", None)]  # the title may be no more than the status
    detail = next((text for text in texts if _sentence(text) and text != exc.status), None)
    return HTTPError(_status(exc.status_code), detail, _kept(exc.headers))


def _of_blacksheep(exc: Any) -> HTTPError:
    return HTTPError(_status(exc.status))


def _of_fastapi(exc: Any) -> HTTPError:
    return invalid(422, exc.errors())


def _of_litestar(exc: Any) -> HTTPError:  # its detail has the URL, with the query
    return invalid(_status(exc.status_code), exc.extra)


def invalid(status: int, errors: object) -> HTTPError:
    """Tell of a validation error where it is wrong and, where that is safe, why.

    Args:
        status: its HTTP status.
        errors: what FastAPI (`loc`, `type`, `msg`) or Litestar (`source`, `key`, `message`) list; anything else there
            is left out.
    """
    listed = cast("list[object]", errors)[:_MOST_ERRORS] if isinstance(errors, list | tuple) else []
    given = [cast("dict[str, Any]", error) for error in listed if isinstance(error, dict)]
    return HTTPError(status, _NOT_VALID, errors=tuple([_where_and_why(error) for error in given]))


def _where_and_why(error: Mapping[str, Any]) -> dict[str, str]:
    kind = error.get("type")
    kind = kind if isinstance(kind, str) and re.fullmatch(_KIND, kind) else "invalid"
    location: Any = error.get("loc") or [error[name] for name in ("source", "key") if error.get(name)]
    steps = [_step(step)[:64] for step in cast("list[object]", location)] if isinstance(location, list | tuple) else []
    if kind == "extra_forbidden" and len(steps) > 1:
        steps[-1] = "*"  # the client has made up this name
    if steps[-1:] == ["[key]"]:
        steps[-2:] = ["*"]
    message = error.get("msg")
    is_told = isinstance(message, str) and kind in _QUOTES_NOTHING
    told = str(message)[:256] if is_told else "This is not valid."
    return {"pointer": _pointer(steps), "type": kind, "message": told}


def _step(step: object) -> str:
    # An Enum whose members are texts, as Litestar's source is, would name itself too.
    return str.__str__(step) if isinstance(step, str) else str(step)


def _pointer(location: Iterable[str]) -> str:
    """Write a location as a JSON Pointer (RFC 6901), with the part of the request before it."""
    steps = [step.replace("~", "~0").replace("/", "~1") for step in location]
    if steps and steps[0] in _REQUEST_PARTS:
        return f"{steps[0]}#/" + "/".join(steps[1:]) if len(steps) > 1 else f"{steps[0]}#"
    return "#/" + "/".join(steps)


def _plain(status: int) -> Callable[[Any], HTTPError]:
    return lambda _: HTTPError(status)


_CLASSES: Final[tuple[tuple[str, str, Callable[[Any], HTTPError]], ...]] = (
    ("starlette.exceptions", "HTTPException", _detailed),  # FastAPI's class is a subclass
    ("fastapi.exceptions", "RequestValidationError", _of_fastapi),
    ("litestar.exceptions", "ValidationException", _of_litestar),
    ("litestar.exceptions", "HTTPException", _detailed),
    ("werkzeug.exceptions", "HTTPException", _of_werkzeug),
    ("falcon", "HTTPError", _of_falcon),
    ("falcon", "HTTPStatus", _of_falcon),
    ("django.http", "Http404", _plain(404)),
    ("django.core.exceptions", "PermissionDenied", _plain(403)),
    ("django.core.exceptions", "BadRequest", _plain(400)),
    ("django.core.exceptions", "RequestDataTooBig", _plain(413)),
    ("django.core.exceptions", "SuspiciousOperation", _plain(400)),
    ("blacksheep.exceptions", "HTTPException", _of_blacksheep),
)


def _status(given: Any) -> int:
    try:
        return int(given)
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
