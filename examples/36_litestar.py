"""Litestar: guard an application, and leave to the framework what the framework does.

Litestar answers exceptions by itself: what a route raises never leaves it, and its 500 keeps the guard's headers. To
have the guard answer in its own words, hand the exception on, by a handler that raises it again.

Run: pip install litestar; python examples/36_litestar.py

Expect:
    GET /items/7    200 {"id":7,"asked_by":"req_1"}
    GET /items/x    404 of Litestar's, with an id and the headers
    GET /boom       500 INTERNAL_ERROR, with an id and the headers
    a metric's name: /items/{number}
"""

import asyncio
import logging

from litestar import Litestar, get

from asgi_guard import Guard, RequestID, Telemetry, current_request_id
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.testing import call

logging.disable()
counted = Aggregate()


@get("/items/{number:int}")
async def item(number: int) -> dict[str, object]:
    return {"id": number, "asked_by": current_request_id()}


@get("/boom")
async def boom() -> None:
    raise ConnectionError("cannot reach postgres://shop:hunter2@10.0.0.7")


def hand_on(request, exc):
    raise exc


app = Guard(
    Litestar([item, boom], exception_handlers={ConnectionError: hand_on}, logging_config=None),
    request_id=RequestID(factory=lambda: "req_1"),
    telemetry=Telemetry(aggregate=counted),
)


async def main():
    found, missing, broken = [await call(app, "GET", path) for path in ("/items/7", "/items/x", "/boom")]
    print(f"GET /items/7    {found.status} {found.body.decode()}")
    for path, answer in (("/items/x", missing), ("/boom   ", broken)):
        is_marked = answer.headers.get("X-Request-ID") and answer.headers.get("X-Content-Type-Options")
        code = answer.json().get("error", {}).get("code", "of Litestar's")
        print(f"GET {path}    {answer.status} {code}, {'with' if is_marked else 'without'} an id and the headers")
    names = {point.attributes.get("http.route") for point in counted.snapshot()}
    print("a metric's name:", next(name for name in names if name and "items" in name))


asyncio.run(main())
