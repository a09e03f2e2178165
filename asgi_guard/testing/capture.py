"""Capture: a listener that remembers what layers told, for a test to look at.

Rule 1: it holds the events as they are, in the order in which they came, and changes none.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from asgi_guard.events import Event

EventT = TypeVar("EventT", bound=Event)


class CapturedEvents:
    """A listener, and the events that it was told, in order."""

    __slots__ = ("_events",)

    def __init__(self) -> None:
        self._events: list[Event] = []

    def __call__(self, event: Event) -> None:
        """Be told an event."""
        self._events.append(event)

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def __len__(self) -> int:
        return len(self._events)

    def __repr__(self) -> str:
        return f"CapturedEvents({self._events!r})"

    def of(self, event_type: type[EventT]) -> list[EventT]:
        """Return the events of one type, in order."""
        return [event for event in self._events if isinstance(event, event_type)]

    def clear(self) -> None:
        """Forget what was told so far."""
        self._events.clear()


def capture_events() -> CapturedEvents:
    """Make a listener that remembers what it is told, for the `listeners` of a guard or of one part."""
    return CapturedEvents()
