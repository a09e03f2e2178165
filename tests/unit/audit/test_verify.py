"""Verify: an untouched log always passes, and whatever is done to it before the last checkpoint is found."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asgi_guard.audit import Entry
from asgi_guard.audit import sealing as sealing_module
from asgi_guard.audit.chain import NOTHING, Chain, code_of, new_name
from asgi_guard.audit.heads import HEADS
from asgi_guard.audit.settings import Audit
from asgi_guard.audit.verify import Verdict, verify
from asgi_guard.audit.writer import Writer
from asgi_guard.testing import ManualClock

KEY = b"k" * 40
EDITS = 2_500


def write(path: Path, *, entries: int = 60, workers: int = 2, key: bytes | None = KEY, clock: Any = None) -> None:
    """Write a log as several workers would, whose lines are mixed."""
    clock = clock or ManualClock()
    writers = [Writer(Audit(path=str(path), key=key, fsync=False), clock) for _ in range(workers)]
    for number in range(entries):
        writers[number % workers].put(Entry(event="authn_login_fail", time=number, subject=f"u{number}"))
        if number % 7 == 0:
            writers[number % workers].has_ended()  # a group
    for one in writers:
        end(one)


def end(writer: Writer) -> None:
    """Write all that waits, without the thread: the order of the lines is this test's."""
    writer._is_ending = True
    while not writer.has_ended():
        pass


def verdict(path: Path, **options: Any) -> Verdict:
    """Verify with the key and the checkpoints."""
    heads = [path.with_name(path.name.replace("changed-", "") + HEADS)]
    return verify([path], **{"key": KEY, "heads": heads, **options})


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of two workers, with checkpoints in it."""
    monkeypatch.setattr(sealing_module, "CHECKPOINT_LINES", 20)
    monkeypatch.setattr(Writer, "_start", lambda _: None)
    path = tmp_path / "audit.jsonl"
    write(path)
    return path


@pytest.mark.parametrize("key", [None, KEY])
def test_an_untouched_log_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: bytes | None) -> None:
    """Of one worker or of several, whatever ran between."""
    monkeypatch.setattr(Writer, "_start", lambda _: None)
    for workers in (1, 2, 5):
        path = tmp_path / f"{workers}.jsonl"
        write(path, workers=workers, key=key)
        found = verdict(path, key=key or b"")

        assert (found.findings, found.chains, found.open_ended, found.torn) == ([], workers, [], 0)
        assert found.lines == len(path.read_bytes().splitlines())


def chains(log: bytes) -> dict[str, list[bytes]]:
    """Return the lines of each chain: only their order counts."""
    found: dict[str, list[bytes]] = {}
    for line in log.split(b"\n"):
        try:
            found.setdefault(json.loads(line)["chain"], []).append(line)
        except (ValueError, KeyError, TypeError):
            found.setdefault("", []).append(line)
    return found


def _byte(random_: random.Random, log: bytearray) -> None:
    log[random_.randrange(len(log))] = random_.randrange(256)


def _bit(random_: random.Random, log: bytearray) -> None:
    log[random_.randrange(len(log))] ^= 1 << random_.randrange(8)


def _deleted(random_: random.Random, log: bytearray) -> None:
    del log[random_.randrange(len(log))]


def _inserted(random_: random.Random, log: bytearray) -> None:
    log.insert(random_.randrange(len(log)), random_.randrange(256))


def _cut_off(random_: random.Random, log: bytearray) -> None:
    del log[random_.randrange(len(log)) :]


def _lines(change: Callable[[random.Random, list[bytes]], None]) -> Callable[[random.Random, bytearray], None]:
    def changed(random_: random.Random, log: bytearray) -> None:
        lines = bytes(log).splitlines(keepends=True)
        change(random_, lines)
        log[:] = b"".join(lines)

    return changed


def _line_deleted(random_: random.Random, lines: list[bytes]) -> None:
    del lines[random_.randrange(len(lines))]


def _line_repeated(random_: random.Random, lines: list[bytes]) -> None:
    lines.insert(random_.randrange(len(lines)), random_.choice(lines))


def _line_moved(random_: random.Random, lines: list[bytes]) -> None:
    lines.insert(random_.randrange(len(lines)), lines.pop(random_.randrange(len(lines))))


def _lines_swapped(random_: random.Random, lines: list[bytes]) -> None:
    one, other = random_.randrange(len(lines)), random_.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]


def _line_replaced(random_: random.Random, lines: list[bytes]) -> None:
    lines[random_.randrange(len(lines))] = random_.choice(lines)


def _lines_cut_off(random_: random.Random, lines: list[bytes]) -> None:
    del lines[random_.randrange(len(lines)) :]


CHANGES = [
    _byte,
    _bit,
    _deleted,
    _inserted,
    _cut_off,
    *map(
        _lines, [_line_deleted, _line_repeated, _line_moved, _lines_swapped, _line_replaced, _lines_cut_off]
    ),
]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_ten_thousand_changes_are_all_found(log: Path, seed: int) -> None:
    """Edits, deletions, repetitions, reorderings and truncations; but for what leaves each chain as it was."""
    random_ = random.Random(seed)
    original = log.read_bytes()
    as_it_was = chains(original)
    changed_log = log.with_name("changed-audit.jsonl")
    tried = 0
    while tried < EDITS:
        changed = bytearray(original)
        random_.choice(CHANGES)(random_, changed)
        if chains(bytes(changed)) == as_it_was:
            continue
        tried += 1
        changed_log.write_bytes(bytes(changed))

        assert not verdict(changed_log).is_sound, changed


@pytest.mark.parametrize(
    ("change", "fault", "line", "message"),
    [
        (lambda lines: lines[9].replace(b'"u', b'"x'), "changed", 10, "It is not as it was written, or the key"),
        (lambda _: b"", "missing", 0, "of the chain are missing before it."),
        (lambda lines: lines[9] * 2, "changed", 11, "stands here a second time."),
        (lambda lines: b"hello\n" + lines[9], "changed", 10, "It is no line of an audit log, nor a torn one."),
        (lambda lines: b"\n" + lines[9], "changed", 10, "It is no line of an audit log, nor a torn one."),
    ],
    ids=["changed", "missing", "repeated", "put in", "blank"],
)
def test_the_first_bad_line_is_named(log: Path, change: Any, fault: str, line: int, message: str) -> None:
    """With its file, its number and its chain, once for each chain."""
    lines = log.read_bytes().splitlines(keepends=True)
    lines[9] = change(lines)
    log.write_bytes(b"".join(lines))

    (found,) = verdict(log).findings

    assert (found.fault, found.file) == (fault, str(log))
    assert message in found.message
    assert line in {0, found.line}


def test_what_is_cut_off_is_named(log: Path) -> None:
    """How far the chain had come, and how far it goes."""
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:10]))

    findings = verdict(log).findings

    assert {found.fault for found in findings} == {"cut off"}
    assert "here it ends with line" in findings[0].message
    log.write_bytes(b"")
    assert [found.message for found in verdict(log).findings] == ["The whole chain is missing."] * 2


def test_without_the_heads_an_end_that_is_missing_does_not_show(log: Path) -> None:
    """But it does that there is none: a process that was killed leaves the same."""
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:10]))

    found = verdict(log, heads=[])

    assert (found.is_sound, len(found.open_ended)) == (True, 2)


def test_another_key_is_told(log: Path) -> None:
    """And so is none."""
    for key in (b"x" * 40, b""):
        assert {found.fault for found in verdict(log, key=key).findings} == {"key"}


def test_without_the_key_nobody_forges_a_line(log: Path) -> None:
    """Not even one that goes on with the chain."""
    forger = Chain(b"guess" * 8, new_name())
    with log.open("ab") as file:
        file.write(forger.seal(b'{"v":1,"event":"authn_login_success","chain":"%s","seq":0}' % forger.name.encode()))

    assert [found.fault for found in verdict(log).findings] == ["changed"]


def test_a_line_behind_the_end_of_its_chain_is_found(log: Path) -> None:
    """Also where it was sealed with the key, say by a copy of the program."""
    chain = Chain(KEY, "c")
    lines = [
        chain.seal(b'{"v":1,"event":"%s","chain":"c","seq":%d}' % (event, seq))
        for seq, event in enumerate([b"audit_start", b"audit_end", b"authn_login_success"])
    ]
    with log.open("ab") as file:
        file.write(b"".join(lines))

    (found,) = verdict(log).findings

    assert found.message == "It stands behind the end of its chain."


@pytest.mark.parametrize("size", [1, 30, 200])
def test_a_piece_of_a_line_that_a_killed_process_left_is_no_change(log: Path, size: int) -> None:
    """At the end, or before the next process begins."""
    piece = b'{"v":1,"time":"2026-01-01T00:00:00.000000Z","event":"authn_login_fail","subject":"' + b"u" * 200
    with log.open("ab") as file:
        file.write(piece[:size])
    at_the_end = verdict(log)
    before = log.read_bytes()
    write(log, workers=1)
    after = verdict(log)

    assert log.read_bytes().startswith(before + b"\n")
    assert (at_the_end.findings, at_the_end.torn) == ([], 1)
    assert (after.findings, after.torn) == ([], 1)


def test_a_line_that_was_written_again_is_no_change(log: Path) -> None:
    """The disk was full in the middle of it, and others went on."""
    lines = log.read_bytes().splitlines(keepends=True)
    of = [json.loads(line)["chain"] for line in lines]
    at = next(index for index in range(5, len(lines)) if of[index] != of[index + 1])
    lines[at : at + 2] = [
        lines[at][:40] + lines[at + 1],
        lines[at],
    ]  # a piece, and behind it what another process wrote
    log.write_bytes(b"".join(lines))

    found = verdict(log)

    assert (found.findings, found.torn) == ([], 1)


def test_a_log_in_several_files_is_one(log: Path) -> None:
    """In their order; in another one it is not."""
    lines = log.read_bytes().splitlines(keepends=True)
    older, newer = log.with_name("audit.jsonl.1"), log
    older.write_bytes(b"".join(lines[:30]))
    newer.write_bytes(b"".join(lines[30:]))
    heads = [log.with_name(log.name + HEADS)]

    assert verify([older, newer], key=KEY, heads=heads).is_sound
    assert not verify([newer, older], key=KEY, heads=heads).is_sound
    assert not verify([newer], key=KEY, heads=heads).is_sound


def test_a_log_whose_older_files_are_gone_can_be_verified_from_its_checkpoints(log: Path) -> None:
    """On request; what changes behind them is found as ever."""
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[10:]))

    assert not verdict(log).is_sound
    found = verdict(log, from_the_middle=True)
    assert found.is_sound
    assert 0 < found.lines < len(lines)

    log.write_bytes(b"".join([*lines[10:-3], lines[-3].replace(b'"u', b'"x'), *lines[-2:]]))
    assert not verdict(log, from_the_middle=True).is_sound


def test_a_line_without_an_end_is_read_in_pieces(tmp_path: Path) -> None:
    """A file of zeros takes no memory."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(bytes(5_000_000))

    assert [found.line for found in verify([path]).findings] == [1]


@pytest.mark.parametrize(
    "line", [b"[]", b"{}", b"7", b'{"chain":"c"}', b'{"chain":1,"seq":0,"event":"x"}', b"[" * 100_000, b"\xff\xfe"]
)
def test_whatever_stands_there_is_read(tmp_path: Path, line: bytes) -> None:
    """It is no line, sealed or not."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(line + b"\n" + Chain(b"", "c").seal(line[:-1] + b"}"))

    assert not verify([path]).is_sound


@pytest.mark.parametrize(
    "payload", [b"{}", b"[]", b"7", b'{"chain":[],"seq":0,"mac":""}', b'{"chain":"c","seq":"0","mac":""}', b"\xff"]
)
def test_whatever_stands_in_the_heads_is_read(log: Path, payload: bytes) -> None:
    """Sealed or not: without a key anybody can."""
    heads = log.with_name(log.name + HEADS)
    sealed = payload[:-1] + b',"seal":"' + code_of(payload, NOTHING, KEY).hex().encode() + b'"}\n'
    heads.write_bytes(sealed + payload + b"\n")

    assert [found.fault for found in verdict(log).findings] == ["heads", "heads"]
