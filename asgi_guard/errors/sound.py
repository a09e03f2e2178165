"""Sound: an error of the application's is told as it states itself, but for what nobody could use.

A status of 200, a category that there is not, a code with a line break in it: to raise there would hide the error that
is being answered, and to tell it as it is would break the client. So something safe is told instead, and the log says
once for each class and field what is wrong with it; and which class attribute looks like a misspelt field.
Must never raise, and never log a value: it may be a secret.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final
from weakref import WeakKeyDictionary

from asgi_guard.errors.exceptions import ErrorCategory, ErrorSeverity, GuardError, seconds_of

logger: logging.Logger = logging.getLogger("asgi_guard")

_CATEGORIES: Final = frozenset(map(str, ErrorCategory))
_SEVERITIES: Final = frozenset(map(str, ErrorSeverity))
_LIKENESS: Final = 0.85


def _is_status(given: Any) -> bool:
    return isinstance(given, int) and 400 <= given <= 599


def _is_code(given: Any) -> bool:
    return isinstance(given, str) and given.isascii() and given.isprintable() and bool(given.strip())


_RULES: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = MappingProxyType(
    {
        "status": (_is_status, "an integer from 400 to 599"),
        "error_code": (_is_code, "printable ASCII text"),
        "category": (_CATEGORIES.__contains__, "an ErrorCategory"),
        "severity": (_SEVERITIES.__contains__, "an ErrorSeverity"),
        "details": (lambda given: isinstance(given, Mapping), "a mapping"),
        "retry_after": (
            lambda given: given is None or seconds_of(given) is not None,
            "seconds, a timedelta or a datetime",
        ),
    }
)


_complained: Final[WeakKeyDictionary[type[GuardError], set[str]]] = WeakKeyDictionary()


def is_sound(error: GuardError, field: str) -> bool:
    """Tell whether a field can be told as it is; where it cannot, say so once for each class."""
    holds, rule = _RULES[field]
    try:
        if holds(getattr(error, field)):
            return True
    except Exception:  # noqa: BLE001, S110  what cannot even be looked at is not sound
        pass
    complained = _complained.setdefault(type(error), set())
    if field not in complained:
        complained.add(field)
        name = type(error).__qualname__
        logger.warning("%s.%s must be %s: something else was told; this is said once", name, field, rule)
    return False


def look_for_typos(error: GuardError) -> None:
    """Say once for each class which of its attributes looks like a field that is misspelt."""
    error_class = type(error)
    if error_class in _complained:
        return
    _complained[error_class] = set()
    fields = [name for name in GuardError.__annotations__ if name != "status"] + ["status"]
    own = {name: value for base in error_class.__mro__ if base is not GuardError for name, value in vars(base).items()}
    unknown = [name for name, value in own.items() if not (name[:1] == "_" or name in fields or callable(value))]
    if not unknown or error_class.__module__.startswith("asgi_guard."):
        return
    from difflib import get_close_matches  # slow to import, and needed only where there is something to compare

    for name in unknown:
        for field in get_close_matches(name, fields, n=1, cutoff=_LIKENESS):
            text = "%s.%s is no field of an error, did you mean %r? This is said once"
            logger.warning(text, error_class.__qualname__, name, field)
