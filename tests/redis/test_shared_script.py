"""The script of shared circuits does what a plain model does, whatever replicas say, and whenever."""

from __future__ import annotations

import itertools

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from asgi_guard.resilience import State, TimeWindow
from asgi_guard.resilience.policy import BreakerPolicy
from asgi_guard.resilience.replicas import SCRIPT, STATES, Told, settings_of

SECOND = 1_000_000
NAMES = itertools.count()
POLICIES = st.builds(
    BreakerPolicy,
    failure_threshold=st.integers(1, 4),
    window=st.sampled_from([None, TimeWindow(5)]),
    failure_rate=st.sampled_from([0.1, 0.5, 1.0]),
    slow_call_rate=st.sampled_from([0.3, 1.0]),
    recovery_timeout=st.sampled_from([0, 1, 5]),
    recovery_growth=st.sampled_from([1.0, 1.5, 10.0]),
    max_recovery_timeout=st.sampled_from([None, 100]),
    half_open_max=st.integers(1, 3),
    success_threshold=st.integers(1, 3),
    probe_lease=st.sampled_from([1, 5]),
)
WINDOW = st.tuples(st.integers(0, 9), st.integers(0, 4), st.integers(0, 4)).map("{0[0]} {0[1]} {0[2]}".format)
WHAT = st.one_of(
    st.tuples(st.sampled_from(["fail", "fail", "trip", "count", "judge"]), WINDOW, st.just("")),
    st.tuples(st.just("claim"), st.integers(1, 4), st.just("")),
    st.tuples(st.just("claim"), st.integers(1, 4), st.just("")),
    st.tuples(st.just("done"), st.integers(0, 2), st.sampled_from(["success", "success", "failure", "neutral"])),
    st.tuples(st.just("done"), st.integers(0, 2), st.just("success")),
    st.tuples(st.sampled_from(["look", "mend"]), st.just(""), st.just("")),
    st.tuples(st.just("set"), st.sampled_from([0, 0, 0, 0, 0, 0, 3, 4, 5]), st.just("")),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from([0, 1, SECOND, 5 * SECOND, 50 * SECOND, -3_600 * SECOND]),
        st.sampled_from("ab"),
        st.sampled_from([0, 0, 0, 0, 1]),  # how many changes of state it has missed
        WHAT,
    ),
    min_size=10,
    max_size=60,
)


class Model:
    """What the replicas of one circuit know together."""

    def __init__(self, policy: BreakerPolicy) -> None:
        self.policy = policy
        self.recovery = self.open_for = round(policy.recovery_timeout * SECOND)
        self.lease = round(policy.probe_lease * SECOND)
        self.is_there = False
        self.versions = [0]
        self.state, self.due, self.wins = State.CLOSED, 0, 0
        self.leases: dict[str, int] = {}
        self.windows: dict[str, tuple[int, list[int]]] = {}
        self.counted, self.calm = 0, 0
        self.wanted = ""

    def go(self, state: State, now: int) -> None:
        self.versions.append(max(self.versions[-1] + 1, now))
        self.state, self.wins, self.leases, self.windows = state, 0, {}, {}
        self.counted, self.calm = 0, 0

    def trip(self, now: int) -> None:
        grown = min(int(self.open_for * self.policy.recovery_growth + 0.5), round(self.policy.longest_open * SECOND))
        self.open_for = grown if self.state is State.HALF_OPEN else self.recovery
        self.due = now + self.open_for
        self.go(State.OPEN, now)

    def trips(self, now: int, calm: int) -> bool:
        window = self.policy.window
        memory = SECOND * (3_600 if window is None else window.seconds)
        self.windows = {who: told for who, told in self.windows.items() if now - told[0] < memory}
        calls, failures, slow = [sum(told[1][column] for told in self.windows.values()) for column in range(3)]
        calls += calm
        least, rate, slow_rate = self.policy.failure_threshold, self.policy.failure_rate, self.policy.slow_call_rate
        return (failures >= least and failures >= rate * calls) or (slow >= least and slow >= slow_rate * calls)

    def say(self, now: int, who: str, known: int, what: tuple[str, object, object]) -> tuple[object, ...]:
        """Return the version, the state, for how long to wait, for how long it opened, who probes, what is wanted."""
        said, first, second = what
        self.wanted = ""
        if not self.is_there:
            self.versions[-1] = min(known, now)
        is_ahead = self.set_back(now)
        is_current = known == self.versions[-1]
        admitted = 0
        if said == "claim":
            admitted = self.claim(now, first, second)
        elif said == "set":
            self.go(STATES[first], now)
        elif said == "done" and self.state is State.HALF_OPEN and is_current:
            self.done(now, first, second)
        elif said in {"fail", "trip", "mend", "count", "judge"} and self.state is State.CLOSED and is_current:
            self.fail(now, who, said, first)
        elif not is_ahead:
            return self.told(now, 0)
        self.is_there = True
        self.leases = {name: ends for name, ends in self.leases.items() if ends > now}
        return self.told(now, admitted)

    def set_back(self, now: int) -> bool:
        """Let nobody wait for longer than ever where the clock was set back; tell whether somebody would have."""
        before = self.due, self.leases
        self.due = min(self.due, now + self.open_for)
        self.leases = {name: min(ends, now + self.lease) for name, ends in self.leases.items()}
        return before != (self.due, self.leases)

    def claim(self, now: int, wanted: int, name: str) -> int:
        """Admit probes, where it is time for them; who claims has seen it open, also where nobody else remembers."""
        if not self.is_there:
            self.state = State.OPEN
        if self.state is State.OPEN and now >= self.due:
            self.go(State.HALF_OPEN, now)
        if self.state is not State.HALF_OPEN:
            return 0
        held = [ends for ends in self.leases.values() if ends > now]
        admitted = min(wanted, self.policy.half_open_max - len(held))
        for number in range(1, admitted + 1):
            self.leases[f"{name}:{number}"] = now + self.lease
        return admitted

    def done(self, now: int, name: str, outcome: str) -> None:
        """Take back a lease, and count what came of it."""
        self.leases.pop(name, None)
        self.wins += outcome == "success"
        if outcome == "failure":
            self.trip(now)
        elif self.wins >= self.policy.success_threshold:
            self.go(State.CLOSED, now)

    def fail(self, now: int, who: str, said: str, window: str) -> None:
        """Remember how the window of a replica stands."""
        if said == "mend":
            self.windows.pop(who, None)
            return
        calls, failures, slow = numbers = [int(number) for number in window.split()]
        if failures or slow:
            self.windows[who] = now, numbers
        else:
            self.windows.pop(who, None)
            self.calm += calls
        if said == "trip" or (said == "judge" and self.trips(now, self.calm)):
            self.trip(now)
        elif said == "fail" and self.trips(now, 0) and abs(now - self.counted) >= SECOND:
            self.counted, self.calm, self.windows = now, 0, {who: (now, numbers)}
            self.wanted = "judge"

    def told(self, now: int, admitted: int) -> tuple[object, ...]:
        """Say how things stand."""
        version = self.versions[-1] if self.is_there else 0
        return version, self.state, self.wait(now), self.open_for, admitted, self.wanted

    def wait(self, now: int) -> int:
        if self.state is State.OPEN:
            return max(self.due - now, 0)
        held = [ends for ends in self.leases.values() if ends > now]
        is_full = self.state is State.HALF_OPEN and len(held) >= self.policy.half_open_max
        return min(min(held) - now, SECOND) if is_full else 0


@pytest.fixture(scope="module")
def client(shared_server):
    """Give a client that asks directly."""
    with redis.Redis(port=shared_server.port) as client:
        yield client


@pytest.mark.long
@given(policy=POLICIES, steps=STEPS)
@settings(max_examples=300)
def test_the_script_agrees_with_the_model(client, policy, steps) -> None:
    """At each step the answer is the same, no more probe than the policy says, and the key has a time to live."""
    key, model, now = f"script{next(NAMES)}", Model(policy), 1_790_000_000 * SECOND
    names: list[str] = []
    for number, (passed, who, missed, (what, first, second)) in enumerate(steps):
        now += passed
        known = model.versions[max(len(model.versions) - 1 - missed, 0)]
        if what == "claim":
            second = str(number)  # noqa: PLW2901
        elif what == "done":
            first = names[-1 - first] if first < len(names) else "?:1"  # noqa: PLW2901
        words = (who, what, known, first, second)
        packed = client.eval(SCRIPT.source, 1, key, str(now), *words, *settings_of(policy))
        told = Told.read(packed)
        answer = (told.version, told.state, told.wait_ns // 1_000, told.open_ns // 1_000, *told[4:])
        assert answer == model.say(now, who, known, (what, first, second))
        names += [f"{number}:{index}" for index in range(1, told.admitted + 1)]
        assert sum(ends > now for ends in model.leases.values()) <= policy.half_open_max
        assert client.pttl(key) > 0 or not model.is_there
    client.delete(key)
