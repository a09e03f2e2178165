"""What an exception of the package carries, and how an application makes its own."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from asgi_guard.errors import (
    ConfigError,
    ErrorCategory,
    ErrorSeverity,
    GuardError,
    MissingExtraError,
    NoResponseError,
    StoreError,
)
from asgi_guard.settings import Problem

PROBLEM = Problem("AG103", "CORS.credentials", "1", "must be True or False", "Write True or False.")


class DatabaseError(GuardError):
    """An application's error, with arguments of its own."""

    def __init__(self, operation: str, attempt: int) -> None:
        super().__init__(
            message="Connection failed",
            error_code="DATABASE_ERROR",
            category=ErrorCategory.DATABASE,
            severity=ErrorSeverity.HIGH,
            details={"operation": operation},
            retryable=True,
            max_retries=5,
        )
        self.attempt = attempt


class OutOfStockError(GuardError):
    """An application's error, without a line of code."""

    message = "The article is out of stock."
    error_code = "OUT_OF_STOCK"
    category = ErrorCategory.CONFLICT
    severity = ErrorSeverity.LOW
    details = MappingProxyType({"stock": 0})
    retryable = True
    max_retries = 2
    retry_after = 30.0
    suggestions = ("Order another one.",)
    expose = True


class ForgetfulError(GuardError):
    """An application's error that does not call its parent."""

    category = ErrorCategory.NOT_FOUND

    def __init__(self, article: str) -> None:
        self.article = article


FIELDS = (
    "message",
    "error_code",
    "category",
    "severity",
    "details",
    "retryable",
    "max_retries",
    "retry_after",
    "suggestions",
    "status",
    "expose",
)
GIVEN: dict[str, Any] = {
    "message": "Too slow.",
    "error_code": "SLOW",
    "category": ErrorCategory.TIMEOUT,
    "severity": ErrorSeverity.CRITICAL,
    "details": {"seconds": 3},
    "retryable": True,
    "max_retries": 0,
    "retry_after": 0.5,
    "suggestions": ("Wait.",),
    "status": 599,
    "expose": True,
}


def fields_of(error: GuardError) -> dict[str, Any]:
    """Read all fields at once."""
    return {name: getattr(error, name) for name in FIELDS}


class TestGuardError:
    """One base, whose every field has a default that a subclass may state."""

    def test_it_needs_nothing_said(self) -> None:
        """The defaults are those of an error about which nothing is known."""
        assert fields_of(GuardError()) == {
            "message": "The request could not be completed.",
            "error_code": "INTERNAL_ERROR",
            "category": "system",
            "severity": "medium",
            "details": {},
            "retryable": False,
            "max_retries": None,
            "retry_after": None,
            "suggestions": (),
            "status": 500,
            "expose": False,
        }

    def test_every_field_may_be_given(self) -> None:
        """Also where it says no more than "none" or "not at all"."""
        assert fields_of(GuardError(**GIVEN)) == GIVEN

    def test_a_given_field_wins_over_the_subclass(self) -> None:
        """And a falsy one is given all the same."""
        error = OutOfStockError("Gone.", expose=False, retryable=False, details={}, max_retries=0, suggestions=[])

        assert (error.message, error.expose, error.retryable) == ("Gone.", False, False)
        assert (error.details, error.max_retries, error.suggestions) == ({}, 0, ())

    def test_the_message_is_its_text(self) -> None:
        """With or without its name, or from the subclass."""
        assert str(GuardError("Too slow.")) == str(GuardError(message="Too slow.")) == "Too slow."
        assert str(OutOfStockError()) == "The article is out of stock."

    def test_everything_else_has_a_name(self) -> None:
        """Ten positions would be mixed up."""
        with pytest.raises(TypeError):
            GuardError("Too slow.", "SLOW")  # type: ignore[misc]

    def test_an_error_of_an_application_may_take_its_own_arguments(self) -> None:
        """And hand the fields on."""
        error = DatabaseError("query", 1)

        assert (str(error), error.error_code, error.category, error.severity) == (
            "Connection failed",
            "DATABASE_ERROR",
            "database",
            "high",
        )
        assert (error.details, error.retryable, error.max_retries, error.status) == (
            {"operation": "query"},
            True,
            5,
            503,
        )

    def test_an_error_that_does_not_call_its_parent_works(self) -> None:
        """An error in an error would hide the first one."""
        error = ForgetfulError("screw")

        assert fields_of(error) == fields_of(GuardError()) | {"category": "not_found", "status": 404}

    def test_a_bare_string_is_one_suggestion(self) -> None:
        """Not one for each of its characters."""
        assert GuardError(suggestions="Wait.").suggestions == ("Wait.",)

    def test_suggestions_are_kept_as_a_tuple(self) -> None:
        """Whatever they came in."""
        assert GuardError(suggestions=(word for word in ("Wait.", "Ask."))).suggestions == ("Wait.", "Ask.")


class TestStatus:
    """The status follows the category, until somebody says otherwise."""

    @pytest.mark.parametrize(
        ("category", "status"),
        [
            ("validation", 422),
            ("authentication", 401),
            ("authorization", 403),
            ("database", 503),
            ("network", 503),
            ("business_logic", 500),
            ("rate_limit", 429),
            ("configuration", 500),
            ("external_service", 502),
            ("system", 500),
            ("cache", 500),
            ("not_found", 404),
            ("conflict", 409),
            ("timeout", 504),
        ],
    )
    def test_it_follows_the_category(self, category: str, status: int) -> None:
        """Every category has one; a plain string of the same name will do."""
        assert GuardError(category=ErrorCategory(category)).status == status
        assert GuardError(category=category).status == status  # type: ignore[arg-type]

    def test_every_category_and_severity_is_named_here(self) -> None:
        """A new one changes what clients see."""
        assert len(ErrorCategory) == 14
        assert [str(severity) for severity in ErrorSeverity] == ["low", "medium", "high", "critical"]

    def test_a_status_of_its_own_wins(self) -> None:
        """Given, or stated by the subclass."""

        class TeapotError(GuardError):
            category = ErrorCategory.VALIDATION
            status = 418

        assert (TeapotError.status, TeapotError().status, TeapotError(status=400).status) == (418, 418, 400)

    def test_a_class_tells_its_status_without_an_instance(self) -> None:
        """For a table of all errors."""
        assert (GuardError.status, OutOfStockError.status, StoreError.status) == (500, 409, 503)


class TestTree:
    """The errors of the package itself."""

    def test_all_are_guard_errors(self) -> None:
        """`except GuardError` catches all of ours."""
        assert all(
            issubclass(kind, GuardError) for kind in (ConfigError, MissingExtraError, NoResponseError, StoreError)
        )

    def test_a_config_error_lists_every_problem(self) -> None:
        """In the order in which they were found."""
        error = ConfigError(iter([PROBLEM, PROBLEM]))

        assert error.problems == (PROBLEM, PROBLEM)
        assert str(error) == f"2 settings are wrong:\n  {PROBLEM}\n  {PROBLEM}"
        assert error.error_code == "CONFIGURATION_ERROR"

    def test_a_config_error_counts_in_words(self) -> None:
        """One setting is, two are."""
        assert str(ConfigError([PROBLEM])).startswith("1 setting is wrong:\n")

    def test_a_missing_extra_names_the_command_to_run(self) -> None:
        """And is an ImportError for whoever expects one."""
        error = MissingExtraError("RedisStore", "redis")

        assert isinstance(error, ImportError)
        assert str(error) == "RedisStore needs an optional dependency: pip install 'asgi-guard[redis]'"

    def test_a_store_that_does_not_answer_may_answer_later(self) -> None:
        """A client may try again."""
        assert (StoreError().status, StoreError().retryable) == (503, True)

    def test_no_response_is_an_internal_error(self) -> None:
        """Of the application, not of the client."""
        assert (NoResponseError().status, NoResponseError().error_code) == (500, "NO_RESPONSE")


@pytest.mark.parametrize(
    "error",
    [
        GuardError(**GIVEN),
        DatabaseError("query", 1),
        OutOfStockError(),
        ForgetfulError("screw"),
        ConfigError([PROBLEM]),
        MissingExtraError("RedisStore", "redis"),
        StoreError(),
        NoResponseError(),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))],
    ids=["copy", "deep", "pickle"],
)
def test_a_copy_has_all_fields(error: GuardError, duplicate: Callable[[GuardError], GuardError]) -> None:
    """An error may cross to another process, whatever its `__init__` takes."""
    error.add_note("seen by a worker")
    twin = duplicate(error)

    assert type(twin) is type(error)
    assert vars(twin) == vars(error)
    assert (fields_of(twin), twin.args, str(twin)) == (fields_of(error), error.args, str(error))
