"""Text: a body of no type that is known here, looked at as it streams.

Nobody can tell what an application makes of it, so it is looked at as one text; but it may be one side of a
conversation, so that nothing is held back for the look. Pieces overlap, as windows of a value do, and however it is
cut into messages, the last one is handed on only when all was looked at.
Must never keep more than a piece, and never look at a byte more than twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from asgi_guard.inspection.extract import Part, Value, text
from asgi_guard.inspection.limits import Limits
from asgi_guard.inspection.scan import OVERLAP, WINDOW


class TextReader:
    """Reads a text piece by piece.

    Args:
        limits: how many bytes of it are looked at.

    Attributes:
        is_beyond: whether more came than is looked at.
    """

    __slots__ = ("_begun", "_buffer", "_left", "_new", "is_beyond")

    def __init__(self, limits: Limits) -> None:
        self._buffer = bytearray()
        self._begun = False
        self._new = 0
        self._left = limits.body_bytes
        self.is_beyond: bool = False

    def feed(self, piece: bytes) -> Iterator[Value]:
        """Take the next piece, and give out what is long enough to be looked at."""
        if len(piece) > self._left:
            self.is_beyond = True
            piece = piece[: self._left]
        self._left -= len(piece)
        self._new += len(piece)
        self._buffer += piece
        if self._new >= _STEP:
            yield self._value(goes_on=True)

    def close(self) -> Iterator[Value]:
        """Give out what is left when the body ends."""
        if self._new:
            yield self._value(goes_on=False)

    def _value(self, *, goes_on: bool) -> Value:
        part = Part("body", "", text(bytes(self._buffer)))
        part.has_begun, part.goes_on = self._begun, goes_on
        self._begun, self._new = True, 0
        del self._buffer[:-OVERLAP]
        return part


_STEP: Final = WINDOW // 2
