"""The matrix of errors: what a client is told, case by case; the same in every framework.

It is a specification for tests, and the list that `benchmarks/errors_matrix.py` counts.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from failing import FRAMEWORKS, SECRET

from asgi_guard import ErrorEnvelope, Guard
from asgi_guard.testing import Response, StrictServer, http_scope, lifespan, request_messages

PROBLEM, HTML, TEXT = "application/problem+json", "text/html", "text/plain"


@dataclass(frozen=True)
class Case:
    """A request, and what has to come back.

    Attributes:
        way: the way to fail, which is the path.
        status: the status.
        code: the stable name of the error; None where it is not in the body.
        message: the message; None is not looked at.
        accept: what the client accepts.
        method: the method.
        headers: further headers that the answer has to have.
        told: further members of the error, or `suggestions`.
        lets_through: whether the framework lets exceptions through to the guard.
        rewrite: the setting of the error envelope.
    """

    way: str
    status: int
    code: str | None
    message: str | None = None
    accept: str = "*/*"
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    lets_through: bool = True
    rewrite: Any = "plain"


UNEXPECTED = "Something went wrong on the server."
UNAVAILABLE = "The service is not available at the moment."
AGAIN = {"suggestions": ["Try again in a moment."]}
CASES: Mapping[str, Case] = {
    "an exception that nobody expects": Case("unexpected", 500, "INTERNAL_ERROR", UNEXPECTED),
    "the same as problem+json": Case("unexpected", 500, "INTERNAL_ERROR", UNEXPECTED, PROBLEM),
    "the same as a page": Case("unexpected", 500, None, UNEXPECTED, HTML),
    "the same as text": Case("unexpected", 500, None, UNEXPECTED, TEXT),
    "the same for HEAD": Case("unexpected", 500, None, method="HEAD"),
    "PermissionError is no 403": Case("permission", 500, "INTERNAL_ERROR", UNEXPECTED),
    "TimeoutError is no 504": Case("timeout", 500, "INTERNAL_ERROR", UNEXPECTED),
    "KeyError is no 404": Case("lookup", 500, "INTERNAL_ERROR", UNEXPECTED),
    "notes and causes": Case("noted", 500, "INTERNAL_ERROR", UNEXPECTED),
    "the status of another server": Case("upstream", 500, "INTERNAL_ERROR", UNEXPECTED),
    "NotFoundError": Case("not-found", 404, "NOT_FOUND", "There is no order 7."),
    "NotFoundError as problem+json": Case("not-found", 404, "NOT_FOUND", "There is no order 7.", PROBLEM),
    "NotFoundError for HEAD": Case("not-found", 404, None, method="HEAD"),
    "ValidationError": Case("invalid", 422, "VALIDATION_ERROR", "No name.", told={"details": {"field": "name"}}),
    "AuthenticationError": Case("unknown", 401, "AUTHENTICATION_ERROR", headers={"www-authenticate": "Bearer"}),
    "AuthorizationError": Case("forbidden", 403, "AUTHORIZATION_ERROR", "This is not allowed."),
    "ConflictError": Case("conflict", 409, "CONFLICT"),
    "RateLimitError": Case("limited", 429, "RATE_LIMIT_EXCEEDED", headers={"retry-after": "2"}),
    "DatabaseError": Case(
        "database", 503, "DATABASE_ERROR", UNAVAILABLE, headers={"retry-after": "3"}, told={"retryable": True, **AGAIN}
    ),
    "DatabaseError as a page": Case("database", 503, None, UNAVAILABLE, HTML, headers={"retry-after": "3"}),
    "an error that may be told": Case("exposed", 503, "DATABASE_ERROR", "Back at noon."),
    "a user's subclass": Case(
        "subclass",
        503,
        "ORDER_DATABASE_ERROR",
        UNAVAILABLE,
        told={"type": "database", "severity": "high", "suggestions": ["Check database connectivity"], "details": {}},
    ),
    "a subclass of the earlier system": Case(
        "earlier", 402, "PAYMENT_DECLINED", "The card was declined.", told={"details": {"order": 7}}
    ),
    "markup in a page": Case("markup", 400, None, "&lt;script&gt;alert(1)&lt;/script&gt;", HTML),
    "a group with one that nobody expects": Case("group", 500, "INTERNAL_ERROR", UNEXPECTED),
    "a group of ours": Case("group-of-ours", 409, "CONFLICT", "Somebody was faster."),
    "a group of one": Case("group-of-one", 404, "NOT_FOUND", "There is no order 7."),
    "the framework's own 500": Case("unexpected", 500, "INTERNAL_ERROR", UNEXPECTED, lets_through=False, rewrite="all"),
    "the framework's own 404": Case("a/b", 404, "NOT_FOUND", lets_through=False, rewrite="all"),
    "the framework's own 404 as a page": Case("a/b", 404, None, None, HTML, lets_through=False, rewrite="all"),
}
"""All cases."""


@asynccontextmanager
async def failing(framework: str, case: Case) -> AsyncIterator[Any]:
    """Open the guarded application of a case."""
    bare = FRAMEWORKS[framework](lets_through=case.lets_through)
    app = Guard(bare, error_envelope=ErrorEnvelope(rewrite=case.rewrite))
    if framework == "django":
        yield app
        return
    async with lifespan(app):
        yield app


async def ask(app: Any, case: Case) -> StrictServer:
    """Send the request of a case, by a client that is far away."""
    headers = [(b"host", b"testserver"), (b"accept", case.accept.encode()), (b"authorization", SECRET.encode())]
    scope = http_scope(case.method, f"/{case.way}", headers=headers, client=("203.0.113.9", 1))
    return await StrictServer(scope, request_messages()).serve(app)


def faults(case: Case, server: StrictServer) -> list[str]:
    """Compare what came back with what has to come back; an empty list is what one hopes for."""
    response = Response.of(server.sent, is_head=case.method == "HEAD")
    wire = b"".join([response.body, *[name + b":" + value for name, value in response.headers]])
    told = _told(case, response)
    expected: dict[str, Any] = {"status": case.status, **case.headers, **case.told}
    seen: dict[str, Any] = {"status": response.status, **{name: response.headers.get(name) for name in case.headers}}
    seen |= {name: told.get(name) for name in case.told}
    if case.code is not None:
        expected |= {"code": case.code, "request_id": response.headers.get("x-request-id")}
        seen |= {"code": told.get("code"), "request_id": told.get("request_id")}
    complaints = [f"{name} is {seen[name]!r}, not {value!r}" for name, value in expected.items() if seen[name] != value]
    message = case.message
    if message is not None and message not in told.get("message", response.body.decode()):
        complaints.append(f"the message is not {message!r}")
    if any(word in wire for word in (SECRET.encode(), b"hunter2", b"Traceback", b"RuntimeError", b"failing.py")):
        complaints.append("it tells a secret")
    if case.method == "HEAD" and (any(response.chunks) or not int(response.headers.get("content-length") or 0)):
        complaints.append("HEAD has a body, or no length")
    if server.error is not None:
        complaints.append(f"the server got {type(server.error).__name__}")
    return complaints


def _told(case: Case, response: Response) -> dict[str, Any]:
    if case.code is None:
        return {}
    body = json.loads(response.body)
    if case.accept == PROBLEM:
        return {**body, "message": body["detail"]}
    return {**body, **body["error"]}
