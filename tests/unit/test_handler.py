"""The handler of the earlier system: what the envelope would answer, for handlers of frameworks."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from fastapi import FastAPI, Request
from starlette.applications import Starlette
from starlette.routing import Route

from asgi_guard import AuthenticationError, DatabaseError, RateLimitError, error_handler
from asgi_guard.engine.answer import Answer
from asgi_guard.handler import ErrorHandler
from asgi_guard.testing import ManualClock, call, http_scope, websocket_scope

pytestmark = pytest.mark.anyio


async def sent(answer: Answer, scope: Any) -> list[Any]:
    """Send it."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await answer(scope, None, send)  # type: ignore[arg-type]
    return messages


async def test_an_error_of_the_tree_is_told_in_the_error_format() -> None:
    """With the id that was handed over, and the time."""
    error = DatabaseError("Connection failed", details={"operation": "query"})
    answer = ErrorHandler(ManualClock()).handle_error(error, {"request_id": "req_123456"})
    told = json.loads(answer.body)

    assert answer.status_code == error.status
    assert told["request_id"] == "req_123456"
    assert (told["error"]["type"], told["error"]["code"]) == ("database", "DATABASE_ERROR")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


async def test_of_another_nothing_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged."""
    with caplog.at_level(logging.INFO, "asgi_guard"):
        answer = error_handler.handle_error(
            ConnectionError("postgres://shop:hunter2@10.0.0.7"), {"operation": "pay\nforged"}
        )

    assert answer.status_code == 500
    assert b"hunter2" not in answer.body
    assert "pay\\nforged failed with INTERNAL_ERROR" in caplog.text


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (RateLimitError("slow down", retry_after=7), "retry-after", "7"),
        (AuthenticationError("who?"), "www-authenticate", AuthenticationError.challenge),
    ],
)
async def test_headers_that_an_answer_has_to_have_are_there(error: Exception, name: str, value: str) -> None:
    """As those of the envelope."""
    assert error_handler.handle_error(error).headers[name] == value


async def test_the_client_chooses_the_format() -> None:
    """Where the handler says what it takes."""
    answer = error_handler.handle_error(DatabaseError("x"), {"accept": "application/problem+json", "other": object()})
    assert answer.headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize("context", [None, {}, {"request_id": "x" * 10_000}, {"request_id": 7, "accept": 3}])
async def test_any_context_is_one(context: Any) -> None:
    """What is none is left out, or cut."""
    assert len(error_handler.handle_error(LookupError(), context).body) < 2_000


async def test_it_may_be_awaited() -> None:
    """Some do."""
    answer = error_handler.handle_error(LookupError())
    assert await answer is answer


async def test_it_sends_itself() -> None:
    """To a request, without a body where HEAD asks, and to a handshake that is denied."""
    answer = error_handler.handle_error(LookupError())

    get = await sent(answer, http_scope("GET", "/"))
    assert [one["type"] for one in get] == ["http.response.start", "http.response.body"]
    assert get[1]["body"] == answer.body
    assert (await sent(answer, http_scope("HEAD", "/")))[1]["body"] == b""
    denial = await sent(answer, websocket_scope("/"))
    assert [one["type"] for one in denial] == ["websocket.http.response.start", "websocket.http.response.body"]


def starlette() -> Any:
    """Make an application of Starlette's."""

    async def boom(request: Any) -> None:
        raise DatabaseError("Connection failed")

    async def handle(request: Any, exc: Exception) -> Any:
        return error_handler.handle_error(exc, {"request_id": "req_7"})

    return Starlette(routes=[Route("/boom", boom)], exception_handlers={DatabaseError: handle})


def fastapi() -> Any:
    """Make one of FastAPI's, whose handler waits for it."""
    api = FastAPI()

    @api.get("/boom")
    async def boom() -> None:
        raise DatabaseError("Connection failed")

    @api.exception_handler(DatabaseError)
    async def handle(request: Request, exc: DatabaseError) -> Any:
        return await error_handler.handle_error(exc, {"request_id": "req_7"})

    return api


@pytest.mark.parametrize("make", [starlette, fastapi])
async def test_handlers_of_frameworks_return_it(make: Any) -> None:
    """As a response of their own."""
    answer = await call(make(), path="/boom")
    assert answer.json()["request_id"] == "req_7"
    assert answer.status == DatabaseError.status
