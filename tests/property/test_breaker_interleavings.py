"""The circuit, explored: every interleaving of four tasks, their outcomes and time, each step judged by a model."""

from __future__ import annotations

from collections import deque
from copy import copy
from dataclasses import dataclass, field, replace

import pytest

from asgi_guard.resilience.circuit import FAILURE, NEUTRAL, SUCCESS, TABLE, Circuit, Permit, State, Trigger
from asgi_guard.resilience.policy import BreakerPolicy

TICK = 1_000_000_000
RECOVERY, LEASE = 2, 3
THRESHOLD = 2
TASKS = 4
LONG = 10  # ticks, after which everything that can end has ended
OUTCOMES = {"success": SUCCESS, "failure": FAILURE, "cancel": NEUTRAL}


@dataclass(frozen=True)
class World:
    """A circuit, the time, and the permit that each task holds."""

    circuit: Circuit
    now: int = 0
    held: tuple[Permit | None, ...] = (None,) * TASKS
    streak: int = 0
    log: tuple[str, ...] = field(default=(), compare=False)

    def copied(self, step: str) -> World:
        """Return the same, to be changed."""
        circuit = copy(self.circuit)
        circuit.window = copy(circuit.window)
        circuit._probes = {*circuit._probes}
        return replace(self, circuit=circuit, log=(*self.log, step))

    def key(self) -> tuple[object, ...]:
        """Return all that decides what may come, with times and generations as seen from now."""
        circuit, now = self.circuit, self.now * TICK
        held = sorted(repr(self.seen(permit)) for permit in self.held)  # tasks are alike
        leases = sorted(max(permit.ends_ns - now, 0) for permit in circuit._probes)
        waits = max(circuit.until_ns - now, 0) if circuit.state is State.OPEN else 0
        return circuit.state, circuit.window.failures, circuit._successes, waits, *leases, *held

    def seen(self, permit: Permit | None) -> object:
        """Return what is left of a permit."""
        if permit is None or permit.generation != self.circuit.generation:
            return permit is None
        return permit in self.circuit._probes, max(permit.ends_ns - self.now * TICK, 0), permit.recovers

    def leases(self) -> int:
        """Return how many tasks hold a lease that has not ended."""
        generation, now = self.circuit.generation, self.now * TICK
        return sum(1 for permit in self.held if permit and permit.generation == generation and permit.ends_ns > now)


def with_permit(world: World, task: int, permit: Permit | None) -> World:
    """Give a task a permit, or take it."""
    return replace(world, held=(*world.held[:task], permit, *world.held[task + 1 :]))


def steps(world: World):
    """Take every step that is possible, and judge it; yield the worlds after."""
    after = world.copied("tick")
    yield replace(after, now=world.now + 1)
    for task, permit in enumerate(world.held):
        if permit is None:
            yield admitted(world, task)
        elif permit.recovers:
            yield recovered(world, task, permit)
            yield reported(world, task, permit, "cancel")
        else:
            yield from (reported(world, task, permit, outcome) for outcome in OUTCOMES)


def admitted(world: World, task: int) -> World:
    """Let a task ask."""
    after = world.copied(f"{task} asks")
    circuit, now = after.circuit, world.now * TICK
    permit = circuit.admit(now)
    if world.circuit.state is State.CLOSED:
        assert permit is not None
    elif world.circuit.state is State.OPEN:
        assert (permit is not None) == (now >= world.circuit.until_ns)
    else:
        assert (permit is not None) == (world.leases() < most(world.circuit))
    return replace(with_permit(after, task, permit), streak=world.streak if circuit.state is State.CLOSED else 0)


def recovered(world: World, task: int, permit: Permit) -> World:
    """Let a task say that the recovery actions have been run."""
    after = world.copied(f"{task} recovered")
    is_current = permit in world.circuit._probes and permit.generation == world.circuit.generation
    fresh = after.circuit.recovered(permit, world.now * TICK)
    if is_current:
        assert world.circuit.state is State.RECOVERING
        assert after.circuit.state is State.HALF_OPEN
        assert fresh is not None
    assert fresh is None or not fresh.recovers
    return with_permit(after, task, fresh)


def reported(world: World, task: int, permit: Permit, outcome: str) -> World:
    """Let a task report, and compare with what the model expects."""
    after = world.copied(f"{task} {outcome}")
    before, circuit = world.circuit, after.circuit
    circuit.report(permit, OUTCOMES[outcome], world.now * TICK)
    expected, streak = before.state, world.streak
    if permit.generation == before.generation:
        match before.state, outcome:
            case State.CLOSED, "success":
                streak = 0
            case State.CLOSED, "failure":
                streak += 1
                expected = State.OPEN if streak == THRESHOLD else State.CLOSED
            case State.HALF_OPEN, "failure":
                expected = State.OPEN
            case State.HALF_OPEN, "success":
                expected = State.CLOSED if before._successes + 1 == before._threshold else State.HALF_OPEN
            case State.RECOVERING, "cancel":
                expected = State.OPEN if permit in before._probes else State.RECOVERING
    assert circuit.state is expected
    assert circuit.generation == before.generation + (expected is not before.state)
    return replace(with_permit(after, task, None), streak=0 if expected is not before.state else streak)


def most(circuit: Circuit) -> int:
    """Return how many leases there may be."""
    return 1 if circuit.state is State.RECOVERING else circuit._permits


def judge(world: World) -> None:
    """Check what holds in every world."""
    circuit = world.circuit
    if circuit.state in {State.HALF_OPEN, State.RECOVERING}:
        assert world.leases() <= most(circuit)
    if circuit.state is State.CLOSED:
        assert circuit.window.failures == world.streak < THRESHOLD
    # Nothing is ever stuck: if all tasks died here, somebody new would be let through.
    assert world.copied("all die").circuit.admit((world.now + LONG) * TICK) is not None


def explore(policy: BreakerPolicy, *, recovers: bool, depth: int | None = None) -> int:
    """Visit every world there is, or all paths of so many steps even where they meet; return how many."""
    start = World(Circuit(policy, recovers=recovers))
    seen = {start.key()}
    waiting = deque([start])
    count = 1
    while waiting:
        world = waiting.pop()
        try:
            for after in steps(world):
                judge(after)
                if after.key() not in seen if depth is None else len(after.log) < depth:
                    seen.add(after.key())
                    waiting.append(after)
                    count += 1
        except AssertionError as error:
            error.add_note(f"after {world.log}")
            raise
    return count


def policy_of(permits: int, successes: int) -> BreakerPolicy:
    """Make the policy of an exploration."""
    return BreakerPolicy(
        failure_threshold=THRESHOLD,
        recovery_timeout=RECOVERY,
        probe_lease=LEASE,
        half_open_max=permits,
        success_threshold=successes,
    )


CASES = [(1, 1), (2, 1), (2, 2), (3, 2)]


@pytest.mark.parametrize("recovers", [False, True], ids=["", "with recovery"])
@pytest.mark.parametrize(("permits", "successes"), CASES)
def test_no_interleaving_of_any_length_leaves_the_model(permits, successes, recovers) -> None:
    """There are finitely many worlds, tasks being alike, and each is seen: a proof, as far as four tasks go."""
    assert explore(policy_of(permits, successes), recovers=recovers) > 80


@pytest.mark.parametrize(("depth", "least"), [(4, 150), pytest.param(7, 50_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("recovers", [False, True], ids=["", "with recovery"])
def test_every_path_keeps_to_the_model(depth, least, recovers) -> None:
    """The same without taking any two worlds for one: all sequences of so many steps."""
    assert explore(policy_of(2, 2), recovers=recovers, depth=depth) > least


def test_the_table_leads_out_of_every_state() -> None:
    """Whatever happened, a person can say `reset`; and nothing but a person leads into or out of the forced states."""
    commands = {Trigger.FORCE_OPEN, Trigger.DISABLE, Trigger.WATCH, Trigger.RESET}
    forced = {State.FORCED_OPEN, State.DISABLED, State.METRICS_ONLY}

    assert all(TABLE[state, Trigger.RESET] is State.CLOSED for state in State)
    for (before, trigger), after in TABLE.items():
        assert trigger in commands or not {before, after} & forced
