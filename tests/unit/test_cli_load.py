"""`asgi-guard load`: the same from the command line, against this machine alone."""

from __future__ import annotations

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from asgi_guard.cli import main

SHOP = """
import asyncio

async def app(scope, receive, send):
    assert scope["type"] == "http"
    if scope["path"] == "/slow":
        await asyncio.sleep(0.05)
    status = 500 if scope["path"] == "/fails" else 200
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name an application."""
    (tmp_path / "loaded_shop.py").write_text(SHOP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return "loaded_shop:app"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--path", "/", "--requests", "100"], 0),
        (["--path", "/", "--path", "/slow", "--requests", "60", "--p95", "0.02"], 1),
        (["--path", "/fails", "--requests", "10"], 1),
        (["--path", "/fails", "--requests", "10", "--error-rate", "100%"], 0),
        (["--path", "/", "--requests", "50", "--rate", "500", "--warm-up", "5"], 0),
        (["--path", "/", "--requests", "10", "--min-throughput", "100000"], 1),
        (["--requests", "0"], 2),
        (["--header", "no header"], 2),
        (["--p95", "-1"], 2),
    ],
)
def test_the_code_says_whether_the_rules_hold(shop: str, arguments: list[str], code: int, capsys) -> None:
    """Or that it could not be tried."""
    assert main(["load", shop, *arguments]) == code
    out, err = capsys.readouterr()
    assert ("passed" in out, "FAILED" in out, err.startswith("asgi-guard: ")) == (code == 0, code == 1, code == 2)


def test_the_slow_route_is_named(shop: str, capsys) -> None:
    """In the last lines."""
    main(["load", shop, "--path", "/", "--path", "POST /slow", "--requests", "60", "--p95", "0.02"])
    assert "FAILED: p95 of POST /slow is 0." in capsys.readouterr().out


def test_the_report_is_a_page_and_data(shop: str, tmp_path: Path, capsys) -> None:
    """For a person, and for a pipe."""
    assert main(["load", shop, "--requests", "20", "--json", "--html", "out.html"]) == 0
    assert json.loads(capsys.readouterr().out)["requests"] == 20
    assert (tmp_path / "out.html").read_text().startswith("<!doctype html>")


@pytest.mark.long
def test_a_server_of_this_machine_is_loaded(capsys) -> None:
    """Over HTTP; its redirects are not followed."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.append(f"{self.headers['host']} {self.path} {self.headers.get('x-a')}")
            self.send_response(302)
            self.send_header("location", "http://example.com/")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        port = server.server_port
        code = main(["load", f"http://localhost:{port}", "--path", "/a", "--requests", "20", "--header", "X-A: b"])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

    assert code == 0
    assert seen == [f"localhost:{port} /a b"] * 20
    assert "20 requests" in capsys.readouterr().out


@pytest.mark.parametrize(
    "url", ["http://example.com/", "http://10.0.0.7:80/", "http://0.0.0.0/", "https://169.254.1.1/"]
)
def test_no_other_machine_is_asked(url: str, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even its name is looked up where it is an address."""

    def connect(*_: object) -> None:
        raise AssertionError("somebody was asked")

    monkeypatch.setattr(socket.socket, "connect", connect)
    assert main(["load", url]) == 2
    assert "must be on this machine" in capsys.readouterr().err


@pytest.mark.parametrize("named", ["nothing_there:app", "loaded_shop:other"])
def test_an_application_that_is_not_there_is_said(shop: str, named: str, capsys) -> None:
    """In a line."""
    assert main(["load", named]) == 2
    assert capsys.readouterr().err.startswith("asgi-guard: ")


def test_somebody_who_has_enough_is_told_what_was_done(capsys, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An interrupt, as of Ctrl-C, ends the run with its report."""
    (tmp_path / "interrupts.py").write_text(
        "import os, signal\nseen = []\n"
        "async def app(scope, receive, send):\n"
        "    if scope['type'] != 'http': raise RuntimeError\n"
        "    seen.append(1)\n"
        "    if len(seen) == 50: os.kill(os.getpid(), signal.SIGINT)\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    await send({'type': 'http.response.body', 'body': b''})\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert main(["load", "interrupts:app", "--seconds", "20"]) == 0
    told = capsys.readouterr()
    assert "interrupted" in told.err
    assert "requests to" in told.out
