"""Access log: one line of JSON for each request, put together and written by a thread of its own.

A request leaves a few values in a queue; that is all it pays. The line is ASCII, so nothing that a client sends can end
it, begin another, or move a terminal's cursor; whatever a client sizes is cut before it is kept.
Must never make a request wait: where lines come faster than they can be written, they are dropped, and counted.
Must never show a query unless it is asked for, and then without what sounds like a secret.
"""

from __future__ import annotations

import atexit
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TextIO
from weakref import WeakSet

from asgi_guard.settings import Problems
from asgi_guard.telemetry.secrets import redacted_query

if TYPE_CHECKING:
    from asgi_guard.engine.exchange import Exchange

LONGEST: Final = 512
"""The characters kept of a path, a query, a user agent and a request id."""

MAX_LINES: Final = 1_000_000
_TOGETHER_SECONDS: Final = 0.05
"""How long the thread gathers lines before it writes them: waking it for each would slow the requests down."""

_LAST_SECONDS: Final = 2.0
"""How long whoever closes the log waits for what is left."""

logger: logging.Logger = logging.getLogger("asgi_guard.access")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog:
    """Settings of the access log.

    Attributes:
        share: the share of requests that get a line, 0 to 1; those that have failed always do.
        query: whether the query is told, without the values of what sounds like a secret.
        stream: what to write to, such as `sys.stdout`; by default the logger `asgi_guard.access`, at level INFO.
        max_lines: how many lines may wait, 1 to 1,000,000.

    Raises:
        ConfigError: a field is wrong.
    """

    share: float = 1.0
    query: bool = False
    stream: TextIO | None = None
    max_lines: int = 10_000

    def __post_init__(self) -> None:
        problems = Problems("AccessLog")
        problems.number("share", self.share, minimum=0, maximum=1)
        problems.boolean("query", self.query)
        if self.stream is not None:
            problems.callable("stream.write", getattr(self.stream, "write", None))
        problems.integer("max_lines", self.max_lines, minimum=1, maximum=MAX_LINES)
        problems.raise_if_any()


class Access(NamedTuple):
    """What a line tells of one request.

    Attributes:
        time: when it ended, in seconds since 1970.
        method: of the request, or `_OTHER`.
        path: as the server has decoded it.
        query: as it was sent; empty where it is not told.
        route: its template; empty where nobody has named one.
        status: of the answer; 0 where there was none.
        error: the `error.type`; empty where there is none.
        duration_ns: until the last byte.
        received_bytes: of the body, as far as the application has read it.
        sent_bytes: of the answer's body.
        client: its address.
        request_id: its id.
        trace_id: of its span, as a number; 0 where there is none.
        agent: its user agent.
        answered_by: the layer that has answered in the application's place; empty where none has.
    """

    time: float
    method: str
    path: str
    query: str
    route: str
    status: int
    error: str
    duration_ns: int
    received_bytes: int
    sent_bytes: int
    client: str | None
    request_id: str | None
    trace_id: int
    agent: bytes
    answered_by: str


def line_of(access: Access) -> str:
    """Write a request as one line of JSON, without what there is not."""
    told: dict[str, Any] = {
        "time": datetime.fromtimestamp(access.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "method": access.method,
        "path": access.path,
        "query": redacted_query(access.query, LONGEST),
        "route": access.route,
        "status": access.status,
        "error": access.error,
        "duration_ms": round(access.duration_ns / 1e6, 3),
        "received_bytes": access.received_bytes,
        "sent_bytes": access.sent_bytes,
        "client": access.client,
        "request_id": access.request_id,
        "trace_id": format(access.trace_id, "032x") if access.trace_id else "",
        "user_agent": access.agent.decode("latin-1"),
        "answered_by": access.answered_by,
    }
    kept = {name: value for name, value in told.items() if value not in {"", None} or name == "path"}
    return json.dumps(kept, ensure_ascii=True, separators=(",", ":")).replace("\x7f", "\\u007f")


def access_of(  # noqa: PLR0917  one for each of what a line tells
    exchange: Exchange,
    method: str,
    route: str,
    error: str,
    took_ns: int,
    sizes: Sequence[int],
    trace_id: int,
    answered_by: str,
    *,
    with_query: bool,
) -> Access:
    """Take from a request that is over what its line tells, each text cut to its bound."""
    query = exchange.scope.get("query_string", b"") if with_query else b""
    return Access(
        time.time(),
        method,
        exchange.path[:LONGEST],
        query[:LONGEST].decode("latin-1"),
        route,
        exchange.status,
        error,
        took_ns,
        sizes[0],
        sizes[1],
        exchange.client,
        None if exchange.known_id is None else exchange.known_id[:LONGEST],
        trace_id,
        (exchange.header(b"user-agent") or b"")[:LONGEST],
        answered_by,
    )


class Writer:
    """Writes the lines of one access log.

    Args:
        settings: where to, and how many lines may wait.
        dropped: told of each line that finds no place.
    """

    def __init__(self, settings: AccessLog, dropped: Callable[[], object]) -> None:
        self._stream = settings.stream
        self._max_lines = settings.max_lines
        self._dropped = dropped
        self._lock = Lock()
        self._begin()
        _writers.add(self)

    def _begin(self) -> None:
        self._waiting: SimpleQueue[Access | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._is_closing = Event()

    def put(self, access: Access) -> None:
        """Have a line written; drop it where too many wait."""
        if self._waiting.qsize() >= self._max_lines:
            self._dropped()
            return
        if self._thread is None and not self._start():
            self._dropped()
            return
        self._waiting.put(access)

    def close(self, wait_seconds: float = _LAST_SECONDS) -> None:
        """Write what is left, for at most so many seconds, and end the thread; the next line starts another."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            self._is_closing.set()
            self._waiting.put(None)
        thread.join(wait_seconds)

    def after_fork(self) -> None:
        """Begin anew in a child: the thread and what waits are its parent's."""
        self._lock = Lock()
        self._begin()

    def _start(self) -> bool:
        with self._lock:
            if self._thread is None:
                self._is_closing = Event()
                to_do = (self._waiting, self._is_closing)
                thread = Thread(target=self._run, args=to_do, name="asgi_guard access log", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the process has as many as it may; the next line tries again
                    return False
                self._thread = thread
        return True

    def _run(self, waiting: SimpleQueue[Access | None], is_closing: Event) -> None:
        while True:
            batch = [waiting.get()]
            is_closing.wait(_TOGETHER_SECONDS)
            try:
                while len(batch) < self._max_lines:
                    batch.append(waiting.get_nowait())
            except Empty:
                pass
            self._write([access for access in batch if access is not None])
            if None in batch:
                return

    def _write(self, batch: list[Access]) -> None:
        try:
            if self._stream is not None:
                _write_to(self._stream, batch)
                return
            if logger.level == logging.NOTSET:
                logger.setLevel(logging.INFO)  # else the level of the root, WARNING, would swallow what was asked for
            if not logger.hasHandlers():  # as under a server's own logging: what was asked for must not vanish
                _write_to(sys.stdout, batch)
                return
            for access in batch:
                logger.info("%s", line_of(access))
        except Exception:  # noqa: BLE001  the disk is full, or the stream closed: a log must not end the process
            for _ in batch:
                self._dropped()


def _write_to(stream: TextIO, batch: Iterable[Access]) -> None:
    stream.write("".join([f"{line_of(access)}\n" for access in batch]))
    flush: Callable[[], object] | None = getattr(stream, "flush", None)
    if flush is not None:
        flush()


_writers: Final[WeakSet[Writer]] = WeakSet()


@atexit.register
def _close_all() -> None:
    for writer in [*_writers]:
        writer.close()


def _after_fork() -> None:
    for writer in [*_writers]:
        writer.after_fork()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_after_fork)
