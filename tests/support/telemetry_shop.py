"""The application that every instrumentation of the telemetry matrix stands around: FastAPI, and each path a case.

It notes when it was where, so that a duration is held against moments and not against a guess.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from time import perf_counter_ns, time_ns
from typing import Any

from fastapi import APIRouter, BackgroundTasks, FastAPI, Request, WebSocket
from opentelemetry import baggage, context, trace
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

WORK_SECONDS = 0.02
"""What a part of the work takes: long beside a request that does nothing, and short beside a test."""

CHUNK = b"four"
TEXT = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


@dataclass(frozen=True)
class Moment:
    """A moment, by the clock that durations are taken from, and by that of spans."""

    perf_ns: int = field(default_factory=perf_counter_ns)
    time_ns: int = field(default_factory=time_ns)


@dataclass
class Diary:
    """What the application noted.

    Attributes:
        moments: when it was where.
        tracer: what it makes spans of its own with; None where nobody traces.
    """

    moments: dict[str, Moment] = field(default_factory=dict)
    tracer: trace.Tracer | None = None

    def note(self, name: str) -> None:
        """Note a moment."""
        self.moments[name] = Moment()


class Half:
    """An endpoint that returns in the middle of its answer."""

    async def __call__(self, scope, receive, send) -> None:
        await send(TEXT)
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})


def shop(diary: Diary, **settings: Any) -> FastAPI:
    """Make the application, with further settings of FastAPI."""
    app, below, users = FastAPI(**settings), FastAPI(), APIRouter(prefix="/users")
    _add_plain(app, below, users, diary)
    _add_streams(app, diary)
    app.include_router(users, prefix="/v1")
    app.mount("/sub", below)
    app.router.routes.insert(0, Route("/half", Half()))

    @app.websocket("/rooms/{room}")
    async def echo(socket: WebSocket, room: str) -> None:
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text)

    return app


def _add_plain(app: FastAPI, below: FastAPI, users: APIRouter, diary: Diary) -> None:
    @app.get("/items/{key}")
    @users.get("/{key}")
    @below.get("/things/{key}")
    async def item(key: str) -> str:
        return key

    @app.get("/fails/{key}")
    async def fails(key: str) -> None:
        raise LookupError(key)

    @app.get("/carries")
    async def carries() -> dict[str, Any]:
        here = trace.get_current_span().get_span_context()
        return {"trace": f"{here.trace_id:032x}", "baggage": dict(baggage.get_all())}

    @app.get("/probe")
    async def probe() -> str:
        # As every instrumentation of a client does it that keeps to the rules.
        if diary.tracer is not None and not context.get_value("suppress_instrumentation"):
            diary.tracer.start_span("SELECT").end()
        return "up"

    @app.get("/large")
    async def large() -> PlainTextResponse:
        return PlainTextResponse(bytes(1_000_000))

    @app.get("/afterwards")
    async def afterwards(tasks: BackgroundTasks) -> str:
        async def work() -> None:
            diary.note("background")
            await asyncio.sleep(WORK_SECONDS)

        tasks.add_task(work)
        return "later"


def _add_streams(app: FastAPI, diary: Diary) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        diary.note("first")
        for _ in range(2):
            yield CHUNK
            await asyncio.sleep(WORK_SECONDS)
        diary.note("last")
        yield CHUNK

    async def breaking() -> AsyncIterator[bytes]:
        yield CHUNK
        raise LookupError("late")

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield CHUNK
            await asyncio.sleep(0)

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        return StreamingResponse(chunks())

    @app.get("/breaks")
    async def breaks() -> StreamingResponse:
        return StreamingResponse(breaking())

    @app.get("/endless")
    async def without_end() -> StreamingResponse:
        return StreamingResponse(endless())

    @app.post("/upload")
    async def upload(request: Request) -> StreamingResponse:
        await request.body()
        return StreamingResponse(chunks())
