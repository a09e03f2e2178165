"""Circuit breaker: leave a dependency alone that fails, and find out by one call when it is back.

After `failure_threshold` failures in a row, or at a rate of them in a window, calls are refused at once with an error
of status 503 that says when to come back. After `recovery_timeout` seconds the recovery actions run, and then exactly
`half_open_max` probes are let through, however many callers there are. A cancelled call says nothing. All who give the
same name share the circuit; `reset_circuit_breakers()` closes all of these, as between two tests. `resilient` puts
retry, breaker, timeout and bulkhead around a call in the right order.

Run: python examples/19_circuit_breaker.py

Expect:
    five failures, and it is open
    refused at once: CIRCUIT_OPEN 503, come back in 60 s
    of 1000 callers: 1 let through, after: reconnect
    and it is closed
    a fallback: yesterday's rates
    by hand: forced_open, then closed
    each attempt counts: 3 calls, then CircuitOpenError
"""

import asyncio
import logging

from asgi_guard.resilience import (
    CircuitOpenError,
    Recovery,
    circuit_breaker,
    reset_circuit_breakers,
    resilient,
    retry_on_failure,
)
from asgi_guard.testing import ManualClock

logging.getLogger("asgi_guard").addHandler(logging.NullHandler())
clock = ManualClock()  # yours is the machine's


class Service:
    def __init__(self):
        self.is_up = False
        self.done = []

    async def fetch(self):
        await asyncio.sleep(0)
        if not self.is_up:
            raise ConnectionError
        return "rates"

    async def reconnect(self):
        self.done.append("reconnect")


async def main():
    service = Service()
    recovery = Recovery("external_service", reconnect=service.reconnect)
    rates = circuit_breaker(failure_threshold=5, recovery_timeout=60.0, name="rates", recovery=recovery, clock=clock)
    fetch = rates(service.fetch)

    await asyncio.gather(*[fetch() for _ in range(5)], return_exceptions=True)
    print("five failures, and it is", rates.state)
    try:
        await fetch()
    except CircuitOpenError as error:
        print(f"refused at once: {error.error_code} {error.status}, come back in {error.retry_after:.0f} s")

    clock.advance(60)
    service.is_up = True
    answers = await asyncio.gather(*[fetch() for _ in range(1_000)], return_exceptions=True)
    print(f"of 1000 callers: {answers.count('rates')} let through, after: {', '.join(service.done)}")
    print("and it is", circuit_breaker(name="rates").state)

    with_fallback = circuit_breaker(fallback=lambda: "yesterday's rates")
    with_fallback.force_open()
    print("a fallback:", await with_fallback(service.fetch)())

    rates.force_open()
    forced = rates.state
    reset_circuit_breakers()
    print(f"by hand: {forced}, then {rates.state}")

    service.is_up = False
    breaker = circuit_breaker(failure_threshold=3)
    guarded = resilient(retry=retry_on_failure(9, base=0), breaker=breaker, timeout=2.0, bulkhead=20)(service.fetch)
    try:
        await guarded()
    except CircuitOpenError as error:
        print(f"each attempt counts: {breaker.calls.failure} calls, then {type(error).__name__}")


asyncio.run(main())
