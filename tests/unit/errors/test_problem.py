"""What a client is told about an error, and what it is never told."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.errors import ErrorCategory, ErrorSeverity, GuardError, NoResponseError
from asgi_guard.errors.phrases import title, withheld
from asgi_guard.errors.problem import Fault, fault_from_exception, render

SECRET = "postgres://admin:hunter2@db.internal/orders"  # a canary that must not reach a client
NOON = 1_705_314_600.25  # 2024-01-15T10:30:00.25Z
FORMATS = [b"application/json", b"application/problem+json", b"text/html", b"text/plain"]

DATABASE_ERROR = Fault(
    status=503,
    code="DATABASE_ERROR",
    message="Connection failed",
    category=ErrorCategory.DATABASE,
    severity=ErrorSeverity.HIGH,
    details={"operation": "query"},
    retryable=True,
    retry_after=5,
    suggestions=("Check database connectivity",),
)
BARE = Fault(status=404, code="NOT_FOUND", message="There is no such order.")


class HiddenError(GuardError):
    """An application's error that nobody outside may read."""

    category = ErrorCategory.DATABASE


class ExposedError(HiddenError):
    """An application's error that says that it may be read."""

    expose = True


def body(fault: Fault, accept: bytes | None = None, request_id: str | None = "req_123456", now: float = NOON) -> Any:
    """Render, and read JSON as a client does."""
    return json.loads(render(fault, accept, request_id, now)[1])


def text(fault: Fault, accept: bytes, request_id: str | None = "req_123456") -> str:
    """Render for a person."""
    return render(fault, accept, request_id, NOON)[1].decode()


class TestFaultFromException:
    """A fault is all that may be told, so what it leaves out is not told."""

    def test_an_error_below_500_is_told_in_full(self) -> None:
        """The client can do something about it."""
        error = GuardError(
            "The order is closed.",
            error_code="ORDER_CLOSED",
            category=ErrorCategory.CONFLICT,
            severity=ErrorSeverity.LOW,
            details={"order": 7},
            retryable=True,
            retry_after=2.5,
            suggestions=["Open a new one."],
        )

        assert fault_from_exception(error) == Fault(
            status=409,
            code="ORDER_CLOSED",
            message="The order is closed.",
            category=ErrorCategory.CONFLICT,
            severity=ErrorSeverity.LOW,
            details={"order": 7},
            retryable=True,
            retry_after=2.5,
            suggestions=("Open a new one.",),
        )

    @pytest.mark.parametrize(
        ("status", "message"),
        [
            (500, "Something went wrong on the server."),
            (501, "The server cannot do this."),
            (502, "A service behind this one gave no usable answer."),
            (503, "The service is not available at the moment."),
            (504, "A service behind this one did not answer in time."),
            (599, "Something went wrong on the server."),
        ],
    )
    def test_the_text_and_the_details_of_a_server_error_are_withheld(self, status: int, message: str) -> None:
        """What is told instead depends on the status alone; the code stays, since it is written for clients."""
        error = HiddenError(SECRET, details={"dsn": SECRET}, error_code="NO_DATABASE", status=status, retryable=True)

        assert fault_from_exception(error) == Fault(
            status=status,
            code="NO_DATABASE",
            message=message,
            category=ErrorCategory.DATABASE,
            retryable=True,
        )

    def test_a_class_may_expose_itself(self) -> None:
        """Its author has looked at what stands in it."""
        fault = fault_from_exception(ExposedError("Connection failed", details={"operation": "query"}))

        assert (fault.status, fault.message, fault.details) == (503, "Connection failed", {"operation": "query"})

    @pytest.mark.parametrize(
        "error", [RuntimeError(SECRET), KeyError(SECRET), OSError(2, SECRET), NoResponseError(SECRET)]
    )
    @pytest.mark.parametrize("accept", FORMATS)
    def test_an_unexpected_exception_is_not_told(self, error: Exception, accept: bytes) -> None:
        """Neither its text nor its class, in no format."""
        fault = fault_from_exception(error)
        told = render(fault, accept, None, NOON)[1].decode()

        assert (fault.status, fault.category, fault.severity) == (500, "system", "high")
        assert "hunter2" not in told
        assert type(error).__name__ not in told

    def test_an_unexpected_exception_has_a_code_of_its_own(self) -> None:
        """Programs look for it."""
        assert fault_from_exception(RuntimeError()).code == "INTERNAL_ERROR"

    @pytest.mark.parametrize(
        ("status", "told"),
        [
            (HTTPStatus.CONFLICT, 409),
            (400, 400),
            (599, 599),
            (399, 500),
            (600, 500),
            (200, 500),
            ("404", 500),
            (True, 500),
        ],
    )
    def test_only_a_status_of_an_error_is_used(self, status: Any, told: int) -> None:
        """An error that claims to be a 200 is a mistake, and 500 says so."""
        fault = fault_from_exception(GuardError(SECRET, status=status))

        assert (fault.status, type(fault.status)) == (told, int)
        assert (fault.message == SECRET) is (told < 500)

    @pytest.mark.parametrize(
        ("errors", "status", "code"),
        [
            ([GuardError(status=403, error_code="A")], 403, "A"),
            ([GuardError(status=404, error_code="A"), GuardError(status=403, error_code="B")], 404, "A"),
            ([GuardError(status=404, error_code="A"), GuardError(status=404, error_code="B")], 404, "A"),
            ([GuardError(status=429, error_code="A"), GuardError(status=503, error_code="B")], 503, "B"),
            ([GuardError(status=503, error_code="A"), RuntimeError(SECRET)], 500, "INTERNAL_ERROR"),
            ([GuardError(status=404), ExceptionGroup("", [GuardError(status=503, error_code="B")])], 503, "B"),
        ],
    )
    def test_a_group_is_told_as_its_most_urgent_leaf(self, errors: list[Exception], status: int, code: str) -> None:
        """What is not ours comes first, then the highest status, then the order."""
        fault = fault_from_exception(ExceptionGroup(SECRET, errors))

        assert (fault.status, fault.code) == (status, code)

    def test_a_deep_group_is_read_to_its_end(self) -> None:
        """However deep it is."""
        error: Exception = GuardError(status=403)
        for _ in range(5_000):
            error = ExceptionGroup("", [error])

        assert fault_from_exception(error).status == 403


class TestJson:
    """The error body of the package."""

    def test_it_has_exactly_these_members_in_this_order(self) -> None:
        """Programs have been written against it."""
        content_type, content = render(DATABASE_ERROR, b"application/json", "req_123456", NOON)

        assert content_type == b"application/json"
        assert content == (
            b'{"error":{"type":"database","code":"DATABASE_ERROR","message":"Connection failed","severity":"high",'
            b'"timestamp":"2024-01-15T10:30:00Z","retryable":true,"details":{"operation":"query"}},'
            b'"suggestions":["Check database connectivity"],"request_id":"req_123456"}'
        )

    def test_a_member_is_there_when_it_is_empty(self) -> None:
        """A program need not ask whether it is."""
        assert body(BARE, request_id=None) == {
            "error": {
                "type": "system",
                "code": "NOT_FOUND",
                "message": "There is no such order.",
                "severity": "medium",
                "timestamp": "2024-01-15T10:30:00Z",
                "retryable": False,
                "details": {},
            },
            "suggestions": [],
            "request_id": None,
        }

    @pytest.mark.parametrize(
        ("now", "timestamp"),
        [
            (0.0, "1970-01-01T00:00:00Z"),
            (1e12, "9999-12-31T23:59:59Z"),
            (-1.0, "1970-01-01T00:00:00Z"),
            (float("nan"), "1970-01-01T00:00:00Z"),
            (float("inf"), "9999-12-31T23:59:59Z"),
        ],
    )
    def test_a_clock_that_is_wrong_does_not_break_the_answer(self, now: float, timestamp: str) -> None:
        """A timestamp is for people; it decides nothing."""
        assert body(BARE, now=now)["error"]["timestamp"] == timestamp


class TestProblem:
    """RFC 9457."""

    def test_it_has_the_members_of_the_standard_and_ours(self) -> None:
        """Extension members are ignored by clients that do not know them (section 3.2)."""
        content_type, content = render(DATABASE_ERROR, b"application/problem+json", "req_123456", NOON)

        assert content_type == b"application/problem+json"
        assert list(json.loads(content).items()) == [
            ("type", "about:blank"),
            ("title", "Service Unavailable"),
            ("status", 503),
            ("detail", "Connection failed"),
            ("code", "DATABASE_ERROR"),
            ("severity", "high"),
            ("retryable", True),
            ("details", {"operation": "query"}),
            ("suggestions", ["Check database connectivity"]),
            ("request_id", "req_123456"),
        ]

    def test_what_is_empty_is_left_out(self) -> None:
        """But for the members of the standard."""
        assert list(body(BARE, b"application/problem+json", None)) == [
            "type",
            "title",
            "status",
            "detail",
            "code",
            "severity",
            "retryable",
        ]

    def test_a_rate_limit_names_the_policies_that_were_violated(self) -> None:
        """As the problem types for rate limits want it."""
        quota = "https://iana.org/assignments/http-problem-types#quota-exceeded"
        fault = Fault(status=429, code="A", message="B", problem_type=quota, violated_policies=("burst", "daily"))
        problem = body(fault, b"application/problem+json")

        assert (problem["type"], problem["violated-policies"]) == (quota, ["burst", "daily"])


class TestHtml:
    """A page for a person."""

    def test_it_is_small_and_loads_nothing(self) -> None:
        """It works under any content security policy."""
        content_type, content = render(DATABASE_ERROR, b"text/html", "req_123456", NOON)

        assert content_type == b"text/html; charset=utf-8"
        assert content == (
            b'<!doctype html><html lang="en"><meta charset="utf-8"><title>503 Service Unavailable</title>'
            b"<h1>503 Service Unavailable</h1><p>Connection failed</p><ul><li>Check database connectivity</li></ul>"
            b"<p>Request id: <code>req_123456</code></p></html>"
        )

    def test_what_is_empty_is_left_out(self) -> None:
        """No empty list, no empty id."""
        assert text(BARE, b"text/html", None).endswith("<p>There is no such order.</p></html>")

    @pytest.mark.parametrize(
        "attack", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "\"'><svg/onload=alert(1)>", "</p>&lt;"]
    )
    def test_nothing_in_it_is_markup(self, attack: str) -> None:
        """A message may repeat what a client sent, or what somebody made a client send."""
        page = text(Fault(status=400, code=attack, message=attack, suggestions=(attack,)), b"text/html", attack)
        tags: list[str] = []
        shown: list[str] = []
        parser = HTMLParser()
        parser.handle_starttag = lambda tag, attrs: tags.append(tag)  # type: ignore[method-assign]
        parser.handle_data = shown.append  # type: ignore[method-assign]
        parser.feed(page)

        assert tags == ["html", "meta", "title", "h1", "p", "ul", "li", "p", "code"]
        assert shown.count(attack) == 3

    def test_any_script_of_the_world_is_shown(self) -> None:
        """In ASCII, so that no guess about the encoding can go wrong."""
        page = render(Fault(status=400, code="A", message="Käse 😀"), b"text/html", None, NOON)[1]

        assert b"<p>K&#228;se &#128512;</p>" in page


class TestText:
    """A few lines for a person."""

    def test_it_has_a_line_for_each_thing(self) -> None:
        """As `curl -H "Accept: text/plain"` shows it."""
        content_type, content = render(DATABASE_ERROR, b"text/plain", "req_123456", NOON)

        assert content_type == b"text/plain; charset=utf-8"
        assert content == (
            b"503 Service Unavailable\nConnection failed\n- Check database connectivity\nRequest id: req_123456\n"
        )

    def test_what_is_empty_is_left_out(self) -> None:
        """Two lines are enough."""
        assert text(BARE, b"text/plain", None) == "404 Not Found\nThere is no such order.\n"

    @pytest.mark.parametrize("character", ["\x1b", "\x00", "\n", "\r", "\x9b", "\u202e", "\u2028", "\ud800"])
    def test_it_cannot_steer_a_terminal(self, character: str) -> None:
        """Control characters, and those that turn the reading direction, become blanks."""
        hostile = f"a{character}b"
        page = text(Fault(status=400, code="A", message=hostile, suggestions=(hostile,)), b"text/plain", hostile)

        assert page == "400 Bad Request\na b\n- a b\nRequest id: a b\n"

    def test_any_script_of_the_world_is_shown(self) -> None:
        """As UTF-8."""
        assert "Käse 😀" in text(Fault(status=400, code="A", message="Käse 😀"), b"text/plain")


class TestPhrases:
    """The words for those that have none."""

    @pytest.mark.parametrize("status", [status for status in HTTPStatus if status >= 400])
    def test_every_registered_status_has_its_phrase(self, status: HTTPStatus) -> None:
        """As the registry has it today; the standard library's words are older, and one status is a joke."""
        renamed = {
            413: "Content Too Large",
            416: "Range Not Satisfiable",
            414: "URI Too Long",
            422: "Unprocessable Content",
        }
        unregistered = {418: "Error", 506: "Error", 510: "Error"}

        assert title(status) == (renamed | unregistered).get(status, status.phrase)

    def test_any_other_status_is_an_error(self) -> None:
        """And so is its sentence."""
        assert (title(499), withheld(520)) == ("Error", "Something went wrong on the server.")


class Odd:
    """Stands where a text should, and has one that is secret."""

    def __str__(self) -> str:
        return SECRET

    __repr__ = __str__


@pytest.mark.parametrize("accept", FORMATS)
def test_what_is_no_text_is_told_by_its_type(accept: bytes) -> None:
    """`GuardError(exc)` is a common mistake, and must not tell what stands in the other error."""
    odd: Any = Odd()
    fault = fault_from_exception(GuardError(odd, status=400, error_code=odd, severity=odd, suggestions=[odd]))
    told = render(fault, accept, odd, NOON)[1].decode()

    assert "hunter2" not in told
    assert "Odd" in told


@pytest.mark.parametrize(
    ("suggestions", "told"),
    [(["a", "b"], ["a", "b"]), ("ab", ["ab"]), (None, []), (7, []), (tuple("abcdefghij"), list("abcdefgh"))],
)
def test_suggestions_may_come_in_any_form(suggestions: Any, told: list[str]) -> None:
    """A subclass states them as it likes; eight are told."""

    class OwnError(GuardError):
        pass

    OwnError.suggestions = suggestions

    assert body(fault_from_exception(OwnError()))["suggestions"] == told


anything = st.none() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(Odd)
faults = st.builds(
    Fault,
    status=st.integers(min_value=400, max_value=599),
    code=st.text(),
    message=st.text() | st.text(min_size=1).map(lambda text: text * 2_000) | st.builds(Odd),
    category=st.sampled_from(ErrorCategory),
    severity=st.sampled_from(ErrorSeverity),
    details=st.dictionaries(st.text(), anything | st.lists(anything)),
    retryable=st.booleans(),
    retry_after=st.none() | st.floats(),
    suggestions=st.lists(st.text() | st.builds(lambda: "\U0001f600" * 1_000), max_size=20).map(tuple),
    violated_policies=st.lists(st.text(), max_size=20).map(tuple),
    problem_type=st.none() | st.text(),
)


@given(fault=faults, request_id=st.none() | st.text(max_size=500), now=st.floats())
@pytest.mark.parametrize("accept", FORMATS)
def test_any_fault_can_be_told_in_any_format(accept: bytes, fault: Fault, request_id: str | None, now: float) -> None:
    """It never fails, never grows past 64 KB, and is what its content type says."""
    content_type, content = render(fault, accept, request_id, now)

    assert content_type.startswith(accept)
    assert len(content) < 65_536
    assert b"hunter2" not in content
    if b"json" in content_type:
        assert content.isascii()
        assert isinstance(json.loads(content), dict)
    else:
        assert content.decode().replace("\n", "").isprintable()


@given(fault=faults, accept=st.none() | st.binary(max_size=100))
def test_any_accept_value_leads_to_an_answer(fault: Fault, accept: bytes | None) -> None:
    """Nothing that a client sends keeps it from being told."""
    content_type, content = render(fault, accept, None, NOON)

    assert content_type.partition(b";")[0] in FORMATS
    assert content


@pytest.mark.long
@given(st.text(min_size=1), st.sampled_from([500, 502, 503, 504, 599]))
def test_no_planted_secret_reaches_a_client(text: str, status: int) -> None:
    """Through no field that a raised exception fills from what went wrong."""
    canary = f"canary-{text}-yranac"
    for error in (
        HiddenError(canary, details={canary: canary}, status=status),
        RuntimeError(canary),
        OSError(5, canary),
    ):
        for accept in FORMATS:
            assert b"canary" not in render(fault_from_exception(error), accept, None, NOON)[1]
