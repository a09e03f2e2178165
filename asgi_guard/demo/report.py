"""The report of the demo: one line for each row, what was seen of both sides, and the verdict.

Must never be wider than 120 columns, and must never write anything but ASCII.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from textwrap import wrap
from typing import Final

from asgi_guard.demo.rows import Check

_HEADINGS: Final = ("request", "plain", "guarded", "verdict")
_WIDTHS: Final = (27, 28, 47, 9)
_COLOURS: Final = {"protected": 32, "unchanged": 2, "WRONG": 31}  # green, dim, red


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one row.

    Attributes:
        name: the row's name.
        plain: what was found on the plain side.
        guarded: what was found on the guarded side.
    """

    name: str
    plain: Sequence[Check]
    guarded: Sequence[Check]

    @property
    def is_right(self) -> bool:
        """Tell whether the guarded side is as it should be."""
        return all(check.holds for check in self.guarded)

    @property
    def verdict(self) -> str:
        """`protected` where the guard makes the difference, `unchanged` where there is none to be made."""
        if not self.is_right:
            return "WRONG"
        return "unchanged" if all(check.holds for check in self.plain) else "protected"


def told(checks: Iterable[Check]) -> str:
    """Say what the checks found."""
    return ", ".join(text for text in map(str, checks) if text)


def table(results: Iterable[Result], *, in_colour: bool) -> str:
    """Draw the table.

    Args:
        results: its rows.
        in_colour: use the colours of a terminal.
    """
    rule = "-+-".join("-" * width for width in _WIDTHS)
    lines = [_line(_HEADINGS), rule]
    for result in results:
        cells = (result.name, told(result.plain), told(result.guarded), result.verdict)
        columns = [wrap(cell, width, break_on_hyphens=False) for cell, width in zip(cells, _WIDTHS, strict=True)]
        lines.extend(_line(cells, in_colour=in_colour) for cells in zip_longest(*columns, fillvalue=""))
    return "\n".join(lines)


def _line(cells: Sequence[str], *, in_colour: bool = False) -> str:
    *others, verdict = [cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)]
    verdict = verdict.rstrip()
    if in_colour and verdict:
        verdict = f"\x1b[{_COLOURS[verdict]}m{verdict}\x1b[0m"
    return " | ".join([*others, verdict]).rstrip()
