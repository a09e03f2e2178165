"""Metrics of your own: counters, gauges and timings, beside all that the guard counts.

They stand where everything is counted: merged over workers, in `/metrics`, in OTLP, in the summary, on the dashboard,
and an `Alert` may watch each by its name. A timing is measured around a block, sync or async, or around a function.

Common mistakes:
    a path or an id as an attribute     each value is a series of its own: say "/orders/{id}", count the rest together
    a name for each customer            there are at most 200 metrics; make it an attribute, if they are few

Run: python examples/29_metrics_of_your_own.py

Expect:
    database_query_seconds_count{table="orders"} 1
    database_query_seconds_count{table="orders",error_type="TimeoutError"} 1
    orders_total{shop="a"} 3
    queue_length 17
    price: 2 calls
"""

import asyncio

from asgi_guard import Endpoints, Guard, PerformanceTracker, performance_monitor
from asgi_guard.testing import call


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@PerformanceTracker(performance_monitor, "price")
def price(quantity):
    return 3 * quantity


async def query(fails=False):
    async with PerformanceTracker(performance_monitor, "database_query", {"table": "orders"}):
        await asyncio.sleep(0.001)
        if fails:
            raise TimeoutError


async def main():
    guard = Guard(app, endpoints=Endpoints(token="for-the-sake-of-the-example"))
    performance_monitor.increment("orders", 3, {"shop": "a"})
    performance_monitor.set_gauge("queue.length", 17)
    price(1)
    price(2)
    await query()
    await asyncio.gather(query(fails=True), return_exceptions=True)

    answer = await call(guard, "GET", "/metrics", headers={"Authorization": "Bearer for-the-sake-of-the-example"})
    for line in answer.body.decode().splitlines():
        if line.startswith(("orders_total", "queue_length", "database_query_seconds_count")):
            print(line)
    print(f"price: {len(performance_monitor.measurements('price'))} calls")


asyncio.run(main())
