"""Test an application: a client, a service that fails as it is told, made-up data, and who is let in.

With pytest all of this comes as fixtures, by `pip install "asgi-guard[testing]"`: `guard_client`, `services`,
`generate`, `db_session`, `valkey` and more; here it is used without.

Run: python examples/33_test_your_application.py

Expect:
    201 {'name': 'Zoë Wirth'}
    missing 401
    malformed: no secret 401
    malformed: no scheme 401
    malformed: another scheme 401
    wrong 401
    good 200
    the cache: reset, reset, b'tea'
"""

import asyncio
import json

from asgi_guard.testing import Client, Generator, StandInCache, assert_requires_authentication, bearer


async def app(scope, receive, send):
    given = dict(scope["headers"]).get(b"authorization")
    status = 201 if scope["method"] == "POST" else 200 if given == b"Bearer t0ken" else 401
    body = (await receive())["body"] if status == 201 else b"{}"
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def asked(cache):
    try:
        return await cache.get("drink")
    except ConnectionResetError:
        return "reset"


async def main():
    generate = Generator(seed=1)
    client = Client(app)
    response = await client.post("/people", json={"name": generate.name()})
    print(response.status, json.loads(response.body))

    report = await assert_requires_authentication(client, "GET", "/me", good=bearer("t0ken"))
    for kind, status in report.statuses.items():
        print(kind, status)

    with StandInCache() as cache:
        await cache.set("drink", "tea")
        cache.down()
        cache.recover(after=2)
        print("the cache:", ", ".join([str(await asked(cache)) for _ in range(3)]))


asyncio.run(main())
