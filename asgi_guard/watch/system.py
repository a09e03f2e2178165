"""System: how much is used of the CPU, the memory and the disk that this process may use.

What a container may use is asked of its groups first; where they set no limit, psutil is asked about the machine if it
is installed, and Linux itself if not. psutil knows no groups: in a container that stands at 84 % of its limit it sees
the machine, and tells 4 %.
Must never raise because something cannot be read, and never wait for a number: CPU is measured between two samples.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from shutil import disk_usage
from types import ModuleType
from typing import Final, NamedTuple

from asgi_guard.clock import SYSTEM_CLOCK, Clock
from asgi_guard.watch.cgroups import Cgroups
from asgi_guard.watch.procfs import read, table

_LEAST_NS: Final = 100_000_000
"""What CPU is measured over at least: the kernel counts in hundredths of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSample:
    """How things stand. Percent are 0 to 100; None stands for what cannot be found out.

    Attributes:
        time: when, in UNIX seconds.
        source: who was asked: `cgroup2` or `cgroup1` where a limit on CPU or memory is set, else `psutil`, `proc` or
            `none`.
        cpu_percent: of the cores that may be used, since the sample before; of the first one it is None.
        cpu_cores: how many cores may be used, by the quota, by affinity, or by their number.
        memory_percent: of the memory that may be used.
        memory_bytes: in use, without what can be had back at once.
        memory_limit_bytes: the memory that may be used.
        disk_percent: of the file system, without what is reserved for root.
        disk_free_bytes: free on it for this process.
        throttled_percent: of the periods since the sample before, those that had used up the quota; None without one.
    """

    time: float
    source: str
    cpu_percent: float | None
    cpu_cores: float
    memory_percent: float | None
    memory_bytes: int | None
    memory_limit_bytes: int | None
    disk_percent: float | None
    disk_free_bytes: int | None
    throttled_percent: float | None


class _Machine(NamedTuple):
    """What the machine says: the CPU time in use of some of its cores, and its memory."""

    source: str = "none"
    busy_ns: int | None = None
    memory: int | None = None
    available: int | None = None


class _Used(NamedTuple):
    """The CPU time that was used up to a moment, and by whom: a group, or the machine."""

    at_ns: int
    group: Path | None
    ns: int | None
    periods: int
    throttled: int


class System:
    """A meter of what this process may use.

    Args:
        root: where `/proc` and `/sys` are found; psutil is asked only about the real ones.
        disk_path: anything on the file system that is watched; not one over a network, which may hang.
        clock: what CPU is measured by.
    """

    def __init__(self, root: Path = Path("/"), disk_path: str = "/", clock: Clock = SYSTEM_CLOCK) -> None:
        self._root = root
        self._disk_path = disk_path
        self._clock = clock
        self._cgroups = Cgroups(root)
        self._shares: tuple[float | None, float | None] = None, None
        self._before = _Used(0, None, None, 0, 0)

    def sample(self) -> SystemSample:
        """Look; in less than a millisecond, from one thread at a time.

        Asked again within a tenth of a second, CPU is told as before.
        """
        machine = self._machine()
        used, cores = self._used(machine)
        cpu, throttled = self._since_before(used, cores)
        memory, limit, is_limited = self._memory(machine)
        disk, free = _disk(self._disk_path)
        return SystemSample(
            time=self._clock.time(),
            source=f"cgroup{self._cgroups.version}" if used.group or is_limited else machine.source,
            cpu_percent=cpu,
            cpu_cores=cores,
            memory_percent=_percent(memory, limit),
            memory_bytes=memory,
            memory_limit_bytes=limit,
            disk_percent=disk,
            disk_free_bytes=free,
            throttled_percent=throttled,
        )

    @cached_property
    def _psutil(self) -> ModuleType | None:
        return installed_psutil() if self._root == Path("/") else None  # it takes as long to import as this package

    def _machine(self) -> _Machine:
        machine = _machine_by_psutil(self._psutil) if self._psutil else None
        return machine or _machine_by_proc(self._root)

    def _used(self, machine: _Machine) -> tuple[_Used, float]:
        """Read the CPU time that was used, and how many cores it was used of."""
        cores = float(len(_own_cores()) or os.cpu_count() or 1)
        now = self._clock.monotonic_ns()
        quota = self._cgroups.cpu()
        if quota is None or quota.cores >= cores:
            return _Used(now, None, machine.busy_ns, 0, 0), cores
        return _Used(now, quota.group, quota.used_ns, quota.periods, quota.throttled), quota.cores

    def _since_before(self, used: _Used, cores: float) -> tuple[float | None, float | None]:
        """Return the percentages of CPU time in use, and of periods without any left."""
        before = self._before
        elapsed = used.at_ns - before.at_ns
        if before.group != used.group or before.ns is None or used.ns is None:
            self._before, self._shares = used, (None, None)
        elif elapsed >= _LEAST_NS:
            throttled = _percent(used.throttled - before.throttled, used.periods - before.periods)
            self._before, self._shares = used, (_percent(used.ns - before.ns, elapsed * cores), throttled)
        return self._shares

    def _memory(self, machine: _Machine) -> tuple[int | None, int | None, bool]:
        """Return what is used, of how much, and whether that is less than all memory there is."""
        limit = self._cgroups.memory()
        if limit is not None and (machine.memory is None or limit.limit_bytes < machine.memory):
            return limit.used_bytes, limit.limit_bytes, True
        if machine.memory is None or machine.available is None:
            return None, machine.memory, False
        return machine.memory - machine.available, machine.memory, False


def installed_psutil() -> ModuleType | None:
    """Return psutil where it is installed."""
    try:
        import psutil
    except ImportError:
        return None
    return psutil


def _machine_by_psutil(psutil: ModuleType) -> _Machine | None:
    """Ask psutil, which may be refused in its turn, in more ways than it says."""
    try:
        cores = enumerate(psutil.cpu_times(percpu=True))
        own = _own_cores()
        busy = sum(_busy_seconds(times._asdict()) for number, times in cores if not own or number in own)
        memory = psutil.virtual_memory()
        return _Machine("psutil", int(busy * 1e9), memory.total, memory.available)
    except Exception:  # noqa: BLE001
        return None


def _busy_seconds(times: dict[str, float]) -> float:
    """Add up what is not idle; what guests use is in the time of users already."""
    idle = ("idle", "iowait", "guest", "guest_nice")
    return sum(seconds for name, seconds in times.items() if name not in idle)


def _machine_by_proc(root: Path) -> _Machine:
    memory = table(read(root / "proc/meminfo"))
    total, available = [memory.get(name) for name in ("MemTotal", "MemAvailable")]
    busy = _busy_ticks(read(root / "proc/stat") or "")
    if total is None and busy is None:
        return _Machine()
    return _Machine(
        "proc",
        None if busy is None else busy * 1_000_000_000 // os.sysconf("SC_CLK_TCK"),
        None if total is None else total * 1_024,
        None if available is None else available * 1_024,
    )


def _busy_ticks(stat: str) -> int | None:
    """Add up the time of those cores that this process may use: what is not idle, and does not wait for a disk."""
    own = _own_cores()
    busy: list[int] = []
    for line in stat.splitlines():
        name, *ticks = line.split()[:9] or [""]
        core = name.removeprefix("cpu")
        if core.isdecimal() and (not own or int(core) in own) and len(ticks) == 8 and all(map(str.isdecimal, ticks)):
            idle, waiting = ticks[3:5]
            busy.append(sum(map(int, ticks)) - int(idle) - int(waiting))
    return sum(busy) if busy else None


def _own_cores() -> set[int]:
    """Return the cores that this process may run on, by number; none where the system does not tell."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _disk(path: str) -> tuple[float | None, int | None]:
    try:
        _, used, free = disk_usage(path)
    except OSError:
        return None, None
    return _percent(used, used + free), free


def _percent(part: float | None, whole: float | None) -> float | None:
    """Return a percentage; what was counted anew in the meantime is none, and what is slightly over is all."""
    if part is None or not whole or part < 0 or whole < 0:
        return None
    return min(100.0, 100.0 * part / whole)
