"""What a decision tells, and how keys and costs are bounded before they are counted."""

from __future__ import annotations

from enum import IntEnum

import pytest

from asgi_guard.limiting.store import Decision, checked_cost, shorten

SECRET = bytes(16)


class Price(IntEnum):
    """A cost that is an int by inheritance."""

    HIGH = 10


@pytest.mark.parametrize(
    ("waits_ns", "allowed", "retry_after_ns", "violated"),
    [
        ((0,), True, 0, ()),
        ((0, 0), True, 0, ()),
        ((7,), False, 7, (0,)),
        ((0, 7), False, 7, (1,)),
        ((9, 0, 7), False, 9, (0, 2)),  # all limits have to admit the next one, so the longest wait counts
        ((None,), False, None, (0,)),
        ((9, None, 0), False, None, (0, 1)),
    ],
)
def test_a_hit_is_admitted_if_no_limit_makes_it_wait(waits_ns, allowed, retry_after_ns, violated) -> None:
    """The longest wait is the answer, and never is longer than any other."""
    decision = Decision.by_waits(1_000, (1,), (2,), waits_ns)

    assert (decision.allowed, decision.retry_after_ns, decision.violated) == (allowed, retry_after_ns, violated)
    assert bool(decision) is allowed
    assert decision.retry_at_ns == (None if retry_after_ns is None else 1_000 + retry_after_ns)
    assert decision.degraded is False


@pytest.mark.parametrize(
    ("nanoseconds", "seconds"),
    [(0, 0), (1, 1), (999_999_999, 1), (1_000_000_000, 1), (1_000_000_001, 2), (None, None)],
)
def test_seconds_are_rounded_up(nanoseconds, seconds) -> None:
    """A client that waits the seconds it was told has waited long enough."""
    decision = Decision(False, 0, (0,), (nanoseconds or 0,), nanoseconds)

    assert decision.retry_after_seconds == seconds
    assert decision.reset_after_seconds == (seconds or 0,)


LETTERS = pytest.mark.parametrize(
    "letter",
    [pytest.param("a", id="ascii"), pytest.param("\u2603", id="snowman"), pytest.param(b"a", id="bytes")],
)


@LETTERS
@pytest.mark.parametrize("length", [0, 1, 64])
def test_a_short_key_is_kept_as_it_is(letter, length) -> None:
    """Up to 64 characters or bytes, a key is its own name."""
    key = letter * length

    assert shorten(key, SECRET) is key


@LETTERS
@pytest.mark.parametrize("length", [65, 1_000_000])
def test_a_long_key_is_replaced_by_a_digest_of_its_type(letter, length) -> None:
    """However long the key is, 128 bits are kept: 32 hexadecimal digits of text, or 16 bytes."""
    short = shorten(letter * length, SECRET)

    assert type(short) is type(letter)
    assert len(short) == (32 if isinstance(short, str) else 16)
    assert short == shorten(letter * length, SECRET)


def test_text_that_is_not_unicode_is_shortened_all_the_same() -> None:
    """A lone surrogate, which UTF-8 has no code for, comes from a path that was decoded leniently."""
    assert shorten("\ud800" * 65, SECRET) != shorten("\ud801" * 65, SECRET)


def test_long_keys_that_differ_stay_different() -> None:
    """Another character, another type or another secret makes another key."""
    shorts = {
        shorten("a" * 65, SECRET),
        shorten("a" * 66, SECRET),
        shorten("a" * 64 + "b", SECRET),
        shorten(b"a" * 65, SECRET),
        shorten("a" * 65, b"another secret.."),
    }

    assert len(shorts) == 5


@pytest.mark.parametrize(("cost", "expected"), [(0, 0), (1, 1), (10**12, 10**12), (True, 1), (Price.HIGH, 10)])
def test_a_whole_number_is_a_cost(cost, expected) -> None:
    """Whatever is an int by inheritance is counted as the plain int."""
    checked = checked_cost(cost)

    assert checked == expected
    assert type(checked) is int


@pytest.mark.parametrize(("cost", "error"), [(-1, ValueError), (1.0, TypeError), ("1", TypeError), (None, TypeError)])
def test_anything_else_is_no_cost(cost, error) -> None:
    """A negative cost would hand out quota, and a fraction would ruin the state."""
    with pytest.raises(error):
        checked_cost(cost)
