"""Writer: the thread that seals entries and writes them, in groups, to the file and to the other sinks.

Whoever has an entry leaves it in a queue that has an end, which is all that a request pays. The thread gathers for 50
ms or until there are 100, so that a machine that fails loses no more than that and what is under way.
Rule 1: nothing goes missing in silence: what found no place is counted, and the count is an entry of its own.
Rule 2: what could not be written is written later, and nothing behind it before.
Rule 3: a child of this process begins a chain of its own; the entries that wait are the parent's.
"""

from __future__ import annotations

import atexit
import errno
import json
import logging
import os
import socket
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from threading import Condition, Event, Thread
from typing import Any, Final

from asgi_guard.audit.chain import NOTHING, Chain, code_of, new_name
from asgi_guard.audit.entry import Entry, line_of
from asgi_guard.audit.file import LogFile
from asgi_guard.audit.otel import otel_sink
from asgi_guard.audit.redact import Redactor
from asgi_guard.audit.settings import Audit, Sink, key_of
from asgi_guard.clock import Clock
from asgi_guard.errors.exceptions import ConfigError

GROUP: Final = 100
"""The entries that are written together."""

GATHER_SECONDS: Final = 0.05
CHECKPOINT_LINES: Final = 1_000
CHECKPOINT_SECONDS: Final = 60.0
CLOSE_SECONDS: Final = 5.0
HEADS: Final = ".heads"
"""What the name of the file has appended that holds the checkpoints."""

_SECOND: Final = 1_000_000_000
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
        self._key = key_of(settings.key)
        self._redactor = Redactor(settings.hidden_names, settings.hidden_patterns)
        self._sinks = [_sink(sink) for sink in settings.sinks]
        self._failed: set[int] = set()
        self._file: LogFile | None = None
        self._heads: LogFile | None = None
        self._host = socket.gethostname()[:64]
        self._begin()
        _all.add(self)

    def _begin(self) -> None:
        """Begin a chain, with nothing that waits."""
        self._changed = Condition()
        self._full = Event()
        self._waiting: deque[Entry] = deque()
        self._thread: Thread | None = None
        self._is_ending = False
        self._chain = Chain(self._key, new_name())
        self._group: list[tuple[bytes, Mapping[str, Any]]] = []
        self._told_lost = 0
        self._said_head = 0
        self._head_at = self._clock.monotonic_ns()
        self._has_failed = False
        self.lost: int = 0

    def open(self) -> None:
        """Open the files now; else the thread does, with the first group.

        Raises:
            ConfigError: one cannot be used.
        """
        path, fsync = self._settings.path, self._settings.fsync
        if path is not None and self._file is None:
            heads = LogFile(path + HEADS, fsync=fsync)
            self._file, self._heads = LogFile(path, fsync=fsync), heads

    def forked(self) -> None:
        """Know that this is a child of the process that wrote so far."""
        self._begin()

    # Whoever has an entry ---------------------------------------------------------------------------------------------

    def put(self, entry: Entry) -> None:
        """Have an entry written."""
        settings = self._settings
        with self._changed:
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
        self._is_ending = False
        thread = Thread(target=self._run, name="asgi_guard.audit", daemon=True)
        with suppress(RuntimeError):  # the process has as many as it may, or is ending; the next entry tries again
            thread.start()
            self._thread = thread
            _running.add(self)  # what waits is written, whoever has forgotten this log

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
        return is_last and self._end()

    def _write(self, *, is_ending: bool) -> bool:
        """Write a group, and tell whether it is the last."""
        self.open()
        if self._file is not None:
            self._file.look()
        with self._changed:
            taken = [self._waiting.popleft() for _ in range(0 if self._group else min(GROUP, len(self._waiting)))]
            is_last = is_ending and not self._waiting
            if taken:
                self._changed.notify_all()
        if not self._group:
            self._group = list(self._sealed(taken, is_last=is_last))
        whole = len(self._group)
        if self._file is not None:
            whole = self._file.append([line for line, _ in self._group])
        group, self._group = self._group[:whole], self._group[whole:]
        for index, sink in enumerate(self._sinks):
            self._tell(index, sink, group)
        if self._group:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._has_failed = False
        self._say_head(is_last=is_last)
        return is_last

    def _end(self) -> bool:
        """Leave the files, and tell whether nothing came in the meantime; the next entry begins a chain.

        What could not be written is lost.
        """
        with self._changed:
            self._chain = Chain(self._key, new_name())
            self._said_head = 0
            if self._waiting and not self._has_failed:
                return False
            self.lost += len(self._group) + len(self._waiting)
            self._waiting.clear()
            self._group = []
            self._thread = None
            _running.discard(self)
            for file in (self._file, self._heads):
                if file is not None:
                    file.close()
            return True

    def gather(self) -> None:
        """Wait for an entry, then for others to be written with it; or until a checkpoint is due."""
        with self._changed:
            is_noted = self._said_head == self._chain.seq
            self._changed.wait_for(
                lambda: bool(self._waiting or self._is_ending or self._group),
                None if is_noted else CHECKPOINT_SECONDS,
            )
        if not self._is_ending:
            self._full.wait(GATHER_SECONDS)
        self._full.clear()

    def _sealed(self, entries: list[Entry], *, is_last: bool) -> Iterator[tuple[bytes, Mapping[str, Any]]]:
        """Give out the lines of a group, and the fields of each, with what the log says of itself."""
        if self._chain.seq == 0:
            yield self._line(self._own("audit_start"))
        elif self._file is not None and self._file.is_new:
            yield self._line(self._checkpoint())
        lost = self.lost - self._told_lost
        if lost:
            self._told_lost += lost
            yield self._line(self._own("audit_lost", entries=lost))
        for entry in entries:
            yield self._line(entry)
            if self._chain.seq % CHECKPOINT_LINES == 0:
                yield self._line(self._checkpoint())
        is_due = self._clock.monotonic_ns() - self._head_at >= CHECKPOINT_SECONDS * _SECOND
        if is_last:
            yield self._line(self._own("audit_end", lines=self._chain.seq))
        elif is_due:
            yield self._line(self._checkpoint())

    def _own(self, event: str, **facts: Any) -> Entry:
        return Entry(event=event, outcome="success", time=self._clock.time(), facts=facts)

    def _checkpoint(self) -> Entry:
        return self._own("audit_checkpoint", lines=self._chain.seq, before=self._chain.last.hex())

    def _line(self, entry: Entry) -> tuple[bytes, Mapping[str, Any]]:
        told = self._redactor.fields(entry.told()) if entry.event[:6] != "audit_" else entry.told()
        if self._settings.service:
            told["service"] = self._settings.service
        told |= {"host": self._host, "pid": os.getpid(), "chain": self._chain.name, "seq": self._chain.seq}
        return self._chain.seal(line_of(told)), told

    def _say_head(self, *, is_last: bool) -> None:
        """Note how far the chain has come, in a file of its own, so that one that is cut off shows."""
        now = self._clock.monotonic_ns()
        is_first = self._said_head == 0
        has_gone_on = self._chain.seq // CHECKPOINT_LINES > self._said_head // CHECKPOINT_LINES
        is_due = now - self._head_at >= CHECKPOINT_SECONDS * _SECOND
        if self._heads is None or not (is_first or is_last or has_gone_on or is_due):
            return
        self._said_head, self._head_at = self._chain.seq, now
        head = {"chain": self._chain.name, "seq": self._chain.seq - 1, "mac": self._chain.last.hex()}
        payload = json.dumps(head, separators=(",", ":")).encode()
        code = code_of(payload, NOTHING, self._key).hex()
        with suppress(OSError, ConfigError):  # the next one says it, and more
            self._heads.look()
            self._heads.append([payload[:-1] + f',"seal":"{code}"}}\n'.encode()])

    def _tell(self, index: int, sink: Callable[[Mapping[str, Any]], object], group: list[Any]) -> None:
        for _, told in group:
            try:
                sink(told)
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
