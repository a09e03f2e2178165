"""Which format a client gets for what it accepts (RFC 9110 section 12.5.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard.errors import negotiate
from asgi_guard.errors.negotiate import HTML, JSON, PROBLEM, REMEMBERED_VALUES, TEXT, choose

CHROME = b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"

ACCEPTED: list[tuple[bytes | None, str]] = [
    ## nothing in particular
    (None, JSON),
    (b"", JSON),
    (b"*/*", JSON),
    (b" */* ", JSON),
    (b"application/*", JSON),
    (b"image/webp", JSON),
    (b"application/vnd.api+json", JSON),
    (b"*/*;q=0", JSON),
    ## one of ours
    (b"application/json", JSON),
    (b"application/problem+json", PROBLEM),
    (b"text/html", HTML),
    (b"text/plain", TEXT),
    (b"Application/Problem+JSON", PROBLEM),
    (b"text/html;charset=utf-8", HTML),
    (b"text/*", HTML),
    ## clients as they are
    (CHROME, HTML),
    (b"text/html, application/xhtml+xml, */*", HTML),
    (b"application/json, text/plain, */*", JSON),
    (b"application/json, text/javascript, */*; q=0.01", JSON),
    (b"application/problem+json, application/json;q=0.9", PROBLEM),
    ## weights
    (b"application/json;q=0.5, text/html;q=0.6", HTML),
    (b"application/json;q=0.6, text/html;q=0.5", JSON),
    (b"text/html;q=0.001, text/plain;q=0.002", TEXT),
    (b"text/html ; Q=0.1 , text/plain ; q = 0.2", TEXT),
    (b"text/html;q=.1, text/plain;q=.2", TEXT),
    (b"text/html;q=1.000, text/plain;q=1", HTML),
    (b"text/html;q=1.9, text/plain;q=1.", HTML),
    (b"text/html;level=1;q=0.1, text/plain;q=0.2", TEXT),
    (b"text/html;q=0.1;q=0.9, text/plain;q=0.2", TEXT),
    (b"text/plain;q=0.1, text/html;q=0.2, text/plain;q=0.3", TEXT),
    ## equal weights: the more specific, then JSON first
    (b"text/html, application/json", JSON),
    (b"text/html, application/problem+json", PROBLEM),
    (b"text/plain, text/html", HTML),
    (b"*/*, text/plain", TEXT),
    (b"application/*, text/plain", TEXT),
    (b"*/*, text/*", HTML),
    ## the most specific range decides, and 0 rules out
    (b"application/json;q=0, */*", PROBLEM),
    (b"application/*;q=0, */*;q=0.1", HTML),
    (b"application/*;q=0.1, application/problem+json;q=0.2, */*", HTML),
    (b"text/html;q=0, text/*", TEXT),
    (b"text/html;q=0", JSON),
    ## what cannot be read says nothing
    (b"text/html;q=high", JSON),
    (b"text/html;q=", JSON),
    (b"text/html;q=.", JSON),
    (b"text/html;q=-1", JSON),
    (b"text/html;q=2", JSON),
    (b"text/html;q=nan", JSON),
    (b"text/html;q=1e1", JSON),
    (b"text/html;q=\xd9\xa1", JSON),
    (b"text/html;q=0.0000000001", JSON),
    (b"text", JSON),
    (b"text/", JSON),
    (b"/html", JSON),
    (b",,;,;q=1,text/plain", TEXT),
    (b"\x00\xff", JSON),
    ## quotes
    (b'text/html;a="x,y";q=0.1, text/plain;q=0.2', TEXT),
    (b'text/html;a="x;q=1";q=0.1, text/plain;q=0.2', TEXT),
    (b'text/html;a="\\"";q=0.1, text/plain;q=0.2', TEXT),
    (b'text/plain, text/html;a="never closed, application/json', HTML),
]


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    """Start every test without a memory."""
    negotiate._remembered.clear()


@pytest.mark.parametrize(("accept", "media_type"), ACCEPTED)
def test_a_client_gets_what_it_prefers(accept: bytes | None, media_type: str) -> None:
    """The first time, and when the choice is remembered."""
    assert (choose(accept), choose(accept)) == (media_type, media_type)


def test_a_type_beyond_the_first_kilobyte_is_not_read() -> None:
    """The length of a header is the client's choice, the time for it is not."""
    assert choose(b"text/html".rjust(1_024)) == HTML
    assert choose(b"text/html".rjust(1_025)) == JSON


def test_a_range_beyond_the_first_32_is_not_read() -> None:
    """Nor is their number."""
    assert choose(b"a/b," * 31 + b"text/html") == HTML
    assert choose(b"a/b," * 32 + b"text/html") == JSON


def test_a_long_value_is_not_remembered() -> None:
    """A cache key has a size that no attacker chooses."""
    choose(b"text/html".ljust(256))
    choose(b"text/html".ljust(257))

    assert list(negotiate._remembered) == [b"text/html".ljust(256)]


def test_a_full_memory_begins_anew() -> None:
    """An attacker who sends ever new values fills no memory, and what is common is soon remembered again."""
    for number in range(REMEMBERED_VALUES * 3 + 1):
        assert choose(b"text/html;n=%d" % number) == HTML

    assert len(negotiate._remembered) == 1


pieces = st.sampled_from(
    [
        b"text",
        b"html",
        b"application",
        b"json",
        b"problem+json",
        b"*",
        b"/",
        b";",
        b",",
        b"q",
        b"=",
        b"0",
        b".",
        b"1",
        b'"',
        b"\\",
    ]
)
accepts = st.binary(max_size=2_000) | st.lists(pieces, max_size=400).map(b"".join)


@given(accepts)
def test_any_value_leads_to_one_of_the_four_formats(accept: bytes) -> None:
    """Whatever a client sends, and always to the same one."""
    negotiate._remembered.clear()
    choice = choose(accept)

    assert choice in {JSON, PROBLEM, HTML, TEXT}
    assert choose(accept) == choice
    assert len(negotiate._remembered) <= 1


@given(st.permutations([b"text/html;q=0.8", b"text/plain;q=0.9", b"application/json;q=0.1", b"*/*;q=0.2"]))
def test_the_order_of_ranges_does_not_matter(ranges: list[bytes]) -> None:
    """Only weights and specificity do."""
    assert choose(b",".join(ranges)) == TEXT
