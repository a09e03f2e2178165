"""Write your own layer: a protection of yours, with the rules of ASGI kept for you.

A layer fills in hooks: `admit` decides before the application runs, `head` edits the headers of the response; there are
more in `asgi_guard.engine.layer`. It never touches `send` or `receive`, and keeps what belongs to one request in
`exchange.cells`, never on itself. What it refuses carries the headers of the parts around it.

Run: python examples/05_write_your_own_layer.py

Expect:
    200 hello app;dur
    503 closed for maintenance req_2
    layers: request_id, maintenance, stopwatch
"""

import asyncio
from itertools import count
from time import perf_counter

from asgi_guard import Exchange, Layer, Middleware, Reply, RequestIDMiddleware
from asgi_guard.testing import call


class Maintenance(Layer):
    name = "maintenance"
    is_closed = False

    def admit(self, exchange: Exchange) -> Reply | None:
        return Reply(503, body=b"closed for maintenance", content_type=b"text/plain") if self.is_closed else None


class Stopwatch(Layer):
    name = "stopwatch"

    def admit(self, exchange):
        exchange.cells[self] = perf_counter()

    def head(self, exchange, headers):
        headers.append((b"server-timing", b"app;dur=%.1f" % (1e3 * (perf_counter() - exchange.cells[self]))))


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


numbers, maintenance = count(1), Maintenance()
app = RequestIDMiddleware(Middleware(hello, maintenance, Stopwatch()), factory=lambda: f"req_{next(numbers)}")


async def main():
    answer = await call(app)
    print(answer.status, answer.body.decode(), answer.headers.get("Server-Timing").partition("=")[0])
    maintenance.is_closed = True
    answer = await call(app)
    print(answer.status, answer.body.decode(), answer.headers.get("X-Request-ID"))
    print("layers:", ", ".join(layer.name for layer in app.layers))


asyncio.run(main())
