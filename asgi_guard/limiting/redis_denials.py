"""Denials: what Redis has refused, and until when it would refuse it again.

A client that goes on asking is answered from here, with the times that are left, and Redis gets no command. Only what
is certain is remembered: a denial of some cost holds for that cost, until anything of the key comes back by itself.

Another process may take back a hit or reset the key. The script publishes that (`count.lua`), and a process that hears
it forgets the denial within milliseconds. A process that has not heard from Redis for a second, and whatever the script
does not publish, falls back on this: a denial is repeated for a second at most. Who deletes keys by hand, flushes the
server or lets it evict them publishes nothing; so Redis is asked again every five seconds in any case.
Must never hold more keys than it was told, and never walk them all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

from asgi_guard.limiting.store import Decision
from asgi_guard.monitor.names import REDIS_DENIALS
from asgi_guard.monitor.process import aggregate_of_process

HELD_NS: Final = 1_000_000_000
"""The longest that a denial is repeated where nobody would tell that it has ended."""

ASKED_AGAIN_NS: Final = 5_000_000_000
"""The longest that a denial is repeated at all."""


class Ear(Protocol):
    """Knows what was heard from Redis; `asgi_guard.redis.news.Topic` is one."""

    def covers(self, moment_ns: int, now_ns: int) -> bool:
        """Tell whether all was heard that was published from a moment until a second ago."""
        ...

    def want(self, until_ns: int) -> None:
        """Say until when `covers` will be asked."""
        ...


class _Denial(NamedTuple):
    asked_ns: int
    at_ns: int
    until_ns: int
    cost: int
    decision: Decision


class Denials:
    """The denials of one store in this process. All times are of its monotonic clock.

    Args:
        most: how many keys it holds, at least 1.
        ear: gives that of the event loop that runs.
    """

    __slots__ = ("_by_key", "_ear", "_forgot_ns", "_most", "_repeated")

    def __init__(self, most: int, ear: Callable[[], Ear]) -> None:
        self._most = most
        self._ear = ear
        self._by_key: OrderedDict[bytes, _Denial] = OrderedDict()  # a dict would be searched for its first key
        self._forgot_ns = -1
        self._repeated = aggregate_of_process().series(REDIS_DENIALS)

    def __len__(self) -> int:
        """How many keys it holds."""
        return len(self._by_key)

    def recall(self, key: bytes, cost: int, now_ns: int) -> Decision | None:
        """Return what is known to be refused now, with the times that are left."""
        denial = self._by_key.get(key)
        if denial is None:
            return None
        if now_ns >= denial.until_ns:
            self._by_key.pop(key, None)
            return None
        if cost != denial.cost:  # how long that one would have to wait is not known
            return None
        passed_ns = now_ns - denial.at_ns
        if passed_ns >= HELD_NS and not self._ear().covers(denial.asked_ns, now_ns):
            return None
        self._repeated.add()
        was = denial.decision
        resets_ns = tuple([max(reset_ns - passed_ns, 0) for reset_ns in was.reset_after_ns])
        retry_ns = None if was.retry_after_ns is None else was.retry_after_ns - passed_ns
        return Decision(False, was.at_ns + passed_ns, was.remaining, resets_ns, retry_ns, was.violated)

    def note(self, key: bytes, cost: int, decision: Decision, asked_ns: int, now_ns: int) -> None:
        """Remember what was refused just now.

        Args:
            key: whose hit it was.
            cost: of the hit.
            decision: what Redis said.
            asked_ns: when it was asked. What was forgotten since may have been refused before, so nothing is noted.
            now_ns: when it had answered.
        """
        if asked_ns <= self._forgot_ns:
            return
        waits_ns = [wait_ns for wait_ns in (*decision.reset_after_ns, decision.retry_after_ns or 0) if wait_ns]
        # A hit that comes back is published only where nothing was left at all: a larger one may fit again unheard.
        longest_ns = ASKED_AGAIN_NS if 0 in decision.remaining else HELD_NS
        until_ns = asked_ns + min([longest_ns, *waits_ns])  # early, never late: Redis decided after it was asked
        while len(self._by_key) >= self._most and key not in self._by_key:
            with suppress(KeyError):  # other threads have forgotten them all
                self._by_key.popitem(last=False)  # it is only asked about again
        self._by_key[key] = _Denial(asked_ns, now_ns, until_ns, cost, decision)
        if until_ns - now_ns > HELD_NS:
            self._ear().want(until_ns)

    def forget(self, key: bytes, now_ns: int) -> None:
        """Forget what was refused to a key, also by answers that are still on their way."""
        self._forgot_ns = now_ns
        self._by_key.pop(key, None)

    def forget_all(self, now_ns: int) -> None:
        """Forget everything: who opens a store anew, such as the next test, asks Redis how it stands."""
        self._forgot_ns = now_ns
        self._by_key.clear()
