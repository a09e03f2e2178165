"""Workers that share a file, and what a killed one leaves behind: told as what it is, and hiding nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from asgi_guard import AuditLog
from asgi_guard.audit.chain import opened
from asgi_guard.audit.file import LogFile
from asgi_guard.audit.heads import HEADS, MOST
from asgi_guard.audit.verify import Verdict, verify

KEY = "k" * 40
PIECE = b'{"v":1,"time":"2026-01-01T00:00:00.000000Z","event":"authn_login_fail","sub'

pytestmark = pytest.mark.skipif(os.name != "posix", reason="files of one user are those of POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log stands."""
    return tmp_path / "audit.jsonl"


def write(path: Path, *subjects: str, **fields: Any) -> None:
    """Write a chain."""
    log = AuditLog(path=str(path), key=KEY, fsync=False, **fields)
    for subject in subjects or ("u",):
        log.record("authn_login_fail", "failure", subject=subject)
    log.close(30)


def verdict(path: Path, **options: Any) -> Verdict:
    """Verify, with the notes that are there."""
    heads = path.with_name(path.name + HEADS)
    return verify([path], key=KEY.encode(), heads=[heads] if heads.exists() else [], **options)


def chain_of(line: bytes) -> str:
    """Return the chain of a line."""
    name: str = json.loads(line)["chain"]
    return name


@pytest.mark.long
def test_four_processes_leave_no_blank_line_and_no_mix(path: Path) -> None:
    """Each looks at the end of the file, and writes there, alone: group after group, as small as they come."""
    program = f"""
import sys
from asgi_guard.audit.file import LogFile
file = LogFile({str(path)!r}, fsync=False)
for number in range(3_000):
    with file.locked():
        begin = b"\\n" if file.torn() is not None else b""
        file.append([b"%s:%d\\n" % (sys.argv[1].encode(), number)] * 3, begin=begin)
"""
    workers = [subprocess.Popen([sys.executable, "-c", program, str(worker)]) for worker in range(4)]
    assert [worker.wait(120) for worker in workers] == [0] * 4

    lines = path.read_bytes().split(b"\n")
    assert lines.pop() == b""
    assert len(lines) == 4 * 3_000 * 3
    assert b"" not in lines


def test_a_lock_that_somebody_holds_stops_nobody_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a child that has the file of its parent."""
    monkeypatch.setattr("asgi_guard.audit.file.LOCK_SECONDS", 0.05)
    one, other = LogFile(str(path), fsync=False), LogFile(str(path), fsync=False)
    with one.locked(), pytest.raises(BlockingIOError), other.locked():
        pass
    with other.locked():
        pass
    one.close()
    other.close()


@pytest.mark.parametrize("attempt", range(3))
def test_who_is_killed_among_others_has_torn_no_more_than_a_line(path: Path, attempt: int) -> None:
    """The others go on, another one starts, and the log is as it was written."""
    program = f"""
from asgi_guard import AuditLog
log = AuditLog(path={str(path)!r}, key={KEY!r}, fsync=False, max_waiting=1_000_000)
print(flush=True)
while True:
    log.record("authn_login_fail", filler="x" * 4_000)
"""
    worker = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert worker.stdout is not None
    worker.stdout.readline()
    write(path, *map(str, range(150 + 50 * attempt)))
    worker.send_signal(signal.SIGKILL)
    worker.stdout.close()
    worker.wait()
    with path.open("ab") as file:
        file.write(PIECE)  # the kernel tears a line hardly ever; the machine does
    assert verdict(path).torn == 1
    write(path, "after")

    found = verdict(path)
    assert (found.findings, found.torn, found.lost_at_most) == ([], 1, 100)


def test_pieces_that_two_killed_processes_left_are_both_told_of(path: Path) -> None:
    """The second one was killed while it told of the first."""
    write(path)
    with path.open("ab") as file:
        file.write(PIECE + b"\n" + PIECE[:30])
    write(path)

    assert (verdict(path).findings, verdict(path).torn) == ([], 2)


@pytest.mark.parametrize(
    "crafted",
    [
        PIECE + b"\n",
        b'{"v":1,"event":"authn_login_success"}\n',
        b'{"v":1,"event":"authn_login_success"}',
        b'{"v":1,"event":"authn_login_success"}\n{"v":1,"ti',
        b"hello",
        b"\n",
    ],
)
def test_a_crafted_piece_is_told(path: Path, crafted: bytes) -> None:
    """Also where another process has written behind it: what is complete lacks its code, and what is not is no end."""
    write(path)
    with path.open("ab") as file:
        file.write(crafted)
    write(path)

    assert not verdict(path).is_sound


def test_a_crafted_piece_hides_no_deletion(path: Path) -> None:
    """What stood in its place is missing from its chain all the same."""
    write(path, *map(str, range(20)))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:7]) + PIECE)
    write(path)

    found = verdict(path)
    assert [one.fault for one in found.findings] == ["cut off"]
    path.with_name(path.name + HEADS).unlink()
    assert not verdict(path).is_sound  # the next chain tells of this one


def test_a_chain_that_is_gone_with_its_notes_is_told_by_the_next_one(path: Path) -> None:
    """And so is its end."""
    for _ in range(3):
        write(path)
    lines = path.read_bytes().splitlines(keepends=True)
    gone = chain_of(lines[3])
    path.write_bytes(b"".join(line for line in lines if chain_of(line) != gone))
    path.with_name(path.name + HEADS).unlink()

    (found,) = verdict(path).findings
    assert (found.fault, found.chain, found.message) == ("cut off", gone, "The whole chain is missing.")

    path.write_bytes(b"".join(line for line in lines if line != lines[5]))
    assert [one.fault for one in verdict(path).findings] == ["cut off"]


def test_a_whole_chain_that_was_forged_passes_nowhere(path: Path) -> None:
    """Not from the middle either, with a checkpoint or without one."""
    write(path, *map(str, range(5)))
    forger = AuditLog(path=str(path.with_name("forged")), key="g" * 40)
    forger.record("authn_login_success", "success", subject="root")
    forger.record("authn_login_success", "success", subject="root")
    forger.close()
    forged = path.with_name("forged").read_bytes().splitlines(keepends=True)
    original = path.read_bytes()
    for piece in (forged, forged[1:], forged[1:2], forged[2:]):
        path.write_bytes(original + b"".join(piece))

        assert not verdict(path, from_the_middle=True).is_sound, piece


def test_from_the_middle_lines_are_consecutive_before_the_first_checkpoint_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first alone is counted as one that nothing vouches for."""
    monkeypatch.setattr("asgi_guard.audit.sealing.CHECKPOINT_LINES", 20)
    write(path, *map(str, range(30)))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[10:]))
    found = verdict(path, from_the_middle=True)
    assert (found.findings, found.unverified, found.lines) == ([], 1, len(lines) - 11)

    for changed in (
        [*lines[10:12], *lines[13:]],
        [lines[10], lines[11].replace(b'"1', b'"x'), *lines[12:]],
        lines[25:],
    ):
        path.write_bytes(b"".join(changed))
        assert not verdict(path, from_the_middle=True).is_sound


def test_the_notes_are_bounded_and_stay_those_of_this_user(path: Path) -> None:
    """One line for each chain; what cannot be read is kept, and told."""
    heads = path.with_name(path.name + HEADS)
    heads.touch(0o600)
    heads.write_bytes(b"garbage\n" * 5_000 + b"x" * 100_000 + b"\n")
    for _ in range(3):
        write(path)

    lines = heads.read_bytes().splitlines()
    assert len(lines) <= 2 * MOST
    assert max(map(len, lines)) < 512
    assert heads.stat().st_mode & 0o777 == 0o600
    assert {found.fault for found in verdict(path).findings} == {"heads"}
    assert sum(b'"chain"' in line for line in lines) == 3


def test_what_sinks_are_told_is_the_line(path: Path) -> None:
    """With its code, so that a copy elsewhere can be verified, checkpoints and all."""
    told: list[Any] = []
    log = AuditLog(path=str(path), key=KEY, sinks=[told.append])
    log.record("authn_login_fail", subject="u")
    log.close()

    lines = path.read_bytes().splitlines()
    assert [json.loads(line) for line in lines] == told
    assert all(opened(line) for line in lines)
