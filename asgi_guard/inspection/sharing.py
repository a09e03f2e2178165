"""Sharing: among how many repeats `re` may share out the same text, one behind the other.

Repeats that follow each other and take the same characters share a run of them out in as many ways as the product of
how often they repeat: `[a-z]{0,100}[a-z]{0,100}!` in 5,000 for each place where it may begin (CWE-1333); RE2 takes one
step. A pattern is seen as an automaton here, a state for each character of it (Glushkov's). One repeat may hand over to
another where some text leads from the first to itself, from the first to the other, and from the other to itself
(Weber and Seidl, 1991).
Must never take long itself: whatever takes too many steps to look at counts as too many ways.
"""

from __future__ import annotations

from typing import Any, Final

from asgi_guard.inspection.ambiguity import is_repeat_ambiguous
from asgi_guard.inspection.automaton import Automaton, Part, parsed

MAX_STATES: Final = 1_500
MAX_STEPS: Final = 400_000
"""Of all looks together, which is about a second."""

BEYOND: Final = 1 << 62
"""More ways than anybody counts."""

_FEW: Final = 4
"""Repeats of at most so many rounds are seen as what is written as often, one behind the other."""


class _TooMuchError(Exception):
    """It takes too long to look at."""


def ways(pattern: str) -> int:
    """Return in how many ways a pattern may share out the same text from one place on, at most about; 1 is none.

    Args:
        pattern: one in which each repeat by itself is not ambiguous, see `is_ambiguous`.
    """
    try:
        return _Automaton(pattern).ways()
    except _TooMuchError:
        return BEYOND


class _Automaton(Automaton):
    """What a pattern may match: in each state one character was read."""

    def __init__(self, pattern: str) -> None:
        super().__init__()
        self._rounds: list[int] = []
        self._around = [1]
        self._split = 1
        self._steps = 0
        self.sequence(parsed(pattern))

    def ways(self) -> int:
        """Multiply the rounds of all repeats that hand over to each other, along the worst way through."""
        loops = [state for state, rounds in enumerate(self._rounds) if rounds > 1]
        after = {loop: [other for other in loops if other != loop and self._hands_over(loop, other)] for loop in loops}
        found: dict[int, int] = {}

        def worst(loop: int, above: frozenset[int]) -> int:
            if loop in above:
                return BEYOND
            if loop not in found:
                following = [worst(other, above | {loop}) for other in after[loop]]
                found[loop] = min(BEYOND, self._rounds[loop] * max(following, default=1))
            return found[loop]

        return self._split * max([worst(loop, frozenset()) for loop in loops if after[loop]], default=1)

    def _hands_over(self, one: int, other: int) -> bool:
        """Tell whether the same text leads from one to itself, from one to the other, and from the other to itself."""
        end = one, other, other
        waiting = [(one, one, other)]
        seen = set(waiting)
        while waiting:
            here = waiting.pop()
            for first in self.following[here[0]]:
                for second in self.following[here[1]]:
                    both = self.characters[first] & self.characters[second]
                    for third in self.following[here[2]] if both else ():
                        step = first, second, third
                        if not both & self.characters[third] or step in seen:
                            continue
                        if step == end:
                            return True
                        seen.add(step)
                        waiting.append(step)
                        self._steps += 1
                        if self._steps > MAX_STEPS:
                            raise _TooMuchError
        return False

    def repeat(self, least: int, most: int, items: Any) -> Part:
        return self._loop(least, most, items) if most > _FEW else self._copies(least, most, items)

    def read(self, characters: int) -> None:
        if len(self.following) >= MAX_STATES:
            raise _TooMuchError
        super().read(characters)
        self._rounds.append(self._around[-1])

    def _loop(self, least: int, most: int, items: Any) -> Part:
        self._around.append(min(BEYOND, self._around[-1] * most))
        begins, ends, may_be_empty = self.sequence(items)
        self._around.pop()
        self.connect(ends, begins)
        return begins, ends, may_be_empty or least == 0

    def _copies(self, least: int, most: int, items: Any) -> Part:
        """Write a repeat out; each copy follows the one before, so that nobody can say which was left out."""
        if most > 1 and is_repeat_ambiguous(least, most, items):
            self._split = min(BEYOND, self._split << most)
        begins: list[int] = []
        ends: list[int] = []
        before: list[int] = []
        may_be_empty = True
        for copy in range(1, most + 1):
            first, last, is_optional = self.sequence(items)
            self.connect(before, first)
            begins = begins + first if may_be_empty else begins
            ends = ends + last if copy >= least else ends
            before = before + last if is_optional else last
            may_be_empty = may_be_empty and is_optional
        return begins, ends, may_be_empty or least == 0
