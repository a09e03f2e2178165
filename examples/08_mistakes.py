"""Mistakes: the wrong way next to the right one; both run.

Settings that cannot work do not start, and every problem is told at once. No check can know what you mean, though: a
limit by a header that each client writes as it likes limits nobody, and whoever answers for exceptions may tell all.

Run: python examples/08_mistakes.py

Expect:
    wrong: 3 settings are wrong:
      AG110 RequestLimits.max_url is not a field. Did you mean 'max_url_bytes'?
      AG101 RequestLimits.max_body_bytes must be an integer of at least 1, not '10MB'. Write it without quotes.
      AG101 RequestLimits.max_headers must be an integer of at least 1, not 0. Give a number that keeps to this.
    right: 413 for a body of more than 10,485,760 bytes, declared or streamed
    wrong: 200 200 200
    right: 200 429 429
    wrong: invalid literal for int() with base 10: 'hunter2'
    right: Something went wrong on the server.
"""

import asyncio
import logging

from asgi_guard import ConfigError, Guard, RateLimit, RequestLimitsMiddleware
from asgi_guard.testing import call

logging.getLogger("asgi_guard").addHandler(logging.NullHandler())


async def hello(scope, receive, send, text=b"hello"):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text})


async def shop(scope, receive, send):
    try:
        int("hunter2")  # a password where a port should be
    except ValueError as error:
        if scope["path"] == "/right":
            raise
        await hello(scope, receive, send, str(error).encode())


async def main():
    try:
        RequestLimitsMiddleware(hello, max_body_bytes="10MB", max_headers=0, max_url=9_000)
    except ConfigError as error:
        print("wrong:", error)
    app = RequestLimitsMiddleware(hello, max_body_bytes=10 * 1024 * 1024, max_headers=None, max_url_bytes=9_000)
    print("right:", *[line for line in app.layers[0].refusals() if line.startswith("413")])
    by_word = RateLimit("1/minute", key=lambda exchange: exchange.header(b"x-forwarded-for"))
    for verdict, limit in [("wrong", by_word), ("right", "1/minute")]:
        app = Guard(hello, rate_limit=limit)
        askers = [{"X-Forwarded-For": f"203.0.113.{number}"} for number in range(3)]
        print(f"{verdict}:", *[(await call(app, headers=asker)).status for asker in askers])

    print("wrong:", (await call(Guard(shop), "GET", "/wrong")).body.decode())
    print("right:", (await call(Guard(shop), "GET", "/right")).json()["error"]["message"])


asyncio.run(main())
