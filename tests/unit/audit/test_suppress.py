"""Suppression: nobody fills a disk with refusals, and nothing that was left out is left out in silence."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from asgi_guard import Audit, AuditLog
from asgi_guard.audit.entry import Entry
from asgi_guard.audit.suppress import MAX_KINDS, SECOND, Suppressor
from asgi_guard.audit.writer import Writer
from asgi_guard.monitor.names import AUDIT_ENTRIES
from asgi_guard.monitor.process import aggregate_of_process
from asgi_guard.testing import ManualClock


def refusal(layer: str | None = "rate_limit", reason: str = "Too many requests.", **fields: Any) -> Entry:
    """Return what a layer tells."""
    given = {"event": "excess_rate_limit_exceeded", "outcome": "refused", "time": 1.0}
    return Entry(**{**given, "layer": layer, "reason": reason, **fields})


def counted() -> Counter[str]:
    """Return what metrics say of the entries, by the result."""
    points = aggregate_of_process().snapshot()
    return Counter({point.values[0]: int(point.value) for point in points if point.metric is AUDIT_ENTRIES})


def test_what_is_more_than_so_many_in_a_second_is_counted_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """By layer, event and reason; each second anew."""
    monkeypatch.setattr(Writer, "_start", lambda _: None)
    told: list[Any] = []
    clock = ManualClock()
    writer = Writer(Audit(sinks=[told.append], max_refusals_per_second=3), clock)
    before = counted()
    for _ in range(10):
        writer.put(refusal())
    for _ in range(2):
        writer.put(refusal(reason="Another."))
    writer.has_ended()
    assert [one["event"] for one in told].count("excess_rate_limit_exceeded") == 5
    clock.advance(1.1)
    writer.put(refusal())
    writer.has_ended()

    (said,) = [one["facts"] for one in told if one["event"] == "audit_suppressed"]
    assert said == {
        "entries": 7,
        "of": "excess_rate_limit_exceeded",
        "by": "rate_limit",
        "why": "Too many requests.",
    }
    assert counted() - before == {"written": len(told), "suppressed": 7}


@pytest.mark.parametrize(
    "entry",
    [refusal(layer=None), refusal(outcome="failure"), refusal(event="guard_banned", outcome="success")],
    ids=["the application's", "a failure", "a ban"],
)
def test_what_is_no_refusal_is_written_however_much_there_is(entry: Entry) -> None:
    """Nobody hides a login behind refusals."""
    suppressor = Suppressor(1)

    assert all(suppressor.admits(entry, 0) for _ in range(100))
    assert not suppressor


def test_kinds_are_bounded() -> None:
    """What comes after 256 of them is counted together."""
    suppressor = Suppressor(1)
    for number in range(10 * MAX_KINDS):
        suppressor.admits(refusal(reason=str(number)), 0)

    assert not suppressor.is_due(0)
    assert suppressor.is_due(SECOND)
    (kind,) = suppressor.taken()
    assert kind.layer == "_OTHER"
    assert suppressor.total == 10 * MAX_KINDS - MAX_KINDS - 1


def test_without_a_bound_all_is_written() -> None:
    """For who would rather fill the disk."""
    suppressor = Suppressor(None)

    assert all(suppressor.admits(refusal(), 0) for _ in range(1_000))


def test_what_was_suppressed_is_said_at_the_end(tmp_path: Path) -> None:
    """Also where nothing follows."""
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path=str(path), max_refusals_per_second=1)
    for _ in range(5):
        log.put(refusal())
    log.close()

    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert lines[-1]["event"] == "audit_end"
    assert [line["facts"]["entries"] for line in lines if line["event"] == "audit_suppressed"] == [4]
