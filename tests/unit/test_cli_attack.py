"""`asgi-guard attack`: the same from the command line, against this machine alone."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from attack_shops import with_holes
from served import serve

from asgi_guard.cli import main


def test_a_hole_is_an_exit_code(tmp_path: Path, capsys, monkeypatch) -> None:
    """And a line, a page and data."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "routes.json").write_text(json.dumps([["GET", "/hello", {"name": "query"}]]))
    arguments = ["--routes", "routes.json", "--html", "out.html", "--max-requests", "300"]

    assert main(["attack", "attack_shops:with_holes()", *arguments]) == 1
    assert "HOLE: xss in GET /hello" in capsys.readouterr().out
    assert (tmp_path / "out.html").read_text().startswith("<!doctype html>")
    assert main(["attack", "attack_shops:without_holes()", *arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["holes"] == []


def test_routes_of_a_document_are_attacked(tmp_path: Path, capsys) -> None:
    """An OpenAPI document is one."""
    document = with_holes().openapi()
    document["paths"] = {path: item for path, item in document["paths"].items() if path == "/field"}
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    code = main(
        ["attack", "attack_shops:with_holes()", "--routes", str(tmp_path / "openapi.json"), "--max-requests", "100"]
    )

    assert code == 1
    assert "HOLE: xss in GET /field, query q" in capsys.readouterr().out


@pytest.mark.long
def test_a_server_of_this_machine_is_attacked(tmp_path: Path, capsys) -> None:
    """By the routes that its own document tells."""
    with serve("uvicorn", "attack_shops:without_holes", tmp_path, "--factory") as served:
        url = f"http://localhost:{served.port}"
        assert main(["attack", url, "--max-requests", "300", "--header", "X-Name: b"]) == 0
    assert "300 requests to 7 routes" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["attack", "load"])
@pytest.mark.parametrize("is_named", [False, True], ids=["here", "named"])
def test_an_application_is_found_where_somebody_stands(command: str, is_named: bool, tmp_path: Path, capsys) -> None:
    """As a program of its own, whose path does not begin with the current folder."""
    (tmp_path / "corner.py").write_text("async def app(scope, receive, send): raise RuntimeError(__file__)\n")
    where = ["--app-dir", str(tmp_path)] if is_named else []
    few = ["--requests", "1"] if command == "load" else ["--max-requests", "1", "--routes", str(tmp_path / "r.json")]
    (tmp_path / "r.json").write_text('[["GET", "/", {"q": "query"}]]')
    code = "import sys; sys.path[:] = sys.path[1:]; from asgi_guard.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, command, "corner:app", *few, *where],
        cwd=None if is_named else tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert "AG551" not in done.stderr
    assert "Traceback" not in done.stderr
    assert " to 1 route" in done.stdout or "GET /" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["http://example.invalid/"],
        ["http://192.0.2.1/"],
        ["nothing_there:app"],
        ["attack_shops:without_holes()", "--routes", "/nowhere.json"],
        ["attack_shops:without_holes()", "--header", "none"],
        ["attack_shops:without_holes()", "--max-requests", "0"],
    ],
)
def test_what_cannot_be_tried_is_said_in_a_line(arguments: list[str], capsys) -> None:
    """With a code of its own."""
    assert main(["attack", *arguments]) == 2
    assert capsys.readouterr().err.startswith("asgi-guard: ")


def test_what_lets_nobody_in_was_not_attacked(tmp_path: Path, capsys) -> None:
    """Which is not the same as to have no hole."""
    (tmp_path / "routes.json").write_text(json.dumps([["GET", "/nowhere", {"q": "query"}]]))
    arguments = ["--routes", str(tmp_path / "routes.json"), "--max-requests", "60"]

    assert main(["attack", "attack_shops:without_holes()", *arguments]) == 2
    said = capsys.readouterr()
    assert "closed: 1 route answered" in said.out
    assert "too little was seen" in said.err


@pytest.mark.parametrize("command", ["attack", "load"])
def test_where_nobody_listens_nothing_was_tried(command: str, capsys) -> None:
    """Whatever is wrong there, it is no report."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert main([command, f"http://127.0.0.1:{port}"]) == 2
    assert capsys.readouterr().err == f"asgi-guard: nobody listens at http://127.0.0.1:{port}\n"


@pytest.mark.parametrize("text", ["7", "{", '[["GET"]]', '["GET /"]'])
def test_a_file_without_routes_is_said(tmp_path: Path, text: str, capsys) -> None:
    """Whatever is in it."""
    (tmp_path / "routes.json").write_text(text)
    assert main(["attack", "attack_shops:without_holes()", "--routes", str(tmp_path / "routes.json")]) == 2
    assert capsys.readouterr().err.startswith("asgi-guard: ")
