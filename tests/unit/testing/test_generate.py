"""Made-up data: the same from the same seed, within its bounds, and tidied up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Literal, TypedDict

import pytest
from pydantic import BaseModel, Field

from asgi_guard.testing import Generator


class Order(BaseModel):
    """A model with bounds."""

    number: int = Field(ge=3, le=5)
    email: str
    kind: Literal["a", "b"]
    tags: list[Annotated[str, Field(min_length=2, max_length=4)]]


@dataclass
class Node:
    """A type that holds itself."""

    order: Order
    next: Node | None


class Point(TypedDict):
    """A dictionary with types."""

    x: float


@pytest.mark.parametrize("kind", [Order, Node, Point, list[int], dict[str, int | None], tuple[int, str]])
def test_the_same_seed_makes_the_same_data(kind) -> None:
    """Of any kind; another seed makes others."""
    assert Generator(7).rows(kind, 5) == Generator(7).rows(kind, 5) != Generator(8).rows(kind, 5)


def test_what_is_given_stays_and_what_is_no_field_is_refused() -> None:
    """With the names that there are."""
    assert Generator()(Order, number=4).number == 4
    with pytest.raises(TypeError, match="no field 'nmber', but number, email"):
        Generator()(Order, nmber=4)


@pytest.mark.parametrize("country", ["DE", "GB", "FR", "NL", "ES"])
def test_an_iban_has_the_right_check_digits(country) -> None:
    """ISO 13616: the number is 1 modulo 97."""
    made = Generator(country).iban(country)

    assert int("".join(str(int(character, 36)) for character in made[4:] + made[:4])) % 97 == 1


def test_the_last_is_tidied_up_first_and_one_that_fails_keeps_no_other() -> None:
    """Its error comes at the end."""
    closed: list[str] = []
    generate = Generator()
    generate.track("first", closed.append)
    generate.track("broken", lambda _: 1 / 0)
    generate.track("last", closed.append)

    with pytest.raises(ExceptionGroup, match="clean-up"):
        asyncio.run(generate.clean_up())
    assert closed == ["last", "first"]
