"""What becomes of details on their way into JSON."""

from __future__ import annotations

import json
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.errors.details import DEPTH, ITEMS, SIZE, plain


class Colour(StrEnum):
    """Is a text."""

    RED = "red"


class Level(IntEnum):
    """Is a number."""

    HIGH = 3


class Shape(Enum):
    """Is neither."""

    ROUND = "round"


class Secretive:
    """Tells its secret to whoever asks for its text."""

    def __str__(self) -> str:
        return "hunter2"

    __repr__ = __str__


class Pretender:
    """A proxy that claims to be what it stands for."""

    def __init__(self, claimed: type) -> None:
        self.claimed = claimed

    @property
    def __class__(self) -> Any:
        return self.claimed


class Broken(Mapping[str, object]):
    """A lazy mapping whose source is gone."""

    def __getitem__(self, key: str) -> object:
        raise ConnectionError

    def __iter__(self) -> Iterator[str]:
        yield "key"

    def __len__(self) -> int:
        return 1


class Endless(Broken):
    """A mapping that never ends."""

    def __getitem__(self, key: str) -> object:
        return 1

    def __iter__(self) -> Iterator[str]:
        number = 0
        while True:
            yield str(number := number + 1)


def nested(levels: int) -> dict[str, Any]:
    """Build so many mappings, one within another."""
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"inner": value}
    return value


def compact(value: object) -> str:
    """Write JSON as it is sent."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


@pytest.mark.parametrize(
    ("value", "copy"),
    [
        ## as it is
        (None, None),
        (True, True),
        (0, 0),
        (-(2**64) + 1, -(2**64) + 1),
        (0.5, 0.5),
        ("Käse", "Käse"),
        ([1, [2]], [1, [2]]),
        ({"a": {"b": 1}}, {"a": {"b": 1}}),
        ## in another form
        ((1, 2), [1, 2]),
        ({1}, [1]),
        (frozenset([1]), [1]),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        ({1: "a"}, {"int": "a"}),
        ({Colour.RED: "a"}, {"red": "a"}),
        ## only the name of the type
        (Shape.ROUND, "Shape"),
        (2**64, "int"),
        pytest.param(10**5000, "int", id="more digits than Python prints"),
        (float("nan"), "float"),
        (float("inf"), "float"),
        (b"hunter2", "bytes"),
        (datetime(2024, 1, 15, tzinfo=UTC), "datetime"),
        (uuid.UUID(int=0), "UUID"),
        (Decimal(1), "Decimal"),
        (ValueError("hunter2"), "ValueError"),
        (iter([1]), "list_iterator"),
        pytest.param(Secretive(), "Secretive", id="Secretive"),
        pytest.param(Broken(), "Broken", id="Broken"),
        pytest.param(Pretender(str), "Pretender", id="not a str"),
        pytest.param(Pretender(int), "Pretender", id="not an int"),
        pytest.param(Pretender(float), "Pretender", id="not a float"),
        pytest.param(Pretender(bool), "Pretender", id="not a bool"),
        pytest.param(Pretender(dict), "Pretender", id="not a dict"),
        pytest.param(Pretender(list), "Pretender", id="not a list"),
    ],
)
def test_a_value_is_copied_or_named(value: object, copy: object) -> None:
    """What JSON knows stays; of everything else the type is told, and no text that it makes of itself."""
    result = plain({"value": value})

    assert result == {"value": copy}
    assert json.loads(compact(result)) == {"value": copy}


@pytest.mark.parametrize("details", [None, [1], "text", Broken(), Pretender(dict)])
def test_what_is_no_mapping_is_left_out(details: Any) -> None:
    """An application may hang anything on an error."""
    assert plain(details) == {}


def test_a_copy_is_a_copy() -> None:
    """What is changed later does not change what is told."""
    inner = [1]
    result = plain({"inner": inner})
    inner.append(2)

    assert result == {"inner": [1]}


def test_six_levels_are_kept() -> None:
    """The seventh becomes the name of its type."""
    assert plain(nested(DEPTH)) == nested(DEPTH)
    assert "dict" in compact(plain(nested(DEPTH + 1)))


def test_a_cycle_ends() -> None:
    """As any other depth does."""
    cycle: dict[str, Any] = {}
    cycle["again"] = cycle

    assert compact(plain(cycle)).count("again") == DEPTH


@pytest.mark.parametrize(
    "details",
    [
        {str(number): number for number in range(1_000)},
        {"list": list(range(1_000))},
        {str(number): [number] * 10 for number in range(1_000)},
        Endless(),
    ],
    ids=["mapping", "list", "both", "endless"],
)
def test_64_items_are_kept_in_all(details: Mapping[str, object]) -> None:
    """However they are spread over containers."""

    def count(value: object) -> int:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return sum(1 + count(item) for item in inner)

    assert count(plain(details)) == ITEMS


@pytest.mark.parametrize("character", ["x", '"', "\x00", "ä", "\U0001f600", "\ud800"])
def test_eight_kilobytes_are_kept(character: str) -> None:
    """Of any text, whatever it takes to write it in ASCII; what is cut is still worth reading."""
    result = plain({"text": character * 1_000_000})

    assert len(compact(result)) <= SIZE
    assert len(result["text"]) > 600
    assert set(result["text"]) == {character}


def test_a_long_key_is_cut() -> None:
    """A key is as long as the client wants."""
    assert plain({"k" * 65: 1}) == {"k" * 64: 1}


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.builds(Secretive),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@pytest.mark.long
@given(st.dictionaries(st.text() | st.integers(), json_like))
def test_any_details_become_json_within_the_bounds(details: dict[Any, object]) -> None:
    """Never an exception, never a secret, never more than the bound."""
    text = compact(plain(details))

    assert len(text) <= SIZE
    assert text.isascii()
    assert isinstance(json.loads(text), dict)


@given(
    st.lists(st.sampled_from(["x" * 100, "\U0001f600" * 300, "ä" * 2_000, 10**18, 1e-300, None, [], {}]), max_size=200)
)
def test_the_size_is_kept_to_the_byte(items: list[Any]) -> None:
    """With items that fill the room in every way."""
    assert len(compact(plain({str(number) * 50: item for number, item in enumerate(items)}))) <= SIZE
    assert len(compact(plain({"items": items, "again": {"more": items}}))) <= SIZE
