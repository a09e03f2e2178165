"""Forged by who has no key, but copies of what was sealed: what can be told is told."""

from __future__ import annotations

import os
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from asgi_guard import AuditLog
from asgi_guard.audit.heads import HEADS
from asgi_guard.audit.verify import Verdict, verify

KEY = "k" * 40

pytestmark = pytest.mark.skipif(os.name != "posix", reason="files of one user are those of POSIX")


class Log:
    """A log, and the notes beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heads = path.with_name(path.name + HEADS)

    def write(self, *, entries: int = 3, service: str = "") -> None:
        """Write a chain."""
        log = AuditLog(path=str(self.path), key=KEY, fsync=False, service=service)
        for number in range(entries):
            log.record("authn_login_fail", "failure", subject=f"u{number}")
        log.close(30)

    def copies(self) -> tuple[bytes, bytes]:
        """Return both files as they are now."""
        return self.path.read_bytes(), self.heads.read_bytes()

    def put_back(self, copies: tuple[bytes, bytes]) -> None:
        """Replace both files."""
        self.path.write_bytes(copies[0])
        self.heads.write_bytes(copies[1])

    def verdict(self, *heads: Path) -> Verdict:
        """Verify."""
        return verify([self.path], key=KEY.encode(), heads=heads or [self.heads])


@pytest.fixture
def log(tmp_path: Path) -> Log:
    """A log of two chains."""
    log = Log(tmp_path / "audit.jsonl")
    log.write()
    log.write()
    return log


def test_an_older_copy_of_the_file_is_told_by_the_notes(log: Log) -> None:
    """They know a chain that is not there."""
    older = log.path.read_bytes()
    log.write()
    log.path.write_bytes(older)

    assert [found.message for found in log.verdict().findings] == ["The whole chain is missing."]


def test_older_copies_of_both_are_told_by_a_copy_of_the_notes_elsewhere(log: Log, tmp_path: Path) -> None:
    """Alone they are as they once were, but for how old the last line is."""
    older, was = log.copies(), log.verdict().last
    log.write()
    elsewhere, now = tmp_path / "elsewhere", log.verdict().last
    elsewhere.write_bytes(log.heads.read_bytes())
    log.put_back(older)

    assert (log.verdict().findings, log.verdict().last, was < now) == ([], was, True)
    assert [found.fault for found in log.verdict(elsewhere).findings] == ["cut off"]
    log.write()  # and it goes on being told
    assert [found.fault for found in log.verdict(log.heads, elsewhere).findings] == ["cut off"]


def test_older_copies_that_are_put_in_place_while_it_is_written_are_told(tmp_path: Path) -> None:
    """The chain goes on where it was."""
    log = Log(tmp_path / "audit.jsonl")
    written: Queue[Any] = Queue()
    writer = AuditLog(path=str(log.path), key=KEY, fsync=False, sinks=[written.put])
    taken: list[tuple[bytes, bytes]] = []
    for _ in range(3):
        writer.record("authn_login_fail", "failure", subject="u7")
        while written.get(timeout=60)["event"] != "authn_login_fail":
            pass
        taken.append(log.copies())
    log.put_back(taken[0])
    writer.record("authn_login_fail", "failure", subject="u8")
    writer.close(30)

    assert [found.fault for found in log.verdict().findings] == ["missing"]


@pytest.mark.parametrize("first", [True, False])
def test_a_chain_of_another_log_with_the_same_key_is_told_as_one_that_no_note_knows(
    log: Log, tmp_path: Path, first: bool
) -> None:
    """Its lines are as they were written; they were written elsewhere."""
    other = Log(tmp_path / "other.jsonl")
    other.write(service="other")
    ours, theirs = log.path.read_bytes(), other.path.read_bytes()
    log.path.write_bytes(theirs + ours if first else ours + theirs)

    found = log.verdict()
    assert (found.findings, len(found.unnoted), len(found.places)) == ([], 1, 2)
    assert any(place.startswith("other@") for place in found.places)


def test_chains_cannot_be_spliced(log: Log, tmp_path: Path) -> None:
    """The lines of one behind those of the other."""
    lines = log.path.read_bytes().splitlines(keepends=True)
    names = [line[line.index(b'"chain":"') :][9:25] for line in lines]
    one, other = dict.fromkeys(names)
    changed = [
        line.replace(other, one) if name == other else line for line, name in zip(lines, names, strict=True)
    ]  # fmt: skip
    log.path.write_bytes(b"".join(changed))

    assert {found.fault for found in log.verdict().findings} == {"changed", "cut off"}


def test_a_note_that_was_taken_out_is_told(log: Log) -> None:
    """With which the end of the last chain would go unseen."""
    lines, notes = (text.splitlines(keepends=True) for text in log.copies())
    log.put_back((b"".join(lines[:-2]), b"".join(notes[:-1])))

    found = log.verdict()
    assert (found.findings, len(found.unnoted), len(found.open_ended)) == ([], 1, 1)


def test_the_notes_of_another_log_are_told(log: Log, tmp_path: Path) -> None:
    """Their chains are missing here, and the last one of ours is none of theirs."""
    other = Log(tmp_path / "other.jsonl")
    other.write()

    found = log.verdict(other.heads)
    assert ([one.fault for one in found.findings], len(found.unnoted)) == (["cut off"], 1)


@pytest.mark.parametrize("field", ["host", "pid", "service", "time", "chain"])
def test_who_wrote_a_line_and_when_cannot_be_changed(tmp_path: Path, field: str) -> None:
    """All of it is sealed."""
    log = Log(tmp_path / "audit.jsonl")
    log.write(service="shop")
    text = log.path.read_bytes()
    at = text.index(f'"{field}":'.encode()) + len(field) + 4
    log.path.write_bytes(text[:at] + (b"7" if text[at : at + 1] != b"7" else b"8") + text[at + 1 :])

    assert not log.verdict().is_sound
