"""Stores as settings name them: by a URL, or by what a `RedisStore` takes.

Must never show either: both may hold a password.
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any, Final
from weakref import WeakValueDictionary

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.limiting.limits_adapter import LimitsStore, is_for_limits
from asgi_guard.limiting.redis import RedisStore
from asgi_guard.limiting.store import AsyncStore
from asgi_guard.settings import Problem, Problems

_IN_CODE: Final = {"listeners", "clock"}
_NAMES: Final = tuple(name for name in signature(RedisStore).parameters if name not in _IN_CODE)
_made: Final[WeakValueDictionary[tuple[tuple[str, object], ...], RedisStore]] = WeakValueDictionary()


def store_of(given: str | Mapping[str, Any]) -> AsyncStore:
    """Return the store that is named: one for all policies that name the same, and so one connection.

    Args:
        given: a URL of Redis, or of a storage of `limits`; or arguments of a `RedisStore` by name.

    Raises:
        ConfigError: the text is no URL of a store over a network; an argument is wrong, unknown or missing.
        MissingExtraError: the package that it needs is not installed.
    """
    if isinstance(given, str):
        if given.removeprefix("async+").partition("://")[0] == "memory":
            rule = "is text only where it names a store over a network"
            remedy = "Leave it out to count in memory, or give a MemoryStore(max_keys=...)."
            raise ConfigError([Problem("AG211", "RedisStore", "", rule, remedy)])
        return LimitsStore(given) if is_for_limits(given) else _redis({"url": given})
    problems = Problems("RedisStore")
    problems.known(map(str, given), _NAMES)
    if "url" not in given:
        problems.extend([Problem("AG111", "RedisStore.url", "", "is required", "Give it: url='redis://...'")])
    try:
        store = _redis({"url": "redis://localhost", **{name: given[name] for name in _NAMES if name in given}})
    except ConfigError as error:
        problems.extend(error.problems)
        raise ConfigError(problems.found) from None
    problems.raise_if_any()
    return store


def _redis(arguments: Mapping[str, Any]) -> RedisStore:
    store = RedisStore(**arguments)
    return _made.setdefault(tuple(arguments.items()), store)
