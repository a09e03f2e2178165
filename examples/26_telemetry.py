"""Telemetry: how long every request took and how it ended, by the names that OpenTelemetry gave them.

It is on by default, outside of everything, so that refusals are counted too. A request costs an addition; what is
expensive is done when somebody asks. Nothing that a client has written becomes a label: an unknown method is `_OTHER`,
and a path without a route has none. `telemetry="otlp"` sends it all to a collector, as the `OTEL_*` variables say.

Common mistakes:
    a label for each user or path             200,000 series; there are at most 2,000 here, and one for what is beyond
    one process's numbers for all workers     name a folder: Telemetry(shared_dir="/run/shop/telemetry"), or
                                              asgi-guard run --workers 4, which does

Run: pip install starlette; python examples/26_telemetry.py

Expect:
    200 GET /items/1
    200 GET /items/2
    404 GET /nothing
    405 BREW /items/1
    429 GET /items/3
    asgi_guard_answers_total error_envelope 404 1
    asgi_guard_answers_total error_envelope 405 1
    asgi_guard_answers_total rate_limit 429 1
    http_server_request_duration_seconds_count GET 404 1
    http_server_request_duration_seconds_count GET 429 1
    http_server_request_duration_seconds_count GET /items/{id} 200 2
    http_server_request_duration_seconds_count _OTHER /items/{id} 405 1
"""

import asyncio
import re

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from asgi_guard import Endpoints, Guard
from asgi_guard.testing import call

TOKEN = "for-the-sake-of-the-example"


async def item(request):
    return PlainTextResponse(request.path_params["id"])


guarded = Guard(
    Starlette(routes=[Route("/items/{id}", item)]),
    rate_limit="4/minute",
    endpoints=Endpoints(token=TOKEN),
)


async def main():
    for method, path in (
        ("GET", "/items/1"),
        ("GET", "/items/2"),
        ("GET", "/nothing"),
        ("BREW", "/items/1"),
        ("GET", "/items/3"),
    ):
        print((await call(guarded, method, path)).status, method, path)

    metrics = await call(guarded, "GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    for line in metrics.body.decode().splitlines():
        name, brace, rest = line.partition("{")
        if brace and name.endswith(("duration_seconds_count", "answers_total")) and "layer_duration" not in name:
            told = [value for value in re.findall(r'="(.*?)"', rest) if value not in {"http", "1.1"}]
            print(name, *dict.fromkeys(told), rest.rpartition(" ")[2])


asyncio.run(main())
