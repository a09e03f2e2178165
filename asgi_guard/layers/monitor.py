"""Monitor: has somebody look at what is counted, for the summary, the alerts and the dashboard.

The layer itself decides nothing and changes nothing: with the first lifespan, or the first request, it starts the
thread that looks. Must never do work in a request, nor keep one waiting for what only the thread needs.
"""

from __future__ import annotations

import logging
import os
from threading import Thread
from typing import TYPE_CHECKING, Any, ClassVar, Final

from asgi_guard.engine.layer import Layer
from asgi_guard.engine.life import running_loop
from asgi_guard.watch.settings import Monitor, MonitorFields

if TYPE_CHECKING:
    from asgi_guard.engine.exchange import Exchange
    from asgi_guard.watch.watcher import Watcher

__all__ = ["Monitor", "MonitorFields", "MonitorLayer"]

_logger: Final = logging.getLogger("asgi_guard.monitor")


class MonitorLayer(Layer):
    """Starts the watcher of the aggregate that the stack counts in; without telemetry there is nothing to watch.

    Args:
        settings: what is worth an alert, and who is told. Of several guards that count together those that are not
            the defaults win.
    """

    name: ClassVar[str] = "monitor"
    decides: ClassVar[bool] = False

    def __init__(self, settings: Monitor) -> None:
        self.settings: object = settings
        self._watcher: Watcher | None = None
        self._beginning_in = 0

    def count_in(self, aggregate: Any) -> None:
        """Have this aggregate watched."""
        self.counts_in = aggregate
        if aggregate.to_watch is None or self.settings != Monitor():
            aggregate.to_watch = self.settings

    def admit(self, exchange: Exchange) -> None:  # noqa: ARG002
        """Start the watcher where no lifespan has, or where the process was forked."""
        watcher = self._watcher
        if watcher is None or not watcher.is_running:
            self._begin_aside()

    def _begin_aside(self) -> None:
        """Start it in a thread, which has to import what it needs, unless another request has just done so."""
        if self.counts_in is None or self._beginning_in == os.getpid():
            return
        self._beginning_in = os.getpid()
        thread = Thread(target=self._begin, args=(running_loop(),), name="asgi_guard.watch.begin", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the process ends, or has too many
            self._beginning_in = 0

    def _begin(self, loop: object) -> None:
        """Begin, or leave it for good: without somebody who looks, requests are served all the same."""
        from asgi_guard.watch.watcher import watch

        self._beginning_in = os.getpid()
        try:
            watcher = watch(self.counts_in)
            watcher.heard_by.add(self)
            watcher.begin(loop)
        except Exception:
            _logger.exception("the monitor could not begin: there is no summary, and there are no alerts")
            return
        self._watcher = watcher
        self._beginning_in = 0

    async def start(self) -> None:
        """Start the watcher."""
        from anyio import to_thread

        if self.counts_in is not None:
            await to_thread.run_sync(self._begin, running_loop())

    async def shutdown(self) -> None:
        """Stop it, and let what tells alerts tell them."""
        from anyio import to_thread

        if self._watcher is not None:
            await to_thread.run_sync(self._watcher.end)
