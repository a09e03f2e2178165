"""The errors of this part, and what is known of a call that failed.

    GuardError
    ├── CircuitOpenError                    503: the circuit breaker let no call through
    ├── BulkheadFullError                   503: too many calls are under way
    └── DeadlineExceededError (TimeoutError) 504: the time that was given is over

Rule 1: an error says `not_sent = True` only where the call was provably not made: whatever is not idempotent is tried
again on its word. An application's own exceptions may say it too.
Rule 2: what was refused on this side is no evidence about the other: to a circuit breaker it is neutral.
"""

from __future__ import annotations

from asgi_guard.errors.exceptions import ErrorCategory, ErrorSeverity, GuardError


class CircuitOpenError(GuardError):
    """The circuit is open: the call was not made.

    Args:
        name: of the circuit.
        retry_after: seconds until a call may be let through.
    """

    message = "The service is temporarily not available."
    error_code = "CIRCUIT_OPEN"
    category = ErrorCategory.EXTERNAL_SERVICE
    severity = ErrorSeverity.HIGH
    retryable = True  # by the client, later; never by the retries of this process
    status = 503
    logs_traceback = False
    not_sent: bool = True

    def __init__(self, name: str = "", retry_after: float | None = None) -> None:
        super().__init__(f"The circuit {name!r} is open.", retry_after=retry_after)
        self.name: str = name


class BulkheadFullError(GuardError):
    """Too many calls are under way: this one was not made.

    Args:
        name: of the bulkhead.
    """

    message = "Too many calls are under way."
    error_code = "BULKHEAD_FULL"
    category = ErrorCategory.SYSTEM
    severity = ErrorSeverity.MEDIUM
    retryable = True
    status = 503
    logs_traceback = False
    not_sent: bool = True

    def __init__(self, name: str = "") -> None:
        super().__init__(f"The bulkhead {name!r} is full.")
        self.name: str = name


class DeadlineExceededError(GuardError, TimeoutError):
    """The time that was given is over.

    Args:
        message: one sentence for a person.
        not_sent: the time was over before the call was made.
    """

    message = "The time for this is over."
    error_code = "DEADLINE_EXCEEDED"
    category = ErrorCategory.TIMEOUT
    severity = ErrorSeverity.MEDIUM
    retryable = True

    def __init__(self, message: str | None = None, *, not_sent: bool = False) -> None:
        super().__init__(message)
        self.not_sent: bool = not_sent
        self.logs_traceback: bool = not not_sent  # of what was under way, it shows where the time went


def was_refused_here(exc: BaseException) -> bool:
    """Tell whether an exception is the word of a policy of ours, which did not let the call be made."""
    return isinstance(exc, CircuitOpenError | BulkheadFullError | DeadlineExceededError) and exc.not_sent


def was_not_sent(exc: BaseException) -> bool:
    """Tell whether an exception proves that the call was not made.

    Known are a refused connection and a name that did not resolve, as the standard library and the common clients say
    it, and whatever says `not_sent = True` itself. A connection that was reset, and a timeout, prove nothing: the other
    side may have done the work.
    """
    if getattr(exc, "not_sent", False) is True:
        return True
    return any(f"{kind.__module__}.{kind.__qualname__}" in _BEFORE_SENDING for kind in type(exc).__mro__)


# By the names of the classes, so that no client is imported; each is raised before the first byte of a request leaves.
_BEFORE_SENDING = frozenset(
    {
        "builtins.ConnectionRefusedError",
        "socket.gaierror",
        "aiohttp.client_exceptions.ClientConnectorError",
        "httpcore.ConnectError",
        "httpcore.ConnectTimeout",
        "httpcore.PoolTimeout",
        "httpx.ConnectError",
        "httpx.ConnectTimeout",
        "httpx.PoolTimeout",
        "urllib3.exceptions.ConnectTimeoutError",
        "urllib3.exceptions.NewConnectionError",
    }
)


def is_failure(exc: Exception) -> bool:
    """Tell whether an exception speaks against the other side: all do but a `GuardError` whose status is below 500."""
    return not (isinstance(exc, GuardError) and isinstance(exc.status, int) and exc.status < 500)
