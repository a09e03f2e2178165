"""`asgi-guard audit`: what it says of a log, and with which exit code."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from asgi_guard import AuditLog
from asgi_guard.cli import main
from asgi_guard.cli_audit import KEY

pytestmark = pytest.mark.skipif(os.name != "posix", reason="files of one user are those of POSIX")
SECRET = "k" * 40


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log of three entries, and the key in the environment."""
    monkeypatch.setenv(KEY, SECRET)
    path = tmp_path / "audit.jsonl"
    audit = AuditLog(path=str(path), key=SECRET)
    audit.record("authn_login_fail", "failure", subject="u7", reason="bad\n\x1b[2Jpassword", n=1)
    audit.record("authn_login_success", "success", subject="u8")
    audit.record("authz_fail", "refused", subject="u7")
    audit.close()
    return path


def test_a_log_that_is_as_it_was_written(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but how much there is, whose it is, and how old: an older copy, or another log, is as sound."""
    assert main(["audit", "verify", str(log)]) == 0
    last = json.loads(log.read_bytes().splitlines()[-1])
    how_much, whose = capsys.readouterr().out.splitlines()
    assert how_much == "As they were written: 5 lines of 1 chain."
    assert whose == f"They are of {last['host']!r}; the last one is of {last['time']!r}."


def test_a_chain_of_another_log_is_told(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has its codes, but no checkpoint knows it."""
    other = AuditLog(path=str(log.with_name("other.jsonl")), key=SECRET, service="shop")
    other.record("authn_login_success", "success", subject="u9")
    other.close()
    with log.open("ab") as file:
        file.write(log.with_name("other.jsonl").read_bytes())

    assert main(["audit", "verify", str(log)]) == 0
    said = capsys.readouterr().out
    assert "Known to no checkpoint: 1 chain, " in said
    assert "'shop@" in said


def test_the_first_bad_line_is_named(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As compilers name one."""
    log.write_bytes(log.read_bytes().replace(b"u8", b"u9"))

    assert main(["audit", "verify", str(log)]) == 1
    assert capsys.readouterr().out.startswith(f"{log}:3: changed (chain '")


def test_what_is_cut_off_is_named(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By the checkpoints beside it; where there are none, that is said."""
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:3]))

    assert main(["audit", "verify", str(log)]) == 1
    assert f"{log}, at the end: cut off" in capsys.readouterr().out

    log.with_name("audit.jsonl.heads").unlink()
    assert main(["audit", "verify", str(log)]) == 0
    said = capsys.readouterr().out
    assert "Without an end: 1 chain, " in said
    assert "There are no checkpoints beside it" in said


def test_for_programs_there_is_json(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With all that was found."""
    log.write_bytes(log.read_bytes() + b"x\n")

    assert main(["audit", "verify", "--json", str(log)]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["is_sound"], said["lines"], said["findings"][0]["line"]) == (False, 5, 6)


def test_the_key_may_stand_in_a_file(log: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    """In any form; one that is none is refused."""
    monkeypatch.delenv(KEY)
    file = tmp_path / "key"
    file.write_text(SECRET.encode().hex() + "\n")
    assert main(["audit", "verify", "--key-file", str(file), str(log)]) == 0

    file.write_text("short")
    assert main(["audit", "verify", "--key-file", str(file), str(log)]) == 2
    assert main(["audit", "verify", str(log)]) == 2
    assert "There is no key" in capsys.readouterr().out
    assert main(["audit", "verify", str(tmp_path / "nowhere")]) == 2


def test_entries_are_shown_one_a_line(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No control character reaches the terminal; what the log says of itself is left out."""
    assert main(["audit", "show", str(log)]) == 0

    out = capsys.readouterr().out
    lines = out.splitlines()
    assert [line.split()[2] for line in lines] == ["authn_login_fail", "authn_login_success", "authz_fail"]
    assert lines[0].endswith(r"bad\n\u001b[2Jpassword  n=1")
    assert out.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("options", "subjects"),
    [
        (["--subject", "u7"], ["u7", "u7"]),
        (["--event", "authn_"], ["u7", "u8"]),
        (["--outcome", "success"], ["u8"]),
        (["--severity", "medium"], ["u7", "u7"]),
        (["--severity", "high"], ["u7"]),
        (["--since", "2020-01-01"], ["u7", "u8", "u7"]),
        (["--until", "2020-01-01T00:00:00Z"], []),
        (["--layer", "rate_limit"], []),
        (["--request-id", "req_1"], []),
        (["--event", "audit_end"], [None]),
    ],
    ids=lambda value: " ".join(map(str, value)),
)
def test_entries_can_be_chosen(log: Path, options: list[str], subjects: list[str], capsys) -> None:
    """By what they tell; as JSON they are the lines of the file."""
    assert main(["audit", "show", "--json", *options, str(log)]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line).get("subject") for line in lines] == subjects
    assert set(lines) <= set(log.read_text().splitlines())


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b"7",
        b"\xff\x1b[2J",
        b"\x1b]0;owned\x07",
        b'{"event":"a\\u001b[2J","time":7,"facts":{"\\u0007":[1]},"severity":null}',
        b'{"event":["x"],"severity":{"a":[]},"outcome":[],"subject":{},"layer":[7],"time":[]}',
        b'{"event":"x","facts":"\\u202e","reason":"' + b"r" * 100_000 + b'"}',
        b'{"event":"x","facts":{' + b",".join(b'"%d":%d' % (n, n) for n in range(5_000)) + b"}}",
        b'{"event":"x","n":' + b"9" * 5_000 + b"}",
        b'{"event":"x","facts":' + b"[" * 900 + b"]" * 900 + b"}",
        b"[" * 99_999,
        b'{"event":"x","time":"9999999-01-01","severity":"grave"}',
    ],
    ids=range(12),
)
def test_whatever_stands_in_a_file_is_one_line(tmp_path: Path, capsys, line: bytes) -> None:
    """Of printable ASCII, and of a bounded length: somebody else may have written it."""
    path = tmp_path / "audit.jsonl"
    path.write_bytes(line + b"\n")

    assert main(["audit", "show", str(path)]) == 0
    (shown,) = capsys.readouterr().out.splitlines()
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) <= 8_192
    for options in (["--since", "2020-01-01"], ["--severity", "low"], ["--subject", "u"], ["--json"], ["--event", "x"]):
        assert main(["audit", "show", *options, str(path)]) == 0
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "held"),
    [
        (SECRET, SECRET.encode()),
        (SECRET, SECRET.encode() + b"\n"),
        (SECRET, SECRET.encode() + b"\r\n"),
        (SECRET.encode().hex(), SECRET.encode().hex().encode() + b"\n"),
        (bytes(range(200, 240)), bytes(range(200, 240))),
        (bytes(range(200, 231)) + b"\n", bytes(range(200, 231)) + b"\n"),
        (bytes(range(200, 240)) + b"\n", bytes(range(200, 240)) + b"\n"),
        (b" " + bytes(range(200, 240)) + b"\t", b" " + bytes(range(200, 240)) + b"\t"),
    ],
    ids=["text", "line", "dos", "hex", "raw", "raw of 32 that ends a line", "raw that ends a line", "blanks"],
)
def test_a_key_in_a_file_is_the_key_of_the_writer(tmp_path: Path, key, held: bytes) -> None:
    """With the line feed of an editor, or one that is of the key."""
    path, file = tmp_path / "audit.jsonl", tmp_path / "key"
    audit = AuditLog(path=str(path), key=key)
    audit.record("sys_startup", "success")
    audit.close()
    file.write_bytes(held)

    assert main(["audit", "verify", "--key-file", str(file), str(path)]) == 0


def test_a_key_that_was_changed_is_given_beside_the_new_one(log: Path, tmp_path: Path, capsys) -> None:
    """One alone is the key of a part; one of another log is told to be none of this, and not to be a change."""
    audit = AuditLog(path=str(log), key="n" * 40)
    audit.record("sys_startup", "success")
    audit.close()
    older, newer, other = (tmp_path / name for name in ("older", "newer", "other"))
    older.write_text(SECRET)
    newer.write_text("n" * 40)
    other.write_text("o" * 40)
    verifies = ["audit", "verify", str(log), "--key-file"]

    assert main([*verifies, str(older), "--key-file", str(newer)]) == 0
    assert main([*verifies, str(newer)]) == 1
    capsys.readouterr()
    assert main([*verifies, str(other)]) == 2
    assert "This key is not the one of the log" in capsys.readouterr().out


def test_a_time_is_a_time(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nonsense is refused with how to write it."""
    with pytest.raises(SystemExit):
        main(["audit", "show", "--since", "yesterday", str(log)])

    assert "write 2026-01-31T10:00:00Z" in capsys.readouterr().err
