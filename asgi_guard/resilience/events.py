"""What circuit breakers, retries and recoveries tell: events that belong to no request.

They are `asgi_guard.events.Event`s, so that the same listeners serve, and the fields of a request in them are empty.
Must never hold the arguments of a call or the text of an exception: secrets stand in both.
"""

from __future__ import annotations

from dataclasses import dataclass

from asgi_guard.events import Event
from asgi_guard.resilience.circuit import State


@dataclass(frozen=True, slots=True, kw_only=True)
class ResilienceEvent(Event):
    """Something that happened to a call.

    Attributes:
        name: of the circuit, the retries or the recovery that tells it.
    """

    layer: str = "resilience"
    scope_type: str = ""
    method: str = ""
    path: str = ""
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitChanged(ResilienceEvent):
    """A circuit breaker went from one state to another.

    Attributes:
        before: the state that it left.
        after: the state that it is in.
        shared: another replica did, and this one follows.
    """

    before: State
    after: State
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryScheduled(ResilienceEvent):
    """A call failed and will be tried again.

    Attributes:
        retry: which one this will be, from 1.
        delay_seconds: how long it waits before.
        exception: the name of the class of what was raised.
    """

    retry: int
    delay_seconds: float
    exception: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RetriesEnded(ResilienceEvent):
    """A call failed and will not be tried again.

    Attributes:
        reason: why, as `asgi_guard.resilience.decision.RULES` names it.
        attempts: how many there were.
        exception: the name of the class of what was raised.
    """

    reason: str
    attempts: int
    exception: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryActed(ResilienceEvent):
    """An action of a recovery was run.

    Attributes:
        action: which one, such as `reconnect`.
        succeeded: whether it returned in time.
        seconds: how long it took.
        exception: the name of the class of what it raised; None where it succeeded.
    """

    action: str
    succeeded: bool
    seconds: float
    exception: str | None = None
