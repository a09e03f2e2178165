"""HTTP errors of frameworks: read by class, never by how they look, and nothing of what a client has sent."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import blacksheep.exceptions
import falcon
import litestar.exceptions
import pytest
import werkzeug.exceptions
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404
from fastapi import HTTPException as FastAPIHTTPException
from fastapi.exceptions import RequestValidationError
from litestar.enums import ParamType
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException

from asgi_guard.errors.foreign import http_error, invalid
from asgi_guard.errors.problem import fault_from_exception

SECRET = "hunter2"


class Forgetful(StarletteHTTPException):
    """Has not called its base's constructor."""

    def __init__(self) -> None:
        Exception.__init__(self, SECRET)


class Account(BaseModel):
    """Something to be wrong about."""

    password: int


def pydantic_error() -> ValidationError:
    """Make an error that prints what it was given."""
    with pytest.raises(ValidationError) as caught:
        Account.model_validate({"password": SECRET})
    return caught.value


SAID: list[tuple[Exception, int, str | None]] = [
    (StarletteHTTPException(404), 404, "Not Found"),
    (StarletteHTTPException(409, "Taken."), 409, "Taken."),
    (FastAPIHTTPException(409, {"own": 1}), 409, None),
    (litestar.exceptions.NotFoundException(), 404, "Not Found"),
    (litestar.exceptions.HTTPException(status_code=409, detail="Taken."), 409, "Taken."),
    (werkzeug.exceptions.Conflict("Taken."), 409, "Taken."),
    (falcon.HTTPConflict(description="Taken."), 409, "Taken."),
    (falcon.HTTPConflict(title="Taken."), 409, "Taken."),
    (falcon.HTTPConflict(), 409, None),
    (falcon.HTTPStatus("404 Not Found"), 404, None),
    (Http404(SECRET), 404, None),
    (PermissionDenied(SECRET), 403, None),
    (BadRequest(SECRET), 400, None),
    (SuspiciousOperation(SECRET), 400, None),
    (RequestDataTooBig(SECRET), 413, None),
    (blacksheep.exceptions.HTTPException(409, SECRET), 409, None),
]


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    SAID,
    ids=[f"{number} {type(case[0]).__module__}.{type(case[0]).__name__}" for number, case in enumerate(SAID)],
)
def test_an_error_of_a_framework_says_what_it_said_there(error: Exception, status: int, detail: str | None) -> None:
    """Its status, and one sentence where it has one that is meant for clients."""
    read = http_error(error)

    assert read is not None
    assert (read.status, read.detail) == (status, detail)


@pytest.mark.parametrize(
    "error",
    [
        Forgetful(),
        StarletteHTTPException(304),
        KeyError(SECRET),
        falcon.HTTPStatus("204 No Content"),
        pydantic_error(),
        PermissionError(SECRET),
        type("LookAlike", (Exception,), {"status_code": 404, "detail": SECRET, "headers": {}})(),
    ],
    ids=["forgetful", "no error", "KeyError", "Falcon's 204", "pydantic's", "PermissionError", "a look-alike"],
)
def test_anything_else_is_a_500(error: Exception) -> None:
    """A status below 400 is no error; a look-alike tells of another server; a broken one says nothing."""
    fault = fault_from_exception(error)

    assert http_error(error) is None
    assert (fault.status, SECRET in str(fault)) == (500, False)


@pytest.mark.parametrize(
    "given",
    [
        {"Retry-After": "7", "X-Own": "1"},
        [("Retry-After", "7"), ("Content-Type", "text/plain"), ("Allow", "a\r\nb: c")],
    ],
    ids=["mapping", "pairs"],
)
def test_only_headers_that_the_answer_needs_are_kept(given: Any) -> None:
    """Those of the other body would be wrong, and one that could split the header is left out."""
    error: Any = falcon.HTTPServiceUnavailable(headers=given)

    read = http_error(error)

    assert read is not None
    assert read.headers == ((b"retry-after", b"7"),)


def test_a_validation_error_of_fastapi_says_where_and_not_what() -> None:
    """The input, the context and the URL are left out."""
    error = RequestValidationError(pydantic_error().errors(), body={"password": SECRET})

    read = http_error(error)

    assert read is not None
    assert read.status == 422
    assert read.errors[0]["pointer"] == "#/password"
    assert SECRET not in str(read)


def test_of_many_errors_a_few_are_told() -> None:
    """A client decides how many there are."""
    assert len(invalid(422, [{"loc": ["body", number]} for number in range(10_000)]).errors) == 20


@pytest.mark.parametrize("module", [None, ModuleType("starlette.exceptions")], ids=["not imported", "half imported"])
def test_what_is_not_imported_cannot_have_raised(module: ModuleType | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No framework is imported to find out."""
    monkeypatch.setitem(sys.modules, "starlette.exceptions", module)

    assert http_error(StarletteHTTPException(404)) is None


@pytest.mark.parametrize(
    ("source", "pointer"),
    [
        (ParamType.QUERY, "query#/n"),
        (ParamType.PATH, "path#/n"),
        (ParamType.HEADER, "header#/n"),
        (ParamType.COOKIE, "cookie#/n"),
        ("body", "body#/n"),
    ],
    ids=str,
)
def test_where_litestar_found_an_error_is_told_as_of_any_framework(source, pointer) -> None:
    """Its own word for the part of the request is a member of an enum."""
    error = litestar.exceptions.ValidationException(extra=[{"message": "no", "key": "n", "source": source}])

    (told,) = http_error(error).errors
    assert told["pointer"] == pointer
