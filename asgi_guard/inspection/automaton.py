"""Automaton: a pattern of `re` as states, one for each character of it, and how they follow each other (Glushkov's).

What a repeat is made of, and what may not be, is for those who ask to say.
Must never take a character for one that a class leaves out: what is not ASCII is one bit, and surely left out by none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from itertools import chain
from typing import Any, Final, TypeAlias

codes: Any = import_module("re._constants")  # the parser of the library itself: no other reads what it reads
parser: Any = import_module("re._parser")

REPEATS: Final = frozenset[Any]((codes.MAX_REPEAT, codes.MIN_REPEAT))

_BEYOND: Final = 128
"""Stands for every character that is not ASCII: the characters of a set are the bits of an integer."""

_ALL: Final = (1 << _BEYOND + 1) - 1

Part: TypeAlias = tuple[list[int], list[int], bool]
"""The states in which a part of a pattern begins, those in which it ends, and whether it may be empty."""


def parsed(pattern: str) -> Any:
    """Read a pattern as `re` does."""
    return parser.parse(pattern, re.ASCII | re.DOTALL)


class Automaton:
    """What a pattern, or a part of it, may match: in each state one character was read.

    Attributes:
        characters: of each state, which may have been read, as a set of bits.
        following: of each state, those that may come next.
    """

    def __init__(self) -> None:
        self.characters: list[int] = []
        self.following: list[set[int]] = []

    def sequence(self, items: Iterable[Any]) -> Part:
        """Add what follows each other."""
        begins: list[int] = []
        ends: list[int] = []
        may_be_empty = True
        for item in items:
            first, last, is_optional = self._one(*item)
            self.connect(ends, first)
            begins = begins + first if may_be_empty else begins
            ends = ends + last if is_optional else last
            may_be_empty = may_be_empty and is_optional
        return begins, ends, may_be_empty

    def _one(self, code: Any, given: Any) -> Part:
        if code is codes.AT:
            return [], [], True
        if code is codes.SUBPATTERN:
            return self.sequence(given[-1])
        if code is codes.BRANCH:
            return self.branch([self.sequence(alternative) for alternative in given[1]])
        if code in REPEATS:
            return self.repeat(*given)
        self.read(characters_of([(code, given)]))
        return [len(self.following) - 1], [len(self.following) - 1], False

    def branch(self, parts: Sequence[Part]) -> Part:
        """Put alternatives together."""
        begins, ends, empty = zip(*parts, strict=True)
        return [*chain.from_iterable(begins)], [*chain.from_iterable(ends)], any(empty)

    def repeat(self, least: int, most: int, items: Any) -> Part:
        """Add what repeats."""
        raise NotImplementedError

    def read(self, characters: int) -> None:
        """Add a state."""
        self.characters.append(characters)
        self.following.append(set())

    def connect(self, ends: Iterable[int], begins: Iterable[int]) -> None:
        """Let states follow others."""
        for end in ends:
            self.following[end].update(begins)


def characters_of(items: Iterable[Any]) -> int:
    """Return the characters of a class, as a set."""
    characters, is_negated = 0, False
    for code, given in items:
        if code is codes.IN:
            characters |= characters_of(given)
        elif code is codes.NEGATE:
            is_negated = True
        elif code is codes.NOT_LITERAL:
            characters |= _ALL ^ (1 << given if given < _BEYOND else 0)
        elif code is codes.LITERAL:
            characters |= 1 << min(given, _BEYOND)
        elif code is codes.RANGE:
            characters |= sum(1 << at for at in range(min(given[0], _BEYOND), min(given[1], _BEYOND) + 1))
        elif code is codes.CATEGORY:
            characters |= _CATEGORIES[given]
        else:  # any character
            characters |= _ALL
    # What is not ASCII is one bit: nothing of it is surely left out.
    return (_ALL ^ characters) | 1 << _BEYOND if is_negated else characters


def _having(pattern: str) -> int:
    return sum(1 << at for at in range(_BEYOND) if re.fullmatch(pattern, chr(at), re.ASCII))


_CATEGORIES: Final[dict[Any, int]] = {
    codes.CATEGORY_DIGIT: _having(r"\d"),
    codes.CATEGORY_NOT_DIGIT: _having(r"\D") | 1 << _BEYOND,
    codes.CATEGORY_SPACE: _having(r"\s"),
    codes.CATEGORY_NOT_SPACE: _having(r"\S") | 1 << _BEYOND,
    codes.CATEGORY_WORD: _having(r"\w"),
    codes.CATEGORY_NOT_WORD: _having(r"\W") | 1 << _BEYOND,
}
