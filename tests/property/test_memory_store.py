"""The memory store against models in the plainest words, one for each algorithm, for one key and one limit.

Every answer is compared: to hits, peeks and charges, after refunds and resets, while time passes and steps back, and
while the limits of a policy change under its keys.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from fractions import Fraction
from math import ceil

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
bursts = st.sampled_from([None, 1, 2, 5, 9])


def rates(burst) -> st.SearchStrategy[tuple[Limit, ...]]:
    """Draw limits of different windows, one of which is always 10 s, so that there is something to carry over."""
    amount = st.sampled_from([1, 2, 3, 6, 7])
    others = st.lists(st.builds(Limit, amount, st.sampled_from([1, 2, 30]), burst=burst), max_size=2)
    limits = st.tuples(st.builds(Limit, amount, st.just(10), burst=burst), others).map(lambda pair: [pair[0], *pair[1]])
    return (
        limits.flatmap(st.permutations)
        .map(tuple)
        .filter(lambda made: len({limit.seconds for limit in made}) == len(made))
    )


# Over the edges of the slots and lives of these windows, and back over them.
steps = st.one_of(
    st.sampled_from([0, 1, SECOND // 10 - 1, SECOND // 10, SECOND, 11 * SECOND, 33 * SECOND - 1, 33 * SECOND]),
    st.integers(0, 40 * SECOND),
)


class PlainStrict:
    """`strict` by its definition: count the hits of the newest slot and of ten before it."""

    def __init__(self, limit: Limit) -> None:
        self.most = limit.amount
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

    def count(self, now_ns: int, cost: int) -> None:
        slot = self.slot(now_ns)
        self.counts = Counter({key: count for key, count in self.counts.items() if key >= slot - 10})
        self.counts[slot] += cost
        self.trim()

    def trim(self) -> None:
        """Forget the oldest hits, one by one, until no more than the amount are left."""
        while self.counts.total() > self.most:
            self.counts[min(slot for slot, count in self.counts.items() if count)] -= 1

    def refund(self, at_ns: int, cost: int) -> None:
        slot = at_ns // self.slot_ns
        if slot in self.counts:
            self.counts[slot] -= min(cost, self.counts[slot])

    def adopt(self, previous: PlainStrict, at_ns: int) -> None:
        self.counts = Counter(previous.counts)
        self.trim()


class PlainFixed:
    """`fixed` by its definition: a window, and the hits in it."""

    def __init__(self, limit: Limit) -> None:
        self.most = limit.amount
        self.window_ns = limit.window_ns
        self.begun_ns = 0
        self.hits = 0

    def used(self, now_ns: int) -> int:
        return self.hits if now_ns < self.begun_ns + self.window_ns else 0

    def moments(self, now_ns: int) -> list[int]:
        return [self.begun_ns + self.window_ns] if self.used(now_ns) else []

    def count(self, now_ns: int, cost: int) -> None:
        if not self.used(now_ns):
            self.begun_ns, self.hits = now_ns, 0
        self.hits = min(self.hits + cost, self.most)

    def refund(self, at_ns: int, cost: int) -> None:
        if self.begun_ns <= at_ns < self.begun_ns + self.window_ns:
            self.hits = max(self.hits - cost, 0)

    def adopt(self, previous: PlainFixed, at_ns: int) -> None:
        self.begun_ns, self.hits = previous.begun_ns, min(previous.hits, self.most)


class PlainGcra:
    """`gcra` by its definition, in fractions of a hit: a bucket that leaks."""

    def __init__(self, limit: Limit) -> None:
        self.most = limit.amount if limit.burst is None else limit.burst
        self.rate = Fraction(limit.amount, limit.window_ns)
        self.latest_ns = 0
        self.level = Fraction(0)

    def left(self, now_ns: int) -> Fraction:
        return max(self.level - (now_ns - self.latest_ns) * self.rate, Fraction(0))

    def used(self, now_ns: int) -> int:
        return ceil(self.left(now_ns))

    def moments(self, now_ns: int) -> list[int]:
        """List the moments from now on at which one more has leaked."""
        left = self.left(now_ns)
        return [now_ns + ceil((left - number) / self.rate) for number in range(self.used(now_ns) - 1, -1, -1)]

    def count(self, now_ns: int, cost: int) -> None:
        self.level, self.latest_ns = min(self.left(now_ns) + cost, Fraction(self.most)), now_ns

    def refund(self, at_ns: int, cost: int) -> None:
        if at_ns <= self.latest_ns:
            self.level -= min(max(cost - (self.latest_ns - at_ns) * self.rate, Fraction(0)), self.level)

    def adopt(self, previous: PlainGcra, at_ns: int) -> None:
        self.latest_ns = max(previous.latest_ns, at_ns)
        ticks = self.rate.denominator  # of which a bucket holds whole numbers
        self.level = min(Fraction(ceil(previous.left(self.latest_ns) * ticks), ticks), Fraction(self.most))


MODELS = {"strict": PlainStrict, "concurrency": PlainStrict, "fixed": PlainFixed, "gcra": PlainGcra}


class PlainBucket:
    """A bucket by its definition: a hit counts under all limits of its key, or under none; time never steps back.

    When its limits change, a key is carried over when it is first seen, unless everything in it has gone by then.
    """

    def __init__(self, limits: tuple[Limit, ...], algorithm: str = "strict") -> None:
        self.limits = limits
        self.algorithm = algorithm
        self.keys = {}
        self.changed_ns = {}
        self.gone_ns = {}
        self.latest_ns = START

    def models(self, key) -> list:
        limits, models = self.keys.pop(key, (self.limits, None))
        if limits != self.limits and self.latest_ns >= self.gone_ns[limits]:
            models = None
        if limits != self.limits or models is None:
            earlier = models and {limit.seconds: model for limit, model in zip(limits, models, strict=True)}
            models = [MODELS[self.algorithm](limit) for limit in self.limits]
            for limit, model in zip(self.limits, models, strict=True):
                if earlier and limit.seconds in earlier:
                    model.adopt(earlier[limit.seconds], self.changed_ns[limits])
        self.keys[key] = self.limits, models
        return models

    def change(self, limits: tuple[Limit, ...], now_ns: int, life_ns: int) -> None:
        self.latest_ns = max(self.latest_ns, now_ns)
        self.changed_ns[self.limits] = self.latest_ns
        self.gone_ns[self.limits] = self.latest_ns + life_ns
        self.limits = limits

    def wait(self, model, cost: int) -> int | None:
        for moment in [self.latest_ns, *model.moments(self.latest_ns)]:
            if model.used(moment) + cost <= model.most:
                return moment - self.latest_ns
        return None

    def look(self, key, now_ns: int, cost: int) -> tuple:
        """Return whether the cost fits, what remains, when more comes back, and the wait."""
        self.latest_ns = now_ns = max(self.latest_ns, now_ns)
        models = self.models(key)
        waits = [self.wait(model, cost) for model in models]
        return (
            not any(wait != 0 for wait in waits),
            now_ns,
            tuple(model.most - model.used(now_ns) for model in models),
            tuple(min(model.moments(now_ns), default=now_ns) - now_ns for model in models),
            None if None in waits else max(waits),
            tuple(position for position, wait in enumerate(waits) if wait != 0),
        )

    def hit(self, key, now_ns: int, cost: int) -> tuple:
        look = self.look(key, now_ns, cost)
        return self.charge(key, now_ns, cost) if look[0] else look

    def charge(self, key, now_ns: int, cost: int) -> tuple:
        before = self.look(key, now_ns, cost)
        for model in self.models(key):
            model.count(self.latest_ns, cost)
        after = self.look(key, now_ns, cost)
        return before[0], *after[1:4], 0 if before[0] else after[4], before[5]

    def refund(self, key, at_ns: int, cost: int) -> None:
        if key in self.keys:
            for model in self.models(key):
                model.refund(at_ns, cost)


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

    algorithm = "strict"

    @initialize(data=st.data())
    def start(self, data) -> None:
        self.now_ns = START
        self.store = MemoryStore(1_000, clock=lambda: self.now_ns)
        plans = st.lists(rates(bursts if self.algorithm == "gcra" else st.none()), min_size=4, max_size=4)
        self.plans = data.draw(plans)  # few, so that those of before come back
        self.buckets, self.models = [], []
        for name, limits in zip(("first", "second"), self.plans, strict=False):
            self.buckets.append(self.store.bucket(name, limits, self.algorithm))
            self.models.append(PlainBucket(limits, self.algorithm))
        self.hits = []
        self.written = set()

    @rule(which=st.integers(0, 1), key=keys, cost=costs)
    def hit(self, which, key, cost) -> None:
        bucket = self.buckets[which]
        self.see(which, key)
        decision = bucket.hit(key, cost)
        assert told(decision) == self.models[which].hit(key, self.now_ns, cost)
        if decision.allowed:
            self.written.add((bucket, key))
            self.hits.append((which, bucket, key, decision.at_ns, cost))

    @rule(which=st.integers(0, 1), key=keys, tries=st.integers(2, 12))
    def burst(self, which, key, tries) -> None:
        for _ in range(tries):
            self.hit(which, key, 1)

    @rule(which=st.integers(0, 1), key=keys, cost=costs)
    def charge(self, which, key, cost) -> None:
        self.written.add((self.buckets[which], key))
        assert told(self.buckets[which].charge(key, cost)) == self.models[which].charge(key, self.now_ns, cost)

    @rule(which=st.integers(0, 1), key=keys, cost=st.integers(0, 9))
    def peek(self, which, key, cost) -> None:
        self.peeked(which, key, cost)

    def see(self, which, key) -> None:
        """Note that a key which was hit under other limits moves here, with its place."""
        bucket = self.buckets[which]
        if any(hit == key and other.name == bucket.name for other, hit in self.written):
            self.written.add((bucket, key))

    def peeked(self, which, key, cost) -> Decision:
        self.see(which, key)
        decision = self.buckets[which].peek(key, cost)
        assert told(decision) == self.models[which].look(key, self.now_ns, cost)
        return decision

    @rule(which=st.integers(0, 1), key=keys)
    def hit_and_charge_for_nothing(self, which, key) -> None:
        self.see(which, key)
        for call in (self.buckets[which].hit, self.buckets[which].charge):
            assert told(call(key, 0)) == self.models[which].look(key, self.now_ns, 0)

    @rule(data=st.data())
    def refund(self, data) -> None:
        """Ask the bucket that admitted the hit, which may have been followed by others since."""
        if self.hits:
            which, bucket, key, at_ns, cost = self.hits.pop(data.draw(st.integers(0, len(self.hits) - 1)))
            self.peeked(which, key, 0)
            bucket.refund(key, at_ns, cost)
            self.models[which].refund(key, at_ns, cost)

    @rule(which=st.integers(0, 1), key=keys)
    def reset(self, which, key) -> None:
        self.buckets[which].reset(key)
        self.models[which].keys.pop(key, None)
        self.hits = [hit for hit in self.hits if (hit[0], hit[2]) != (which, key)]

    @rule(which=st.integers(0, 1), plan=st.integers(0, 3))
    def change_the_limits(self, which, plan) -> None:
        """Go on under other limits, or under those of before."""
        previous = self.buckets[which]
        following = self.store.bucket(previous.name, self.plans[plan], self.algorithm)
        if following is not previous:
            self.models[which].change(following.limits, self.now_ns, previous._algorithm.life_ns)
            following.carry(previous)
            self.buckets[which] = following

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
            assert self.store.held_keys <= len(self.written)


class GcraStoreAgainstModel(StoreAgainstModel):
    """The same for `gcra`."""

    algorithm = "gcra"


class FixedStoreAgainstModel(StoreAgainstModel):
    """The same for `fixed`."""

    algorithm = "fixed"


class ConcurrencyStoreAgainstModel(StoreAgainstModel):
    """The same for `concurrency`, whose leases are hits as `strict` counts them."""

    algorithm = "concurrency"


for machine in (StoreAgainstModel, GcraStoreAgainstModel, FixedStoreAgainstModel, ConcurrencyStoreAgainstModel):
    machine.TestCase.settings = settings(stateful_step_count=60)

TestStrict = StoreAgainstModel.TestCase
TestGcra = GcraStoreAgainstModel.TestCase
TestFixed = FixedStoreAgainstModel.TestCase
TestConcurrency = ConcurrencyStoreAgainstModel.TestCase


@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(0, 40), costs, st.one_of(st.just(0), steps)), max_size=200),
    rates(st.none()),
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
    limits = (Limit(3, 10), Limit(5, 30))
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
