"""Guesses: how many tries a password withstands, by whoever knows how people choose them.

A password is read as pieces: words and names (in any case, with leet, backwards), what looks like a word that is not
in the list, walks over a keyboard, sequences, repeats, dates, what belongs to the user, and single characters. Each
piece takes as many bits as there are others like it; the cheapest reading counts.
Must never look further than 64 characters: the work is bounded whatever is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from math import log2
from typing import Final, Literal, NamedTuple, TypeAlias

from asgi_guard.passwords.letters import letter_bits
from asgi_guard.passwords.words import ROWS, SEQUENCES, WORDS

Habit: TypeAlias = Literal["common", "word", "user_data", "keyboard", "sequence", "repeat", "date"]

LOOKED_AT: Final = 64
"""The characters that are looked at; those behind them are taken for nothing."""

_LONGEST_WORD: Final = 24
_LEAST: Final = 3
_MOST_USER_WORDS: Final = 32
_LEET: Final = str.maketrans("@483!1|0$5+7", "aabeiilosstt")
_LEET_OTHER: Final = str.maketrans("43!10$57@", "aelioss7a")
_DATE: Final = re.compile(
    r"(?=((?:19|20)\d\d(?:[-/. ]?(?:0?[1-9]|1[0-2])[-/. ]?(?:0?[1-9]|[12]\d|3[01]))?"
    r"|(?:0?[1-9]|[12]\d|3[01])[-/. ]?(?:0?[1-9]|1[0-2])[-/. ]?(?:(?:19|20)?\d\d)))"
)
_YEAR_BITS: Final = 7.0
_DATE_BITS: Final = 15.5
_YEAR: Final = 4
_WALK_BITS: Final = 6.0
_FREE_USER_BITS: Final = 2.0
_LETTERS: Final = re.compile(r"[^\W\d_]{5,}")
_LONGEST_UNKNOWN: Final = 14
_UNKNOWN_BITS: Final = 24.0
"""Of a word that is not in the list: there are some million in all dictionaries together, each in a few forms."""

_LIKE_A_WORD: Final = (
    4.2  # bits a letter at most: nineteen in twenty English words have, of drawn letters one in thirty
)
_FIRST_SYLLABLE: Final = "\u1100"  # from here on, a letter of most scripts is a syllable or a word
_CAPITAL_BITS: Final = 0.7
_JOIN_BITS: Final = 1.0  # for each further piece: which ones, and in which order


class Piece(NamedTuple):
    """A stretch of a password that is easier to guess than its characters.

    Attributes:
        start: where it begins.
        end: where it has ended.
        habit: how it was chosen.
        bits: how many others like it there are, as a power of two.
    """

    start: int
    end: int
    habit: Habit
    bits: float


class Reading(NamedTuple):
    """The cheapest reading of a password.

    Attributes:
        bits: the logarithm of how many tries it withstands, to the base of 2.
        habits: of its pieces, each once.
    """

    bits: float
    habits: tuple[Habit, ...]


def read(password: str, user: Iterable[str] = ()) -> Reading:
    """Read a password as whoever guesses would.

    Args:
        password: normalised.
        user: what belongs to the user, such as a name or an e-mail address.
    """
    looked_at = password[:LOOKED_AT]
    by_end: dict[int, list[Piece]] = {}
    for piece in _pieces(looked_at, _words_of(user)):
        by_end.setdefault(piece.end, []).append(piece)
    best: list[tuple[float, Piece | None]] = [(0.0, None)]
    before = ""
    for end, character in enumerate(looked_at, 1):
        cheapest: tuple[float, Piece | None] = best[end - 1][0] + _character_bits(before, character), None
        before = character.lower()
        for piece in by_end.get(end, ()):
            bits = best[piece.start][0] + piece.bits + (_JOIN_BITS if piece.start else 0.0)
            cheapest = min(cheapest, (bits, piece), key=lambda found: found[0])
        best.append(cheapest)
    habits: dict[Habit, None] = {}
    at = len(looked_at)
    while at:
        found = best[at][1]
        at = at - 1 if found is None else found.start
        if found is not None:
            habits.setdefault(found.habit)
    return Reading(best[-1][0], tuple(habits))


def _character_bits(before: str, character: str) -> float:
    if character.isdigit():
        return 3.3
    if not character.isascii():
        return 4.0 if character < _FIRST_SYLLABLE else 8.0
    if not character.isalpha():
        return 5.0
    return letter_bits(before, character.lower()) + _CAPITAL_BITS * character.isupper()


def _words_of(user: Iterable[str]) -> frozenset[str]:
    """Return what a user's data is made of: whole, and word by word."""
    words: set[str] = set()
    user = [user] if isinstance(user, str) else user  # its letters are no words
    for given in list(user)[:_MOST_USER_WORDS]:
        plain = str(given)[:256].casefold()
        words.update([plain, *re.split(r"[\W_]+", plain)])
    return frozenset(word for word in words if len(word) >= _LEAST)


def _pieces(password: str, user: frozenset[str]) -> Iterator[Piece]:
    folded = password.casefold()
    if len(folded) != len(password):  # places would not be the same
        folded = password.lower() if len(password.lower()) == len(password) else password
    yield from _words(password, folded, user)
    yield from _unknown_words(password)
    yield from _walks(folded, SEQUENCES, "sequence")
    yield from _walks(folded, ROWS, "keyboard")
    yield from _repeats(password)
    for found in _DATE.finditer(folded):
        date = found[1]
        yield Piece(found.start(), found.start() + len(date), "date", _YEAR_BITS if len(date) == _YEAR else _DATE_BITS)


def _words(password: str, folded: str, user: frozenset[str]) -> Iterator[Piece]:
    views = {folded, folded.translate(_LEET), folded.translate(_LEET_OTHER)}
    size = len(folded)
    for view in views:
        is_leet = view != folded
        for text, is_reversed in ((view, False), (view[::-1], True)):
            for start in range(size):
                for end in range(start + _LEAST, min(size, start + _LONGEST_WORD) + 1):
                    word = text[start:end]
                    rank = 1 if word in user else WORDS.get(word, 0)
                    if not rank:
                        continue
                    first, last = (size - end, size - start) if is_reversed else (start, end)
                    bits = log2(rank) + is_leet + is_reversed + _case_bits(password[first:last])
                    habit: Habit = "user_data" if word in user else "common"
                    yield Piece(first, last, habit, bits + _FREE_USER_BITS)


def _unknown_words(password: str) -> Iterator[Piece]:
    """Give out letters that follow each other as in a word, whoever speaks it."""
    for found in _LETTERS.finditer(password):
        word = found[0]
        if len(word) > _LONGEST_UNKNOWN or max(word) >= _FIRST_SYLLABLE:
            continue
        plain = word.lower()
        bits = sum(letter_bits(*pair) for pair in zip(" " + plain, plain, strict=False) if pair[1].isascii())
        if bits <= _LIKE_A_WORD * sum(map(str.isascii, plain)):
            yield Piece(found.start(), found.end(), "word", _UNKNOWN_BITS + _case_bits(word))


def _case_bits(word: str) -> float:
    if word.islower() or not any(map(str.isupper, word)):
        return 0.0
    return 1.0 if word.isupper() or word[1:].islower() else 3.0


def _walks(folded: str, lines: Sequence[str], habit: Habit) -> Iterator[Piece]:
    """Give out the longest stretches that go along one line, forwards or backwards."""
    size = len(folded)
    for line in (way for forwards in lines for way in (forwards, forwards[::-1])):
        start = 0
        while start < size - 2:
            end = start + 2
            while end <= size and folded[start:end] in line:
                end += 1
            length = end - 1 - start
            if length >= _LEAST:
                yield Piece(start, start + length, habit, _WALK_BITS + log2(length))
                start += length - 1
            else:
                start += 1


def _repeats(password: str) -> Iterator[Piece]:
    """Give out what repeats: one character or a few, at least twice, and the whole at least three characters long."""
    size = len(password)
    for period in range(1, size // 2 + 1):
        start = 0
        while start + 2 * period <= size:
            end = start + period
            while end < size and password[end] == password[end - period]:
                end += 1
            length = end - start
            if length >= max(2 * period, _LEAST):
                unit = password[start : start + period]
                drawn = sum(map(_character_bits, " " + unit.lower(), unit))
                bits = min(drawn, _unit_bits(unit)) + log2(length / period)
                yield Piece(start, end, "repeat", bits)
                start = end
            else:
                start += 1


def _unit_bits(unit: str) -> float:
    rank = WORDS.get(unit.casefold(), 0)
    return log2(rank) + 2.0 if rank else 1e9
