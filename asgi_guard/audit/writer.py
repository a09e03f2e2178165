"""Writer: the thread that seals entries and writes them, in groups, to the file and to the other sinks.

Whoever has an entry leaves it in a queue that has an end, which is all that a request pays. The thread gathers for 50
ms or until there are 100, so that a machine that fails loses no more than that and what is under way.
Rule 1: nothing goes missing in silence: what found no place is counted, and the count is an entry of its own.
Rule 2: what could not be written is written later, and nothing behind it before.
Rule 3: a child of this process begins a chain of its own; the entries that wait are the parent's.
Rule 4: an entry that cannot be written as it is harms no other: it is written as far as it goes.
"""

from __future__ import annotations

import atexit
import errno
import logging
import os
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from threading import Condition, Event, Thread
from typing import Any, Final

from asgi_guard.audit.entry import Entry, line_of
from asgi_guard.audit.otel import otel_sink
from asgi_guard.audit.redact import Redactor
from asgi_guard.audit.sealing import Sealed, Sealing, Told
from asgi_guard.audit.settings import Audit, Sink
from asgi_guard.audit.store import Store
from asgi_guard.audit.suppress import Suppressor
from asgi_guard.clock import Clock
from asgi_guard.monitor.names import AUDIT_ENTRIES
from asgi_guard.monitor.process import aggregate_of_process

GROUP: Final = 100
"""The entries that are written together."""

GATHER_SECONDS: Final = 0.05
CLOSE_SECONDS: Final = 5.0

_RETRY_SECONDS: Final = 1.0
_logger: Final = logging.getLogger("asgi_guard.audit")


class Writer:
    """Writes the entries of one process.

    Args:
        settings: where to, and how.
        clock: the time.

    Attributes:
        lost: the entries that found no place, or could not be written in time at the end.

    Raises:
        MissingExtraError: a sink is not installed.
    """

    def __init__(self, settings: Audit, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._redactor = Redactor(settings.hidden_names, settings.hidden_patterns)
        self._sinks = [_sink(sink) for sink in settings.sinks]
        self._failed: set[int] = set()
        self._store: Store | None = None
        self._is_retired = False
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        """Begin a chain, with nothing that waits."""
        self._changed = Condition()
        self._full = Event()
        self._waiting: deque[Entry] = deque()
        self._thread: Thread | None = None
        self._is_ending = False
        self._suppressor = Suppressor(self._settings.max_refusals_per_second)
        self._sealing = Sealing(self._settings, self._redactor, self._clock)
        self._group: list[Told] = []
        self._told_lost = 0
        self._counted = {"dropped": 0, "suppressed": 0}
        self._has_failed = False
        self.lost: int = 0

    def open(self) -> None:
        """Open the files now; else the thread does, with the first group.

        Raises:
            ConfigError: one cannot be used.
        """
        if self._settings.path is not None and self._store is None:
            self._store = Store(self._settings)

    def forked(self) -> None:
        """Know that this is a child of the process that wrote so far, whose lock it must not share."""
        if self._store is not None:
            self._store.close()
        self._begin()

    # Whoever has an entry ---------------------------------------------------------------------------------------------

    def put(self, entry: Entry) -> None:
        """Have an entry written."""
        settings = self._settings
        with self._changed:
            if entry.layer and not self._suppressor.admits(entry, self._clock.monotonic_ns()):
                if self._thread is None:
                    self._start()
                return
            if len(self._waiting) >= settings.max_waiting and not self._has_place():
                self.lost += 1
                return
            self._waiting.append(entry)
            waiting = len(self._waiting)
            if waiting == 1:
                if self._thread is None:
                    self._start()
                self._changed.notify_all()
        if waiting >= GROUP:
            self._full.set()

    def _has_place(self) -> bool:
        """Wait for a place, where the settings say so."""
        self._full.set()
        return self._settings.overflow == "block" and self._changed.wait_for(
            lambda: len(self._waiting) < self._settings.max_waiting, self._settings.block_seconds
        )

    def _start(self) -> None:
        self._is_ending = self._is_retired
        thread = Thread(target=self._run, name="asgi_guard.audit", daemon=True)
        with suppress(RuntimeError):  # the process has as many as it may, or is ending; the next entry tries again
            thread.start()
            self._thread = thread
            _running.add(self)  # what waits is written, whoever has forgotten this log

    @property
    def is_running(self) -> bool:
        """Whether its thread writes, or waits for what is to be written."""
        return self._thread is not None

    def retire(self) -> None:
        """Write what waits, and the end of the chain, without waiting for it; what still comes is ended at once."""
        self._is_retired = True
        self.close(0)

    def close(self, wait_seconds: float = CLOSE_SECONDS) -> None:
        """Write what waits, and the end of the chain, for at most so many seconds; the next entry begins another.

        Args:
            wait_seconds: what is not written by then is lost.
        """
        with self._changed:
            thread = self._thread
            self._is_ending = True
            self._changed.notify_all()
        self._full.set()
        if thread is not None:
            thread.join(wait_seconds)

    # The thread -------------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            self.gather()
            if self.has_ended():
                return

    def has_ended(self) -> bool:
        """Write a group, if there is anything; tell whether the thread is to end."""
        is_ending = self._is_ending
        try:
            is_last = self._write(is_ending=is_ending)
        except Exception:
            if not self._has_failed:
                self._has_failed = True
                _logger.exception("The audit log cannot be written; entries wait, and this is tried again.")
            if not is_ending:
                self._full.wait(_RETRY_SECONDS)
                return False
            is_last = True
        self._count()
        return is_last and self._end()

    def _write(self, *, is_ending: bool) -> bool:
        """Write a group, and tell whether it is the last."""
        self.open()
        store = self._store
        with nullcontext() if store is None else store.held(self._sealing):
            is_last = self._take(is_ending=is_ending)
            sealed = self._sealing.sealed(self._group, is_last=is_last)
            try:
                whole = len(sealed) if store is None else store.append([one.line for one in sealed])
            except OSError:
                self._sealing.take_back(sealed)
                raise
            written, missed = sealed[:whole], sealed[whole:]
            self._group = self._sealing.take_back(missed)
            if self._sealing.is_noted(is_last=is_last and not missed) and store is not None:
                store.note(self._sealing)
        if store is not None:
            store.sync()
        if written:
            aggregate_of_process().series(AUDIT_ENTRIES, "written").add(len(written))
        for index, sink in enumerate(self._sinks):
            self._tell(index, sink, written)
        if missed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._has_failed = False
        return is_last

    def _take(self, *, is_ending: bool) -> bool:
        """Take a group of what waits, where none is left, and tell whether it is the last."""
        sealing = self._sealing
        with self._changed:
            if self._group:
                return is_ending and not self._waiting and not self._suppressor
            lost = self.lost - self._told_lost
            is_due = is_ending or self._suppressor.is_due(self._clock.monotonic_ns())
            suppressed = self._suppressor.taken() if is_due else {}
            taken = [self._waiting.popleft() for _ in range(min(GROUP, len(self._waiting)))]
            is_last = is_ending and not self._waiting
            if taken:
                self._changed.notify_all()
        self._told_lost += lost
        if lost:
            self._group.append(sealing.own("audit_lost", entries=lost))
        for kind, entries in suppressed.items():
            self._group.append(
                sealing.own("audit_suppressed", entries=entries, of=kind.event, by=kind.layer, why=kind.reason)
            )
        self._group += map(sealing.told, taken)
        return is_last

    def _end(self) -> bool:
        """Leave the files, and tell whether nothing came in the meantime; the next entry begins a chain.

        What could not be written is lost.
        """
        with self._changed:
            self._sealing = Sealing(self._settings, self._redactor, self._clock)
            if (self._waiting or self._suppressor) and not self._has_failed:
                return False
            self.lost += len(self._group) + len(self._waiting)
            self._waiting.clear()
            self._group = []
            self._thread = None
            _running.discard(self)
            if self._store is not None:
                self._store.close()
        self._count()
        return True

    def _count(self) -> None:
        """Count what was not written since the last time."""
        for result, number in (("dropped", self.lost), ("suppressed", self._suppressor.total)):
            if number > self._counted[result]:
                aggregate_of_process().series(AUDIT_ENTRIES, result).add(number - self._counted[result])
                self._counted[result] = number

    def gather(self) -> None:
        """Wait for an entry, then for others to be written with it; or until something else is due."""
        with self._changed:
            self._changed.wait_for(
                lambda: bool(self._waiting or self._is_ending or self._group),
                1.0 if self._suppressor else self._sealing.idle_seconds,
            )
        if not self._is_ending:
            self._full.wait(GATHER_SECONDS)
        self._full.clear()

    def _tell(self, index: int, sink: Callable[[Mapping[str, Any]], object], group: list[Sealed]) -> None:
        for one in group:
            try:
                sink(one.fields)
            except Exception:
                if index not in self._failed:
                    self._failed.add(index)
                    _logger.exception("A sink of the audit log failed; this is said once.")


def _sink(given: Sink) -> Callable[[Mapping[str, Any]], object]:
    if given == "otel":
        return otel_sink()
    return given if callable(given) else _log


_LEVELS: Final = {"info": logging.INFO, "low": logging.INFO, "medium": logging.WARNING, "high": logging.ERROR}


def _log(told: Mapping[str, Any]) -> None:
    """Write one line to the logger `asgi_guard.audit.entries`; the fields are the record's `audit`."""
    level = _LEVELS.get(told["severity"], logging.CRITICAL)
    _entries.log(level, "%s", line_of(told).decode(), extra={"audit": told})


_entries: Final = logging.getLogger("asgi_guard.audit.entries")


_all: Final[weakref.WeakSet[Writer]] = weakref.WeakSet()
_running: Final[set[Writer]] = set()


def _forked() -> None:
    _running.clear()
    for writer in tuple(_all):
        writer.forked()


def _close_all() -> None:
    for writer in tuple(_running):
        writer.close()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
