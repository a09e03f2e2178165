"""Correlation: every log record of a request carries its id, and nobody else's does."""

from __future__ import annotations

import logging
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import structlog
from anyio import create_task_group, to_thread
from anyio.lowlevel import checkpoint

from asgi_guard import (
    ClientAddress,
    Guard,
    RequestIDFilter,
    RequestIDMiddleware,
    add_request_id,
    current_request_id,
    current_trace_id,
)
from asgi_guard.correlation import request_id_var, trace_id_of
from asgi_guard.testing import StrictServer, call, http_scope, websocket

pytestmark = pytest.mark.anyio

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
START: Any = {"type": "http.response.start", "status": 200, "headers": []}
END: Any = {"type": "http.response.body", "body": b""}


class Handler(logging.Handler):
    """Keeps what a format makes of each record."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.addFilter(RequestIDFilter())
        self.setFormatter(logging.Formatter("%(request_id)s %(trace_id)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def lines() -> Any:
    """Collect the lines of one logger."""
    handler, logger = Handler(), logging.getLogger("shop")
    logger.addHandler(handler)
    yield handler.lines
    logger.removeHandler(handler)


def log(word: str) -> None:
    """Write a line, as any library does that knows nothing of requests."""
    logging.getLogger("shop").warning(word)


async def shop(scope: Any, receive: Any, send: Any) -> None:
    """Log here, in a task and in a thread."""
    log("here")
    async with create_task_group() as tasks:
        tasks.start_soon(in_a_task)
    await to_thread.run_sync(log, "in a thread")
    await send(START)
    await send(END)


async def in_a_task() -> None:
    """Log, in a task of the application's."""
    await checkpoint()
    log("in a task")


# the request id


async def test_every_line_of_a_request_has_its_id(lines) -> None:
    """Wherever it is written; a line from outside has none."""
    log("before")
    response = await call(Guard(shop))
    log("after")

    request_id = response.headers.get("x-request-id")
    assert lines == [
        "- - before",
        f"{request_id} - here",
        f"{request_id} - in a task",
        f"{request_id} - in a thread",
        "- - after",
    ]


async def test_a_request_inside_a_request_does_not_take_the_name_away() -> None:
    """An application that calls another one in its own task, as clients without sockets do."""
    seen: list[str | None] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current_request_id())
        await send(START)
        await send(END)

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current_request_id())
        await call(RequestIDMiddleware(inner))
        seen.append(current_request_id())
        await send(START)
        await send(END)

    response = await call(RequestIDMiddleware(outer))

    first, between, last = seen
    assert first == last == response.headers.get("x-request-id")
    assert between not in {first, None}


@pytest.mark.parametrize("fuse", [True, False])
async def test_a_guard_inside_a_guard_leaves_the_name_as_it_is(fuse) -> None:
    """One request, one id; afterwards none."""
    seen: list[str | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current_request_id())
        await send(START)
        await send(END)

    inner = Guard(app)

    async def between(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    response = await call(RequestIDMiddleware(inner if fuse else between))

    assert seen == [response.headers.get("x-request-id")]
    assert current_request_id() is None


@pytest.mark.parametrize("error", [RuntimeError("no"), None], ids=["raises", "says nothing"])
async def test_the_name_is_gone_after_a_failure_too(error) -> None:
    """Whatever the call ended with."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if error is not None:
            raise error

    await StrictServer(http_scope()).serve(RequestIDMiddleware(app))

    assert current_request_id() is None


async def test_the_guards_own_record_of_an_error_has_the_id() -> None:
    """It is written while the request is served."""
    handler, logger = Handler(), logging.getLogger("asgi_guard")
    logger.addHandler(handler)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError

    response = await call(Guard(app))
    logger.removeHandler(handler)

    (line,) = handler.lines
    assert line.startswith(f"{response.headers.get('x-request-id')} - GET / ")


async def test_a_websocket_has_an_id_too() -> None:
    """For as long as it is open."""
    seen: list[str | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        seen.append(current_request_id())

    async with websocket(Guard(app)) as session:
        session.send("")
        request_id = session.headers.get("x-request-id")

    assert seen == [request_id]


def test_a_record_that_is_marked_already_keeps_its_mark() -> None:
    """A queue handler marks where the record is made, and filters again where it is written."""
    record = logging.makeLogRecord({"request_id": "req_of_then"})

    assert RequestIDFilter().filter(record)
    assert vars(record)["request_id"] == "req_of_then"


def test_a_filter_with_a_name_leaves_other_loggers_records_alone() -> None:
    """And lets them pass."""
    record = logging.makeLogRecord({"name": "other"})

    assert RequestIDFilter("shop").filter(record)
    assert "request_id" not in vars(record)


async def test_an_event_of_structlog_gets_what_there_is() -> None:
    """Outside of a request there is nothing to add, and what the caller has said stays."""
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        events.append(add_request_id(None, "info", {"event": "sold"}))
        events.append(add_request_id(None, "info", {"event": "sold", "request_id": "own"}))
        await send(START)
        await send(END)

    response = await call(RequestIDMiddleware(app))

    assert events[0] == {"event": "sold", "request_id": response.headers.get("x-request-id")}
    assert events[1]["request_id"] == "own"
    assert add_request_id(None, "info", {"event": "sold"}) == {"event": "sold"}


def test_structlog_writes_the_ids() -> None:
    """The real one, with the processor in its chain."""
    token = request_id_var.set("req_of_now")
    try:
        with structlog.testing.capture_logs(processors=[add_request_id]) as events:
            structlog.get_logger().info("sold", price=3)
    finally:
        request_id_var.reset(token)

    assert events == [{"event": "sold", "price": 3, "log_level": "info", "request_id": "req_of_now"}]


# the trace


@pytest.mark.parametrize(
    ("header", "trace_id"),
    [
        (TRACEPARENT, TRACE),
        (f"01-{TRACE}-{SPAN}-01", TRACE),
        (f"cc-{TRACE}-{SPAN}-01-what-comes-later", TRACE),
        (f"00-{TRACE}-{SPAN}-01-what-comes-later", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{TRACE[:-1]}-{SPAN}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        (f"00-{TRACE}-{SPAN}-01\n", None),
        (f"01-{TRACE}-{SPAN}-01-{'x' * 300}", None),
        (f"01-{TRACE}-{SPAN}-01.", None),
        ("", None),
    ],
)
def test_a_traceparent_is_read_as_its_standard_says(header, trace_id) -> None:
    """W3C Trace Context, section 3.2: four fields, lower case, no zeros; later versions may append."""
    assert trace_id_of(header.encode()) == trace_id


async def traced(scope: Any, receive: Any, send: Any) -> None:
    """Fail, having said which trace it is."""
    log(str(scope["state"].get("trace_id")))
    raise RuntimeError


@pytest.mark.parametrize(
    ("peer", "sent", "trace_id"),
    [
        ("10.0.0.7", [TRACEPARENT], TRACE),
        ("198.51.100.7", [TRACEPARENT], None),
        ("10.0.0.7", [TRACEPARENT, TRACEPARENT], None),
        ("10.0.0.7", ["nonsense"], None),
        ("10.0.0.7", [], None),
    ],
    ids=["of a trusted peer", "of anybody", "twice", "malformed", "absent"],
)
async def test_only_a_trusted_peer_says_which_trace_it_is(peer, sent, trace_id, lines) -> None:
    """Then it is in the state, the log and the answer; else whoever asks could join the traces of others."""
    app = Guard(traced, client_address=ClientAddress(trusted=["10.0.0.0/8"]))
    headers = [("traceparent", value) for value in sent]

    house = await call(app, headers=headers, client=(peer, 1))
    problem = await call(app, headers=[*headers, ("Accept", "application/problem+json")], client=(peer, 1))

    assert house.json().get("trace_id") == problem.json().get("trace_id") == trace_id
    assert house.headers.get("x-trace-id") == trace_id
    assert lines[0].endswith(f" {trace_id or '-'} {trace_id}")
    assert current_trace_id() is None


def open_telemetry(trace_id: int) -> ModuleType:
    """Make a module that has a span, as OpenTelemetry's has."""
    context = SimpleNamespace(trace_id=trace_id, span_id=int(SPAN, 16), is_valid=trace_id != 0)
    module: Any = ModuleType("opentelemetry.trace")
    module.get_current_span = lambda: SimpleNamespace(get_span_context=lambda: context)
    return module  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("module", "trace_id"),
    [
        (open_telemetry(int(TRACE, 16)), TRACE),
        (open_telemetry(1), "0" * 31 + "1"),
        (open_telemetry(0), None),
        (ModuleType("opentelemetry.trace"), None),
        (None, None),
    ],
    ids=["a span", "leading zeros", "no span", "half imported", "not imported"],
)
def test_the_trace_is_that_of_the_current_span(module, trace_id, monkeypatch) -> None:
    """Where somebody has imported OpenTelemetry; it is never imported for this."""
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", module)

    assert current_trace_id() == trace_id


@pytest.mark.parametrize(
    ("settings", "answered"),
    [
        ({}, {"x-trace-id": TRACE}),
        ({"trace_header": "X-Amzn-Trace"}, {"x-amzn-trace": TRACE}),
        ({"trace_header": None}, {}),
    ],
    ids=str,
)
async def test_the_answer_names_the_trace_of_the_current_span(settings, answered, monkeypatch) -> None:
    """In place of what the application wrote under that name."""
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", open_telemetry(int(TRACE, 16)))
    stale = [(name.encode(), b"stale") for name in answered]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "headers": stale})
        await send(END)

    response = await call(RequestIDMiddleware(app, **settings))

    assert {name.decode(): value.decode() for name, value in response.headers if b"trace" in name} == answered


async def test_no_answer_names_a_trace_that_nobody_traces(monkeypatch) -> None:
    """Where OpenTelemetry is there and has no span."""
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", open_telemetry(0))

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(END)

    assert (await call(RequestIDMiddleware(app))).headers.get("x-trace-id") is None


@pytest.mark.anyio
@pytest.mark.parametrize("is_asked_for", [True, False])
@pytest.mark.usefixtures("lines")
async def test_the_error_names_the_trace_that_log_lines_have_named(is_asked_for, monkeypatch, caplog) -> None:
    """Instrumentation inside the guard has ended its span by then; a line in a task or a thread counts as well."""
    module = open_telemetry(int(TRACE, 16))
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", open_telemetry(0))

    async def instrumented(scope: Any, receive: Any, send: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "opentelemetry.trace", module)
            if is_asked_for:
                async with create_task_group() as tasks:
                    tasks.start_soon(to_thread.run_sync, log, "asked")
            raise KeyError

    response = await call(Guard(instrumented))

    trace_id = TRACE if is_asked_for else None
    assert (response.json().get("trace_id"), response.headers.get("x-trace-id")) == (trace_id, trace_id)
    (record,) = [record for record in caplog.records if record.name == "asgi_guard"]
    assert getattr(record, "trace_id", None) == trace_id
    page = await call(Guard(instrumented), headers={"Accept": "text/html"})
    assert (TRACE.encode() in page.body) is is_asked_for
    assert current_trace_id() is None


def test_the_real_opentelemetry_is_understood() -> None:
    """A span of its own making, without any SDK."""
    trace = pytest.importorskip("opentelemetry.trace", reason="opentelemetry is not installed")
    context = trace.SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=True)

    with trace.use_span(trace.NonRecordingSpan(context)):
        assert current_trace_id() == TRACE
        assert add_request_id(None, "info", {}) == {"trace_id": TRACE, "span_id": SPAN}
    assert current_trace_id() is None


# the span


@pytest.mark.parametrize(("trace_id", "told"), [(int(TRACE, 16), (TRACE, SPAN)), (0, ("-", "-"))], ids=["one", "none"])
def test_a_record_names_the_span_that_it_was_written_in(trace_id, told, monkeypatch) -> None:
    """Under the name that OpenTelemetry gives it in log formats that are not its own."""
    monkeypatch.setitem(sys.modules, "opentelemetry.trace", open_telemetry(trace_id))
    record = logging.makeLogRecord({})

    assert RequestIDFilter().filter(record)
    assert (vars(record)["trace_id"], vars(record)["span_id"]) == told


async def test_a_trace_that_a_peer_has_begun_has_no_span_here() -> None:
    """The span id of its `traceparent` is that of the peer's span, which has written none of our lines."""
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        events.append(add_request_id(None, "info", {}))
        await send(START)
        await send(END)

    guard = Guard(app, client_address=ClientAddress(trusted=["10.0.0.0/8"]), telemetry=False)
    await call(guard, headers={"traceparent": TRACEPARENT}, client=("10.0.0.7", 1))

    (event,) = events
    assert (event["trace_id"], event.get("span_id")) == (TRACE, None)
