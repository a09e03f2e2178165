r"""File: where the lines of the audit log stand, appended in groups, by several processes at once.

A group is one write to a file that was opened for appending, so that lines of workers do not mix. Whoever rotates logs
moves the file away; it is looked for before each group, and made anew.
Rule 1: the file is this user's alone, and plain: no link that somebody has laid, no device.
Rule 2: what was not written whole is written again, on a line of its own: a full disk costs no line that was kept.

| id    | rule that was broken                          |
|-------|-----------------------------------------------|
| AG910 | the file is a plain one, of this user alone   |
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.settings import Problem

_FLAGS: Final = (
    os.O_RDWR
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe would wait for a reader
)
_OTHERS: Final = 0o077


class LogFile:
    """One file of lines.

    Args:
        path: of it.
        fsync: whether a group is on the disk when `append` returns.

    Attributes:
        is_new: whether the file was opened since the last group: nothing of this process stands in it yet.

    Raises:
        ConfigError: it cannot be opened, or is not this user's alone.
    """

    def __init__(self, path: str, *, fsync: bool) -> None:
        self._path = Path(path)
        self._fsync = fsync
        self._descriptor = -1
        self._place = (0, 0)
        self._may_be_torn = True
        self.is_new: bool = True
        self._open()

    def _open(self) -> None:
        try:
            descriptor = os.open(self._path, _FLAGS, 0o600)
        except OSError as exc:
            raise self._refused(f"Choose another: {exc.strerror}.") from None
        found = os.fstat(descriptor)
        if hasattr(os, "geteuid") and (
            not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & _OTHERS
        ):
            os.close(descriptor)
            raise self._refused("Choose another, or take it from the others: chmod 600.")
        self._descriptor, self._place, self.is_new = descriptor, (found.st_dev, found.st_ino), True
        self._may_be_torn = True

    def _refused(self, remedy: str) -> ConfigError:
        return ConfigError(
            [Problem("AG910", "Audit.path", str(self._path), "must be a file of this user alone", remedy)]
        )

    def look(self) -> None:
        """See whether the file still stands where it was opened; else open the one that is there now.

        Raises:
            ConfigError: as the constructor.
        """
        try:
            found = self._path.lstat()
            is_there = (found.st_dev, found.st_ino) == self._place
        except OSError:
            is_there = False
        if not is_there or self._descriptor < 0:
            self.close()
            self._open()

    def append(self, lines: Sequence[bytes]) -> int:
        """Write a group of lines, and return how many of them stand whole; the others are to be written again.

        Raises:
            OSError: none was written.
        """
        begin = b"\n" if self._may_be_torn and self._is_torn() else b""
        self._may_be_torn = True
        group = begin + b"".join(lines)
        written = os.write(self._descriptor, group)
        self.is_new = False
        self._may_be_torn = written < len(group)
        if self._fsync:
            with suppress(OSError):  # a file system that cannot; the lines are written, and would come twice
                os.fsync(self._descriptor)
        return max(group[:written].count(b"\n") - len(begin), 0) if self._may_be_torn else len(lines)

    def _is_torn(self) -> bool:
        """Tell whether the last line has no end, since whoever wrote it was killed, or the disk was full."""
        size = os.fstat(self._descriptor).st_size
        return size > 0 and os.pread(self._descriptor, 1, size - 1) != b"\n"

    def close(self) -> None:
        """Close it; the next look opens it again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
