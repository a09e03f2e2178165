"""The algorithms by name, several limits as one, and what becomes of a state when the limits change.

| name          | in any window of length W, both ends counted  | how a client feels it                                |
|---------------|-----------------------------------------------|------------------------------------------------------|
| `strict`      | at most N                                     | what was used in a tenth of a window returns at once |
| `gcra`        | at most N + burst                             | smooth: one returns every W/N                        |
| `fixed`       | at most 2N                                    | all return W after the first                         |
| `concurrency` | at most N at a time, released or W later      | one returns when one ends                            |

Each is exact, and none lets refused hits count. Their files say what they cost and prove it by what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from asgi_guard.limiting.concurrency import Concurrency
from asgi_guard.limiting.counting import EMPTY, Counting, Look, Taken
from asgi_guard.limiting.fixed import Fixed
from asgi_guard.limiting.gcra import Gcra
from asgi_guard.limiting.rate import Limit
from asgi_guard.limiting.strict import Strict


class Several:
    """Several limits over one key, all or nothing: their states stand side by side in one int.

    Args:
        parts: the algorithm of each limit, in the order of the results.

    Attributes:
        fields: the algorithm of each limit, with the offset and the mask of its state in the joined one.
    """

    __slots__ = ("bits", "fields", "life_ns")

    def __init__(self, parts: Sequence[Counting]) -> None:
        fields: list[tuple[Counting, int, int]] = []
        self.bits: int = 0
        for part in parts:
            fields.append((part, self.bits, (1 << part.bits) - 1))
            self.bits += part.bits
        self.fields: tuple[tuple[Counting, int, int], ...] = tuple(fields)
        self.life_ns: int = max(part.life_ns for part in parts)

    def take(self, state: int, now_ns: int, cost: int) -> Taken | None:
        joined = EMPTY
        remaining: tuple[int, ...] = ()
        reset_ns: tuple[int, ...] = ()
        for part, offset, mask in self.fields:
            taken = part.take(state >> offset & mask, now_ns, cost)
            if taken is None:
                return None
            joined |= taken[0] << offset
            remaining += taken[1]
            reset_ns += taken[2]
        return joined, remaining, reset_ns

    def charge(self, state: int, now_ns: int, cost: int) -> int:
        joined = EMPTY
        for part, offset, mask in self.fields:
            joined |= part.charge(state >> offset & mask, now_ns, cost) << offset
        return joined

    def look(self, state: int, now_ns: int, cost: int) -> Look:
        remaining: tuple[int, ...] = ()
        reset_ns: tuple[int, ...] = ()
        retry_ns: tuple[int | None, ...] = ()
        for part, offset, mask in self.fields:
            look = part.look(state >> offset & mask, now_ns, cost)
            remaining += look[0]
            reset_ns += look[1]
            retry_ns += look[2]
        return remaining, reset_ns, retry_ns

    def refund(self, state: int, at_ns: int, cost: int) -> int:
        joined = EMPTY
        for part, offset, mask in self.fields:
            joined |= part.refund(state >> offset & mask, at_ns, cost) << offset
        return joined


ALGORITHMS: Final[Mapping[str, Callable[[Limit], Counting]]] = MappingProxyType(
    {"strict": Strict, "gcra": Gcra, "fixed": Fixed, "concurrency": Concurrency}
)
"""How hits are counted under one limit, by the name that settings use."""


def algorithm_for(limits: Sequence[Limit], name: str) -> Counting | Several:
    """Make the algorithm that counts under these limits.

    Args:
        limits: at least one limit.
        name: a name in `ALGORITHMS`.

    Raises:
        ValueError: there is no such algorithm, there are no limits, or one has a burst and the algorithm is not `gcra`.
    """
    if name not in ALGORITHMS:
        raise ValueError(f"{name!r} is not an algorithm; they are: {', '.join(ALGORITHMS)}")
    if not limits:
        raise ValueError("a bucket needs at least one limit")
    for limit in limits:
        if limit.burst is not None and name != "gcra":
            raise ValueError(f"{limit.name!r} has a burst, which only 'gcra' knows; {name!r} does not")
    parts = [ALGORITHMS[name](limit) for limit in limits]
    return parts[0] if len(parts) == 1 else Several(parts)


def carrier(previous: Counting | Several, following: Counting | Several) -> Callable[[int, int], int] | None:
    """Return what turns states under previous limits, and when those changed, into states under those that follow.

    A limit goes on with what was used under one of the same algorithm and window. What is more than its own amount is
    forgotten, the oldest first. A limit with no such predecessor starts anew; where all do, it returns None.
    """
    pairs: list[tuple[Counting, int, Counting, int, int]] = []
    for part, offset, _ in _fields(following):
        for old, old_offset, mask in _fields(previous):
            if type(old) is type(part) and old.window_ns == part.window_ns:
                pairs.append((part, offset, old, old_offset, mask))
                break
    if not pairs:
        return None

    def carry(state: int, at_ns: int) -> int:
        joined = EMPTY
        for part, offset, old, old_offset, mask in pairs:
            joined |= part.adopt(old, state >> old_offset & mask, at_ns) << offset
        return joined

    return carry


def _fields(algorithm: Counting | Several) -> tuple[tuple[Counting, int, int], ...]:
    return algorithm.fields if isinstance(algorithm, Several) else ((algorithm, 0, -1),)
