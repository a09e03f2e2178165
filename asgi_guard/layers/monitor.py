"""Monitor: has somebody look at what is counted, for the summary, the alerts and the dashboard.

The layer itself decides nothing and changes nothing: with the first lifespan, or the first request, it starts the
thread that looks. Must never do work in a request, nor keep one waiting for what only the thread needs.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from itertools import count
from threading import Thread
from typing import TYPE_CHECKING, Any, ClassVar, Final

from asgi_guard.engine.fuse import restructuring
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.life import running_loop
from asgi_guard.watch.settings import Monitor, MonitorFields

if TYPE_CHECKING:
    from asgi_guard.engine.exchange import Exchange
    from asgi_guard.watch.watcher import Watcher

__all__ = ["Monitor", "MonitorFields", "MonitorLayer"]

_turns: Final = count()
_logger: Final = logging.getLogger("asgi_guard.monitor")


class MonitorLayer(Layer):
    """Starts the watcher of the aggregate that the stack counts in; without telemetry there is nothing to watch.

    Args:
        settings: what is worth an alert, and who is told. Of several guards that count together those that are not
            the defaults win.

    Attributes:
        turn: how late it asked for the aggregate to be watched: of several that did, the latest is heard.
        watcher: who watches, as soon as somebody does.
        has_lifespan: whether a lifespan has started it, which will end it.
    """

    name: ClassVar[str] = "monitor"
    decides: ClassVar[bool] = False

    def __init__(self, settings: Monitor) -> None:
        self.settings: object = settings
        self.turn: int = 0
        self.watcher: Watcher | None = None
        self._beginning_in = 0
        self.has_lifespan: bool = False
        self._goes_on = False

    def count_in(self, aggregate: Any) -> None:
        """Have this aggregate watched."""
        self.counts_in = aggregate
        self.turn = next(_turns)
        aggregate.watched_for.add(self)
        _settle(aggregate)
        if self._goes_on:
            self._goes_on = False
            self._begin_aside()

    def take_over(self, previous: Layer) -> None:
        """Watch in the place of another, from now on also where no request comes."""
        if not isinstance(previous, MonitorLayer):
            return
        self._goes_on = previous.watcher is not None and previous.watcher.is_running
        self.has_lifespan = previous.has_lifespan
        if previous.counts_in is not None:
            previous.counts_in.watched_for.discard(previous)
        if previous.watcher is not None and self.has_lifespan:
            previous.watcher.users.add(self)
            previous.watcher.users.discard(previous)

    def refusals(self) -> Iterable[str]:
        """Say where there is nothing to watch."""
        return () if self.counts_in is not None else ("does nothing: without telemetry nothing is counted",)

    def leave(self) -> None:
        """Watch no more; the watcher ends unless others need it."""
        if self.counts_in is None:
            return
        self.counts_in.watched_for.discard(self)
        _settle(self.counts_in)
        if self.watcher is not None:
            self.watcher.heard_by.discard(self)
            is_needed = self.counts_in.to_watch is not None
            if not is_needed:  # in a thread, since it waits for what tells alerts
                Thread(target=self.watcher.end, args=(self,), name="asgi_guard.watch.end", daemon=True).start()
            self.watcher.users.discard(self)

    def admit(self, exchange: Exchange) -> None:  # noqa: ARG002
        """Start the watcher where no lifespan has, or where the process was forked."""
        watcher = self.watcher
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
            with restructuring:  # another guard may be made meanwhile
                _settle(self.counts_in)  # what a guard wanted that is no more is nobody's wish
            watcher = watch(self.counts_in)
            watcher.heard_by.add(self)
            watcher.begin(loop, self if self.has_lifespan else None)
        except Exception:
            _logger.exception("the monitor could not begin: there is no summary, and there are no alerts")
            return
        self.watcher = watcher
        self._beginning_in = 0

    async def start(self) -> None:
        """Start the watcher."""
        from anyio import to_thread

        if self.counts_in is not None:
            self.has_lifespan = True
            await to_thread.run_sync(self._begin, running_loop())

    async def shutdown(self) -> None:
        """Stop it, unless another guard needs it, and let what tells alerts tell them."""
        from anyio import to_thread

        watcher = self.watcher or getattr(self.counts_in, "watcher", None)  # a request may just begin it
        self.has_lifespan = False
        if watcher is not None:
            await to_thread.run_sync(watcher.end, self)


def _settle(aggregate: Any) -> None:
    """Watch an aggregate as the newest of those wants it who have said how; else as anybody does."""
    layers = sorted(aggregate.watched_for, key=lambda layer: layer.turn)
    said = [layer.settings for layer in layers if layer.settings != Monitor()] or [layer.settings for layer in layers]
    aggregate.to_watch = said[-1] if said else None
