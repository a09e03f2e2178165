"""The store in any storage of `limits` (5.8 or newer): memcached, MongoDB, and whatever registers there. The slow path.

It takes a round trip for each limit to count a hit, and one or two for each to say what is left; `RedisStore` takes one
for all limits of all requests that come at the same time. And it is as exact as `limits` is:

- A hit that a later limit refuses stays counted under the limits before it. Nothing is taken back.
- `sliding-window-counter` is an estimate, and admits nearly 2 N in a window. `fixed-window` admits 2 N around the end
  of a window, and counts refused hits too, so that one of cost 5 may be in the way of one of cost 1. `moving-window` is
  exact by the clock of this process, and keeps every hit.
- Windows are whole seconds. Where a storage does not say when a hit is admitted again, a denial names the latest time.

While the storage is away, what `on_failure` says is done. A circuit breaker sees to it that few requests pay for that.
Must never count in `limits`' own asynchronous memory, which walks all keys at every hit.

| id    | rule that was broken                                                       |
|-------|----------------------------------------------------------------------------|
| AG443 | a storage is one of `limits`, or its URI, and what it needs is installed   |
| AG444 | a storage can count by the strategy                                        |
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from typing import Any, Final, Literal, TypeAlias, TypeVar
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.events import Listener
from asgi_guard.limiting.events import Audience
from asgi_guard.limiting.limits_bucket import LimitsBucket
from asgi_guard.limiting.memory import MAX_BUCKETS, MemoryStore
from asgi_guard.limiting.outage import Outage
from asgi_guard.limiting.rate import Limit
from asgi_guard.limiting.secret import check_secret, hash_key
from asgi_guard.limiting.shares import usual_share
from asgi_guard.limiting.store import ON_FAILURE, OnFailure
from asgi_guard.resilience.breaker import CircuitBreaker
from asgi_guard.resilience.circuit import State
from asgi_guard.resilience.errors import CircuitOpenError
from asgi_guard.resilience.policy import BreakerPolicy
from asgi_guard.settings import HIDDEN, Problem, Problems

T = TypeVar("T")
Strategy: TypeAlias = Literal["sliding-window-counter", "fixed-window", "moving-window"]

MAX_AT_ONCE: Final = 50
"""The hits of one event loop that ask at a time; redis-py has 100 connections, and raises where another is asked of it.
A thousand requests at once would be a way past the limit."""

MAX_THREADS: Final = 8
"""The threads that wait for a storage that blocks."""

PATIENCE: Final = 4
"""How many time limits a request waits for its turn."""

_STRATEGIES: Final = ("sliding-window-counter", "fixed-window", "moving-window")
_BY_ALGORITHM: Final = {"strict": None, "fixed": "fixed-window"}
_POLICY: Final = BreakerPolicy(
    failure_threshold=1, recovery_timeout=0.25, recovery_growth=2.0, max_recovery_timeout=5.0, probe_lease=30.0
)
_NEEDS: Final[Mapping[str, tuple[str, str]]] = {
    "async+memcached": ("memcachio", "limits[async-memcached]"),
    "async+mongodb": ("motor", "limits[async-mongodb]"),
    "async+mongodb+srv": ("motor", "limits[async-mongodb]"),
}
"""The module that a storage needs, and what brings it."""

_MEMCACHED_SECONDS: Final = 30 * 86_400  # what is more, memcached takes for a date


def is_for_limits(url: str) -> bool:
    """Tell whether a URL is for a storage of `limits`: all that it has but Redis, unless it begins with `async+`."""
    return "://" in url and not url.startswith(("redis", "valkey")) and _asynchronous(url) is not None


def _asynchronous(uri: str) -> str | None:
    """Return the URI of the asynchronous storage, also where `async+` was left out; None if there is none."""
    from limits.storage import SCHEMES  # type: ignore[attr-defined]

    uri = f"async+{uri.removeprefix('async+')}"
    return uri if uri.partition("://")[0] in SCHEMES else None


class LimitsStore:
    """Counts in a storage of `limits`, on asyncio.

    Args:
        storage: a storage of `limits`, or its URI, such as `"memcached://localhost:11211"`: then it is the asynchronous
            one, over redis-py where it is Redis. One that blocks is asked in at most 8 threads.
        strategy: how `limits` counts; policies with `algorithm="fixed"` are counted by `"fixed-window"` in any case.
        timeout_seconds: how long a hit may take, under all its limits, 0.001 to 60.
        on_failure: what happens while the storage is away: `"local"` counts in this process, and begins with what it
            has admitted so far; `"open"` admits everything; `"closed"` refuses everything (503).
        local_share: with `"local"`, the share of each limit that this process admits, 0.0001 to 1; None is one by the
            number of workers where `asgi-guard run` has started them, and 1 elsewhere.
        secret: text or bytes that keep whoever reads the keys from guessing whose they are; the same in all
            processes. None is no secret.
        listeners: told when the storage goes away and comes back, by `CircuitChanged`.

    Raises:
        ConfigError: an argument is wrong.
    """

    synchronous: Literal[False] = False
    backend: str = "limits"
    takes_back: Literal[False] = False

    def __init__(
        self,
        storage: object,
        *,
        strategy: Strategy = "sliding-window-counter",
        timeout_seconds: float = 0.25,
        on_failure: OnFailure = "local",
        local_share: float | None = None,
        secret: str | bytes | None = None,
        listeners: Iterable[Listener] = (),
    ) -> None:
        problems = Problems("LimitsStore", secrets=("storage", "secret"))
        problems.number("timeout_seconds", timeout_seconds, minimum=0.001, maximum=60)
        problems.choice("on_failure", on_failure, ON_FAILURE)
        if local_share is not None:
            problems.number("local_share", local_share, minimum=0.000_1, maximum=1)
        check_secret(problems, "secret", secret)
        is_known = problems.choice("strategy", strategy, _STRATEGIES)
        found = _found(storage, problems)
        if is_known and found is not None:
            _counter(found, strategy, problems)
        problems.raise_if_any()
        self._storage: Any = found
        self._name = f"LimitsStore({type(found).__name__})"
        self.audience: Audience = Audience(listeners)
        self._outage = Outage(self._name, lambda: {on_failure for *_, on_failure in list(self._buckets)})
        self._breaker = _Breaker(self._outage, self.audience)
        self._threads = None if _is_async(found) else ThreadPoolExecutor(MAX_THREADS, "asgi-guard-limits")
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
        self._timeout_seconds = timeout_seconds
        self._buckets: dict[tuple[str, tuple[Limit, ...], str, OnFailure], LimitsBucket] = {}
        self.strategy: Strategy = strategy
        self.on_failure: OnFailure = on_failure
        self.local_share: float = usual_share() if local_share is None else local_share
        self.local_store: MemoryStore = MemoryStore()
        self.secret: bytes = hash_key(secret)

    @property
    def settings(self) -> Mapping[str, object]:
        """What it goes by, without what is secret."""
        return {
            "storage": type(self._storage).__name__,
            "strategy": self.strategy,
            "timeout_seconds": self._timeout_seconds,
            "on_failure": self.on_failure,
            "local_share": self.local_share,
            "secret": HIDDEN if self.secret else None,
        }

    def __repr__(self) -> str:
        return self._name

    def bucket(
        self, name: str, limits: Sequence[Limit], algorithm: str = "strict", *, on_failure: OnFailure | None = None
    ) -> LimitsBucket:
        """Give the bucket of a policy: one object for the same name, limits and algorithm.

        Args:
            name: the name of the policy.
            limits: at least one limit.
            algorithm: `"fixed"` for fixed windows; `"strict"`, the default of policies, is what the store does.
            on_failure: what happens while the storage is away; None is what the store says.

        Raises:
            ValueError: there are no limits, it is another algorithm, memcached cannot remember so long, or the store
                has given out 1,024 buckets.
        """
        from limits import RateLimitItemPerSecond

        policy = name, tuple(limits), algorithm, on_failure or self.on_failure
        bucket = self._buckets.get(policy)
        if bucket is None:
            if not limits:
                raise ValueError("a bucket needs at least one limit")
            if algorithm not in _BY_ALGORITHM:
                raise ValueError(f"limits has no algorithm {algorithm!r}: leave it out, or take a RedisStore")
            if len(self._buckets) >= MAX_BUCKETS:
                raise ValueError(f"a store gives out at most {MAX_BUCKETS} buckets")
            strategy = _BY_ALGORITHM[algorithm] or self.strategy
            longest = max(limit.seconds for limit in limits) * (1 if strategy == "fixed-window" else 2)
            if "Memcached" in self._name and longest > _MEMCACHED_SECONDS:
                raise ValueError("memcached remembers for 30 days at most: take a shorter window or another store")
            counter = _counter(self._storage, strategy, Problems("LimitsStore"))
            items = [RateLimitItemPerSecond(limit.amount, limit.seconds, "asgi-guard") for limit in limits]
            bucket = self._buckets[policy] = LimitsBucket(
                self, counter, items, name=name, limits=policy[1], strategy=strategy, on_failure=policy[3]
            )
        return bucket

    async def start(self) -> None:
        """Say at the start of an application that the event loop is the wrong one; nothing is connected yet.

        Raises:
            ConfigError: it is not asyncio's.
        """
        self._turns_of_the_loop()

    async def aclose(self) -> None:
        """Close the connections, where the storage is one over redis-py; `limits` closes none. A later hit reopens."""
        client: Any = getattr(getattr(self._storage, "bridge", None), "storage", None)
        if hasattr(client, "aclose"):
            await client.aclose()

    async def check(self) -> None:
        """Ask the storage whether it answers.

        Raises:
            Exception: whatever it raises where it does not.
        """
        if not await self.call(self._storage.check):
            raise ConnectionError("the storage says that it is not well")

    async def call(self, method: Callable[..., Any], *args: object, **options: object) -> Any:
        """Call a method of `limits`, in a thread if it blocks."""
        if self._threads is None:
            return await method(*args, **options)
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(method, *args, **options))

    async def ask(self, question: Callable[..., Awaitable[T]], *args: object) -> T | None:
        """Ask the storage, when it is this request's turn and within the time limit.

        Returns:
            The answer; None where there is none, or it was not to be asked.

        Raises:
            ConfigError: the event loop is not asyncio's.
        """
        turns = self._turns_of_the_loop()
        try:
            async with asyncio.timeout(PATIENCE * self._timeout_seconds):
                await turns.acquire()
        except TimeoutError:
            return None
        try:
            async with self._breaker.attempt(), asyncio.timeout(self._timeout_seconds):
                return await question(*args)
        except CircuitOpenError:
            return None
        except Exception as error:  # noqa: BLE001  whatever a storage raises, a request must not fail for it
            self._outage.begin(error)
            return None
        finally:
            turns.release()

    def _turns_of_the_loop(self) -> asyncio.Semaphore:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            remedy = "Run the server on asyncio or uvloop, or leave the store out to count in memory."
            rule = "is used on asyncio, and this is another event loop"
            raise ConfigError([Problem("AG443", "LimitsStore", "", rule, remedy)]) from None
        turns = self._turns.get(loop)
        if turns is None:
            turns = self._turns[loop] = asyncio.Semaphore(MAX_AT_ONCE)
        return turns


class _Breaker(CircuitBreaker):
    """A circuit of a store's own: the log says of the store what it would say of the circuit."""

    def __init__(self, outage: Outage, listener: Listener) -> None:
        super().__init__(outage.name, _POLICY, listeners=[listener])
        self._outage = outage

    def _log(self, before: State, after: State) -> None:  # noqa: ARG002
        if after is State.CLOSED:
            self._outage.end()


def _found(given: object, problems: Problems) -> object | None:
    """Return the storage that was given, or the one of a URI; None where it cannot be used."""
    from limits.aio.storage import MemoryStorage
    from limits.aio.storage import Storage as AsyncStorage
    from limits.storage import Storage

    rule = "must be a storage of limits, or its URI"
    storage = _at(given, problems, rule) if isinstance(given, str) else given
    if isinstance(storage, MemoryStorage):
        remedy = "Take asgi_guard.MemoryStore(): that of limits walks all keys at every hit."
        problems.add("AG443", "storage", storage, "must not be the asynchronous memory of limits", remedy)
    elif isinstance(storage, Storage | AsyncStorage):
        return storage
    elif storage is not None or not isinstance(given, str):
        problems.add("AG443", "storage", given, rule, "Write it like 'memcached://localhost:11211'.")
    return None


def _at(uri: str, problems: Problems, rule: str) -> object | None:
    """Return the asynchronous storage of a URI, which may hold a password: nothing of it is shown."""
    from limits.errors import ConfigurationError
    from limits.storage import storage_from_string

    found = _asynchronous(uri)
    module, requirement = _NEEDS.get((found or "").partition("://")[0], ("limits", ""))
    if find_spec(module) is None:  # `limits` would leave half a storage behind, which complains when it is thrown away
        remedy = f"Run: pip install '{requirement}'."
        rule = f"needs the package {module}, which is not installed"
        problems.extend([Problem("AG443", "LimitsStore.storage", "", rule, remedy)])
        return None
    if found is None:
        problems.add("AG443", "storage", uri, rule, "Write it like 'memcached://localhost:11211'.")
        return None
    # Named to the server, redis-py would look up its own version on the disk at every connection, and ask once more.
    options: Any = {"implementation": "redispy", "driver_info": None} if found.startswith("async+redis") else {}
    try:
        return storage_from_string(found, **options)
    except (ConfigurationError, ValueError) as error:
        told = str(error)
        is_telling = isinstance(error, ConfigurationError) and urlsplit(uri).netloc not in told
        problems.add("AG443", "storage", uri, rule, f"limits says: {told}" if is_telling else "Name a host and a port.")
        return None


def _counter(storage: object, strategy: str, problems: Problems) -> Any:
    """Return what counts in a storage by a strategy."""
    from limits.aio.strategies import STRATEGIES as ASYNC_STRATEGIES
    from limits.strategies import STRATEGIES

    strategies: Any = ASYNC_STRATEGIES if _is_async(storage) else STRATEGIES
    try:
        return strategies[strategy](storage)
    except NotImplementedError:
        remedy = "Take 'fixed-window', which each storage has."
        problems.add("AG444", "strategy", strategy, f"must be one that {type(storage).__name__} has", remedy)
        return None


def _is_async(storage: object) -> bool:
    from limits.aio.storage import Storage

    return isinstance(storage, Storage)
