"""The error envelope: whatever the application raises, the client gets an answer, and none of it is in the answer."""

from __future__ import annotations

import html
import logging
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from asgi_guard import (
    ConfigError,
    ErrorCategory,
    ErrorEnvelope,
    ErrorEnvelopeMiddleware,
    ErrorSeverity,
    Guard,
    GuardError,
    RequestIDMiddleware,
)
from asgi_guard.events import ErrorAnswered
from asgi_guard.resilience import BulkheadFullError, CircuitOpenError, DeadlineExceededError
from asgi_guard.testing import ABSENT, StrictServer, call, capture_events, http_scope, websocket


def without_addresses(given: object) -> str:
    """Name a case alike in every process."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(given))[:60]


pytestmark = pytest.mark.anyio

HIGH = ErrorSeverity.HIGH
SECRET = "postgres://admin:hunter2@db.internal/orders"
START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
PIECE = {"type": "http.response.body", "body": b"piece", "more_body": True}
END = {"type": "http.response.body", "body": b"end"}
FORMATS = {
    "application/json": b"application/json",
    "application/problem+json": b"application/problem+json",
    "text/html": b"text/html; charset=utf-8",
    "text/plain": b"text/plain; charset=utf-8",
}


class DatabaseConnectionLostError(Exception):
    """An exception whose name alone says too much."""


class NotAnError(BaseException):
    """Stands for a cancellation, a KeyboardInterrupt, a SystemExit."""


def app_of(*script: Any) -> Any:
    """Make an application that sends these messages and raises these exceptions, in order."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for step in script:
            if isinstance(step, BaseException):
                raise step
            await send(step)

    return app


def failure() -> Exception:
    """Make an exception with a secret wherever one can stand: in its text, its notes, its cause, and a group."""
    error = DatabaseConnectionLostError(SECRET)
    error.add_note(SECRET)
    error.__cause__ = ValueError(SECRET)
    return ExceptionGroup(SECRET, [error, OSError(2, SECRET, SECRET)])


# nothing leaks


@pytest.mark.parametrize("accept", FORMATS)
@pytest.mark.parametrize("error", [failure(), DatabaseConnectionLostError(SECRET), GuardError(SECRET)], ids=repr)
async def test_a_500_tells_nothing_of_the_exception(accept, error) -> None:
    """Neither its text nor its class nor a file of the traceback, in body and headers, in any format."""
    response = await call(Guard(app_of(error)), headers={"Accept": accept})

    told = (response.body + b"".join(name + value for name, value in response.headers)).decode().lower()
    assert response.status == 500
    assert response.headers.get(b"content-type") == FORMATS[accept]
    for trace in (SECRET, "hunter2", "db.internal", "DatabaseConnection", "ValueError", "Traceback", __file__, ".py"):
        assert trace.lower() not in told
    assert response.headers.get("cache-control") == "no-store"


async def test_the_500_says_what_happened_and_gives_the_request_its_name() -> None:
    """A client can tell that it is not to blame, and can say which request it was."""
    response = await call(Guard(app_of(failure())))

    body = response.json()
    assert body.pop("request_id") == response.headers.get("x-request-id")
    assert body["error"].pop("timestamp").endswith("Z")
    assert body == {
        "error": {
            "type": "system",
            "code": "INTERNAL_ERROR",
            "message": "Something went wrong on the server.",
            "severity": "high",
            "retryable": False,
            "details": {},
        },
        "suggestions": [],
    }


async def test_the_log_has_the_traceback_and_the_id(caplog) -> None:
    """One record: what was asked for, under which id, and all that the client is not told."""
    response = await call(Guard(app_of(DatabaseConnectionLostError(SECRET))), "POST", "/orders/7")

    (record,) = caplog.records
    assert (record.name, record.levelno) == ("asgi_guard", logging.ERROR)
    assert (
        record.getMessage()
        == f"POST /orders/7 (request id {response.headers.get('x-request-id')}) failed with INTERNAL_ERROR"
    )
    assert record.exc_info is not None
    assert record.exc_info[0] is DatabaseConnectionLostError


@pytest.mark.parametrize(
    "hostile", ["/a\nERROR forged", "/a\r\nb", "/\x1b[2J", "/\x00", "/\u2028b", "/\x85b", "/\ud800"]
)
@pytest.mark.parametrize("field", ["path", "method"])
async def test_a_hostile_request_cannot_split_the_log_line(hostile, field, caplog) -> None:
    """One line of visible ASCII, whatever the client sent."""
    await StrictServer({**http_scope(), field: hostile}).serve(Guard(app_of(failure())))

    (record,) = caplog.records
    assert record.getMessage().isascii()
    assert record.getMessage().isprintable()


async def test_a_long_request_cannot_fill_the_log(caplog) -> None:
    """At most 256 characters of the path, 32 of the method."""
    await call(ErrorEnvelopeMiddleware(app_of(failure())), "M" * 10_000, "/" + "p" * 10_000)

    (record,) = caplog.records
    assert len(record.getMessage()) < 400


# errors of the application's own


@pytest.mark.parametrize(
    ("facts", "status", "message"),
    [
        ({"category": ErrorCategory.NOT_FOUND, "message": "No such order."}, 404, "No such order."),
        ({"category": ErrorCategory.AUTHENTICATION, "message": "Sign in."}, 401, "Sign in."),
        ({"status": 410, "message": "Gone."}, 410, "Gone."),
        ({"status": 503, "message": SECRET}, 503, "The service is not available at the moment."),
        ({"status": 503, "message": "Back at noon.", "expose": True}, 503, "Back at noon."),
        ({"status": 200, "message": SECRET}, 500, "Something went wrong on the server."),
        ({"status": 1_000, "message": SECRET}, 500, "Something went wrong on the server."),
    ],
    ids=str,
)
async def test_an_error_of_our_tree_is_answered_with_its_own_status(facts, status, message) -> None:
    """Its message is told below 500, and above only where it says so."""
    response = await call(ErrorEnvelopeMiddleware(app_of(GuardError(error_code="ORDERS_7", **facts))))

    error = response.json()["error"]
    assert (response.status, error["code"], error["message"]) == (status, "ORDERS_7", message)


async def test_details_are_told_where_the_message_is() -> None:
    """Suggestions always: they were written for the client."""
    facts: Any = {"details": {"field": "name"}, "suggestions": ["Give a name."]}

    told = await call(ErrorEnvelopeMiddleware(app_of(GuardError("No name.", status=422, **facts))))
    withheld = await call(ErrorEnvelopeMiddleware(app_of(GuardError("No name.", status=500, **facts))))

    assert told.json()["error"]["details"] == {"field": "name"}
    assert withheld.json()["error"]["details"] == {}
    assert told.json()["suggestions"] == withheld.json()["suggestions"] == ["Give a name."]


async def test_an_error_that_is_the_clients_is_not_logged_as_ours(caplog) -> None:
    """A line at INFO, which is off by default, without what it says."""
    caplog.set_level("INFO", "asgi_guard")
    await call(
        ErrorEnvelopeMiddleware(app_of(GuardError("No.", status=404, error_code="NO_ORDER"))), "GET", "/orders/7"
    )

    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("INFO", None)
    assert record.getMessage() == "GET /orders/7 (request id None) was answered with NO_ORDER"


async def test_the_record_has_what_the_error_says(caplog) -> None:
    """As attributes, for whoever writes the log as JSON; what sounds like a secret is hidden."""
    facts: Any = {"order": 7, "db_password": SECRET, "nested": [{"dsn": SECRET, "table": "orders"}]}
    error = GuardError("No.", error_code="ORDERS_DOWN", category=ErrorCategory.DATABASE, severity=HIGH, details=facts)
    events = capture_events()
    response = await call(Guard(app_of(error), listeners=[events]))

    (record,) = caplog.records
    hidden = {"order": 7, "db_password": "<hidden>", "nested": [{"dsn": "<hidden>", "table": "orders"}]}
    assert record.getMessage().endswith(" failed with ORDERS_DOWN")
    assert vars(record) | {
        "error_code": "ORDERS_DOWN",
        "category": "database",
        "severity": "high",
        "status": 503,
        "details": hidden,
        "request_id": response.headers.get("x-request-id"),
    } == vars(record)
    assert [event.details for event in events.of(ErrorAnswered)] == [hidden]
    assert response.json()["error"]["details"] == {}


@pytest.mark.parametrize(
    ("severity", "level"), [("low", "WARNING"), ("medium", "ERROR"), ("high", "ERROR"), ("critical", "CRITICAL")]
)
async def test_the_severity_decides_the_level(severity, level, caplog) -> None:
    """Of what is answered with 500 or more."""
    await call(ErrorEnvelopeMiddleware(app_of(GuardError(severity=severity, status=503))))

    assert [record.levelname for record in caplog.records] == [level]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CircuitOpenError("payments", 5), "CIRCUIT_OPEN: The circuit 'payments' is open."),
        (BulkheadFullError("a\nb"), "BULKHEAD_FULL: The bulkhead 'a\\\\nb' is full."),
        (DeadlineExceededError(not_sent=True), "DEADLINE_EXCEEDED: The time for this is over."),
    ],
    ids=["circuit", "bulkhead", "deadline"],
)
async def test_a_refusal_of_our_own_policies_is_one_line(error, told, caplog) -> None:
    """They come by the thousand in an outage, and their traceback says nothing."""
    await call(ErrorEnvelopeMiddleware(app_of(error)))

    (record,) = caplog.records
    assert (record.levelname, record.exc_info) == ("WARNING", None)
    assert record.getMessage() == f"GET / (request id None) was refused with {told}"


async def test_where_a_deadline_ends_what_is_under_way_the_log_shows_where(caplog) -> None:
    """And a group has its traceback in any case."""
    await call(ErrorEnvelopeMiddleware(app_of(DeadlineExceededError())))
    await call(ErrorEnvelopeMiddleware(app_of(ExceptionGroup("both", [CircuitOpenError()]))))

    assert [bool(record.exc_info) for record in caplog.records] == [True, True]


async def test_suggestions_are_in_any_language() -> None:
    """In each format."""
    settings = ErrorEnvelope(suggestions={"INTERNAL_ERROR": ["Später noch einmal: 後で"]})
    for accept in FORMATS:
        response = await call(ErrorEnvelopeMiddleware(app_of(failure()), settings), headers={"Accept": accept})
        told = response.body.decode()
        said = " ".join(response.json()["suggestions"]) if accept.endswith("json") else html.unescape(told)
        assert "Später noch einmal: 後で" in said


@pytest.mark.parametrize(
    ("suggestions", "problem"),
    [
        ({3: ["Wait."]}, "AG104 ErrorEnvelope.suggestions[3] must be"),
        ({"": ["Wait."]}, "AG104 ErrorEnvelope.suggestions[] must be"),
        ({"databse": ["Wait."]}, "AG241 ErrorEnvelope.suggestions[databse] must be an error code or a category"),
        ({"database": []}, "AG106 ErrorEnvelope.suggestions[database] must"),
        ({"database": "Wait."}, "AG106 ErrorEnvelope.suggestions[database] must"),
        ({"database": ["Wait.", 3]}, "AG104 ErrorEnvelope.suggestions[database][1] must"),
    ],
    ids=str,
)
async def test_suggestions_that_nobody_would_be_given_are_refused(suggestions, problem) -> None:
    """With the name that was meant; any other name is a code of the application's."""
    ErrorEnvelope(suggestions={"out_of_stock": ["Wait."], "database": ["Wait."]})
    with pytest.raises(ConfigError) as caught:
        ErrorEnvelope(suggestions=suggestions)

    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("wait", "header"),
    [
        (None, None),
        (0, "0"),
        (1, "1"),
        (1.2, "2"),
        (0.001, "1"),
        (86_400, "86400"),
        ## what is no wait is not told, and takes no answer down
        (-1, None),
        (float("nan"), None),
        (float("inf"), None),
        (1e300, None),
        (10**5_000, None),
        ("5", None),
        ([5], None),
    ],
    ids=lambda value: str(value)[:12] if not isinstance(value, int) or value < 10**9 else "long",
)
async def test_a_wait_is_told_in_whole_seconds(wait, header) -> None:
    """Rounded up, so that nobody comes back too early (RFC 9110 section 10.2.3)."""
    response = await call(ErrorEnvelopeMiddleware(app_of(GuardError("Later.", status=503, retry_after=wait))))

    assert response.status == 503
    assert response.headers.get("retry-after") == header


class NoTruth(dict[str, Any]):
    """Facts that cannot be asked whether there are any, as some arrays and frames cannot."""

    def __bool__(self) -> bool:
        raise ValueError("the truth value is ambiguous")


@pytest.mark.parametrize(
    "odd",
    [
        {"message": ["a", "list"]},
        {"message": "\r\nset-cookie: a=b"},
        {"message": "x" * 1_000_000},
        {"error_code": 7},
        {"category": "nothing known"},
        {"details": {"a": object(), "b": float("nan"), "c": {"d": {"e": {}}}}},
        {"details": "text"},
        {"details": NoTruth()},
        {"details": NoTruth(a=1)},
        {"suggestions": [1, None]},
        {"status": "404"},
        {"status": True},
        {"retryable": "yes"},
    ],
    ids=without_addresses,
)
@pytest.mark.parametrize("accept", FORMATS)
async def test_whatever_an_error_holds_it_is_answered(odd, accept) -> None:
    """An error while an error is told would be an outage; and the answer stays small."""
    response = await call(ErrorEnvelopeMiddleware(app_of(GuardError(**odd))), headers={"Accept": accept})

    assert 400 <= response.status <= 599
    assert len(response.body) < 20_000


@pytest.mark.parametrize(
    ("handlers", "is_left"),
    [
        (({DatabaseConnectionLostError: print}, {}), True),
        (({Exception: print}, {}), True),
        (({KeyError: print}, {404: print}), False),
        (({}, {}), False),
        ((), False),
        ("odd", False),
        (None, False),
    ],
    ids=str,
)
async def test_what_a_framework_around_has_a_handler_for_is_left_to_it(handlers, is_left) -> None:
    """A framework that mounts a guard leaves its handlers in the scope, by class; what is odd there says nothing."""
    error = DatabaseConnectionLostError(SECRET)
    scope = {**http_scope(app=object()), "starlette.exception_handlers": handlers}

    server = await StrictServer(scope).serve(ErrorEnvelopeMiddleware(app_of(error)))

    assert (server.error is error, bool(server.sent)) == (is_left, not is_left)


# the format


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, b"application/json"),
        ("*/*", b"application/json"),
        ("", b"application/json"),
        ("application/json", b"application/json"),
        ("application/*", b"application/json"),
        ("application/problem+json", b"application/problem+json"),
        ("application/problem+json, application/json;q=0.9", b"application/problem+json"),
        ("text/html", b"text/html; charset=utf-8"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", b"text/html; charset=utf-8"),
        ("text/plain", b"text/plain; charset=utf-8"),
        ("image/png", b"application/json"),
        ("application/json;q=0", b"application/json"),
        ("\xff\xfe", b"application/json"),
    ],
)
async def test_the_client_gets_the_format_that_it_accepts(accept, content_type) -> None:
    """JSON where it does not say, and where nothing fits: never a 406. Caches are told that it depends."""
    headers = {} if accept is None else {"Accept": accept}

    response = await call(ErrorEnvelopeMiddleware(app_of(failure())), headers=headers)

    assert response.status == 500
    assert response.headers.get(b"content-type") == content_type
    assert "accept" in (response.headers.get("vary") or "").lower()


async def test_of_several_accept_lines_each_counts() -> None:
    """Lines of one name are one list (RFC 9110 section 5.3)."""
    headers = [("Accept", "image/png"), ("Accept", "text/html")]

    response = await call(ErrorEnvelopeMiddleware(app_of(failure())), headers=headers)

    assert response.headers.get("content-type") == "text/html; charset=utf-8"


async def test_the_page_shows_a_message_and_runs_nothing_of_it() -> None:
    """A message may repeat what a client sent."""

    class Tags(HTMLParser):
        seen: list[str]

        def handle_starttag(self, tag: str, attrs: Any) -> None:
            self.seen.append(tag)

    error = GuardError("<script>alert(1)</script>", status=400)
    response = await call(ErrorEnvelopeMiddleware(app_of(error)), headers={"Accept": "text/html"})

    parser = Tags()
    parser.seen = []
    parser.feed(response.body.decode())
    assert set(parser.seen) <= {"html", "meta", "title", "h1", "p", "ul", "li", "code"}


async def test_head_gets_the_length_and_no_body() -> None:
    """As GET would have been answered (RFC 9110 section 9.3.2)."""
    app = ErrorEnvelopeMiddleware(app_of(GuardError("No.", status=404)))

    get, head = await call(app, "GET"), await call(app, "HEAD")

    assert (head.status, head.chunks) == (404, (b"",))
    assert head.headers.get("content-length") == str(len(get.body))


# when it failed


async def test_an_error_after_the_start_is_still_a_proper_500() -> None:
    """The start is held back until there is a body to send."""
    app = app_of({**START, "headers": [(b"set-cookie", b"session=1"), (b"content-length", b"9")]}, failure())

    response = await call(ErrorEnvelopeMiddleware(app))

    assert response.status == 500
    assert response.headers.get("set-cookie") is None
    assert response.headers.get("content-length") == str(len(response.body))


async def test_without_the_hold_an_error_after_the_start_is_raised() -> None:
    """The 200 is on the wire: nothing is added to it, and the server breaks the connection off."""
    app = ErrorEnvelopeMiddleware(app_of(START, failure()), hold_start=False)

    server = await StrictServer(http_scope()).serve(app)

    assert isinstance(server.error, ExceptionGroup)
    assert [message["type"] for message in server.sent] == ["http.response.start"]


@pytest.mark.parametrize("hold_start", [True, False])
async def test_an_error_after_the_first_bytes_is_raised(hold_start) -> None:
    """A body that ends as if it were whole would be taken for the truth."""
    app = ErrorEnvelopeMiddleware(app_of(START, PIECE, failure()), hold_start=hold_start)

    server = await StrictServer(http_scope()).serve(app)

    assert isinstance(server.error, ExceptionGroup)
    assert [message["type"] for message in server.sent] == ["http.response.start", "http.response.body"]


async def test_an_error_after_the_end_is_logged_and_harms_nobody(caplog) -> None:
    """Background work has failed; the connection is as good as before."""
    response = await call(ErrorEnvelopeMiddleware(app_of(START, END, DatabaseConnectionLostError(SECRET))))

    assert (response.status, response.body) == (200, b"end")
    assert SECRET in caplog.text


@pytest.mark.parametrize("script", [(), (START,)], ids=["without a word", "after the start"])
async def test_an_application_that_does_not_answer_is_answered_for(script) -> None:
    """Some servers would let the client hang."""
    response = await call(ErrorEnvelopeMiddleware(app_of(*script)))

    assert response.status == 500
    assert response.json()["error"]["code"] == "NO_RESPONSE"


@pytest.mark.parametrize("script", [(), (START,), (START, PIECE)], ids=["before", "at the start", "in the body"])
async def test_what_is_no_error_goes_through(script) -> None:
    """A cancellation is the server's word to the application; it is not the envelope's to answer."""
    app = ErrorEnvelopeMiddleware(app_of(*script, NotAnError()))

    with pytest.raises(NotAnError):
        await StrictServer(http_scope()).serve(app)


@pytest.mark.parametrize(
    "content_type",
    [b"text/event-stream", b"Text/Event-Stream; charset=utf-8", b"application/x-ndjson", b"application/grpc"],
)
async def test_the_start_of_a_stream_of_events_is_not_held(content_type) -> None:
    """Its client waits for the head before the first event comes."""
    server = StrictServer(http_scope())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "headers": [(b"content-type", content_type)]})
        assert len(server.sent) == 1
        await send(END)

    await server.serve(ErrorEnvelopeMiddleware(app))

    server.raise_for_errors()


async def test_an_answer_that_the_application_gave_is_not_touched() -> None:
    """Its own 500 is its own word."""
    own = {"type": "http.response.start", "status": 500, "headers": [(b"x-own", b"1")]}

    response = await call(ErrorEnvelopeMiddleware(app_of(own, END)))

    assert (response.status, response.headers, response.body) == (500, ((b"x-own", b"1"),), b"end")


# WebSockets


async def test_an_error_before_the_accept_denies_the_handshake() -> None:
    """With a whole response, where the server can send one."""
    async with websocket(ErrorEnvelopeMiddleware(app_of(failure()))) as session:
        assert session.denial is not None
        assert session.denial.status == 500
        assert SECRET not in session.denial.body.decode()


async def test_an_error_before_the_accept_closes_where_the_server_cannot_deny() -> None:
    """The server makes a bare 403 of it."""
    async with websocket(ErrorEnvelopeMiddleware(app_of(failure())), can_deny=False) as session:
        assert session.denial is None
        assert session.close_code is not None


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (failure(), 1011, "INTERNAL_ERROR"),
        (CircuitOpenError("payments"), 1013, "CIRCUIT_OPEN"),
        (GuardError("No.", status=403, error_code="NOT_YOURS"), 1008, "NOT_YOURS"),
        (GuardError("No.", status=403, error_code="A\nB"), 1008, "AUTHORIZATION_ERROR"),
        (GuardError("No.", status=403, error_code="A" * 200), 1008, "A" * 123),
    ],
    ids=["unexpected", "try again later", "refused", "odd code", "long code"],
)
async def test_an_error_after_the_accept_closes_the_connection(error, code, reason) -> None:
    """With the code that says whose fault it was and the name that any client is told, and no word of the exception."""
    async with websocket(ErrorEnvelopeMiddleware(app_of({"type": "websocket.accept"}, error))) as session:
        assert await session.receive() is None
        assert (session.close_code, session.close_reason) == (code, reason)


# a client that has left


async def read_on(scope: Any, receive: Any, send: Any) -> None:
    """Read until the client has left, and fail for it, as frameworks do."""
    await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    await receive()
    raise ConnectionError("the client has left")


async def test_a_client_that_left_is_nobodys_fault(caplog) -> None:
    """It is noted, but not as an error; no listener counts it."""
    caplog.set_level(logging.INFO)
    app = ErrorEnvelopeMiddleware(read_on, listeners=[events := capture_events()])
    upload = [{"type": "http.request", "body": b"a", "more_body": True}]

    await call(app, "POST", "/upload", incoming=upload, afterwards="disconnect")

    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == "POST /upload (request id None): the client has left"
    assert list(events) == []


async def test_nothing_is_said_to_a_websocket_that_is_closed() -> None:
    """Servers take it for a fault of the application's."""
    async with websocket(ErrorEnvelopeMiddleware(read_on)) as session:
        pass

    assert [message["type"] for message in session.server.sent] == ["websocket.accept"]


async def test_a_client_that_leaves_while_it_is_answered_ends_the_call(caplog) -> None:
    """The server's own exception goes back to the server, and nothing is answered for it."""

    async def gone(message: Any) -> None:
        raise OSError

    server = StrictServer(http_scope(), on_send=gone)
    await server.serve(ErrorEnvelopeMiddleware(app_of(START, END)))

    assert isinstance(server.error, OSError)
    assert server.sent == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


# what listeners hear


async def test_listeners_hear_the_class_and_never_the_text() -> None:
    """The event goes to audit logs and counters."""
    events = capture_events()
    app = ErrorEnvelopeMiddleware(RequestIDMiddleware(app_of(DatabaseConnectionLostError(SECRET))), listeners=[events])

    await call(app, "POST", "/orders")

    (event,) = events.of(ErrorAnswered)
    assert (event.exception, event.status, event.code) == ("DatabaseConnectionLostError", 500, "INTERNAL_ERROR")
    assert (event.layer, event.method, event.path) == ("error_envelope", "POST", "/orders")
    assert SECRET not in repr(event)


async def test_a_listener_that_fails_changes_no_answer(caplog) -> None:
    """It is logged beside the error."""

    def listener(event: object) -> None:
        raise ValueError(event)

    response = await call(ErrorEnvelopeMiddleware(app_of(GuardError("No.", status=404)), listeners=[listener]))

    assert response.status == 404
    assert len(caplog.records) == 1


# odd servers


@pytest.mark.parametrize("absent", ["client", "state", "extensions", "scheme", "raw_path", "root_path", "server"])
async def test_what_a_server_leaves_out_is_not_missed(absent) -> None:
    """An envelope that stumbles over a scope answers nobody."""
    response = await call(ErrorEnvelopeMiddleware(app_of(failure())), **{absent: ABSENT})

    assert response.status == 500


# settings


@pytest.mark.parametrize("value", [1, 0, None, "no"])
def test_settings_that_cannot_work_do_not_start(value) -> None:
    """True or False."""
    with pytest.raises(ConfigError) as caught:
        ErrorEnvelope(hold_start=value)
    assert [problem.id for problem in caught.value.problems] == ["AG103"]
