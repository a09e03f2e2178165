"""Health: whether the process answers, whether to send requests, and what is wrong, for those who may know.

`/livez` asks for nothing, so that no slow database has your processes killed. `/readyz` and `/health` ask your checks:
one at a time, with a timeout, and what they found holds for a while, so that a thousand probes are one question.
Strangers see the bare status; whoever shows the token sees each check. A required check that fails is a 503.

Common mistakes:
    the database in the liveness probe        everything restarts when it is slow: use /readyz for that
    trusting 127.0.0.1                        a proxy on the same machine comes from there too: show a token, or name
                                              the network of the prober: Endpoints(allowed=["10.1.0.0/16"])

Run: python examples/27_health.py

Expect:
    /livez 200 {'status': 'pass'}
    /readyz 503 {'status': 'fail'}
    /readyz 503 database fail, cache warn
    /readyz 200 database pass, cache warn
    /metrics 404
"""

import asyncio
import logging

from asgi_guard import Endpoints, Guard, HealthCheck
from asgi_guard.testing import call

logging.getLogger("asgi_guard").addHandler(logging.NullHandler())  # it says what fails
TOKEN = {"Authorization": "Bearer for-the-sake-of-the-example"}
database = {"is_up": False}


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def ping_database():
    return database["is_up"]


def ping_cache():
    raise ConnectionError("secret")


def guard():
    checks = [HealthCheck("database", ping_database), HealthCheck("cache", ping_cache, required=False)]
    return Guard(app, endpoints=Endpoints(token="for-the-sake-of-the-example", checks=checks))


def told(answer):
    checks = answer.json()["checks"]
    return ", ".join(f"{name.partition(':')[0]} {results[0]['status']}" for name, results in checks.items())


async def main():
    guarded = guard()
    for path in ("/livez", "/readyz"):
        answer = await call(guarded, "GET", path)
        print(path, answer.status, answer.json())
    answer = await call(guarded, "GET", "/readyz", headers=TOKEN)
    print("/readyz", answer.status, told(answer))
    database["is_up"] = True
    answer = await call(guard(), "GET", "/readyz", headers=TOKEN)  # what the first one found holds for a while
    print("/readyz", answer.status, told(answer))
    print("/metrics", (await call(guarded, "GET", "/metrics")).status)


asyncio.run(main())
