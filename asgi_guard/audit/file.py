r"""File: where the lines of the audit log stand, appended in groups, by several processes at once.

A group is one write to a file that was opened for appending, under an advisory lock, so that no process looks at the
end of the file while another one writes there. Whoever rotates logs moves the file away; it is looked for before each
group, and made anew.
Rule 1: the file is this user's alone, and plain: no link that somebody has laid, no device.
Rule 2: what was not written whole is taken back, or told of: a full disk costs no line that was kept.
Rule 3: a lock that somebody else holds for ever stops the thread that writes for two seconds, and no request at all.

| id    | rule that was broken                          |
|-------|-----------------------------------------------|
| AG910 | the file is a plain one, of this user alone   |
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.settings import Problem

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows: workers that share a file there are not kept apart
    fcntl = None

LOCK_SECONDS: Final = 2.0
"""How long a group waits for the lock at most; then it is tried again later."""

_FLAGS: Final = (
    os.O_RDWR
    | os.O_APPEND
    | os.O_CREAT
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a pipe would wait for a reader
)
_OTHERS: Final = 0o077
_TAIL: Final = 65_536
_POLL_SECONDS: Final = 0.002
_MOST_MOVES: Final = 1_000  # workers that move it on at once; each is seen but once


class LogFile:
    """One file of lines.

    Args:
        path: of it.
        fsync: whether `sync` makes what was written safe from the failure of the machine.

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
        self._has_lock = False
        self.is_new: bool = True
        self._open()

    def _open(self) -> None:
        try:
            descriptor = os.open(self._path, _FLAGS, 0o600)
        except OSError as exc:
            raise refused(self._path, f"Choose another: {exc.strerror}.") from None
        found = os.fstat(descriptor)
        if not is_ours(found):
            os.close(descriptor)
            raise refused(self._path, "Choose another, or take it from the others: chmod 600.")
        self._descriptor, self._place, self.is_new = descriptor, (found.st_dev, found.st_ino), True

    def look(self) -> None:
        """See whether the file still stands where it was opened; else open the one that is there now.

        Raises:
            ConfigError: as the constructor.
        """
        if self._descriptor < 0 or not self._is_there():
            self.close()
            self._open()

    def _is_there(self) -> bool:
        try:
            found = self._path.lstat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._place

    @contextmanager
    def locked(self) -> Generator[None]:
        """Hold the file that stands at the path, alone among the processes that write to it.

        Raises:
            ConfigError: as the constructor.
            OSError: somebody else holds it, or it is moved away again and again.
        """
        for _ in range(_MOST_MOVES):
            self.look()
            self._lock()
            if self._is_there():
                break
            self._unlock()  # it was moved away while this waited
        else:
            raise OSError(errno.EAGAIN, "the file is moved away again and again")
        try:
            yield
        finally:
            self._unlock()

    def _lock(self) -> None:
        if fcntl is None:
            return
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise
                time.sleep(_POLL_SECONDS)
            except OSError:  # a file system without locks
                return
            else:
                self._has_lock = True
                return

    def _unlock(self) -> None:
        if self._has_lock and self._descriptor >= 0:
            with suppress(OSError):
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        self._has_lock = False

    @property
    def size(self) -> int:
        """The bytes of the file."""
        return os.fstat(self._descriptor).st_size

    def torn(self) -> bytes | None:
        """Return the last of the file, where its last line has no end, since whoever wrote it was killed; else None."""
        size = self.size
        if size == 0 or self._read(size - 1, 1) == b"\n":
            return None
        return self._read(max(size - _TAIL, 0), _TAIL)

    def _read(self, at: int, size: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, size, at)
        os.lseek(self._descriptor, at, os.SEEK_SET)  # Windows; what is appended goes to the end all the same
        return os.read(self._descriptor, size)

    def append(self, lines: Sequence[bytes], *, begin: bytes = b"") -> int:
        """Write a group of lines, and return how many of them stand whole; the others are to be written again.

        Args:
            lines: each with its line feed.
            begin: what ends the piece that stands there, if one does.

        Raises:
            OSError: none was written.
        """
        group = begin + b"".join(lines)
        before = self.size
        written = os.write(self._descriptor, group)
        self.is_new = False
        if written == len(group):
            return len(lines)
        end, whole = len(begin), 0
        for line in lines:
            if end + len(line) > written:
                break
            end, whole = end + len(line), whole + 1
        with suppress(OSError):  # a file that may only be appended to
            if self._has_lock and self.size == before + written:
                os.ftruncate(self._descriptor, before + min(end, written))
                return whole
        return whole + (whole < len(lines) and written == end + len(lines[whole]) - 1)  # but for its line feed

    def sync(self) -> None:
        """Make what was written safe, where the settings say so."""
        if self._fsync and self._descriptor >= 0:
            with suppress(OSError):  # a file system that cannot; the lines are written, and would come twice
                os.fsync(self._descriptor)

    def make_room(self, keep: int) -> None:
        """Move the older generations on by one, and remove what is too many; `rotate` comes next.

        Args:
            keep: how many generations there are besides the file.

        Raises:
            OSError: one cannot be moved.
        """
        found = generations(self._path)
        for number in sorted(found, reverse=True):
            if number >= keep:
                found[number].unlink()
            else:
                found[number].replace(self._generation(number + 1))

    def rotate(self) -> None:
        """Make the file the youngest of the older generations, and hold a new one.

        Raises:
            OSError: it cannot be moved, or somebody else holds the new one.
            ConfigError: as the constructor.
        """
        self._path.replace(self._generation(1))
        self.close()
        self._open()
        self._lock()

    def _generation(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def close(self) -> None:
        """Close it; the next look opens it again. What was a parent's is closed and not unlocked."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1
        self._has_lock = False


def generations(path: Path) -> dict[int, Path]:
    """Return the older generations of a log that stand beside it, by their numbers: 1 is the youngest."""
    found: dict[int, Path] = {}
    with suppress(OSError):
        for entry in path.absolute().parent.iterdir():
            number = entry.name.removeprefix(f"{path.name}.")
            if number != entry.name and number.isdecimal() and number.isascii() and len(number) <= _DIGITS:
                found[int(number)] = path.with_name(entry.name)
    return found


_DIGITS: Final = 4


def is_ours(found: os.stat_result) -> bool:
    """Tell whether a file is a plain one of this user alone."""
    return not hasattr(os, "geteuid") or (
        stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & _OTHERS
    )


def refused(path: Path, remedy: str) -> ConfigError:
    """Return the error that says that a file is not ours alone."""
    return ConfigError([Problem("AG910", "Audit.path", str(path), "must be a file of this user alone", remedy)])
