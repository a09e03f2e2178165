"""The shop in Starlette, and in a Starlette that is mounted in another."""

# ruff: noqa: D103  the docstring of the package says what each endpoint does
from __future__ import annotations

from zlib import crc32

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from shops import SECRET, pieces


async def answer_json(request: Request) -> Response:
    return JSONResponse({"id": getattr(request.state, "request_id", None)})


async def take_upload(request: Request) -> Response:
    return JSONResponse({"sizes": [len(piece) async for piece in request.stream()]})


async def take_whole(request: Request) -> Response:
    return JSONResponse(await request.json())


async def take_whole_whatever_comes(request: Request) -> Response:
    try:
        return JSONResponse(await request.json())
    except:  # noqa: E722  as some handlers are written
        return PlainTextResponse("never mind")


async def take_form(request: Request) -> Response:
    async with request.form() as form:
        file = form.get("file")
        content = await file.read() if isinstance(file, UploadFile) else b""
        return JSONResponse({"note": form["note"], "file": crc32(content)})


async def answer_stream(request: Request) -> Response:
    return StreamingResponse(pieces(), media_type="text/plain")


async def crash(request: Request) -> Response:
    raise RuntimeError(SECRET)


async def echo(session: WebSocket) -> None:
    await session.accept()
    async for text in session.iter_text():
        await session.send_text(text)


def make() -> Starlette:
    """Make the shop."""
    return Starlette(
        routes=[
            Route("/json", answer_json),
            Route("/upload", take_upload, methods=["POST"]),
            Route("/whole", take_whole, methods=["POST"]),
            Route("/form", take_form, methods=["POST"]),
            Route("/bare-except", take_whole_whatever_comes, methods=["POST"]),
            Route("/stream", answer_stream),
            Route("/crash", crash),
            WebSocketRoute("/echo", echo),
        ]
    )


def make_mounted() -> Starlette:
    """Make the shop, mounted."""
    return Starlette(routes=[Mount("/api", make())])
