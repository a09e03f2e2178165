"""Rate limit: refuse a client that asks too often, and tell every client how much it has left.

The settings are in `asgi_guard.limiting.policies`, and counts live in a store. Every policy that applies to a request
counts it, or none does. Answers carry `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10); a
refusal is 429 (RFC 6585 section 4) with the `Retry-After` at which a client that is alone is admitted by all policies,
the problem type `quota-exceeded` and `no-store`.
Must never name a client in a header, and never count by a header that anyone may write.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from contextvars import copy_context
from typing import Any, ClassVar, Final, Unpack, cast

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.forwarded import is_read_before
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.life import spawn
from asgi_guard.engine.override import is_called
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import ASGIApp, Header, Headers, Message
from asgi_guard.events import Listener, notify
from asgi_guard.limiting.answers import refusal, tell
from asgi_guard.limiting.charges import Charge, Steps, change_all, release, run, take_all, wait
from asgi_guard.limiting.desk import Desk
from asgi_guard.limiting.events import Audience, RateLimitDecided, Result
from asgi_guard.limiting.keys import KeyFunction, by_client, by_header, client_key
from asgi_guard.limiting.measured import Measured
from asgi_guard.limiting.memory import MemoryStore
from asgi_guard.limiting.plans import DEFAULT_NAME, Rate
from asgi_guard.limiting.policies import (
    CountFunction,
    RateFunction,
    RateLimit,
    RateLimitOptions,
    RateLimits,
    settings_of,
)
from asgi_guard.limiting.selection import LAYER, OVERRIDABLE, Policy, check_overrides, overrides
from asgi_guard.limiting.store import Decision, Key, Store, checked_cost
from asgi_guard.monitor.tally import uncounted
from asgi_guard.networks import UNIX, is_loopback, is_private

__all__ = [
    "KeyFunction",
    "Rate",
    "RateFunction",
    "RateLimit",
    "RateLimitLayer",
    "RateLimitMiddleware",
    "RateLimitOptions",
    "RateLimits",
    "by_client",
    "by_header",
    "client_key",
    "settings_of",
]

logger: logging.Logger = logging.getLogger("asgi_guard")

UNDECLARED_PROXY: Final = (
    "All clients seem to come from %s, which sends a forwarding header: an undeclared proxy. They would share one rate "
    "limit, so the default one is not enforced on them. If that is your proxy, write client_address=[%r] in the guard."
)
NEAR_REFUSED: Final = (
    "%s has asked more often than the default rate limit allows, and is refused. If that is a proxy, all of its users "
    "are one client: let it send X-Forwarded-For, and declare it as client_address=[...]; or set a rate_limit."
)
_FORWARDING = (b"x-forwarded-for", b"forwarded", b"x-real-ip")


class RateLimitLayer(Layer, Desk):
    """Counts requests, handshakes and, where a policy says so, the messages of WebSockets.

    It fills in the hooks that its policies need, and no others. The usual case, one policy for every request in a store
    that answers at once, has an `admit` and a `head` of its own.

    Args:
        settings: the policies.
        yields_to_undeclared_proxy: do not enforce them on a private peer that sends a forwarding header; only for a
            rate that nobody asked for.
    """

    name: ClassVar[str] = LAYER
    overridable: frozenset[str] = OVERRIDABLE

    def __init__(
        self, settings: RateLimit | RateLimits | Sequence[RateLimit], *, yields_to_undeclared_proxy: bool = False
    ) -> None:
        read = settings_of(settings)
        self.settings: object = read
        given = (read,) if isinstance(read, RateLimit) else tuple(read.policies)
        self._own_store: Store = MemoryStore()
        self.policies: tuple[Policy, ...] = tuple(Policy(one, self._own_store) for one in given)
        stores = dict.fromkeys(one.counts_in for one in given)
        self._remote_stores = [store for store in stores if store is not None and store.synchronous is False]
        self._to_close = self._remote_stores
        for audience in self._audiences():
            audience.counting.add(self)
        self._measured: Measured | None = None
        self._count_allowed: Callable[[], None] = uncounted
        self._yields = yields_to_undeclared_proxy
        self._has_yielded = self._has_refused_near = False
        self.wants: frozenset[bytes] = frozenset[bytes]().union(*[getattr(one.key, "wants", ()) for one in given])
        if not any(one.has_async_functions for one in given):
            self.admit_deadline_seconds: float | None = None  # stores bound their waits themselves
        vars(self).update(self._hooks(given))
        self._bind()

    def _hooks(self, given: Sequence[RateLimit]) -> Mapping[str, Callable[..., Any]]:
        waits = bool(self._remote_stores) or any(one.has_async_functions for one in given)
        is_usual = len(given) == 1 and not waits and given[0].is_usual
        hooks: dict[str, Callable[..., Any]] = {}
        if self._remote_stores:
            hooks["start"] = self._start_stores
        if waits:
            hooks["admit_async"] = self._admit_waiting
        else:
            hooks["admit"] = self._admit_usual if is_usual else self._admit
        if any((one.headers or one.legacy_headers) and not one.shadow for one in given):
            hooks["head"] = self._head_usual if is_usual else self._head
        if any(one.messages for one in given):
            hooks["inbound"] = self._count_message
        if any(one.count is not None for one in given):
            hooks["complete"] = self._settle
        if any(one.count is not None or one.algorithm == "concurrency" for one in given):
            hooks["finish"] = self._release
        return hooks

    def _bind(self) -> None:
        """Put what the usual case needs within one step's reach."""
        policy = self.policies[0]
        self._key: Callable[[Exchange], Any] = policy.settings.key
        self._cost: Any = policy.settings.cost
        if policy.plan is not None:
            self._hit: Callable[[Key, int], Any] = policy.plan.bucket.hit
            self._state: Callable[[Decision], bytes] = policy.plan.state
            self._policy: Header = (b"ratelimit-policy", policy.plan.policy)

    # The way in -------------------------------------------------------------------------------------------------------

    def _admit_usual(self, exchange: Exchange) -> Reply | None:
        """Count the request, or refuse it: one policy, every request, one call of the store."""
        if exchange.overrides is not None and any(is_called(self, name) for name in exchange.overrides):
            return self._admit(exchange)
        key = self._key(exchange)
        if key is None:
            return None
        decision: Decision = self._hit(key, self._cost)
        if decision.allowed:
            exchange.cells[self] = decision
            if self.listeners or decision.degraded:
                self._tell(exchange, [self.policies[0].noted(key, self._cost, decision)])
            else:
                self._count_allowed()
            return None
        charge = self.policies[0].noted(key, self._cost, decision)
        reply = self._verdict(exchange, [charge], is_admitted=not charge.policy.is_enforced)
        if reply is not None:
            exchange.cells[self] = decision
        return reply

    def _admit(self, exchange: Exchange) -> Reply | None:
        """Count the request under every policy that applies to it, or refuse it."""
        return run(self._judge(exchange))

    async def _admit_waiting(self, exchange: Exchange) -> Reply | None:
        return await wait(self._judge(exchange))

    def _judge(self, exchange: Exchange) -> Steps[Reply | None]:
        charges: list[Charge[Policy]] = []
        exchange.cells[self] = charges
        for policy in self.policies:
            charge = yield from policy.charge(exchange)
            if charge is not None:
                charges.append(charge)
                if policy.ends(exchange):
                    break
        taking = take_all(charges)
        is_admitted = yield from taking if self._measured is None else self._measured.timed(taking)
        return self._verdict(exchange, charges, is_admitted=is_admitted)

    def _count_message(self, exchange: Exchange, message: Message) -> Reply | None:
        if message["type"] != "websocket.receive":
            return None
        charges = [charge.again() for charge in exchange.cells.get(self, ()) if charge.policy.settings.messages]
        return self._verdict(exchange, charges, is_admitted=run(take_all(charges)))

    def _verdict(self, exchange: Exchange, charges: list[Charge[Policy]], *, is_admitted: bool) -> Reply | None:
        if is_admitted:
            for charge in charges:
                if charge.is_refused:  # in the shadows
                    exchange.would_refuse(self, refusal([charge]))
            self._tell(exchange, charges)
            return None
        reply = refusal([charge for charge in charges if charge.is_refused and charge.policy.is_enforced])
        if self._yields:
            if self._smells_of_a_proxy(exchange):
                exchange.would_refuse(self, reply)
                self._tell(exchange, charges, refused="would_refuse")
                charges.clear()
                return None
            self._say_who_is_near(exchange)
        self._tell(exchange, charges)
        return reply

    def _tell(self, exchange: Exchange, charges: Iterable[Charge[Policy]], *, refused: Result = "refused") -> None:
        """Count what each policy has decided, and tell the listeners."""
        if not self.listeners and self._measured is None:
            return
        about = exchange.about(self)
        for charge in charges:
            if charge.result is not None and charge.decision is not None:
                policy = charge.policy
                result = refused if charge.result == "refused" else charge.result
                if self._measured is not None:
                    self._measured.decided(charge, charge.decision, result)
                decided = RateLimitDecided(
                    **about,
                    policy=policy.settings.name,
                    result=result,
                    backend=policy.backend,
                    degraded=charge.decision.degraded,
                )
                notify(self.listeners, decided)

    def _say_who_is_near(self, exchange: Exchange) -> None:
        """Say once that somebody on this machine is refused under a rate that nobody has set: perhaps a proxy."""
        if not self._has_refused_near and not exchange.is_peer_trusted and is_loopback(exchange.client):
            self._has_refused_near = True
            logger.warning(NEAR_REFUSED, exchange.client or "a Unix socket")

    def _smells_of_a_proxy(self, exchange: Exchange) -> bool:
        """Tell whether a private peer forwards for others: all of them would share its limit."""
        client = exchange.client
        if exchange.is_peer_trusted or not any(exchange.header(name) for name in _FORWARDING):
            return False
        if not is_private(client) or is_read_before(
            exchange.scope.get("client"), exchange.header_lines(b"x-forwarded-for")
        ):
            return False
        if not self._has_yielded:
            self._has_yielded = True
            # Where the client's address is looked for, that part has said it already.
            if all(layer.name != "client_address" for layer in exchange.plan.layers):
                logger.error(UNDECLARED_PROXY, client or "a Unix socket", client or UNIX)
        return True

    # The way out ------------------------------------------------------------------------------------------------------

    def _head_usual(self, exchange: Exchange, headers: Headers) -> None:
        """Tell the client where it stands."""
        decision = exchange.cells.get(self)
        if decision is None:
            return
        if decision.__class__ is list:
            self._head(exchange, headers)
        elif not decision.degraded:
            headers += ((b"ratelimit", self._state(decision)), self._policy)

    def _head(self, exchange: Exchange, headers: Headers) -> None:
        headers += tell(exchange.cells.get(self, ()))

    def _settle(self, exchange: Exchange) -> None:
        """Give back what the response says does not count, once.

        It was counted in advance: a thousand guesses at the same time would all find that there is something left.
        """
        late = [charge for charge in exchange.cells.get(self, ()) if charge.is_late and charge.is_admitted]
        for charge in late:
            charge.is_late = False
        if late:
            self._carry_out(change_all([(charge, _cost_afterwards(exchange, charge)) for charge in late]))

    def _release(self, exchange: Exchange) -> None:
        """Give back what the request has held; and count it, where its response never was complete."""
        try:
            self._settle(exchange)
        finally:
            self._carry_out(release(exchange.cells.get(self, ())))

    def override(self, exchange: Exchange, fields: Mapping[str, Any]) -> None:
        """Take over another cost, key or rate for one request; where it was counted already, the cost alone."""
        check_overrides(fields)
        cell = exchange.cells.get(self)
        if cell is None or "cost" not in fields:
            return
        if cell.__class__ is not list:
            cell = [self.policies[0].noted(self._key(exchange), self._cost, cell)]
            exchange.cells[self] = cell
        said = exchange.overrides or {}
        costs = [(charge, overrides(said, charge.policy.settings.name) or {}) for charge in cell]
        self._carry_out(change_all([(charge, own["cost"]) for charge, own in costs if "cost" in own]))

    def _carry_out(self, steps: Steps[None]) -> None:
        """Take steps that nobody waits for."""
        if self._remote_stores:
            spawn(_logged, steps, copy_context())
        else:
            run(steps)

    def count_in(self, aggregate: Any) -> None:
        """Count what is decided."""
        self._measured = Measured(aggregate, self.policies)
        self._count_allowed = self._measured.allowed

    def take_over(self, previous: Layer) -> None:
        """Go on with the counts of the layer that stood here, each policy with those of the one of its name."""
        if isinstance(previous, RateLimitLayer):
            self._own_store = previous._own_store  # noqa: SLF001
            self._has_yielded = previous._has_yielded  # noqa: SLF001
            before = {policy.settings.name: policy for policy in previous.policies}
            for policy in self.policies:
                policy.keep_in(self._own_store, before.get(policy.settings.name))
            self._bind()
            for audience in previous._audiences():  # noqa: SLF001
                audience.counting.discard(previous)
            self._to_close = [*dict.fromkeys([*self._remote_stores, *previous._to_close])]  # noqa: SLF001

    def refusals(self) -> Iterable[str]:
        """Say what each policy refuses."""
        but_for = ", but for private addresses that send a forwarding header" if self._yields else ""
        for policy in self.policies:
            yield f"{policy}{but_for}"
            settings = policy.settings
            if settings.while_away == "closed" and not settings.shadow:
                name = "" if settings.name == DEFAULT_NAME else f" ({settings.name})"
                yield f"503 while {settings.store!r} is away{name}"

    def _audiences(self) -> Iterable[Audience]:
        """Give those through which stores tell how they are."""
        found = [getattr(store, "audience", None) for store in self._remote_stores]
        return [audience for audience in found if isinstance(audience, Audience)]

    async def _start_stores(self) -> None:
        """Let stores over a network say that they cannot work here."""
        for store in self._remote_stores:
            start = getattr(store, "start", None)
            if start is not None:
                await start()

    async def shutdown(self) -> None:
        """Close the connections of stores over a network; a later request opens them again.

        Those of the layers that stood here before are closed as well: requests on their way may have needed them.
        """
        async with AsyncExitStack() as stack:
            for store in self._to_close:
                stack.push_async_callback(store.aclose)


def _cost_afterwards(exchange: Exchange, charge: Charge[Policy]) -> int:
    """Ask what a request counts for now that its response is known; it counts where that cannot be said."""
    count = cast("CountFunction", charge.policy.settings.count)
    try:
        counted = count(exchange)
        return charge.cost if counted is True else checked_cost(counted)
    except Exception:
        logger.exception("the count of the rate limit %r failed", charge.policy.settings.name)
        return charge.cost


async def _logged(steps: Steps[None]) -> None:
    try:
        await wait(steps)
    except Exception:
        logger.exception("a rate limit could not count, or give back, what a request left behind")


class RateLimitMiddleware(Middleware, Desk):
    """Refuse clients that ask too often.

    Args:
        app: the application to wrap.
        rate: a rate such as `"5/second;100/minute"`, a whole `RateLimit`, or a list of `RateLimit`s.
        listeners: told what the layer decides.
        fields: the other fields of `RateLimit`.

    Raises:
        ConfigError: a field is wrong or unknown.
    """

    def __init__(
        self,
        app: ASGIApp,
        rate: Rate | RateFunction | RateLimit | Sequence[RateLimit] | None = None,
        *,
        listeners: Iterable[Listener] = (),
        **fields: Unpack[RateLimitOptions],
    ) -> None:
        layer = RateLimitLayer(settings_of(rate, fields))
        self.policies: tuple[Policy, ...] = layer.policies
        super().__init__(app, layer, listeners=listeners)
