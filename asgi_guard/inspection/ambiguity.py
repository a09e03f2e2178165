"""Ambiguity: whether `re` may have to try the same text in more ways than anybody waits for.

What repeats inside of what repeats, or one of alternatives that match the same, may share a text out in exponentially
many ways, and a text that does not match at the end makes `re` try all of them (CWE-1333); RE2 never does. What repeats
is seen as an automaton here, a state for each character of the pattern (Glushkov's): it is ambiguous where two ways
through it part, and meet again behind the same text.
Must never take a pattern for harmless because it is when a text matches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from asgi_guard.inspection.automaton import REPEATS, Automaton, Part, codes, parsed

_FEW: Final = 4
"""Rounds that take no longer than what is written as often, one behind the other."""

_MOST_STATES: Final = 400
"""In one repeat: what is larger takes too long to look at, and is refused as well."""


class _AmbiguousError(Exception):
    """There are two ways."""


def is_ambiguous(pattern: str) -> bool:
    """Tell whether a repeat in a pattern may share out the same text in many ways."""
    try:
        for repeat in _often(parsed(pattern)):
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


class _Automaton(Automaton):
    """What a repeat may match."""

    def __init__(self, least: int, most: int, items: Any) -> None:
        super().__init__()
        self.repeat(least, most, items)

    def check(self) -> None:
        """Follow two ways at once, from where they part.

        Raises:
            _AmbiguousError: they meet again.
        """
        waiting = [(state, state) for state in range(len(self.following))]
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
        for first in self.following[one]:
            for second in self.following[other]:
                if self.characters[first] & self.characters[second]:
                    yield min(first, second), max(first, second)

    def branch(self, parts: Sequence[Part]) -> Part:
        if sum([may_be_empty for _, _, may_be_empty in parts]) > 1:
            raise _AmbiguousError
        return super().branch(parts)

    def repeat(self, least: int, most: int, items: Any) -> Part:
        begins, ends, may_be_empty = self.sequence(items)
        if most > 1:
            if may_be_empty:
                raise _AmbiguousError
            self.connect(ends, begins)
        return begins, ends, may_be_empty or least == 0

    def read(self, characters: int) -> None:
        if len(self.following) >= _MOST_STATES:
            raise _AmbiguousError
        super().read(characters)

    def connect(self, ends: Iterable[int], begins: Iterable[int]) -> None:
        several = [*begins]
        for end in ends:
            if not self.following[end].isdisjoint(several):  # by an inner repeat as well as by the outer one
                raise _AmbiguousError
            self.following[end].update(several)
