"""A listener that remembers."""

from __future__ import annotations

from asgi_guard.events import Event, RequestAllowed, RequestRefused, notify
from asgi_guard.testing import capture_events

ABOUT = {"layer": "rate_limit", "scope_type": "http", "method": "GET", "path": "/"}
ALLOWED = RequestAllowed(**ABOUT)
REFUSED = RequestRefused(**ABOUT, status=429, code="RATE_LIMIT_EXCEEDED", reason="Too many requests.")


def test_it_keeps_what_it_is_told_in_order() -> None:
    """By type, where a test asks for one."""
    events = capture_events()

    for event in (ALLOWED, REFUSED, ALLOWED):
        notify([events], event)

    assert list(events) == [ALLOWED, REFUSED, ALLOWED]
    assert len(events) == 3
    assert events.of(RequestRefused) == [REFUSED]
    assert events.of(RequestAllowed) == [ALLOWED, ALLOWED]
    assert events.of(Event) == list(events)
    assert "RATE_LIMIT_EXCEEDED" in repr(events)


def test_it_can_forget() -> None:
    """A test with two parts looks at the second alone."""
    events = capture_events()
    notify([events], ALLOWED)

    events.clear()

    assert len(events) == 0
    assert not events.of(RequestAllowed)
