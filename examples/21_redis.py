"""One limit for all workers and machines: counts in Redis or Valkey.

Text is enough: `store="redis://user:password@host:6379/0"`. `rediss://` speaks TLS, `unix:///path` is a socket,
`redis+cluster://` a cluster, `redis+sentinel://h1:26379,h2:26379/service` the master that sentinels name.

Defaults: a call may take 25 ms, the first one a second. Redis away: this process counts, beginning with what it has
admitted; nothing waits, and Redis is found again by itself. `on_failure="open"` admits, `"closed"` answers 503.
Needs: pip install 'asgi-guard[redis]', asyncio or uvloop.
"""

from __future__ import annotations

from asgi_guard import Guard
from asgi_guard.layers.rate_limit import RateLimit
from asgi_guard.limiting.redis import RedisStore


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


# Four workers share the limit; while Redis is away, each admits a quarter of it.
store = RedisStore("redis://localhost:6379/0", local_share=1 / 4)
guarded = Guard(app, rate_limit=RateLimit("5/second;100/minute", store=store))
