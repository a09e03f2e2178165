"""Who is refused most often, without a word of who they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.monitor.pressure import MAX_KEYS, Pressure


def test_those_who_are_refused_most_often_come_first() -> None:
    """Each under each policy."""
    pressure = Pressure(b"secret")
    for key, times in (("a", 3), ("b", 5), (b"c", 1)):
        for _ in range(times):
            pressure.note("api", key)
    pressure.note("login", "b")

    assert [(one.policy, one.refused) for one in pressure.top()] == [
        ("api", 5),
        ("api", 3),
        ("api", 1),
        ("login", 1),
    ]
    assert len(pressure.top(2)) == 2


def test_a_key_is_told_by_its_hash_alone() -> None:
    """With another secret it is another one; text and bytes of the same letters are one client."""
    one, same, other = Pressure(b"s"), Pressure(b"s"), Pressure(b"t")
    for pressure in (one, same, other):
        pressure.note("api", "198.51.100.7")

    (told,) = one.top()

    assert len(told.key) == 12
    assert "198" not in told.key
    assert same.top() == [told]
    assert other.top()[0].key != told.key


def test_a_secret_is_made_up_where_none_is_given() -> None:
    """Two processes cannot be compared then."""
    assert Pressure().secret != Pressure().secret


def test_what_is_long_ago_is_forgotten() -> None:
    """After two generations."""
    pressure = Pressure()
    pressure.note("api", "a")
    pressure.turn()
    pressure.note("api", "a")
    assert pressure.top()[0].refused == 2

    pressure.turn()
    assert pressure.top()[0].refused == 1
    pressure.turn()
    assert pressure.top() == []


def test_a_flood_of_keys_takes_no_more_than_its_place() -> None:
    """Nor does a long one."""
    pressure = Pressure()
    for number in range(MAX_KEYS * 5):
        pressure.note("api", f"{number}" * 10_000)

    assert len(pressure._now) == MAX_KEYS
    assert max(len(key) for _, key in pressure._now) == 256


@given(st.lists(st.integers(0, 2_000), max_size=2_000), st.integers(0, 5))
def test_whoever_makes_up_more_than_a_256th_is_told(noise: list[int], extra: int) -> None:
    """However many others there are in between, and never with less than it had."""
    pressure = Pressure()
    times = len(noise) // MAX_KEYS + 1 + extra
    step = max(1, len(noise) // times)
    for index, key in enumerate(noise):
        pressure.note("api", f"noise {key}")
        if index % step == 0:
            pressure.note("api", "loud")
    loud = len(range(0, len(noise), step)) if noise else 0
    if loud > (len(noise) + loud) / MAX_KEYS:
        assert pressure._now["api", "loud"] >= loud
