"""Multipart: the fields, the names of files and the headers of parts (RFC 7578), read as they come.

The contents of files are skipped, however long they are, so that what stands behind a large upload is looked at all
the same, and nothing of an upload is kept. Line breaks may lack their CR, as lenient parsers take them.
Must never keep more than one field, one header block or one boundary, and never read anything twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import ClassVar, Final

from asgi_guard.inspection.extract import HARMLESS, Value, text
from asgi_guard.inspection.limits import CrossedError, Limits

_BOUNDARY: Final = re.compile(rb"""boundary\s{0,8}=\s{0,8}(?:"([^"]{1,200})"|([^\s;"]{1,200}))""", re.IGNORECASE)
_PARAMETER: Final = re.compile(r""";\s{0,16}(name|filename)(\*?)\s{0,16}=\s{0,16}(?:"((?:[^"\\]|\\.)*)"|([^;]*))""")
_END_OF_HEADERS: Final = re.compile(rb"\r?\n\r?\n")
_MAX_HEADERS: Final = 8_192


class MultipartReader:
    """Reads a multipart body piece by piece.

    Args:
        content_type: of the request, with the boundary.
        limits: how many parts there may be, and how many bytes of fields.

    Attributes:
        is_beyond: never, since what goes on beyond a limit is an error.

    Raises:
        CrossedError: there is no boundary.
    """

    is_beyond: ClassVar[bool] = False

    def __init__(self, content_type: bytes, limits: Limits) -> None:
        match = _BOUNDARY.search(content_type)
        if match is None:
            raise CrossedError("boundary", 400)
        self._delimiter: bytes = b"\n--" + (match[1] or match[2])
        self._buffer = bytearray(b"\n")  # the first boundary has no line before it
        self._searched = 0
        self._state: str = "skipping"
        self._name = ""
        self._parts_left = limits.parts
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
                head = text(self._take(end.start(), end.end()))
                yield from self._begin(head)
                continue
            at = self._buffer.find(self._delimiter, self._searched)
            if at < 0:
                self._wait()
                return
            content = self._take(at, at + len(self._delimiter))
            if self._state == "field":
                self._bytes_left -= len(content)
                if self._bytes_left < 0:
                    raise CrossedError("body_bytes")
                yield Value("body", self._name, text(content.removesuffix(b"\r")))
            self._parts_left -= 1
            if self._parts_left < -1:  # the last boundary begins no part
                raise CrossedError("parts")
            self._state = "headers"

    def close(self) -> Iterator[Value]:
        """Give out what is left when the body ends: a field without its end."""
        if self._state == "field":
            yield Value("body", self._name, text(bytes(self._buffer)))

    def _take(self, end: int, following: int) -> bytes:
        taken = bytes(self._buffer[:end])
        del self._buffer[:following]
        self._searched = 0
        return taken

    def _wait(self) -> None:
        """Keep what may be the beginning of a boundary; of a field, everything."""
        kept = len(self._delimiter) - 1
        self._searched = max(0, len(self._buffer) - kept)
        if self._state == "skipping":
            del self._buffer[: self._searched]
            self._searched = 0
        elif len(self._buffer) > self._bytes_left:
            raise CrossedError("body_bytes")

    def _begin(self, head: str) -> Iterator[Value]:
        """Read the headers of a part; `head` begins with the rest of its boundary's line."""
        self._name, is_file = "", False
        for line in head.splitlines()[1:]:
            header, _, value = line.partition(":")
            header = header.strip().lower()
            if header == "content-disposition":
                for parameter, _, quoted, bare in _PARAMETER.findall(value):
                    given = quoted or bare.strip()
                    if parameter == "name":
                        self._name = given
                        yield Value("name", given, given)
                    else:
                        is_file = True
                        yield Value("filename", self._name, given)
            elif header.encode() not in HARMLESS:
                yield Value("header", header, value.strip())
        self._state = "skipping" if is_file else "field"
