"""Time limits that are fair to Redis: what this event loop does in between is not held against it."""

from __future__ import annotations

import asyncio
from typing import Final

_AWAY_SECONDS: Final = 0.005  # a timer that fires so late says more of this loop than of Redis
_MAX_EXTENSIONS: Final = 4


class TimeLimit:
    """A time limit that does not run while the loop does something else: an answer may lie there unread.

    Args:
        seconds: after how long what stands in the block is cancelled, and `TimeoutError` raised.
    """

    __slots__ = ("_extensions", "_handle", "_is_over", "_loop", "_seconds", "_task")

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._task = asyncio.current_task()
        self._extensions = 0
        self._is_over = False

    async def __aenter__(self) -> None:
        self._set(self._seconds)

    async def __aexit__(self, exc_type: object, exc: BaseException | None, _: object) -> None:
        self._handle.cancel()
        is_ours = self._is_over and isinstance(exc, asyncio.CancelledError)
        if is_ours and self._task is not None and self._task.uncancel() <= 0:
            raise TimeoutError from exc

    def _set(self, seconds: float) -> None:
        due = self._loop.time() + seconds
        self._handle = self._loop.call_at(due, self._expire, due)

    def _expire(self, due: float) -> None:
        if self._loop.time() - due > _AWAY_SECONDS and self._extensions < _MAX_EXTENSIONS:
            self._extensions += 1
            self._set(_AWAY_SECONDS)
        elif self._task is not None:
            self._is_over = True
            self._task.cancel()
