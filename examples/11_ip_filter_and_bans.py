"""IP filter and bans: who may ask at all, for good or for a while.

`allow` lets in whom it names and nobody else, `block` keeps out, and `paths` says where. `Bans` end by themselves;
`BanAfter` bans whoever is refused again and again. Behind a proxy, declare it first: everybody would have its address.
So `BanAfter` spares private addresses unless it is told otherwise.

Run: python examples/11_ip_filter_and_bans.py

Expect:
    the office: 200
    elsewhere: 200 /, 403 /admin ADDRESS_NOT_ALLOWED
    blocked: 403 / ADDRESS_BLOCKED
    asks too often: 200 429 429 429 403 403
    203.0.113.9 is banned for 600 s: refused 3 times by rate_limit
    ten minutes later: 200
    by hand: 403 for all of 2001:db8::/64, then 200
"""

import asyncio
import logging

from asgi_guard import BanAfter, Bans, Guard, IPFilter, MemoryStore, RateLimit
from asgi_guard.testing import ManualClock, call

logging.getLogger("asgi_guard").addHandler(logging.NullHandler())


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def ask(app, address, path="/"):
    answer = await call(app, "GET", path, client=(address, 4711))
    return f"{answer.status} {path} {answer.json()['error']['code']}" if answer.status == 403 else f"{answer.status}"


async def main():
    app = Guard(hello, ip_filter=IPFilter(allow=["198.51.100.0/24"], paths=["/admin"]))
    print("the office:", await ask(app, "198.51.100.7", "/admin"))
    print(f"elsewhere: {await ask(app, '203.0.113.9')} /, {await ask(app, '203.0.113.9', '/admin')}")
    print("blocked:", await ask(Guard(hello, ip_filter=IPFilter(block=["203.0.113.0/24"])), "203.0.113.9"))

    clock = ManualClock()
    bans = Bans(clock=clock)
    limit = RateLimit("1/minute", store=MemoryStore(clock=clock.monotonic_ns))
    ban_after = BanAfter(bans, refusals=3, ban_seconds=600, clock=clock)
    app = Guard(hello, ip_filter=IPFilter(bans=bans), rate_limit=limit, listeners=[ban_after])
    print("asks too often:", *[(await ask(app, "203.0.113.9"))[:3] for _ in range(6)])
    print(*[f"{ban.network} is banned for {ban.seconds_left:.0f} s: {ban.reason}" for ban in bans])
    clock.advance(600)
    print("ten minutes later:", await ask(app, "203.0.113.9"))

    ban = bans.ban("2001:db8::1", seconds=60)
    refused = (await ask(app, "2001:db8::2"))[:3]
    bans.unban("2001:db8::1")
    print(f"by hand: {refused} for all of {ban.network}, then {await ask(app, '2001:db8::2')}")


asyncio.run(main())
