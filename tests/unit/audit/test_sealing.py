"""Entries that JSON cannot hold: each is written as far as it goes, and harms no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from asgi_guard import AuditLog
from asgi_guard.audit.entry import MAX_LINE, Entry
from asgi_guard.audit.verify import verify


def itself() -> dict[str, Any]:
    """Return what holds itself."""
    facts: dict[str, Any] = {"n": 1}
    facts["self"] = facts
    return facts


class Raises(dict[str, Any]):
    """A mapping whose database is gone."""

    def items(self) -> Any:
        """Raise."""
        raise OSError

    def __bool__(self) -> bool:
        """Raise."""
        raise OSError


@pytest.mark.parametrize(
    "fields",
    [
        {"facts": {"x": object()}},
        {"facts": {"x": float("nan"), "y": float("inf")}},
        {"facts": {"x": 10**5_000}},
        {"facts": itself()},
        {"facts": {"x": "\ud800"}},
        {"facts": {"x": "y" * 500_000}},
        {"facts": {1: 2, (1, 2): 3, None: {b"": b""}}},
        {"facts": Raises()},
        {"facts": 7},
        {"facts": json.loads("[" * 900 + "]" * 900)},
        {"time": float("nan")},
        {"time": 1e300},
        {"time": "now"},
        {"event": None},
        {"event": ["x"]},
        {"outcome": {1}},
        {"severity": object()},
        {"subject": object()},
        {"path": b"/a"},
        {"reason": "\udfff" * 9_000},
    ],
    ids=range(20),
)
def test_one_entry_that_cannot_be_written_harms_no_other(tmp_path: Path, fields: dict[str, Any]) -> None:
    """It stands there in a safe form; the others of its group as they are."""
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path=str(path), key="k" * 40)
    log.put(Entry(event="authz_fail", time=1.0, subject="before"))
    log.put(Entry(**{"event": "authz_fail", "time": 1.0, "layer": "odd", **fields}))
    log.put(Entry(event="authz_fail", time=1.0, subject="after"))
    log.close()

    lines = path.read_bytes().splitlines()
    told = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [one.get("subject") for one in told if one.get("layer") != "odd"] == [None, "before", "after", None]
    assert sum(one.get("layer") == "odd" for one in told) == 1
    assert max(map(len, lines)) < MAX_LINE
    assert log.lost == 0
    assert verify([path], key=b"k" * 40).findings == []


def test_what_was_left_out_is_named(tmp_path: Path) -> None:
    """So that nobody takes it for what was not there."""
    path = tmp_path / "audit.jsonl"
    log = AuditLog(path=str(path))
    log.put(Entry(event="authz_fail", time=1.0, subject=object(), reason="kept", facts={"token": object(), "n": 7}))  # type: ignore[arg-type]
    log.close()

    told = json.loads(path.read_bytes().splitlines()[1])
    assert (told["reason"], told["facts"], "subject" in told) == ("kept", {"token": "<hidden>", "n": 7}, False)
    assert told["unwritten"] == ["subject", "facts"]
