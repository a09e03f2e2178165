"""Kinds: what a field takes, by its annotation, and what a text can mean there.

A text becomes something else only where the field leaves no doubt: `"5"` is a number where the field takes numbers and
no text. What cannot be understood stays as it is, so that the part tells its own rule.
Must never raise for a text, however strange.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeGuard, Union, get_args, get_origin, get_type_hints

BOOLEANS: Final = {"true": True, "false": False}
"""What a text may say where a bool may stand, in any case."""

_LISTS: Final = (list, tuple, set, frozenset, Sequence, Collection, Iterable)
_MAPPINGS: Final = (dict, Mapping)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,40}(_[0-9]{1,40}){0,9}")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")

_WORDS: Final[Mapping[object, str]] = {
    bool: "true or false",
    int: "a whole number like 1000",
    float: "a number like 0.5",
    str: "a text",
    NoneType: "none",
    list: "a list",
    dict: "a table",
}


class Kind:
    """What a field takes.

    Args:
        hint: its annotation, resolved.

    Attributes:
        options: the members of the annotation, if it is a union; else the annotation alone.
        item: the kind of an item, where it takes a list.
        value: the kind of a value, where it takes a mapping.
        settings: the class, where it takes settings of their own.
        choices: the texts, where it takes one of several.
    """

    def __init__(self, hint: Any) -> None:
        self.options: tuple[Any, ...] = tuple(_members(hint))
        arguments = {_outer(option): get_args(option) for option in self.options}
        items = [given[0] if given else Any for kind, given in arguments.items() if kind is list]
        values = [given[-1] if given else Any for kind, given in arguments.items() if kind is dict]
        self.item: Kind | None = Kind(items[0]) if items else None
        self.value: Kind | None = Kind(values[0]) if values else None
        self.settings: type[Any] | None = next(
            (option for option in self.options if isinstance(option, type) and is_dataclass(option)), None
        )
        self.choices: tuple[Any, ...] = sum(
            (get_args(option) for option in self.options if _outer(option) is Literal), ()
        )

    @property
    def takes_text(self) -> bool:
        """Whether any text may stand there."""
        return not {str, Any, object}.isdisjoint(self.options)

    @property
    def is_code(self) -> bool:
        """Whether nothing but None can be written down: a function, a store."""
        return not any(map(_is_data, self.options))

    @property
    def words(self) -> str:
        """What may stand there, in words."""
        told = [_WORDS[kind] for kind in map(_outer, self.options) if kind in _WORDS]
        return " or ".join(dict.fromkeys([*map(repr, self.choices), *told]))

    def plain(self, value: Any) -> Any:
        """Return None where a file says it: as `"none"` where no text may stand, as `false` where no bool may."""
        if NoneType not in self.options:
            return value
        says_none = (isinstance(value, str) and value.lower() == "none" and not self.takes_text) or (
            value is False and bool not in self.options
        )
        return None if says_none else value

    def read(self, text: str) -> Any:
        """Read a text of the environment: a list is JSON, or has commas; a table is JSON."""
        bare = text.strip()
        if bare.lower() == "none" and NoneType in self.options:
            return None
        nests = self.item or self.value or self.settings
        if nests and bare.startswith(("[", "{")) and not isinstance(value := from_json(bare), str):
            return value
        return text if self.takes_text else self._read_plain(bare, text)

    def _read_plain(self, bare: str, otherwise: str) -> Any:
        if bool in self.options and bare.lower() in BOOLEANS:
            return BOOLEANS[bare.lower()]
        if int in self.options and _INTEGER.fullmatch(bare):
            return int(bare)
        if float in self.options and _NUMBER.fullmatch(bare):
            return float(bare)
        if self.item:
            return [self.item.read(item.strip()) for item in bare.split(",")] if bare else []
        return otherwise

    def fits(self, value: Any) -> bool:
        """Tell whether a value is of one of the types; what is no data is left to the part."""
        return any(self._fits(option, value) for option in self.options)

    def _fits(self, option: Any, value: Any) -> bool:
        kind = _outer(option)
        if kind is list and self.item:
            return is_list(value) and all(map(self.item.fits, value))
        if kind is dict and self.value:
            return is_table(value) and all(map(self.value.fits, value.values()))
        if kind is Literal:
            return value in get_args(option)
        if kind is float:
            return type(value) in {int, float}
        if kind in _WORDS:
            return type(value) is kind
        return kind in {Any, object} or not is_data(value)


def kinds_of(settings_class: type[Any]) -> dict[str, Kind]:
    """Return what each field of settings takes, by its name."""
    hints = get_type_hints(settings_class)
    return {field.name: Kind(hints[field.name]) for field in fields(settings_class) if field.init}


def is_list(value: object) -> TypeGuard[Collection[Any]]:
    """Tell whether a value is a list of something; a text is none."""
    return isinstance(value, list | tuple | set | frozenset)


def is_table(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Tell whether a value is a table."""
    return isinstance(value, Mapping)


def is_data(value: object) -> bool:
    """Tell whether a value is such as a file may hold, and not an object that only code can make."""
    return isinstance(value, str | int | float) or is_list(value) or is_table(value)


def from_json(text: str) -> Any:
    """Read JSON; return the text itself where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # the second: brackets in brackets, a thousand deep
        return text


def _members(hint: Any) -> Iterable[Any]:
    if get_origin(hint) in {Union, UnionType}:
        for member in get_args(hint):
            yield from _members(member)
    else:
        yield hint


def _outer(option: Any) -> Any:
    """Return what an annotation is of, all lists as `list` and all mappings as `dict`."""
    outer = get_origin(option) or option
    return list if outer in _LISTS else dict if outer in _MAPPINGS else outer


def _is_data(option: Any) -> bool:
    kind = _outer(option)
    if kind in {list, dict}:
        inner = [argument for argument in get_args(option) if argument is not Ellipsis]
        return all(any(map(_is_data, _members(argument))) for argument in inner)
    return kind in {bool, int, float, str, Any, object, Literal} or is_dataclass(kind)
