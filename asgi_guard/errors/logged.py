"""Logged: the one record that the guard writes of an exception that it has answered.

| what was raised                                               | level                               | traceback |
|---------------------------------------------------------------|-------------------------------------|-----------|
| what is answered with 500 or more                             | ERROR; by `severity`: WARNING for   | yes       |
|                                                               | `low`, CRITICAL for `critical`      |           |
| a refusal of a policy of this process (`logs_traceback=False`) | WARNING                             | no        |
| what is answered below 500                                    | INFO                                | no        |

The record has `error_code`, `severity`, `category`, `status` and `details` as attributes, and `request_id` and
`trace_id` where there are any. Values of `details` whose name sounds like a secret are hidden.
Must never put more of what a client sent into the line than the method and the path, escaped.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from asgi_guard.correlation import current_trace_id
from asgi_guard.errors.details import concealed
from asgi_guard.errors.exceptions import ErrorSeverity, GuardError
from asgi_guard.errors.problem import Fault

logger: logging.Logger = logging.getLogger("asgi_guard")

_LEVELS: Final[Mapping[str, int]] = MappingProxyType(
    {ErrorSeverity.LOW: logging.WARNING, ErrorSeverity.CRITICAL: logging.CRITICAL}
)
_SERVER_ERROR: Final = 500
_LONGEST_TEXT: Final = 256


def log(request: str, request_id: str | None, exc: Exception, leaf: BaseException, fault: Fault) -> None:
    """Write the record.

    Args:
        request: which one it was, for the line.
        request_id: its id.
        exc: what was raised.
        leaf: the exception of a group that is told; or `exc` itself.
        fault: what is told.
    """
    is_refusal = leaf is exc and isinstance(exc, GuardError) and exc.logs_traceback is False
    told: tuple[object, ...] = (request, fault.code)
    if fault.status < _SERVER_ERROR:
        level, text = logging.INFO, "%s was answered with %s"
    elif is_refusal:
        level, text = logging.WARNING, "%s was refused with %s: %s"
        told += (str(exc)[:_LONGEST_TEXT].encode("unicode_escape").decode("ascii"),)
    else:
        level, text = _LEVELS.get(fault.severity, logging.ERROR), "%s failed with %s"
    if not logger.isEnabledFor(level):
        return
    has_traceback = fault.status >= _SERVER_ERROR and not is_refusal
    ids = {"request_id": request_id, "trace_id": current_trace_id()}
    extra: dict[str, Any] = {
        "error_code": fault.code,
        "severity": str(fault.severity),
        "category": str(fault.category),
        "status": fault.status,
        "details": facts(leaf, fault),
        **{name: value for name, value in ids.items() if value is not None},
    }
    logger.log(level, text, *told, exc_info=exc if has_traceback else None, extra=extra)


def facts(leaf: BaseException, fault: Fault) -> dict[str, Any]:
    """Return the details of an error for logs and listeners: those that are not told to the client too."""
    return concealed(leaf.details if isinstance(leaf, GuardError) else fault.details)
