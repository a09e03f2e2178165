"""The monitor: the last hour as numbers, and somebody who is told when something goes wrong.

One thread looks at what was counted, every few seconds. It keeps the last hour, judges alerts, and has the summary
ready that the dashboard at `/performance` shows. An alert fires within five seconds; it needs enough requests to be
sure, and it is over when all is well again for good. Listeners hear of it, the log has it, `/health` warns of it, and
`sinks=[Webhook(url, secret=...)]` sends it away.

Common mistakes:
    an alert for each error          one request alone is none: above=5 is a percentage of at least ten requests
    a browser without a token        endpoints="local" for your own machine, allowed=[...] for your office, or
                                     Endpoints(token=..., challenge=True), which asks for it

Run: python examples/28_monitor.py

Expect:
    AlertFired errors critical
    /health warn
    GET /orders/{id} had errors: True
    /performance 200 text/html; charset=utf-8
"""

import asyncio
import logging

from asgi_guard import Alert, Endpoints, Guard, Monitor
from asgi_guard.testing import call, lifespan

logging.getLogger("asgi_guard").addHandler(logging.NullHandler())
TOKEN = {"Authorization": "Bearer for-the-sake-of-the-example"}
told = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})
        return
    scope["asgi_guard.route"] = "/orders/{id}"  # frameworks say it themselves
    await send({"type": "http.response.start", "status": 500, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def tell(event):
    if type(event).__name__ in {"AlertFired", "AlertCleared"}:
        told.append(event)


async def main():
    alerts = [Alert("errors", "error_rate", above=5, severity="critical")]
    guard = Guard(
        app,
        endpoints=Endpoints(token="for-the-sake-of-the-example"),
        monitor=Monitor(alerts=alerts, period_seconds=1),
        listeners=[tell],
    )
    async with lifespan(guard):
        while not told:
            await call(guard, "GET", "/orders/7")
            await asyncio.sleep(0.03)
        print(type(told[0]).__name__, told[0].name, told[0].severity)
        print("/health", (await call(guard, "GET", "/health", headers=TOKEN)).json()["status"])
        await asyncio.sleep(1.1)
        summary = (await call(guard, "GET", "/performance/summary", headers=TOKEN)).json()
        for route in summary["windows"]["1m"]["routes"]:
            print(route["method"], route["route"], "had errors:", route["errors"] > 0)
        page = await call(guard, "GET", "/performance", headers=TOKEN)
        print("/performance", page.status, page.headers.get("content-type"))


asyncio.run(main())
