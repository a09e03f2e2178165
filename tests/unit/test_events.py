"""What an event tells, and what a listener can and cannot break."""

from __future__ import annotations

import copy
import logging
import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from asgi_guard.events import (
    ErrorAnswered,
    Event,
    RequestAllowed,
    RequestRefused,
    RequestWouldBeRefused,
    announce,
    hear,
    notify,
)

WHERE: dict[str, Any] = {"layer": "rate_limit", "scope_type": "http", "method": "GET", "path": "/"}
REFUSAL: dict[str, Any] = WHERE | {"status": 429, "code": "RATE_LIMIT_EXCEEDED", "reason": "Too many requests."}
EVENTS = [
    Event(**WHERE),
    RequestAllowed(**WHERE),
    RequestRefused(**REFUSAL, details={"policy": "default"}),
    RequestWouldBeRefused(**REFUSAL),
    ErrorAnswered(**WHERE, exception="ZeroDivisionError", status=500, code="INTERNAL_ERROR"),
]


def name(event: Event) -> str:
    """Name a case after its class."""
    return type(event).__name__


class TestEvent:
    """An event is bounded, unchangeable data."""

    @pytest.mark.parametrize(
        ("field", "bound"),
        [("method", 32), ("path", 256), ("client", 64), ("request_id", 128)],
    )
    def test_what_a_client_wrote_is_cut_to_its_bound(self, field: str, bound: int) -> None:
        """A log line has a size that no attacker chooses."""
        at_the_bound = "x" * bound

        assert getattr(Event(**WHERE | {field: at_the_bound}), field) == at_the_bound
        assert getattr(Event(**WHERE | {field: at_the_bound + "y"}), field) == at_the_bound

    @pytest.mark.parametrize("event", EVENTS, ids=name)
    def test_it_cannot_be_changed(self, event: Event) -> None:
        """One listener cannot tell the next one something else."""
        with pytest.raises(FrozenInstanceError):
            event.path = "/other"  # type: ignore[misc]

    @pytest.mark.parametrize("event", EVENTS, ids=name)
    def test_it_takes_no_further_attribute(self, event: Event) -> None:
        """It has slots: a million of them stay small."""
        assert not hasattr(event, "__dict__")

    @pytest.mark.parametrize("event", EVENTS, ids=name)
    def test_it_may_travel(self, event: Event) -> None:
        """A listener may hand it to another process."""
        assert pickle.loads(pickle.dumps(event)) == copy.copy(event) == event

    def test_its_arguments_have_names(self) -> None:
        """Six strings in a row would be mixed up."""
        with pytest.raises(TypeError):
            Event("rate_limit", "http", "GET", "/")  # type: ignore[misc]

    def test_what_would_be_refused_is_not_refused(self) -> None:
        """A listener that counts refusals does not count shadow mode."""
        assert not isinstance(RequestWouldBeRefused(**REFUSAL), RequestRefused)

    def test_refusals_share_no_details(self) -> None:
        """The default is a fresh mapping each time."""
        assert RequestRefused(**REFUSAL).details is not RequestRefused(**REFUSAL).details


class TestNotify:
    """Listeners are called one after the other, whatever one of them does."""

    def test_every_listener_gets_the_event(self) -> None:
        """In their order."""
        got: list[tuple[str, Event]] = []
        event = RequestAllowed(**WHERE)

        notify([lambda e: got.append(("first", e)), lambda e: got.append(("second", e))], event)

        assert got == [("first", event), ("second", event)]

    def test_one_that_raises_stops_neither_the_others_nor_the_request(self) -> None:
        """Its next event still reaches it."""
        got: list[Event] = []

        def broken(event: Event) -> None:
            got.append(event)
            raise ZeroDivisionError

        event = RequestAllowed(**WHERE)
        notify([broken, got.append], event)
        notify([broken, got.append], event)

        assert got == [event] * 4

    def test_one_that_raises_is_reported_once_with_its_traceback(self, caplog: pytest.LogCaptureFixture) -> None:
        """A broken listener does not fill the disk."""

        def broken(event: Event) -> None:
            raise ZeroDivisionError

        def broken_too(event: Event) -> None:
            raise KeyError

        for _ in range(3):
            notify([broken, broken_too], RequestAllowed(**WHERE))

        assert [(record.name, record.levelno) for record in caplog.records] == [
            ("asgi_guard.events", logging.ERROR)
        ] * 2
        assert [record.exc_info[0] for record in caplog.records if record.exc_info] == [ZeroDivisionError, KeyError]
        assert "broken" in caplog.text
        assert "RequestAllowed" in caplog.text

    def test_a_listener_of_any_kind_may_fail(self, caplog: pytest.LogCaptureFixture) -> None:
        """It need be neither hashable nor weakly referenceable."""

        class Odd:
            __slots__ = ()
            __hash__ = None  # type: ignore[assignment]

            def __call__(self, event: Event) -> None:
                raise ZeroDivisionError

        odd = Odd()
        notify([odd, odd], RequestAllowed(**WHERE))

        assert len(caplog.records) == 1

    def test_only_the_last_64_failures_are_remembered(self, caplog: pytest.LogCaptureFixture) -> None:
        """An application that makes a listener for each request does not leak them; the oldest may be told again."""

        def broken() -> Any:
            def listener(event: Event) -> None:
                raise ZeroDivisionError

            return listener

        listeners = [broken() for _ in range(65)]
        notify(listeners, RequestAllowed(**WHERE))
        notify([listeners[-1], listeners[0]], RequestAllowed(**WHERE))

        assert len(caplog.records) == 66

    @pytest.mark.parametrize("signal", [KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_what_is_no_exception_goes_through(self, signal: type[BaseException]) -> None:
        """A cancellation or a Ctrl-C is not a fault of the listener."""

        def interrupted(event: Event) -> None:
            raise signal

        with pytest.raises(signal):
            notify([interrupted], RequestAllowed(**WHERE))


class TestAnnounce:
    """What belongs to no request is told to whoever hears everything of the process, too."""

    def test_everybody_is_told_once(self) -> None:
        """Also who listens twice."""
        own: list[Event] = []
        everything: list[Event] = []
        tell_own, tell_everything = own.append, everything.append
        end = hear(tell_everything)
        try:
            announce([tell_own, tell_everything], EVENTS[0])
        finally:
            end()

        assert (own, everything) == ([EVENTS[0]], [EVENTS[0]])

    def test_who_has_ended_is_told_no_more(self) -> None:
        """And may end twice."""
        told: list[Event] = []
        end = hear(told.append)
        end()
        end()

        announce((), EVENTS[0])

        assert told == []

    def test_a_listener_that_fails_keeps_nobody_from_hearing(self, caplog: pytest.LogCaptureFixture) -> None:
        """As everywhere."""
        told: list[Event] = []

        def fails(event: Event) -> None:
            raise OSError(event.layer)

        ends = hear(fails), hear(told.append)
        announce((), EVENTS[0])
        for end in ends:
            end()

        assert told == [EVENTS[0]]
