"""Around: what may be put around a function, as a decorator or for one call; the base of every policy here.

A function is plain or it is `async def`, and each kind gets a wrapper of its own kind. What is neither is refused when
it is decorated, not when it fails: to a wrapper for plain functions, a coroutine that nobody has awaited yet looks like
a success, and so a circuit breaker around it would never open.

| id    | rule that was broken                                                          |
|-------|-------------------------------------------------------------------------------|
| AG600 | a function that returns once: no generator, no asynchronous generator         |
| AG601 | around a plain function, whatever is called for it is plain too               |
| AG602 | what is asked for needs an `async def`: a plain function cannot be interrupted |
| AG613 | what is decorated can be called, or is a `staticmethod` or a `classmethod`     |
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from types import CoroutineType
from typing import Any, Final, ParamSpec, TypeAlias, TypeGuard, TypeVar, cast

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.settings import Problem, shown

P = ParamSpec("P")
T = TypeVar("T")

PlainFunction: TypeAlias = Callable[..., Any]
AsyncFunction: TypeAlias = Callable[..., Awaitable[Any]]

_METHODS: Final[tuple[type[Any], ...]] = (staticmethod, classmethod)


class Around(ABC):
    """A policy for calls; one object may be put around many functions."""

    __slots__ = ()

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:
        """Decorate a function, or a `staticmethod` or `classmethod`, which stays one.

        Raises:
            ConfigError: it is a generator function, or plain where the policy needs an `async def`; or no function.
        """
        method: Any = function
        if isinstance(method, _METHODS):
            return cast("Callable[P, T]", type(method)(self(method.__func__)))
        return wraps(function)(self.wrapped(function))

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function once under this policy; of an `async def`, await what this returns."""
        return self.wrapped(function)(*args, **kwargs)

    def wrapped(self, function: Callable[P, T]) -> Callable[P, T]:
        """Put the policy around a function, which keeps no name and no signature."""
        if not callable(function):
            remedy = "Put it around a function; under `@property`, not above it."
            raise self._refusal("AG613", function, "must be around what can be called", remedy)
        if is_async(function):
            return cast("Callable[P, T]", self.around_async(cast("AsyncFunction", function)))
        if _is_any(function, isgeneratorfunction) or _is_any(function, isasyncgenfunction):
            remedy = "Decorate the function that it calls, or use `with` inside it."
            raise self._refusal("AG600", function, "must be around what returns once; a generator does not", remedy)
        return cast("Callable[P, T]", self.around_plain(function))

    @abstractmethod
    def around_async(self, function: AsyncFunction) -> AsyncFunction:
        """Put the policy around an `async def`."""

    def around_plain(self, function: PlainFunction) -> PlainFunction:
        """Put the policy around a plain function; one that does not say how refuses.

        Raises:
            ConfigError: it cannot be done.
        """
        remedy = "Make it `async def`, or give the client that it calls a timeout."
        raise self._refusal("AG602", function, "must be around an `async def`: nothing else can be interrupted", remedy)

    def _refusal(self, problem_id: str, function: object, rule: str, remedy: str) -> ConfigError:
        return ConfigError([Problem(problem_id, type(self).__name__, shown(function), rule, remedy)])


def is_decorated(given: object) -> TypeGuard[Callable[..., Any]]:
    """Tell whether a decorator that takes settings stands there without parentheses, and was given the function."""
    return callable(given) or isinstance(given, _METHODS)


def is_async(function: object) -> bool:
    """Tell whether what a function returns has to be awaited, as far as that shows before it is called."""
    return _is_any(function, iscoroutinefunction)


def name_of(function: object) -> str:
    """Return the name under which a function is told of."""
    return getattr(function, "__qualname__", type(function).__qualname__)


def is_on_a_loop() -> bool:
    """Tell whether an event loop runs in this thread: to wait here would hold up everything else."""
    from anyio import get_current_task

    try:
        get_current_task()
    except RuntimeError:
        return False
    return True


def refuse_awaitable(result: Any, function: object) -> None:
    """Raise where a function that looks plain returned what has to be awaited: whether it succeeds is not known yet.

    Raises:
        TypeError: tells how to write it.
    """
    if hasattr(result, "__await__"):
        if isinstance(result, CoroutineType):
            result.close()  # nobody is going to await it, and that need not be said twice
        kind = type(cast("object", result)).__name__
        raise TypeError(f"{function!r} returns a {kind} but is no `async def`, so its failures would not be seen.")


def _is_any(function: Any, is_kind: Callable[[Any], bool]) -> bool:
    while isinstance(function, partial):
        function = function.func
    return is_kind(function) or is_kind(getattr(cast("Any", type(function)), "__call__", None))  # noqa: B004
