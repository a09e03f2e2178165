"""The report of the demo: a table that a terminal can show, and an honest verdict."""

from __future__ import annotations

import pytest

from asgi_guard.demo.report import Result, table, told
from asgi_guard.demo.rows import Check

RIGHT, WRONG, SILENT = Check(True, "good", "bad"), Check(False, "good", "bad"), Check(True, "", "bad")
LONG = Check(True, "a word or two " * 30, "")


@pytest.mark.parametrize(
    ("plain", "guarded", "verdict"),
    [
        ([WRONG], [RIGHT, SILENT], "protected"),
        ([RIGHT], [RIGHT], "unchanged"),
        ([WRONG], [RIGHT, WRONG], "WRONG"),
        ([RIGHT], [WRONG], "WRONG"),
    ],
)
def test_the_verdict_follows_from_the_checks(plain: list[Check], guarded: list[Check], verdict: str) -> None:
    """What is wrong on the guarded side is wrong, whatever was seen of the plain one."""
    assert Result("row", plain, guarded).verdict == verdict


def test_what_is_told_is_what_was_found() -> None:
    """A check says what is right or what is wrong; one that has nothing to say is left out."""
    assert told([RIGHT, SILENT, WRONG]) == "good, bad"


def test_a_table_fits_a_terminal() -> None:
    """However much there is to tell, no line is wider than 120 columns, and all of it is ASCII."""
    lines = table([Result("a long name " * 9, [LONG], [LONG])], in_colour=False).splitlines()

    assert max(map(len, lines)) <= 120
    assert all(map(str.isascii, lines))


def test_only_the_verdicts_are_coloured() -> None:
    """Without colours the table is the same, less the escape codes."""
    results = [Result("row", [WRONG], [RIGHT]), Result("row", [RIGHT], [RIGHT]), Result("row", [RIGHT], [WRONG])]
    coloured, plain = table(results, in_colour=True), table(results, in_colour=False)
    for verdict, colour in (("protected", 32), ("unchanged", 2), ("WRONG", 31)):
        coloured = coloured.replace(f"\x1b[{colour}m{verdict}\x1b[0m", verdict)

    assert coloured == plain
    assert "\x1b" not in plain
