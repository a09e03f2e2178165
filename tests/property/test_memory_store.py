"""The memory store against a model in the plainest words: for each key and limit, a dict of slots and their counts."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from asgi_guard.limiting.memory import MemoryStore
from asgi_guard.limiting.rate import Limit
from asgi_guard.limiting.store import Decision

SECOND = 1_000_000_000
START = 10**15

keys = st.sampled_from(["a", "b", "c", "", "a" * 64, "a" * 65, "a" * 66, b"a" * 65, b"\xff"])
costs = st.sampled_from([1, 1, 1, 2, 3, 5, 8])
rates = st.lists(
    st.builds(Limit, st.sampled_from([1, 2, 3, 6, 7]), st.sampled_from([1, 2, 10, 30])),
    min_size=1,
    max_size=3,
    unique_by=lambda limit: limit.name,
)
# Over the edges of the slots and lives of these windows, and back over them.
steps = st.one_of(
    st.sampled_from([0, 1, SECOND // 10 - 1, SECOND // 10, SECOND, 11 * SECOND, 33 * SECOND - 1, 33 * SECOND]),
    st.integers(0, 40 * SECOND),
)


class PlainStrict:
    """`strict` by its definition, for one key and one limit: count the hits of the newest slot and of ten before it."""

    def __init__(self, limit: Limit) -> None:
        self.amount = limit.amount
        self.slot_ns = limit.window_ns // 10
        self.counts: Counter[int] = Counter()

    def slot(self, now_ns: int) -> int:
        return max([now_ns // self.slot_ns, *self.counts])

    def used(self, now_ns: int) -> int:
        return sum(count for slot, count in self.counts.items() if slot >= self.slot(now_ns) - 10)

    def moments(self, now_ns: int) -> list[int]:
        """List the moments from now on at which a slot stops counting."""
        leaving = [(slot + 11) * self.slot_ns for slot, count in self.counts.items() if count]
        return sorted(moment for moment in leaving if moment > now_ns and self.used(now_ns))

    def wait(self, now_ns: int, cost: int) -> int | None:
        for moment in [now_ns, *self.moments(now_ns)]:
            if self.used(moment) + cost <= self.amount:
                return moment - now_ns
        return None

    def count(self, now_ns: int, cost: int) -> None:
        self.counts[self.slot(now_ns)] += cost

    def refund(self, at_ns: int, cost: int) -> None:
        slot = at_ns // self.slot_ns
        if slot in self.counts:
            self.counts[slot] -= min(cost, self.counts[slot])


class PlainBucket:
    """A bucket by its definition: a hit counts under all limits of its key, or under none; time never steps back."""

    def __init__(self, limits: list[Limit]) -> None:
        self.keys = defaultdict(lambda: [PlainStrict(limit) for limit in limits])
        self.latest_ns = START

    def look(self, key, now_ns: int, cost: int) -> tuple:
        """Return whether the cost fits, what remains, when more comes back, and the wait."""
        self.latest_ns = now_ns = max(self.latest_ns, now_ns)
        limits = self.keys[key]
        waits = [limit.wait(now_ns, cost) for limit in limits]
        return (
            not any(wait != 0 for wait in waits),
            now_ns,
            tuple(limit.amount - limit.used(now_ns) for limit in limits),
            tuple(min(limit.moments(now_ns), default=now_ns) - now_ns for limit in limits),
            None if None in waits else max(waits),
            tuple(position for position, wait in enumerate(waits) if wait != 0),
        )

    def hit(self, key, now_ns: int, cost: int) -> tuple:
        look = self.look(key, now_ns, cost)
        if not look[0]:
            return look
        for limit in self.keys[key]:
            limit.count(self.latest_ns, cost)
        return self.look(key, now_ns, 0)


def told(decision) -> tuple:
    """Return a decision in the form of the model."""
    return (
        decision.allowed,
        decision.at_ns,
        decision.remaining,
        decision.reset_after_ns,
        decision.retry_after_ns,
        decision.violated,
    )


class StoreAgainstModel(RuleBasedStateMachine):
    """Two policies on one store, and every answer compared with that of the model."""

    @initialize(first=rates, second=rates)
    def start(self, first, second) -> None:
        self.now_ns = START
        self.store = MemoryStore(1_000, clock=lambda: self.now_ns)
        self.pairs = [
            (self.store.bucket("first", first), PlainBucket(first)),
            (self.store.bucket("second", second), PlainBucket(second)),
        ]
        self.hits = []

    @rule(which=st.integers(0, 1), key=keys, cost=costs)
    def hit(self, which, key, cost) -> None:
        bucket, model = self.pairs[which]
        decision = bucket.hit(key, cost)
        assert told(decision) == model.hit(key, self.now_ns, cost)
        if decision.allowed:
            self.hits.append((which, key, decision.at_ns, cost))

    @rule(which=st.integers(0, 1), key=keys, tries=st.integers(2, 12))
    def burst(self, which, key, tries) -> None:
        for _ in range(tries):
            self.hit(which, key, 1)

    @rule(which=st.integers(0, 1), key=keys, cost=st.integers(0, 9))
    def peek(self, which, key, cost) -> None:
        self.peeked(which, key, cost)

    def peeked(self, which, key, cost) -> Decision:
        bucket, model = self.pairs[which]
        decision = bucket.peek(key, cost)
        assert told(decision) == model.look(key, self.now_ns, cost)
        return decision

    @rule(which=st.integers(0, 1), key=keys)
    def hit_for_nothing(self, which, key) -> None:
        bucket, model = self.pairs[which]
        assert told(bucket.hit(key, 0)) == model.look(key, self.now_ns, 0)

    @rule(data=st.data())
    def refund(self, data) -> None:
        if self.hits:
            which, key, at_ns, cost = self.hits.pop(data.draw(st.integers(0, len(self.hits) - 1)))
            bucket, model = self.pairs[which]
            bucket.refund(key, at_ns, cost)
            for limit in model.keys[key]:
                limit.refund(at_ns, cost)

    @rule(which=st.integers(0, 1), key=keys)
    def reset(self, which, key) -> None:
        bucket, model = self.pairs[which]
        bucket.reset(key)
        model.keys.pop(key, None)
        self.hits = [hit for hit in self.hits if hit[:2] != (which, key)]

    @rule(which=st.integers(0, 1), key=keys, cost=costs, sooner_ns=st.integers(0, 1))
    def wait_as_told(self, which, key, cost, sooner_ns) -> None:
        retry_at_ns = self.peeked(which, key, cost).retry_at_ns
        if retry_at_ns is not None and retry_at_ns - sooner_ns > self.now_ns:
            self.now_ns = retry_at_ns - sooner_ns
            self.hit(which, key, cost)

    @rule(step_ns=steps)
    def pass_time(self, step_ns) -> None:
        self.now_ns += step_ns

    @rule(step_ns=steps)
    def step_back(self, step_ns) -> None:
        self.now_ns -= step_ns

    @invariant()
    def keys_that_were_never_hit_take_no_place(self) -> None:
        if hasattr(self, "store"):
            assert self.store.held_keys <= sum(len(model.keys) for _, model in self.pairs)


StoreAgainstModel.TestCase.settings = settings(stateful_step_count=60)
TestStoreAgainstModel = StoreAgainstModel.TestCase


@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(0, 40), costs, st.one_of(st.just(0), steps)), max_size=200),
    rates,
)
def test_a_full_store_keeps_its_cap_and_lets_nobody_over_a_limit(max_keys, schedule, limits) -> None:
    """Keys come and go, live and die, share and stop sharing; each has at most N in any window, and the cap holds."""
    now_ns = START
    store = MemoryStore(max_keys, clock=lambda: now_ns)
    bucket = store.bucket("api", limits)
    admitted = defaultdict(list)

    for number, cost, step_ns in schedule:
        now_ns += step_ns
        if bucket.hit(f"key{number}", cost):
            admitted[number].append((now_ns, cost))
        assert store.held_keys <= max_keys

    for hits in admitted.values():
        for limit in limits:
            for end_ns, _ in hits:
                inside = sum(cost for at_ns, cost in hits if end_ns - limit.window_ns <= at_ns <= end_ns)
                assert inside <= limit.amount


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, SECOND)), max_size=300))
def test_keys_that_are_held_notice_nothing_of_a_full_store(schedule) -> None:
    """A live key that has a place is answered as the model says, however many others overflow."""
    limits = [Limit(3, 10), Limit(5, 30)]
    now_ns = START
    store = MemoryStore(2, clock=lambda: now_ns)
    bucket, model = store.bucket("api", limits), PlainBucket(limits)
    for key in ("held0", "held1"):
        assert told(bucket.hit(key)) == model.hit(key, now_ns, 1)

    for number, step_ns in schedule:
        now_ns += step_ns
        bucket.hit(f"key{number}")
        for key in ("held0", "held1"):
            if now_ns < START + 33 * SECOND:
                assert told(bucket.hit(key)) == model.hit(key, now_ns, 1)
