"""Every exception that the package raises, and the base for those of an application.

    GuardError                          one base; carries what an answer needs
    ├── ConfigError                     the settings cannot work; lists every problem
    ├── MissingExtraError (ImportError) an optional dependency is not installed
    ├── StoreError                      a store that limits or states live in did not answer
    └── NoResponseError                 the application returned without a response

Rule 1: making an exception never fails: nothing is checked here, since an error in an error hides the first one. What
is odd is put right where the answer is made.
Rule 2: a default is a class attribute, so that a subclass states its own in one line each, with or without `__init__`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.settings import Problem


class ErrorCategory(StrEnum):
    """What kind of thing went wrong; the `type` of the error body."""

    VALIDATION = "validation"
    AUTHENTICATION = "authentication"
    AUTHORIZATION = "authorization"
    DATABASE = "database"
    NETWORK = "network"
    BUSINESS_LOGIC = "business_logic"
    RATE_LIMIT = "rate_limit"
    CONFIGURATION = "configuration"
    EXTERNAL_SERVICE = "external_service"
    SYSTEM = "system"
    CACHE = "cache"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    TIMEOUT = "timeout"


class ErrorSeverity(StrEnum):
    """How bad it is for whoever runs the service."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


STATUS_OF_CATEGORY: Final[Mapping[str, int]] = MappingProxyType(
    {
        ErrorCategory.VALIDATION: 422,
        ErrorCategory.AUTHENTICATION: 401,
        ErrorCategory.AUTHORIZATION: 403,
        ErrorCategory.NOT_FOUND: 404,
        ErrorCategory.CONFLICT: 409,
        ErrorCategory.RATE_LIMIT: 429,
        ErrorCategory.EXTERNAL_SERVICE: 502,
        ErrorCategory.DATABASE: 503,
        ErrorCategory.NETWORK: 503,
        ErrorCategory.TIMEOUT: 504,
    }
)
"""The HTTP status of each category; those that are not here are 500."""

CATEGORY_OF_STATUS: Final[Mapping[int, ErrorCategory]] = MappingProxyType(
    {
        401: ErrorCategory.AUTHENTICATION,
        403: ErrorCategory.AUTHORIZATION,
        404: ErrorCategory.NOT_FOUND,
        405: ErrorCategory.NOT_FOUND,
        408: ErrorCategory.TIMEOUT,
        409: ErrorCategory.CONFLICT,
        410: ErrorCategory.NOT_FOUND,
        429: ErrorCategory.RATE_LIMIT,
        502: ErrorCategory.EXTERNAL_SERVICE,
        504: ErrorCategory.TIMEOUT,
    }
)
"""The category of a status that says no more; others are `validation` below 500, and `system` from there on."""


class _StatusOfCategory:
    """Looks up the status of the category, until an instance or a subclass says its own."""

    def __get__(self, error: GuardError | None, error_class: type[GuardError]) -> int:
        category: object = error_class.category if error is None else error.category
        return STATUS_OF_CATEGORY.get(category, 500) if isinstance(category, str) else 500


class GuardError(Exception):
    """Base class: catches all of ours and nothing else; the parent for an application's own errors.

    Every argument has a class attribute of the same name as its default.

    Args:
        message: one sentence for a person. A client sees it below status 500, and above only where `expose` is true.
        error_code: stable name for programs, such as `DATABASE_ERROR`; always told to the client.
        category: what kind of thing went wrong; decides the status unless `status` is given.
        severity: how bad it is for whoever runs the service.
        details: further facts; a client sees them where it sees the message.
        retryable: whether the same request may succeed later.
        max_retries: how often a retry policy may try again at most; None leaves it to the policy.
        retry_after: how long to wait before that: seconds, a `timedelta`, or the `datetime` at which to come back, in
            local time where it names no zone; None leaves it to the client.
        suggestions: what the client may do about it, a sentence each; always told, so write no secret into them.
        status: HTTP status, 400 to 599.
        expose: True shows message and details to the client even where the status is 500 or more.

    Attributes:
        logs_traceback: the log of the guard has the traceback. False is for refusals that an outage raises by the
            thousand: a line each, with the message.
    """

    message: str = "The request could not be completed."
    error_code: str = "INTERNAL_ERROR"
    category: ErrorCategory = ErrorCategory.SYSTEM
    severity: ErrorSeverity = ErrorSeverity.MEDIUM
    details: Mapping[str, Any] = MappingProxyType({})
    retryable: bool = False
    max_retries: int | None = None
    retry_after: float | timedelta | datetime | None = None
    suggestions: tuple[str, ...] = ()
    expose: bool = False
    logs_traceback: bool = True
    if TYPE_CHECKING:
        status: int
    else:
        status = _StatusOfCategory()

    def __init__(
        self,
        message: str | None = None,
        *,
        error_code: str | None = None,
        category: ErrorCategory | None = None,
        severity: ErrorSeverity | None = None,
        details: Mapping[str, Any] | None = None,
        retryable: bool | None = None,
        max_retries: int | None = None,
        retry_after: float | timedelta | datetime | None = None,
        suggestions: Iterable[str] | None = None,
        status: int | None = None,
        expose: bool | None = None,
    ) -> None:
        given = {
            "message": message,
            "error_code": error_code,
            "category": category,
            "severity": severity,
            "details": details,
            "retryable": retryable,
            "max_retries": max_retries,
            "retry_after": retry_after,
            "suggestions": suggestions if suggestions is None else _sentences(suggestions),
            "status": status,
            "expose": expose,
        }
        self.__dict__.update((name, value) for name, value in given.items() if value is not None)
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle all fields, whatever arguments a subclass's `__init__` takes."""
        return _restore, (type(self), self.args), self.__dict__


class ConfigError(GuardError):
    """The settings cannot work; the message lists every problem.

    Args:
        problems: what is wrong, in the order in which it was found.
    """

    error_code = "CONFIGURATION_ERROR"
    category = ErrorCategory.CONFIGURATION
    severity = ErrorSeverity.HIGH

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        count = "1 setting is" if len(self.problems) == 1 else f"{len(self.problems)} settings are"
        super().__init__("\n  ".join([f"{count} wrong:", *map(str, self.problems)]))


class MissingExtraError(GuardError, ImportError):
    """An optional dependency is not installed; the message has the command that installs it.

    Args:
        feature: what needs it, such as `RedisStore`.
        extra: the extra of this package that brings it, such as `redis`.
    """

    error_code = "MISSING_EXTRA"
    category = ErrorCategory.CONFIGURATION
    severity = ErrorSeverity.HIGH

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f"{feature} needs an optional dependency: pip install 'asgi-guard[{extra}]'")


class StoreError(GuardError):
    """A store that limits or states live in did not answer."""

    message = "The store did not answer."
    error_code = "STORE_ERROR"
    category = ErrorCategory.CACHE
    severity = ErrorSeverity.HIGH
    retryable = True
    status = 503


class NoResponseError(GuardError):
    """The application returned without a response."""

    message = "The application returned without a response."
    error_code = "NO_RESPONSE"
    severity = ErrorSeverity.HIGH


_LONGEST_WAIT: Final = 1e10  # longer than anybody waits, and a number that can be computed with


def seconds_of(wait: object, clock: Clock = SYSTEM_CLOCK) -> float | None:
    """Return the seconds that a `retry_after` asks for; None where it is no wait.

    Args:
        wait: seconds, a `timedelta`, or the `datetime` at which to come back.
        clock: tells the time for the last.
    """
    if isinstance(wait, timedelta):
        wait = wait.total_seconds()
    elif isinstance(wait, datetime):
        wait = max(wait.timestamp() - clock.time(), 0.0)
    if isinstance(wait, int | float) and not isinstance(wait, bool) and wait >= 0:
        return float(min(wait, _LONGEST_WAIT))
    return None


def _sentences(suggestions: Iterable[str]) -> tuple[str, ...]:
    # A bare string is one suggestion, not one for each of its characters; an exception may not refuse it (rule 1).
    return (suggestions,) if isinstance(suggestions, str) else tuple(suggestions)


def _restore(error_class: type[GuardError], args: tuple[object, ...]) -> GuardError:
    return error_class.__new__(error_class, *args)
