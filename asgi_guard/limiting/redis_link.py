"""The link to Redis of one event loop: it gathers what requests ask, and stands in for Redis while that is away.

What arrives while a call is under way goes out as the next call, so that a busy process makes few calls and an idle one
waits for nothing. There is one connection, and so no pool that could run dry.

Rule 1: a batch runs in a task of its own, and each request waits for a future of its own. A request that is cancelled
cancels nobody else.
Rule 2: a call has one time limit. Once it fails, the circuit opens, all who wait are told at once, and those who come
after pay nothing. From then on one task at a time probes whether Redis is back, and no request waits for it.
Rule 3: connecting for the first time has a time limit of its own: a cold start is no failure.
Rule 4: time in which this loop did something else is not held against Redis. Who waits for a turn loses patience only
with the time that Redis takes: a busy application would be a way past the limits.
Rule 5: what is taken back or reset goes out in any case, whatever becomes of who asked for it.
Rule 6: nothing here blocks the loop or grows without bound.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextvars import Context
from time import thread_time
from typing import Final

from asgi_guard.events import Listener, announce
from asgi_guard.limiting.outage import Outage
from asgi_guard.limiting.rate import Limit
from asgi_guard.limiting.redis_batch import MAX_BATCH, Ask, Operation, Plan
from asgi_guard.limiting.redis_client import Caller
from asgi_guard.limiting.store import Decision
from asgi_guard.monitor.names import REDIS_BATCHES, REDIS_LINKS, REDIS_OPERATIONS, REDIS_TRANSITIONS
from asgi_guard.monitor.process import aggregate_of_process
from asgi_guard.monitor.tally import Standing, count
from asgi_guard.redis.limit import TimeLimit
from asgi_guard.resilience.circuit import FAILURE, NEUTRAL, SUCCESS, Circuit, Permit, State
from asgi_guard.resilience.events import CircuitChanged
from asgi_guard.resilience.policy import BreakerPolicy

MAX_WAITING: Final = 16_384
"""The requests that may wait for Redis at a time; those beyond are answered without it."""

PATIENCE: Final = 4
"""How many time limits of a call Redis may spend on others while a request waits for its turn."""

_POLICY: Final = BreakerPolicy(
    failure_threshold=1, recovery_timeout=0.25, recovery_growth=2.0, max_recovery_timeout=5.0, probe_lease=30.0
)
_PROBE: Final = Plan((Limit(1, 1),), "fixed")


class Link:
    """What one event loop has to do with one Redis.

    Args:
        caller: runs the script.
        outage: says in the log how Redis is; events call the circuit by its name.
        probe_key: a key that nothing else counts in; the circuit closes once it can be written.
        timeout_seconds: how long a call may take.
        connect_timeout_seconds: how long the first call may take, and a probe.
        listeners: told when the circuit changes its state.
        now_us: the time for the script, for tests; None for that of the server.
    """

    def __init__(
        self,
        caller: Caller,
        *,
        outage: Outage,
        probe_key: bytes,
        timeout_seconds: float,
        connect_timeout_seconds: float,
        listeners: Iterable[Listener] = (),
        now_us: Callable[[], int] | None = None,
    ) -> None:
        self._caller = caller
        self.slot_of: Callable[[bytes], int] = caller.slot_of
        self._outage = outage
        self._probe_key = probe_key
        self._timeout = timeout_seconds
        self._connect_timeout = connect_timeout_seconds
        self._listeners = tuple(listeners)
        self._now_us = now_us
        self._loop = asyncio.get_running_loop()
        self._circuit = circuit = Circuit(_POLICY)
        self._standing = Standing(REDIS_LINKS, REDIS_TRANSITIONS, lambda: circuit.state, circuit.state)
        self._batches = aggregate_of_process().series(REDIS_BATCHES, "success")
        self._operations = aggregate_of_process().series(REDIS_OPERATIONS)
        self._waiting: deque[Ask] = deque()
        self._task: asyncio.Task[None] | None = None
        self._probe: asyncio.Task[None] | None = None
        self._waited = 0.0  # for Redis, in seconds
        self._is_connected = False
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """Whether it has been closed, or its event loop."""
        return self._is_closed or self._loop.is_closed()

    async def ask(self, plan: Plan, key: bytes, operation: Operation, cost: int, at_ns: int = 0) -> Decision | None:
        """Ask Redis.

        Returns:
            What it decided, `DONE` for a refund and a reset; None where it did not answer, or was not to be asked.
        """
        if not self._is_to_be_asked(operation):
            return None
        asked = self._ask(plan, key, operation, cost, at_ns)
        self._queue([asked])
        try:
            return await asked.answered
        except asyncio.CancelledError:
            if not asked.answered.cancelled():  # the answer was on its way
                self._release(asked)
            raise

    def tell(
        self, plan: Plan, key: bytes, operation: Operation, cost: int, at_ns: int
    ) -> asyncio.Future[Decision | None] | None:
        """Ask for what nobody has to wait for, and return the answer to come; None if Redis is not to be asked."""
        if not self._is_to_be_asked(operation):
            return None
        asked = self._ask(plan, key, operation, cost, at_ns)
        self._queue([asked])
        return asked.answered

    async def ask_all(self, hits: Sequence[tuple[Plan, bytes, int, bool]]) -> list[Decision] | None:
        """Ask Redis to count all of these hits or none, in one call.

        Args:
            hits: 1 to 64 of them: the limits, the key in Redis, the cost (0 only asks), and whether its refusal refuses
                the others.

        Returns:
            What it decided; nothing is allowed if one was refused. None where it was not to be asked.
        """
        if not self._is_to_be_asked(Operation.HIT):
            return None
        answered: asyncio.Future[Decision | None] = self._loop.create_future()  # one for all
        asked: list[Ask] = []
        for joined, (plan, key, cost, is_enforced) in zip(range(len(hits) - 1, -1, -1), hits, strict=True):
            ask = Ask(plan, key, Operation.HIT if cost else Operation.PEEK, cost, 0, self._waited, answered)
            ask.joined, ask.is_shadow = joined, not is_enforced
            asked.append(ask)
        self._queue(asked)
        try:
            await answered
        except asyncio.CancelledError:
            if not answered.cancelled():  # the answer was on its way
                for ask in asked:
                    self._release(ask)
            raise
        return [ask.decision for ask in asked if ask.decision is not None] or None

    def _is_to_be_asked(self, operation: Operation) -> bool:
        if self._is_closed:
            return False
        if self._circuit.permit is None:
            self._probe_if_due()
            return False
        return len(self._waiting) < MAX_WAITING or operation >= Operation.REFUND  # of which hits are the bound

    async def aclose(self) -> None:
        """Answer what was asked, then stop; who asks later is told that Redis is not to be asked.

        Applications may share a store: one that shuts down takes no answer from the requests of the others.
        """
        ends = self._loop.time() + self._connect_timeout
        try:
            while self._task is not None and (left := ends - self._loop.time()) > 0:
                await asyncio.wait([self._task], timeout=left)  # who was answered may have asked for more
        finally:  # also if it is cancelled
            self._is_closed = True
            self._standing.leave()
            tasks = [task for task in (self._task, self._probe) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._give_up(())  # a task that is cancelled before it has begun tells nobody
            await self._caller.aclose()

    def _ask(self, plan: Plan, key: bytes, operation: Operation, cost: int, at_ns: int = 0) -> Ask:
        return Ask(plan, key, operation, cost, at_ns, self._waited, self._loop.create_future())

    def _queue(self, asked: Iterable[Ask]) -> None:
        self._waiting.extend(asked)
        if self._task is None:
            # A context of its own: the variables of one request are no business of the others.
            self._task = self._loop.create_task(self._work(), context=Context())

    def _release(self, asked: Ask) -> None:
        """Give back a lease that nobody is there to hold any more."""
        decision = asked.decision
        if asked.plan.is_lease and asked.operation is Operation.HIT and decision is not None and decision.allowed:
            self.tell(asked.plan, asked.key, Operation.REFUND, asked.cost, decision.at_ns)

    # Calls ------------------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        batch: list[Ask] = []
        try:
            while batch := self._next_batch():
                permit = self._circuit.permit
                if permit is None or not await self._is_served(batch, permit):
                    break
        finally:
            self._task = None
            self._give_up(batch)

    def _next_batch(self) -> list[Ask]:
        batch: list[Ask] = []
        waiting = self._waiting
        soonest = self._waited - PATIENCE * self._timeout
        while waiting and len(batch) + waiting[0].joined < MAX_BATCH:
            ask = waiting.popleft()
            if ask.operation >= Operation.REFUND or (ask.since >= soonest and not ask.answered.done()):
                batch.append(ask)
            elif not ask.answered.done():  # else it was cancelled
                ask.answered.set_result(None)
        return batch

    async def _is_served(self, batch: list[Ask], permit: Permit) -> bool:
        limit = self._timeout if self._is_connected else self._connect_timeout
        began, worked = self._loop.time(), thread_time()
        try:
            decisions = await self._call(batch, limit)
        except Exception as error:  # noqa: BLE001  whatever it is, a request must not fail for it
            self._report(permit, error)
            return False
        waited = self._loop.time() - began - (thread_time() - worked)
        if self._is_connected and waited <= limit:  # longer than it may take is what this loop has slept through
            self._waited += waited
        self._is_connected = True
        for ask, decision in zip(batch, decisions, strict=True):
            ask.decision = decision
            if ask.answered.done():
                self._release(ask)
            elif not ask.joined:
                ask.answered.set_result(decision)
        return True

    async def _call(self, batch: list[Ask], seconds: float) -> list[Decision]:
        """Make a call, within a time limit.

        Raises:
            Exception: it failed, or took too long.
        """
        self._operations.add(len(batch))
        try:
            async with TimeLimit(seconds):
                decisions = await self._caller.call(batch, None if self._now_us is None else self._now_us())
        except Exception:
            count(REDIS_BATCHES, "failure")
            raise
        self._batches.add()
        return decisions

    def _give_up(self, batch: Iterable[Ask]) -> None:
        """Tell all who wait that there is no answer."""
        if self._loop.is_closed():  # so nobody does
            return
        waiting, self._waiting = self._waiting, deque()
        for ask in (*batch, *waiting):
            if not ask.answered.done():
                ask.answered.set_result(None)

    # The circuit ------------------------------------------------------------------------------------------------------

    def _report(self, permit: Permit, error: Exception | None) -> None:
        if self._loop.is_closed():  # which is why there is no answer
            return
        before = self._circuit.state
        self._circuit.report(permit, SUCCESS if error is None else FAILURE, time.monotonic_ns())
        self._tell(before, error)

    def _tell(self, before: State, error: Exception | None) -> None:
        after = self._circuit.state
        if after is before:
            return
        self._standing.move(before, after)
        if error is not None:
            self._outage.begin(error)
        elif self._circuit.permit is not None:
            self._outage.end()
        announce(self._listeners, CircuitChanged(name=self._outage.name, before=before, after=after))

    def _probe_if_due(self) -> None:
        """Start a probe if it is time for one and none is under way."""
        now_ns = time.monotonic_ns()
        if (self._probe is not None and not self._probe.done()) or now_ns < self._circuit.until_ns:
            return
        before = self._circuit.state
        permit = self._circuit.admit(now_ns)
        self._tell(before, None)
        self._probe = None if permit is None else self._loop.create_task(self._try(permit), context=Context())

    async def _try(self, permit: Permit) -> None:
        """Find out whether Redis is back: connect anew, and write."""
        ask = Ask(_PROBE, self._probe_key, Operation.CHARGE, 1, 0, 0.0, self._loop.create_future())
        try:
            await self._caller.aclose()
            await self._call([ask], self._connect_timeout)
        except asyncio.CancelledError:
            self._circuit.report(permit, NEUTRAL, time.monotonic_ns())
            raise
        except Exception as error:  # noqa: BLE001  as with any call
            self._report(permit, error)
        else:
            self._is_connected = True
            self._report(permit, None)
