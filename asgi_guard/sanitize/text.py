r"""Text: what a person wrote, without what a person cannot see.

Removed is what lies to whoever reads it later: control characters (terminals obey them, log lines end at them), marks
that turn the direction of writing (Trojan Source, CVE-2021-42574), and characters without a shape, by which two texts
differ that look the same. Letters of every script are kept, with the joiners and selectors that Persian, Hindi and
emoji need: beside one of these, and nowhere among letters of ASCII.
Standard: Unicode normalisation forms (UAX #15), of which the bound of 30 marks is taken too: sorting them takes time
by the square of their number, and an attacker sends thousands.
Must never change what a text means, and must never be taken for escaping: HTML, SQL and shells have their own ways.
"""

from __future__ import annotations

import re
from typing import Final, Literal
from unicodedata import combining, normalize

from asgi_guard.sanitize.errors import SanitizeError, checked_text

MAX_MARKS: Final = 30
"""The combining marks that may follow each other."""

_SLACK: Final = 4
"""How many times longer a text may be before it is cleaned: composing its letters makes it shorter."""

_LINE_END: Final = re.compile("\r\n?|[\n\v\f\x1c-\x1e\x85\u2028\u2029]")
_INVISIBLE: Final = re.compile(
    "["
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # controls; tab and line ends have been dealt with
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\ufdd0-\ufdef"  # no characters, now and for ever; so are the last two of each plane
    + "".join(chr(plane << 16 | 0xFFFE) + chr(plane << 16 | 0xFFFF) for plane in range(17))
    + "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"  # tags: hidden ASCII
    "]+"
)


_JOINS_NOTHING: Final = re.compile("(?<![^\x00-\x7f\\s])[\u200c\u200d\ufe00-\ufe0f]+(?![^\x00-\x7f\\s])")
"""Joiners and selectors of which both neighbours are ASCII or blank: they change nothing that is seen."""

_NOTHING: Final = re.compile("[\\s\u200c\u200d\ufe00-\ufe0f\u180b-\u180d\u180f\u2800]*")
"""Text of which nothing is seen: blanks, that of Braille among them, and what changes the letter before it."""


def clean_text(
    value: object,
    *,
    max_length: int = 10_000,
    multiline: bool = False,
    allow_empty: bool = True,
    form: Literal["NFC", "NFKC"] = "NFC",
    field: str = "text",
) -> str:
    r"""Return text without controls, marks of direction and what cannot be seen; normalised, without blanks around it.

    Args:
        value: what was given.
        max_length: the characters that the result may have, at least 1.
        multiline: keep line ends, as `\n`, and tabs; otherwise each becomes a blank.
        allow_empty: take text of which nothing is left.
        form: `NFC` keeps every character as it looks; `NFKC` makes full-width and other variants plain, for what is
            compared and searched.
        field: what to call it in an error.

    Raises:
        SanitizeError: `not_text`, `not_unicode`, `too_long`, `too_many_marks` or `empty`.
        ConfigError: `max_length` is no number that can be a length.
    """
    text = checked_text(value, field, max_length, _SLACK)
    if not (text.isascii() and text.isprintable()):
        text = _LINE_END.sub("\n" if multiline else " ", text)
        text = joined(normalised(visible(text if multiline else text.replace("\t", " ")), field, form))
        if _NOTHING.fullmatch(text):
            text = ""
    text = text.strip()
    if len(text) > max_length:
        raise SanitizeError(field, "too_long")
    if not text and not allow_empty:
        raise SanitizeError(field, "empty")
    return text


def visible(text: str) -> str:
    """Return a text without its controls, but for tabs and line feeds, and without what has no shape."""
    different = "".join(set(text))  # a few, of which the usual answer is told sooner
    return _INVISIBLE.sub("", text) if _INVISIBLE.search(different) else text


def joined(text: str) -> str:
    """Return a text without joiners that join nothing, such as one between two letters of ASCII."""
    return text if text.isascii() else _JOINS_NOTHING.sub("", text)


def normalised(text: str, field: str, form: Literal["NFC", "NFKC"] = "NFC") -> str:
    """Return a text in a normalisation form, in time that is linear in its length.

    Raises:
        SanitizeError: `too_many_marks`.
    """
    if text.isascii():
        return text
    _check_marks(text, field)
    text = normalize(form, text)
    _check_marks(text, field)  # some letters have marks of their own, which now stand beside the others
    return text


def _check_marks(text: str, field: str) -> None:
    if not any(map(combining, text[:: MAX_MARKS + 1])):  # one of these would be in a run that is too long
        return
    marks = 0
    for character in text:
        marks = marks + 1 if combining(character) else 0
        if marks > MAX_MARKS:
            raise SanitizeError(field, "too_many_marks")
