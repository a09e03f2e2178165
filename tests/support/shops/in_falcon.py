"""The shop in Falcon."""

from __future__ import annotations

from typing import Any
from zlib import crc32

from falcon import WebSocketDisconnected
from falcon.asgi import App, Request, Response, WebSocket

from shops import SECRET, pieces


class Json:
    async def on_get(self, request: Request, response: Response) -> None:
        response.media = {"id": request.scope.get("state", {}).get("request_id")}


class Upload:
    async def on_post(self, request: Request, response: Response) -> None:
        response.media = {"sizes": [len(piece) async for piece in request.stream]}


class Whole:
    async def on_post(self, request: Request, response: Response) -> None:
        response.media = await request.get_media()


class Form:
    async def on_post(self, request: Request, response: Response) -> None:
        media = await request.get_media()
        if isinstance(media, dict):
            response.media = {"note": media["note"], "file": crc32(b"")}
        else:
            parts = {part.name: await part.stream.read() async for part in media}
            response.media = {"note": parts["note"].decode(), "file": crc32(parts["file"])}


class Stream:
    async def on_get(self, request: Request, response: Response) -> None:
        response.content_type = "text/plain"
        response.stream = pieces()


class Crash:
    async def on_get(self, request: Request, response: Response) -> None:
        raise RuntimeError(SECRET)


class Echo:
    async def on_websocket(self, request: Request, session: WebSocket) -> None:
        await session.accept()
        try:
            while True:
                await session.send_text(await session.receive_text())
        except WebSocketDisconnected:
            pass


def make() -> Any:
    """Make the shop."""
    app: Any = App()
    for path, resource in (
        ("/json", Json()),
        ("/upload", Upload()),
        ("/whole", Whole()),
        ("/form", Form()),
        ("/stream", Stream()),
        ("/crash", Crash()),
        ("/echo", Echo()),
    ):
        app.add_route(path, resource)
    return app
