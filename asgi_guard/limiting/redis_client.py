"""Batches on their way: what the script counts, written for Redis and read from it.

On a cluster a batch is one call for each slot in it. Must never know a URL or a connection: `asgi_guard.redis` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from asgi_guard.limiting.redis_batch import DONE, SCRIPT, Ask, read, write
from asgi_guard.limiting.store import Decision
from asgi_guard.redis.client import Client, Script

_COUNT: Final = Script(SCRIPT)


class Caller:
    """Counts one batch at a time.

    Args:
        client: runs the script.
    """

    __slots__ = ("_client",)

    def __init__(self, client: Client) -> None:
        self._client = client

    async def call(self, batch: Sequence[Ask], now_us: int | None) -> list[Decision]:
        """Run the script.

        Args:
            batch: 1 to 64 operations.
            now_us: the time, for tests; None for that of the server.

        Returns:
            A decision for each hit, peek and charge, `DONE` for what asked for none.

        Raises:
            Exception: whatever redis-py raises where that fails.
        """
        if not self._client.is_cluster:
            (answer,) = await self._client.run(_COUNT, [write(batch, now_us)])
            return read(batch, answer)
        by_slot: dict[int, list[int]] = {}
        for position, ask in enumerate(batch):
            by_slot.setdefault(self._client.slot_of(ask.key), []).append(position)
        groups = [[batch[position] for position in positions] for positions in by_slot.values()]
        answers = await self._client.run(_COUNT, [write(group, now_us) for group in groups])
        decisions = [DONE] * len(batch)
        for positions, group, answer in zip(by_slot.values(), groups, answers, strict=True):
            for position, decision in zip(positions, read(group, answer), strict=True):
                decisions[position] = decision
        return decisions

    def slot_of(self, key: bytes) -> int:
        """Return the slot of a key: hits are judged together where it is the same."""
        return self._client.slot_of(key)

    async def aclose(self) -> None:
        """Close the connection; a later call opens it again."""
        await self._client.aclose()
