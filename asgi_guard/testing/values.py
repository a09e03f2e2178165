"""Values: made up, plausible, and the same again from the same seed.

Rule 1: all chance comes from the seed; no clock, no process, no order of a hash has a say.
Rule 2: nothing made up is somebody's: e-mail addresses are of example.com, accounts of a bank that is none.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

_FIRST: Final = (
    "Ada",
    "Alan",
    "Barbara",
    "Chloé",
    "Dennis",
    "Edsger",
    "Grace",
    "Jürgen",
    "Katherine",
    "Linus",
    "Mary",
    "Niklaus",
    "Radia",
    "Søren",
    "Tim",
    "Zoë",
)
_LAST: Final = (
    "Curie",
    "Dupont",
    "García",
    "Hopper",
    "Kowalski",
    "Liskov",
    "Lovelace",
    "Müller",
    "Nakamura",
    "O'Neill",
    "Øster",
    "Perlman",
    "Smith",
    "Turing",
    "van Dijk",
    "Wirth",
)
_WORDS: Final = (
    "amber",
    "basin",
    "cloud",
    "delta",
    "ember",
    "field",
    "grain",
    "harbour",
    "island",
    "juniper",
    "kettle",
    "lantern",
    "meadow",
    "north",
    "orchard",
    "pepper",
    "quartz",
    "river",
    "stone",
    "thistle",
)
_COUNTRIES: Final = {"DE": 18, "GB": 18, "FR": 23, "NL": 14, "ES": 20}
_START: Final = datetime(2024, 1, 1, tzinfo=UTC)
MAX_TEXT: Final = 100_000


class Values:
    """A source of made-up values.

    Args:
        seed: an integer or a text; the same one gives the same values in the same order.

    Attributes:
        seed: the seed.
        random: the source of all chance.
    """

    def __init__(self, seed: int | str = 0) -> None:
        self.seed: int | str = seed
        self.random: random.Random = random.Random(str(seed))  # noqa: S311  it shall be the same again
        self._number = 0

    def number(self) -> int:
        """Return 1, then 2, and so on: what makes a value unique."""
        self._number += 1
        return self._number

    def integer(self, least: int = 0, most: int = 1_000_000) -> int:
        """Make an integer.

        Raises:
            ValueError: `most` is less than `least`.
        """
        return self.random.randint(least, most)

    def name(self) -> str:
        """Make the name of a person; some have letters beyond ASCII, or a quote."""
        return f"{self.random.choice(_FIRST)} {self.random.choice(_LAST)}"

    def email(self) -> str:
        """Make an e-mail address at example.com, each but once."""
        return f"{self.random.choice(_WORDS)}.{self.random.choice(_WORDS)}.{self.number()}@example.com"

    def amount(self, least: Decimal | str | int = "0.01", most: Decimal | str | int = 10_000) -> Decimal:
        """Make an amount of money, to the cent.

        Args:
            least: the least it may be.
            most: the most it may be.

        Raises:
            ValueError: `most` is less than `least`.
        """
        return Decimal(self.random.randint(_cents(least), _cents(most))).scaleb(-2)

    def iban(self, country: str = "") -> str:
        """Make an account number whose check digits are right (ISO 13616).

        Args:
            country: DE, GB, FR, NL or ES; any of them when empty.

        Raises:
            ValueError: another country.
        """
        country = country or self.random.choice([*_COUNTRIES])
        if country not in _COUNTRIES:
            raise ValueError(f"country must be one of {', '.join(_COUNTRIES)}, not {country!r}")
        bank = {"GB": "TEST", "NL": "TEST"}.get(country, "")
        account = bank + "".join(self.random.choices("0123456789", k=_COUNTRIES[country] - len(bank)))
        digits = "".join(str(int(character, 36)) for character in f"{account}{country}00")
        return f"{country}{98 - int(digits) % 97:02}{account}"

    def timestamp(self, start: datetime = _START, days: float = 730) -> datetime:
        """Make a moment, to the second, in UTC where `start` is.

        Args:
            start: the earliest.
            days: how much later it may be; at least 0.
        """
        return start + timedelta(seconds=self.random.randint(0, round(days * 86_400)))

    def text(self, least: int = 5, most: int = 40) -> str:
        """Make words.

        Args:
            least: the least characters, at least 0.
            most: the most characters, up to 100,000.

        Raises:
            ValueError: the bounds are none.
        """
        if not 0 <= least <= most <= MAX_TEXT:
            raise ValueError(f"a text has from 0 to {MAX_TEXT} characters, not {least} to {most}")
        length, words = self.random.randint(least, most), ""
        while len(words) < length:
            words += f"{self.random.choice(_WORDS)} "
        made = words[:length]
        return f"{made[:-1]}s" if made.endswith(" ") else made  # a space at its end would be stripped somewhere

    def uuid(self) -> UUID:
        """Make a UUID of version 4."""
        return UUID(int=self.random.getrandbits(128), version=4)


def _cents(amount: Decimal | str | int) -> int:
    return int(Decimal(amount).scaleb(2).to_integral_value())
