"""Exposition: all that was counted, as the text that a Prometheus asks for, put together off the event loop.

Must never be asked twice at once for the same thing: who comes while it is put together gets the same text.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from asgi_guard.monitor.process import aggregate_of_process

if TYPE_CHECKING:
    from asgi_guard.monitor.cells import Aggregate


def exposition_of(aggregate: Aggregate) -> Callable[[bytes], Awaitable[tuple[bytes, bytes]]]:
    """Return what gives the media type and the text of all metrics of an aggregate, and of its process.

    What it returns is called with the value of an `Accept` header.
    """
    lock: Any = None

    async def expose(accept: bytes) -> tuple[bytes, bytes]:
        nonlocal lock
        from anyio import Lock, to_thread  # now, not where a guard is built

        from asgi_guard.telemetry.prometheus import content_type

        media_type, is_openmetrics = content_type(accept)
        lock = lock or Lock()
        async with lock:  # a thread for each scrape of many at once would be many threads
            return media_type, await to_thread.run_sync(_text, aggregate, is_openmetrics)

    return expose


def _text(aggregate: Aggregate, is_openmetrics: bool) -> bytes:
    from asgi_guard.telemetry.prometheus import render

    snapshot = aggregate.merged(with_exponential=False)
    common = aggregate_of_process()
    if common is not aggregate:  # breakers and stores belong to no guard
        snapshot = snapshot.merged(common.merged(with_exponential=False))
    return render(snapshot, openmetrics=is_openmetrics)
