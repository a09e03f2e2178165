"""Starlette: wrap the application, or add the guard as a middleware of its own.

`Guard(app)` stands outside of everything and sees every response; this is what we recommend. What `add_middleware` adds
stands inside Starlette's own error middleware. Either way the guard answers for an exception without a handler:
Starlette sends a plain 500 and then raises what it was for, so the guard keeps that 500 back until it knows. They
differ where the application has `debug` on or a handler for `Exception` or 500, whose answer is the author's:

* wrapped, it passes the guard, and gets its headers;
* added, the guard steps back, and what Starlette answers never passes it.

Run: pip install starlette; python examples/03_starlette.py

Expect:
    wrapped                 500 application/json, with an id
    added                   500 application/json, with an id
    wrapped, with debug on  500 text/plain, with an id
    added, with debug on    500 text/plain, without an id
"""

import asyncio
import logging

from starlette.applications import Starlette
from starlette.routing import Route

from asgi_guard import Guard
from asgi_guard.testing import Response, StrictServer, http_scope

logging.getLogger("asgi_guard").addHandler(logging.NullHandler())


async def boom(request):
    raise ConnectionError("cannot reach postgres://shop:hunter2@10.0.0.7")


def make(*, debug=False):
    return Starlette(routes=[Route("/boom", boom)], debug=debug)


added, debugged = make(), make(debug=True)
added.add_middleware(Guard, rate_limit="100/minute")
debugged.add_middleware(Guard)


async def ask(name, app):
    server = StrictServer(http_scope("GET", "/boom"))
    await server.serve(app)  # not `call`, which would raise what Starlette raises once it has answered
    answer = Response.of(server.sent)
    kind = answer.headers.get("Content-Type").partition(";")[0]
    print(f"{name:23} {answer.status} {kind}, {'with' if answer.headers.get('X-Request-ID') else 'without'} an id")


async def main():
    await ask("wrapped", Guard(make(), rate_limit="100/minute"))
    await ask("added", added)
    await ask("wrapped, with debug on", Guard(make(debug=True)))
    await ask("added, with debug on", debugged)


asyncio.run(main())
