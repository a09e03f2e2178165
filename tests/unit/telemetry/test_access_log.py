"""Access log: a line a request, off its way, that nobody can forge."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
from contextlib import suppress

import pytest

from asgi_guard import Guard
from asgi_guard.engine.fuse import Middleware
from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.layers.error_envelope import ErrorEnvelopeMiddleware
from asgi_guard.layers.request_id import RequestIDMiddleware
from asgi_guard.layers.request_limits import RequestLimitsMiddleware
from asgi_guard.layers.telemetry import Telemetry, TelemetryLayer, TelemetryMiddleware
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.telemetry import access_log
from asgi_guard.telemetry.access_log import Access, AccessLog, Writer, line_of
from asgi_guard.testing import call

pytestmark = pytest.mark.anyio

ACCESS = Access(0.0, "GET", "/", "", "", 200, "", 1_500_000, 0, 2, None, None, 0, b"", "")


@pytest.fixture
def no_blocking_calls() -> None:
    """Let a test wait for the thread that writes."""


async def app(scope, receive, send) -> None:
    """Answer as the path says."""
    await send({"type": "http.response.start", "status": 404 if "missing" in scope["path"] else 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def lines(guarded_app=app, *paths, chance=lambda: 0.5, headers=(), **log) -> list[dict]:
    """Ask for these paths, and return what was written."""
    stream = io.StringIO()
    layer = TelemetryLayer(Telemetry(access_log=AccessLog(stream=stream, **log), aggregate=Aggregate()), chance=chance)
    for path in paths or ["/"]:
        with suppress(RuntimeError):
            await call(Middleware(guarded_app, layer), "GET", path, headers=headers)
    await layer.shutdown()
    return [json.loads(line) for line in stream.getvalue().splitlines()]


async def test_a_line_tells_what_became_of_a_request() -> None:
    """By names that sort and filter."""
    (line,) = await lines(RequestIDMiddleware(app), "/items?q=1", headers={"Host": "shop", "User-Agent": "curl"})

    assert line.pop("time").endswith("Z")
    assert line.pop("request_id").startswith("req_")
    assert line.pop("duration_ms") >= 0
    assert line == {
        "method": "GET",
        "path": "/items",
        "status": 200,
        "received_bytes": 0,
        "sent_bytes": 5,
        "client": "198.51.100.7",
        "user_agent": "curl",
    }


async def test_a_refusal_names_its_layer_and_an_exception_itself() -> None:
    """The first was never seen by the application."""

    async def fails(scope, receive, send) -> None:
        raise RuntimeError("s3cret")

    refused, failed = await lines(
        ErrorEnvelopeMiddleware(RequestLimitsMiddleware(fails, max_url_bytes=64)), "/" + "a" * 100, "/"
    )
    assert (refused["status"], refused["answered_by"]) == (414, "request_limits")
    assert (failed["status"], failed["answered_by"], failed["error"]) == (500, "error_envelope", "RuntimeError")


@pytest.mark.parametrize(
    ("share", "told"), [(1.0, ["/", "/missing"]), (0.6, ["/", "/missing"]), (0.4, ["/missing"]), (0.0, ["/missing"])]
)
async def test_what_fails_is_told_whatever_the_share_is(share, told) -> None:
    """The rest by chance."""
    assert [line["path"] for line in await lines(app, "/", "/missing", share=share)] == told


async def test_a_query_is_told_on_request_alone_and_without_secrets() -> None:
    """Queries carry tokens, and logs are kept."""
    (without,) = await lines(app, "/?q=1")
    (told,) = await lines(app, "/?q=1&access_token=s3cret", query=True)
    assert "query" not in without
    assert told["query"] == "q=1&access_token=REDACTED"


@pytest.mark.parametrize("sent", ["\r\n{}", "\x1b[2J", "\x7f\u2028\x00", "é\udc80", '"}'])
def test_a_line_is_one_line_of_plain_ascii(sent) -> None:
    """Whatever a client has written: it may not forge another, nor reach a terminal."""
    line = line_of(ACCESS._replace(path=sent, agent=sent.encode("utf-8", "replace"), request_id=sent))
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["path"] == sent


async def test_what_a_client_sizes_is_cut() -> None:
    """The path, the query and the user agent."""
    long = "a" * 20_000
    (line,) = await lines(app, f"/{long}?{long}", headers={"Host": "a", "User-Agent": long}, query=True)
    assert max(len(str(value)) for value in line.values()) <= 512


async def test_it_goes_to_a_logger_unless_told_otherwise(caplog) -> None:
    """Whose level is set, since nobody would see a line else."""
    guarded = TelemetryMiddleware(app, access_log=True, aggregate=Aggregate())
    await call(guarded, "GET", "/")
    await guarded.layers[0].shutdown()
    assert [record.levelno for record in caplog.records if record.name == "asgi_guard.access"] == [logging.INFO]


async def test_nobody_is_told_unless_asked() -> None:
    """No thread is started either."""
    before = set(threading.enumerate())
    await call(TelemetryMiddleware(app, aggregate=Aggregate()), "GET", "/")
    TelemetryMiddleware(app, access_log=True, aggregate=Aggregate())
    assert set(threading.enumerate()) <= before  # those of other tests may end meanwhile


class Stuck(io.StringIO):
    """A stream that takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.is_reached, self.may_go = threading.Event(), threading.Event()

    def write(self, text: str) -> int:
        self.is_reached.set()
        self.may_go.wait(10)
        return super().write(text)


def test_lines_that_find_no_place_are_dropped_and_counted() -> None:
    """A disk that hangs costs lines, never requests or memory."""
    stream, dropped = Stuck(), []
    writer = Writer(AccessLog(stream=stream, max_lines=10), lambda: dropped.append(1))
    writer.put(ACCESS)
    assert stream.is_reached.wait(10)
    for _ in range(25):
        writer.put(ACCESS)
    assert len(dropped) == 15

    stream.may_go.set()
    writer.close()
    assert len(stream.getvalue().splitlines()) == 11


def test_a_stream_that_fails_costs_its_lines() -> None:
    """And the next ones are written if they can be."""

    class Failing(io.StringIO):
        is_broken = True

        def write(self, text: str) -> int:
            if self.is_broken:
                raise OSError("no space left")
            return super().write(text)

    stream, dropped = Failing(), []
    writer = Writer(AccessLog(stream=stream), lambda: dropped.append(1))
    writer.put(ACCESS)
    writer.close()
    stream.is_broken = False
    writer.put(ACCESS)
    writer.close()
    assert (len(dropped), len(stream.getvalue().splitlines())) == (1, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_worker_writes_its_own_lines() -> None:
    """Its parent's thread is not there, nor are its parent's lines."""
    ours, theirs = os.pipe()
    stream = io.StringIO()
    writer = Writer(AccessLog(stream=stream), lambda: None)
    writer.put(ACCESS)
    child = os.fork()
    if not child:
        stream.seek(0)
        stream.truncate()
        writer.put(ACCESS)
        writer.close()
        os.write(theirs, b"%d" % len(stream.getvalue().splitlines()))
        os._exit(0)
    os.waitpid(child, 0)
    writer.close()
    assert (os.read(ours, 10), len(stream.getvalue().splitlines())) == (b"1", 1)
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(("name", "value"), [("share", 2), ("query", "yes"), ("stream", "stdout"), ("max_lines", 0)])
def test_what_cannot_work_does_not_start(name, value) -> None:
    """And says why."""
    with pytest.raises(ConfigError, match=rf"AccessLog\.{name}"):
        AccessLog(**{name: value})


async def test_where_nobody_listens_it_goes_to_standard_output(capsys, monkeypatch) -> None:
    """As under a server that sets up its own logging alone: what was asked for must not vanish."""
    monkeypatch.setattr(access_log.logger, "propagate", False)
    layer = TelemetryLayer(Telemetry(access_log=True, aggregate=Aggregate()))
    await call(Middleware(app, layer), "GET", "/items")
    await layer.shutdown()

    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["path"] == "/items"


def test_a_thread_that_cannot_be_started_costs_its_line_alone(monkeypatch) -> None:
    """It is counted as dropped, and the next line tries again."""
    stream, dropped = io.StringIO(), []
    writer = Writer(AccessLog(stream=stream), lambda: dropped.append(1))

    def refuse(_thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as none_left:
        none_left.setattr(threading.Thread, "start", refuse)
        writer.put(ACCESS)
    for _ in range(3):
        writer.put(ACCESS)
    writer.close()

    assert (len(dropped), len(stream.getvalue().splitlines())) == (1, 3)


def test_a_stream_need_not_know_how_to_flush() -> None:
    """What was written counts as written."""

    class Plain:
        def __init__(self) -> None:
            self.written = ""

        def write(self, text) -> None:
            self.written += text

    plain, dropped = Plain(), []
    writer = Writer(AccessLog(stream=plain), lambda: dropped.append(1))  # type: ignore[arg-type]
    writer.put(ACCESS)
    writer.close()

    assert (len(plain.written.splitlines()), dropped) == (1, [])


async def test_a_guard_that_is_reconfigured_leaves_no_thread_behind() -> None:
    """However often."""
    guard = Guard(app, telemetry=Telemetry(access_log=AccessLog(stream=io.StringIO()), aggregate=Aggregate()))
    before = {thread for thread in threading.enumerate() if "access log" in thread.name}
    for _ in range(20):
        await call(guard)
        guard.reconfigure(telemetry=Telemetry(access_log=AccessLog(stream=io.StringIO()), aggregate=Aggregate()))

    def left() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if "access log" in thread.name} - before

    for thread in left():
        thread.join(5)
    assert left() == set()
