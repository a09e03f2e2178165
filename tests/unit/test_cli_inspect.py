"""`asgi-guard inspect`: what the validation makes of a request, told to a person or to a program."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from asgi_guard import Exclusion, Validation, ValidationMiddleware
from asgi_guard.cli import main
from asgi_guard.testing import call

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
    assert main(["inspect", "--all", "curl http://x/ -H $'X-Note: it\\'s' -d 'a=b%26amp%3Bc' --compressed"]) == 0

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


@pytest.mark.long
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
    ("curl", "limit", "field"),
    [
        ("curl http://x/ -H 'Content-Encoding: br' -d a", "encoding", ""),
        ("curl http://x/ --json '" + "[" * 40 + "]" * 40 + "'", "depth", " (max_depth = 32)"),
        ("curl http://x/ --json '" + "[" + "1," * 140_000 + "1]'", "body_bytes", " (max_body_bytes = "),
    ],
)
def test_a_crossed_limit_is_told(curl: str, limit: str, field: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused as well; the setting that moves it is named, where there is one."""
    assert main(["inspect", curl]) == 1

    told = capsys.readouterr().out
    assert f"beyond the limit: {limit}{field}" in told
    assert told.endswith(f"verdict: refused ({limit})\n")


def test_no_value_is_a_command_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """It is escaped, and cut."""
    main(["inspect", "--all", "curl", "http://x/?q=%1b%5b2J" + "a" * 1_000])

    told = capsys.readouterr().out
    assert "\x1b" not in told
    assert "\\x1b[2J" in told
    assert "aaa...  [" in told
    assert max(map(len, told.splitlines())) <= 100


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["curl"], "one URL is wanted"),
        (["curl 'http://x/"], "the quotation mark"),
        (["curl", "-d", "@/nowhere", "http://x/"], "/nowhere: No such file or directory. Check the path, and that"),
        (["curl 'http://[::1/'"], "is no URL"),
        (["curl", "http://x/", "-d", "half \ud800"], "half a character"),
        (["--raw", "/nowhere"], "/nowhere cannot be read: No such file or directory. Give the path of a file with one"),
        (["--raw", "/"], "/ cannot be read: Is a directory. Give the path of a file with one request in it"),
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


@pytest.mark.parametrize("arguments", [["wget", "http://x/"], ["--raw", "-", "curl", "http://x/"]])
def test_one_request_is_wanted(arguments: list[str], capsys) -> None:
    """Otherwise the usage is told."""
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


@pytest.mark.parametrize("arguments", [[], ["-"]])
@pytest.mark.parametrize(
    ("octets", "code", "verdict"),
    [
        (b"curl 'http://x/search' \\\n  -d 'q=1 union select a from b'\n", 1, "verdict: refused (sqli)"),
        (b"$ curl http://x/\n", 0, "verdict: passes"),
        (b"GET /?q=1%20union%20select%20a%20from%20b HTTP/1.1\r\nHost: x\r\n\r\n", 1, "verdict: refused (sqli)"),
        (b"", 2, "it does not begin with a method and a path"),
    ],
)
def test_what_was_copied_can_be_pasted(arguments: list[str], octets: bytes, code: int, verdict: str) -> None:
    """A browser copies a command of many lines, which no shell needs to see, or a request."""
    command = [sys.executable, "-m", "asgi_guard", "inspect", *arguments]

    run = subprocess.run(command, input=octets, capture_output=True, check=False)

    assert run.returncode == code
    assert verdict in (run.stdout + run.stderr).decode()


def test_only_what_matches_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """And how much more there is to see."""
    main(["inspect", "curl 'http://x/?a=1&b=2&q=1%20union%20select%20a%20from%20b'"])
    told = capsys.readouterr().out
    assert "query      a " not in told
    assert "Nothing was found in 7 of 8 values (--all shows them).\n" in told

    main(["inspect", "--all", "curl 'http://x/?a=1&b=2&q=1%20union%20select%20a%20from%20b'"])
    told = capsys.readouterr().out
    assert "query      a                1\n" in told
    assert "--all" not in told


REQUESTS = (
    "curl 'http://x/search?q=1%20union%20select%20a%20from%20b'",
    "curl 'http://x/' --cookie 'a=<script>alert(1)</script>'",
    "curl 'http://x/a/..%2f..%2fetc/passwd'",
    "curl 'http://x/{x}*?\u00e9%22%5c%F0%9F%98%80=<script>alert(1)</script>'",
    "curl 'http://x/login' -d 'user[new_password]=1 union select a from b'",
    "curl 'http://x/a' -H 'X-Note: <script>alert(1)</script>'",
    """curl 'http://x/a' --json '[{"<script>alert(1)</script>": "1 union select a from b"}]'""",
)


@pytest.mark.parametrize("request_", REQUESTS)
def test_what_to_exclude_can_be_pasted_into_a_file(request_: str, tmp_path: Path, capsys) -> None:
    """The request passes then."""
    assert main(["inspect", request_]) == 1
    told = capsys.readouterr().out
    file = tmp_path / "guard.toml"
    file.write_text(told[told.index("[[validation") : told.index("In Python")], encoding="utf-8")

    assert main(["inspect", "--config", str(file), request_]) == 0
    assert max(map(len, told.splitlines())) <= 100


@pytest.mark.parametrize("request_", REQUESTS)
def test_what_to_exclude_can_be_pasted_into_code(request_: str, capsys) -> None:
    """It is the same, and JSON says it too."""
    main(["inspect", request_])
    told = capsys.readouterr().out
    code = told[told.index("Exclusion(", told.index("In Python, in Validation")) : told.index("verdict: ")]
    main(["inspect", "--json", request_])
    exclusions = [value["exclusion"] for value in json.loads(capsys.readouterr().out)["values"] if value["blocks"]]

    pasted = [asdict(one) for one in eval(f"[{code}]", {"Exclusion": Exclusion})]

    assert [json.loads(json.dumps(one)) for one in pasted] == exclusions
    Validation(exclude=[Exclusion(**one) for one in exclusions])


def test_the_narrowest_exclusion_is_proposed(capsys: pytest.CaptureFixture[str]) -> None:
    """The path, the place, the name and the rules: the same attack next door is still refused."""
    main(["inspect", "--json", REQUESTS[0]])
    (exclusion,) = filter(None, [value["exclusion"] for value in json.loads(capsys.readouterr().out)["values"]])

    assert exclusion.pop("rules")
    assert exclusion == {"paths": ["/search"], "places": ["query"], "names": ["q"]}


@pytest.mark.parametrize(
    ("target", "paths"),
    [
        ("/files/a/b/..%2f..%2fc", ["/files"]),  # it climbs, and stays below
        ("/files/a/..%2f..%2f..%2fetc/passwd", []),  # it leads out of every folder
        ("/a/{x}/b?q=1%20union%20select%20a%20from%20b", ["/a"]),  # it looks like a pattern
        ("/?q=1%20union%20select%20a%20from%20b", []),
    ],
)
def test_an_exclusion_has_the_narrowest_path_that_covers_the_request(target: str, paths: list[str], capsys) -> None:
    """Where there is none, that is said: it would be about every path."""
    request = ["curl", "--path-as-is", f"http://x{target}"]
    main(["inspect", "--json", *request])
    (exclusion,) = filter(None, [value["exclusion"] for value in json.loads(capsys.readouterr().out)["values"]])
    main(["inspect", *request])
    told = capsys.readouterr().out

    assert exclusion["paths"] == paths
    assert ("# It is about every path: " in told) is (paths == [])


def test_the_exclusion_that_lets_a_request_pass_is_named(tmp_path: Path, capsys) -> None:
    """By its number and its fields, and by its number to a program."""
    file = tmp_path / "guard.toml"
    file.write_text(
        '[[validation.exclude]]\npaths = ["/other"]\n[[validation.exclude]]\npaths = ["/search"]\nrules = ["sqli"]\n',
        encoding="utf-8",
    )

    assert main(["inspect", "--config", str(file), *ATTACK]) == 0
    told = capsys.readouterr().out
    assert "  (plain, not counted)  " in told
    assert 'not counted by validation.exclude[1]: paths = ["/search"], rules = ["sqli"]\nverdict: passes\n' in told
    main(["inspect", "--json", "--config", str(file), *ATTACK])
    values = json.loads(capsys.readouterr().out)["values"]
    assert {match["excluded_by"] for value in values for match in value["matches"]} == {1}
    main(["inspect", "--json", *ATTACK])
    values = json.loads(capsys.readouterr().out)["values"]
    assert {match["excluded_by"] for value in values for match in value["matches"]} == {None}


def test_secrets_are_recognised_by_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    """A password may be anything, and is hashed: it is excluded from every rule, and that is said."""
    main(["inspect", REQUESTS[4]])

    told = capsys.readouterr().out
    assert (
        "# Its name is that of a secret, which is hashed or compared, and may be anything: no rule applies.\n" in told
    )
    assert "rules = " not in told


def test_many_exclusions_are_told_to_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    """A page of them is read by nobody."""
    main(["inspect", "curl 'http://x/a?" + "&".join(f"q{n}=<script>alert(1)</script>" for n in range(9)) + "'"])

    told = capsys.readouterr().out
    assert told.count("[[validation.exclude]]") == told.count("Exclusion(\n") == 5
    assert "and 4 more, which --json tells\n" in told


def test_it_looks_with_the_settings_of_the_environment(monkeypatch, tmp_path: Path, capsys) -> None:
    """As `asgi-guard run --env` does, which win over a file; only where they are asked for."""
    monkeypatch.setenv("ASGI_GUARD_VALIDATION", "detect")
    file = tmp_path / "guard.toml"
    file.write_text("validation = true", encoding="utf-8")

    assert main(["inspect", *ATTACK]) == 1
    assert main(["inspect", "--env", *ATTACK]) == 0
    assert main(["inspect", "--env", "--config", str(file), *ATTACK]) == 0
    monkeypatch.setenv("ASGI_GUARD_VALIDATION", "false")
    assert main(["inspect", "--env", *ATTACK]) == 2
    assert "the environment switches the validation off" in capsys.readouterr().err


def test_what_is_only_detected_is_told_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A class of attacks, and a limit of that class: the request passes."""
    file = tmp_path / "guard.toml"
    file.write_text('[validation]\nmax_depth = 2\nattacks = {sqli = "detect", graphql = "detect"}', encoding="utf-8")

    assert main(["inspect", "--config", str(file), *ATTACK]) == 0
    assert "an attack that is only detected\n" in capsys.readouterr().out
    assert main(["inspect", "--config", str(file), "curl 'http://x/?query={a{b{c{d}}}}'"]) == 0
    assert "beyond the limit: depth (max_depth = 2)\n" in capsys.readouterr().out


@pytest.mark.parametrize("on_limit", ["refuse", "flag"])
@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ((), b"1 union select a from b"),
        (("Content-Encoding: identity",), b"1 union select a from b"),
        (("Content-Encoding: br",), b"1 union select a from b"),
        (("Content-Encoding: identity", "Content-Encoding: gzip"), b"1 union select a from b"),
        (("Content-Encoding: gzip", "Content-Encoding: identity"), gzip.compress(b"1 union select a from b", mtime=0)),
        (("Content-Type: text/plain; charset=utf-7",), b"a"),
        (("Content-Type: application/x-settings",), b"[a]\nb=c\n" * 40_000),
        (("Content-Type: application/x-settings",), b"[a]\nb=1 union select a from b\n" * 40_000),
        (("Content-Type: application/x-thing",), b"[" + b'"word", ' * 40_000),
        (("Content-Type: application/x-thing",), b"{" + bytes(range(256)) * 2_000),
        (("Content-Type: application/octet-stream",), b'["' + b"a" * 300_000),
        (("Content-Type: text/plain; charset=cp037",), "1 union select a from b".encode("cp037")),
        ((), b"word " * 60_000),
        (("X-Padding: " + "a" * 70_000,), b"word"),
        (("Content-Type: text/plain",), b"word " * 60_000),
        (("Content-Type: application/json",), b'["1 union select a from b"]'),
        (("Content-Type: application/json", "Content-Type: text/plain"), b"[1]"),
        (("Content-Type: application/json", "Content-Type: text/plain"), b"1 union select a from b"),
        (("Content-Type: text/plain",), b"1 union select a from b " * 20_000),
        (("Content-Type: application/octet-stream",), b'["1 union select a from b"]'),
        (("Content-Type: application/octet-stream",), b"\x00\x01\xff" * 200_000),
        (("Content-Type: image/png",), b"\x89PNG\r\n\x1a\n" + b"\x00" * 1_000),
        (("Content-Type: multipart/form-data",), b"a"),
        (
            ("Content-Type: multipart/form-data; boundary=b",),
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1 union select a from b\r\n--b--\r\n',
        ),
        (
            ("Content-Type: multipart/form-data; boundary=b",),
            b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n'
            + b"1 union select a from b" * 20_000
            + b"\r\n--b--\r\n",
        ),
    ],
)
def test_its_verdict_is_that_of_the_layer(headers: tuple[str, ...], body: bytes, on_limit: Any, tmp_path: Path) -> None:
    """Whatever a body is: what is looked at is the same."""
    file = tmp_path / "request"
    file.write_bytes("\r\n".join(["POST /a HTTP/1.1", *headers, "", ""]).encode() + body)
    lines = [(name.lower().encode(), value.encode()) for name, value in (line.split(": ") for line in headers)]

    config = tmp_path / "guard.toml"
    config.write_text(f'[validation]\non_limit = "{on_limit}"', encoding="utf-8")

    status = asyncio.run(_asked(lines, body, on_limit))

    assert main(["inspect", "--config", str(config), "--raw", str(file)]) == int(status != 200)


def test_a_piece_of_an_upload_is_read_as_the_layer_reads_it(tmp_path: Path, capsys) -> None:
    """A brace is anywhere in a file, so it begins no document: a piece is looked at as a text."""
    file = tmp_path / "request"
    many = json.dumps(["a"] * 20_000).encode()
    file.write_bytes(b"PATCH /a HTTP/1.1\r\nContent-Type: application/offset+octet-stream\r\n\r\n" + many)

    assert main(["inspect", "--raw", str(file)]) == 0
    file.write_bytes(file.read_bytes().replace(b"PATCH", b"POST"))
    assert main(["inspect", "--raw", str(file)]) == 1
    assert "beyond the limit: leaves" in capsys.readouterr().out


async def _asked(headers: list[tuple[bytes, bytes]], body: bytes, on_limit: Any) -> int:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body", False):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return (await call(ValidationMiddleware(app, on_limit=on_limit), "POST", "/a", headers=headers, body=body)).status
