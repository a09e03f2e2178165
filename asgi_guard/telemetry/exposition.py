"""Exposition: all that was counted, as the text that a Prometheus asks for, put together off the event loop.

Must never take more than one thread, nor one of the application's: scrapes that come at once wait for each other.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary, WeakSet

from asgi_guard.engine.replies import Reply
from asgi_guard.monitor.process import aggregate_of_process, has_siblings

if TYPE_CHECKING:
    from anyio import CapacityLimiter
    from anyio.lowlevel import RunVar

    from asgi_guard.engine.request import Request
    from asgi_guard.monitor.cells import Aggregate

COUNTS_ALONE: Final = (
    "Several workers serve, and each counts for itself: /metrics tells of the one that is asked, and seems to go back. "
    'Telemetry(shared_dir="auto") counts for all of them, as `asgi-guard run --workers N` does. This is said once.'
)
CLOSED: Final = (
    'telemetry="prometheus": nobody may see /metrics. Name a token, Endpoints(token=...), or the networks that '
    "Prometheus asks from, Endpoints(allowed=[...])."
)
_LOOKS: Final = 8
"""At how many scrapes it is looked for other workers, which may start later."""

_HEADERS: Final = ((b"cache-control", b"no-store"), (b"vary", b"accept, accept-encoding"))
_GZIP: Final = 31  # a window of 15 bits, and 16 for gzip's own frame (RFC 1952)
_FASTEST: Final = 1

_logger: Final = logging.getLogger("asgi_guard.telemetry")
_registries: Final[WeakKeyDictionary[Aggregate, list[Any]]] = WeakKeyDictionary()
_expected: Final[WeakSet[Aggregate]] = WeakSet()
_has_looked: Final[list[bool]] = []


def expect_scrapes(aggregate: Aggregate) -> None:
    """Know that somebody means to scrape an aggregate."""
    _expected.add(aggregate)


def note_closed(aggregate: Aggregate) -> None:
    """Know that an aggregate is served, and nobody may see it; where scrapes are expected, say so once."""
    if aggregate in _expected:
        _expected.discard(aggregate)
        _logger.warning(CLOSED)


def append_registry(aggregate: Aggregate, registry: Any) -> None:
    """Let the text of an aggregate end with what a registry of prometheus_client has collected."""
    registries = _registries.setdefault(aggregate, [])
    if registry not in registries:
        registries.append(registry)


def exposition_of(aggregate: Aggregate) -> Callable[[bytes], Awaitable[tuple[bytes, bytes]]]:
    """Return what gives the media type and the text of all metrics of an aggregate, and of its process.

    What it returns is called with the value of an `Accept` header.
    """
    apart = _Apart()

    async def expose(accept: bytes) -> tuple[bytes, bytes]:
        from asgi_guard.telemetry.prometheus import content_type

        media_type, is_openmetrics = content_type(accept)
        return media_type, await apart.run(_text, aggregate, is_openmetrics)

    return expose


def exposed(exposition: Callable[[bytes], Awaitable[tuple[bytes, bytes]]]) -> Callable[[Request], Awaitable[Reply]]:
    """Make a page of an exposition, in gzip for whoever takes that (RFC 9110 section 12.5.3)."""
    apart = _Apart()

    async def page(request: Request) -> Reply:
        from asgi_guard.telemetry.prometheus import takes_gzip

        content_type, body = await exposition(b",".join(request.header_lines(b"accept")))
        headers = [*_HEADERS]
        if takes_gzip(b",".join(request.header_lines(b"accept-encoding"))):
            body = await apart.run(_zipped, body)
            headers.append((b"content-encoding", b"gzip"))
        return Reply(200, headers=headers, body=body, content_type=content_type)

    return page


class _Apart:
    """One thread, on each event loop, that is not the application's, whose own may all be waiting."""

    def __init__(self) -> None:
        self._limiters: RunVar[CapacityLimiter] | None = None

    async def run(self, function: Callable[..., bytes], *args: object) -> bytes:
        from anyio import CapacityLimiter, to_thread  # now, not where a guard is built
        from anyio.lowlevel import RunVar

        if self._limiters is None:
            self._limiters = RunVar("asgi_guard_exposition")
        limiter = self._limiters.get(None)
        if limiter is None:
            limiter = CapacityLimiter(1)
            self._limiters.set(limiter)
        return await to_thread.run_sync(function, *args, limiter=limiter)


def _text(aggregate: Aggregate, is_openmetrics: bool) -> bytes:
    from asgi_guard.telemetry.prometheus import render

    _look_for_others(aggregate)
    snapshot = aggregate.merged(with_exponential=False)
    common = aggregate_of_process()
    if common is not aggregate:  # breakers and stores belong to no guard
        snapshot = snapshot.merged(common.merged(with_exponential=False))
    text = render(snapshot, openmetrics=is_openmetrics)
    registries = _registries.get(aggregate)
    if registries:
        from asgi_guard.telemetry.registries import appended

        text = appended(text, registries, openmetrics=is_openmetrics)
    return text


def _look_for_others(aggregate: Aggregate) -> None:
    """Say where a scrape tells of one worker among several."""
    if not aggregate.is_shared and len(_has_looked) < _LOOKS and not any(_has_looked):
        _has_looked.append(has_siblings())
        if _has_looked[-1]:
            _logger.warning(COUNTS_ALONE)


def _zipped(text: bytes) -> bytes:
    packing = zlib.compressobj(_FASTEST, wbits=_GZIP)
    return packing.compress(text) + packing.flush()
