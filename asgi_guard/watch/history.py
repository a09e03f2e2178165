"""History: the last hour, in stretches of five seconds and of a minute.

The newest 60 ticks, five minutes by default, are kept one by one, what is older minute by minute. A window is as many
whole stretches as it takes to cover it, and says how long that is.
Must never grow with time, and never with what clients send: its size is that of the series that were in use.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from asgi_guard.watch.stretch import Stretch, put_together

TICKS: Final = 60
"""How many ticks are told apart: five minutes of five seconds."""

_MINUTE: Final = 60.0
HOUR_SECONDS: Final = 3_600.0


class History:
    """The stretches of the last hour, the newest last.

    Args:
        tick_seconds: how long a stretch is, 1 to 60; what is older than 60 of them is put together to minutes.
    """

    def __init__(self, tick_seconds: float = 5.0) -> None:
        self._together = max(1, round(_MINUTE / tick_seconds))
        self._ticks: deque[Stretch] = deque()
        self._minutes: deque[Stretch] = deque()
        # What was put together is asked for again and again, until something is added.
        self._older: dict[tuple[int, bool], Stretch] = {}
        self._windows: dict[tuple[float, bool], Stretch] = {}

    def add(self, stretch: Stretch) -> None:
        """Add what has just happened."""
        self._ticks.append(stretch)
        self._windows = {}
        if len(self._ticks) < TICKS + self._together:
            return
        self._minutes.append(put_together([self._ticks.popleft() for _ in range(self._together)]))
        covered = sum([minute.seconds for minute in self._minutes])
        while len(self._minutes) > TICKS or covered - self._minutes[0].seconds >= HOUR_SECONDS:
            covered -= self._minutes.popleft().seconds
        self._older = {}

    def ticks(self) -> list[Stretch]:
        """Return the newest stretches, 60 at most, the oldest first."""
        return list(self._ticks)[-TICKS:]

    def window(self, seconds: float, *, with_routes: bool = False) -> Stretch:
        """Put together the stretches that cover a window: longer than it by less than one of them, or all there is.

        Args:
            seconds: how long it is.
            with_routes: whether the routes are told apart, which takes its time.
        """
        key = seconds, with_routes
        found = self._windows.get(key)
        if found is None:
            found = self._windows[key] = put_together(self._covering(seconds, with_routes), with_routes=with_routes)
        return found

    def _covering(self, seconds: float, with_routes: bool) -> list[Stretch]:
        ticks, minutes = list(self._ticks), list(self._minutes)
        chosen: list[Stretch] = []
        covered = 0.0
        while ticks and covered < seconds:
            chosen.append(ticks.pop())
            covered += chosen[-1].seconds
        count = 0
        while count < len(minutes) and covered < seconds:
            count += 1
            covered += minutes[-count].seconds
        if count:
            key = count, with_routes
            if key not in self._older:
                self._older[key] = put_together(minutes[-count:], with_routes=with_routes)
            chosen.append(self._older[key])
        return chosen
