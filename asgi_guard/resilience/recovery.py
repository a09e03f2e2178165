"""Recovery: what can be done about a dependency that fails, before anybody tries it again.

A pool full of dead connections fails long after the database is back; a replica may serve while the primary does not.
So a circuit breaker that has a recovery runs it when its recovery timeout has passed: once for each time that it
opened, by one caller, before the first probe, while all others are refused as before.

    Recovery("database", reconnect=pool.expire_connections, warm_up=pool.fill)

The actions run in a fixed order. One that raises or takes too long is told and logged, and keeps neither the next one
nor the probe from happening: the probe is what decides. Only a cancellation goes through.

| id    | rule that was broken               |
|-------|------------------------------------|
| AG606 | a recovery has at least one action |
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from threading import Lock
from typing import Final

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.events import Listener, announce, check_listeners
from asgi_guard.resilience.around import is_async
from asgi_guard.resilience.events import RecoveryActed
from asgi_guard.settings import Problem, Problems

logger: logging.Logger = logging.getLogger("asgi_guard")

ORDER: Final = ("switch", "reconnect", "clear", "warm_up")
"""The actions, in the order in which they run: to another server first, and warm what is connected there."""

_SECOND: Final = 1_000_000_000


class Recovery:
    """Actions for one dependency; at most one run of them is under way at a time.

    Each action is a function without arguments, plain or `async def`. For an `async def` that is guarded, plain actions
    run in a thread; for a plain function, all actions have to be plain.

    Args:
        category: what recovers, told with the events and in the log: `database`, `cache`, `external_service`, or any
            text of at most 64 characters.
        switch: use another server.
        reconnect: let go of dead connections, and make new ones.
        clear: forget what may be wrong by now.
        warm_up: prepare for the calls to come.
        timeout: seconds for each action, 0.001 to 3,600; a plain one runs on beyond it, and for a plain function nobody
            can stop waiting.
        listeners: told of each action.
        clock: tells how long it took.

    Raises:
        ConfigError: no action was given, or a value is out of its bounds.
    """

    __slots__ = ("_actions", "_clock", "_flight", "_listeners", "_timeout", "category", "is_async")

    def __init__(
        self,
        category: str,
        *,
        switch: Callable[[], object] | None = None,
        reconnect: Callable[[], object] | None = None,
        clear: Callable[[], object] | None = None,
        warm_up: Callable[[], object] | None = None,
        timeout: float = 10.0,
        listeners: Iterable[Listener] = (),
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        given = zip(ORDER, (switch, reconnect, clear, warm_up), strict=True)
        self._actions = {name: action for name, action in given if action is not None}
        problems = Problems("Recovery")
        problems.text("category", category, max_length=64)
        for name, action in self._actions.items():
            problems.callable(name, action)
        if not self._actions:
            rule = f"needs at least one action of {', '.join(ORDER)}"
            remedy = "Give what it shall do, such as reconnect=pool.reset."
            problems.extend([Problem("AG606", "Recovery", "", rule, remedy)])
        problems.number("timeout", timeout, minimum=0.001, maximum=3_600)
        heard_by = check_listeners(problems, listeners)
        problems.raise_if_any()
        self.category: str = category
        self.is_async: bool = any(map(is_async, self._actions.values()))  # it can only run in an `async def`
        self._timeout = timeout
        self._listeners = heard_by
        self._clock = clock
        self._flight = Lock()

    async def run(self) -> bool:
        """Run the actions; return at once with False where somebody else is at it."""
        from anyio import fail_after, to_thread

        if not self._flight.acquire(blocking=False):
            return False
        try:
            for name, action in self._actions.items():
                with self._told(name), fail_after(self._timeout):
                    await (action() if is_async(action) else to_thread.run_sync(action, abandon_on_cancel=True))  # type: ignore[misc]
        finally:
            self._flight.release()
        return True

    def run_plain(self) -> bool:
        """Run the actions in this thread; return at once with False where somebody else is at it."""
        if not self._flight.acquire(blocking=False):
            return False
        try:
            for name, action in self._actions.items():
                with self._told(name):
                    action()
        finally:
            self._flight.release()
        return True

    def __repr__(self) -> str:
        return f"Recovery({self.category!r}, {', '.join(self._actions)})"

    @contextmanager
    def _told(self, action: str) -> Generator[None]:
        began_ns = self._clock.monotonic_ns()
        error: Exception | None = None
        try:
            yield
        except Exception as exc:
            logger.warning("Recovery of the %s: %s failed", self.category, action, exc_info=True)
            error = exc
        else:
            logger.info("Recovery of the %s: %s succeeded", self.category, action)
        event = RecoveryActed(
            name=self.category,
            action=action,
            succeeded=error is None,
            seconds=(self._clock.monotonic_ns() - began_ns) / _SECOND,
            exception=None if error is None else type(error).__name__,
        )
        announce(self._listeners, event)
