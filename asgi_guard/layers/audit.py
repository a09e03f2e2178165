"""Audit: writes down what every part of the guard refuses, finds and answers, and what the application reports.

It stands outside of all that refuses, decides nothing, and changes nothing. Alerts, circuits, recoveries and bans are
written down as well, though they belong to no request.
Must never write what was let pass, nor wait for a disk in a request unless its settings say so.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, ClassVar, Unpack

from asgi_guard.audit.log import AuditLog, Served, served_var
from asgi_guard.audit.of_events import entry_of
from asgi_guard.audit.settings import Audit, AuditFields
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.types import ASGIApp
from asgi_guard.events import Event, Listener, hear
from asgi_guard.settings import build

if TYPE_CHECKING:
    from asgi_guard.engine.exchange import Exchange

__all__ = ["Audit", "AuditFields", "AuditLayer", "AuditMiddleware"]


class AuditLayer(Layer):
    """Writes to an audit log.

    Args:
        settings: of the log, whose file is opened with the lifespan, or by the thread that writes.

    Attributes:
        log: for what the application has to say outside of requests.
    """

    name: ClassVar[str] = "audit"
    decides: ClassVar[bool] = False

    def __init__(self, settings: Audit) -> None:
        self.settings: object = settings
        self._settings = settings
        self.log: AuditLog = AuditLog(settings, opens=False)
        self._is_open = False
        self._begins_itself = True
        self._end: Callable[[], object] = bool
        self._parts: Callable[[], Mapping[str, str]] = dict
        self.hears: Listener | None = _weakly(self)

    def take_over(self, previous: Layer) -> None:
        """Go on where the service runs: with the log, where its settings are the same, else the other one is ended."""
        if not isinstance(previous, AuditLayer):
            return
        if previous._is_open:  # noqa: SLF001
            self._open()
        if previous._settings == self._settings:  # noqa: SLF001
            previous._hear_no_more()  # noqa: SLF001
            self.log = previous.log
        else:
            previous.leave()

    def leave(self) -> None:
        """Say that nothing more is written down, which whoever reads the log has to know, and close the file.

        Nobody waits for it: a thread writes what waits, and what requests on their way still have to say.
        """
        if self._is_open or self.log.is_running:
            self.log.record("sys_monitor_disabled", "success", reason="reconfigured")
        self._hear_no_more()
        self.log.retire()

    def _open(self) -> None:
        """Hear of what belongs to no request."""
        self._end()
        if self.hears is not None:
            self._end = hear(self.hears)
            weakref.finalize(self, self._end)  # who forgets a guard that saw no end of a lifespan
        self._is_open, self._begins_itself = True, False

    def _hear_no_more(self) -> None:
        self._end()
        self._end, self._is_open, self._begins_itself = bool, False, False

    def _begin(self) -> None:
        """Begin with the first request: there is no lifespan, or it was turned on while the service runs."""
        self._open()
        self.log.record("sys_monitor_enabled", "success", reason="the first request")
        self._tell_settings()

    def stands_among(self, parts: Callable[[], Mapping[str, str]]) -> None:
        """Know the settings of the guard that this is a part of; write them, where the service runs already."""
        self._parts = parts
        if self._is_open:
            self._tell_settings()

    async def start(self) -> None:
        """Open the file, and say that the service starts, and how.

        Raises:
            ConfigError: the file cannot be used.
        """
        from anyio import to_thread

        await to_thread.run_sync(self.log.open)
        self._open()
        self.log.record("sys_startup", "success")
        self._tell_settings()

    async def shutdown(self) -> None:
        """Say that the service stops, and write what waits."""
        from anyio import to_thread

        if not (self._is_open or self.log.is_running):  # it could not start
            return
        self._hear_no_more()
        self.log.record("sys_shutdown", "success")
        await to_thread.run_sync(self.log.close)

    def _tell_settings(self) -> None:
        if self._settings.tells_settings:
            for part, settings in self._parts().items():
                self.log.record("guard_settings", "success", part=part, settings=settings)

    def admit(self, exchange: Exchange) -> None:
        """Let the application find the log by `report`."""
        if self._begins_itself:
            self._begin()
        path: str = exchange.scope.get("path", "")
        exchange.cells[self] = served_var.set(Served(self.log, exchange.client, exchange.method, path))

    def finish(self, exchange: Exchange) -> None:
        """Let nothing that comes next on the same task report in the name of this request."""
        token = exchange.cells.get(self)
        if token is not None:
            with suppress(ValueError):  # the call ends in another context than it began in
                served_var.reset(token)


def _weakly(layer: AuditLayer) -> Listener:
    """Return what hears for a layer, and keeps no guard alive that everybody else has forgotten."""
    known = weakref.ref(layer)

    def listen(event: Event) -> None:
        found = known()
        entry = entry_of(event, time()) if found is not None else None
        if found is not None and entry is not None:
            found.log.put(entry)

    return listen


class AuditMiddleware(Middleware):
    """Write an audit log of what the middlewares that it is fused with refuse.

    Args:
        app: the application to wrap.
        settings: an `Audit`; or its fields as keywords.
        listeners: told what the layer decides, which is nothing.
        fields: see `Audit`.

    Raises:
        ConfigError: a field is wrong or unknown.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Audit | None = None,
        *,
        listeners: Iterable[Listener] = (),
        **fields: Unpack[AuditFields],
    ) -> None:
        super().__init__(app, AuditLayer(build(Audit, settings, fields)), listeners=listeners)
