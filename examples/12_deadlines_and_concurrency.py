"""Deadlines and concurrency: who is too slow, and who is one too many.

Both are off until set. `total_seconds` is for the whole response (504), `idle_seconds` for a client that is slow to
send its body (408), `max_concurrent` for all requests of this process together (503). No cancellation is needed: the
client is answered in time even where the application hangs. One request may have limits of its own.

Run: python examples/12_deadlines_and_concurrency.py

Expect:
    hangs: 504 RESPONSE_TOO_SLOW
    sends nothing: 408 BODY_TOO_SLOW
    takes its time, as it said: 200
    two at once: 200 503
    one too many: Retry-After 2, and the health check: 200
    a large upload: 413 200
"""

import asyncio

from asgi_guard import Guard, RequestLimits
from asgi_guard.testing import call

LIMITS = RequestLimits(
    max_body_bytes=1_000,
    total_seconds=0.4,  # 30 or so in earnest
    idle_seconds=0.1,  # 10
    min_body_bytes_per_second=500,
    max_concurrent=1,  # as many as the process has memory and database connections for
    retry_after_seconds=2,
    exempt_paths=["/health"],
)


async def app(scope, receive, send):
    if scope["path"] == "/hangs":
        await asyncio.sleep(60)
    if scope["path"] == "/report":
        scope["asgi_guard"]["request_limits"] = {"total_seconds": 5}
        await asyncio.sleep(0.5)
    if scope["path"] == "/upload":
        scope["asgi_guard"]["request_limits"] = {"max_body_bytes": 10_000}
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})


async def main():
    guard = Guard(app, request_limits=LIMITS)
    hung = await call(guard, "GET", "/hangs")
    print("hangs:", hung.status, hung.json()["error"]["code"])
    stalled = await call(guard, "POST", incoming=[{"type": "http.request", "body": b"half", "more_body": True}])
    print("sends nothing:", stalled.status, stalled.json()["error"]["code"])
    print("takes its time, as it said:", (await call(guard, "GET", "/report")).status)

    busy = asyncio.create_task(call(guard, "GET", "/report"))
    await asyncio.sleep(0)  # it has begun
    refused, health = await call(guard), await call(guard, "GET", "/health")
    print("two at once:", (await busy).status, refused.status)
    print(f"one too many: Retry-After {refused.headers.get('retry-after')}, and the health check: {health.status}")

    # What is declared is judged before the application runs: for that, somebody outside has to say it.
    chunks = [b"x" * 1_000] * 5
    answers = [await call(guard, "POST", path, chunks=chunks) for path in ("/", "/upload")]
    print("a large upload:", *[answer.status for answer in answers])


asyncio.run(main())
