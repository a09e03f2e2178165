"""The line to Redis of what is rarely said: one script after the other, on one connection for each event loop.

Must never raise, and never make anybody wait for a Redis that is away: after a failure it says so at once, for a while
that grows.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final

from asgi_guard.redis.client import Arguments, Client, Script
from asgi_guard.redis.limit import TimeLimit

_SHORTEST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0


class Line:
    """Asks one Redis, in one event loop.

    Args:
        client: runs scripts; closed with this.
        timeout_seconds: how long a call may take.
        connect_timeout_seconds: how long the first call may take, and the first after a failure.
    """

    def __init__(self, client: Client, *, timeout_seconds: float, connect_timeout_seconds: float) -> None:
        self._client = client
        self._timeout = timeout_seconds
        self._connect_timeout = connect_timeout_seconds
        self._is_connected = False
        self._is_closed = False
        self._pause = _SHORTEST_PAUSE
        self._away_until = 0.0
        self._turn = asyncio.Lock()

    @property
    def is_away(self) -> bool:
        """Whether Redis is not to be asked now."""
        return monotonic() < self._away_until

    def revive(self) -> None:
        """Say that Redis is back, as far as somebody else knows."""
        self._away_until = 0.0

    async def ask(self, script: Script, arguments: Arguments) -> bytes | None:
        """Run a script, in a task that is not a request's: who cancels it closes the connection.

        Returns:
            Its answer; None where there was none in time, or Redis is away.
        """
        async with self._turn:
            if self._is_closed or self.is_away:
                return None
            from redis.exceptions import ResponseError

            try:
                async with TimeLimit(self._timeout if self._is_connected else self._connect_timeout):
                    (answer,) = await self._client.run(script, [arguments])
            except Exception as error:  # noqa: BLE001  whatever it is, nobody may fail for it
                if type(error) is ResponseError:  # of this script, with these keys: others may fare better
                    return None
                self._is_connected = False
                await self._client.aclose()
                self._away_until = monotonic() + self._pause
                self._pause = min(self._pause * 2, _LONGEST_PAUSE)
                return None
        self._is_connected = True
        self._pause = _SHORTEST_PAUSE
        return answer

    async def aclose(self) -> None:
        """Stop: whoever asks later, also one who waits for a turn, must not open a connection that nobody closes."""
        self._is_closed = True
        async with self._turn:  # a call that is connecting has nothing to close yet
            await self._client.aclose()
