"""Replicas of one circuit, in the words of `shared.lua`: what one says in an event loop, and what it hears.

Must never raise because Redis is away, and never make a call wait for it, but one that would be refused otherwise.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from pathlib import Path
from secrets import token_hex
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

from asgi_guard.redis.client import Script
from asgi_guard.redis.limit import TimeLimit
from asgi_guard.redis.news import FOREVER_NS
from asgi_guard.redis.server import Server
from asgi_guard.resilience.circuit import State
from asgi_guard.resilience.policy import BreakerPolicy
from asgi_guard.resilience.windows import TimeWindow

SCRIPT: Final = Script(Path(__file__).with_name("shared.lua").read_bytes())

STATES: Final = (
    State.CLOSED,
    State.OPEN,
    State.HALF_OPEN,
    State.FORCED_OPEN,
    State.DISABLED,
    State.METRICS_ONLY,
)
"""As the script numbers them; that one replica recovers is no business of others."""

MAX_WAITING: Final = 1_024
"""The calls that wait for a lease at a time; those beyond are refused."""

MAX_UNSAID: Final = 256
"""What waits to be said; of more than that, the oldest is forgotten."""

COUNTING_SECONDS: Final = 0.1
"""How long replicas have to tell how their windows stand, before the circuit opens for what all of them have seen."""

_TOLD: Final = Struct(">QBQQIB")
_WANTED: Final = ("", "count", "judge")
_MICROSECOND_NS: Final = 1_000
_SECOND_US: Final = 1_000_000
_MEMORY_SECONDS: Final = 3_600.0  # for how long the window of a replica counts that has died since

Words: TypeAlias = tuple[str, int, str | int, str]
"""What is said to the script: what, the version that is known, and two arguments."""


class Told(NamedTuple):
    """How things stand with a circuit in Redis.

    Attributes:
        version: grows with each change of state.
        state: of the circuit.
        wait_ns: until it makes sense to ask again.
        open_ns: how long it opened for.
        admitted: how many of those who asked may probe.
        wanted: what is to be said now: nothing, `count`, or, after a while, `judge`.
    """

    version: int
    state: State
    wait_ns: int
    open_ns: int
    admitted: int
    wanted: str = ""

    @classmethod
    def read(cls, packed: bytes) -> Told | None:
        """Read what the script returns and publishes; None if somebody else has published it."""
        if len(packed) != _TOLD.size:
            return None
        version, state, wait_us, open_us, admitted, wanted = _TOLD.unpack(packed)
        if state >= len(STATES) or wanted >= len(_WANTED):
            return None
        wait_ns, open_ns = wait_us * _MICROSECOND_NS, open_us * _MICROSECOND_NS
        return cls(version, STATES[state], wait_ns, open_ns, admitted, _WANTED[wanted])


class Lease(NamedTuple):
    """What a probe holds.

    Attributes:
        name: of the lease; empty where none is needed, or nobody can be asked for one.
        version: of the circuit that is probed.
    """

    name: str
    version: int


NO_LEASE: Final = Lease("", 0)


def settings_of(policy: BreakerPolicy) -> tuple[str | int, ...]:
    """Return a policy as the script reads it."""
    window = policy.window
    memory = window.seconds if isinstance(window, TimeWindow) else _MEMORY_SECONDS
    return (
        policy.failure_threshold,
        repr(policy.failure_rate),
        repr(policy.slow_call_rate),
        round(memory * _SECOND_US),
        round(policy.recovery_timeout * _SECOND_US),
        repr(policy.recovery_growth),
        round(policy.longest_open * _SECOND_US),
        round(policy.probe_lease * _SECOND_US),
        policy.half_open_max,
        policy.success_threshold,
    )


class Post:
    """What one event loop says about one circuit, and hears.

    Args:
        server: where it is kept.
        key: of the circuit.
        replica: the name that it speaks under.
        settings: from `settings_of`.
        version: tells which version of the circuit is known.
        follow: is told how things stand; and if that is an answer, which version was known when it was asked for.
    """

    __slots__ = (
        "_follow",
        "_key",
        "_line",
        "_loop",
        "_news",
        "_replica",
        "_settings",
        "_task",
        "_timeout",
        "_unsaid",
        "_version",
        "_waiting",
    )

    def __init__(
        self,
        server: Server,
        key: bytes,
        replica: str,
        *,
        settings: tuple[str | int, ...],
        version: Callable[[], int],
        follow: Callable[[Told, int | None], object],
    ) -> None:
        self._key = key
        self._settings = settings
        self._version = version
        self._follow = follow
        self._loop = asyncio.get_running_loop()
        self._timeout = server.timeout_seconds
        self._line = server.line()
        self._news = server.news()
        self._replica = replica
        self._unsaid: deque[Words] = deque(maxlen=MAX_UNSAID)
        self._waiting: list[asyncio.Future[Lease | None]] = []
        self._task: asyncio.Task[None] | None = None
        self._news.topic(key, self._hear).want(FOREVER_NS)

    @property
    def is_closed(self) -> bool:
        """Whether it hears nothing any more."""
        return self._news.is_closed

    @property
    def is_away(self) -> bool:
        """Whether Redis is not to be asked now."""
        return self._line.is_away

    def say(self, words: Words) -> None:
        """Say something, in the background."""
        self._unsaid.append(words)
        self._begin()

    def say_from_elsewhere(self, words: Words) -> bool:
        """Say something, from another thread; tell whether its event loop still runs."""
        is_heard = not self.is_closed and self._loop.is_running()
        if is_heard:
            with suppress(RuntimeError):  # it has ended in this very moment
                self._loop.call_soon_threadsafe(self.say, words)
        return is_heard

    async def lease(self) -> Lease | None:
        """Ask for the lease of a probe.

        Returns:
            The lease; `NO_LEASE` where nobody has answered in time, or the circuit is not to be probed; None for no.
        """
        if len(self._waiting) >= MAX_WAITING:
            return None
        answer: asyncio.Future[Lease | None] = self._loop.create_future()
        self._waiting.append(answer)
        self._begin()
        try:
            async with TimeLimit(self._timeout):
                try:
                    lease = await answer
                except asyncio.CancelledError:
                    if not answer.cancelled():  # it was on its way
                        self.give_back(answer.result())
                    raise
        except TimeoutError:
            return NO_LEASE
        return lease

    def give_back(self, lease: Lease | None) -> None:
        """Give back the lease of a probe that is not made, if there is one."""
        if lease is not None and lease.name:
            self.say(("done", lease.version, lease.name, "neutral"))

    async def aclose(self) -> None:
        """Stop; who waits goes by the own circuit."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self._unsaid.clear()
        self._answer(self._waiting, None, "")
        self._waiting = []

    def _begin(self) -> None:
        if self._task is None:
            # A context and a task of its own: a call that is cancelled cancels nobody else.
            self._task = self._loop.create_task(self._work(), context=Context())

    async def _work(self) -> None:
        while self._unsaid or self._waiting:
            if self._unsaid:
                await self._tell(self._unsaid.popleft())
                continue
            asked, self._waiting = self._waiting, []
            name = token_hex(8)
            try:
                told = await self._tell(("claim", self._version(), sum(not one.done() for one in asked), name))
            except asyncio.CancelledError:
                self._answer(asked, None, name)
                raise
            self._answer(asked, told, name)
        self._task = None

    def _answer(self, asked: list[asyncio.Future[Lease | None]], told: Told | None, name: str) -> None:
        """Give those who ask what they get: the first of them the leases, if it is a time for probes."""
        left = 0 if told is None else told.admitted
        for answer in asked:
            if answer.done():
                continue
            if told is None or told.state is not State.HALF_OPEN:
                answer.set_result(NO_LEASE)
            elif left:
                answer.set_result(Lease(f"{name}:{left}", told.version))
                left -= 1
            else:
                answer.set_result(None)
        for number in range(left, 0, -1):  # some have gone meanwhile
            self.give_back(Lease(f"{name}:{number}", 0 if told is None else told.version))

    async def _tell(self, words: Words) -> Told | None:
        packed = await self._line.ask(SCRIPT, (1, self._key, b"", self._replica, *words, *self._settings))
        told = None if packed is None else Told.read(packed)
        if told is not None:
            self._follow(told, words[1])
        return told

    def _hear(self, message: bytes | None) -> None:
        if message is None:  # whatever was told before, nobody has heard
            self._line.revive()
            self.say(("look", self._version(), "", ""))
            return
        told = Told.read(message)
        if told is not None:
            self._follow(told, None)
