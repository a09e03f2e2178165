"""Together: the hits of one request under several policies, counted in Redis under all of them or under none.

One server is asked once. In a cluster one call touches one slot, and each client has its own: there the slots are asked
in order, until one refuses, and what was counted before is given back then.
Rule 1: nobody is asked while one of the hits is known to be refused, and nothing is told of the others then.
Rule 2: whoever is cancelled in between leaves nothing behind.
Rule 3: of a key that is hit twice, no denial is remembered: the first hit, which did not count in the end, may have
been what was in the way of the second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from time import monotonic_ns
from typing import TYPE_CHECKING, cast

from asgi_guard.limiting.redis_batch import MAX_BATCH
from asgi_guard.limiting.redis_link import Link
from asgi_guard.limiting.store import Decision, Hit, Key, checked_cost

if TYPE_CHECKING:
    from asgi_guard.limiting.redis import RedisBucket


async def hit_all(link: Link, hits: Sequence[Hit]) -> list[Decision | None]:
    """Count all hits or none; see `store.AsyncStore`.

    Args:
        link: where they are counted.
        hits: at least one; a call carries 64 of them at most.

    Returns:
        What was decided; None for those that were not asked, or not counted in the end, since others refuse.

    Raises:
        TypeError: a cost is not a whole number.
        ValueError: a cost is negative.
    """
    digests: dict[Key, bytes] = {}  # one client's key stands under several policies
    names: set[bytes] = set()
    asked: list[_Asked] = []
    for hit in hits:
        digest = digests.get(hit.key)
        if digest is None:
            digest = digests[hit.key] = cast("RedisBucket", hit.bucket).digest_of(hit.key)
        asked.append(_Asked(hit, digest))
        names.add(asked[-1].name)
    is_certain = len(names) == len(asked)
    now_ns = monotonic_ns()
    refused = [one for one in asked if one.is_known_to_refuse(now_ns)]
    if refused:
        return [one.decision for one in asked]
    counted: list[_Asked] = []
    try:
        for group in _groups(asked, link.slot_of):
            answers = await link.ask_all([(one.bucket.plan, one.name, one.cost, one.is_enforced) for one in group])
            for position, one in enumerate(group):
                one.take(None if answers is None else answers[position], now_ns, is_certain=is_certain)
            counted += group
            if any(one.is_refusing for one in group):
                _give_back(link, counted)
                break
    except BaseException:
        _give_back(link, counted)
        raise
    return [one.decision for one in asked]


class _Asked:
    """One of the hits, on its way."""

    __slots__ = ("bucket", "cost", "decision", "is_enforced", "key", "name")

    def __init__(self, hit: Hit, digest: bytes) -> None:
        self.bucket = cast("RedisBucket", hit.bucket)
        self.key = hit.key
        self.name = self.bucket.name_by(digest)
        self.cost = checked_cost(hit.cost)
        self.is_enforced = hit.is_enforced
        self.decision: Decision | None = None

    @property
    def is_refusing(self) -> bool:
        """Whether none of the hits may count, because of it."""
        return self.is_enforced and self.decision is not None and not self.decision.allowed

    def is_known_to_refuse(self, now_ns: int) -> bool:
        """Look for what was refused before."""
        if self.is_enforced:
            self.decision = self.bucket.recall(self.name, self.cost, now_ns)
        return self.is_refusing

    def take(self, answer: Decision | None, asked_ns: int, *, is_certain: bool) -> None:
        """Note what Redis has decided."""
        self.decision = self.bucket.taken(self.key, self.name, self.cost, answer, asked_ns, is_certain=is_certain)


def _groups(asked: Iterable[_Asked], slot_of: Callable[[bytes], int]) -> Iterable[list[_Asked]]:
    """Give those that go in one call."""
    by_slot: dict[int, list[_Asked]] = {}
    for one in asked:
        by_slot.setdefault(slot_of(one.name), []).append(one)
    for group in by_slot.values():
        yield from [group[first : first + MAX_BATCH] for first in range(0, len(group), MAX_BATCH)]


def _give_back(link: Link, counted: Iterable[_Asked]) -> None:
    """Undo what was counted, and tell nothing of it."""
    for one in counted:
        if one.decision is not None and one.decision.allowed:
            one.bucket.give_back(link, one.key, one.decision.at_ns, one.cost)
            one.decision = None
