"""Attempts: one call through a circuit breaker, in a `with` block."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from asgi_guard.resilience.circuit import Permit

if TYPE_CHECKING:
    from asgi_guard.resilience.breaker import CircuitBreaker


class Attempt:
    """One call through a circuit breaker, as a context manager for `with` or `async with`.

    Attributes:
        breaker: the circuit breaker.
    """

    __slots__ = ("_began_ns", "_permit", "breaker")

    def __init__(self, breaker: CircuitBreaker) -> None:
        self.breaker: CircuitBreaker = breaker

    def __enter__(self) -> None:
        self.breaker.check_plain()
        self._begin(self.breaker.enter_plain())

    async def __aenter__(self) -> None:
        self._begin(await self.breaker.enter())

    def __exit__(self, _: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.breaker.leave(self._permit, self._began_ns, exc)

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, exc, tb)

    def _begin(self, permit: Permit) -> None:
        self._permit: Permit = permit
        self._began_ns: int = self.breaker.now_ns()
