"""Life: what outlasts one request. The ticker answers for applications that take too long and lets go of held starts.

One ticker a thread, started at first use on whatever loop runs there (an asyncio or a trio system task), gone again
after a second of idleness, and replaced when its loop died without saying so. Nothing starts in a constructor, and no
lifespan is needed. It needs no cancellation: it answers through the exchange, and cancels only where that works
(granian's Rust tasks do not let themselves be cancelled).
Must never import asyncio or trio where a request passes: the loop that runs has imported its own.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from functools import partial
from math import inf
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asgi_guard.engine.exchange import Exchange
    from asgi_guard.engine.replies import Reply
    from asgi_guard.engine.wire import Wire

logger: logging.Logger = logging.getLogger("asgi_guard")

PERIOD_SECONDS = 0.025
"""A start is held for one to two periods, 50 ms at most; a deadline is late by one at most."""
IDLE_PERIODS = 40
ANSWER_SECONDS = 1.0
"""How long the answer of a deadline may take; then the application is cancelled, whether the client reads or not."""


class Deadline:
    """A time by which an exchange must be complete, and what it is answered with if it is not.

    Nobody watches it before it has a time: most requests never wait for what some deadlines are about.

    Args:
        exchange: which one.
        position: where the layer stands that sets it.
        reply: the answer.
        beside: another deadline of the exchange, if it has one.

    Attributes:
        at: that time, on the monotonic clock, in seconds.
        position: as given.
        context: the variables of the request.
        task: which serves the request; None where that cannot be cancelled.
    """

    __slots__ = ("_exchange", "_has_cancelled", "_reply", "_ticker", "at", "context", "position", "task")

    def __init__(self, exchange: Exchange, position: int, reply: Reply, beside: Deadline | None = None) -> None:
        self._exchange: Exchange | None = exchange
        self.position: int = position
        self._reply = reply
        self.task: Any = _current_task() if beside is None else beside.task
        self.context: Context = copy_context() if beside is None else beside.context
        self._has_cancelled = False
        self.at: float = inf
        self._ticker: Ticker | None = None

    def renew(self, seconds: float) -> None:
        """Count anew from now."""
        self.move(monotonic() + seconds)

    def move(self, at: float) -> None:
        """Let the time come at `at`; `inf` is never."""
        self.at = at
        if self._ticker is None and at != inf and self._exchange is not None:
            self._ticker = ticker()
            self._ticker.watch(self)

    def cancel(self) -> None:
        """Take the deadline off."""
        self._exchange = None
        if self._ticker is not None:
            self._ticker.forget(self)
        if self._has_cancelled:  # an application may have ignored it; the server's task must not go on with it pending
            self._uncancel()

    async def expire(self, now: float) -> None:
        """Answer for the application, then cancel it where that works.

        Args:
            now: when the ticker saw that the time had come.
        """
        from anyio import move_on_after  # now, not with the first import of the package

        exchange = self._exchange
        if exchange is None:
            return
        if self.at > now:  # it was moved since
            ticker().watch(self)
            return
        try:
            with move_on_after(ANSWER_SECONDS) as answering:
                await exchange.expire(self.position, self._reply)
            if answering.cancelled_caught:  # a client that reads nothing must not keep the application alive
                exchange.is_expired = not exchange.is_complete
        finally:
            if self._exchange is not None and exchange.is_expired and self.task is not None:
                self._has_cancelled = bool(self.task.cancel())

    def takes_back(self, exc: BaseException) -> bool:
        """Tell whether `exc` is no more than the cancellation that `expire` asked for, and take that back."""
        if not self._has_cancelled or not isinstance(exc, sys.modules["asyncio"].CancelledError):
            return False
        if self.task is not _current_task():  # set by a task of the application's: the server's cancellation is its own
            return False
        return self._uncancel() <= 0

    def _uncancel(self) -> int:
        """Take back the cancellation that was asked for, and return how many others there are."""
        self._has_cancelled = False
        return int(self.task.uncancel())


class Turn:
    """While the ticker speaks for an exchange, the application's sends and its return wait."""

    __slots__ = ("_exchange", "_spoken", "wait")

    def __init__(self, exchange: Wire) -> None:
        self._exchange = exchange
        self._spoken = new_event()
        self.wait: Callable[[], Awaitable[object]] = self._spoken.wait

    async def __aenter__(self) -> None:
        self._exchange.turn = self

    async def __aexit__(self, *_: object) -> None:
        self._exchange.turn = None
        self._spoken.set()


class Ticker:
    """Walks, every period, over the held starts and the deadlines of one thread."""

    __slots__ = ("_deadlines", "_era", "_held", "_held_before", "_here", "_home")

    def __init__(self) -> None:
        self._held: dict[Wire, Context] = {}
        self._held_before: dict[Wire, Context] = {}
        self._deadlines: set[Deadline] = set()
        self._era = 0
        self._here: Callable[[], object] = bool
        self._home: object = None

    def hold(self, exchange: Wire, deadline: Deadline | None = None) -> None:
        """Put the exchange's start on the wire after at most two periods, unless it is released before.

        Args:
            exchange: which one.
            deadline: one of the exchange's own: while it is watched, the ticker runs.
        """
        self._held[exchange] = copy_context()  # what stands outside may read variables of the request's
        is_running = deadline is not None and deadline in self._deadlines and self._home is not None
        if not is_running and self._here() is not self._home:
            self._start()

    def context_of(self, exchange: Wire) -> Context | None:
        """Return the context in which the application has sent what is held; None where that is on its way already."""
        return self._held.get(exchange) or self._held_before.get(exchange)

    def release(self, exchange: Wire) -> None:
        """Stop holding."""
        if self._held.pop(exchange, None) is None:
            self._held_before.pop(exchange, None)

    def watch(self, deadline: Deadline) -> None:
        """Let the deadline expire when its time has come."""
        self._deadlines.add(deadline)
        here = self._here()  # not the task's word: those of granian's own making are no whole tasks
        if here is not self._home:
            self._start()

    def forget(self, deadline: Deadline) -> None:
        """Stop watching."""
        self._deadlines.discard(deadline)

    def _start(self) -> None:
        """Start running, or start again on the loop of today when that of yesterday died without saying so."""
        here = _what_tells_loops_apart()
        home = here()
        if home is None:
            raise RuntimeError("no event loop runs in this thread")
        self._era += 1
        self._here, self._home = here, home
        _forget_dead_loops()
        spawn(self._run, self._era, Context())  # no request's variables: they would live as long as the ticker

    async def _run(self, era: int) -> None:
        idle = 0
        sleep = _sleep_of_this_loop()
        try:
            while era == self._era and idle < IDLE_PERIODS:
                await sleep(PERIOD_SECONDS)
                if era == self._era:
                    idle = 0 if self._tick(monotonic()) else idle + 1
        finally:
            if era == self._era:
                self._here, self._home = bool, None

    def _tick(self, now: float) -> bool:
        late, self._held_before, self._held = self._held_before, self._held, {}
        for exchange, context in late.items():
            spawn(_logged, exchange.commit_late, context)
        for deadline in [deadline for deadline in tuple(self._deadlines) if deadline.at <= now]:
            self._deadlines.discard(deadline)
            spawn(_logged, partial(deadline.expire, now), deadline.context)
        return bool(self._held_before or self._deadlines)


_per_thread = threading.local()


def ticker() -> Ticker:
    """Return this thread's ticker."""
    try:
        return _per_thread.ticker  # type: ignore[no-any-return]
    except AttributeError:
        _per_thread.ticker = Ticker()
        return _per_thread.ticker  # type: ignore[no-any-return]


def guarded(hook: Callable[[Any], None], exchange: Any) -> None:
    """Run a hook whose failure must not keep the others from theirs."""
    try:
        hook(exchange)
    except Exception:
        logger.exception("%r failed", hook)


async def _logged(work: Callable[[], Awaitable[None]]) -> None:
    """Run work of the ticker's: a server that does not take its message must not end the ticker."""
    try:
        await work()
    except OSError:  # a client that hangs up must not write tracebacks into the log
        logger.debug("the client left before the ticker could answer", exc_info=True)
    except Exception:
        logger.warning("the ticker could not answer", exc_info=True)


def _trio() -> Any:
    trio = sys.modules.get("trio")
    return trio if trio is not None and trio.lowlevel.in_trio_run() else None


def new_event() -> Any:
    """Make an event of the loop that runs: `wait()` is awaited, `set()` is not."""
    return (_trio() or sys.modules["asyncio"]).Event()


def _sleep_of_this_loop() -> Callable[[float], Awaitable[None]]:
    return (_trio() or sys.modules["asyncio"]).sleep  # type: ignore[no-any-return]


def _what_tells_loops_apart() -> Callable[[], object]:
    """Return what names the loop that runs; trio ends its system tasks itself, and they say so."""
    if _trio() is not None:
        return bool
    return sys.modules["asyncio"]._get_running_loop  # type: ignore[no-any-return]  # noqa: SLF001  it raises nothing


def has_loop() -> bool:
    """Tell whether an event loop runs in this thread."""
    return running_loop() is not None


def running_loop() -> Any:
    """Return the event loop that runs in this thread, or the token of a run of trio; None where there is none."""
    trio = _trio()
    if trio is not None:
        return trio.lowlevel.current_trio_token()
    asyncio = sys.modules.get("asyncio")
    return None if asyncio is None else asyncio._get_running_loop()  # noqa: SLF001  it raises nothing


def _current_task() -> Any:
    """Return the task to cancel, None where there is none that can be (trio, granian's Rust tasks)."""
    asyncio = sys.modules.get("asyncio")
    try:
        return None if asyncio is None else asyncio.current_task()
    except RuntimeError:
        return None


_tasks: set[Any] = set()


def _forget_dead_loops() -> None:
    for task in tuple(_tasks):  # a copy that is made at once: other threads have tasks too
        if task.get_loop().is_closed():
            _tasks.discard(task)


def spawn(work: Callable[..., Any], argument: Any, context: Context) -> None:
    """Start `work(argument)` as a task of this loop's that nobody waits for."""
    trio = _trio()
    if trio is not None:
        trio.lowlevel.spawn_system_task(work, argument, context=context)
        return
    task = sys.modules["asyncio"].get_running_loop().create_task(work(argument), context=context)
    _tasks.add(task)  # a loop keeps weak references only
    task.add_done_callback(_tasks.discard)
