"""Leases never admit more than the algorithm publishes: several processes, drifting clocks, any delay and any cost."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.limiting.algorithms import algorithm_for
from asgi_guard.limiting.counting import EMPTY
from asgi_guard.limiting.leases import LEAST, LONGEST_NS, MOST, Heat, Lease, Terms
from asgi_guard.limiting.memory import MemoryStore
from asgi_guard.limiting.rate import Limit
from asgi_guard.limiting.store import Decision
from asgi_guard.limiting.strict import SLOTS

SECOND = 1_000_000_000
START = 1_790_000_000 * SECOND
DELAYS = st.sampled_from([0] * 12 + [1, 50_000, 99_000_000, 700_000_000])


@dataclass(frozen=True)
class Ask:
    """What one process does, and when: so many hits at once, or something with hits of before."""

    step: str
    process: int
    hits: int
    cost: int
    share: int
    out_ns: int
    back_ns: int
    what: str


asks = st.builds(
    Ask,
    step=st.sampled_from(["none", "little", "edge", "after", "slot", "retry", "leaked"]),
    process=st.integers(0, 1),
    hits=st.sampled_from([1, 9]),
    cost=st.sampled_from([1, 1, 1, 2]),
    share=st.sampled_from([2, 2, 1, 0]),
    out_ns=DELAYS,
    back_ns=DELAYS,
    what=st.sampled_from(["hit"] * 12 + ["refund", "idle"]),
)


@st.composite
def limit_lists(draw, algorithm):
    """Draw one limit or two; small amounts are reached soon, and the slots of 10 s are as long as a lease may last."""
    seconds = draw(st.lists(st.sampled_from([1, 2, 10, 10, 60]), min_size=1, max_size=2, unique=True))
    bursts = st.one_of(st.none(), st.integers(1, 9)) if algorithm == "gcra" else st.none()
    return [Limit(draw(st.integers(2, 9)), window, burst=draw(bursts)) for window in seconds]


@dataclass
class Process:
    """One of those that share a count, with a clock of its own."""

    offset_ns: int
    drift_ppm: int
    lease: Lease | None = None
    is_asking: bool = False
    used: list[tuple[int, int, Decision, Lease | None]] = field(default_factory=list)

    def local(self, now_ns: int) -> int:
        return self.offset_ns + now_ns + (now_ns - START) * self.drift_ppm // 1_000_000


class World:
    """The processes, the server, and what is on its way between them."""

    def __init__(self, limits, algorithm, processes) -> None:
        self.now_ns = START
        self.limits = limits
        self.terms = Terms(limits, algorithm, MOST)
        self.server = MemoryStore(clock=lambda: self.now_ns // 1_000 * 1_000).bucket("x", limits, algorithm)
        self.processes = processes
        self._order = itertools.count()
        self._coming: list = []

    def later(self, wait_ns, function, *arguments) -> None:
        heapq.heappush(self._coming, (self.now_ns + wait_ns, next(self._order), function, arguments))

    def run_until(self, moment_ns) -> None:
        while self._coming and self._coming[0][0] <= moment_ns:
            self.now_ns, _, function, arguments = heapq.heappop(self._coming)
            function(*arguments)
        self.now_ns = max(self.now_ns, moment_ns)

    def step_ns(self, step: str) -> int:
        """Say how long a step takes: many lead to where something ends, as the server tells it."""
        window_ns = self.limits[0].window_ns
        slot_ns = window_ns // SLOTS
        to_the_edge_ns = slot_ns - self.now_ns % slot_ns
        fits_ns = self.server.peek("k").retry_after_ns or 0
        steps = {"none": 0, "little": slot_ns // 3, "edge": to_the_edge_ns - 1, "after": to_the_edge_ns}
        steps |= {"slot": slot_ns, "retry": fits_ns, "leaked": window_ns // self.limits[0].amount}
        return steps[step]

    def do(self, ask: Ask) -> None:
        process = self.processes[ask.process]
        local_ns = process.local(self.now_ns)
        if ask.what == "refund":
            self.refund(process, ask)
        elif ask.what == "idle":
            self.later(ask.out_ns, self.give_back, *self.let_go(process, local_ns))
        elif process.lease and (decision := process.lease.take(ask.cost, local_ns)):
            process.used.append((self.now_ns, ask.cost, decision, process.lease))
        elif not process.is_asking:
            process.is_asking = True
            self.later(ask.out_ns, self.count, process, ask, local_ns, self.let_go(process, local_ns))

    def refund(self, process, ask) -> None:
        if process.used:
            _, cost, decision, lease = process.used.pop(-1 - ask.cost % len(process.used))
            if lease is not None and lease is process.lease:
                lease.put_back(cost)
            else:
                self.later(ask.out_ns, self.give_back, cost, decision.at_ns)

    def let_go(self, process, local_ns) -> tuple[int, int]:
        lease, process.lease = process.lease, None
        return (0, 0) if lease is None else (lease.returnable(local_ns), lease.at_ns)

    def give_back(self, cost, at_ns) -> None:
        if cost:
            self.server.refund("k", at_ns, cost)

    def count(self, process, ask, asked_ns, returned) -> None:
        self.give_back(*returned)
        tokens = max(min(self.server.peek("k").remaining) * ask.share // 2, ask.cost)
        decision = self.server.hit("k", tokens)
        if not decision and tokens > ask.cost:
            tokens = ask.cost
            decision = self.server.hit("k", tokens)
        self.later(ask.back_ns, self.hear, process, ask.cost, tokens, asked_ns, decision)
        if decision:
            process.used.append((self.now_ns, ask.cost, decision, None))

    def hear(self, process, cost, tokens, asked_ns, decision) -> None:
        process.is_asking = False
        if decision:
            process.lease = self.terms.lease(decision, tokens, asked_ns)
            process.lease.spend(cost)


@st.composite
def uses(draw, algorithm):
    """Return the limits and all hits that were admitted and stayed, in order, by the microseconds of the server."""
    limits = draw(limit_lists(algorithm))
    clocks = st.tuples(st.integers(-10 * SECOND, 10 * SECOND), st.integers(-1_000, 1_000))
    world = World(limits, algorithm, [Process(*draw(clocks)) for _ in range(2)])
    world.run_until(START + draw(st.integers(0, SECOND)))
    for ask in draw(st.lists(asks, min_size=4, max_size=25)):
        world.run_until(world.now_ns + world.step_ns(ask.step))
        for _ in range(ask.hits):
            world.do(ask)
            world.run_until(world.now_ns)
    world.run_until(world.now_ns + 10 * SECOND)
    used = [(now_ns // 1_000 * 1_000, cost) for process in world.processes for now_ns, cost, *_ in process.used]
    return limits, sorted(used)


def most_in_a_window(used, window_ns) -> int:
    """Return the largest sum of costs in any closed window, with two pointers."""
    most = inside = 0
    window: deque[tuple[int, int]] = deque()
    for now_ns, cost in used:
        window.append((now_ns, cost))
        inside += cost
        while window[0][0] < now_ns - window_ns:
            inside -= window.popleft()[1]
        most = max(most, inside)
    return most


@given(uses("strict"))
def test_strict_never_admits_more_than_the_amount_in_any_window(drawn) -> None:
    """Also where the tokens were counted by another clock, long ago, or an answer came late."""
    limits, used = drawn
    for limit in limits:
        assert most_in_a_window(used, limit.window_ns) <= limit.amount


@given(uses("fixed"))
def test_fixed_never_admits_more_than_twice_the_amount_in_any_window(drawn) -> None:
    """A token is used in the window in which it was counted."""
    limits, used = drawn
    for limit in limits:
        assert most_in_a_window(used, limit.window_ns) <= 2 * limit.amount


@given(uses("gcra"))
def test_what_is_used_from_leases_never_spills_a_bucket_of_the_same_size(drawn) -> None:
    """That is more than what `gcra` publishes: at no moment do the hits come faster than one bucket would let them."""
    limits, used = drawn
    bucket = algorithm_for(limits, "gcra")
    state = EMPTY
    for now_ns, cost in used:
        taken = bucket.take(state, now_ns, cost)
        assert taken is not None
        state = taken[0]


@given(uses("strict"))
def test_what_is_used_from_leases_fits_the_slots_that_it_was_counted_in(drawn) -> None:
    """That is more than what `strict` publishes: one store that counted each hit when it came would admit them all."""
    limits, used = drawn
    algorithm = algorithm_for(limits, "strict")
    state = EMPTY
    for now_ns, cost in used:
        taken = algorithm.take(state, now_ns, cost)
        assert taken is not None
        state = taken[0]


# One lease ------------------------------------------------------------------------------------------------------------

ADMITTED = Decision(True, START + 30_000_000, (40,), (SECOND // 2,))
ENDS = [
    ("strict", 10, START // SECOND * SECOND, SECOND),
    ("strict", 1, START, 100_000_000 - 30_000_000),
    ("fixed", 60, START, SECOND // 2),
    ("fixed", 1, START, SECOND // 2),
]


@pytest.mark.parametrize(("algorithm", "seconds", "start_ns", "life_ns"), ENDS)
def test_a_lease_ends_a_little_early_and_never_late(algorithm, seconds, start_ns, life_ns) -> None:
    """At the end of the slot or of the window, by a clock that may be slower than the server's; a second at most."""
    lease = Terms([Limit(50, seconds)], algorithm, 10).lease(ADMITTED, 10, start_ns)
    least_ns = life_ns - life_ns // 256 - 30_000_000 * (algorithm == "strict" and seconds == 10)
    assert lease.look(1, start_ns + least_ns - 2_000)
    assert lease.take(1, start_ns + life_ns - life_ns // 1_000) is None
    assert lease.valid(start_ns + life_ns) == 0
    assert lease.returnable(start_ns + life_ns) == 10


def test_a_lease_of_gcra_leaks_as_the_bucket_does() -> None:
    """Ten a second: after 250 ms seven are left of ten, whether they were used or not."""
    lease = Terms([Limit(10, 1, burst=20), Limit(60, 60, burst=20)], "gcra", 10).lease(ADMITTED, 10, START)
    assert [lease.valid(START + wait_ns) for wait_ns in (0, 1, 99_000_000, 250_000_000)] == [9, 9, 9, 7]
    assert lease.take(7, START + 250_000_000)
    assert lease.take(1, START + 250_000_000) is None
    assert lease.returnable(START + 2 * SECOND) == 0


def test_clients_are_told_what_was_left_and_what_of_it_was_used() -> None:
    """What is held is theirs as well; the times go on."""
    lease = Terms([Limit(90, 3_600), Limit(50, 60)], "strict", 10).lease(
        Decision(True, START, (80, 40), (5 * SECOND, SECOND // 2)), 10, 1_000
    )
    assert lease.spend(1) == Decision(True, START, (89, 49), (5 * SECOND, SECOND // 2))
    later = SECOND * 6 // 10
    assert lease.take(4, later) == Decision(True, START, (85, 45), (5 * SECOND - later, 0))
    assert lease.look(5, later) == Decision(True, START, (85, 45), (5 * SECOND - later, 0))
    assert lease.look(6, later) is None
    assert lease.take(6, later) is None
    lease.put_back(100)
    assert lease.left == lease.tokens == 10


def test_a_lease_is_a_quarter_of_what_is_left_and_leaves_half_of_a_burst_alone() -> None:
    """The last hits of a window are found one by one; a burst finds half of its bucket, whatever leases lose."""
    limits = [Limit(100, 1), Limit(1_000, 60)]
    assert Terms(limits, "strict", 10).spare((100, 1_000)) == 25
    assert Terms(limits, "strict", 10).spare((100, 7)) < LEAST
    assert Terms(limits, "gcra", 10).spare((90, 1_000)) == 10
    assert Terms(limits, "gcra", 10).spare((50, 1_000)) == 0
    assert Terms(limits, "gcra", "auto").fresh == (100, 1_000)


def test_concurrency_has_no_leases() -> None:
    """A hit is given back when the work ends, which nobody can know in advance."""
    with pytest.raises(ValueError, match="concurrency"):
        Terms([Limit(5, 60)], "concurrency", 10)


def test_a_key_is_hot_once_it_was_seen_often_within_a_short_time() -> None:
    """It has to be seen as often again after that."""
    heat = Heat(8, 250)
    assert [heat.is_hot("k", START + step) for step in range(10)] == [False] * 8 + [True] * 2
    assert not heat.is_hot("k", START + 250)
    assert LONGEST_NS == SECOND
