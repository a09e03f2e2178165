"""Cgroups: the limits that a container sets on memory and CPU, and how much of them is used.

Standard: cgroups(7), version 1, version 2 and both at once. A group may use no more than each group around it, so all
are asked, and the tightest counts, with what is used of it: by this process, its neighbours and everything below.
Must never raise, and never take a group for one around this process that is not: seen from within a namespace, the
path to a process may lead out of what is mounted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from asgi_guard.watch.procfs import number, read, table

MAX_LEVELS: Final = 32
"""The groups around a process that are asked, the outermost first."""

_MOUNTS: Final = 1 << 20
"""The bytes of the mount table that are read."""

_UNLIMITED: Final = 1 << 60
"""Version 1 writes no limit as the largest number of whole pages."""

_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """The tightest limit on memory.

    Attributes:
        limit_bytes: the limit.
        used_bytes: the working set of that group: what it uses, without caches of files that can be dropped; or None.
        oom_kills: the processes in it that the kernel has killed for want of memory; or None.
    """

    limit_bytes: int
    used_bytes: int | None
    oom_kills: int | None


@dataclass(frozen=True, slots=True)
class CpuLimit:
    """The tightest quota of CPU time.

    Attributes:
        group: whose quota it is: the numbers of two groups cannot be compared.
        cores: the quota, as a number of cores.
        used_ns: the CPU time that the group has used, in nanoseconds; or None.
        periods: how many periods it has run in, each with the quota anew.
        throttled: in how many of them it had used up the quota, and waited.
    """

    group: Path
    cores: float
    used_ns: int | None
    periods: int
    throttled: int


class _Mount(NamedTuple):
    """A hierarchy, or a part of one, that can be seen."""

    top: str
    point: Path
    kind: str
    controllers: frozenset[str]


class _Tree(NamedTuple):
    """What one controller knows of this process: the groups around it, the outermost first."""

    version: int = 0
    levels: tuple[Path, ...] = ()


class Cgroups:
    """The groups that this process is in, which are found once; their limits are read each time.

    Args:
        root: where `/proc` and `/sys` are found.

    Attributes:
        version: of the groups, 1 or 2; 0 where none can be seen.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        groups = dict(_memberships(read(root / "proc/self/cgroup") or ""))
        mounts = list(_mounts(read(root / "proc/self/mountinfo", _MOUNTS) or "", root))
        self._memory = _tree("memory", groups, mounts)
        self._cpu = _tree("cpu", groups, mounts)
        # Version 1 may keep the accounts in another tree than the quotas; they are comparable if the groups are.
        accounts = _tree("cpuacct", groups, mounts).levels
        is_alike = groups.get("cpuacct") == groups.get("cpu") and len(accounts) == len(self._cpu.levels)
        self._accounts = accounts if is_alike else ()
        self.version: int = self._memory.version or self._cpu.version

    def memory(self) -> MemoryLimit | None:
        """Return the tightest limit on memory, the outer one of two alike; None where there is none."""
        is_old = self._memory.version == 1
        limits = [
            (limit, level)
            for level in self._memory.levels
            if (limit := number(read(level / ("memory.limit_in_bytes" if is_old else "memory.max"))))
            and limit < _UNLIMITED
        ]
        if not limits:
            return None
        limit, level = min(limits, key=_first)
        used = number(read(level / ("memory.usage_in_bytes" if is_old else "memory.current")))
        if used is not None:
            caches = table(read(level / "memory.stat")).get("total_inactive_file" if is_old else "inactive_file", 0)
            used = max(0, used - caches)
        events = table(read(level / ("memory.oom_control" if is_old else "memory.events")))
        return MemoryLimit(limit, used, events.get("oom_kill"))

    def cpu(self) -> CpuLimit | None:
        """Return the tightest quota of CPU time, the outer one of two alike; None where there is none."""
        quota = _old_quota if self._cpu.version == 1 else _quota
        quotas = [(cores, at) for at, level in enumerate(self._cpu.levels) if (cores := quota(level))]
        if not quotas:
            return None
        cores, at = min(quotas, key=_first)
        level = self._cpu.levels[at]
        stat = table(read(level / "cpu.stat"))
        if "usage_usec" in stat:
            used: int | None = stat["usage_usec"] * 1_000
        else:
            used = number(read(self._accounts[at] / "cpuacct.usage")) if self._accounts else None
        return CpuLimit(level, cores, used, stat.get("nr_periods", 0), stat.get("nr_throttled", 0))


def _first(found: tuple[float, object]) -> float:
    return found[0]


def _quota(level: Path) -> float | None:
    quota, _, period = (read(level / "cpu.max") or "").partition(" ")
    return _share(quota, period)


def _old_quota(level: Path) -> float | None:
    return _share(read(level / "cpu.cfs_quota_us"), read(level / "cpu.cfs_period_us"))


def _share(quota: str | None, period: str | None) -> float | None:
    given, every = number(quota), number(period)
    return given / every if given and every else None


def _memberships(said: str) -> Iterator[tuple[str, str]]:
    """Read which group each controller has this process in; that of version 2 has no controller's name."""
    for line in said.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        for controller in controllers.split(","):
            yield controller, group


def _mounts(said: str, root: Path) -> Iterator[_Mount]:
    for line in said.splitlines():
        place, _, what = line.partition(" - ")
        fields, kind = place.split(" "), what.split(" ")
        if len(fields) > 4 and len(kind) > 2 and kind[0] in {"cgroup", "cgroup2"}:
            top, point = [_ESCAPED.sub(lambda code: chr(int(code[1], 8)), field) for field in fields[3:5]]
            yield _Mount(top, root / point.lstrip("/"), kind[0], frozenset(kind[2].split(",")))


def _tree(controller: str, groups: dict[str, str], mounts: list[_Mount]) -> _Tree:
    """Find the groups around this process that can be seen; a controller is in one version at a time."""
    version, kind, group = 1, "cgroup", groups.get(controller)
    if group is None:
        version, kind, group = 2, "cgroup2", groups.get("")
    for mount in mounts:
        if group is None or mount.kind != kind or (version == 1 and controller not in mount.controllers):
            continue
        below = _below(mount.top, group)
        if below is not None:
            levels = [mount.point.joinpath(*below[:depth]) for depth in range(min(len(below) + 1, MAX_LEVELS))]
            return _Tree(version, tuple(levels))
    return _Tree()


def _below(top: str, group: str) -> list[str] | None:
    """Return the way from what is mounted down to a group, as far as it is known; None where there is none.

    Both are told from the root of the namespace, which may itself be mounted from further out: `/..` is above it.
    """
    above, own = [[part for part in path.split("/") if part] for path in (top, group)]
    if own[: len(above)] == above:
        below = own[len(above) :]
        return None if ".." in below else below
    return [] if set(above) == {".."} else None
