"""Shares: what one of several workers counts for itself while the store that they share is away.

How many there are is known where `asgi-guard run --workers N` has started them; elsewhere each takes itself for the
only one. Must never be asked while a request waits: a bucket has its share from the start.
"""

from __future__ import annotations

from dataclasses import replace

from asgi_guard.limiting.rate import Limit

_workers: int = 1


def work_among(workers: int) -> None:
    """Let this process be one of so many, 1 or more; before the application is imported."""
    global _workers  # noqa: PLW0603  it is about the process
    _workers = workers


def usual_share() -> float:
    """Return one by the number of workers."""
    return 1 / _workers


def share_of(limit: Limit, share: float) -> Limit:
    """Return so much of a limit, one hit at least.

    Args:
        limit: the limit for all.
        share: above 0 to 1.
    """
    burst = None if limit.burst is None else max(1, int(limit.burst * share))
    return replace(limit, amount=max(1, int(limit.amount * share)), burst=burst)
