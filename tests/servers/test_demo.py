"""The demo over real sockets: right with the guard, wrong without it, and no row that is right whatever comes back."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from http.client import HTTPConnection
from typing import Any

import pytest

from asgi_guard import Guard
from asgi_guard.demo.app import PLANTED, LedgerError, Shop
from asgi_guard.demo.client import Site
from asgi_guard.demo.report import Result
from asgi_guard.demo.rows import ROWS, Row
from asgi_guard.demo.run import _observe, compare, run

App = Callable[[Any, Any, Any], Awaitable[None]]
PASSING = {"GET /stream", "WebSocket /ws", "POST /upload, 1 MB", "a sentence full of keywords"}

# Applications on which rows have to fail ------------------------------------------------------------------------------


async def nothing_there(scope: Any, receive: Any, send: Any) -> None:
    """Answer 404 to everything, WebSockets too."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close"})
        return
    await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


async def always_halfway(scope: Any, receive: Any, send: Any) -> None:
    """Break off every response; accept every WebSocket, and say something else than the client."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "what?"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    raise LedgerError


async def talkative(scope: Any, receive: Any, send: Any) -> None:
    """Answer every request with a traceback."""
    body = f"Traceback (most recent call last): {LedgerError.__name__}: {PLANTED}".encode()
    await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


def buffering(app: App) -> App:
    """Hold every response back until it is complete."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await app(scope, receive, send)
            return
        held: list[Any] = []

        async def hold(message: Any) -> None:
            held.append(message)

        await app(scope, receive, hold)
        for message in held:
            await send(message)

    return wrapped


def bare(app: App) -> App:
    """Take everything but the status off every refusal."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        is_refused = False

        async def strip(message: Any) -> None:
            nonlocal is_refused
            if message["type"] == "http.response.start":
                is_refused = message["status"] >= 400
                message = {**message, "headers": [(b"content-length", b"0")]} if is_refused else message
            await send({**message, "body": b""} if is_refused and "body" in message else message)

        await app(scope, receive, strip)

    return wrapped


def boastful(app: App) -> App:
    """Announce five more requests, always."""

    async def wrapped(scope: Any, receive: Any, send: Any) -> None:
        async def announce(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"ratelimit", b'"100/minute";r=5;t=60')]}
            await send(message)

        await app(scope, receive, announce)

    return wrapped


# What the demo finds --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def results() -> list[Result]:
    """What the demo finds, as `asgi-guard demo` runs it."""
    return compare(Shop(), Guard(Shop()))


@pytest.mark.long
def test_every_row_is_right_with_the_guard(results: list[Result]) -> None:
    """What it is told to do, the guard does over real sockets."""
    assert [result.name for result in results if not result.is_right] == []


def test_each_protection_changes_something(results: list[Result]) -> None:
    """A row is unchanged where the guard has to keep out of the way, and protected everywhere else."""
    assert {result.name for result in results if result.verdict == "unchanged"} == PASSING
    assert {result.name for result in results if result.verdict == "protected"} == {row.name for row in ROWS} - PASSING


def test_no_check_holds_whatever_comes_back(results: list[Result]) -> None:
    """For each check of each row there is an application on which it fails."""
    failed: set[tuple[str, str]] = set()
    for one, other in [
        (Shop(), nothing_there),
        (always_halfway, talkative),
        (buffering(Shop()), bare(Guard(Shop()))),
        (bare(Guard(Shop(), rate_limit=False)), boastful(Shop())),
    ]:
        for result in compare(one, other):
            failed |= {
                (result.name, kind_of(check.wrong)) for check in (*result.plain, *result.guarded) if not check.holds
            }

    made = {(result.name, kind_of(check.wrong)) for result in results for check in result.guarded}
    assert made - failed == set()


def kind_of(complaint: str) -> str:
    """Reduce a complaint to what is the same on every run: no numbers, and not what exactly has leaked."""
    return re.sub(r"leaked .*", "leaked", re.sub(r"[\d x,]*\d", "#", complaint))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_without_an_answer_is_wrong(row: Row[Any]) -> None:
    """When the time is up, a row says so at once."""
    checks = _observe(row, Site("127.0.0.1", 9, time.monotonic()))

    assert [(check.holds, str(check)) for check in checks] == [(False, "no answer (TimeoutError)")]


# The command ----------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_it_fails_when_a_row_is_wrong() -> None:
    """The exit code is 1, and each wrong row is named with what is wrong about it."""
    lines: list[str] = []

    code = run(write=lines.append, guard=lambda app: app, once=True)

    assert code == 1
    assert "\n4 of 17 are as they should be" in lines[1]
    assert "WRONG: GET /items: no request id, no security headers, no rate limit" in lines
    assert len(lines) == 2 + len(ROWS) - len(PASSING)


@pytest.mark.long
def test_once_reports_and_ends() -> None:
    """The exit code is 0, no log floods the terminal, and it takes a few seconds."""
    run = demo("--once")
    output, errors = run.communicate(timeout=20)

    assert (run.returncode, errors) == (0, "")
    assert re.search(r"^17 of 17 are as they should be \(\d+\.\d s\)\.$", output, re.MULTILINE)


@pytest.mark.long
def test_verbose_shows_the_logs() -> None:
    """The tracebacks that the applications raise are there for those who ask."""
    run = demo("--once", "--verbose")
    _, errors = run.communicate(timeout=20)

    assert run.returncode == 0
    assert f"LedgerError: cannot reach {PLANTED}" in errors


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_afterwards_it_serves_both_until_it_is_interrupted() -> None:
    """What the demo has sent does not count against whoever tries; Ctrl-C ends it well."""
    with demo() as run:
        ports = dict(urls(iter(run.stdout.readline, "")))
        answers = {name: ask(port, "/items") for name, port in ports.items()}
        run.send_signal(signal.SIGINT)
        rest, errors = run.communicate(timeout=20)

    assert {name: status for name, (status, _) in answers.items()} == {"plain": 200, "guarded": 200}
    assert answers["guarded"][1].startswith('"100/minute";r=99;')
    assert (run.returncode, rest.splitlines()[-1], errors) == (0, "Stopped.", "")


def demo(*options: str) -> subprocess.Popen[str]:
    """Start the command."""
    command = [sys.executable, "-m", "asgi_guard", "demo", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def urls(lines: Iterable[str]) -> Iterable[tuple[str, int]]:
    """Read the two lines with an address, up to the last line that the demo prints."""
    for line in lines:
        if found := re.match(r"  (plain|guarded)  +http://127\.0\.0\.1:(\d+)$", line):
            yield found[1], int(found[2])
        if "uniq" in line:
            return


def ask(port: int, path: str) -> tuple[int, str]:
    """Send a request, and return the status and the `RateLimit` header."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response.status, response.headers.get("RateLimit", "")
    finally:
        connection.close()
