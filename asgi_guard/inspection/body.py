"""Body: what kind of body this is, and the values in it.

The content type says so where it names something that is read here. Where it does not, the first characters do: an
application may read JSON, XML or a text whatever the client calls it.
Must never inflate more than the limits let it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Final, Literal, TypeAlias

from asgi_guard.inspection.extract import Value, pairs, text
from asgi_guard.inspection.json_body import json_values
from asgi_guard.inspection.limits import CrossedError, Limits
from asgi_guard.inspection.multipart import MultipartReader
from asgi_guard.inspection.xml_body import xml_values

Kind: TypeAlias = Literal["form", "json", "multipart", "xml", "text", "other"]

_WBITS: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
_BLANK: Final = b" \t\r\n\xef\xbb\xbf\xff\xfe"
_REPORTS: Final = frozenset((b"application/csp-report", b"application/reports+json"))
_SAMPLES: Final = frozenset(("script-sample", "sample", "blocked-uri", "blockedURL"))
_FILES: Final = (b"image/", b"audio/", b"video/", b"font/", b"model/", b"application/octet-stream", b"application/pdf")
_READABLE: Final = bytes([9, 10, 12, 13, *range(32, 127), *range(128, 256)])
_WIDEST: Final = 3  # the zeros before an ASCII character in UTF-32


def kind_of(content_type: bytes) -> Kind:
    """Tell what a content type stands for; `other` is what only the first characters may tell."""
    if not content_type:
        return "other"
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type == b"application/x-www-form-urlencoded":
        return "form"
    if media_type.startswith(b"multipart/"):
        return "multipart"
    if b"json" in media_type:
        return "json"
    if media_type.endswith(b"xml"):
        return "xml"
    return "text" if media_type.startswith(b"text/") or media_type == b"application/graphql" else "other"


def sniff(beginning: bytes, content_type: bytes = b"") -> Kind | None:
    """Tell what a body of another type begins like; None where there is nothing but blanks yet.

    What can be read is a text, unless its type says that it is a file.
    """
    is_text = not content_type.lower().startswith(_FILES) and not beginning.translate(None, _READABLE)
    beginning = beginning.lstrip(_BLANK)
    beginning = beginning[: _WIDEST + 1].lstrip(b"\0") or beginning
    if not beginning:
        return None
    begins_like: Mapping[bytes, Kind] = {b"{": "json", b"[": "json", b'"': "json", b"<": "xml"}
    return begins_like.get(beginning[:1], "text" if is_text else "other")


def inflate(body: bytes, encoding: bytes, limits: Limits) -> bytes:
    """Undo a Content-Encoding for the look.

    Raises:
        CrossedError: it is too large then, is not what it says, or is of a kind that cannot be undone here.
    """
    for name in reversed([name.strip().lower() for name in encoding.split(b",")]):
        if name in {b"identity", b""}:
            continue
        if name not in _WBITS:
            raise CrossedError("encoding", 415)
        try:
            body = _inflated(body, _WBITS[name], limits.body_bytes)
        except zlib.error:
            raise CrossedError("encoding", 400) from None
    return body


def _inflated(body: bytes, wbits: int, most: int) -> bytes:
    """Inflate every member: what an application joins must not be hidden behind the end of the first one."""
    if wbits == _WBITS[b"deflate"] and body[:1] and body[0] & 0x0F != zlib.DEFLATED:
        wbits = -wbits  # without its header, as some send it
    pieces: list[bytes] = []
    while body:
        inflater = zlib.decompressobj(wbits)
        pieces.append(inflater.decompress(body, most + 1))
        most -= len(pieces[-1])
        if most < 0:
            raise CrossedError("body_bytes")
        body = inflater.unused_data.lstrip(b"\0")
    return b"".join(pieces)


def values(body: bytes, kind: Kind, content_type: bytes, limits: Limits) -> Iterator[Value]:
    """Give out the values of a whole body.

    Raises:
        CrossedError: a limit.
    """
    begins_like = sniff(body)
    if kind == "multipart":
        return _multipart(body, content_type, limits)
    if kind == "form":
        form = pairs(text(body), "body", limits)
        return chain(json_values(body, limits), form) if begins_like == "json" else form
    if kind == "json" or begins_like == "json":
        found = json_values(body, limits)
        return _unquoted(found) if content_type.partition(b";")[0].strip().lower() in _REPORTS else found
    if kind == "xml":
        return xml_values(text(body), limits)
    whole = [Value("body", "", text(body))]  # also where it begins like XML: in a text, markup is the attack
    return chain(whole, xml_values(text(body), limits)) if begins_like == "xml" else iter(whole)


def _unquoted(found: Iterator[Value]) -> Iterator[Value]:
    """Leave out what a browser quotes from a page: a report of a script that was kept from running is no attack."""
    return (value for value in found if value.name not in _SAMPLES)


def _multipart(body: bytes, content_type: bytes, limits: Limits) -> Iterator[Value]:
    reader = MultipartReader(content_type, limits)
    yield from reader.feed(body)
    yield from reader.close()
