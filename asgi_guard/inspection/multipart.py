"""Multipart: the fields, the names of files and the headers of parts (RFC 7578), read as they come.

The contents of files are skipped, however long they are, so that what stands behind a large upload is looked at all
the same, and nothing of an upload is kept. Line breaks may lack their CR, as lenient parsers take them, if all do.
What parsers read in different ways is refused, or looked at as a field: a file is only what all of them take for one.
Must never keep more than one field, one header block or one boundary, and never read anything twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

from asgi_guard.inspection.charsets import is_plain
from asgi_guard.inspection.extract import HARMLESS, Value, text
from asgi_guard.inspection.limits import CrossedError, Limits
from asgi_guard.inspection.parameters import behind, parameters

_BOUNDARY: Final = re.compile(r"[^\s\\\"](?:[^\\\"\r\n]{0,198}[^\s\\\"])?")
_PARAMETER: Final = re.compile(r"""(?i);\s{0,16}(name|filename)(\*?)\s{0,16}=\s{0,16}(?:"((?:[^"\\]|\\.)*)"|([^;]*))""")
_END_OF_HEADERS: Final = re.compile(rb"\r?\n\r?\n")
_LINE: Final = re.compile(r"\r?\n")
_MAX_HEADERS: Final = 8_192
_AS_IT_IS: Final = frozenset({"", "7bit", "8bit", "binary"})  # encodings of a part that leave it so (RFC 2045)


class MultipartReader:
    """Reads a multipart body piece by piece.

    Args:
        content_type: of the request, with the boundary.
        limits: how many parts there may be, and how many bytes of fields.

    Attributes:
        is_beyond: never, since what goes on beyond a limit is an error.

    Raises:
        CrossedError: there is no plain boundary, or a charset that is not looked at.
    """

    is_beyond: ClassVar[bool] = False

    def __init__(self, content_type: bytes, limits: Limits) -> None:
        given = parameters(behind(content_type.decode("latin-1")))
        boundary = (given or {}).get("boundary", "")
        if given is None or not _BOUNDARY.fullmatch(boundary) or any("*" in name for name in given):
            raise CrossedError("boundary", 400)
        _check_charset(given)
        self._delimiter: bytes = b"\n--" + boundary.encode("latin-1")
        self._has_cr: bool | None = None  # whether lines end in CRLF; not known before the first one
        self._buffer = bytearray(b"\n")  # the first boundary has no line before it
        self._searched = 0
        self._state: str = "skipping"
        self._name = ""
        self._parts_left = self._most_parts = limits.parts
        self._bytes_left = limits.body_bytes

    def feed(self, piece: bytes) -> Iterator[Value]:
        """Take the next piece of the body, and give out what is whole now.

        Raises:
            CrossedError: a limit.
        """
        self._buffer += piece
        while True:
            if self._state == "headers":
                end = _END_OF_HEADERS.search(self._buffer, self._searched)
                if end is None:
                    self._searched = max(0, len(self._buffer) - 3)
                    if len(self._buffer) > _MAX_HEADERS:
                        raise CrossedError("parts", 400)
                    return
                head = text(self._take(end.end(), end.end()))
                yield from self._begin(head)
                continue
            at = self._buffer.find(self._delimiter, self._searched)
            if at < 0:
                self._wait()
                return
            self._check_line(self._buffer[at - 1 : at] == b"\r", is_first=self._parts_left == self._most_parts)
            content = self._take(at, at + len(self._delimiter))
            if self._state == "field":
                self._bytes_left -= len(content)
                if self._bytes_left < 0:
                    raise CrossedError("body_bytes")
                yield from self._field(text(content.removesuffix(b"\r")))
            self._parts_left -= 1
            if self._parts_left < -1:  # the last boundary begins no part
                raise CrossedError("parts")
            self._state = "headers"

    def close(self) -> Iterator[Value]:
        """Give out what is left when the body ends: a field without its end."""
        if self._state == "field":
            yield from self._field(text(bytes(self._buffer)))

    def _field(self, content: str) -> Iterator[Value]:
        """Give out a field, unless all others have to be decoded as it says (RFC 7578 section 4.6)."""
        yield Value("body", self._name, content)
        if self._name == "_charset_" and not is_plain(content):
            raise CrossedError("encoding", 415)

    def _take(self, end: int, following: int) -> bytes:
        taken = bytes(self._buffer[:end])
        del self._buffer[:following]
        self._searched = 0
        return taken

    def _wait(self) -> None:
        """Keep what may be the beginning of a boundary; of a field, everything."""
        kept = len(self._delimiter)  # with what stands before it
        self._searched = max(0, len(self._buffer) - kept)
        if self._state == "skipping":
            del self._buffer[: self._searched]
            self._searched = 0
        elif len(self._buffer) > self._bytes_left:
            raise CrossedError("body_bytes")

    def _begin(self, head: str) -> Iterator[Value]:
        """Read the headers of a part; `head` begins with the rest of its boundary's line."""
        first, *lines = _LINE.split(head)
        if not first.startswith("--"):
            if first.strip(" \t"):  # some parsers take it for a boundary, and some for a line of the part before
                raise CrossedError("boundary", 400)
            self._check_line(head.startswith(f"{first}\r"))
        self._name = ""
        told: dict[str, list[str]] = {}
        for line in filter(None, lines):
            header, _, value = line.partition(":")
            header = header.strip().lower()
            told.setdefault(header, []).append(value.strip())
            if header == "content-disposition":
                yield from self._named(value)
            elif header.encode() not in HARMLESS:
                yield Value("header", header, value.strip())
        dispositions = told.get("content-disposition", [])
        self._state = "skipping" if len(dispositions) == 1 and _is_file(dispositions[0]) else "field"
        if self._state == "field":
            _check_plain(told)

    def _named(self, disposition: str) -> Iterator[Value]:
        """Give out the names of a part, and of its file: however a parser may read them.

        What an exclusion may go by is the name that every parser reads, and no other.
        """
        told = parameters(behind(disposition)) or {}
        self._name = "" if "name*" in told else told.get("name", "")
        for parameter, _, quoted, bare in _PARAMETER.findall(disposition):
            given = quoted or bare.strip()
            if parameter.lower() == "name":
                yield Value("name", given, given)
            else:
                yield Value("filename", self._name, given)

    def _check_line(self, has_cr: bool, *, is_first: bool = False) -> None:
        """Refuse lines that end in different ways: a parser may take only one of them for the end of a line."""
        if is_first:  # nothing, or a preamble, stands before the first boundary
            return
        if self._has_cr is None:
            self._has_cr = has_cr
        elif self._has_cr is not has_cr:
            raise CrossedError("boundary", 400)


def _is_file(disposition: str) -> bool:
    """Tell whether every parser takes a part for a file, and skips what is in it."""
    given = parameters(behind(disposition))
    return given is not None and bool(given.get("filename"))


def _check_plain(told: Mapping[str, Sequence[str]]) -> None:
    """Refuse a field that has to be decoded to be looked at, as some frameworks do."""
    if not _AS_IT_IS.issuperset(map(str.lower, told.get("content-transfer-encoding", ()))):
        raise CrossedError("encoding", 415)
    for content_type in told.get("content-type", ()):
        _check_charset(parameters(behind(content_type)))


def _check_charset(given: Mapping[str, str] | None) -> None:
    """Refuse what is written so that it has to be decoded to be looked at."""
    if given is None or not is_plain(given.get("charset", "")):
        raise CrossedError("encoding", 415)
