"""Audit: writes down what every part of the guard refuses, finds and answers, and what the application reports.

It stands outside of all that refuses, decides nothing, and changes nothing. Alerts, circuits, recoveries and bans are
written down as well, though they belong to no request.
Must never write what was let pass, nor wait for a disk in a request unless its settings say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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
        self._end: Callable[[], object] = bool
        self._parts: Callable[[], Mapping[str, str]] = dict
        self.hears: Listener | None = self._hear

    def take_over(self, previous: Layer) -> None:
        """Go on where the service runs: with the log, where its settings are the same, else the other one is ended."""
        if not isinstance(previous, AuditLayer) or not previous._is_open:  # noqa: SLF001
            return
        previous._end()  # noqa: SLF001
        self._is_open, previous._is_open = True, False  # noqa: SLF001
        self._end = hear(self.hears or self._hear)
        if previous._settings == self._settings:  # noqa: SLF001
            self.log = previous.log
        else:
            previous.log.record("sys_monitor_disabled", "success", reason="reconfigured")
            previous.log.close(0)  # its thread writes what waits, and ends

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
        self._is_open = True
        self._end()
        self._end = hear(self.hears or self._hear)
        self.log.record("sys_startup", "success")
        self._tell_settings()

    async def shutdown(self) -> None:
        """Say that the service stops, and write what waits."""
        from anyio import to_thread

        if not self._is_open:  # it could not start
            return
        self._end()
        self.log.record("sys_shutdown", "success")
        await to_thread.run_sync(self.log.close)
        self._is_open = False

    def _tell_settings(self) -> None:
        if self._settings.tells_settings:
            for part, settings in self._parts().items():
                self.log.record("guard_settings", "success", part=part, settings=settings)

    def admit(self, exchange: Exchange) -> None:
        """Let the application find the log by `report`."""
        path: str = exchange.scope.get("path", "")
        served_var.set(Served(self.log, exchange.client, exchange.method, path))

    def _hear(self, event: Event) -> None:
        entry = entry_of(event, time())
        if entry is not None:
            self.log.put(entry)


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
