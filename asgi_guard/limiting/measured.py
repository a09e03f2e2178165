"""Measured: what a rate limit tells telemetry of its decisions, and of the time that they take.

Must never tell a key: policies and stores are what the program names, and whoever is refused is told by a hash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from asgi_guard.limiting.charges import Charge, Steps
from asgi_guard.limiting.events import Result
from asgi_guard.limiting.policies import is_at_once
from asgi_guard.limiting.selection import Policy
from asgi_guard.limiting.store import Decision
from asgi_guard.monitor.names import RATE_LIMIT_CHECK_DURATION, RATE_LIMIT_REQUESTS

if TYPE_CHECKING:
    from asgi_guard.monitor.cells import Aggregate


class Measured:
    """The numbers of one rate limit.

    Args:
        aggregate: where they are counted.
        policies: at least one.

    Attributes:
        allowed: counts a request that the first policy has admitted, with its store at hand.
    """

    __slots__ = ("_aggregate", "_duration", "allowed")

    def __init__(self, aggregate: Aggregate, policies: Sequence[Policy]) -> None:
        first = policies[0]
        self._aggregate = aggregate
        self.allowed: Callable[[], None] = aggregate.series(
            RATE_LIMIT_REQUESTS, first.settings.name, "allowed", first.backend
        ).add
        awaited = dict.fromkeys(one.backend for one in policies if not is_at_once(one.settings.counts_in))
        self._duration = aggregate.series(RATE_LIMIT_CHECK_DURATION, "+".join(awaited)) if awaited else None

    def decided(self, charge: Charge[Policy], decision: Decision, result: Result) -> None:
        """Count what came of a charge."""
        policy = charge.policy
        told = _result(decision, result, policy.settings.while_away)
        self._aggregate.series(RATE_LIMIT_REQUESTS, policy.settings.name, told, policy.backend).add()
        if result == "refused":
            self._aggregate.pressure.note(policy.settings.name, charge.key)

    def timed(self, steps: Steps[Any]) -> Steps[Any]:
        """Take steps, and the time that they take where a store has to be waited for."""
        if self._duration is None:
            return (yield from steps)
        began_ns = perf_counter_ns()
        try:
            return (yield from steps)
        finally:
            self._duration.record(perf_counter_ns() - began_ns)


def _result(decision: Decision, result: Result, while_away: str | None) -> str:
    if result == "would_refuse":
        return "shadowed"
    if result == "refused":
        return "fail_closed" if decision.degraded and not decision.violated else "rejected"
    if decision.degraded:
        return "local" if while_away == "local" else "fail_open"
    return "allowed"
