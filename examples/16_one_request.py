"""One request, and while it runs: exceptions to the settings, and other settings.

`scope["asgi_guard"]` holds for one request alone. Whoever stands around the guard puts a mapping there; the application
inside writes to what it finds there. No client can. `reconfigure` changes the settings of a guard that serves: counts
go on, and nothing changes if anything is wrong. Within `disabled()` the guard is not there at all: for tests.

Run: python examples/16_one_request.py

Expect:
    an upload of 2,000 bytes: 413
      from somebody who is known: 200
    an export costs ten: 89 left
    a page that is framed: X-Frame-Options None, the others SAMEORIGIN
    a slip of the pen: 500 CONFIGURATION_ERROR, and the log says which
    reconfigured: "99/minute", 85 left
      wrong: AG210 RateLimit.rate, and as before: "99/minute", 84 left
    disabled: no RateLimit header
"""

import asyncio
import logging
import re

from asgi_guard import ConfigError, Guard, RequestLimits
from asgi_guard.testing import call

logging.getLogger("asgi_guard").addHandler(logging.NullHandler())


async def shop(scope, receive, send):
    said = scope.get("asgi_guard", {})  # empty where nothing guards; in Starlette and FastAPI: request.scope
    if scope["path"] == "/export":
        said["rate_limit"] = {"cost": 10}
    if scope["path"] == "/framed":
        said["security_headers"] = False
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


guard = Guard(shop, request_limits=RequestLimits(max_body_bytes=1_000))


async def app(scope, receive, send):
    if (b"authorization", b"Bearer of the back office") in scope["headers"]:
        scope = {**scope, "asgi_guard": {"request_limits": {"max_body_bytes": 10_000}, "rate_limit": False}}
    await guard(scope, receive, send)


def left(answer):
    return re.sub(r";r=(\d+).*", r", \1 left", answer.headers.get("RateLimit") or "no RateLimit header")


async def main():
    upload = {"body": b"." * 2_000, "headers": {"Content-Length": "2000"}}
    print("an upload of 2,000 bytes:", (await call(app, "POST", **upload)).status)
    upload["headers"]["Authorization"] = "Bearer of the back office"
    print("  from somebody who is known:", (await call(app, "POST", **upload)).status)
    await call(app)
    print("an export costs ten:", left(await call(app, "GET", "/export")).split(", ")[1])
    framed, other = [(await call(app, "GET", path)).headers.get("X-Frame-Options") for path in ("/framed", "/")]
    print(f"a page that is framed: X-Frame-Options {framed}, the others {other}")
    answer = await call(guard, asgi_guard={"rate_limit": {"price": 10}})
    print(f"a slip of the pen: {answer.status} {answer.json()['error']['code']}, and the log says which")

    guard.reconfigure(rate_limit="99/minute")
    print("reconfigured:", left(await call(app)))
    try:
        guard.reconfigure(rate_limit="fast", security_headers="strict")
    except ConfigError as error:
        wrong = " ".join(f"{problem.id} {problem.field}" for problem in error.problems)
    print(f"  wrong: {wrong}, and as before:", left(await call(app)))
    with guard.disabled():
        print("disabled:", left(await call(app)))


asyncio.run(main())
