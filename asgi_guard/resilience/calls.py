"""What a circuit breaker counts for telemetry; nothing is decided by it."""

from __future__ import annotations


class Calls:
    """How many calls ended in which way, for telemetry; only ever added to.

    Threads that count at the same moment may lose one of the counts where Python runs without its global lock.

    Attributes:
        success: they succeeded.
        slow: they succeeded, and took too long.
        failure: they failed, whether slow or not.
        neutral: they were cancelled, or refused further in.
        rejected: they were not made, since the circuit was open.
    """

    __slots__ = ("failure", "neutral", "rejected", "slow", "success")

    def __init__(self) -> None:
        self.success: int = 0
        self.slow: int = 0
        self.failure: int = 0
        self.neutral: int = 0
        self.rejected: int = 0

    def __repr__(self) -> str:
        return f"Calls({', '.join([f'{name}={getattr(self, name)}' for name in sorted(self.__slots__)])})"
