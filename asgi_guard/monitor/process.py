"""Process: the aggregate that everything in one process counts in, unless it is told another.

It stands in the memory of this process until somebody names a folder that its workers share; from then on it is exact
over all of them, and whoever has taken a handle before counts on with it.
Must never be made by an import: a process that counts nothing has none.

| id    | rule that was broken                                         |
|-------|--------------------------------------------------------------|
| AG853 | all that counts in one process shares one folder             |
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from asgi_guard.errors.exceptions import ConfigError
from asgi_guard.monitor.cells import Aggregate
from asgi_guard.settings import Problem

if TYPE_CHECKING:
    from asgi_guard.monitor.shared_memory import SharedAggregate

_PREFIX: Final = "asgi_guard-"
_NUMBERS: Final = re.compile(rb"[0-9]+")
_lock: Final = Lock()
_aggregate: Aggregate | None = None
_folder: Path | None = None


def aggregate_of_process() -> Aggregate:
    """Return the aggregate of this process; it is made when this is first asked for."""
    global _aggregate  # noqa: PLW0603  it is about the process
    if _aggregate is None:
        with _lock:
            _aggregate = _aggregate or Aggregate()
    return _aggregate


def share(folder: str | os.PathLike[str] | None = None, *, opens: bool = True) -> SharedAggregate:
    """Count in a folder that all workers share from now on, and return the aggregate.

    What was counted before goes with it, but for durations. To name the same folder again changes nothing.

    Args:
        folder: the directory, of this user alone; by default `default_folder()` of the process that started this one.
        opens: whether it is opened at once; else whoever serves calls `open`.

    Raises:
        ConfigError: it cannot be used, or this process shares another one already.
    """
    global _aggregate, _folder
    from asgi_guard.monitor.shared_memory import SharedAggregate

    chosen = Path(folder) if folder is not None else default_folder(os.getppid())
    chosen = chosen.absolute()
    with _lock:
        if isinstance(_aggregate, SharedAggregate):
            if chosen != _folder:
                rule = f"must be the folder that this process shares already, {_folder}"
                raise ConfigError([Problem("AG853", "shared_dir", str(chosen), rule, "Name one folder everywhere.")])
            return _aggregate
        if folder is None and opens:
            remove_abandoned()
        shared = SharedAggregate(chosen, opens=opens)
        if _aggregate is not None:
            shared.adopt(_aggregate)
        _aggregate, _folder = shared, chosen
        return shared


def default_folder(parent: int) -> Path:
    """Return the folder of the workers of one process: it has the parent's number and, on Linux, its start in it.

    Args:
        parent: the number of the process that starts the workers.
    """
    import tempfile  # it takes as long to import as all else that a circuit breaker counts with

    user = os.getuid() if hasattr(os, "getuid") else 0
    return Path(tempfile.gettempdir()) / f"{_PREFIX}{user}-{parent}-{_start_of(parent)}"


def _start_of(process: int) -> str:
    """Tell when a process has started, in the kernel's ticks, since its number is given to another one later."""
    try:
        said = Path(f"/proc/{process}/stat").read_bytes()
    except OSError:
        return "0"
    fields = said[said.rindex(b")") + 2 :].split()
    return fields[19].decode()


def has_siblings() -> bool:
    """Tell whether this is one of several workers of a server, as far as Linux tells; it reads files."""
    is_spawned = getattr(sys.modules.get("multiprocessing.process"), "parent_process", bool)() is not None
    if not is_spawned and "gunicorn.arbiter" not in sys.modules:
        return False
    try:
        found = Path(f"/proc/{os.getppid()}/task").glob("*/children")
        children = {child for children in found for child in children.read_bytes().split()}
        own = _command_of(str(os.getpid()))
        return sum(_command_of(child.decode()) == own for child in children) > 1
    except OSError:  # another system, or a process that has just ended
        return False


def _command_of(process: str) -> tuple[bytes, ...]:
    """Return a command line without the numbers of pipes that tell one worker's from another's."""
    words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    return tuple([_NUMBERS.sub(b"", word) for word in words] if b"--multiprocessing-fork" in words else words)


def remove_abandoned() -> None:
    """Remove the default folders of parents that are gone, so that they do not gather where nobody cleans up.

    This is done at the start of the next server, and not at the end of the last worker: nobody knows which is the last.
    """
    if sys.platform != "linux":  # elsewhere nothing tells whether a folder's parent is still the same process
        return
    import tempfile
    from shutil import rmtree

    from asgi_guard.monitor.folder import is_left

    own = f"{_PREFIX}{os.getuid()}-"
    for found in Path(tempfile.gettempdir()).glob(f"{own}*"):
        parent, _, start = found.name.removeprefix(own).partition("-")
        if parent.isdecimal() and _start_of(int(parent)) != start and is_left(found):
            with suppress(OSError):
                rmtree(found)


if hasattr(os, "register_at_fork"):  # a child must not find it held by a thread that it does not have
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
