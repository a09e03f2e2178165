"""Answers: what a client is told of its charges, with every answer and in a refusal.

`RateLimit` and `RateLimit-Policy` are those of draft-ietf-httpapi-ratelimit-headers-10, one of each for all policies
together; the problem types are of its registry. A refusal is 429 (RFC 6585 section 4).
Must never tell a key: it may be a secret, or name a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import Header, Headers
from asgi_guard.errors.exceptions import ErrorCategory, ErrorSeverity
from asgi_guard.errors.problem import Fault
from asgi_guard.limiting.charges import Charge, longest_wait
from asgi_guard.limiting.selection import Policy

QUOTA_EXCEEDED: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"
REDUCED_CAPACITY: Final = "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity"


def tell(charges: Iterable[Charge[Policy]]) -> Sequence[Header]:
    """Write the headers that tell a client where it stands, one of each name for all policies together."""
    told = [
        (charge.policy.settings, charge.plan, charge.decision)
        for charge in charges
        if charge.policy.is_enforced and charge.decision is not None and not charge.decision.degraded
    ]
    headers: Headers = []
    draft = [(plan, decision) for settings, plan, decision in told if settings.headers]
    if draft:
        headers.append((b"ratelimit", b",".join([plan.state(decision) for plan, decision in draft])))
        headers.append((b"ratelimit-policy", b",".join([plan.policy for plan, _ in draft])))
    legacy = [
        (remaining, -resets, limit.amount)
        for settings, plan, decision in told
        if settings.legacy_headers
        for remaining, resets, limit in zip(decision.remaining, decision.reset_after_seconds, plan.limits, strict=True)
    ]
    if legacy:
        remaining, resets, amount = min(legacy)
        headers.append((b"x-ratelimit-limit", b"%d" % amount))
        headers.append((b"x-ratelimit-remaining", b"%d" % remaining))
        headers.append((b"x-ratelimit-reset", b"%d" % -resets))
    return headers


def refusal(charges: Sequence[Charge[Policy]]) -> Reply:
    """Refuse for what these charges violate; where that is no limit, a store could not be asked: 503."""
    seconds = longest_wait(charges)
    violated = tuple(name for charge in charges for name in charge.violated)
    fault = Fault(
        status=429 if violated else 503,
        code="RATE_LIMIT_EXCEEDED" if violated else "RATE_LIMIT_UNAVAILABLE",
        message="Too many requests." if violated else "The rate limit cannot be checked at the moment.",
        category=ErrorCategory.RATE_LIMIT,
        severity=ErrorSeverity.LOW if violated else ErrorSeverity.HIGH,
        details={"limits": list(violated)} if violated else {},
        retryable=seconds is not None,
        retry_after=seconds,
        suggestions=() if seconds is None else (f"Try again in {seconds} s.",),
        violated_policies=violated,
        problem_type=QUOTA_EXCEEDED if violated else REDUCED_CAPACITY,
    )
    return Reply.refusal(fault, headers=[] if seconds is None else [(b"retry-after", b"%d" % seconds)])
