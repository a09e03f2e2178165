"""The shop in Quart."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from quart import Quart, Response, request, websocket

from shops import SECRET, pieces


def make() -> Quart:
    """Make the shop."""
    app = Quart("shop")

    @app.get("/json")
    async def answer_json() -> dict[str, Any]:
        return {"id": request.scope.get("state", {}).get("request_id")}

    @app.post("/upload")
    async def take_upload() -> dict[str, list[int]]:
        return {"sizes": [len(piece) async for piece in request.body]}

    @app.post("/whole")
    async def take_whole() -> Any:
        return await request.get_json()

    @app.post("/form")
    async def take_form() -> dict[str, Any]:
        files = await request.files
        return {"note": (await request.form)["note"], "file": crc32(files["file"].read() if files else b"")}

    @app.get("/stream")
    async def answer_stream() -> Response:
        return Response(pieces(), mimetype="text/plain")

    @app.get("/crash")
    async def crash() -> str:
        raise RuntimeError(SECRET)

    @app.websocket("/echo")
    async def echo() -> None:
        while True:
            await websocket.send(await websocket.receive())

    return app
