"""The algebra of raw header pairs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.engine import headers as header_list
from asgi_guard.testing import HEADER_FORMS


def test_get_finds_the_first_value() -> None:
    """In the order of the lines; None where there is none."""
    headers = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]

    assert header_list.get(headers, b"a") == b"1"
    assert header_list.get(headers, b"c") is None


def test_remove_takes_every_line_out_in_place() -> None:
    """The list that a `head` hook is given is the one that goes out."""
    headers = same = [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]

    header_list.remove(headers, b"a")

    assert headers == [(b"b", b"2")]
    assert headers is same


VARY = [
    # lines that are there, names to add, lines afterwards
    ([], [b"Origin"], [b"Origin"]),
    ([b"Accept"], [b"Origin"], [b"Accept, Origin"]),
    ([b"Accept", b"Cookie"], [b"Origin"], [b"Accept, Cookie, Origin"]),
    ([b"origin"], [b"Origin"], [b"origin"]),
    ([b"Accept, ORIGIN"], [b"Origin", b"accept"], [b"Accept, ORIGIN"]),
    ([b"*"], [b"Origin"], [b"*"]),
    ([b"Accept, *"], [b"Origin"], [b"Accept, *"]),
    ([b" , Accept ,, "], [b"Origin"], [b"Accept, Origin"]),
    ([], [b"Origin", b"Accept"], [b"Origin, Accept"]),
    ([b"Accept"], [], [b"Accept"]),
]


@pytest.mark.parametrize(("lines", "names", "expected"), VARY)
def test_vary_is_merged(lines: list[bytes], names: list[bytes], expected: list[bytes]) -> None:
    """Members are compared without case, never repeated, and `*` swallows all others (RFC 9110 section 12.5.5)."""
    headers = [(b"vary", line) for line in lines]

    header_list.merge_vary(headers, *names)

    assert headers == [(b"vary", line) for line in expected]


UNSAFE_VALUES = [b"a\r\nset-cookie: x=1", b"a\nb", b"a\rb", b"a\0b"]


@pytest.mark.parametrize("form", HEADER_FORMS.values(), ids=HEADER_FORMS)
@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [(b"a", b"1")],
        [(b"A", b"1"), (b"b", b"2")],
        [(b"set-cookie", b"a=1"), (b"Set-Cookie", b"b=2"), (b"set-cookie", b"c=3")],
        [(b"a", b"caf\xe9 \xff")],
        [(b"a", b"tab\there")],
        [(b"1", b"2")],
    ],
)
def test_fresh_copies_any_iterable_in_lower_case(form, pairs) -> None:
    """The copy is a list of its own; values are not touched, lines are neither joined nor re-ordered."""
    source = form(pairs)

    copy = header_list.fresh(source)

    assert [tuple(pair) for pair in copy] == [(name.lower(), value) for name, value in pairs]
    assert copy is not source


@pytest.mark.parametrize("value", UNSAFE_VALUES)
@pytest.mark.parametrize("is_repeated", [False, True])
def test_fresh_refuses_what_would_split_the_response(value: bytes, is_repeated: bool) -> None:
    """In a value or in a name, alone or behind harmless lines of the same name."""
    harmless = [(b"x", b"1")] * (2 if is_repeated else 1)

    for unsafe in ((b"x", value), (value, b"1")):
        with pytest.raises(ValueError, match="split the response"):
            header_list.fresh([*harmless, unsafe])


def test_what_is_remembered_of_headers_is_bounded() -> None:
    """An application may answer with what a client has sent; and what is in a cookie is a secret."""
    header_list.fresh([(b"x-long", b"x" * 10_000), (b"set-cookie", b"session=secret"), (b"X-Upper", b"1")])
    for number in range(3_000):
        header_list.fresh([(b"x-number", b"%d" % number)])

    assert len(header_list.usual) <= 1_024
    assert max(len(name) + len(value) for name, value in header_list.usual) <= 96
    assert {b"set-cookie", b"X-Upper"} & {name for name, _ in header_list.usual} == set()


@given(st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=4)), max_size=4))
def test_fresh_is_its_plain_definition(pairs: list[tuple[bytes, bytes]]) -> None:
    """Its short cuts change nothing: a list of lower-case pairs, or ValueError for CR, LF and NUL anywhere."""
    if any(byte in part for pair in pairs for part in pair for byte in (b"\r", b"\n", b"\0")):
        with pytest.raises(ValueError, match="split the response"):
            header_list.fresh(pairs)
    else:
        assert header_list.fresh(pairs) == [(name.lower(), value) for name, value in pairs]
