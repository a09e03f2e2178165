"""The error envelope over errors that others have written: which are answered anew, what stays, and the debug page."""

from __future__ import annotations

import json
from typing import Any

import litestar
import pytest

from asgi_guard import AuthenticationError, ErrorEnvelopeMiddleware, GuardError, NotFoundError
from asgi_guard.testing import StrictServer, call, lifespan_scope

pytestmark = pytest.mark.anyio

SECRET = "postgres://admin:hunter2@db.internal/orders"
WERKZEUG = (
    b"<!doctype html>\n<html lang=en>\n<title>409 Conflict</title>\n<h1>Conflict</h1>\n"
    b"<p>Somebody &amp; co.<br>won.</p>\n"
)
DJANGO = (
    b'\n<!doctype html>\n<html lang="en">\n<head>\n  <title>Server Error (500)</title>\n</head>\n<body>\n'
    b"  <h1>Server Error (500)</h1><p></p>\n</body>\n</html>\n"
)


def answering(
    status: int, content_type: str | None, body: bytes, *headers: tuple[bytes, bytes], then: Any = None
) -> Any:
    """Make an application that answers, and perhaps fails afterwards."""
    given = [*headers] if content_type is None else [(b"content-type", content_type.encode()), *headers]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": given})
        await send({"type": "http.response.body", "body": body})
        if then is not None:
            raise then

    return app


# which errors are answered anew


@pytest.mark.parametrize(
    ("rewrite", "status", "content_type", "body", "message"),
    [
        ("plain", 404, "text/plain; charset=utf-8", b"Not Found", "Not Found."),
        ("plain", 404, "text/plain", b"404 Not Found\n", "Not Found."),
        ("plain", 404, "text/plain", b"Resource not found", "Not Found."),
        ("plain", 413, "text/plain", b"Request Entity Too Large", "Content Too Large."),
        ("plain", 405, None, b"", "Method Not Allowed."),
        ("plain", 500, "text/plain", b"Internal Server Error", "Something went wrong on the server."),
        ("all", 404, "application/json", b'{"detail":"Not Found"}', "Not Found."),
        ("all", 409, "application/json", b'{"status_code":409,"detail":"Taken.","extra":{}}', "Taken."),
        ("all", 503, "application/json", b'{"detail":"hunter2"}', "The service is not available at the moment."),
        ("all", 404, "application/json", b'{"title": "404 Not Found"}', "Not Found."),
        ("all", 409, "application/json", b'{"title": "Taken", "description": "By ada."}', "By ada."),
        ("all", 409, "text/html; charset=utf-8", WERKZEUG, "Somebody & co. won."),
        ("all", 500, "text/html; charset=utf-8", DJANGO, "Something went wrong on the server."),
        # what its author wrote is his
        ("off", 404, "text/plain", b"Not Found", None),
        ("plain", 404, "text/plain", b"There is no order 7.", None),
        ("plain", 404, "application/json", b'{"detail":"Not Found"}', None),
        ("plain", 404, "text/html", b"Not Found", None),
        ("plain", 404, "application/json", b"", None),
        ("plain", 399, "text/plain", b"Error", None),
        ("all", 404, "application/json", b'{"detail":"Not Found","more":1}', None),
        ("all", 404, "application/json", b'{"detail":{"own":1}}', None),
        ("all", 404, "application/json", b'["Not Found"]', None),
        ("all", 404, "application/json", b'{"detail', None),
        ("all", 404, "application/json", b"[" * 60_000, None),
        ("all", 404, "application/json", b'{"title": {}}', None),
        ("all", 404, "text/html", b"<h1>Not Found</h1>", None),
        ("all", 404, "text/html", WERKZEUG + b"<p>more", None),
    ],
)
async def test_only_what_a_framework_wrote_by_itself_is_answered_anew(
    rewrite, status, content_type, body, message
) -> None:
    """None stands for an answer that passes as it is, to the byte."""
    response = await call(ErrorEnvelopeMiddleware(answering(status, content_type, body), rewrite=rewrite))

    assert response.status == status
    if message is None:
        assert response.body == body
    else:
        assert response.json()["error"]["message"] == message


@pytest.mark.parametrize("encoding", [b"gzip", b"br"])
async def test_what_is_encoded_is_not_read(encoding) -> None:
    """Nobody knows what it says."""
    app = answering(404, "text/plain", b"Not Found", (b"content-encoding", encoding))

    assert (await call(ErrorEnvelopeMiddleware(app))).body == b"Not Found"


async def test_headers_stay_but_for_those_of_the_body() -> None:
    """A length, a digest or a disposition would be wrong for the new one; cookies and permissions are the answer's."""
    kept = [(b"allow", b"GET"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"www-authenticate", b"Basic")]
    of_the_body = [
        (name, b"7")
        for name in (b"content-length", b"etag", b"content-digest", b"content-disposition", b"last-modified")
    ]
    app = answering(405, "text/plain", b"Method Not Allowed", *kept, *of_the_body[1:], (b"content-length", b"18"))

    response = await call(ErrorEnvelopeMiddleware(app))

    assert [pair for pair in response.headers if pair in kept] == kept
    assert not {name for name, _ in response.headers} & {name for name, _ in of_the_body[1:]}
    assert response.headers.get_all("content-length") == [str(len(response.body))]
    assert response.headers.get_all("content-type") == ["application/json"]


async def test_the_range_that_cannot_be_had_stays() -> None:
    """A 416 says how long the whole is (RFC 9110 section 15.5.17)."""
    app = answering(416, None, b"", (b"content-range", b"bytes */10"))

    assert (await call(ErrorEnvelopeMiddleware(app))).headers.get("content-range") == "bytes */10"


async def test_head_is_answered_anew_as_get_is() -> None:
    """Its body is not there to be read, but its length is that of the phrase."""
    get = await call(ErrorEnvelopeMiddleware(answering(404, "text/plain", b"Not Found")), "GET")
    app = answering(404, "text/plain", b"", (b"content-length", b"9"))
    head = await call(ErrorEnvelopeMiddleware(app), "HEAD")

    assert (head.status, head.body) == (404, b"")
    assert head.headers.get("content-length") == str(len(get.body))


async def test_a_body_that_comes_in_pieces_is_a_stream() -> None:
    """One that says a few words in a few pieces is none; what goes on for longer passes, piece by piece."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
        for piece in (b"N", b"o", b"t", b" ", b"Foun"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"d"})

    assert (await call(ErrorEnvelopeMiddleware(app))).chunks == (b"N", b"o", b"t", b" ", b"Foun", b"d")


# the exception that a 500 was for


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(RuntimeError(SECRET), 500, "INTERNAL_ERROR"), (NotFoundError(), 404, "NOT_FOUND")],
    ids=["foreign", "ours"],
)
async def test_the_exception_that_follows_a_plain_500_decides(error, status, code) -> None:
    """Starlette answers before it raises; what stood around it has put its headers on that answer."""
    cors = (b"access-control-allow-origin", b"https://a.example")
    app = answering(500, "text/plain", b"Internal Server Error", cors, then=error)

    response = await call(ErrorEnvelopeMiddleware(app))

    assert (response.status, response.json()["error"]["code"]) == (status, code)
    assert response.headers.get("access-control-allow-origin") == "https://a.example"


async def test_a_500_in_the_authors_words_is_the_answer_whatever_is_raised_afterwards(caplog) -> None:
    """The exception is logged; the connection lives."""
    app = answering(500, "text/plain", b"Call us.", then=RuntimeError(SECRET))

    assert (await call(ErrorEnvelopeMiddleware(app))).body == b"Call us."
    assert SECRET in caplog.text


# validation errors


async def test_a_validation_error_is_told_without_what_was_sent() -> None:
    """Where it is wrong, as a pointer; why, where the words are known to be the library's own."""
    errors = [
        {
            "type": "int_parsing",
            "loc": ["body", "a/b", 0],
            "msg": "Not an integer",
            "input": SECRET,
            "ctx": {"e": SECRET},
        },
        {"type": "value_error", "loc": ["query", "kind"], "msg": f"Value error, {SECRET}", "url": SECRET},
        {"type": "union_tag_invalid", "loc": ["body"], "msg": f"Input tag '{SECRET}'"},
        {"type": "extra_forbidden", "loc": ["body", SECRET], "msg": "Extra inputs are not permitted"},
        {"type": "string_type", "loc": ["body", "map", SECRET, "[key]"], "msg": "Not a string"},
        {"type": SECRET, "loc": "odd", "msg": 7},
        "odd",
    ]
    app = answering(422, "application/json", json.dumps({"detail": errors}).encode())

    response = await call(ErrorEnvelopeMiddleware(app, rewrite="all"))

    assert SECRET not in response.body.decode()
    assert response.json()["error"]["code"] == "VALIDATION_ERROR"
    assert [(error["pointer"], error["message"]) for error in response.json()["error"]["details"]["errors"]] == [
        ("body#/a~1b/0", "Not an integer"),
        ("query#/kind", "This is not valid."),
        ("body#", "This is not valid."),
        ("body#/*", "Extra inputs are not permitted"),
        ("body#/map/*", "Not a string"),
        ("#/", "This is not valid."),
    ]


async def test_litestars_validation_error_is_told_without_the_url() -> None:
    """Its detail has the query in it."""
    extra = [{"message": f"Invalid value {SECRET}", "key": "age", "source": "query"}]
    said = {"status_code": 400, "detail": f"Validation failed for GET /?age={SECRET}", "extra": extra}

    response = await call(
        ErrorEnvelopeMiddleware(answering(400, "application/json", json.dumps(said).encode()), rewrite="all")
    )

    assert SECRET not in response.body.decode()
    assert response.json()["error"]["details"]["errors"][0]["pointer"] == "query#/age"


# suggestions and challenges


@pytest.mark.parametrize(("rewrite", "is_litestars"), [("off", True), ("all", False)])
@pytest.mark.parametrize(("path", "status"), [("/invalid", 400), ("/nowhere", 404), ("/crash", 500)])
async def test_litestar_that_lets_through_what_it_has_no_answer_to(rewrite, is_litestars, path, status) -> None:
    """Its own errors are its own, and only where the settings say so answered anew."""

    @litestar.get("/invalid")
    async def invalid() -> None:
        raise litestar.exceptions.ValidationException(extra=[{"message": "no", "key": "n", "source": "query"}])

    @litestar.get("/crash")
    async def crash() -> None:
        raise ZeroDivisionError

    def raise_it(request: Any, error: Exception) -> Any:
        raise error

    handlers: Any = {500: raise_it}
    app = litestar.Litestar([invalid, crash], exception_handlers=handlers, openapi_config=None, logging_config=None)

    body = (await call(ErrorEnvelopeMiddleware(app, rewrite=rewrite), "GET", path)).json()

    assert body.get("status_code", status) == status
    assert ("error" in body) is not (is_litestars and status < 500)


@pytest.mark.parametrize(
    ("table", "error", "suggestions"),
    [
        ({}, GuardError(category="database"), ["Try again in a moment."]),
        ({"database": ["Wait."]}, GuardError(category="database"), ["Wait."]),
        ({"database": ["Wait."], "A": ["Ask."]}, GuardError(category="database", error_code="A"), ["Ask."]),
        ({"A": ["Ask."]}, GuardError(error_code="A", suggestions=["Own."]), ["Own."]),
        ({"INTERNAL_ERROR": ["Tell us the id."]}, RuntimeError(), ["Tell us the id."]),
        ({"system": ["Tell us the id."]}, RuntimeError(), ["Tell us the id."]),
        ({}, RuntimeError(), []),
    ],
    ids=str,
)
async def test_suggestions_are_the_exceptions_or_from_the_table(table, error, suggestions) -> None:
    """By code before category; the user's before ours."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error

    assert (await call(ErrorEnvelopeMiddleware(app, suggestions=table))).json()["suggestions"] == suggestions


@pytest.mark.parametrize(
    ("challenge", "header"),
    [("Bearer", "Bearer"), ('Basic realm="a"', 'Basic realm="a"'), ("a\r\nb: c", None), (7, None)],
)
async def test_a_401_says_how_to_authenticate(challenge, header) -> None:
    """Without it a 401 is none (RFC 9110 section 15.5.2); what could split the header is left out."""

    class SignInError(AuthenticationError):
        pass

    SignInError.challenge = challenge

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise SignInError

    assert (await call(ErrorEnvelopeMiddleware(app))).headers.get("www-authenticate") == header


# the debug page


BROWSER = [("Host", "localhost:8000"), ("Accept", "text/html")]


async def failing(scope: Any, receive: Any, send: Any) -> None:
    """Fail, with a password at hand."""
    password = SECRET
    colour = "<green>"
    raise LookupError(f"no shelf for {len(password)} {colour}")


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
async def test_a_browser_on_this_machine_sees_the_traceback(peer) -> None:
    """Escaped, without what is called a secret, and with nothing to run."""
    app = ErrorEnvelopeMiddleware(failing, debug=True)

    response = await call(app, headers=[*BROWSER, ("Cookie", "session=hunter2")], client=(peer, 1))

    page = response.body.decode()
    assert response.status == 500
    assert "no shelf for" in page
    assert "&lt;green&gt;" in page
    assert "hunter2" not in page
    assert "<script" not in page
    assert (response.headers.get("content-security-policy") or "").startswith("default-src 'none'")
    assert response.headers.get("cache-control") == "no-store"


async def test_a_value_that_cannot_be_shown_hides_no_traceback() -> None:
    """Such as an object that was only half made when it failed."""

    class Order:
        def __init__(self) -> None:
            raise LookupError("no shelf")

        def __repr__(self) -> str:
            return f"<Order {self.number}>"

    async def app(scope: Any, receive: Any, send: Any) -> None:
        Order()

    response = await call(ErrorEnvelopeMiddleware(app, debug=True), headers=BROWSER, client=("127.0.0.1", 1))

    assert b"LookupError: no shelf" in response.body
    assert b"in __init__" in response.body


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        (BROWSER, ("203.0.113.9", 1)),
        (BROWSER, None),
        ([*BROWSER, ("X-Forwarded-For", "127.0.0.1")], ("127.0.0.1", 1)),
        ([*BROWSER, ("X-Forwarded-Proto", "https")], ("127.0.0.1", 1)),
        ([*BROWSER, ("Forwarded", "for=127.0.0.1")], ("127.0.0.1", 1)),
        ([*BROWSER, ("Via", "1.1 proxy")], ("127.0.0.1", 1)),
        ([*BROWSER, ("X-Real-IP", "127.0.0.1")], ("127.0.0.1", 1)),
        ([*BROWSER, ("CF-Connecting-IP", "127.0.0.1")], ("127.0.0.1", 1)),
        ([("Host", "evil.example"), ("Accept", "text/html")], ("127.0.0.1", 1)),
        ([("Host", "localhost.evil.example"), ("Accept", "text/html")], ("127.0.0.1", 1)),
        ([("Host", "localhost"), ("Accept", "*/*")], ("127.0.0.1", 1)),
    ],
    ids=[
        *[
            "from far away",
            "over a Unix socket",
            "for another",
            "for another's scheme",
            "Forwarded",
            "Via",
            "X-Real-IP",
        ],
        *["of a network of caches", "a name that was bound anew", "a name that looks like it", "no browser"],
    ],
)
async def test_nobody_else_does(headers, client) -> None:
    """A proxy speaks for others; so may a page whose name was made to point here."""
    response = await call(ErrorEnvelopeMiddleware(failing, debug=True), headers=headers, client=client)

    assert b"shelf" not in response.body


async def test_nobody_does_by_default() -> None:
    """It has to be asked for."""
    response = await call(ErrorEnvelopeMiddleware(failing), headers=BROWSER, client=("127.0.0.1", 1))

    assert b"shelf" not in response.body


async def test_an_error_that_is_the_clients_has_no_page() -> None:
    """It is told as ever."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise NotFoundError("There is no order 7.")

    response = await call(ErrorEnvelopeMiddleware(app, debug=True), headers=BROWSER, client=("127.0.0.1", 1))

    assert response.status == 404
    assert b"Traceback" not in response.body


# a start that fails


STARTUP = {"type": "lifespan.startup"}


@pytest.mark.parametrize("way", ["alone", "fused", "nested"])
@pytest.mark.parametrize("is_strict", [True, False])
async def test_a_failure_at_the_start_is_said_to_the_server(way, is_strict, caplog) -> None:
    """Short, since servers print it; the log has the rest. Without the setting the exception goes through."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise LookupError(SECRET)

    inner = ErrorEnvelopeMiddleware(app, strict_lifespan=is_strict)

    async def between(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    wrapped = {"alone": inner, "fused": ErrorEnvelopeMiddleware(inner), "nested": ErrorEnvelopeMiddleware(between)}[way]
    server = await StrictServer(lifespan_scope(), [STARTUP]).serve(wrapped)

    if is_strict:
        (message,) = server.sent
        assert message["type"] == "lifespan.startup.failed"
        assert "LookupError" in message["message"]
        assert SECRET not in message["message"]
        assert SECRET in caplog.text
        assert server.error is None
    else:
        assert (server.sent, type(server.error)) == ([], LookupError)


async def test_an_application_that_knows_no_lifespan_says_so_as_ever(caplog) -> None:
    """It raises before it has listened."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError

    server = await StrictServer(lifespan_scope(), [STARTUP]).serve(ErrorEnvelopeMiddleware(app, strict_lifespan=True))

    assert (server.sent, type(server.error)) == ([], NotImplementedError)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "before it asked for its startup: it knows no lifespan" in record.getMessage()


@pytest.mark.parametrize("answer", ["complete", "failed"])
async def test_a_failure_after_the_answer_goes_through(answer) -> None:
    """The server has been told already."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": f"lifespan.startup.{answer}"})
        raise LookupError

    server = await StrictServer(lifespan_scope(), [STARTUP]).serve(ErrorEnvelopeMiddleware(app, strict_lifespan=True))

    assert [message["type"] for message in server.sent] == [f"lifespan.startup.{answer}"]
    assert isinstance(server.error, LookupError)
