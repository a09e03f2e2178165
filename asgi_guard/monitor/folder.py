"""Folder: a directory that is this user's alone, and files that are reached through it and no other way.

Must never follow a link or trust a name: on a machine with other users, whoever can plant a file here could write the
numbers, and whoever can read one knows the routes. All names are looked up in the directory that was checked when it
was opened, whatever becomes of its path later.

| id    | rule that was broken                                                        |
|-------|-----------------------------------------------------------------------------|
| AG850 | the system has locks of its own for files                                   |
| AG851 | the folder is a directory of this user, closed to others, and no link       |
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from asgi_guard.settings import Problems

if sys.platform != "win32":
    import fcntl

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_NOT_MINE: Final = "must be a directory of this user, closed to others (mode 0700), and no link"


class PrivateFolder:
    """A directory that nobody else can look into; it is made where it is not there.

    Args:
        path: where; the directory above it must be there.
        problems: where it is noted, as AG850 and AG851, that this is no such directory, or cannot be one here. The
            folder cannot be used then.
    """

    def __init__(self, path: Path, problems: Problems) -> None:
        self._descriptor = -1
        self._held: int | None = None
        if sys.platform == "win32":
            problems.add("AG850", "folder", str(path), "needs the locks of a POSIX system", "Count in each process.")
            return
        try:
            path.mkdir(mode=0o700, exist_ok=True)
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            found = os.fstat(self._descriptor)
        except OSError as exc:
            problems.add("AG851", "folder", str(path), _NOT_MINE, f"Choose another: {exc.strerror}.")
            return
        if found.st_uid != os.geteuid() or found.st_mode & _OTHERS:
            problems.add("AG851", "folder", str(path), _NOT_MINE, "Choose another, or take it from the others.")
            return
        # What clears temporary directories of what is old leaves a locked one alone.
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def close(self) -> None:
        """Leave it."""
        os.close(self._descriptor)

    def names(self) -> list[str]:
        """List the names of its files."""
        return sorted(os.listdir(self._descriptor))  # noqa: PTH208

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """Open one of its files, and return the descriptor, which no program that is started inherits.

        Raises:
            OSError: it cannot be opened, or is no plain file of this user.
        """
        extra = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe would wait for its other end
        descriptor = os.open(name, flags | extra, 0o600, dir_fd=self._descriptor)
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            os.close(descriptor)
            raise PermissionError(f"{name} is no plain file of this user")
        return descriptor

    def replace(self, name: str, data: bytes) -> None:
        """Write a whole file: whoever reads it finds the old one or the new one."""
        with open(self.open(f"new-{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:  # noqa: PTH123
            file.write(data)
        self.rename(f"new-{name}", name)

    def begin(self, name: str, data: bytes) -> None:
        """Write a whole file, unless there is one: of several processes that do so at once, the first one's stays."""
        own = f"new-{name}-{os.urandom(8).hex()}"
        with open(self.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:  # noqa: PTH123
            file.write(data)
        with suppress(FileExistsError):
            os.link(own, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)
        self.remove(own)

    def rename(self, old: str, new: str) -> None:
        """Rename a file."""
        os.rename(old, new, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descriptor)

    def identity(self, name: str) -> int | None:
        """Return the number of a file, which no other has as long as it is open; None where it is not there."""
        try:
            return os.stat(name, dir_fd=self._descriptor, follow_symlinks=False).st_ino
        except FileNotFoundError:
            return None

    def is_abandoned(self, name: str) -> bool:
        """Whether nobody holds the lock of a file."""
        try:
            descriptor = self.open(name)
        except FileNotFoundError:
            return False
        try:
            return is_unlocked(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def locked(self, name: str) -> Generator[bool]:
        """Hold the lock of a file; False at once where somebody else holds it."""
        descriptor = self._held = self.open(name, os.O_RDWR | os.O_CREAT)
        try:
            yield lock(descriptor)
        finally:
            self._held = None
            os.close(descriptor)

    def leave_lock(self) -> None:
        """Leave the lock that another thread held to the process that this one was forked from."""
        if self._held is not None:
            os.close(self._held)
            self._held = None


def is_left(path: Path) -> bool:
    """Whether no process has a private folder open any more; False where it is no folder.

    Only the lock tells: a server that was killed may have left workers, and one in another container that uses the
    same directory cannot be seen from here.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return lock(descriptor)
    finally:
        os.close(descriptor)


def lock(descriptor: int) -> bool:
    """Take the lock of a file for as long as it is open, in this process and all that it forks; False where taken."""
    return _locks(descriptor, exclusively=True)


def is_unlocked(descriptor: int) -> bool:
    """Whether nobody holds the lock of a file: whoever held it has died."""
    if not _locks(descriptor, exclusively=False):
        return False
    unlock(descriptor)
    return True


def unlock(descriptor: int) -> None:
    """Give a lock back, for all processes that have inherited it."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def _locks(descriptor: int, *, exclusively: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusively else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
