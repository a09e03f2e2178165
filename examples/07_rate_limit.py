"""Rate limit: whom to count, for what, and for how much; several policies at once, and one tried out before it bites.

A hit has to fit under every limit, or it counts under none. By default a client is its address (of IPv6 the /64); `key`
names it in another way, and may be async. In a list of `RateLimit`s each counts the requests that it is for, and all of
them count a request or none does.

Run: python examples/07_rate_limit.py

Expect:
    two limits: 200 200 429, Retry-After: 2
      RateLimit: "2/second";r=0;t=2,"3/minute";r=1;t=62
      RateLimit-Policy: "2/second";q=2;w=1,"3/minute";q=3;w=60
      2 s later: 200 429, Retry-After: 60
    by customer: ann 200 429, bob 200
    two policies: GET / 200 200 200, POST /login 200 429 ['login']
    wrong passwords: 401 401 429, and after a reset 401
    an export costs: "10/minute";r=4;t=66
    in the shadows: 200 200 200, and 2 would be refused
"""

import asyncio

from asgi_guard import MemoryStore, RateLimit, RateLimitMiddleware, RequestWouldBeRefused, by_client, client_key
from asgi_guard.testing import ManualClock, call, capture_events

CUSTOMERS = {b"ann's key": "ann", b"bob's key": "bob"}
clock = ManualClock()
store = MemoryStore(clock=clock.monotonic_ns)  # one store for all: policies are kept apart by name and limits


async def shop(scope, receive, send):
    if scope["path"] == "/export":
        scope["asgi_guard"]["rate_limit"] = {"cost": 6}  # known only here
    await send({"type": "http.response.start", "status": 401 if scope["path"] == "/token" else 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def by_customer(exchange):
    """Count by a key that was looked up: whoever makes keys up is counted by address."""
    return CUSTOMERS.get(exchange.header(b"x-api-key")) or by_client(exchange)


async def ask(app, times, method="GET", path="/", headers=()):
    answers = [await call(app, method, path, headers=headers) for _ in range(times)]
    return answers[-1], " ".join(str(answer.status) for answer in answers)


async def main():
    app = RateLimitMiddleware(shop, "2/second;3/minute", store=store)
    last, statuses = await ask(app, 3)
    print(f"two limits: {statuses}, Retry-After: {last.headers.get('Retry-After')}")
    for name in ("RateLimit", "RateLimit-Policy"):
        print(f"  {name}: {last.headers.get(name)}")
    clock.advance(2)
    last, statuses = await ask(app, 2)
    print(f"  2 s later: {statuses}, Retry-After: {last.headers.get('Retry-After')}")

    app = RateLimitMiddleware(shop, "1/minute", key=by_customer)
    _, ann = await ask(app, 2, headers={"X-API-Key": "ann's key"})
    _, bob = await ask(app, 1, headers={"X-API-Key": "bob's key"})
    print(f"by customer: ann {ann}, bob {bob}")

    login = RateLimit("1/minute", paths=["/login"], methods=["POST"], name="login")
    app = RateLimitMiddleware(shop, [login, RateLimit("100/minute", exempt_paths=["/health"])])
    _, pages = await ask(app, 3)
    last, logins = await ask(app, 2, "POST", "/login")
    print(f"two policies: GET / {pages}, POST /login {logins} {last.json()['error']['details']['limits']}")

    app = RateLimitMiddleware(shop, "2/hour", count=lambda exchange: exchange.status == 401)
    _, guesses = await ask(app, 3, path="/token")
    app.reset(client_key("198.51.100.7"))
    _, again = await ask(app, 1, path="/token")
    print(f"wrong passwords: {guesses}, and after a reset {again}")

    last, _ = await ask(RateLimitMiddleware(shop, "10/minute", store=store), 1, path="/export")
    print(f"an export costs: {last.headers.get('RateLimit')}")

    app = RateLimitMiddleware(shop, "1/minute", shadow=True, listeners=[events := capture_events()])
    _, statuses = await ask(app, 3)
    print(f"in the shadows: {statuses}, and {len(events.of(RequestWouldBeRefused))} would be refused")


asyncio.run(main())
