"""One line: an ASGI application, protected.

`Guard(app)` wraps any ASGI application. Told nothing else, it gives each request an id, adds security headers, limits
the size of a request and the rate of a client, and answers for exceptions without telling what they say.

Run: python examples/01_one_line.py

Expect:
    GET /         200 hello
    GET /boom     500 INTERNAL_ERROR: Something went wrong on the server.
    POST /        413 BODY_TOO_LARGE: The request body is too large.
    one too many  429 RATE_LIMIT_EXCEEDED: Too many requests.
    each answer has an id of its own: True
"""

import asyncio
import logging

from asgi_guard import Guard
from asgi_guard.testing import call

# A service has logging set up, and finds the traceback of /boom there, with the request id. This page does without.
logging.getLogger("asgi_guard").addHandler(logging.NullHandler())


async def shop(scope, receive, send):
    if scope["path"] == "/boom":
        raise ConnectionError("cannot reach postgres://shop:hunter2@10.0.0.7")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


app = Guard(shop)


def told(answer):
    error = answer.json()["error"]
    return f"{answer.status} {error['code']}: {error['message']}"


async def main():
    hello = await call(app, "GET", "/")
    boom = await call(app, "GET", "/boom")
    large = await call(app, "POST", "/", headers={"Content-Length": "11000000"})
    many = [await call(app, "GET", "/") for _ in range(100)]

    print("GET /        ", hello.status, hello.body.decode())
    print("GET /boom    ", told(boom))
    print("POST /       ", told(large))
    print("one too many ", told(many[-1]))
    ids = {answer.headers.get("X-Request-ID") for answer in (hello, boom, large, *many)}
    print("each answer has an id of its own:", len(ids) == 103 and None not in ids)


asyncio.run(main())
