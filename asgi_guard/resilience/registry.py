"""Registry: circuit breakers by name, so that all who call the same dependency share its circuit.

| id    | rule that was broken                                           |
|-------|-----------------------------------------------------------------|
| AG609 | one name, one circuit: who shares it gives the same settings    |
| AG610 | there are at most 1,000 names: they stand in the code          |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import Lock
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, Unpack, overload

from asgi_guard.clock import Clock
from asgi_guard.events import Listener
from asgi_guard.resilience.around import is_decorated
from asgi_guard.resilience.breaker import CircuitBreaker
from asgi_guard.resilience.collected import made
from asgi_guard.resilience.matching import Which
from asgi_guard.resilience.policy import BreakerFields, BreakerPolicy
from asgi_guard.resilience.recovery import Recovery
from asgi_guard.settings import HIDDEN, Problems, shown

if TYPE_CHECKING:
    from asgi_guard.resilience.shared import InRedis

P = ParamSpec("P")
T = TypeVar("T")

MAX_NAMES: Final = 1_000

_ABSENT: Final = object()


class BreakerOptions(BreakerFields, total=False):
    """What `circuit_breaker` takes besides the name: the fields of `BreakerPolicy`, and more of `CircuitBreaker`."""

    on: Which[bool]
    fallback: Callable[..., Any] | None
    recovery: Recovery | None
    listeners: Iterable[Listener]
    clock: Clock
    shared: InRedis | str | None


_OF_THE_POLICY: Final = frozenset(BreakerFields.__annotations__)
_breakers: Final[dict[str, CircuitBreaker]] = {}
_made_with: Final[dict[str, BreakerOptions]] = {}
_lock: Final = Lock()


@overload
def circuit_breaker(name: Callable[P, T], /) -> Callable[P, T]: ...


@overload
def circuit_breaker(name: str | None = None, **options: Unpack[BreakerOptions]) -> CircuitBreaker: ...


def circuit_breaker(
    name: str | Callable[..., Any] | None = None, **options: Unpack[BreakerOptions]
) -> CircuitBreaker | Callable[..., Any]:
    """Make a circuit breaker, or find the one of this name: a decorator, a context manager and an object.

        @circuit_breaker(failure_threshold=5, recovery_timeout=60.0)
        async def charge(order): ...

    Without parentheses it is a decorator with the defaults, and a circuit of its own.

    Args:
        name: whoever gives the same name shares the circuit; None makes one of its own.
        options: when it opens and closes, as `BreakerPolicy` explains it: `failure_threshold=5`, `window=None`,
            `failure_rate=0.5`, `slow_call_seconds=None`, `slow_call_rate=0.5`, `recovery_timeout=60.0`,
            `recovery_growth=1.0`, `max_recovery_timeout=None`, `half_open_max=1`, `success_threshold=1`,
            `probe_lease=60.0`; and, as `CircuitBreaker` does, `on`, `fallback`, `recovery`, `listeners`, `clock` and
            `shared`. Of a circuit that is there, the same as before or none.

    Raises:
        ConfigError: lists every value that is wrong; or the name is taken with other settings.
    """
    given: Any = name
    if is_decorated(given):
        return _make("", options)(given)
    if not isinstance(name, str):
        return _make("" if given is None else given, options)  # which refuses what is no name
    with _lock:
        breaker = _breakers.get(name)
        if breaker is None:
            breaker = _make(name, options)
            _breakers[name], _made_with[name] = breaker, options
        elif options and options != _made_with[name]:
            problems = Problems("circuit_breaker")
            rule = f"must not be in use with other settings, and {_differences(_made_with[name], options)}"
            remedy = "Give the settings in one place, and the name alone elsewhere; or choose another name."
            problems.add("AG609", "name", name, rule, remedy)
            problems.raise_if_any()
        return breaker


def circuit_breakers() -> Mapping[str, CircuitBreaker]:
    """Return all circuit breakers that have been made by name, to look at or to command."""
    return MappingProxyType(_breakers)


def reset_circuit_breakers() -> None:
    """Close all circuit breakers that have been made by name, and have them forget everything: between two tests."""
    for breaker in tuple(_breakers.values()):
        breaker.reset()


def _differences(there: BreakerOptions, here: BreakerOptions) -> str:
    """Say which settings differ, such as `failure_threshold is 5 there`."""
    before, now = dict(there), dict(here)
    differing = [name for name in sorted({*before, *now}) if before.get(name, _ABSENT) != now.get(name, _ABSENT)]
    return ", ".join(
        f"{name} is {_shown(name, before[name]) if name in before else 'the default'} there" for name in differing
    )


def _shown(name: str, value: object) -> str:
    # The URL of a Redis has its password.
    return HIDDEN if name == "shared" else shown(value)


def _make(name: str, options: BreakerOptions) -> CircuitBreaker:
    given: dict[str, Any] = {**options}
    problems = Problems("circuit_breaker")
    if not problems.known(given, BreakerOptions.__annotations__):
        given = {field: value for field, value in given.items() if field in BreakerOptions.__annotations__}
    fields = {field: given.pop(field) for field in _OF_THE_POLICY & given.keys()}
    policy = made(problems, lambda: BreakerPolicy(**fields), BreakerPolicy())
    breaker = made(problems, lambda: CircuitBreaker(name, policy, **given), None)
    if name and len(_breakers) >= MAX_NAMES:
        rule = f"must be one of at most {MAX_NAMES} names"
        problems.add("AG610", "name", name, rule, "Name dependencies, and nothing that a request says.")
    problems.raise_if_any()
    return breaker or CircuitBreaker()
