"""Resilience: calls to what may fail, whatever it is; it knows no HTTP and no ASGI.

    @resilient(retry=3, breaker=circuit_breaker(name="payments"), timeout=2.0, bulkhead=20)
    async def charge(order): ...

Each policy also works alone. What decides is pure, in tables of rules and states: `decision.py` for retries,
`circuit.py` for circuit breakers, `Line` in `bulkhead.py`. All work in `async def`, on asyncio and trio, and in plain
functions.
"""

from __future__ import annotations

from asgi_guard.resilience.breaker import CircuitBreaker
from asgi_guard.resilience.budget import RetryBudget
from asgi_guard.resilience.bulkhead import Bulkhead
from asgi_guard.resilience.circuit import State
from asgi_guard.resilience.deadline import deadline, remaining_seconds
from asgi_guard.resilience.decision import retry_hook
from asgi_guard.resilience.errors import BulkheadFullError, CircuitOpenError, DeadlineExceededError
from asgi_guard.resilience.events import CircuitChanged, RecoveryActed, RetriesEnded, RetryScheduled
from asgi_guard.resilience.pipeline import resilient
from asgi_guard.resilience.policy import BreakerPolicy
from asgi_guard.resilience.recovery import Recovery
from asgi_guard.resilience.registry import circuit_breaker, circuit_breakers, reset_circuit_breakers
from asgi_guard.resilience.retry import Retry, retry_on_failure
from asgi_guard.resilience.windows import CountWindow, TimeWindow

__all__ = [
    "BreakerPolicy",
    "Bulkhead",
    "BulkheadFullError",
    "CircuitBreaker",
    "CircuitChanged",
    "CircuitOpenError",
    "CountWindow",
    "DeadlineExceededError",
    "Recovery",
    "RecoveryActed",
    "RetriesEnded",
    "Retry",
    "RetryBudget",
    "RetryScheduled",
    "State",
    "TimeWindow",
    "circuit_breaker",
    "circuit_breakers",
    "deadline",
    "remaining_seconds",
    "reset_circuit_breakers",
    "resilient",
    "retry_hook",
    "retry_on_failure",
]
