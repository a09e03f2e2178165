"""Policies: the settings of rate limits.

Where several policies stand in a list, every one that applies to a request counts it, or none does. A policy applies
where the method, the path and the exemptions let it, and where its key and its rate are not None.
Must never let a policy start that could not count what it seems to count.

| id    | rule that was broken                                                       |
|-------|----------------------------------------------------------------------------|
| AG210 | a rate can be read                                                         |
| AG211 | a store is a `Store` or an `AsyncStore`                                    |
| AG212 | what is called while a response ends is a plain function                   |
| AG213 | a method is a token in capitals                                            |
| AG214 | a path begins with a slash, and is no pattern                              |
| AG215 | no two policies of one list have the same name                             |
| AG216 | concurrency counts requests while they last, not their outcome or messages |
| AG217 | messages are counted in a store that answers at once                       |
| AG218 | a burst belongs to `gcra`                                                  |
| AG432 | what a policy does while its store is away is said of one in Redis         |
| AG400 | a list of policies has at least one, and nothing else in it                |
| AG436 | leases belong to an algorithm that counts hits                             |
| AG437 | leases belong to a store in Redis                                          |
| AG438 | a lease is at most a quarter of each limit                                 |
| AG445 | what may be given back at the end is counted in a store that takes it back |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from inspect import signature
from typing import Any, TypeAlias, TypedDict, TypeGuard, cast

from asgi_guard.engine.exchange import Exchange
from asgi_guard.engine.paths import check_prefixes
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.limiting.algorithms import ALGORITHMS
from asgi_guard.limiting.keys import KeyFunction, by_client, is_async
from asgi_guard.limiting.leases import LEAST, MOST, LeaseSize
from asgi_guard.limiting.plans import DEFAULT_NAME, Rate, limits_of
from asgi_guard.limiting.rate import MAX_AMOUNT
from asgi_guard.limiting.store import ON_FAILURE, AsyncStore, OnFailure, Store
from asgi_guard.networks import check
from asgi_guard.settings import Problem, Problems, build

RateFunction: TypeAlias = Callable[[Exchange], Rate | Awaitable[Rate | None] | None]
CostFunction: TypeAlias = Callable[[Exchange], int | Awaitable[int]]
ExemptFunction: TypeAlias = Callable[[Exchange], bool | Awaitable[bool]]
CountFunction: TypeAlias = Callable[[Exchange], int]


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Settings of one rate limit policy.

    Functions are given the `Exchange`, and may be async where it says so: then a request waits for them and for the
    store, a second at most.

    Attributes:
        rate: such as `"100/minute"` or `"5/second;100/minute"`; a hit has to fit under every limit. Or a function that
            returns the rate for a request, also async: at most 256 different ones, None for no limit.
        key: names whom a request counts against, from its `Exchange`; by default the client's address, IPv6 by /64.
            None does not count it. May be async.
        store: where the counts live; by default a `MemoryStore` of this part's own. Policies with the same store, name
            and limits share their counts. Text is the URL of a `RedisStore`, such as `"redis://localhost:6379"`,
            or one of `limits`, such as `"memcached://localhost:11211"`; a mapping has the arguments of a `RedisStore`:
            `{"url": "redis://localhost", "on_failure": "open"}`.
        on_failure: what happens while Redis is away, if not what the store says itself: `"local"` counts
            this process's share, `"open"` admits everything, `"closed"` refuses everything (503). For a `RedisStore`.
        lease: for hot keys of a `RedisStore`: how many hits of a key a process counts in one call, to admit them
            without any, 2 to 10,000, and a quarter of what is left at most, once it is asked about the second time
            within a second; `"auto"` does it for keys that are hit more than eight times within a quarter of a second,
            for as long ahead: `RateLimit("100000/minute", key=by_app, store="redis://localhost", lease="auto")`. None
            asks about each hit. No limit is ever exceeded; what one process holds, others cannot have until it comes
            back, within a second. What a process holds that is killed counts as used until the window is over: so many
            hits for each process and key at most.
        algorithm: `"strict"` never admits more than N in any window; `"gcra"` spreads them out; `"fixed"` begins a
            window with the first hit; `"concurrency"` admits N at a time, each for its window at most.
        burst: how many hits of `"gcra"` may come at once, 1 or more; by default the amount of the limit.
        cost: what a request counts for, 1 or more; or a function that says it, 0 or more, also async.
        count: tells, when the response is complete, whether the request counts: a function that sees
            `exchange.status` (0 where there was none) and returns True, False or a cost. Until then it does count, so
            that a thousand guesses at the same time are no way past the limit.
        name: keeps the counts of policies that share a store apart; clients are told it, but for `"default"`.
        paths: the paths that it is for, with all that is below them; none are all.
        methods: the methods that it is for, in capitals; none are all. `GET` is HEAD and WebSocket handshakes too.
        exempt: tells which requests are not counted; may be async.
        exempt_paths: paths that are not counted, with all that is below them.
        exempt_networks: addresses, networks and `"unix:"` that are not counted.
        exclusive: policies that follow in the list are not asked where this one applies.
        messages: each message that a WebSocket receives counts as well; one too many closes it (1008).
        shadow: only tell the listeners what would be refused; clients are told nothing.
        headers: send `RateLimit` and `RateLimit-Policy`.
        legacy_headers: send `X-RateLimit-Limit`, `-Remaining` and `-Reset` of the limit of which least is left; the
            last is in seconds from now, so that no clock has to be right.

    Raises:
        ConfigError: a field is wrong.
    """

    rate: Rate | RateFunction
    _: KW_ONLY
    key: KeyFunction = by_client
    store: Store | AsyncStore | str | Mapping[str, Any] | None = None
    on_failure: OnFailure | None = None
    lease: LeaseSize | None = None
    algorithm: str = "strict"
    burst: int | None = None
    cost: int | CostFunction = 1
    count: CountFunction | None = None
    name: str = DEFAULT_NAME
    paths: Sequence[str] = ()
    methods: Sequence[str] = ()
    exempt: ExemptFunction | None = None
    exempt_paths: Sequence[str] = ()
    exempt_networks: Sequence[str] = ()
    exclusive: bool = False
    messages: bool = False
    shadow: bool = False
    headers: bool = True
    legacy_headers: bool = False

    def __post_init__(self) -> None:
        problems = Problems("RateLimit")
        is_named = isinstance(self.store, str | Mapping)
        is_connected = not is_named or self._is_connected_to(cast("str | Mapping[str, Any]", self.store), problems)
        smallest = self._check_rate(problems)
        self._check_functions(problems)
        is_known = self.on_failure is None or problems.choice("on_failure", self.on_failure, ON_FAILURE)
        if is_known and is_connected:
            self._check_store(problems, smallest)
        problems.text("name", self.name, max_length=64)
        for field in ("paths", "exempt_paths"):
            check_prefixes(problems, field, getattr(self, field), "AG214")
        if problems.sequence_of_text("methods", self.methods):
            for index, method in enumerate(self.methods):
                if not (method.isalpha() and method.isupper()):
                    remedy = f"Write {method.upper()!r}." if method.isalpha() else 'Write it like "POST".'
                    problems.add("AG213", f"methods[{index}]", method, "must be a method in capitals", remedy)
        check(problems, "exempt_networks", self.exempt_networks, unix=True)
        for field in ("exclusive", "messages", "shadow", "headers", "legacy_headers"):
            problems.boolean(field, getattr(self, field))
        problems.raise_if_any()

    def _check_rate(self, problems: Problems) -> int:
        """Check what is counted; return the smallest limit, 0 where it cannot be read."""
        most, bursts = MAX_AMOUNT, [self.burst]
        if not callable(self.rate):
            try:
                limits = limits_of(self.rate, None)
            except ValueError as error:
                problems.add("AG210", "rate", self.rate, "must be a rate", str(error))
                most = 0
            else:
                most = min(limit.burst or limit.amount for limit in limits)
                bursts += [limit.burst for limit in limits]
        is_known = problems.choice("algorithm", self.algorithm, tuple(ALGORITHMS))
        if self.burst is not None and problems.integer("burst", self.burst, minimum=1, maximum=MAX_AMOUNT):
            most = min(most, self.burst)
        if is_known and self.algorithm != "gcra" and any(bursts):
            problems.add("AG218", "burst", None, "belongs to algorithm='gcra'", "Leave it out, or name that algorithm.")
        if most and not callable(self.cost):
            problems.integer("cost", self.cost, minimum=1, maximum=most)
        return most

    def _check_functions(self, problems: Problems) -> None:
        problems.callable("key", self.key)
        if self.exempt is not None:
            problems.callable("exempt", self.exempt)
        if self.count is not None and problems.callable("count", self.count) and is_async(self.count):
            problems.add("AG212", "count", self.count, "must not be async", "Make it a plain function.")
        if self.algorithm == "concurrency" and (self.count is not None or self.messages is True):
            remedy = "Leave out count and messages, or give them a policy of their own."
            problems.add("AG216", "algorithm", self.algorithm, "counts requests while they last", remedy)

    def _check_store(self, problems: Problems, smallest: int) -> None:
        if self.lease is not None:
            self._check_lease(problems, smallest)
        if self.store is not None and not _is_store(self.store):
            is_class = isinstance(self.store, type)
            # Its type alone: a client of Redis shows the password that it connects with.
            given = "the class itself" if is_class else f"a value of type {type(self.store).__name__}"
            remedy = "Give a URL as 'redis://localhost:6379', a RedisStore(...) or a MemoryStore(); or leave it out."
            problems.extend([Problem("AG211", "RateLimit.store", given, "must be a store", remedy)])
        elif self.on_failure is not None and not _takes(self.counts_in, "on_failure"):
            remedy = "Leave it out: a store in this process is never away, and others are told it themselves."
            problems.add("AG432", "on_failure", self.on_failure, "belongs to a store in Redis", remedy)
        elif self.lease is not None and not _takes(self.counts_in, "lease"):
            remedy = "Leave it out: only a RedisStore gives hits out in advance."
            problems.add("AG437", "lease", self.lease, "belongs to a store in Redis", remedy)
        elif self.messages is True and not is_at_once(self.counts_in):
            remedy = "A connection stays in its process: give messages a policy of their own, in a MemoryStore()."
            problems.add("AG217", "store", self.store, "must answer at once to count messages", remedy)
        may_return = self.count is not None or self.algorithm == "concurrency"
        if may_return and not getattr(self.store, "takes_back", True):
            remedy = "Leave out count and 'concurrency', or take a RedisStore or a MemoryStore."
            problems.add("AG445", "store", self.store, "must take back what is counted until the end", remedy)

    def _check_lease(self, problems: Problems, smallest: int) -> None:
        lease, largest = cast("Any", self.lease), smallest // 4
        if isinstance(lease, str):
            problems.choice("lease", lease, ("auto",))
        elif problems.integer("lease", lease, minimum=LEAST, maximum=MOST) and smallest and lease > largest:
            remedy = f"Take {largest} or less." if largest >= LEAST else "Leave it out: there are few hits to save."
            problems.add("AG438", "lease", lease, f"must be at most a quarter of the limit, {smallest}", remedy)
        if self.algorithm == "concurrency":
            remedy = "Leave it out: what is held until work ends cannot be taken in advance."
            problems.add("AG436", "lease", self.lease, "belongs to an algorithm that counts hits", remedy)

    def _is_connected_to(self, given: str | Mapping[str, Any], problems: Problems) -> bool:
        """Put the store in the place of what it is made of: that may hold a password, and settings are shown."""
        from asgi_guard.limiting.stores import store_of  # not for those who count in memory

        object.__setattr__(self, "store", None)
        try:
            object.__setattr__(self, "store", store_of(given))
        except ConfigError as error:
            for problem in error.problems:
                inner = f".{problem.field.partition('.')[2]}" if isinstance(given, Mapping) else ""
                problems.extend([replace(problem, field=f"RateLimit.store{inner}")])
        return self.store is not None

    @property
    def counts_in(self) -> Store | AsyncStore | None:
        """The store, also where it was given as text; None for one of the part's own."""
        return cast("Store | AsyncStore | None", self.store)

    @property
    def while_away(self) -> OnFailure | None:
        """What is done while the store is away; None where it never is."""
        return self.on_failure or getattr(self.store, "on_failure", None)

    @property
    def of_the_bucket(self) -> dict[str, Any]:
        """What a store over a network is told of the bucket alone."""
        options = {"on_failure": self.on_failure, "lease": self.lease}
        return {name: option for name, option in options.items() if option is not None}

    @property
    def has_async_functions(self) -> bool:
        """Tell whether a function of the user's has to be awaited."""
        return any(map(is_async, (self.rate, self.key, self.cost, self.exempt)))

    @property
    def is_usual(self) -> bool:
        """Tell whether it counts every request alike, before the application runs."""
        some_only = self.paths, self.methods, self.exempt, self.exempt_paths, self.exempt_networks
        in_another_way = callable(self.rate), callable(self.cost), self.count, self.messages, self.legacy_headers
        return not (any(some_only) or any(in_another_way)) and self.algorithm != "concurrency"


class RateLimitOptions(TypedDict, total=False):
    """The fields of `RateLimit` but the rate, for keyword arguments."""

    key: KeyFunction
    store: Store | AsyncStore | str | Mapping[str, Any] | None
    on_failure: OnFailure | None
    lease: LeaseSize | None
    algorithm: str
    burst: int | None
    cost: int | CostFunction
    count: CountFunction | None
    name: str
    paths: Sequence[str]
    methods: Sequence[str]
    exempt: ExemptFunction | None
    exempt_paths: Sequence[str]
    exempt_networks: Sequence[str]
    exclusive: bool
    messages: bool
    shadow: bool
    headers: bool
    legacy_headers: bool


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Several policies: every one that applies to a request counts it, or none does.

    Attributes:
        policies: at least one, in the order in which they are asked; each with a name of its own.

    Raises:
        ConfigError: there is none, one is no `RateLimit`, or two have the same name.
    """

    policies: Sequence[RateLimit]

    def __post_init__(self) -> None:
        problems = Problems("RateLimits")
        if not self.policies:
            problems.add(
                "AG400", "policies", self.policies, "must have at least one policy", "To switch it off, write False."
            )
        names: set[str] = set()
        for index, policy in enumerate(self.policies):
            field = f"policies[{index}]"
            if not isinstance(policy, RateLimit):
                rule = "must be a RateLimit, as the others are"
                problems.add(
                    "AG400", field, policy, rule, "Write RateLimit(...) around each; texts alone make one policy."
                )
            elif policy.name in names:
                problems.add(
                    "AG215", f"{field}.name", policy.name, "must differ from the others", "Give it: name='...'."
                )
            else:
                names.add(policy.name)
        problems.raise_if_any()


def settings_of(given: object, by_name: Mapping[str, object] | None = None) -> RateLimit | RateLimits:
    """Read whichever form a rate limit was given in.

    Args:
        given: a rate, a `RateLimit`, a list of such, or `RateLimits`; None where `by_name` has the rate.
        by_name: the other fields of a `RateLimit`.

    Raises:
        ConfigError: something is wrong or unknown.
    """
    fields = by_name or {}
    if isinstance(given, RateLimits):
        return build(RateLimits, given, fields)
    if _has_policies(given):
        return build(RateLimits, RateLimits(tuple(given)), fields)
    if given is None or isinstance(given, RateLimit):
        return build(RateLimit, given, fields)
    return build(RateLimit, None, {"rate": given, **fields})


def _has_policies(given: object) -> TypeGuard[Sequence[RateLimit]]:
    items = cast("Sequence[object]", given) if isinstance(given, list | tuple) else ()
    return any(isinstance(item, RateLimit) for item in items)


def is_at_once(store: Store | AsyncStore | None) -> bool:
    """Tell whether a store answers at once, as one that is left out does."""
    return store is None or store.synchronous


def _takes(store: Store | AsyncStore | None, option: str) -> bool:
    """Tell whether a store can be told this of a bucket."""
    return store is not None and option in signature(store.bucket).parameters


def _is_store(given: object) -> bool:
    """Tell whether this is a store, of either kind."""
    is_known = isinstance(getattr(given, "synchronous", None), bool)
    return is_known and callable(getattr(given, "bucket", None)) and not isinstance(given, type)
