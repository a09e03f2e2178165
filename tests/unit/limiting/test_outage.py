"""Outages of a store: what the log says of them, whoever has noticed."""

from __future__ import annotations

from asgi_guard.limiting.outage import Outage


def test_of_an_outage_that_nobody_was_told_of_nobody_is_told_the_end(caplog) -> None:
    """A circuit may be closed that was opened by hand, and no call has failed."""
    outage = Outage("store", lambda: {"open"})
    outage.end()
    assert not caplog.records
    outage.begin(TimeoutError())
    outage.end()
    outage.end()
    assert [record.getMessage() for record in caplog.records] == [
        "store does not answer (TimeoutError); until it does, everything is admitted",
        "store answers again",
    ]
