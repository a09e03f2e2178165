"""Exposition: all that was counted, as the text that a Prometheus asks for, put together off the event loop.

Must never take more than one thread, nor one of the application's: scrapes that come at once wait for each other.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from asgi_guard.monitor.process import aggregate_of_process

if TYPE_CHECKING:
    from anyio import CapacityLimiter
    from anyio.lowlevel import RunVar

    from asgi_guard.monitor.cells import Aggregate


def exposition_of(aggregate: Aggregate) -> Callable[[bytes], Awaitable[tuple[bytes, bytes]]]:
    """Return what gives the media type and the text of all metrics of an aggregate, and of its process.

    What it returns is called with the value of an `Accept` header.
    """
    limiters: RunVar[CapacityLimiter] | None = None  # of each event loop its own

    async def expose(accept: bytes) -> tuple[bytes, bytes]:
        nonlocal limiters
        from anyio import CapacityLimiter, to_thread  # now, not where a guard is built
        from anyio.lowlevel import RunVar

        from asgi_guard.telemetry.prometheus import content_type

        media_type, is_openmetrics = content_type(accept)
        if limiters is None:
            limiters = RunVar("asgi_guard_exposition")
        limiter = limiters.get(None)
        if limiter is None:  # not the application's, whose threads may all be waiting; and one scrape at a time
            limiter = CapacityLimiter(1)
            limiters.set(limiter)
        return media_type, await to_thread.run_sync(_text, aggregate, is_openmetrics, limiter=limiter)

    return expose


def _text(aggregate: Aggregate, is_openmetrics: bool) -> bytes:
    from asgi_guard.telemetry.prometheus import render

    snapshot = aggregate.merged(with_exponential=False)
    common = aggregate_of_process()
    if common is not aggregate:  # breakers and stores belong to no guard
        snapshot = snapshot.merged(common.merged(with_exponential=False))
    return render(snapshot, openmetrics=is_openmetrics)
