"""Charges: one request under several policies, counted under all of them or under none.

The rules stand here once for stores that answer at once and for those that are awaited: they are written as steps,
generators that yield whatever a bucket or a function of the user's returned and go on with the answer. `run` takes the
steps at once, `wait` awaits what has to be awaited.

Rule 1: a charge is noted before anything waits, so that whoever is cancelled in between can give back what it took.
Rule 2: nothing is given back twice, and never more than was taken.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from itertools import groupby
from types import CoroutineType
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast

from asgi_guard.limiting.events import Result
from asgi_guard.limiting.plans import Plan
from asgi_guard.limiting.store import AsyncBucket, Decision, Hit, Key

ResultT = TypeVar("ResultT")
Steps: TypeAlias = Generator[Any, Any, ResultT]


class Terms(Protocol):
    """What a charge has to know of its policy.

    Attributes:
        is_enforced: it can refuse.
        is_late: what it counts is known when the response is there; until then it is counted as if it were.
        is_lease: what it counts is given back at the end.
    """

    is_enforced: bool
    is_late: bool
    is_lease: bool


TermsT = TypeVar("TermsT", bound=Terms)


class Charge(Generic[TermsT]):
    """What one request is to be counted for under one policy.

    Args:
        plan: the limits, and where they are counted.
        key: whom it counts against.
        cost: what it counts for.
        policy: whose charge it is.

    Attributes:
        is_late: what it counts is still to be found out from the response.
        is_admitted: the bucket has admitted it.
        decision: what the bucket has said last; None before it was asked.
    """

    __slots__ = ("_at_ns", "_counted", "_raised", "cost", "decision", "is_admitted", "is_late", "key", "plan", "policy")

    def __init__(self, plan: Plan, key: Key, cost: int, policy: TermsT) -> None:
        self.plan: Plan = plan
        self.key: Key = key
        self.cost: int = cost
        self.policy: TermsT = policy
        self.is_late: bool = policy.is_late
        self.is_admitted: bool = False
        self.decision: Decision | None = None
        self._counted = 0  # what stands in the bucket of the first hit, which was at
        self._at_ns = 0
        self._raised = 0  # what was counted since

    @property
    def violated(self) -> tuple[str, ...]:
        """The names of the limits that refused it."""
        return () if self.decision is None else tuple(self.plan.names[position] for position in self.decision.violated)

    @property
    def is_refused(self) -> bool:
        """Tell whether the bucket would not admit it."""
        return self.decision is not None and not self.decision.allowed

    @property
    def result(self) -> Result | None:
        """What came of it, for the listeners; None where it was not asked, or others alone are refused."""
        decision = self.decision
        if decision is None or decision.allowed:
            return "admitted" if self.is_admitted else None
        if not (decision.violated or decision.degraded):
            return None
        return "refused" if self.policy.is_enforced else "would_refuse"

    @property
    def hit(self) -> Hit:
        """The hit, for a store that judges several together."""
        return Hit(cast("AsyncBucket", self.plan.bucket), self.key, self.cost, self.policy.is_enforced)

    def again(self) -> Charge[TermsT]:
        """Make another charge like this one, for something else that the same client asks."""
        return Charge(self.plan, self.key, self.cost, self.policy)

    def note(self, decision: Decision | None) -> None:
        """Note what the bucket has said to the hit; None where others were refused before it was asked."""
        self.decision = decision
        if decision is not None and decision.allowed:
            self.is_admitted = True
            self._counted, self._at_ns = self.cost, decision.at_ns

    def take(self) -> Steps[None]:
        """Count it if the bucket admits it."""
        self.note((yield self.plan.bucket.hit(self.key, self.cost)))

    def ask(self) -> Steps[None]:
        """Say how things stand, and count nothing."""
        self.decision = yield self.plan.bucket.peek(self.key, self.cost)

    def give_back(self, cost: int | None = None) -> Steps[None]:
        """Take back what the first hit counted, or so much of it."""
        returned = self._counted if cost is None else min(cost, self._counted)
        if returned:
            self._counted -= returned
            yield self.plan.bucket.refund(self.key, self._at_ns, returned)

    def add(self, cost: int) -> Steps[None]:
        """Count more, also where a limit is exceeded by that: it has happened."""
        self._raised += cost
        self.decision = yield self.plan.bucket.charge(self.key, cost)

    def change(self, cost: int) -> Steps[None]:
        """Let the request cost something else than what it was counted for.

        A refused one stays as it is, as does a lease. What was raised is not lowered again: where the bucket was full,
        others' hits would be given back with it.
        """
        if self.policy.is_lease or not self.is_admitted:
            return
        self.cost = cost
        if self.is_late:
            return
        difference = cost - self._counted - self._raised
        if difference > 0:
            yield from self.add(difference)
        elif difference and self._counted:
            yield from self.give_back(-difference)
            yield from self.ask()


AnyCharge: TypeAlias = Charge[Any]


def take_all(charges: Sequence[AnyCharge]) -> Steps[bool]:
    """Count every charge, or none of them; return whether the request is admitted.

    Those that stand side by side and whose store judges them together are asked in one call. All are judged: after a
    refusal each `decision` says how things stand without this request.
    """
    for group in _groups(charges):
        yield from _take(group)
        if any(charge.policy.is_enforced and not charge.is_admitted for charge in group):
            break
    else:
        return True
    for charge in charges:
        yield from charge.give_back()
    for charge in charges:
        if charge not in group:
            yield from charge.ask()
        charge.is_admitted = False
    return False


def _groups(charges: Iterable[AnyCharge]) -> Iterable[list[AnyCharge]]:
    """Give those that are asked together."""
    for hit_all, charges_of_one in groupby(charges, lambda charge: charge.plan.hit_all):
        group = [*charges_of_one]
        yield from [group] if hit_all else [[charge] for charge in group]


def _take(group: Sequence[AnyCharge]) -> Steps[None]:
    hit_all = group[0].plan.hit_all
    if len(group) == 1 or hit_all is None:
        yield from group[0].take()
        return
    decisions = yield hit_all([charge.hit for charge in group])
    for charge, decision in zip(group, decisions, strict=True):
        charge.note(decision)


def release(charges: Iterable[AnyCharge]) -> Steps[None]:
    """Give back the leases among the charges."""
    for charge in charges:
        if charge.policy.is_lease:
            yield from charge.give_back()


def change_all(costs: Iterable[tuple[AnyCharge, int]]) -> Steps[None]:
    """Let each charge come to another cost."""
    for charge, cost in costs:
        yield from charge.change(cost)


def longest_wait(charges: Iterable[AnyCharge]) -> int | None:
    """Return the seconds after which a lone client is admitted to all; None where one never admits it."""
    longest = 0
    for charge in charges:
        seconds = 0 if charge.decision is None else charge.decision.retry_after_seconds
        if seconds is None:
            return None
        longest = max(longest, seconds)
    return longest


def run(steps: Steps[ResultT]) -> ResultT:
    """Take steps that wait for nothing.

    Raises:
        TypeError: one of them waits: a plain function has returned what has to be awaited.
    """
    try:
        answer = next(steps)
        while True:
            if hasattr(answer, "__await__"):  # it would be taken for true, and a request for exempt, say
                if isinstance(answer, CoroutineType):
                    answer.close()  # nobody is going to await it, and that need not be said twice
                raise TypeError("a plain function of a RateLimit returned an awaitable; write it as an async function")
            answer = steps.send(answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def wait(steps: Steps[ResultT]) -> ResultT:
    """Take steps, and await what has to be awaited."""
    try:
        answer = next(steps)
        while True:
            answer = steps.send(await answer if hasattr(answer, "__await__") else answer)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
