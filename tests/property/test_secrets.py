"""Secrets: thousands of exceptions, with a secret wherever one can stand, on every path that an error can take.

Not one byte of any reaches a client; and what the guard logs of a request holds none either, but in the traceback.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel, field_validator
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Mount, Route, Router

from asgi_guard import DatabaseError, ErrorEnvelope, Guard, GuardError, NotFoundError
from asgi_guard.testing import StrictServer, http_scope, request_messages, websocket_scope

pytestmark = pytest.mark.anyio

QUICK, THOROUGH = 200, 10_000
ACCEPTED = (
    b"*/*",
    b"application/json",
    b"application/problem+json",
    b"text/html",
    b"text/plain",
    b"image/png, */*;q=0",
)
START: Any = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
PIECE: Any = {"type": "http.response.body", "body": b"a piece", "more_body": True}
END: Any = {"type": "http.response.body", "body": b"fine"}
App = Callable[..., Any]


@pytest.fixture
def anyio_backend() -> str:
    """One loop is enough: what is told does not depend on it."""
    return "asyncio"


# what is raised


class MuteError(Exception):
    """Fails when somebody asks what it says."""

    def __str__(self) -> str:
        raise ValueError(self.args[0])

    __repr__ = __str__


class LooksLikeHttpError(Exception):
    """Has all that errors of clients have."""

    def __init__(self, secret: str) -> None:
        self.status_code = self.status = self.code = 404
        self.detail = self.description = self.message = self.title = self.reason = secret
        self.headers = {"www-authenticate": secret, "set-cookie": secret}


class Broken(HTTPException):
    """Has forgotten its base's constructor."""

    def __init__(self, secret: str) -> None:
        Exception.__init__(self, secret)


def exceptions(secret: str) -> list[Callable[[], Exception]]:
    """List ways to hide a secret in an exception."""
    named = type(f"Error{secret}", (Exception,), {})
    facts: Any = {"details": {"dsn": secret, secret: [secret]}}
    return [
        lambda: RuntimeError(secret),
        lambda: OSError(2, secret, secret),
        lambda: KeyError(secret),
        lambda: UnicodeDecodeError("utf-8", secret.encode(), 0, 1, secret),
        lambda: named(secret),
        lambda: MuteError(secret),
        lambda: LooksLikeHttpError(secret),
        lambda: Broken(secret),
        lambda: GuardError(secret, **facts),
        lambda: DatabaseError(secret, **facts),
        lambda: DatabaseError(RuntimeError(secret), error_code=RuntimeError(secret)),  # type: ignore[arg-type]
        lambda: NotFoundError(RuntimeError(secret), details={"cause": RuntimeError(secret)}),  # type: ignore[arg-type]
        lambda: NotFoundError(details=MuteError(secret)),  # type: ignore[arg-type]
        lambda: NotFoundError(retry_after=secret, suggestions=[MuteError(secret)]),  # type: ignore[arg-type, list-item]
    ]


def answers(secret: str) -> list[Callable[[], Exception]]:
    """List errors that are an answer in the words of their author: only where no framework gives it is it ours."""
    return [
        lambda: HTTPException(500, secret, {"x-secret": secret, "cache-control": secret}),
        lambda: HTTPException(503, {"dsn": secret}),  # type: ignore[arg-type]
    ]


def dress(random: random.Random, error: Exception, secret: str) -> Exception:
    """Hide more secrets in notes, causes, contexts and groups."""
    if random.random() < 0.3:
        error.add_note(secret)
    if random.random() < 0.3:
        error.__cause__ = ValueError(secret)
    if random.random() < 0.3:
        error.__context__ = ValueError(secret)
    return ExceptionGroup(secret, [error, NotFoundError("gone")]) if random.random() < 0.2 else error


# where it is raised


def scripted(*before: Any) -> Callable[[Callable[[], Exception]], App]:
    """Send these messages, then fail."""

    def make(fail: Callable[[], Exception]) -> App:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            for message in before:
                await send(message)
            raise fail()

        return app

    return make


def in_starlette(fail: Callable[[], Exception]) -> App:
    """Fail in an endpoint."""

    async def endpoint(request: Any) -> Any:
        raise fail()

    return Starlette(routes=[Route("/", endpoint)])


def in_a_stream(fail: Callable[[], Exception]) -> App:
    """Fail where a stream begins."""

    async def pieces() -> Any:
        raise fail()
        yield b""

    async def endpoint(request: Any) -> Any:
        return StreamingResponse(pieces())

    return Starlette(routes=[Route("/", endpoint)])


def in_the_background(fail: Callable[[], Exception]) -> App:
    """Fail after the answer."""

    async def work() -> None:
        raise fail()

    async def endpoint(request: Any) -> Any:
        return PlainTextResponse("fine", background=BackgroundTask(work))

    return Starlette(routes=[Route("/", endpoint)])


def in_a_mounted_guard(fail: Callable[[], Exception]) -> App:
    """Fail in a guard that stands inside an application."""

    async def endpoint(request: Any) -> Any:
        raise fail()

    return Starlette(routes=[Mount("/", Guard(Router([Route("/", endpoint)]), rate_limit=False))])


def added(fail: Callable[[], Exception]) -> App:
    """Fail inside a guard that is a middleware of the application's."""
    app = in_starlette(fail)
    app.add_middleware(Guard, rate_limit=False)  # type: ignore[attr-defined]
    return app


class Account(BaseModel):
    """What is validated; the validator repeats what it was given, as many do."""

    name: str
    password: int
    kind: str

    @field_validator("kind")
    @classmethod
    def is_known(cls, kind: str) -> str:
        """Refuse whatever comes."""
        raise ValueError(f"{kind} is not known")


def validated(fail: Callable[[], Exception]) -> App:
    """Refuse a body, as FastAPI does."""
    api = FastAPI()

    @api.post("/")
    async def endpoint(account: Account) -> None:
        raise fail()

    return api


PLACES: tuple[Callable[[Callable[[], Exception]], App], ...] = (
    scripted(),
    scripted(START),
    scripted(START, PIECE),
    scripted(START, END),
    in_starlette,
    in_a_stream,
    in_the_background,
    in_a_mounted_guard,
    added,
    validated,
)
SESSIONS = (scripted(), scripted({"type": "websocket.accept"}))


def strings(message: Any) -> Iterator[bytes]:
    """Return all text and bytes in a message."""
    if isinstance(message, bytes):
        yield message
    elif isinstance(message, str):
        yield message.encode()
    elif isinstance(message, dict):
        for value in message.values():
            yield from strings(value)
    elif isinstance(message, list | tuple):
        for value in message:
            yield from strings(value)


def spellings(secret: str) -> tuple[bytes, ...]:
    """Return how a secret may look once somebody has written it."""
    return secret.encode(), json.dumps(secret).encode()[1:-1], secret.replace("/", "%2F").encode()


async def leak(seed: int, caplog: pytest.LogCaptureFixture) -> str | None:
    """Raise one exception somewhere; say what has leaked."""
    chance = random.Random(seed)
    secret = f"hunter2{chance.getrandbits(64):x}"
    sent_by_client = f"letmein{chance.getrandbits(64):x}"
    is_session = chance.random() < 0.15
    place = chance.choice(SESSIONS if is_session else PLACES)
    maker = chance.choice([*exceptions(secret), *(answers(secret) if place in {*SESSIONS, *PLACES[:4]} else ())])
    details = random.Random(seed)

    def fail() -> Exception:
        return dress(details, maker(), secret)

    headers = [(b"host", b"127.0.0.1"), (b"accept", chance.choice(ACCEPTED)), (b"cookie", sent_by_client.encode())]
    headers += [(b"authorization", b"Bearer " + sent_by_client.encode()), (b"content-type", b"application/json")]
    # A debug page is for browsers on this machine: not for one far away, and not for one behind a proxy.
    debug = chance.random() < 0.5
    peer = chance.choice(["203.0.113.9", "127.0.0.1"]) if debug else "203.0.113.9"
    if peer == "127.0.0.1":
        headers.append((chance.choice([b"x-forwarded-for", b"forwarded", b"via", b"x-real-ip"]), b"203.0.113.9"))
    settings = ErrorEnvelope(rewrite="all" if place is validated else chance.choice(["plain", "all"]), debug=debug)
    app = Guard(place(fail), rate_limit=False, error_envelope=settings)
    path = f"/?token={sent_by_client}"
    body = json.dumps({"password": sent_by_client, "kind": sent_by_client}).encode()
    if is_session:
        scope = websocket_scope(path, headers=headers, client=(peer, 1))
        server = StrictServer(scope, [{"type": "websocket.connect"}])
    else:
        method = "POST" if place is validated else "GET"
        server = StrictServer(http_scope(method, path, headers=headers, client=(peer, 1)), request_messages(body))
    caplog.clear()

    await server.serve(app)

    wire = b"\n".join(strings(server.sent))
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name == "asgi_guard").encode()
    if any(spelling in wire for spelling in (*spellings(secret), *spellings(sent_by_client), b"Traceback")):
        return f"seed {seed}: {place} told {wire!r}"
    if sent_by_client.encode() in logged:
        return f"seed {seed}: {place} logged {logged!r}"
    return None


@pytest.mark.parametrize("amount", [QUICK, pytest.param(THOROUGH, marks=[pytest.mark.slow, pytest.mark.timeout(300)])])
async def test_no_secret_reaches_a_client(amount, caplog) -> None:
    """Whatever is raised, wherever, in whichever format it is told; nor what the client has sent the log."""
    caplog.set_level(logging.CRITICAL, "starlette")
    leaks = [await leak(seed, caplog) for seed in range(amount)]

    assert [found for found in leaks if found is not None] == []


async def test_the_search_would_find_one(caplog) -> None:
    """The same search over an application without a guard finds what FastAPI repeats of a body."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(globals(), "Guard", lambda app, **_: app)
        patch.setitem(globals(), "PLACES", (validated,))
        found = [await leak(seed, caplog) for seed in range(20)]

    assert any(found)
