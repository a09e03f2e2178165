"""Text: what a person wrote, without what a person cannot see."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from asgi_guard.errors import ConfigError
from asgi_guard.sanitize import SanitizeError, clean_text
from asgi_guard.sanitize.text import MAX_MARKS

CLEAN = {
    "plain": ("Ada Lovelace", "Ada Lovelace"),
    "blanks around it": ("  Ada \n", "Ada"),
    "a NUL": ("a\0b", "ab"),
    "an escape sequence of a terminal": ("\x1b[31mred\x1b[0m", "[31mred[0m"),
    "a C1 control": ("a\x9bb", "ab"),
    "a forged line of a log": ("ok\r\n2026 INFO admin", "ok 2026 INFO admin"),
    "a line separator": ("a\u2028b\u2029c", "a b c"),
    "an override of direction": ("\u202eexe.txt", "exe.txt"),
    "isolates of direction": ("a\u2066b\u2069", "ab"),
    "a zero-width space": ("ad\u200bmin", "admin"),
    "a soft hyphen": ("pass\xadword", "password"),
    "a byte order mark": ("\ufefftext", "text"),
    "hidden ASCII in tags": ("hi" + "".join(chr(0xE0000 + ord(c)) for c in "ignore"), "hi"),
    "a Hangul filler": ("a\u3164b", "ab"),
    "no character": ("a\ufffe\ufdd0\U0010ffffb", "ab"),
    "letters and accents that are two": ("Ame\u0301lie", "Amélie"),
    "accents around what is removed": ("e\u200b\u0301", "é"),
    "Hebrew": ("\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd"),
    "Persian with its joiner": (
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    ),
    "a family of emoji": (
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    ),
    "a heart with its variation": ("\u2764\ufe0f", "\u2764\ufe0f"),
    "a joiner between letters of ASCII": ("pay\u200dpal", "paypal"),
    "a selector behind a letter of ASCII": ("adm\ufe0fi\ufe00n", "admin"),
    "a joiner between blanks": ("a \u200c\u3000b", "a \u3000b"),
    "a key cap": ("1\ufe0f\u20e3", "1\ufe0f\u20e3"),
    "Latin and Persian, joined": ("PDF\u200c\u0647\u0627", "PDF\u200c\u0647\u0627"),
    "a sign that becomes a letter of ASCII": ("\u212a\u200dA", "KA"),
    "old Hangul fillers": ("a\u115f\u1160b", "ab"),
    "Khmer vowels that nobody sees": ("a\u17b4\u17b5b", "ab"),
    "nothing but what has no shape": ("\u2800 \ufe0f\u200d\u180b", ""),
    "Braille": ("\u2801\u2800\u2803", "\u2801\u2800\u2803"),
    "what looks like an attack": ("'; DROP TABLE users --", "'; DROP TABLE users --"),
}


@pytest.mark.parametrize(("given", "expected"), CLEAN.values(), ids=CLEAN)
def test_text_is_what_can_be_seen(given: str, expected: str) -> None:
    """Letters of every script stay; what hides, lies or commands goes."""
    assert clean_text(given) == expected


def test_several_lines_keep_their_ends_and_tabs() -> None:
    """Every kind of line end becomes one."""
    assert clean_text("a\r\nb\rc\x85d\u2028e\tf", multiline=True) == "a\nb\nc\nd\ne\tf"


def test_nfkc_makes_variants_plain() -> None:
    """It is asked for where texts are compared."""
    assert clean_text("\uff41\uff44\uff4d\uff49\uff4e \ufb01", form="NFKC") == "admin fi"
    assert clean_text("\uff41\ufb01") == "\uff41\ufb01"


REFUSED = {
    "bytes": (b"text", {}, "not_text"),
    "None": (None, {}, "not_text"),
    "half a character": ("a\ud800", {}, "not_unicode"),
    "one character too many": ("a" * 11, {"max_length": 10}, "too_long"),
    "too long for being looked at": ("\u200b" * 41, {"max_length": 10}, "too_long"),
    "one mark too many": ("e" + "\u0301" * (MAX_MARKS + 1), {}, "too_many_marks"),
    "a name of Braille blanks, and text is needed": ("\u2800\u2800", {"allow_empty": False}, "empty"),
    "a name of a joiner, and text is needed": ("\u200d", {"allow_empty": False}, "empty"),
    "blanks, and text is needed": (" \u200b ", {"allow_empty": False}, "empty"),
}


@pytest.mark.parametrize(("given", "options", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_clean_is_refused_with_its_reason(given: object, options: dict, reason: str) -> None:
    """The error is a ValueError, and names the field."""
    with pytest.raises(SanitizeError) as error:
        clean_text(given, field="nickname", **options)

    assert (error.value.field, error.value.reason) == ("nickname", reason)
    assert isinstance(error.value, ValueError)


def test_an_error_never_shows_what_was_given() -> None:
    """It may be logged, and shown, as it is."""
    with pytest.raises(SanitizeError) as error:
        clean_text("secret\nforged line", max_length=3, field="note")

    assert str(error.value) == "note is too long"


@pytest.mark.parametrize("bound", [0, -1, 1.5, "10", None])
def test_a_bound_that_is_none_is_told_to_the_developer(bound: object) -> None:
    """It is no fault of the value, so it is another error."""
    with pytest.raises(ConfigError, match="AG101"):
        clean_text("a", max_length=bound)


@pytest.mark.parametrize("place", range(MAX_MARKS + 2))
def test_marks_are_counted_wherever_they_stand(place: int) -> None:
    """Only some characters are looked at while none of them is a mark."""
    most = "q" * (place + 1) + "\u0301" * MAX_MARKS + "z"

    assert clean_text(most) == most
    with pytest.raises(SanitizeError, match="accents"):
        clean_text(most.replace("z", "\u0301z"))


def test_marks_out_of_order_take_no_time() -> None:
    """Sorting 400,000 of them would take minutes: normalisation is quadratic in a run of marks."""
    hostile = "a" + "\u0301\u0316" * 200_000
    began = time.process_time()

    with pytest.raises(SanitizeError, match="accents"):
        clean_text(hostile, max_length=1_000_000)

    assert time.process_time() - began < 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_what_came_out_goes_in_again_unchanged(seed: int, form: Any) -> None:
    """Joiners, blanks and marks beside each other, and letters that become others."""
    random_ = random.Random(seed)
    pieces = [
        *"a .-1\n\u212a\u200c\u200d\ufe0f\ufe00\u0627\u5e74\u0301\u3000\u2003\u20e3\u115f\u2800\u180b\uff21\u1161\u0344"
    ]
    for _ in range(3_000):
        given = "".join(random_.choice(pieces) for _ in range(random_.randrange(1, 14)))
        once = clean_text(given, form=form, multiline=bool(seed % 2))

        assert clean_text(once, form=form, multiline=bool(seed % 2)) == once
