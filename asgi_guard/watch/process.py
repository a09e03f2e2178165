"""Process: what this process uses: CPU time, memory, open files and threads.

Read from proc(5) where there is one, and else from psutil, if that is installed.
Must never take long: it is asked every few seconds, in a process that may have a hundred thousand sockets open.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.watch.procfs import read
from asgi_guard.watch.system import installed_psutil


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """What this process uses; None stands for what cannot be found out.

    Attributes:
        cpu_seconds: CPU time that it has used since it began, of all its threads.
        memory_bytes: physical memory that it has in use.
        open_files: file descriptors that it has open; on Windows, handles.
        threads: threads in it, of Python or not.
        started_at: when it began, in UNIX seconds.
    """

    cpu_seconds: float
    memory_bytes: int | None = None
    open_files: int | None = None
    threads: int | None = None
    started_at: float | None = None


class ProcessMeter:
    """A meter of this process; in a process that is forked, of that one.

    Args:
        clock: tells when it began.
        root: where `/proc` is found.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK, root: Path = Path("/")) -> None:
        self._clock = clock
        self._folder = root / "proc/self"
        self._psutil = None if (self._folder / "stat").exists() else installed_psutil()
        self._began: tuple[int, float] = -1, 0.0

    def sample(self) -> ProcessSample:
        """Look; in less than a fifth of a millisecond, where there is a `/proc`."""
        _, _, told = (read(self._folder / "stat") or "").rpartition(") ")  # a program may have a bracket in its name
        fields = told.split()[:20]
        if len(fields) < 20:
            return self._sample_by_psutil()
        return ProcessSample(
            time.process_time(),
            _resident(read(self._folder / "statm")),
            _open_files(self._folder / "fd"),
            int(fields[17]),
            self._started_at(int(fields[19])),
        )

    def _started_at(self, ticks: int) -> float:
        """Tell when it began, by the kernel's ticks since it booted; once, since clocks are set now and then."""
        if self._began[0] != ticks:
            age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
            self._began = ticks, self._clock.time() - age
        return self._began[1]

    def _sample_by_psutil(self) -> ProcessSample:
        used = time.process_time()
        if self._psutil is None:
            return ProcessSample(used)
        try:
            process = self._psutil.Process()
            with process.oneshot():
                files = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
                memory = process.memory_info().rss
                return ProcessSample(used, memory, files, process.num_threads(), process.create_time())
        except Exception:  # noqa: BLE001  it may be refused, in more ways than it says
            return ProcessSample(used)


def _resident(statm: str | None) -> int | None:
    pages = (statm or "").split()[1:2]
    return int(pages[0]) * os.sysconf("SC_PAGE_SIZE") if pages else None


def _open_files(folder: Path) -> int | None:
    """Count the open files: Linux tells their number as the size of the folder since 6.2; before, they are listed."""
    try:
        return folder.stat().st_size or sum(1 for _ in folder.iterdir()) - 1  # the one that lists them is among them
    except OSError:
        return None
