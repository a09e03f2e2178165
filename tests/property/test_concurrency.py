"""`concurrency` against a list of leases, each of which is held until it is released or ends by itself."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from asgi_guard.limiting.memory import MemoryStore
from asgi_guard.limiting.rate import Limit

SECOND = 1_000_000_000
SLOT = SECOND  # a tenth of a lease


class LeasesAgainstModel(RuleBasedStateMachine):
    """Work that begins, ends, is forgotten, and is ended too late."""

    @initialize(amount=st.integers(1, 6))
    def start(self, amount) -> None:
        self.now_ns = 10**15
        self.amount = amount
        self.bucket = MemoryStore(10, clock=lambda: self.now_ns).bucket("work", [Limit(amount, 10)], "concurrency")
        self.leases = []  # as (taken at, cost), those that have ended by themselves too

    def held(self) -> list[tuple[int, int]]:
        """List the leases that are not released and have not ended: each ends with the eleventh slot."""
        return [(at_ns, cost) for at_ns, cost in self.leases if self.now_ns < (at_ns // SLOT + 11) * SLOT]

    @rule(cost=st.integers(1, 3))
    def begin(self, cost) -> None:
        free = self.amount - sum(cost for _, cost in self.held())
        decision = self.bucket.hit("key", cost)
        assert decision.allowed == (cost <= free)
        if decision.allowed:
            self.leases.append((decision.at_ns, cost))

    @rule(data=st.data())
    def end(self, data) -> None:
        if self.leases:
            self.bucket.refund("key", *self.leases.pop(data.draw(st.integers(0, len(self.leases) - 1))))

    @rule(step_ns=st.one_of(st.sampled_from([0, 1, SLOT - 1, SLOT, 10 * SLOT, 11 * SLOT]), st.integers(0, 12 * SLOT)))
    def pass_time(self, step_ns) -> None:
        self.now_ns += step_ns

    @invariant()
    def no_more_than_the_amount_is_held_and_all_the_rest_is_free(self) -> None:
        if hasattr(self, "bucket"):
            young = [cost for at_ns, cost in self.leases if self.now_ns <= at_ns + 10 * SLOT]
            assert sum(young) <= self.amount
            assert self.bucket.peek("key").remaining == (self.amount - sum(cost for _, cost in self.held()),)


LeasesAgainstModel.TestCase.settings = settings(stateful_step_count=60)
TestLeasesAgainstModel = LeasesAgainstModel.TestCase
