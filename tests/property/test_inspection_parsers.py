"""Parsers of the inspection: whatever comes, they give out what is there, or say that a limit was crossed.

How a body is cut into messages is the client's and the network's affair: it must not change what is seen.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import quote_plus

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asgi_guard import ValidationMiddleware
from asgi_guard.cli_curl import UnreadableError, read_raw, split
from asgi_guard.inspection import body as bodies
from asgi_guard.inspection.decode import decode, decode_slowly, fold, unbase64
from asgi_guard.inspection.extract import Value, head
from asgi_guard.inspection.graphql import check_document
from asgi_guard.inspection.limits import CrossedError, Limits
from asgi_guard.inspection.multipart import MultipartReader
from asgi_guard.inspection.padding import unpad_slowly
from asgi_guard.testing import call

LIMITS = Limits(body_bytes=4_096, fields=50, depth=8, leaves=100, parts=10, aliases=5)
MARKS = [
    b"--x", b"--x--", b"\r\n", b"\r\n\r\n", b"\n", b'Content-Disposition: form-data; name="a"', b'; filename="b"', b"{",
    b"}", b"[", b"]", b'"', b":", b",", b"<", b">", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?xml", b"<!DOCTYPE a [",
    b"&", b"=", b"%", b"%2", b"%u00", b"&#x", b"\\u", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc0\xaf", b"a",
    b"query {",
]  # fmt: skip
SOUPS = st.lists(st.one_of(st.sampled_from(MARKS), st.binary(max_size=8)), max_size=60).map(b"".join)
KINDS = st.sampled_from(["form", "json", "multipart", "xml", "text", "other"])
MULTIPART = b"multipart/form-data; boundary=x"


def taken(parser: Any, *arguments: Any) -> list[Value]:
    """Take what a parser gives out until a limit is crossed."""
    found: list[Value] = []
    with suppress(CrossedError):
        found.extend(parser(*arguments))
    return found


@given(body=SOUPS, kind=KINDS, deep=st.booleans())
def test_no_body_is_too_strange(body: bytes, kind: Any, deep: bool) -> None:
    """And none gives out more than it holds."""
    if deep:
        body = b"[" * 5_000 + body
    values = taken(bodies.values, body, kind, MULTIPART, LIMITS)

    assert sum(len(value.text) for value in values) <= 4 * len(body) + 16
    assert all(isinstance(text, str) for value in values for text in value)


@given(
    body=SOUPS, encoding=st.sampled_from([b"gzip", b"deflate", b"gzip, deflate", b"br", b"", b",", b"identity,gzip"])
)
def test_no_encoding_is_too_strange(body: bytes, encoding: bytes) -> None:
    """What is none is refused, and what is one ends at the limit."""
    for coded in (
        body,
        gzip.compress(body),
        zlib.compress(body),
        gzip.compress(body * 5_000),
        gzip.compress(body)[:-4],
    ):
        with suppress(CrossedError):
            assert len(bodies.inflate(coded, encoding, LIMITS)) <= max(LIMITS.body_bytes, len(coded))


@given(path=SOUPS, query=SOUPS, headers=st.lists(st.tuples(SOUPS | st.just(b"Cookie"), SOUPS), max_size=8))
def test_no_head_is_too_strange(path: bytes, query: bytes, headers: Any) -> None:
    """Servers let much through."""
    taken(head, path, query, headers, LIMITS)


@given(soup=SOUPS)
def test_no_text_is_too_strange(soup: bytes) -> None:
    """To decode, to squeeze, to fold; decoding gives no more than it takes."""
    text = soup.decode(errors="replace")

    assert len(decode(text)) <= 2 * len(text)
    assert all(len(reading) <= len(text) for reading in unbase64(text))
    assert len(fold(text)) <= 3 * len(text)
    assert whole(unpad_slowly(text)) is not None
    with suppress(CrossedError):
        check_document(text, LIMITS)


def whole(steps: Any) -> Any:
    """Drive steps to their end, and return what comes of it."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@given(soup=SOUPS, times=st.integers(1, 400))
def test_what_is_decoded_in_pieces_is_decoded_as_a_whole(soup: bytes, times: int) -> None:
    """Nothing is cut in two that belongs together."""
    text = soup.decode(errors="replace") * times

    assert whole(decode_slowly(text)) == decode(text)


@given(soup=SOUPS)
def test_no_command_line_and_no_file_is_too_strange(soup: bytes) -> None:
    """They are read, or said to be none."""
    with suppress(UnreadableError):
        split(soup.decode(errors="replace"))
    with suppress(UnreadableError):
        assert read_raw(b"GET /" + soup).scope["type"] == "http"


@given(body=SOUPS, data=st.data())
def test_a_multipart_body_is_the_same_however_it_is_cut(body: bytes, data: st.DataObject) -> None:
    """Also in the middle of a boundary."""
    body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + body

    assert read(cut(body, data)) == read([body])


def read(pieces: Sequence[bytes]) -> list[Value]:
    """Read a multipart body in pieces, to the end or to a limit."""
    reader = MultipartReader(MULTIPART, LIMITS)
    found: list[Value] = []
    with suppress(CrossedError):
        for piece in pieces:
            found.extend(reader.feed(piece))
        found.extend(reader.close())
    return found


def cut(body: bytes, data: st.DataObject) -> list[bytes]:
    """Cut a body anywhere."""
    places = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=6)))
    return [body[start:end] for start, end in zip([0, *places], [*places, len(body)], strict=True)]


TEXTS = [
    "<script>steal(1)</script>",
    "1' union select name from users",
    "it's fine, <b>really</b>; 50% & more",
    "\u4e2d\u6587",
]
BODIES: dict[str, Any] = {
    "application/json": lambda text: json.dumps({"a": [{"b": text}]}, ensure_ascii=False).encode(),
    "application/x-www-form-urlencoded": lambda text: b"x=1&a=" + quote_plus(text).encode(),
    MULTIPART.decode(): lambda text: (
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n\x00\r\n--\r\n'
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + text.encode() + b"\r\n--x--\r\n"
    ),
    "application/xml": lambda text: f"<a><b><![CDATA[{text}]]></b></a>".encode(),
    "text/plain": str.encode,
    "": lambda text: json.dumps([text]).encode(),
}


async def reader(scope: Any, receive: Any, send: Any) -> None:
    """Read the body to its end."""
    while (await receive()).get("more_body", False):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body"})


GUARDED = ValidationMiddleware(reader)


@pytest.mark.parametrize("content_type", BODIES)
@given(text=st.sampled_from(TEXTS), data=st.data())
def test_how_a_body_is_cut_never_changes_the_verdict(content_type: str, text: str, data: st.DataObject) -> None:
    """Attacks are refused, and what is none passes, in one message as in many."""
    body = BODIES[content_type](text)
    headers = {"Content-Type": content_type} if content_type else {}

    response = anyio.run(partial(call, GUARDED, "POST", headers=headers, chunks=cut(body, data)))

    assert response.status == (400 if text in TEXTS[:2] else 200)


NESTINGS: dict[str, Any] = {
    "a name": lambda attack: ("application/json", json.dumps({attack: 1}).encode()),
    "many fields": lambda attack: (
        "application/x-www-form-urlencoded",
        "&".join([*(f"f{number}=a" for number in range(900)), f"z={quote_plus(attack)}"]).encode(),
    ),
    "many leaves": lambda attack: ("application/json", json.dumps([*range(3_000), *["a b"] * 3_000, attack]).encode()),
    "deep": lambda attack: ("application/json", b"[" * 30 + json.dumps(attack).encode() + b"]" * 30),
    "duplicates": lambda attack: ("application/json", f'{{"a": {json.dumps(attack)}, "a": 1}}'.encode()),
    "behind a comment": lambda attack: ("application/xml", f"<a><!--{'x' * 9_000}--><b c='{attack}'/></a>".encode()),
    "behind blanks": lambda attack: ("text/plain", (" \t\r\n" * 9_000 + attack).encode()),
    "UTF-16": lambda attack: ("application/json", json.dumps([attack]).encode("utf-16")),
    "a byte order mark": lambda attack: ("application/json", b"\xef\xbb\xbf" + json.dumps([attack]).encode()),
    "JSON in JSON": lambda attack: ("application/json", json.dumps({"a": json.dumps({"b": attack})}).encode()),
}


@pytest.mark.parametrize("nesting", NESTINGS)
@pytest.mark.parametrize("attack", ["<script>alert(1)</script>", "1 union select name, word from users"])
def test_no_place_in_a_body_hides_an_attack(nesting: str, attack: str) -> None:
    """However much is around it, within the limits."""
    content_type, body = NESTINGS[nesting](attack)

    response = anyio.run(partial(call, GUARDED, "POST", headers={"Content-Type": content_type}, body=body))

    assert response.status == 400
