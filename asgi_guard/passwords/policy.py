"""Policy: which passwords are taken, and why another one is not.

| id    | rule that was broken                                             |
|-------|------------------------------------------------------------------|
| AG960 | the longest is at least 64, and longer than the shortest         |
| AG961 | there are four classes: lower, upper, digits and others          |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias
from unicodedata import normalize

from asgi_guard.passwords.guesses import Habit, read
from asgi_guard.settings import Problems

Reason: TypeAlias = Literal[
    "not_text", "too_short", "too_long", "control", "classes", "too_easy",
    "common", "word", "user_data", "keyboard", "sequence", "repeat", "date",
]  # fmt: skip

REASONS: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        "not_text": "The password must be text.",
        "too_short": "The password is too short: use at least {shortest} characters, such as four words.",
        "too_long": "The password is too long: use at most {longest} characters.",
        "control": "The password has a character that no keyboard types.",
        "classes": "The password needs {classes} of these: lower-case letters, upper-case letters, digits, others.",
        "too_easy": "The password is too easy to guess: make it longer.",
        "common": "It is made of a password or a name that many people use.",
        "word": "It is a word, or a name, that dictionaries have: use four of them.",
        "user_data": "It has your name, your address or the name of this site in it.",
        "keyboard": "It goes along the keys of a keyboard.",
        "sequence": "It counts, or says the alphabet.",
        "repeat": "It repeats itself.",
        "date": "It has a date or a year in it.",
    }
)
"""Each reason, and a sentence for a person; those of habits stand beside `too_easy`, and say why."""

_SHORTEST_OF_LONGEST: Final = 64
_CLASSES: Final = 4


@dataclass(frozen=True, slots=True)
class PasswordProblem:
    """Why a password is not taken.

    Attributes:
        reason: one of `REASONS`; stable.
        message: a sentence for the person.
    """

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a policy says of a password.

    Attributes:
        password: normalised (NFC), which is what to hash; empty where it is not taken.
        problems: why it is not taken.
        bits: the logarithm of how many tries it withstands, to the base of 2.
    """

    password: str
    problems: tuple[PasswordProblem, ...]
    bits: float

    @property
    def is_accepted(self) -> bool:
        """Whether it is taken."""
        return not self.problems

    def __repr__(self) -> str:
        """Show everything but the password."""
        return f"Assessment(problems={[problem.reason for problem in self.problems]}, bits={self.bits:.0f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordPolicy:
    """Which passwords are taken.

    Attributes:
        min_length: characters, 8 to 128: 15 where it is all that is asked for, 8 beside a second factor (NIST SP
            800-63B-4).
        max_length: characters, 64 to 4,096; a longer one is not looked at.
        min_bits: how hard to guess it is at least, 0 to 128: 36 are seventy thousand million tries.
        min_classes: of lower case, upper case, digits and others, 0 to 4; NIST advises against it.
        own_words: names that whoever guesses tries first, such as that of the site.

    Raises:
        ConfigError: a field is wrong.
    """

    min_length: int = 15
    max_length: int = 256
    min_bits: float = 36.0
    min_classes: int = 0
    own_words: Sequence[str] = ()

    def __post_init__(self) -> None:
        problems = Problems("PasswordPolicy")
        problems.integer("min_length", self.min_length, minimum=8, maximum=128)
        if problems.integer("max_length", self.max_length, minimum=8, maximum=4_096) and (
            self.max_length < max(_SHORTEST_OF_LONGEST, self.min_length)
        ):
            rule = "must be at least 64, and no less than min_length"
            problems.add("AG960", "max_length", self.max_length, rule, "Write 256: a hash takes any length.")
        problems.number("min_bits", self.min_bits, minimum=0, maximum=128)
        if not isinstance(self.min_classes, int) or not 0 <= self.min_classes <= _CLASSES:
            problems.add("AG961", "min_classes", self.min_classes, "must be a number from 0 to 4", "Leave it out.")
        problems.sequence_of_text("own_words", self.own_words, ascii_only=False)
        problems.raise_if_any()

    def assess(self, password: object, *, user: Iterable[str] = ()) -> Assessment:
        """Say whether a password is taken, and what to hash.

        Args:
            password: what was given, as it was typed.
            user: what belongs to the user, such as a name and an e-mail address.
        """
        if not isinstance(password, str):
            return self._refused(["not_text"])
        if len(password) > self.max_length:
            return self._refused(["too_long"])
        normal = normalize("NFC", password)
        reasons: list[Reason] = []
        if len(normal) < self.min_length:
            reasons.append("too_short")
        if any(not character.isprintable() and not character.isspace() for character in normal):
            reasons.append("control")
        if self.min_classes and _classes(normal) < self.min_classes:
            reasons.append("classes")
        known = (user,) if isinstance(user, str) else user  # its letters are no words
        reading = read(normal, (*known, *self.own_words))
        if reading.bits < self.min_bits:
            habits: Iterable[Habit] = reading.habits
            reasons.append("too_easy")
            reasons.extend(sorted(habits))
        return self._refused(reasons, reading.bits) if reasons else Assessment(normal, (), reading.bits)

    def _refused(self, reasons: Iterable[Reason], bits: float = 0.0) -> Assessment:
        said = {"shortest": self.min_length, "longest": self.max_length, "classes": self.min_classes}
        problems = [PasswordProblem(reason, REASONS[reason].format(**said)) for reason in reasons]
        return Assessment("", tuple(problems), bits)


def _classes(password: str) -> int:
    kinds = (str.islower, str.isupper, str.isdigit)
    others = any(not character.isalpha() and not character.isdigit() for character in password)
    return sum(any(map(kind, password)) for kind in kinds) + others
