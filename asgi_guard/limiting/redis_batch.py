"""Batches: what many requests ask of Redis at the same time, written for `count.lua`, and its answer read back.

One call carries up to 64 operations, each under all limits of its bucket. Hits that are joined, as those of one request
under several policies are, are counted all or none, and go out in one call.
Must never open a connection or read a clock: this is only the format.
"""

from __future__ import annotations

from asyncio import Future
from collections.abc import Sequence
from enum import IntEnum
from math import gcd
from pathlib import Path
from struct import Struct
from typing import Final

from asgi_guard.limiting.algorithms import ALGORITHMS, algorithm_for
from asgi_guard.limiting.rate import Limit
from asgi_guard.limiting.store import Decision
from asgi_guard.limiting.strict import SLOTS

SCRIPT: Final = Path(__file__).with_name("count.lua").read_bytes()

MAX_BATCH: Final = 64
"""The operations of one call: more would hold Redis, which does one thing at a time, for longer than half a ms."""

MAX_COST: Final = 2**31 - 1
"""What a larger cost counts as: it is more than any limit admits either way."""

MAX_LIFE_SECONDS: Final = 100 * 366 * 86_400
"""The longest that a state may count: numbers in Redis are exact up to 2**53 microseconds."""

DONE: Final = Decision(True, 0, (), ())
"""The answer to what asks for none: it was carried out."""

_SHADOW: Final = 16
_JOINED: Final = 32
_REFUSED: Final = 1
_NEVER: Final = 2**53
_MICROSECOND_NS: Final = 1_000
_TIME: Final = Struct(">Q")
_RECORD: Final = Struct(">BBIQ")
_PLAN: Final = Struct(">BQ")
_LIMIT: Final = Struct(">QQQQ")


class Operation(IntEnum):
    """What is asked."""

    HIT = 1
    PEEK = 2
    CHARGE = 3
    REFUND = 4
    RESET = 5


class Plan:
    """The limits of a bucket as the script wants them.

    Args:
        limits: at least one limit.
        algorithm: a name in `ALGORITHMS`.

    Attributes:
        packed: the limits in bytes.
        answer: the numbers that come back for one operation.
        is_lease: a hit is given back when the work is done.

    Raises:
        ValueError: there are no limits, there is no such algorithm, or a state would count for more than 100 years.
    """

    __slots__ = ("answer", "is_lease", "packed")

    def __init__(self, limits: Sequence[Limit], algorithm: str) -> None:
        life_ns = algorithm_for(limits, algorithm).life_ns
        if life_ns > MAX_LIFE_SECONDS * 1_000_000_000:
            raise ValueError("a bucket in Redis forgets within 100 years; take a smaller burst or a larger amount")
        number = 1 + tuple(ALGORITHMS).index(algorithm)
        life_ms = -(-life_ns // 1_000_000)
        self.packed: bytes = _PLAN.pack(number, life_ms) + b"".join([_numbers(limit, algorithm) for limit in limits])
        self.answer: Struct = Struct(">" + "IQQB" * len(limits))
        self.is_lease: bool = algorithm == "concurrency"


class Ask:
    """One operation, and who waits for its answer.

    Args:
        plan: of the bucket.
        key: the key in Redis.
        operation: what is asked.
        cost: what it counts for.
        at_ns: of a refund, when the hit was.
        since: for how long Redis had been waited for when it was asked, in seconds.
        answered: is given the `Decision`, or None where there is no answer; not touched once it is cancelled. Hits that
            are joined have one, which is given that of the last.

    Attributes:
        decision: what was decided; None before, and where there is no answer.
        joined: how many of those that follow are judged together with it.
        is_shadow: it is a hit that refuses nothing but itself.
    """

    __slots__ = ("answered", "at_ns", "cost", "decision", "is_shadow", "joined", "key", "operation", "plan", "since")

    def __init__(  # noqa: PLR0917  one for each request, and names cost
        self,
        plan: Plan,
        key: bytes,
        operation: Operation,
        cost: int,
        at_ns: int,
        since: float,
        answered: Future[Decision | None],
    ) -> None:
        self.plan: Plan = plan
        self.key: bytes = key
        self.operation: Operation = operation
        self.cost: int = cost
        self.at_ns: int = at_ns
        self.since: float = since
        self.answered: Future[Decision | None] = answered
        self.decision: Decision | None = None
        self.joined: int = 0
        self.is_shadow: bool = False

    @property
    def code(self) -> int:
        """What is asked, as the script reads it."""
        return self.operation + (_JOINED if self.joined else 0) + (_SHADOW if self.is_shadow else 0)


def write(batch: Sequence[Ask], now_us: int | None = None) -> tuple[bytes | str | int, ...]:
    """Return the number of keys, the keys and the arguments of a call.

    Args:
        batch: 1 to 64 operations.
        now_us: the time, for tests; None for that of the server.
    """
    plans: dict[Plan, int] = {}
    records = b"".join(
        [
            _RECORD.pack(
                ask.code,
                plans.setdefault(ask.plan, len(plans)),
                min(ask.cost, MAX_COST),
                ask.at_ns // _MICROSECOND_NS,
            )
            for ask in batch
        ]
    )
    now = b"" if now_us is None else b"%d" % now_us
    return (len(batch), *[ask.key for ask in batch], now, records, *[plan.packed for plan in plans])


def read(batch: Sequence[Ask], answer: bytes) -> list[Decision]:
    """Read the answer to a call: a decision for each hit, peek and charge, `DONE` for what asked for none."""
    (now_us,) = _TIME.unpack_from(answer)
    now_ns = now_us * _MICROSECOND_NS
    offset = _TIME.size
    decisions: list[Decision] = []
    for ask in batch:
        if ask.operation >= Operation.REFUND:
            decisions.append(DONE)
            continue
        numbers = ask.plan.answer.unpack_from(answer, offset)
        offset += ask.plan.answer.size
        decisions.append(_decision(now_ns, numbers))
    return decisions


def _decision(now_ns: int, numbers: tuple[int, ...]) -> Decision:
    if len(numbers) == 4:
        remaining, reset_us, wait_us, word = numbers
        if not word:
            return Decision(True, now_ns, (remaining,), (reset_us * _MICROSECOND_NS,))
    resets_ns = tuple([reset_us * _MICROSECOND_NS for reset_us in numbers[1::4]])
    said = numbers[3::4]
    violated = tuple([position for position, word in enumerate(said) if word == _REFUSED])
    wait_us = max(numbers[2::4])
    wait_ns = None if wait_us == _NEVER else wait_us * _MICROSECOND_NS
    return Decision(not any(said), now_ns, numbers[0::4], resets_ns, wait_ns, violated)


def _numbers(limit: Limit, algorithm: str) -> bytes:
    """Return what the script computes with, in microseconds."""
    window_us = limit.seconds * 1_000_000
    if algorithm == "gcra":
        burst = limit.amount if limit.burst is None else limit.burst
        common = gcd(limit.amount, window_us)
        hit, rate = window_us // common, limit.amount // common
        return _LIMIT.pack(burst, hit, rate, -(-burst * hit // rate))
    return _LIMIT.pack(limit.amount, window_us if algorithm == "fixed" else window_us // SLOTS, 0, 0)
