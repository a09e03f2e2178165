"""The shop in FastAPI, and in a FastAPI that is mounted in another."""

from __future__ import annotations

from typing import Annotated, Any
from zlib import crc32

from fastapi import FastAPI, Form, Request, UploadFile, WebSocket, WebSocketDisconnect
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from shops import SECRET, pieces


class Item(BaseModel):
    """A body that FastAPI reads by itself."""

    name: str


def make() -> FastAPI:  # noqa: C901  an endpoint is a function here
    """Make the shop."""
    app = FastAPI()

    @app.get("/json")
    async def answer_json(request: Request) -> dict[str, Any]:
        return {"id": getattr(request.state, "request_id", None)}

    @app.post("/upload")
    async def take_upload(request: Request) -> dict[str, list[int]]:
        return {"sizes": [len(piece) async for piece in request.stream()]}

    @app.post("/whole")
    async def take_whole(item: Item) -> Item:
        return item

    @app.post("/file")
    async def take_file(file: UploadFile) -> dict[str, int]:
        return {"size": len(await file.read())}

    @app.post("/form")
    async def take_form(note: Annotated[str, Form()], file: UploadFile | None = None) -> dict[str, Any]:
        return {"note": note, "file": crc32(await file.read() if file is not None else b"")}

    @app.get("/stream")
    async def answer_stream() -> StreamingResponse:
        return StreamingResponse(pieces(), media_type="text/plain")

    @app.get("/crash")
    async def crash() -> None:
        raise RuntimeError(SECRET)

    @app.websocket("/echo")
    async def echo(session: WebSocket) -> None:
        await session.accept()
        try:
            while True:
                await session.send_text(await session.receive_text())
        except WebSocketDisconnect:
            pass

    return app


def make_mounted() -> FastAPI:
    """Make the shop, mounted."""
    app = FastAPI()
    app.mount("/api", make())
    return app
