"""Desk: what whoever runs a service asks of its rate limits, and does about single keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from asgi_guard.limiting.charges import Steps, run, wait
from asgi_guard.limiting.plans import Plan, Rate
from asgi_guard.limiting.policies import is_at_once
from asgi_guard.limiting.selection import Policy
from asgi_guard.limiting.store import Key


class Desk:
    """Asks and changes the counts of policies.

    Attributes:
        policies: the policies.
    """

    policies: tuple[Policy, ...]

    def peek(self, key: Key, *, policy: str | None = None, rate: Rate | None = None) -> Any:
        """Say how things stand for a key, and count nothing.

        Args:
            key: as the key function returns it; see `client_key` for addresses.
            policy: the name of the policy; it may be left out where there is one.
            rate: the rate, where that is a function.

        Returns:
            A `Decision`, or an awaitable of it where the store is awaited.

        Raises:
            ValueError: there is no such policy, or several.
        """
        return self._chosen(policy, rate).bucket.peek(key)

    def refund(
        self, key: Key, at_ns: int, cost: int = 1, *, policy: str | None = None, rate: Rate | None = None
    ) -> Any:
        """Take back an admitted hit.

        Args:
            key: whose hit it was.
            at_ns: `Decision.at_ns` of the hit.
            cost: at most its cost.
            policy: as in `peek`.
            rate: as in `peek`.

        Returns:
            None, or an awaitable where the store is awaited.

        Raises:
            ValueError: as in `peek`.
        """
        return self._chosen(policy, rate).bucket.refund(key, at_ns, cost)

    def reset(self, key: Key, *, policy: str | None = None) -> Any:
        """Forget all hits of a key.

        Args:
            key: as in `peek`.
            policy: the name of the policy; left out, all of them forget.

        Returns:
            None, or an awaitable where any of the stores is awaited.

        Raises:
            ValueError: there is no such policy.
            StoreError: when it is awaited: a store did not answer, so that hits may still count there.
        """
        steps = _reset([plan for one in self._named(policy) for plan in one.plans()], key)
        return run(steps) if all(is_at_once(one.settings.counts_in) for one in self.policies) else wait(steps)

    def _named(self, name: str | None) -> list[Policy]:
        found = [one for one in self.policies if name is None or one.settings.name == name]
        if not found:
            names = ", ".join(repr(one.settings.name) for one in self.policies)
            raise ValueError(f"there is no policy {name!r}; there are {names}")
        return found

    def _chosen(self, name: str | None, rate: Rate | None) -> Plan:
        found = self._named(name)
        if len(found) != 1:
            raise ValueError(f"there are several policies; say which: policy={found[0].settings.name!r}, say")
        plan = found[0].plan if rate is None else found[0].plan_of(rate)
        if plan is None:
            raise ValueError("the rate of this policy is a function; say which one: rate='100/minute', say")
        return plan


def _reset(plans: Iterable[Plan], key: Key) -> Steps[None]:
    for plan in plans:
        yield plan.bucket.reset(key)
