"""Registry: circuit breakers by name, so that all who call the same dependency share its circuit.

| id    | rule that was broken                                           |
|-------|----------------------------------------------------------------|
| AG609 | one name, one circuit: who shares it gives the same settings    |
| AG610 | there are at most 1,000 names: they stand in the code          |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Unpack

from asgi_guard.clock import Clock
from asgi_guard.events import Listener
from asgi_guard.resilience.breaker import CircuitBreaker
from asgi_guard.resilience.matching import Which
from asgi_guard.resilience.policy import BreakerFields, BreakerPolicy
from asgi_guard.resilience.recovery import Recovery
from asgi_guard.settings import Problems, build

if TYPE_CHECKING:
    from asgi_guard.resilience.shared import InRedis

MAX_NAMES: Final = 1_000


class BreakerOptions(BreakerFields, total=False):
    """What `circuit_breaker` takes besides the name: the fields of `BreakerPolicy`, and more of `CircuitBreaker`."""

    on: Which[bool]
    fallback: Callable[..., Any] | None
    recovery: Recovery | None
    listeners: Iterable[Listener]
    clock: Clock
    shared: InRedis | str | None


_OF_THE_BREAKER: Final = BreakerOptions.__annotations__.keys() - BreakerFields.__annotations__.keys()
_breakers: Final[dict[str, CircuitBreaker]] = {}
_made_with: Final[dict[str, BreakerOptions]] = {}
_lock: Final = Lock()


def circuit_breaker(*, name: str | None = None, **options: Unpack[BreakerOptions]) -> CircuitBreaker:
    """Make a circuit breaker, or find the one of this name: a decorator, a context manager and an object.

        @circuit_breaker(failure_threshold=5, recovery_timeout=60.0)
        async def charge(order): ...

    Args:
        name: whoever gives the same name shares the circuit; None makes one of its own.
        options: see `BreakerPolicy` and `CircuitBreaker`; of a circuit that is there, the same as before or none.

    Raises:
        ConfigError: a value is wrong, or the name is taken with other settings.
    """
    if name is None:
        return _make("", options)
    with _lock:
        breaker = _breakers.get(name)
        if breaker is None:
            breaker = _make(name, options)
            _breakers[name], _made_with[name] = breaker, options
        elif options and options != _made_with[name]:
            problems = Problems("circuit_breaker")
            remedy = "Give the settings in one place, and the name alone elsewhere; or choose another name."
            problems.add("AG609", "name", name, "must not be in use with other settings", remedy)
            problems.raise_if_any()
        return breaker


def circuit_breakers() -> Mapping[str, CircuitBreaker]:
    """Return all circuit breakers that have been made by name, to look at or to command."""
    return MappingProxyType(_breakers)


def _make(name: str, options: BreakerOptions) -> CircuitBreaker:
    given: dict[str, Any] = {**options}
    others = {field: given.pop(field) for field in _OF_THE_BREAKER & given.keys()}
    policy = build(BreakerPolicy, None, given)
    if len(_breakers) >= MAX_NAMES and name:
        problems = Problems("circuit_breaker")
        rule = f"must be one of at most {MAX_NAMES} names"
        problems.add("AG610", "name", name, rule, "Name dependencies, and nothing that a request says.")
        problems.raise_if_any()
    return CircuitBreaker(name, policy, **others)
