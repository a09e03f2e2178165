"""Problem: what a client is told about an error, in the format that it accepts.

`Fault` is what may be told, and all that may be told; `fault_from_exception` decides what that is; `render` writes it:

| accepted                   | body                                                                          |
|----------------------------|-------------------------------------------------------------------------------|
| `application/json`         | the error body of this package: `{"error": {...}, "suggestions", "request_id"}` |
| `application/problem+json` | RFC 9457: type, title, status, detail, and extension members                    |
| `text/html`                | a page for a person, with nothing to load                                       |
| `text/plain`               | a few lines for a person                                                        |

Rule 1: the text, the class name and the traceback of a foreign exception are never told, at no status: connection
strings and file paths stand in them.
Rule 2: of our own errors the message and the details are told below 500, and above only where it says `expose`.
Rule 3: whatever is in a fault, rendering never fails and its result is bounded: an error while an error is told is an
outage, and a message may repeat what a client sent.

There is no `instance` member: no URN namespace is registered for request ids, and RFC 9457 section 3.1.5 wants a URI.
The request id is an extension member.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, Final, cast

from asgi_guard.correlation import current_trace_id
from asgi_guard.errors import negotiate
from asgi_guard.errors.details import plain
from asgi_guard.errors.exceptions import CATEGORY_OF_STATUS, ErrorCategory, ErrorSeverity, GuardError, seconds_of
from asgi_guard.errors.foreign import HTTPError, http_error
from asgi_guard.errors.phrases import code_of, title, withheld
from asgi_guard.errors.sound import is_sound, look_for_typos


@dataclass(slots=True, kw_only=True)
class Fault:
    """All that a client may be told about what went wrong; data only.

    It is not frozen, since a frozen one is slower to build, and attackers have it built; treat it as if it were.

    Attributes:
        status: HTTP status, 400 to 599.
        code: stable name for programs, such as `RATE_LIMIT_EXCEEDED`.
        message: one sentence for a person.
        category: what kind of thing went wrong.
        severity: how bad it is for whoever runs the service.
        details: further facts.
        retryable: whether the same request may succeed later.
        retry_after: seconds to wait before that; None where nothing is known.
        suggestions: what the client may do about it, a sentence each.
        violated_policies: names of the limits that were exceeded (the `violated-policies` of the problem types for
            rate limits).
        problem_type: URI of the problem type (RFC 9457 section 3.1.1); None is `about:blank`.
    """

    status: int
    code: str
    message: str
    category: ErrorCategory = ErrorCategory.SYSTEM
    severity: ErrorSeverity = ErrorSeverity.MEDIUM
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    retryable: bool = False
    retry_after: float | None = None
    suggestions: tuple[str, ...] = ()
    violated_policies: tuple[str, ...] = ()
    problem_type: str | None = None


_SERVER_ERROR: Final = 500
_NO_SUGGESTIONS: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})
_UNEXPECTED: Final = Fault(
    status=_SERVER_ERROR, code="INTERNAL_ERROR", message=withheld(_SERVER_ERROR), severity=ErrorSeverity.HIGH
)


def fault_from_exception(exc: BaseException, suggestions: Mapping[str, Sequence[str]] = _NO_SUGGESTIONS) -> Fault:
    """Decide what a client may be told about an exception.

    A group is told as the most urgent of its leaves: one that nobody expects, else the highest status. The texts of
    several are never joined.

    Args:
        exc: the exception, or a group of them.
        suggestions: sentences by error code or by category, for errors that bring none of their own.
    """
    return _told(urgent_leaf(exc), suggestions)


def urgent_leaf(exc: BaseException) -> BaseException:
    """Return the exception of a group that is told; one that is no group is its own."""
    waiting = [exc]
    leaves: list[BaseException] = []
    while waiting:
        error = waiting.pop()
        if isinstance(error, BaseExceptionGroup):
            waiting.extend(reversed(cast("BaseExceptionGroup[BaseException]", error).exceptions))
        else:
            leaves.append(error)
    return max(leaves, key=_urgency) if len(leaves) > 1 else leaves[0]


def _urgency(leaf: BaseException) -> tuple[bool, int]:
    fault = _told(leaf, _NO_SUGGESTIONS)
    return fault is _UNEXPECTED, fault.status


def _told(exc: BaseException, suggestions: Mapping[str, Sequence[str]]) -> Fault:
    if not isinstance(exc, GuardError):
        error = http_error(exc)
        return _unexpected(suggestions) if error is None else fault_of_framework(error, suggestions)
    look_for_typos(exc)
    status = int(exc.status) if is_sound(exc, "status") else _SERVER_ERROR
    code = exc.error_code if is_sound(exc, "error_code") else code_of(status)
    category = exc.category if is_sound(exc, "category") else ErrorCategory.SYSTEM
    is_told = status < _SERVER_ERROR or exc.expose is True
    return Fault(
        status=status,
        code=code,
        message=exc.message if is_told else withheld(status),
        category=category,
        severity=exc.severity if is_sound(exc, "severity") else ErrorSeverity.MEDIUM,
        details=exc.details if is_sound(exc, "details") and is_told else {},
        retryable=exc.retryable,
        retry_after=seconds_of(exc.retry_after) if is_sound(exc, "retry_after") else None,
        suggestions=exc.suggestions or _suggested(suggestions, code, category),
    )


def _unexpected(suggestions: Mapping[str, Sequence[str]]) -> Fault:
    suggested = _suggested(suggestions, _UNEXPECTED.code, _UNEXPECTED.category)
    return replace(_UNEXPECTED, suggestions=suggested) if suggested else _UNEXPECTED


def fault_of_framework(error: HTTPError, suggestions: Mapping[str, Sequence[str]] = _NO_SUGGESTIONS) -> Fault:
    """Decide what a client may be told about an HTTP error of a framework.

    Args:
        error: what it says.
        suggestions: sentences by error code or by category.
    """
    if error.status == _SERVER_ERROR:
        return _unexpected(suggestions)
    is_the_servers = error.status > _SERVER_ERROR
    category = CATEGORY_OF_STATUS.get(
        error.status, ErrorCategory.SYSTEM if is_the_servers else ErrorCategory.VALIDATION
    )
    code = code_of(error.status)
    return Fault(
        status=error.status,
        code=code,
        message=withheld(error.status) if is_the_servers else _said(error),
        category=category,
        severity=ErrorSeverity.HIGH if is_the_servers else ErrorSeverity.LOW,
        details={"errors": list(error.errors)} if error.errors else {},
        retryable=error.status in {429, 502, 503, 504},
        suggestions=_suggested(suggestions, code, category),
    )


def _said(error: HTTPError) -> str:
    phrase = title(error.status)
    return f"{phrase}." if error.detail is None or error.detail == phrase else error.detail


def _suggested(suggestions: Mapping[str, Sequence[str]], code: object, category: object) -> tuple[str, ...]:
    return tuple(suggestions.get(str(code)) or suggestions.get(str(category)) or ())


def render(fault: Fault, accept: bytes | None, request_id: str | None, now: float) -> tuple[bytes, bytes]:
    """Write a fault in the format that the request accepts.

    Args:
        fault: what may be told.
        accept: the value of the `Accept` header, its lines joined by commas; None where there is none.
        request_id: the id of the request, at most 128 characters of it are told.
        now: UNIX time in seconds, for the timestamp.

    Returns:
        The value of `Content-Type`, and the body.
    """
    media_type = negotiate.choose(accept)
    body = _BODY_OF[media_type](fault, None if request_id is None else _text(request_id, 128), now)
    return _CONTENT_TYPE[media_type], body


def _house_body(fault: Fault, request_id: str | None, now: float) -> bytes:
    return _json(
        {
            "error": {
                "type": _text(fault.category, 64),
                "code": _text(fault.code, 64),
                "message": _text(fault.message, 1_024),
                "severity": _text(fault.severity, 64),
                "timestamp": _timestamp(now),
                "retryable": fault.retryable is True,
                "details": plain(fault.details),
            },
            "suggestions": _texts(fault.suggestions),
            "request_id": request_id,
            **_trace(),
        }
    )


def _problem_body(fault: Fault, request_id: str | None, _now: float) -> bytes:
    members = {
        "type": _text(fault.problem_type or "about:blank", 256),
        "title": title(fault.status),
        "status": fault.status,
        "detail": _text(fault.message, 1_024),
        "code": _text(fault.code, 64),
        "severity": _text(fault.severity, 64),
        "retryable": fault.retryable is True,
    }
    present_only = {
        "details": plain(fault.details),
        "suggestions": _texts(fault.suggestions),
        "violated-policies": _texts(fault.violated_policies),
        "request_id": request_id,
    }
    return _json(members | {name: value for name, value in present_only.items() if value} | _trace())


def _trace() -> dict[str, object]:
    """Name the trace, where there is one."""
    trace_id = current_trace_id()
    return {} if trace_id is None else {"trace_id": trace_id}


def _ids(request_id: str | None) -> list[tuple[str, str]]:
    """Return what a person may name to whoever reads the log."""
    return [(name, told) for name, told in (("Request id", request_id), ("Trace id", current_trace_id())) if told]


def _html_body(fault: Fault, request_id: str | None, _now: float) -> bytes:
    heading = f"{fault.status} {title(fault.status)}"
    suggestions = "".join(f"<li>{_escaped(sentence)}</li>" for sentence in _texts(fault.suggestions))
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{heading}</title>'
        f"<h1>{heading}</h1><p>{_escaped(_text(fault.message, 1_024))}</p>"
        f"{f'<ul>{suggestions}</ul>' if suggestions else ''}"
        f"{''.join(f'<p>{name}: <code>{_escaped(told)}</code></p>' for name, told in _ids(request_id))}</html>"
    )
    return page.encode("ascii", "xmlcharrefreplace")


def _text_body(fault: Fault, request_id: str | None, _now: float) -> bytes:
    lines = [
        f"{fault.status} {title(fault.status)}",
        _printable(_text(fault.message, 1_024)),
        *[f"- {_printable(sentence)}" for sentence in _texts(fault.suggestions)],
        *[f"{name}: {_printable(told)}" for name, told in _ids(request_id)],
    ]
    return "".join(f"{line}\n" for line in lines).encode()


_BODY_OF: Final[Mapping[str, Callable[[Fault, str | None, float], bytes]]] = MappingProxyType(
    {
        negotiate.JSON: _house_body,
        negotiate.PROBLEM: _problem_body,
        negotiate.HTML: _html_body,
        negotiate.TEXT: _text_body,
    }
)
_CONTENT_TYPE: Final[Mapping[str, bytes]] = MappingProxyType(
    {
        negotiate.JSON: b"application/json",
        negotiate.PROBLEM: b"application/problem+json",
        negotiate.HTML: b"text/html; charset=utf-8",
        negotiate.TEXT: b"text/plain; charset=utf-8",
    }
)
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
_LAST_SECOND: Final = 253_402_300_799.0  # of the year 9999, the last that RFC 3339 can write


def _text(value: object, bound: int) -> str:
    # Rule 1 holds for what stands where a text should: `GuardError(exc)` tells the class of the other error at most.
    return value[:bound] if isinstance(value, str) else type(value).__name__


def _texts(values: Sequence[str]) -> list[str]:
    if isinstance(values, list | tuple):
        return [_text(value, 256) for value in values[:8]]
    return [_text(values, 256)] if isinstance(values, str) else []


def _json(body: Mapping[str, object]) -> bytes:
    return _encode()(body).encode("ascii")


@cache
def _encode() -> Callable[[object], str]:
    """Make the encoder once: `json.dumps` makes one for each text that is not written with its defaults."""
    from json import JSONEncoder  # the first error pays for it, not every start

    return JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


def _timestamp(now: float) -> str:
    return _timestamp_of(int(min(max(0.0, now), _LAST_SECOND)))


@lru_cache(maxsize=1)
def _timestamp_of(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))


def _printable(text: str) -> str:
    """Blank out what could steer the reader's terminal or turn the reading direction: control and format characters."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def _escaped(text: str) -> str:
    return _printable(text).translate(_ESCAPES)
