"""Rotation: a file that is full becomes the youngest of the older ones, and chains go on over all of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from asgi_guard import Audit
from asgi_guard.audit.entry import Entry
from asgi_guard.audit.file import generations
from asgi_guard.audit.heads import HEADS
from asgi_guard.audit.reading import with_generations
from asgi_guard.audit.verify import Verdict, verify
from asgi_guard.audit.writer import Writer
from asgi_guard.cli import main
from asgi_guard.testing import ManualClock

KEY = "k" * 40
SIZE = 65_536

pytestmark = pytest.mark.skipif(os.name != "posix", reason="files of one user are those of POSIX")


@pytest.fixture(autouse=True)
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the thread out: the test takes its steps."""
    monkeypatch.setattr(Writer, "_start", lambda _: None)


def rotated(path: Path, *, groups: int = 12, workers: int = 2, keep: int = 10) -> None:
    """Write a log of several generations, by several workers."""
    settings = Audit(path=str(path), key=KEY, fsync=False, max_bytes=SIZE, keep=keep)
    writers = [Writer(settings, ManualClock()) for _ in range(workers)]
    for number in range(groups):
        writer = writers[number % workers]
        for _ in range(100):
            writer.put(Entry(event="authn_login_fail", time=1.0, subject="u" * 100))
        writer.has_ended()
    for writer in writers:
        writer._is_ending = True
        while not writer.has_ended():
            pass


def verdict(path: Path) -> Verdict:
    """Verify, with all that stands beside it."""
    heads = path.with_name(path.name + HEADS)
    return verify(with_generations([path]), key=KEY.encode(), heads=[heads] if heads.exists() else [])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log stands."""
    return tmp_path / "audit.jsonl"


def test_a_log_of_several_generations_is_one(path: Path) -> None:
    """None is longer than it may be by more than one group."""
    rotated(path)

    assert len(generations(path)) >= 3
    assert max(one.stat().st_size for one in generations(path).values()) < SIZE + 64_000
    assert verdict(path).findings == []
    assert verdict(path).lines > 1_200


def test_the_oldest_are_removed_and_that_is_no_finding(path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """Who comes later, and restarts, finds the number of the generation."""
    for _ in range(3):
        rotated(path, keep=2)

    assert sorted(generations(path)) == [1, 2]
    assert verdict(path).findings == []
    monkeypatch.setenv("ASGI_GUARD_AUDIT__KEY", KEY)
    assert main(["audit", "verify", str(path)]) == 0
    capsys.readouterr()


@pytest.mark.parametrize("keep", [2, 10])
@pytest.mark.parametrize("with_notes", [True, False])
@pytest.mark.parametrize("gone", ["youngest", "oldest", "middle"])
def test_a_generation_that_is_gone_is_told(path: Path, gone: str, keep: int, with_notes: bool) -> None:
    """With the notes or without them."""
    rotated(path, keep=keep)
    older = generations(path)
    {"youngest": path, "oldest": older[max(older)], "middle": older[1]}[gone].unlink()
    if with_notes:
        path.with_name(path.name + HEADS).unlink()

    findings = verdict(path).findings

    assert findings
    if gone == "youngest":
        assert any("of the file, which came next, is missing" in found.message for found in findings)


def test_where_it_cannot_be_moved_the_file_grows(path: Path, caplog, monkeypatch: pytest.MonkeyPatch) -> None:
    """No entry is lost for that."""
    rotated(path, groups=4, workers=1)

    def refuses(*_: object) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr(Path, "unlink", refuses)
    before = verdict(path).lines
    rotated(path, groups=4, workers=1, keep=1)

    assert verdict(path).lines > before + 400
    assert "cannot be moved away" in caplog.text


def test_names_that_only_look_like_generations_are_left_alone(path: Path) -> None:
    """Such as what somebody has compressed, or a copy."""
    for name in ("audit.jsonl.heads", "audit.jsonl.1.gz", "audit.jsonl.²", "audit.jsonl.99999999999", "other.1"):
        path.with_name(name).touch()

    assert generations(path) == {}
