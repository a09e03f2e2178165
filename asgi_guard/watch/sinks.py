"""Sinks: where alerts go; anything that can be called with an event is one.

    Sinks([LogSink(), page_somebody, Webhook("https://hooks.example.com/alerts", secret=...)])

Each sink is called in a thread of its own, which starts with the first event and works off a bounded queue. So one that
raises, or hangs for ever, harms no other, and never whoever watches.
Rule 1: whoever tells neither waits nor fails. What finds no place pushes out the oldest that waits.
Rule 2: what goes wrong is said once for each sink, and counted always.

| id    | rule that was broken                              |
|-------|---------------------------------------------------|
| AG885 | sinks are a list of functions, at most 16         |
| AG886 | a sink is a plain function: nobody would await it |
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from inspect import iscoroutinefunction
from threading import Condition, Thread
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from asgi_guard.settings import Problems
from asgi_guard.watch.alert_events import AlertEvent, AlertFired

Sink: TypeAlias = Callable[[AlertEvent], object]

MAX_SINKS: Final = 16
MAX_WAITING: Final = 64
"""The events that wait for one sink; the oldest go first."""

LEVELS: Final[Mapping[str, int]] = MappingProxyType(
    {"low": logging.WARNING, "medium": logging.WARNING, "high": logging.ERROR, "critical": logging.CRITICAL}
)
"""The level of the line that says that an alert fires; that it has cleared is said at INFO."""

_CLOSE_SECONDS: Final = 2.0
_logger: Final = logging.getLogger("asgi_guard")


class LogSink:
    """Write one line an event to the logger `asgi_guard.alerts`, and its facts as the record's `alert_...`."""

    __slots__ = ("_logger",)

    def __init__(self) -> None:
        self._logger = logging.getLogger("asgi_guard.alerts")

    def __call__(self, event: AlertEvent) -> None:
        """Write the line."""
        is_fired = isinstance(event, AlertFired)
        level = LEVELS[event.severity] if is_fired else logging.INFO
        facts = {f"alert_{name}": fact for name, fact in event.facts().items()}  # `name` alone is the record's own
        what = "fires" if is_fired else "has cleared"
        extra = {"alert_event": event.kind, **facts}
        self._logger.log(level, "the alert %s %s: %s", event.name, what, event.message, extra=extra)


class Sinks:
    """Tells events to several sinks, each in a thread of its own.

    Args:
        sinks: plain functions, at most 16.

    Raises:
        ConfigError: one is not a function, or is async.
    """

    __slots__ = ("_lines",)

    def __init__(self, sinks: Iterable[Sink]) -> None:
        problems = Problems("Sinks")
        given: tuple[Any, ...] = tuple(sinks) if isinstance(sinks, list | tuple) else ()
        if not isinstance(sinks, list | tuple) or len(given) > MAX_SINKS:
            rule = f"must be a list of at most {MAX_SINKS} functions"
            problems.add("AG885", "sinks", sinks, rule, "Put it in brackets: [LogSink()].")
        for index, sink in enumerate(given[:MAX_SINKS]):
            _check(problems, f"sinks[{index}]", sink)
        problems.raise_if_any()
        self._lines = tuple(map(Line, given))

    def __call__(self, event: AlertEvent) -> None:
        """Have an event told to all of them."""
        for line in self._lines:
            line.tell(event)

    @property
    def dropped(self) -> int:
        """How many events found no place in a queue."""
        return sum(line.dropped for line in self._lines)

    @property
    def failed(self) -> int:
        """How many times a sink raised."""
        return sum(line.failed for line in self._lines)

    def close(self, wait_seconds: float = _CLOSE_SECONDS) -> None:
        """Let all of them finish, for at most so many seconds together; the next event starts them again."""
        ends = time.monotonic() + wait_seconds
        for line in self._lines:
            line.end()
        for line in self._lines:
            line.join(max(ends - time.monotonic(), 0.0))


class Line:
    """The queue of one sink, and the thread that works it off.

    Args:
        sink: what is called.

    Attributes:
        dropped: the events that were pushed out of the queue.
        failed: how many times the sink raised.
    """

    __slots__ = ("_changed", "_is_ending", "_pid", "_sink", "_thread", "_waiting", "dropped", "failed")

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.dropped: int = 0
        self.failed: int = 0
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._changed = Condition()
        self._waiting: deque[AlertEvent] = deque(maxlen=MAX_WAITING)
        self._thread: Thread | None = None
        self._is_ending = False

    def tell(self, event: AlertEvent) -> None:
        """Have an event told."""
        if self._pid != os.getpid():  # the thread, and what waits, are the parent's, and so may be the lock
            self._begin()
        with self._changed:
            is_full = len(self._waiting) == MAX_WAITING
            self._waiting.append(event)
            self._is_ending = False
            self._start()
            self._changed.notify()
            self.dropped += is_full
            is_first = is_full and self.dropped == 1
        if is_first:
            _logger.warning("The alerts' sink %r is too slow: the oldest are dropped; this is said once.", self._sink)

    def _start(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            thread = Thread(target=self._run, name="asgi_guard alerts", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the process has as many as it may, or is ending; the next event tries again
                return
            self._thread = thread

    def end(self) -> None:
        """Have the thread end when nothing waits any more."""
        with self._changed:
            self._is_ending = True
            self._changed.notify()

    def join(self, wait_seconds: float) -> None:
        """Wait for that."""
        thread = self._thread
        if thread is not None:
            thread.join(wait_seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._is_ending:
                        self._thread = None
                        return
                    self._changed.wait()
                event = self._waiting.popleft()
            try:
                self._sink(event)
            except Exception:
                self.failed += 1
                if self.failed == 1:
                    _logger.exception("The alerts' sink %r failed; this is said once.", self._sink)


def _check(problems: Problems, field: str, sink: Any) -> None:
    if problems.callable(field, sink) and (iscoroutinefunction(sink) or iscoroutinefunction(type(sink).__call__)):
        remedy = "Make it a plain function: it has a thread of its own, and may wait in it."
        problems.add("AG886", field, sink, "must not be async: it would never be awaited", remedy)
