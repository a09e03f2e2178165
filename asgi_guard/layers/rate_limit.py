"""Rate limit: refuse a client that asks too often, and tell every client how much it has left.

Counts live in a store (`asgi_guard.limiting`); all limits of a policy are judged in one step, all or nothing. Answers
carry `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10); a refusal is 429 (RFC 6585 section
4) with the `Retry-After` at which a client that is alone is admitted, the problem type `quota-exceeded` and `no-store`.
Must never name a client in a header, and never count by a header that anyone may write.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from inspect import iscoroutinefunction
from typing import ClassVar, Final, TypedDict, Unpack

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.replies import Reply
from asgi_guard.engine.types import ASGIApp, Header, Headers
from asgi_guard.errors.exceptions import ErrorCategory, ErrorSeverity
from asgi_guard.errors.problem import Fault
from asgi_guard.events import Listener
from asgi_guard.limiting.algorithms import ALGORITHMS
from asgi_guard.limiting.memory import MemoryStore
from asgi_guard.limiting.rate import Limit, parse_rate
from asgi_guard.limiting.store import Decision, Key, Store
from asgi_guard.networks import UNIX, is_private
from asgi_guard.settings import Problems, build

logger: logging.Logger = logging.getLogger("asgi_guard")

Rate = str | Limit | Sequence[str | Limit]
KeyFunction = Callable[[Exchange], Key]

QUOTA_EXCEEDED: Final = "https://iana.org/assignments/http-problem-types#quota-exceeded"
UNDECLARED_PROXY: Final = (
    "All clients seem to come from %s, which sends a forwarding header: an undeclared proxy. They would share one rate "
    "limit, so the default one is not enforced on them. If that is your proxy, write client_address=[%r] in the guard."
)
_FORWARDING = (b"x-forwarded-for", b"forwarded", b"x-real-ip")
_MAPPED = bytes(10) + b"\xff\xff"  # IPv4-mapped IPv6 (RFC 4291 section 2.5.5.2), which has other spellings than ::ffff:


def by_client(exchange: Exchange) -> Key:
    """Count by the client's address; of IPv6 the /64, since that is what one customer gets."""
    client = exchange.client
    if client is None:
        return "unknown"
    if ":" not in client:
        return client
    try:
        address = socket.inet_pton(socket.AF_INET6, client)
    except (OSError, ValueError):
        return client
    return socket.inet_ntop(socket.AF_INET, address[12:]) if address.startswith(_MAPPED) else address[:8]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Settings of one rate limit policy.

    Attributes:
        rate: such as `"100/minute"` or `"5/second;100/minute"`; a hit has to fit under every limit.
        key: names whom a request counts against, from its `Exchange`; by default the client's address, IPv6 by /64.
        store: where the counts live; by default a `MemoryStore` of the policy's own.
        algorithm: `"strict"` never admits more than N in any window.
        cost: what a request counts for, 1 or more.
        name: keeps the counts of policies that share a store apart.
        shadow: only tell the listeners what would be refused; clients are told nothing.
        headers: send `RateLimit` and `RateLimit-Policy`.

    Raises:
        ConfigError: a field is wrong.
    """

    rate: Rate
    _: KW_ONLY
    key: KeyFunction = by_client
    store: Store | None = None
    algorithm: str = "strict"
    cost: int = 1
    name: str = "default"
    shadow: bool = False
    headers: bool = True

    def __post_init__(self) -> None:
        problems = Problems("RateLimit")
        try:
            limits = parse_rate(self.rate)
        except ValueError as error:
            problems.add("AG210", "rate", self.rate, "must be a rate", str(error))
        else:
            problems.integer("cost", self.cost, minimum=1, maximum=min(limit.amount for limit in limits))
        if problems.callable("key", self.key) and iscoroutinefunction(self.key):
            problems.add("AG212", "key", self.key, "must not be async", "Make it a plain function.")
        if self.store is not None and not _is_store(self.store):
            problems.add("AG211", "store", self.store, "must be a store", "Give a MemoryStore(), or leave it out.")
        problems.choice("algorithm", self.algorithm, tuple(ALGORITHMS))
        problems.text("name", self.name, max_length=64)
        problems.boolean("shadow", self.shadow)
        problems.boolean("headers", self.headers)
        problems.raise_if_any()


class RateLimitOptions(TypedDict, total=False):
    """The fields of `RateLimit` but the rate, for keyword arguments."""

    key: KeyFunction
    store: Store | None
    algorithm: str
    cost: int
    name: str
    shadow: bool
    headers: bool


class RateLimitLayer(Layer):
    """Counts requests and handshakes.

    Args:
        settings: the policy.
        yields_to_undeclared_proxy: do not enforce it on a private peer that sends a forwarding header; only for a rate
            that nobody asked for.
    """

    name: ClassVar[str] = "rate_limit"

    def __init__(self, settings: RateLimit, *, yields_to_undeclared_proxy: bool = False) -> None:
        self.settings: object = settings
        self._limits = parse_rate(settings.rate)
        store = MemoryStore() if settings.store is None else settings.store
        self._hit = store.bucket(settings.name, self._limits, settings.algorithm).hit
        self._key = settings.key
        self._cost = settings.cost
        self._shadow = settings.shadow
        self._sends_headers = settings.headers and not settings.shadow
        self._yields = yields_to_undeclared_proxy
        self._has_yielded = False
        quoted = [_quoted(limit.name) for limit in self._limits]
        policies = [
            f"{name};q={limit.amount};w={limit.seconds}" for name, limit in zip(quoted, self._limits, strict=True)
        ]
        self._is_single = len(self._limits) == 1
        self._policy: Header = (b"ratelimit-policy", ",".join(policies).encode())
        self._state = ",".join(f"{name.replace('%', '%%')};r=%d;t=%d" for name in quoted).encode()

    def admit(self, exchange: Exchange) -> Reply | None:
        """Count the request, or refuse it."""
        decision = self._hit(self._key(exchange), self._cost)
        if decision.allowed:
            exchange.cells[self] = decision
            return None
        return self._refuse(exchange, decision)

    def _refuse(self, exchange: Exchange, decision: Decision) -> Reply | None:
        reply = self._refusal(decision)
        if self._shadow or (self._yields and self._smells_of_a_proxy(exchange)):
            exchange.would_refuse(self, reply)
            return None
        exchange.cells[self] = decision
        return reply

    def _refusal(self, decision: Decision) -> Reply:
        wait = decision.retry_after_seconds
        violated = tuple(self._limits[position].name for position in decision.violated)
        fault = Fault(
            status=429,
            code="RATE_LIMIT_EXCEEDED",
            message="Too many requests.",
            category=ErrorCategory.RATE_LIMIT,
            severity=ErrorSeverity.LOW,
            details={"limits": list(violated)},
            retryable=wait is not None,
            retry_after=wait,
            suggestions=() if wait is None else (f"Try again in {wait} s.",),
            violated_policies=violated,
            problem_type=QUOTA_EXCEEDED,
        )
        return Reply.refusal(fault, headers=[] if wait is None else [(b"retry-after", b"%d" % wait)])

    def _smells_of_a_proxy(self, exchange: Exchange) -> bool:
        """Tell whether a private peer forwards for others: all of them would share its limit."""
        client = exchange.client
        if exchange.is_peer_trusted or not any(exchange.header(name) for name in _FORWARDING):
            return False
        if not is_private(client):
            return False
        if not self._has_yielded:
            self._has_yielded = True
            # Where the client's address is looked for, that part has said it already.
            if all(layer.name != "client_address" for layer in exchange.plan.layers):
                logger.error(UNDECLARED_PROXY, client or "a Unix socket", client or UNIX)
        return True

    def head(self, exchange: Exchange, headers: Headers) -> None:
        """Tell the client where it stands."""
        if not self._sends_headers:
            return
        decision: Decision | None = exchange.cells.get(self)
        if decision is None:
            return
        if self._is_single:
            values: tuple[int, ...] = (decision.remaining[0], -(-decision.reset_after_ns[0] // 1_000_000_000))
        else:
            pairs = zip(decision.remaining, decision.reset_after_seconds, strict=True)
            values = tuple(number for pair in pairs for number in pair)
        headers += ((b"ratelimit", self._state % values), self._policy)

    def refusals(self) -> Iterable[str]:
        """Say what is refused."""
        verb = "429 would be answered (shadow)" if self._shadow else "429"
        but_for = ", but for private addresses that send a forwarding header" if self._yields else ""
        return (f"{verb} for more than {' or '.join(limit.name for limit in self._limits)} from one client{but_for}",)


def _is_store(given: object) -> bool:
    """Tell whether this is a store that answers at once."""
    is_synchronous = getattr(given, "synchronous", False) is True
    return is_synchronous and callable(getattr(given, "bucket", None)) and not isinstance(given, type)


def _quoted(name: str) -> str:
    """Write a name as a string of structured fields (RFC 9651 section 3.3.3)."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


class RateLimitMiddleware(Middleware):
    """Refuse clients that ask too often.

    Args:
        app: the application to wrap.
        rate: a rate such as `"5/second;100/minute"`, or a whole `RateLimit`.
        listeners: told what the layer decides.
        fields: the other fields of `RateLimit`.

    Raises:
        ConfigError: a field is wrong or unknown.
    """

    def __init__(
        self,
        app: ASGIApp,
        rate: Rate | RateLimit | None = None,
        *,
        listeners: Iterable[Listener] = (),
        **fields: Unpack[RateLimitOptions],
    ) -> None:
        given = rate if isinstance(rate, RateLimit) else None
        by_name = fields if given is not None or rate is None else {"rate": rate, **fields}
        super().__init__(app, RateLimitLayer(build(RateLimit, given, by_name)), listeners=listeners)
