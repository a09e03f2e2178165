"""The writer: nothing goes missing in silence, nobody waits for a disk, and workers share a file."""

from __future__ import annotations

import json
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asgi_guard import Audit, AuditLog, ConfigError
from asgi_guard.audit import Entry
from asgi_guard.audit import sealing as sealing_module
from asgi_guard.audit import writer as writer_module
from asgi_guard.audit.file import LogFile
from asgi_guard.audit.heads import HEADS
from asgi_guard.audit.verify import verify
from asgi_guard.audit.writer import Writer
from asgi_guard.testing import ManualClock

KEY = "k" * 40

pytestmark = pytest.mark.skipif(os.name != "posix", reason="files of one user are those of POSIX")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log stands."""
    return tmp_path / "audit.jsonl"


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the thread out: the test takes its steps."""
    monkeypatch.setattr(Writer, "_start", lambda _: None)


def lines(path: Path) -> list[dict[str, Any]]:
    """Read a log."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def own(path: Path) -> list[str]:
    """Return what the application has written: the subjects."""
    return [told["subject"] for told in lines(path) if "subject" in told]


def is_sound(path: Path, *more: Path) -> bool:
    """Tell whether a log is as it was written."""
    return verify([*more, path], key=KEY.encode(), heads=[path.with_name(path.name + HEADS)]).is_sound


def entry(subject: str = "u7") -> Entry:
    """Return an entry."""
    return Entry(event="authn_login_fail", time=1.0, subject=subject)


def test_what_is_recorded_stands_in_the_file(path: Path) -> None:
    """Between a start and an end, sealed, for this user alone."""
    log = AuditLog(path=str(path), key=KEY, service="shop")
    log.record("authn_login_fail", "failure", subject="u7", reason="bad password", tries=3, password="p")
    log.close()

    start, told, end = lines(path)
    assert [start["event"], told["event"], end["event"]] == ["audit_start", "authn_login_fail", "audit_end"]
    assert told["facts"] == {"tries": 3, "password": "<hidden>"}
    assert (told["service"], told["pid"], told["seq"], told["chain"]) == ("shop", os.getpid(), 1, start["chain"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert is_sound(path)


def test_a_log_that_was_closed_begins_another_chain(path: Path) -> None:
    """A lifespan may start again."""
    log = AuditLog(path=str(path), key=KEY)
    for number in range(3):
        log.record("authn_login_success", "success", subject=f"u{number}")
        log.close()

    assert own(path) == ["u0", "u1", "u2"]
    assert len({told["chain"] for told in lines(path)}) == 3
    assert is_sound(path)


@pytest.mark.parametrize(
    ("event", "fields", "said"),
    [
        ("authn_login_failed", {}, "Did you mean 'authn_login_fail'"),
        ("audit_end", {}, None),
        ("hello", {}, "'hello' is no event"),
        ("authn_login_fail", {"outcome": "bad"}, "outcome must be one of"),
        ("authn_login_fail", {"severity": "bad"}, "severity must be one of"),
        ("sensitive_export", {}, None),
    ],
)
def test_a_name_is_one_of_the_vocabulary(path: Path, event: str, fields: dict[str, Any], said: str | None) -> None:
    """Or begins like one: who searches the log later must find it."""
    log = AuditLog(path=str(path))
    if said is None:
        log.record(event, **fields)
    else:
        with pytest.raises(ValueError, match=said):
            log.record(event, **fields)
    log.close()


@pytest.mark.usefixtures("stopped")
def test_what_finds_no_place_is_counted_and_said(path: Path) -> None:
    """In the log itself, where the others would stand."""
    writer = Writer(Audit(path=str(path), key=KEY, max_waiting=100), ManualClock())
    for number in range(130):
        writer.put(entry(f"u{number}"))
    assert writer.lost == 30
    writer.has_ended()

    assert own(path) == [f"u{number}" for number in range(100)]
    assert [told["facts"] for told in lines(path) if told["event"] == "audit_lost"] == [{"entries": 30}]


def test_who_would_rather_wait_waits_for_a_place(path: Path) -> None:
    """As long as the settings say, and no longer: a disk that hangs stops nobody for ever."""
    reached, on = threading.Event(), threading.Event()

    def slow(_told: Any) -> None:
        reached.set()
        on.wait(10)

    settings = Audit(path=str(path), sinks=[slow], overflow="block", max_waiting=100, block_seconds=0.05)
    log = AuditLog(settings)
    log.record("authn_login_fail")
    assert reached.wait(10)
    for _ in range(100):
        log.record("authn_login_fail")
    before = time.monotonic()
    log.record("authn_login_fail")
    waited = time.monotonic() - before
    assert (log.lost, waited >= 0.05) == (1, True)

    threading.Timer(0.05, on.set).start()
    waiting = AuditLog(settings)  # another one has places of its own
    waiting.record("authn_login_fail")
    on.wait(10)
    log.close()
    waiting.close()
    assert log.lost == 1


@pytest.mark.usefixtures("stopped")
def test_a_disk_that_is_full_costs_no_line(path: Path, monkeypatch, caplog) -> None:
    """What was not written whole is taken back and written again, and nothing behind it before."""
    writer = Writer(Audit(path=str(path), key=KEY), ManualClock())
    write = os.write
    left = [700, 0, 10]

    def full(descriptor: int, data: bytes) -> int:
        if not left:
            return write(descriptor, data)
        room = left.pop(0)
        if room == 0:
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:room])

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(writer_module, "_RETRY_SECONDS", 0)
    for number in range(5):
        writer.put(entry(f"u{number}"))
    while left:
        writer.has_ended()
    writer.put(entry("u5"))
    writer.has_ended()
    writer.has_ended()
    writer._is_ending = True
    while not writer.has_ended():
        pass

    found = verify([path], key=KEY.encode(), heads=[path.with_name(path.name + HEADS)])
    assert (found.findings, found.torn) == ([], 0)
    told = [line for line in path.read_bytes().splitlines() if b'"subject"' in line and line.endswith(b'"}')]
    assert [json.loads(line)["subject"] for line in told] == [f"u{number}" for number in range(6)]
    assert caplog.text.count("The audit log cannot be written") == 1


@pytest.mark.usefixtures("stopped")
def test_a_file_that_was_moved_away_is_made_anew(path: Path) -> None:
    """The chain goes on; the new file begins with a checkpoint, so that it can be verified alone."""
    writer = Writer(Audit(path=str(path), key=KEY), ManualClock())
    writer.put(entry("u0"))
    writer.has_ended()
    older = path.rename(path.with_name("audit.jsonl.1"))
    writer.put(entry("u1"))
    writer.has_ended()

    assert (own(older), own(path)) == (["u0"], ["u1"])
    assert lines(path)[0]["event"] == "audit_checkpoint"
    assert is_sound(path, older)
    assert verify([path], key=KEY.encode(), from_the_middle=True).is_sound


@pytest.mark.usefixtures("stopped")
def test_checkpoints_come_by_lines_and_by_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And are noted in the heads, each sealed."""
    monkeypatch.setattr(sealing_module, "CHECKPOINT_LINES", 10)
    clock = ManualClock()
    writer = Writer(Audit(path=str(path), key=KEY), clock)
    for number in range(15):
        writer.put(entry(f"u{number}"))
    writer.has_ended()
    clock.advance(61)
    writer.put(entry("late"))
    writer.has_ended()

    assert [told["seq"] for told in lines(path) if told["event"] == "audit_checkpoint"] == [10, 18]
    heads = lines(path.with_name(path.name + HEADS))
    assert [head["seq"] for head in heads] == [18]


def test_what_was_written_last_is_noted_when_nothing_follows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it could be cut off for as long as nothing happens; once is enough."""
    monkeypatch.setattr(sealing_module, "CHECKPOINT_SECONDS", 0.2)
    told: list[str] = []
    written, noted = threading.Event(), threading.Event()

    def sink(fields: Any) -> None:
        told.append(fields["event"])
        if fields["event"] == "authn_login_fail":
            written.set()
        if fields["event"] == "audit_checkpoint":
            noted.set()

    log = AuditLog(path=str(path), key=KEY, sinks=[sink])
    log.record("authn_login_fail")
    assert written.wait(10)
    log.record("authn_login_success")  # the first group is noted at once
    assert noted.wait(10)
    log.close()

    assert told == ["audit_start", "authn_login_fail", "authn_login_success", "audit_checkpoint", "audit_end"]
    assert is_sound(path)


@pytest.mark.usefixtures("stopped")
def test_an_entry_that_comes_while_the_log_is_closed_is_written(path: Path) -> None:
    """In a chain of its own: the other has ended."""
    writer = Writer(Audit(path=str(path), key=KEY), ManualClock())
    writer.put(entry("u0"))
    write = writer._write

    def meanwhile(*, is_ending: bool) -> bool:
        is_last = write(is_ending=is_ending)
        if own(path) == ["u0"]:
            writer.put(entry("u1"))
        return is_last

    writer._write = meanwhile  # type: ignore[method-assign]
    writer._is_ending = True
    assert [writer.has_ended(), writer.has_ended()] == [False, True]  # whoever waits for the end does not wait long

    assert (own(path), writer.lost) == (["u0", "u1"], 0)
    assert len({told["chain"] for told in lines(path)}) == 2
    assert is_sound(path)


def _link(path: Path) -> None:
    (path.parent / "elsewhere").touch(0o600)
    path.symlink_to(path.parent / "elsewhere")


@pytest.mark.parametrize(
    "prepare",
    [lambda path: path.touch(0o644), _link, lambda path: path.mkdir(), lambda path: os.mkfifo(path, 0o600)],
    ids=["readable by others", "a link", "a directory", "a pipe"],
)
def test_a_file_that_is_not_ours_alone_is_refused(path: Path, prepare: Callable[[Path], object]) -> None:
    """Others would read it, or have laid it there."""
    prepare(path)

    with pytest.raises(ConfigError, match="AG910"):
        LogFile(str(path), fsync=False)


def test_sinks_get_every_entry_and_one_that_fails_harms_no_other(path: Path, caplog) -> None:
    """It is said once."""
    told: list[Any] = []

    def fails(_told: Any) -> None:
        raise OSError("gone")

    caplog.set_level(logging.INFO)
    log = AuditLog(path=str(path), sinks=[fails, told.append, "log"])
    log.record("authn_login_fail", subject="u7")
    log.record("authn_login_success", subject="u8")
    log.close()

    assert [one["event"] for one in told] == [
        "audit_start", "authn_login_fail", "authn_login_success", "audit_end",
    ]  # fmt: skip
    assert caplog.text.count("A sink of the audit log failed") == 1
    records = [record for record in caplog.records if record.name == "asgi_guard.audit.entries"]
    assert [record.levelno for record in records] == [20, 30, 20, 20]
    assert json.loads(records[1].getMessage())["subject"] == "u7"


def test_nobody_is_kept_alive_by_the_thread(path: Path) -> None:
    """A log that nobody holds any more ends when it is closed, and starts nothing before its first entry."""
    before = set(threading.enumerate())
    log = AuditLog(path=str(path))
    assert set(threading.enumerate()) <= before
    log.record("authn_login_fail")
    log.close()

    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "asgi_guard.audit"]


@pytest.mark.long
def test_workers_share_a_file(path: Path) -> None:
    """Each has a chain; no line of one is in one of another."""
    program = f"""
import sys
from asgi_guard import AuditLog
log = AuditLog(path={str(path)!r}, key={KEY!r}, fsync=False)
for number in range(300):
    log.record("authn_login_fail", "failure", subject=f"{{sys.argv[1]}}:{{number}}", filler="x" * 300)
log.close(30)
"""
    workers = [subprocess.Popen([sys.executable, "-c", program, str(worker)]) for worker in range(4)]
    assert [worker.wait(60) for worker in workers] == [0] * 4

    assert sorted(own(path)) == sorted(f"{worker}:{number}" for worker in range(4) for number in range(300))
    assert len({told["chain"] for told in lines(path)}) == 4
    assert is_sound(path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_child_has_a_chain_of_its_own(path: Path) -> None:
    """What waits is the parent's, and the thread is not there."""
    program = f"""
import os
from asgi_guard import AuditLog
log = AuditLog(path={str(path)!r}, key={KEY!r})
log.record("authn_login_fail", subject="parent")
child = os.fork()
if child == 0:
    log.record("authn_login_fail", subject="child")
    log.close()
    os._exit(0)
os.waitpid(child, 0)
log.record("authn_login_fail", subject="parent again")
log.close()
"""
    subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", program], check=True, timeout=30)

    assert sorted(own(path)) == ["child", "parent", "parent again"]
    assert len({told["chain"] for told in lines(path)}) == 2
    assert is_sound(path)


def test_a_process_that_ends_writes_what_waits(path: Path) -> None:
    """Also where nobody has closed the log."""
    program = f'from asgi_guard import AuditLog; AuditLog(path={str(path)!r}).record("authn_login_fail", subject="u7")'
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)

    assert own(path) == ["u7"]
    assert lines(path)[-1]["event"] == "audit_end"


@pytest.mark.long
@pytest.mark.parametrize("attempt", range(3))
def test_who_is_killed_loses_no_more_than_one_group(path: Path, attempt: int) -> None:
    """What was recorded a while before stands in the file, which is as it was written, and has no end."""
    program = f"""
import time
from asgi_guard import AuditLog
log = AuditLog(path={str(path)!r}, key={KEY!r}, max_waiting=1_000_000)
for number in range(100_000):
    log.record("authn_login_fail", subject=str(number))
    print(number, time.monotonic(), flush=True)
    time.sleep(0.0005)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        said = [child.stdout.readline().split() for _ in range(2_000 + 77 * attempt)]
        child.send_signal(signal.SIGKILL)
        said += [line.split() for line in child.stdout.read().split("\n")[:-1]]

    last = float(said[-1][1])
    safe = [number for number, at in said if last - float(at) > 1]  # a group takes 50 ms, and the disk its time
    kept = own(path)
    assert len(safe) > 100
    assert kept[: len(safe)] == safe
    assert kept == [str(number) for number in range(len(kept))]
    found = verify([path], key=KEY.encode(), heads=[path.with_name(path.name + HEADS)])
    assert (found.findings, len(found.open_ended)) == ([], 1)
