"""The store in any storage of `limits`: what it counts, what it tells, and what happens while the storage is away."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import anyio
import pytest
from limits.aio.storage import MemoryStorage as AsyncMemoryStorage
from limits.storage import MemoryStorage, Storage

from asgi_guard.errors.exceptions import ConfigError, StoreError
from asgi_guard.layers.rate_limit import RateLimit, RateLimitMiddleware
from asgi_guard.limiting import parse_rate
from asgi_guard.limiting.limits_adapter import MAX_THREADS, LimitsStore
from asgi_guard.limiting.memory import MAX_BUCKETS
from asgi_guard.resilience.circuit import State
from asgi_guard.testing.client import call

STRATEGIES = ["sliding-window-counter", "fixed-window", "moving-window"]
LONG = 31_000_000
"""Seconds: no window of this length ends while a test runs."""


class FixedOnly(Storage):
    """A storage that has what every one has, and blocks or fails when it is told to."""

    STORAGE_SCHEME = None
    base_exceptions = ConnectionError

    def __init__(self) -> None:
        super().__init__()
        self.inner = MemoryStorage()
        self.error: Exception | None = None
        self.go_on = threading.Event()
        self.go_on.set()
        self.asked = 0

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        self.asked += 1
        self.go_on.wait(10)
        if self.error is not None:
            raise self.error
        return self.inner.incr(key, expiry, amount)

    def get(self, key: str) -> int:
        return self.inner.get(key)

    def get_expiry(self, key: str) -> float:
        return self.inner.get_expiry(key)

    def check(self) -> bool:
        return True

    def reset(self) -> None:
        self.inner.reset()

    def clear(self, key: str) -> None:
        self.inner.clear(key)


def away(**settings) -> tuple[FixedOnly, LimitsStore]:
    """Return a storage that does not answer, and its store."""
    storage = FixedOnly()
    storage.error = ConnectionError("amqp://user:secret@host")
    return storage, LimitsStore(storage, strategy="fixed-window", **settings)


# What is counted ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_limit_is_a_limit(strategy) -> None:
    """So many are admitted and no more, each told what is left; another client has a limit of its own."""

    async def ask() -> None:
        bucket = LimitsStore(MemoryStorage(), strategy=strategy, timeout_seconds=30).bucket("x", parse_rate("3/year"))
        decisions = [await bucket.hit("k") for _ in range(4)]
        assert [decision.allowed for decision in decisions] == [True, True, True, False]
        assert [decision.remaining for decision in decisions] == [(2,), (1,), (0,), (0,)]
        assert decisions[3].violated == (0,)
        assert 0 < decisions[3].retry_after_ns <= 2 * decisions[3].at_ns
        assert (await bucket.hit("other")).allowed

    asyncio.run(ask())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_time_that_is_told_lies_within_the_window(strategy) -> None:
    """A denial names a moment, and one that has something left no later one."""

    async def ask() -> None:
        bucket = LimitsStore(MemoryStorage(), strategy=strategy, timeout_seconds=30).bucket("x", parse_rate("1/hour"))
        untouched = await bucket.peek("k")
        assert (untouched.allowed, untouched.remaining, untouched.reset_after_ns) == (True, (1,), (0,))
        admitted, refused = await bucket.hit("k"), await bucket.hit("k")
        assert 0 <= admitted.reset_after_ns[0] <= 3_600 * 10**9
        assert 0 < refused.retry_after_ns <= 3_601 * 10**9
        assert not (await bucket.peek("k")).allowed

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("strategy", "seconds"), [("sliding-window-counter", 7_200), ("fixed-window", 3_600), ("moving-window", 3_600)]
)
def test_where_several_have_to_come_back_the_latest_moment_is_told(strategy, seconds) -> None:
    """`limits` tells when one does."""

    async def ask() -> None:
        bucket = LimitsStore(MemoryStorage(), strategy=strategy, timeout_seconds=30).bucket("x", parse_rate("5/hour"))
        await bucket.hit("k", 3)
        refused = await bucket.hit("k", 4)
        assert not refused.allowed
        assert (seconds - 60) * 10**9 < refused.retry_after_ns <= seconds * 10**9

    asyncio.run(ask())


def test_what_costs_more_than_a_limit_is_never_admitted_and_fills_nothing() -> None:
    """A fixed window counts what it refuses; so it is not asked."""

    async def ask() -> None:
        bucket = LimitsStore(MemoryStorage(), strategy="fixed-window").bucket("x", parse_rate("3/hour"))
        refused = await bucket.hit("k", 4)
        assert (refused.allowed, refused.retry_after_ns, refused.remaining) == (False, None, (3,))

    asyncio.run(ask())


def test_a_hit_of_several_limits_stays_counted_under_those_before_the_one_that_refuses() -> None:
    """It is not all or nothing, and the page says so."""

    async def ask() -> None:
        bucket = LimitsStore(MemoryStorage()).bucket("x", parse_rate("9/year;1/month"))
        await bucket.hit("k")
        refused = await bucket.hit("k")
        assert (refused.violated, refused.remaining) == ((1,), (7, 0))

    asyncio.run(ask())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_has_happened_anyway_uses_a_limit_up(strategy) -> None:
    """Where it does not fit, nothing is left; a fixed window counts it by itself."""

    async def ask() -> None:
        bucket = LimitsStore(MemoryStorage(), strategy=strategy).bucket("x", parse_rate("5/year"))
        fits = await bucket.charge("k", 3)
        assert (fits.allowed, fits.remaining, fits.retry_after_ns) == (True, (2,), 0)
        over = await bucket.charge("k", 3)
        assert (over.allowed, over.remaining, over.violated) == (False, (0,), (0,))
        again = await bucket.charge("k", 1)
        assert (again.allowed, again.remaining) == (False, (0,))

    asyncio.run(ask())


def test_a_cost_of_nothing_leaves_no_trace() -> None:
    """As in every store; and a cost is a whole number."""

    async def ask() -> None:
        bucket = LimitsStore(MemoryStorage()).bucket("x", parse_rate("1/year"))
        assert (await bucket.hit("k", 0)).remaining == (1,)
        assert (await bucket.charge("k", 0)).remaining == (1,)
        with pytest.raises(ValueError, match="-1"):
            await bucket.hit("k", -1)

    asyncio.run(ask())


def test_nothing_is_taken_back_and_everything_forgotten() -> None:
    """A refund admits nobody; a reset does."""

    async def ask() -> None:
        bucket = LimitsStore(MemoryStorage(), strategy="moving-window").bucket("x", parse_rate("1/year"))
        hit = await bucket.hit("k")
        await bucket.refund("k", hit.at_ns)
        assert not (await bucket.hit("k")).allowed
        await bucket.reset("k")
        assert (await bucket.hit("k")).allowed

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("one", "other"),
    [("u/1", "u"), ("k", b"k"), ("", "/"), ("\ud800", "\udfff"), ("x" * 10_000, "x" * 10_001), ("{a}b", "{a}c")],
    ids=["slash", "bytes", "empty", "surrogate", "long", "tag"],
)
def test_no_two_keys_are_one(one, other) -> None:
    """`limits` joins by slashes and escapes nothing; what it gets is a hash of one length."""

    async def ask() -> None:
        storage = MemoryStorage()
        store = LimitsStore(storage, strategy="fixed-window", secret="s")
        await store.bucket("x", parse_rate("1/year")).hit(one)
        assert (await store.bucket("x", parse_rate("1/year")).hit(other)).allowed
        assert (await store.bucket("y", parse_rate("1/year")).hit(one)).allowed
        assert len({len(key) for key in storage.storage}) == 1
        assert len(storage.storage) == 3

    asyncio.run(ask())


def test_two_strategies_do_not_read_each_others_counts() -> None:
    """`limits` calls the keys of both the same."""

    async def ask() -> None:
        storage = MemoryStorage()
        for strategy in STRATEGIES:
            bucket = LimitsStore(storage, strategy=strategy).bucket("x", parse_rate("1/year"))
            assert (await bucket.hit("k")).allowed

    asyncio.run(ask())


# What can be had ------------------------------------------------------------------------------------------------------


def test_a_policy_counts_in_it() -> None:
    """As in any store, with the headers that clients know."""

    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def ask() -> None:
        store = LimitsStore(MemoryStorage(), strategy="fixed-window", timeout_seconds=30)
        guarded = RateLimitMiddleware(app, RateLimit("2/hour", store=store))
        answers = [await call(guarded) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert answers[1].headers.get("ratelimit").startswith('"2/hour";r=0;t=')
        assert 3_590 <= int(answers[2].headers.get("retry-after")) <= 3_600

    asyncio.run(ask())


def test_the_strategy_of_a_policy_is_fixed_where_it_says_so() -> None:
    """The buckets of one store are one for each name, limits and algorithm."""
    store = LimitsStore(MemoryStorage())
    limits = parse_rate("1/hour")
    assert store.bucket("x", limits) is store.bucket("x", limits)
    assert store.bucket("x", limits) is not store.bucket("x", limits, "fixed")
    assert store.bucket("x", limits).limits == limits
    assert repr(store) == "LimitsStore(MemoryStorage)"


def test_the_buckets_of_a_store_have_a_bound() -> None:
    """And there are none without limits, or of an algorithm that `limits` does not have."""
    store = LimitsStore(MemoryStorage())
    for name in range(MAX_BUCKETS):
        store.bucket(str(name), parse_rate("1/hour"))
    with pytest.raises(ValueError, match="at most 1024"):
        store.bucket("one more", parse_rate("1/hour"))
    with pytest.raises(ValueError, match="at least one"):
        store.bucket("x", ())
    for algorithm in ("gcra", "concurrency"):
        with pytest.raises(ValueError, match="RedisStore"):
            store.bucket("x", parse_rate("1/hour"), algorithm)


def test_memcached_is_not_asked_to_remember_for_longer_than_it_can() -> None:
    """It would take the seconds for a date that has long passed, and count nothing."""

    class MemcachedLike(MemoryStorage):
        STORAGE_SCHEME = None

    store = LimitsStore(MemcachedLike())
    store.bucket("x", parse_rate("1/15day"))
    store.bucket("x", parse_rate("1/30day"), "fixed")
    with pytest.raises(ValueError, match="30 days"):
        store.bucket("x", parse_rate("1/16day"))


@pytest.mark.parametrize(
    ("storage", "settings", "told"),
    [
        ("memory://", {}, "AG443 LimitsStore.storage must not be the asynchronous memory"),
        (AsyncMemoryStorage(), {}, "AG443 LimitsStore.storage must not be the asynchronous memory"),
        ("nowhere://user:secret@host", {}, "AG443 LimitsStore.storage must be a storage of limits"),
        ("memcached://user:secret@host:1", {}, "pip install 'limits[async-memcached]'"),
        ("mongodb://user:secret@host", {}, "pip install 'limits[async-mongodb]'"),
        ("async+redis+cluster://user:secret@host", {}, "AG443 LimitsStore.storage must be a storage of limits"),
        (None, {}, "AG443 LimitsStore.storage must be a storage of limits"),
        (42, {}, "AG443 LimitsStore.storage must be a storage of limits"),
        (FixedOnly(), {}, "AG444 LimitsStore.strategy must be one that FixedOnly has"),
        (MemoryStorage(), {"strategy": "exact"}, "AG105 LimitsStore.strategy"),
        (MemoryStorage(), {"on_failure": "panic"}, "AG105 LimitsStore.on_failure"),
        (MemoryStorage(), {"timeout_seconds": 0}, "AG102 LimitsStore.timeout_seconds"),
        (MemoryStorage(), {"local_share": 0}, "AG102 LimitsStore.local_share must be a finite number from 0.0001 to 1"),
    ],
    ids=lambda value: str(value) if isinstance(value, str | dict | int | None) else type(value).__name__,
)
def test_what_cannot_work_does_not_start(storage, settings, told) -> None:
    """Each problem says what to do, and none shows a password."""
    with pytest.raises(ConfigError) as raised:
        LimitsStore(storage, **settings)
    assert told in str(raised.value)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("secret", ["", b"", 7], ids=repr)
def test_an_empty_secret_keeps_nothing_to_itself(secret) -> None:
    """Most likely it is a variable that nobody has set."""
    with pytest.raises(ConfigError, match=r"AG433 LimitsStore\.secret must be text or bytes, and not empty"):
        LimitsStore(MemoryStorage(), secret=secret)


@pytest.mark.parametrize("fields", [{"count": bool}, {"algorithm": "concurrency"}], ids=["count", "concurrency"])
def test_what_may_have_to_be_taken_back_is_not_counted_there(fields) -> None:
    """It would never come back."""
    with pytest.raises(ConfigError, match=r"AG445 RateLimit\.store"):
        RateLimit("5/minute", store=LimitsStore(MemoryStorage()), **fields)


def test_a_policy_takes_the_uri_of_a_storage() -> None:
    """What needs a client that is not installed says which; Redis is for the store that is made for it."""
    with pytest.raises(ConfigError, match=r"AG443 RateLimit.store needs the package memcachio"):
        RateLimit("5/minute", store="memcached://host:11211")
    assert isinstance(RateLimit("5/minute", store="async+redis://localhost:6379").store, LimitsStore)
    assert not isinstance(RateLimit("5/minute", store="redis://localhost").store, LimitsStore)


# While it is away -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_failure", "allowed"), [("local", [True, True, False]), ("open", [True] * 3), ("closed", [False] * 3)]
)
def test_without_the_storage_the_settings_decide(on_failure, allowed, caplog) -> None:
    """A request never fails for it, is asked for nothing once the circuit is open, and no secret is logged."""

    async def ask() -> None:
        storage, store = away(on_failure=on_failure, local_share=0.5)
        bucket = store.bucket("x", parse_rate("4/year"))
        decisions = [await bucket.hit("k") for _ in range(3)]
        assert [decision.allowed for decision in decisions] == allowed
        assert all(decision.degraded for decision in decisions)
        assert storage.asked == 1
        assert (await bucket.peek("k")).degraded
        assert (await bucket.charge("k")).degraded
        with pytest.raises(StoreError):
            await bucket.reset("k")

    asyncio.run(ask())
    assert "ConnectionError" in caplog.text
    assert "secret" not in caplog.text


def test_what_was_admitted_before_counts_where_the_storage_is_away() -> None:
    """A process does not begin anew when its storage goes."""

    async def ask() -> None:
        storage = FixedOnly()
        bucket = LimitsStore(storage, strategy="fixed-window", timeout_seconds=30).bucket("x", parse_rate("2/year"))
        assert (await bucket.hit("k")).allowed
        storage.error = ConnectionError()
        assert [(await bucket.hit("k")).allowed for _ in range(2)] == [True, False]

    asyncio.run(ask())


def test_a_storage_that_comes_back_is_asked_again() -> None:
    """Listeners are told of both."""
    told: list[State] = []

    async def ask() -> None:
        storage, store = away(listeners=[lambda event: told.append(event.after)])
        bucket = store.bucket("x", parse_rate("1000000/year"))
        assert (await bucket.hit("k")).degraded
        storage.error = None
        with anyio.fail_after(10):
            while (await bucket.hit("k")).degraded:  # noqa: ASYNC110  there is nothing to wait on but asking
                await asyncio.sleep(0.01)

    asyncio.run(ask())
    assert told == [State.OPEN, State.HALF_OPEN, State.CLOSED]


MEANWHILE = {
    "local": "this process counts for itself",
    "open": "everything is admitted",
    "closed": "everything is refused with 503",
}


@pytest.mark.long
@pytest.mark.parametrize(("on_failure", "meanwhile"), MEANWHILE.items(), ids=MEANWHILE)
def test_the_log_says_once_that_a_storage_is_away_and_once_that_it_is_back(on_failure, meanwhile, caplog) -> None:
    """However often it is tried in between; and what is done until then."""

    async def ask() -> None:
        storage, store = away(on_failure=on_failure)
        bucket = store.bucket("x", parse_rate("1000000/year"))
        with anyio.fail_after(20):
            while storage.asked < 2:
                await bucket.hit("k")
                await asyncio.sleep(0.01)
            storage.error = None
            while (await bucket.hit("k")).degraded:  # noqa: ASYNC110  there is nothing to wait on but asking
                await asyncio.sleep(0.01)

    asyncio.run(ask())
    assert [record.getMessage() for record in caplog.records] == [
        f"LimitsStore(FixedOnly) does not answer (ConnectionError); until it does, {meanwhile}",
        "LimitsStore(FixedOnly) answers again",
    ]


def test_a_storage_that_blocks_blocks_no_request() -> None:
    """However many ask, a few threads wait for it, and the loop for nobody."""

    async def ask() -> None:
        storage = FixedOnly()
        store = LimitsStore(storage, strategy="fixed-window", timeout_seconds=0.05, on_failure="open")
        bucket = store.bucket("x", parse_rate("5/year"))
        storage.go_on.clear()
        try:
            decisions = await asyncio.gather(*[bucket.hit("k") for _ in range(200)])
        finally:
            storage.go_on.set()
        assert all(decision.degraded for decision in decisions)
        assert storage.asked <= MAX_THREADS

    asyncio.run(ask())


def test_who_waits_too_long_for_a_turn_is_answered_without_it() -> None:
    """The storage answers, and too many ask: that is no failure of the storage's."""

    class Slow:
        async def __call__(self) -> bool:
            await asyncio.Event().wait()
            return True

    async def ask() -> None:
        store = LimitsStore(MemoryStorage(), timeout_seconds=0.001)
        turns = store._turns_of_the_loop()
        while not turns.locked():
            await turns.acquire()
        assert await store.ask(Slow()) is None
        assert store._breaker.state is State.CLOSED

    asyncio.run(ask())


def test_under_trio_it_says_that_it_is_for_asyncio() -> None:
    """Its storages are; it is said when an application starts, and else at the first hit."""
    store = LimitsStore(MemoryStorage())
    asyncio.run(store.start())
    for asked in (store.start, partial(store.bucket("x", parse_rate("1/hour")).hit, "k")):
        with pytest.raises(ConfigError, match=r"AG443 LimitsStore is used on asyncio"):
            anyio.run(asked, backend="trio")


def test_a_policy_may_say_what_happens_for_itself() -> None:
    """As with any store over a network."""

    async def ask() -> None:
        _, store = away(on_failure="closed")
        limits = parse_rate("1/hour")
        assert not (await store.bucket("x", limits).hit("k")).allowed
        assert (await store.bucket("x", limits, on_failure="open").hit("k")).allowed

    asyncio.run(ask())
    assert RateLimit("1/hour", store=LimitsStore(MemoryStorage()), on_failure="open").on_failure == "open"


def test_there_is_nothing_to_close_in_a_storage_that_has_no_connections() -> None:
    """And a later hit is counted."""

    async def ask() -> None:
        store = LimitsStore(MemoryStorage())
        await store.aclose()
        assert (await store.bucket("x", parse_rate("1/hour")).hit("k")).allowed

    asyncio.run(ask())
