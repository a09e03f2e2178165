"""Transactions: one line of a statement each, and the money in it.

Rule 1: money is never a float. An amount is a `Decimal` of at most four places, and is kept as ten-thousandths.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

PLACES: Final = 4
"""Of an amount, behind the point: what the currency with the most has, and one more."""

_UNITS: Final = 10**PLACES
MAX_AMOUNT: Final = Decimal(10) ** 12
"""No amount is as large, with either sign: the sum of a file still fits into a BIGINT."""


class Side(StrEnum):
    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True, order=True)
class Transaction:
    """One line of a file.

    Attributes:
        on: its day.
        id: names it within its file.
        reference: what both sides may know it by; empty where there is none.
        amount: with its sign.
        currency: three capital letters.
        description: for a person; nothing is matched by it.
    """

    on: date
    id: str
    reference: str
    amount: Decimal
    currency: str
    description: str = ""


def to_units(amount: Decimal) -> int:
    """Write an amount as a number of ten-thousandths."""
    return int(amount.scaleb(PLACES).to_integral_exact())


def of_units(units: int) -> Decimal:
    """Read it back."""
    return Decimal(units) / _UNITS


def shown(amount: Decimal) -> str:
    """Write an amount for a person: with two places, or with as many as it needs."""
    text = f"{amount:.{PLACES}f}"
    return text[:-2] if text.endswith("00") else text.rstrip("0")
