"""Audit: writes down what every part of the guard refuses, finds and answers, and what the application reports.

It stands outside of all that refuses, decides nothing, and changes nothing. Alerts, circuits, recoveries and bans are
written down as well, though they belong to no request.
Must never write what was let pass, nor wait for a disk in a request unless its settings say so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from time import time
from typing import TYPE_CHECKING, ClassVar, Final, Unpack

from asgi_guard.audit.settings import Audit, AuditFields
from asgi_guard.engine.fuse import Middleware
from asgi_guard.engine.layer import Layer
from asgi_guard.engine.types import ASGIApp
from asgi_guard.errors.exceptions import ConfigError, MissingExtraError
from asgi_guard.events import Event, Listener, hear
from asgi_guard.settings import build

if TYPE_CHECKING:
    from asgi_guard.audit.log import AuditLog
    from asgi_guard.engine.exchange import Exchange

_logger: Final = logging.getLogger("asgi_guard.audit")

__all__ = ["Audit", "AuditFields", "AuditLayer", "AuditMiddleware"]


class AuditLayer(Layer):
    """Writes to an audit log.

    Args:
        settings: of the log, which is opened with the first lifespan, or the first request.
    """

    name: ClassVar[str] = "audit"
    decides: ClassVar[bool] = False

    def __init__(self, settings: Audit) -> None:
        self.settings: object = settings
        self._settings = settings
        self._made: AuditLog | None = None
        self._cannot = False
        self._end: Callable[[], object] = bool
        self._parts: Callable[[], Mapping[str, str]] = dict
        self.hears: Listener | None = self._hear

    @property
    def log(self) -> AuditLog:
        """The log, for what the application has to say outside of requests.

        Raises:
            ConfigError: its file cannot be used.
            MissingExtraError: a sink is not installed.
        """
        if self._made is None:
            from asgi_guard.audit.log import AuditLog

            self._made = AuditLog(self._settings)
        return self._made

    def take_over(self, previous: Layer) -> None:
        """Go on with the log, where its settings are the same; what hears for it is told no more."""
        if isinstance(previous, AuditLayer):
            previous._end()  # noqa: SLF001
            if previous._settings == self._settings and previous._made is not None:  # noqa: SLF001
                self._made = previous._made  # noqa: SLF001
                self._end = hear(self.hears or self._hear)

    def stands_among(self, parts: Callable[[], Mapping[str, str]]) -> None:
        """Know the settings of the guard that this is a part of; write them, where the log is open already."""
        self._parts = parts
        if self._made is not None:
            self._tell_settings()

    async def start(self) -> None:
        """Open the log, which reads files, and say that the service starts, and how."""
        from anyio import to_thread

        await to_thread.run_sync(lambda: self.log)
        self._end()
        self._end = hear(self.hears or self._hear)
        self.log.record("sys_startup", "success")
        self._tell_settings()

    async def shutdown(self) -> None:
        """Say that the service stops, and write what waits."""
        from anyio import to_thread

        self._end()
        self.log.record("sys_shutdown", "success")
        await to_thread.run_sync(self.log.close)

    def _tell_settings(self) -> None:
        if self._settings.tells_settings:
            for part, settings in self._parts().items():
                self.log.record("guard_settings", "success", part=part, settings=settings)

    def admit(self, exchange: Exchange) -> None:
        """Let the application find the log by `report`."""
        from asgi_guard.audit.log import Served, served_var

        log = self._opened()
        if log is not None:
            path: str = exchange.scope.get("path", "")
            served_var.set(Served(log, exchange.client, exchange.method, path))

    def _opened(self) -> AuditLog | None:
        """Return the log; where no lifespan has opened it and it cannot be, say so once, and serve."""
        if self._made is None and not self._cannot:
            try:
                return self.log
            except (ConfigError, MissingExtraError, OSError):
                self._cannot = True
                _logger.exception("There is no audit log: it cannot be opened.")
        return self._made

    def _hear(self, event: Event) -> None:
        from asgi_guard.audit.of_events import entry_of

        entry = entry_of(event, time())
        log = None if entry is None else self._opened()
        if log is not None and entry is not None:
            log.put(entry)


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
