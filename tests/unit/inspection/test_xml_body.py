"""The values of an XML document are those that a parser would give an application, whatever stands between."""

from __future__ import annotations

import pytest

from asgi_guard.inspection.limits import CrossedError, Limits
from asgi_guard.inspection.xml_body import xml_values

SPLIT = [
    "<a><![CDATA[<]]>script<![CDATA[>]]></a>",
    "<a><![CDATA[<]]>scr<!-- x -->ipt></a>",
    "<a><![CDATA[<scr]]><![CDATA[ipt>]]></a>",
    "<![CDATA[<]]>script<![CDATA[>]]>",
    "<a><?x y?><![CDATA[<script]]>></a>",
]


def values(document: str) -> list[tuple[str, str]]:
    """Return the places and the texts of a document."""
    return [(value.place, value.text) for value in xml_values(document, Limits())]


@pytest.mark.parametrize("document", SPLIT)
def test_a_text_is_one_whatever_splits_it(document: str) -> None:
    """Sections, comments and instructions inside of an element do not hide what they split."""
    assert ("body", "<script>") in values(document)


def test_texts_of_elements_are_apart() -> None:
    """What one element ends is no part of the next one."""
    assert values("<a><b>x</b><c>y</c></a>")[1:] == [("body", "x"), ("body", "y")]


def test_a_declaration_is_seen_behind_what_looks_like_the_root() -> None:
    """A tag in a comment does not end the prolog."""
    assert ("xml", '<!DOCTYPE a SYSTEM "b">') in values('<!-- <a> --><!DOCTYPE a SYSTEM "b"><a/>')


@pytest.mark.parametrize("quote", ["'", '"'])
def test_an_attribute_is_whole_whatever_stands_in_it(quote: str) -> None:
    """The sign that ends a tag ends none inside of quotes; where no parser would take the tag, nothing is hidden."""
    document = f"<a x={quote}1 > 2 &lt;b>{quote} y={quote}3{quote}>4</a>"
    assert {("body", "1 > 2 &lt;b>"), ("body", "3"), ("body", "4")} <= {*values(document)}
    assert ("body", "1</a>") not in values(f"<a x={quote}>1</a>")
    assert ("body", "1") in values(f"<a x={quote}>1</a><b y={quote}>2</b>")


@pytest.mark.parametrize("markup", ["<a '>", "<a>", "</a>", "<a x='1'/>"])
def test_no_number_of_tags_takes_for_ever(markup: str) -> None:
    """Also of those in which nothing stands."""
    with pytest.raises(CrossedError):
        values(markup * 40_000)
