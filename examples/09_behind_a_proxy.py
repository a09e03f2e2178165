"""Behind a proxy: say which one it is, or every client is the proxy.

The guard believes nobody until it is told whom: each client can write a forwarding header. `client_address=[...]` names
the proxies by address or network. The header is then read from the right, and the first address that is none of theirs
is the client. Where their addresses are not known, `hops` counts them; nobody else may be able to connect then.

Run: python examples/09_behind_a_proxy.py

Expect:
    log: x-forwarded-for came from '10.0.0.7', which is no trusted proxy
    not declared  10.0.0.7
    declared      203.0.113.9
    written by the client itself, declared  203.0.113.9
    one hop       203.0.113.9
    for the application as well  203.0.113.9 https
    a rate limit of one: ann 200 429, bob 200
"""

import asyncio
import logging

from asgi_guard import ClientAddress, Guard, RequestAllowed
from asgi_guard.testing import call, capture_events

log = logging.getLogger("asgi_guard")
log.propagate = False
log.addHandler(said := logging.StreamHandler())
said.emit = lambda record: print("log:", record.getMessage().partition(", so")[0])


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{scope['client'][0]} {scope['scheme']}".encode()})


def through_the_proxy(app, address):
    headers = {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}
    return call(app, headers=headers, client=("10.0.0.7", 4711))


async def seen(name, trust, address="203.0.113.9"):
    await through_the_proxy(Guard(hello, client_address=trust, listeners=[events := capture_events()]), address)
    print(name, events.of(RequestAllowed)[0].client, sep="  ")


async def main():
    await seen("not declared", True)
    await seen("declared    ", ["10.0.0.0/8"])
    await seen("written by the client itself, declared", ["10.0.0.0/8"], "1.2.3.4, 203.0.113.9")
    await seen("one hop     ", ClientAddress(hops=1))

    told = Guard(hello, client_address=ClientAddress(trusted=["10.0.0.7"], rewrite_scope=True))
    print("for the application as well ", (await through_the_proxy(told, "203.0.113.9")).body.decode())

    app = Guard(hello, client_address=["10.0.0.7"], rate_limit="1/minute")
    ann, again, bob = [(await through_the_proxy(app, f"203.0.113.{last}")).status for last in (1, 1, 2)]
    print(f"a rate limit of one: ann {ann} {again}, bob {bob}")


asyncio.run(main())
