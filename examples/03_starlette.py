"""Starlette: wrap the application, or add the guard as a middleware of its own.

`Guard(app)` stands outside of everything and sees every response; this is what we recommend. What `add_middleware` adds
stands inside Starlette's own error middleware. They differ where an exception has no handler:

* wrapped, Starlette answers first, with a plain 500, and the guard adds its headers;
* added, the guard answers; where the application has `debug` on or a handler for `Exception` or 500 it steps back, and
  what Starlette answers then never passes the guard.

To have the guard's errors and its headers as well, wrap, and add the error envelope alone.

Run: python examples/03_starlette.py

Expect:
    wrapped                  500 text/plain, with an id
    added                    500 application/json, with an id
    added, with debug on     500 text/plain, without an id
    wrapped, envelope added  500 application/json, with an id
"""

import asyncio
import logging

from starlette.applications import Starlette
from starlette.routing import Route

from asgi_guard import ErrorEnvelopeMiddleware, Guard
from asgi_guard.testing import Response, StrictServer, http_scope

logging.getLogger("asgi_guard").addHandler(logging.NullHandler())


async def boom(request):
    raise ConnectionError("cannot reach postgres://shop:hunter2@10.0.0.7")


wrapped, added, debugged, both = [Starlette(routes=[Route("/boom", boom)], debug=on) for on in (0, 0, 1, 0)]
added.add_middleware(Guard, rate_limit="100/minute")
debugged.add_middleware(Guard)
both.add_middleware(ErrorEnvelopeMiddleware)


async def ask(name, app):
    server = StrictServer(http_scope("GET", "/boom"))
    await server.serve(app)  # not `call`, which would raise what Starlette raises once it has answered
    answer = Response.of(server.sent)
    kind = answer.headers.get("Content-Type").partition(";")[0]
    print(f"{name:24} {answer.status} {kind}, {'with' if answer.headers.get('X-Request-ID') else 'without'} an id")


async def main():
    await ask("wrapped", Guard(wrapped, rate_limit="100/minute"))
    await ask("added", added)
    await ask("added, with debug on", debugged)
    await ask("wrapped, envelope added", Guard(both))


asyncio.run(main())
