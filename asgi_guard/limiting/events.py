"""What rate limits tell of each decision, besides what every layer tells of its refusals; and who is told of a store.

Must never hold a key: it may be a secret, or name a person. Must never keep a layer alive that nobody needs any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias
from weakref import WeakSet

from asgi_guard.events import Event, Listener, notify

Result: TypeAlias = Literal["admitted", "refused", "would_refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitDecided(Event):
    """A policy has admitted a request or a message, or has not.

    Attributes:
        policy: the name of the policy.
        result: `"admitted"`; `"refused"`; or `"would_refuse"` where the policy is a shadow. A request that another
            policy refuses is told of those that refuse it alone.
        backend: where it was counted: `"memory"`, `"redis"`, `"limits"`, or what another store calls itself.
        degraded: the backend could not be asked, and `on_failure` has decided.
    """

    policy: str
    result: Result
    backend: str
    degraded: bool = False


class Listening(Protocol):
    """What counts in a store, and has listeners.

    Attributes:
        listeners: who is told.
    """

    listeners: tuple[Listener, ...]


class Audience:
    """A listener that passes on what happens to a store: to its own listeners, and to those of all who count in it.

    Args:
        listeners: the store's own.

    Attributes:
        counting: those who count in it.
    """

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._listeners = tuple(listeners)
        self.counting: WeakSet[Listening] = WeakSet()

    def __call__(self, event: Event) -> None:
        """Tell each of them once."""
        everybody = *self._listeners, *[listener for one in self.counting for listener in one.listeners]
        notify({id(listener): listener for listener in everybody}.values(), event)
