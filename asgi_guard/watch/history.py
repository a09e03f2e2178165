"""History: the last hour, in stretches of five seconds and of a minute.

The last five minutes are kept in stretches of a tick each, what is older in stretches of twelve. A window is as many
whole stretches as it takes to cover it, and says how long that is.
Must never grow with time, and never with what clients send: its size is that of the series that were in use.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from asgi_guard.watch.stretch import Stretch, put_together

TICKS: Final = 60
"""How many ticks are told apart: five minutes of five seconds."""

_TOGETHER: Final = 12
"""How many are put together afterwards."""

HOUR_SECONDS: Final = 3_600.0


class History:
    """The stretches of the last hour, the newest last."""

    def __init__(self) -> None:
        self._ticks: deque[Stretch] = deque()
        self._minutes: deque[Stretch] = deque()
        self._older: dict[int, Stretch] = {}  # how many minutes, put together; each is asked for again and again

    def add(self, stretch: Stretch) -> None:
        """Add what has just happened."""
        self._ticks.append(stretch)
        if len(self._ticks) < TICKS + _TOGETHER:
            return
        self._minutes.append(put_together([self._ticks.popleft() for _ in range(_TOGETHER)]))
        covered = sum([minute.seconds for minute in self._minutes])
        while len(self._minutes) > TICKS or covered - self._minutes[0].seconds >= HOUR_SECONDS:
            covered -= self._minutes.popleft().seconds
        self._older.clear()

    def ticks(self) -> list[Stretch]:
        """Return the newest stretches, 60 at most, the oldest first."""
        return list(self._ticks)[-TICKS:]

    def window(self, seconds: float) -> Stretch:
        """Put together the stretches that cover a window: longer than it by less than one of them, or all there is."""
        ticks = list(self._ticks)
        chosen: list[Stretch] = []
        covered = 0.0
        while ticks and covered < seconds:
            chosen.append(ticks.pop())
            covered += chosen[-1].seconds
        minutes = list(self._minutes)
        count = 0
        while count < len(minutes) and covered < seconds:
            count += 1
            covered += minutes[-count].seconds
        if count:
            older = self._older.get(count)
            if older is None:
                older = put_together(minutes[-count:])
                self._older = {count: older}
            chosen.append(older)
        return put_together(chosen)
