"""Rate limit: several limits at once, counted by whom you like, and tried out before it bites.

A hit has to fit under every limit, or it counts under none. By default a client is its address (of IPv6 the /64); `key`
names it in another way. `shadow=True` only tells the listeners what would be refused.

Run: python examples/07_rate_limit.py

Expect:
    two limits: 200 200 429, Retry-After: 2
      RateLimit: "2/second";r=0;t=2,"3/minute";r=1;t=62
      RateLimit-Policy: "2/second";q=2;w=1,"3/minute";q=3;w=60
      2 s later: 200 429, Retry-After: 60
    by customer: ann 200 429, bob 200
    in the shadows: 200 200 200, and 2 would be refused
"""

import asyncio

from asgi_guard import MemoryStore, RateLimitMiddleware, RequestWouldBeRefused
from asgi_guard.testing import ManualClock, call, capture_events

CUSTOMERS = {b"ann's key": "ann", b"bob's key": "bob"}


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def by_customer(exchange):
    """Count by a key that was looked up: whoever makes keys up is counted by address."""
    return CUSTOMERS.get(exchange.header(b"x-api-key")) or exchange.client or "unknown"


async def ask(app, times, headers=()):
    answers = [await call(app, headers=headers) for _ in range(times)]
    return answers[-1].headers, " ".join(str(answer.status) for answer in answers)


async def main():
    clock = ManualClock()
    app = RateLimitMiddleware(hello, "2/second;3/minute", store=MemoryStore(clock=clock.monotonic_ns))
    last, statuses = await ask(app, 3)
    print(f"two limits: {statuses}, Retry-After: {last.get('Retry-After')}")
    print(f"  RateLimit: {last.get('RateLimit')}\n  RateLimit-Policy: {last.get('RateLimit-Policy')}")
    clock.advance(2)
    last, statuses = await ask(app, 2)
    print(f"  2 s later: {statuses}, Retry-After: {last.get('Retry-After')}")

    app = RateLimitMiddleware(hello, "1/minute", key=by_customer)
    _, ann = await ask(app, 2, {"X-API-Key": "ann's key"})
    _, bob = await ask(app, 1, {"X-API-Key": "bob's key"})
    print(f"by customer: ann {ann}, bob {bob}")

    app = RateLimitMiddleware(hello, "1/minute", shadow=True, listeners=[events := capture_events()])
    _, statuses = await ask(app, 3)
    print(f"in the shadows: {statuses}, and {len(events.of(RequestWouldBeRefused))} would be refused")


asyncio.run(main())
