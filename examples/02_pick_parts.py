"""Pick parts: each part of the guard can be off, on, or set; and each one works alone.

`Guard(app, part=...)` takes True (its defaults), False (off) or its settings; some parts take a short form. A part
alone is `<Part>Middleware(app, ...)`, which takes the fields of the part's settings, or an instance. Middlewares that
wrap each other are fused into one object when they are built.

Run: python examples/02_pick_parts.py

Expect:
    a guard with three parts set
      413 for 2,000 bytes, default-src 'none', no RateLimit header
    two parts, and nothing else
      413 for 2,000 bytes, no policy, req_1
      one object around the application: request_id, request_limits
"""

import asyncio
from itertools import count

from asgi_guard import Guard, RequestID, RequestIDMiddleware, RequestLimits, RequestLimitsMiddleware
from asgi_guard.testing import call


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": b"<p>hello"})


numbers = count(1)
app = Guard(
    hello,
    security_headers="strict",  # a short form: one of the presets
    request_limits=RequestLimits(max_body_bytes=1_000),  # settings
    rate_limit=False,  # off
)
parts = RequestIDMiddleware(
    RequestLimitsMiddleware(hello, max_body_bytes=1_000),  # the fields of RequestLimits
    RequestID(factory=lambda: f"req_{next(numbers)}"),  # or an instance
)


async def main():
    large, page = await call(app, "POST", body=b"." * 2_000, headers={"Content-Length": "2000"}), await call(app)
    policy = page.headers.get("Content-Security-Policy").partition(";")[0]
    limit = page.headers.get("RateLimit")
    print("a guard with three parts set")
    print(f"  {large.status} for 2,000 bytes, {policy}, {limit or 'no RateLimit header'}")

    large = await call(parts, "POST", body=b"." * 2_000, headers={"Content-Length": "2000"})
    policy = large.headers.get("Content-Security-Policy")
    print("two parts, and nothing else")
    print(f"  {large.status} for 2,000 bytes, {policy or 'no policy'}, {large.headers.get('X-Request-ID')}")
    print(f"  one object around the application: {', '.join(layer.name for layer in parts.layers)}")


asyncio.run(main())
