"""Circuit breaker: leaves a dependency alone that fails, so that it can recover, and its callers need not wait for it.

    payments = circuit_breaker(failure_threshold=5, recovery_timeout=60.0, name="payments")

    @payments
    async def charge(order): ...

    async with payments: ...            # or `with`
    await payments.call(charge, order)

What decides is in `circuit.py`, as a table; here are the lock, the clock, and who is told. Works in `async def`, on
asyncio and trio, and in plain functions in any thread, also by turns.
Must never await anything, and never tell a listener, while it holds its lock.

A failure is any `Exception` but a `GuardError` whose status is below 500: an answer that says "no" is an answer. A
cancellation, and what a policy on this side refused, say nothing about the other side.

| id    | rule that was broken                   |
|-------|----------------------------------------|
| AG614 | `recovery` is a `Recovery`             |
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from functools import partial
from inspect import isawaitable
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.events import Listener, announce, check_listeners
from asgi_guard.resilience.around import Around, AsyncFunction, PlainFunction, is_async, name_of, refuse_awaitable
from asgi_guard.resilience.attempt import Attempt
from asgi_guard.resilience.calls import Calls
from asgi_guard.resilience.circuit import FAILURE, NEUTRAL, SLOW, SLOW_FAILURE, SUCCESS, Circuit, Permit, State, Trigger
from asgi_guard.resilience.errors import CircuitOpenError, is_failure, was_refused_here
from asgi_guard.resilience.events import CircuitChanged
from asgi_guard.resilience.matching import Which, check_which, matcher
from asgi_guard.resilience.policy import BreakerPolicy
from asgi_guard.resilience.recovery import Recovery
from asgi_guard.settings import Problems

if TYPE_CHECKING:  # with asyncio, which a circuit that is not shared does without
    from asgi_guard.resilience.shared import InRedis, Shared

T = TypeVar("T")

logger: logging.Logger = logging.getLogger("asgi_guard")

_SECOND: Final = 1_000_000_000


class CircuitBreaker(Around):
    """One circuit: a decorator, a context manager, and an object that can be asked and told.

    Args:
        name: for events, errors and the log, at most 128 characters; that of the function where none is given.
        policy: when it opens, for how long, and what closes it.
        on: which exceptions are failures: classes, or a function that tells.
        fallback: called instead, with the same arguments, where the circuit is open; for decorated functions.
        recovery: run when the recovery timeout has passed, before the first probe.
        listeners: told each change of state.
        clock: tells the time.
        shared: a `RedisStore` or a URL of Redis, over which all replicas with this name and policy share their circuit:
            see `shared.py` for what they share. It guards only what is `async def` on asyncio then.

    Raises:
        ConfigError: a value is wrong.
        MissingExtraError: the circuit is shared, and redis-py is not installed.
    """

    __slots__ = (
        "_circuit",
        "_fallback",
        "_is_failure",
        "_listeners",
        "_lock",
        "_recovery",
        "_shared",
        "_slow_ns",
        "calls",
        "name",
        "now_ns",
        "policy",
    )

    def __init__(
        self,
        name: str = "",
        policy: BreakerPolicy | None = None,
        *,
        on: Which[bool] = is_failure,
        fallback: Callable[..., Any] | None = None,
        recovery: Recovery | None = None,
        listeners: Iterable[Listener] = (),
        clock: Clock = SYSTEM_CLOCK,
        shared: InRedis | str | None = None,
    ) -> None:
        problems = Problems("circuit_breaker")
        if name != "":
            problems.text("name", name, max_length=128)
        check_which(problems, "on", on)
        if fallback is not None:
            problems.callable("fallback", fallback)
        if recovery is not None and not isinstance(recovery, Recovery):  # pyright: ignore[reportUnnecessaryIsInstance]
            rule, remedy = "must be a Recovery", 'Write Recovery("database", reconnect=pool.reset), say.'
            problems.add("AG614", "recovery", recovery, rule, remedy)
        heard_by = check_listeners(problems, listeners)
        problems.raise_if_any()
        self.name: str = name
        self.policy: BreakerPolicy = policy or BreakerPolicy()
        slow = self.policy.slow_call_seconds
        self._slow_ns = None if slow is None else round(slow * _SECOND)
        self._is_failure = matcher(on)
        self._fallback = fallback
        self._recovery = recovery
        self._listeners = heard_by
        self.now_ns: Callable[[], int] = clock.monotonic_ns
        self._lock = Lock()
        self._circuit = Circuit(self.policy, recovers=recovery is not None)
        self.calls: Calls = Calls(self._circuit, name)
        self._shared: Shared | None = None
        if shared is not None:
            from asgi_guard.resilience.shared import share

            self._shared = share(shared, name, self.policy, self._circuit, partial(self._do, shared=True))

    @property
    def state(self) -> State:
        """What it does with a call; after its recovery timeout an open circuit is open until somebody calls."""
        return self._circuit.state

    @property
    def generation(self) -> int:
        """How often it has changed its state."""
        return self._circuit.generation

    def force_open(self) -> None:
        """Refuse all calls until `reset`."""
        self._command(Trigger.FORCE_OPEN)

    def disable(self) -> None:
        """Let all calls through and judge by none, until `reset`."""
        self._command(Trigger.DISABLE)

    def metrics_only(self) -> None:
        """Let all calls through and watch them, until `reset`."""
        self._command(Trigger.WATCH)

    def reset(self) -> None:
        """Close it, and forget everything."""
        self._command(Trigger.RESET)

    def around_async(self, function: AsyncFunction) -> AsyncFunction:
        """Put the circuit around an `async def`; one without a name takes that of the function."""
        self.name = self.calls.name = self.name or name_of(function)
        circuit, calls, fallback, now_ns = self._circuit, self.calls, self._fallback, self.now_ns
        is_timed, is_shared = self._slow_ns is not None, self._shared is not None

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            permit = circuit.permit
            if permit is None or is_shared:
                try:
                    permit = await self.enter()
                except CircuitOpenError:
                    if fallback is None:
                        raise
                    instead = fallback(*args, **kwargs)
                    return await instead if isawaitable(instead) else instead
            began_ns = now_ns() if is_timed else 0
            try:
                result = await function(*args, **kwargs)
            except BaseException as exc:
                self.leave(permit, began_ns, exc)
                raise
            if circuit.is_calm and permit is circuit.permit and not is_timed:
                calls.success += 1
                calls.succeed()
            else:
                self.leave(permit, began_ns)
            return result

        return guarded

    def around_plain(self, function: PlainFunction) -> PlainFunction:
        """Put the circuit around a plain function; one without a name takes that of the function.

        Raises:
            ConfigError: the fallback or an action of the recovery is `async def`.
        """
        self.check_plain()
        self.name = self.calls.name = self.name or name_of(function)
        circuit, calls, fallback, now_ns = self._circuit, self.calls, self._fallback, self.now_ns
        is_timed = self._slow_ns is not None

        def guarded(*args: Any, **kwargs: Any) -> Any:
            permit = circuit.permit
            if permit is None:
                try:
                    permit = self.enter_plain()
                except CircuitOpenError:
                    if fallback is None:
                        raise
                    return fallback(*args, **kwargs)
            began_ns = now_ns() if is_timed else 0
            try:
                result = function(*args, **kwargs)
                refuse_awaitable(result, function)
            except BaseException as exc:
                self.leave(permit, began_ns, exc)
                raise
            if circuit.is_calm and permit is circuit.permit and not is_timed:
                calls.success += 1
                calls.succeed()
            else:
                self.leave(permit, began_ns)
            return result

        return guarded

    def check_plain(self) -> None:
        """Check that all that is called on behalf of a plain function is plain.

        Raises:
            ConfigError: the fallback or an action of the recovery is `async def`.
        """
        problems = Problems("circuit_breaker")
        rule, remedy = "must be plain around a plain function", "Make it plain, or what is guarded `async def`."
        if is_async(self._fallback):
            problems.add("AG601", "fallback", self._fallback, rule, remedy)
        if self._recovery is not None and self._recovery.is_async:
            problems.add("AG601", "recovery", self._recovery, rule, remedy)
        if self._shared is not None:
            rule, remedy = "guards what is `async def`", "Guard an `async def`, or leave `shared` out."
            problems.add("AG441", "shared", "", rule, remedy)
        problems.raise_if_any()

    async def enter(self) -> Permit:
        """Ask to make a call; what is returned goes to `leave`, exactly once.

        Raises:
            CircuitOpenError: the circuit does not let it through.
            ConfigError: it is shared, and this is not asyncio.
        """
        shared = self._shared
        if shared is None:
            return await self._enter()
        lease = await shared.ask(self.now_ns())
        if lease is None:
            raise self._open_error()
        try:
            permit = await self._enter()
        except BaseException:
            shared.give_back(lease)
            raise
        if lease.name:
            shared.hold(permit, lease)
        return permit

    async def _enter(self) -> Permit:
        permit = self._admitted(self._circuit.admit)
        if permit.recovers and self._recovery is not None:
            try:
                await self._recovery.run()
            except BaseException:
                self._do(self._circuit.report, permit, NEUTRAL)
                raise
            permit = self._admitted(self._circuit.recovered, permit)
        return permit

    def enter_plain(self) -> Permit:
        """Ask to make a call in a plain function; what is returned goes to `leave`, exactly once.

        Raises:
            CircuitOpenError: the circuit does not let it through.
        """
        permit = self._admitted(self._circuit.admit)
        if permit.recovers and self._recovery is not None:
            try:
                self._recovery.run_plain()
            except BaseException:
                self._do(self._circuit.report, permit, NEUTRAL)
                raise
            permit = self._admitted(self._circuit.recovered, permit)
        return permit

    def leave(self, permit: Permit, began_ns: int, exc: BaseException | None = None) -> None:
        """Say how a call ended.

        Args:
            permit: what it was admitted with.
            began_ns: when it began; looked at only where there are slow calls.
            exc: what it raised.
        """
        circuit, calls, slow_ns, now_ns = self._circuit, self.calls, self._slow_ns, self.now_ns()
        is_slow = slow_ns is not None and now_ns - began_ns >= slow_ns
        if exc is None and not is_slow and permit is circuit.permit:
            window = circuit.window
            if circuit.is_calm or now_ns < window.calm_until_ns:
                window.quick += 1
                calls.succeeded()
                return
        if exc is not None and (not isinstance(exc, Exception) or was_refused_here(exc)):
            outcome = NEUTRAL
            calls.note("neutral")
        elif exc is not None and self._speaks_against(exc):
            outcome = SLOW_FAILURE if is_slow else FAILURE
            calls.note("failure")
        elif is_slow:
            outcome = SLOW
            calls.note("slow")
        else:
            outcome = SUCCESS
            calls.succeeded()
        is_heard = permit.generation == circuit.generation
        self._do(circuit.report, permit, outcome)
        if self._shared is not None:
            self._shared.leave(permit, outcome, now_ns, is_heard=is_heard)

    def _speaks_against(self, exc: Exception) -> bool:
        try:
            return bool(self._is_failure(exc))
        except Exception:
            # Whatever happens in there, a permit is given back: else a probe would be held for as long as its lease.
            logger.exception("The circuit %r could not tell whether %s is a failure.", self.name, type(exc).__name__)
            return True

    def _admitted(self, ask: Callable[..., Permit | None], *args: Permit) -> Permit:
        permit = self._do(ask, *args)
        if permit is None:
            raise self._open_error()
        return permit

    def _open_error(self) -> CircuitOpenError:
        self.calls.note("rejected")
        return CircuitOpenError(self.name, self._circuit.wait_ns(self.now_ns()) / _SECOND)

    def _command(self, trigger: Trigger) -> None:
        self._do(self._circuit.command, trigger)
        if self._shared is not None:
            self._shared.command(trigger)

    def _do(self, action: Callable[..., T], *args: object, shared: bool = False) -> T:
        circuit = self._circuit
        with self._lock:
            before = circuit.state
            result = action(*args, self.now_ns())
            after = circuit.state
        if after is not before:
            self.calls.move(before, after)
            self._log(before, after)
            announce(self._listeners, CircuitChanged(name=self.name, before=before, after=after, shared=shared))
        return result

    def _log(self, before: State, after: State) -> None:
        logger.warning("The circuit %r was %s and is %s", self.name, before, after)  # its end as well

    async def aclose(self) -> None:
        """Close the connections of a shared circuit, in this event loop; a later call opens them again."""
        if self._shared is not None:
            await self._shared.aclose()

    def attempt(self) -> Attempt:
        """Make a context manager for one call, where `with breaker:` would be left in another task than entered."""
        return Attempt(self)

    def __enter__(self) -> None:
        attempt = Attempt(self)
        attempt.__enter__()
        _entered.set((*_entered.get(), attempt))

    async def __aenter__(self) -> None:
        attempt = Attempt(self)
        await attempt.__aenter__()
        _entered.set((*_entered.get(), attempt))

    def __exit__(self, _: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        entered = _entered.get()
        if not entered or entered[-1].breaker is not self:
            raise RuntimeError(
                f"{self!r} is left in another task than it was entered in; use `with breaker.attempt():`"
            )
        _entered.set(entered[:-1])
        entered[-1].__exit__(None, exc, tb)

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.__exit__(kind, exc, tb)

    def __repr__(self) -> str:
        return f"CircuitBreaker({self.name!r}, {self.state})"


_entered: Final[ContextVar[tuple[Attempt, ...]]] = ContextVar("asgi_guard_circuit_breaker", default=())
