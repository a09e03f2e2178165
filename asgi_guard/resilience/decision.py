"""Decision: whether a call that failed is tried again, and when; pure, as a table of rules.

The rules are asked in order, and the first that holds ends the retries; its name is the reason that is told. Time,
randomness and what is left of the budget are arguments, so that a model can check every case.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeGuard

from asgi_guard.errors.exceptions import GuardError, seconds_of
from asgi_guard.resilience.backoff import Backoff
from asgi_guard.resilience.errors import CircuitOpenError, was_not_sent


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """What the rules go by; `asgi_guard.resilience.retry_on_failure` explains and checks the fields."""

    max_retries: int
    backoff: Backoff
    asked: Callable[[Exception], bool | float]
    max_retry_after: float
    idempotent: bool


class Failure(NamedTuple):
    """A call that failed.

    Attributes:
        exc: what it raised.
        is_wanted: whether the policy's `asked` wants it tried again.
        retries: how many retries there were.
        wait: the seconds that the next one would wait.
        left: the seconds until the deadline; None where there is none.
        would_block: to wait would hold up an event loop.
    """

    exc: Exception
    is_wanted: bool
    retries: int
    wait: float
    left: float | None
    would_block: bool


def failure(
    policy: RetryPolicy,
    exc: Exception,
    retries: int,
    *,
    random: Callable[[], float],
    left: float | None = None,
    would_block: bool = False,
) -> Failure:
    """Put together what the rules look at.

    The other side's word on when to come back goes before the backoff: what `asked` says, or else the exception's own
    `retry_after`.
    """
    asked = policy.asked(exc)
    says_when = _is_wait(asked)
    after = seconds_of(asked if says_when else getattr(exc, "retry_after", None))
    wait = policy.backoff.delay(retries, random) if after is None else after
    return Failure(exc, says_when or bool(asked), retries, wait, left, would_block)


def _is_wait(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _allowed(policy: RetryPolicy, failed: Failure) -> int:
    own = getattr(failed.exc, "max_retries", None) if isinstance(failed.exc, GuardError) else None
    return min(policy.max_retries, own) if isinstance(own, int) else policy.max_retries


NOT_RETRYABLE: Final = "not_retryable"
NO_BUDGET: Final = "no_budget"

RULES: Final[tuple[tuple[str, Callable[[RetryPolicy, Failure], bool]], ...]] = (
    ("circuit_open", lambda _, failed: isinstance(failed.exc, CircuitOpenError)),
    (NOT_RETRYABLE, lambda _, failed: not failed.is_wanted),
    ("may_have_been_sent", lambda policy, failed: not policy.idempotent and not was_not_sent(failed.exc)),
    ("no_retries_left", lambda policy, failed: failed.retries >= _allowed(policy, failed)),
    ("too_long_a_wait", lambda policy, failed: failed.wait > max(policy.max_retry_after, policy.backoff.cap)),
    ("deadline", lambda _, failed: failed.left is not None and failed.wait >= failed.left),
    ("would_block_the_loop", lambda _, failed: failed.would_block and failed.wait > 0),
)
"""Why retries end; after them only the budget can say no, since to ask it is to spend."""


def reason_to_end(policy: RetryPolicy, failed: Failure, withdraw: Callable[[], Any]) -> str | None:
    """Return the name of the first rule that holds; None where there is to be a retry, which then has been paid for."""
    for reason, holds in RULES:
        if holds(policy, failed):
            return reason
    return None if withdraw() else NO_BUDGET


def is_retryable(exc: Exception) -> bool:
    """Tell whether an exception is worth a retry: a `GuardError` says so itself; of others, what the network does."""
    if isinstance(exc, GuardError):
        return exc.retryable
    return isinstance(exc, ConnectionError | TimeoutError)


def retry_hook(exc: BaseException) -> bool | float:
    """Tell whether to try again, or after how many seconds, as the retries here would.

    For other packages, which keep their own bounds and delays:

        @stamina.retry(on=retry_hook, attempts=3)
        @tenacity.retry(retry=retry_if_exception(retry_hook), stop=stop_after_attempt(3), reraise=True)

    Never true for a cancellation or an open circuit.
    """
    if not isinstance(exc, Exception) or isinstance(exc, CircuitOpenError) or not is_retryable(exc):
        return False
    return seconds_of(getattr(exc, "retry_after", None)) or True  # 0 would be no
