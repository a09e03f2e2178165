"""Listen to events: what the guard did, told to a function of yours.

`listeners=[...]` takes plain functions, on a guard or on one part. Each is called with a frozen event: who, what, and
by which layer; whatever a client wrote in it is cut to a bound. A listener is called in the middle of a request, so it
has to be quick; one that raises harms nobody, and is logged once.

Run: python examples/06_listen_to_events.py

Expect:
    GET /      allowed by rate_limit
    GET /boom  allowed by rate_limit
    GET /boom  ConnectionError answered with 500 by error_envelope
    POST /     refused by request_limits: 413 BODY_TOO_LARGE
    GET /      refused by rate_limit: 429 RATE_LIMIT_EXCEEDED for 198.51.100.7
"""

import asyncio
import logging

from asgi_guard import ErrorAnswered, Event, Guard, RequestAllowed, RequestRefused
from asgi_guard.testing import call

logging.getLogger("asgi_guard").addHandler(logging.NullHandler())


def listen(event: Event) -> None:
    asked = f"{event.method} {event.path}".ljust(10)
    match event:
        case RequestAllowed(layer="rate_limit"):
            print(f"{asked} allowed by {event.layer}")
        case RequestRefused(status=429):
            print(f"{asked} refused by {event.layer}: {event.status} {event.code} for {event.client}")
        case RequestRefused():
            print(f"{asked} refused by {event.layer}: {event.status} {event.code}")
        case ErrorAnswered():
            print(f"{asked} {event.exception} answered with {event.status} by {event.layer}")


async def shop(scope, receive, send):
    if scope["path"] == "/boom":
        raise ConnectionError("cannot reach postgres://shop:hunter2@10.0.0.7")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


app = Guard(shop, rate_limit="2/minute", listeners=[listen])


async def main():
    await call(app, "GET", "/")
    await call(app, "GET", "/boom")
    await call(app, "POST", "/", headers={"Content-Length": "11000000"})
    await call(app, "GET", "/")


asyncio.run(main())
