"""Shares: what one of several workers counts for itself while the store that they share is away, and what it says then.

How many there are is known where `asgi-guard run --workers N` has started them; elsewhere each takes itself for the
only one. Must never be asked while a request waits: a bucket has its share from the start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from asgi_guard.limiting.rate import Limit
from asgi_guard.limiting.store import Decision, Key, OnFailure
from asgi_guard.monitor.names import RATE_LIMIT_DEGRADED
from asgi_guard.monitor.tally import count

_UNTIL_PROBED_NS: Final = 1_000_000_000

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


def without_store(
    on_failure: OnFailure, local: Callable[[Key, int], Decision], key: Key, cost: int, number: int
) -> Decision:
    """Decide while the store is away.

    Args:
        on_failure: what is done then.
        local: asks the counts of this process.
        key: whom to count.
        cost: what it counts for.
        number: how many limits there are.
    """
    count(RATE_LIMIT_DEGRADED, on_failure)
    if on_failure == "local":
        decision = local(key, cost)
        decision.degraded = True
        return decision
    nothing = (0,) * number
    is_open = on_failure == "open"
    return Decision(is_open, 0, nothing, nothing, 0 if is_open else _UNTIL_PROBED_NS, degraded=True)
