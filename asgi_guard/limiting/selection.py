"""Selection: which requests a policy counts, against whom, and for how much; with what was said for one request alone.

Must never be got around by another spelling of a path or of a method: what a policy is for is matched generously, what
is exempt from it narrowly.

| id    | rule that was broken                                    |
|-------|---------------------------------------------------------|
| AG401 | what one request overrides is what the field may hold   |
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Self, cast

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.paths import Prefixes
from asgi_guard.limiting.charges import Charge, Steps
from asgi_guard.limiting.keys import by_client
from asgi_guard.limiting.memory import MemoryBucket
from asgi_guard.limiting.plans import DEFAULT_NAME, Plan, Plans, Rate, limits_of
from asgi_guard.limiting.policies import RateFunction, RateLimit
from asgi_guard.limiting.rate import MAX_AMOUNT
from asgi_guard.limiting.store import Decision, Key, Store
from asgi_guard.networks import Networks
from asgi_guard.settings import Problems

LAYER: Final = "rate_limit"
"""What `scope["asgi_guard"]` calls all policies; one alone is `rate_limit:` and its name."""

OVERRIDABLE: Final = frozenset({"cost", "key", "rate"})

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Policy:
    """A policy at work.

    Args:
        settings: what it was told.
        own_store: where the counts live if the settings name no store.

    Attributes:
        settings: as given.
        backend: what its store is called.
        plan: the plan for every request; None where the rate is a function.
        is_enforced: it can refuse.
        is_late: what it counts is known when the response is there.
        is_lease: what it counts is given back at the end.
    """

    __slots__ = (
        "_exempt_networks",
        "_exempt_paths",
        "_methods",
        "_paths",
        "_plans",
        "backend",
        "is_enforced",
        "is_late",
        "is_lease",
        "plan",
        "settings",
    )

    def __init__(self, settings: RateLimit, own_store: Store) -> None:
        self.settings: RateLimit = settings
        self.is_enforced: bool = not settings.shadow
        self.is_late: bool = settings.count is not None
        self.is_lease: bool = settings.algorithm == "concurrency"
        self._paths = Prefixes(settings.paths) if settings.paths else None
        # Applications answer HEAD as they answer GET: it must be no way past a limit on GET.
        self._methods = frozenset([*settings.methods, *(["HEAD"] if "GET" in settings.methods else [])])
        self._exempt_paths = Prefixes(settings.exempt_paths)
        self._exempt_networks = Networks(settings.exempt_networks)
        self.keep_in(own_store)

    def keep_in(self, own_store: Store, previous: Policy | None = None) -> None:
        """Count in another store from now on, unless the settings name one.

        Args:
            own_store: the store.
            previous: the policy that stood in this place, whose counts go on under the new limits.
        """
        settings = self.settings
        store = own_store if settings.counts_in is None else settings.counts_in
        self.backend: str = getattr(store, "backend", type(store).__name__)
        self._plans = Plans(settings.name, store, settings.algorithm, settings.burst, **settings.of_the_bucket)
        self.plan: Plan | None = None if callable(settings.rate) else self._plans.of(settings.rate)
        if self.plan is None or previous is None or previous.plan is None or self.plan.bucket is previous.plan.bucket:
            return
        if settings.store is previous.settings.store and isinstance(self.plan.bucket, MemoryBucket):
            self.plan.bucket.carry(cast("MemoryBucket", previous.plan.bucket))

    def plan_of(self, rate: Rate) -> Plan:
        """Return the plan of a rate, which may be one that only some requests have.

        Raises:
            ConfigError: there have been too many different ones.
            ValueError: it cannot be read.
        """
        return self._plans.of(rate)

    def plans(self) -> tuple[Plan, ...]:
        """Return every plan so far."""
        return tuple(self._plans)

    def charge(self, exchange: Exchange) -> Steps[Charge[Self] | None]:
        """Say for what a request is to be counted, and whom; None where the policy does not apply to it."""
        settings = self.settings
        if (self._methods and exchange.method.upper() not in self._methods) or not self._is_about(exchange):
            return None
        if settings.exempt is not None and (yield settings.exempt(exchange)):
            return None
        said: Mapping[str, Any] | None = _NOTHING
        if exchange.overrides is not None:
            said = overrides(exchange.overrides, settings.name)
        if said is None:
            return None
        key = said["key"] if "key" in said else (yield settings.key(exchange))
        if key is None:
            return None
        plan = self.plan
        if plan is None or "rate" in said:
            rate = said["rate"] if "rate" in said else (yield cast("RateFunction", settings.rate)(exchange))
            if rate is None:
                return None
            plan = self._plans.of(rate)
        cost = said.get("cost", settings.cost)
        if callable(cost):
            cost = yield cost(exchange)
        return Charge(plan, key, cost, self)

    def noted(self, key: Key, cost: int, decision: Decision) -> Charge[Self]:
        """Return the charge of a request under the plan for all, as its bucket has decided it."""
        charge = Charge(cast("Plan", self.plan), key, cost, self)
        charge.note(decision)
        return charge

    def _is_about(self, exchange: Exchange) -> bool:
        scope = exchange.scope
        is_selected = self._paths is None or self._paths.touch(scope)
        return is_selected and not self._exempt_paths.cover(scope) and exchange.client not in self._exempt_networks

    def ends(self, exchange: Exchange) -> bool:
        """Tell whether the policies that follow are not asked about a request to which this one applies.

        Every spelling of the path has to lie under its own: else a loose policy would be a way past the others.
        """
        return self.settings.exclusive and (self._paths is None or self._paths.cover(exchange.scope))

    def __str__(self) -> str:
        """Say what is refused."""
        settings = self.settings
        verb = "429 would be answered (shadow)" if settings.shadow else "429"
        limits = "what a function says" if self.plan is None else " or ".join(limit.name for limit in self.plan.limits)
        unit = " at a time" if settings.algorithm == "concurrency" else ""
        who = "client" if settings.key is by_client else "key"
        where = f" under {', '.join(settings.paths)}" if settings.paths else ""
        how = f", {' and '.join(settings.methods)} only" if settings.methods else ""
        name = "" if settings.name == DEFAULT_NAME else f" ({settings.name})"
        return f"{verb} for more than {limits}{unit} from one {who}{where}{how}{name}"


def overrides(said: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """Return what was said for one request of the policy called `name`; None where it is off."""
    own = said.get(f"{LAYER}:{name}", {})
    return None if own is False else {**(said.get(LAYER) or {}), **own}


def check_overrides(fields: Mapping[str, Any]) -> None:
    """Check what was said for one request.

    Raises:
        ConfigError: a value is wrong.
    """
    problems = Problems(f'scope["asgi_guard"]["{LAYER}"]')
    if "cost" in fields:
        problems.integer("cost", fields["cost"], minimum=0, maximum=MAX_AMOUNT)
    if not isinstance(fields.get("key"), str | bytes | None):
        problems.add("AG401", "key", None, "must be text, bytes or None", "Give the key itself, not a function.")
    if fields.get("rate") is not None:
        try:
            limits_of(fields["rate"], None)
        except ValueError as error:
            problems.add("AG401", "rate", fields["rate"], "must be a rate or None", str(error))
    problems.raise_if_any()
