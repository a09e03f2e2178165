"""Ambiguity: whether `re` may have to try the same text in more ways than anybody waits for.

What repeats inside of what repeats, or one of alternatives that match the same, may share a text out in exponentially
many ways, and a text that does not match at the end makes `re` try all of them (CWE-1333); RE2 never does. What repeats
is seen as an automaton here, a state for each character of the pattern (Glushkov's): it is ambiguous where two ways
through it part, and meet again behind the same text.
Must never take a pattern for harmless because it is when a text matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import chain
from typing import Any, Final, TypeAlias

codes: Any = import_module("re._constants")  # the parser of the library itself: no other reads what it reads
parser: Any = import_module("re._parser")

_BEYOND: Final = 128
"""Stands for every character that is not ASCII: the characters of a set are the bits of an integer."""

_ALL: Final = (1 << _BEYOND + 1) - 1
REPEATS: Final = frozenset[Any]((codes.MAX_REPEAT, codes.MIN_REPEAT))
_FEW: Final = 4
"""Rounds that take no longer than what is written as often, one behind the other."""

_MOST_STATES: Final = 400
"""In one repeat: what is larger takes too long to look at, and is refused as well."""

_Part: TypeAlias = tuple[list[int], list[int], bool]
"""The states in which a part of a pattern begins, those in which it ends, and whether it may be empty."""


class _AmbiguousError(Exception):
    """There are two ways."""


def is_ambiguous(pattern: str) -> bool:
    """Tell whether a repeat in a pattern may share out the same text in many ways."""
    try:
        for repeat in _often(parser.parse(pattern, re.ASCII | re.DOTALL)):
            _Automaton(*repeat).check()
    except _AmbiguousError:
        return True
    return False


def is_repeat_ambiguous(least: int, most: int, items: Any) -> bool:
    """Tell the same of one repeat, as the parser has read it, whatever number of rounds it has."""
    try:
        _Automaton(least, most, items).check()
    except _AmbiguousError:
        return True
    return False


def _often(items: Iterable[Any], rounds: int = 1) -> Iterator[Any]:
    """Give out the outermost of the repeats that take more than a few rounds, with those around them."""
    for code, given in items:
        if code in REPEATS:
            if given[1] * rounds > _FEW:
                yield given
            else:
                yield from _often(given[2], given[1] * rounds)
        elif code is codes.SUBPATTERN:
            yield from _often(given[-1], rounds)
        elif code is codes.BRANCH:
            for alternative in given[1]:
                yield from _often(alternative, rounds)


class _Automaton:
    """What a repeat may match: in each state one character was read."""

    def __init__(self, least: int, most: int, items: Any) -> None:
        self._characters: list[int] = []
        self._next: list[set[int]] = []
        self._repeat(least, most, items)

    def check(self) -> None:
        """Follow two ways at once, from where they part.

        Raises:
            _AmbiguousError: they meet again.
        """
        waiting = [(state, state) for state in range(len(self._next))]
        seen = set(waiting)
        while waiting:
            one, other = waiting.pop()
            for pair in self._steps(one, other):
                if one != other and pair[0] == pair[1]:
                    raise _AmbiguousError
                if pair not in seen:
                    seen.add(pair)
                    waiting.append(pair)

    def _steps(self, one: int, other: int) -> Iterator[tuple[int, int]]:
        """Give out where the same character leads on both ways."""
        for first in self._next[one]:
            for second in self._next[other]:
                if self._characters[first] & self._characters[second]:
                    yield min(first, second), max(first, second)

    def _sequence(self, items: Iterable[Any]) -> _Part:
        begins: list[int] = []
        ends: list[int] = []
        may_be_empty = True
        for item in items:
            first, last, is_optional = self._one(*item)
            self._connect(ends, first)
            begins = begins + first if may_be_empty else begins
            ends = ends + last if is_optional else last
            may_be_empty = may_be_empty and is_optional
        return begins, ends, may_be_empty

    def _one(self, code: Any, given: Any) -> _Part:
        if code is codes.AT:
            return [], [], True
        if code is codes.SUBPATTERN:
            return self._sequence(given[-1])
        if code is codes.BRANCH:
            begins, ends, empty = zip(*map(self._sequence, given[1]), strict=True)
            if sum(empty) > 1:
                raise _AmbiguousError
            return [*chain.from_iterable(begins)], [*chain.from_iterable(ends)], any(empty)
        if code in REPEATS:
            return self._repeat(*given)
        state = len(self._next)
        if state >= _MOST_STATES:
            raise _AmbiguousError
        self._characters.append(characters_of([(code, given)]))
        self._next.append(set())
        return [state], [state], False

    def _repeat(self, least: int, most: int, items: Any) -> _Part:
        begins, ends, may_be_empty = self._sequence(items)
        if most > 1:
            if may_be_empty:
                raise _AmbiguousError
            self._connect(ends, begins)
        return begins, ends, may_be_empty or least == 0

    def _connect(self, ends: Iterable[int], begins: Iterable[int]) -> None:
        for end in ends:
            for begin in begins:
                if begin in self._next[end]:  # by an inner repeat as well as by the outer one
                    raise _AmbiguousError
                self._next[end].add(begin)


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
