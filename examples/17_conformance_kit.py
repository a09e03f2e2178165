"""Does a middleware keep the rules of ASGI? Three lines ask, on anybody's: here on one as tutorials have it.

`check_middleware` asks in process, with a server that forgives nothing: what works there works on every server. What a
middleware means to do, where ASGI leaves it the choice, is said by `Expectations`; without a word either is right.
`asgi_guard.testing.sockets.check_served("my_package:MyMiddleware", "hypercorn-trio")` asks on a real server, and tells
the server's own faults from those of the middleware.

Run: python examples/17_conformance_kit.py

Expect:
    AddsAHeader: 6 of 60 rules are broken
      103 an unknown scope type passes untouched
      301 constant messages stay as they are
      305 a start may come without headers
      306 header containers of any kind pass
      307 what it adds is lower case and safe
      314 headers of the application arrive once
    Guard: 0 of 65 rules are broken
"""

import asyncio
import logging
from functools import partial

from asgi_guard import Guard
from asgi_guard.testing import Expectations, check_middleware

logging.getLogger("asgi_guard").addHandler(logging.NullHandler())  # it tells of each error that it is asked to answer


class AddsAHeader:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def send_with_header(message):
            if message["type"] == "http.response.start":
                message["headers"].append((b"X-Frame-Options", b"DENY"))
            await send(message)

        await self.app(scope, receive, send_with_header)


def show(name, report):
    asked = [finding for finding in report.findings if finding.passed is not None]
    print(f"{name}: {len(report.failures)} of {len(asked)} rules are broken")
    for finding in report.failures:
        print(f"  {finding.rule.number} {finding.rule.name}")


async def main():
    report = await check_middleware(AddsAHeader)
    show("AddsAHeader", report)  # in a test: report.raise_for_failures()

    guard = partial(Guard, rate_limit="1000000/second")
    meant = Expectations(answers_errors=True, refusing=partial(Guard, rate_limit="1/hour"), refuses_after=1)
    show("Guard", await check_middleware(guard, meant))


asyncio.run(main())
