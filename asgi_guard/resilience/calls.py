"""What a circuit breaker counts for telemetry; nothing is decided by it."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

from asgi_guard.monitor.names import BREAKER_CALLS, BREAKER_STATE, BREAKER_TRANSITIONS
from asgi_guard.monitor.tally import Standing, Tally, known
from asgi_guard.resilience.circuit import Circuit, State

if TYPE_CHECKING:
    from asgi_guard.monitor.cells import Series

_lock: Final = Lock()


class Calls(Tally):
    """How many calls ended in which way: here those of one circuit, in the aggregate those of all that share its name.

    Threads that count at the same moment may lose one of the successes where Python runs without its global lock.

    Args:
        circuit: whose state is told; from its first call on.
        name: of the circuit.

    Attributes:
        success: they succeeded.
        slow: they succeeded, and took too long.
        failure: they failed, whether slow or not.
        neutral: they were cancelled, or refused further in.
        rejected: they were not made, since the circuit was open.
    """

    __slots__ = ("_circuit", "_standing", "failure", "neutral", "rejected", "slow", "success")

    def __init__(self, circuit: Circuit, name: str = "") -> None:
        super().__init__(BREAKER_CALLS, name)
        self._circuit = circuit
        self._standing: Standing | None = None
        self.success: int = 0
        self.slow: int = 0
        self.failure: int = 0
        self.neutral: int = 0
        self.rejected: int = 0

    def series(self, result: str) -> Series:
        """Return what counts a result; from then on the circuit is among those of its state."""
        self._stand()
        return super().series(result)

    def succeeded(self) -> None:
        """Count a call that went well."""
        self.success += 1
        self.succeed()

    def note(self, result: str) -> None:
        """Count a call that did not, by the name of the number."""
        with _lock:
            setattr(self, result, getattr(self, result) + 1)
        self.count(result)

    def move(self, before: State, after: State) -> None:
        """Tell that the circuit has gone from one state to another."""
        self._stand().move(before, after)

    def _stand(self) -> Standing:
        if self._standing is None:
            with _lock:
                circuit = self._circuit
                self._standing = self._standing or Standing(
                    BREAKER_STATE, BREAKER_TRANSITIONS, lambda: circuit.state, State.CLOSED, known(self.name)
                )
        return self._standing

    def __repr__(self) -> str:
        numbers = ("failure", "neutral", "rejected", "slow", "success")
        return f"Calls({', '.join([f'{name}={getattr(self, name)}' for name in numbers])})"
