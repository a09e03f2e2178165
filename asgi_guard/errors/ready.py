"""Ready: an exception class for each common kind of failure, to be raised as it is or to be subclassed.

    class OrderDatabaseError(DatabaseError):
        error_code = "ORDER_DATABASE_ERROR"
        max_retries = 5

| class                       | status | code                     | retryable |
|-----------------------------|--------|--------------------------|-----------|
| `ValidationError`           | 422    | `VALIDATION_ERROR`       | no        |
| `AuthenticationError`       | 401    | `AUTHENTICATION_ERROR`   | no        |
| `AuthorizationError`        | 403    | `AUTHORIZATION_ERROR`    | no        |
| `NotFoundError`             | 404    | `NOT_FOUND`              | no        |
| `ConflictError`             | 409    | `CONFLICT`               | no        |
| `BusinessLogicError`        | 400    | `BUSINESS_LOGIC_ERROR`   | no        |
| `RateLimitError`            | 429    | `RATE_LIMIT_EXCEEDED`    | yes       |
| `ConfigurationError`        | 500    | `CONFIGURATION_ERROR`    | no        |
| `DatabaseError`             | 503    | `DATABASE_ERROR`         | yes       |
| `CacheError`                | 503    | `CACHE_ERROR`            | yes       |
| `NetworkError`              | 503    | `NETWORK_ERROR`          | yes       |
| `ExternalServiceError`      | 502    | `EXTERNAL_SERVICE_ERROR` | yes       |
| `OperationTimeoutError`     | 504    | `TIMEOUT`                | yes       |

Rule: each is a `GuardError` with other defaults, and nothing else; what is given to the constructor wins.
"""

from __future__ import annotations

from asgi_guard.errors.exceptions import ErrorCategory, ErrorSeverity, GuardError


class ValidationError(GuardError):
    """What was sent can be read, and breaks a rule."""

    message = "The request is not valid."
    error_code = "VALIDATION_ERROR"
    category = ErrorCategory.VALIDATION
    severity = ErrorSeverity.LOW


class AuthenticationError(GuardError):
    """Who is asking is not known.

    Attributes:
        challenge: the `WWW-Authenticate` of the answer, since a 401 has to say how to authenticate: visible ASCII.
    """

    message = "Authentication is required."
    error_code = "AUTHENTICATION_ERROR"
    category = ErrorCategory.AUTHENTICATION
    challenge: str = "Bearer"


class AuthorizationError(GuardError):
    """Who is asking is known, and may not."""

    message = "This is not allowed."
    error_code = "AUTHORIZATION_ERROR"
    category = ErrorCategory.AUTHORIZATION


class NotFoundError(GuardError):
    """What was asked for is not there."""

    message = "This was not found."
    error_code = "NOT_FOUND"
    category = ErrorCategory.NOT_FOUND
    severity = ErrorSeverity.LOW


class ConflictError(GuardError):
    """What was asked for does not go with the state of things."""

    message = "This conflicts with the current state."
    error_code = "CONFLICT"
    category = ErrorCategory.CONFLICT
    severity = ErrorSeverity.LOW


class BusinessLogicError(GuardError):
    """A rule of the business forbids it."""

    message = "A rule forbids this."
    error_code = "BUSINESS_LOGIC_ERROR"
    category = ErrorCategory.BUSINESS_LOGIC
    severity = ErrorSeverity.LOW
    status = 400


class RateLimitError(GuardError):
    """Somebody asks too often; say when to come back with `retry_after`."""

    message = "Too many requests."
    error_code = "RATE_LIMIT_EXCEEDED"
    category = ErrorCategory.RATE_LIMIT
    severity = ErrorSeverity.LOW
    retryable = True


class ConfigurationError(GuardError):
    """The application is not set up as it has to be."""

    message = "The service is not configured."
    error_code = "CONFIGURATION_ERROR"
    category = ErrorCategory.CONFIGURATION
    severity = ErrorSeverity.HIGH


class DatabaseError(GuardError):
    """A database failed, or did not answer."""

    message = "The database did not answer."
    error_code = "DATABASE_ERROR"
    category = ErrorCategory.DATABASE
    severity = ErrorSeverity.HIGH
    retryable = True


class CacheError(GuardError):
    """A cache failed, or did not answer."""

    message = "The cache did not answer."
    error_code = "CACHE_ERROR"
    category = ErrorCategory.CACHE
    retryable = True
    status = 503


class NetworkError(GuardError):
    """Something could not be reached."""

    message = "The network failed."
    error_code = "NETWORK_ERROR"
    category = ErrorCategory.NETWORK
    severity = ErrorSeverity.HIGH
    retryable = True


class ExternalServiceError(GuardError):
    """Another service failed, or answered what it should not."""

    message = "Another service failed."
    error_code = "EXTERNAL_SERVICE_ERROR"
    category = ErrorCategory.EXTERNAL_SERVICE
    severity = ErrorSeverity.HIGH
    retryable = True


class OperationTimeoutError(GuardError, TimeoutError):
    """Something took too long; a `TimeoutError` as well, for those who catch that."""

    message = "This took too long."
    error_code = "TIMEOUT"
    category = ErrorCategory.TIMEOUT
    retryable = True
