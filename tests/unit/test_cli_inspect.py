"""`asgi-guard inspect`: what the validation makes of a request, told to a person or to a program."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from asgi_guard.cli import main

ATTACK = ["curl", "http://x/search?q=1%20union%20select%20a%20from%20b"]


def test_an_attack_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """Where it stands, which rules it matches and with which scores; the exit code is 1."""
    assert main(["inspect", *ATTACK]) == 1

    told = capsys.readouterr().out
    assert told.startswith("GET /search?q=1%20union%20select%20a%20from%20b  (level 1, ")
    assert "query      q                1 union select a from b\n    5  AG-SQLI-" in told
    assert "an attack\n" in told
    assert told.endswith("verdict: refused (sqli)\n")


def test_what_passes_is_shown_as_it_was_taken_apart(capsys: pytest.CaptureFixture[str]) -> None:
    """Each value by its place and name, with what changes it before it is looked at."""
    assert main(["inspect", "curl http://x/ -H $'X-Note: it\\'s' -d 'a=b%26amp%3Bc' --compressed"]) == 0

    told = capsys.readouterr().out
    assert "header     x-note           it's  [shell]\n" in told
    assert "body       a                b&amp;c  [decoded]\n" in told
    assert told.endswith("verdict: passes\n")


def test_a_program_gets_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON, of a request in a file."""
    file = tmp_path / "request"
    file.write_bytes(b'POST / HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{"a": "<script>steal(1)</script>"}')

    assert main(["inspect", "--raw", str(file), "--json", "--level", "2", "--engine", "re"]) == 1

    report = json.loads(capsys.readouterr().out)
    value = next(value for value in report["values"] if value["blocks"])
    assert (report["verdict"], report["level"], report["engine"]) == ("refused", 2, "re")
    assert (value["place"], value["name"], value["value"]) == ("body", "a", "<script>steal(1)</script>")
    assert sum(match["score"] for match in value["matches"]) == value["score"] >= 5
    assert {match["attack"] for match in value["matches"]} == {"xss"}


def test_a_request_may_come_out_of_a_pipe() -> None:
    """`-` is the input."""
    run = subprocess.run(
        [sys.executable, "-m", "asgi_guard", "inspect", "--raw", "-"], input=b"GET / HTTP/1.1\n\n", capture_output=True,
        check=True,
    )  # fmt: skip

    assert run.stdout.endswith(b"verdict: passes\n")


@pytest.mark.parametrize(
    ("config", "code", "verdict"),
    [
        ('validation = "detect"', 0, "passes, and the listeners are told (sqli)"),
        ('[validation]\nattacks = {sqli = "off"}', 0, "passes"),
        ("validation = true", 1, "refused (sqli)"),
    ],
)
def test_it_looks_with_the_settings_of_a_file(config: str, code: int, verdict: str, tmp_path, capsys) -> None:
    """Those of the server that is asked about."""
    file = tmp_path / "guard.toml"
    file.write_text(config, encoding="utf-8")

    assert main(["inspect", "--config", str(file), *ATTACK]) == code
    assert capsys.readouterr().out.endswith(f"verdict: {verdict}\n")


@pytest.mark.parametrize(
    ("curl", "limit"),
    [
        ("curl http://x/ -H 'Content-Encoding: br' -d a", "encoding"),
        ("curl http://x/ --json '" + "[" * 40 + "]" * 40 + "'", "depth"),
        ("curl http://x/ --json '" + "[" + "1," * 140_000 + "1]'", "body_bytes"),
    ],
)
def test_a_crossed_limit_is_told(curl: str, limit: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused as well."""
    assert main(["inspect", curl]) == 1

    assert capsys.readouterr().out.endswith(f"beyond the limit: {limit}\nverdict: refused ({limit})\n")


def test_no_value_is_a_command_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """It is escaped, and cut."""
    main(["inspect", "curl", "http://x/?q=%1b%5b2J" + "a" * 1_000])

    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "\\x1b[2J" in told
    assert "... (1,004 characters)" in told
    assert max(map(len, told.splitlines())) < 200


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["curl"], "one URL is wanted"),
        (["curl 'http://x/"], "the quotation mark"),
        (["curl", "-d", "@/nowhere", "http://x/"], "/nowhere"),
        (["--raw", "/nowhere"], "/nowhere"),
        (["--config", "/nowhere", *ATTACK], "/nowhere"),
    ],
)
def test_what_cannot_be_looked_at_is_said_in_one_line(arguments: list[str], complaint: str, capsys) -> None:
    """The exit code is 2, and there is no traceback."""
    assert main(["inspect", *arguments]) == 2

    error = capsys.readouterr().err
    assert complaint in error
    assert "Traceback" not in error


def test_a_file_that_switches_it_off_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to look with."""
    file = tmp_path / "guard.toml"
    file.write_text("validation = false", encoding="utf-8")

    assert main(["inspect", "--config", str(file), *ATTACK]) == 2
    assert "switches the validation off" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["wget", "http://x/"], ["--raw", "-", "curl", "http://x/"]])
def test_one_request_is_wanted(arguments: list[str], monkeypatch, capsys) -> None:
    """Otherwise the usage is told."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(SystemExit) as left:
        main(["inspect", *arguments])

    assert left.value.code == 2
    assert "give a curl command line, or --raw FILE" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["curl -X $'\\e[2J' http://x/"], ["--config", "\x1b[2J", "curl http://x/"]])
def test_nothing_that_is_told_is_a_command_to_the_terminal(arguments: list[str], capsys) -> None:
    """Neither a method, nor a file's name in a complaint."""
    main(["inspect", *arguments])
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
