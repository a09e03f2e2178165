"""Rates: the text "5/second;100/minute", read as limits that the algorithms can count.

Rule 1: the grammar is that of the `limits` library, which is imported at the first parse and not before, since that
takes longer than importing all of this package.
Rule 2: a rate is never guessed. What cannot be read is refused, in a sentence that says what was given, what is
allowed and what was probably meant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MAX_LIMITS: Final = 8
"""The limits of one rate."""

MAX_AMOUNT: Final = 1_000_000_000
"""What one limit may admit in a window."""

MAX_SECONDS: Final = 366 * 86_400
"""The longest window."""

MAX_TEXT: Final = 512
"""The characters of a rate that is given as text."""

MAX_NAME: Final = 64
"""The characters of a limit's name."""

_REMEDY: Final = 'Write it like "100/minute", "20 per 5 minutes" or "5/second;100/minute".'
_UNITS: Final = ("second", "minute", "hour", "day", "month", "year")
_ABBREVIATIONS: Final = {"s": "second", "m": "minute", "min": "minute", "h": "hour", "hr": "hour", "d": "day"}
_SEPARATOR: Final = re.compile("[,;|]")
# "100 requests per 5 min": an amount, perhaps words, perhaps a number, perhaps a unit.
_PIECES: Final = re.compile(r"([0-9]+)[^/.0-9]*?(?:/|per) ?([0-9]*) ?([a-z]*)$")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `amount` in each window of `seconds`.

    Attributes:
        amount: what a window admits, 1 to 1,000,000,000.
        seconds: the length of the window in seconds, 1 to 31,622,400 (366 days).
        name: what headers and metrics call the limit, such as "100/minute": printable ASCII, at most 64 characters.
            Left out, it is made of the numbers: "100/60second".
        burst: what the algorithm `gcra` admits at once after a pause, 1 to 1,000,000,000; None for the amount. No other
            algorithm takes one.

    Raises:
        ValueError: a value is out of its bounds.
    """

    amount: int
    seconds: int
    name: str = ""
    burst: int | None = None

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", f"{self.amount}/{self.seconds}second")
        if not _within(self.amount, MAX_AMOUNT):
            raise ValueError(f"{self.name!r} admits {self.amount}; that has to be an integer from 1 to {MAX_AMOUNT}")
        if not _within(self.seconds, MAX_SECONDS):
            raise ValueError(
                f"{self.name!r} has a window of {self.seconds} s; that is an integer from 1 to {MAX_SECONDS}"
            )
        if self.burst is not None and not _within(self.burst, MAX_AMOUNT):
            raise ValueError(f"{self.name!r} has a burst of {self.burst}; that is an integer from 1 to {MAX_AMOUNT}")
        if len(self.name) > MAX_NAME or not (self.name.isascii() and self.name.isprintable()):
            raise ValueError(f"the name {self.name!r} is not printable ASCII of at most {MAX_NAME} characters")

    @property
    def window_ns(self) -> int:
        """The length of the window in nanoseconds."""
        return self.seconds * 1_000_000_000


def parse_rate(rate: str | Limit | Sequence[str | Limit]) -> tuple[Limit, ...]:
    """Read a rate as the limits under all of which a hit has to fit.

    A month has 30 days and a year has 12 months, as in `limits`. A limit that another makes pointless is accepted.

    Args:
        rate: text in the grammar of `limits`, at most 512 characters, such as "5/second;100/minute"; a limit; or a
            sequence of both.

    Returns:
        The limits in the order given, 1 to 8 of them.

    Raises:
        ValueError: the text cannot be read, a number is out of bounds, there are no limits, more than 8, or two of the
            same name.
    """
    parts = rate if isinstance(rate, Sequence) and not isinstance(rate, str | bytes) else (rate,)
    limits: list[Limit] = []
    for part in parts:
        limits.extend([part] if isinstance(part, Limit) else _parse_text(part))
    if not 1 <= len(limits) <= MAX_LIMITS:
        raise ValueError(f"a rate of {len(limits)} limits, not of 1 to {MAX_LIMITS}. {_REMEDY}")
    names = [limit.name for limit in limits]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"the limit {name!r} stands there twice. Give each limit once.")
    return tuple(limits)


def _within(value: object, maximum: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= maximum


def _parse_text(text: object) -> list[Limit]:
    if not isinstance(text, str):
        # No TypeError: in a file of settings it is one more value that is not a rate.
        raise ValueError(f"a rate is text, not {type(text).__name__}. {_REMEDY}")  # noqa: TRY004
    if len(text) > MAX_TEXT:
        raise ValueError(f"a rate of {len(text)} characters, not of at most {MAX_TEXT}. {_REMEDY}")
    # Runs of blanks make the library's pattern backtrack.
    return [_parse_one(part.strip()) for part in _SEPARATOR.split(" ".join(text.lower().split()))]


def _parse_one(text: str) -> Limit:
    from limits import parse

    try:
        item = parse(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a rate.{_guess(text)} {_REMEDY}") from None
    pieces = _PIECES.match(text)
    if pieces and pieces[2] and not int(pieces[2]):  # the library takes 0 for 1
        raise ValueError(f"{text!r} has a window of no length. {_REMEDY}")
    unit, times = item.GRANULARITY.name, item.multiples
    return Limit(item.amount, item.get_expiry(), f"{item.amount}/{times if times > 1 else ''}{unit}")


def _guess(text: str) -> str:
    """Say what was probably meant by 100/min, 100r/s, 100 requests per minute, 100/60 or 5/week."""
    from difflib import get_close_matches  # slow to import, and needed only where something is wrong

    pieces = _PIECES.match(text)
    if pieces is None:
        return ""
    amount, times, unit = pieces.groups()
    if unit in {"w", "week", "weeks"}:
        return f" Did you mean '{amount}/{7 * int(times or 1)}day'?"
    if not unit:
        return f" Did you mean '{amount}/{times}second'?"
    for meant in (_ABBREVIATIONS.get(unit), *get_close_matches(unit, _UNITS, n=1)):
        if meant:
            return f" Did you mean '{amount}/{times}{meant}'?"
    return f" {unit!r} is not a unit; they are {', '.join(_UNITS)}."
