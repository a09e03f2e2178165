"""The shop in Litestar."""

# ruff: noqa: D103  the docstring of the package says what each endpoint does
from __future__ import annotations

from typing import Any
from zlib import crc32

from litestar import Litestar, Request, WebSocket, get, post, websocket_listener
from litestar.params import JSONBody
from litestar.response import Stream

from shops import SECRET, pieces


@get("/json")
async def answer_json(request: Request[Any, Any, Any]) -> dict[str, Any]:
    return {"id": request.state.get("request_id")}


@post("/upload", status_code=200)
async def take_upload(request: Request[Any, Any, Any]) -> dict[str, list[int]]:
    return {"sizes": [len(piece) async for piece in request.stream()]}


@post("/whole", status_code=200)
async def take_whole(data: JSONBody[dict[str, Any]]) -> dict[str, Any]:
    return data


@post("/form", status_code=200)
async def take_form(request: Request[Any, Any, Any]) -> dict[str, Any]:
    form = await request.form()
    return {"note": form["note"], "file": crc32(await form["file"].read() if "file" in form else b"")}


@get("/stream")
async def answer_stream() -> Stream:
    return Stream(pieces(), media_type="text/plain")


@get("/crash")
async def crash() -> None:
    raise RuntimeError(SECRET)


@websocket_listener("/echo")
async def echo(data: str, socket: WebSocket[Any, Any, Any]) -> str:
    return data


def make() -> Litestar:
    """Make the shop."""
    return Litestar(
        [answer_json, take_upload, take_whole, take_form, answer_stream, crash, echo],
        openapi_config=None,
        logging_config=None,  # it would put the log of the whole process into a queue, where no test finds it in time
        request_max_body_size=None,  # it is below the guard's
    )
