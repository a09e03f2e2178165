"""The memory store: what shares counts, what is bounded, and what happens when it is full."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from threading import Barrier, Thread

import pytest

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.limiting.algorithms import ALGORITHMS
from asgi_guard.limiting.memory import MAX_BUCKETS, MemoryStore
from asgi_guard.limiting.rate import Limit, parse_rate

SECOND = 1_000_000_000
LIFE = 11 * SECOND  # of a state under a limit with a window of 10 s
LIMITS = parse_rate("3/10second")


class HandClock:
    """A clock that a test sets by hand."""

    def __init__(self) -> None:
        self.now_ns = 10**15

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Switch between threads as often as the interpreter can, so that a race that is possible happens."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def clock() -> HandClock:
    """Time passes only when the test says so."""
    return HandClock()


def store_of(clock: HandClock, max_keys: int = 1_000) -> MemoryStore:
    """Make a store of a single shard, so that every key meets every other."""
    return MemoryStore(max_keys, clock=clock)


def admitted(bucket, key, tries: int = 10) -> int:
    """Hit a key some times and count the hits that were admitted."""
    return sum(bucket.hit(key).allowed for _ in range(tries))


def fill(bucket, keys: int, prefix: str = "filler") -> None:
    """Hit so many different keys once."""
    for number in range(keys):
        bucket.hit(f"{prefix}{number}")


# buckets


def test_a_bucket_counts_each_key_by_itself(clock) -> None:
    """Three hits a key, in text or bytes, short or long."""
    bucket = store_of(clock).bucket("api", LIMITS)

    for key in ("a", "b", "a" * 65, "a" * 66, b"a" * 65, ""):
        assert admitted(bucket, key) == 3


def test_a_hit_tells_how_things_stand(clock) -> None:
    """The decision has one value for each limit, in their order."""
    bucket = store_of(clock).bucket("api", parse_rate("2/10second;3/100second"))
    bucket.hit("a")
    clock.now_ns += SECOND

    second, third = bucket.hit("a"), bucket.hit("a")

    assert (second.allowed, second.remaining, second.retry_after_ns, second.violated) == (True, (0, 1), 0, ())
    assert (third.allowed, third.remaining, third.violated) == (False, (0, 1), (0,))
    assert third.at_ns == clock.now_ns
    assert third.reset_after_seconds == (10, 109)
    assert third.retry_after_seconds == 10


def test_a_refused_hit_changes_nothing(clock) -> None:
    """A client that keeps knocking is let in as soon as one that waited quietly."""
    bucket = store_of(clock).bucket("api", parse_rate("2/10second;9/100second"))
    assert admitted(bucket, "a", tries=2) == 2
    before = bucket.peek("a")

    assert admitted(bucket, "a", tries=1_000) == 0

    assert bucket.peek("a") == before
    clock.now_ns += before.retry_after_ns
    assert bucket.hit("a").remaining == (1, 6)


def test_buckets_of_the_same_policy_share_their_counts(clock) -> None:
    """Two routes under one name are one policy; it is even the same object."""
    store = store_of(clock)

    assert store.bucket("api", LIMITS) is store.bucket("api", list(LIMITS), "strict")


def test_buckets_of_different_policies_never_share_counts(clock) -> None:
    """Another name, or other limits, count apart."""
    store = store_of(clock)
    buckets = [store.bucket("a", LIMITS), store.bucket("b", LIMITS), store.bucket("a", parse_rate("3/20second"))]

    assert [admitted(bucket, "key") for bucket in buckets] == [3, 3, 3]
    assert [bucket.name for bucket in buckets] == ["a", "b", "a"]
    assert buckets[2].limits == parse_rate("3/20second")


def test_buckets_are_bounded(clock) -> None:
    """Limits that a request could invent would fill the memory; those given out stay usable."""
    store = store_of(clock, max_keys=1)
    for number in range(MAX_BUCKETS):
        store.bucket(str(number), LIMITS)

    with pytest.raises(ValueError, match="at most 1024 buckets"):
        store.bucket("one more", LIMITS)

    assert store.bucket("7", LIMITS).hit("key").allowed


def test_a_bucket_that_cannot_work_is_refused(clock) -> None:
    """No limits, or an algorithm that does not exist."""
    store = store_of(clock)

    with pytest.raises(ValueError, match="at least one limit"):
        store.bucket("api", [])
    with pytest.raises(ValueError, match="is not an algorithm"):
        store.bucket("api", LIMITS, "lax")


@pytest.mark.parametrize("max_keys", [0, -1, 100_000_001, 1.5, "1000", None, True])
def test_a_size_out_of_bounds_is_refused(max_keys) -> None:
    """Wrong settings do not start."""
    with pytest.raises(ConfigError, match=r"MemoryStore\.max_keys"):
        MemoryStore(max_keys)


def test_a_clock_that_is_a_time_is_refused() -> None:
    """All problems are told at once."""
    with pytest.raises(ConfigError) as caught:
        MemoryStore(0, clock=12)

    assert [problem.field for problem in caught.value.problems] == ["MemoryStore.max_keys", "MemoryStore.clock"]


def test_a_store_answers_at_once_and_by_the_real_clock_if_told_nothing() -> None:
    """The defaults need no argument."""
    store = MemoryStore()

    assert store.synchronous is True
    assert admitted(store.bucket("api", parse_rate("3/day")), "key") == 3


# costs, peek, refund, reset


def test_costs_add_up_and_what_does_not_fit_is_not_counted(clock) -> None:
    """A dear hit is refused where a cheap one still fits."""
    bucket = store_of(clock).bucket("api", LIMITS)

    assert bucket.hit("a", 2).allowed
    assert not bucket.hit("a", 2).allowed
    assert bucket.hit("a", True).remaining == (0,)
    assert bucket.hit("b", 4).retry_after_seconds is None


def test_a_hit_of_no_cost_is_admitted_and_leaves_no_trace(clock) -> None:
    """Also where nothing is left; a flood of free hits takes no places."""
    store = store_of(clock)
    bucket = store.bucket("api", LIMITS)
    admitted(bucket, "a")

    assert bucket.hit("a", 0).allowed
    assert bucket.hit("b", 0).remaining == (3,)
    assert store.held_keys == 1


@pytest.mark.parametrize(("cost", "error"), [(-1, ValueError), (0.5, TypeError), ("1", TypeError)])
def test_a_cost_that_is_none_is_refused_everywhere(clock, cost, error) -> None:
    """A negative cost would hand out quota."""
    bucket = store_of(clock).bucket("api", LIMITS)
    calls = (
        lambda: bucket.hit("a", cost),
        lambda: bucket.peek("a", cost),
        lambda: bucket.charge("a", cost),
        lambda: bucket.refund("a", clock.now_ns, cost),
    )

    for call in calls:
        with pytest.raises(error):
            call()
    assert bucket.hit("a").remaining == (2,)


def test_a_peek_says_what_a_hit_would_say_and_counts_nothing(clock) -> None:
    """`remaining` is what there is before the hit."""
    store = store_of(clock)
    bucket = store.bucket("api", LIMITS)

    assert [bucket.peek("a", cost).allowed for cost in (0, 1, 3, 4)] == [True, True, True, False]
    assert bucket.peek("a").remaining == (3,)
    assert store.held_keys == 0


def test_a_refund_gives_the_hit_back(clock) -> None:
    """Also after the key has grown old, and never more than was hit at that time."""
    bucket = store_of(clock).bucket("api", LIMITS)
    first = bucket.hit("a", 2)
    clock.now_ns += 4 * SECOND
    bucket.hit("a")
    assert bucket.hit("a").allowed is False

    bucket.refund("a", first.at_ns, 1)
    bucket.refund("a", first.at_ns, 9)

    assert bucket.peek("a").remaining == (2,)
    bucket.refund("nobody", first.at_ns)
    assert bucket.peek("nobody").remaining == (3,)


def test_a_key_of_the_old_generation_can_be_refunded_and_reset(clock) -> None:
    """A table has turned over since the hits, and they still count."""
    store = store_of(clock)
    bucket = store.bucket("api", LIMITS)
    clock.now_ns += LIFE - SECOND
    hits = {key: bucket.hit(key, 3) for key in "ab"}
    clock.now_ns += 2 * SECOND
    bucket.hit("turns the table over")

    bucket.refund("a", hits["a"].at_ns, 2)
    bucket.reset("b")

    assert bucket.peek("a").remaining == (2,)
    assert bucket.peek("b").remaining == (3,)
    assert store.held_keys == 2


def test_a_reset_forgets_the_key_alone(clock) -> None:
    """The next hit is a first one again, and the place is free meanwhile."""
    store = store_of(clock)
    bucket = store.bucket("api", LIMITS)
    admitted(bucket, "a")
    admitted(bucket, "b")

    bucket.reset("a")
    bucket.reset("nobody")

    assert store.held_keys == 1
    assert admitted(bucket, "a") == 3
    assert admitted(bucket, "b") == 0


# charge


def test_a_charge_counts_also_where_a_hit_would_be_refused(clock) -> None:
    """It says whether it fitted, what is left after it, and how long the same hit would be refused from now on."""
    bucket = store_of(clock).bucket("api", parse_rate("3/10second;8/100second"))

    fits = bucket.charge("a", 2)
    clock.now_ns += SECOND
    over = bucket.charge("a", 2)

    assert (fits.allowed, fits.remaining, fits.retry_after_ns, fits.violated) == (True, (1, 6), 0, ())
    assert (over.allowed, over.remaining, over.retry_after_seconds, over.violated) == (False, (0, 4), 11, (0,))
    assert bucket.peek("a").remaining == (0, 4)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_only_what_turns_out_to_count_is_charged(clock, algorithm) -> None:
    """A peek before the work and a charge after it, as for logins that fail; those in flight together may go over."""
    bucket = store_of(clock).bucket("logins", LIMITS, algorithm)
    assert all(bucket.peek("a") for _ in range(9))

    assert [bucket.charge("a").allowed for _ in range(5)] == [True, True, True, False, False]

    assert not bucket.peek("a")
    clock.now_ns += LIFE
    assert bucket.peek("a", 3)


def test_a_charge_of_no_cost_leaves_no_trace(clock) -> None:
    """Like a hit of no cost."""
    store = store_of(clock)

    assert store.bucket("api", LIMITS).charge("a", 0).remaining == (3,)
    assert store.held_keys == 0


def test_a_charge_finds_its_key_wherever_it_is(clock) -> None:
    """Young, old, or sharing in a full store."""
    store = store_of(clock, max_keys=1)
    bucket = store.bucket("api", LIMITS)
    clock.now_ns += LIFE - SECOND
    bucket.charge("a")
    clock.now_ns += 2 * SECOND
    bucket.charge("b")

    assert bucket.charge("a").remaining == (1,)
    assert bucket.charge("b").remaining == (1,)
    assert store.held_keys == 1


# carry


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_was_used_is_not_forgotten_when_limits_change(clock, algorithm) -> None:
    """More or fewer are allowed from now on; what was used before still counts, with its own time."""
    store = store_of(clock)
    before = store.bucket("api", parse_rate("3/10second"), algorithm)
    for key, hits in (("a", 1), ("b", 3)):
        before.hit(key, hits)
    clock.now_ns += SECOND // 2
    after = store.bucket("api", parse_rate("2/10second"), algorithm)

    after.carry(before)

    assert [after.peek(key, 0).remaining for key in "abc"] == [(1,), (0,), (2,)]
    clock.now_ns += LIFE
    assert after.peek("b", 2).allowed


def test_a_limit_of_another_window_starts_anew(clock) -> None:
    """As do all of them where the algorithm is another one."""
    store = store_of(clock)
    before = store.bucket("api", LIMITS)
    before.hit("a", 3)
    others = [store.bucket("api", parse_rate("3/20second")), store.bucket("api", LIMITS, "fixed")]

    for after in others:
        after.carry(before)

    assert [after.peek("a").remaining for after in others] == [(3,), (3,)]


def test_nothing_is_carried_from_another_store_or_from_itself(clock) -> None:
    """Its clock, its places and its secret are others."""
    bucket = store_of(clock).bucket("api", LIMITS)
    bucket.hit("a")

    bucket.carry(bucket)
    other = store_of(clock).bucket("api", LIMITS)
    other.carry(bucket)

    assert bucket.peek("a").remaining == (2,)
    assert other.peek("a").remaining == (3,)


def test_carrying_takes_no_places_and_ends_by_itself(clock) -> None:
    """A key moves with its place when it is first seen, and later nothing asks for keys of before any more."""
    store = store_of(clock, max_keys=100)
    before, after = store.bucket("api", LIMITS), store.bucket("api", parse_rate("5/10second"))
    fill(before, 100)

    after.carry(before)
    assert [after.hit(f"filler{number}").remaining for number in range(100)] == [(3,)] * 100
    assert store.held_keys == 100
    assert not after._tables[0].overflow

    clock.now_ns += 2 * LIFE
    after.hit("another")
    assert after._tables[0].forerunners == ()


def test_a_lease_of_before_is_released_where_its_key_has_gone(clock) -> None:
    """Work that began under the limits of before ends under others, twice changed."""
    store = store_of(clock)
    buckets = [store.bucket("work", parse_rate(f"{amount}/10second"), "concurrency") for amount in (2, 3, 4)]
    lease = buckets[0].hit("a", 2)
    for before, after in pairwise(buckets):
        after.carry(before)
    assert buckets[2].hit("a", 2).remaining == (0,)

    buckets[0].refund("a", lease.at_ns, 2)
    buckets[0].refund("nobody", lease.at_ns, 2)

    assert buckets[2].peek("a").remaining == (2,)


def test_a_reset_forgets_also_what_would_be_carried(clock) -> None:
    """Otherwise the key would come back with the next hit."""
    store = store_of(clock)
    before, after = store.bucket("api", LIMITS), store.bucket("api", parse_rate("5/10second"))
    before.hit("a")
    after.carry(before)

    after.reset("a")

    assert after.peek("a").remaining == (5,)
    assert store.held_keys == 0


def test_limits_that_are_changed_back_go_on_with_all_that_was_used(clock) -> None:
    """What was used meanwhile is not hidden by what is left of the first time, also where that is long dead."""
    store = store_of(clock)
    first, second = store.bucket("api", LIMITS), store.bucket("api", parse_rate("5/10second"))
    fill(first, 20)
    second.carry(first)
    second.hit("filler0")
    first.carry(second)
    assert [first.peek(f"filler{number}").remaining for number in (0, 1)] == [(1,), (2,)]

    second.carry(first)
    clock.now_ns += 2 * LIFE
    second.hit("filler0", 3)
    second.hit("filler1", 5)
    first.carry(second)

    assert [first.peek(f"filler{number}").remaining for number in (0, 1, 2)] == [(0,), (0,), (3,)]
    assert len(first._tables[0].forerunners) == 1
    for _ in range(20):
        first.hit("filler0")
    assert store.held_keys == 2


def test_keys_that_share_are_carried_together(clock) -> None:
    """In a full store, what newcomers share is not forgotten either."""
    store = store_of(clock, max_keys=1)
    before, after = store.bucket("api", LIMITS), store.bucket("api", parse_rate("5/10second"))
    before.hit("resident")
    shared = before.hit("a", 2)

    after.carry(before)

    assert after.peek("a").remaining == (3,)
    assert after.peek("resident").remaining == (4,)
    before.refund("a", shared.at_ns, 2)
    assert after.peek("a").remaining == (5,)


def test_limits_may_change_any_number_of_times(clock) -> None:
    """Each table looks back at eight others at most, and a key is found if it was used under the latest of them."""
    store = store_of(clock)
    buckets = [store.bucket("api", parse_rate(f"{amount}/10second")) for amount in range(3, 40)]
    for before, after in pairwise(buckets):
        before.hit("a")
        after.carry(before)

    assert buckets[-1].peek("a").remaining == (3,)
    assert len(buckets[-1]._tables[0].forerunners) == 8


# age


def test_a_live_key_outlives_the_turn_of_the_generations(clock) -> None:
    """However hits and turns fall, a key counts for its whole life and not longer."""
    for early in range(12):
        bucket = store_of(clock).bucket("api", LIMITS)
        clock.now_ns += early * SECOND
        start = clock.now_ns
        assert admitted(bucket, "a") == 3
        while clock.now_ns < start + 10 * SECOND:
            assert admitted(bucket, "a") == 0
            bucket.hit("another")
            clock.now_ns += SECOND
        clock.now_ns = start + LIFE
        assert admitted(bucket, "a") == 3


def test_dead_keys_are_freed_a_few_at_a_time(clock) -> None:
    """No hit pays for all of them, and in the end they are all gone."""
    store = store_of(clock)
    bucket = store.bucket("api", LIMITS)
    fill(bucket, 400)
    clock.now_ns += 3 * LIFE
    held = [store.held_keys]

    for _ in range(120):
        bucket.hit("a")
        held.append(store.held_keys)

    assert max(before - after for before, after in pairwise(held)) <= 4
    assert held[-1] == 1


def test_buckets_that_nobody_hits_any_more_give_up_their_places(clock) -> None:
    """Dead keys of old policies must not push the clients of a new one into overflow."""
    store = store_of(clock, max_keys=100)
    idle = [store.bucket(str(number), LIMITS) for number in range(4)]
    for bucket in idle:
        fill(bucket, 25)
    clock.now_ns += 3 * LIFE
    busy = store.bucket("busy", LIMITS)

    fill(busy, 100)

    assert store.held_keys == 100
    assert [busy.peek(f"filler{number}").remaining for number in range(100)] == [(2,)] * 100
    assert not busy._tables[0].overflow


# full


def test_the_cap_holds_over_all_buckets(clock) -> None:
    """Whatever is hit, no more keys are held than was said."""
    store = MemoryStore(50_000, clock=clock)
    buckets = [store.bucket(name, LIMITS) for name in "ab"]

    for bucket in buckets:
        fill(bucket, 40_000)

    assert 49_000 <= store.held_keys <= 50_000


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_full_store_never_reopens_a_live_key(clock, algorithm) -> None:
    """Touching a thousand other keys does not make anyone be forgotten."""
    bucket = store_of(clock, max_keys=100).bucket("api", LIMITS, algorithm)
    assert admitted(bucket, "attacker") == 3

    for wave in range(10):
        fill(bucket, 1_000, prefix=f"wave{wave}-")
        assert admitted(bucket, "attacker") == 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_attacker_among_overflowing_keys_gets_no_more_than_the_limit(clock, algorithm) -> None:
    """Where keys share a state, all of them together have one limit."""
    bucket = store_of(clock, max_keys=100).bucket("api", LIMITS, algorithm)
    fill(bucket, 100)

    total = 0
    for wave in range(10):
        total += admitted(bucket, "attacker", tries=3)
        fill(bucket, 1_000, prefix=f"wave{wave}-")

    assert total <= 3


def test_all_overflowing_keys_together_share_64_limits(clock) -> None:
    """That is the price of a full store, for a store of one shard."""
    bucket = store_of(clock, max_keys=1).bucket("api", LIMITS)
    bucket.hit("resident")

    total = sum(bucket.hit(f"new{number}").allowed for number in range(5_000))

    assert total == 64 * 3
    assert bucket.hit("resident").remaining == (1,)


def test_a_key_that_gets_a_place_takes_along_what_was_counted_where_it_shared(clock) -> None:
    """Otherwise it would start afresh in the middle of its window."""
    store = store_of(clock, max_keys=1)
    bucket = store.bucket("api", LIMITS)
    bucket.hit("resident")
    hit = bucket.hit("a", 2)
    assert bucket.peek("a").remaining == (1,)

    bucket.reset("resident")

    assert admitted(bucket, "a") == 1
    assert store.held_keys == 1
    bucket.refund("a", hit.at_ns, 2)
    assert admitted(bucket, "a") == 2


def test_a_refund_and_a_reset_of_an_overflowing_key(clock) -> None:
    """A refund gives back where the hit was counted; a reset leaves what others share."""
    bucket = store_of(clock, max_keys=1).bucket("api", LIMITS)
    bucket.hit("resident")
    hit = bucket.hit("a", 3)

    bucket.reset("a")
    assert bucket.peek("a").remaining == (0,)
    bucket.refund("a", hit.at_ns, 2)
    assert bucket.peek("a").remaining == (2,)


# memory


@pytest.mark.parametrize("rate", ["100/minute", "999999937/day", "5/second;100/minute"])
@pytest.mark.parametrize(("algorithm", "most"), [("strict", 260), ("concurrency", 260), ("gcra", 160), ("fixed", 160)])
def test_a_key_takes_a_bounded_number_of_bytes_besides_itself(clock, algorithm, most, rate) -> None:
    """Also as bytes, which take more than text, and where every key has just moved from the old generation."""
    keys = [number.to_bytes(8, "big") for number in range(5_500)]  # a dict has just grown to hold these
    tracemalloc.start()
    bucket = store_of(clock, max_keys=16_384).bucket("api", parse_rate(rate), algorithm)
    life_ns = bucket._algorithm.life_ns
    before, _ = tracemalloc.get_traced_memory()

    for pause in (0, life_ns // 2, life_ns // 2 + 60 * SECOND):
        clock.now_ns += pause
        for key in keys:
            bucket.hit(key)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (after - before) / len(keys) <= most


def test_the_memory_of_dead_keys_is_given_back(clock) -> None:
    """After a flood of keys that never return, a hit frees four of them, and the last one frees the rest."""
    tracemalloc.start()
    bucket = store_of(clock, max_keys=16_384).bucket("api", LIMITS)
    before, _ = tracemalloc.get_traced_memory()
    fill(bucket, 4_000)
    flooded, _ = tracemalloc.get_traced_memory()
    clock.now_ns += 3 * LIFE

    admitted(bucket, "a", tries=1_010)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert after - before < (flooded - before) / 100


def test_the_garbage_collector_has_no_keys_to_walk(clock) -> None:
    """A dict of text and ints is not even looked into, so a million keys do not lengthen a collection."""
    bucket = store_of(clock).bucket("api", parse_rate("5/second;100/minute"))
    fill(bucket, 1_000)

    assert not any(gc.is_tracked(table.young) for table in bucket._tables)


def test_a_long_key_is_not_kept(clock) -> None:
    """A client that sends a megabyte as its key leaves 32 characters behind."""
    bucket = store_of(clock).bucket("api", LIMITS)
    for call in (bucket.hit, bucket.peek, bucket.reset, bucket.hit):
        call("a" * 1_000_000)
    bucket.refund("a" * 1_000_000, clock.now_ns)

    assert [len(key) for key in bucket._tables[0].young] == [32]
    assert bucket.peek("a" * 1_000_000).remaining == (3,)


# threads and loops


@pytest.mark.usefixtures("restless_threads")
def test_threads_together_are_admitted_exactly_the_amount(clock) -> None:
    """Eight threads hit one key, and others on the way, as fast as they can."""
    threads, amount = 8, 1_000
    bucket = MemoryStore(clock=clock).bucket("api", [Limit(amount, 60)])
    start = Barrier(threads)
    counts = []

    def work(number: int) -> None:
        start.wait()
        count = 0
        for turn in range(amount):
            count += bucket.hit("shared").allowed
            bucket.hit(f"{number}-{turn % 10}")
        counts.append(count)

    workers = [Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert sum(counts) == amount
    assert len(counts) == threads


def test_a_hit_from_within_a_hit_does_not_wait_for_itself() -> None:
    """As when the garbage collector runs a finalizer that hits the same key."""
    nested = []

    def clock() -> int:
        if buckets and not nested:
            nested.append(None)
            nested[0] = buckets[0].hit("key")
        return 10**15

    buckets = []
    buckets.append(MemoryStore(clock=clock).bucket("api", LIMITS))

    assert buckets[0].hit("key").allowed
    assert nested[0].allowed


@pytest.mark.anyio
async def test_a_hit_never_blocks_an_event_loop(clock) -> None:
    """The watch for blocking calls is on, and a lock that nobody holds is none."""
    bucket = store_of(clock).bucket("api", LIMITS)

    assert admitted(bucket, "a") == 3
