"""AI: asks another service why something does not match, and does without where it does not answer.

    advisor = Advisor("http://127.0.0.1:8001")
    await advisor.suggest({"reason": "amount_differs", ...})        # a sentence, or None

Rule 1: nothing waits for it but the job that asks, and that never fails for its sake: no suggestion is an answer.
Rule 2: what it says is somebody else's text: it is cleaned, and it is short.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx

from asgi_guard import ExternalServiceError, GuardError, PerformanceTracker, performance_monitor
from asgi_guard.resilience import BreakerPolicy, CircuitBreaker, resilient, retry_on_failure
from asgi_guard.sanitize import SanitizeError, clean_text

LONGEST: Final = 500
"""Characters of a suggestion."""

_MAX_ANSWER_BYTES: Final = 10_000


class AdvisorError(ExternalServiceError):
    error_code = "ADVISOR_UNAVAILABLE"
    message = "The service that suggests reasons does not answer."
    logs_traceback = False


class Advisor:
    """The service that suggests reasons.

    Args:
        url: where it is; None asks nobody.
        transport: of httpx, for tests.

    Attributes:
        breaker: its circuit.
    """

    def __init__(self, url: str | None, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.breaker: CircuitBreaker = CircuitBreaker("advisor", BreakerPolicy(failure_threshold=5, recovery_timeout=2))
        self._client = httpx.AsyncClient(base_url=url, transport=transport, timeout=1) if url else None
        self._guarded = resilient(
            retry=retry_on_failure(max_retries=2, base=0.05, cap=0.2, name="advisor"),
            breaker=self.breaker,
            timeout=1,
            bulkhead=8,
        )(self._ask)

    async def suggest(self, exception: Mapping[str, Any]) -> str | None:
        """Suggest why an exception is one, in at most 500 characters; None where nobody knows."""
        if self._client is None:
            return None
        try:
            with PerformanceTracker(performance_monitor, "reconciliation.advisor"):
                return await self._guarded(self._client, exception)
        except GuardError:  # an error of it, an open circuit, a deadline, a full bulkhead
            performance_monitor.increment("reconciliation.unadvised")
            return None

    async def _ask(self, client: httpx.AsyncClient, exception: Mapping[str, Any]) -> str | None:
        try:
            async with client.stream("POST", "/suggest", json=dict(exception)) as answer:
                answer.raise_for_status()
                body = b""
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > _MAX_ANSWER_BYTES:
                        raise AdvisorError("It said too much.")
            said = httpx.Response(200, content=body).json()["suggestion"]
            return None if said is None else clean_text(said, max_length=LONGEST)
        except (httpx.HTTPError, ValueError, LookupError, TypeError, SanitizeError) as error:
            raise AdvisorError from error

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.aclose()
