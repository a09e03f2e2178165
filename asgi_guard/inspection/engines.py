"""Engines: which rules are in a text, told by RE2 or by the standard library, with the same answer.

The literals that the rules name choose the patterns to try: RE2 finds all of them in one pass, at a cost that is linear
in the text whatever stands in it, and so is that of each pattern. Without it they are looked for one by one, and the
patterns are written so that `re` has no long way to go. The choice of the engine never decides.
A pattern is compiled when it is first tried, or when somebody prepares all of them. Must never import `re2` before a
validator is built.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Final, Literal, TypeAlias

from asgi_guard.inspection.rule import Rule

Engine: TypeAlias = Literal["re2", "re"]

CUT: Final = "\x01"
"""Stands where a window cuts a text: nothing that a pattern leaves open matches it, so `^` and `$` are not there."""


class Matcher:
    """Tells which rules are in a text.

    Sets of rules are integers, a bit for each, so that what is chosen for a text is chosen in a few steps.

    Args:
        rules: of which it tells, by their index.
    """

    __slots__ = ("_compiled", "_needed_by", "_patterns")

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._patterns = [rule.pattern for rule in rules]
        self._compiled: list[Any] = [None] * len(rules)
        self._needed_by: dict[str, int] = {}
        for index, rule in enumerate(rules):
            for need in rule.needs:
                self._needed_by[need] = self._needed_by.get(need, 0) | 1 << index

    def find(self, text: str, among: int) -> list[int]:
        """Return the rules that are in a text.

        Args:
            text: in lower case.
            among: which rules are asked for.
        """
        subject = self._subject(text)
        chosen = self._chosen(subject) & among
        found: list[int] = []
        while chosen:
            lowest = chosen & -chosen
            index = lowest.bit_length() - 1
            compiled = self._compiled[index] or self._compile(index)
            if self._is_in(compiled, subject):
                found.append(index)
            chosen ^= lowest
        return found

    def prepare(self) -> None:
        """Compile every pattern now that is not yet."""
        for index, compiled in enumerate(self._compiled):
            if compiled is None:
                self._compile(index)

    def _compile(self, index: int) -> Any:
        compiled = self._compiled[index] = self._made(self._patterns[index])
        return compiled

    def _subject(self, text: str) -> Any:
        """Return a text as the engine takes it."""
        raise NotImplementedError

    def _chosen(self, subject: Any) -> int:
        """Return the rules one of whose literals stands in a text."""
        raise NotImplementedError

    def _made(self, pattern: str) -> Any:
        raise NotImplementedError

    def _is_in(self, compiled: Any, subject: Any) -> bool:
        raise NotImplementedError


def has_re2() -> bool:
    """Tell whether the extra `re2` is installed."""
    return find_spec("re2") is not None


def matcher(rules: Sequence[Rule], engine: Engine) -> Matcher:
    """Make what tells of rules with an engine."""
    return _RE2(rules) if engine == "re2" else _Stdlib(rules)


def _library() -> Any:
    import re2  # type: ignore[import-untyped, unused-ignore]

    return re2


def _options() -> Any:
    options = _library().Options()
    options.log_errors = False
    options.dot_nl = True
    return options


def compile_re2(pattern: str) -> Any:
    """Compile one pattern as a matcher would.

    Raises:
        ValueError: RE2 does not take it.
    """
    re2 = _library()
    try:
        return re2.compile(uncut(pattern), _options())
    except re2.error as error:
        raise ValueError(str(error)) from None


_NOWHERE: Final = (-1, -1)
_ALWAYS: Final = (
    "\x02"  # a literal at the end of every text: where it is not found, RE2 ran out of memory, and forgot all
)


class _RE2(Matcher):
    """What the wrappers of `re2` do is left out: they encode and decode offsets that nobody asks for."""

    __slots__ = ("_anchor", "_literals", "_masks")

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        re2 = _library()
        self._anchor: Any = re2._Anchor.UNANCHORED  # noqa: SLF001
        literals = re2._re2.Set(self._anchor, _options())  # noqa: SLF001
        for literal in (_ALWAYS, *self._needed_by):
            literals.Add(re2.escape(literal).encode())
        literals.Compile()
        self._literals: Any = literals
        self._masks = [0, *self._needed_by.values()]

    def _subject(self, text: str) -> bytes:
        return text.encode(errors="replace")

    def _chosen(self, subject: bytes) -> int:
        masks: list[int] = self._masks
        chosen = 0
        literals: list[int] = self._literals.Match(subject + _ALWAYS.encode())
        for literal in literals:
            chosen |= masks[literal]
        return chosen if literals else -1

    def _made(self, pattern: str) -> Any:
        return compile_re2(pattern)._regexp.Match  # noqa: SLF001

    def _is_in(self, compiled: Any, subject: bytes) -> bool:
        return bool(compiled(self._anchor, subject, 0, len(subject))[0] != _NOWHERE)


_RARITY: Final = "zqxjkvbywgpfmucdlhrsnioate "
"""Letters, the rarest first; what is none is rarer still."""


class _Stdlib(Matcher):
    """A literal is looked for where its rarest character is there."""

    __slots__ = ("_literals",)

    def __init__(self, rules: Sequence[Rule]) -> None:
        super().__init__(rules)
        by_character: dict[str, list[tuple[str, int]]] = {}
        for need, mask in self._needed_by.items():
            by_character.setdefault(min(need, key=_RARITY.find), []).append((need, mask))
        self._literals = [*by_character.items()]

    def _subject(self, text: str) -> str:
        return text

    def _chosen(self, subject: str) -> int:
        chosen = 0
        for character, literals in self._literals:
            if character in subject:
                for need, mask in literals:
                    if need in subject:
                        chosen |= mask
        return chosen

    def _made(self, pattern: str) -> Any:
        return re.compile(for_stdlib(pattern), re.ASCII | re.DOTALL).search

    def _is_in(self, compiled: Any, subject: str) -> bool:
        return compiled(subject) is not None


_OPEN: Final = re.compile(r"\[\^(\]?)((?:\\.|[^\]\\])*\])|\[\]?(?:\\.|[^\]\\])*\]|\\.|\.", re.DOTALL)
_NOT_CUT: Final = {"\\S": f"[^\\s{CUT}]", "\\W": f"[^\\w{CUT}]", "\\D": f"[^\\d{CUT}]", ".": f"[^{CUT}]"}


def uncut(pattern: str) -> str:
    """Write a pattern so that nothing in it goes over a cut: the first quote behind one is not that of the value."""
    return _OPEN.sub(_uncut, pattern)


def _uncut(match: re.Match[str]) -> str:
    bracket, rest = match.groups()
    if rest is None:
        return _NOT_CUT.get(match[0], match[0])
    return f"[^{CUT}{bracket and re.escape(bracket)}{rest}"


_DOLLAR: Final = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])|\$", re.DOTALL)


def for_stdlib(pattern: str) -> str:
    r"""Write a pattern so that `re` reads it as RE2 does: `$` is the end of the text, not also the line break there."""
    return _DOLLAR.sub(lambda match: match[1] or r"\Z", uncut(pattern))
