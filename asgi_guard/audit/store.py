"""Store: the file of a log and the notes beside it, as one thing that is held, written and let go.

While it is held no other process writes there; what was torn by one that was killed is ended and told of, and a file
that is full becomes the youngest of the older generations.
Must never let what cannot be noted, or moved, stop what can be written.
"""

from __future__ import annotations

import errno
import logging
import os
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Final

from asgi_guard.audit.chain import digest_of, is_torn
from asgi_guard.audit.file import LogFile
from asgi_guard.audit.heads import Generations, Heads, Notes
from asgi_guard.audit.sealing import Sealing
from asgi_guard.audit.settings import Audit, key_of
from asgi_guard.errors.exceptions import ConfigError

MAX_PIECES: Final = 16
"""The torn pieces that are told of at once."""

_AGAIN_SECONDS: Final = 60.0
_logger: Final = logging.getLogger("asgi_guard.audit")


class Store:
    """Where the lines of one log go.

    Args:
        settings: of the log, which has a path.

    Raises:
        ConfigError: a file cannot be opened, or is not this user's alone.
    """

    def __init__(self, settings: Audit) -> None:
        path = settings.path or ""
        self._max_bytes = settings.max_bytes
        self._keep = settings.keep
        self._heads = Heads(path, key_of(settings.key), fsync=settings.fsync)
        self._file = LogFile(path, fsync=settings.fsync)
        self._begin = b""
        self._moves_again_at = 0.0
        self._has_said = False

    @contextmanager
    def held(self, sealing: Sealing) -> Generator[None]:
        """Hold the file, and tell the chain what it has to know of it.

        Raises:
            ConfigError: the file that is there now is not this user's alone.
            OSError: it cannot be held.
        """
        with self._file.locked():
            self._look_at_end(sealing)
            sealing.is_new, sealing.is_first = self._file.is_new, self._file.size == 0
            if sealing.chain.seq == 0 or sealing.is_new:
                notes = self._heads.read()
                sealing.generations = max(sealing.generations, notes.generations)
                sealing.earlier = list(notes.heads.values())
            if self._max_bytes is not None and self._file.size >= self._max_bytes:
                self._rotate(sealing)
            yield

    def _look_at_end(self, sealing: Sealing) -> None:
        """See what a process that was killed has left."""
        tail = self._file.torn()
        self._begin = b"" if tail is None else b"\n"
        pieces: list[str] = []
        for piece in reversed((tail or b"").split(b"\n")):
            if not is_torn(piece) or len(pieces) == MAX_PIECES:
                break
            pieces.append(digest_of(piece))
        sealing.torn = pieces

    def append(self, lines: Sequence[bytes]) -> int:
        """Write a group of lines, and return how many of them stand whole.

        Raises:
            OSError: none was written.
        """
        return self._file.append(lines, begin=self._begin) if lines else 0

    def note(self, sealing: Sealing) -> None:
        """Note how far the chain has come; where that cannot be, the next note says it, and more."""
        self._file.sync()
        notes = self._heads.read()
        notes.generations = max(sealing.generations, notes.generations)
        self._write(sealing, notes)

    def _write(self, sealing: Sealing, notes: Notes) -> None:
        notes.heads.pop(sealing.chain.name, None)
        notes.heads[sealing.chain.name] = sealing.head
        try:
            self._heads.write(notes)
            self._has_said = False
        except (OSError, ConfigError):
            if not self._has_said:
                self._has_said = True
                _logger.exception("The notes of the audit log cannot be written; this is tried again.")

    def _rotate(self, sealing: Sealing) -> None:
        if time.monotonic() < self._moves_again_at:
            return
        try:
            self._file.make_room(self._keep)
        except OSError:
            self._moves_again_at = time.monotonic() + _AGAIN_SECONDS
            _logger.exception("The audit log cannot be moved away, and grows; this is tried again in a minute.")
            return
        last = sealing.rotated()
        try:
            whole = self.append([one.line for one in last])
        except OSError:
            sealing.take_back(last)
            raise
        sealing.take_back(last[whole:])
        if whole < len(last):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._file.sync()
        notes = self._heads.read()
        current = max(sealing.generations, notes.generations).current + 1
        notes.generations = Generations(current, max(notes.generations.first, current - self._keep))
        self._write(sealing, notes)
        self._file.rotate()
        sealing.generations, self._begin = notes.generations, b""
        sealing.is_new = sealing.is_first = True

    def sync(self) -> None:
        """Make what was written safe, where the settings say so."""
        self._file.sync()

    def close(self) -> None:
        """Close the file; the next group opens it again."""
        self._file.close()
