"""Body: what kind of body this is, and the values in it.

The content type says so where it names something that is read here. Where it does not, the first characters do: an
application may read JSON, XML or a text whatever the client calls it.
Must never inflate more than the limits let it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from asgi_guard.inspection.charsets import charset
from asgi_guard.inspection.extract import Value, pairs, text
from asgi_guard.inspection.json_body import json_values, may_be_json
from asgi_guard.inspection.limits import CrossedError, Limits
from asgi_guard.inspection.multipart import MultipartReader
from asgi_guard.inspection.xml_body import EBCDIC, decoded, xml_values

Kind: TypeAlias = Literal["form", "json", "multipart", "xml", "text", "other"]

_WBITS: Final = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
_BLANK: Final = b" \t\r\n\xef\xbb\xbf\xff\xfe"
_GRAPHQL: Final = b"application/graphql"
_REPORTS: Final = frozenset((b"application/csp-report", b"application/reports+json"))
_FILES: Final = frozenset(
    b"""application/octet-stream application/offset+octet-stream application/pdf application/zip application/gzip
    application/zstd application/x-tar application/x-7z-compressed application/grpc application/wasm application/msword
    """.split()
)
_FILE_KINDS: Final = re.compile(
    rb"(?:image|audio|video|font|model)/|application/grpc\+"
    rb"|.{0,64}(?:protobuf|msgpack|cbor|bson|avro|thrift|parquet|vnd\.apache\.arrow|openxmlformats|opendocument)"
)
_READABLE: Final = bytes([9, 10, 12, 13, *range(32, 127), *range(128, 256)])
_NO_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_WIDEST: Final = 3  # the zeros before an ASCII character in UTF-32
_MOST_ENCODINGS: Final = 4
_MOST_MEMBERS: Final = 256
_STEP: Final = 4_096
_MOST_AT_ONCE: Final = 65_536
_BEGINS_LIKE: Final[Mapping[bytes, Kind]] = MappingProxyType({b"{": "json", b"[": "json", b'"': "json", b"<": "xml"})


def kind_of(content_type: bytes) -> Kind:
    """Tell what a content type stands for; `other` is what only the first characters may tell."""
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type == b"application/x-www-form-urlencoded":
        return "form"
    if media_type.startswith(b"multipart/"):
        return "multipart"
    if b"json" in media_type:
        return "json"
    if media_type.endswith(b"xml"):
        return "xml"
    if media_type.startswith(b"text/") or media_type == _GRAPHQL:
        return "text"
    # What has to be decoded for the look cannot be looked at as it streams.
    return "text" if charset(content_type) is not None and not is_file(content_type) else "other"


def is_file(content_type: bytes) -> bool:
    """Tell whether a content type is that of a file, which applications store rather than read."""
    media_type = content_type.partition(b";")[0].strip().lower()
    return media_type in _FILES or _FILE_KINDS.match(media_type) is not None


def is_chunk(method: str, content_type: bytes) -> bool:
    """Tell whether a body is a piece of an upload (tus 1.0), which begins anywhere in its file."""
    return method == "PATCH" and content_type.strip().lower() == b"application/offset+octet-stream"


def encoding_of(lines: Iterable[bytes]) -> bytes:
    """Return how a body is encoded: all lines that say so, as one; empty where they say that it is not."""
    encoding = b", ".join(lines)
    return b"" if encoding.strip().lower() == b"identity" else encoding


def sniff(beginning: bytes, content_type: bytes = b"") -> Kind | None:
    """Tell what a body of another type begins like; None where more of it has to come first.

    What can be read is a text, unless its type says that it is a file. Zeros say nothing: they stand between the
    characters of UTF-16 and UTF-32, and parsers of JSON and XML take both.
    """
    if beginning.startswith(b"\0" * (_WIDEST + 1)):
        return "other"
    is_text = not is_file(content_type) and not beginning.translate(None, _READABLE)
    beginning = beginning.translate(None, b"\0").lstrip(_BLANK)
    if EBCDIC.startswith(beginning[: len(EBCDIC)]):  # also where nothing but blanks has come yet
        return "xml" if len(beginning) >= len(EBCDIC) else None
    return _BEGINS_LIKE.get(beginning[:1], "text" if is_text else "other")


def is_binary(body: bytes) -> bool:
    """Tell whether a body holds what no parser of JSON or XML lets pass, whatever it begins with."""
    written = decoded(body)
    return _NO_TEXT.search(written) is not None or (b"\0" in body[:_WIDEST] and "\ufffd" in written[:-1])


def may_be_document(body: bytes) -> bool:
    """Tell whether a body that goes on may become a document, whose type says nothing of one."""
    return not is_binary(body) and (sniff(body) == "xml" or may_be_json(body))


def inflate(body: bytes, encoding: bytes, limits: Limits) -> bytes:
    """Undo a Content-Encoding for the look.

    Raises:
        CrossedError: it is too large then, is not what it says, or is of a kind that cannot be undone here.
    """
    for wbits in _undone(encoding):
        pieces: list[bytes] = []
        left = limits.body_bytes
        for piece in _inflated(body, wbits):
            pieces.append(piece)
            left -= len(piece)
            if left < 0:
                raise CrossedError("body_bytes")
        body = b"".join(pieces)
    return body


def beginning(body: bytes, encoding: bytes) -> bytes:
    """Undo a Content-Encoding for what a body begins with; nothing where it cannot be undone."""
    try:
        for wbits in _undone(encoding):
            body = next(filter(bytes.strip, _inflated(body, wbits)), b"")
    except CrossedError:
        return b""
    return body


def _undone(encoding: bytes) -> list[int]:
    """Return what undoes each encoding, the last one first."""
    names = [name for each in encoding.split(b",") if (name := each.strip().lower()) not in {b"identity", b""}]
    if len(names) > _MOST_ENCODINGS or not _WBITS.keys() >= set(names):
        raise CrossedError("encoding", 415)
    return [_WBITS[name] for name in reversed(names)]


def _inflated(body: bytes, wbits: int) -> Iterator[bytes]:
    """Inflate every member: what an application joins must not be hidden behind the end of the first one.

    It is done in small steps, since each member's end hands out a copy of all that was given behind it.
    """
    if wbits == _WBITS[b"deflate"] and body[:1] and body[0] & 0x0F != zlib.DEFLATED:
        wbits = -wbits  # without its header, as some send it
    at = 0
    for _ in range(_MOST_MEMBERS):
        inflater = zlib.decompressobj(wbits)
        while at < len(body) and not inflater.eof:
            piece = body[at : at + _STEP]
            yield from _all_of(inflater, piece)
            at += len(piece) - len(inflater.unused_data)
        at = len(body) - len(body[at:].lstrip(b"\0"))
        if at == len(body):
            return
    raise CrossedError("encoding", 400)


def _all_of(inflater: Any, piece: bytes) -> Iterator[bytes]:
    """Inflate a piece of a member, a step at a time."""
    is_more = True
    while is_more and not inflater.eof:
        try:
            inflated = inflater.decompress(piece, _MOST_AT_ONCE)
        except zlib.error:
            raise CrossedError("encoding", 400) from None
        yield inflated
        piece = inflater.unconsumed_tail
        is_more = bool(piece) or len(inflated) == _MOST_AT_ONCE


def values(body: bytes, kind: Kind, content_type: bytes, limits: Limits) -> Iterator[Value]:
    """Give out the values of a whole body; where its type names a charset, both with and without it.

    Raises:
        CrossedError: a limit, or a charset that is not undone here.
    """
    if kind == "multipart":
        return _multipart(body, content_type, limits)
    read = _read(body, kind, content_type, limits)
    codec = charset(content_type)
    if codec is None:
        return read
    if not codec or kind == "form":  # in which each pair of digits behind a percent sign would be decoded as well
        return chain(read, _refused())
    written = body.decode(codec, "replace").encode(errors="replace")
    return chain(read, _read(written, kind, content_type, limits))


def _refused() -> Iterator[Value]:
    """Refuse what is written so that nothing of it can be read; what could be is looked at first."""
    yield from ()
    raise CrossedError("encoding", 415)


def _read(body: bytes, kind: Kind, content_type: bytes, limits: Limits) -> Iterator[Value]:
    begins_like = sniff(body)
    media_type = content_type.partition(b";")[0].strip().lower()
    if media_type == _GRAPHQL:  # as the parameter is called that is such a document
        document = [Value("body", "query", text(body))]
        return chain(document, json_values(body, limits)) if begins_like == "json" else iter(document)
    if kind == "form":
        form = pairs(text(body), "body", limits)
        return chain(json_values(body, limits), form) if begins_like == "json" else form
    if kind == "json" or begins_like == "json":
        return json_values(body, limits, is_report=media_type in _REPORTS)
    if kind == "xml":
        return xml_values(decoded(body), limits)
    whole = [Value("body", "", text(body))]  # also where it begins like XML: in a text, markup is the attack
    return chain(whole, xml_values(decoded(body), limits)) if begins_like == "xml" else iter(whole)


def _multipart(body: bytes, content_type: bytes, limits: Limits) -> Iterator[Value]:
    reader = MultipartReader(content_type, limits)
    yield from reader.feed(body)
    yield from reader.close()
