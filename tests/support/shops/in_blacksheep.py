"""The shop in BlackSheep."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from blacksheep import Application, Request, Response, StreamedContent, WebSocket, WebSocketDisconnectError
from blacksheep.server.responses import json
from blacksheep.server.routing import Router

from shops import SECRET, pieces


def make() -> Any:
    """Make the shop."""
    app = Application(router=Router())
    router = app.router

    @router.get("/json")
    async def answer_json(request: Request) -> Response:
        return json({"id": request.scope.get("state", {}).get("request_id")})

    @router.post("/upload")
    async def take_upload(request: Request) -> Response:
        return json({"sizes": [len(piece) async for piece in request.stream()]})

    @router.post("/whole")
    async def take_whole(request: Request) -> Response:
        return json(await request.json())

    @router.post("/form")
    async def take_form(request: Request) -> Response:
        form: Any = await request.form()
        files: Any = await request.files("file") if "file" in form else []
        return json({"note": form["note"], "file": crc32(files[0].data if files else b"")})

    @router.get("/stream")
    async def answer_stream() -> Response:
        return Response(200, content=StreamedContent(b"text/plain", pieces))

    @router.get("/crash")
    async def crash() -> Response:
        raise RuntimeError(SECRET)

    @router.ws("/echo")
    async def echo(session: WebSocket) -> None:
        await session.accept()
        try:
            while True:
                await session.send_text(await session.receive_text())
        except WebSocketDisconnectError:
            pass

    return app
