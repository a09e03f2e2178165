"""Sound: what nobody could use of an error is put right, and said once; what looks misspelt is said too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asgi_guard.errors.exceptions import GuardError, seconds_of
from asgi_guard.errors.problem import fault_from_exception
from asgi_guard.errors.ready import NotFoundError
from asgi_guard.testing import ManualClock


class UnreadableError(GuardError):
    """Fails when it is asked for its details."""

    @property
    def details(self) -> Any:  # type: ignore[override]
        """Fail."""
        raise ValueError("secret")


@pytest.mark.parametrize(
    ("field", "given", "told"),
    [
        ("status", 200, ("status", 500)),
        ("status", "404", ("status", 500)),
        ("status", 600, ("status", 500)),
        ("error_code", "A\r\nB", ("code", "NOT_FOUND")),
        ("error_code", "\x00", ("code", "NOT_FOUND")),
        ("error_code", 7, ("code", "NOT_FOUND")),
        ("error_code", " ", ("code", "NOT_FOUND")),
        ("category", "nope", ("category", "system")),
        ("category", ["database"], ("category", "system")),
        ("severity", "awful", ("severity", "medium")),
        ("details", ["a"], ("details", {})),
        ("retry_after", "60", ("retry_after", None)),
        ("retry_after", -1, ("retry_after", None)),
        ("retry_after", True, ("retry_after", None)),
    ],
    ids=str,
)
def test_what_cannot_be_told_is_put_right_and_said_once(field, given, told, caplog) -> None:
    """By class and field, and never by its value."""
    odd: Any = type("OddError", (NotFoundError,), {field: given})

    faults = [fault_from_exception(odd()) for _ in range(2)]

    name, value = told
    assert [getattr(fault, name) for fault in faults] == [value] * 2
    (record,) = caplog.records
    assert (record.levelname, record.name) == ("WARNING", "asgi_guard")
    assert record.getMessage().startswith(f"OddError.{field} must be ")


def test_what_cannot_be_looked_at_is_not_told(caplog) -> None:
    """Nor does it keep the error from being answered."""
    with pytest.raises(ValueError, match="secret"):
        _ = UnreadableError().details

    assert fault_from_exception(UnreadableError(status=404)).details == {}
    assert "secret" not in caplog.text


def test_what_is_sound_is_not_talked_about(caplog) -> None:
    """Nor is an attribute of the application's own that resembles no field."""

    class OutOfStockError(NotFoundError):
        error_code = "OUT_OF_STOCK"
        severity = "low"  # type: ignore[assignment]
        article = "screw"
        retry_after = timedelta(minutes=1)

    fault = fault_from_exception(OutOfStockError())

    assert (fault.code, fault.severity, fault.retry_after) == ("OUT_OF_STOCK", "low", 60.0)
    assert caplog.records == []


def test_a_misspelt_attribute_is_said_once(caplog) -> None:
    """A subclass that states nothing, by mistake, would be answered as its parent."""

    class OutOfStockError(NotFoundError):
        error_cod = "OUT_OF_STOCK"
        suggestion = ("Come back on Monday.",)

        def retry_afters(self) -> None:
            """Be a method, which nobody takes for a field."""

    for _ in range(2):
        fault_from_exception(OutOfStockError())

    assert [record.getMessage().partition(", ")[2] for record in caplog.records] == [
        "did you mean 'error_code'? This is said once",
        "did you mean 'suggestions'? This is said once",
    ]


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        (None, None),
        (0, 0.0),
        (1.5, 1.5),
        (timedelta(minutes=2), 120.0),
        (timedelta(seconds=-1), None),
        (datetime(1970, 1, 1, 0, 1, 40, tzinfo=UTC), 100.0),
        (datetime(1969, 1, 1, tzinfo=UTC), 0.0),
        (True, None),
        ("60", None),
        (float("nan"), None),
        (float("inf"), 1e10),
        (10**400, 1e10),
    ],
    ids=str,
)
def test_a_wait_is_said_in_seconds_or_as_python_says_a_time(wait, seconds) -> None:
    """What is neither is no wait."""
    assert seconds_of(wait, ManualClock(unix_seconds=0)) == seconds
