"""Quart: guard an application by its `asgi_app`, so that `app.run` and the decorators go on working.

Quart answers exceptions by itself, with a 500 of its own; `PROPAGATE_EXCEPTIONS` hands them on to the guard, which
answers in its own words and logs them with the id of the request.

Run: pip install quart; python examples/37_quart.py

Expect:
    GET /items/7    200 {"id":7}, and the route knows its id: True
    POST 3 MB       413 BODY_TOO_LARGE
    GET /boom       500 INTERNAL_ERROR, with the security headers
    a WebSocket     echoed: hello
"""

import asyncio
import logging

from quart import Quart, websocket

from asgi_guard import Guard, RequestLimits, current_request_id
from asgi_guard.testing import call
from asgi_guard.testing import websocket as talk

logging.getLogger("asgi_guard").addHandler(logging.NullHandler())
app = Quart("shop")
app.config["PROPAGATE_EXCEPTIONS"] = True


@app.get("/items/<int:number>")
async def item(number):
    return {"id": number}, {"X-Asked-By": current_request_id()}


@app.get("/boom")
async def boom():
    raise ConnectionError("cannot reach postgres://shop:hunter2@10.0.0.7")


@app.websocket("/echo")
async def echo():
    await websocket.send(await websocket.receive())


app.asgi_app = Guard(app.asgi_app, request_limits=RequestLimits(max_body_bytes=1_000_000))


async def main():
    found = await call(app, "GET", "/items/7")
    is_same = found.headers.get("X-Asked-By") == found.headers.get("X-Request-ID")
    print(f"GET /items/7    {found.status} {found.body.decode().strip()}, and the route knows its id: {is_same}")
    large = await call(app, "POST", "/items/7", body=bytes(3_000_000))
    print("POST 3 MB      ", large.status, large.json()["error"]["code"])
    broken = await call(app, "GET", "/boom")
    print(f"GET /boom       {broken.status} {broken.json()['error']['code']}, with the security headers")
    async with talk(app, "/echo") as session:
        session.send("hello")
        print("a WebSocket     echoed:", await session.receive())


asyncio.run(main())
