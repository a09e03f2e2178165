"""Details: what an application hung on an error, made into JSON of a known size.

Facts: details hold what the application likes, which may be what a client sent: cyclic, ten levels deep, a megabyte
long, or an object whose iteration raises. JSON knows no NaN, and Python refuses to print very long integers.
Must never raise, never call `str` or `repr` of a foreign object (either may tell a secret), and never take longer than
its bounds allow.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeGuard, TypeVar

from asgi_guard.settings import HIDDEN

T = TypeVar("T")

DEPTH: Final = 6
"""The levels of containers that are kept; a deeper one becomes the name of its type."""

ITEMS: Final = 64
"""The items that are kept, counted over all containers; the rest is left out."""

SIZE: Final = 8_192
"""The length of the JSON text in bytes, without blanks; texts are cut, and items left out, so that it is kept."""

HIDDEN_NAMES: Final = r"pass|secret|token|key|auth|cookie|session|credential|private|signature|dsn|url"
"""Names whose values are hidden, in any case: rather too many than one too few."""

_KEY_LENGTH: Final = 64
_INTEGER_BITS: Final = 64
_LONGEST_NUMBER: Final = 26
_LONGEST_ESCAPE: Final = 12  # a character outside the basic plane: two times \uXXXX
_ROOM_FOR_AN_ITEM: Final = _KEY_LENGTH * _LONGEST_ESCAPE + _LONGEST_NUMBER + len('"":,')


def plain(details: Mapping[str, object]) -> dict[str, Any]:
    """Return a copy that `json.dumps` takes, within the bounds above.

    What JSON cannot hold becomes the name of its type: dates, bytes, NaN, integers of more than 64 bits, objects.
    """
    if details.__class__ is dict and not details:  # asked of a dict alone: another mapping may raise
        return {}
    copy: dict[str, Any] | str = _Copier().copy(details, 1)
    return copy if isinstance(copy, dict) else {}


def concealed(details: Mapping[str, object]) -> dict[str, Any]:
    """Return what `plain` does, but for the values whose name sounds like a secret: for logs and listeners."""
    return {name: _concealed(name, value) for name, value in plain(details).items()}


def _concealed(name: str, value: Any) -> Any:
    if re.search(HIDDEN_NAMES, name, re.IGNORECASE):
        return HIDDEN
    if value.__class__ is dict:  # `plain` makes no other containers than these two
        return {key: _concealed(key, item) for key, item in value.items()}
    return [_concealed("", item) for item in value] if value.__class__ is list else value


class _Copier:
    """Copies one value, and counts what is left of the bounds."""

    __slots__ = ("items", "quote", "room")

    def __init__(self) -> None:
        from json.encoder import encode_basestring_ascii  # the first error pays for it, not every start

        self.items = ITEMS
        self.room = SIZE
        self.quote = encode_basestring_ascii

    def copy(self, value: object, depth: int) -> Any:
        try:
            return self._copy(value, depth)
        except Exception:  # noqa: BLE001  a lazy mapping whose database is gone, a proxy that only claims to be a str
            return self._text(type(value).__name__)

    def _copy(self, value: object, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if _is_mapping(value) and depth <= DEPTH:
            pairs = self._within_bounds(value.items())
            return {self._key(key): self.copy(item, depth + 1) for key, item in pairs}
        if _is_list(value) and depth <= DEPTH:
            return [self.copy(item, depth + 1) for item in self._within_bounds(value)]
        return self._atom(value)

    def _atom(self, value: object) -> bool | float | str | None:
        self.room -= _LONGEST_NUMBER
        if value is None or value is True or value is False:
            return value
        if isinstance(value, int) and value.bit_length() <= _INTEGER_BITS:
            return int.__int__(value)
        if isinstance(value, float) and math.isfinite(value):
            return float.__float__(value)
        return self._text(type(value).__name__)

    def _within_bounds(self, items: Iterable[T]) -> Iterator[T]:
        self.room -= len("[]")
        for item in items:
            if self.items == 0 or self.room < _ROOM_FOR_AN_ITEM:
                return
            self.items -= 1
            self.room -= len(":,")
            yield item

    def _key(self, key: object) -> str:
        return self._text((key if isinstance(key, str) else type(key).__name__)[:_KEY_LENGTH])

    def _text(self, text: str) -> str:
        room = max(0, self.room - len('""'))
        kept = str.__str__(text)[:room]
        if len(self.quote(kept)) > room + len('""'):
            kept = kept[: room // _LONGEST_ESCAPE]
        self.room -= len(self.quote(kept))
        return kept


def _is_mapping(value: object) -> TypeGuard[Mapping[object, object]]:
    return isinstance(value, Mapping)


def _is_list(value: object) -> TypeGuard[Iterable[object]]:
    return isinstance(value, list | tuple | set | frozenset)
