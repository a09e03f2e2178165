"""Circuit: the pure core of a circuit breaker, as a table of states and a few rules.

Rule 1: nothing in this file waits, reads a clock or raises. Time is an argument, so that a model can explore every
interleaving, and a shared store can replay what happened elsewhere.
Rule 2: each change of state starts a new generation. A call carries the permit that it was admitted with; what it
reports counts in its own generation and in no other. So neither a straggler's success closes a circuit, nor does an
old failure open one that has recovered.
Rule 3: a probe holds a lease. At most `half_open_max` leases are held at a time, each is given back by a report,
whatever the outcome, and one that never is ends by itself.
Rule 4: a cancelled call says nothing about the other side: it gives its lease back, and that is all.

Not safe for threads by itself: whoever calls holds a lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from itertools import product
from types import MappingProxyType
from typing import Final, NamedTuple

from asgi_guard.resilience.policy import BreakerPolicy
from asgi_guard.resilience.windows import Window


class State(StrEnum):
    """What a circuit does with a call."""

    CLOSED = "closed"
    """Lets it through, and watches."""
    OPEN = "open"
    """Refuses it, until the recovery timeout has passed."""
    RECOVERING = "recovering"
    """Refuses it, while one caller runs the recovery actions."""
    HALF_OPEN = "half_open"
    """Lets a few through, as probes."""
    FORCED_OPEN = "forced_open"
    """Refuses it, until somebody says otherwise."""
    DISABLED = "disabled"
    """Lets it through, and does not watch."""
    METRICS_ONLY = "metrics_only"
    """Lets it through, watches, and never trips."""


class Trigger(StrEnum):
    """What makes a circuit change its state."""

    TRIP = "trip"
    """There were too many failures; or one probe failed."""
    PROBE = "probe"
    """The recovery timeout has passed, or the recovery actions are done."""
    RECOVER = "recover"
    """The recovery timeout has passed, and there are recovery actions."""
    ABANDON = "abandon"
    """Whoever ran the recovery actions was cancelled."""
    PROVE = "prove"
    """Enough probes succeeded."""
    FORCE_OPEN = "force_open"
    DISABLE = "disable"
    WATCH = "watch"
    RESET = "reset"


class Outcome(NamedTuple):
    """How a call ended.

    Attributes:
        counts: it says something about the other side.
        failed: it failed.
        slow: it took too long.
    """

    counts: bool
    failed: bool
    slow: bool


SUCCESS: Final = Outcome(counts=True, failed=False, slow=False)
SLOW: Final = Outcome(counts=True, failed=False, slow=True)
FAILURE: Final = Outcome(counts=True, failed=True, slow=False)
SLOW_FAILURE: Final = Outcome(counts=True, failed=True, slow=True)
NEUTRAL: Final = Outcome(counts=False, failed=False, slow=False)
"""It was cancelled, or was never made."""

COMMANDS: Final[Mapping[Trigger, State]] = MappingProxyType(
    {
        Trigger.FORCE_OPEN: State.FORCED_OPEN,
        Trigger.DISABLE: State.DISABLED,
        Trigger.WATCH: State.METRICS_ONLY,
        Trigger.RESET: State.CLOSED,
    }
)
"""What a person may say at any time, and what comes of it."""

TABLE: Final[Mapping[tuple[State, Trigger], State]] = MappingProxyType(
    {
        (State.CLOSED, Trigger.TRIP): State.OPEN,
        (State.OPEN, Trigger.PROBE): State.HALF_OPEN,
        (State.OPEN, Trigger.RECOVER): State.RECOVERING,
        (State.RECOVERING, Trigger.PROBE): State.HALF_OPEN,
        (State.RECOVERING, Trigger.ABANDON): State.OPEN,
        (State.HALF_OPEN, Trigger.TRIP): State.OPEN,
        (State.HALF_OPEN, Trigger.PROVE): State.CLOSED,
        **{(state, command): COMMANDS[command] for state, command in product(State, COMMANDS)},
    }
)
"""Every transition; a trigger that has no row in a state changes nothing."""

_ADMITS_ALL: Final = frozenset({State.CLOSED, State.DISABLED, State.METRICS_ONLY})
_RECOVERS_NEXT: Final = frozenset({State.OPEN, State.RECOVERING})
_SECOND: Final = 1_000_000_000
_WHILE_OTHERS_PROBE_NS: Final = _SECOND  # the verdict is near; nobody knows how near


class Permit:
    """What a call was admitted with.

    Attributes:
        generation: of the circuit, when it was admitted.
        ends_ns: when its lease ends; 0 where there is none.
        recovers: the recovery actions are to be run, and nothing is to be called yet.
    """

    __slots__ = ("ends_ns", "generation", "recovers")

    def __init__(self, generation: int, ends_ns: int = 0, *, recovers: bool = False) -> None:
        self.generation: int = generation
        self.ends_ns: int = ends_ns
        self.recovers: bool = recovers


class Circuit:
    """One circuit.

    Args:
        policy: when it opens, for how long, and what closes it.
        recovers: there are recovery actions to run before the first probe.

    Attributes:
        state: what it does with a call.
        generation: how often it has changed its state.
        permit: what any call is admitted with; None where each has to ask.
        is_calm: the report of one more quick success would change nothing.
        until_ns: when an open circuit may be probed.
    """

    __slots__ = (
        "_growth",
        "_lease_ns",
        "_most_open_ns",
        "_open_ns",
        "_permits",
        "_probes",
        "_recovers",
        "_recovery_ns",
        "_successes",
        "_threshold",
        "_watches",
        "generation",
        "is_calm",
        "permit",
        "state",
        "until_ns",
        "window",
    )

    def __init__(self, policy: BreakerPolicy, *, recovers: bool = False) -> None:
        self._recovery_ns = self._open_ns = round(policy.recovery_timeout * _SECOND)
        self._most_open_ns = round(policy.longest_open * _SECOND)
        self._growth = policy.recovery_growth
        self._lease_ns = round(policy.probe_lease * _SECOND)
        self._permits = policy.half_open_max
        self._threshold = policy.success_threshold
        self._recovers = recovers
        self.window: Window = policy.make_window()
        self.until_ns: int = 0
        self.state: State = State.CLOSED
        self.generation: int = 0
        self.permit: Permit | None = Permit(0)
        self.is_calm: bool = self.window.is_calm
        self._probes: set[Permit] = set()
        self._successes = 0
        self._watches = True

    def admit(self, now_ns: int) -> Permit | None:
        """Ask for a permit; None where the call is refused."""
        if self.permit is not None:
            return self.permit
        if self.state is State.OPEN and now_ns >= self.until_ns:
            self._pull(Trigger.RECOVER if self._recovers else Trigger.PROBE, now_ns)
        if self.state is State.HALF_OPEN:
            return self._lease(self._permits, now_ns)
        if self.state is State.RECOVERING:
            return self._lease(1, now_ns, recovers=True)
        return None

    def report(self, permit: Permit, outcome: Outcome, now_ns: int) -> None:
        """Say how a call ended, exactly once for each permit."""
        if permit.generation != self.generation:
            return
        if self.permit is not None:
            if outcome.counts and self._watches:
                if self.window.record(failed=outcome.failed, slow=outcome.slow, now_ns=now_ns):
                    self._pull(Trigger.TRIP, now_ns)
                self.is_calm = self.window.is_calm
        elif self.state is State.HALF_OPEN:
            self._probes.discard(permit)
            if outcome.failed or outcome.slow:
                self._pull(Trigger.TRIP, now_ns)
            elif outcome.counts:
                self._successes += 1
                if self._successes >= self._threshold:
                    self._pull(Trigger.PROVE, now_ns)
        elif permit in self._probes:
            self._pull(Trigger.ABANDON, now_ns)

    def recovered(self, permit: Permit, now_ns: int) -> Permit | None:
        """Say that the recovery actions were run; return a permit for the first probe, or None where it is refused."""
        if permit in self._probes:
            self._pull(Trigger.PROBE, now_ns)
        # Who took so long that the circuit has opened once more has recovered from another outage than this one.
        return None if self.state in _RECOVERS_NEXT else self.admit(now_ns)

    def command(self, trigger: Trigger, now_ns: int) -> None:
        """Do what a person says."""
        self._pull(trigger, now_ns)

    def follow(self, state: State, until_ns: int, open_ns: int) -> None:
        """Do as the other replicas of this circuit do, which have gone to a state.

        Args:
            state: the state.
            until_ns: when they may probe, if it is open.
            open_ns: for how long it opened; it grows from there.
        """
        self.until_ns = until_ns
        self._open_ns = open_ns
        if state is not self.state:
            self._go(state)

    def wait_ns(self, now_ns: int) -> int:
        """Return how long after a refusal it makes sense to ask again."""
        if self.state is State.OPEN:
            return max(self.until_ns - now_ns, 0)
        return self._recovery_ns if self.state is State.FORCED_OPEN else _WHILE_OTHERS_PROBE_NS

    def _lease(self, most: int, now_ns: int, *, recovers: bool = False) -> Permit | None:
        if len(self._probes) >= most:
            self._probes = {permit for permit in self._probes if permit.ends_ns > now_ns}
        if len(self._probes) >= most:
            return None
        permit = Permit(self.generation, now_ns + self._lease_ns, recovers=recovers)
        self._probes.add(permit)
        return permit

    def _pull(self, trigger: Trigger, now_ns: int) -> None:
        after = TABLE.get((self.state, trigger))
        if after is None:
            return
        if trigger is Trigger.TRIP:
            fails_again = self.state is State.HALF_OPEN
            grown = min(round(self._open_ns * self._growth), self._most_open_ns)
            self._open_ns = grown if fails_again else self._recovery_ns
            self.until_ns = now_ns + self._open_ns
        self._go(after)

    def _go(self, after: State) -> None:
        self.state = after
        self.generation += 1
        self.permit = Permit(self.generation) if after in _ADMITS_ALL else None
        self._probes = set()
        self._successes = 0
        self._watches = after is not State.DISABLED
        self.window.clear()
        self.is_calm = self.window.is_calm or not self._watches
