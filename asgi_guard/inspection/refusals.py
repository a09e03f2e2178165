"""Refusals: what a client is answered whose request is not let pass.

Must never say which rule or which value it was: whoever attacks would try until nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from asgi_guard.engine.replies import Reply
from asgi_guard.errors.exceptions import ErrorCategory, ErrorSeverity
from asgi_guard.errors.problem import Fault


def of_attack(status: int) -> Reply:
    """Return the answer to an attack."""
    return _refusal(status, "VALIDATION_REFUSED", "The request looks like an attack.")


def _refusal(status: int, code: str, message: str, *, close_connection: bool = False) -> Reply:
    fault = Fault(
        status=status, code=code, message=message, category=ErrorCategory.VALIDATION, severity=ErrorSeverity.MEDIUM
    )
    return Reply.refusal(fault, close_connection=close_connection)


OF_LIMIT: Final[Mapping[int, Reply]] = MappingProxyType(
    {
        status: _refusal(status, code, message, close_connection=True)
        for status, code, message in (
            (400, "VALIDATION_TOO_COMPLEX", "The request is malformed, or nested too deep, to be looked at."),
            (413, "VALIDATION_TOO_LARGE", "The request is too large to be looked at."),
            (415, "VALIDATION_ENCODING", "The encoding of the request cannot be undone."),
        )
    }
)
"""The answer to what goes on beyond a limit, by its status."""
