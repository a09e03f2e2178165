"""Retry: try again what failed for a moment, and know when that would do harm.

`max_retries` are the attempts besides the first. By default it retries what the network does, and errors that say that
they are `retryable`; it waits with full jitter, or for as long as the other side asks. It never retries a cancellation
or an open circuit, and with `idempotent=False` only what was provably not sent. Retries are a tenth of all calls at
most, so that they cannot become the outage. In the end comes the very exception that was raised last, with a note.
`@retry_on_failure` without parentheses does so by default.

Run: python examples/18_retry.py

Expect:
    the third attempt: 42
    the last exception: the connection was lost
    its note: asgi_guard: 3 attempts
    as a block: 42 after 3 attempts
    what was asked for: waited 0.01 s
    paid once: 1 attempt, then may_have_been_sent
    in an outage: 1000 calls, 110 retries
"""

import asyncio
from contextlib import suppress

from asgi_guard import GuardError
from asgi_guard.resilience import RetryScheduled, retry_on_failure


class BusyError(GuardError):
    retryable = True


class Flaky:
    """A function that fails so many times."""

    def __init__(self, failures, error=None):
        self.failures = failures
        self.error = error or ConnectionError("the connection was lost")

    async def __call__(self):
        self.failures -= 1
        if self.failures >= 0:
            raise self.error
        return 42


async def main():
    print("the third attempt:", await retry_on_failure(max_retries=3, base=0.001)(Flaky(2))())

    fetch = retry_on_failure(max_retries=2, base=0)(Flaky(9))
    try:
        await fetch()
    except ConnectionError as error:
        print("the last exception:", error)
        print("its note:", error.__notes__[0].partition(" in ")[0])

    flaky = Flaky(2)
    async for attempt in retry_on_failure(max_retries=3, base=0.001):
        with attempt:
            answer = await flaky()
    print(f"as a block: {answer} after {attempt.number} attempts")

    told = []
    await retry_on_failure(listeners=[told.append]).call(Flaky(1, BusyError(retry_after=0.01)))
    print(*[f"what was asked for: waited {event.delay_seconds} s" for event in told if type(event) is RetryScheduled])

    try:  # the payment may have been made before the connection was lost
        await retry_on_failure(idempotent=False).call(Flaky(1))
    except ConnectionError as error:
        print("paid once:", error.__notes__[0].removeprefix("asgi_guard: "))

    outage = retry_on_failure(max_retries=3, base=0)
    for _ in range(1_000):
        with suppress(ConnectionError):
            await outage.call(Flaky(9))
    print(f"in an outage: 1000 calls, {outage.retries} retries")


asyncio.run(main())
