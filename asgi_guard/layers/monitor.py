"""Monitor: has somebody look at what is counted, for the summary, the alerts and the dashboard.

The layer itself decides nothing and changes nothing: with the first lifespan, or the first request, it starts the
thread that looks. Must never do work in a request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from asgi_guard.engine.layer import Layer
from asgi_guard.watch.settings import Monitor, MonitorFields

if TYPE_CHECKING:
    from asgi_guard.engine.exchange import Exchange
    from asgi_guard.watch.watcher import Watcher

__all__ = ["Monitor", "MonitorFields", "MonitorLayer"]


class MonitorLayer(Layer):
    """Starts the watcher of the aggregate that the stack counts in; without telemetry there is nothing to watch.

    Args:
        settings: what is worth an alert, and who is told.
    """

    name: ClassVar[str] = "monitor"
    decides: ClassVar[bool] = False

    def __init__(self, settings: Monitor) -> None:
        self.settings: object = settings
        self._settings = settings
        self._watcher: Watcher | None = None

    def admit(self, exchange: Exchange) -> None:  # noqa: ARG002
        """Start the watcher where no lifespan has, or where the process was forked."""
        if self._watcher is None or not self._watcher.is_running:
            self._begin()

    async def start(self) -> None:
        """Start the watcher."""
        self._begin()

    async def shutdown(self) -> None:
        """Stop it, and let what tells alerts tell them."""
        from anyio import to_thread

        if self._watcher is not None:
            await to_thread.run_sync(self._watcher.end)

    def _begin(self) -> None:
        if self.counts_in is None:
            return
        if self._watcher is None:
            from asgi_guard.watch.watcher import watch  # now, not where a guard is built

            self._watcher = watch(self.counts_in, self._settings)
            self._watcher.heard_by.add(self)
        self._watcher.begin()
