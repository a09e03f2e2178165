"""Matching: which exceptions a policy is about, as its user says it.

| id    | rule that was broken                                                     |
|-------|--------------------------------------------------------------------------|
| AG608 | exceptions are named by a class, several classes, or a function that tells |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar, cast

from asgi_guard.settings import Problems

T = TypeVar("T")

Which: TypeAlias = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], T]
"""A class of exceptions, several, or a function that is asked."""


def check_which(problems: Problems, field: str, which: object) -> bool:
    """Check what names exceptions.

    A class that is no `Exception` is refused: to retry a cancellation, or to count one, breaks whoever cancels.
    """
    given: object = which  # a type checker knows it as a tuple of it knows not what
    if isinstance(which, type | tuple):
        classes = cast("tuple[object, ...]", which if isinstance(which, tuple) else (which,))
        if classes and all(isinstance(kind, type) and issubclass(kind, Exception) for kind in classes):
            return True
    elif callable(which):
        return True
    rule = "must be a class of Exceptions, a tuple of them, or a function that tells"
    return problems.add("AG608", field, given, rule, "Write on=ConnectionError or on=(KeyError, TimeoutError).")


def matcher(which: Which[T]) -> Callable[[Exception], T | bool]:
    """Return a function that tells whether an exception is meant."""
    if isinstance(which, type | tuple):
        classes = cast("Any", which)
        return lambda exc: isinstance(exc, classes)
    return which
