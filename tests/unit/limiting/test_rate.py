"""What a rate may say, and how it is refused."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from asgi_guard.limiting.rate import MAX_AMOUNT, MAX_SECONDS, Limit, parse_rate

DAY = 86_400


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        ("100/minute", [(100, 60, "100/minute")]),
        ("1/second", [(1, 1, "1/second")]),
        ("20/5minute", [(20, 300, "20/5minute")]),
        ("20 per 5 minutes", [(20, 300, "20/5minute")]),
        ("  7  PER  Hour ", [(7, 3_600, "7/hour")]),
        ("2/day", [(2, DAY, "2/day")]),
        ("2/month", [(2, 30 * DAY, "2/month")]),
        ("2/year", [(2, 360 * DAY, "2/year")]),
        # several limits, by any separator, in the order given
        ("5/second;100/minute", [(5, 1, "5/second"), (100, 60, "100/minute")]),
        ("5 per second, 100 per minute", [(5, 1, "5/second"), (100, 60, "100/minute")]),
        ("100/minute | 5/second", [(100, 60, "100/minute"), (5, 1, "5/second")]),
        # the second limit can never bind, and may stand there
        ("100/second;10000/minute", [(100, 1, "100/second"), (10_000, 60, "10000/minute")]),
        # the same window, named differently
        ("60/minute;50/60second", [(60, 60, "60/minute"), (50, 60, "50/60second")]),
        # sequences
        (["5/second", "9/minute;9/day"], [(5, 1, "5/second"), (9, 60, "9/minute"), (9, DAY, "9/day")]),
        (("5/second", Limit(9, 90, "nine")), [(5, 1, "5/second"), (9, 90, "nine")]),
        (Limit(9, 90), [(9, 90, "9/90second")]),
        # the bounds themselves
        (f"{MAX_AMOUNT}/366day", [(MAX_AMOUNT, MAX_SECONDS, f"{MAX_AMOUNT}/366day")]),
    ],
)
def test_a_rate_is_read_as_its_limits(rate, expected) -> None:
    """The text is read as `limits` reads it, and each limit gets a name that is spelled in one way only."""
    assert [(limit.amount, limit.seconds, limit.name) for limit in parse_rate(rate)] == expected


@pytest.mark.parametrize(
    ("rate", "sentence"),
    [
        # what was probably meant
        ("100/min", "'100/min' is not a rate. Did you mean '100/minute'? Write it like"),
        ("100/s", "Did you mean '100/second'?"),
        ("100/5hr", "Did you mean '100/5hour'?"),
        ("5/secnd", "Did you mean '5/second'?"),
        ("5/minuts", "Did you mean '5/minute'?"),
        ("100r/s", "Did you mean '100/second'?"),
        ("100 requests per minute", "Did you mean '100/minute'?"),
        ("100/60", "Did you mean '100/60second'?"),
        ("100/", "Did you mean '100/second'?"),
        ("5/week", "Did you mean '5/7day'?"),
        ("5/2weeks", "Did you mean '5/14day'?"),
        # no guess is better than a wrong one
        ("5/fortnight", "'fortnight' is not a unit; they are second, minute, hour, day, month, year."),
        ("1.5/second", "'1.5/second' is not a rate. Write it like"),
        ("100", "'100' is not a rate. Write it like"),
        ("-5/second", "'-5/second' is not a rate. Write it like"),
        ("", "'' is not a rate. Write it like"),
        # one bad limit among good ones is the one that is named
        ("5/second;lots;9/day", "'lots' is not a rate. Write it like"),
        ("5/second;", "'' is not a rate. Write it like"),
        # numbers out of bounds
        ("0/minute", "'0/minute' admits 0; that has to be an integer from 1 to 1000000000"),
        ("1000000001/minute", "'1000000001/minute' admits 1000000001"),
        ("5/0minute", "'5/0minute' has a window of no length"),
        ("5/367day", "'5/367day' has a window of 31708800 s; that is an integer from 1 to 31622400"),
        # too much of it
        ("1/second" * 65, "a rate of 520 characters, not of at most 512"),
        ([f"1/{seconds}second" for seconds in range(1, 10)], "a rate of 9 limits, not of 1 to 8"),
        ([], "a rate of 0 limits, not of 1 to 8"),
        # twice the same
        ("5/second;9/day;5 per 1 second", "the limit '5/second' stands there twice"),
        ([Limit(5, 1, "a"), Limit(6, 1, "a")], "the limit 'a' stands there twice"),
        # not text
        (100, "a rate is text, not int"),
        (None, "a rate is text, not NoneType"),
        (b"5/second", "a rate is text, not bytes"),
        (["5/second", 5], "a rate is text, not int"),
    ],
)
def test_what_is_no_rate_is_refused_with_help(rate, sentence) -> None:
    """The sentence says what was given and what is allowed, and guesses what was meant."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse_rate(rate)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"amount": 0, "seconds": 60}, "admits 0"),
        ({"amount": -1, "seconds": 60}, "admits -1"),
        ({"amount": True, "seconds": 60}, "admits True"),
        ({"amount": 1.5, "seconds": 60}, "admits 1.5"),
        ({"amount": MAX_AMOUNT + 1, "seconds": 60}, "admits 1000000001"),
        ({"amount": 5, "seconds": 0}, "a window of 0 s"),
        ({"amount": 5, "seconds": 0.5}, "a window of 0.5 s"),
        ({"amount": 5, "seconds": MAX_SECONDS + 1}, "a window of 31622401 s"),
        ({"amount": 5, "seconds": 60, "burst": 0}, "a burst of 0"),
        ({"amount": 5, "seconds": 60, "burst": True}, "a burst of True"),
        ({"amount": 5, "seconds": 60, "burst": MAX_AMOUNT + 1}, "a burst of 1000000001"),
        ({"amount": 5, "seconds": 60, "name": "ü"}, "not printable ASCII"),
        ({"amount": 5, "seconds": 60, "name": "a\r\nset-cookie: b"}, "not printable ASCII"),
        ({"amount": 5, "seconds": 60, "name": "a" * 65}, "of at most 64 characters"),
    ],
)
def test_a_limit_out_of_bounds_cannot_be_made(fields, sentence) -> None:
    """What counts and what stands in headers is checked however a limit comes about."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Limit(**fields)


def test_the_window_of_a_limit_is_told_in_nanoseconds() -> None:
    """Algorithms count in whole nanoseconds, so a window is one."""
    assert Limit(5, 60).window_ns == 60_000_000_000


@pytest.mark.parametrize("burst", [None, 1, MAX_AMOUNT])
def test_a_limit_may_have_a_burst_below_or_above_its_amount(burst) -> None:
    """Left out, the algorithm takes the amount."""
    assert Limit(5, 60, burst=burst).burst == burst


def test_the_grammar_is_imported_only_to_parse() -> None:
    """Whoever never parses a rate never pays for the library that reads it."""
    program = """
import sys
from asgi_guard.limiting import Limit, MemoryStore, parse_rate
MemoryStore().bucket("b", [Limit(5, 60)]).hit("k")
before = "limits" in sys.modules
parse_rate("5/minute")
print(before, "limits" in sys.modules)
"""

    printed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    assert printed.split() == ["False", "True"]
